"""The hybrid trainer: each side alone is TRL's own bit for bit, and the mix is the same however a batch is split."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from interlace.errors import DataError, RecipeError
from interlace.methods import METHODS, build_method
from interlace.policies import encode_responses, response_logprobs
from interlace.stages.expert_rows import imitation_batch
from interlace.stages.hybrid import _refuse_processes, _refuse_shared_engine
from interlace.tasks import Task
from tests.stages.worlds import GRPO, rows, start, starts_with_its_digit, task, trainer, weights_of

SFT = {"per_device_train_batch_size": 16, "max_steps": 3, "learning_rate": 1e-2, "lr_scheduler_type": "constant"}


def hybrid(folder: Path, method: Any, **options: Any) -> Any:
    return trainer("hybrid", folder, method=method, **{**GRPO, **options})


def trained(trainer: Any) -> Any:
    """After its steps: a trainer seeds torch when it is made, so it trains before another one is."""
    trainer.train()
    return trainer


def test_without_imitation_an_update_is_that_of_grpo_bit_for_bit(tmp_path: Path) -> None:
    mixed = trained(hybrid(tmp_path / "a", {"name": "joint", "mu": 0.0}))
    plain = trained(trainer("rl", tmp_path / "b", **GRPO))
    assert not torch.equal(weights_of(plain), torch.cat([p.flatten() for p in start().model.parameters()]))
    assert torch.equal(weights_of(mixed), weights_of(plain))


def test_without_rl_an_update_is_that_of_sft_bit_for_bit_and_nothing_is_sampled(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path / "a", {"name": "joint", "mu": 1.0})
    stream = [response for step in range(3) for response in mixed.experts.stream(step, 16)]
    decode = mixed.experts.tokenizer.decode
    data = [
        {"prompt": decode(item.context), "completion": decode(item.response, skip_special_tokens=True)}
        for item in stream
    ]
    plain = SFTTrainer(
        start().model,
        args=SFTConfig(
            str(tmp_path / "b"), use_cpu=True, bf16=False, report_to="none", train_sampling_strategy="sequential",
            gradient_checkpointing=False, save_strategy="no", **SFT,
        ),
        train_dataset=Dataset.from_list(data),
        processing_class=mixed.experts.tokenizer,
    )  # fmt: skip
    mixed.train()
    plain.train()
    assert torch.equal(weights_of(mixed), weights_of(plain))
    assert "tokens_sampled" not in mixed.counters and mixed.counters["expert_examples"] == 48
    assert mixed.state.num_input_tokens_seen == sum(item.num_tokens for item in stream)


SPLIT = [
    "joint", "data_mixing", "chord_phi", {"name": "hpt", "gate": 0.5}, "luffy", "srft", "prefix_rft_like", "replay",
    {"name": "uft", "low": 0.6, "up": 0.6, "coef": 0.5}, "frontier", "pcgrad",
]  # fmt: skip


@pytest.mark.parametrize("method", SPLIT)
def test_an_update_does_not_depend_on_how_its_batch_is_split(tmp_path: Path, method: Any) -> None:
    """One micro-batch of 16 against four of 4: the loss is over the global batch, answers being of unequal length. No
    norm is clipped, or a common factor would go unseen."""
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}
    split = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    begin = torch.cat([p.detach().flatten() for p in start().model.parameters()])
    whole = trained(hybrid(tmp_path / "a", method, **options))
    parts = trained(hybrid(tmp_path / "b", method, **options, **split))
    moved = weights_of(whole) - begin
    torch.testing.assert_close(weights_of(parts) - begin, moved, rtol=0, atol=1e-5 * float(moved.norm()))
    assert moved.norm() > 1e-3
    assert parts.counters.get("expert_examples") == whole.counters.get("expert_examples")


def listening(mixed: Any) -> list[int]:
    """The steps at which the expert's stream is asked, as they come."""
    stream, steps = mixed.experts.stream, []

    def asked(step: int, count: int) -> Any:
        steps.append(step)
        return stream(step, count)

    object.__setattr__(mixed.experts, "stream", asked)
    return steps


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize(
    ("method", "steps"), [("joint", [0, 1, 2]), ("interleaved", [0, 2]), ({"name": "replay", "of": "solved"}, [1])]
)
def test_experts_are_asked_once_an_update(tmp_path: Path, method: Any, steps: list[int], parts: int) -> None:
    """However many micro-batches it has; all is, bit for bit, as where each of them and the ledger ask anew."""
    split = {"per_device_train_batch_size": 16 // parts, "gradient_accumulation_steps": parts}
    once = hybrid(tmp_path / "a", method, **split)
    asked = listening(once)
    trained(once)
    anew = hybrid(tmp_path / "b", method, **split)
    asked_anew = listening(anew)
    anew._imitated_rows = lambda: anew.method.imitated(anew.state.global_step, anew.experts.stream)
    trained(anew)
    assert asked == steps and asked_anew == sorted(steps * (parts + 1))
    assert torch.equal(weights_of(once), weights_of(anew)) and once.counters == anew.counters
    assert once.state.num_input_tokens_seen == anew.state.num_input_tokens_seen


def test_experts_are_asked_anew_where_training_begins_again(tmp_path: Path) -> None:
    """At the same step: what is kept of groups may be another by then. Both updates are counted."""
    mixed = hybrid(tmp_path, "joint", max_steps=1)
    asked = listening(mixed)
    trained(trained(mixed))
    assert asked == [0, 0] and mixed.counters["expert_examples"] == 2 * 16


def test_the_mixed_gradient_is_the_weighted_sum_of_both_sides(tmp_path: Path) -> None:
    """By SGD at rate 1 the change of the weights is the gradient: mu of one and 1 - mu of the other."""
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}
    begin = torch.cat([p.detach().flatten() for p in start().model.parameters()])
    steps = {}
    for mu in (0.0, 0.3, 1.0):
        steps[mu] = weights_of(trained(hybrid(tmp_path / str(mu), {"name": "joint", "mu": mu}, **options))) - begin
    torch.testing.assert_close(steps[0.3], 0.7 * steps[0.0] + 0.3 * steps[1.0], rtol=0, atol=1e-5)
    assert steps[1.0].norm() > 0 and steps[0.0].norm() > 0


