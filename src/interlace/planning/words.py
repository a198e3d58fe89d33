"""A plan in sentences: what RL would cost, where to stop, and what the theory does not say here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.forecasting import CurvePoint, Forecast, Preflight, Stop
from interlace.forecasting.notes import PLAN_WITHOUT_PATHS, kl_of_plan
from interlace.planning.steps import Pace, StepsTo
from interlace.wording import number

if TYPE_CHECKING:
    from interlace.planning.result import CrossCost


CAVEAT = (
    "Intervals are over prompts and do not hold the error of the path model. Where it speaks, systematic has come "
    "nearest to averaged weights; raw weights of a fast optimizer cost more than any path says, the more the larger "
    "the learning rate: average the weights, or measure as RL goes on."
)
"""What every forecast before a run must be read with."""
ASSUMED = (
    "Steps are for AdamW on all weights, at this learning rate held constant, with this batch and these groups; an "
    "adapter, a warm-up or a decay takes others. Within the pilots' length they are seen; beyond it, up to three times "
    "that length, what is left to gain is taken to go on falling as it did, at a rate that stays or drags. Intervals "
    "are over pilots: how far another run scatters."
)
"""What figures in steps take."""


def sentences(
    checkpoint: str,
    forecasts: Mapping[str, Preflight | Unresolved],
    costs: tuple[CrossCost, ...],
    exchange_rate: float | None,
    paces: Mapping[str, Pace | Unresolved],
    kl_coefficient: float | None = None,
) -> list[str]:
    """Every sentence of a plan, task by task, then the KL term, then steps, then what goes from task to task."""
    lines: list[str] = []
    for task, found in forecasts.items():
        if isinstance(found, Unresolved):
            lines.append(f"{task}: no forecast, because {found.reason}.")
        else:
            lines += _of_task(checkpoint, found, exchange_rate)
    lines += filter(None, [kl_of_plan(kl_coefficient)])
    for task, pace in paces.items():
        lines += _in_steps(task, pace)
    return lines + [_price(cost) for cost in costs]


def _of_task(checkpoint: str, found: Preflight, exchange_rate: float | None) -> Iterator[str]:
    facts = found.facts
    yield (
        f"{found.task}: {checkpoint} earns {figure_text(facts.reward)} at an SFT loss of "
        f"{figure_text(facts.sft_loss)}; "
        f"the expert earns {figure_text(facts.expert_reward)}."
    )
    if found.is_perfect_expert:
        yield (
            "The expert is always right: on the RL path SFT loss falls for ever. The theory then predicts no "
            "harm on these "
            "prompts; what it leaves out (shared parameters, noise, other right answers) may still do some."
        )
    for forecast in found.forecasts:
        yield _costs_at(forecast)
    if exchange_rate is not None:
        yield from (_stop(forecast) for forecast in found.forecasts)
    yield CAVEAT if found.forecasts else PLAN_WITHOUT_PATHS
    for silent in found.silent:
        yield f"Path model {silent.path_model} does not speak here: {silent.reason}"


def _costs_at(forecast: Forecast) -> str:
    """The change of SFT loss half way and near the end of what the path can gain."""
    half, far = forecast.curve[len(forecast.curve) // 2], forecast.curve[-3]
    return (
        f"If RL moves as {forecast.path_model}: SFT loss changes by {_change(half)} at reward {number(half.reward, 2)} "
        f"(on the expert's right responses {_change(half, 'right')}, on its wrong ones "
        f"{_change(half, 'wrong')}) and by "
        f"{_change(far)} at {number(far.reward, 2)}; {_turn(forecast)}."
    )


def _change(point: CurvePoint, part: str = "sft_loss_change") -> str:
    figure: Figure = getattr(point, part)
    return figure_text(figure, signed=True, unit=part == "sft_loss_change")


def _turn(forecast: Forecast) -> str:
    least, threshold = forecast.landmarks.least_loss, forecast.landmarks.threshold
    if isinstance(least, Unresolved):
        return least.reason
    back = f", and is back at its start at {figure_text(threshold)}" if isinstance(threshold, Estimate) else ""
    return f"it is least at reward {figure_text(least, unit=False)}{back}"


def _stop(forecast: Forecast) -> str:
    stop: Stop | None = forecast.stop
    assert stop is not None
    held = f"from {number(stop.holds_from, 3)} to {number(stop.holds_to, 3)}"
    return (
        f"With a nat worth {number(stop.exchange_rate, 3)} reward units, {forecast.path_model} says: stop at reward "
        f"{figure_text(stop.reward, unit=False)}, where reward less "
        f"{number(stop.exchange_rate, 3)} x SFT loss is {figure_text(stop.gain, unit=False)} above its start; "
        f"the same advice holds for exchange rates {held}."
    )


def _in_steps(task: str, pace: Pace | Unresolved) -> Iterator[str]:
    if isinstance(pace, Unresolved):
        yield f"{task}: no steps, because {pace.reason}."
        return
    stage = pace.stage
    first, time, gain, rate = (
        figure_text(figure, signed=True) for figure in (pace.first_gain, pace.rl_time, pace.gain, pace.last_rate)
    )
    yield (
        f"{task}, {stage.pilots} pilots of {stage.steps} steps at a learning rate of {stage.learning_rate:g}, "
        f"{stage.batch} completions in groups of {stage.group_size}: the first step changed the reward by {first}, "
        f"an RL time of {time}; all of them by {gain}, and at their end by {rate}."
    )
    yield from (_steps_to(each) for each in pace.landmarks if isinstance(each.reward, Estimate))
    yield ASSUMED


def _steps_to(each: StepsTo) -> str:
    model = "" if each.path_model is None else f" if RL moves as {each.path_model}"
    at = f"{each.landmark}{model}, reward {figure_text(each.reward, unit=False)}"
    if isinstance(each.steps, Unresolved):
        return f"Steps to {at}: {each.steps}."
    return f"Steps to {at}: {steps_text(each.steps)}."


def steps_text(figure: Estimate) -> str:
    """Steps in whole numbers.

    >>> steps_text(Estimate(7.4, 3.2, float("inf"), 0.95, 4, "pilots", "optimizer steps"))
    '7 [3, ∞]'
    """
    value, low, high = (number(each, 0) for each in (figure.value, figure.lower, figure.upper))
    return f"{value} [{low}, {high}]"


def _price(cost: CrossCost) -> str:
    """D15, of a task's own reward too."""
    is_own = cost.reward_on == cost.task
    if isinstance(cost.cost, Unresolved):
        whose = "its own SFT loss" if is_own else cost.task
        return f"What RL on {cost.reward_on} costs {whose} at its first step (D15) is {cost.cost}."
    price = figure_text(cost.cost, signed=True)
    changes = f"changes its own SFT loss by {price}" if is_own else f"costs {cost.task} {price}"
    return (
        f"RL on {cost.reward_on} {changes} at its first step, to first order (D15); finite steps and their noise come "
        "on top."
    )
