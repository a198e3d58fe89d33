"""Every method on the hybrid trainer: it trains, counts, and goes on where it was stopped; what it hands the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interlace.errors import DataError, RecipeError
from interlace.methods import METHODS, Regrouped, method_options
from interlace.stages.hybrid_trainer import MOMENTS
from interlace.tasks import Task
from interlace.tasks.demonstrations import with_demonstrations
from tests.stages.worlds import GRPO, rows, start, task, trainer, weights_of

FILE = "model.safetensors"

STATEFUL: dict[str, Any] = {
    "bridge_like": {"rank": 2},
    "lspo_like": {"rank": 2},
    "mifo_like": {"buffer_size": 2},
    "noise_aware": {"decay": 0.5},
    "noise_control": {"mu": 0.9, "decay": 0.5, "least": 0.01},
    "relift": {"buffer_size": 2},
    "soft_projected": {"decay": 0.5},
    "replay": {"of": "solved", "share": 0.5},
}
"""Those that remember, with options under which they do so within three steps."""


def hybrid(folder: Path, method: Any, **options: Any) -> Any:
    return trainer("hybrid", folder, method=method, **{**GRPO, **options})


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_and_counts(tmp_path: Path, name: str) -> None:
    """Weights move and stay finite; the ledger has completions where RL is done and expert responses where they are."""
    begin = torch.cat([weight.detach().flatten() for weight in start().model.parameters()])
    mixed = hybrid(tmp_path, {"name": name, **STATEFUL.get(name, {})})
    mixed.train()
    weights = weights_of(mixed)
    assert weights.isfinite().all() and not torch.equal(weights, begin)
    updates = [mixed.method.weights(step) for step in range(3)]
    samples = any(each.rl for each in updates) or mixed.method.follows == "groups"
    assert (mixed.counters.get("tokens_sampled", 0) > 0) == samples
    if mixed.method.follows == "stream" and not STATEFUL.get(name):
        each = len(mixed.method.imitated(0, mixed.experts.stream))
        inside = mixed.method.expert_rows * mixed.method.plan.prompts * sum(step.rl > 0 for step in updates)
        assert mixed.counters.get("expert_examples", 0) == inside + each * sum(step.sft > 0 for step in updates)
    assert mixed.state.global_step == 3


@pytest.mark.parametrize("name", STATEFUL)
def test_what_a_method_remembers_outlives_a_stop(tmp_path: Path, name: str) -> None:
    method = {"name": name, **STATEFUL[name]}
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 4}
    unbroken = hybrid(tmp_path / "a", method, **options)
    unbroken.train()
    assert unbroken.counters["expert_examples"] > 0
    for step in (1, 2, 3):
        again = hybrid(tmp_path / "b", method, **options)
        again.train(resume_from_checkpoint=str(tmp_path / "a" / f"checkpoint-{step}"))
        assert torch.equal(weights_of(again), weights_of(unbroken)), step
        assert again.method.state == unbroken.method.state


def batch(mixed: Any) -> list[dict[str, Any]]:
    """Four prompts of the training set, four times each."""
    return [{**mixed.train_dataset[row // 4]} for row in range(16)]


@pytest.mark.parametrize("asked", [{}, {"scale_rewards": "group"}, {"scale_rewards": "none"}])
@pytest.mark.parametrize(("name", "divides"), [("hpt", False), ("luffy", False), ("superrl", True), ("joint", True)])
def test_advantages_are_as_the_source_has_them_unless_the_user_says(
    tmp_path: Path, name: str, divides: bool, asked: dict[str, str]
) -> None:
    """What a method's groups hold, against rewards centred (and divided by their deviation) by hand."""
    mixed, seen = hybrid(tmp_path, name, **asked), []
    mixed.method.regroup = lambda groups: seen.append(groups) or Regrouped(groups.advantages)
    mixed._generate_and_score_completions(batch(mixed))
    rewards = seen[0].rewards
    expected = rewards - rewards.mean(axis=1, keepdims=True)
    if asked.get("scale_rewards", "group" if divides else "none") == "group":
        expected /= rewards.std(axis=1, ddof=1, keepdims=True) + 1e-4
    np.testing.assert_allclose(seen[0].advantages, expected, atol=1e-5)
    assert np.unique(np.abs(expected)).size > 1


def test_hints_stand_in_prompts_and_the_reward_is_of_hint_and_completion(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path, {"name": "uft", "low": 0.6, "up": 0.6, "hint_steps": None, "coef": 0.5})
    seen: list[str] = []
    mixed.reward_funcs = [lambda completions, **_: [seen.append(text) or 0.0 for text in completions]]
    inputs = batch(mixed)
    output = mixed._generate_and_score_completions(inputs)
    decode, shares = mixed.experts.tokenizer.decode, []
    for row, example in enumerate(inputs):
        expert = mixed.experts.response(example["interlace_example"], 0)
        given = mixed.method.hint(0, example["interlace_example"], row % 4)
        count = 0 if given is None else min(round(given.share * len(expert.response)), len(expert.response) - 1)
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()].tolist()
        assert prompt == [*expert.context, *expert.response[:count]]
        completion = output["completion_ids"][row][output["completion_mask"][row].bool()].tolist()
        assert seen[row] == decode(expert.response[:count]) + decode(completion, skip_special_tokens=True)
        shares.append(count)
    assert len(set(shares)) > 1
    hints = [row.response for row in mixed.regrouped.imitated]
    assert [len(item.response) for item in hints] == [count for count in shares[::4] if count]


