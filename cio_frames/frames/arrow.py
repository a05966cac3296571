"""Convert Arrow columns of any encoding to polars columns."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute

from cio_frames.errors import ColumnTypeError, FrameReadError, StreamConsumedError
from cio_frames.frames import python_columns
from cio_frames.frames.column import Column, Invalid
from cio_frames.frames.unsupported import class_name, is_read_once, unsupported_error

_READ_ONCE = (
    "It can be read only once, so create it again if it was read before. Read it into a table "
    "first, and pass the table: table = pyarrow.table(reader)."
)


@dataclass(frozen=True, slots=True)
class _Exported:
    """A stream that is already exported, so that later errors do not come from its library."""

    capsule: object

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.capsule


def table_of(thing: Any) -> pa.Table:
    """Return all rows of an object that has an Arrow stream, or that is an Arrow array.

    Raises:
        UnsupportedFrameError: If it is a column, not a table.
        StreamConsumedError: If it can be read only once and gives no rows.
        FrameReadError: If its library fails.
    """
    if not hasattr(thing, "__arrow_c_stream__"):
        return _table_of_array(thing)
    with _library_errors(thing):
        exported = _Exported(_fresh_relation(thing).__arrow_c_stream__())
    try:
        reader = pa.RecordBatchReader.from_stream(exported)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise unsupported_error(thing) from None
    with _library_errors(thing):
        table = reader.read_all()
    if not table.num_rows and is_read_once(thing):
        raise StreamConsumedError(class_name(type(thing)), problem="gave no rows", hint=_READ_ONCE)
    return table


def _table_of_array(array: Any) -> pa.Table:
    """Return an array of structs as a table."""
    try:
        return pa.table(pa.record_batch(array))
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError):
        raise unsupported_error(array) from None


def _fresh_relation(thing: Any) -> Any:
    """Return a new DuckDB relation: in DuckDB 1, one streams only rows that were not fetched before."""
    return thing.project("*") if type(thing).__name__ == "DuckDBPyRelation" else thing


@contextmanager
def _library_errors(thing: object) -> Iterator[None]:
    """Raise errors of another library as one error: their texts may contain values of the rows."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FrameReadError(
            class_name(type(thing)),
            problem=f"failed while it was read ({type(error).__name__})",
            hint=_READ_ONCE if is_read_once(thing) else "Run pyarrow.table(...) on it to see why.",
        ) from None


