"""The record of every row of every run, in Parquet."""

from cio_frames.audit.background_writer import Ledger
from cio_frames.audit.reader import Audit, collected, earlier, read, write_csv
from cio_frames.audit.recovery import Recovery, recover
from cio_frames.audit.run_file import RunInfo, new_run_id
from cio_frames.audit.schema import FAILED, HASH_CHARACTERS, SETTLED, STATES, UNFINISHED
from cio_frames.audit.writer import Recorder

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
