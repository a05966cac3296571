"""Any table, as one polars.LazyFrame: the only door in."""

from cio_frames.frames.column import ROW, Note
from cio_frames.frames.files import scan
from cio_frames.frames.fingerprint import Fingerprint, fingerprint
from cio_frames.frames.read import AnyTable, PandasFrame, read
from cio_frames.frames.streaming import collected
from cio_frames.frames.table import Table
from cio_frames.frames.threads import ThreadPool, map_ahead

__all__ = [
    "ROW",
    "AnyTable",
    "Fingerprint",
    "Note",
    "PandasFrame",
    "Table",
    "ThreadPool",
    "collected",
    "fingerprint",
    "map_ahead",
    "read",
    "scan",
]
