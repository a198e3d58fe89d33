"""The habits that the code keeps: layers, short functions, a sentence for every module."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FUNCTION, LONGEST_MEDIAN, LONGEST_90TH, LONGEST_FILE = 60, 12, 30, 400


def functions() -> Iterator[tuple[str, int]]:
    """Every function with its lines, docstring left out."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(docstring.splitlines())
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines


def test_modules_import_only_what_stands_below_them() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("lint-imports is not installed beside this Python (pip install -e '.[dev]')")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= LONGEST_MEDIAN
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= LONGEST_90TH


def test_files_have_one_subject() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in MODULES
        if (count := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert long == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_import_is_light() -> None:
    heavy = "[name for name in ('torch', 'numpy', 'pydantic', 'transformers') if name in sys.modules]"
    code = f"import interlace, sys; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there() -> None:
    import interlace

    assert all(getattr(interlace, name) is not None for name in interlace.__all__)
    assert set(interlace.__all__) <= set(dir(interlace))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        interlace.nothing  # noqa: B018 -- the access is the test
