"""What is wrong with what a method answers, if anything. Each check is handed the answer and what the hook was given.

Of tensors, shapes and names are checked, which costs nothing. That they are finite is checked where they are as large
as a batch's tokens, not where they are as large as the weights; what was not finite when the method was handed it is
not the method's to answer for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from interlace.methods.base import ExpertTokens, Groups, Hint, Imitated, Regrouped, SampledTokens, Update, Weights

if TYPE_CHECKING:
    from torch import Tensor

Broken: TypeAlias = tuple[str, str]
"""A rule that an answer breaks, and what was found."""


def _weights(found: Any, step: int) -> Broken | None:
    at = f"(step {step}) must"
    if not isinstance(found, Weights) or not _are_weights((found.rl, found.sft)):
        return f"{at} be Weights, finite and not negative", repr(found)
    return None if found.rl or found.sft else (f"{at} have a weight that is not 0", repr(found))


def _imitated(found: Any, step: int, stream: Any) -> Broken | None:
    return _rows(found, f"(step {step}) must")


def _rows(found: Any, at: str) -> Broken | None:
    others = [each for each in found if not isinstance(each, Imitated)] if isinstance(found, Sequence) else [found]
    if others:
        return f"{at} imitate a sequence of Imitated", repr(others[0])
    wrong = next((each.weight for each in found if not _are_weights([each.weight])), None)
    return None if wrong is None else (f"{at} weigh what is imitated by what is finite and not negative", str(wrong))


def _regrouped(found: Any, groups: Groups) -> Broken | None:
    """Advantages that the trainer made are not the method's to answer for."""
    at = f"(step {groups.step}) must"
    if not isinstance(found, Regrouped):
        return f"{at} be what it makes of the groups, Regrouped", repr(found)
    shape, wanted = np.shape(found.advantages), groups.advantages.shape
    if shape != wanted:
        return f"{at} give each completion its advantage, shape {wanted}", f"shape {shape}"
    if found.advantages is not groups.advantages and not np.isfinite(found.advantages).all():
        return f"{at} give finite advantages", f"{(~np.isfinite(found.advantages)).sum()} that are not"
    if not _are_weights([found.sft]):
        return f"{at} weigh what is imitated by what is finite and not negative", str(found.sft)
    return _rows(found.imitated, at)


def _hint(found: Any, step: int, prompt: int, completion: int) -> Broken | None:
    if found is None or (isinstance(found, Hint) and _are_weights([found.share]) and found.share <= 1.0):
        return None
    return f"(step {step}) must be None, or a Hint whose share is from 0 to 1", repr(found)


def _token_advantages(found: Any, advantages: Tensor, tokens: SampledTokens) -> Broken | None:
    rows, each = _shape(advantages), _shape(tokens.logprobs)
    if _shape(found) not in (rows, each):
        return f" must give completions or their tokens advantages, shape {rows} or {each}", _shown(found)
    return _not_finite(~found.isfinite(), "advantages", advantages, tokens.logprobs, tokens.entropies)


def _expert_loss(found: Any, tokens: ExpertTokens) -> Broken | None:
    if _shape(found) != _shape(tokens.logprobs):
        return f" must give each token its loss, shape {_shape(tokens.logprobs)}", _shown(found)
    return _not_finite(~found.isfinite() & tokens.mask, "losses", tokens.logprobs, tokens.entropies)


def _not_finite(lost: Any, what: str, *given: Tensor) -> Broken | None:
    """Of what is made of what is finite."""
    if not lost.any() or not all(each.isfinite().all() for each in given):
        return None
    return f" must give finite {what}", f"{int(lost.sum())} that are not"


def _combined(found: Any, rl: Mapping[str, Tensor], sft: Any, metric: Any) -> Broken | None:
    if not isinstance(found, Mapping):
        return " must give each parameter its gradient, by name", repr(found)
    differing = sorted(found.keys() ^ rl.keys())
    if differing:
        lies = "lacks" if differing[0] in rl else "has"
        return " must give each parameter that it is handed its gradient", f"what {lies} {differing[0]}"
    wrong = next((name for name, each in rl.items() if _shape(found[name]) != _shape(each)), None)
    if wrong is None:
        return None
    return f" must give {wrong} a gradient of its shape, {_shape(rl[wrong])}", _shown(found[wrong])


def _settled(found: Any, update: Update) -> Broken | None:
    wanted = _shape(update.after)
    return None if _shape(found) == wanted else (f" must give {update.name} its shape, {wanted}", _shown(found))


def _displacement(found: Any) -> Broken | None:
    if isinstance(found, Mapping) and all(_shape(each) is not None for each in found.values()):
        return None
    return " must be tensors by parameter", repr(found)


def _are_weights(weights: Iterable[Any]) -> bool:
    return all(isinstance(weight, Real) and 0.0 <= float(weight) < math.inf for weight in weights)


def _shape(found: Any) -> tuple[int, ...] | None:
    """None of what is no tensor."""
    return tuple(found.shape) if hasattr(found, "isfinite") else None


def _shown(found: Any) -> str:
    return repr(found) if _shape(found) is None else f"shape {_shape(found)}"


CHECKS: Mapping[str, Callable[..., Broken | None]] = {
    "weights": _weights,
    "imitated": _imitated,
    "regroup": _regrouped,
    "hint": _hint,
    "token_advantages": _token_advantages,
    "expert_loss": _expert_loss,
    "combine": _combined,
    "settle": _settled,
    "displacement": _displacement,
}
"""Of the hooks whose answers updates are made of."""
