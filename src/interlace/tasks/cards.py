"""cards: reach a target with all cards of a hand and + - * /; what face cards count is a rule that may shift.

After GeneralPoints (arXiv 2501.17161), known second hand: J, Q and K count 10 in training, and 11, 12 and 13 where the
rule is shifted. Every deal can be solved by both rules, so that the same hands are asked by both; all expressions are
listed, so that the expert's law and the reward are exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from interlace.errors import RecipeError
from interlace.options import Options
from interlace.rewards import build_reward
from interlace.rewards.bracketed import SIGNS, evaluate_bracketed, is_solvable, solutions
from interlace.tasks.base import Task
from interlace.tasks.demonstrations import with_demonstrations
from interlace.tasks.near_misses import erring_law, near_miss
from interlace.tasks.rows import Row, build_examples

Rule: TypeAlias = Literal["ten", "ranks"]

FACES: Mapping[Rule, Mapping[str, int]] = {
    "ten": {"J": 10, "Q": 10, "K": 10},
    "ranks": {"J": 11, "Q": 12, "K": 13},
}
"""What face cards count by each rule; an ace is 1, other cards what they show."""

OTHER: Mapping[Rule, Rule] = {"ten": "ranks", "ranks": "ten"}
CARDS = ("A", *map(str, range(2, 11)), "J", "Q", "K")
MOST_TRAIN_PROMPTS = 20_000
"""Training prompts, if `train_prompts` does not say."""


class CardsOptions(Options):
    """Options of the task cards."""

    cards: int = Field(default=4, ge=2, le=4)
    """How many cards a hand has; all are used."""
    target: int = Field(default=24, ge=1, le=100)
    """The value to reach."""
    largest_target: int | None = Field(default=None, ge=1, le=100)
    """Targets lie between `target` and this; null: `target` alone. A prompt says its own."""
    rule: Rule = "ten"
    """What J, Q and K count. ten: 10 each. ranks: 11, 12, 13."""
    rule_in_prompt: bool = True
    """Whether the prompt says what J, Q and K count. false: nothing in it tells that the rule has shifted."""
    shift: bool = False
    """Whether the held-out prompts go by the other rule; of them, those with a face card alone. Training prompts keep
    to `rule`. The deals are those of the task without shift, so that two such tasks share none across their splits."""
    expert_error: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that the expert writes a near miss: a right expression with its last operator replaced by the next
    of + - * / that makes it wrong (an earlier one, where the last makes no difference)."""
    right_answers: int | None = Field(default=4, ge=1)
    """How many of the right expressions the expert writes, those with the fewest characters first, all equally likely;
    null: all of them. The reward takes all in any case."""
    heldout: int = Field(default=256, ge=1)
    """How many deals are measured on, each in one order of its cards, and trained on in none."""
    train_prompts: int | None = Field(default=None, ge=1)
    """Most prompts to train on; null: all that remain, at most 20 000."""
    demonstrations: int | None = Field(default=None, ge=1)
    """How many of the training prompts have expert responses: what is imitated; RL samples all. null: all have."""
    seed: int | None = Field(default=None, ge=0)
    """Draws the prompts of both splits; null: the run's seed."""

    @model_validator(mode="after")
    def _is_a_range(self) -> CardsOptions:
        if self.largest < self.target:
            found = f"{self.largest} with target {self.target}"
            raise ValueError(f"largest_target must be at least target. Got {found}. Leave it out for one target.")
        return self

    @property
    def largest(self) -> int:
        """The largest target."""
        return self.target if self.largest_target is None else self.largest_target


@dataclass(frozen=True, slots=True)
class Deal:
    """Cards in an order, and a target.

    >>> Deal(("K", "A", "3"), 24).prompt("ten", True), Deal(("K", "A", "3"), 24).prompt("ten", False)
    ('J=10,Q=10,K=10;K,A,3>24=', 'K,A,3>24=')
    """

    cards: tuple[str, ...]
    target: int

    def prompt(self, rule: Rule, says_rule: bool) -> str:
        """The deal as text, with what face cards count by `rule` before it, or not."""
        faces = ",".join(f"{card}={value}" for card, value in FACES[rule].items()) + ";" if says_rule else ""
        return f"{faces}{','.join(self.cards)}>{self.target}="

    def numbers(self, rule: Rule) -> tuple[int, ...]:
        """What the cards count."""
        return tuple(FACES[rule].get(card) or CARDS.index(card) + 1 for card in self.cards)

    @property
    def has_face(self) -> bool:
        """Whether the rules differ about it."""
        return bool(set(self.cards) & FACES["ten"].keys())

    @property
    def orders(self) -> list[Deal]:
        """The same deal with its cards in every order."""
        return [Deal(cards, self.target) for cards in sorted(set(itertools.permutations(self.cards)))]


