"""Rewards: what RL is paid for. All have TRL's signature; the registered ones are built from a recipe by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.errors import RecipeError, unknown_name
from interlace.options import parse_options
from interlace.rewards.base import Completion, Reward, RewardFunction, RewardOptions, checked, completion_text
from interlace.rewards.cards import Cards
from interlace.rewards.countdown import Countdown
from interlace.rewards.exact_match import ExactMatch
from interlace.rewards.importing import import_reward
from interlace.rewards.label_match import LabelMatch
from interlace.rewards.lenient_countdown import LenientCountdown
from interlace.rewards.lenient_match import LenientMatch
from interlace.rewards.regex import Regex

__all__ = [
    # A reward and its parts
    "Reward",
    "RewardFunction",
    "Completion",
    "checked",
    "completion_text",
    # From a recipe
    "REWARDS",
    "RewardOptions",
    "build_reward",
]

REWARDS: dict[str, type[RewardOptions]] = {
    "cards": Cards,
    "countdown": Countdown,
    "exact_match": ExactMatch,
    "label_match": LabelMatch,
    "lenient_countdown": LenientCountdown,
    "lenient_match": LenientMatch,
    "regex": Regex,
}


def build_reward(spec: str | Mapping[str, Any]) -> Reward:
    """The reward that `spec` asks for: a registered name, an import path, or a mapping of `kind` (either) and options.

    Raises RecipeError for an unknown name or option, a value out of range, or a function that cannot be imported.

    >>> build_reward({"kind": "exact_match", "column": "sum"})([""], ["85"], sum=["85"])
    [1.0]
    """
    options = {"kind": spec} if isinstance(spec, str) else dict(spec)
    kind = options.pop("kind", None)
    if not isinstance(kind, str):
        raise RecipeError(f"a reward must name its kind. Got {spec!r}. Add kind: {' | '.join(REWARDS)}.")
    if ":" in kind:
        return _imported(kind, options)
    if kind not in REWARDS:
        raise RecipeError(unknown_name("reward", kind, REWARDS) + " A function of yours is package.module:function.")
    reward = parse_options(REWARDS[kind], options, f"reward {kind!r}")
    return Reward(reward.score, kind, reward.rewarded)


def _imported(path: str, options: Mapping[str, Any]) -> Reward:
    if options:
        raise RecipeError(f"reward {path!r} must come without options. Got {', '.join(options)}. Set them in its code.")
    return import_reward(path)
