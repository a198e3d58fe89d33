"""Whether a policy says the same thing twice: what is random in evaluation mode has no figure to measure."""

from __future__ import annotations

import numpy as np
import torch

from interlace.errors import ModelError
from interlace.policies import Policy, response_logprobs
from interlace.probes.target import MeasuredTask

RESPONSES_ASKED = 4
ROUNDING = 64
"""How many roundings of the weights' precision two readings of one log-probability may lie apart (kernels of some
devices add in no fixed order)."""


def refuse_random(policy: Policy, target: MeasuredTask) -> None:
    """Raise ModelError if `policy` gives a few responses other log-probabilities when asked again.

    Cost: two forwards of `RESPONSES_ASKED` responses. The global random state is left as it was.
    """
    asked = list(target.responses[:RESPONSES_ASKED])
    devices = [policy.model.device.index] if policy.model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        first, second = (response_logprobs(policy, asked) for _ in range(2))
    readings = [np.concatenate([np.zeros(1), *each]) for each in (first, second)]
    with np.errstate(invalid="ignore"):  # -inf twice is the same thing said twice
        apart = float(np.nanmax(np.abs(readings[0] - readings[1])))
    size = float(np.nanmax(np.abs(readings[0])))
    if apart > ROUNDING * torch.finfo(policy.model.dtype).eps * max(1.0, size):
        raise ModelError(
            "the model must give one response the same log-probability twice in evaluation mode. Got readings "
            f"{apart:.3g} nats apart: something in it draws. Make it draw in training mode only (self.training)."
        )
