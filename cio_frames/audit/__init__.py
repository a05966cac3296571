"""The record of every row of every run, in Parquet."""

from cio_frames.audit.background_writer import BackgroundWriter
from cio_frames.audit.pseudonyms import keyed_hashes, keyed_ids
from cio_frames.audit.reader import (
    Audit,
    EarlierRuns,
    collect_rows,
    earlier_runs,
    require_run,
    write_csv,
)
from cio_frames.audit.recovery import Recovery, recover
from cio_frames.audit.run_file import RunInfo, new_run_id
from cio_frames.audit.schema import FAILED, FINAL_STATES, HASH_CHARACTERS, STATES, UNFINISHED
from cio_frames.audit.writer import AuditWriter

__all__ = [
    "FAILED",
    "FINAL_STATES",
    "HASH_CHARACTERS",
    "STATES",
    "UNFINISHED",
    "Audit",
    "AuditWriter",
    "BackgroundWriter",
    "EarlierRuns",
    "Recovery",
    "RunInfo",
    "collect_rows",
    "earlier_runs",
    "keyed_hashes",
    "keyed_ids",
    "new_run_id",
    "recover",
    "require_run",
    "write_csv",
]
