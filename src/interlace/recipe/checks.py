"""The rules between the sections of a recipe, and those that other packages own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from interlace.controllers import problems_of_rule, rewinds, rule_config
from interlace.errors import InterlaceError, RecipeError, unknown_name
from interlace.methods import METHODS, blamed_on, method_config, method_options
from interlace.options import Problem
from interlace.policies.merging import merge_config
from interlace.probes import PRESETS
from interlace.recipe.fork_options import forks_problem
from interlace.recipe.merging import merge_problems
from interlace.recipe.messages import problems_at
from interlace.recipe.model import WEIGHTS_OF_BEFORE, Recipe, StageConfig
from interlace.recipe.trl_options import option_problems, with_trl_types
from interlace.rewards import build_reward
from interlace.stages import STAGES
from interlace.tasks import TASKS


def check(recipe: Recipe) -> list[Problem]:
    """Everything about `recipe` that can be known wrong before data and model are read. Imports TRL (4 s)."""
    return [*_recipe_problems(recipe), *_task_problems(recipe), *_stage_problems(recipe)]


def with_typed_options(recipe: Recipe) -> Recipe:
    """The recipe with TRL's options in TRL's types. Imports TRL."""
    return recipe.model_copy(update={"stages": tuple(map(with_trl_types, recipe.stages))})


def with_task_defaults(recipe: Recipe) -> Recipe:
    """The recipe with every option of its tasks written out. Needs the tasks to be free of problems."""
    tasks = {}
    for name, config in recipe.tasks.items():
        options = TASKS[config["kind"]].options.model_validate(_options(config))
        tasks[name] = {"kind": config["kind"], **options.model_dump(mode="json")}
    return recipe.model_copy(update={"tasks": tasks})


def with_rule_defaults(recipe: Recipe) -> Recipe:
    """The recipe with every option of its stop rules, methods and merges written out, and of TRL's those that a method
    sets. Needs stages free of problems."""
    stages = (
        stage.model_copy(
            update={
                "options": {**_trl_of_method(stage, recipe), **stage.options},
                "stop": stage.stop and rule_config(stage.stop),
                "method": stage.method and method_config(stage.method),
                "how": stage.how and merge_config(stage.how, len(stage.of)),
            }
        )
        for stage in recipe.stages
    )
    return recipe.model_copy(update={"stages": tuple(stages)})


def _trl_of_method(stage: StageConfig, recipe: Recipe) -> Mapping[str, Any]:
    """TRL's options as the method's source has them; of a control that is `like` a stage as that one has them, or the
    two would differ in more than what adapts."""
    if stage.method is None:
        return {}
    own, like = METHODS[str(stage.method["name"])].trl, stage.method.get("like")
    if like is None:
        return own
    other = recipe.stage(str(like))
    return {**{key: other.options.get(key, value) for key, value in _trl_of_method(other, recipe).items()}, **own}


def _recipe_problems(recipe: Recipe) -> Iterator[Problem]:
    if recipe.model_options and recipe.model != "embedded":
        yield Problem(
            ("model_options",),
            f"model_options must stand beside `model: embedded`. Got model {recipe.model!r}. Remove one of them.",
        )
    if recipe.measure.preset not in PRESETS:
        yield Problem(("measure", "preset"), unknown_name("preset", recipe.measure.preset, PRESETS))
    names = [stage.name for stage in recipe.stages]
    if recipe.exclude_seeds is not None and recipe.exclude_seeds.stage not in names:
        yield Problem(("exclude_seeds", "stage"), unknown_name("stage", recipe.exclude_seeds.stage, names))


def _task_problems(recipe: Recipe) -> Iterator[Problem]:
    for name, config in recipe.tasks.items():
        path = ("tasks", name)
        kind = config.get("kind")
        if kind is None:
            yield Problem(path, f"tasks.{name} must have key 'kind'. Got none. Add kind: {' | '.join(TASKS)}.")
        elif str(kind) not in TASKS:
            yield Problem((*path, "kind"), unknown_name("kind", str(kind), TASKS))
        else:
            try:
                options = TASKS[kind].options.model_validate(_options(config))
            except ValidationError as error:
                yield from problems_at(path, error, TASKS[kind].options)
            else:
                yield from _reward_problems(path, getattr(options, "reward", None))


def _reward_problems(path: tuple[str, ...], reward: Any) -> Iterator[Problem]:
    if reward is None:
        return
    try:
        build_reward(reward)
    except InterlaceError as error:
        yield Problem((*path, "reward"), str(error))


def _options(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "kind"}


def _stage_problems(recipe: Recipe) -> Iterator[Problem]:
    for index, stage in enumerate(recipe.stages):
        path = ("stages", index)
        before = recipe.stages[:index]
        for option, sentence in (
            *_naming_problems(stage, before, recipe),
            *_start_problems(stage, before),
            *_seed_problems(stage, before, recipe),
            *_kind_problems(stage),
            *_stop_problems(stage, recipe),
            *_method_problems(stage, before, recipe),
            *merge_problems(stage, before, recipe),
        ):
            yield Problem((*path, option) if option else path, sentence)


def _naming_problems(stage: StageConfig, before: tuple[StageConfig, ...], recipe: Recipe) -> Iterator[tuple[str, str]]:
    if stage.name in (*WEIGHTS_OF_BEFORE, "model"):
        yield "name", f"name must not be raw, averaged or model, which start_from uses. Got {stage.name!r}. Change it."
    if stage.name in [other.name for other in before]:
        yield "name", f"name must differ from stage to stage. Got {stage.name!r} again. Change one of them."
    for task in (stage.task, *stage.mix):
        if task not in recipe.tasks:
            yield "mix" if task in stage.mix else "task", unknown_name("task", task, recipe.tasks)
    if stage.task in stage.mix or sum(stage.mix.values()) >= 1.0:
        found = ", ".join(f"{name}: {share:g}" for name, share in stage.mix.items())
        yield (
            "mix",
            f"mix must hold other tasks than {stage.task!r}, with shares below 1 in all. Got {found}. Change it.",
        )


def _start_problems(stage: StageConfig, before: tuple[StageConfig, ...]) -> Iterator[tuple[str, str]]:
    earlier = {other.name: other for other in before}
    known = (*WEIGHTS_OF_BEFORE, "model", *earlier)
    if stage.start_from not in known:
        yield "start_from", unknown_name("start_from", stage.start_from, known)
    if stage.start_from == "averaged" and (not before or before[-1].averaged_weights is None):
        yield (
            "start_from",
            "start_from: averaged must follow a stage that keeps averaged_weights. "
            f"Got {'no stage' if not before else repr(before[-1].name)} before it. Add averaged_weights there.",
        )
    source = earlier.get(before[-1].name if stage.start_from == "raw" and before else stage.start_from)
    if not stage.fresh_optimizer and source is not None and (rewinds(source.stop) or source.blend is not None):
        yield (
            "fresh_optimizer",
            f"fresh_optimizer: false must not follow a stage that rewinds or ends with a blend. {source.name!r} ends "
            "with weights without an optimizer. Drop rewind or blend there, or fresh_optimizer here.",
        )
    if not stage.fresh_optimizer and source is not None and source.kind == "merge":
        yield (
            "fresh_optimizer",
            f"fresh_optimizer: false must follow a stage that trains. {source.name!r} is a merge, without an "
            "optimizer. Drop fresh_optimizer.",
        )
    if not stage.fresh_optimizer and (not before or stage.start_from == "model"):
        yield (
            "fresh_optimizer",
            "fresh_optimizer: false must follow a stage whose optimizer it carries on. Got none. Remove it.",
        )


def _seed_problems(stage: StageConfig, before: tuple[StageConfig, ...], recipe: Recipe) -> Iterator[tuple[str, str]]:
    """A stage can begin only with weights that its own seeds have."""
    asked = (before[-1].name if before else "model") if stage.start_from in WEIGHTS_OF_BEFORE else stage.start_from
    source = next((other for other in before if other.name == asked), None)
    missing = [] if source is None else [s for s in stage.seeds or recipe.seeds if not source.is_of(s)]
    if source is not None and missing:
        yield (
            "seeds",
            f"seeds must be among those of the stage that {stage.name!r} starts from. {source.name!r} has "
            f"{list(source.seeds or ())}, not {', '.join(map(str, missing))}. Give both the same, or another "
            "start_from.",
        )


def _stop_problems(stage: StageConfig, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What the stage's stop rule says of its options, and of what the stage measures and keeps."""
    if stage.stop is None or recipe.measure.preset not in PRESETS or stage.kind == "merge":
        return
    preset, keeps = recipe.measure.preset, stage.averaged_weights is not None
    for sentence in problems_of_rule(stage.stop, stage.kind, PRESETS[preset], preset, keeps):
        yield "stop", sentence


