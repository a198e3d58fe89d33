# ruff: noqa: RUF001 -- mathematical signs

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlace.theory import distributional, frontier
from interlace.theory.finite import expected_reward, sft_loss
from interlace.theory.laws import LAWS
from interlace.theory.laws.defaults import known_inputs
from interlace.theory.laws.meanings import BESIDE, MEANINGS, UNBOUNDED, first_sentence
from interlace.theory.laws.meanings.words import rl_time_text, said, share
from interlace.theory.laws.reading import read_law

from .problems import make_policy, one_prompt, problems
from .readings import SMALL, binary, read

PERFECT = binary([0.2, 0.7], 1.0)
ABOVE = binary([0.9, 0.8], 0.75)
AT_PARITY = binary([0.75, 0.75], 0.75)
FLAT = one_prompt([0.4, 0.6], [0.5, 0.5], [1.0, 1.0])
UNCOVERED = binary([0.0, 0.5], 0.75)
OF_PROBLEMS = [label for label, law in LAWS.items() if "problem" in known_inputs(law) and label != "D10"]
"""D10 searches: a second a problem where types are checked."""


def meaning(label, problem=SMALL, **more):
    return read(label, problem, **more).meaning


def test_every_law_has_a_meaning():
    assert set(MEANINGS) == set(LAWS)


def test_sentences_beside_are_about_further_functions():
    assert set(BESIDE) <= {function.__name__ for law in LAWS.values() for function in law.also}


def test_docstrings_stand_in_without_their_label():
    assert first_sentence(distributional.parity_rl_time).startswith("the RL time at which SFT loss is least:")
    assert first_sentence(frontier.front).endswith("(0, inf) is the whole front.")


# How numbers read


def test_numbers_have_as_many_digits_as_one_needs():
    assert [said(x) for x in (0.12345, 12.345, 123456.0, 1e9, 1e-5, 0.0, -2.5)] == [
        "0.123", "12.3", "123,456", "1 × 10⁹", "1 × 10⁻⁵", "0", "−2.5"]  # fmt: skip
    assert [said(x, signed=True) for x in (0.5, -0.5, 3e-8)] == ["+0.5", "−0.5", "+3 × 10⁻⁸"]
    assert (said(math.nan), said(-math.inf), share(0.5)) == ("not a number", "−∞", "50 %")
    assert said(0.9996) == "1" and said(9.996e-5) == "0.0001"
    assert rl_time_text(0.5) == "RL time 0.5 (KL coefficient 2 at its optimum)"


# A5, as the sentence that everybody reads


def test_the_threshold_names_the_three_times():
    threshold, parity = distributional.non_decoupling_threshold(SMALL), distributional.parity_rl_time(SMALL)
    assert meaning("A5") == (
        f"RL may run up to RL time {said(threshold)} (KL coefficient {said(1 / threshold)} at its optimum) before SFT "
        f"loss is above where it began; it is least at {said(parity)} (reward parity, A4). Beyond {said(parity)} every "
        "further reward costs SFT loss. For a real run one condition must be measured first."
    )


def test_a_perfect_expert_has_words_of_its_own():
    limit = said(distributional.perfect_expert_limit(PERFECT))
    for label in ("A1", "A4", "A5", "A6"):
        assert f"in all by {limit} nats/response" in meaning(label, PERFECT)
        assert "off-path effects (D1, D3) may still raise it" in meaning(label, PERFECT)


def test_a_reference_above_the_expert_has_no_threshold():
    assert "from the first step on, because the reference earns 0.85, the expert 0.75" in meaning("A5", ABOVE)
    assert "has done so from the first step" in meaning("A4", ABOVE)
    assert "every RL raises SFT loss, slowly at first" in meaning("A3", AT_PARITY)


def test_a_flat_reward_moves_nothing():
    for label in ("A1", "A3", "A4", "A5", "A6"):
        assert meaning(label, FLAT, anchor=None).startswith("The reward is the same for every response")


