"""Each probe of gradients and curvature against its naive twin in float64, and against the laws that it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.policies import Policy, load_policy
from interlace.probes import PRESETS, PROBES, Look, MeasuredTask, Moment, ProbeContext
from interlace.probes.concentration import (
    Span,
    largest_singular_value,
    leading_directions,
    leading_share,
    outside_share,
)
from interlace.probes.context import UPDATE
from interlace.probes.gradient_table import LOSS, REWARD
from interlace.probes.landscape import Landscape
from interlace.probes.part_statistics import from_intervals
from interlace.probes.parts import merged
from interlace.probes.pl_constants import PlConstants
from interlace.statistics.unbiased import projection
from interlace.tasks.base import Task
from interlace.theory.landscape import suboptimality_threshold
from interlace.theory.misalignment import cosine_bound, random_subspace_cosine
from interlace.theory.paths import linearised_cost
from tests.probes import naive
from tests.probes.conftest import moved

Looks = Callable[..., ProbeContext]
EXACT = 1e-9


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def vectors(seen: ProbeContext) -> dict[str, list[np.ndarray]]:
    """Per-example gradients of each part, by objective."""
    return {
        key[1]: [naive.gradient(seen.policy, part.total) for part in parts] for key, parts in seen.parts(12).items()
    }


def close(name: str, found: float, truth: float, tolerance: float = EXACT) -> None:
    error = naive.relative_error(found, truth)
    print(f"{name}: relative error {error:.1e}")
    assert error < tolerance, (name, found, truth)


def test_alignment_is_what_pairs_of_parts_say(look: Looks) -> None:
    seen = look()
    figures, alone = PROBES["alignment"].measure(seen).figures, vectors(seen)
    product = naive.mean_product(alone[LOSS], alone[REWARD], same=False)
    norms = [naive.mean_product(alone[name], alone[name], same=True) for name in (LOSS, REWARD)]
    close("gradient_inner_product", value(figures["gradient_inner_product"]), product)
    close("sft_gradient_norm_squared", value(figures["sft_gradient_norm_squared"]), norms[0])
    close("reward_gradient_norm_squared", value(figures["reward_gradient_norm_squared"]), norms[1])
    close("gradient_cosine", value(figures["gradient_cosine"]), product / np.sqrt(norms[0] * norms[1]))
    assert {f"gradient_cosine/{block}" for block in seen.gradients.blocks} <= set(figures)


def test_D2_a_step_for_the_reward_changes_the_loss_as_the_inner_product_says(look: Looks, little: Policy) -> None:
    """Central difference of L along the reward's gradient, all prompts in one part each."""
    seen = look()
    loss, reward = (merged(parts).total for parts in seen.parts(12).values())
    step = torch.from_numpy(naive.gradient(little, reward)) * 1e-2
    ahead, behind = (
        _at(little, seen, shift, loss)
        for shift in (seen.look.space.shifted(little.weights(), s * step) for s in (1, -1))
    )
    product = seen.gradients.products(("sums", LOSS), ("sums", REWARD)).mean()
    assert (ahead - behind) / 2e-2 == pytest.approx(product, rel=1e-3)


def _at(policy: Policy, seen: ProbeContext, weights: dict[str, torch.Tensor], total: object) -> float:
    from interlace.policies.gradients import gradient

    return gradient(policy, total, seen.look.space, weights).value  # type: ignore[arg-type]


def test_gradient_noise_is_what_pairs_of_parts_say(look: Looks) -> None:
    seen = look()
    figures, alone = PROBES["gradient_noise"].measure(seen).figures, vectors(seen)
    for name in (LOSS, REWARD):
        signal = naive.mean_product(alone[name], alone[name], same=True)
        share = signal / np.mean([vector @ vector for vector in alone[name]])
        close(f"{name}_gradient_signal_share", value(figures[f"{name}_gradient_signal_share"]), share)


