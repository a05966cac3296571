"""Convert a list of Python values to a column: of one type if it keeps them all, else JSON text."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType, NoneType
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.column import Column, Invalid, Note, note
from cio_frames.frames.inference import STRUCT_KEYS_MAX, infer_column
from cio_frames.frames.python_values import (
    EXACT,
    Conversion,
    converters,
    json_text,
    to_builtin,
)

DIGITS = 38  # of a decimal column


def column(name: str, values: Sequence[object]) -> Column:
    """Return the column for Python values of any types.

    Returns:
        A typed column if one type keeps every value exactly; ISO 8601 text if dates and times
        are mixed; else JSON text. Values that cannot be sent become null, with a note.
    """
    series = _column_of_one_type(name, values)
    if series is None:
        series = infer_column(name, values)
    return convert_each(name, values) if series is None else Column(series=series)


def convert_each(name: str, values: Sequence[object]) -> Column:
    """Return the column for values after converting each of them."""
    converter = _ColumnConverter(name)
    builtin_values = [converter.convert(row, value) for row, value in enumerate(values)]
    return _typed_column(name, builtin_values, converter)


class _ColumnConverter:
    """Converts the values of a column, and counts the changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.converters = converters()
        self.invalid_rows: dict[str, list[int]] = {}
        self.changes: dict[str, int] = {}

    def convert(self, row: int, value: object) -> Any:
        conversion = Conversion(self.converters)
        converted = to_builtin(value, conversion)
        if isinstance(converted, Invalid):
            self.invalid_rows.setdefault(converted.code, []).append(row)
            return None
        self.count(conversion)
        return converted

    def json(self, value: Any) -> str | None:
        if value is None:
            return None
        conversion = Conversion(self.converters)
        text = json_text(value, conversion)
        self.count(conversion)
        return text

    def count(self, conversion: Conversion) -> None:
        for code in conversion.codes:
            self.changes[code] = self.changes.get(code, 0) + 1

    def notes(self) -> tuple[Note, ...]:
        invalid = [
            note(code, self.name, count=len(rows), rows=tuple(rows))
            for code, rows in self.invalid_rows.items()
        ]
        changes = [note(code, self.name, count=count) for code, count in self.changes.items()]
        return (*invalid, *changes)


def _column_of_one_type(name: str, values: Sequence[object]) -> pl.Series | None:
    """Return the column if all values are booleans, or all are texts."""
    kinds = set(map(type, values)) - {NoneType}
    if len(kinds) != 1 or not kinds <= {bool, str}:
        return None
    dtype = SCALARS[kinds.pop()]
    try:
        return pl.Series(name, values, dtype=dtype)
    except UnicodeEncodeError:
        return None


def _typed_column(name: str, values: list[Any], converter: _ColumnConverter) -> Column:
    kinds = set(map(type, values)) - {NoneType}
    count = len(values) - values.count(None) if kinds <= {int, float, Decimal} else 0
    if kinds == {int, Decimal}:
        values = [None if value is None else Decimal(value) for value in values]
        kinds = {Decimal}
    dtype = infer_dtype(values)
    if dtype is not None:
        if kinds == {int, float}:
            converter.changes["type.mixed-numbers"] = count
        if dtype.is_nested():
            values = [_with_floats(value, dtype) for value in values]
        return Column(series=pl.Series(name, values, dtype=dtype), notes=converter.notes())
    for family, code, write in TEXTS:
        if kinds <= family:
            texts = [None if value is None else write(value) for value in values]
            converter.changes[code] = sum(text is not None for text in texts)
            return Column(series=pl.Series(name, texts, dtype=pl.String), notes=converter.notes())
    return _json_column(name, values, converter, kinds)


def _with_floats(value: Any, dtype: pl.DataType | DataTypeClass) -> Any:
    """Return a value with floats where its type has them: polars infers lists from the first item."""
    if value is None:
        return None
    match dtype:
        case pl.List():
            return [_with_floats(item, dtype.inner) for item in value]
        case pl.Struct():
            kinds = {member.name: member.dtype for member in dtype.fields}
            return {key: _with_floats(item, kinds[key]) for key, item in value.items()}
        case _:
            return float(value) if dtype == pl.Float64 else value


def _json_column(
    name: str, values: list[Any], converter: _ColumnConverter, kinds: set[type]
) -> Column:
    if bytes in kinds:
        for row, value in enumerate(values):
            if type(value) is bytes:
                converter.invalid_rows.setdefault("type.unsupported", []).append(row)
                values[row] = None
    texts = [converter.json(value) for value in values]
    converter.changes["type.json"] = sum(text is not None for text in texts)
    series = pl.Series(name, texts, dtype=pl.String)
    return Column(series=series, json=True, notes=converter.notes())


def infer_dtype(values: Sequence[Any]) -> pl.DataType | None:
    """Return the polars type that keeps all values of builtin types exactly, if there is one."""
    kinds = set(map(type, values)) - {NoneType}
    if not kinds:
        return pl.Null()
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if kind in SCALARS:
            return SCALARS[kind]
        return INFER_DTYPE[kind](values)
    exact = all(type(value) is not int or abs(value) <= EXACT for value in values)
    return pl.Float64() if kinds == {int, float} and exact else None


def _integer(values: Sequence[Any]) -> pl.DataType | None:
    numbers = [value for value in values if value is not None]
    low, high = min(numbers), max(numbers)
    if low >= -(2**63) and high < 2**63:
        return pl.Int64()
    return pl.UInt64() if low >= 0 and high < 2**64 else None


def _decimal(values: Sequence[Any]) -> pl.DataType | None:
    scale, integer_digits = 0, 1
    for value in values:
        if value is not None:
            _, digits, exponent = value.as_tuple()
            scale = max(scale, -int(exponent))
            integer_digits = max(integer_digits, len(digits) + int(exponent))
    return pl.Decimal(DIGITS, scale) if scale + integer_digits <= DIGITS else None


def _instant(values: Sequence[Any]) -> pl.DataType | None:
    aware = {value.tzinfo is not None for value in values if value is not None}
    return pl.Datetime("us", "UTC" if aware == {True} else None) if len(aware) == 1 else None


def _items(values: Sequence[Any]) -> pl.DataType | None:
    inner = infer_dtype([item for value in values if value is not None for item in value])
    return None if inner is None else pl.List(inner)


def _members(values: Sequence[Any]) -> pl.DataType | None:
    dicts = [value for value in values if value is not None]
    keys = sorted({key for value in dicts for key in value})
    if not 0 < len(keys) <= STRUCT_KEYS_MAX:
        return None
    fields = {key: infer_dtype([value.get(key) for value in dicts]) for key in keys}
    if any(dtype is None for dtype in fields.values()):
        return None
    return pl.Struct({key: dtype for key, dtype in fields.items() if dtype is not None})


SCALARS: Mapping[type, pl.DataType] = MappingProxyType(
    {
        bool: pl.Boolean(),
        float: pl.Float64(),
        str: pl.String(),
        date: pl.Date(),
        time: pl.Time(),
        timedelta: pl.Duration("us"),
        bytes: pl.Binary(),
    }
)

INFER_DTYPE: Mapping[type, Callable[[Sequence[Any]], pl.DataType | None]] = MappingProxyType(
    {int: _integer, Decimal: _decimal, datetime: _instant, list: _items, dict: _members}
)

TEXTS: tuple[tuple[set[type], str, Callable[[Any], str]], ...] = (
    ({int}, "type.big-integers", str),
    ({Decimal}, "type.big-decimals", str),
    ({date, datetime}, "time.mixed", lambda value: str(value.isoformat()).replace("+00:00", "Z")),
)
