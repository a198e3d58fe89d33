"""Each probe against its slow obvious twin on a model small enough to enumerate."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interlace.errors import DataError
from interlace.estimate import Estimate
from interlace.policies import EncodedResponse, Policy, load_policy, make_embedded, response_logprobs
from interlace.probes import PROBES, MeasuredTask, Moment, ProbeContext
from interlace.probes.divergence import visited_kl
from interlace.tasks import build_task
from interlace.tasks.base import Task
from tests.policies.test_scoring import naive_logprobs


@pytest.fixture(scope="module")
def task() -> Task:
    return build_task("sums", {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 30}, seed=0)


@pytest.fixture(scope="module")
def policy(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = make_embedded(
        tmp_path_factory.mktemp("policy"), task.alphabet, 5, {"hidden_size": 32, "num_hidden_layers": 1}
    )
    policy = load_policy(str(folder))
    for parameter in policy.model.parameters():
        parameter.data.mul_(4.0 if parameter.dim() > 1 else 1.0)
    return policy


def context(
    policy: Policy, task: Task, start: Policy | None = None, completions: int = 4, **fields: Any
) -> ProbeContext:
    return ProbeContext(policy, start or policy, MeasuredTask.prepare(task, policy), completions, seed=0, **fields)


def value(figure: object) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


def test_sft_loss_is_the_experts_expected_surprise(policy: Policy, task: Task) -> None:
    seen = context(policy, task)
    losses, tokens, right, wrong = [], [], [], []
    for example, prompt in zip(task.heldout, seen.target.prompts, strict=True):
        for response in example.responses:
            ids = (*policy.tokenizer(text=response.text)["input_ids"], policy.eos_id)
            loss = -naive_logprobs(policy, EncodedResponse(prompt, ids, len(ids))).sum()
            losses.append(response.probability * loss)
            tokens.append(response.probability * len(ids))
            (right if response.reward == 1.0 else wrong).append((response.probability, loss))
    figures = PROBES["sft_loss"].measure(seen).figures
    assert value(figures["sft_loss"]) == pytest.approx(sum(losses) / len(task.heldout), abs=1e-4)
    assert value(figures["sft_loss_per_token"]) == pytest.approx(sum(losses) / sum(tokens), abs=1e-4)
    for name, side in (("sft_loss_right", right), ("sft_loss_wrong", wrong)):
        probability, loss = np.array(side).T
        assert value(figures[name]) == pytest.approx(np.average(loss, weights=probability), abs=1e-4)


def test_enumerated_reward_is_what_sampling_finds(policy: Policy, task: Task) -> None:
    """On a policy pushed towards the right answers, so that the reward is not 0."""
    trained = with_bias(policy, task)
    seen = context(trained, task, completions=400)
    exact = PROBES["reward"].measure(seen).figures["reward"]
    sampled = replace(seen, target=replace(seen.target, rewarded=None)).sampled_rewards.mean(axis=1)
    error = sampled.std(ddof=1) / np.sqrt(len(sampled))
    assert value(exact) > 0.02
    assert abs(value(exact) - sampled.mean()) < 4 * max(error, 1e-3)


def with_bias(policy: Policy, task: Task) -> Policy:
    """A few plain gradient steps on the right answers."""
    trained = policy.with_model(copy.deepcopy(policy.model))
    target = MeasuredTask.prepare(task, trained)
    optimizer = torch.optim.Adam(trained.model.parameters(), lr=3e-3)
    items = [item for item in target.responses if len(item.response) == 3]
    ids = torch.tensor([[*item.context, *item.response] for item in items])
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(
            trained.model(input_ids=ids).logits[:, -4:-1].flatten(0, 1), ids[:, -3:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return trained


def test_kl_is_what_enumeration_gives(policy: Policy, task: Task) -> None:
    """Completions of one token: the Rao-Blackwellised estimate is the exact KL, whatever was sampled."""
    other = with_bias(policy, task)
    target = MeasuredTask.prepare(task, policy)
    items = [EncodedResponse(prompt, (5,), 1) for prompt in target.prompts]
    every = range(len(policy.tokenizer))
    for found, prompt in zip(visited_kl(policy, other, items), target.prompts, strict=True):
        options = [EncodedResponse(prompt, (token,), 1) for token in every]
        ours, theirs = (np.concatenate(response_logprobs(each, options)) for each in (policy, other))
        assert found == pytest.approx(np.sum(np.exp(ours) * (ours - theirs)), abs=1e-4)


def test_two_token_kl_averages_to_the_exact_one(policy: Policy, task: Task) -> None:
    other = with_bias(policy, task)
    prompt = MeasuredTask.prepare(task, policy).prompts[0]
    vocabulary = range(len(policy.tokenizer))
    pairs = [EncodedResponse(prompt, pair, 2) for pair in itertools.product(vocabulary, vocabulary)]
    ours, theirs = (np.array([v.sum() for v in response_logprobs(each, pairs)]) for each in (policy, other))
    exact = np.sum(np.exp(ours) * (ours - theirs))
    assert np.sum(np.exp(ours) * visited_kl(policy, other, pairs)) == pytest.approx(exact, abs=1e-4)


def test_a_policy_has_no_distance_from_itself(policy: Policy, task: Task) -> None:
    twin = policy.with_model(copy.deepcopy(policy.model))
    figure = PROBES["divergence"].measure(context(policy, task, start=twin)).figures
    assert value(figure["kl_policy_start_nats_per_response"]) == pytest.approx(0.0, abs=1e-6)


def test_every_probe_keeps_the_contract(policy: Policy, task: Task) -> None:
    """Declared needs exist, figures are registered figures, nothing is left behind in the model."""
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    start = policy.with_model(copy.deepcopy(policy.model))
    micro = tuple(torch.randn(6, generator=torch.Generator().manual_seed(seed)) for seed in range(4))
    previous = {name: 1.01 * weight.detach() for name, weight in policy.model.named_parameters()}
    known: dict[str, Any] = {"moment": Moment(previous, None, micro), "expert": start}
    seen = context(policy, task, start, **known)
    for name, probe in PROBES.items():
        assert probe.name == name and probe.sentence and probe.source
        assert all(hasattr(ProbeContext, need) for need in probe.needs)
        assert probe.applies(seen)
        together, alone = probe.measure(seen), probe.measure(context(policy, task, start, **known))
        assert together.figures == alone.figures
    assert all(torch.equal(weight, before[key]) for key, weight in policy.model.state_dict().items())
    assert all(parameter.grad is None for parameter in policy.model.parameters())


def test_a_task_without_reward_is_still_measured(policy: Policy, tmp_path: Path) -> None:
    rows = [{"prompt": f"{a}+{b}=", "completion": f"{a + b}"} for a in range(10) for b in range(10)]
    seen = context(policy, Task.from_rows(rows, heldout=20))
    assert not PROBES["reward"].applies(seen)
    figures = PROBES["sft_loss"].measure(seen).figures
    assert isinstance(figures["sft_loss"], Estimate) and "sft_loss_right" not in figures


def test_a_limit_that_cuts_every_response_of_the_expert_is_refused_and_one_that_cuts_some_is_said(
    policy: Policy,
) -> None:
    """Answers of one and of two characters, one token each, and end-of-sequence."""
    rows = [{"prompt": f"{n}+0=", "completion": str(n)} for n in range(20)]
    sums = Task.from_rows(rows, heldout=rows[5:15] + rows[:1])
    with pytest.raises(DataError, match="Got 1, and all 11 held-out expert responses are longer .the longest has 3"):
        MeasuredTask.prepare(replace(sums, max_response_tokens=1), policy)
    some = MeasuredTask.prepare(replace(sums, max_response_tokens=2), policy)
    assert some.cut_off is not None and some.cut_off.startswith("5 of 11 held-out expert responses of rows are longer")
    assert MeasuredTask.prepare(replace(sums, max_response_tokens=3), policy).cut_off is None
    short = MeasuredTask.prepare(sums, policy, completion_limit=1)
    assert short.cut_off is not None and "Raise max_completion_length" in short.cut_off
