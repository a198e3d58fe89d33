"""Inputs for every law, so that each can be read."""

from __future__ import annotations

import numpy as np

from interlace.theory.finite import binary_problem
from interlace.theory.laws import LAWS
from interlace.theory.laws.defaults import known_inputs
from interlace.theory.laws.reading import read_law


def binary(pass_rates, expert_rewards, prompts=None):
    """Two responses a prompt, right and wrong."""
    expert = expert_rewards if isinstance(expert_rewards, float) else np.array(expert_rewards, dtype=float)
    return binary_problem(np.array(pass_rates), expert, None if prompts is None else np.array(prompts))


SMALL = binary([0.2, 0.7], 0.75)

FIGURES = {
    "rl_time": 1.0, "exchange_rate": 0.5, "kl_coefficient": 0.5, "sft_time": 0.7, "allowed_drop": 0.05,
    "anchor": [[0.4, 0.6], [0.4, 0.6]], "gap": 0.5, "pl_constant": 1.0, "time": 0.5, "alignment": 0.3,
    "gradient_norm": 0.4, "curvature": 0.9, "smoothness": 2.0, "update_norm": 0.1, "inner_product": 0.02,
    "distance": 0.5, "largest_singular_value": 0.3, "outside_sft": 0.1, "outside_rl": 0.2, "gradient": [1.0, 0.0],
    "hessian": [[1.0, 0.0], [0.0, 2.0]], "mean": [-0.1, 0.0], "covariance": [[0.01, 0.0], [0.0, 0.01]],
    "step_size": 0.1, "group_size": 8, "log_ratios": [[1.0, 3.0], [0.0, 1.5]], "rewards": [[0.0, 1.0], [0.0, 1.0]],
    "order": "sft_rl", "sft_weight": 0.3, "cosine": -0.5, "norm_sft": 1.0, "norm_rl": 2.0,
    "gradient_loss": [1.0, 0.0], "gradient_reward": [1.0, 2.0],
}  # fmt: skip
"""One value for everything that some law needs, but for the problem and `reward`."""


def inputs_for(label, problem=SMALL, **more):
    """What `label` needs, `more` in place of FIGURES."""
    known = known_inputs(LAWS[label])
    own = {"D13": {"reward": 0.8}, "A8": {"rl_time": None}}.get(label, {})
    given = {"problem": problem, **FIGURES, **own, **more}
    return {name: value for name, value in given.items() if name in known and value is not None}


def read(label, problem=SMALL, **more):
    """`label` read on FIGURES and `more`."""
    return read_law(LAWS[label], inputs_for(label, problem, **more))
