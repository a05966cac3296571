"""A cheap fingerprint of a table's content, to notice that it is not the same table any more."""

import hashlib
from contextlib import closing
from threading import Lock

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.column import ROW
from cio_frames.frames.table import Table

FORM = 2
"""Raised where the same table gets another fingerprint than before."""


class Fingerprint:
    """Adds up the fingerprint of a table, chunk by chunk, in any order and on any threads.

    pandas (of any version), polars and Arrow tables of the same data have the same fingerprint where
    their column types agree. Times and durations count to the microsecond, whatever unit they are
    kept in; a categorical column counts as text; a column without values has no type. Row hashes
    are polars' own, so fingerprints are comparable between runs with the same polars version, which
    is part of the text.

    Args:
        schema: The table's columns, without row numbers.

    Examples:
        >>> from cio_frames.frames import read
        >>> table = read(pl.DataFrame({"id": ["a", "b", "c"]}))
        >>> parts, whole = Fingerprint(table.schema()), Fingerprint(table.schema())
        >>> for chunk in table.chunks(2):
        ...     parts.add(chunk)
        >>> for chunk in table.chunks():
        ...     whole.add(chunk)
        >>> parts.text == whole.text
        True
    """

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = pl.Schema({name: _plain(dtype) for name, dtype in schema.items()})
        self._filled: set[str] = set()
        self._lock = Lock()
        self._total = 0
        self._rows = 0

    def add(self, chunk: pl.DataFrame) -> None:
        """Take in rows, with their numbers."""
        # what no microseconds can say is null: such a row is never sent
        plain = chunk.drop(ROW).cast(self._schema, strict=False)
        hashes = plain.hash_rows(seed=0).to_numpy()
        filled = [column.name for column in plain if column.null_count() < chunk.height]
        places = chunk[ROW].cast(pl.UInt64).to_numpy()
        added = int((hashes * (2 * places + 1)).sum())  # numpy's numbers of 64 bits wrap around
        with self._lock:
            self._total = (self._total + added) % (1 << 64)
            self._rows += chunk.height
            self._filled.update(filled)

    @property
    def text(self) -> str:
        """Form, polars version and 32 hexadecimal digits: `2:2.1.0:9f86d081884c7d659a2feaa0c55ad015`."""
        columns = "\n".join(
            f"{name}\t{dtype!r}" if name in self._filled else name
            for name, dtype in self._schema.items()
        )
        told = f"{columns}\n{self._rows}\n{self._total}"
        return f"{FORM}:{pl.__version__}:{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def fingerprint(table: Table) -> str:
    """Return the fingerprint of a table, of its columns, their types, the rows and their order.

    Args:
        table: The table; a lazy one is streamed once.

    Raises:
        FrameError: If a lazy table fails while it is read.
    """
    found = Fingerprint(table.schema())
    with closing(table.chunks()) as chunks:
        for chunk in chunks:
            found.add(chunk)
    return found.text


def _plain(dtype: pl.DataType) -> pl.DataType:
    """Return the type that the same values have in every library: one unit, categories as text."""
    plain = dtype
    match dtype:
        case pl.Datetime():
            plain = pl.Datetime("us", dtype.time_zone)
        case pl.Duration():
            plain = pl.Duration("us")
        case pl.Categorical() | pl.Enum():
            plain = pl.String()
        case pl.List():
            plain = pl.List(_plain(_known(dtype.inner)))
        case pl.Array():
            plain = pl.Array(_plain(_known(dtype.inner)), dtype.size)
        case pl.Struct():
            plain = pl.Struct({item.name: _plain(_known(item.dtype)) for item in dtype.fields})
    return plain


def _known(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()
