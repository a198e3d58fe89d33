"""A model small enough to enumerate."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.policies import Policy, load_policy, make_embedded

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": 32,
}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three characters and three special tokens; weights spread out so that the distribution is not flat."""
    folder = make_embedded(tmp_path_factory.mktemp("tiny"), "ab=", seed=3, sizes=TINY)
    policy = load_policy(str(folder))
    for parameter in policy.model.parameters():
        parameter.data.mul_(8.0 if parameter.dim() > 1 else 1.0)
    policy.model.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> Policy:
    return load_policy(str(tiny_folder))
