"""Arrow columns to polars columns, whatever their encoding."""

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

_ONCE = (
    "It can be read only once, so create it again if it was read before. Read it into a table "
    "first, and pass the table: table = pyarrow.table(reader)."
)


@dataclass(frozen=True, slots=True)
class _Exported:
    """A stream that a library has exported already, so that its own errors are behind us."""

    capsule: object

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.capsule


def table_of(thing: Any) -> pa.Table:
    """Return all rows of anything that has an Arrow stream, or that is one Arrow array.

    Raises:
        UnsupportedFrameError: If it is no table, but one column.
        StreamConsumedError: If it can be read only once and gives no rows.
        FrameReadError: If its library fails.
    """
    if not hasattr(thing, "__arrow_c_stream__"):
        return _batch(thing)
    with _foreign_errors(thing):
        exported = _Exported(_unread(thing).__arrow_c_stream__())
    try:
        reader = pa.RecordBatchReader.from_stream(exported)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise unsupported_error(thing) from None
    with _foreign_errors(thing):
        table = reader.read_all()
    if not table.num_rows and is_read_once(thing):
        raise StreamConsumedError(class_name(type(thing)), problem="gave no rows", hint=_ONCE)
    return table


def _batch(array: Any) -> pa.Table:
    """Return an array of structs as a table."""
    try:
        return pa.table(pa.record_batch(array))
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError):
        raise unsupported_error(array) from None


def _unread(thing: Any) -> Any:
    """Return a DuckDB relation anew: one of DuckDB 1 streams only what was not fetched from it."""
    return thing.project("*") if type(thing).__name__ == "DuckDBPyRelation" else thing


@contextmanager
def _foreign_errors(thing: object) -> Iterator[None]:
    """Turn what another library raises into one error; its words may hold values of the rows."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FrameReadError(
            class_name(type(thing)),
            problem=f"failed while it was read ({type(error).__name__})",
            hint=_ONCE if is_read_once(thing) else "Run pyarrow.table(...) on it to see why.",
        ) from None


def table_columns(table: pa.Table, names: Sequence[str]) -> list[Column]:
    """Return the columns of an Arrow table under those names.

    Raises:
        ColumnTypeError: As `column`, and for extension types that nobody has registered.
    """
    for name, item in zip(names, table.schema, strict=True):
        extension = (item.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        if extension and not isinstance(item.type, pa.BaseExtensionType):
            raise foreign(name, extension)
    return [column(name, table.column(place)) for place, name in enumerate(names)]


def column(name: str, array: pa.ChunkedArray) -> Column:
    """Return an Arrow column as polars reads it, with no encoding left that polars does not know.

    Returns:
        The column; maps, unions, calendar intervals and Arrow JSON are looked at value by value.

    Raises:
        ColumnTypeError: If the type means nothing outside its own library, or the data is broken.
    """
    array = _without_view(array)
    wanted = target(array.type, name)
    if not _valid(array):
        return python_columns.column(name, _decoded(name, array))
    if wanted is None:
        return python_columns.column(name, python(array))
    try:
        cast = array if wanted == array.type else cast_to(array, wanted)
    except (
        pa.ArrowNotImplementedError,
        pa.ArrowInvalid,
    ):  # there is no such cast, or a value does not fit
        return python_columns.column(name, python(array))
    return Column(series=pl.Series(name, pl.from_arrow(cast)))


def _without_view(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a list view as a list: pyarrow's own cast loses the rows after a null."""
    if not _is_list_view(array.type):
        return array
    kind = pa.large_list(array.type.value_type)
    return pa.chunked_array([_listed_out(chunk) for chunk in array.chunks], kind)


def _listed_out(view: pa.Array) -> pa.Array:
    lengths = pl.Series(pa.compute.list_value_length(view).to_pylist(), dtype=pl.Int64)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), lengths.fill_null(0).cum_sum()])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets.to_numpy()), view.flatten(), mask=view.is_null()
    )