def table_columns(table: pa.Table, names: Sequence[str]) -> list[Column]:
    """Return the columns of an Arrow table under those names.

    Raises:
        ColumnTypeError: As `column`, and for extension types that are not registered.
    """
    for name, item in zip(names, table.schema, strict=True):
        extension = (item.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        if extension and not isinstance(item.type, pa.BaseExtensionType):
            raise unsupported_type(name, extension)
    return [column(name, table.column(place)) for place, name in enumerate(names)]


def column(name: str, array: pa.ChunkedArray) -> Column:
    """Return an Arrow column as a polars column.

    Maps, unions, calendar intervals and Arrow JSON are converted value by value.

    Raises:
        ColumnTypeError: If the type has no meaning outside its library, or the data is broken.
    """
    array = _views_as_lists(array)
    dtype = target_type(array.type, name)
    if not _is_valid(array):
        return python_columns.column(name, _decoded_texts(name, array))
    if dtype is None:
        return python_columns.column(name, to_python_list(array))
    try:
        cast = array if dtype == array.type else cast_to(array, dtype)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # no such cast, or a value is too large
        return python_columns.column(name, to_python_list(array))
    return Column(series=pl.Series(name, pl.from_arrow(cast)))


def _views_as_lists(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a list view as a list: the cast of pyarrow loses the rows after a null."""
    if not _is_list_view(array.type):
        return array
    kind = pa.large_list(array.type.value_type)
    return pa.chunked_array([_view_as_list(chunk) for chunk in array.chunks], kind)


def _view_as_list(view: pa.Array) -> pa.Array:
    lengths = pl.Series(pa.compute.list_value_length(view).to_pylist(), dtype=pl.Int64)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), lengths.fill_null(0).cum_sum()])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets.to_numpy()), view.flatten(), mask=view.is_null()
    )


def cast_to(array: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    """Cast an array; of a canonical extension type (bool8, tensor), cast the storage."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = pa.chunked_array([chunk.storage for chunk in array.chunks], array.type.storage_type)
    return array.cast(dtype)


def target_type(kind: pa.DataType, name: str) -> pa.DataType | None:
    """Return the type to cast to before polars reads it; None if each value must be converted."""
    for test, decide in DECISIONS:
        if test(kind):
            return decide(kind, name)
    if _is_readable(kind):
        return kind
    raise unsupported_type(name, str(kind))


def unsupported_type(name: str, kind: str) -> ColumnTypeError:
    """Return the error for a type that has no meaning outside its library."""
    return ColumnTypeError(
        name,
        problem=f"its type {kind} is not supported",
        hint="Cast it to numbers, text, times, lists or structs first.",
    )


def _is_readable(kind: pa.DataType) -> bool:
    """Return whether polars can read the type without a cast."""
    return bool(
        pa.types.is_primitive(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
        or _is_text(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType | pa.ListViewType | pa.LargeListViewType)


def _is_list_view(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListViewType | pa.LargeListViewType)


def _has_no_equivalent(kind: pa.DataType) -> bool:
    """Return whether polars has no such type, or would read it as another type."""
    return bool(
        pa.types.is_map(kind)
        or pa.types.is_union(kind)
        or _is_list_view(kind)
        or pa.types.is_interval(kind)
        or (
            pa.types.is_decimal(kind) and (kind.scale < 0 or kind.precision > python_columns.DIGITS)
        )
        or (isinstance(kind, pa.BaseExtensionType) and kind.extension_name in CONVERTED_EXTENSIONS)
    )


def _value_type(kind: pa.DataType, name: str) -> pa.DataType | None:
    return target_type(kind.value_type, name)


def _list(kind: pa.DataType, name: str) -> pa.DataType | None:
    inner = target_type(kind.value_type, name)
    return None if inner is None else pa.large_list(inner)


def _fixed_list(kind: pa.DataType, name: str) -> pa.DataType | None:
    inner = target_type(kind.value_type, name)
    return None if inner is None else pa.list_(inner, kind.list_size)


def _struct(kind: pa.DataType, name: str) -> pa.DataType | None:
    names = [kind.field(place).name for place in range(kind.num_fields)]
    if len(set(names)) < len(names):
        raise ColumnTypeError(
            name, problem="a struct has a field name twice", hint="Rename one of the fields."
        )
    inner = [target_type(kind.field(place).type, name) for place in range(kind.num_fields)]
    if not inner or None in inner:
        return None
    return pa.struct(list(zip(names, inner, strict=True)))


def _timestamp(kind: pa.DataType, _name: str) -> pa.DataType:
    zone = "UTC" if kind.tz is not None and not _is_zone_name(kind.tz) else kind.tz
    return pa.timestamp("ms" if kind.unit == "s" else kind.unit, zone)


def _is_zone_name(zone: str) -> bool:
    """Return whether polars accepts the name of a zone; offsets are converted to UTC instead."""
    try:
        pl.Series([], dtype=pl.Datetime("us", zone)).dt.to_string()
    except pl.exceptions.PolarsError:
        return False
    return not zone.startswith(("+", "-"))


def _extension(kind: pa.DataType, name: str) -> pa.DataType | None:
    if kind.extension_name == "arrow.bool8":
        return pa.bool_()
    if kind.extension_name == "arrow.fixed_shape_tensor":
        return target_type(kind.storage_type, name)
    raise unsupported_type(name, kind.extension_name)


CONVERTED_EXTENSIONS = {"arrow.json", "arrow.uuid"}

DECISIONS: Sequence[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, str], pa.DataType | None]]
] = (
    (_has_no_equivalent, lambda _kind, _name: None),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pa.types.is_dictionary, _value_type),
    (pa.types.is_run_end_encoded, _value_type),
    (pa.types.is_fixed_size_list, _fixed_list),
    (_is_list, _list),
    (pa.types.is_struct, _struct),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date64, lambda _kind, _name: pa.date32()),
    (
        lambda kind: pa.types.is_duration(kind) and kind.unit == "s",
        lambda _kind, _name: pa.duration("ms"),
    ),
)


