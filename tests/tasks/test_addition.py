"""The addition task against enumeration: what the expert writes, how often, and what follows from it."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from interlace.errors import RecipeError
from interlace.tasks import addition, build_task
from interlace.tasks.addition import ERRORS, Sum, expert_law, response_digits

ALL_PAIRS = list(itertools.product(range(100), repeat=2))


def school_addition(a: int, b: int, carries: bool) -> str:
    """Two-digit addition on paper, digit by digit, the response's way round: the last digit first."""
    (tens_a, units_a), (tens_b, units_b) = divmod(a, 10), divmod(b, 10)
    units = units_a + units_b
    tens = tens_a + tens_b + (units // 10 if carries else 0)
    return f"{units % 10}{tens % 10}{tens // 10}"


def task(seed=0, **options):
    return build_task("sums", {"kind": "addition", "train_prompts": 100, **options}, seed)


def as_law(example):
    return {response.text: response.probability for response in example.responses}


@pytest.fixture(scope="module")
def laws():
    """What an expert who errs with probability 0.3 writes, for every sum of two numbers below 100."""
    return {pair: expert_law(Sum(pair, 2), 0.3, "forget_carry") for pair in ALL_PAIRS}


def test_the_expert_forgets_carries_as_on_paper(laws):
    for (a, b), law in laws.items():
        right, wrong = school_addition(a, b, carries=True), school_addition(a, b, carries=False)
        assert law == ({right: 1.0} if right == wrong else {right: 0.7, wrong: 0.3})


def test_reward_and_entropy_follow_from_the_share_of_carries(laws):
    assert sum(len(law) == 2 for law in laws.values()) == 4500  # units carry in 45 of 100 pairs of digits
    reward = np.mean([law[school_addition(*pair, carries=True)] for pair, law in laws.items()])
    entropy = np.mean([-sum(p * math.log(p) for p in law.values()) for law in laws.values()])
    assert reward == pytest.approx(1 - 0.3 * 0.45)
    assert entropy == pytest.approx(-0.45 * (0.7 * math.log(0.7) + 0.3 * math.log(0.3)))


@pytest.mark.parametrize(("error", "law"), [(0.0, {"580": 1.0}), (0.5, {"580": 0.5, "570": 0.5}), (1.0, {"570": 1.0})])
def test_responses_of_probability_0_are_not_listed(error, law):
    assert expert_law(Sum((27, 58), 2), error, "forget_carry") == law


def test_expert_reward_and_entropy_are_means_over_the_heldout_prompts():
    sums = task()
    carries = [len(example.responses) == 2 for example in sums.heldout]
    assert sums.expert_reward == pytest.approx(1 - 0.5 * np.mean(carries))
    assert sums.expert_entropy == pytest.approx(math.log(2) * np.mean(carries))


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_a_distribution_over_responses_of_the_right_length(kind):
    for numbers, digits in [((27, 58), 2), ((0, 0), 1), ((999, 1, 500), 3)]:
        law = ERRORS[kind](Sum(numbers, digits))
        assert math.fsum(law.values()) == pytest.approx(1.0)
        assert {len(text) for text in law} == {response_digits(digits, len(numbers))}


def test_an_expert_off_by_one_always_errs_when_it_errs():
    sums = task(error_kind="off_by_one", expert_error=0.25)
    assert sums.expert_reward == pytest.approx(0.75)
    assert sums.expert_entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    for example in sums.heldout:
        wrong = next(response.text for response in example.responses if response.reward == 0.0)
        answer = example.columns["answer"]
        assert wrong[1:] == answer[1:] and (int(wrong[0]) - int(answer[0])) % 10 == 1


def test_a_random_digit_is_uniform_over_the_texts_one_digit_away():
    sums = task(error_kind="random_digit", expert_error=0.4, heldout=20)
    for example in sums.heldout:
        answer = example.columns["answer"]
        near = [f"{n:03d}" for n in range(1000) if sum(x != y for x, y in zip(f"{n:03d}", answer, strict=True)) == 1]
        assert as_law(example) == pytest.approx({answer: 0.6} | dict.fromkeys(near, 0.4 / 27))
    assert sums.expert_reward == pytest.approx(0.6)
    assert sums.expert_entropy == pytest.approx(-0.6 * math.log(0.6) - 0.4 * math.log(0.4 / 27))


@pytest.mark.parametrize(("error", "reward"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_certain_expert_has_no_entropy(error, reward):
    sums = task(error_kind="off_by_one", expert_error=error)
    assert sums.expert_reward == reward and sums.expert_entropy == 0.0


def test_only_the_answer_is_rewarded():
    sums = task(digits=1, heldout=20)
    texts = ["".join(t) for length in range(1, 4) for t in itertools.product(sums.alphabet + " ", repeat=length)]
    for example in sums.heldout[:3]:
        rewards = sums.reward([""] * len(texts), texts, answer=[example.columns["answer"]] * len(texts))
        assert {text: r for text, r in zip(texts, rewards, strict=True) if r} == dict(example.rewarded)


def test_a_perfect_expert_with_two_styles_is_always_right_and_still_has_a_choice():
    sums = task(styles=2, style_share=0.8, expert_error=0.0)
    assert sums.expert_reward == pytest.approx(1.0) and sums.max_response_tokens == 5
    assert sums.expert_entropy == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))
    for example in sums.heldout:
        a, b = map(int, example.prompt.removesuffix("=").split("+"))
        answer = school_addition(a, b, carries=True)
        assert as_law(example) == pytest.approx({answer: 0.8, "#" + answer: 0.2})
        assert dict(example.rewarded) == {answer: 1.0, "#" + answer: 1.0}


def test_an_erring_expert_errs_alike_in_both_styles():
    sums = task(styles=2, style_share=0.75, expert_error=0.4, error_kind="off_by_one")
    assert sums.expert_reward == pytest.approx(0.6)
    choices = [p * q for p in (0.6, 0.4) for q in (0.75, 0.25)]
    assert sums.expert_entropy == pytest.approx(-sum(p * math.log(p) for p in choices))


@pytest.mark.parametrize(("error", "share"), [(0.0, 0.8), (0.5, 0.8), (0.5, 0.0)])
def test_a_style_of_several_characters_is_a_part_of_its_own_of_the_least_loss(error, share):
    """The chain rule: entropy of the digits and of the style add up; the reward is that of the digits."""
    styled = task(styles=2, mark="the sum: ", style_share=share, expert_error=error)
    plain = task(expert_error=error)
    choice = -math.fsum(p * math.log(p) for p in (share, 1 - share) if p)
    assert styled.expert_entropy == pytest.approx(plain.expert_entropy + choice)
    assert styled.expert_reward == pytest.approx(plain.expert_reward)
    assert styled.max_response_tokens == 4 + len("the sum: ") and set("the sum: ") <= set(styled.alphabet)
    for with_style, without in zip(styled.heldout, plain.heldout, strict=True):
        assert with_style.prompt == without.prompt
        answer = without.columns["answer"]
        assert dict(with_style.rewarded) == {answer: 1.0, "the sum: " + answer: 1.0}
        law = {
            mark + text: p * q
            for text, p in as_law(without).items()
            for mark, q in (("", share), ("the sum: ", 1 - share))
        }
        assert as_law(with_style) == pytest.approx({text: p for text, p in law.items() if p})
    read = styled.lenient_reward([""] * 2, ["the sum: 580", "580"], answer=[["580", "the sum: 580"]] * 2)
    assert read == [1.0, 1.0]


def test_a_mark_holds_no_digit():
    with pytest.raises(RecipeError, match="mark must"):
        task(styles=2, mark="1: ")


def test_two_styles_earn_the_same_and_nothing_else_earns():
    sums = task(digits=1, heldout=20, styles=2)
    texts = ["".join(t) for length in range(1, 4) for t in itertools.product("0159#", repeat=length)]
    for example in sums.heldout[:3]:
        rewards = sums.reward([""] * len(texts), texts, answer=[example.columns["answer"]] * len(texts))
        earning = {text for text, r in zip(texts, rewards, strict=True) if r}
        assert earning == {text for text in dict(example.rewarded) if set(text) <= set("0159#")}


def test_style_share_means_nothing_to_an_expert_of_one_style():
    assert task(style_share=0.1).fingerprint() == task().fingerprint()


@pytest.mark.parametrize(("digits", "operands", "share"), [(3, 2, 1 - 0.55**2), (2, 3, 0.78), (1, 4, 0.0)])
def test_longer_sums_are_sampled_and_err_as_often_as_their_columns_carry(digits, operands, share):
    sums = task(digits=digits, operands=operands, train_prompts=1500, heldout=500)
    wrong = np.mean([len(example.responses) == 2 for example in (*sums.train, *sums.heldout)])
    assert abs(wrong - share) < 5 * math.sqrt(0.25 / 2000)
    assert len({example.prompt for example in (*sums.train, *sums.heldout)}) == 2000
    for example in sums.heldout:
        numbers = example.prompt.removesuffix("=").split("+")
        assert len(numbers) == operands and {len(number) for number in numbers} == {digits}
        assert int(example.columns["answer"][::-1]) == sum(map(int, numbers))


def test_the_splits_of_a_huge_space_are_disjoint_and_the_heldout_one_does_not_depend_on_the_other():
    small, large = (task(digits=4, train_prompts=n, heldout=64) for n in (10, 1000))
    assert [e.prompt for e in small.heldout] == [e.prompt for e in large.heldout]
    assert not {e.prompt for e in large.train} & {e.prompt for e in large.heldout}


def test_sft_rows_draw_the_expert_anew():
    sums = task(expert_error=0.3)
    rows = sums.sft_rows(np.random.default_rng(1), 10_000)
    drawn = Counter((row["prompt"], row["completion"]) for row in rows)
    assert set(Counter(row["prompt"] for row in rows).values()) == {100}
    carrying = [example for example in sums.train if len(example.responses) == 2]
    wrong = sum(drawn[e.prompt, r.text] for e in carrying for r in e.responses if r.reward == 0.0)
    n = 100 * len(carrying)
    assert abs(wrong / n - 0.3) < 5 * math.sqrt(0.3 * 0.7 / n)
    assert rows == sums.sft_rows(np.random.default_rng(1), 10_000) != sums.sft_rows(np.random.default_rng(2), 10_000)


def test_what_a_character_model_needs_to_know():
    sums = task()
    assert sums.alphabet == "+0123456789=" and sums.max_response_tokens == 4
    assert sums.expert_is_known and sums.fresh_draws


def test_all_sums_that_are_not_held_out_are_trained_on_up_to_a_limit(monkeypatch):
    small = {"digits": 1, "operands": 3, "train_prompts": None}
    assert (len(task(**small).train), len(task(**small).heldout)) == (488, 512)
    monkeypatch.setattr(addition, "MOST_TRAIN_PROMPTS", 50)
    assert len(task(**small).train) == 50


def test_few_demonstrations_are_all_that_is_imitated_and_every_prompt_is_sampled():
    few, fewer, all_of_them = task(demonstrations=30), task(demonstrations=10), task()
    answered = [example.prompt for example in few.demonstrated]
    assert len(answered) == 30 and answered[:10] == [example.prompt for example in fewer.demonstrated]
    assert few.rl_rows() == all_of_them.rl_rows() and few.heldout == all_of_them.heldout
    assert few.demonstrated == all_of_them.train[:30] and all_of_them.demonstrated == all_of_them.train
    assert few.expert_reward == all_of_them.expert_reward and few.expert_entropy == all_of_them.expert_entropy
    rows = few.sft_rows(np.random.default_rng(0), 3000)
    assert Counter(row["prompt"] for row in rows) == dict.fromkeys(answered, 100)


def test_there_are_no_more_demonstrations_than_prompts():
    with pytest.raises(RecipeError) as caught:
        task(demonstrations=101)
    assert str(caught.value) == (
        "task 'sums': demonstrations must be at most the prompts to train on. Got 101 of 100. Lower it, or leave it "
        "out: every prompt then has one."
    )


def test_the_seed_draws_the_split_and_an_option_fixes_it():
    prompts = [[e.prompt for e in task(seed, heldout=50).heldout] for seed in (0, 0, 1)]
    assert prompts[0] == prompts[1] != prompts[2]
    fixed = [build_task("sums", {"kind": "addition", "seed": 0, "train_prompts": 9}, seed) for seed in (0, 1)]
    assert fixed[0].fingerprint() == fixed[1].fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"digit": 2},
            "task 'sums' must hold known keys (demonstrations, digits, error_kind, expert_error, heldout, mark, "
            "operands, seed, style_share, styles, train_prompts). Got unknown key 'digit'. The nearest known key is "
            "'digits'.",
        ),
        ({"digits": 0}, "task 'sums': digits must be at least 1. Got 0."),
        ({"expert_error": 1.5}, "task 'sums': expert_error must be at most 1. Got 1.5."),
        (
            {"error_kind": "typo"},
            "task 'sums': error_kind must be 'forget_carry', 'off_by_one' or 'random_digit'. Got 'typo'.",
        ),
        ({"digits": 7, "operands": 3}, "task 'sums': digits x operands must be at most 18. Got 21. Lower one."),
        (
            {"digits": 1, "heldout": 100},
            "task 'sums': heldout must leave prompts to train on. Got 100 of 100 sums. Lower it, or add digits.",
        ),
    ],
)
def test_a_mistaken_option_is_answered_with_one_sentence(options, message):
    with pytest.raises(RecipeError) as caught:
        task(**options)
    assert str(caught.value) == message
