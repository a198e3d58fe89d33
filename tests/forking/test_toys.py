"""What forks must say of two worlds in which it is known where a change comes from (C10)."""

from __future__ import annotations

from pathlib import Path

import pytest

import interlace
from interlace.estimate import Estimate
from interlace.stages import STAGES, StageKind

from .worlds import letters, recipe, rl


def test_C10_pure_noise_is_at_least_80_percent_diffusion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of mean 0: what a fork's SFT loss rises by on average is diffusion, and drift is not resolved."""
    noise = StageKind("noise", "", "SFTConfig", "tests.forking.worlds:NoiseStage")
    monkeypatch.setitem(STAGES, "noise", noise)
    stage = {"task": "letters", "max_steps": 16, "learning_rate": 0.3, "optim": "sgd", "max_grad_norm": 0.0}
    stage |= {"lr_scheduler_type": "constant", "per_device_train_batch_size": 1}
    interlace.run(recipe({"noise": stage}), out=tmp_path / "run", tasks={"letters": letters()})
    forks = interlace.fork(tmp_path / "run", "noise", count=8, tasks={"letters": letters()})
    parts = forks.parts["sft_loss"]
    drift, diffusion = parts["drift"], parts["diffusion"]
    assert isinstance(drift, Estimate) and isinstance(diffusion, Estimate)
    assert diffusion.lower > 0.0 and drift.sign == 0
    assert diffusion.value / (diffusion.value + abs(drift.value)) >= 0.8


def test_C9_a_clip_that_only_holds_rises_drifts_to_the_likely_answer(tmp_path: Path) -> None:
    """As configured: 8 inner steps that may lower a probability as far as they like and raise it by 2 %.

    What the permuted rewards punish is unlikely more often than not beside what they praise, so the likely answer gains
    in every fork; it is the right one here, and reward rises though nothing in the rewards says so.
    """
    options = {"max_steps": 64, "num_iterations": 8, "epsilon": 0.99, "epsilon_high": 0.02, "optim": "sgd"}
    stage = rl(
        **options, learning_rate=0.03, per_device_train_batch_size=256, max_grad_norm=0.0, placebo="as_configured"
    )
    interlace.run(recipe(stage), out=tmp_path / "run", tasks={"letters": letters()})
    forks = interlace.fork(tmp_path / "run", "rl", count=6, tasks={"letters": letters()})
    reward = forks.parts["reward"]
    assert reward["reward_free_drift"].sign > 0
    assert reward["drift_by_reward"].sign == 0
