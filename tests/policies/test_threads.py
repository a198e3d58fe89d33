"""How many threads torch gets."""

from __future__ import annotations

import pytest
import torch

from interlace.policies.threads import available_cores, configure_threads


@pytest.fixture(autouse=True)
def _restored_threads() -> None:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("setting", "threads"), [("3", 3), ("2,1", 2), ("", None), ("0", None), ("many", None)])
def test_the_environments_threads_or_every_core(
    monkeypatch: pytest.MonkeyPatch, setting: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert configure_threads(None) == torch.get_num_threads() == (threads or available_cores())
    assert configure_threads(1) == torch.get_num_threads() == 1
