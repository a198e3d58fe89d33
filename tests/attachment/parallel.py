"""One of several processes that train together; run by torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

import interlace
from tests.attachment import worlds


def main() -> None:
    folder, task = Path(sys.argv[1]), worlds.make_task()
    ends = []
    for attached in (False, True):
        trainer = worlds.grpo(folder, task, ddp_backend="gloo", max_steps=2)
        if attached:
            callback = interlace.attach(trainer, task, every=1, overhead=None)
        trainer.train()
        ends.append(worlds.weights(trainer))
    assert all(ends[0][name].equal(ends[1][name]) for name in ends[0])
    rank = trainer.accelerator.process_index
    (folder / f"rank-{rank}").write_text(f"{trainer.accelerator.num_processes} {callback.folder is not None}")


if __name__ == "__main__":
    main()
