"""What rollouts tell: a row a point of training, parity, the best stop, SFT loss where it was read, and sentences."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from interlace.analysis.summary import SCHEMA_VERSION
from interlace.estimate import Figure, figure_text


@dataclass(frozen=True)
class PlanPoint:
    """One point of training: the steps from `first_step` to `last_step`, `place` their mean.

    As sampled there: `reward` R, `reward_variance` V within prompts, `dead_groups` (the share whose rewards are all
    equal). Along the curves through all points: `parity_gap` R - R_D, `rl_time` since the first (D5), `sft_loss_change`
    since the first as rewards forecast it (C7, nats/response), `tilt` the part of any change that comes with the tilt
    that earns this reward (A10, nats/response), `implied_exchange_rate` V/(R - R_D) (A6).
    """

    first_step: int
    last_step: int
    place: float
    num_prompts: int
    num_samples: int
    reward: Figure
    reward_variance: Figure
    dead_groups: Figure
    reward_curve: Figure
    reward_variance_curve: Figure
    parity_gap: Figure
    rl_time: Figure
    sft_loss_change: Figure
    tilt: Figure
    implied_exchange_rate: Figure

    @property
    def name(self) -> str:
        """``step 5``, or ``steps 5-8``."""
        one = self.first_step == self.last_step
        return f"step {self.first_step:,}" if one else f"steps {self.first_step:,}\u2013{self.last_step:,}"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class LossPoint:
    """SFT loss where it was read: `sft_loss` nats/response; `change` since the first step, paired; what of it lies on
    the expert's `right` and `wrong` responses (A11), and what of it comes with the `tilt` that earns the reward of that
    step, at RL time `rl_time` (1/reward units) since the first step, and what lies `off_path` (A10); `forecast`: the
    change by rewards alone (C7); `beyond`: the measured change less the forecast."""

    step: int
    sft_loss: Figure
    sft_loss_per_token: Figure
    change: Figure
    right: Figure
    wrong: Figure
    tilt: Figure
    off_path: Figure
    rl_time: Figure
    forecast: Figure
    beyond: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class RolloutPlan:
    """A plan from rollouts: `points` in order, `parity` and `stop` (steps; `stop` is for `exchange_rate`), `losses`
    where log-probabilities were given, `advice` in sentences, `conditions` under which they hold, `notes` on what was
    read. `shared_prompts`: the share of the rollouts' prompts for which the expert was scored."""

    rollouts: str
    source: str
    points: tuple[PlanPoint, ...]
    expert_reward: Figure
    shared_prompts: float | None
    parity: Figure
    exchange_rate: float | None
    stop: Figure | None
    losses: tuple[LossPoint, ...]
    advice: tuple[str, ...]
    conditions: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def start(self) -> PlanPoint:
        """The first point."""
        return self.points[0]

    @property
    def now(self) -> PlanPoint:
        """The last point."""
        return self.points[-1]

    def nearest(self, step: float) -> PlanPoint:
        """The point whose place is nearest to a step."""
        return min(self.points, key=lambda point: abs(point.place - step))

    def __str__(self) -> str:
        ends = (("start", self.start), ("now", self.now))
        rows = [
            f"{word} ({point.name}): reward as sampled {figure_text(point.reward, unit=False)}" for word, point in ends
        ]
        return "\n".join([f"{self.rollouts}: {self.source}", *rows, *self.advice])

    def to_json(self) -> dict[str, Any]:
        """The result of ``interlace plan --rollouts --json``."""
        curve = {"path_model": "natural", "curve": list(self.points), "parity": self.parity, "optimal": self.stop}
        return {
            "schema_version": SCHEMA_VERSION,
            "rollouts": self.rollouts,
            "source": self.source,
            "expert_reward": self.expert_reward,
            "shared_prompts": self.shared_prompts,
            "exchange_rate": self.exchange_rate,
            "forecasts": [curve],
            "sft_loss": list(self.losses),
            "advice": list(self.advice),
            "conditions": list(self.conditions),
            "notes": list(self.notes),
        }