@lru_cache(maxsize=8)
def deals(cards: int, target: int, largest: int) -> tuple[Deal, ...]:
    """Every hand of so many cards, with every target that all its cards reach by either rule."""
    hands = itertools.combinations_with_replacement(CARDS, cards)
    every = (Deal(hand, value) for hand in hands for value in range(target, largest + 1))
    return tuple(deal for deal in every if all(is_solvable(deal.numbers(rule), deal.target) for rule in FACES))


def expert_law(deal: Deal, rule: Rule, right_answers: int | None, error: float) -> Mapping[str, float]:
    """p_D(. | prompt): one of the shortest right expressions with probability 1 - `error`, else the near miss of one.

    >>> expert_law(Deal(("Q", "2"), 24), "ranks", 1, 0.25)
    {'12*2': 0.75, '12/2': 0.25}
    """
    right = solutions(tuple(sorted(deal.numbers(rule))), deal.target)[:right_answers]
    return erring_law(right, error, lambda text: near_miss(text, SIGNS, evaluate_bracketed))


def build_cards(name: str, options: CardsOptions, seed: int) -> Task:
    """The task `name` with these options; `seed` draws the prompts unless the options have a seed of their own.

    Raises RecipeError if the held-out deals leave none to train on, a shift leaves none to measure on, or for more
    demonstrations than training prompts.
    """
    rng = np.random.default_rng(seed if options.seed is None else options.seed)
    heldout, train = _split(name, options, rng)
    measured = OTHER[options.rule] if options.shift else options.rule
    reward = build_reward("cards")
    examples = build_examples([[_row(deal, options.rule, options)] for deal in train], reward)
    return Task(
        name=name,
        train=with_demonstrations(examples, options.demonstrations, name),
        heldout=build_examples([[_row(deal, measured, options)] for deal in heldout], reward),
        reward=reward,
        expert_is_known=True,
        fresh_draws=True,
        max_response_tokens=longest_expression(options.cards) + 1,
    )


def longest_expression(cards: int) -> int:
    """Characters of numbers of two digits, the operators between them, and brackets around all but the last two."""
    return 2 * cards + (cards - 1) + 2 * (cards - 2)


def _split(name: str, options: CardsOptions, rng: np.random.Generator) -> tuple[list[Deal], list[Deal]]:
    """Deals to measure on, and to train on in every order; the same deals whether the rule shifts or not."""
    pool = deals(options.cards, options.target, options.largest)
    if options.heldout >= len(pool):
        found = f"{options.heldout} of {len(pool)} deals"
        raise RecipeError(f"task {name!r}: heldout must leave deals to train on. Got {found}. Raise largest_target.")
    drawn = [pool[i] for i in rng.permutation(len(pool)).tolist()]
    heldout = [deal.orders[rng.integers(len(deal.orders))] for deal in drawn[: options.heldout]]
    orders = [order for deal in drawn[options.heldout :] for order in deal.orders]
    train = [orders[i] for i in rng.permutation(len(orders)).tolist()[: options.train_prompts or MOST_TRAIN_PROMPTS]]
    asked = [deal for deal in heldout if deal.has_face or not options.shift]
    if not asked:
        raise RecipeError(
            f"task {name!r}: shift must leave held-out deals with a face card. Got none of {options.heldout}. "
            "Raise heldout."
        )
    return asked, train


def _row(deal: Deal, rule: Rule, options: CardsOptions) -> Row:
    law = expert_law(deal, rule, options.right_answers, options.expert_error)
    columns = {"numbers": list(deal.numbers(rule)), "target": deal.target}
    return Row(deal.prompt(rule, options.rule_in_prompt), law, None, columns)