def _method_problems(stage: StageConfig, before: tuple[StageConfig, ...], recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What a hybrid stage must say and others may not."""
    if stage.kind != "hybrid":
        for option in ("method", "imitate"):
            value = getattr(stage, option)
            if value is not None:
                yield (
                    option,
                    f"{option} must stand in a stage of kind hybrid. Got it in kind {stage.kind}. Remove it, or "
                    "write `- hybrid:`.",
                )
        return
    if stage.imitate is not None and stage.imitate not in recipe.tasks:
        yield "imitate", unknown_name("imitate", stage.imitate, recipe.tasks)
    try:
        method, options = method_options(stage.method or {})
        with blamed_on(method, "refuses"):
            refused = method.refuses(stage.options)
        if refused is not None:
            yield refused
        if getattr(options, "weights", None) == "averaged" and stage.averaged_weights is None:
            yield (
                "method",
                "method with weights: averaged must stand in a stage that keeps averaged_weights. It keeps none. Add "
                "averaged_weights, or drop weights.",
            )
        like = getattr(options, "like", None)
        counted = [other.name for other in before if other.kind == "hybrid" and _counts_imitation(other)]
        if like is not None and like not in counted:
            known = f"one of {', '.join(counted)}" if counted else "and there is none"
            yield (
                "method",
                "like must name an earlier hybrid stage whose share of imitation is counted, "
                f"{known}. Got {like!r}. Change it, or drop it.",
            )
    except RecipeError as error:
        yield "method", str(error)


def _counts_imitation(stage: StageConfig) -> bool:
    """Whether a hybrid stage's method says its share; of a method that is a mistake itself, said elsewhere, yes."""
    method = METHODS.get(str((stage.method or {}).get("name")))
    return method is None or method.counts_imitation


def _kind_problems(stage: StageConfig) -> Iterator[tuple[str, str]]:
    """What depends on the kind: whether it is registered, what only RL has, and TRL's own options."""
    if stage.kind not in STAGES:
        yield "", unknown_name("stage", stage.kind, STAGES)
        return
    for option in ("placebo", "algorithm"):
        value = getattr(stage, option)
        if value is not None and stage.kind != "rl":
            yield option, f"{option} must stand in a stage of kind rl. Got {value!r} in kind {stage.kind}. Remove it."
    problem = forks_problem(stage, stage.forks) if stage.forks is not None else None
    if problem is not None:
        yield "forks", problem
    if stage.blend is not None and stage.kind == "sft":
        yield "blend", "blend must stand in a stage of kind rl, hybrid or merge. Got it in kind sft. Remove it."
    if stage.mix and stage.kind != "sft":
        yield "mix", f"mix must stand in a stage of kind sft. Got it in kind {stage.kind}. Remove it."
    yield from option_problems(stage)