def test_B2_the_last_update(look: Looks) -> None:
    seen = look()
    before = seen.policy.with_model(moved(seen.policy, seed=2, length=0.002).model)
    direction = seen.look.directions[UPDATE].numpy()
    parts = seen.parts(12)["sums", LOSS]
    first, last = ([naive.gradient(each, part.total) for part in parts] for each in (before, seen.policy))
    figures = PROBES["update"].measure(seen).figures
    length = np.linalg.norm(direction)
    slope = np.mean([vector @ direction for vector in first])
    norm = np.sqrt(naive.mean_product(first, first, same=True))
    bend = np.mean([(b - a) @ direction for a, b in zip(first, last, strict=True)]) / length**2
    change = np.mean(
        [(naive.value(seen.policy, p.total) - naive.value(before, p.total)).detach().item() for p in parts]
    )
    truth = {"update_slope": slope, "update_sft_loss_change": change}
    truth |= {"update_alignment": -slope / norm / length, "directional_smoothness": bend}
    for name, wanted in truth.items():
        close(name, value(figures[name]), wanted, 1e-6)
    assert change == pytest.approx(slope + bend * length**2 / 2, abs=0.1 * abs(bend) * length**2 / 2)


def test_an_update_that_moves_nothing_has_no_direction(look: Looks, little: Policy) -> None:
    still = Moment({name: weight.detach() for name, weight in little.model.named_parameters()})
    seen = look(moment=still)
    assert PROBES["update"].measure(seen).figures == {}
    figures = PROBES["movement"].measure(seen).figures
    assert figures["update_norm"] == exact(0.0, "weight")
    assert isinstance(figures["update_displacement_cosine"], Unresolved)


def test_D15_is_the_law_where_there_is_no_noise() -> None:
    rng = np.random.default_rng(0)
    loss, reward = rng.normal(size=(2, 5))
    cross, gram = np.full((4, 4), loss @ reward), np.full((4, 4), reward @ reward)
    assert value(projection(gram, cross, unit="")) == pytest.approx(linearised_cost(loss, reward, None))


def test_D15_of_every_pair_of_tasks(look: Looks, little: Policy, little_task: Task) -> None:
    """Two tasks share one look; each is priced in the reward of both, on disjoint prompts of each."""
    other = replace(little_task, name="other", heldout=little_task.heldout[::-1])
    shared = Look()
    for task in (little_task, other):
        ProbeContext(little, little, MeasuredTask.prepare(task, little), 4, 0, look=shared)
    first, second = (PROBES["linearised_cost"].measure(context).figures for context in shared.contexts)
    assert set(first) == set(second) == {"linearised_cost/sums", "linearised_cost/other"}
    alone = PROBES["linearised_cost"].measure(look()).figures["linearised_cost/sums"]
    assert first["linearised_cost/sums"] == alone
    rewards = [naive.gradient(little, part.total) for part in shared.contexts[1].parts(12)["other", REWARD]]
    losses = [naive.gradient(little, part.total) for part in shared.contexts[0].parts(12)["sums", LOSS]]
    truth = naive.mean_product(losses, rewards, same=False) / naive.mean_product(rewards, rewards, same=True)
    close("linearised_cost", value(first["linearised_cost/other"]), truth)


def test_D15_in_the_optimizers_metric(look: Looks, little: Policy) -> None:
    """A diagonal of distinct entries, against the products of the gradients taken one by one."""
    optimizer, rng = torch.optim.Adam(little.model.parameters(), lr=0.0, eps=1e-3), torch.Generator().manual_seed(5)
    for weight in little.model.parameters():
        weight.grad = torch.rand(weight.shape, generator=rng, dtype=weight.dtype) + 0.1
    diagonal = np.concatenate([1.0 / (weight.grad.flatten().numpy() + 1e-3) for weight in little.model.parameters()])
    optimizer.step()
    optimizer.zero_grad()
    seen = look(moment=Moment(None, optimizer))
    alone = vectors(seen)
    losses, rewards = list(alone[LOSS]), list(alone[REWARD])
    scaled = [diagonal * reward for reward in rewards]
    truth = naive.mean_product(losses, scaled, same=False) / naive.mean_product(rewards, scaled, same=True)
    figures = PROBES["linearised_cost"].measure(seen).figures
    close("linearised_cost_preconditioned", value(figures["linearised_cost_preconditioned/sums"]), truth, 1e-4)
    assert truth != pytest.approx(value(figures["linearised_cost/sums"]), rel=0.01)
    roots = [[np.sqrt(diagonal) * vector for vector in side] for side in (losses, rewards)]
    norms = [naive.mean_product(side, side, same=True) for side in roots]
    cosine = naive.mean_product(*roots, same=False) / np.sqrt(norms[0] * norms[1])
    alignment = PROBES["alignment"].measure(seen).figures
    close("gradient_cosine_preconditioned", value(alignment["gradient_cosine_preconditioned"]), cosine, 1e-4)


