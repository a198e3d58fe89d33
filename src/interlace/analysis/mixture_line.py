"""A8's path, seen through the expert's responses: pi_w = (1 - w) pi_0 + w p_D, w from 0 (the stage's start) to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize

from interlace.analysis.changes import NATS_RESPONSE
from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.measurement import HeldOut
from interlace.statistics import mean_interval, paired_change

PerPrompt = Float[np.ndarray, "prompt"]
PerResponse = Float[np.ndarray, "response"]


@dataclass(frozen=True, eq=False)
class MixtureLine:
    """The line from a policy to the expert, whose probabilities must be known."""

    held: HeldOut
    start: PerResponse

    def policy(self, share: float) -> PerResponse:
        """Probability of each expert response, `share` of the way to the expert."""
        return (1.0 - share) * self.start + share * self.held.probability

    def loss(self, share: float) -> PerPrompt:
        """SFT loss on the line, nats/response; falls with `share`."""
        return self.held.per_prompt(-np.log(self.policy(share)))

    def loss_slope(self, share: float) -> PerPrompt:
        """Derivative of `loss` in `share`."""
        return self.held.per_prompt((self.start - self.held.probability) / self.policy(share))

    def outside(self, share: float) -> PerPrompt:
        """Probability of all responses that the expert never gives."""
        return (1.0 - share) * outside_expert(self.held, self.start)

    def share_of_loss(self, loss: float) -> float:
        """The share whose mean SFT loss is `loss`, clipped to the line's ends."""
        if loss >= self.loss(0.0).mean():
            return 0.0
        if loss <= self.loss(1.0).mean():
            return 1.0
        return float(optimize.brentq(lambda share: self.loss(share).mean() - loss, 0.0, 1.0, xtol=1e-12))


@dataclass(frozen=True, slots=True)
class LineMatch:
    """Where on the line the stage's final reward lies, what SFT loss changes by up to there, and what was measured
    beyond that (nats/response)."""

    share: float
    change: Figure
    distance: Figure


def outside_expert(held: HeldOut, policy: PerResponse) -> PerPrompt:
    """Probability of all responses that the expert never gives; not below 0."""
    return np.maximum(0.0, 1.0 - np.bincount(held.prompt, weights=policy, minlength=held.num_prompts))


def mixture_line(trajectory: Trajectory) -> MixtureLine | Unresolved:
    """The line of a stage; needs SFT loss measured at the start."""
    if not trajectory.held.expert_is_known:
        return Unresolved("the expert's own probabilities are not known, only its responses")
    if not np.isfinite(trajectory.start.response_loss).all():
        return Unresolved("the stage's start gives some expert responses probability 0")
    return MixtureLine(trajectory.held, np.exp(-trajectory.start.response_loss))


def match_reward(line: MixtureLine, start: Snapshot, end: Snapshot, expert_reward: PerPrompt) -> LineMatch:
    """The place on the line that earns the final reward, or the nearest; its own error is in the intervals."""
    way, done = start.reward - expert_reward, start.reward - end.reward
    free = float(done.mean() / way.mean())
    share = min(1.0, max(0.0, free))
    of_share = (done - share * way) / way.mean() if share == free else np.zeros_like(way)  # influence on the share
    loss = line.loss(share) + float(line.loss_slope(share).mean()) * of_share
    return LineMatch(
        share=share,
        change=paired_change(start.loss, loss, unit=NATS_RESPONSE),
        distance=paired_change(loss, end.loss, unit=NATS_RESPONSE),
    )


def reward_slack(line: MixtureLine, end: Snapshot, reward_range: float) -> tuple[float, Figure]:
    """The share of the way that the final SFT loss shows, and how far the reward may be from the line's there.

    By A9 not beyond `reward_range` times the total variation to the line, of which only the expert's responses are
    seen: outside them the worst is assumed. Uses no measured reward.
    """
    share = line.share_of_loss(float(end.loss.mean()))
    policy = np.exp(-end.response_loss)
    seen = np.bincount(line.held.prompt, weights=np.abs(policy - line.policy(share)), minlength=line.held.num_prompts)
    unseen = outside_expert(line.held, policy) + line.outside(share)
    return share, mean_interval(reward_range * 0.5 * (seen + unseen), unit="reward")
