"""The registered rewards, and how a recipe names them."""

from __future__ import annotations

import itertools

import pytest

from interlace.errors import DataError, RecipeError
from interlace.rewards import REWARDS, build_reward


def score(spec, completions, **columns):
    return build_reward(spec)([""] * len(completions), completions, **columns)


def chat(text):
    return [{"role": "assistant", "content": text}]


def test_exact_match_ignores_white_space_unless_told_not_to():
    completions, answers = ["85", " 85\n", "58", chat("85")], ["85"] * 4
    assert score("exact_match", completions, answer=answers) == [1.0, 1.0, 0.0, 1.0]
    strict = {"kind": "exact_match", "strip": False, "column": "sum"}
    assert score(strict, completions, sum=answers) == [1.0, 0.0, 0.0, 1.0]


def test_exact_match_compares_the_answers_text():
    assert score("exact_match", ["85"], answer=[85]) == [1.0]


def test_exact_match_takes_any_of_several_answers():
    answers = [["85", "#85"]] * 3
    assert score("exact_match", ["85", " #85", "#58"], answer=answers) == [1.0, 1.0, 0.0]
    strict = build_reward({"kind": "exact_match", "strip": False})
    assert strict.rewarded({"answer": ["85", "#85", "85"]}) == (("85", 1.0), ("#85", 1.0))


def test_label_match_is_strict():
    completions = [" yes", "yes", " yes ", " Yes", " no", chat(" yes")]
    assert score("label_match", completions, label_word=[" yes"] * 6) == [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("spec", ["label_match", {"kind": "exact_match", "column": "label_word", "strip": False}])
def test_what_is_listed_as_rewarded_is_all_that_is_rewarded(spec):
    reward, columns = build_reward(spec), {"label_word": "ba"}
    texts = ["".join(letters) for length in range(5) for letters in itertools.product("ab ", repeat=length)]
    earned = reward([""] * len(texts), texts, label_word=["ba"] * len(texts))
    assert {text: value for text, value in zip(texts, earned, strict=True) if value} == dict(reward.rewarded(columns))


@pytest.mark.parametrize("spec", ["exact_match", {"kind": "regex", "pattern": "a"}])
def test_a_reward_that_many_texts_earn_lists_none(spec):
    assert build_reward(spec).rewarded({"answer": "85"}) is None


def test_regex_reads_the_last_match_of_completion_and_answer():
    spec = {"kind": "regex", "pattern": r"#### (-?\d+)"}
    completions = ["3 + 4\n#### 7", "#### 6 no, #### 7", "#### 6", "7", chat("#### 7")]
    assert score(spec, completions, answer=["by hand\n#### 7"] * 5) == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert score(spec, completions, answer=["7 "] * 5) == [1.0, 1.0, 0.0, 0.0, 1.0]


def test_regex_without_group_compares_the_whole_match():
    assert score({"kind": "regex", "pattern": r"\d+"}, ["it is 85.", "none"], answer=["85", "85"]) == [1.0, 0.0]


@pytest.mark.parametrize("name", ["exact_match", "label_match", "regex"])
def test_a_missing_column_is_named_with_those_there_are(name):
    spec = {"kind": name, "column": "gold"} | ({"pattern": "a"} if name == "regex" else {})
    with pytest.raises(DataError) as caught:
        score(spec, ["85"], answer=["85"])
    assert str(caught.value) == (
        f"reward '{name}' must be given every column that it asks for: 'gold'. Got columns answer. Rename one."
    )


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_every_registered_reward_documents_itself(reward):
    assert reward.sentence.endswith(".") and reward.source and reward.cost
    assert all(field.description for field in reward.model_fields.values())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "exact_mach",
            "reward must be one of cards, countdown, exact_match, label_match, lenient_countdown, lenient_match, "
            "regex. Got 'exact_mach'. Did you mean 'exact_match'? A function of yours is package.module:function.",
        ),
        (
            {"column": "a"},
            "a reward must name its kind. Got {'column': 'a'}. "
            "Add kind: cards | countdown | exact_match | label_match | lenient_countdown | lenient_match | regex.",
        ),
        (
            {"kind": "exact_match", "colum": "a"},
            "reward 'exact_match' must hold known keys (column, strip). Got unknown key 'colum'. "
            "The nearest known key is 'column'.",
        ),
        ({"kind": "regex"}, "reward 'regex' must have key 'pattern'. Got none. Add it."),
        (
            {"kind": "regex", "pattern": "(a"},
            "reward 'regex': pattern must be a regular expression. "
            "Got '(a': missing ), unterminated subpattern at position 0. Escape it.",
        ),
        (
            {"kind": "exact_match", "strip": "perhaps"},
            "reward 'exact_match': strip must be true or false. Got 'perhaps'.",
        ),
        ({"kind": "math:sqrt", "a": 1}, "reward 'math:sqrt' must come without options. Got a. Set them in its code."),
    ],
)
def test_a_mistaken_spec_is_answered_with_one_sentence(spec, message):
    with pytest.raises(RecipeError) as caught:
        build_reward(spec)
    assert str(caught.value) == message


def test_lenient_match_reads_the_last_number():
    completions = ["580", "#580", " 580.", "so 12 + 3 = 580", "580 or 581", "0580", "", chat("= 580")]
    found = score("lenient_match", completions, answer=["580"] * len(completions))
    assert found == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert score("lenient_match", ["$1,250.50", "-7", "5-7"], answer=["1250.5", "-7", "7"]) == [1.0, 1.0, 1.0]
    assert score("lenient_match", ["#58"], answer=[["85", "58"]]) == [1.0]


def test_lenient_match_reads_the_last_words_where_the_answer_is_no_number():
    completions = ["It is New York.", "new york", "New York is it", "York"]
    assert score("lenient_match", completions, answer=["New York"] * 4) == [1.0, 1.0, 0.0, 0.0]
    assert score("lenient_match", ["anything"], answer=["?"]) == [0.0]


def test_lenient_match_reads_the_first_label_word():
    spec = {"kind": "lenient_match", "column": "label_word", "words": [" acceptable", " unacceptable"]}
    completions = ["Unacceptable", "It is acceptable, not unacceptable", "unacceptably", "", " acceptable"]
    assert score(spec, completions, label_word=[" unacceptable"] * 5) == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert score(spec, completions, label_word=[" acceptable"] * 5) == [0.0, 1.0, 0.0, 0.0, 1.0]


def test_lenient_countdown_reads_the_last_expression():
    completions = ["2+5*3", "2 + 5\u00d73 = 17", "17 = 5*3+2", "2+5*3 no 2+3", "17", chat("I try 2+5 and 5*3+2.")]
    columns = {"numbers": [[2, 3, 5]] * 6, "target": [17] * 6}
    assert score("lenient_countdown", completions, **columns) == [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    assert score("countdown", completions, **columns) == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_what_the_strict_rewards_take_the_lenient_ones_take_too():
    columns = {"numbers": [2, 3, 5], "target": 17}
    texts = [text for text, _ in build_reward("countdown").rewarded(columns)]
    many = {name: [value] * len(texts) for name, value in columns.items()}
    assert score("lenient_countdown", texts, **many) == [1.0] * len(texts)
    for answer in ("85", "085", " yes", "New York", "-3.50"):
        assert score("lenient_match", [answer], answer=[answer]) == [1.0]
