"""`preset="full"` on checkpoints: gradients, prices of every pair of tasks, curvature; each against a slow twin."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import interlace
from interlace.checkpoints import Measured
from interlace.checkpoints.figures import cost_table, costs, of_layers, whole
from interlace.encoding import dumps
from interlace.errors import RecipeError
from interlace.estimate import Estimate, Unresolved
from interlace.policies import Policy, load_policy, make_embedded
from interlace.tasks import Example, Task
from tests.checkpoints.conftest import SIZES
from tests.probes.conftest import imitate

PROMPTS = 24
"""Twelve parts of one prompt for each objective: the even prompts are the SFT loss's, the odd ones the reward's."""
KL = "kl_policy_first_nats_per_response"


@pytest.fixture(scope="module")
def tasks(task: Task) -> list[Task]:
    return [task, replace(task, name="other", heldout=task.heldout[::-1])]


@pytest.fixture(scope="module")
def trained(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models a and b, trained for a moment, so that noise does not drown their gradients."""
    place = tmp_path_factory.mktemp("trained")
    policy = load_policy(str(make_embedded(place / "start", task.alphabet, 3, SIZES)))
    for name in "ab":
        imitate(policy, task, num_steps=2, learning_rate=3e-3)
        policy.model.save_pretrained(place / name)
        policy.tokenizer.save_pretrained(place / name)
    return place


