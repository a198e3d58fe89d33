"""What every verb shares: help, speed, exit codes, where words go."""

from __future__ import annotations

import importlib.metadata
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import interlace
from interlace import errors
from interlace.checkpoints import session
from interlace.cli import app
from interlace.policies.loading import DTYPES
from interlace.probes import PRESETS
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


USAGE = {
    "both rules": ("measure", "no", "--budget", "0.1", "--exchange-rate", "1"),
    "rate below 0": ("measure", "no", "--exchange-rate", "-1"),
    "used folder": ("measure", "no", "no", "--between", "1", "--write", "."),
    "unknown task": ("measure", "no", "--task", "nonsense"),
    "unknown preset": ("measure", "no", "--preset", "ful"),
    "unknown dtype": ("measure", "no", "--dtype", "float8"),
    "gate on one checkpoint": ("measure", "ONE", "--task", "addition", "--fail-on", "sft_loss.increase > 0.02"),
    "gate on another task": ("measure", "ONE", "--task", "addition", "--fail-on", "sum:reward.value < 1"),
    "report, rate that is no number": ("report", "no", "--exchange-rate", "nan"),
    "report, rate without end": ("report", "no", "--exchange-rate", "inf"),
    "plan, rate below 0": ("plan", "no", "--exchange-rate", "-1"),
    "plan, unknown path model": ("plan", "no", "--path-model", "naturel"),
}
CALLS = """
import json, sys
from interlace.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["interlace", *words]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps([codes, [name for name in ("torch", "transformers") if name in sys.modules]]))
"""


def test_usage_is_refused_with_2_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    words = [[str(tmp_path) if word == "ONE" else word for word in call] for call in USAGE.values()]
    command = [sys.executable, "-c", CALLS, json.dumps(words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    codes, heavy = json.loads(done.stdout)
    assert dict(zip(USAGE, codes, strict=True)) == dict.fromkeys(USAGE, 2), done.stderr
    assert heavy == []


def test_the_names_that_are_known_without_torch_are_the_registered_ones() -> None:
    assert (set(session.PRESETS), set(session.DTYPES)) == (set(PRESETS), set(DTYPES))


def test_help_names_every_verb(call: Call) -> None:
    called = call("--help")
    assert called.code == 0
    assert all(verb in called.out for verb in VERBS)
    assert "Exit codes: 0 done, 1 internal, 2 usage" in " ".join(called.out.split())


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
    unknown = call("run", "quickstart", "--profile", "huge").error
    assert "--profile must be one of third-rate, tiny. Got 'huge'." in unknown
    assert "RUN must be a run folder" in call("report", "no/such/run").error
    assert call("report", "no", "--exchange-rate", "nan").error == (
        "Error: --exchange-rate must be the reward that one nat of SFT loss is worth, above 0. Got nan. Say "
        "--exchange-rate 0.5."
    )


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


@pytest.mark.parametrize("words", ["it broke.", "it broke"])
def test_a_failure_ends_with_one_full_stop(call: Call, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr(app, "app", failing(ValueError(words)))
    assert call("run", "x").error.startswith("Error: interlace failed: ValueError: it broke. For the traceback")


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
