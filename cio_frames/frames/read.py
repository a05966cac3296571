"""Read tables of any library as a `Table`."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import UnsupportedFrameError
from cio_frames.frames import pandas, python_columns
from cio_frames.frames.column import Column, Note, check_names
from cio_frames.frames.files import metadata_of
from cio_frames.frames.order import Order, order_of
from cio_frames.frames.streaming import collect_streaming
from cio_frames.frames.table import Table, frame_errors
from cio_frames.frames.unsupported import unsupported_error

if TYPE_CHECKING:
    import pandas as pd


PandasFrame: TypeAlias = "pd.DataFrame"


class ArrowStream(Protocol):
    """A table with an Arrow stream, such as those of pandas, pyarrow, DuckDB and Ibis."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the stream."""


AnyTable = pl.DataFrame | pl.LazyFrame | ArrowStream | Sequence[Mapping[str, Any]]
"""Everything that the package reads as a table."""

_AMBIGUOUS_TYPES = (pl.Object, pl.BaseExtension, *((pl.Map,) if hasattr(pl, "Map") else ()))
"""Types that do not determine what their values are. polars has maps since version 2."""

CONVERT_IT = "Convert it to a polars or pandas frame first; if it is one, report this as a bug."


def read(table: Any) -> Table:
    """Read a table of any library as a `Table`.

    Column names must be text and unique; the name `__row__` is reserved. Every conversion is a
    `Note` of the table. A value that cannot be sent becomes null, with a note of severity "reject"
    that names its row.

    Args:
        table: A pandas or polars frame, a polars lazy frame, anything with an Arrow stream
            (pyarrow, DuckDB, Ibis), a list of dictionaries, or a `Table`.

    Returns:
        The table. Lazy frames stay lazy, unless the values of a column must be converted one by one
        or the query may return its rows in another order each time.

    Raises:
        UnsupportedFrameError: If it is not a table.
        FrameReadError: If its library fails, or a reader was read before.
        ColumnNamesError: If names come twice, are not text, or are `__row__`.
        ColumnTypeError: If the type of a column has no meaning outside its library.
        FrameError: If there are no columns, or a lazy frame cannot be resolved.

    Examples:
        >>> table = read([{"id": "u1", "plan": "pro"}, {"id": "u2"}])
        >>> table.eager.rows()
        [('u1', 'pro'), ('u2', None)]
    """
    if isinstance(table, Table):
        return table
    kind = type(table)
    library = kind.__module__.partition(".")[0]
    with frame_errors(f"{kind.__name__} of {library}", hint=CONVERT_IT):
        return _read(table)


def _read(table: Any) -> Table:
    if isinstance(table, pl.LazyFrame):
        return _read_lazy(table)
    if isinstance(table, pl.DataFrame):
        return _read_polars(table, label="polars frame")
    if pandas.is_pandas(table):
        return _read_pandas(table)
    if isinstance(table, str | PathLike):
        raise UnsupportedFrameError(
            f"A path ({type(table).__name__})", hint="Read the file with cio.scan(path)."
        )
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _read_arrow(table)
    if _is_records(table):
        return _read_records(table)
    raise unsupported_error(table)


def _read_lazy(frame: pl.LazyFrame) -> Table:
    metadata = metadata_of(frame)
    with frame_errors(metadata.label):
        schema = frame.collect_schema()
    check_names(schema)
    ambiguous = [name for name, dtype in schema.items() if _is_ambiguous(dtype)]
    order = Order(is_certain=True, calls_python=False) if metadata.files else order_of(frame)
    if not ambiguous and order.is_certain:
        return Table(
            lazy=frame, label=metadata.label, notes=metadata.notes, pieces=metadata.pieces, files=metadata.files,
            calls_python=order.calls_python,
        )  # fmt: skip
    with frame_errors(metadata.label):
        loaded = collect_streaming(frame)
    reason = (
        f"the values of {', '.join(map(repr, ambiguous))} must be converted one by one"
        if ambiguous
        else "its query has a step that may return another order each time (such as group_by, join, "
        "unique or sort), and rows are identified by their position"
    )
    note = Note(
        code="frame.loaded",
        column=ambiguous[0] if ambiguous else None,
        count=loaded.height,
        message=f"The lazy frame was loaded: {reason}.",
    )
    return _read_polars(loaded, label=metadata.label, notes=(*metadata.notes, note))


def _read_polars(frame: pl.DataFrame, *, label: str, notes: tuple[Note, ...] = ()) -> Table:
    check_names(frame.columns)
    columns = [_read_polars_column(series) for series in frame.get_columns()]
    return _table(columns, label=label, notes=notes, source=frame.clone())


def _read_polars_column(series: pl.Series) -> Column:
    if not _is_ambiguous(series.dtype):
        return Column(series=series)
    if series.dtype == pl.Object:
        return python_columns.column(series.name, series.to_list())
    import pyarrow as pa

    from cio_frames.frames import arrow

    array = pa.chunked_array([series.to_arrow()])
    if isinstance(series.dtype, pl.BaseExtension) and not isinstance(
        array.type, pa.BaseExtensionType
    ):
        raise arrow.unsupported_type(series.name, series.dtype.ext_name())
    return arrow.column(series.name, array)


def _is_ambiguous(dtype: pl.DataType | DataTypeClass) -> bool:
    """Return whether a polars type does not determine what its values are."""
    match dtype:
        case pl.List() | pl.Array():
            return _is_ambiguous(dtype.inner)
        case pl.Struct():
            return any(_is_ambiguous(item.dtype) for item in dtype.fields)
        case _:
            return isinstance(dtype, _AMBIGUOUS_TYPES)


def _read_pandas(frame: Any) -> Table:
    source = pandas.snapshot(frame)
    notes = pandas.index_notes(source)
    return _table(
        pandas.columns(source), label="pandas frame", library="pandas", notes=notes, source=source
    )


def _read_arrow(thing: Any) -> Table:
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


def _read_records(rows: Sequence[Mapping[object, object]]) -> Table:
    names = check_names(dict.fromkeys(name for row in rows for name in row))
    columns = [python_columns.column(name, [row.get(name) for row in rows]) for name in names]
    return _table(columns, label="list of dictionaries")


def _table(
    columns: Sequence[Column],
    *,
    label: str,
    library: Any = "polars",
    notes: tuple[Note, ...] = (),
    source: Any = None,
) -> Table:
    eager = pl.DataFrame([column.series for column in columns])
    return Table(
        lazy=eager.lazy(),
        library=library,
        label=label,
        json_columns=frozenset(column.series.name for column in columns if column.json),
        notes=(*notes, *(note for column in columns for note in column.notes)),
        index=pandas.index_names(source) if library == "pandas" else (),
        eager=eager,
        source=eager if source is None else source,
    )
