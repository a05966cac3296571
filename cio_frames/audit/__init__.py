"""The record of every row of every run, in Parquet."""

from cio_frames.audit.background_writer import BackgroundWriter
from cio_frames.audit.reader import Audit, applied, collected, earlier, read, write_csv
from cio_frames.audit.recovery import Recovery, recover
from cio_frames.audit.run_file import RunInfo, new_run_id
from cio_frames.audit.schema import FAILED, HASH_CHARACTERS, SETTLED, STATES, UNFINISHED
from cio_frames.audit.writer import AuditWriter

__all__ = [
    "FAILED",
    "HASH_CHARACTERS",
    "SETTLED",
    "STATES",
    "UNFINISHED",
    "Audit",
    "AuditWriter",
    "BackgroundWriter",
    "Recovery",
    "RunInfo",
    "applied",
    "collected",
    "earlier",
    "new_run_id",
    "read",
    "recover",
    "write_csv",
]
