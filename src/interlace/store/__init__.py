"""The run folder: append-only, crash-safe, and able to read back what a kill left.

`events` is the log, `scores` what each held-out prompt contributed, `checkpoints` the completeness marks, `record` the
whole run as plain data.
"""

from interlace.store.checkpoints import newest_complete_checkpoint, seal_checkpoint, verify_checkpoint
from interlace.store.record import REWARD_FAILED, RunRecord, StageRecord, read_run
from interlace.store.run_store import RunStore

__all__ = [
    "REWARD_FAILED",
    "RunRecord",
    "RunStore",
    "StageRecord",
    "newest_complete_checkpoint",
    "read_run",
    "seal_checkpoint",
    "verify_checkpoint",
]