def test_a_hints_loss_is_its_own_and_the_continuations_is_rl(tmp_path: Path) -> None:
    """By SGD at rate 1 without reward, so that RL has no gradient: the step is that of the hints' token mean alone."""
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}
    mixed = hybrid(tmp_path, {"name": "uft", "low": 0.6, "up": 0.6, "hint_steps": None, "coef": 0.5}, **options)
    mixed.reward_funcs = [lambda completions, **_: [0.0] * len(completions)]
    begin = start()
    mixed.train()
    hints = [row.response for row in mixed.regrouped.imitated]
    losses = []
    for item in hints:
        ids = torch.tensor([[*item.context, *item.response]])
        logprobs = begin.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        losses.append(-logprobs.gather(-1, ids[0, 1:, None])[len(item.context) - 1 :].sum())
    loss = 0.5 * sum(losses) / sum(len(item.response) for item in hints)
    loss.backward()
    expected = torch.cat([(weight - weight.grad).detach().flatten() for weight in begin.model.parameters()])
    torch.testing.assert_close(weights_of(mixed), expected, rtol=0, atol=1e-6)


def test_one_completion_goes_on_from_a_prefix_that_only_it_is_told(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path, {"name": "prefix_rft_like", "begin": 0.5})
    inputs = batch(mixed)
    output = mixed._generate_and_score_completions(inputs)
    given = output["num_given"].tolist()
    assert all((count > 0) == (row % 4 == 0) for row, count in enumerate(given))
    sampled = 0
    for row, example in enumerate(inputs):
        expert = mixed.experts.response(example["interlace_example"], 0)
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()].tolist()
        completion = output["completion_ids"][row][output["completion_mask"][row].bool()].tolist()
        assert prompt == list(expert.context)
        assert tuple(completion[: given[row]]) == expert.response[: given[row]]
        sampled += len(completion) - given[row]
    assert mixed.counters["tokens_sampled"] == sampled


@pytest.mark.parametrize("name", ["prefix_rft_like", "luffy"])
def test_what_was_not_sampled_has_a_ratio_of_one(tmp_path: Path, name: str) -> None:
    """In a second update on the same completions: the old log-probability is the new one there, and kept elsewhere."""
    mixed, seen = hybrid(tmp_path, name, num_iterations=2, max_steps=2), []
    loss_of = mixed._compute_loss

    def watched(model: Any, inputs: dict[str, Any]) -> Any:
        before, loss = inputs["old_per_token_logps"].clone(), loss_of(model, inputs)
        seen.append((before, inputs))
        return loss

    mixed._compute_loss = watched
    mixed.train()
    old, inputs = seen[1]
    mask = inputs["completion_mask"].bool()
    prefix = torch.arange(mask.shape[1]) < inputs["num_given"][:, None]
    given = (prefix | inputs["is_expert"][:, None]) & mask
    assert torch.equal((inputs["old_per_token_logps"] != old) & mask, given) and given.any() and (mask & ~given).any()


def test_an_anchor_is_trls_own_penalty(tmp_path: Path) -> None:
    """Bit for bit an RL stage with beta; at the start the penalty has no gradient, later it has."""
    anchored = hybrid(tmp_path / "a", "kl_anchor", beta=0.5)
    anchored.train()
    plain = trainer("rl", tmp_path / "b", **{**GRPO, "beta": 0.5})
    plain.train()
    free = trainer("rl", tmp_path / "c", **GRPO)
    free.train()
    assert torch.equal(weights_of(anchored), weights_of(plain)) and not torch.equal(weights_of(plain), weights_of(free))
    assert hybrid(tmp_path / "d", "kl_anchor").args.beta == 0.04


def test_imitation_has_moments_of_its_own_where_the_method_says_so(tmp_path: Path) -> None:
    """The first update of imitation is Adam's first: each coordinate with a gradient moves by the learning rate."""
    options = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 4, "adam_epsilon": 1e-12}
    mixed = hybrid(tmp_path, {"name": "relift", "buffer_size": 1}, **options)
    mixed.train()
    kept = [load_file(tmp_path / f"checkpoint-{n}" / FILE) for n in (1, 2)]
    moved = torch.cat([(kept[1][name] - kept[0][name]).abs().flatten() for name in kept[0]])
    assert mixed.counters["expert_examples"] > 0
    assert ((moved == 0) | ((moved - 1e-2).abs() < 1e-4)).all() and (moved > 0).any()
    states = [torch.load(tmp_path / "checkpoint-2" / name, weights_only=True) for name in (MOMENTS, "optimizer.pt")]
    assert states[0]["imitates"]
    steps = {float(each["step"]) for each in states[0]["resting"]["state"].values()}
    assert steps == {1.0} == {float(each["step"]) for each in states[1]["state"].values()}


