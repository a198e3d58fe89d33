"""What is known of the policy that RL starts from, as a finite problem: the expert's responses one by one, the rest in
lumps by reward."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from interlace.estimate import Unresolved
from interlace.forecasting.pass_rates import NODES, PassRates, deconvolved
from interlace.measurement import HeldOut, PromptScores
from interlace.theory.finite import FiniteProblem

MOST_REWARDS = 12
"""Different rewards up to which the responses that are not the expert's are lumped by reward."""
DRAWS = 4
"""Pass rates that stand for one prompt where the reward was sampled: strata of its posterior."""

PerRow = Float[np.ndarray, "row slot"]


@dataclass(frozen=True, eq=False)
class Start:
    """The start of RL on a task's held-out prompts.

    `problem` has `draws` rows a prompt, one after the other: more than one where pass rates are known by samples only,
    so that what is not linear in them is averaged over what they may be. Slots are the expert's responses, then lumps
    of all others by reward. `pass_rates`: the law that the samples tell of; None where the law of reward was
    enumerated.
    """

    held: HeldOut
    scores: PromptScores
    problem: FiniteProblem
    draws: int
    pass_rates: PassRates | None

    @property
    def pass_rates_are_exact(self) -> bool:
        """Whether the law of reward was enumerated."""
        return self.pass_rates is None

    @cached_property
    def at_nodes(self) -> FiniteProblem:
        """Of a sampled start: the problem with a row for each of the `NODES` pass rates that a prompt may have."""
        assert self.pass_rates is not None
        return _with_rates(_expert_slots(self.held, self.scores), self.pass_rates.at_nodes)

    def through_law(self, rows: Float[np.ndarray, "node_row"]) -> Float[np.ndarray, "prompt"]:
        """What each prompt adds to the mean of values by what its samples tell of the others' pass rates.

        `rows`: the values at the rows of `at_nodes`. To be added to `per_prompt` wherever the scatter over prompts
        makes an interval; the mean is 0.
        """
        assert self.pass_rates is not None
        return self.pass_rates.through_law_of_nodes(rows.reshape(self.held.num_prompts, NODES))

    def per_prompt(self, rows: Float[np.ndarray, "*time row"]) -> Float[np.ndarray, "*time prompt"]:
        """Values of rows as means of their prompts."""
        return rows.reshape(*rows.shape[:-1], self.held.num_prompts, self.draws).mean(axis=-1)

    @property
    def expert_reward(self) -> float:
        """R_D, reward units."""
        return self.problem.expert_reward

    @property
    def reward_range(self) -> tuple[float, float]:
        """E_x min r and E_x max r over the responses that policy or expert can give, reward units."""
        allowed = self.problem.support | (self.problem.expert > 0.0)
        least, most = (np.where(allowed, self.problem.reward, beyond) for beyond in (np.inf, -np.inf))
        return float(least.min(axis=-1).mean()), float(most.max(axis=-1).mean())

    @property
    def is_binary(self) -> bool:
        """Whether every reward is 0 or 1, as A11 and the group-normalised path need."""
        return bool(np.isin(self.problem.reward, (0.0, 1.0)).all())

    @property
    def other_mass(self) -> Float[np.ndarray, "prompt"]:
        """The reference's mass on responses that the expert never gives, prompt by prompt."""
        return self.per_prompt(np.where(self.problem.expert > 0.0, 0.0, self.problem.reference).sum(axis=-1))


def start_of(held: HeldOut, scores: PromptScores, draws: int = DRAWS) -> Start | Unresolved:
    """The start of RL from what was measured of it; Unresolved with the reason where it does not tell enough.

    Needs the expert's log-probabilities and the law of the reward, enumerated or sampled. Sampled rewards must be 0
    or 1:
    pass rates are deconvolved from the samples (`deconvolved`), between the mass of the expert's own right
    responses, which is known, and what its wrong ones leave.
    """
    refusal = _missing(held, scores)
    if refusal is not None:
        return refusal
    expert = _expert_slots(held, scores)
    if scores.reward_is_exact:
        return _enumerated(held, scores, expert)
    assert scores.reward_values is not None
    if not np.isin(scores.reward_values, (0.0, 1.0)).all():
        return Unresolved("sampled rewards other than 0 and 1: their law cannot be told from a few samples a prompt")
    return _sampled(held, scores, expert, draws)


