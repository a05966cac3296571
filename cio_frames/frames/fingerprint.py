"""A cheap fingerprint of a table's content, to notice that it is not the same table any more."""

import hashlib

import numpy as np
import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.columns import ROW
from cio_frames.frames.table import Table


def fingerprint(table: Table) -> str:
    """Return a fingerprint of the columns, their types, the rows and their order.

    pandas, polars and Arrow tables of the same data have the same fingerprint where their column
    types agree; a categorical column counts as text. Row hashes are polars' own, so fingerprints
    are comparable between runs with the same polars version, which is part of the text.

    Args:
        table: The table; a lazy one is streamed once.

    Returns:
        The polars version and 32 hexadecimal digits, as in `2.1.0:9f86d081884c7d659a2feaa0c55ad015`.

    Raises:
        FrameError: If a lazy table fails while it is read.
    """
    schema = pl.Schema({name: _plain(dtype) for name, dtype in table.schema().items()})
    total, rows = np.uint64(0), 0
    for chunk in table.chunks():
        hashes = chunk.drop(ROW).cast(schema).hash_rows(seed=0).to_numpy()
        places = chunk[ROW].to_numpy().astype(np.uint64)
        total = np.add.reduce([total, (hashes * (2 * places + 1)).sum(dtype=np.uint64)])
        rows += chunk.height
    columns = "\n".join(f"{name}\t{dtype!r}" for name, dtype in schema.items())
    told = f"{columns}\n{rows}\n{int(total)}"
    return f"{pl.__version__}:{hashlib.sha256(told.encode()).hexdigest()[:32]}"


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
