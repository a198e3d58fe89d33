"""How often each interval of `interlace.statistics`, and of forecasts from sampled rewards, covers the truth that made
the data, with Monte Carlo intervals.

    python benchmarks/coverage.py [--repetitions 5000] [--only WORD]

One row an interval, kind of data and n; `mean` is over the row's settings (rates .05 to .95, or sizes of the signal),
`least` the worst of them. A claim fails where its Monte Carlo interval excludes it:

- nominal: 93 to 97 % on average, 90 % at each setting
- exact: 95 % at each setting (anytime-valid ones: over 1,000 looks together)
- honest: 93 % on average and 90 % at each setting, or more
- few: 89 % at each setting or more; changes over 12 to 32 prompts, or carried by 3 of them on average
- gated: honest if what is not printed counts as not wrong (a figure that is refused where the signal is small; `mean`
  and `least` are of what is printed all the same)
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from interlace.estimate import Estimate, Figure
from interlace.forecasting import Curve, Start, best_stop, facts_of, prompt_paths, start_of
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics import (
    RATE_INTERVALS,
    bootstrap_interval,
    bounded_mean_interval,
    cosine,
    cross_product,
    improvement_interval,
    inner_product,
    inner_products,
    interquartile_mean,
    interquartile_mean_interval,
    jackknife_interval,
    left_out_weights,
    mean_interval,
    mean_pass_at_k,
    noise_scale,
    paired_change,
    projection,
    prompt_weights,
    rate_interval,
    sampled_change,
    seed_bootstrap_interval,
    seed_prompt_interval,
    seed_prompt_weights,
    signal_share,
    simultaneous_intervals,
)
from interlace.statistics.forks import ArmValues, ForkValues, part_figures
from interlace.statistics.paired_rates import rate_change_ends
from interlace.statistics.sampled import sampled_difference
from interlace.statistics.sequential import log_capital
from interlace.theory.paths import PathOptions

LEVEL = 0.95
RATES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
PROMPTS = (16, 32, 64, 128, 256, 1000)
LIKENESS = {"equal": 1e6, "unequal": 4.0, "0 or 1": 0.3}
"""a + b of the Beta distribution of pass rates over prompts."""


@dataclass(frozen=True)
class Setting:
    """How many intervals covered, of how many that were printed, of how many repetitions."""

    label: str
    covered: int
    printed: int
    repetitions: int

    @property
    def share(self) -> float:
        return self.covered / self.printed if self.printed else math.nan

    @property
    def of_all(self) -> Setting:
        """What is not printed counts as covered."""
        hidden = self.repetitions - self.printed
        return Setting(self.label, self.covered + hidden, self.repetitions, self.repetitions)

    def monte_carlo(self) -> tuple[float, float]:
        figure = rate_interval(self.covered, self.printed, kind="clopper_pearson", level=0.99)
        return (figure.lower, figure.upper) if isinstance(figure, Estimate) else (0.0, 1.0)


@dataclass(frozen=True)
class Row:
    """An interval on one kind of data and one n."""

    interval: str
    data: str
    size: str
    claim: str
    settings: tuple[Setting, ...]

    @property
    def total(self) -> Setting:
        counts = ((s.covered, s.printed, s.repetitions) for s in self.settings)
        return Setting("mean", *(sum(column) for column in zip(*counts, strict=True)))

    @property
    def least(self) -> Setting:
        """The worst of the settings that are printed in a tenth of the repetitions or more."""
        seen = [s for s in self.settings if s.printed >= 0.1 * s.repetitions]
        return min(seen or [self.total], key=lambda s: s.share)

    @property
    def holds(self) -> bool:
        if self.claim == "gated":
            return replace(self, claim="honest", settings=tuple(s.of_all for s in self.settings)).holds
        low, high = self.total.monte_carlo()
        worst = self.least.monte_carlo()[1]
        if self.claim == "exact":
            return worst >= LEVEL
        if self.claim == "few":
            return worst >= 0.89
        return worst >= 0.90 and high >= 0.93 and (self.claim == "honest" or low <= 0.97)

    def __str__(self) -> str:
        (low, high), least, total = self.total.monte_carlo(), self.least, self.total
        printed, verdict = total.printed / total.repetitions, "holds" if self.holds else "FAILS"
        return (
            f"{self.interval:28} {self.data:24} {self.size:>12}  {total.share:.4f} [{low:.4f}, {high:.4f}]"
            f"  {least.share:.4f} at {least.label:11} {printed:5.0%}  {self.claim:8} {verdict}"
        )


def setting(label: str, figures: Iterable[object], truth: float) -> Setting:
    covered = printed = repetitions = 0
    for figure in figures:
        repetitions += 1
        if isinstance(figure, Estimate):
            printed += 1
            covered += figure.lower <= truth <= figure.upper
    return Setting(label, int(covered), printed, repetitions)


def pass_rates(rng: np.random.Generator, rate: float, likeness: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.beta(rate * likeness, (1 - rate) * likeness, size=shape)


# --------------------------------------------------------------------------------------------------------------- rates


def rates(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for kind, method in RATE_INTERVALS.items():
        ends = cache(lambda right, trials, method=method: method.ends(right, trials, LEVEL))
        for trials in PROMPTS:
            settings = []
            for rate in RATES:
                found = [ends(right, trials) for right in rng.binomial(trials, rate, repetitions).tolist()]
                hits = sum(lower <= rate <= upper for lower, upper in found)
                settings.append(Setting(f"{rate:g}", hits, repetitions, repetitions))
            claim = "exact" if kind == "clopper_pearson" else "nominal"
            yield Row(method.name, "one trial a prompt", f"{trials} prompts", claim, tuple(settings))


def levels(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for name, likeness in LIKENESS.items():
        for prompts in PROMPTS:
            settings = []
            for rate in RATES[::2]:
                rows = rng.binomial(8, pass_rates(rng, rate, likeness, (repetitions, prompts))) / 8
                figures = (bounded_mean_interval(row, 0.0, 1.0, unit="", is_exact=False) for row in rows)
                settings.append(setting(f"{rate:g}", figures, rate))
            yield Row("bounded_mean_interval", f"groups of 8, {name}", f"{prompts} prompts", "nominal", tuple(settings))
            exact = []
            for rate in RATES[::2]:
                rows = pass_rates(rng, rate, likeness, (repetitions, prompts))
                figures = (bounded_mean_interval(row, 0.0, 1.0, unit="", is_exact=True) for row in rows)
                exact.append(setting(f"{rate:g}", figures, rate))
            yield Row("bounded_mean_interval", f"enumerated, {name}", f"{prompts} prompts", "nominal", tuple(exact))


def changes(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    def tilt(passes: np.ndarray) -> np.ndarray:
        return passes * math.e**0.5 / (1 + passes * math.expm1(0.5))

    for name, likeness in LIKENESS.items():
        for prompts in (16, 64, 256, 1000):
            settings, bounded = [], []
            for rate in (0.05, 0.2, 0.5, 0.8, 0.95):
                before = pass_rates(rng, rate, likeness, (repetitions, prompts))
                many = pass_rates(rng, rate, likeness, (1_000_000,))
                pairs = list(zip(rng.binomial(8, before) / 8, rng.binomial(8, tilt(before)) / 8, strict=True))
                truth = float((tilt(many) - many).mean())
                settings.append(setting(f"{rate:g}", (sampled_change(b, a, unit="") for b, a in pairs), truth))
                bounds = (sampled_difference(b, a, unit="").change for b, a in pairs)
                bounded.append(setting(f"{rate:g}", bounds, truth))
            data, size = f"groups of 8, {name}", f"{prompts} prompts"
            yield Row("sampled_change", data, size, "nominal", tuple(settings))
            yield Row("sampled_difference", data, size, "honest", tuple(bounded))


def flips(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for prompts in (16, 64, 256):
        ends = cache(lambda lost, gained, prompts=prompts: rate_change_ends(lost, gained, prompts, LEVEL))
        settings = []
        for lost, gained in ((0.01, 0.01), (0.05, 0.15), (0.2, 0.2), (0.05, 0.6)):
            counts = rng.multinomial(prompts, [lost, gained, 1 - lost - gained], size=repetitions)[:, :2].tolist()
            hits = sum(ends(b, c)[0] <= gained - lost <= ends(b, c)[1] for b, c in counts)
            settings.append(Setting(f"-{lost:g} +{gained:g}", hits, repetitions, repetitions))
        yield Row("rate_change", "paired right or wrong", f"{prompts} prompts", "exact", tuple(settings))


def passes(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for prompts in (16, 64, 256):
        settings = []
        for k in (1, 4, 8):
            right = rng.binomial(8, pass_rates(rng, 0.3, 1.5, (repetitions, prompts)))
            truth = float(1.0 - ((1.0 - pass_rates(rng, 0.3, 1.5, (2_000_000,))) ** k).mean())
            figures = (mean_pass_at_k(row, np.full(prompts, 8), k) for row in right)
            settings.append(setting(f"k = {k}", figures, truth))
        yield Row("mean_pass_at_k", "8 samples", f"{prompts} prompts", "nominal", tuple(settings))


# --------------------------------------------------------------------------------------------------- at every n at once


def looks(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    draws, threshold = 1000, math.log(2 / (1 - LEVEL))
    for data, group, population, horizon in (
        ("right or wrong", 1, None, None),
        ("groups of 8", 8, None, None),
        ("right or wrong, horizon", 1, None, draws),
        ("a fixed set of 1,000", 1, 1000, None),
        ("a fixed set of 2,000", 1, 2000, None),
    ):
        settings = []
        for rate in (0.05, 0.2, 0.5, 0.8, 0.95):
            hits = 0
            for chunk in np.array_split(np.arange(repetitions), max(1, repetitions // 500)):
                values = drawn(rng, rate, group, population, (chunk.size, draws))
                capitals = log_capital(values, np.array([rate]), population=population, horizon=horizon)
                hits += int((np.maximum(*capitals) < threshold).all(axis=(1, 2)).sum())
            settings.append(Setting(f"{rate:g}", hits, repetitions, repetitions))
        yield Row("confidence_sequence", data, "1,000 looks", "exact", tuple(settings))


def drawn(
    rng: np.random.Generator, rate: float, group: int, population: int | None, shape: tuple[int, int]
) -> np.ndarray:
    if population is None:
        return rng.binomial(group, rate, size=shape) / group
    held_out = np.arange(population) < round(rate * population)
    return rng.permuted(np.tile(held_out * 1.0, (shape[0], 1)), axis=1)[:, : shape[1]]


# ------------------------------------------------------------------------------------------------- losses, many figures


def losses(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """Gamma losses of skewness .7, 1 and 1.4, mean 1; ratios of nats to tokens."""
    for prompts in (16, 32, 128, 512):
        weights, left = prompt_weights(rng, prompts, 1000), left_out_weights(prompts)
        student, resampled, ratio = [], [], []
        for shape in (8.0, 4.0, 2.0):
            rows = rng.gamma(shape, 1 / shape, size=(repetitions, prompts))
            student.append(setting(f"Gamma {shape:g}", (mean_interval(row, unit="") for row in rows), 1.0))
            pairs = zip(rows @ weights.T, rows.mean(axis=1).tolist(), strict=True)
            figures = (bootstrap_interval(row, point, num_prompts=prompts, unit="") for row, point in pairs)
            resampled.append(setting(f"Gamma {shape:g}", figures, 1.0))
            tokens = rng.integers(1, 30, size=rows.shape) * 1.0
            nats = 0.2 * tokens + rows
            points = (nats.sum(axis=1) / tokens.sum(axis=1)).tolist()
            values = zip(points, (nats @ left.T) / (tokens @ left.T), strict=True)
            figures = (jackknife_interval(point, [row], unit="") for point, row in values)
            ratio.append(setting(f"Gamma {shape:g}", figures, 0.2 + 1 / 15))
        size = f"{prompts} prompts"
        yield Row("mean_interval", "skewed losses", size, "nominal", tuple(student))
        yield Row("bootstrap_interval", "skewed losses", size, "nominal", tuple(resampled))
        yield Row("jackknife_interval", "nats per token", size, "nominal", tuple(ratio))


def together(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for prompts in (16, 128):
        settings = []
        for alike in (0.0, 0.95):
            hits = 0
            for _ in range(repetitions):
                shared, own = rng.standard_normal(prompts), rng.standard_normal((6, prompts))
                rows = math.sqrt(alike) * shared + math.sqrt(1 - alike) * own
                figures = simultaneous_intervals(rows, rng=rng, unit="", resamples=500)
                hits += all(isinstance(figure, Estimate) and figure.covers(0.0) for figure in figures)
            settings.append(Setting(f"likeness {alike:g}", hits, repetitions, repetitions))
        yield Row("simultaneous_intervals", "6 comparisons together", f"{prompts} prompts", "nominal", tuple(settings))


def skewed(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """What labels cost a classifier: softplus of normal logits; and a change of it by shifted, scattered logits."""
    for prompts in (12, 16, 32, 128, 512):
        level, change = [], []
        for mean, scatter in ((0.0, 1.5), (-1.5, 2.0), (-3.0, 3.0)):
            logits, many = (rng.normal(mean, scatter, size=shape) for shape in ((repetitions, prompts), 2_000_000))
            later, much = (drawn + rng.normal(0.3, 0.5, size=drawn.shape) for drawn in (logits, many))
            loss, after, truth, then = (np.logaddexp(0.0, drawn) for drawn in (logits, later, many, much))
            figures = (mean_interval(row, unit="", least=0.0) for row in loss)
            level.append(setting(f"logits {mean:g}", figures, float(truth.mean())))
            changed = (paired_change(*pair, unit="") for pair in zip(loss, after, strict=True))
            change.append(setting(f"logits {mean:g}", changed, float((then - truth).mean())))
        size = f"{prompts} prompts"
        yield Row("mean_interval", "label losses, at least 0", size, "honest", tuple(level))
        yield Row("paired_change", "label losses", size, "honest" if prompts >= 128 else "few", tuple(change))


def carried(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """Changes that a few prompts carry, exponential or log-normal (sigma 1); the others scatter by a fiftieth."""
    for prompts, share in ((32, 0.1), (64, 0.05), (32, 0.25), (64, 0.1), (128, 0.05), (128, 0.1), (512, 0.1)):
        shape, settings = (repetitions, prompts), []
        for label, size, mean in (
            ("exponential", rng.exponential(size=shape), 1.0),
            ("log-normal", rng.lognormal(size=shape), math.exp(0.5)),
        ):
            change = (rng.random(shape) < share) * size + 0.02 * rng.standard_normal(shape)
            figures = (paired_change(np.zeros(prompts), row, unit="") for row in change)
            settings.append(setting(label, figures, share * mean))
        claim = "honest" if prompts * share > 6 else "few"
        yield Row("paired_change", f"{share:.0%} of prompts carry it", f"{prompts} prompts", claim, tuple(settings))


# --------------------------------------------------------------------------------------------------------------- seeds


def seeds(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    for shared in (False, True):
        for number in (3, 5, 8, 16):
            settings, resampled = [], []
            weights = seed_prompt_weights(rng, number, 64, 2000, shared_prompts=shared).reshape(2000, -1)
            for scatter in (0.0, 0.1, 0.5):
                prompt = rng.standard_normal((repetitions, 1 if shared else number, 64))
                rows = scatter * rng.standard_normal((repetitions, number, 1)) + prompt
                rows = rows + rng.standard_normal((repetitions, number, 64))
                figures = (seed_prompt_interval(row, shared_prompts=shared, unit="") for row in rows)
                settings.append(setting(f"scatter {scatter:g}", figures, 0.0))
                samples = rows.reshape(repetitions, -1) @ weights.T
                pairs = zip(samples, rows.mean(axis=(1, 2)).tolist(), strict=True)
                figures = (seed_bootstrap_interval(row, p, num_seeds=number, unit="") for row, p in pairs)
                resampled.append(setting(f"scatter {scatter:g}", figures, 0.0))
            data = "on shared prompts" if shared else "prompts of their own"
            yield Row("seed_prompt_interval", data, f"{number} seeds", "honest", tuple(settings))
            if resampled[0].printed:
                yield Row("seed_bootstrap_interval", data, f"{number} seeds", "honest", tuple(resampled))


def tasks(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    levels_of_tasks = np.linspace(0.0, 1.0, 5)[:, None]
    truth = float(interquartile_mean(levels_of_tasks + rng.exponential(0.5, size=(5, 1_000_000))))
    chance = 0.5 * (1 + math.erf(0.25))
    for number in (3,):
        means, wins = [], []
        for _ in range(repetitions):
            scores = levels_of_tasks + rng.exponential(0.5, size=(5, number))
            means.append(interquartile_mean_interval(scores, rng=rng, unit=""))
            before, after = rng.standard_normal((2, 5, number))
            wins.append(improvement_interval(before, after + 0.5, rng=rng))
        size = f"{number} seeds"
        yield Row("interquartile_mean_interval", "5 tasks", size, "honest", (setting("skewed", means, truth),))
        yield Row("improvement_interval", "5 tasks", size, "honest", (setting("shift .5", wins, chance),))


# ------------------------------------------------------------------------------------------------------------------- C2


def gradients(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """Norms and angles from parts whose noise has 4, 30 or 300 directions and squared norm 1; signals of 0 to 3."""
    for directions in (4, 30, 300):
        for number in (4, 8, 16):
            found: dict[str, list[Setting]] = {name: [] for name in C2}
            for signal in (0.0, 0.1, 0.5, 3.0):
                left, right = (vectors(rng, repetitions, number, directions, signal, angle) for angle in (1.0, 0.5))
                grams = [
                    (inner_products(a, a), inner_products(b, b), inner_products(a, b))
                    for a, b in zip(left, right, strict=True)
                ]
                for name, (measure, truth) in C2.items():
                    value = truth(signal)
                    if value is not None:
                        found[name].append(setting(f"signal {signal:g}", (measure(*gram) for gram in grams), value))
            for name, settings in found.items():
                claim = "gated" if name in ("projection", "cosine", "noise_scale") else "honest"
                yield Row(name, f"{directions} noise directions", f"{number} parts", claim, tuple(settings))


C2: dict[str, tuple[Callable[..., object], Callable[[float], float | None]]] = {
    "cross_product": (lambda a, b, ab: cross_product(a, unit=""), lambda signal: signal),
    "inner_product": (lambda a, b, ab: inner_product(ab, unit=""), lambda signal: 0.5 * signal),
    "signal_share": (lambda a, b, ab: signal_share(a), lambda signal: signal / (1 + signal)),
    "noise_scale": (lambda a, b, ab: noise_scale(a, prompts_per_part=1), lambda signal: 1 / signal if signal else None),
    "projection": (lambda a, b, ab: projection(b, ab, unit=""), lambda signal: 0.5 if signal else None),
    "cosine": (lambda a, b, ab: cosine(a, b, ab), lambda signal: 0.5 if signal else None),
}


def forks(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """Drift and diffusion of quadratics, 64 of 2,000 drawn as prompts; noise in 5 directions or 50."""
    for directions in (5, 50):
        world = Quadratics.drawn(rng, directions)
        for count in (4, 8, 16):
            found = [part_figures(world.values(rng, count, prompts=64), unit="") for _ in range(repetitions)]
            for name, truth in world.truth.items():
                settings = (setting(name, (figures[name] for figures in found), truth),)
                yield Row(f"forks, {name}", f"{directions} noise directions", f"{count} forks", "honest", settings)


@dataclass(frozen=True)
class Quadratics:
    """g.d + d^T H d / 2 for each of 2,000 prompts, H about twice the identity, and updates d of mean `mean`."""

    gradients: np.ndarray
    hessians: np.ndarray
    mean: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, directions: int) -> Quadratics:
        bent = rng.normal(size=(2000, directions, directions)) / directions + 2.0 * np.eye(directions)
        return cls(rng.normal(size=(2000, directions)), bent + bent.transpose(0, 2, 1), rng.normal(size=directions))

    @property
    def truth(self) -> dict[str, float]:
        drift = self.gradients @ self.mean + np.einsum("i,pij,j->p", self.mean, self.hessians, self.mean) / 2
        diffusion = np.einsum("pii->p", self.hessians) / (2 * len(self.mean))
        return {"drift": float(drift.mean()), "diffusion": float(diffusion.mean())}

    def values(self, rng: np.random.Generator, count: int, prompts: int) -> ForkValues:
        drawn = rng.integers(len(self.gradients), size=prompts)
        gradients, hessians = self.gradients[drawn], self.hessians[drawn]

        def loss(updates: np.ndarray) -> np.ndarray:
            bent = np.einsum("fi,pij->fpj", updates, hessians)
            return updates @ gradients.T + np.einsum("fpj,fj->fp", bent, updates) / 2

        updates = self.mean + rng.standard_normal((count, len(self.mean))) / math.sqrt(len(self.mean))
        without = left_out_weights(count) @ updates
        arm = ArmValues(loss(updates), loss(updates.mean(axis=0, keepdims=True))[0], loss(without))
        return ForkValues(np.zeros(prompts), arm)


def starts(rng: np.random.Generator, repetitions: int) -> Iterator[Row]:
    """Forecasts along the RL path from sampled rewards, pass rates from unlike to alike; a tenth of the repetitions."""
    for samples, mass in ((8, 0.02), (4, 0.02), (4, 0.5)):
        found: dict[str, list[Setting]] = {}
        for law in ((0.3, 0.6), (1.0, 1.0), (4.0, 4.0), (30.0, 30.0), (2.0, 6.0)):
            truth = forecast(rng, 20_000, law, mass)
            drawn = [forecast(rng, 64, law, mass, samples) for _ in range(max(1, repetitions // 10))]
            for name, figure in truth.items():
                assert isinstance(figure, Estimate)
                one = setting(f"Beta{law}", (figures[name] for figures in drawn), figure.value)
                found.setdefault(name, []).append(one)
        for name, settings in found.items():
            yield Row(name, f"{samples} samples, {mass:g} known", "64 prompts", "honest", tuple(settings))


def forecast(
    rng: np.random.Generator, prompts: int, law: tuple[float, float], mass: float, samples: int | None = None
) -> dict[str, Figure]:
    """Of prompts on whose two expert responses the policy has `mass`; their reward enumerated, or by `samples`."""
    right = mass * rng.beta(6.0, 4.0, prompts)
    rate = right + (1.0 - mass) * rng.beta(*law, prompts)
    rewards = np.tile([1.0, 0.0], (prompts, 1))
    chances = np.column_stack([rate, 1.0 - rate])
    held = HeldOut("made", prompts, np.repeat(np.arange(prompts), 2), np.tile([0.6, 0.4], prompts), rewards.ravel(),
                   np.ones(2 * prompts, dtype=np.int64), expert_is_known=True)  # fmt: skip
    if samples is not None:
        rewards = (rng.random((prompts, samples)) < rate[:, None]).astype(np.float64)
        chances = np.full_like(rewards, 1.0 / samples)
    logprobs = np.log(np.column_stack([right, mass - right]).ravel())
    start = start_of(held, PromptScores(logprobs, rewards, chances, reward_is_exact=samples is None))
    assert isinstance(start, Start)
    facts, curve = facts_of(start), Curve(prompt_paths(start, "natural", PathOptions()))
    point = curve.at(float(curve.reward[0]) + 0.2)
    return {
        "start, reward": facts.reward,
        "start, variance": facts.reward_variance,
        "curve, SFT loss": point.sft_loss_change,
        "curve, KL": point.kl,
        "best stop, gain": best_stop(curve, 0.5).gain,
    }


def vectors(
    rng: np.random.Generator, repetitions: int, number: int, directions: int, signal: float, angle: float
) -> np.ndarray:
    mean = np.zeros(directions)
    mean[:2] = math.sqrt(signal) * angle, math.sqrt(signal * (1 - angle**2))
    return mean + rng.standard_normal((repetitions, number, directions)) / math.sqrt(directions)


PARTS = (
    rates,
    levels,
    changes,
    flips,
    passes,
    looks,
    losses,
    skewed,
    carried,
    together,
    seeds,
    tasks,
    gradients,
    forks,
    starts,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5000)
    parser.add_argument("--only", default="", help=f"one of {', '.join(part.__name__ for part in PARTS)}")
    options = parser.parse_args()
    rows: list[Row] = []
    print(f"{'interval':28} {'data':24} {'n':>12}  mean [99 % Monte Carlo]  least of its settings    printed  claim")
    for part in PARTS:
        if options.only in ("", part.__name__):
            for row in part(np.random.default_rng(0), options.repetitions):
                rows.append(row)
                print(row, flush=True)
    failed = [row for row in rows if not row.holds]
    print(
        f"{len(rows) - len(failed)} of {len(rows)} claims hold; {options.repetitions} repetitions a setting, ", end=""
    )
    print(f"{time.process_time():.0f} s of CPU")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
