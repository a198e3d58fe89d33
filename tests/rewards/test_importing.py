"""Rewards named by import path."""

from __future__ import annotations

import pytest

from interlace.errors import RecipeError
from interlace.rewards import build_reward

SOURCE = """
limit = 3

def short(completions, **columns):
    return [float(len(text) < limit) for text in completions]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "house_rewards.py").write_text(SOURCE)
    (tmp_path / "broken_rewards.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_function_is_found_by_its_path(module):
    reward = build_reward("house_rewards:short")
    assert reward.name == "short" and reward(["", ""], ["12", "123"]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "house_rewards:shrot",
            "the reward's function in module house_rewards must be one of short. Got 'shrot'. Did you mean 'short'?",
        ),
        ("house_rewards:limit", "reward 'house_rewards:limit' must be a function. Got a int. Name a function."),
        (
            "absent_rewards:short",
            "reward 'absent_rewards:short' must be importable. Got ModuleNotFoundError: No module named "
            "'absent_rewards'. Install the package, or add its folder to PYTHONPATH.",
        ),
        (
            "broken_rewards:short",
            "reward 'broken_rewards:short' must be importable. Got ModuleNotFoundError: No module named "
            "'a_package_that_is_not_there'. Install the package, or add its folder to PYTHONPATH.",
        ),
        (
            "./rewards.py:short",
            "a reward's import path must read package.module:function. Got './rewards.py:short'. Write it so.",
        ),
        ("math:", "a reward's import path must read package.module:function. Got 'math:'. Write it so."),
    ],
)
def test_a_path_that_leads_nowhere_is_answered_with_one_sentence(module, path, message):
    with pytest.raises(RecipeError) as caught:
        build_reward(path)
    assert str(caught.value) == message


def test_no_folder_is_searched_that_python_does_not_search(tmp_path, monkeypatch):
    (tmp_path / "stray_rewards.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="must be importable"):
        build_reward("stray_rewards:short")
