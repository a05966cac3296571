"""The record of every row of every run, in Parquet."""

from cio_frames.audit.earlier import earlier
from cio_frames.audit.ledger import Ledger
from cio_frames.audit.log import Audit, collected, read
from cio_frames.audit.recorder import Recorder
from cio_frames.audit.recovery import Recovery, recover
from cio_frames.audit.rejects import write_csv
from cio_frames.audit.runfile import RunInfo, new_run_id
from cio_frames.audit.schema import FAILED, HASH_CHARACTERS, SETTLED, STATES, UNFINISHED

__all__ = [
    "FAILED",
    "HASH_CHARACTERS",
    "SETTLED",
    "STATES",
    "UNFINISHED",
    "Audit",
    "Ledger",
    "Recorder",
    "Recovery",
    "RunInfo",
    "collected",
    "earlier",
    "new_run_id",
    "read",
    "recover",
    "write_csv",
]
