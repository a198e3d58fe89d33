from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from interlace.encoding import dumps
from interlace.errors import DataError, RecipeError
from interlace.theory import distributional, frontier, landscape, paths
from interlace.theory.laws import LAWS
from interlace.theory.laws.curves import PICTURES
from interlace.theory.laws.defaults import DEFAULTS, OWN_DEFAULTS, known_inputs
from interlace.theory.laws.inputs import DRAWN, INPUTS, takes
from interlace.theory.laws.reading import find_law, read_law

from .problems import one_prompt
from .readings import FIGURES, SMALL, inputs_for, read

ROOT = Path(__file__).parents[2]


def test_every_input_of_every_law_is_described_and_nothing_else():
    assert {name for law in LAWS.values() for name in takes(law)} == set(INPUTS)
    assert all(each.sentence and not each.sentence.endswith(".") for each in INPUTS.values())


def test_defaults_and_drawn_inputs_speak_of_laws_that_are_there():
    assert set(DEFAULTS) <= set(INPUTS) and set(OWN_DEFAULTS) <= set(LAWS) and set(DRAWN) <= set(PICTURES)
    assert all(name not in takes(LAWS[label]) or label == "A10" for label in DRAWN for name in DRAWN[label])


@pytest.mark.parametrize("label", LAWS)
def test_every_law_is_read(label):
    law, inputs = LAWS[label], inputs_for(label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = read_law(law, inputs)
    assert reading.law is law and reading.value is not None and reading.missing == ()
    assert [condition for condition, _ in reading.conditions] == list(law.conditions)
    assert set(inputs) <= set(reading.inputs) and set(reading.assumed) <= set(reading.inputs)
    assert not set(reading.assumed) & set(inputs)
    assert reading.meaning.endswith(".")


@pytest.mark.parametrize("label", LAWS)
def test_a_reading_goes_through_json(label):
    found = json.loads(dumps(read(label).to_json()))
    assert list(found) == ["law", "statement", "details", "conditions", "inputs", "value", "also", "meaning"]
    assert found["law"] == label and found["statement"] == LAWS[label].statement
    assert all(list(each) == ["condition", "holds"] for each in found["conditions"])


def test_json_has_problems_and_named_tuples_as_objects():
    found = read("A9").to_json()
    assert list(found["inputs"]["problem"]) == ["prompts", "reference", "expert", "reward"]
    assert list(found["value"]) == ["total_variation", "kl"]


def test_the_value_is_what_the_law_s_function_returns():
    assert read("A5").value == distributional.non_decoupling_threshold(SMALL)
    assert read("A6", exchange_rate=0.3).value == distributional.optimal_rl_time(SMALL, 0.3)
    assert read("B2").value == landscape.loss_change_bounds(0.02, 2.0, 0.1)
    assert read("D9").also["regret"] == frontier.regret(SMALL, distributional.tilted_policy(SMALL, 1.0), 0.5)


def test_further_functions_are_evaluated_where_their_inputs_are_there():
    always = {"parity_rl_time", "perfect_expert_limit"}
    assert set(read_law(LAWS["A5"], {"problem": SMALL}).also) == always
    assert set(read_law(LAWS["A5"], {"problem": SMALL, "rl_time": 1.0}).also) == {*always, "free_energy"}
    assert set(read("A10", reward=0.6).also) == {"nearest_rl_time", "matching_rl_time"}


@pytest.mark.parametrize("label", LAWS)
def test_every_further_function_can_be_asked(label):
    """From its own inputs, with or without the law's own value."""
    for function in LAWS[label].also:
        parameters = inspect.signature(function).parameters
        extra = {"times": [1.0, 2.0], "path_model": "natural", "features": np.eye(2)[None].repeat(2, axis=0),
                 "mean_squared_residual": 0.1, "num_steps": 3, "gap_left": 0.1, "smoothness": 2.0, "progress": 0.5,
                 "dimension": 100, "rank_sft": 3, "rank_rl": 4, "loss_first": 1.0, "loss_second": 1.1,
                 "loss_midpoint": 0.9, "diffusion": 0.1, "num_runs": 4, "mean_loss": 1.2, "averaged_loss": 1.0,
                 "momentum": 0.9, "divergence": 0.1, "exchange_rates": [0.5, 1.0], "pass_rate": [0.2, 0.7],
                 "variances": [[0.2, 0.2], [0.2, 0.1]],
                 "expert_entropy": 0.5, "reward_range": 1.0, "expert_reward": 0.7, "reward": 0.8}  # fmt: skip
        given = {"problem": SMALL, **FIGURES, **extra}
        asked = {name: given[name] for name in parameters if name in given}
        own = inspect.signature(LAWS[label].function).parameters
        if set(asked) <= set(own):  # nothing shows that it was meant: the law's own inputs are asked for
            asked = inputs_for(label)
        assert function.__name__ in read_law(LAWS[label], asked).also


# What was not given


def test_the_policy_is_the_path_at_rl_time_or_the_reference():
    at_time = read("A7")
    np.testing.assert_array_equal(at_time.inputs["policy"], distributional.tilted_policy(SMALL, 1.0))
    assert at_time.assumed["policy"] == "the RL path at RL time 1"
    at_start = read("A7", rl_time=None)
    np.testing.assert_array_equal(at_start.inputs["policy"], SMALL.reference)
    assert at_start.assumed["policy"] == "the reference"
    given = read("A7", policy=SMALL.expert)
    np.testing.assert_array_equal(given.inputs["policy"], SMALL.expert)
    assert given.assumed == {}


def test_start_p_and_q_are_reference_and_expert():
    assert read("A8").assumed == {"start": "the reference"}
    assert read("A8", rl_time=2.0).assumed == {"start": "the RL path at RL time 2"}
    reading = read("A9")
    assert reading.assumed == {"p": "the reference", "q": "the expert"}
    assert reading.value == distributional.reward_change_bounds(SMALL, SMALL.reference, SMALL.expert)


def test_other_inputs_that_may_be_left_out():
    assert read("A4", rl_time=None, kl_coefficient=None).value == distributional.sft_loss_slope(SMALL, 0.0)
    assert read("A4", rl_time=None, kl_coefficient=None).assumed == {"rl_time": "0, the start of RL"}
    at_optimum = read("A1", rl_time=None, kl_coefficient=0.5)
    assert at_optimum.value == distributional.sft_loss_increase(SMALL, 2.0)
    assert at_optimum.assumed == {"rl_time": "2, where a KL coefficient of 0.5 has its optimum"}
    assert read("D15").value == paths.linearised_cost(np.array([1.0, 0.0]), np.array([1.0, 2.0]), None)
    assert read("D1", rl_time=None).value == paths.loss_rate(SMALL, SMALL.reference, SMALL.reward)
    assert read("D4").also["group_step_scale"].shape == (2,)


def test_C7_takes_its_checkpoints_from_the_path():
    reading = read("C7")
    assert len(reading.value) == len(reading.inputs["reward"]) == len(reading.inputs["variance"]) == 65
    assert reading.value[-1] == pytest.approx(distributional.sft_loss_increase(SMALL, 1.0), rel=1e-4)
    figures = {"reward": [0.4, 0.5, 0.6], "variance": [0.25, 0.25, 0.25], "expert_reward": 0.5}
    np.testing.assert_allclose(read_law(LAWS["C7"], figures).value, [0.0, -0.02, 0.0], atol=1e-15)


def test_asked_only_for_a_further_function_a_law_has_no_value():
    figures = {"expert_entropy": 0.5, "reward": 0.9, "expert_reward": 0.8, "reward_range": 1.0}
    reading = read_law(LAWS["D13"], figures)
    assert reading.value is None and reading.missing == ("problem",)
    assert reading.also["sft_loss_floor_from_figures"] == pytest.approx(0.52)
    assert "0.52 nats/response" in reading.meaning


# Conditions


@pytest.mark.parametrize(
    ("label", "inputs", "expected"),
    [
        ("A5", {}, [True, None]),
        ("A5", {"problem": one_prompt([1.0, 0.0], [0.5, 0.5], [1.0, 0.0])}, [False, None]),
        ("A2", {}, [None, False]),
        ("B3", {"alignment": -0.2}, [None, None, False]),
        ("B4", {"pl_constant": 3.0}, [None, None, False]),
        ("D7", {"num_steps": 3, "step_size": 5.0}, [None, False]),
        ("D9", {}, [True, True]),
    ],
)
def test_conditions_are_decided_from_the_inputs(label, inputs, expected):
    assert [holds for _, holds in read(label, **inputs).conditions] == expected


def test_a_condition_on_several_numbers_must_hold_for_all():
    holds = [read("B4", pl_constant=np.array(each)).conditions[-1][1] for each in ([1.0, 2.0], [1.0, 3.0])]
    assert holds == [True, False]


# Arrays


def test_lists_stand_for_arrays_and_one_row_for_a_table():
    lists = read("A7", policy=SMALL.expert.tolist())
    assert lists.value == read("A7", policy=SMALL.expert).value
    single = one_prompt([0.5, 0.5], [0.2, 0.8], [0.0, 1.0])
    assert read("A7", problem=single, anchor=None, policy=[0.5, 0.5]).value == pytest.approx(
        read("A7", problem=single, anchor=None, policy=single.reference).value
    )


def test_several_numbers_give_several_values_and_no_sentence_about_one():
    reading = read("A1", rl_time=[0.0, 1.0, 2.0])
    np.testing.assert_array_equal(reading.value, distributional.sft_loss_increase(SMALL, np.array([0.0, 1.0, 2.0])))
    assert reading.meaning.startswith("One value for each rl_time.")


# What is refused


def test_labels_are_found_in_any_case():
    assert find_law(" a5 ").label == "A5"
    with pytest.raises(RecipeError, match=r"LAW must be one of A1, .*Got 'A12'\. Did you mean .*interlace list laws"):
        find_law("A12")


@pytest.mark.parametrize(
    ("label", "inputs", "error", "sentence"),
    {
        "nothing": (
            "A5", {}, RecipeError,
            "problem must be given for A5. Got nothing. Give a FiniteProblem; on the command line --pass-rates and "
            "--expert-reward, or --reference, --expert, --reward.",
        ),
        "one missing": (
            "A6", {"problem": SMALL}, RecipeError,
            "exchange_rate must be given for A6. Got problem. Give it as NAME=VALUE. exchange_rate: reward units that "
            "a nat of SFT loss is worth.",
        ),
        "two missing": (
            "B4", {"distance": 1.0}, RecipeError,
            "pl_constant, smoothness must be given for B4. Got distance. Give each as NAME=VALUE. pl_constant: the PL "
            "constant mu measured on the path; smoothness: the largest curvature l on the path.",
        ),
        "a further function's inputs alone are no question": (
            "B5", {"gap": 1.0, "pl_constant": 1.0, "alignment": 0.1, "gradient_norm": 1.0, "curvature": 1.0},
            RecipeError,
            "exchange_rate must be given for B5. Got gap, pl_constant, alignment, gradient_norm, curvature. Give it as "
            "NAME=VALUE. exchange_rate: reward units that a nat of SFT loss is worth.",
        ),
        "unknown": (
            "A5", {"problem": SMALL, "rltime": 1.0}, RecipeError,
            "an input of A5 must be one of exchange_rate, kl_coefficient, problem, rl_time. Got 'rltime'. Did you mean "
            "'rl_time'? Leave it out, or correct it.",
        ),
        "negative RL time": (
            "A1", {"problem": SMALL, "rl_time": -1.0}, DataError,
            "rl_time must be at least 0. Got -1.0. RL time counts from the reference on.",
        ),
        "NaN": (
            "A1", {"problem": SMALL, "rl_time": math.nan}, DataError,
            "rl_time must hold no NaN. Got nan. Leave out what was not measured.",
        ),
        "text": (
            "A6", {"problem": SMALL, "exchange_rate": "1"}, DataError,
            "exchange_rate must be a number. Got '1'. Give reward units that a nat of SFT loss is worth.",
        ),
        "no problem": (
            "A5", {"problem": [[0.5, 0.5]]}, DataError,
            "problem must be a FiniteProblem. Got ndarray. Make one with its four tables.",
        ),
        "a policy of another shape": (
            "A7", {"problem": SMALL, "kl_coefficient": 1.0, "policy": [[0.5, 0.5]]}, DataError,
            "policy must have the reference's shape (2, 2). Got (1, 2). Give a row a prompt, a number a response.",
        ),
        "no policy": (
            "A7", {"problem": SMALL, "kl_coefficient": 1.0, "policy": [[0.5, 0.5], [0.5, 0.6]]}, DataError,
            "policy must sum to 1 in row 2 of 2. Got 1.1. Divide by the sum.",
        ),
        "no table": (
            "A7", {"problem": SMALL, "kl_coefficient": 1.0, "policy": 0.5}, DataError,
            "policy must be a table. Got 0.5. Give a row a prompt, such as [[0.4, 0.6]].",
        ),
        "ragged": (
            "A7", {"problem": SMALL, "kl_coefficient": 1.0, "policy": [[0.5, 0.5], [1.0]]}, DataError,
            "policy must have rows of one length. Got lengths 1 and 2. Pad slots that a prompt lacks with 0.",
        ),
        "ragged further in": (
            "D1", {"problem": SMALL, "features": [[[1.0], [1.0, 2.0]], [[1.0], [1.0]]]}, DataError,
            "features must have rows of one length. Got lengths unlike ones further in. Pad slots that a prompt lacks "
            "with 0.",
        ),
        "text in a list": (
            "A7", {"problem": SMALL, "kl_coefficient": 1.0, "policy": [["0.5", 0.5]]}, DataError,
            "policy must hold numbers. Got '0.5'. Write numbers without quotes.",
        ),
        "not whole": (
            "D7", {"num_steps": 2.5, "step_size": 0.1, "kl_coefficient": 1.0}, DataError,
            "num_steps must be a whole number. Got 2.5. Give the number of steps.",
        ),
        "not a truth": (
            "D4", {"problem": SMALL, "step_size": 0.1, "group_size": 8, "normalised": 1}, DataError,
            "normalised must be true or false. Got 1. It says whether advantages are divided by the group's standard "
            "deviation.",
        ),
        "not a word": (
            "D10", {"problem": SMALL, "exchange_rate": 1.0, "order": 1}, DataError,
            "order must be a word. Got 1. Give which stage comes first: sft_rl or rl_sft.",
        ),
        "samples of two shapes": (
            "D5", {"log_ratios": [[0.0, 1.0, 2.0]], "rewards": [[0.0, 1.0]]}, DataError,
            "rewards must have the shape of log_ratios (1, 3). Got (1, 2). Give one number for each.",
        ),
        "checkpoints without end": (
            "C7", {"problem": SMALL, "rl_time": math.inf}, DataError,
            "rl_time must be one finite number for checkpoints. Got inf. Say how far RL goes.",
        ),
    }.values(),
)  # fmt: skip
def test_what_is_refused(label, inputs, error, sentence):
    with pytest.raises(error) as caught:
        read_law(LAWS[label], inputs)
    assert str(caught.value) == sentence


def test_what_does_not_fit_together_is_named_where_types_are_not_checked():
    """As users call it: here types are checked, and refuse it first."""
    code = """
import numpy as np
from interlace.theory.laws import LAWS
from interlace.theory.laws.reading import read_law
from tests.theory.readings import SMALL
for label, inputs in (
    ("A6", {"problem": SMALL, "exchange_rate": [0.5, 1.0]}),
    ("D15", {"gradient_loss": [1.0, 0.0], "gradient_reward": [1.0, 0.0], "preconditioner": [[1.0, 0.0], [0.0, 1.0]]}),
    ("B8", {"gradient": [1.0, 0.0], "hessian": np.eye(3), "mean": [0.0, 0.1], "covariance": np.eye(2)}),
):
    try:
        print(read_law(LAWS[label], inputs).value)
    except ValueError as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                          env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"})  # fmt: skip
    first, second, third = done.stdout.splitlines()
    assert first == "DataError exchange_rate must be one number for A6. Got [0.5 1. ]. Read them one by one."
    assert second == "1.0" and done.stderr == ""
    assert third.startswith(
        "DataError the inputs of B8 must fit together. Got shapes gradient (2,), hessian (3, 3), mean"
    )


def test_what_a_law_s_function_refuses_is_said_in_its_own_words():
    with pytest.raises(DataError, match="kl_coefficient must be positive"):
        read("A7", kl_coefficient=0.0)


def test_known_inputs_hold_what_defaults_are_made_from():
    assert known_inputs(LAWS["A7"]) == ("problem", "policy", "kl_coefficient", "rl_time", "exchange_rate")
    assert "rl_time" in known_inputs(LAWS["C7"]) and "rl_time" not in known_inputs(LAWS["A9"])


def test_in_python_it_is_a_verb():
    import interlace

    reading = interlace.read_law("a5", problem=SMALL, rl_time=2.0)
    assert reading.value == read("A5").value and reading.also["free_energy"] < 0.75
