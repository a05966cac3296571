"""Read tables of any library as one kind of table."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import UnsupportedFrameError
from cio_frames.frames import pandas, python_columns
from cio_frames.frames.column import Column, Note, check_names
from cio_frames.frames.files import scanned_of
from cio_frames.frames.order import Order, order_of
from cio_frames.frames.streaming import collect_streaming
from cio_frames.frames.table import Table, frame_errors
from cio_frames.frames.unsupported import unsupported_error

if TYPE_CHECKING:
    import pandas as pd


PandasFrame: TypeAlias = "pd.DataFrame"


class ArrowStream(Protocol):
    """A table with an Arrow stream: of pandas, pyarrow, DuckDB, Ibis and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the stream."""


AnyTable = pl.DataFrame | pl.LazyFrame | ArrowStream | Sequence[Mapping[str, Any]]
"""What the package takes for a table."""

_ODD = (pl.Object, pl.BaseExtension, *((pl.Map,) if hasattr(pl, "Map") else ()))
"""Types that say too little about their values. polars has maps from version 2 on."""

CONVERT_IT = "Convert it to a polars or pandas frame first; if it is one, report this as a bug."


def read(anything: Any) -> Table:
    """Read a table of any library as one that the package works on.

    Column names must be text and unique; the name `__row__` is taken. Nothing is changed in
    silence: every conversion is a `Note` of the table, and a value that cannot be sent becomes
    null with a note of severity "reject" that names its row.

    Args:
        anything: A pandas or polars frame, a polars lazy frame, anything with an Arrow stream
            (pyarrow, DuckDB, Ibis), a list of dictionaries, or a `Table`.

    Returns:
        The table. Lazy frames stay lazy, unless a column's values must be looked at one by one or
        the query may give its rows in another order each time.

    Raises:
        UnsupportedFrameError: If it is not a table.
        FrameReadError: If the library it comes from fails, or a reader was read before.
        ColumnNamesError: If names are doubled, not text, or `__row__`.
        ColumnTypeError: If a column's type has no meaning outside its library.
        FrameError: If there are no columns, or a lazy frame cannot be resolved.

    Examples:
        >>> table = read([{"id": "u1", "plan": "pro"}, {"id": "u2"}])
        >>> table.eager.rows()
        [('u1', 'pro'), ('u2', None)]
    """
    if isinstance(anything, Table):
        return anything
    with frame_errors(f"{type(anything).__name__} of {_library(anything)}", hint=CONVERT_IT):
        return _read(anything)


def _library(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


def _read(anything: Any) -> Table:
    if isinstance(anything, pl.LazyFrame):
        return _lazy(anything)
    if isinstance(anything, pl.DataFrame):
        return _polars(anything, label="polars frame")
    if pandas.is_pandas(anything):
        return _pandas(anything)
    if isinstance(anything, str | PathLike):
        raise UnsupportedFrameError(
            f"A path ({type(anything).__name__})", hint="Read the file with cio.scan(path)."
        )
    if hasattr(anything, "__arrow_c_stream__") or hasattr(anything, "__arrow_c_array__"):
        return _arrow(anything)
    if _is_records(anything):
        return _records(anything)
    raise unsupported_error(anything)


def _lazy(frame: pl.LazyFrame) -> Table:
    known = scanned_of(frame)
    with frame_errors(known.label):
        schema = frame.collect_schema()
    check_names(schema)
    odd = [name for name, dtype in schema.items() if _is_odd(dtype)]
    order = Order(is_certain=True, calls_python=False) if known.files else order_of(frame)
    if not odd and order.is_certain:
        return Table(
            lazy=frame, label=known.label, notes=known.notes, pieces=known.pieces, files=known.files,
            calls_python=order.calls_python,
        )  # fmt: skip
    with frame_errors(known.label):
        loaded = collect_streaming(frame)
    why = (
        f"the values of {', '.join(map(repr, odd))} must be looked at one by one"
        if odd
        else "its query has a step that may give another order each time (such as group_by, join, "
        "unique or sort), and rows are known by their place"
    )
    note = Note(
        code="frame.loaded",
        column=odd[0] if odd else None,
        count=loaded.height,
        message=f"The lazy frame was loaded: {why}.",
    )
    return _polars(loaded, label=known.label, notes=(*known.notes, note))


def _polars(frame: pl.DataFrame, *, label: str, notes: tuple[Note, ...] = ()) -> Table:
    check_names(frame.columns)
    read_columns = [_polars_column(series) for series in frame.get_columns()]
    return _table(read_columns, label=label, notes=notes, source=frame.clone())


def _polars_column(series: pl.Series) -> Column:
    if not _is_odd(series.dtype):
        return Column(series=series)
    if series.dtype == pl.Object:
        return python_columns.column(series.name, series.to_list())
    import pyarrow as pa

    from cio_frames.frames import arrow

    array = pa.chunked_array([series.to_arrow()])
    if isinstance(series.dtype, pl.BaseExtension) and not isinstance(
        array.type, pa.BaseExtensionType
    ):
        raise arrow.foreign(series.name, series.dtype.ext_name())
    return arrow.column(series.name, array)


def _is_odd(dtype: pl.DataType | DataTypeClass) -> bool:
    """Return whether a polars type says too little about its values to be taken as it is."""
    match dtype:
        case pl.List() | pl.Array():
            return _is_odd(dtype.inner)
        case pl.Struct():
            return any(_is_odd(item.dtype) for item in dtype.fields)
        case _:
            return isinstance(dtype, _ODD)


def _pandas(frame: Any) -> Table:
    source = pandas.snapshot(frame)
    notes = pandas.index_notes(source)
    return _table(
        pandas.columns(source), label="pandas frame", library="pandas", notes=notes, source=source
    )


def _arrow(thing: Any) -> Table:
    from cio_frames.frames import arrow

    table = arrow.table_of(thing)
    names = check_names(table.column_names)
    return _table(arrow.table_columns(table, names), label="Arrow table")


def _is_records(thing: object) -> bool:
    return (
        isinstance(thing, list | tuple)
        and len(thing) > 0
        and all(isinstance(item, Mapping) for item in thing)
    )


def _records(rows: Sequence[Mapping[object, object]]) -> Table:
    names = check_names(dict.fromkeys(name for row in rows for name in row))
    read_columns = [python_columns.column(name, [row.get(name) for row in rows]) for name in names]
    return _table(read_columns, label="list of dictionaries")


def _table(
    read_columns: Iterable[Column],
    *,
    label: str,
    library: Any = "polars",
    notes: tuple[Note, ...] = (),
    source: Any = None,
) -> Table:
    listed = list(read_columns)
    eager = pl.DataFrame([column.series for column in listed])
    return Table(
        lazy=eager.lazy(),
        library=library,
        label=label,
        json_columns=frozenset(column.series.name for column in listed if column.json),
        notes=(*notes, *(note for column in listed for note in column.notes)),
        index=pandas.index_names(source) if library == "pandas" else (),
        eager=eager,
        source=eager if source is None else source,
    )
