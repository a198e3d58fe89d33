"""Saving a blend of two checkpoints as a folder that loads like any other: dense weights, or one adapter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from peft import LoraConfig, PeftModel

from interlace import __version__
from interlace.checkpoints.found import ADAPTER_CONFIG, Checkpoint, find_checkpoints, in_cache
from interlace.checkpoints.loading import adapted, load_checkpoint
from interlace.checkpoints.origin import Origin
from interlace.checkpoints.profile import Recommendation
from interlace.errors import ModelError
from interlace.policies import Policy
from interlace.policies.interpolation import interpolated
from interlace.policies.loading import offline
from interlace.safety import read_settings
from interlace.store import seal_checkpoint
from interlace.store.places import refuse_used

FIRST, SECOND, BLEND = "default", "second", "blend"
PROBED = 32
"""Tokens on which what was saved is held against what was meant."""
ROUNDINGS = 100.0
"""How far both may be apart, in roundings of the largest log-probability: an adapter's product rounds otherwise."""


def write_blend(
    ends: Sequence[Checkpoint],
    start: Policy,
    end: Policy,
    position: float,
    folder: Path,
    dtype: str,
    choice: Recommendation | None = None,
    tasks: Sequence[str] = (),
) -> Path:
    """The weights at `position` in a new folder, sealed with `interlace_manifest.json`, whole or not at all; its path.

    Two LoRA adapters on one base give an adapter whose rank is the sum of theirs and whose effective weights lie on
    the straight line exactly (interpolating their factors would not); it is saved in float32. Anything else gives dense
    weights in `dtype`. What was saved is read back: dense weights must be the same bits, an adapter must give the
    log-probabilities of the interpolated policy in float32, on the base that it names itself. The manifest holds the
    blend's `Origin`: both ends, `position`, and the `choice` on `tasks` that it comes from (None: it was given).

    Raises RecipeError for a used folder; ModelError, leaving nothing, if what was saved is another policy.
    """
    refuse_used("--write", folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        unfinished = Path(beside) / folder.name
        is_adapter = _write_adapter(ends, position, unfinished)
        if is_adapter:
            start.tokenizer.save_pretrained(unfinished)
            _refuse_another_adapter(_read_back(unfinished, ends[0]), ends, position)
        else:
            wanted = start.with_model(interpolated(start.model, end.model, position))
            wanted.model.save_pretrained(unfinished)
            start.tokenizer.save_pretrained(unfinished)
            _refuse_other_weights(Checkpoint(folder.name, unfinished, "model"), wanted, dtype)
        seal_checkpoint(unfinished, blend=_origin(ends, position, choice, tasks).to_json())
        os.replace(unfinished, folder)  # onto nothing, or an empty folder
    return folder


def _origin(ends: Sequence[Checkpoint], position: float, choice: Recommendation | None, tasks: Sequence[str]) -> Origin:
    start, end = (checkpoint.as_parent() for checkpoint in ends)
    rule, reason = ("given", "") if choice is None else (choice.rule, choice.reason)
    return Origin(start, end, position, rule, reason, tuple(tasks), __version__)


def _refuse_other_weights(saved: Checkpoint, wanted: Policy, dtype: str) -> None:
    """Raise ModelError unless the weights that were saved are `wanted`'s, bit for bit."""
    found = load_checkpoint(saved, dtype).model.state_dict()
    astray = [name for name, weight in wanted.model.state_dict().items() if not torch.equal(weight, found[name])]
    if astray:
        raise ModelError(
            f"--write must save the blend's own weights. {len(astray)} were read back as others, {astray[0]} first; "
            "nothing was kept. Look at the disk, or choose another folder."
        )


def _read_back(saved: Path, end: Checkpoint) -> Checkpoint:
    """The adapter as whoever names its folder finds it. Raises ModelError if that is on another base than `end`'s."""
    (found,) = find_checkpoints([saved])
    assert found.base is not None and end.base is not None
    if found.base.resolve() != end.base.resolve():
        raise ModelError(
            f"--write must save an adapter that names its own base, {end.base}. It was read back as {found.base}, and "
            "nothing was kept. Say --base with the folder's whole path."
        )
    return found


@torch.no_grad()
def _refuse_another_adapter(saved: Checkpoint, ends: Sequence[Checkpoint], position: float) -> None:
    """Raise ModelError unless the adapter gives the interpolated policy's log-probabilities after words of the
    vocabulary, up to float32's rounding."""
    found, start, end = (load_checkpoint(checkpoint) for checkpoint in (saved, *ends))
    wanted = start.with_model(interpolated(start.model, end.model, position))
    vocabulary = int(wanted.model.config.get_text_config().vocab_size)
    tokens = torch.arange(PROBED).remainder(vocabulary).view(1, -1).to(wanted.model.device)
    given, expected = (_logprobs(policy, tokens) for policy in (found, wanted))
    allowed = ROUNDINGS * torch.finfo(torch.float32).eps * max(1.0, float(expected.abs().max()))
    difference = float((given - expected).abs().max())
    if not difference <= allowed:
        raise ModelError(
            f"--write must save weights that give the blend's own log-probabilities. Got some {difference:.2g} nats "
            "away, and kept nothing. Merge both checkpoints into whole weights, and name those."
        )


def _logprobs(policy: Policy, tokens: Int[torch.Tensor, "row token"]) -> Float[torch.Tensor, "row token vocabulary"]:
    with policy.observed() as model:
        return model(input_ids=tokens).logits.double().log_softmax(-1)


def _write_adapter(ends: Sequence[Checkpoint], position: float, folder: Path) -> bool:
    """Save the blend of two plain LoRA adapters on one base; False if they are no such thing."""
    first, second = ends
    if {first.kind, second.kind} != {"adapter"} or first.base != second.base:
        return False
    with offline():
        model, _ = adapted(first)
        model.load_adapter(str(second.path), SECOND)
    if not (_is_plain(model.peft_config[FIRST]) and _is_plain(model.peft_config[SECOND])):
        return False
    _blend(model, position)
    model.peft_config[BLEND].base_model_name_or_path = _name_of_base(first)
    _save(model, folder)
    return True


def _blend(model: PeftModel, position: float) -> None:
    """Adds the adapter whose effective weights are (1 - position) first + position second.

    Its factors hold all of the scaling, and its alpha is its rank: read back as rank-stabilised it would be scaled by
    the root of the rank once more.
    """
    model.add_weighted_adapter([FIRST, SECOND], [1.0 - position, position], BLEND, combination_type="cat")
    model.peft_config[BLEND].use_rslora = False
    model.set_adapter(BLEND)


def _name_of_base(adapter: Checkpoint) -> str:
    """The hub's name, where the adapter has one for the base that it was loaded on; else that base's folder."""
    assert adapter.base is not None
    folder = adapter.base.resolve()
    named = str(read_settings(adapter.path / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    cached = in_cache(named) if named else None
    return named if cached is not None and cached.resolve() == folder else str(folder)


def _save(model: PeftModel, folder: Path) -> None:
    """PEFT saves a named adapter in a folder of its own; its files are moved up to where they are looked for."""
    model.save_pretrained(folder, selected_adapters=[BLEND])
    for path in (folder / BLEND).iterdir():
        path.rename(folder / path.name)
    (folder / BLEND).rmdir()


def _is_plain(config: object) -> bool:
    """Whether an adapter is nothing but low-rank factors."""
    if not isinstance(config, LoraConfig):
        return False
    more = (
        config.modules_to_save,
        config.use_dora,
        config.bias != "none",
        config.lora_bias,
        config.trainable_token_indices,
    )
    return not any(more)
