"""Tables of a plan, as rows of cells for the page's template."""

from __future__ import annotations

from interlace.forecasting import Forecast, Preflight
from interlace.planning import Pace, Plan
from interlace.report.formatting import Notes
from interlace.report.tables import Table, words
from interlace.wording import number

FACTS = {
    "reward": "Reward",
    "expert_reward": "The expert's reward",
    "reward_variance": "Variance of the reward within prompts",
    "sft_loss": "SFT loss",
    "expert_right": "Mass on the expert's right responses",
    "expert_wrong": "Mass on the expert's wrong responses",
    "other": "Mass on responses that the expert never gives",
    "never_solved": "Prompts with a pass rate below 1 in 100",
}
EVERY = 4
"""Each so-manieth point of a curve stands in its table."""


def facts_table(found: Preflight) -> Table:
    """The start as the laws see it."""
    notes = Notes()
    figures = {name: getattr(found.facts, name) for name in FACTS}
    rows = [
        (*words(title, getattr(figures[name], "unit", "")), notes.figure(figures[name]))
        for name, title in FACTS.items()
    ]
    return Table("The start", ("Quantity", "Unit", "Value"), tuple(rows), 2, tuple(notes.reasons))


def landmarks_table(found: Preflight) -> Table:
    """Where each path model turns, and where to stop."""
    notes = Notes()
    rows = []
    for forecast in found.forecasts:
        marks, stop = forecast.landmarks, forecast.stop
        figures = [marks.least_loss, marks.parity, marks.threshold] + ([] if stop is None else [stop.reward, stop.gain])
        rows.append((*words(forecast.path_model), *(notes.figure(figure) for figure in figures)))
    columns = ["If RL moves as", "SFT loss is least at reward", "parity at", "back at its start at"]
    if any(forecast.stop is not None for forecast in found.forecasts):
        columns += ["stop at reward", "reward less the exchange rate x SFT loss, above the start"]
    return Table("Where it turns", tuple(columns), tuple(rows), 1, tuple(notes.reasons))


def steps_tables(plan: Plan) -> list[Table]:
    """Of each task with pilots: how fast it went, and the steps to every reward that the plan names."""
    return [
        table
        for task, pace in plan.paces.items()
        if isinstance(pace, Pace)
        for table in (_pace_table(task, pace), _steps_table(task, pace))
    ]


def _pace_table(task: str, pace: Pace) -> Table:
    notes, stage = Notes(), pace.stage
    name = (
        f"{task}: {stage.pilots} pilots of {stage.steps} steps, learning rate {stage.learning_rate:g}, {stage.batch} "
        f"completions in groups of {stage.group_size}"
    )
    figures = {
        "Reward gained by the first step": pace.first_gain,
        "RL time of the first step": pace.rl_time,
        "Reward gained by all steps": pace.gain,
        "Reward gained a step at their end": pace.last_rate,
    }
    rows = [(*words(title), notes.figure(figure, signed=True)) for title, figure in figures.items()]
    rows += [(*words(f"Reward of a run at step {step}"), notes.figure(reward)) for step, reward in pace.ahead]
    return Table(name, ("Quantity", "Value"), tuple(rows), 1, tuple(notes.reasons))


def _steps_table(task: str, pace: Pace) -> Table:
    notes = Notes()
    rows = [
        (*words(each.landmark, each.path_model or "any"), notes.figure(each.reward), notes.figure(each.steps, digits=0))
        for each in pace.landmarks
    ]
    columns = ("To", "If RL moves as", "Reward", "Optimizer steps")
    return Table(f"{task}: optimizer steps", columns, tuple(rows), 2, tuple(notes.reasons))


def curve_tables(found: Preflight) -> list[Table]:
    """Each path model's curve, thinned."""
    return [_curve_table(forecast) for forecast in found.forecasts]


def _curve_table(forecast: Forecast) -> Table:
    notes = Notes()
    rows = [
        (
            *words(number(point.reward, 3)),
            *(notes.figure(figure, signed=True) for figure in (point.sft_loss_change, point.right, point.wrong)),
            *(notes.figure(figure) for figure in (point.kl, point.implied_exchange_rate)),
        )
        for point in forecast.curve[::EVERY]
    ]
    columns = ("Reward", "Change of SFT loss", "on right responses", "on wrong ones", "KL to the start",
               "implied exchange rate")  # fmt: skip
    return Table(f"If RL moves as {forecast.path_model}", columns, tuple(rows), 1, tuple(notes.reasons))


def costs_table(plan: Plan) -> Table:
    """D15 for every pair of tasks."""
    notes = Notes()
    rows = [(*words(cost.reward_on, cost.task), notes.figure(cost.cost, signed=True)) for cost in plan.costs]
    columns = ("RL on", "SFT loss on", "nats per reward unit, to first order")
    return Table("What reward costs through shared parameters", columns, tuple(rows), 2, tuple(notes.reasons))
