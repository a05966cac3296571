"""Errors for objects that are not tables: what to do with each, by the names of its classes."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cio_frames.errors import UnsupportedFrameError

_CALL: Final = "Call {} and pass the result."
_FILES: Final = ' If it does not fit into memory, call .{}, and pass cio.scan("folder/*.parquet").'
# without these arguments the index is sent as a trait, and part 10 comes before part 2
_DASK: Final = 'to_parquet("folder", write_index=False, name_function="{:06}.parquet".format)'
_COLUMN: Final = f"It is a single column. {_CALL}"

_HINTS: Final[Sequence[tuple[str, str, str]]] = (
    ("bigframes|cudf|snowflake", ".*", _CALL.format(".to_pandas()")),
    ("daft", ".*", _CALL.format(".to_arrow()") + _FILES.format('write_parquet("folder")')),
    ("dask|dask_expr", "DataFrame", _CALL.format(".compute()") + _FILES.format(_DASK)),
    ("dask|dask_expr", ".*", _CALL.format(".compute()")),
    ("google", "QueryJob|RowIterator", _CALL.format(".to_arrow()")),
    ("ibis", ".*Column", _COLUMN.format(".as_table()")),
    ("modin", ".*", _CALL.format(".modin.to_pandas()")),
    ("narwhals", "LazyFrame", _CALL.format(".collect().to_native()")),
    ("narwhals", "Series", _COLUMN.format(".to_frame().to_native()")),
    ("narwhals", ".*", _CALL.format(".to_native()")),
    ("numpy", "ndarray", 'Name its columns: polars.DataFrame(array, schema=["id", ...]).'),
    ("pandas", ".*Index|Series", _COLUMN.format(".to_frame()")),
    ("pandas|polars", ".*GroupBy", "Pass the frame itself, or aggregate it to a frame first."),
    ("polars", "Series", _COLUMN.format(".to_frame()")),
    ("pyarrow", ".*Array", _COLUMN.format('pyarrow.table({"name": column})')),
    ("pyarrow", ".*Dataset|Scanner", _CALL.format(".to_table()")),
    ("pyarrow", "ParquetFile", _CALL.format(".read()")),
    (r"pyspark\.pandas", ".*", _CALL.format(".to_spark()")),
    (
        "pyspark",
        ".*",
        "Plan it with cio.frame(df); elsewhere, call .toPandas() and pass the result.",
    ),
    ("ray", ".*Dataset", _CALL.format(".to_pandas()") + _FILES.format('write_parquet("folder")')),
    ("sqlalchemy", "MappingResult", _CALL.format(".all()")),
    ("sqlalchemy", ".*Result", _CALL.format(".mappings().all()")),
    ("sqlalchemy", "Row", "It is a single row; pass [dict(row._mapping)]."),
    ("sqlalchemy", ".*", "Run it first, with polars.read_database(query, connection)."),
    ("vaex", ".*", _CALL.format(".to_arrow_table()")),
    ("xarray", ".*", _CALL.format(".to_dataframe().reset_index()")),
)
"""A library, its classes, and what to do with them; the first match applies."""

_ROWS: Final[Mapping[str, str]] = {
    "_mapping": "[dict(row._mapping) for row in rows], or call .mappings().all() on the result",
    "asDict": "[row.asDict() for row in rows]",  # Spark
    "_asdict": "[row._asdict() for row in rows]",  # named tuples
    "model_dump": "[row.model_dump() for row in rows]",  # pydantic
    "__dataclass_fields__": "[dataclasses.asdict(row) for row in rows]",
    "keys": "[dict(row) for row in rows]",  # sqlite3, asyncpg, psycopg2
    "__getitem__": 'polars.DataFrame(rows, schema=["id", ...], orient="row")',
}
"""Attributes of row objects of other libraries, and how to make a table from a list of them."""


def unsupported_error(thing: object) -> UnsupportedFrameError:
    """Return the error for an object that is not a table. It depends only on the classes of the object.

    Examples:
        >>> print(unsupported_error({"id": ["u1"]}))
        dict is not a table. Create a frame from it: polars.DataFrame(data).
    """
    if isinstance(thing, list | tuple) and thing:
        other = next((item for item in thing if not isinstance(item, Mapping)), None)
        name = f"{type(thing).__name__} of {class_name(type(other))}"
        return UnsupportedFrameError(name, hint=_hint_for_list(type(other)))
    return UnsupportedFrameError(class_name(type(thing)), hint=_hint(thing))


def is_spark(thing: object) -> bool:
    """Return whether an object is a Spark frame, of a classic session or of Spark Connect.

    Examples:
        >>> import polars
        >>> is_spark(polars.DataFrame())
        False
    """
    return any(
        kind.__name__ == "DataFrame" and kind.__module__.startswith("pyspark.sql.")
        for kind in type(thing).__mro__
    )


def is_read_once(thing: object) -> bool:
    """Return whether an object can be read only once, such as iterators, readers and streams."""
    kind = type(thing)
    return hasattr(kind, "__next__") or kind.__name__.endswith(("Reader", "Stream"))


def class_name(kind: type) -> str:
    """Return the name of a class with its library.

    Examples:
        >>> import polars
        >>> class_name(polars.Series), class_name(dict)
        ('polars Series', 'dict')
    """
    library = kind.__module__.partition(".")[0].lstrip("_")
    return kind.__name__ if library in ("builtins", "main__") else f"{library} {kind.__name__}"


def _hint(thing: object) -> str:
    """Return what to do with an object; empty if nothing is known about its class."""
    kind = type(thing)
    for ancestor in kind.__mro__:
        for library, classes, hint in _HINTS:
            if _is_of(library, ancestor) and re.fullmatch(classes, ancestor.__name__):
                return hint
    if thing is None:
        return "pandas methods return None when they are called with inplace=True."
    if isinstance(thing, dict):
        return "Create a frame from it: polars.DataFrame(data)."
    if isinstance(thing, list | tuple):
        return "It is empty, so it has no columns. Pass a frame with columns."
    if hasattr(kind, "fetchall"):
        return (
            "Create a frame from its rows: polars.DataFrame(cursor.fetchall(), "
            'schema=[column[0] for column in cursor.description], orient="row").'
        )
    return "Convert it to a list of rows: list(rows)." if hasattr(kind, "__next__") else ""


def _hint_for_list(kind: type) -> str:
    """Return what to do with a list whose items are not dictionaries."""
    if hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__"):
        return "Join the tables first, for example with polars.concat or pandas.concat."
    if kind is not str:
        for attribute, expression in _ROWS.items():
            if hasattr(kind, attribute):
                return f"Convert the rows to a table: {expression}."
    return "Every item must be a dictionary."


def _is_of(library: str, kind: type) -> bool:
    """Return whether a class belongs to a library."""
    return re.match(rf"_?(?:{library})(?:\.|$)", kind.__module__) is not None
