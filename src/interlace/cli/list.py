"""`interlace list KIND`: everything registered, generated from the registries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interlace.cli.output import JsonOption, print_json, stdout
from interlace.encoding import dumps
from interlace.errors import RecipeError, unknown_name

if TYPE_CHECKING:
    from interlace.options import Options

Item = dict[str, Any]
"""`name`, `sentence`, `source`, `cost`; of methods `told`: what they are told beyond rows to train on; of what takes
options also `options`, each `name`, `is_required`, `default`, `takes` (what it may be), `sentence`."""
WIDE = 100
"""Columns of a terminal from which the cost has one of its own."""


def list_registered(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="tasks, rewards, probes, presets, flags, rules, methods, merges, stages, recipes, laws, path-models.",
        ),
    ],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them, in full.")] = None,
    json: JsonOption = False,
) -> None:
    """List what is registered, with a sentence, its source and what it costs; one of them with all of its options."""
    if kind not in KINDS:
        raise RecipeError(unknown_name("KIND", kind, KINDS))
    items = list(KINDS[kind]())
    if name is not None:
        items = [_named(name, kind, items)]
    if json:
        from interlace.analysis.summary import SCHEMA_VERSION

        print_json({"schema_version": SCHEMA_VERSION, "kind": kind, "items": items})
        return
    console = stdout()
    if name is not None:
        _print_in_full(console, items[0])
        return
    console.print(_table(items, console.width))
    if any("options" in item for item in items):
        console.print(Text(f"\ninterlace list {kind} NAME says what each option is, in which unit and range.", "dim"))


def _named(name: str, kind: str, items: Sequence[Item]) -> Item:
    known = {item["name"]: item for item in items}
    if name not in known:
        raise RecipeError(unknown_name(f"NAME of {kind}", name, known))
    return known[name]


def _table(items: Sequence[Item], width: int) -> Table:
    """Name, sentence with its source and its options under it, cost (if anything has one): beside it, or in a narrow
    terminal, where paths would be torn, under it."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    beside = width >= WIDE and any(item["cost"] for item in items)
    for column in ("name", "what it is", *["cost"] * beside):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for item in items:
        cost = f"cost: {item['cost']}" if item["cost"] and not beside else ""
        under = "".join(f"\n{line}" for line in (item["source"], cost, _options_line(item)) if line)
        cells = item["name"], Text(item["sentence"]) + Text(under, "dim"), Text(item["cost"])
        table.add_row(*cells[: 2 + beside])
    return table


def _print_in_full(console: Console, item: Item) -> None:
    """One of a kind: all that is known of it, each option in two or three lines."""
    console.print(Text(item["name"], "bold"))
    told = f"told: {', '.join(item['told']) or 'nothing beyond rows to train on'}" if "told" in item else ""
    for line in (item["sentence"], item["source"] and f"source: {item['source']}",
                 item["cost"] and f"cost: {item['cost']}", told):  # fmt: skip
        if line:
            console.print(Text(line), soft_wrap=True)
    for option in item.get("options", ()):
        default = "must be given" if option["is_required"] else f"by default {_bare(option['default'])}"
        console.print(Text(f"\n{option['name']}", "bold") + Text(f"  {option['takes']}; {default}"), soft_wrap=True)
        console.print(Text(f"  {option['sentence']}"), soft_wrap=True)


