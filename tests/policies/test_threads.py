"""How many threads torch gets, alone and beside other runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interlace.policies import threads
from interlace.policies.threads import CoreShare


@pytest.fixture(autouse=True)
def _restored_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("setting", "expected"), [("3", 3), ("2,1", 2), ("", 4), ("0", 4), ("many", 4)])
def test_the_environments_threads_or_every_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    for threads_asked, threads_given in ((None, expected), (1, 1)):
        cores = CoreShare(threads_asked, tmp_path)
        assert cores.settle() == torch.get_num_threads() == threads_given
        cores.close()


def test_runs_share_the_cores_and_give_them_back(tmp_path: Path) -> None:
    first = CoreShare(folder=tmp_path)
    assert first.settle() == 4
    others = [CoreShare(folder=tmp_path) for _ in range(5)]
    assert [each.num_runs() for each in (first, others[0])] == [6, 6]
    assert others[0].settle() == 1
    for each in others[1:]:
        each.close()
    assert first.settle() == others[0].settle() == 2
    first.close()
    others[0].close()
