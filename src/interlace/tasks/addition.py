"""addition: sums of numbers, answered by an expert who errs in a known way with a known probability.

Everything about this expert is known: the probability of each response, hence its reward and its entropy. With
`styles: 2` and `expert_error: 0` it is perfect and still has a choice, between two texts of equal reward: what RL then
does to the choice is no matter of the reward (D3). An erring expert, too, writes independently of what it writes: its
entropy, the least SFT loss, is that of the digits and that of the style, of which the reward sees the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Int
from pydantic import Field, model_validator

from interlace.options import Options
from interlace.rewards import build_reward
from interlace.tasks.base import Task
from interlace.tasks.demonstrations import with_demonstrations
from interlace.tasks.rows import Row, build_examples

ErrorKind: TypeAlias = Literal["forget_carry", "off_by_one", "random_digit"]

MOST_TRAIN_PROMPTS = 20_000
"""Training prompts, if `train_prompts` does not say: all sums of two two-digit numbers, a sample of longer ones."""


class AdditionOptions(Options):
    """Options of the task addition."""

    digits: int = Field(default=2, ge=1, le=9)
    """Digits of each number in the prompt; smaller numbers are padded with zeros."""
    operands: int = Field(default=2, ge=2, le=9)
    """How many numbers are added. digits x operands is at most 18."""
    expert_error: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that the expert errs. An error that changes nothing (no carry to forget) leaves the answer right."""
    error_kind: ErrorKind = "forget_carry"
    """What an erring expert writes. forget_carry: no column's carry is added to the next, and the first is written in
    full. off_by_one: the last digit is one too high (9 becomes 0). random_digit: one digit is replaced by another, all
    equally likely."""
    styles: Literal[1, 2] = 1
    """Accepted ways of writing. 1: the digits alone. 2: also with `mark` before them, which earns the same reward."""
    mark: str = Field(default="#", min_length=1, max_length=40, pattern=r"^[^0-9]*$")
    """What the second style puts before the digits: any text without digits, a sentence too."""
    style_share: float = Field(default=0.8, ge=0.0, le=1.0)
    """With two styles: the probability that the expert writes the digits alone, whether it errs or not."""
    heldout: int = Field(default=512, ge=1)
    """How many prompts are measured on and never trained on."""
    train_prompts: int | None = Field(default=None, ge=1)
    """Most prompts to train on; null: all that remain, at most 20 000."""
    demonstrations: int | None = Field(default=None, ge=1)
    """How many of the training prompts have expert responses: what is imitated; RL samples all. null: all have."""
    seed: int | None = Field(default=None, ge=0)
    """Draws the prompts of both splits; null: the run's seed."""

    @model_validator(mode="after")
    def _fits(self) -> AdditionOptions:
        if self.digits * self.operands > 18:
            raise ValueError(f"digits x operands must be at most 18. Got {self.digits * self.operands}. Lower one.")
        if self.heldout >= self.num_sums:
            found = f"{self.heldout} of {self.num_sums} sums"
            raise ValueError(f"heldout must leave prompts to train on. Got {found}. Lower it, or add digits.")
        return self

    @property
    def num_sums(self) -> int:
        """How many different prompts there are."""
        return int(10 ** (self.digits * self.operands))


@dataclass(frozen=True, slots=True)
class Sum:
    """Numbers to add, each of `digits` digits at most. Responses are written last digit first, all equally long.

    >>> Sum((27, 58), 2).prompt, Sum((27, 58), 2).answer
    ('27+58=', '580')
    """

    numbers: tuple[int, ...]
    digits: int

    @property
    def prompt(self) -> str:
        """The task as text, numbers padded with zeros."""
        return "+".join(f"{number:0{self.digits}d}" for number in self.numbers) + "="

    @property
    def answer(self) -> str:
        """The right response."""
        return self.written(sum(self.numbers))

    def written(self, value: int) -> str:
        """`value` as a response: reversed, padded to the digits of the greatest sum."""
        return f"{value:0{response_digits(self.digits, len(self.numbers))}d}"[::-1]


def response_digits(digits: int, operands: int) -> int:
    """Digits of the greatest sum of `operands` numbers of `digits` digits."""
    return len(str(operands * (10**digits - 1)))