def test_an_infinite_start_is_said_before_anything_else():
    for label in ("A1", "A3", "A4", "A5", "A6", "C7"):
        assert meaning(label, UNCOVERED) == UNBOUNDED
    for label in ("D1", "D2", "D3"):
        assert meaning(label, UNCOVERED).startswith("The policy cannot give some response of the expert")


def test_reward_parity_is_said_where_it_is():
    parity = distributional.parity_rl_time(SMALL)
    assert "SFT loss is at its least here" in meaning("A4", rl_time=parity)
    assert meaning("D2", AT_PARITY, rl_time=None).startswith("At reward parity reward is free")
    assert "leaves SFT loss where it is" in meaning("D1", AT_PARITY, rl_time=None)


# Conditions in the sentence


def test_a_failed_condition_is_said():
    assert "But the law does not apply as it stands" in meaning("A2") and "π_ref = p_D" in meaning("A2")
    assert "does not apply" not in meaning("A2", AT_PARITY)


def test_open_conditions_are_counted():
    assert meaning("A1").endswith("For a real run one condition must be measured first.")
    assert meaning("B5").endswith("For a real run 3 conditions must be measured first.")
    assert "real run" not in meaning("A9")


# Special values, label by label


@pytest.mark.parametrize(
    ("label", "inputs", "words"),
    [
        ("A1", {"rl_time": 0.0}, "At RL time 0 nothing has moved. SFT loss is least at RL time 1.68"),
        ("A1", {"rl_time": math.inf}, "SFT loss grows without bound"),
        ("A1", {"rl_time": 5.0}, "0.282 nats/response above where it began"),
        ("A2", {"rl_time": 0.0}, "nothing has moved"),
        ("A2", {"problem": PERFECT}, "does not tell the expert's own responses apart"),
        ("A3", {"problem": ABOVE}, "by more than 0.1 nats/response"),
        ("A3", {}, "allows a fall of up to 0.3 nats/response and settles nothing"),
        ("A6", {"exchange_rate": 0.0}, "worth nothing at exchange rate 0"),
        ("A6", {"problem": ABOVE, "exchange_rate": 50.0}, "run no RL"),
        ("A7", {"rl_time": 2.0}, "nothing of its objective is lost"),
        ("A7", {"problem": one_prompt([1.0, 0.0], [1.0, 0.0], [1.0, 0.0]), "policy": [0.5, 0.5], "anchor": None},
         "responses that the reference cannot"),
        ("A8", {"problem": AT_PARITY}, "Start and expert earn the same 0.75"),
        ("A8", {"problem": ABOVE}, "To lose at most 0.05, stop at SFT time 0.693."),
        ("A8", {"problem": ABOVE, "allowed_drop": 0.5}, "A loss of 0.5 allows SFT of any length."),
        ("A8", {"problem": ABOVE, "allowed_drop": None}, "Give allowed_drop=VALUE"),
        ("A8", {}, "raises reward from 0.45 to 0.601"),
        ("A10", {}, "on the RL path, at RL time 1"),
        ("A10", {"policy": [[0.5, 0.5], [0.5, 0.5]]}, "having left the RL path"),
        ("A10", {"policy": [[1.0, 0.0], [1.0, 0.0]]}, "no split of that says more"),
        ("A11", {"policy": [[1.0, 0.0], [1.0, 0.0]]}, "no split of that says more"),
        ("A11", {"problem": PERFECT}, "The expert is always right"),
        ("B1", {"gap": 0.0}, "Nothing is left to gain"),
        ("B1", {"time": None, "num_steps": 3, "smoothness": 1.0}, "After 3 gradient steps at most"),
        ("B2", {"inner_product": -0.5}, "certain to lower"),
        ("B2", {"inner_product": 0.5}, "certain to raise"),
        ("B2", {"inner_product": 0.0}, "its sign is not certain"),
        ("B3", {"alignment": -0.1}, "does not point down"),
        ("B3", {"gradient_norm": None}, "Give gradient_norm=VALUE"),
        ("B3", {"smoothness": 100.0}, "neither sign is certain"),
        ("B3", {"alignment": 0.01, "curvature": 2.0}, "certain to RAISE it"),
        ("B3", {"pl_constant": None}, "This update is certain to lower SFT loss. That this update raises SFT loss"),
        ("B4", {"pl_constant": 3.0}, "The bounds cross"),
        ("B5", {"gap": 0.0}, "no reward left to gain"),
        ("B5", {"alignment": -1.0, "gradient_norm": 9.0}, "run no RL"),
        ("B5", {"curvature": -1.0}, "to the end of the path"),
        ("B5", {"curvature": 0.5, "alignment": 1.0}, "below its start throughout"),
        ("B5", {"alignment": -0.1}, "least before RL starts"),
        ("B6", {"gap": 0.0}, "already at its least"),
        ("B6", {"alignment": -1.0, "gradient_norm": 9.0}, "run no SFT"),
        ("B6", {"curvature": -1.0}, "to the end of the path"),
        ("B7", {"outside_sft": 0.9}, "The bound is 1 and says nothing"),
        ("B7", {"dimension": 1000, "rank_sft": 5, "rank_rl": 5}, "Random subspaces of these ranks"),
        ("C7", {"problem": FLAT, "anchor": None}, "rewards stopped varying"),
        ("D2", {"problem": FLAT, "rl_time": None, "anchor": None}, "RL can move neither objective"),
        ("D2", {}, "RL and SFT help each other"),
        ("D2", {"problem": ABOVE}, "Between these two prices"),
        ("D2", {"problem": ABOVE, "rl_time": None, "policy": frontier.joint_optimum(ABOVE, 1.0)}, "on the front (D9)"),
        ("D4", {"problem": binary([0.0, 1.0], [0.0, 1.0]), "anchor": None}, "always or never solved"),
        ("D5", {"rewards": [[1.0, 1.0], [0.0, 0.0]]}, "nothing tells how far"),
        ("D5", {"log_ratios": [[0.0, 2.0], [1.0, 3.0]]}, "exactly on the RL path"),
        ("D6", {"problem": UNCOVERED}, "SFT loss is infinite"),
        ("D6", {"anchor": [[0.99, 0.01], [0.999, 0.001]]}, "costs SFT loss even where the reward is constant"),
        ("D7", {"kl_coefficient": 0.0}, "never saturates"),
        ("D7", {"time": math.inf}, "RL time 2 = 1/β"),
        ("D7", {"time": None, "num_steps": 10}, "of 2 at which the KL term stops it"),
        ("D7", {"time": None, "num_steps": 10, "step_size": 5.0}, "never settle"),
        ("D7", {"time": None, "num_steps": 10, "kl_coefficient": 0.0}, "nothing stops it"),
        ("D8", {}, "run SFT to its end: the policy earns 0.116 less than the expert"),
        ("D8", {"problem": ABOVE, "exchange_rate": 0.01}, "run no SFT"),
        ("D8", {"problem": ABOVE}, "stop SFT at weight 0.172 of the expert"),
        ("D8", {"exchange_rate": None, "divergence": 0.1}, "the worst walks RL back to RL time"),
        ("D9", {"problem": PERFECT}, "the expert is that policy"),
        ("D10", {"problem": binary([0.5], 0.75), "order": "rl_sft", "anchor": None}, "RL, then SFT"),
        ("D11", {"rl_time": 0.0}, "More and shorter cycles"),
        ("D12", {"cosine": 0.2}, "do not conflict"),
        ("D12", {"cosine": -1.0}, "Pareto stationary"),
        ("D13", {"reward": 0.5}, "no more than the expert's 0.75"),
        ("D13", {"reward": 1.0}, "cannot be had without giving up responses of the expert"),
        ("D13", {"reward": 0.99}, "so much reward certainly costs SFT loss"),
        ("D13", {"reward": 0.8}, "need not cost any"),
        ("D14", {"problem": FLAT, "anchor": None}, "reward is flat on every prompt"),
        ("D14", {"problem": UNCOVERED}, "cannot find it"),
        ("D15", {"gradient_reward": [0.0, 0.0]}, "The reward's gradient is 0"),
        ("D15", {"gradient_reward": [0.0, 1.0]}, "orthogonal"),
        ("D15", {"gradient_reward": [-1.0, 1.0]}, "both gain"),
    ],
)  # fmt: skip
def test_special_values_have_words_of_their_own(label, inputs, words):
    problem = inputs.pop("problem", SMALL)
    assert words in meaning(label, problem, **inputs)