def _options_line(item: Item) -> str:
    """The options of an item with their defaults, as they would stand in a recipe; those that must be given alone."""
    listed = ", ".join(
        option["name"] if option["is_required"] else f"{option['name']}: {_bare(option['default'])}"
        for option in item.get("options", ())
    )
    return f"options: {listed}" if listed else ""


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _options(model: type[Options], without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Each option of a model with its default, what it may be, and its sentence."""
    from interlace.options import what_fits

    return [
        {
            "name": name,
            "is_required": field.is_required(),
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "takes": what_fits(field),
            "sentence": " ".join((field.description or "").split()),
        }
        for name, field in model.model_fields.items()
        if name not in without
    ]


def _item(name: str, registered: Any) -> Item:
    return {"name": name, **{key: getattr(registered, key) for key in ("sentence", "source", "cost")}}


def _tasks() -> Iterable[Item]:
    from interlace.tasks import TASKS

    return (_item(name, kind) for name, kind in TASKS.items())


def _rewards() -> Iterable[Item]:
    from interlace.rewards import REWARDS

    return (_item(name, reward) for name, reward in REWARDS.items())


def _probes() -> Iterable[Item]:
    from interlace.probes import PROBES

    return (_item(name, probe) for name, probe in PROBES.items())


def _presets() -> Iterable[Item]:
    """Which probes a preset pays for, and how many at each price."""
    from interlace.probes import PRESETS, PROBES

    for name, probes in PRESETS.items():
        prices = Counter(PROBES[probe].cost for probe in probes)
        cost = ", ".join(f"{count} {price}" for price, count in prices.items())
        yield {"name": name, "sentence": ", ".join(probes), "source": "interlace list probes", "cost": cost}


def _flags() -> Iterable[Item]:
    from interlace.flags import FLAGS

    return (_item(name, flag) for name, flag in FLAGS.items())


def _methods() -> Iterable[Item]:
    """Methods, with what `method: {name: NAME, ...}` takes; a batch of the expert's only where there is one to draw."""
    from interlace.methods import METHODS

    for name, method in METHODS.items():
        without = () if method.follows == "stream" else ("expert_batch_size",)
        yield _item(name, method) | {"told": list(_told(name)), "options": _options(method.takes, without)}


def _told(method: str) -> Iterator[str]:
    from interlace.methods import KNOW_EXPERT, READ_EXPERT_REWARDS, SEE_LOOKS

    for known, words in (
        (KNOW_EXPERT, "the expert's distribution, where others see draws"),
        (READ_EXPERT_REWARDS, "the rewards of the expert's responses"),
        (SEE_LOOKS, "looks at held-out prompts that do not judge"),
    ):
        if method in known:
            yield words


def _merges() -> Iterable[Item]:
    """Ways to merge, with the options of each."""
    from interlace.policies.merging import MERGES

    for name, way in MERGES.items():
        yield _item(name, way) | {"options": _options(way.takes)}


def _rules() -> Iterable[Item]:
    """Stop rules, with the options of each."""
    from interlace.controllers import RULES

    for name, rule in RULES.items():
        yield _item(name, rule) | {"options": _options(rule.takes)}


def _stages() -> Iterable[Item]:
    from interlace.stages import STAGES

    return (_item(name, stage) for name, stage in STAGES.items())


def _recipes() -> Iterable[Item]:
    from interlace.recipe.loading import shipped_recipes
    from interlace.recipe.source import parse_document

    for name, file in shipped_recipes().items():
        tree = parse_document(file.read_text(encoding="utf-8"), file.name).tree
        bodies = [body for stage in tree["stages"] for body in stage.values()]
        steps = sum(body.get("max_steps", 0) for body in bodies)
        yield {
            "name": name,
            "sentence": tree["description"],
            "source": f"interlace/recipes/{file.name}",
            "cost": f"{len(bodies)} stages, {steps} optimizer steps",
        }


def _laws() -> Iterable[Item]:
    from interlace.theory.laws import LAWS
    from interlace.theory.laws.inputs import inputs_of

    for label, law in LAWS.items():
        takes = ", ".join(inputs_of(law.function, required=True))
        yield {
            "name": label,
            "sentence": f"{law.name}. {law.statement}",
            "source": f"{law.kind}, takes {takes}; {law.source}",
            "cost": "",
        }


def _path_models() -> Iterable[Item]:
    from interlace.theory.paths import PATH_MODELS

    for name, model in PATH_MODELS.items():
        yield {"name": name, "sentence": model.sentence, "source": f"laws {model.source}", "cost": ""}


KINDS: dict[str, Callable[[], Iterable[Item]]] = {
    "tasks": _tasks,
    "rewards": _rewards,
    "probes": _probes,
    "presets": _presets,
    "flags": _flags,
    "rules": _rules,
    "methods": _methods,
    "merges": _merges,
    "stages": _stages,
    "recipes": _recipes,
    "laws": _laws,
    "path-models": _path_models,
}
"""What can be listed, and from which registry."""
