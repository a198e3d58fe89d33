"""Forks of a run: what they are, what they leave alone, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import interlace
from interlace.api import fork_request
from interlace.errors import MachineError, ModelError, RecipeError, RunFolderError
from interlace.estimate import OTHER_SEEDS, Estimate, Unresolved
from interlace.forking import Arm, ForkPlan
from interlace.forking.scratch import Weights
from interlace.forking.training import train_fork
from interlace.measurement import Point
from interlace.pipeline.forks import fork_lengths
from interlace.policies import load_policy
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.store import read_run

from .worlds import files_in, letters, recipe, rl

TASKS = {"letters": letters()}
OWN = Arm("stage", None)


def plan(**fields: Any) -> ForkPlan:
    options = rl()["rl"]
    del options["task"]
    request = StageRequest("02-rl", letters(), options, Path("unused"), seed=0)
    return ForkPlan(request, **{"count": 4, "marks": (2, 4), **fields})


def trained(kind: str, plan: ForkPlan, number: int, start: Any, arm: Arm = OWN) -> dict[int, Weights]:
    """The weights of one fork at its marks."""
    kept: dict[int, Weights] = {}
    train_fork(load_stage(kind), plan, arm, number, start, kept.__setitem__)
    return kept


def start_of(run: Path) -> Any:
    return load_policy(str(run / "stages" / "01-sft" / "checkpoint-60"))


def test_parts_add_up_to_what_the_run_did(run: Path) -> None:
    forks = interlace.fork(run, count=6, tasks=TASKS)
    for name, parts in forks.parts.items():
        value = {part: figure.value for part, figure in parts.items() if isinstance(figure, Estimate)}
        split = ("drift_by_reward", "reward_free_drift", "diffusion", "unresolved")
        assert sum(value[part] for part in split) == pytest.approx(value["change"], abs=1e-6)
        change = interlace.summarise(run).stages["rl"].objective(name).change
        assert isinstance(change, Estimate) and change.value == pytest.approx(value["change"], abs=1e-9)


def test_the_run_stays_as_it_is_but_for_what_is_added(run: Path) -> None:
    before = files_in(run)
    torch.manual_seed(1), np.random.seed(1)  # noqa: NPY002 -- the user's own state (beartype moves Python's, in tests)
    drawn = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(1), np.random.seed(1)  # noqa: NPY002
    interlace.fork(run, count=4, steps=4, placebo=None, tasks=TASKS)
    assert torch.equal(torch.rand(3), drawn[0]) and np.array_equal(np.random.rand(3), drawn[1])  # noqa: NPY002
    after = files_in(run)
    assert after["events.jsonl"].startswith(before.pop("events.jsonl"))
    assert {name: after[name] for name in before} == before


def test_a_fork_that_fails_leaves_no_trace_in_the_record(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlace.forking.experiment.train_fork", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        interlace.fork(run, count=4, tasks=TASKS)
    assert not read_run(run).stages[1].forks
    assert not interlace.summarise(run).stages["rl"].forks
    assert not list((run / "samples").rglob("*forks*"))


def test_a_fork_that_is_stopped_ends_soon(run: Path) -> None:
    steps: list[int] = []
    ended = train_fork(load_stage("rl"), plan(marks=(2, 4)), OWN, 0, start_of(run), lambda *_: None, steps.append)  # type: ignore[arg-type, func-returns-value]
    assert ended is None and steps == [1]


def test_a_second_experiment_takes_the_place_of_the_first(run: Path) -> None:
    first = interlace.fork(run, count=4, steps=4, placebo=None, tasks=TASKS)
    second = interlace.fork(run, count=5, steps=4, placebo=None, tasks=TASKS)
    assert (first.count, second.count) == (4, 5)
    assert interlace.summarise(run).stages["rl"].forks[0].to_json() == second.to_json()


def adam_run(folder: Path, **options: Any) -> Path:
    """SFT of 8 steps by AdamW, of which step 4 is kept with its optimizer."""
    sft = {"task": "letters", "max_steps": 8, "per_device_train_batch_size": 16, "save_steps": 4, "save_total_limit": 2}
    model = {"hidden_size": 32, "num_hidden_layers": 1}
    interlace.run({"name": "adam", "model_options": model, "stages": [{"sft": sft | options}]}, out=folder, tasks=TASKS)
    return folder


def test_from_a_checkpoint_second_moments_and_schedule_are_kept_and_momentum_is_not(tmp_path: Path) -> None:
    """The first step from there, by hand: m = (1 - b1) g, v = b2 v_4 + (1 - b2) g^2, no correction but Adam's own."""
    schedule = {"learning_rate": 1e-2, "lr_scheduler_type": "linear", "max_grad_norm": 0.0, "weight_decay": 0.0}
    run = adam_run(tmp_path / "run", **schedule)
    checkpoint = run / "stages" / "01-sft" / "checkpoint-4"
    kept = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    options = {"max_steps": 8, "per_device_train_batch_size": 16, **schedule}
    request = StageRequest("01-sft", letters(), options, Path("unused"), seed=0)
    plan = ForkPlan(request, count=4, marks=(1,), placebo=None, from_step=4, checkpoint=checkpoint)
    start = load_policy(str(checkpoint))
    found = trained("sft", plan, 0, start)[1]
    plain = replace(plan, checkpoint=None, from_step=4, request=replace(request, options=options | {"optim": "sgd"}))
    moved = trained("sft", plain, 0, start)[1]  # the same batch: what SGD moves by is -rate x gradient
    rate, beta1, beta2, step = kept["param_groups"][0]["lr"], 0.9, 0.999, 5
    assert rate == pytest.approx(1e-2 * 4 / 8)
    for name, weight in start.model.named_parameters():
        gradient = ((weight - moved[name]) / 1e-2).detach().double()
        state = kept["state"][_index_of(kept, start, name)]
        second = beta2 * state["exp_avg_sq"].double() + (1 - beta2) * gradient**2
        update = (1 - beta1) * gradient / (1 - beta1**step) / ((second / (1 - beta2**step)).sqrt() + 1e-8)
        torch.testing.assert_close(found[name].double(), weight.detach().double() - rate * update, atol=2e-5, rtol=1e-4)