# Every problem there is


def plain(text):
    """Whether nothing in the sentence is raw: no Python value, no empty number."""
    return not re.search(r"\bnan\b|\binf\b|None|array|not a number|[{}]|  ", text) and text.endswith(".")


@pytest.mark.parametrize("label", OF_PROBLEMS)
@given(problems(), st.floats(0.0, 30.0), st.floats(1e-3, 100.0))
@settings(max_examples=15)
def test_sentences_are_whole_on_any_problem(label, problem, rl_time, rate):
    uniform = np.full(problem.reference.shape, 1.0 / problem.reference.shape[1])
    law, more = LAWS[label], {"rl_time": rl_time, "exchange_rate": rate, "anchor": uniform}
    if label == "D4" and not np.isin(problem.reward, (0.0, 1.0)).all():
        return
    if label == "A11" and not np.isin(problem.reward[problem.expert > 0.0], (0.0, 1.0)).all():
        return
    if label in ("A10", "A11") and math.isinf(sft_loss(problem, problem.reference)):
        return
    if label == "D13":
        more["reward"] = expected_reward(problem, uniform)
    assert plain(read(label, problem, **more).meaning), law.name


@given(problems(), st.floats(0.01, 20.0))
def test_above_and_below_are_the_sign_of_the_change(problem, rl_time):
    reading = read_law(LAWS["A1"], {"problem": problem, "rl_time": rl_time})
    text = reading.meaning
    if "above where it began" in text:
        assert reading.value > 0.0
    elif "below where it began" in text:
        assert reading.value < 0.0


