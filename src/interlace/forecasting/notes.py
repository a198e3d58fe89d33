"""What a forecast must be read with, in sentences: a KL term in RL's objective, and where no path model speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNSCALED = (False, "none", "None")
"""Values of TRL's `scale_rewards` under which advantages keep the reward's scale."""


@dataclass(frozen=True, slots=True)
class KlTerm:
    """The KL term of RL's objective: its `coefficient` (reward units per nat; 0: there is none), and whether advantages
    are divided by their standard deviation while the term is not; `follows`: its anchor goes after the policy."""

    coefficient: float = 0.0
    scales: bool = True
    follows: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> KlTerm:
        """By TRL's names, with GRPO's defaults for what is not there."""
        scales, follows = options.get("scale_rewards", "group") not in UNSCALED, options.get("sync_ref_model", False)
        return cls(float(options.get("beta") or 0.0), scales, bool(follows))

    @classmethod
    def of_arguments(cls, arguments: Any) -> KlTerm:
        """Of a trainer's arguments; one without `scale_rewards` (RLOO) has the KL term within the reward."""
        missing = {"beta": 0.0, "scale_rewards": False, "sync_ref_model": False}
        return cls.of({name: getattr(arguments, name, value) for name, value in missing.items()})

    @property
    def ceiling(self) -> float:
        """D7: the RL time that natural policy gradient does not pass, per reward unit."""
        return 1.0 / self.coefficient

    def __str__(self) -> str:
        """What the term means for a forecast; "" without one."""
        if not self.coefficient:
            return ""
        if self.follows:
            return (
                f"RL's objective has a KL term whose anchor follows the policy (beta {self.coefficient:.3g}, "
                "sync_ref_model), which is not modelled: D7's ceiling on RL time is for an anchor that stays."
            )
        term = f"RL's objective has a KL term to its start (beta {self.coefficient:.3g})"
        limit = f"{self.ceiling:.3g}"
        if self.scales:
            return (
                f"{term}, which is not modelled: advantages are divided by their standard deviation and the term is "
                f"not, so that beta is not D7's and RL time may go beyond 1/beta = {limit}."
            )
        return (
            f"{term}, which the forecast leaves out: with advantages that are not scaled RL time cannot go beyond "
            f"1/beta = {limit} (D7, on the path of the plain tilt), and rewards beyond that are not come to."
        )


def no_path(reasons: Sequence[str], others: Sequence[str] = (), has_price: bool = False) -> str:
    """That the path model which leads a running forecast does not speak, for which `reasons`, and what the forecast
    rests on instead: `others` that do speak, a price (D15), and what is always there."""
    price = "D15's price of the reward at the start, " if has_price else ""
    because = "; ".join(dict.fromkeys(reason.rstrip(".") for reason in reasons))
    silent, left = ("The leading path model does not speak", f"{', '.join(others)} (taken to be 0, give or take a "
                    "quarter), ") if others else ("No path model speaks", "")  # fmt: skip
    return (
        f"{silent} here ({because}): the forecast and its interval rest on {left}{price}what other RL stages of one "
        "small model have shown and on this stage's own looks."
    )


PLAN_WITHOUT_PATHS = (
    "No path model speaks here, so that no SFT loss is forecast at any reward and no stop is named: what is said of "
    "the start rests on its held-out prompts alone, and its intervals hold nothing of what RL will do."
)
"""`no_path` of a plan, which has no looks."""


def kl_of_plan(coefficient: float | None) -> str:
    """What a KL term of `coefficient` means for a plan, which does not know how advantages will be scaled."""
    if not coefficient:
        return ""
    limit = f"{1.0 / coefficient:.3g}"
    return (
        f"Of the path models only kl_regularised knows the KL term (beta {coefficient:.3g}): it holds RL time "
        f"below 1/beta = {limit} (D7), which is so where advantages are not scaled (scale_rewards: none). GRPO divides "
        "them by their standard deviation unless told otherwise; beta is then not D7's, and what the term does is not "
        "modelled."
    )