def test_C3_pl_constants(look: Looks) -> None:
    seen = look()
    figures, alone = PROBES["pl_constants"].measure(seen).figures, vectors(seen)
    entropy = np.mean([seen.target.examples[i].expert_entropy for p in seen.parts(12)["sums", LOSS] for i in p.prompts])
    gaps = {
        LOSS: np.mean(seen.gradients.parts(("sums", LOSS))) - entropy,
        REWARD: 1.0 - np.mean(seen.gradients.parts(("sums", REWARD))),
    }
    for name, side in ((LOSS, "sft"), (REWARD, "reward")):
        left_out = [
            naive.mean_product(kept, kept, same=True)
            for i in range(12)
            for kept in [[vector for j, vector in enumerate(alone[name]) if j != i]]
        ]
        close(f"{side}_gap_to_best", value(figures[f"{side}_gap_to_best"]), gaps[name])
        close(f"pl_constant_{side}", value(figures[f"pl_constant_{side}"]), np.mean(left_out) / (2 * gaps[name]))
    assert "entropy" in figures["pl_constant_sft"].method  # type: ignore[union-attr]


def test_C3_says_what_best_it_stands_on(look: Looks, little_task: Task) -> None:
    seen = look(task=replace(little_task, expert_is_known=False))
    assert isinstance(PlConstants().measure(seen).figures["pl_constant_sft"], Unresolved)
    given = PlConstants(least_loss=0.1).measure(seen).figures["pl_constant_sft"]
    assert isinstance(given, Estimate) and "given least loss" in given.method
    assert isinstance(PlConstants(least_loss=1e3).measure(seen).figures["pl_constant_sft"], Unresolved)


def test_C6_curvature_and_smoothness_are_those_of_the_whole_hessian(look: Looks, little_task: Task) -> None:
    seen = look(task=replace(little_task, heldout=little_task.heldout[:8]))
    dense = naive.hessian(seen.policy, merged(seen.curvature_parts).total)
    figures = PROBES["curvature"].measure(seen).figures
    displacement = seen.look.directions["displacement"].numpy()
    reward = naive.gradient(seen.policy, merged(seen.parts(2)["sums", REWARD]).total)
    for name, direction in (("displacement", displacement), ("reward_gradient", reward)):
        truth = direction @ dense @ direction / (direction @ direction)
        close(f"curvature_along_{name}", value(figures[f"curvature_along_{name}"]), truth, 1e-4)
    eigenvalues = np.linalg.eigvalsh(dense)
    largest = eigenvalues[np.argmax(np.abs(eigenvalues))]
    close("smoothness", value(PROBES["smoothness"].measure(seen).figures["smoothness"]), largest, 1e-3)


def test_C6_the_rewards_direction_has_prompts_of_its_own(look: Looks) -> None:
    seen = look()
    bent = {int(prompt) for part in seen.curvature_parts for prompt in part.prompts}
    rewarded = {int(prompt) for part in seen.parts(2)["sums", REWARD] for prompt in part.prompts}
    assert bent and rewarded and not bent & rewarded


def test_B7_a_single_part_has_no_leading_share() -> None:
    single, several = leading_directions(np.ones((1, 1))), leading_directions(np.diag([3.0, 2.0, 1.0]))
    assert isinstance(single, Span) and isinstance(several, Span)
    assert isinstance(leading_share(single, level=0.95), Unresolved)
    assert value(leading_share(several, level=0.95)) == pytest.approx(0.5)


def test_B7_the_bound_holds_for_the_gradients_that_it_is_of() -> None:
    """Equal gradients in every measured part: no noise, and the bound is the law's own."""
    rng = np.random.default_rng(1)
    spans, measured = rng.normal(size=(2, 2, 6)), rng.normal(size=(2, 6))
    rows = [np.vstack([span, np.tile(g, (4, 1))]) for span, g in zip(spans, measured, strict=True)]
    sides = [leading_directions(r[:2] @ r[:2].T) for r in rows]
    assert all(not isinstance(side, Unresolved) for side in sides)
    shares = [value(outside_share(s, r @ r.T, level=0.95)) for s, r in zip(sides, rows, strict=True)]  # type: ignore[arg-type]
    sigma = largest_singular_value(sides[0], sides[1], rows[0][:2] @ rows[1][:2].T)  # type: ignore[arg-type]
    bases = [np.linalg.qr(r[:2].T)[0] for r in rows]
    for share, basis, g in zip(shares, bases, measured, strict=True):
        close("outside share", share, 1.0 - np.sum((basis.T @ g) ** 2) / (g @ g))
    close("largest singular value", sigma, np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)[0])
    plain = abs(measured[0] @ measured[1]) / np.sqrt((measured[0] @ measured[0]) * (measured[1] @ measured[1]))
    assert plain <= cosine_bound(sigma, *shares) + 1e-9


