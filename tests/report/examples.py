"""Runs made by hand, shaped like the embedded experiment: 300 steps of SFT, 100 of RL, 100 of SFT again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from interlace.analysis.summary import (
    Curve,
    ForkLength,
    ForkSummary,
    Landmarks,
    ObjectiveChange,
    RunSummary,
    SelfCheck,
    Split,
    Stages,
    StageSummary,
    Verdict,
)
from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.ledger import Ledger
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.store import RunRecord, StageRecord

LOSS, REWARD = "nats/response", "reward"
EXPERT = exact(0.7525, REWARD, 512)

RL_LOSS = [0.657, 0.624, 0.752, 0.888, 0.876, 0.952, 0.852, 0.896, 0.960, 0.964, 0.975]
RL_REWARD = [0.571, 0.721, 0.761, 0.794, 0.834, 0.846, 0.880, 0.891, 0.896, 0.903, 0.915]
AVERAGED_LOSS = [0.657, 0.598, 0.551, 0.539, 0.562, 0.607, 0.655, 0.710, 0.768, 0.812, 0.850]
AVERAGED_REWARD = [0.571, 0.612, 0.668, 0.720, 0.762, 0.796, 0.826, 0.851, 0.872, 0.887, 0.900]
LINE_LOSS, LINE_REWARD = [0.657, 0.561, 0.549, 0.676, 0.975], [0.571, 0.664, 0.754, 0.839, 0.915]
PREDICTED_LOSS = [0.657, 0.610, 0.606, 0.615, 0.640, 0.651, 0.690, 0.707, 0.716, 0.731, 0.762]


def figure(value: float, half: float, unit: str = LOSS, n: int = 512) -> Estimate:
    """An interval of half width `half`."""
    return Estimate(value, value - half, value + half, 0.95, n, "paired mean over prompts", unit)


def figures(values: Sequence[float], half: float, unit: str) -> tuple[Figure, ...]:
    """One figure a value."""
    return tuple(figure(value, half, unit) for value in values)


def curve(weights: str, steps: Sequence[int], loss: Sequence[float], reward: Sequence[float]) -> Curve:
    """A curve of the task "sums"; on the straight line, positions are equally spaced."""
    positions = tuple(np.linspace(0.0, 1.0, len(steps)).tolist()) if weights == LINE else ()
    kl = figures([0.01 * step**0.5 for step in steps], 0.004, LOSS)
    rewards, losses = figures(reward, 0.022, REWARD), figures(loss, 0.035, LOSS)
    return Curve("sums", weights, tuple(steps), positions, rewards, losses, kl)


def change(objective: str, before: float, after: float, weights: str = RAW, task: str = "sums") -> ObjectiveChange:
    """A change with intervals; its unit follows from the objective."""
    unit = {"reward": REWARD, "sft_loss_per_token": "nats/token"}.get(objective, LOSS)
    half = {"reward": 0.02, "sft_loss_per_token": 0.009}.get(objective, 0.04)
    ends = figure(before, half, unit), figure(after, half, unit)
    return ObjectiveChange(task, objective, weights, *ends, figure(after - before, half, unit))


def changes(loss: tuple[float, float], reward: tuple[float, float], weights: str = RAW) -> tuple[ObjectiveChange, ...]:
    """All five objectives of a stage."""
    return (
        change("sft_loss", *loss, weights),
        change("sft_loss_per_token", loss[0] / 4, loss[1] / 4, weights),
        change("sft_loss_right", loss[0] * 0.95, loss[1] * 0.6, weights),
        change("sft_loss_wrong", loss[0] * 1.1, loss[1] * 3.9, weights),
        change("reward", *reward, weights),
    )


def no_parity(reason: str = "SFT does not aim at reward") -> Landmarks:
    """Landmarks of a stage that passed nothing."""
    none = Unresolved(reason)
    return Landmarks(none, none, none, none, none)


NO_PATH = Unresolved("the tilt is defined from an RL stage's start")


def fork_summary() -> ForkSummary:
    """Three forks of each arm."""
    amounts = {"drift": 0.29, "drift_by_reward": 0.35, "reward_free_drift": -0.06, "diffusion": 0.02}
    loss = {name: figure(value, 0.05) for name, value in {**amounts, "change": 0.318, "unresolved": 0.008}.items()}
    lengths = tuple(ForkLength(steps, figure(0.003 * steps, 0.05), figure(steps / 5000, 0.01)) for steps in (50, 100))
    ratios = {"distance_ratio": figure(1.1, 0.2, "1", 3), "mean_square_gradient_ratio": figure(0.2, 0.02, "1", 3)}
    per_step = figure(0.0002, 0.0001, "nats/response per step", 3)
    trail = {arm: {"reward": (0.6, 0.7)} for arm in ("stage", "placebo")}
    along = {"placebo": {"reward": figure(-0.1, 0.02, "", 3)}}
    reward = {"drift": figure(0.3, 0.02, REWARD), "diffusion": figure(0.0, 0.01, REWARD)}
    reward |= {"change": figure(0.32, 0.02, REWARD), "unresolved": figure(0.02, 0.03, REWARD)}
    parts = {"sft_loss": loss, "reward": reward}
    said = ("Change of SFT loss over 100 of the stage's 400 steps: the reward's pull made +0.35.",)
    return ForkSummary(
        "sums", 0, 100, 3, "strict", True, parts, lengths, per_step, 0.9, ratios, along, trail, 400, said
    )


def sft_stage(name: str, steps: Sequence[int], loss: Sequence[float], reward: Sequence[float]) -> StageSummary:
    """An SFT stage."""
    total = loss[-1] - loss[0]
    return StageSummary(
        name=name,
        kind="sft",
        task="sums",
        steps_planned=steps[-1],
        steps_done=steps[-1],
        objectives=changes((loss[0], loss[-1]), (reward[0], reward[-1])),
        landmarks={RAW: no_parity()},
        expert_reward=EXPERT,
        split={RAW: Split(figure(total * 0.7, 0.03), figure(total * 0.3, 0.03), NO_PATH, NO_PATH, NO_PATH)},
        verdicts=(),
        self_checks=(SelfCheck("A11", "PASSED", "right and wrong parts add up to the change within 1e-12 nats."),),
        flags=(),
        ledger={},
        sentence=f"SFT moved reward from {reward[0]:.2f} to {reward[-1]:.2f} and SFT loss by {total:.2f}.",
        remark="Most of that is on right expert responses.",
        curves=(curve(RAW, steps, loss, reward),),
    )


def rl_verdicts() -> tuple[Verdict, ...]:
    """One verdict of each kind."""
    conditions = (
        "reward fixed and bounded: yes",
        "on the path (off-path part small): no, 0.21 [0.17, 0.25] nats/response",
        "reward not flat: yes",
    )
    return (
        Verdict("A4", "OUTSIDE ITS CONDITIONS", figure(0.108, 0.02), figure(0.318, 0.04), conditions,
                "SFT loss rose after parity as the law says, but more: the off-path part is resolved large."),
        Verdict("A3", "HOLDS", figure(-0.044, 0.01), figure(0.318, 0.04), ("the path above: assumed",),
                "The rise is at least the lower bound."),
        Verdict("C7", "CONTRADICTS", figure(0.105, 0.03), figure(0.193, 0.04), ("on-path share: 0.27",),
                "Averaged weights end above the path that rewards alone predict.", AVERAGED),
        Verdict("A5", "NOT RESOLVED", Unresolved("log Z needs more samples (ESS 1.8)"), figure(0.318, 0.04), (),
                "Whether the threshold was passed cannot be told."),
    )  # fmt: skip


def rl_stage(shift: float = 0.0) -> StageSummary:
    """An RL stage with averaged weights, the straight line and a predicted curve; SFT losses moved by `shift`."""
    steps = list(range(0, 101, 10))
    loss, averaged, straight = ([value + shift for value in of] for of in (RL_LOSS, AVERAGED_LOSS, LINE_LOSS))
    return StageSummary(
        name="rl",
        kind="rl",
        task="sums",
        steps_planned=100,
        steps_done=100,
        objectives=(
            *changes((0.657, loss[-1]), (0.571, 0.915)),
            *changes((0.657, averaged[-1]), (0.571, 0.900), AVERAGED),
        ),
        landmarks={
            RAW: Landmarks(30, 17.4, 10, figure(0.721, 0.03, REWARD), figure(0.624, 0.035)),
            AVERAGED: Landmarks(50, 37.6, 30, figure(0.720, 0.03, REWARD), figure(0.539, 0.035)),
        },
        expert_reward=EXPERT,
        split={
            RAW: Split(*figures((-0.428, 0.746, 0.108, 0.210, 2.1), 0.03, LOSS)),
            AVERAGED: Split(*figures((-0.39, 0.583, 0.091, 0.102, 2.0), 0.03, LOSS)),
        },
        verdicts=rl_verdicts(),
        self_checks=(
            SelfCheck("A10", "PASSED", "tilt and off-path parts add up to the change within 2e-9 nats."),
            SelfCheck("A9", "ESTIMATOR AT FAULT", "reward moved by more than sqrt(KL/2): KL is too small."),
        ),
        flags=("resumed at step 40 after a kill",),
        ledger={},
        sentence="RL raised both. RL passed the expert's reward near step 17.",
        remark="RL passed the expert's reward near step 17.",
        curves=(
            curve(RAW, steps, loss, RL_REWARD),
            curve(AVERAGED, steps, averaged, AVERAGED_REWARD),
            curve(LINE, [100] * 5, straight, LINE_REWARD),
            curve("predicted", steps, PREDICTED_LOSS, RL_REWARD),
        ),
    )


def facts_summary(seed: int = 0) -> RunSummary:
    """The whole run; other seeds shift it a little."""
    rng = np.random.default_rng(seed)
    first = list(range(0, 301, 10))
    plateau, breakthrough, end = np.linspace(5.3, 4.6, 9), np.linspace(4.4, 1.0, 7), np.linspace(0.9, 0.657, 10)
    loss = [12.13, 8.4, 6.9, 6.1, 5.6, *plateau, *breakthrough, *end]
    reward = [*[0.0] * 14, *np.linspace(0.01, 0.45, 7), *np.linspace(0.47, 0.571, 10)]
    wobble = rng.normal(0, 0.008, len(loss)) if seed else np.zeros(len(loss))
    third = list(range(0, 101, 10))
    back = [0.915, 0.779, 0.590, 0.695, 0.71, 0.735, 0.728, 0.741, 0.715, 0.730, 0.722]
    loss_back = [0.975, 0.70, 0.69, 0.60, 0.585, 0.575, 0.57, 0.568, 0.561, 0.563, 0.560]
    stages = (
        sft_stage("sft", first, (np.array(loss) + wobble).tolist(), reward),
        rl_stage(float(rng.normal(0.0, 0.03)) if seed else 0.0),
        sft_stage("sft-2", third, loss_back, back),
    )
    advice = (
        "Ship the averaged weights at step 30 of rl: reward 0.72, SFT loss 0.54, below the stage's start.",
        "Or stop rl near step 17, where reward passes the expert's 0.75: every later step raised SFT loss.",
        "Read the rise before mending it: it lies on the expert's wrong responses, not on the right ones.",
    )
    return RunSummary(f"runs/quickstart/seed-{seed}", "quickstart", seed, Stages(stages), advice)


def controls_summary(seed: int = 0) -> RunSummary:
    """What the run is compared with: RL with permuted rewards, and SFT once more, both from the first SFT stage."""
    run = facts_summary(seed)
    sft, rl, again = run.stages
    permuted = "rewards permuted within each group"
    placebo = dataclasses.replace(rl, name="placebo", placebo="strict", control=permuted)
    again = dataclasses.replace(again, control="SFT again, from sft")
    return dataclasses.replace(run, recipe="quickstart-controls", stages=Stages((sft, placebo, again)))


def samples(prompt: str = "27+58=", expert: str = "58\n") -> tuple[dict[str, object], ...]:
    """Two prompts at step 0 and at the last step."""
    rows = [
        (0, prompt, "57", 0.0),
        (0, "10+05=", "51 ", 1.0),
        (100, prompt, "58", 1.0),
        (100, "10+05=", "  51\t\n", 1.0),
    ]
    names = ("step", "prompt", "completion", "reward")
    return tuple(
        {**dict(zip(names, row, strict=True)), "task": "sums", "index": i % 2, "expert": expert}
        for i, row in enumerate(rows)
    )


def record_of(summary: RunSummary) -> RunRecord:
    """A record that fits a summary."""
    ledger = Ledger(
        optimizer_steps=100,
        tokens_sampled=204_800,
        tokens_forward=1_638_400,
        tokens_backward=819_200,
        flops=3.2e12,
        expert_examples=76_800,
        train_seconds=24.7,
        measure_seconds=8.1,
    ).to_json()
    agreement = {"ours": 0.6571, "trainers": 0.6572, "difference": 0.0001, "tolerance": 0.001, "agrees": True,
                 "template": "none", "eos": "appended",
                 "mask": "completion only", "dtype": "float32"}  # fmt: skip
    stages = tuple(
        StageRecord(
            stage=f"{i:02}-{stage.name}",
            name=stage.name,
            kind=stage.kind,
            task=stage.task,
            steps_planned=stage.steps_planned,
            steps_done=stage.steps_done,
            finished=True,
            ledger=ledger,
            reconciliation=agreement,
            samples=samples(),
            flags=stage.flags,
        )
        for i, stage in enumerate(summary.stages, start=1)
    )
    manifest = {
        "recipe": summary.recipe,
        "seed": summary.seed,
        "versions": {"interlace": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
        "data": {"sums": {"train": "sha256:9f2c", "heldout": "sha256:41aa"}},
    }
    resolved = {
        "model": "embedded",
        "tasks": {"sums": {"kind": "addition", "digits": 2, "expert_error": 0.5}},
        "stages": [{"sft": {"max_steps": 300}}, {"rl": {"max_steps": 100, "beta": 0.0}}, {"sft": {"max_steps": 100}}],
    }
    return RunRecord(Path(summary.run), summary.recipe, summary.seed, manifest, resolved, stages, {})


ATTACK = "</script><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}"


def hostile_run() -> tuple[RunRecord, RunSummary]:
    """A run in which every name and text that comes from outside tries to run a script, and figures are missing."""
    summary = facts_summary()
    absent = Unresolved(f"no reward {ATTACK}")
    infinite = Estimate(float("inf"), 1.0, float("inf"), 0.95, 3, ATTACK, LOSS)
    attacked = [
        dataclasses.replace(
            stage,
            name=f"{stage.name} {ATTACK}",
            task=ATTACK,
            sentence=ATTACK,
            remark=ATTACK,
            control=ATTACK,
            flags=(ATTACK,),
            expert_reward=absent,
            objectives=(ObjectiveChange(ATTACK, "sft_loss", RAW, infinite, infinite, absent),
                        ObjectiveChange(ATTACK, ATTACK, ATTACK, absent, absent, infinite)),
            curves=tuple(dataclasses.replace(item, task=ATTACK, sft_loss=(absent, infinite, *item.sft_loss[2:]))
                         for item in stage.curves),
            verdicts=(Verdict(ATTACK, ATTACK, infinite, absent, (ATTACK,), ATTACK),),
            self_checks=(SelfCheck(ATTACK, ATTACK, ATTACK),),
        )
        for stage in summary.stages
    ]  # fmt: skip
    summary = dataclasses.replace(summary, recipe=ATTACK, stages=Stages(tuple(attacked)), advice=(ATTACK,))
    record = record_of(summary)
    stages = tuple(dataclasses.replace(stage, samples=samples(ATTACK, ATTACK * 9)) for stage in record.stages)
    manifest = {ATTACK: {"a": ATTACK}}
    return dataclasses.replace(record, stages=stages, resolved={ATTACK: ATTACK}, manifest=manifest), summary
