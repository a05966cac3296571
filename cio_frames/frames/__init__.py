"""Read any table as one polars.LazyFrame."""

from cio_frames.frames.column import ROW, Note
from cio_frames.frames.csv import is_id_name
from cio_frames.frames.files import scan
from cio_frames.frames.read import AnyTable, PandasFrame, read
from cio_frames.frames.streaming import collect_streaming
from cio_frames.frames.table import Fingerprint, FingerprintPart, Table, fingerprint
from cio_frames.frames.threads import ThreadPool, map_ahead

__all__ = [
    "ROW",
    "AnyTable",
    "Fingerprint",
    "FingerprintPart",
    "Note",
    "PandasFrame",
    "Table",
    "ThreadPool",
    "collect_streaming",
    "fingerprint",
    "is_id_name",
    "map_ahead",
    "read",
    "scan",
]