def _index_of(kept: Any, policy: Any, name: str) -> int:
    """Where Trainer's groups (with weight decay, then without) put a parameter."""
    names = [n for n, _ in policy.model.named_parameters()]
    decayed = [n for n in names if "norm" not in n and "bias" not in n]
    order = decayed + [n for n in names if n not in decayed]
    sizes = [len(group["params"]) for group in kept["param_groups"]]
    assert sizes[0] == len(decayed)
    return order.index(name)


def test_from_a_checkpoint_the_run_is_not_compared(tmp_path: Path) -> None:
    """It kept its momentum there, its forks did not."""
    run = adam_run(tmp_path / "run", lr_scheduler_type="constant")
    forks = interlace.fork(run, "sft", count=4, from_step=4, tasks=TASKS)
    assert set(forks.parts["sft_loss"]) == {"drift", "diffusion"} and forks.steps == 4
    rate = forks.diffusion_per_step
    assert isinstance(rate, Unresolved) and "fewer than 3/(1 - 0.9)" in rate.reason


def test_a_schedule_that_has_ended_and_a_damaged_checkpoint_are_refused(tmp_path: Path) -> None:
    run = adam_run(tmp_path / "run", lr_scheduler_type="linear")
    with pytest.raises(ModelError, match="has ended at 0"):
        interlace.fork(run, "sft", count=4, from_step=8, tasks=TASKS)
    (run / "stages" / "01-sft" / "checkpoint-4" / "optimizer.pt").write_bytes(b"half")
    with pytest.raises(RunFolderError, match="must be whole to fork from"):
        interlace.fork(run, "sft", count=4, from_step=4, tasks=TASKS)


