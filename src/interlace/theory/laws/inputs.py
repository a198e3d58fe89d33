"""What laws take: every input by its name, what it is, and what may be given for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from interlace.theory.laws.law import Law

Kind: TypeAlias = Literal["problem", "policy", "table", "number", "whole", "numbers", "samples", "word", "truth"]
"""A policy is a table [prompt, response] whose rows sum to 1; samples are a table of their own; numbers any array."""


@dataclass(frozen=True)
class Input:
    """One input: `sentence` says what it is, with its unit."""

    sentence: str
    kind: Kind = "number"


INPUTS: dict[str, Input] = {
    "problem": Input("prompts, reference, expert and reward", "problem"),
    # policies of the problem, and what moves them
    "policy": Input("the policy that is asked about", "policy"),
    "start": Input("the policy at the start of SFT", "policy"),
    "p": Input("one of two policies", "policy"),
    "q": Input("the other policy", "policy"),
    "anchor": Input("the policy that the KL term pulls to", "policy"),
    "velocity": Input("how fast each logit moves", "table"),
    "features": Input("the logits' derivatives by the parameters, [prompt, response, parameter]", "numbers"),
    "mean_squared_residual": Input("what a projection misses of the advantage, reward units squared"),
    # how far RL and SFT go
    "rl_time": Input("RL time since the reference, 1/(KL coefficient) at its optimum"),
    "sft_time": Input("SFT time s; the expert's weight is then 1 - e^{-s}"),
    "sft_weight": Input("the expert's weight after SFT, in (0, 1]"),
    "time": Input("time since the start: step size x steps"),
    "times": Input("times that increase from 0 up", "numbers"),
    "num_steps": Input("the number of steps", "whole"),
    "step_size": Input("the size of a step"),
    "path_model": Input("how RL moves (`interlace list path-models`)", "word"),
    "order": Input("which stage comes first: sft_rl or rl_sft", "word"),
    # prices and limits
    "exchange_rate": Input("reward units that a nat of SFT loss is worth"),
    "exchange_rates": Input("several of them", "numbers"),
    "kl_coefficient": Input("the weight of the KL term, reward units per nat"),
    "allowed_drop": Input("the reward that SFT may cost, reward units"),
    "divergence": Input("KL(policy, pi_tau), nats"),
    # rewards
    "reward": Input("mean reward (C7: at each checkpoint)", "numbers"),
    "variance": Input("within-prompt variance of the reward at each checkpoint", "numbers"),
    "expert_reward": Input("the expert's mean reward", "numbers"),
    "expert_entropy": Input("the expert's entropy, nats per response"),
    "reward_range": Input("the range of reward within a prompt, reward units"),
    "rewards": Input("rewards, [prompt, sample] or one a checkpoint", "samples"),
    "variances": Input("within-prompt variances of the reward, one a checkpoint", "samples"),
    "log_ratios": Input("log(policy/reference) of sampled responses, [prompt, sample]", "samples"),
    "weights": Input("weights of the samples, [prompt, sample]", "samples"),
    "pass_rate": Input("the share of right responses, in [0, 1]", "numbers"),
    "group_size": Input("completions a prompt, K"),
    "ddof": Input("0 or 1, of the group's standard deviation", "whole"),
    "normalised": Input("whether advantages are divided by the group's standard deviation", "truth"),
    # landscapes
    "gap": Input("what is left to gain: R* - R (SFT: L - L*)"),
    "gap_left": Input("the same where the path ends"),
    "pl_constant": Input("the PL constant mu measured on the path"),
    "smoothness": Input("the largest curvature l on the path"),
    "curvature": Input("curvature along the update, of SFT loss (B6: minus that of the reward)"),
    "alignment": Input("cosine between minus the gradient of SFT loss (B6: the reward's gradient) and the update"),
    "gradient_norm": Input("the norm of that gradient where the update starts, 0 at an optimum"),
    "update_norm": Input("the norm of the update really applied"),
    "inner_product": Input("inner product of the gradient and the update"),
    "distance": Input("distance to the nearest minimum"),
    "progress": Input("1 - exp(-pl_constant time), in [0, 1]"),
    # gradients
    "largest_singular_value": Input("of the product of both orthonormal bases, in [0, 1]"),
    "outside_sft": Input("share of the SFT gradient's squared norm outside its basis"),
    "outside_rl": Input("share of the RL gradient's squared norm outside its basis"),
    "dimension": Input("the number of parameters", "whole"),
    "rank_sft": Input("vectors in the SFT basis", "whole"),
    "rank_rl": Input("vectors in the RL basis", "whole"),
    "probability": Input("of the quantile asked for, 0.5 for the median"),
    "cosine": Input("cosine between grad L and -grad R"),
    "norm_sft": Input("norm of grad L"),
    "norm_rl": Input("norm of grad R"),
    "gradient_loss": Input("gradient of the one objective's loss", "numbers"),
    "gradient_reward": Input("gradient of the other objective's reward", "numbers"),
    "preconditioner": Input("the RL optimiser's, its diagonal or the matrix", "numbers"),
    # random updates
    "gradient": Input("gradient of SFT loss", "numbers"),
    "hessian": Input("Hessian of SFT loss", "numbers"),
    "mean": Input("mean of the random update", "numbers"),
    "covariance": Input("covariance of the random update", "numbers"),
    "loss_first": Input("SFT loss after the first of two updates"),
    "loss_second": Input("SFT loss after the second"),
    "loss_midpoint": Input("SFT loss half-way between both"),
    "diffusion": Input("the diffusion of one run, nats"),
    "mean_loss": Input("mean SFT loss of the runs"),
    "averaged_loss": Input("SFT loss of the runs' averaged weights"),
    "num_runs": Input("the number of runs"),
    "momentum": Input("decay of the running mean of gradients, in [0, 1)"),
}
"""Every input of every law. `interlace theory` and its messages are made from it."""


DRAWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("A1", "A2", "A3", "A4", "A5", "A10", "A11"), ("exchange_rate", "kl_coefficient")),
    "A6": ("kl_coefficient",),
    "A7": ("exchange_rate",),
    **dict.fromkeys(("D3", "D4"), ("anchor", "kl_coefficient")),
}
"""By law, what its picture can show beside what the law takes: a best stop, another path."""


def inputs_of(function: Callable[..., Any], required: bool = False) -> tuple[str, ...]:
    """What `function` takes by name; with `required` only what has no default."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(each.name for each in parameters if not required or each.default is inspect.Parameter.empty)


def takes(law: Law) -> tuple[str, ...]:
    """Every input of the law's functions and conditions, each once, the law's own function first."""
    decided = (condition.holds for condition in law.conditions if condition.holds)
    functions = (law.function, *law.also, *decided)
    return tuple(dict.fromkeys(name for function in functions for name in inputs_of(function)))


def described(names: Iterable[str]) -> str:
    """Each name with what it is.

    >>> described(["gap_left", "distance"])
    'gap_left: the same where the path ends; distance: distance to the nearest minimum'
    """
    return "; ".join(f"{name}: {INPUTS[name].sentence}" for name in names)