def cast_to(array: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast, taking a canonical extension type (bool8, tensor) for what it stores."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = pa.chunked_array([chunk.storage for chunk in array.chunks], array.type.storage_type)
    return array.cast(wanted)


def target(kind: pa.DataType, name: str) -> pa.DataType | None:
    """Return the type to cast to before polars reads it; None if each value must be looked at."""
    for test, decide in DECISIONS:
        if test(kind):
            return decide(kind, name)
    if _same(kind):
        return kind
    raise foreign(name, str(kind))


def foreign(name: str, kind: str) -> ColumnTypeError:
    """Return the error for a type that means nothing outside the library it comes from."""
    return ColumnTypeError(
        name,
        problem=f"its type {kind} is not supported",
        hint="Cast it to numbers, text, times, lists or structs first.",
    )


def _same(kind: pa.DataType) -> bool:
    """Return whether polars reads the type as it is."""
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


def _is_odd(kind: pa.DataType) -> bool:
    """Return whether polars has no such type, or would read it as another one."""
    return bool(
        pa.types.is_map(kind)
        or pa.types.is_union(kind)
        or _is_list_view(kind)
        or pa.types.is_interval(kind)
        or (
            pa.types.is_decimal(kind) and (kind.scale < 0 or kind.precision > python_columns.DIGITS)
        )
        or (isinstance(kind, pa.BaseExtensionType) and kind.extension_name in LOOKED_AT)
    )


def _encoded(kind: pa.DataType, name: str) -> pa.DataType | None:
    return target(kind.value_type, name)


def _list(kind: pa.DataType, name: str) -> pa.DataType | None:
    inner = target(kind.value_type, name)
    return None if inner is None else pa.large_list(inner)


def _fixed_list(kind: pa.DataType, name: str) -> pa.DataType | None:
    inner = target(kind.value_type, name)
    return None if inner is None else pa.list_(inner, kind.list_size)


def _struct(kind: pa.DataType, name: str) -> pa.DataType | None:
    names = [kind.field(place).name for place in range(kind.num_fields)]
    if len(set(names)) < len(names):
        raise ColumnTypeError(
            name, problem="a struct has a field name twice", hint="Rename one of the fields."
        )
    inner = [target(kind.field(place).type, name) for place in range(kind.num_fields)]
    if not inner or None in inner:
        return None
    return pa.struct(list(zip(names, inner, strict=True)))


def _timestamp(kind: pa.DataType, _name: str) -> pa.DataType:
    zone = "UTC" if kind.tz is not None and not _known_zone(kind.tz) else kind.tz
    return pa.timestamp("ms" if kind.unit == "s" else kind.unit, zone)


def _known_zone(zone: str) -> bool:
    """Return whether polars takes the zone by its name; an offset is better off as UTC."""
    try:
        pl.Series([], dtype=pl.Datetime("us", zone)).dt.to_string()
    except pl.exceptions.PolarsError:
        return False
    return not zone.startswith(("+", "-"))


def _extension(kind: pa.DataType, name: str) -> pa.DataType | None:
    if kind.extension_name == "arrow.bool8":
        return pa.bool_()
    if kind.extension_name == "arrow.fixed_shape_tensor":
        return target(kind.storage_type, name)
    raise foreign(name, kind.extension_name)


LOOKED_AT = {"arrow.json", "arrow.uuid"}

DECISIONS: Sequence[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, str], pa.DataType | None]]
] = (
    (_is_odd, lambda _kind, _name: None),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pa.types.is_dictionary, _encoded),
    (pa.types.is_run_end_encoded, _encoded),
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


def _valid(array: pa.ChunkedArray) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decoded(name: str, array: pa.ChunkedArray) -> list[object]:
    """Return broken text row by row, so that only the broken rows are lost."""
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


def python(array: pa.ChunkedArray) -> list[object]:
    """Return the values as Python objects, maps as dictionaries."""
    kind = array.type
    return [_thing(item, kind) for chunk in array.chunks for item in _listed(chunk)]


def _listed(chunk: pa.Array) -> list[Any]:
    try:
        return list(chunk.to_pylist())
    except (OverflowError, ValueError):
        return [_value(item) for item in chunk]


def _value(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except (OverflowError, ValueError):  # Python has no such date, time or duration
        return Invalid("time.out-of-range")


def _thing(value: Any, kind: pa.DataType) -> object:
    if value is None or isinstance(value, Invalid):
        return value
    for test, convert in CONVERSIONS:
        if test(kind):
            return convert(value, kind)
    return value


def _things(value: Sequence[Any], kind: pa.DataType) -> object:
    return [_thing(item, kind.value_type) for item in value]


def _members(value: dict[str, Any], kind: pa.DataType) -> object:
    fields = [kind.field(place) for place in range(kind.num_fields)]
    return {item.name: _thing(value[item.name], item.type) for item in fields}


def _map(pairs: list[tuple[Any, Any]], kind: pa.DataType) -> object:
    keys = [key for key, _ in pairs]
    if len({key if isinstance(key, str) else id(key) for key in keys}) < len(keys):
        return Invalid("type.duplicate-key")
    return {key: _thing(item, kind.item_type) for key, item in pairs}


def _iso(span: Any, _kind: pa.DataType) -> str:
    """Return a calendar interval as an ISO 8601 duration."""
    seconds = f"{span.nanoseconds / 1_000_000_000:.9f}".rstrip("0").rstrip(".")
    return f"P{span.months}M{span.days}DT{seconds}S"


def _json(text: str, _kind: pa.DataType) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Invalid("json.invalid")


CONVERSIONS: Sequence[
    tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], object]]
] = (
    (pa.types.is_dictionary, lambda value, kind: _thing(value, kind.value_type)),
    (pa.types.is_run_end_encoded, lambda value, kind: _thing(value, kind.value_type)),
    (pa.types.is_map, _map),
    (pa.types.is_interval, _iso),
    (lambda kind: _is_list(kind) or pa.types.is_fixed_size_list(kind), _things),
    (pa.types.is_struct, _members),
    (lambda kind: getattr(kind, "extension_name", "") == "arrow.json", _json),
)