def test_mirrored_placebos_tell_their_drift_by_the_means_of_pairs(run: Path) -> None:
    """The reward-free drift, by hand from the kept scores; and what training showed of the arms."""
    forks = interlace.fork(run, count=4, steps=4, mirrored=True, tasks=TASKS)
    record = read_run(run)
    kept = record.stages[1].forks[-1]

    def loss(reading: str, mark: int = 4) -> float:
        scores = record.scores(Point("02-rl", mark, "letters", kept.weights(reading)))
        assert scores.expert_logprobs is not None
        return float(record.heldout["letters"].per_prompt(-scores.expert_logprobs).mean())

    pairs = [loss(f"pairs-fork-{number}") for number in range(4)]
    drift = loss("pairs-mean") - (np.mean(pairs) - loss("pairs-mean")) / 3 - loss("start", 0)
    figure = forks.parts["sft_loss"]["reward_free_drift"]
    assert isinstance(figure, Estimate) and figure.value == pytest.approx(drift, abs=1e-9)
    assert figure.scope == OTHER_SEEDS
    assert set(forks.trail) == {"stage", "placebo", "mirrored"} and len(forks.trail["placebo"]["reward"]) == 4
    ratio = forks.placebo_against_stage["distance_ratio"]
    distances = [np.array(kept.arms[arm]["distances"][-1]) for arm in ("placebo", "stage")]
    assert isinstance(ratio, Estimate) and ratio.value == pytest.approx((distances[0] / distances[1]).mean())


def test_a_longer_fork_passes_through_a_shorter_one(run: Path) -> None:
    """The schedule and the data are the stage's: where a fork ends changes nothing of it before."""
    start = start_of(run)
    long, short = (trained("rl", plan(marks=marks), 0, start)[2] for marks in ((2, 4), (2,)))
    assert all(torch.equal(long[name], short[name]) for name in short)
    again, other = (trained("rl", plan(marks=(2,)), number, start)[2] for number in (0, 1))
    assert all(torch.equal(short[name], again[name]) for name in short)
    assert any(not torch.equal(short[name], other[name]) for name in short)


def test_mirrored_forks_take_the_opposite_first_step(run: Path) -> None:
    """Plain SGD without clipping: the same completions, every advantage turned."""
    start = start_of(run)
    here = plan(marks=(1,), placebo="strict", mirrored=True)
    options = {**here.request.options, "optim": "sgd", "max_grad_norm": 0.0}
    here = replace(here, request=replace(here.request, options=options))
    there, back = (trained("rl", here, 0, start, arm)[1] for arm in here.arms[1:])
    origin = dict(start.model.named_parameters())
    for name, weight in there.items():
        torch.testing.assert_close(weight - origin[name], origin[name] - back[name], atol=1e-7, rtol=1e-4)


def test_forks_share_no_prompt_where_there_are_enough() -> None:
    apart = plan(num_prompts=12)
    sets = [{e.prompt for e in apart.of_fork(OWN, number, Path("unused")).task.train} for number in range(4)]
    assert apart.is_disjoint and not any(a & b for a, b in itertools.combinations(sets, 2))
    together = plan(num_prompts=13)
    assert not together.is_disjoint
    assert together.of_fork(OWN, 1, Path("unused")).task.train == together.request.task.train