def forget_carry(problem: Sum) -> dict[str, float]:
    """Columns added one by one, no carry passed on; the first column is written in full.

    >>> forget_carry(Sum((27, 58), 2)), forget_carry(Sum((70, 58), 2))
    ({'570': 1.0}, {'821': 1.0})
    """
    columns = [sum(number // 10**place % 10 for number in problem.numbers) for place in range(problem.digits)]
    written = [column % 10 for column in columns[:-1]] + columns[-1:]
    return {problem.written(sum(digit * 10**place for place, digit in enumerate(written))): 1.0}


def off_by_one(problem: Sum) -> dict[str, float]:
    """The last digit, which is written first, is one too high modulo 10.

    >>> off_by_one(Sum((27, 58), 2))
    {'680': 1.0}
    """
    return {str((int(problem.answer[0]) + 1) % 10) + problem.answer[1:]: 1.0}


def random_digit(problem: Sum) -> dict[str, float]:
    """One digit replaced by another: 9 wrong responses for each digit of the answer, equally likely."""
    answer = problem.answer
    replaced = [answer[:i] + other + answer[i + 1 :] for i in range(len(answer)) for other in "0123456789"]
    wrong = [text for text in replaced if text != answer]
    return dict.fromkeys(wrong, 1.0 / len(wrong))


ERRORS: dict[ErrorKind, Callable[[Sum], dict[str, float]]] = {
    "forget_carry": forget_carry,
    "off_by_one": off_by_one,
    "random_digit": random_digit,
}
"""Each kind of error: what the expert writes when it errs, with probabilities that sum to 1."""


def expert_law(problem: Sum, error: float, kind: ErrorKind) -> Mapping[str, float]:
    """p_D(. | prompt): the right answer with probability 1 - `error`, else an error of this kind; equal texts merged.

    >>> expert_law(Sum((27, 58), 2), 0.25, "forget_carry"), expert_law(Sum((21, 58), 2), 0.25, "forget_carry")
    ({'580': 0.75, '570': 0.25}, {'970': 1.0})
    """
    law: dict[str, float] = defaultdict(float)
    law[problem.answer] += 1.0 - error
    for text, probability in ERRORS[kind](problem).items():
        law[text] += error * probability
    return {text: probability for text, probability in law.items() if probability > 0.0}


def in_styles(law: Mapping[str, float], plain: float, mark: str) -> dict[str, float]:
    """`law` where each text is written as it is with probability `plain`, else with the mark before it.

    >>> in_styles({"580": 1.0}, 0.75, "#")
    {'580': 0.75, '#580': 0.25}
    """
    written = {text: plain * probability for text, probability in law.items()}
    marked = {mark + text: (1.0 - plain) * probability for text, probability in law.items()}
    return {text: probability for text, probability in (written | marked).items() if probability > 0.0}


def build_addition(name: str, options: AdditionOptions, seed: int) -> Task:
    """The task `name` with these options; `seed` draws the prompts unless the options have a seed of their own.

    The reward is strict (no white space is forgiven), so that the expected reward is the probability of the accepted
    texts.

    Raises RecipeError for more demonstrations than training prompts.
    """
    rng = np.random.default_rng(seed if options.seed is None else options.seed)
    heldout = rng.choice(options.num_sums, options.heldout, replace=False)
    remaining = options.num_sums - options.heldout
    count = min(remaining, options.train_prompts or MOST_TRAIN_PROMPTS)
    train = _stepping_over(heldout, rng.choice(remaining, count, replace=False))
    reward = build_reward({"kind": "exact_match", "strip": False})
    examples = build_examples([[_row(int(index), options)] for index in train], reward)
    return Task(
        name=name,
        train=with_demonstrations(examples, options.demonstrations, name),
        heldout=build_examples([[_row(int(index), options)] for index in heldout], reward),
        reward=reward,
        lenient_reward=build_reward("lenient_match"),
        expert_is_known=True,
        fresh_draws=True,
        max_response_tokens=response_digits(options.digits, options.operands) + 1 + mark_characters(options),
    )


def mark_characters(options: AdditionOptions) -> int:
    """By how many characters the longer style is longer."""
    return len(options.mark) if options.styles == 2 else 0


def _row(index: int, options: AdditionOptions) -> Row:
    """Sum number `index`, whose digits are those of its numbers in a row."""
    base = 10**options.digits
    problem = Sum(tuple(index // base**place % base for place in reversed(range(options.operands))), options.digits)
    law = expert_law(problem, options.expert_error, options.error_kind)
    if options.styles == 1:
        return Row(problem.prompt, law, None, {"answer": problem.answer})
    accepted = [problem.answer, options.mark + problem.answer]
    return Row(problem.prompt, in_styles(law, options.style_share, options.mark), None, {"answer": accepted})


def _stepping_over(taken: Int[np.ndarray, "taken"], indices: Int[np.ndarray, "index"]) -> Int[np.ndarray, "index"]:
    """The `indices`-th of the numbers 0, 1, 2, ... that are not `taken`.

    >>> _stepping_over(np.array([3, 0]), np.array([0, 1, 2])).tolist()
    [1, 2, 4]
    """
    gaps = np.sort(taken) - np.arange(len(taken))
    return indices + np.searchsorted(gaps, indices, side="right")
