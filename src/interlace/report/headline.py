"""The page's first sentences: what SFT and RL did to each other, in words chosen by resolved signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interlace.analysis.seeds import across_seeds
from interlace.analysis.summary import RunSummary, StageSummary
from interlace.estimate import Estimate, Figure, Unresolved, decimals, figure_text, value_text
from interlace.report.formatting import Cell, Notes
from interlace.wording import number

ChangeOf: TypeAlias = Callable[[StageSummary, str], Figure]
"""The change of an objective in a stage: of one run, or over seeds."""

VERBS = {1: "raised", -1: "lowered"}


@dataclass(frozen=True, slots=True)
class Headline:
    """A title, and one or two sentences under it."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One stage at a glance."""

    number: int
    name: str
    kind: str
    steps: str
    rows: tuple[tuple[str, Cell, Cell, Cell], ...]
    remark: str
    notes: tuple[str, ...]
    control: str | None


def run_headline(summary: RunSummary) -> Headline:
    """The headline of one run."""
    headline = _headline(summary, lambda stage, objective: stage.objective(objective).change)
    reinforced = _reinforced(summary)
    origin = _origin(reinforced) if reinforced else ""
    return Headline(headline.title, (*headline.sentences, origin) if origin else headline.sentences)


def seeds_headline(groups: Sequence[Sequence[RunSummary]]) -> Headline:
    """The headline over seeds; with several recipes it says which they are, and of each what one alone would say."""
    headlines = [_group_headline(group) for group in groups]
    if len(groups) == 1:
        return headlines[0]
    title = " beside ".join(f"{group[0].recipe} ({len(group)} seeds)" for group in groups)
    pairs = zip(groups, headlines, strict=True)
    return Headline(title, tuple(f"{group[0].recipe}: {headline.title}" for group, headline in pairs))


def _group_headline(group: Sequence[RunSummary]) -> Headline:
    """From the first run's stages and the means over the seeds of one recipe."""
    found = {(row.stage, row.task, row.objective, row.weights): row.change for row in across_seeds(group)}
    missing = Unresolved("not measured in every seed")
    return _headline(group[0], lambda stage, name: found.get((stage.name, stage.task, name, stage.ends_with), missing))


def _headline(summary: RunSummary, change: ChangeOf) -> Headline:
    reinforced = _reinforced(summary)
    if reinforced is None:
        return Headline(f"{summary.recipe}: what each stage changed", ())
    after = _imitation_after(summary, reinforced)
    rewards = "random" if reinforced.placebo == "bernoulli" else "shuffled"
    who = f"RL with {rewards} rewards" if reinforced.placebo else "RL"
    title = [_effect(who, "the SFT loss", change(reinforced, "sft_loss"), " nats a response")]
    if after is not None:
        title.append(_effect("The SFT after it", "the reward", change(after, "reward"), ""))
    again = next((stage for stage in summary.stages if stage.kind == "sft" and stage.control), None)
    if again is not None:
        title.append(_effect("SFT after SFT", "the reward", change(again, "reward"), ""))
    gain = _gain(reinforced, change)
    return Headline(" ".join(title), (gain,) if gain else ())


def _reinforced(summary: RunSummary) -> StageSummary | None:
    """The first RL stage, one with true rewards before any placebo."""
    stages = [stage for stage in summary.stages if stage.kind == "rl"]
    return next((stage for stage in stages if not stage.placebo), stages[0] if stages else None)


def _imitation_after(summary: RunSummary, reinforced: StageSummary) -> StageSummary | None:
    names = summary.stages.names
    later = list(summary.stages)[names.index(reinforced.name) + 1 :]
    return next((stage for stage in later if stage.kind == "sft" and not stage.control), None)


def _effect(who: str, what: str, figure: Figure, unit: str) -> str:
    if isinstance(figure, Unresolved):
        return f"What {who[0].lower() + who[1:] if who.startswith('The') else who} did to {what} is not resolved."
    if figure.sign == 0:
        return f"{who} did not resolvably change {what}."
    return f"{who} {VERBS[figure.sign]} {what} by {number(abs(figure.value), decimals(figure))}{unit}."


def _gain(stage: StageSummary, change: ChangeOf) -> str:
    """What the RL stage bought, beside what it cost."""
    reward, loss = change(stage, "reward"), change(stage, "sft_loss")
    if isinstance(reward, Unresolved) or isinstance(loss, Unresolved):
        return ""
    gained, cost = figure_text(reward, signed=True, unit=False), figure_text(loss, signed=True)
    return f"In {stage.steps_done:,} steps of {stage.name}, reward changed by {gained} and SFT loss by {cost}."


def _origin(stage: StageSummary) -> str:
    """Damage or wanted unlearning (A11): said beside every rise, because the two look alike in the total."""
    split = stage.split.get(stage.ends_with)
    if split is None or isinstance(stage.sft_loss.change, Unresolved):
        return ""
    if isinstance(split.right, Unresolved) or isinstance(split.wrong, Unresolved):
        return ""
    right, wrong = value_text(split.right, True), value_text(split.wrong, True)
    asked = "unlearning that the reward asks for" if stage.reward.change.sign > 0 else "though reward did not rise"
    return (
        f"The expert\u2019s wrong responses contributed {wrong} of that ({asked}) "
        f"and its right responses {right} ({_damage(split.right)})."
    )


def _damage(right: Estimate) -> str:
    return {1: "damage", -1: "an improvement, not damage", 0: "no resolved damage"}[right.sign]


def cards(summary: RunSummary) -> tuple[Card, ...]:
    """The stages at a glance, in order."""
    return tuple(_card(i, stage) for i, stage in enumerate(summary.stages, start=1))


def _card(place: int, stage: StageSummary) -> Card:
    notes = Notes()
    planned = f" of {stage.steps_planned:,}" if stage.steps_done != stage.steps_planned else ""
    return Card(
        number=place,
        name=stage.name,
        kind=stage.kind,
        steps=", ".join([f"{stage.steps_done:,}{planned} steps", *filter(None, [stage.ending])]),
        rows=tuple(_card_row(stage, objective, name, notes) for objective, name in ROWS),
        remark=stage.remark,
        notes=tuple(notes.reasons),
        control=stage.control,
    )


ROWS = (("sft_loss", "SFT loss"), ("reward", "Reward"))


def _card_row(stage: StageSummary, objective: str, name: str, notes: Notes) -> tuple[str, Cell, Cell, Cell]:
    change = stage.objective(objective)
    return name, *notes.change(change.before, change.after, change.change)
