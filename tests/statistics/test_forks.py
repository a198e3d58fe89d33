"""Parts of a change by forks (B8, C10) against quadratics, whose drift and diffusion are known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from interlace.estimate import Estimate
from interlace.statistics.forks import ArmValues, ForkValues, part_figures, rate_figures

PROMPTS, DIMENSION = 40, 5


@dataclass(frozen=True)
class Quadratics:
    """One a prompt: g.d + d^T H d / 2, H indefinite, and updates of a given mean and covariance."""

    gradients: np.ndarray
    hessians: np.ndarray
    mean: np.ndarray
    root: np.ndarray
    """A root of the covariance."""

    @classmethod
    def drawn(cls, rng: np.random.Generator, prompts: int = PROMPTS) -> Quadratics:
        bent = rng.normal(size=(prompts, DIMENSION, DIMENSION)) + 2.0 * np.eye(DIMENSION)
        root = rng.normal(size=(DIMENSION, DIMENSION)) / 4.0
        return cls(rng.normal(size=(prompts, DIMENSION)), bent + bent.transpose(0, 2, 1), rng.normal(size=5) / 4, root)

    def __call__(self, update: np.ndarray) -> np.ndarray:
        return self.gradients @ update + np.einsum("i,pij,j->p", update, self.hessians, update) / 2.0

    def updates(self, rng: np.random.Generator, count: int, *, mean: np.ndarray | None = None) -> np.ndarray:
        return (self.mean if mean is None else mean) + rng.normal(size=(count, DIMENSION)) @ self.root.T

    @property
    def diffusion(self) -> float:
        """tr(H Cov) / 2, a mean over prompts."""
        return float(np.einsum("pij,ji->p", self.hessians, self.root @ self.root.T).mean() / 2.0)

    def arm(self, updates: np.ndarray) -> ArmValues:
        without = [np.delete(updates, i, axis=0).mean(axis=0) for i in range(len(updates))]
        return ArmValues(
            np.stack([self(update) for update in updates]),
            self(updates.mean(axis=0)),
            np.stack(list(map(self, without))),
        )


def test_B8_drift_and_diffusion_are_unbiased_and_covered() -> None:
    """5,000 experiments of 4 forks: means within Monte Carlo error of the closed form, intervals at their level."""
    rng = np.random.default_rng(0)
    world = Quadratics.drawn(rng)
    drift, diffusion = world(world.mean).mean(), world.diffusion
    values = np.zeros((5000, 2))
    for row in values:
        parts, _ = ForkValues(np.zeros(PROMPTS), world.arm(world.updates(rng, 4))).parts()
        row[:] = parts["drift"].mean(), parts["diffusion"].mean()
    error = 4.0 * values.std(axis=0) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - [drift, diffusion]) < error)


@pytest.mark.parametrize("count", [4, 8])
def test_intervals_over_forks_and_prompts_cover(count: int) -> None:
    """Prompts are drawn anew each time: the truth is that of all prompts. At least .93 of 1,000 (.95 wished)."""
    rng = np.random.default_rng(count)
    world = Quadratics.drawn(rng, prompts=2000)
    truth = {"drift": float(world(world.mean).mean()), "diffusion": world.diffusion}
    hits = dict.fromkeys(truth, 0)
    for _ in range(1000):
        drawn = rng.integers(2000, size=PROMPTS)
        few = Quadratics(world.gradients[drawn], world.hessians[drawn], world.mean, world.root)
        figures = part_figures(ForkValues(np.zeros(PROMPTS), few.arm(few.updates(rng, count))), unit="nats")
        for name, value in truth.items():
            figure = figures[name]
            hits[name] += not isinstance(figure, Estimate) or figure.covers(value)  # a refusal is not wrong
    assert min(hits.values()) >= 930, hits


@pytest.mark.parametrize("trace", [0.0, -0.5])
def test_a_diffusion_that_is_none_is_not_called_positive(trace: float) -> None:
    """Curvatures of both signs: tr(H Cov) = 0 or below. At most 5 % of 400 say above 0 (2.5 % wished)."""
    rng = np.random.default_rng(9)
    bent = np.diag([2.0, -2.0, 1.0, -1.0, trace])
    world = Quadratics(np.zeros((PROMPTS, 5)), np.stack([bent] * PROMPTS), np.zeros(5), np.eye(5))
    arms = (world.arm(world.updates(rng, 4)) for _ in range(400))
    found = [part_figures(ForkValues(np.zeros(PROMPTS), arm), unit="nats")["diffusion"] for arm in arms]
    assert sum(figure.sign > 0 for figure in found) <= 20


def test_C10_parts_add_up_to_the_change() -> None:
    rng = np.random.default_rng(1)
    world = Quadratics.drawn(rng)
    own, placebo = (world.arm(world.updates(rng, 5, mean=mean)) for mean in (world.mean, np.zeros(DIMENSION)))
    change = world(world.updates(rng, 1)[0])
    figures = part_figures(ForkValues(np.zeros(PROMPTS), own, placebo, change), unit="nats")
    value = {name: figure.value for name, figure in figures.items() if isinstance(figure, Estimate)}
    names = ("drift_by_reward", "reward_free_drift", "diffusion", "unresolved")
    assert sum(value[name] for name in names) == pytest.approx(value["change"], abs=1e-12)
    assert value["drift_by_reward"] + value["reward_free_drift"] == pytest.approx(value["drift"], abs=1e-12)
    assert value["change"] == pytest.approx(change.mean(), abs=1e-12)


def test_C10_a_placebo_without_drift_leaves_all_of_it_to_the_reward() -> None:
    """Over 2,000 experiments the reward-free drift of a placebo with mean 0 averages to 0."""
    rng = np.random.default_rng(2)
    world = Quadratics.drawn(rng)
    found = []
    for _ in range(2000):
        own, placebo = (world.arm(world.updates(rng, 3, mean=mean)) for mean in (world.mean, np.zeros(DIMENSION)))
        parts, _ = ForkValues(np.zeros(PROMPTS), own, placebo).parts()
        found.append(parts["reward_free_drift"].mean())
    assert abs(np.mean(found)) < 4.0 * np.std(found) / np.sqrt(len(found))


def test_a_stage_that_is_a_placebo_has_no_drift_by_reward() -> None:
    rng = np.random.default_rng(3)
    world = Quadratics.drawn(rng)
    figures = part_figures(
        ForkValues(np.zeros(PROMPTS), world.arm(world.updates(rng, 3))), unit="nats", is_placebo=True
    )
    assert figures["drift_by_reward"] != figures["reward_free_drift"] == figures["drift"]
    assert isinstance(figures["drift_by_reward"], Estimate) and figures["drift_by_reward"].value == 0.0


def test_without_a_placebo_or_a_run_nothing_is_said_of_them() -> None:
    rng = np.random.default_rng(4)
    world = Quadratics.drawn(rng)
    figures = part_figures(ForkValues(np.zeros(PROMPTS), world.arm(world.updates(rng, 4))), unit="nats")
    assert set(figures) == {"drift", "diffusion"}


def test_diffusion_per_step_of_a_random_walk_does_not_grow_and_of_momentum_does() -> None:
    """Noise of n steps has n times the covariance; with momentum, more than that."""
    rng = np.random.default_rng(5)
    world = Quadratics.drawn(rng)

    def arms(growth: float) -> tuple[ArmValues, ArmValues]:
        noise = rng.normal(size=(16, 2, DIMENSION)) @ world.root.T
        short = 0.1 * noise[:, 0]
        return world.arm(short), world.arm(short + growth * noise[:, 1])

    rate, growth = rate_figures(*arms(0.1), (10, 20), unit="nats per step")
    assert isinstance(rate, Estimate) and growth.sign == 0
    assert rate.covers(0.01 * world.diffusion / 10)
    _, growth = rate_figures(*arms(1.0), (10, 20), unit="nats per step")
    assert growth.sign > 0
