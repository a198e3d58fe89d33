"""What every verb shares: help, speed, exit codes, where words go."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import interlace
from interlace import errors
from interlace.cli import app
from tests.cli.conftest import Call

VERBS = ("run", "measure", "report", "theory", "list", "doctor")
HELP = """
import sys
sys.argv = ["interlace", "--help"]
from interlace.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_help_loads_nothing_heavy() -> None:
    """What makes it quick; the seconds are read by benchmarks/speed.py."""
    done = subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True, text=True)
    assert not {"torch", "transformers", "numpy", "scipy", "pydantic", "plotly", "pandas"} & set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    code = HELP.removesuffix("main()") + "\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "numpy", "pydantic", "ruamel.yaml", "transformers"} & set(done.stderr.split())


def test_help_names_every_verb(call: Call) -> None:
    called = call("--help")
    assert called.code == 0
    assert all(verb in called.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(call: Call, verb: str) -> None:
    called = call(verb, "--help")
    assert called.code == 0
    assert "--json" in called.out


def test_version(call: Call) -> None:
    assert call("--version").out.strip() == interlace.__version__


def test_version_is_the_installed_one() -> None:
    try:
        assert importlib.metadata.version("interlace") == interlace.__version__
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("interlace is not installed here")


@pytest.mark.parametrize(
    ("words", "code"),
    {
        "nothing": ((), 2),
        "unknown verb": (("rnu",), 2),
        "unknown option": (("run", "quickstart", "--fast"), 2),
        "no recipe": (("run",), 2),
        "unknown recipe": (("run", "quickstrat"), 2),
        "missing file": (("run", "no/such.yaml"), 3),
        "bad seeds": (("run", "quickstart", "--seeds", "0;1"), 2),
        "seed twice": (("run", "quickstart", "--seeds", "0,0"), 2),
        "seed below 0": (("run", "quickstart", "--seeds=-1"), 2),
        "bad override": (("run", "quickstart", "--set", "measure.every=0"), 2),
        "unknown profile": (("run", "quickstart", "--profile", "huge"), 2),
        "no checkpoint": (("measure", "no/such/folder", "--task", "addition"), 3),
        "bad condition": (("measure", "no/such/folder", "--fail-on", "loss > 1"), 2),
        "no run": (("report", "no/such/run"), 3),
        "unknown kind": (("list", "tsaks"), 2),
        "no law": (("theory",), 2),
        "unknown law": (("theory", "Z9"), 2),
    }.values(),
)
def test_exit_codes(call: Call, words: tuple[str, ...], code: int) -> None:
    called = call(*words)
    assert called.code == code
    assert called.out == "" or not words
    assert called.err or not words


def test_messages_say_what_to_do(call: Call) -> None:
    assert "Did you mean 'tasks'?" in call("list", "tsaks").error
    assert call("run", "quickstart", "--seeds", "0;1").error == (
        "Error: --seeds must be whole numbers with commas, such as 0,1,2. Got '0;1'."
    )
    assert "--seeds: seeds must differ. Got [0, 0]." in call("run", "quickstart", "--seeds", "0,0").error
    assert "--profile must be one of tiny. Got 'huge'." in call("run", "quickstart", "--profile", "huge").error
    assert "RUN must be a run folder" in call("report", "no/such/run").error


def failing(error: BaseException) -> object:
    def fail() -> None:
        raise error

    return fail


def test_a_failure_of_ours_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "app", failing(KeyError("lost")))
    called = call("run", "a b.yaml")
    assert (called.code, called.out) == (1, "")
    assert called.error == (
        "Error: interlace failed: KeyError: 'lost'. For the traceback: interlace --debug run 'a b.yaml'"
    )


def test_debug_shows_the_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "app", failing(KeyError("lost")))
    assert "Traceback (most recent call last)" in call("--debug", "run", "x").err


@pytest.mark.parametrize(("code", "signal"), [(130, "Ctrl-C"), (143, "SIGTERM")])
def test_an_interrupted_run_says_how_to_continue(
    call: Call, monkeypatch: pytest.MonkeyPatch, code: int, signal: str
) -> None:
    stop = errors.Interrupted(f"stopped by {signal}; run the same command again to continue", code)
    monkeypatch.setattr(app, "app", failing(stop))
    called = call("run", "quickstart")
    assert called.code == code
    assert called.error == f"Interrupted: stopped by {signal}; run the same command again to continue"


def test_markup_in_a_message_is_not_read(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "app", failing(errors.DataError("got [bold]x[/bold] [/]")))
    assert call("run", "x").error == "Error: got [bold]x[/bold] [/]"


def test_the_program_is_installed_under_its_name() -> None:
    program = Path(sys.executable).with_name("interlace")
    if not program.exists():
        pytest.skip("interlace is not installed beside this Python")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == interlace.__version__