def test_a_stage_that_is_a_placebo_has_one_arm() -> None:
    base = plan()
    itself = replace(base, request=replace(base.request, placebo="strict"))
    assert [arm.name for arm in base.arms] == ["stage", "placebo"]
    assert [arm.name for arm in itself.arms] == ["stage"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 3}, "at least 4"),
        ({"stage": "lr"}, "Did you mean 'rl'"),
        ({"steps": 5}, "Choose from 4, 8"),
        ({"from_step": 3}, "Choose from 0, 8"),
        ({"steps": 5}, "at one of its looks. Got 5 steps. Choose from 4, 8."),
        ({"steps": 9}, "no longer than the stage goes on from step 0: 8 steps. Got 9. Choose from 4, 8."),
        ({"placebo": None, "mirrored": True}, "partners of strict placebos"),
        ({"placebo": "loose"}, "forks: placebo must be 'strict', 'as_configured' or 'bernoulli'. Got 'loose'."),
        ({"stage": "sft", "mirrored": True}, "Stage 'sft' is of kind sft, without rewards. Leave out mirrored and"),
        ({"stage": "sft", "placebo": "strict"}, "Stage 'sft' is of kind sft, without rewards. Leave out placebo"),
    ],
)
def test_what_cannot_be_forked_is_refused(trained: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        interlace.fork(trained, **{"tasks": TASKS, **fields})


def test_a_recipe_forks_its_stage_once_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended in its forks makes them when it is continued, and not a second time."""
    asked = recipe(rl(max_steps=4, forks={"count": 4, "placebo": None}))
    with monkeypatch.context() as broken:
        broken.setattr("interlace.forking.experiment.train_fork", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            interlace.run(asked, out=tmp_path / "run", tasks=TASKS)
    assert [stage.finished for stage in read_run(tmp_path / "run").stages] == [True, True]
    (forks,) = interlace.run(asked, out=tmp_path / "run", tasks=TASKS).stages["rl"].forks
    assert (forks.count, forks.steps) == (4, 4)
    monkeypatch.setattr("interlace.forking.experiment.train_fork", lambda *_: 1 / 0)
    interlace.run(asked, out=tmp_path / "run", tasks=TASKS)


def test_a_placebo_that_leaks_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    asked = recipe(rl(num_iterations=2, forks={"count": 4}))
    with pytest.raises(RecipeError, match="placebo: strict needs `num_iterations`"):
        interlace.run(asked, out=tmp_path / "run", tasks=TASKS)
    assert not (tmp_path / "run").exists()


def test_an_attached_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"recipe": "mine", "seed": 0}')
    (tmp_path / "resolved.yaml").write_text('{"name": "mine", "attached": {}}')
    with pytest.raises(RunFolderError, match="Another trainer wrote it"):
        interlace.fork(tmp_path)


def test_lengths_lie_where_the_run_was_looked_at() -> None:
    looked = [10, 20, 30, 40]
    assert fork_lengths(40, looked) == (10, 20, 40)
    assert fork_lengths(10, looked) == (10,)
    assert fork_lengths(80, looked) == (20, 40, 80)
    assert fork_lengths(1, []) == (1,)
    with pytest.raises(RecipeError, match="Choose from 10, 20, 30, 40"):
        fork_lengths(15, looked)


def test_what_it_takes_is_said_beforehand(trained: Path) -> None:
    """By the stage's own pace; the disk holds an arm's weights at every mark, two arms' with mirrored partners."""
    before = files_in(trained)
    cost = fork_request(trained, None, 0, {"count": 4, "mirrored": True}, TASKS).plan()
    spent = read_run(trained).stages[1]
    assert cost.arms == ("stage", "placebo", "mirrored") and cost.total_steps == 3 * 4 * 8
    assert cost.train_seconds == pytest.approx(spent.ledger["train_seconds"] * 12)
    num_weights = start_of(trained).num_parameters()
    assert cost.disk_bytes == 2 * 4 * len(cost.marks) * 4 * num_weights and cost.memory_bytes == 24 * num_weights
    assert "rl: 4 forks x 3 arms (stage, placebo, mirrored) x 8 steps: 96 steps to train." in cost.sentences
    assert files_in(trained) == before


def test_a_full_disk_is_refused_before_anything_is_trained(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(MachineError, match="must have .* free for the weights"):
        interlace.fork(run, count=4, tasks=TASKS)


def test_random_rewards_are_an_arm_of_their_own(run: Path) -> None:
    forks = interlace.fork(run, count=4, steps=4, placebo="bernoulli", tasks=TASKS)
    assert forks.placebo == "bernoulli" and {"drift_by_reward", "reward_free_drift"} < set(forks.parts["reward"])
    assert forks.stage_steps == 8 and "over 4 of the stage's 8 steps" in forks.conclusions[0]
