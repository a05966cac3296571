"""Read pandas frames. Only this module and the accessors use pandas.

pandas is never imported: whoever passes a pandas frame has loaded it.
"""

import sys
from typing import Any

import polars as pl

from cio_frames.errors import ColumnNamesError, ColumnTypeError
from cio_frames.frames import python_columns
from cio_frames.frames.column import Column, Note, check_names


def is_pandas(thing: object) -> bool:
    """Return whether an object is a pandas frame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(thing, pandas.DataFrame)


def snapshot(frame: Any) -> Any:
    """Return a copy of the frame that later changes to the original do not affect."""
    pandas: Any = sys.modules["pandas"]
    major = int(pandas.__version__.split(".")[0])
    copies_on_write = major >= 3 or pandas.options.mode.copy_on_write is True  # noqa: PLR2004
    return frame.copy(deep=not copies_on_write)


def columns(frame: Any) -> list[Column]:
    """Return the columns of a pandas frame as polars columns.

    Raises:
        ColumnNamesError: If the columns are a MultiIndex, or names come twice or are not text.
        ColumnTypeError: If a column contains geometries.
        FrameError: If there are no columns.
    """
    if frame.columns.nlevels > 1:
        raise ColumnNamesError(
            [tuple(map(str, name)) for name in frame.columns[:5]],
            problem="The column names have several levels",
            hint='Flatten them: df.columns = ["_".join(name) for name in df.columns].',
        )
    names = check_names(frame.columns)
    return [column(name, frame.iloc[:, place]) for place, name in enumerate(names)]


def column(name: str, series: Any) -> Column:
    """Return a pandas column as a polars column; NaN is missing, as in pandas."""
    pandas: Any = sys.modules["pandas"]
    dtype = series.dtype
    if (str(dtype) == "object") or isinstance(dtype, pandas.PeriodDtype | pandas.IntervalDtype):
        return _object_column(name, series)
    if isinstance(dtype, pandas.CategoricalDtype):
        return _categorical_column(name, series)
    if isinstance(dtype, pandas.SparseDtype):
        return column(name, series.sparse.to_dense())
    if str(dtype) == "geometry":
        raise ColumnTypeError(
            name,
            problem="it contains geometries, which Customer.io cannot store",
            hint="Drop it, or convert it to text with .to_wkt().",
        )
    return _typed_column(name, series)


def _typed_column(name: str, series: Any) -> Column:
    import pyarrow as pa

    from cio_frames.frames import arrow

    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _object_column(name, series)
    if isinstance(array, pa.Array):
        array = pa.chunked_array([array])
    read = arrow.column(name, array)
    if not read.series.dtype.is_float():
        return read
    return Column(series=read.series.fill_nan(None), notes=read.notes)


def _object_column(name: str, series: Any) -> Column:
    return python_columns.column(name, list(series.astype(object).to_numpy()))


def _categorical_column(name: str, series: Any) -> Column:
    pandas: Any = sys.modules["pandas"]
    read = column(name, pandas.Series(series.cat.categories))
    if any(note.severity == "reject" for note in read.notes):
        return _object_column(name, series)
    codes = pl.Series(series.cat.codes.to_numpy()).cast(pl.Int64)
    places = codes.set(codes < 0, None)
    return Column(series=read.series.gather(places), json=read.json, notes=read.notes)


def index_names(frame: Any) -> tuple[str, ...]:
    """Return the names of the columns that `reset_index` would add; none for a default index."""
    pandas: Any = sys.modules["pandas"]
    names = list(frame.index.names)
    if names == [None] and isinstance(frame.index, pandas.RangeIndex):
        return ()
    unnamed = "index" if len(names) == 1 else "level_{}"
    return tuple(
        unnamed.format(level) if name is None else str(name) for level, name in enumerate(names)
    )


def index_notes(frame: Any) -> tuple[Note, ...]:
    """Return a note if the index is not the default, because it is not a column."""
    pandas: Any = sys.modules["pandas"]
    index = frame.index
    if not index_names(frame):
        return ()
    names = [name for name in index.names if name is not None]
    label = f"The index ({', '.join(map(repr, map(str, names)))})" if names else "The index"
    counted = not names and pandas.api.types.is_integer_dtype(index.dtype)
    return (
        Note(
            code="frame.index-ignored",
            severity="info" if counted else "warn",
            count=len(index),
            message=f"{label} is not a column and is not sent; df.reset_index() makes it one.",
        ),
    )


def append(picked: Any, added: pl.DataFrame) -> Any:
    """Return the pandas frame with polars columns appended."""
    pandas: Any = sys.modules["pandas"]
    columns = {
        name: pandas.Series(added[name].to_list(), index=picked.index) for name in added.columns
    }
    return picked.assign(**columns)


def native(frame: pl.DataFrame, *, library: str) -> Any:
    """Return a frame in the library of the user; in pandas, integers stay integers beside nulls."""
    if library != "pandas":
        return frame
    nullable = [
        column.name
        for column in frame.iter_columns()
        if column.dtype.is_integer() and column.null_count()
    ]
    return frame.to_pandas().astype(dict.fromkeys(nullable, "Int64"))
