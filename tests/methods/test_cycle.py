"""The cycle: on policies that are tables, where an update of either side is what D11 says, or is that and a damage."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from interlace.controllers import Sighting
from interlace.encoding import dumps
from interlace.measurement import HeldOut, PromptScores
from interlace.methods import Method, Plan, build_method
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier import joint_optimum, regret

PLAN = Plan("t", "t", 1000, 2, 2, 32, 0)


def problem_of(seed: int = 0, num_prompts: int = 24) -> FiniteProblem:
    """Five responses: rewards 0 and 1, all given by the expert."""
    rng = np.random.default_rng(seed)
    expert, reference = (rng.dirichlet(np.full(5, 1.5), num_prompts) for _ in range(2))
    reward = np.tile([1.0, 0.0, 1.0, 0.0, 0.0], (num_prompts, 1))
    return FiniteProblem(np.full(num_prompts, 1.0 / num_prompts), 0.7 * expert + 0.3 * reference, expert, reward)


def held_out(problem: FiniteProblem, known: bool = True) -> HeldOut:
    prompts, responses = problem.expert.shape
    places, ones = np.repeat(np.arange(prompts), responses), np.ones(prompts * responses, dtype=np.int64)
    return HeldOut("t", prompts, places, problem.expert.ravel(), problem.reward.ravel(), ones, known)


def scores_of(problem: FiniteProblem, policy: np.ndarray) -> PromptScores:
    rate = (policy * problem.reward).sum(axis=1)
    values = np.tile([0.0, 1.0], (len(rate), 1))
    return PromptScores(np.log(policy).ravel(), values, np.stack([1.0 - rate, rate], axis=1), True)


def normalised(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum(axis=1, keepdims=True)


@dataclass
class World:
    """A policy that a method trains, one update of h or of s after another; `damage`: what RL does beside the tilt."""

    method: Method
    problem: FiniteProblem
    h: float
    s: float
    every: int = 10
    known: bool = True
    damage: Callable[[np.ndarray], np.ndarray] = lambda policy: policy
    step: int = 0
    policy: np.ndarray = field(init=False)
    sides: str = ""

    def __post_init__(self) -> None:
        self.policy = self.problem.reference

    def train(self, steps: int) -> list[str | None]:
        """What the method said at its looks."""
        said = []
        for _ in range(steps):
            if self.method.weights(self.step).sft:
                self.policy = math.exp(-self.s) * self.policy - math.expm1(-self.s) * self.problem.expert
            else:
                self.policy = self.damage(normalised(self.policy * np.exp(self.h * self.problem.reward)))
            self.sides += "s" if self.method.weights(self.step).sft else "r"
            self.step += 1
            if self.step % self.every == 0:
                said.append(self.method.see(self.sight))
        return said

    def sight(self, task: str, weights: str) -> Sighting | None:
        if weights != "raw":
            return None
        held = held_out(self.problem, self.known)
        start = scores_of(self.problem, self.problem.reference)
        return Sighting(self.step, held, start, scores_of(self.problem, self.policy))

    @property
    def ratio(self) -> float:
        return float(self.method.state["ratio"])


def cycle(**options: Any) -> Any:
    return build_method({"name": "cycle", **options}, PLAN)


@pytest.mark.parametrize("ratio", [0.125, 0.3, 1.0, 2.5, 8.0])
def test_single_updates_alternate_in_the_ratio(ratio: float) -> None:
    """At every step as many updates of imitation as its share has added up to, rounded down."""
    method = cycle(begin=ratio)
    is_sft = np.array([method.weights(step).sft == 1.0 for step in range(500)])
    share = ratio / (1.0 + ratio)
    assert np.abs(is_sft.cumsum() - share * np.arange(1, 501)).max() < 1.0 + 1e-9
    assert all(method.weights(step).rl + method.weights(step).sft == 1.0 for step in range(500))


@pytest.mark.parametrize(("exchange_rate", "h", "s"), [(0.5, 0.08, 0.02), (0.5, 0.02, 0.02), (1.5, 0.02, 0.02)])
def test_D11_the_ratio_goes_to_lambda_h_over_s_and_stays_on_the_front(exchange_rate: float, h: float, s: float) -> None:
    """From 1, by looks at reward and SFT loss alone."""
    world = World(cycle(exchange_rate=exchange_rate), problem_of(), h, s)
    assert world.train(200) == [None] * 20
    for _ in range(10):
        world.train(50)
        assert world.ratio == pytest.approx(exchange_rate * h / s, rel=0.07)
    assert world.method.state["pace"] == pytest.approx(h, rel=0.15)


def worst(world: World, exchange_rate: float) -> tuple[float, float]:
    """The largest distance from the joint optimum and the largest regret over the next steps, of both sides."""
    best, distances, regrets = joint_optimum(world.problem, exchange_rate), [], []
    for _ in range(20):
        world.train(1)
        distances.append(float(np.abs(world.policy - best).max()))
        regrets.append(regret(world.problem, world.policy, exchange_rate))
    return max(distances), max(regrets)


def test_D11_it_settles_within_h_of_the_joint_optimum_and_a_wrong_ratio_does_not() -> None:
    """A quarter of h: a quarter of the distance or less, a sixteenth of the regret or less."""
    problem, rate, found = problem_of(num_prompts=48), 0.5, []
    for h in (0.4, 0.1):
        world = World(cycle(exchange_rate=rate, begin=2.0), problem, h, h / 2)
        world.train(int(80 / h))
        found.append(worst(world, rate))
    (long, long_regret), (short, short_regret) = found
    assert long < 0.2 and short < long / 3.5 and short_regret < long_regret / 12.0
    for wrong in (0.5, 2.0):
        fixed = World(cycle(exchange_rate=rate, begin=wrong), problem, 0.1, 0.05, every=10**9)
        fixed.train(800)
        assert worst(fixed, rate)[1] > 40.0 * short_regret


def sharpened(policy: np.ndarray) -> np.ndarray:
    """What RL in a network does beside the tilt: likely responses get likelier, whatever they earn."""
    return normalised(policy**1.03)


def test_where_rl_leaves_the_tilt_imitation_pays_for_it() -> None:
    """The ratio is above lambda h/s = 1, and R - lambda L better than there and than at the largest."""
    problem, rate, h, s = problem_of(), 0.5, 0.04, 0.02
    world = World(cycle(exchange_rate=rate), problem, h, s, damage=sharpened)
    world.train(600)
    assert 1.5 < world.ratio < 6.0
    for begin in (1.0, 8.0):
        fixed = World(cycle(exchange_rate=rate, begin=begin), problem, h, s, every=10**9, damage=sharpened)
        fixed.train(600)
        assert worst(world, rate)[1] < 0.6 * worst(fixed, rate)[1]


def look(world: World, policy: np.ndarray) -> float:
    """rho after ten steps between which the policy went from the start to `policy`."""
    world.policy, world.step = policy, 10
    assert world.method.see(world.sight) is None
    return world.ratio


def test_a_side_that_is_not_seen_turns_the_ratio_by_the_most_there_is() -> None:
    """Away from the expert along the tilt: more imitation. Down the reward towards the expert: more RL. Both: as it
    was."""
    problem = problem_of()
    start, gain = problem.reference, problem.reward
    away = 1.02 * normalised(start * np.exp(0.3 * gain)) - 0.02 * problem.expert
    down = 0.8 * normalised(start * np.exp(-0.1 * gain)) + 0.2 * problem.expert
    both = 1.2 * normalised(start * np.exp(-0.1 * gain)) - 0.2 * problem.expert
    for policy, turned in ((away, 4.0**0.3), (down, 4.0**-0.3), (both, 1.0)):
        assert look(World(cycle(), problem, 0.1, 0.1), policy) == pytest.approx(turned)
    for begin, policy in ((0.125, down), (8.0, away)):  # nine steps of one side, one of the other
        assert look(World(cycle(begin=begin), problem, 0.1, 0.1), policy) == begin


def test_it_goes_on_bit_for_bit_where_it_was() -> None:
    for stop in (7, 10, 35):
        unbroken, broken = (World(cycle(), problem_of(), 0.05, 0.03) for _ in range(2))
        unbroken.train(80)
        broken.train(stop)
        state = json.loads(dumps(broken.method.state))
        broken.method = cycle()
        broken.method.restore(state)
        assert broken.method.state == state
        broken.train(80 - stop)
        assert broken.method.state == unbroken.method.state and broken.sides == unbroken.sides
        assert (broken.policy == unbroken.policy).all()


def test_it_waits_for_a_look_after_updates_of_both_sides() -> None:
    """Looks at every second update, of which RL's are the first, the ninth and the eighteenth."""
    world = World(cycle(begin=7.9, follow=1e-9), problem_of(), 0.2, 0.01, every=2)
    compared = []
    for _ in range(10):
        world.train(2)
        compared.append(world.method.state["since"])
    assert world.sides == "r" + 7 * "s" + "r" + 8 * "s" + "rss"
    assert compared == [2, 2, 2, 2, 10, 10, 10, 10, 18, 18]


