"""One test a message: what is wrong in a recipe is said with its line, what was found, and one thing to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.errors import InterlaceError, MissingFileError, RecipeError
from interlace.recipe import load_recipe

WrittenRecipe = Callable[..., Path]

MISTAKES = {
    "unknown key of the recipe": (
        "measure:",
        "mesure:",
        ":14: a recipe must hold known keys (description, dtype, exclude_seeds, measure, model, model_options, "
        "name, seeds, stages, tasks, threads). Got unknown key 'mesure'. The nearest known key is 'measure'.",
    ),
    "unknown key of a section": (
        "every: 2",
        "evry: 2",
        ":15: measure must hold known keys (completions, every, expert_policy, overhead, preset, prompts, "
        "training_prompts). Got unknown key 'evry'. "
        "The nearest known key is 'every'.",
    ),
    "rule about an unknown stage": (
        "measure:",
        "exclude_seeds: {stage: stf, reward_below: 0.2}\nmeasure:",
        ":14: stage must be one of rl, sft. Got 'stf'. Did you mean 'sft'?",
    ),
    "unknown key in a stage's section": (
        "decay: 0.9",
        "decai: 0.9",
        ":10: averaged_weights must hold known keys (decay). Got unknown key 'decai'. "
        "The nearest known key is 'decay'.",
    ),
    "unknown option of a stage": (
        "max_steps: 4",
        "max_step: 4",
        ":8: a stage of kind sft (SFTConfig) must hold known keys. Got unknown key 'max_step'. "
        "The nearest known key is 'max_steps'.",
    ),
    "option with no near name": (
        "max_steps: 4",
        "max_steps: 4\n      zzqqzzqq: 1",
        ":9: a stage of kind sft (SFTConfig) must hold known keys. Got unknown key 'zzqqzzqq'. Remove it.",
    ),
    "option of the other kind": (
        "max_steps: 4",
        "max_steps: 4\n      num_generations: 8",
        ":9: a stage of kind sft (SFTConfig) must hold known keys. Got unknown key 'num_generations'.",
    ),
    "option that interlace sets": (
        "max_steps: 4",
        "max_steps: 4\n      output_dir: x",
        ":9: output_dir must be left to interlace: ",
    ),
    "option of the wrong type": (
        "max_steps: 4",
        "max_steps: 4\n      learning_rate: fast",
        ":9: learning_rate must be a number. Got 'fast'.",
    ),
    "no steps": (
        "      max_steps: 4\n",
        "",
        ":6: stage 'sft' must say max_steps or num_train_epochs. Got neither. Add max_steps.",
    ),
    "too few steps": ("max_steps: 4", "max_steps: 0", ":8: max_steps must be at least 1. Got 0. Change it."),
    "too few steps in quotes": (
        "max_steps: 4",
        "max_steps: '0'",
        ":8: max_steps must be at least 1. Got 0. Change it.",
    ),
    "forks that are a number": (
        "      max_steps: 4\n",
        "      max_steps: 4\n      forks: 6\n",
        ":9: forks must hold options, each as KEY: VALUE. Got 6.",
    ),
    "too few forks": (
        "      max_steps: 4\n",
        "      max_steps: 4\n      forks: {count: 2}\n",
        ":9: forks.count must be at least 4. Got 2.",
    ),
    "a placebo without rewards": (
        "      max_steps: 4\n",
        "      max_steps: 4\n      forks: {placebo: strict}\n",
        ":9: forks with a placebo must be of a stage whose true rewards it can permute. Stage 'sft' is of kind sft",
    ),
    "mirrored forks without a strict placebo": (
        "      max_steps: 4\n",
        "      max_steps: 4\n      forks: {mirrored: true}\n",
        ":9: mirrored forks must be partners of strict placebos. Got placebo none.",
    ),
    "value out of range": ("decay: 0.9", "decay: 1.5", ":10: averaged_weights.decay must be below 1. Got 1.5."),
    "nothing in a list": ("seeds: [0]", "seeds: []", ":16: seeds must have at least 1 item. Got []."),
    "repeated seed": ("seeds: [0]", "seeds: [1, 1]", ":16: seeds must differ. Got [1, 1]."),
    "seed below 0": ("seeds: [0]", "seeds: [-1]", ":16: seeds.0 must be at least 0. Got -1."),
    "seed too great": ("seeds: [0]", "seeds: [4294967296]", ":16: seeds.0 must be below 4294967296. Got 429"),
    "name of a recipe": (
        "seeds: [0]",
        "name: a/b",
        ":16: name must be letters, digits, dots, - and _, a letter or digit first. Got 'a/b'.",
    ),
    "name of a stage": (
        "max_steps: 4",
        "max_steps: 4\n      name: a.b",
        ":9: name must be letters, digits, - and _, a letter or digit first. Got 'a.b'.",
    ),
    "name of a task": (
        "  sums:\n",
        "  my sums:\n",
        ":2: tasks.my sums must be letters, digits, - and _, a letter or digit first. Got 'my sums'.",
    ),
    "unknown preset": (
        "every: 2",
        "preset: standart",
        ":15: preset must be one of full, light, planning, standard. Got 'standart'. Did you mean 'standard'?",
    ),
    "unknown kind of task": (
        "kind: addition",
        "kind: additon",
        ":3: kind must be one of addition, cards, countdown, files, given. Got 'additon'. Did you mean 'addition'?",
    ),
    "kind that is no word": (
        "kind: addition",
        "kind: [a]",
        ":3: kind must be one of addition, cards, countdown, files, given. Got",
    ),
    "short task of an unknown kind": (
        "  sums:\n    kind: addition\n    digits: 2\n",
        "  sums: additon\n",
        ":2: kind must be one of addition, cards, countdown, files, given. Got 'additon'. Did you mean 'addition'?",
    ),
    "task without kind": (
        "    kind: addition\n",
        "",
        ":2: tasks.sums must have key 'kind'. Got none. Add kind: addition | cards | countdown | files | given.",
    ),
    "unknown option of a task": (
        "digits: 2",
        "digit: 1",
        ":4: tasks.sums must hold known keys (demonstrations, digits, error_kind, expert_error, heldout, mark, "
        "operands, seed, style_share, styles, train_prompts). Got unknown key 'digit'. "
        "The nearest known key is 'digits'.",
    ),
    "option of a task that is missing": (
        "kind: addition\n    digits: 2",
        "kind: files",
        ":2: tasks.sums must have key 'path'. Got none. Add it, or say --set tasks.sums.path=VALUE.",
    ),
    "options of a task that clash": (
        "digits: 2",
        "heldout: 10000",
        ":2: tasks.sums: heldout must leave prompts to train on.",
    ),
    "unknown reward": (
        "kind: addition\n    digits: 2",
        "kind: files\n    path: x.csv\n    reward: exact_mach",
        ":5: reward must be one of cards, countdown, exact_match, label_match, lenient_countdown, lenient_match, "
        "regex. Got 'exact_mach'. "
        "Did you mean 'exact_match'?",
    ),
    "unknown kind of stage": (
        "- rl:",
        "- rlhf:",
        ":11: stage must be one of hybrid, merge, rl, sft. Got 'rlhf'. Did you mean 'rl'?",
    ),
    "stage of two kinds": (
        "  - rl:",
        "    rl:",
        ":6: stages.0: a stage must have one key, its kind. Got sft, rl. Write it as",
    ),
    "unknown task of a stage": (
        "task: sums\n      max_steps: 2",
        "task: sms\n      max_steps: 2",
        ":12: task must be one of sums. Got 'sms'. Did you mean 'sums'?",
    ),
    "stage without task": (
        "      task: sums\n      max_steps: 2",
        "      max_steps: 2",
        ":11: stages.1 must have key 'task'. Got none. Add it, or say --set stages.1.task=VALUE.",
    ),
    "name used twice": (
        "  - rl:\n",
        "      name: a\n  - rl:\n      name: a\n",
        ":13: name must differ from stage to stage. Got 'a' again. Change one of them.",
    ),
    "reserved name": (
        "max_steps: 2",
        "max_steps: 2\n      name: averaged",
        ":14: name must not be raw, averaged or model, which start_from uses. Got 'averaged'. Change it.",
    ),
    "start from nowhere": (
        "max_steps: 2",
        "max_steps: 2\n      start_from: stf",
        ":14: start_from must be one of averaged, model, raw, sft. Got 'stf'. Did you mean 'sft'?",
    ),
    "start from a later stage": (
        "max_steps: 4",
        "max_steps: 4\n      start_from: rl",
        ":9: start_from must be one of averaged, model, raw. Got 'rl'.",
    ),
    "start from no average": (
        "max_steps: 2",
        "max_steps: 2\n  - sft:\n      task: sums\n      max_steps: 1\n      start_from: averaged",
        ":17: start_from: averaged must follow a stage that keeps averaged_weights. Got 'rl' before it. "
        "Add averaged_weights there.",
    ),
    "no optimizer to carry on": (
        "max_steps: 4",
        "max_steps: 4\n      fresh_optimizer: false",
        ":9: fresh_optimizer: false must follow a stage whose optimizer it carries on. Got none. Remove it.",
    ),
    "seeds that its start lacks": (
        "max_steps: 4",
        "max_steps: 4\n      seeds: [1]",
        ":12: seeds must be among those of the stage that 'rl' starts from. 'sft' has [1], not 0. "
        "Give both the same, or another start_from.",
    ),
    "placebo outside RL": (
        "max_steps: 4",
        "max_steps: 4\n      placebo: strict",
        ":9: placebo must stand in a stage of kind rl. Got 'strict' in kind sft. Remove it.",
    ),
    "unknown placebo": (
        "max_steps: 2",
        "max_steps: 2\n      placebo: loose",
        ":14: placebo must be 'strict', 'as_configured', 'mirrored' or 'bernoulli'. Got 'loose'.",
    ),
    "sizes of a model that is not ours": (
        "seeds: [0]",
        "model: some/folder\nmodel_options: {hidden_size: 8}",
        ":17: model_options must stand beside `model: embedded`. Got model 'some/folder'. Remove one of them.",
    ),
    "not YAML": ("stages:", "stages: [", ":6: a recipe must be YAML. Got "),
    "key written twice": (
        "digits: 2",
        "digits: 2\n    digits: 2",
        ":5: a recipe must be YAML. Got found duplicate key",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_said_with_its_line(write_recipe: WrittenRecipe, old: str, new: str, message: str) -> None:
    path = write_recipe(old, new)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_every_mistake_has_a_line_of_its_own(write_recipe: WrittenRecipe) -> None:
    path = write_recipe(
        "max_steps: 4\n      averaged_weights:\n        decay: 0.9", "max_step: 4\n      placebo: strict"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in str(caught.value).splitlines()] == ["9", "8"]


def test_a_recipe_must_be_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RecipeError, match="must be a mapping with tasks and stages. Got list"):
        load_recipe(tmp_path / "list.yaml")


def test_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="Got 'quickstrat'. Did you mean 'quickstart'"):
        load_recipe("quickstrat")


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ((0, 0), "--seeds: seeds must differ. Got [0, 0]."),
        ((0, -1), "--seeds: seeds.1 must be at least 0."),
    ],
)
def test_seeds_in_place_of_the_recipes_are_checked(
    write_recipe: WrittenRecipe, seeds: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write_recipe(), seeds=seeds)
    assert str(caught.value).startswith(message)


def test_a_recipe_in_python_is_checked_like_a_file() -> None:
    stages = [{"sft": {"task": "sums", "max_step": 2}}]
    with pytest.raises(RecipeError, match="^recipe: a stage of kind sft .* The nearest known key is 'max_steps'.$"):
        load_recipe({"tasks": {"sums": "addition"}, "stages": stages})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="RECIPE must be a file that exists. Got .*no.yaml. Check the path."):
        load_recipe(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    {
        "without equals": (
            "measure.every",
            "--set must be KEY=VALUE, such as stages.rl.max_steps=50. Got 'measure.every'.",
        ),
        "no YAML": ("measure.every=[", "--set measure.every must be given a YAML value. Got '['. Put it in quotes."),
        "no such number": ("stages.2.task=a", "--set stages.2.task=a must name one of 2 stages, from 0 on. Got 2."),
        "no such stage": (
            "stages.lr.task=a",
            "--set stages.lr.task=a: stage must be one of rl, sft. Got 'lr'. Did you mean 'rl'?",
        ),
        "through a value": ("name.x=a", "--set name.x=a must lead through mappings. Got 'mini' at name."),
        "bad value": (
            "measure.every=0",
            "--set measure.every: measure.every must be at least 1. Got 0.",
        ),
        "bad item of a list": ("seeds=[0, -1]", "--set seeds: seeds.1 must be at least 0. Got -1."),
        "unknown key": (
            "stages.rl.max_step=1",
            "--set stages.rl.max_step: a stage of kind rl (GRPOConfig) must hold known keys. "
            "Got unknown key 'max_step'. The nearest known key is 'max_steps'.",
        ),
    }.values(),
)
def test_override_is_named_in_its_message(write_recipe: WrittenRecipe, override: str, message: str) -> None:
    path = write_recipe("seeds: [0]", "name: mini")
    with pytest.raises(InterlaceError) as caught:
        load_recipe(path, [override])
    assert str(caught.value) == message