def test_the_imitation_loss_is_the_token_mean_that_scoring_finds(tmp_path: Path) -> None:
    """Against the fast path that measures, over answers of unequal length, split into three parts."""
    mixed = hybrid(tmp_path, "joint")
    policy = start()
    imitated = mixed._imitated_rows()
    pairs = [(example.prompt, example.responses[0].text) for example in task().train]
    encoded = {item: item for item in encode_responses(policy.tokenizer, pairs, policy.context_tokens)}
    logprobs = response_logprobs(policy, [encoded[row.response] for row in imitated])
    expected = -sum(float(each.sum()) for each in logprobs) / sum(len(each) for each in logprobs)
    device = torch.device("cpu")
    parts = [imitation_batch(imitated, part, 3, policy.pad_id, device) for part in range(3)]
    found = sum(float(mixed._imitation_loss(mixed.model, part).detach()) for part in parts if part is not None)
    assert found == pytest.approx(expected, abs=1e-5)
    assert len({part.ids.shape[0] for part in parts if part is not None}) == 1


def test_gradients_apart_are_those_of_each_side(tmp_path: Path) -> None:
    """What a combining method is handed, over two micro-batches, adds up to the gradient of the sum of both losses."""
    options = {"max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}
    split = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    begin = torch.cat([p.detach().flatten() for p in start().model.parameters()])
    summed = trained(hybrid(tmp_path / "a", {"name": "ptx", "gamma": 0.4}, **options, **split))
    apart = hybrid(tmp_path / "b", {"name": "pcgrad", "gamma": 0.4}, **options, **split)
    seen: list[Any] = []

    def plain_sum(rl: Any, sft: Any, metric: Any) -> Any:
        seen.extend((rl, sft))
        return {name: rl[name] + sft[name] for name in rl}

    apart.method.combine = plain_sum
    trained(apart)
    torch.testing.assert_close(weights_of(apart), weights_of(summed), rtol=0, atol=1e-6)
    assert all(sum(float(each.norm()) for each in side.values()) > 0 for side in seen)
    assert not torch.equal(weights_of(apart), begin)


def test_coupling_at_an_update_is_what_finite_steps_along_either_gradient_do(tmp_path: Path) -> None:
    """The SFT loss of the very rows of the update, after small steps up and down the RL gradient in Adam's metric."""
    mixed = hybrid(tmp_path, {"name": "pcgrad", "gamma": 0.4}, max_steps=4, max_grad_norm=1e9, logging_steps=1)
    seen: dict[str, Any] = {}

    def remember(rl: Any, sft: Any, metric: Any) -> Any:
        if mixed.state.global_step == 3:
            seen.update(rl=dict(rl), metric=dict(metric), rows=mixed._imitated_rows())
            seen["weights"] = {name: weight.detach().clone() for name, weight in mixed.model.named_parameters()}
        return {name: rl[name] + sft[name] for name in rl}

    mixed.method.combine = remember
    trained(mixed)
    logged = next(each for each in mixed.state.log_history if each["step"] == 4 and "coupling/cosine" in each)
    assert max(float(each.max()) for each in seen["metric"].values()) > 2.0  # Adam's, no longer plain
    batch = imitation_batch(seen["rows"], 0, 1, mixed._tokenizer.pad_token_id, torch.device("cpu"))
    assert batch is not None
    mixed.model.double().eval()
    step = {name: (seen["rl"][name] * seen["metric"][name]).double() for name in seen["rl"]}
    gained = sum(float((seen["rl"][name].double() * each).sum()) for name, each in step.items())
    size, losses = 1e-3 / max(float(each.abs().max()) for each in step.values()), []
    for sign in (1.0, -1.0):
        state = {name: each.double() - sign * size * step[name] for name, each in seen["weights"].items()}
        mixed.model.load_state_dict(state, strict=False)
        with torch.no_grad():
            losses.append(float(mixed._imitation_loss(mixed.model, batch)))
    found = (losses[0] - losses[1]) / (2.0 * size * gained)
    assert logged["coupling/sft_loss_by_rl"] == pytest.approx(found, rel=1e-2) and abs(found) > 1e-4
    assert -1.0 <= logged["coupling/cosine"] <= 1.0


def test_a_resumed_stage_imitates_what_an_unbroken_one_does(tmp_path: Path) -> None:
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    unbroken = hybrid(tmp_path / "a", "joint", **options)
    unbroken.train()
    again = hybrid(tmp_path / "a", "joint", **options)
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    assert torch.equal(weights_of(again), weights_of(unbroken))


def test_rows_come_in_passes_over_the_data(tmp_path: Path) -> None:
    experts = hybrid(tmp_path, "joint").experts
    seen = [item for step in range(8) for item in experts.stream(step, 8)]
    assert len(set(seen[:32])) == 32 == len(task().train)
    assert set(seen[:32]) == set(seen[32:64]) and seen[:32] != seen[32:64]


def test_luffy_puts_the_expert_into_each_group_and_samples_the_others(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path, "luffy", max_steps=1)
    inputs = [{**mixed.train_dataset[row // 4]} for row in range(16)]
    output = mixed._generate_and_score_completions(inputs)
    assert output["is_expert"].tolist() == [True, False, False, False] * 4
    for row in range(0, 16, 4):
        own = output["completion_ids"][row][output["completion_mask"][row].bool()].tolist()
        text = mixed.experts.tokenizer.decode(own, skip_special_tokens=True)
        prompt = inputs[row]["prompt"]
        assert text == str(int(prompt[:-1]) * 7) and own[-1] == mixed.experts.tokenizer.eos_token_id
    sampled = output["completion_mask"].sum(-1).view(4, 4)[:, 1:].sum()
    assert mixed.counters["tokens_sampled"] == int(sampled)


def test_hpt_takes_advantages_from_prompts_that_fail_and_imitates_them(tmp_path: Path) -> None:
    mixed = hybrid(tmp_path, {"name": "hpt", "gate": 0.4}, max_steps=1)
    inputs = [{**mixed.train_dataset[row // 4]} for row in range(16)]
    output = mixed._generate_and_score_completions(inputs)
    passed = mixed._scored.view(4, 4).mean(1)
    failed = (passed <= 0.4).tolist()
    assert 0 < sum(failed) < 4
    sizes = output["advantages"].view(4, 4).abs().sum(1).tolist()
    assert all(size == 0 for size, bad in zip(sizes, failed, strict=True) if bad) and max(sizes) > 0
    assert len(mixed.regrouped.imitated) == sum(failed) and mixed.regrouped.sft == 1.0
    mixed.method = build_method({"name": "hpt", "gate": 0.4, "weight": "share"}, mixed.method.plan)
    mixed._generate_and_score_completions(inputs)
    assert mixed.regrouped.sft == len(mixed.regrouped.imitated) / 4


def test_the_ledger_counts_what_is_trained_on(tmp_path: Path) -> None:
    """frontier samples and trains on expert responses alone; a KL term has a reference score what was sampled."""
    apart = hybrid(tmp_path / "a", "frontier")
    imitated: list[int] = []
    regroup = apart.method.regroup

    def counting(groups: Any) -> Any:
        found = regroup(groups)
        imitated.append(sum(item.response.num_tokens for item in found.imitated))
        return found

    apart.method.regroup = counting
    trained(apart)
    assert len(imitated) == 3 and apart.state.num_input_tokens_seen == sum(imitated)
    assert apart.counters["tokens_sampled"] > 0 and apart.counters["imitation_share"] == 3.0
    anchored = trained(hybrid(tmp_path / "b", "kl_anchor"))
    assert anchored.counters["tokens_scored"] == anchored.state.num_input_tokens_seen
    assert anchored.counters["imitation_share"] == 0.0


def test_prompts_that_are_read_to_sample_are_counted_by_each_completion(tmp_path: Path) -> None:
    """Three updates of 16 rows; every prompt is a number and =, two or three tokens; frontier reads them too."""
    plain = hybrid(tmp_path / "a", {"name": "joint", "mu": 0.0})
    read: list[int] = []
    generate = plain._generate_single_turn

    def reading(prompt_ids: Any, *others: Any) -> Any:
        read.append(sum(len(plain._tokenizer.encode(text)) for text in map(plain._tokenizer.decode, prompt_ids)))
        return generate(prompt_ids, *others)

    plain._generate_single_turn = reading
    trained(plain)
    assert len(read) == 3 and plain.counters["tokens_prefilled"] == sum(read) >= 3 * 16 * 2
    assert trained(hybrid(tmp_path / "b", "frontier")).counters["tokens_prefilled"] == sum(read)
    assert "tokens_prefilled" not in trained(hybrid(tmp_path / "c", {"name": "joint", "mu": 1.0})).counters


@pytest.mark.parametrize(
    ("method", "share"),
    [
        ({"name": "joint", "mu": 0.3}, 0.3),
        ({"name": "ptx", "gamma": 3.0}, 0.75),
        ({"name": "noise_aware", "begin": 0.2, "largest_change": 1e-9}, 0.2),
        ({"name": "mgda"}, None),
        ({"name": "data_mixing"}, None),
    ],
)
def test_the_share_of_imitation_is_that_of_the_update(
    method: dict[str, Any], share: float | None, tmp_path: Path
) -> None:
    """Of gradients combined by what became of them, of pooled tokens by their numbers, both read off beside."""
    mixed = hybrid(tmp_path, method)
    expected: list[float] = []
    if method["name"] == "mgda":
        shares = mixed.method.shares

        def told(gram: Any) -> tuple[float, float]:
            a, b = shares(gram)
            expected.append(b / (a + b))
            return a, b

        mixed.method.shares = told
    if method["name"] == "data_mixing":
        compute = mixed._compute_loss

        def computed(model: Any, inputs: dict[str, Any]) -> Any:
            imitated, sampled = inputs["imitated"].mask.sum().item(), inputs["completion_mask"].sum().item()
            expected.append(imitated / (imitated + sampled))
            return compute(model, inputs)

        mixed._compute_loss = computed
    trained(mixed)
    assert mixed.counters["imitation_share"] == pytest.approx(sum(expected) if share is None else 3 * share)
    assert share is not None or len(expected) == 3


@pytest.mark.parametrize("name", ["luffy", "srft", "prefix_rft_like", "uft"])
def test_experts_inside_groups_have_no_share_of_imitation(name: str, tmp_path: Path) -> None:
    assert "imitation_share" not in trained(hybrid(tmp_path, name)).counters


@pytest.mark.parametrize("name", ["relift", "mifo_like", "hpt", "luffy"])
def test_a_batch_that_a_method_does_not_draw_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"method {name} imitates what"):
        hybrid(tmp_path, {"name": name, "expert_batch_size": 32})


def test_another_task_can_be_imitated_but_not_inside_groups(tmp_path: Path) -> None:
    other = Task.from_rows([{**row, "prompt": f"{row['prompt']}="} for row in rows()], name="other", heldout=8)
    mixed = hybrid(tmp_path, "joint", imitate=other)
    texts = [mixed.experts.tokenizer.decode(item.context) for item in mixed.experts.stream(0, 16)]
    assert all(text.endswith("==") for text in texts)
    tiny = Task.from_rows([{"prompt": f"{n}==", "completion": "0"} for n in range(3)], name="tiny", heldout=2)
    mixed = trained(hybrid(tmp_path / "tiny", "joint", imitate=tiny, max_steps=1))
    assert weights_of(mixed).isfinite().all() and mixed.counters["expert_examples"] == 16
    with pytest.raises(DataError, match="must imitate the task whose prompts it samples"):
        hybrid(tmp_path, "luffy", imitate=other)


def test_what_is_not_a_token_mean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="must be dapo"):
        hybrid(tmp_path, "joint", loss_type="grpo")
    with pytest.raises(RecipeError, match="expert_batch_size of stage 's' must be at least 4"):
        hybrid(tmp_path, {"name": "joint", "expert_batch_size": 3}, gradient_accumulation_steps=4)


def test_what_one_process_or_one_engine_cannot_share_is_refused() -> None:
    """A config as TRL would hand it over; neither vLLM nor a second process is there to ask."""
    served = SimpleNamespace(use_vllm=True)
    for name in ("luffy", "uft", "prefix_rft_like"):
        with pytest.raises(RecipeError, match=f"use_vllm of stage 's' must be off: method {name}"):
            _refuse_shared_engine("s", METHODS[name], served)
    _refuse_shared_engine("s", METHODS["joint"], served)
    several = SimpleNamespace(world_size=2)
    for name in ("pcgrad", "noise_aware", "bridge_like", "soft_projected"):
        with pytest.raises(RecipeError, match=f"with method {name} must be trained by one process"):
            _refuse_processes("s", METHODS[name], several)
    for name in ("hpt", "mifo_like"):
        _refuse_processes("s", METHODS[name], several)


def test_a_task_without_expert_is_refused(tmp_path: Path) -> None:
    bare = Task.from_rows([{"prompt": row["prompt"]} for row in rows()], starts_with_its_digit, name="bare", heldout=8)
    with pytest.raises(DataError, match="'bare' must have expert responses for method joint"):
        hybrid(tmp_path, "joint", imitate=bare)
