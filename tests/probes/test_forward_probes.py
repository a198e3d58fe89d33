"""Each forward probe against its naive twin in float64, closed forms where there are some, and what it refuses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.measurement import PromptScores
from interlace.policies import EncodedResponse, Policy, decode_completion, response_logprobs
from interlace.probes import PROBES, ProbeContext
from interlace.probes.chi_square import heavy_tailed_mean, squared_probability
from interlace.probes.entropy import visited_entropy
from interlace.probes.log_partition import LogPartition
from interlace.probes.rl_path import regression
from interlace.tasks import Task, build_task
from interlace.theory.paths import rl_time_from_log_ratios
from tests.probes import naive
from tests.probes.conftest import moved

Looks = Callable[..., ProbeContext]
IN_FLOAT32 = 2e-5
"""Log-probabilities are computed in float32, whatever the weights."""


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def close(found: object, truth: float, tolerance: float = IN_FLOAT32) -> None:
    print(f"relative error {naive.relative_error(value(found), truth):.1e}")
    assert value(found) == pytest.approx(truth, rel=tolerance)


def sampled(task: Task) -> Task:
    """The same task, whose rewarded responses cannot be listed."""
    return replace(task, heldout=tuple(replace(example, rewarded=None) for example in task.heldout))


def lengths(task: Task) -> Task:
    """A task that rewards short answers: a reward that is neither 0 nor 1, and that varies on a weak policy."""

    def reward(completions: list[str], **columns: object) -> list[float]:
        return [len(text) / 3 for text in completions]

    return replace(sampled(task), reward=reward)


def test_pass_at_k_of_enumerated_pass_rates(look: Looks) -> None:
    seen = look()
    figures = PROBES["pass_at_k"].measure(seen).figures
    rates = naive.pass_rates(seen.policy, seen.target)
    for k in (2, 4, 8):
        close(figures[f"pass_at_k/{k}"], float(np.mean([1 - (1 - p) ** k for p in rates])))


def test_pass_at_k_of_groups_is_the_share_of_subsets_with_a_right_one(look: Looks, little_task: Task) -> None:
    seen = look(task=sampled(little_task))
    figures = PROBES["pass_at_k"].measure(seen).figures
    assert set(figures) == {"pass_at_k/2", "pass_at_k/4"}  # of 4 completions
    for k in (2, 4):
        subsets = [any(pick) for row in seen.sampled_rewards == 1.0 for pick in itertools.combinations(row, k)]
        assert value(figures[f"pass_at_k/{k}"]) == pytest.approx(np.mean(subsets), abs=1e-12)
    other = PROBES["pass_at_k"].measure(look(task=lengths(little_task))).figures["pass_at_k/2"]
    assert isinstance(other, Unresolved) and "0 and 1" in other.reason


def generous(task: Task) -> Task:
    """As `sampled`, with a lenient reward of its own: right if the answer's first digit is there."""

    def first_digit(completions: list[str], answer: list[str]) -> list[float]:
        return [float(right[0] in text) for text, right in zip(completions, answer, strict=True)]

    return replace(sampled(task), lenient_reward=first_digit)


def test_the_lenient_reward_reads_the_completions_of_the_reward(look: Looks, little_task: Task) -> None:
    seen = look(task=generous(little_task))
    probe = PROBES["lenient_reward"]
    assert probe.applies(seen)
    reading = probe.measure(seen)
    texts = [[decode_completion(seen.policy, item) for item in group] for group in seen.completions]
    answers = [example.columns["answer"] for example in seen.target.examples]
    naively = [[float(right[0] in text) for text in row] for row, right in zip(texts, answers, strict=True)]
    assert reading.scores["lenient_rewards"].tolist() == naively
    assert reading.scores["strict_rewards"] is seen.sampled_rewards
    assert value(reading.figures["reward_lenient"]) == pytest.approx(np.mean(naively))


def test_of_an_enumerated_reward_only_completions_at_hand_are_read(look: Looks) -> None:
    seen, probe = look(), PROBES["lenient_reward"]
    assert not probe.applies(seen)
    PROBES["divergence"].measure(seen)
    assert probe.applies(seen)
    reading = probe.measure(seen)
    strict, lenient = reading.scores["strict_rewards"], reading.scores["lenient_rewards"]
    assert strict.shape == lenient.shape == (len(seen.completions), 1)
    assert (lenient >= strict).all()
    assert probe.applies(look(at_start=True))
    bare = replace(seen.target.task, lenient_reward=None)
    assert not probe.applies(look(task=bare, at_start=True))


