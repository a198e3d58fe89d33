"""The countdown task against Python's own arithmetic over every text that could be written."""

from __future__ import annotations

import ast
import itertools
import math
from collections import Counter

import numpy as np
import pytest

from interlace.errors import RecipeError
from interlace.rewards.expressions import evaluate
from interlace.tasks import build_task
from interlace.tasks.countdown import near_miss, problems


def task(seed=0, **options):
    return build_task("reach", {"kind": "countdown", "largest": 4, "heldout": 40, **options}, seed)


def worth(text):
    """The value by Python's own parser; None if it has a sign or is no expression."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return None
    unary = any(isinstance(node, ast.UnaryOp) for node in ast.walk(tree))
    return None if unary else eval(compile(tree, "text", "eval"), {"__builtins__": {}})


def every_text(numbers):
    """All texts of up to 5 characters of these digits and the three operators."""
    letters = "".join(dict.fromkeys(map(str, numbers))) + "+-*"
    return ["".join(t) for length in range(1, 6) for t in itertools.product(letters, repeat=length)]


def test_expressions_are_worth_what_python_says():
    for text in every_text([2, 3]):
        if "**" not in text:
            assert evaluate(text) == worth(text), text
    assert [evaluate(text) for text in ("", "2**3", "(2)", "2 +3", "-2", "2/1", "٢", "2" * 500)] == [None] * 8


def test_the_rewarded_texts_are_all_that_python_finds():
    for example in task().heldout[:6]:
        numbers, target = example.columns["numbers"], example.columns["target"]
        allowed = Counter(map(str, numbers))
        texts = [text for text in every_text(numbers) if "**" not in text]
        found = {
            t
            for t in texts
            if worth(t) == target
            and not Counter(c for c in t if c.isdigit()) - allowed
            and all(len(part) == 1 for part in t.replace("+", " ").replace("-", " ").replace("*", " ").split())
        }
        assert found == dict(example.rewarded).keys()
        scores = task().reward([""] * len(texts), texts, numbers=[numbers] * len(texts), target=[target] * len(texts))
        assert {text for text, score in zip(texts, scores, strict=True) if score} == found


def test_every_problem_is_there_once():
    found = {(problem.numbers, problem.target) for problem in problems(3, 20)}
    assert len(found) == len(problems(3, 20))
    for numbers in itertools.combinations_with_replacement((1, 2, 3), 3):
        orders = [order for count in (2, 3) for order in itertools.permutations(numbers, count)]
        texts = [
            str(order[0]) + "".join(f"{s}{n}" for s, n in zip(signs, order[1:], strict=True))
            for order in orders
            for signs in itertools.product("+-*", repeat=len(order) - 1)
        ]
        targets = {worth(text) for text in texts} - set(numbers)
        assert {t for n, t in found if n == numbers} == {t for t in targets if 1 <= t <= 20}


def test_targets_may_be_kept_to_those_that_two_numbers_reach():
    easy = {(problem.numbers, problem.target) for problem in problems(4, 99, needed=2)}
    for problem in problems(4, 99):
        two = any(len(text) == 3 for text in problem.right)
        assert two == ((problem.numbers, problem.target) in easy)
    assert {len(text) for e in task(needed=2).heldout for text, _ in e.rewarded} == {3, 5}


@pytest.mark.parametrize("error", [0.0, 0.3, 1.0])
def test_the_expert_is_right_as_often_as_the_option_says_and_its_entropy_follows(error):
    reach = task(expert_error=error)
    assert reach.expert_reward == pytest.approx(1.0 - error)
    entropies = []
    for example in reach.heldout:
        right = [text for text, _ in example.rewarded]
        misses = Counter(near_miss(text) for text in right)
        law = dict.fromkeys(right, (1 - error) / len(right)) | {t: error * n / len(right) for t, n in misses.items()}
        law = {text: p for text, p in law.items() if p}
        assert {r.text: r.probability for r in example.responses} == pytest.approx(law)
        entropies.append(-math.fsum(p * math.log(p) for p in law.values()))
    assert reach.expert_entropy == pytest.approx(np.mean(entropies))


def test_a_near_miss_is_one_operator_away_and_wrong():
    for problem in problems(4, 99):
        for right in problem.right:
            wrong = near_miss(right)
            changed = [(a, b) for a, b in zip(right, wrong, strict=True) if a != b]
            assert len(changed) == 1 and set(changed[0]) < set("+-*") and worth(wrong) != problem.target


def test_the_expert_may_keep_to_the_shortest_answers():
    for example in task(right_answers=1, expert_error=0.0).heldout:
        (answer,) = example.responses
        assert len(answer.text) == min(len(text) for text, _ in example.rewarded)


def test_splits_are_disjoint_drawn_by_the_seed_and_known_to_a_character_model():
    reach = task()
    assert set(reach.alphabet) <= set("0123456789,>=+-*") and reach.max_response_tokens == 6
    assert reach.expert_is_known and reach.fresh_draws
    held, trained = (
        {(*sorted(e.columns["numbers"]), e.columns["target"]) for e in part} for part in (reach.heldout, reach.train)
    )
    assert not held & trained and len(held) + len(trained) == len(problems(4, 99)) and len(reach.heldout) == 40
    assert len({e.prompt for e in reach.train}) == len(reach.train) > 3 * len(trained)
    assert reach.fingerprint() == task().fingerprint() != task(1).fingerprint()
    assert len(task(train_prompts=7).train) == 7
    assert max(len(r.text) for e in reach.train for r in e.responses) + 1 == reach.max_response_tokens


def test_few_demonstrations_leave_the_other_prompts_to_rl():
    few, whole = task(demonstrations=5), task()
    assert few.demonstrated == whole.train[:5] and few.rl_rows() == whole.rl_rows() and few.heldout == whole.heldout


def test_heldout_must_leave_prompts():
    with pytest.raises(RecipeError) as caught:
        task(largest=2, heldout=500)
    count = len(problems(2, 99))
    assert str(caught.value) == (
        f"task 'reach': heldout must leave prompts to train on. Got 500 of {count} problems. Raise largest."
    )