def _is_valid(array: pa.ChunkedArray) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decoded_texts(name: str, array: pa.ChunkedArray) -> list[object]:
    """Return the values of a text column with invalid UTF-8; only invalid values are lost."""
    if not _is_text(array.type):
        raise ColumnTypeError(
            name,
            problem="its Arrow data is broken",
            hint="Write the table again, or drop the column.",
        )
    return [_text(item) for item in array.cast(pa.large_binary()).to_pylist()]


def _text(item: bytes | None) -> object:
    try:
        return None if item is None else item.decode()
    except UnicodeDecodeError:
        return Invalid("text.bad-unicode")


def to_python_list(array: pa.ChunkedArray) -> list[object]:
    """Return the values as Python objects, with maps as dictionaries."""
    kind = array.type
    return [_to_python(item, kind) for chunk in array.chunks for item in _to_pylist(chunk)]


def _to_pylist(chunk: pa.Array) -> list[Any]:
    try:
        return list(chunk.to_pylist())
    except (OverflowError, ValueError):
        return [_scalar_to_python(item) for item in chunk]


def _scalar_to_python(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except (OverflowError, ValueError):  # Python has no such date, time or duration
        return Invalid("time.out-of-range")


def _to_python(value: Any, kind: pa.DataType) -> object:
    if value is None or isinstance(value, Invalid):
        return value
    for test, convert in CONVERSIONS:
        if test(kind):
            return convert(value, kind)
    return value


def _items_to_python(value: Sequence[Any], kind: pa.DataType) -> object:
    return [_to_python(item, kind.value_type) for item in value]


def _struct_to_dict(value: dict[str, Any], kind: pa.DataType) -> object:
    fields = [kind.field(place) for place in range(kind.num_fields)]
    return {item.name: _to_python(value[item.name], item.type) for item in fields}


def _map_to_dict(pairs: list[tuple[Any, Any]], kind: pa.DataType) -> object:
    keys = [key for key, _ in pairs]
    if len({key if isinstance(key, str) else id(key) for key in keys}) < len(keys):
        return Invalid("type.duplicate-key")
    return {key: _to_python(item, kind.item_type) for key, item in pairs}


def _interval_text(span: Any, _kind: pa.DataType) -> str:
    """Return a calendar interval as an ISO 8601 duration."""
    seconds = f"{span.nanoseconds / 1_000_000_000:.9f}".rstrip("0").rstrip(".")
    return f"P{span.months}M{span.days}DT{seconds}S"


def _json_value(text: str, _kind: pa.DataType) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Invalid("json.invalid")


CONVERSIONS: Sequence[
    tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], object]]
] = (
    (pa.types.is_dictionary, lambda value, kind: _to_python(value, kind.value_type)),
    (pa.types.is_run_end_encoded, lambda value, kind: _to_python(value, kind.value_type)),
    (pa.types.is_map, _map_to_dict),
    (pa.types.is_interval, _interval_text),
    (lambda kind: _is_list(kind) or pa.types.is_fixed_size_list(kind), _items_to_python),
    (pa.types.is_struct, _struct_to_dict),
    (lambda kind: getattr(kind, "extension_name", "") == "arrow.json", _json_value),
)
