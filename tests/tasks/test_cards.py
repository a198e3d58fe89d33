"""The cards task against Python's own arithmetic: its parser, its brackets, and every way to join the numbers."""

from __future__ import annotations

import ast
import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from interlace.errors import RecipeError
from interlace.rewards.bracketed import evaluate_bracketed, solutions, uses_all
from interlace.tasks import build_task
from interlace.tasks.cards import CARDS, deals, longest_expression
from interlace.tasks.near_misses import near_miss

SMALL = {"cards": 3, "target": 8, "largest_target": 9, "heldout": 60, "train_prompts": 100}


def task(seed=0, **options):
    return build_task("hands", {"kind": "cards", **SMALL, **options}, seed)


def worth(tree):
    """The value of a parsed expression of + - * / over whole numbers; ZeroDivisionError is Python's own."""
    if isinstance(tree, ast.Constant):
        return Fraction(tree.value)
    left, right = worth(tree.left), worth(tree.right)
    return {
        ast.Add: lambda: left + right,
        ast.Sub: lambda: left - right,
        ast.Mult: lambda: left * right,
        ast.Div: lambda: left / right,
    }[type(tree.op)]()


def parsed(text):
    """Python's tree of `text`, if it has nothing but numbers and the four operators; else None."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    allowed = (ast.BinOp, ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.Div)
    return tree if all(isinstance(node, allowed) for node in ast.walk(tree)) else None


def every_tree(numbers):
    """All ways to join numbers in this order, every operand in brackets."""
    if len(numbers) == 1:
        return [str(numbers[0])]
    return [
        f"({left}){sign}({right})"
        for cut in range(1, len(numbers))
        for left in every_tree(numbers[:cut])
        for right in every_tree(numbers[cut:])
        for sign in "+-*/"
    ]


def by_value(numbers):
    """Every text with the brackets that Python writes, by its value."""
    found = {}
    for order in set(itertools.permutations(numbers)):
        for text in every_tree(order):
            tree = parsed(text)
            try:
                found.setdefault(worth(tree), set()).add(ast.unparse(tree).replace(" ", ""))
            except ZeroDivisionError:
                continue
    return found


@pytest.mark.parametrize("numbers", [(2, 3), (1, 1, 1), (2, 3, 10), (5, 5, 1), (3, 3, 8, 8)])
def test_the_solutions_are_all_that_python_finds(numbers):
    found = by_value(numbers)
    for value in (*range(-30, 31), 100) if len(numbers) < 4 else (24, 2):
        texts = solutions(numbers, value)
        assert set(texts) == found.get(value, set()) and list(texts) == sorted(texts, key=lambda t: (len(t), t))
    if numbers == (3, 3, 8, 8):
        assert solutions(numbers, 24) == ("8/(3-8/3)",)


def test_a_text_is_rewarded_if_python_reads_all_numbers_and_writes_it_with_the_same_brackets():
    letters = "23+-*/()"
    texts = ["".join(t) for length in range(1, 5) for t in itertools.product(letters, repeat=length)]
    for target in (1, 5, 6):
        for text in texts:
            tree = parsed(text) if "//" not in text and "**" not in text else None
            numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)] if tree else []
            right = (
                Counter(numbers) == Counter([2, 3])
                and worth(tree) == target
                and ast.unparse(tree).replace(" ", "") == text
            )
            assert uses_all(text, [2, 3], target) == right, text
    assert [uses_all(text, [2, 3], 5) for text in ("2+03", "2 +3", "+2+3", "2+3=5", "", "٢+3", "(" * 90 + "2")] == [
        False
    ] * 7


def test_an_expression_is_worth_what_python_says():
    for text in ("8/(3-8/3)", "2-3-4", "2-(3-4)", "24/2/3", "24/(2/3)", "((2))*3"):
        assert evaluate_bracketed(text) == worth(parsed(text))
    assert [evaluate_bracketed(text) for text in ("1/(2-2)", "2**3", "2//3", "-2", "(2", "2)", "()")] == [None] * 7


def test_every_deal_that_both_rules_solve_is_there_once():
    found = {(deal.cards, deal.target) for deal in deals(2, 1, 12)}
    assert len(found) == len(deals(2, 1, 12))
    ten, ranks = (dict(zip(CARDS, (*range(1, 11), *faces), strict=True)) for faces in ((10, 10, 10), (11, 12, 13)))
    for hand in itertools.combinations_with_replacement(CARDS, 2):
        both = [by_value([rule[card] for card in hand]).keys() for rule in (ten, ranks)]
        assert {target for cards, target in found if cards == hand} == both[0] & both[1] & set(range(1, 13))


@pytest.mark.parametrize("error", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shift", [False, True])
def test_the_expert_is_right_as_often_as_the_option_says_and_its_entropy_follows(error, shift):
    hands = task(expert_error=error, right_answers=2, shift=shift)
    assert hands.expert_reward == pytest.approx(1.0 - error) and hands.expert_is_known
    entropies = []
    for example in hands.heldout:
        target = example.columns["target"]
        listed = by_value(example.columns["numbers"])[target]
        assert dict(example.rewarded) == dict.fromkeys(listed, 1.0)
        right = sorted(listed, key=lambda text: (len(text), text))[:2]
        law = {response.text: response.probability for response in example.responses}
        assert math.fsum(p for text, p in law.items() if text in right) == pytest.approx(1.0 - error)
        for text, probability in law.items():
            if text not in right:
                near = [
                    t for t in right if len(t) == len(text) and sum(a != b for a, b in zip(t, text, strict=True)) == 1
                ]
                assert near and evaluate_bracketed(text) != target and probability <= error + 1e-12
        entropies.append(-math.fsum(p * math.log(p) for p in law.values()))
    assert hands.expert_entropy == pytest.approx(np.mean(entropies))


def test_a_shift_asks_the_same_deals_by_the_other_rule():
    plain, shifted = task(), task(shift=True)
    assert shifted.train == plain.train
    faces = [example for example in plain.heldout if set("JQK") & set(example.prompt.split(";")[1])]
    assert 0 < len(faces) < len(plain.heldout) and len(shifted.heldout) == len(faces)
    for before, after in zip(faces, shifted.heldout, strict=True):
        assert before.prompt.replace("J=10,Q=10,K=10", "J=11,Q=12,K=13") == after.prompt
        assert before.columns["target"] == after.columns["target"]
        assert before.columns["numbers"] != after.columns["numbers"]
        counts = {"A": 1, "J": 11, "Q": 12, "K": 13}
        cards = after.prompt.split(";")[1].split(">")[0].split(",")
        assert after.columns["numbers"] == [counts.get(card) or int(card) for card in cards]


def test_a_rule_that_no_prompt_tells_shifts_unseen():
    plain, shifted = (task(rule_in_prompt=False, shift=shift) for shift in (False, True))
    assert {example.prompt for example in shifted.heldout} < {example.prompt for example in plain.heldout}
    assert not {example.prompt for example in shifted.heldout} & {example.prompt for example in plain.train}


def test_the_rule_of_training_can_be_the_other_one():
    ten, ranks = task(), task(rule="ranks", shift=True)
    assert [e.columns for e in ranks.heldout] == [e.columns for e in ten.heldout if set("JQK") & set(e.prompt[15:])]
    assert all(example.prompt.startswith("J=11,Q=12,K=13;") for example in ranks.train)


def test_splits_are_disjoint_drawn_by_the_seed_and_known_to_a_character_model():
    hands = task()
    assert set(hands.alphabet) <= set("0123456789AJQK,;>=+-*/()") and hands.fresh_draws

    def asked(part):
        return {(*sorted(e.prompt.split(";")[1].split(">")[0].split(",")), e.columns["target"]) for e in part}

    every = task(train_prompts=None)
    held, trained = asked(every.heldout), asked(every.train)
    assert not held & trained and len(held) == 60 and len(held) + len(trained) == len(deals(3, 8, 9))
    assert every.heldout == hands.heldout and len({example.prompt for example in every.train}) == len(every.train)
    assert hands.fingerprint() == task().fingerprint() != task(1).fingerprint()
    assert len(task(train_prompts=7).train) == 7
    few = task(demonstrations=5)
    assert few.demonstrated == hands.train[:5] and few.rl_rows() == hands.rl_rows()


@pytest.mark.parametrize("cards", [2, 3, 4])
def test_no_expression_is_longer_than_is_said(cards):
    longest = max(len(text) for texts in by_value((10, 11, 12, 13)[:cards]).values() for text in texts)
    assert longest == longest_expression(cards)


def test_a_near_miss_where_the_last_operator_makes_no_difference():
    """0 times anything is 0; a division by 0 is worth nothing, which is another value."""
    assert near_miss("1+(3-3)*(4+4)", "+-*/", evaluate_bracketed) == "1+(3-3)+(4+4)"
    assert near_miss("5*5-1", "+-*/", evaluate_bracketed) == "5*5*1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest_target": 3}, "largest_target must be at least target. Got 3 with target 8. Leave it out"),
        ({"heldout": 9999}, "heldout must leave deals to train on. Got 9999 of"),
        (
            {"cards": 2, "largest_target": None, "heldout": 1, "shift": True},
            "shift must leave held-out deals with a face",
        ),
        ({"demonstrations": 99999}, "demonstrations must be at most the prompts to train on. Got 99999 of"),
    ],
)
def test_a_mistaken_option_is_answered_with_one_sentence(options, message):
    with pytest.raises(RecipeError, match=message):
        task(**options)