@pytest.fixture(scope="module")
def measured(trained: Path, tasks: list[Task]) -> Measured:
    return interlace.measure([trained / "a", trained / "b"], tasks, preset="full", prompts=PROMPTS, dtype="float64")


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def logprob(policy: Policy, prompt: Any, text: str) -> torch.Tensor:
    """log p of a response and its end, one sequence at a time."""
    tokenizer = policy.tokenizer
    before = tokenizer(prompt)["input_ids"]
    ids = [*before, *tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    logprobs = policy.model.eval()(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return torch.stack([logprobs[at - 1, ids[at]] for at in range(len(before), len(ids))]).sum()


def loss_of(policy: Policy, example: Example) -> torch.Tensor:
    terms = [-item.probability * logprob(policy, example.prompt, item.text) for item in example.responses]
    return torch.stack(terms).sum()


def reward_of(policy: Policy, example: Example) -> torch.Tensor:
    assert example.rewarded is not None
    return torch.stack([r * logprob(policy, example.prompt, text).exp() for text, r in example.rewarded]).sum()


def gradient(policy: Policy, objective: torch.Tensor) -> np.ndarray:
    grads = torch.autograd.grad(objective, list(policy.model.parameters()), materialize_grads=True)
    return np.concatenate([grad.numpy().ravel() for grad in grads])


def gradients(folder: Path, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Of the SFT loss on every other prompt, and of the reward on those between."""
    policy = load_policy(str(folder), "float64")
    examples = task.heldout[:PROMPTS]
    losses = [gradient(policy, loss_of(policy, example)) for example in examples[0::2]]
    rewards = [gradient(policy, reward_of(policy, example)) for example in examples[1::2]]
    return np.array(losses), np.array(rewards)


def without_noise(vectors: np.ndarray) -> float:
    return float(np.mean([one @ other for one, other in itertools.permutations(vectors, 2)]))


def test_D15_is_priced_for_every_pair_of_tasks_at_every_checkpoint(
    measured: Measured, trained: Path, tasks: list[Task]
) -> None:
    found = costs(measured)
    assert set(found) == set(itertools.product("ab", ("sums", "other"), ("sums", "other")))
    for name in "ab":
        twins = {task.name: gradients(trained / name, task) for task in tasks}
        for rewarded, paying in itertools.product(twins, twins):
            losses, rewards = twins[paying][0], twins[rewarded][1]
            truth = float((losses @ rewards.T).mean()) / without_noise(rewards)
            assert value(found[name, rewarded, paying]) == pytest.approx(truth, rel=1e-8)


def test_cosines_and_norms_are_those_of_the_twin(measured: Measured, trained: Path, task: Task) -> None:
    losses, rewards = gradients(trained / "b", task)
    cross = float((losses @ rewards.T).mean())
    assert value(measured.figure("b", "gradient_inner_product", "sums")) == pytest.approx(cross, rel=1e-8)
    for side, vectors in (("sft", losses), ("reward", rewards)):
        norm = value(measured.figure("b", f"{side}_gradient_norm_squared", "sums"))
        assert norm == pytest.approx(without_noise(vectors), rel=1e-8)
    cosine = np.clip(cross / np.sqrt(without_noise(losses) * without_noise(rewards)), -1.0, 1.0)
    assert value(measured.figure("b", "gradient_cosine", "sums")) == pytest.approx(cosine, rel=1e-8)
    layers = {layer for layer, *_ in of_layers(measured)}
    assert {"layers.0", "layers.1", "embed_tokens"} <= layers


def test_the_way_here_begins_at_the_first_checkpoint(measured: Measured, trained: Path, task: Task) -> None:
    """d^T H d / norm(d)^2, one response and one double backward at a time, on the SFT loss's half of the prompts."""
    start, end = (load_policy(str(trained / name), "float64") for name in "ab")
    weights = list(end.model.parameters())
    way = [(last - first).detach() for first, last in zip(start.model.parameters(), weights, strict=True)]
    bends = []
    for example in task.heldout[:PROMPTS:2]:
        with sdpa_kernel(SDPBackend.MATH):
            slopes = torch.autograd.grad(loss_of(end, example), weights, create_graph=True)
        along = torch.stack([(slope * direction).sum() for slope, direction in zip(slopes, way, strict=True)]).sum()
        second = torch.autograd.grad(along, weights)
        bends.append(sum((bend * direction).sum().item() for bend, direction in zip(second, way, strict=True)))
    truth = np.mean(bends) / sum(direction.square().sum().item() for direction in way)
    assert value(measured.figure("b", "curvature_along_displacement", "sums")) == pytest.approx(truth, rel=1e-6)
    assert not any(c.objective == "curvature_along_displacement" and c.checkpoint == "a" for c in measured.figures)


def test_every_probe_that_needs_no_trainer_says_something(measured: Measured) -> None:
    found = {cell.objective for cell in measured.figures if (cell.checkpoint, cell.task) == ("b", "sums")}
    named = {"reward_variance", "gradient_cosine", "linearised_cost/other", "reward_gradient_noise_scale",
             "gradient_cosine_bound", "pl_constant_sft", "curvature_along_reward_gradient", "smoothness",
             "optimal_progress"}  # fmt: skip
    assert named <= found
    assert not {"update_norm", "sft_loss", "reward", "kl_policy_start_nats_per_response"} & found


def test_cells_are_those_of_the_standard_preset(measured: Measured, trained: Path, tasks: list[Task]) -> None:
    standard = interlace.measure([trained / "a", trained / "b"], tasks, prompts=PROMPTS, dtype="float64")
    assert standard.cells == measured.cells and standard.differences == measured.differences
    assert standard.figures == ()


def test_figures_stand_in_json_and_csv(measured: Measured) -> None:
    found = json.loads(dumps(measured))["figures"]
    assert list(found[0]) == ["checkpoint", "task", "quantity", "estimate"]
    assert len(found) == len(measured.figures) == len({(f["checkpoint"], f["task"], f["quantity"]) for f in found})
    rows = [row for row in csv.DictReader(io.StringIO(measured.to_csv())) if row["kind"] == "figure"]
    assert [row["objective"] for row in rows] == [item["quantity"] for item in found]
    assert not any("/layers." in each.objective or "linearised" in each.objective for each in whole(measured))
    assert [(name, rewarded) for name, rewarded, _ in cost_table(measured)] == [
        ("a", "sums"), ("a", "other"), ("b", "sums"), ("b", "other")
    ]  # fmt: skip


def test_an_adapter_is_looked_at_in_all_its_effective_weights(adapters: Path, models: Path, task: Task) -> None:
    measured = interlace.measure([models / "a", adapters / "first"], task, preset="full", prompts=8)
    assert isinstance(measured.figure("first", "curvature_along_displacement"), Estimate)
    layers = {layer for layer, name, _ in of_layers(measured) if name == "first"}
    assert "embed_tokens" in layers  # which LoRA does not touch


def test_there_is_no_way_between_models_of_two_shapes(models: Path, task: Task, tmp_path: Path) -> None:
    other = make_embedded(tmp_path / "other", task.alphabet, 0, SIZES | {"hidden_size": 48})
    measured = interlace.measure([models / "a", other], task, preset="full", prompts=16)
    assert not any(cell.objective == "curvature_along_displacement" for cell in measured.figures)
    assert isinstance(measured.figure("other", KL), Estimate)


def test_a_least_loss_stands_in_for_an_expert_that_is_not_known(models: Path) -> None:
    rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(8) for b in range(8)]
    task = Task.from_rows(rows, heldout=24)
    without = interlace.measure(models / "a", task, preset="full")
    assert "give least_loss" in str(without.figure("a", "pl_constant_sft"))
    given = interlace.measure(models / "a", task, preset="full", least_loss=0.25)
    gap = value(given.figure("a", "sft_gap_to_best"))
    assert gap == pytest.approx(value(given.figure("a", "sft_loss")) - 0.25, rel=1e-5)
    assert "a given least loss" in str(getattr(given.figure("a", "pl_constant_sft"), "method", ""))


def test_what_a_model_cannot_do_is_unresolved(models: Path, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*arguments: Any) -> None:
        raise RuntimeError("derivative for aten::own_kernel is not implemented")

    monkeypatch.setattr("interlace.probes.curvature.hessian_product", refuses)
    measured = interlace.measure(models / "a", task, preset="full", prompts=8)
    assert "own_kernel is not implemented" in str(measured.figure("a", "curvature"))
    assert isinstance(measured.figure("a", "gradient_inner_product"), Estimate)


def test_the_light_preset_says_what_it_leaves_out(models: Path, task: Task) -> None:
    measured = interlace.measure([models / "a", models / "b"], task, preset="light", prompts=8, between=1)
    assert measured.figure("b", KL) == Unresolved("the preset light leaves KL out: say --preset standard")
    assert measured.line is not None
    assert {str(c.figure) for c in measured.line.cells if c.objective == KL and c.checkpoint != "0"} == {
        "not resolved: the preset light leaves KL out: say --preset standard"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "ful"}, "--preset must be one of full, light, planning, standard. Got 'ful'. Did you mean 'full'?"),
        ({"least_loss": 0.3}, "--least-loss must stand with --preset full. Got standard"),
        ({"preset": "full", "least_loss": {"x": 0.3}}, "--least-loss task must be one of other, sums. Got 'x'"),
        ({"preset": "full", "least_loss": -1.0}, "--least-loss must name its task"),
        ({"preset": "full", "least_loss": {"sums": -1.0}}, "--least-loss must be finite nats/response, at least 0"),
    ],
)
def test_mistakes_are_said(models: Path, tasks: list[Task], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        interlace.measure(models / "a", tasks, **options)
