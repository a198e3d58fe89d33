"""JSON in which every float survives: non-finite numbers travel as the strings "inf", "-inf" and "nan"."""

from __future__ import annotations

import json
import math
from typing import Any

_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode_float(value: float) -> float | str:
    """A float as JSON can hold it.

    >>> encode_float(float("-inf")), encode_float(0.5)
    ('-inf', 0.5)
    """
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def decode_float(value: float | str) -> float:
    """The inverse of `encode_float`. Raises ValueError for any other string."""
    if isinstance(value, str):
        if value not in _NON_FINITE:
            raise ValueError(f"a number must be a float, 'inf', '-inf' or 'nan'. Got {value!r}.")
        return _NON_FINITE[value]
    return float(value)


def jsonable(value: Any) -> Any:
    """`value` with every float encoded, NumPy scalars and arrays as Python ones, objects by their `to_json()`."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float):
        return encode_float(value)
    if isinstance(value, int):
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if hasattr(value, "to_json"):
        return jsonable(value.to_json())
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    return str(value)


def dumps(value: Any, indent: int | None = None) -> str:
    """`value` as strict JSON text (no bare NaN or Infinity), keys in the order given."""
    return json.dumps(jsonable(value), indent=indent, allow_nan=False, ensure_ascii=False)
