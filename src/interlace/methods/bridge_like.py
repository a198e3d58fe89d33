"""Known second hand (the public text of arXiv 2509.06948; no authors' code was read): BRIDGE.

Base weights theta and a LoRA adapter w, by two levels: w maximises J_S(theta*(w), w), theta*(w) maximises J_R(., w). In
its penalty form (1 - lambda) J_S(theta, w) + lambda [J_R(theta, w) - max over theta' of J_R(theta', w)] the gradient of
the maximum is that at the maximiser (Danskin). So an update moves theta by (1 - lambda) grad J_S + lambda grad J_R, a
baseline theta' by grad J_R(theta', w) alone, and w by (1 - lambda) grad J_S + lambda [grad J_R(theta, w) - grad
J_R(theta', w)]: the cooperative gain. mu = 1 - lambda. At mu = 1 nothing is reinforced and there is no baseline.

Deviations: the baseline samples nothing. Its gradient is that of the same RL loss on the joint policy's completions,
their old log-probabilities being the joint policy's, so that the loss's clipped ratio stands for the difference of
both. Where it is clipped, or the baseline would hardly have sampled the completion, the baseline stays; TRL's share of
clipped tokens there is logged (`second_point/clip_ratio/region_mean`). All three move at once, from the same place, and
begin as one policy. theta' has Adam's moments of its own, whatever the stage's optimizer is; it and w have neither
weight decay nor clipping. w is merged at every step (`low_rank`): matrices but embeddings have it. Rank, scale and
rates are ours, and mu's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float
from pydantic import Field

from interlace.methods import adam
from interlace.methods.base import Method, MethodOptions, Plan, Update, Weights
from interlace.methods.low_rank import AdapterOptions, Adapters

if TYPE_CHECKING:
    from torch import Tensor

APART, OF_BASELINE = "apart", "baseline/"


class BridgeOptions(AdapterOptions):
    """Of the method `bridge_like`."""

    mu: float = Field(default=0.5, gt=0.0, le=1.0)
    """Weight of imitation, at both levels; the rest is the RL loss's. Of 0 both policies would be one."""
    baseline_rate: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    """The baseline's learning rate, as a multiple of the stage's."""


class BridgeLike(Method):
    """A base that does both, and an adapter for what doing both gains over RL alone."""

    name: ClassVar[str] = "bridge_like"
    sentence: ClassVar[str] = "a joint loss; a LoRA adapter learns from its gain over a baseline that RL alone moves"
    source: ClassVar[str] = "after BRIDGE (arXiv 2509.06948), known second hand"
    cost: ClassVar[str] = (
        "GRPO, its completions forward and backward again, and an SFT step; seven copies of the weights"
    )
    takes: ClassVar[type[MethodOptions]] = BridgeOptions
    splits_gradient: ClassVar[bool] = True
    second_point: ClassVar[bool] = True

    def __init__(self, options: BridgeOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self._adapters = Adapters(options, plan)
        self._baseline: dict[str, dict[str, Tensor]] = {}  # where it is less where the weights are, by parameter
        self._at_baseline: dict[str, Tensor] = {}
        self._upper: dict[str, Tensor] = {}

    @classmethod
    def refuses(cls, trl: Mapping[str, Any]) -> tuple[str, str] | None:
        """An entropy controller, which would count the second loss of an update as another one."""
        if not trl.get("use_adaptive_entropy"):
            return None
        return "use_adaptive_entropy", (
            "use_adaptive_entropy must be off with method bridge_like, which computes the RL loss at two places an "
            "update. Got true. Leave it out."
        )

    def weights(self, step: int) -> Weights:
        """1 - mu and mu."""
        return Weights(1.0 - self.options.mu, self.options.mu)

    def displacement(self) -> Mapping[str, Tensor]:
        """theta' - theta."""
        return {name: state[APART] for name, state in self._baseline.items()}

    def see_second_point(self, rl: Mapping[str, Tensor]) -> None:
        """The baseline's gradient."""
        self._at_baseline = dict(rl)

    def combine(
        self, rl: Mapping[str, Tensor], sft: Mapping[str, Tensor], metric: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """The base's is the sum; the adapter's, kept until the update is settled, is less the baseline's."""
        self._upper = {
            name: sft[name] + (rl[name] - self._at_baseline[name])
            for name in rl
            if self._adapters.takes(name, rl[name])
        }
        return super().combine(rl, sft, metric)

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """The base's update, and a step of the parameter's adapter on top, if it has one."""
        if update.name in self._at_baseline:
            self._move_baseline(update, self._at_baseline.pop(update.name))
        if not self._adapters.takes(update.name, update.before):
            return update.after
        return update.after + self._adapters.step(update, self._upper.pop(update.name, update.gradient))

    def _move_baseline(self, update: Update, gradient: Float[Tensor, "*shape"]) -> None:
        """By a step of its own, less the base's; the adapter moves both alike."""
        moved = adam.wide(update.after) - adam.wide(update.before)
        old = self._baseline.get(update.name) or adam.at_rest({APART: moved * 0.0})
        rate = self.options.baseline_rate * update.learning_rate
        new = adam.stepped(adam.on_device(old, moved), {APART: adam.wide(gradient)}, rate)
        self._baseline[update.name] = {**new, APART: new[APART] - moved}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Each adapter's factors and moments, and the baseline's displacement and moments."""
        baseline = {OF_BASELINE + key: each for key, each in adam.written(self._baseline).items()}
        return self._adapters.tensors | baseline

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` were."""
        ours = {key.removeprefix(OF_BASELINE): each for key, each in tensors.items() if key.startswith(OF_BASELINE)}
        self._baseline = adam.read(ours)
        self._adapters.restore({key: each for key, each in tensors.items() if not key.startswith(OF_BASELINE)})