@dataclass(frozen=True, eq=False)
class _Slots:
    """The expert's responses as tables, one row a prompt."""

    reference: PerRow
    expert: PerRow
    reward: PerRow

    def mass_at(self, value: float) -> Float[np.ndarray, "row"]:
        """The reference's mass on the expert's responses that earn `value`."""
        return np.where((self.reward == value) & (self.expert > 0.0), self.reference, 0.0).sum(axis=-1)

    def repeated(self, times: int) -> _Slots:
        """Each row `times` times."""
        return _Slots(*(np.repeat(table, times, axis=0) for table in (self.reference, self.expert, self.reward)))


def _missing(held: HeldOut, scores: PromptScores) -> Unresolved | None:
    if not held.prompt.size:
        return Unresolved(f"task {held.task} has no expert responses")
    if np.isnan(held.reward).all() and scores.reward_values is None:
        return Unresolved(
            f"task {held.task} has no reward that RL could follow: say which, such as "
            "rows.jsonl:reward=exact_match with a "
            "column `answer`"
        )
    if scores.expert_logprobs is None or scores.reward_values is None:
        return Unresolved("SFT loss and reward of the start were not both measured")
    if not np.isfinite(held.reward).all():
        return Unresolved(f"the expert's responses of task {held.task} have no rewards")
    return None


def _expert_slots(held: HeldOut, scores: PromptScores) -> _Slots:
    assert scores.expert_logprobs is not None
    column = np.arange(held.prompt.size) - np.searchsorted(held.prompt, held.prompt)  # pairs stand prompt by prompt
    shape = held.num_prompts, int(column.max()) + 1
    tables = []
    for values in (np.exp(scores.expert_logprobs), held.probability, held.reward):
        table = np.zeros(shape)
        table[held.prompt, column] = values
        tables.append(table)
    return _Slots(*tables)


def _enumerated(held: HeldOut, scores: PromptScores, expert: _Slots) -> Start | Unresolved:
    values, chances = scores.reward_values, scores.reward_probabilities
    assert values is not None and chances is not None
    distinct = np.unique(values)
    if distinct.size > MOST_REWARDS:
        return Unresolved(f"{distinct.size} different rewards: at most {MOST_REWARDS} can be lumped")
    lumps = np.stack([np.where(values == value, chances, 0.0).sum(axis=-1) for value in distinct], axis=-1)
    others = lumps - np.stack([expert.mass_at(value) for value in distinct.tolist()], axis=-1)
    return Start(held, scores, _problem(expert, others, distinct), 1, None)


def _sampled(held: HeldOut, scores: PromptScores, expert: _Slots, draws: int) -> Start:
    rewards = scores.reward_values
    assert rewards is not None
    low, high = expert.mass_at(1.0), 1.0 - expert.mass_at(0.0)
    rates = deconvolved(rewards.sum(axis=-1), rewards.shape[1], low, np.maximum(low, high))
    return Start(held, scores, _with_rates(expert, rates.draws(draws)), draws, rates)


def _with_rates(expert: _Slots, rates: Float[np.ndarray, "prompt draw"]) -> FiniteProblem:
    """A row for each of a prompt's pass rates."""
    rows, rate = expert.repeated(rates.shape[1]), rates.ravel()
    others = np.stack([1.0 - rate - rows.mass_at(0.0), rate - rows.mass_at(1.0)], axis=-1)
    return _problem(rows, others, np.array([0.0, 1.0]))


def _problem(expert: _Slots, others: PerRow, rewards: Float[np.ndarray, "lump"]) -> FiniteProblem:
    """Expert slots and lumps side by side; rounding and other spellings in tokens may leave a lump below 0."""
    reference = np.column_stack([expert.reference, np.maximum(others, 0.0)])
    rows = len(reference)
    return FiniteProblem(
        prompts=np.full(rows, 1.0 / rows),
        reference=reference / reference.sum(axis=-1, keepdims=True),
        expert=np.pad(expert.expert, ((0, 0), (0, rewards.size))),
        reward=np.column_stack([expert.reward, np.tile(rewards, (rows, 1))]),
    )
