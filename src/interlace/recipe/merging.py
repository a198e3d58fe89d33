"""What a merge stage must say, may not say, and what other stages leave to it."""

from __future__ import annotations

from collections.abc import Iterator

from interlace.errors import RecipeError, unknown_name
from interlace.policies.merging import merge_options
from interlace.recipe.model import FOREIGN, MergedEnd, Recipe, StageConfig

SAID_ELSEWHERE = {"mix", "placebo", "algorithm", "method", "imitate"}
"""Options of one kind of stage alone, whose messages name it."""


def merge_problems(stage: StageConfig, before: tuple[StageConfig, ...], recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(option, sentence) for each mistake about merging: a merge merges what is there, and trains nothing."""
    if stage.kind != "merge":
        for option in ("of", "how"):
            if getattr(stage, option):
                yield (
                    option,
                    f"{option} must stand in a stage of kind merge. Got it in kind {stage.kind}. Remove it, or write "
                    "`- merge:`.",
                )
        return
    for option in sorted(FOREIGN["merge"] - SAID_ELSEWHERE):
        if getattr(stage, option) != StageConfig.model_fields[option].default:
            yield option, f"{option} must stand in a stage that trains. Got it in kind merge. Remove it."
    if not stage.of:
        yield "of", "of must name the earlier stages whose ends are merged. Got none. Write of: [rl, rl-2]."
    if len(set(stage.of)) < len(stage.of):
        yield "of", "of must not name the same weights twice. It does. Say weights of `how` instead."
    for end in stage.of:
        yield from _end_problems(stage, end, before, recipe)
    try:
        merge_options(stage.how or {}, len(stage.of))
    except RecipeError as error:
        yield "how", str(error)


def _end_problems(
    stage: StageConfig, end: MergedEnd, before: tuple[StageConfig, ...], recipe: Recipe
) -> Iterator[tuple[str, str]]:
    """Whether an earlier stage has the weights that are merged, in every run that has the merge."""
    source = next((other for other in before if other.name == end.stage), None)
    if source is None:
        yield "of", unknown_name("of", end.stage, [other.name for other in before])
        return
    if end.weights == "averaged" and source.averaged_weights is None:
        yield (
            "of",
            f"of with weights: averaged must name a stage that keeps averaged_weights. {end.stage!r} keeps none. Add "
            "averaged_weights there, or drop weights.",
        )
    missing = [seed for seed in stage.seeds or recipe.seeds if not source.is_of(seed)]
    if missing:
        yield (
            "seeds",
            f"seeds must be among those of every stage that {stage.name!r} merges. {end.stage!r} has "
            f"{list(source.seeds or ())}, not {', '.join(map(str, missing))}. Give both the same.",
        )
