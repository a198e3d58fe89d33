"""The line between two checkpoints, and the folder that a blend is saved to."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from scipy import stats
from transformers import AutoModelForCausalLM, AutoTokenizer

import interlace
from interlace.checkpoints import Checkpoint, Measured
from interlace.checkpoints import blend as blend_module
from interlace.checkpoints.blend import write_blend
from interlace.checkpoints.found import find_checkpoints
from interlace.checkpoints.line import REFINEMENTS, _position_of_budget, refine
from interlace.checkpoints.loading import load_checkpoint
from interlace.checkpoints.measure import Bench
from interlace.checkpoints.preset import Preset
from interlace.checkpoints.profile import Profile
from interlace.errors import ModelError, RecipeError
from interlace.estimate import Estimate
from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.interpolation import interpolated
from interlace.store import verify_checkpoint
from interlace.tasks import Task
from tests.checkpoints.conftest import SIZES
from tests.checkpoints.test_choice import NOISE, PROMPTS, profile, world


@pytest.fixture(scope="module")
def measured(models: Path, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("blends") / "half"
    return interlace.measure([models / "a", models / "c"], task, between=3, exchange_rate=0.01, write=folder)


def logits(policy_model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return policy_model.eval()(input_ids=torch.tensor([[3, 4, 5, 6]])).logits


def test_the_ends_of_the_line_are_the_checkpoints(measured: Measured) -> None:
    line = measured.line
    assert line is not None
    assert line.positions == (0.0, 0.25, 0.5, 0.75, 1.0)
    figures = {(cell.checkpoint, cell.objective): cell.figure for cell in line.cells}
    for name, end in (("0", "a"), ("1", "c")):
        for objective in ("sft_loss", "reward"):
            assert figures[name, objective] == measured.figure(end, objective)
    assert set(line.pareto) <= set(line.names)
    assert {item.start for item in line.differences} == {"0"}


def test_a_point_of_the_line_is_the_blend_of_the_weights(measured: Measured, models: Path, task: Task) -> None:
    start, end = (load_policy(str(models / name)) for name in "ac")
    half = interpolated(start.model, end.model, 0.5)
    assert measured.line is not None
    found = {(cell.checkpoint, cell.objective): cell.figure for cell in measured.line.cells}["0.5", "sft_loss"]
    folder = Path(measured.line.written or "").parent / "by-hand"
    half.save_pretrained(folder)
    start.tokenizer.save_pretrained(folder)
    alone = interlace.measure(folder, task).figure("by-hand", "sft_loss")
    assert isinstance(alone, Estimate) and isinstance(found, Estimate)
    assert alone.value == pytest.approx(found.value, rel=1e-6)


def test_a_written_blend_loads_and_is_what_was_chosen(measured: Measured, models: Path) -> None:
    line = measured.line
    assert line is not None and line.written is not None
    folder = Path(line.written)
    assert verify_checkpoint(folder) is None
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    start, end = (load_policy(str(models / name)).model for name in "ac")
    torch.testing.assert_close(logits(loaded), logits(interpolated(start, end, line.chosen)))
    assert AutoTokenizer.from_pretrained(folder)("1+1=")["input_ids"]


def test_a_written_blend_says_where_it_comes_from(measured: Measured, models: Path, task: Task) -> None:
    line = measured.line
    assert line is not None and line.written is not None
    again = interlace.measure(line.written, task, prompts=12)
    (found,) = again.checkpoints
    origin = found.origin
    assert origin is not None and (origin.start.name, origin.end.name) == ("a", "c")
    assert (origin.position, origin.rule, origin.reason) == (line.chosen, "exchange_rate", line.choice.reason)
    assert (origin.tasks, origin.version) == (("sums",), interlace.__version__)
    by_hand = hashlib.sha256()
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "model.safetensors",
    ):
        by_hand.update(f"{name} {hashlib.sha256((models / 'a' / name).read_bytes()).hexdigest()}\n".encode())
    assert origin.start.fingerprint == by_hand.hexdigest() != origin.end.fingerprint
    assert origin.start.path == str(models / "a")
    assert again.to_json()["checkpoints"][0]["blend"] == origin.to_json()
    assert str(origin).startswith(f"the blend at {line.chosen:g} from a ({models / 'a'}, SHA-256 ")
    assert find_checkpoints([models / "a"])[0].origin is None


def test_two_adapters_give_an_adapter_on_the_line_of_effective_weights(
    adapters: Path, task: Task, tmp_path: Path
) -> None:
    ends = [adapters / "first", adapters / "second"]
    measured = interlace.measure(ends, task, between=2, budget=0.0, write=tmp_path / "blend")
    assert measured.line is not None
    (blend,) = find_checkpoints([tmp_path / "blend"])
    assert blend.kind == "adapter" and (tmp_path / "blend" / "adapter_model.safetensors").exists()
    start, end = (load_checkpoint(item).model for item in find_checkpoints(ends))
    expected = interpolated(start, end, measured.line.chosen)
    for found, wanted in zip(load_checkpoint(blend).model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("position", [0.3, 0.5])
def test_the_blend_of_adapters_between_the_ends(adapters: Path, tmp_path: Path, position: float) -> None:
    ends = find_checkpoints([adapters / "first", adapters / "second"])
    start, end = map(load_checkpoint, ends)
    write_blend(ends, start, end, position, tmp_path / "blend", "float32")
    (blend,) = find_checkpoints([tmp_path / "blend"])
    assert blend.kind == "adapter"
    expected = interpolated(start.model, end.model, position)
    for found, wanted in zip(load_checkpoint(blend).model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_an_adapter_and_a_model_give_dense_weights(adapters: Path, models: Path, tmp_path: Path) -> None:
    ends = find_checkpoints([adapters / "first", models / "b"])
    start, end = map(load_checkpoint, ends)
    write_blend(ends, start, end, 0.5, tmp_path / "blend", "float32")
    (blend,) = find_checkpoints([tmp_path / "blend"])
    assert blend.kind == "model"
    torch.testing.assert_close(
        logits(load_checkpoint(blend).model), logits(interpolated(start.model, end.model, 0.5)), atol=1e-5, rtol=1e-4
    )


def rank_stabilised(models: Path, place: Path, seed: int) -> Path:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"], task_type="CAUSAL_LM", use_rslora=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_peft_model(load_policy(str(models / "a")).model, config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(place)
    return place


@pytest.mark.parametrize("kinds", ["rank-stabilised", "mixed"])
def test_a_blend_of_rank_stabilised_adapters_is_on_the_line(
    kinds: str, adapters: Path, models: Path, tmp_path: Path
) -> None:
    other = rank_stabilised(models, tmp_path / "two", 2) if kinds == "rank-stabilised" else adapters / "first"
    ends = find_checkpoints([rank_stabilised(models, tmp_path / "one", 1), other])
    start, end = map(load_checkpoint, ends)
    write_blend(ends, start, end, 0.3, tmp_path / "blend", "float32")
    (blend,) = find_checkpoints([tmp_path / "blend"])
    assert blend.kind == "adapter"
    expected = interpolated(start.model, end.model, 0.3)
    torch.testing.assert_close(logits(load_checkpoint(blend).model), logits(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["adapters", "models"])
def test_a_blend_that_reads_back_otherwise_is_not_kept(
    kind: str, adapters: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"adapters": [adapters / "first", adapters / "second"], "models": [models / "a", models / "c"]}[kind]
    ends = find_checkpoints(names)
    read = blend_module.load_checkpoint

    def wrongly(checkpoint: Checkpoint, dtype: str = "float32") -> Policy:
        policy = read(checkpoint, dtype)
        if checkpoint.path.parent.parent != tmp_path:  # one of the ends
            return policy
        with torch.no_grad():
            policy.model.get_input_embeddings().weight.add_(torch.randn(32) / 100)
        return policy

    monkeypatch.setattr(blend_module, "load_checkpoint", wrongly)
    words = {"adapters": "give the blend's own log-probabilities", "models": "the blend's own weights"}[kind]
    for dtype in ("float32", "bfloat16"):
        start, end = (read(checkpoint, dtype) for checkpoint in ends)
        with pytest.raises(ModelError, match=words):
            write_blend(ends, start, end, 0.5, tmp_path / "blend", dtype)
        assert not list(tmp_path.iterdir())


def test_the_line_keeps_the_wider_precision(models: Path) -> None:
    start, end = (load_policy(str(models / name), "float64").model for name in "ac")
    half = next(interpolated(start, end, 1 / 3).parameters())
    expected = next(start.parameters()) * (2 / 3) + next(end.parameters()) / 3
    torch.testing.assert_close(half, expected, atol=1e-14, rtol=1e-13)


def test_a_budget_is_looked_for_where_the_line_passes_it() -> None:
    line = world(profile("0", 0.5, 0.1), profile("0.5", 0.6, 0.4), profile("1", 1.0, 0.9))
    assert _position_of_budget(line, 0.2) == pytest.approx(0.625)
    assert _position_of_budget(line, 0.1) is None  # the blend that is there meets it
    assert _position_of_budget(line, 0.6) is None
    assert _position_of_budget(line, None) is None
    dipping = world(profile("0", 0.5, 0.1), profile("0.5", 0.3, 0.4), profile("1", 0.9, 0.9))
    assert _position_of_budget(dipping, 0.0) == pytest.approx(0.6667)


def test_a_budget_is_looked_for_by_the_upper_end_of_the_rise() -> None:
    line = world(profile("0", 0.5, 0.1), profile("1", 0.6, 0.9, 0.5))
    rise = np.full(PROMPTS, 0.1) + 0.49 * NOISE
    upper = rise.mean() + stats.t.ppf(0.975, PROMPTS - 1) * rise.std(ddof=1) / PROMPTS**0.5
    assert _position_of_budget(line, 0.1) == pytest.approx(0.1 / upper, rel=1e-3)
    few = world(profile("0", 0.5, 0.1, prompts=5), profile("1", 0.6, 0.9, 0.5, prompts=5))  # no interval, no place
    assert _position_of_budget(few, 0.1) is None


def test_the_positions_measured_are_those_of_their_names(models: Path, task: Task) -> None:
    ends = [models / "a", models / "c"]
    line = interlace.measure(ends, task, between=2, prompts=12, preset="light").line
    assert line is not None
    assert line.positions == (0.0, 0.3333, 0.6667, 1.0) == tuple(map(float, line.names))
    start, end = (load_policy(str(folder)) for folder in ends)
    third = start.with_model(interpolated(start.model, end.model, 0.3333))
    by_hand = Bench([task], prompts=12, preset=Preset("light")).look("x", third)["x", "sums"].loss.mean()
    found = {(cell.checkpoint, cell.objective): cell.figure for cell in line.cells}["0.3333", "sft_loss"]
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(float(by_hand), rel=1e-12)


def test_a_blend_of_adapters_names_the_base_that_it_was_made_on(adapters: Path, models: Path, tmp_path: Path) -> None:
    """Adapters that name a hub's model which is not here, measured on --base: the blend names that folder."""
    ends = []
    for name in ("first", "second"):
        folder = shutil.copytree(adapters / name, tmp_path / name)
        settings = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": "org/other"}))
        ends.append(folder)
    found = find_checkpoints(ends, models / "a")
    write_blend(found, *map(load_checkpoint, found), 0.5, tmp_path / "blend", "float32")
    named = json.loads((tmp_path / "blend" / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert named == str((models / "a").resolve())
    (blend,) = find_checkpoints([tmp_path / "blend"])
    assert blend.base == models / "a"


def test_a_blend_that_would_be_read_on_another_base_is_not_kept(
    adapters: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = find_checkpoints([adapters / "first", adapters / "second"])
    monkeypatch.setattr(blend_module, "_name_of_base", lambda adapter: str(models / "b"))
    with pytest.raises(ModelError, match=r"--write must save an adapter that names its own base, \S+/a. It was read"):
        write_blend(ends, *map(load_checkpoint, ends), 0.5, tmp_path / "blend", "float32")
    assert not list(tmp_path.iterdir())


def test_there_is_one_recommendation(measured: Measured) -> None:
    line = measured.line
    assert line is not None
    assert measured.recommendation.reason == line.choice.reason
    assert "of the 5 positions measured the largest reward" in line.choice.reason
    found = measured.to_json()["recommendation"]
    assert found == measured.recommendation.to_json() | {"position": line.chosen}
    assert line.to_json()["recommendation"] == line.choice.to_json() | {"position": line.chosen}
    ends = {"0": "a", "1": "c"}
    named = ends.get(line.choice.checkpoint, f"the blend at {line.choice.checkpoint} from a to c")
    assert measured.recommendation.checkpoint == named and f"keep {named}: " in str(measured)


def test_what_cannot_be_blended(models: Path, task: Task, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--between must stand with two checkpoints. Got 3"):
        interlace.measure([models / name for name in "abc"], task, between=1)
    other = make_embedded(tmp_path / "other", task.alphabet, 0, SIZES | {"hidden_size": 48})
    with pytest.raises(ModelError, match=r"of one model. Got hidden_size 32 in a and 48 in other. Name two of one"):
        interlace.measure([models / "a", other], task, between=1)
    words = shutil.copytree(models / "b", tmp_path / "words")
    settings = json.loads((words / "tokenizer.json").read_text())
    vocabulary = settings["model"]["vocab"]
    vocabulary["1"], vocabulary["2"] = vocabulary["2"], vocabulary["1"]
    (words / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"of one vocabulary. Got token '1': \d+ in a and \d+ in words. Name two"):
        interlace.measure([models / "a", words], task, between=1)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("mine")
    with pytest.raises(RecipeError, match="--write must name a new or empty folder"):
        interlace.measure([models / "a", models / "b"], task, between=1, write=tmp_path / "used")


def test_a_budget_is_nearly_used_up_however_coarse_the_line_is() -> None:
    """SFT loss that rises with the square of the position, seen at the ends alone."""
    found = {"0": 0.0, "1": 1.0}

    def profiles() -> dict[str, Profile]:
        named = sorted(found.items(), key=lambda item: item[1])
        return world(*(profile(name, 0.1 + 0.8 * at**2, 0.5 + 0.3 * at) for name, at in named))

    refine(profiles, lambda at: found.update({f"{at:.4g}": at}), 0.2)
    best = max(at for at in found.values() if 0.8 * at**2 <= 0.2)
    assert len(found) == 2 + REFINEMENTS and 0.8 * best**2 == pytest.approx(0.2, abs=0.02)