def test_prompts_that_judge_do_not_steer() -> None:
    """Looks that differ in every second prompt alone turn the ratio alike."""
    ratios = []
    for judged in (0.0, 0.9):
        world = World(cycle(), problem_of(), 0.05, 0.01)
        world.policy = world.policy.copy()
        world.train(5)
        other = world.policy.copy()
        other[1::2] = (1.0 - judged) * other[1::2] + judged * world.problem.expert[1::2]
        world.policy = other
        world.train(5)
        ratios.append(world.ratio)
    assert ratios[0] == ratios[1] != 1.0


def test_what_the_looks_cannot_tell_is_said_once_and_the_ratio_stays() -> None:
    unknown = World(cycle(begin=2.0), problem_of(), 0.1, 0.1, known=False)
    (first, *rest) = unknown.train(30)
    assert first is not None and first.startswith("cycle keeps 2 updates of imitation for each of RL")
    assert "the expert's own distribution on task t is not known" in first
    assert rest == [None, None] and unknown.ratio == 2.0
    other = World(build_method("cycle", replace(PLAN, task="u")), problem_of(), 0.1, 0.1)
    (first, *rest) = other.train(30)
    assert first is not None and "task t is imitated, task u rewarded" in first
    assert rest == [None, None] and other.ratio == 1.0
    assert cycle().see(lambda task, weights: None) is None


def test_the_average_is_read_where_the_stage_keeps_one() -> None:
    """Unless raw weights are asked for."""
    problem = problem_of()
    for options, moved in (({}, True), ({"weights": "averaged"}, True), ({"weights": "raw"}, False)):
        world = World(cycle(**options), problem, 0.05, 0.01)
        raw = world.sight
        world.train(9)
        world.step = 10
        world.method.see(lambda task, weights, raw=raw: raw(task, "raw") if weights == "averaged" else None)
        assert (world.ratio != 1.0) == moved
