"""A cheap fingerprint of a table's content, to notice that it is not the same table any more."""

import hashlib
from contextlib import closing
from threading import Lock

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.column import ROW
from cio_frames.frames.table import Table


class Fingerprint:
    """Adds up the fingerprint of a table, chunk by chunk, in any order and on any threads.

    pandas, polars and Arrow tables of the same data have the same fingerprint where their column
    types agree; a categorical column counts as text. Row hashes are polars' own, so fingerprints
    are comparable between runs with the same polars version, which is part of the text.

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
        self._lock = Lock()
        self._total = 0
        self._rows = 0

    def add(self, chunk: pl.DataFrame) -> None:
        """Take in rows, with their numbers."""
        hashes = chunk.drop(ROW).cast(self._schema).hash_rows(seed=0).to_numpy()
        places = chunk[ROW].cast(pl.UInt64).to_numpy()
        added = int((hashes * (2 * places + 1)).sum())  # numpy's numbers of 64 bits wrap around
        with self._lock:
            self._total = (self._total + added) % (1 << 64)
            self._rows += chunk.height

    @property
    def text(self) -> str:
        """The polars version and 32 hexadecimal digits, as in `2.1.0:9f86d081884c7d659a2feaa0c55ad015`."""
        columns = "\n".join(f"{name}\t{dtype!r}" for name, dtype in self._schema.items())
        told = f"{columns}\n{self._rows}\n{self._total}"
        return f"{pl.__version__}:{hashlib.sha256(told.encode()).hexdigest()[:32]}"


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
    """Return the type with categories as text, whose hashes do not depend on a category table."""
    match dtype:
        case pl.Categorical() | pl.Enum():
            return pl.String()
        case pl.List():
            return pl.List(_plain(_known(dtype.inner)))
        case pl.Array():
            return pl.Array(_plain(_known(dtype.inner)), dtype.size)
        case pl.Struct():
            return pl.Struct({item.name: _plain(_known(item.dtype)) for item in dtype.fields})
        case _:
            return dtype


def _known(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()
