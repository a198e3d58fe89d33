"""Where runs of one and of several seeds lie, and what a dry run leaves there. Runs are claimed, none is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from interlace.attachment.folder import AttachedRun
from interlace.errors import RunFolderError
from interlace.pipeline import keep_resolved, run_folders
from interlace.pipeline.fork_run import ForkRun
from interlace.recipe import ForksConfig, Recipe, load_recipe
from interlace.store import RunStore
from interlace.store.run_store import refuse_foreign


@pytest.fixture
def asked(write_recipe: Callable[..., Path]) -> Callable[..., Recipe]:
    return lambda *seeds, **more: load_recipe(write_recipe(**more), seeds=seeds)


def begin(recipe: Recipe, base: Path) -> None:
    for seed, folder in zip(recipe.seeds, run_folders(recipe, base), strict=True):
        RunStore.claim(folder, recipe.for_seed(seed).to_yaml(), "", {"recipe": "mini", "seed": seed}).close()


def files_in(base: Path) -> dict[str, bytes]:
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def written(recipe: Recipe, base: Path) -> Sequence[str]:
    """What a dry run leaves, by name; nothing that was there is changed."""
    before = files_in(base)
    named = [str(path.relative_to(base)) for path in keep_resolved(recipe, base)]
    after = files_in(base)
    assert after.keys() == before.keys() | set(named) and all(after[name] == before[name] for name in before)
    assert all(load_recipe(base / name).seeds[0] in recipe.seeds for name in named)
    return named


def test_a_dry_run_leaves_the_resolved_recipe_where_the_run_would_begin(
    asked: Callable[..., Recipe], tmp_path: Path
) -> None:
    assert written(asked(0), tmp_path / "one") == ["resolved.yaml"]
    assert written(asked(0, 3), tmp_path / "two") == ["seed-0/resolved.yaml", "seed-3/resolved.yaml"]
    for base, seeds in (("one", (0,)), ("two", (0, 3))):
        begin(asked(*seeds), tmp_path / base)  # what was planned in is free


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_dry_run_leaves_nothing_where_runs_lie(
    asked: Callable[..., Recipe], tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    """Also where stages would be added to the runs, or another seed."""
    base = tmp_path / "runs"
    begin(asked(*seeds), base)
    longer = {"old": "measure:", "new": "  - sft:\n      task: sums\n      max_steps: 2\nmeasure:"}
    assert written(asked(*seeds), base) == written(asked(*seeds, **longer), base) == []
    if len(seeds) > 1:
        assert written(asked(0, 1, 2), base) == written(asked(7), base) == []


def test_one_seed_goes_into_a_folder_of_seeds_under_its_name(asked: Callable[..., Recipe], tmp_path: Path) -> None:
    """Of runs that were begun, and of those that were planned."""
    for base, fill in ((tmp_path / "begun", begin), (tmp_path / "planned", keep_resolved)):
        assert run_folders(asked(0), base) == [base]
        fill(asked(0, 1), base)
        assert run_folders(asked(0), base) == [base / "seed-0"]
        assert run_folders(asked(7), base) == [base / "seed-7"]
        begin(asked(0), base)
        refuse_foreign(base / "seed-0", asked(0).to_yaml())


def test_several_seeds_do_not_go_into_the_folder_of_one(asked: Callable[..., Recipe], tmp_path: Path) -> None:
    """What the message says to do lets it go on."""
    base = tmp_path / "one"
    begin(asked(1), base)
    with pytest.raises(RunFolderError) as caught:
        run_folders(asked(0, 1), base)
    said = f"{base} must be a folder for 2 runs. It is the folder of one, of seed 1. "
    assert str(caught.value) == (
        f"{said}To go on with it, move all that is in it into {base}/seed-1; else choose another --out."
    )
    with pytest.raises(RunFolderError) as caught:
        run_folders(asked(2, 3), base)
    assert str(caught.value) == f"{said}Choose another --out."
    moved = base.rename(tmp_path / "moved")
    base.mkdir()
    moved.rename(base / "seed-1")
    begin(asked(0, 1), base)


def test_what_differs_beside_the_name_is_said(asked: Callable[..., Recipe], tmp_path: Path) -> None:
    begin(asked(0), tmp_path / "run")
    with pytest.raises(RunFolderError) as caught:
        begin(
            asked(0, old="seeds: [0]", new="name: other\nthreads: 2\nmodel_options: {hidden_size: 8}"), tmp_path / "run"
        )
    assert "It holds another: there 'name: mini', here 'name: other'; " in str(caught.value)
    assert "there 'model_options: {}', here 'model_options:'; 2 lines more. Choose" in str(caught.value)


@pytest.mark.parametrize("left", [None, "", "stages: [{"], ids=["missing", "empty", "cut short"])
def test_a_run_whose_recipe_is_damaged_is_named_where_it_is_gone_on_with(
    asked: Callable[..., Recipe], tmp_path: Path, left: str | None
) -> None:
    """By a dry run, by a run, by forks of its stages; an attached trainer that is resumed goes on in another folder."""
    attached = AttachedRun("mini", "rl", (), 0)
    attached.claim(tmp_path / "attached", is_resumed=False).close()
    begin(asked(0), tmp_path / "run")
    for name in ("run", "attached"):
        kept = tmp_path / name / "resolved.yaml"
        kept.unlink() if left is None else kept.write_text(left)
    for refused in (keep_resolved, begin, lambda recipe, base: ForkRun(base, None, ForksConfig()).plan()):
        with pytest.raises(RunFolderError) as caught:
            refused(asked(0), tmp_path / "run")
        assert str(caught.value).startswith(f"{tmp_path / 'run' / 'resolved.yaml'} must ")
    store = attached.claim(tmp_path / "attached", is_resumed=True)
    store.close()
    assert store.folder == tmp_path / "attached-2"