def test_imitation_leaves_alone_what_rl_moved_most(tmp_path: Path) -> None:
    """One update of RL, then one of imitation: of each parameter the half that moved farther stays to the bit."""
    method = {"name": "mifo_like", "buffer_size": 1, "top_entropy": 1.0}
    options = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 4}
    mixed = hybrid(tmp_path, method, **options)
    mixed.train()
    assert mixed.counters["expert_examples"] > 0
    begin, *ends = start().model.state_dict(), *(load_file(tmp_path / f"checkpoint-{n}" / FILE) for n in (1, 2))
    for name in ends[0]:
        moved, stayed = (ends[0][name] - begin[name]).abs().flatten(), (ends[1][name] == ends[0][name]).flatten()
        half = round(0.5 * len(moved))
        assert stayed[moved > moved.sort(descending=True).values[half - 1]].all()
        assert stayed.sum() >= min(half, int((moved > 0).sum()))
    assert any((ends[1][name] != ends[0][name]).any() for name in ends[0])


def few(count: int) -> Task:
    return replace(task(), train=with_demonstrations(task().train, count, "few"))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_on_few_demonstrations(tmp_path: Path, name: str) -> None:
    """What it imitates of the expert, in a stream or in groups, are the answers to the three prompts that have one."""
    mixed = hybrid(tmp_path, {"name": name, **STATEFUL.get(name, {})}, task=few(3))
    answered = {tuple(mixed.experts.response(place, 0).context) for place in range(3)}
    asked: list[int] = []
    respond = mixed.experts.response
    object.__setattr__(
        mixed.experts, "response", lambda example, step: (asked.append(example), respond(example, step))[1]
    )
    mixed.train()
    assert {item.context for item in mixed.experts.stream(0, 16)} == answered
    assert set(asked) <= {0, 1, 2} and weights_of(mixed).isfinite().all()


@pytest.mark.parametrize("name", ["hpt", "superrl", "luffy", "uft", "prefix_rft_like", "relift"])
def test_groups_that_the_expert_does_not_answer_are_grpos_bit_for_bit(tmp_path: Path, name: str) -> None:
    mixed = hybrid(tmp_path / "a", name)
    mixed.experts = replace(mixed.experts, task=few(0))
    mixed.train()
    plain = trainer("rl", tmp_path / "b", **{**GRPO, **method_options({"name": name})[0].trl})
    plain.train()
    assert torch.equal(weights_of(mixed), weights_of(plain))
    assert mixed.counters["tokens_sampled"] == plain.counters["tokens_sampled"]
    assert not mixed.counters.get("expert_examples") and not mixed.counters.get("imitation_share")


def test_only_answered_groups_hold_the_experts_completion(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path, "luffy", task=few(2))
    inputs = [{**mixed.train_dataset[place]} for place in (0, 5, 1, 6) for _ in range(4)]
    output = mixed._generate_and_score_completions(inputs)
    assert output["is_expert"].view(4, 4).tolist() == [[True, *[False] * 3], [False] * 4] * 2
    sampled = output["completion_mask"][~output["is_expert"]].sum()
    assert mixed.counters["tokens_sampled"] == int(sampled)


@pytest.mark.parametrize("name", ["srft", "uft", "prefix_rft_like", "relift"])
def test_experts_that_answer_prompts_must_be_the_tasks_own(tmp_path: Path, name: str) -> None:
    other = Task.from_rows([{**row, "prompt": f"{row['prompt']}="} for row in rows()], name="other", heldout=8)
    with pytest.raises(DataError, match="must imitate the task whose prompts it samples"):
        hybrid(tmp_path, name, imitate=other)
    assert hybrid(tmp_path, name).experts.task is task()


def test_noise_control_shortens_updates_and_leaves_whole_ones_bit_for_bit(tmp_path: Path) -> None:
    """Nothing is known at the first update, which is a tenth of GRPO's; with `least` 1 each is GRPO's own."""
    begin, plain, whole, short = (torch.cat([p.detach().flatten() for p in start().model.parameters()]),) * 4
    for steps in (1, 3):
        free = trainer("rl", tmp_path / "a", **{**GRPO, "max_steps": steps})
        free.train()
        plain = weights_of(free)
        mixed = hybrid(tmp_path / "b", {"name": "noise_control", "least": 1.0}, max_steps=steps)
        mixed.train()
        whole = weights_of(mixed)
        assert torch.equal(whole, plain) and not torch.equal(plain, begin)
        if steps == 1:
            scaled = hybrid(tmp_path / "c", "noise_control", max_steps=1)
            scaled.train()
            short = weights_of(scaled)
            torch.testing.assert_close(short - begin, 0.1 * (plain - begin), rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{"num_iterations": 2}, {"steps_per_generation": 2}])
def test_noise_control_needs_batches_of_their_own(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(options))} of stage 's' must leave each update a batch"):
        hybrid(tmp_path, "noise_control", **options)
