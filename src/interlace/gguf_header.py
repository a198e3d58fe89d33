"""The header of a .gguf file: whether its magic, its settings and the place of every tensor fit the file's length.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing of the weights is read.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from interlace.errors import ModelError

MAGIC, VERSIONS = b"GGUF", (2, 3)
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by the format's number of its type."""
STRING, ARRAY = 8, 9
ALIGNMENT = 32
MOST_DIMENSIONS = 4
"""GGML's own maximum of a tensor."""
LARGEST_COUNT = 2**32
"""More entries than any file has: what is beyond is no count."""


def refuse_broken_gguf(path: Path) -> None:
    """Raise ModelError, naming the file, if it is no .gguf or shorter than its own header says."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            expected = _expected_size(file)
    except (EOFError, ValueError, KeyError) as error:
        raise ModelError(f"{path} must be a whole .gguf file. Got {error} in {size} bytes. Copy it again.") from None
    if size < expected:
        raise ModelError(f"{path} must be whole: at least {expected} bytes by its header. Got {size}. Copy it again.")


def _expected_size(file: BinaryIO) -> int:
    """Bytes up to the end of the last tensor."""
    if file.read(4) != MAGIC:
        raise ValueError("no magic 'GGUF'")
    if (version := _number(file, "<I")) not in VERSIONS:
        raise ValueError(f"version {version}")
    tensors, entries = _count(file), _count(file)
    alignment = ALIGNMENT
    for _ in range(entries):
        key, kind = _string(file), _number(file, "<I")
        if key == b"general.alignment" and kind == 4:
            alignment = max(1, _number(file, "<I"))
        else:
            _skip(file, kind)
    ends = [_tensor_end(file) for _ in range(tensors)]
    start = -(-file.tell() // alignment) * alignment
    return start + max(ends, default=0)


def _tensor_end(file: BinaryIO) -> int:
    """Where a tensor ends, bytes after the first one's beginning."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # only here: most looks meet no .gguf

    _string(file)
    length, dimensions = 1, _number(file, "<I")
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    for _ in range(dimensions):
        length *= _count(file)
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(_number(file, "<I"))]
    return int(_number(file, "<Q") + -(-length // block) * size)


def _skip(file: BinaryIO, kind: int) -> None:
    """Pass over one value."""
    if kind == STRING:
        _string(file)
    elif kind == ARRAY:
        inner, count = _number(file, "<I"), _count(file)
        if inner == ARRAY:
            raise ValueError("an array of arrays")
        if inner in SIZES:
            _pass(file, count * SIZES[inner])
            return
        for _ in range(count):
            _skip(file, inner)
    elif kind in SIZES:
        _read(file, SIZES[kind])
    else:
        raise ValueError(f"a value of unknown type {kind}")


def _string(file: BinaryIO) -> bytes:
    return _read(file, _count(file))


def _count(file: BinaryIO) -> int:
    count = _number(file, "<Q")
    if count > LARGEST_COUNT:
        raise ValueError(f"a count of {count}")
    return count


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack(kind, _read(file, struct.calcsize(kind)))[0])


def _read(file: BinaryIO, count: int) -> bytes:
    """So many bytes. Raises EOFError, before any memory is taken, where the file has fewer."""
    _refuse_beyond(file, count)
    return file.read(count)


def _pass(file: BinaryIO, count: int) -> None:
    """Go over so many bytes without reading them."""
    _refuse_beyond(file, count)
    file.seek(count, os.SEEK_CUR)


def _refuse_beyond(file: BinaryIO, count: int) -> None:
    if file.tell() + count > os.fstat(file.fileno()).st_size:
        raise EOFError("a header that ends too early")