def test_B7_stands_beside_the_measured_cosine(look: Looks) -> None:
    """The figures against bases and gradients taken one by one."""
    seen = look()
    figures = PROBES["concentration"].measure(seen).figures
    alone = {name: np.stack(vectors(seen)[name]) for name in (LOSS, REWARD)}
    bases = {name: np.linalg.qr(each[:4].T)[0] for name, each in alone.items()}
    sigma = float(np.linalg.svd(bases[LOSS].T @ bases[REWARD], compute_uv=False)[0])
    close("subspace_cosine", value(figures["subspace_cosine"]), sigma)
    for name, side in ((LOSS, "sft"), (REWARD, "reward")):
        energy = np.linalg.svd(alone[name][:4], compute_uv=False) ** 2
        close("leading", value(figures[f"{side}_leading_direction_share"]), energy[0] / energy.sum())
    rest = list(alone[LOSS][4:])  # of the reward 8 parts leave the norm in its noise, and the bound with it
    kept = [bases[LOSS].T @ vector for vector in rest]
    share = 1.0 - naive.mean_product(kept, kept, same=True) / naive.mean_product(rest, rest, same=True)
    close("outside", value(figures["sft_gradient_outside_share"]), share)
    assert isinstance(figures["gradient_cosine_bound"], Unresolved)
    chance = random_subspace_cosine(seen.look.space.dimension, 4, 4)
    assert value(figures["random_subspace_cosine"]) == pytest.approx(chance)


def test_B3_and_B5_are_the_laws_at_the_measured_figures(look: Looks) -> None:
    seen = look()
    figures = PROBES["landscape"].measure(seen).figures
    found = {
        name: figure
        for probe in ("alignment", "pl_constants", "curvature", "smoothness", "movement", "update")
        for name, figure in seen.reading(PROBES[probe]).figures.items()
    }
    names = ("smoothness", "update_norm", "pl_constant_sft", "update_alignment")
    smoothness, length, mu, alignment = (value(found[name]) for name in names)
    threshold = figures["suboptimality_threshold"]
    assert value(threshold) == pytest.approx(suboptimality_threshold(abs(smoothness), length, mu, alignment))


GAP, MU, NORM, BEND = (Estimate(v, v, v, 0.95, 9, "m", "u") for v in (0.5, 0.8, 0.9, 1.4))
"""R* - R, mu_R, the SFT gradient's norm and the curvature along the path, without error."""


def laws_at(alignment: Estimate, curvature: Estimate = BEND, exchange_rate: float = 1.0) -> dict[str, Figure]:
    """B5's figures where cos(-grad L, grad R) is `alignment`."""
    cosine = replace(alignment, value=-alignment.value, lower=-alignment.upper, upper=-alignment.lower)
    squared = replace(NORM, value=0.81, lower=0.81, upper=0.81)
    return Landscape(exchange_rate).durations(
        {
            "reward_gap_to_best": GAP,
            "pl_constant_reward": MU,
            "gradient_cosine": cosine,
            "sft_gradient_norm_squared": squared,
            "curvature_along_reward_gradient": curvature,
        }
    )


