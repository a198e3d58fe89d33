"""The preset `full` through whole runs: recorded, reported, and invisible to training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import interlace
from interlace.estimate import Estimate
from interlace.pipeline import run_recipe
from interlace.policies import load_policy, make_embedded
from interlace.recipe import Recipe
from interlace.store import RunRecord, read_run
from interlace.tasks import build_task

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "attention_dropout": 0.3}


def recipe(preset: str, expert: Path | None = None) -> Recipe:
    common = {"task": "sums", "max_steps": 4, "save_steps": 4, "learning_rate": 1e-2, "gradient_accumulation_steps": 4}
    return Recipe.model_validate(
        {
            "name": "small",
            "model_options": SMALL,
            "tasks": {"sums": {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 32}},
            "stages": [
                {"sft": {**common, "per_device_train_batch_size": 2, "averaged_weights": {"decay": 0.5}}},
                {"rl": {**common, "per_device_train_batch_size": 8, "num_generations": 8}},
            ],
            "measure": {"every": 2, "preset": preset, "expert_policy": expert and str(expert)},
        }
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`full` measures KL to an expert-SFT policy too: another embedded model."""
    base = tmp_path_factory.mktemp("presets")
    (task,) = (build_task(name, dict(config), 0) for name, config in recipe("light").tasks.items())
    expert = make_embedded(base / "expert", task.alphabet, 7, SMALL)
    presets = {"light": None, "full": expert}
    return {preset: run_recipe(recipe(preset, expert), base / preset)[0] for preset, expert in presets.items()}


def quantities(record: RunRecord, stage: int, step: int, weights: str) -> dict[str, object]:
    measured = record.stages[stage].measurements
    return {m.quantity: m.figure for m in measured if (m.point.step, m.point.weights) == (step, weights)}


def test_training_is_the_same_bit_for_bit(runs: dict[str, Path]) -> None:
    """Weights, optimizer and random state after SFT and RL with dropout, seen through every probe or the light ones."""
    for stage in ("01-sft", "02-rl"):
        light, full = (runs[preset] / "stages" / stage / "checkpoint-4" for preset in ("light", "full"))
        one, other = (load_policy(str(folder)).model.state_dict() for folder in (light, full))
        assert all(torch.equal(one[name], other[name]) for name in one)
        for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt"):
            one, other = (torch.load(folder / name, weights_only=False) for folder in (light, full))
            for state in (one, other):
                state.pop("python", None)  # beartype draws from it: which item of a list it checks, in tests only
            assert same(one, other), name


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(torch.equal(torch.as_tensor(one), torch.as_tensor(other))) if _is_array(one) else one == other


def _is_array(value: object) -> bool:
    return hasattr(value, "shape")


def test_every_quantity_is_recorded_where_it_applies(runs: dict[str, Path]) -> None:
    record = read_run(runs["full"])
    start, middle = quantities(record, 0, 0, "raw"), quantities(record, 0, 2, "raw")
    assert {"gradient_cosine", "pl_constant_sft", "smoothness", "linearised_cost/sums"} <= set(start)
    assert "update_norm" not in start and "curvature_along_displacement" not in start
    moving = {"update_norm", "update_alignment", "curvature_along_displacement", "gradient_cosine_preconditioned"}
    assert moving <= set(middle)
    length = middle["update_norm"]
    assert isinstance(length, Estimate) and length.value > 0.0
    assert "gradient_cosine" not in quantities(record, 0, 2, "averaged")
    rl_start, rl_end = quantities(record, 1, 0, "raw"), quantities(record, 1, 4, "raw")
    forward = {"pass_at_k/8", "chi_square_expert_policy", "entropy", "completion_tokens"}
    assert {"log_partition/1", *forward} <= set(rl_start)
    assert {"log_partition", "rl_time_matched_in_reward", "rl_time", "on_path_share", *forward} <= set(rl_end)
    assert "kl_policy_expert_nats_per_response" in rl_start
    noise = {"norm_layer_gradient_noise_scale", "norm_layer_gradient_signal_share"}
    assert noise | {"displacement_norm", "update_displacement_cosine"} <= set(middle) & set(rl_end)
    assert {"train_reward", "train_rl_time"} <= set(rl_end)


def test_the_report_and_the_summary_read_such_a_run(runs: dict[str, Path]) -> None:
    summary = interlace.summarise(runs["full"])
    assert summary.stages[0].sft_loss.before == interlace.summarise(runs["light"]).stages[0].sft_loss.before
    assert interlace.write_report(runs["full"]).stat().st_size > 10_000
