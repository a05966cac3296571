"""Runs: a plan is sent, and the outcome of every row is recorded."""

from cio_frames.run.counts import RunCounts
from cio_frames.run.history import Audit, read
from cio_frames.run.job import Job, RowSelection
from cio_frames.run.run import Run
from cio_frames.run.start import InDoubt, SendOptions, new_run, resumed_run, select_rows, starting

__all__ = [
    "Audit",
    "InDoubt",
    "Job",
    "RowSelection",
    "Run",
    "RunCounts",
    "SendOptions",
    "new_run",
    "read",
    "resumed_run",
    "select_rows",
    "starting",
]
