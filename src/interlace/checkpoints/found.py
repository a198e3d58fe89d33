"""Checkpoints as a user names them: a model's folder, a series, a run, an adapter, a GGUF file; one list, in order."""

from __future__ import annotations

import filecmp
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from interlace.checkpoints.origin import BLEND, Origin, Parent, fingerprint, origin_of
from interlace.checkpoints.stages import place_in_run, stage_name
from interlace.errors import MissingFileError, ModelError, RecipeError
from interlace.gguf_header import refuse_broken_gguf
from interlace.safety import read_settings, refuse_code, refuse_unsafe, weight_files
from interlace.store import newest_complete_checkpoint, verify_checkpoint
from interlace.store.checkpoints import MANIFEST_NAME, checkpoint_step
from interlace.store.run_store import MANIFEST, STAGES
from interlace.wheel import SMOLLM2, smollm2_file

Kind: TypeAlias = Literal["model", "adapter", "gguf"]
PathLike: TypeAlias = str | Path

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
OF_TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                "chat_template.jinja", "generation_config.json")  # fmt: skip
"""Files that say how prompts are written, and where a response ends."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights that exist. `name` is what tables call them; `base` is the model's folder under an adapter.

    `also`: other names under which the same weights were given; they are measured once. `origin`: of a blend that was
    written, its parents.
    """

    name: str
    path: Path
    kind: Kind
    base: Path | None = None
    also: tuple[str, ...] = ()
    origin: Origin | None = None

    def to_json(self) -> dict[str, Any]:
        """The object on the wire; `also` where the same weights were named more than once, `blend` of a blend."""
        named: dict[str, Any] = {"name": self.name, "path": str(self.path), "kind": self.kind}
        named |= {"also": list(self.also)} if self.also else {}
        return named | ({BLEND: self.origin.to_json()} if self.origin else {})

    @property
    def files(self) -> list[Path]:
        """The files that say what the model is, small ones first; an adapter's base not among them."""
        if self.kind == "gguf":
            return [self.path]
        settings = (self.path / name for name in (ADAPTER_CONFIG, CONFIG, *OF_TOKENIZER))
        return [*(path for path in settings if path.exists()), *weight_files(self.path)]

    def as_parent(self) -> Parent:
        """It as a blend's manifest names it. Cost: a read of its files, and of its base's."""
        under = [] if self.base is None else Checkpoint("", self.base, "model").files
        return Parent(self.name, str(self.path.absolute()), fingerprint([*self.files, *under]))


def find_checkpoints(paths: Sequence[PathLike], base: PathLike | None = None) -> tuple[Checkpoint, ...]:
    """Every checkpoint that `paths` name, in order, each looked at and none loaded; names differ, and
    the weights of different words (`once`).

    A path is a model's or an adapter's folder, a .gguf file, ``smollm2-135m-instruct`` (from its wheel), a folder of
    ``checkpoint-N`` (ordered by N), a stage of a run, or a run (its first weights and each stage's last); ``NAME=PATH``
    names a single checkpoint. A folder that holds a model is that model, whatever ``checkpoint-N`` lie in it.

    Args:
        paths: at least one.
        base: the model under adapters; None: the folder that each adapter names.

    Raises:
        MissingFileError: a path, a base or weights that are not there.
        ModelError: a checkpoint that must not be loaded (`refuse_unsafe`), or that was not written to its end.
        RecipeError: no path, or a name for several checkpoints.
    """
    if not paths:
        raise RecipeError("CKPT must name at least one checkpoint. Got none. Name a model's folder.")
    under = None if base is None else _base_folder(str(base), Path())
    found = [_named(str(path), under) for path in paths]
    for checkpoint in itertools.chain.from_iterable(found):
        _refuse_unfit(checkpoint)
    return _with_names_that_differ(once(found))


def _named(word: str, base: Path | None) -> list[Checkpoint]:
    """The checkpoints of one word, which may be ``NAME=PATH``."""
    name, equals, rest = word.partition("=")
    if not equals or "/" in name or Path(word).exists():
        return list(_at(Path(word).expanduser(), base))
    found = list(_at(Path(rest).expanduser(), base))
    if len(found) != 1 or not name:
        raise RecipeError(f"NAME=CKPT must name one checkpoint. Got {len(found)} in {rest!r}. Leave the name out.")
    return [replace(found[0], name=name)]


def _at(path: Path, base: Path | None) -> Iterator[Checkpoint]:
    if path.suffix == ".gguf" and path.is_file():
        yield Checkpoint(path.stem, path, "gguf")
    elif not path.is_dir():
        if str(path) == SMOLLM2:
            yield Checkpoint(SMOLLM2, smollm2_file(), "gguf")
            return
        raise MissingFileError(
            f"CKPT must be a folder or a .gguf file on this machine. Got {path}, which is not there. Check the path; "
            "a hub's model is first downloaded (`hf download ID --local-dir FOLDER`)."
        )
    elif (path / MANIFEST).exists() and (path / STAGES).is_dir():
        yield from _of_run(path)
    elif (path / ADAPTER_CONFIG).exists():
        name, under = _own_name(path.resolve()), base or _base_of(path)
        yield Checkpoint(name, path, "adapter", under, origin=origin_of(path))
    elif not (path / CONFIG).exists() and (series := _series(path)):
        yield from (checkpoint for step in series for checkpoint in _at(step, base))
    else:
        yield Checkpoint(_own_name(path.resolve()), path, "model", origin=origin_of(path))


