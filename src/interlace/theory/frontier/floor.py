"""D13: the SFT loss that reward certainly costs, whatever the method."""

from __future__ import annotations

from interlace.theory.finite import FiniteProblem, entropy, reward_range


def sft_loss_floor(problem: FiniteProblem, reward: float) -> float:
    """D13: no policy that earns `reward` has an SFT loss below H + 2 ((reward - R_D)_+ / w)^2, nats per response.

    w: the range of reward over the supports of reference and expert. Any policy on them, any method; no condition.
    """
    width = reward_range(problem, problem.reference, problem.expert)
    return sft_loss_floor_from_figures(entropy(problem, problem.expert), reward, problem.expert_reward, width)


def sft_loss_floor_from_figures(
    expert_entropy: float, reward: float, expert_reward: float, reward_range: float
) -> float:
    """D13 from figures: `expert_entropy` H in nats per response, rewards in one unit, `reward_range` w >= 0.

    A range of 0 leaves the entropy alone: no policy then earns more than the expert.

    >>> sft_loss_floor_from_figures(expert_entropy=0.5, reward=0.9, expert_reward=0.8, reward_range=1.0)
    0.52
    """
    excess = max(0.0, reward - expert_reward)
    return expert_entropy + (2.0 * (excess / reward_range) ** 2 if reward_range > 0.0 else 0.0)
