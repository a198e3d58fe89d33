"""A stop rule in a trainer of one's own: it stops, says why and where to go back to, and touches no weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file

import interlace
from interlace.errors import DataError, RecipeError
from interlace.policies import load_policy
from interlace.store import read_run
from tests.attachment import worlds

FAR = {"rule": "kl", "nats": 1e-6, "when": "possible"}
FLAT = {"rule": "best_checkpoint", "exchange_rate": 0.0, "patience": 1}


def test_grpo_is_stopped_and_told_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reward of its own makes the policy move; the exchange rate 0 asks for the task's reward alone."""
    task = worlds.make_task()

    def longest(completions: list[str], **columns: Any) -> list[float]:
        return [float(len(text)) for text in completions]

    trainer = worlds.grpo(tmp_path, task, reward_funcs=longest, max_steps=20, learning_rate=1e-1)
    callback = interlace.attach(trainer, task, every=2, overhead=None, stop=FLAT)
    with caplog.at_level(logging.WARNING, logger="interlace"):
        trainer.train()
    (stage,) = read_run(callback.folder).stages
    assert stage.stopped is not None and stage.finished
    assert trainer.state.global_step == stage.stopped.step == stage.steps_done < 20
    assert stage.stopped.rewound_to is None and stage.stopped.kept is not None
    kept = Path(stage.stopped.kept)
    assert kept.parent == callback.folder / "stages" / "01-rl" and load_policy(str(kept)).num_parameters()
    assert "by the rule best_checkpoint: R - lambda L on sums" in caplog.text and str(kept) in caplog.text
    assert interlace.summarise(callback.folder).stages["rl"].stopped == stage.stopped


def test_a_callback_alone_stops_too_and_keeps_an_adapter_as_an_adapter(tmp_path: Path) -> None:
    task = worlds.make_task()
    callback = interlace.CouplingCallback(task, every=1, overhead=None, stop={**FAR, "rewind": True})
    trainer = worlds.sft(tmp_path, task, [callback], LoraConfig(target_modules=["q_proj"], r=2), max_steps=6)
    trainer.train()
    (stage,) = read_run(callback.folder).stages
    assert stage.stopped is not None and 1 <= trainer.state.global_step == stage.stopped.step < 6
    kept = Path(str(stage.stopped.kept))
    assert isinstance(trainer.model, PeftModel) and all(
        "lora" in name for name in load_file(kept / "adapter_model.safetensors")
    )


def test_a_rule_that_the_budget_starves_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No room for a look: at the fourth wished it is said once, and at the end, of which the rule is shown the look."""
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task, max_steps=6)
    callback = interlace.attach(trainer, task, every=1, overhead=1e-9, stop={"rule": "kl", "nats": 99.0})
    with caplog.at_level(logging.WARNING, logger="interlace"):
        trainer.train()
    said = [flag for flag in read_run(callback.folder).stages[0].flags if "the stop rule" in flag]
    assert [flag.split(", so")[0] for flag in said] == [
        "the stop rule kl was given 0 of 4 looks wished so far",
        "the stop rule kl was given 1 of 6 looks wished",
    ]
    assert all("no room for its probes (divergence). For more, raise overhead=" in flag for flag in said)
    assert "5 looks were left out" in caplog.text and "every=" in caplog.text


def test_a_rule_that_is_given_every_look_says_nothing_of_it(tmp_path: Path) -> None:
    task = worlds.make_task()
    trainer = worlds.sft(tmp_path, task, max_steps=6)
    callback = interlace.attach(trainer, task, every=1, overhead=None, stop={"rule": "kl", "nats": 99.0})
    trainer.train()
    assert not any("the stop rule" in flag for flag in read_run(callback.folder).stages[0].flags)


@pytest.mark.parametrize(
    ("stop", "options", "error", "message"),
    [
        ({"rule": "party"}, {}, RecipeError, "Did you mean 'parity'"),
        ({"rule": "parity"}, {}, RecipeError, "parity must stand in a stage of RL"),
        ({**FAR, "weights": "averaged"}, {}, RecipeError, "It keeps none"),
        (FAR, {"preset": "light"}, RecipeError, "Preset light lacks divergence. Set preset standard"),
        ({"rule": "sft_loss_budget", "nats": 0.1, "responses": "right"}, {"bare": True}, DataError, "has no reward"),
    ],
)
def test_what_cannot_be_followed_is_refused_before_training(
    stop: Any, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    task = worlds.make_task()
    if options.pop("bare", False):
        rows = [{"prompt": example.prompt, "completion": example.responses[0].text} for example in task.train]
        task = interlace.Task.from_rows(rows, max_response_tokens=3)
    trainer = worlds.sft(tmp_path, worlds.make_task())
    with pytest.raises(error, match=message):
        interlace.attach(trainer, task, stop=stop, **options)


def test_several_processes_are_refused() -> None:
    from interlace.attachment.settings import Settings

    settings = Settings.asked(worlds.make_task(), 1, None, None, "standard", None, 8, None, FAR)
    settings.refuse_unfit_stop("sft", 1)
    with pytest.raises(RecipeError, match="stop must be a mapping"):
        Settings.asked(worlds.make_task(), 1, None, None, "standard", None, 8, None, "parity")
    with pytest.raises(RecipeError, match="decided in one process.*Got a training in 2"):
        settings.refuse_unfit_stop("sft", 2)
