"""Which forks may be asked of which stage: a placebo arm needs true rewards to permute (C9)."""

from __future__ import annotations

from interlace.errors import RecipeError
from interlace.recipe.model import ForksConfig, StageConfig


def forks_problem(config: StageConfig, asked: ForksConfig) -> str | None:
    """A sentence about a placebo or mirrored forks that the stage cannot have; None if all is well."""
    if asked.mirrored and asked.placebo != "strict":
        return (
            f"mirrored forks must be partners of strict placebos. Got placebo {asked.placebo or 'none'}. "
            "Ask for placebo strict, or leave out mirrored."
        )
    if asked.placebo is None or has_true_rewards(config.kind, config.placebo):
        return None
    others = {"rl": "a placebo itself", "hybrid": "of kind hybrid, whose update is not of rewards alone"}
    kind = others.get(config.kind, f"of kind {config.kind}, without rewards")
    return (
        f"forks with a placebo must be of a stage whose true rewards it can permute. Stage {config.name!r} is {kind}. "
        f"Leave out {'mirrored and placebo' if asked.mirrored else 'placebo'}."
    )


def asked_of(config: StageConfig, asked: ForksConfig) -> ForksConfig:
    """`asked` of this stage: a placebo arm that nobody named is there only where there are true rewards.

    Raises RecipeError for forks that it cannot have.
    """
    is_default = "placebo" not in asked.model_fields_set and not asked.mirrored
    if is_default and not has_true_rewards(config.kind, config.placebo):
        return asked.model_copy(update={"placebo": None})
    problem = forks_problem(config, asked)
    if problem is not None:
        raise RecipeError(problem)
    return asked


def has_true_rewards(kind: str, placebo: str | None) -> bool:
    """Whether a stage trains on rewards that mean something."""
    return kind == "rl" and placebo is None