def _own_name(folder: Path) -> str:
    """What a run calls it, such as ``rl step 20``; the folder's name where it lies in none."""
    return str(place_in_run(folder) or folder.name)


def _series(folder: Path) -> list[Path]:
    """The ``checkpoint-N`` folders in `folder`, ordered by N."""
    found = [item for item in folder.glob("checkpoint-*") if item.is_dir() and checkpoint_step(item) >= 0]
    return sorted(found, key=checkpoint_step)


def _of_run(run: Path) -> Iterator[Checkpoint]:
    """A run's first weights (where it made them) and each stage's last, by the names of its stages."""
    stages = sorted((run / STAGES).iterdir())
    kept = [folder for folder in stages if (folder / CONFIG).exists() or _series(folder)]
    if not kept:
        raise MissingFileError(f"{run} must hold a stage with a checkpoint. Got none yet. Wait for the first.")
    for folder in kept:
        place = place_in_run(folder)
        name = place.stage if place else stage_name(folder)
        if (folder / CONFIG).exists():
            yield Checkpoint(name, folder, "model")
            continue
        newest, skipped = newest_complete_checkpoint(folder)
        if newest is None:
            raise ModelError(f"{folder} must hold a whole checkpoint. Got {'; '.join(skipped)}. Run it again.")
        yield from (replace(checkpoint, name=name) for checkpoint in _at(newest, None))


def _refuse_unfit(checkpoint: Checkpoint) -> None:
    path = checkpoint.path
    if checkpoint.kind == "gguf":
        refuse_code(path.parent)  # Transformers reads a tokenizer's settings beside the file
        refuse_broken_gguf(path)
        return
    if (path / MANIFEST_NAME).exists() and (reason := verify_checkpoint(path)) is not None:
        raise ModelError(f"{path} must be as it was written: {reason}. Restore it, or name another checkpoint.")
    refuse_unsafe(path)
    if checkpoint.base is not None:
        refuse_unsafe(checkpoint.base)


def _base_of(adapter: Path) -> Path:
    """The model's folder that an adapter names."""
    named = read_settings(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not named:
        raise ModelError(f"{adapter / ADAPTER_CONFIG} must name its base model. Got none. Say --base FOLDER.")
    return _base_folder(str(named), adapter)


def _base_folder(named: str, adapter: Path) -> Path:
    """`named` as a folder: where it says, beside the adapter, or in the machine's cache of the hub."""
    for folder in (Path(named).expanduser(), adapter / named):
        if folder.is_dir():
            return folder
    cached = in_cache(named)
    if cached is None:
        raise MissingFileError(
            f"the base model must be a folder on this machine. Got {named!r}, which is neither that nor in the cache "
            "of the hub. Say --base FOLDER."
        )
    return cached


def in_cache(identifier: str) -> Path | None:
    """The folder of a hub's model in this machine's cache; None if there is none, or `identifier` is no such name."""
    from huggingface_hub import snapshot_download  # only here: it takes a third of a second
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(identifier, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        return None


def once(words: Sequence[Sequence[Checkpoint]]) -> list[Checkpoint]:
    """The checkpoints of several words; weights that an earlier word named are kept in its `also`, not again.

    Those of one word (a run, a series) all stay: a stage that changed nothing is a finding. Cost: a read of files of
    weights of one size, up to the first byte in which they differ.
    """
    kept: list[Checkpoint] = []
    for word in words:
        fresh = []
        for checkpoint in word:
            same = next((i for i, other in enumerate(kept) if _has_same_weights(checkpoint, other)), None)
            if same is None:
                fresh.append(checkpoint)
            else:
                kept[same] = replace(kept[same], also=(*kept[same].also, str(checkpoint.path)))
        kept += fresh
    return kept


def _has_same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether both load the same bytes: the same files of weights and settings, on the same base."""
    if one.kind != other.kind or (one.base and one.base.resolve()) != (other.base and other.base.resolve()):
        return False
    if one.path.resolve() == other.path.resolve():
        return True
    ours, theirs = one.files, other.files
    names = [[path.name for path in files] for files in (ours, theirs)]
    if one.kind != "gguf" and names[0] != names[1]:
        return False
    return all(filecmp.cmp(first, second, shallow=False) for first, second in zip(ours, theirs, strict=True))


def _around(path: Path) -> str:
    """The name of the run that it lies in, else of its folder."""
    place = place_in_run(path)
    return path.parent.name if place is None else place.run.name


def _with_names_that_differ(found: list[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Equal names get their folder's in front, and then a number."""
    counts = Counter(checkpoint.name for checkpoint in found)
    longer = [
        replace(item, name=f"{_around(item.path.resolve())}/{item.name}") if counts[item.name] > 1 else item
        for item in found
    ]
    seen: Counter[str] = Counter()
    named = []
    for item in longer:
        seen[item.name] += 1
        number = seen[item.name]
        named.append(item if number == 1 else replace(item, name=f"{item.name} ({number})"))
    return tuple(named)