def test_A1_log_partition_at_the_time_that_earns_the_present_reward(look: Looks) -> None:
    seen = look()
    figures = PROBES["log_partition"].measure(seen).figures
    before, now = (naive.pass_rates(each, seen.target) for each in (seen.start, seen.policy))
    rl_time = naive.matched_time(before, float(np.mean(now)))
    close(figures["rl_time_matched_in_reward"], rl_time, 1e-4)
    close(figures["log_partition"], naive.tilted(before, rl_time)[0], 1e-4)


def test_A5_log_partition_at_the_stages_start(look: Looks) -> None:
    seen = look(at_start=True)
    figures = LogPartition(rl_times=(0.5, 3.0)).measure(seen).figures
    rates = naive.pass_rates(seen.policy, seen.target)
    for rl_time in (0.5, 3.0):
        close(figures[f"log_partition/{rl_time:g}"], naive.tilted(rates, rl_time)[0])


def test_what_was_recorded_at_the_start_is_not_measured_again(look: Looks, little: Policy) -> None:
    """The recorded law is taken, whatever policy now stands where the start was."""
    seen = look()
    there = ProbeContext(seen.start, seen.start, seen.target, 4, 0)
    law = PromptScores(**PROBES["reward"].measure(there).scores)
    elsewhere = replace(seen, start=moved(little, seed=9, length=1.0), start_scores=law)
    measured, given = (PROBES["log_partition"].measure(each).figures for each in (seen, elsewhere))
    assert measured == given


def test_C4_a_tilt_that_few_samples_carry_is_refused(look: Looks, little_task: Task) -> None:
    figures = PROBES["log_partition"].measure(look(task=lengths(little_task), at_start=True)).figures
    refused = figures["log_partition/4"]
    assert isinstance(refused, Unresolved) and "effective samples" in refused.reason


@pytest.fixture(scope="module")
def many() -> Task:
    return build_task("sums", {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 80}, seed=0)


def test_D2_chi_square_of_a_known_expert(look: Looks, little: Policy, many: Task) -> None:
    seen = look(task=many)
    close(PROBES["chi_square"].measure(seen).figures["chi_square_expert_policy"], naive.chi_square(little, seen.target))


def test_chi_square_from_rows_is_unbiased(look: Looks, many: Task) -> None:
    """Over all ways to draw 3 rows from the expert of every prompt, the pairs average to p_D squared."""
    truth = look(task=many)
    wanted = squared_probability(truth)
    assert not isinstance(wanted, Unresolved)
    prompt = next(x for x in range(80) if (truth.target.heldout.prompt == x).sum() == 2)
    p = truth.target.heldout.probability[truth.target.heldout.prompt == prompt]
    total = np.zeros(2)
    for rows in itertools.product((0, 1), repeat=3):
        counts = np.bincount(rows, minlength=2)
        total += np.prod(p[list(rows)]) * counts * (counts - 1) / 6
    assert total == pytest.approx(p**2)


def test_one_response_a_prompt_has_no_chi_square(look: Looks) -> None:
    rows = [{"prompt": f"{a}+{b}=", "completion": f"{a + b:02d}"} for a in range(10) for b in range(10)]
    seen = look(task=Task.from_rows(rows, heldout=70))
    figure = PROBES["chi_square"].measure(seen).figures["chi_square_expert_policy"]
    assert isinstance(figure, Unresolved) and "70 of 70 prompts have one expert response" in figure.reason


def test_a_heavy_tail_is_refused() -> None:
    rng = np.random.default_rng(0)
    heavy = heavy_tailed_mean(np.exp(2.0 * rng.normal(size=512)), level=0.95)
    assert isinstance(heavy, Unresolved) and "too heavy for 512 prompts" in heavy.reason
    few = heavy_tailed_mean(np.exp(0.1 * rng.normal(size=10)), level=0.95)
    assert isinstance(few, Unresolved) and "64 prompts" in few.reason
    assert value(heavy_tailed_mean(np.full(100, 3.0), level=0.95)) == 2.0
    missed = heavy_tailed_mean(np.array([np.inf, *np.ones(99)]), level=0.95)
    assert isinstance(missed, Unresolved) and "not finite" in missed.reason


def test_a_tail_that_passes_covers() -> None:
    rng = np.random.default_rng(1)
    draws = np.exp(0.7 * rng.normal(size=(2000, 256)))
    figures = [heavy_tailed_mean(each, level=0.95) for each in draws]
    known = [figure.covers(math.exp(0.245) - 1.0) for figure in figures if isinstance(figure, Estimate)]
    assert len(known) == 2000 and 0.93 < np.mean(known) < 0.97


