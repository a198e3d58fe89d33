"""`interlace doctor`: what this machine has, what it lacks, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from interlace.cli.output import JsonOption, print_json, stderr, stdout

OK, WARNING, MISSING = "ok", "warning", "missing"
STYLES = {OK: "green", WARNING: "yellow", MISSING: "yellow"}
LEAST_DISK_GIB, LEAST_MEMORY_GIB = 15.0, 4.0
"""What a run of `smollm2-cola` needs; `quickstart` needs a hundredth of the disk and a quarter of the memory."""
GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One thing looked at: its name, what was found, whether that is well, and what to do if not."""

    name: str
    value: str
    verdict: str = OK
    advice: str = ""


def doctor(json: JsonOption = False) -> None:
    """Check versions, threads, disk, memory, bf16 and the SmolLM2 wheel."""
    with stderr().status("looking around"):
        checks = [*_versions(), *_machine(), *_threads(), _bfloat16(), _smollm2()]
    if json:
        from interlace.analysis.summary import SCHEMA_VERSION

        print_json({"schema_version": SCHEMA_VERSION, "checks": [asdict(check) for check in checks]})
        return
    stdout().print(_table(checks))


def _table(checks: Iterable[Check]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for check in checks:
        table.add_row(Text(check.verdict, STYLES[check.verdict]), check.name, Text(check.value), Text(check.advice))
    return table


def _versions() -> Iterator[Check]:
    from interlace.environment import package_versions

    yield Check("python", platform.python_version())
    for name, version in package_versions().items():
        missing = version == "not installed"
        advice = "pip install -c constraints.txt -e ." if missing else ""
        yield Check(name, version, MISSING if missing else OK, advice)


def _machine() -> Iterator[Check]:
    import psutil

    disk = shutil.disk_usage(Path.cwd()).free / GIB
    memory = psutil.virtual_memory().available / GIB
    yield _enough("free disk here", disk, LEAST_DISK_GIB, "Free some, or run elsewhere with --out.")
    yield _enough("free memory", memory, LEAST_MEMORY_GIB, "Close something.")


def _enough(name: str, found: float, least: float, advice: str) -> Check:
    if found >= least:
        return Check(name, f"{found:.1f} GiB")
    return Check(name, f"{found:.1f} GiB", WARNING, f"The recipe smollm2-cola needs {least:.0f} GiB. {advice}")


def _threads() -> Iterator[Check]:
    import torch

    from interlace.policies.threads import available_cores

    cores, threads = available_cores(), torch.get_num_threads()
    yield Check("cores", str(cores))
    crowded = threads > cores
    advice = f"More threads than cores slow torch down: set OMP_NUM_THREADS={cores}." if crowded else ""
    setting = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Check("torch threads", f"{threads} (OMP_NUM_THREADS {setting})", WARNING if crowded else OK, advice)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, stages train on the CPU"
    yield Check("gpu", device)


def _bfloat16() -> Check:
    from interlace.policies.precision import GAIN_NEEDED, bfloat16_gain

    gain = bfloat16_gain()
    meaning = "on" if gain >= GAIN_NEEDED else "off"
    return Check("bf16", f"matrix products {gain:.1f} times as fast as in float32: `bf16: auto` is {meaning} here")


def _smollm2() -> Check:
    from interlace.errors import MachineError
    from interlace.wheel import SMOLLM2_INSTALL, smollm2_file

    try:
        return Check("SmolLM2 wheel", str(smollm2_file()))
    except MachineError:
        return Check("SmolLM2 wheel", "not installed", MISSING, f"Only for the smollm2 recipes: {SMOLLM2_INSTALL}")
