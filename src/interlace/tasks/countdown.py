"""countdown: reach a target with three numbers and + - *; several answers are right, the expert's law is known.

Brackets and division are left out, so that all 75 expressions of a prompt can be listed and the reward is exact.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field

from interlace.errors import RecipeError
from interlace.options import Options
from interlace.rewards import build_reward
from interlace.rewards.expressions import OPERATORS, evaluate, expressions
from interlace.tasks import near_misses
from interlace.tasks.base import Task
from interlace.tasks.demonstrations import with_demonstrations
from interlace.tasks.near_misses import erring_law
from interlace.tasks.rows import Row, build_examples

NUM_NUMBERS = 3


class CountdownOptions(Options):
    """Options of the task countdown."""

    largest: int = Field(default=9, ge=2, le=20)
    """The three numbers of a prompt lie between 1 and this; the same may come twice."""
    largest_target: int = Field(default=99, ge=1)
    """Targets lie between 1 and this, and are none of the numbers."""
    needed: int = Field(default=NUM_NUMBERS, ge=2, le=NUM_NUMBERS)
    """How many of the numbers a target may need: 2 keeps the targets that two of them reach, which are easier."""
    expert_error: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that the expert writes a near miss: a right expression with its last operator replaced by the next
    of + - * that makes it wrong."""
    right_answers: int | None = Field(default=None, ge=1)
    """How many of the right expressions the expert writes, those with the fewest characters first, all equally likely;
    null: all of them. The reward takes all in any case."""
    heldout: int = Field(default=512, ge=1)
    """How many problems are measured on, each in one order of its numbers, and trained on in none."""
    train_prompts: int | None = Field(default=None, ge=1)
    """Most prompts to train on; null: all that remain."""
    demonstrations: int | None = Field(default=None, ge=1)
    """How many of the training prompts have expert responses: what is imitated; RL samples all. null: all have."""
    seed: int | None = Field(default=None, ge=0)
    """Draws the prompts of both splits; null: the run's seed."""


@dataclass(frozen=True)
class Problem:
    """Numbers, and a target that `right` of their expressions reach.

    >>> Problem((2, 3, 5), 17).prompt, Problem((2, 3, 5), 17).right
    ('2,3,5>17=', ('2+3*5', '2+5*3', '3*5+2', '5*3+2'))
    """

    numbers: tuple[int, ...]
    target: int

    @property
    def prompt(self) -> str:
        """The problem as text."""
        return f"{','.join(map(str, self.numbers))}>{self.target}="

    @cached_property
    def right(self) -> tuple[str, ...]:
        """Every expression that reaches the target, the shortest first."""
        found = (text for text in expressions(self.numbers) if evaluate(text) == self.target)
        return tuple(sorted(found, key=lambda text: (len(text), text)))

    @property
    def orders(self) -> list[Problem]:
        """The same problem with its numbers in every order."""
        return [Problem(numbers, self.target) for numbers in sorted(set(itertools.permutations(self.numbers)))]


def near_miss(right: str) -> str:
    """`right` with its last operator replaced by the next of + - * (after * comes +) that changes its value.

    >>> near_miss("2+3*5"), near_miss("2*2")
    ('2+3+5', '2-2')
    """
    return near_misses.near_miss(right, OPERATORS, evaluate)


def problems(largest: int, largest_target: int, needed: int = NUM_NUMBERS) -> list[Problem]:
    """Every problem of three numbers in ascending order that `needed` of them solve, by numbers and target."""
    found = []
    for numbers in itertools.combinations_with_replacement(range(1, largest + 1), NUM_NUMBERS):
        texts = (text for chosen in itertools.combinations(numbers, needed) for text in expressions(chosen))
        values = {value for text in texts if (value := evaluate(text)) is not None}
        reached = sorted(value for value in values - set(numbers) if 1 <= value <= largest_target)
        found += [Problem(numbers, value) for value in reached]
    return found


def build_countdown(name: str, options: CountdownOptions, seed: int) -> Task:
    """The task `name` with these options; `seed` draws the prompts unless the options have a seed of their own.

    Raises RecipeError if the held-out prompts leave none to train on, or for more demonstrations than training prompts.
    """
    rng = np.random.default_rng(seed if options.seed is None else options.seed)
    pool = problems(options.largest, options.largest_target, options.needed)
    if options.heldout >= len(pool):
        found = f"{options.heldout} of {len(pool)} problems"
        raise RecipeError(f"task {name!r}: heldout must leave prompts to train on. Got {found}. Raise largest.")
    drawn = [pool[i] for i in rng.permutation(len(pool)).tolist()]
    heldout = [problem.orders[rng.integers(len(problem.orders))] for problem in drawn[: options.heldout]]
    train = [order for problem in drawn[options.heldout :] for order in problem.orders]
    train = [train[i] for i in rng.permutation(len(train)).tolist()[: options.train_prompts]]
    reward = build_reward("countdown")
    examples = build_examples([[_row(problem, options)] for problem in train], reward)
    return Task(
        name=name,
        train=with_demonstrations(examples, options.demonstrations, name),
        heldout=build_examples([[_row(problem, options)] for problem in heldout], reward),
        reward=reward,
        lenient_reward=build_reward("lenient_countdown"),
        expert_is_known=True,
        fresh_draws=True,
        max_response_tokens=len(str(options.largest)) * NUM_NUMBERS + NUM_NUMBERS,
    )


def _row(problem: Problem, options: CountdownOptions) -> Row:
    law = erring_law(problem.right[: options.right_answers], options.expert_error, near_miss)
    return Row(problem.prompt, law, None, {"numbers": list(problem.numbers), "target": problem.target})
