"""RunStore: the one writer of a run folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from interlace.encoding import dumps
from interlace.errors import RunFolderError
from interlace.measurement import HeldOut, Measurement, Point, PromptScores
from interlace.store.checkpoints import write_text_atomically
from interlace.store.events import DAMAGED, EventLog
from interlace.store.scores import write_heldout, write_scores
from interlace.wording import counted

SAMPLES, STAGES, EVENTS, MANIFEST = "samples", "stages", "events.jsonl", "manifest.json"
RECIPE, RESOLVED = "recipe.yaml", "resolved.yaml"
PLANNED = {RECIPE, RESOLVED, EVENTS}
"""What may lie in a folder before a run is begun in it."""


class RunStore:
    """Appends to a run folder. Open one with `claim`; close it to let go of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = EventLog(folder / EVENTS)

    @classmethod
    def claim(cls, folder: Path, resolved: str, source: str, manifest: dict[str, Any]) -> RunStore:
        """Take `folder` for one run of one recipe: made if new, continued if it holds the same recipe, or one that the
        recipe adds stages to.

        `resolved` and `source` are the recipe's texts; `manifest` what identifies the run (seed, versions, data).
        Raises RunFolderError if the folder holds something else, or another process writes to it.
        """
        refuse_foreign(folder, resolved)
        folder.mkdir(parents=True, exist_ok=True)
        store = cls(folder)
        is_new = not (folder / MANIFEST).exists()
        if is_new or (folder / RESOLVED).read_text(encoding="utf-8") != resolved:
            write_text_atomically(folder / RECIPE, source)
            write_text_atomically(folder / RESOLVED, resolved)
        if is_new:
            write_text_atomically(folder / MANIFEST, dumps(manifest, indent=1))
        return store

    def stage_folder(self, stage: str) -> Path:
        """Where a stage keeps its checkpoints."""
        return self.folder / STAGES / stage

    def event(self, kind: str, **fields: Any) -> None:
        """Append one event of `kind`."""
        self._log.append({"kind": kind, **fields})

    def measurements(self, *measurements: Measurement) -> None:
        """Append figures, all of them forced to disk together."""
        self._log.append(*({"kind": "measurement", **each.to_json()} for each in measurements))

    def heldout(self, heldout: HeldOut) -> None:
        """Keep a task's held-out set."""
        write_heldout(self.folder / SAMPLES, heldout)

    def scores(self, point: Point, scores: PromptScores) -> None:
        """Keep what each prompt contributed at `point`."""
        write_scores(self.folder / SAMPLES, point, scores)

    @property
    def is_closed(self) -> bool:
        """Whether the folder was let go of."""
        return self._log.is_closed

    def close(self) -> None:
        """Let go of the folder."""
        self._log.close()


def refuse_foreign(folder: Path, resolved: str) -> None:
    """A folder that a run was begun in is continued by this very recipe, or with more stages after its last; other
    files are never overwritten.

    A folder that was only planned in (`--dry-run` leaves a resolved recipe) is free. Raises RunFolderError naming what
    differs, or the file that is missing or damaged.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunFolderError(f"{folder} must be a folder. Got a file. Choose another --out.")
    if (folder / MANIFEST).exists():
        read_manifest(folder)
        before = read_resolved(folder)
        found = difference((folder / RESOLVED).read_text(encoding="utf-8"), resolved)
        if found and not adds_stages(before, YAML(typ="safe").load(resolved)):
            raise RunFolderError(
                f"{folder} must hold a run of this recipe. It holds another: {found}. "
                "Choose another --out, or --fresh for a new folder beside it (stages after the last may be added)."
            )
    elif not _is_only_planned(folder):
        raise RunFolderError(f"{folder} must be empty or a run folder. It holds other files. Choose another --out.")


def adds_stages(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether one resolved recipe is another with stages after its last, perhaps described otherwise: what was trained
    stands as it is."""
    before, after = ({**each, "description": ""} for each in (kept, asked))
    old, new = (each.pop("stages", None) or [] for each in (before, after))
    return bool(before == after and len(new) > len(old) and new[: len(old)] == old)