def test_entropy_and_length_of_completions(look: Looks) -> None:
    seen = look()
    figures = PROBES["entropy"].measure(seen).figures
    items = [item for group in seen.completions for item in group]
    entropies = [naive.entropy(seen.policy, item) for item in items]
    tokens = [len(item.response) for item in items]
    close(figures["entropy"], float(np.mean(entropies)))
    close(figures["entropy_per_token"], sum(entropies) / sum(tokens))
    close(figures["completion_tokens"], float(np.mean(tokens)))
    cut = [item.response[-1] != seen.policy.eos_id for item in items]
    assert value(figures["completion_truncated_fraction"]) == pytest.approx(np.mean(cut))


def test_C5_the_entropy_of_prefixes_averages_to_the_entropy(look: Looks) -> None:
    """Every response of two tokens, weighed by its probability."""
    seen = look()
    tokens = range(len(seen.policy.tokenizer))
    pairs = [EncodedResponse(seen.target.prompts[0], pair, 2) for pair in itertools.product(tokens, tokens)]
    logprobs = np.array([found.sum() for found in response_logprobs(seen.policy, pairs)])
    found = float(np.exp(logprobs) @ visited_entropy(seen.policy, pairs))
    assert found == pytest.approx(-float(np.exp(logprobs) @ logprobs), rel=1e-4)


def test_kl_to_an_expert_policy(look: Looks, little: Policy) -> None:
    expert = moved(little, seed=5, length=0.5)
    seen = look(expert=expert)
    figure = PROBES["expert_divergence"].measure(seen).figures["kl_policy_expert_nats_per_response"]
    items = [item for group in seen.completions for item in group]
    close(figure, float(np.mean([naive.kl(little, expert, item) for item in items])), 1e-3)
    assert not PROBES["expert_divergence"].applies(look())


def test_D5_is_least_squares_with_a_level_for_each_prompt(look: Looks, little_task: Task) -> None:
    seen = look(task=lengths(little_task))
    figures = PROBES["rl_path"].measure(seen).figures
    rewards = seen.sampled_rewards
    ratios = np.array(
        [
            [float((naive.logprob(seen.policy, item) - naive.logprob(seen.start, item)).detach()) for item in group]
            for group in seen.completions
        ]
    )
    levels = np.kron(np.eye(len(rewards)), np.ones((rewards.shape[1], 1)))
    design = np.column_stack([rewards.ravel(), levels])
    slope = np.linalg.lstsq(design, ratios.ravel(), rcond=None)[0][0]
    close(figures["rl_time"], float(slope), 1e-3)
    assert value(figures["on_path_share"]) == pytest.approx(
        rl_time_from_log_ratios(ratios, rewards).on_path_share, rel=1e-3
    )


def test_D5_on_the_path_and_off_it() -> None:
    rng = np.random.default_rng(0)
    rewards = rng.integers(0, 2, size=(40, 8)).astype(float)
    on = regression(2.5 * rewards + rng.normal(size=(40, 1)), rewards, level=0.95)
    assert value(on["rl_time"]) == pytest.approx(2.5) and value(on["on_path_share"]) == pytest.approx(1.0)
    off = regression(rng.normal(size=(40, 8)), rewards, level=0.95)["on_path_share"]
    assert value(off) < 0.05
    flat = regression(rng.normal(size=(40, 8)), np.ones((40, 8)), level=0.95)
    assert all(isinstance(figure, Unresolved) for figure in flat.values())


def test_D5_covers_the_truth() -> None:
    """Slope and share of a known law: ratio = 2 r + noise of variance 3, r of variance 1/4."""
    rng = np.random.default_rng(2)
    covered = np.zeros(2)
    for _ in range(600):
        rewards = rng.integers(0, 2, size=(64, 8)).astype(float)
        noise = rng.normal(size=(64, 8)) * np.sqrt(3.0)
        found = regression(2.0 * rewards + noise, rewards, level=0.95)
        slope, share = found["rl_time"], found["on_path_share"]
        assert isinstance(slope, Estimate) and isinstance(share, Estimate)
        covered += (slope.covers(2.0), share.covers(1.0 / (1.0 + 3.0)))
    assert (covered / 600 > 0.92).all(), covered / 600


def test_a_policy_at_the_start_has_no_path_yet(look: Looks, little: Policy) -> None:
    target = look().target
    assert not PROBES["rl_path"].applies(ProbeContext(little, little, target, 4, 0))
    assert not PROBES["rl_path"].applies(look(at_start=True))


def test_groups_are_sampled_even_where_rewards_are_enumerated(look: Looks) -> None:
    completions, rewards = look().sampled_groups
    assert rewards.shape == (len(completions), 4) and len(completions[0]) == 4
    assert set(np.unique(rewards)) <= {0.0, 1.0}