def loss_and_reward(alignment: float, curvature: float = 1.4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The model's curves by small steps along the path: dL and dR are integrated, not taken from the law."""
    progress = np.linspace(0.0, 1.0, 200_001)
    length = np.sqrt(2.0 * 0.5 / 0.8)
    slope = -alignment * 0.9 * length + curvature * length**2 * progress
    gain = 2.0 * 0.5 * (1.0 - progress)
    summed = [np.concatenate([[0.0], np.cumsum((y[1:] + y[:-1]) / 2.0 * np.diff(progress))]) for y in (slope, gain)]
    return progress, summed[0], summed[1]


@pytest.mark.parametrize(("low", "mid", "high"), [(0.2, 0.3, 0.4), (0.05, 0.5, 0.9), (-0.4, -0.3, -0.2)])
def test_B5_figures_are_the_optima_of_the_models_curves(low: float, mid: float, high: float) -> None:
    """Values, and the least and greatest over the whole interval of the alignment, on a grid of it."""
    figures = laws_at(Estimate(mid, low, high, 0.95, 9, "m", "cosine"))

    def optima(alignment: float) -> tuple[float, float, float]:
        progress, loss, reward = loss_and_reward(alignment)
        back = progress[1:][np.diff(np.sign(loss[1:]), prepend=np.sign(loss[1])) != 0]
        even = float(back[0]) if len(back) else np.inf
        return float(progress[np.argmax(reward - loss)]), float(progress[np.argmin(loss)]), even

    over = np.array([optima(c) for c in np.linspace(low, high, 21)])
    names = ("optimal_progress", "least_sft_loss_progress", "break_even_progress")
    for column, (name, truth) in enumerate(zip(names, optima(mid), strict=True)):
        figure = figures[name]
        assert isinstance(figure, Estimate)
        assert figure.value == pytest.approx(truth, abs=1e-4)
        assert figure.lower == pytest.approx(over[:, column].min(), abs=1e-4)
        assert figure.upper == pytest.approx(over[:, column].max(), abs=1e-4)


def test_B5_least_loss_holds_over_an_alignment_of_either_sign() -> None:
    figure = laws_at(Estimate(0.1, -0.1, 0.3, 0.95, 9, "m", "cosine"))["least_sft_loss_progress"]
    assert isinstance(figure, Estimate)
    for alignment in np.linspace(-0.1, 0.3, 21):
        progress, loss, _ = loss_and_reward(float(alignment))
        assert figure.lower - 1e-4 <= progress[np.argmin(loss)] <= figure.upper + 1e-4


@pytest.mark.parametrize("name", ["alignment", "curvature"])
def test_B5_break_even_needs_the_signs(name: str) -> None:
    """At c = 0.02 it is near 0, at c < 0 it never is: no interval of corners holds both."""
    unsigned = {name: Estimate(0.1, -0.1, 0.3, 0.95, 9, "m", "cosine")}
    figure = laws_at(**{"alignment": Estimate(0.3, 0.2, 0.4, 0.95, 9, "m", "cosine"), **unsigned})[
        "break_even_progress"
    ]
    assert isinstance(figure, Unresolved) and f"the sign of the {name} is not resolved" in figure.reason


def test_corners_of_intervals_hold_the_function_and_pay_for_it_in_level() -> None:
    inputs = {"a": Estimate(2.0, 1.0, 3.0, 0.95, 9, "m", "u"), "b": Estimate(1.0, 0.5, 2.0, 0.95, 7, "m", "u")}
    figure = from_intervals(lambda a, b: a / b, inputs, unit="u", method="corners")
    assert figure == Estimate(2.0, 0.5, 6.0, 0.9, 7, "corners", "u")
    missing = from_intervals(lambda a, b: a / b, {**inputs, "b": Unresolved("noise")}, unit="u", method="corners")
    assert isinstance(missing, Unresolved) and "b is not resolved: noise" in missing.reason


def test_a_copy_for_looking_only_has_no_gradients(look: Looks, little: Policy) -> None:
    frozen = little.with_model(moved(little, 0, 0.0).model.requires_grad_(False))
    seen = look(frozen, moment=None)
    backward = [probe for probe in PROBES.values() if probe.cost in ("backward", "curvature")]
    assert backward and not any(probe.applies(seen) for probe in backward)


def test_readings_are_shared(look: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """`landscape` pays nothing for what the others measured."""
    seen = look()
    assert seen.reading(PROBES["alignment"]) is seen.reading(PROBES["alignment"])
    assert set(PRESETS["full"]) == set(PROBES)


def test_C6_says_what_precision_it_was_computed_in(look: Looks, little_folder: Path) -> None:
    methods = {
        precision: PROBES["curvature"].measure(look(load_policy(str(little_folder), precision))).figures.popitem()[1]
        for precision in ("float32", "bfloat16")
    }
    assert methods["bfloat16"].method.endswith("double backward, in bfloat16")  # type: ignore[union-attr]
    assert methods["float32"].method.endswith("double backward")  # type: ignore[union-attr]
