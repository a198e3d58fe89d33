"""Updates of imitation and of RL with optimizer moments of their own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from transformers import TrainerCallback

from interlace.methods import Method


class MomentsApart(TrainerCallback):
    """Hands the optimizer the moments of the side whose update it is; those of the other rest here.

    Both have the same learning rate at every step. Memory: one more set of moments.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self._resting: Any = defaultdict(dict)
        self._imitates = False

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
        """Change sides where the update is of the other one."""
        if (self._method.weights(state.global_step).rl == 0.0) != self._imitates:
            self._change(optimizer)

    def _change(self, optimizer: Any) -> None:
        optimizer.state, self._resting = self._resting, optimizer.state
        self._imitates = not self._imitates

    def written(self, optimizer: Any) -> dict[str, Any]:
        """Whose moments the optimizer holds, and those that rest, as it writes its own."""
        imitates = self._imitates
        self._change(optimizer)
        resting = optimizer.state_dict()
        self._change(optimizer)
        return {"imitates": imitates, "resting": resting}

    def restore(self, optimizer: Any, saved: dict[str, Any]) -> None:
        """Take up what was written; `optimizer` holds the moments that it held then."""
        held = optimizer.state
        optimizer.load_state_dict(saved["resting"])
        self._resting, optimizer.state = optimizer.state, held
        self._imitates = saved["imitates"]
