"""`interlace theory`: what a user types, what is printed, and how a mistake is answered."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interlace.theory import distributional
from interlace.theory.laws import LAWS
from interlace.theory.laws.inputs import inputs_of
from interlace.theory.laws.meanings.words import said
from interlace.theory.laws.reading import read_law
from tests.cli.conftest import Call, Called
from tests.theory.readings import SMALL, binary

BINARY = ("--pass-rates", "0.2,0.7", "--expert-reward", "0.75")
TABLES = ("--expert", "[[1, 0]]", "--reward", "[[1, 0]]")


def value_of(called: Called) -> object:
    assert called.code == 0, called.err
    return json.loads(called.out)["value"]


# What is printed


def test_it_prints_law_inputs_value_conditions_and_meaning(call: Call) -> None:
    called = call("theory", "a5", *BINARY, "--rl-time", "2")
    shown = " ".join(called.out.split())
    assert (called.code, called.err) == (0, "")
    for part in (
        "A5 Non-decoupling threshold", "2 prompts of 2 responses; the reference earns 0.45 at SFT loss 0.916",
        "Value, RL time 3.72811", f"free_energy {said(distributional.free_energy(SMALL, 2.0), 6)}",
        "holds the reward is fixed and bounded",
        "must be measured on the run the policy is on the RL path", "RL may run up to RL time 3.73",
    ):  # fmt: skip
        assert part in shown


def test_a_failed_condition_stands_out(call: Call) -> None:
    assert "DOES NOT HOLD" in call("theory", "A2", *BINARY, "--rl-time", "1").out


def test_what_was_not_given_is_said(call: Call) -> None:
    shown = " ".join(call("theory", "A7", *BINARY, "--kl-coefficient", "0.5").out.split())
    assert "policy the reference (not given)" in shown
    called = call("theory", "A7", *BINARY, "--kl-coefficient", "0.5", "--rl-time", "1", "--json")
    assert called.err.strip() == "policy was not given: the RL path at RL time 1"
    json.loads(called.out)


def test_json_has_the_whole_reading(call: Call) -> None:
    called = call("theory", "A5", *BINARY, "--rl-time", "2", "--json")
    found = json.loads(called.out)
    assert (called.code, called.err) == (0, "")
    keys = "schema_version law statement details conditions inputs value also meaning"
    assert list(found) == keys.split()
    assert found["value"] == distributional.non_decoupling_threshold(SMALL)
    assert found["also"]["free_energy"] == distributional.free_energy(SMALL, 2.0)
    assert [each["holds"] for each in found["conditions"]] == [True, None]
    assert found["inputs"]["rl_time"] == 2 and found["inputs"]["problem"]["expert"] == SMALL.expert.tolist()


def test_infinite_values_are_strings_in_json_and_signs_on_the_terminal(call: Call) -> None:
    perfect = ("--pass-rates", "0.2,0.7", "--expert-reward", "1")
    assert value_of(call("theory", "A5", *perfect, "--json")) == "inf"
    assert "\u221e" in call("theory", "A5", *perfect).out


def test_named_tuples_stand_by_field(call: Call) -> None:
    assert list(json.loads(call("theory", "A9", *BINARY, "--json").out)["value"]) == ["total_variation", "kl"]
    assert "total_variation  0.3" in call("theory", "A9", *BINARY).out


def test_long_arrays_are_cut_with_a_count(call: Call, tmp_path: Path) -> None:
    rates = ",".join(["0.5"] * 20)
    shown = call("theory", "A7", "--pass-rates", rates, "--expert-reward", "0.75", "--kl-coefficient", "1",
                 "policy=expert").out  # fmt: skip
    assert "\u2026 12 more rows" in shown
    assert "\u2026 57 more" in " ".join(call("theory", "C7", *BINARY, "--rl-time", "1").out.split())


def test_a_question_beside_the_law_needs_no_problem(call: Call) -> None:
    called = call("theory", "D13", "expert_entropy=0.5", "reward=0.9", "expert_reward=0.8", "reward_range=1")
    shown = " ".join(called.out.split())
    assert "not asked; it would need problem" in shown and "sft_loss_floor_from_figures 0.52" in shown


def test_every_law_can_be_asked_from_the_command_line(call: Call) -> None:
    more = {
        "A8": ("sft_time=1",), "D6": ("anchor=expert", "time=1"), "D4": ("step_size=0.1", "group_size=8"),
        "D5": ("log_ratios=[[1,3],[0,2]]", "rewards=[[0,1],[0,1]]"), "D7": ("time=1",), "D13": ("reward=0.9",),
        "D10": ("order=sft_rl",), "D11": ("sft_weight=0.3",), "D12": ("cosine=-0.5", "norm_sft=1", "norm_rl=2"),
        "D15": ("gradient_loss=1,0", "gradient_reward=1,2"), "B1": ("gap=1", "pl_constant=1", "time=1"),
        "B2": ("inner_product=-1", "smoothness=1", "update_norm=1"),
        "B3": ("smoothness=1", "update_norm=1", "pl_constant=1", "alignment=0.5"),
        "B4": ("pl_constant=1", "smoothness=2", "distance=1"),
        "B5": ("gap=1", "pl_constant=1", "alignment=0.1", "gradient_norm=1", "curvature=1"),
        "B6": ("gap=1", "pl_constant=1", "alignment=0.1", "gradient_norm=1", "curvature=1"),
        "B7": ("largest_singular_value=0.3", "outside_sft=0.1", "outside_rl=0.1"),
        "B8": ("gradient=[1,0]", "hessian=[[1,0],[0,1]]", "mean=[0.1,0]", "covariance=[[0.1,0],[0,0.1]]"),
    }  # fmt: skip
    for label, law in LAWS.items():
        takes = (*inputs_of(law.function), *(("problem", "rl_time") if label == "C7" else ()))
        options = [word for name in ("rl_time", "exchange_rate", "kl_coefficient") if name in takes
                   for word in (f"--{name.replace('_', '-')}", "0.5")]  # fmt: skip
        called = call("theory", label, *more.get(label, ()), *(BINARY if "problem" in takes else ()), *options)
        assert called.code == 0 and "What it means" in called.out, (label, called.err)


# How inputs are given


def test_tables_inline_and_in_files_are_the_same(call: Call, tmp_path: Path) -> None:
    tables = {"reference": [[0.2, 0.8], [0.7, 0.3]], "expert": [[0.75, 0.25], [0.75, 0.25]], "reward": [[1, 0], [1, 0]]}
    for name, rows in tables.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
        (tmp_path / f"{name}.csv").write_text("\n".join(", ".join(map(str, row)) for row in rows) + "\n\n")
    (tmp_path / "prompts.csv").write_text("0.5\n0.5\n")
    inline = [word for name, rows in tables.items() for word in (f"--{name}", json.dumps(rows))]
    from_json = [word for name in tables for word in (f"--{name}", str(tmp_path / f"{name}.json"))]
    from_csv = [word for name in tables for word in (f"--{name}", str(tmp_path / f"{name}.csv"))]
    expected = value_of(call("theory", "A5", *BINARY, "--json"))
    for words in (inline, from_json, [*from_csv, "--prompts", str(tmp_path / "prompts.csv")]):
        assert value_of(call("theory", "A5", *words, "--json")) == expected


def test_one_row_is_one_prompt(call: Call) -> None:
    words = ("--reference", "0.6,0.4", "--expert", "[0.75, 0.25]", "--reward", "[[1, 0]]", "--json")
    problem = binary([0.6], 0.75)
    assert value_of(call("theory", "A5", *words)) == pytest.approx(distributional.non_decoupling_threshold(problem))


def test_prompts_may_have_weights(call: Call) -> None:
    problem = binary([0.2, 0.7], [0.5, 0.9], prompts=[0.25, 0.75])
    words = ("--pass-rates", "0.2,0.7", "--expert-reward", "0.5,0.9", "--prompts", "0.25,0.75", "--json")
    assert value_of(call("theory", "A5", *words)) == distributional.non_decoupling_threshold(problem)


def test_the_problem_s_tables_go_by_their_names(call: Call) -> None:
    at_expert = value_of(call("theory", "A7", *BINARY, "--kl-coefficient", "0.5", "policy=expert", "--json"))
    assert at_expert == read_law(LAWS["A7"], {"problem": SMALL, "kl_coefficient": 0.5, "policy": SMALL.expert}).value


def test_values_are_numbers_words_truths_lists_and_files(call: Call, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("1\n0\n")
    assert (
        value_of(call("theory", "D15", f"gradient_loss={tmp_path}/one.csv", "gradient_reward=[1, 2]", "--json")) == 0.2
    )
    assert value_of(call("theory", "D7", "time=inf", "kl_coefficient=0.5", "--json")) == 2.0
    words = ("D4", "--pass-rates", "0.5", "--expert-reward", "0.5", "step_size=0.1", "group_size=inf", "--json")
    std, plain = (value_of(call("theory", *words, f"normalised={truth}")) for truth in ("true", "false"))
    assert std == pytest.approx([0.1]) and plain == pytest.approx([0.05])
    assert call("theory", "D10", *BINARY, "--exchange-rate", "1", "order=rl_sft", "--json").code == 0


def test_options_and_names_are_the_same(call: Call) -> None:
    first = value_of(call("theory", "A1", *BINARY, "--rl-time", "2", "--json"))
    assert first == value_of(call("theory", "A1", "rl_time=2", *BINARY, "--json"))
    assert first == value_of(call("theory", "A1", "rl-time=2", *BINARY, "--json"))
    figures = ("C7", "reward=0.4,0.5", "variance=0.2,0.2")
    assert value_of(call("theory", *figures, "--expert-reward", "0.5", "--json")) == value_of(
        call("theory", *figures, "expert_reward=0.5", "--json")
    )


# Mistakes, as they are typed


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    {
        "no law": ((), 2, "LAW must be given. Got none. `interlace list laws` shows them."),
        "no problem": (
            ("A5",), 2,
            "problem must be given for A5. Got nothing. Give a FiniteProblem; on the command line --pass-rates and "
            "--expert-reward, or --reference, --expert, --reward.",
        ),
        "a share above 1": (
            ("A5", "--pass-rates", "1.2,0.7", "--expert-reward", "0.75"), 3,
            "--pass-rates must be numbers between 0 and 1. Got 1.2. Write 20 % as 0.2.",
        ),
        "a share below 0": (
            ("A5", "--pass-rates=-0.1", "--expert-reward", "0.75"), 3,
            "--pass-rates must be numbers between 0 and 1. Got -0.1. Write 20 % as 0.2.",
        ),
        "NaN": (
            ("A5", "--pass-rates", "nan,0.2", "--expert-reward", "0.75"), 3,
            "--pass-rates must be numbers between 0 and 1. Got nan. Write 20 % as 0.2.",
        ),
        "a table of shares": (
            ("A5", "--pass-rates", "[[0.1, 0.2], [0.3, 0.4]]", "--expert-reward", "0.75"), 3,
            "--pass-rates must be numbers between 0 and 1. Got a table of shape (2, 2). Write 20 % as 0.2.",
        ),
        "no shares": (
            ("A5", "--pass-rates", "", "--expert-reward", "0.75"), 2,
            "--pass-rates must have a value. Got ''. Give a number, inline JSON or a .json or .csv file.",
        ),
        "text": (
            ("A5", "--pass-rates", "half", "--expert-reward", "0.75"), 2,
            "--pass-rates must be numbers, or a .json or .csv file. Got 'half'. Write 0.2,0.7, say.",
        ),
        "text among numbers": (
            ("A5", "--pass-rates", "0.2,half", "--expert-reward", "0.75"), 2,
            "--pass-rates must be numbers with commas. Got '0.2,half'. Write them as 0.2,0.7.",
        ),
        "a percentage": (
            ("A5", "--pass-rates", "0.2", "--expert-reward", "75%"), 2,
            "--expert-reward must be numbers, or a .json or .csv file. Got '75%'. Write 0.75, say.",
        ),
        "an expert's reward outside": (
            ("A5", "--pass-rates", "0.2", "--expert-reward", "75"), 3,
            "--expert-reward must be numbers between 0 and 1. Got 75.0. Write 20 % as 0.2.",
        ),
        "lengths": (
            ("A5", "--pass-rates", "0.2,0.7", "--expert-reward", "0.5,0.6,0.7"), 3,
            "--expert-reward must be one number, or one a pass rate (2). Got 3. Give one.",
        ),
        "no expert": (
            ("A5", "--pass-rates", "0.2"), 2,
            "--expert-reward must be given with --pass-rates. Got none. Say what the expert earns, such as 0.75.",
        ),
        "only an expert": (
            ("A5", "--expert-reward", "0.75"), 2,
            "--pass-rates must be given with --expert-reward. Got none. Write --pass-rates 0.2,0.7, say.",
        ),
        "both ways": (
            ("A5", *BINARY, "--reference", "[[1]]"), 2,
            "--pass-rates must stand without --reference. Got both. Keep one of the two.",
        ),
        "expert reward beside tables": (
            ("A5", "--reference", "[[0.5, 0.5]]", *TABLES, "--expert-reward", "0.5"), 2,
            "--expert-reward must stand with --pass-rates. Got it with --expert. Leave it out.",
        ),
        "half of the tables": (
            ("A5", "--reference", "[[0.2, 0.8]]"), 2,
            "--expert must be given with --reference. Got none. Give all of --reference, --expert and --reward, or "
            "--pass-rates and --expert-reward.",
        ),
        "only weights": (
            ("A5", "--prompts", "0.5,0.5"), 2,
            "--reference must be given with --prompts. Got none. Give all of --reference, --expert and --reward, or "
            "--pass-rates and --expert-reward.",
        ),
        "weights of another length": (
            ("A5", "--prompts", "0.5,0.3,0.2", *BINARY), 3,
            "--prompts must have one weight a prompt (2). Got 3. Give one for each row.",
        ),
        "weights of nothing": (
            ("A5", "--prompts", "0,0", *BINARY), 3, "prompts must sum to 1. Got 0.0. Divide by the sum.",
        ),
        "broken JSON": (
            ("A5", "--reference", "[[0.2,0.8", *TABLES), 2,
            "--reference must be JSON. Got '[[0.2,0.8': Expecting ',' delimiter at line 1, column 10. Quote it for the "
            "shell: '[[0.4, 0.6]]'.",
        ),
        "an object": (
            ("A5", "--reference", '{"a": 1}', *TABLES), 2,
            "--reference must be a list. Got an object of a. Give its rows alone.",
        ),
        "ragged": (
            ("A5", "--reference", "[[0.2, 0.8], [1]]", *TABLES), 3,
            "--reference must have rows of one length. Got lengths 1 and 2. Pad slots that a prompt lacks with 0.",
        ),
        "quoted numbers": (
            ("A5", "--reference", '[["0.2", 0.8]]', *TABLES), 3,
            "--reference must hold numbers. Got '0.2'. Write numbers without quotes.",
        ),
        "empty": (
            ("A5", "--reference", "[[]]", *TABLES), 3,
            "--reference must hold numbers. Got an empty list. Give at least one.",
        ),
        "no table": (
            ("A5", "--reference", "0.5", *TABLES), 3,
            "--reference must be a table. Got '0.5'. Give a row a prompt, such as [[0.4, 0.6]].",
        ),
        "rows that do not sum to 1": (
            ("A5", "--reference", "[[0.3, 0.8]]", *TABLES), 3,
            "reference must sum to 1 in row 1 of 1. Got 1.1. Divide by the sum.",
        ),
        "tables of two sizes": (
            ("A5", "--reference", "[[0.2, 0.8], [0.5, 0.5]]", *TABLES), 3,
            "--expert must have the shape of --reference, (2, 2). Got (1, 2). Pad slots that a prompt lacks with 0.",
        ),
        "a missing file": (
            ("A5", "--reference", "no/such.csv", *TABLES), 3,
            "--reference must be a file that is there. Got no/such.csv. Check the path.",
        ),
        "another kind of file": (
            ("A5", "--reference", "table.txt", *TABLES), 2,
            "--reference must be numbers, or a .json or .csv file. Got 'table.txt'. Write [[0.4, 0.6]], say.",
        ),
        "RL time missing": (
            ("A1", *BINARY), 2,
            "rl_time must be given for A1. Got problem. Give it as NAME=VALUE. rl_time: RL time since the reference, "
            "1/(KL coefficient) at its optimum.",
        ),
        "negative RL time": (
            ("A1", *BINARY, "--rl-time", "-1"), 3,
            "rl_time must be at least 0. Got -1. RL time counts from the reference on.",
        ),
        "RL time in words": (
            ("A1", *BINARY, "--rl-time", "two"), 2,
            "--rl-time must be a number. Got 'two'. Write it as 2, 0.5, 1e-3 or inf.",
        ),
        "RL time NaN": (
            ("A1", *BINARY, "--rl-time", "nan"), 3,
            "rl_time must hold no NaN. Got nan. Leave out what was not measured.",
        ),
        "twice": (
            ("A1", *BINARY, "--rl-time", "1", "rl_time=2"), 2,
            "rl_time must be given once. Got it again as 'rl_time=2'. Keep one of the two.",
        ),
        "an unknown name": (
            ("A5", *BINARY, "rltime=2"), 2,
            "an input of A5 must be one of exchange_rate, kl_coefficient, problem, rl_time. Got 'rltime'. Did you mean "
            "'rl_time'? Correct it, or leave it out.",
        ),
        "a table by name": (
            ("A9", *BINARY, "expert=[[1, 0]]"), 2,
            "an input of A9 must be one of p, problem, q. Got 'expert'. Write --expert for the problem's.",
        ),
        "the problem by name": (
            ("A5", "problem=x"), 2,
            "problem must be given by options. Got 'problem=x'. Use --pass-rates, or --reference, --expert, --reward.",
        ),
        "no equals sign": (
            ("A9", *BINARY, "foo"), 2, "an input must be NAME=VALUE. Got 'foo'. A9 takes problem, p, q.",
        ),
        "no value": (
            ("B1", "gap="), 2, "gap must have a value. Got ''. Give a number, inline JSON or a .json or .csv file.",
        ),
        "a word for a number": (
            ("B1", "time=long"), 2,
            "time must be a number. Got 'long'. It is time since the start: step size x steps.",
        ),
        "a list for one number": (
            ("B1", "gap=1,x"), 2, "gap must be numbers with commas. Got '1,x'. Write them as 0.2,0.7.",
        ),
        "an option of other laws": (
            ("B2", "--rl-time", "2"), 2,
            "--rl-time must be left out for B2. Got '2'. B2 takes inner_product, smoothness, update_norm.",
        ),
        "a problem where none is meant": (
            ("B2", *BINARY), 2,
            "--pass-rates must be left out for B2. Got '0.2,0.7'. B2 takes inner_product, smoothness, update_norm.",
        ),
        "an unknown policy": (
            ("A7", *BINARY, "--kl-coefficient", "1", "policy=exprt"), 2,
            "policy must be reference, expert, inline JSON, or a .json or .csv file. Got 'exprt'. It is the policy "
            "that is asked about.",
        ),
        "a policy of another shape": (
            ("A7", *BINARY, "--kl-coefficient", "1", "policy=[[1, 0]]"), 3,
            "policy must have the reference's shape (2, 2). Got (1, 2). Give a row a prompt, a number a response.",
        ),
        "what the law refuses": (
            ("A7", *BINARY, "--kl-coefficient", "0"), 3,
            "kl_coefficient must be positive and finite. Got 0. Without a KL term RL has no optimum.",
        ),
        "not whole": (
            ("D7", "num_steps=3.5", "step_size=0.1", "kl_coefficient=1"), 3,
            "num_steps must be a whole number. Got 3.5. Give the number of steps.",
        ),
        "not true nor false": (
            ("D4", *BINARY, "step_size=0.1", "group_size=8", "normalised=maybe"), 3,
            "normalised must be true or false. Got 'maybe'. It says whether advantages are divided by the group's "
            "standard deviation.",
        ),
        "an unknown word": (
            ("D10", *BINARY, "--exchange-rate", "1", "order=rl"), 3,
            "order must be one of rl_sft, sft_rl. Got 'rl'. Did you mean 'sft_rl'? Say which stage comes first.",
        ),
        "a plot of a law without one": (
            ("B2", "inner_product=1", "smoothness=1", "update_norm=1", "--plot", "b2.html"), 2,
            "--plot must be asked of a law that has a figure: A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, B1, B5, "
            "B6, B7, C7, D3, D4, D6, D7, D8, D9, D10, D11, D12, D13. Got B2. Leave it out.",
        ),
        "a plot into nowhere": (
            ("A5", *BINARY, "--plot", "no/such/a5.html"), 3,
            "--plot must lie in a folder that is there. Got no/such/a5.html. Make no/such first.",
        ),
    }.values(),
)  # fmt: skip
def test_each_mistake_is_one_sentence(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    called = call("theory", *words)
    assert called.error == f"Error: {sentence}"
    assert (called.code, called.out) == (code, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("header.csv", "right,wrong\n0.2,0.8\n",
         "Got 'right' in line 1 of header.csv. Remove the header."),
        ("text.csv", "0.2,0.8\n0.7,x\n",
         "Got 'x' in line 2 of text.csv. Write numbers with commas between them."),
        ("gap.csv", "0.2,0.8\n0.7,\n",
         "Got '' in line 2 of gap.csv. Write numbers with commas between them."),
        ("semicolons.csv", "0.2;0.8\n",
         "Got '0.2;0.8' in line 1 of semicolons.csv. Write numbers with commas between them."),
        ("ragged.csv", "0.2,0.8\n0.7\n",
         "--reference must have rows of one length. Got lengths 1 and 2. Pad slots that a prompt lacks with 0."),
        ("empty.csv", "\n",
         "--reference must hold numbers. Got nothing in empty.csv. Write a row a prompt."),
        ("broken.json", "[[0.2,",
         "--reference must be JSON. Got '[[0.2,': Expecting value at line 1, column 7. Correct broken.json."),
        ("object.json", '{"rows": []}',
         "--reference must be a list. Got an object of rows. Give its rows alone."),
        ("word.json", '"half"',
         "--reference must be numbers, or a .json or .csv file. Got 'word.json'. Write [[0.4, 0.6]], say."),
    ],
)  # fmt: skip
def test_files_that_hold_no_table(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    called = call("theory", "A5", "--reference", name, *TABLES)
    assert called.error.endswith(sentence) and called.error.startswith("Error: --reference must")
    assert (called.code, called.out) == (2 if name == "word.json" else 3, "")


def test_a_file_of_bytes_is_no_text(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_bytes(b"\xff\xfe\x00\x01")
    assert "--reference must be a text file. Got bytes that are no UTF-8 in table.csv. Export it again." in call(
        "theory", "A5", "--reference", "table.csv", *TABLES
    ).error  # fmt: skip


def test_a_spreadsheet_s_byte_order_mark_is_no_header(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbf0.5,0.5\n")
    words = ("--reference", str(path), "--expert", "[[0.75, 0.25]]", "--reward", "[[1, 0]]")
    assert call("theory", "A5", *words).code == 0


# The plot and the README


def test_the_readme_s_questions_are_answered(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
    questions = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("interlace theory ")]
    assert len(questions) == 3
    assert [call(*words).code for words in questions] == [0, 0, 0]
    assert [item.name for item in tmp_path.iterdir()] == ["when-to-stop.html"]


def test_the_plot_is_one_file_beside_the_answer(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a6.html"
    called = call("theory", "A6", *BINARY, "--exchange-rate", "0.5", "--plot", str(path), "--json")
    assert called.code == 0 and called.err.strip() == f"Plot: {path}"
    assert json.loads(called.out)["law"] == "A6"
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert call("theory", "A6", *BINARY, "--exchange-rate", "0.7", "--plot", str(path)).code == 0, "its own is replaced"
    assert [item.name for item in tmp_path.iterdir()] == ["a6.html"]


# What it costs; the seconds are read by benchmarks/speed.py


def test_it_answers_without_torch() -> None:
    code = "import sys; from interlace.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "theory", "A5", *BINARY], capture_output=True, check=True)
    assert not {"torch", "transformers", "plotly", "pandas"} & set(done.stderr.decode().split())
    assert "RL may run up to RL time 3.73" in " ".join(done.stdout.decode().split())


def test_large_tables_are_read(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    reference = rng.random((2048, 16))
    reference /= reference.sum(axis=1, keepdims=True)
    reward = rng.integers(0, 2, reference.shape)
    for name, table in (("reference", reference), ("expert", reference), ("reward", reward)):
        np.savetxt(tmp_path / f"{name}.csv", table, delimiter=",", fmt="%.17g")
    words = [
        word for name in ("reference", "expert", "reward") for word in (f"--{name}", str(tmp_path / f"{name}.csv"))
    ]
    assert "2,048 prompts of 16 responses" in call("theory", "A5", *words).out


def test_weights_of_prompts_may_be_counts(call: Call) -> None:
    counts, shares = (call("theory", "A5", "--prompts", text, *BINARY, "--json") for text in ("3,1", "0.75,0.25"))
    assert counts.code == 0 and counts.out == shares.out
