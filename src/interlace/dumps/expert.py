"""What the SFT data earn: the expert's reward R_D, given as a number or read from scored responses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interlace.dumps.files import Row, find_files, read_rows, refuse_damaged
from interlace.dumps.rows import LARGEST_REWARD, key_of, number_of, refuse_absurd
from interlace.dumps.tally import Tally
from interlace.dumps.writers import PLAIN_ROLES
from interlace.errors import DataError, RecipeError
from interlace.estimate import Figure, Unresolved, exact
from interlace.statistics import Segments, reward_interval

SHOWN = 40
"""Characters of a prompt that a sentence shows."""
SCORE_NAMES = ("score", "reward", "expert_score", "expert_reward", "label", "correct")


@dataclass(frozen=True)
class Expert:
    """R_D: `reward` with its interval; `given`: as a number; `scores`: a value each prompt; `notes`: what was left out;
    `shared`: the share of the rollouts' prompts that the scores speak of."""

    reward: Figure
    given: float | None = None
    scores: Segments | None = None
    notes: tuple[str, ...] = ()
    shared: float | None = None


def read_expert(given: float | None, file: Path | None, keys: dict[str, int]) -> Expert:
    """The expert's reward; prompts that are new are added to `keys`.

    Raises RecipeError if both are given, or the number is not finite; DataError for a file without scores, or with none
    of the rollouts' prompts.
    """
    if given is not None and file is not None:
        raise RecipeError("the expert's reward must be said once. Got --expert-reward and --expert-scores. Drop one.")
    if given is not None:
        if not math.isfinite(given):
            raise RecipeError(f"--expert-reward must be a finite number. Got {given}. Leave it out if it is not known.")
        return Expert(exact(given, "reward units"), given)
    if file is None:
        return Expert(Unresolved("it is not known: say --expert-reward 0.78, or --expert-scores FILE"))
    return _of_scores(file, keys)


def refuse_beyond(given: float | None, rewards: Float[np.ndarray, "sample"]) -> None:
    """Raise RecipeError for an expert's reward beyond every reward of the rollouts: then it is in another unit, such as
    percent, or of another reward. Rewards that all lie between 0 and 1 are taken to be able to reach both: an expert
    may be better than anything that a weak policy sampled."""
    low, high = float(rewards.min()), float(rewards.max())
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    if given is not None and not low <= given <= high:
        raise RecipeError(
            f"--expert-reward must be in the unit of the rollouts' rewards, which go from {low:g} to {high:g}. "
            f"Got {given:g}. Give it in their unit, name their reward by --reward, or give --expert-scores FILE."
        )


def column(row: Row, names: tuple[str, ...], file: Path, what: str) -> str:
    """The first of `names` that a row has. Raises DataError if it has none."""
    found = next((name for name in names if name in row), None)
    if found is None:
        has = ", ".join(map(str, row))
        raise DataError(f"{file} must have {what}: a column {', '.join(names)}. Got {has}. Rename one.")
    return found


def first_words(prompts: Iterable[str]) -> str:
    """The first of some prompts, quoted and cut short.

    >>> first_words(["What is 1+1?", "2+2"])
    "'What is 1+1?'"
    """
    first = next(iter(prompts))
    return repr(first if len(first) <= SHOWN else f"{first[: SHOWN - 1]}\u2026")


def _of_scores(file: Path, keys: dict[str, int]) -> Expert:
    tally, num_seen = Tally(), len(keys)
    found: dict[str, list[float]] = {}
    columns: tuple[str, str] | None = None
    files = find_files(file, "--expert-scores")
    for path in files:
        for number, row in read_rows(path, tally):
            columns = columns or (column(row, PLAIN_ROLES["prompt"], path, "the prompt"),
                                  column(row, SCORE_NAMES, path, "the score"))  # fmt: skip
            key, score = key_of(row.get(columns[0])), number_of(row.get(columns[1]))
            refuse_absurd("a score", score, LARGEST_REWARD, f"{path.name}:{number}")
            if not key or not math.isfinite(score):
                tally.add("the prompt or its score is missing", f"{path.name}:{number}")
            else:
                found.setdefault(key, []).append(score)
    if columns is None:
        refuse_damaged("--expert-scores", file, files)
    if not found:
        raise DataError(f"--expert-scores must hold prompts with their scores. Got {file}, where none is. Check it.")
    shared = sum(key in keys for key in found)
    if keys and not shared:
        raise DataError(
            f"--expert-scores must be of prompts that the rollouts have. Got {len(found):,}, the first "
            f"{first_words(found)}; the rollouts' first is {first_words(keys)}. Write prompts as the rollouts have "
            "them; or, if SFT is on others, give the mean score as --expert-reward."
        )
    prompts = np.array([keys.setdefault(key, len(keys)) for key in found], dtype=np.int64)
    means = np.array([np.mean(scores) for scores in found.values()])
    values = np.concatenate([np.asarray(scores, dtype=np.float64) for scores in found.values()])
    reward = reward_interval(means, values, is_exact=False)
    scores = Segments(prompts, np.array([0]), means[:, None])
    return Expert(
        reward, None, scores, tuple(f"Expert scores: {note}" for note in tally.sentences()), shared / max(num_seen, 1)
    )