@given(problems(rewards=("binary", "continuous"), experts=("dense", "reference", "perfect")), st.floats(0.0, 5.0))
def test_the_slope_is_told_by_its_sign(problem, rl_time):
    reading = read_law(LAWS["A4"], {"problem": problem, "rl_time": rl_time})
    if reading.value > 1e-9 and "The reward is the same" not in reading.meaning:
        assert "RL raises SFT loss" in reading.meaning
    if reading.value < -1e-9 and "infinite" not in reading.meaning:
        assert "RL still lowers SFT loss" in reading.meaning


@given(problems(rewards=("binary",), experts=("dense",)), st.integers(0, 2**32 - 1))
def test_D3_says_whether_parity_is_right(problem, seed):
    policy = make_policy(np.random.default_rng(seed), problem)
    reading = read_law(LAWS["D3"], {"problem": problem, "policy": policy})
    gap = expected_reward(problem, policy) - problem.expert_reward
    if "against what reward parity says" in reading.meaning:
        assert reading.value * gap < 0.0
    elif "as reward parity says" in reading.meaning:
        assert reading.value * gap > 0.0


def test_D3_warns_on_the_theory_s_own_counter_example():
    """A policy below parity (0.6 < 0.65) whose SFT loss rises."""
    problem = one_prompt([0.5, 0.1, 0.4], [0.1, 0.55, 0.35], [1.0, 1.0, 0.0])
    text = read_law(LAWS["D3"], {"problem": problem}).meaning
    assert "raises SFT loss, by 0.05 nats/response per unit of its time, against what reward parity says" in text


def test_C7_with_many_resamples_speaks_of_rows():
    figures = {"reward": [[0.4, 0.5], [0.4, 0.6]], "variance": [[0.2, 0.2], [0.2, 0.2]], "expert_reward": [0.5, 0.5]}
    assert read_law(LAWS["C7"], figures).meaning.startswith("Each row is one resample's forecast")