def _is_only_planned(folder: Path) -> bool:
    """Whether all that stands in `folder`, or in folders of seeds in it, was left by dry runs."""
    return all(
        item.name in PLANNED or (item.is_dir() and {each.name for each in item.iterdir()} <= PLANNED)
        for item in folder.iterdir()
    )


CALLED = ("name:", "description:")
"""Lines that change nothing that is trained."""


def difference(kept: str, asked: str) -> str | None:
    """What two resolved recipes differ in, in words: the name, the first line beside it, and how many lines more; None
    if they are the same.
    """
    found = list(_differences(kept.splitlines(), asked.splitlines()))
    called = [words for line, words in found if line.startswith(CALLED)]
    others = [words for line, words in found if not line.startswith(CALLED)]
    shown = [*called[:1], *others[:1]]
    more = len(found) - len(shown)
    return "; ".join([*shown, *([counted(more, "line more", "lines more")] if more else [])]) or None


def _differences(kept: list[str], asked: list[str]) -> Iterator[tuple[str, str]]:
    """Each line that differs, and how: lines of one key are held against each other."""
    for tag, first, last, begin, end in SequenceMatcher(None, kept, asked, autojunk=False).get_opcodes():
        gone = kept[first:last] if tag != "equal" else []
        for line in asked[begin:end] if tag != "equal" else ():
            old = next((each for each in gone if _key(each) == _key(line)), None)
            if old is None:
                yield line, f"{line.strip()!r} stands only here"
            else:
                gone.remove(old)
                yield line, f"{_key_above(asked, line)}there {old.strip()!r}, here {line.strip()!r}"
        yield from ((line, f"{line.strip()!r} stands only there") for line in gone)


def _key(line: str) -> str:
    """What a line is about, with its indentation: its key, or that it is an entry of a list."""
    return line.partition("- ")[0] if line.strip().startswith("- ") else line.partition(":")[0]


def _key_above(lines: list[str], line: str) -> str:
    """The key whose list `line` is an entry of, with a colon; empty if it has a key of its own."""
    if not line.strip().startswith("- "):
        return ""
    above = [other for other in lines[: lines.index(line)] if not other.strip().startswith("- ")]
    return f"{above[-1].strip()} " if above else ""


def read_manifest(folder: Path, *more: str) -> dict[str, Any]:
    """What identifies the run; `more`: what else must stand in it. Raises RunFolderError if `folder` is no run folder,
    or the file is damaged."""
    path = folder / MANIFEST
    if not path.exists():
        raise RunFolderError(
            f"{folder} must be a run folder. It has no {MANIFEST}. Give a folder that `interlace run` made."
        )
    manifest = _undamaged(path, json.loads)
    lacking = [key for key, kind in (("recipe", str), ("seed", int)) if not isinstance(manifest.get(key), kind)]
    lacking += [key for key in more if key not in manifest]
    if lacking:
        raise RunFolderError(f"{path} must say {' and '.join(lacking)}. It does not. {DAMAGED}")
    return manifest


def read_resolved(folder: Path) -> dict[str, Any]:
    """The resolved recipe of a run, as plain values. Raises RunFolderError if it is missing or damaged."""
    path = folder / RESOLVED
    if not path.exists():
        raise RunFolderError(f"{path} must exist in a run folder. It does not. {DAMAGED}")
    return _undamaged(path, YAML(typ="safe").load)


def _undamaged(path: Path, decode: Callable[[str], Any]) -> dict[str, Any]:
    try:
        found = decode(path.read_text(encoding="utf-8"))
    except (ValueError, YAMLError) as error:
        raise RunFolderError(f"{path} must be what interlace wrote. {_first_line(error)}. {DAMAGED}") from error
    if not isinstance(found, dict):
        raise RunFolderError(f"{path} must be what interlace wrote, a mapping. Got {str(found)[:80]!r}. {DAMAGED}")
    return found


def _first_line(error: Exception) -> str:
    """What a parser says, with its line where it knows one."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or error).splitlines()[0].rstrip(".")
    return f"{said[:1].upper()}{said[1:]}" + (f", line {mark.line + 1}" if mark else "")
