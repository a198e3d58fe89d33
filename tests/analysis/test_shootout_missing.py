"""What has no part in a shoot-out is named, with the reason."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.shootout import is_contest, shootout, shootout_sentences
from interlace.encoding import dumps
from interlace.errors import RecipeError
from interlace.store import RunRecord
from tests.analysis.test_shootout_rows import TOKENS, arm, problem_of, start
from tests.analysis.worlds import binary_problem, make_record

GOES_ON = "the command that began the run goes on with it"
MERGED = "a merge has no compute of its own by which it could be made equal; the stages\u2019 own figures tell it"


def run_of(seed: int, *names: str, **options: dict) -> RunRecord:
    """A run with arms of these names; `options`: more of some of them."""
    problem = problem_of(seed)
    arms = [arm(name, problem, 1.0 + n, options=options.get(name, {})) for n, name in enumerate(names)]
    return make_record(problem, start(problem), *arms, seed=seed)


def unfinished(record: RunRecord, *names: str) -> RunRecord:
    return replace(record, stages=tuple(replace(stage, finished=stage.name not in names) for stage in record.stages))


def planned(record: RunRecord, **more: dict) -> RunRecord:
    """With a recipe that has more stages than were begun."""
    stages = [{stage.kind: {"name": stage.name, **stage.options}} for stage in record.stages]
    return replace(
        record, resolved={"stages": [*stages, *({"hybrid": {"name": n, **each}} for n, each in more.items())]}
    )


def test_an_arm_that_one_seed_has_not_finished_is_named() -> None:
    found = shootout([unfinished(run_of(0, "a", "b", "c", "d"), "c", "d"), run_of(1, "a", "b", "c", "d")])
    reason = f"seed 0 has not finished it; {GOES_ON}"
    assert found.missing == {"c": reason, "d": reason} and {row.arm for row in found.rows} == {"a", "b"}
    assert f"c and d are each left out: {reason}." in shootout_sentences(found)
    assert json.loads(dumps(found.to_json()))["missing"] == {"c": reason, "d": reason}
    with pytest.raises(RecipeError, match="Got 'c', which is left out: seed 0 has not finished it"):
        shootout([unfinished(run_of(0, "a", "b", "c"), "c"), run_of(1, "a", "b", "c")], against="c")


def test_so_is_one_that_was_not_begun_and_one_that_other_seeds_do_not_have() -> None:
    whole = planned(run_of(2, "a", "b", "c"))
    killed = planned(run_of(0, "a", "b"), c={"start_from": "sft"})
    found = shootout([killed, whole])
    assert found.missing == {"c": f"seed 0 has not finished it; {GOES_ON}"}
    found = shootout([planned(run_of(0, "a", "b")), planned(run_of(1, "a", "b")), whole])
    assert found.missing["c"].startswith(
        "seeds 0 and 1 do not have it; run with the same seeds, the recipe that has it"
    )
    assert shootout_sentences(found)[-1].startswith("c is left out: seeds 0 and 1 do not have it")


def test_a_control_of_one_seed_is_named_as_such() -> None:
    few = {"start_from": "sft", "seeds": [0]}
    found = shootout([planned(run_of(1, "a", "b"), c=few), run_of(0, "a", "b", "c", c=few)])
    assert found.missing == {"c": "the recipe gives it to seed 0 alone"}


def test_options_and_records_that_differ_are_named() -> None:
    records = [run_of(0, "a", "b", "c", "d", c={"learning_rate": 1e-3}), run_of(1, "a", "b", "c", "d")]
    stages = [replace(stage, spent={}) if stage.name == "d" else stage for stage in records[1].stages]
    found = shootout([records[0], replace(records[1], stages=tuple(stages))])
    assert found.missing == {
        "c": "seeds trained it with other options (learning_rate)",
        "d": "seed 1 has no record of what it took",
    }


def test_merges_and_what_goes_on_from_them_and_what_begins_elsewhere_are_no_arms() -> None:
    problem = problem_of(0)
    merge = replace(arm("soup", problem, 1.0), kind="merge", spent={})
    after = arm("after", problem, 1.0, options={"start_from": "soup"})
    control = arm("control", problem, 1.0, options={"start_from": "model"})
    arms = [arm("a", problem, 1.0), arm("b", problem, 2.0)]
    found = shootout([make_record(problem, start(problem), *arms, merge, after, control)])
    assert found.missing == {
        "soup": MERGED,
        "soup \u2192 after": "it begins with soup, which is left out",
        "control": "it begins with the model, not with sft",
    }
    assert f"soup is left out: {MERGED}." in shootout_sentences(found)


def test_an_arm_with_a_blend_is_said_to_be_seen_before_it() -> None:
    blend = {"blend": {"position": 0.5, "budget": None, "exchange_rate": None}}
    found = shootout([run_of(0, "a", "b", b=blend)])
    assert {row.arm for row in found.rows if row.is_before_blend} == {"b"} and not found.missing
    assert shootout_sentences(found)[-1].startswith("b ends with a blend: its rows tell the weights before that")


def test_an_arm_that_was_not_seen_says_why() -> None:
    one = binary_problem(np.random.default_rng(0), prompts=1, skill=0.3)
    found = shootout([make_record(one, start(one), arm("a", one, 1.0), arm("b", one, 2.0))])
    assert set(found.missing) == {"a", "b"} and "two held-out prompts or more, of which one judges" in found.why_empty
    problem = problem_of(0)
    dear = {10: {name: 9.0 * value for name, value in TOKENS[10].items()}}
    late = replace(arm("late", problem, 1.0, options={"start_from": "a"}), spent=dear)
    found = shootout([make_record(problem, start(problem), arm("a", problem, 1.0), arm("b", problem, 2.0), late)])
    assert found.missing == {"a \u2192 late": "at the common compute it has not come to its last stage"}


def test_a_seed_that_has_begun_no_arm_holds_up_no_other() -> None:
    begun, problem = run_of(0, "a", "b"), problem_of(1)
    found = shootout([begun, make_record(problem, start(problem), seed=1)])
    assert found.seeds == (0,) and {row.arm for row in found.rows} == {"a", "b"}
    assert found.missing == {"seed 1": f"it has begun no hybrid stage; {GOES_ON}"}


def test_a_contest_is_one_where_runs_mix_and_two_stages_begin_alike() -> None:
    assert is_contest([run_of(0, "a", "b")]) and is_contest([unfinished(run_of(0, "a", "b"), "a", "b")])
    assert not is_contest([run_of(0, "a")])
    sft = replace(run_of(0, "a", "b"), stages=run_of(0, "a", "b").stages[:1])
    assert not is_contest([sft]) and is_contest([sft, run_of(1, "a", "b")])
