"""A list of Python values to one column: a real type where one holds them all, else JSON text."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType, NoneType
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.column import Column, Invalid, Note, note
from cio_frames.frames.inferred import KEYS, inferred
from cio_frames.frames.python_values import (
    EXACT,
    LEVELS,
    PARTS,
    Conversion,
    json_text,
    plain,
    readers,
)

DIGITS = 38  # of a decimal column


def column(name: str, values: Sequence[object]) -> Column:
    """Return the column for values that no library has typed.

    Returns:
        A typed column where one type holds every value exactly; ISO 8601 text where dates and
        times are mixed; else JSON text. Values that cannot be sent are null and noted.
    """
    quick = _quick(name, values)
    if quick is None:
        quick = inferred(name, values, levels=LEVELS, parts=PARTS)
    return walked(name, values) if quick is None else Column(series=quick)


def walked(name: str, values: Sequence[object]) -> Column:
    """Return the column for values by looking at each."""
    reader = _Reader(name)
    plains = [reader.read(row, value) for row, value in enumerate(values)]
    return _resolve(name, plains, reader)


class _Reader:
    """Reads a column's values and counts what was done to them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.readers = readers()
        self.bad: dict[str, list[int]] = {}
        self.done: dict[str, int] = {}

    def read(self, row: int, value: object) -> Any:
        conversion = Conversion(self.readers)
        got = plain(value, conversion)
        if isinstance(got, Invalid):
            self.bad.setdefault(got.code, []).append(row)
            return None
        self.count(conversion)
        return got

    def text(self, value: Any) -> str | None:
        if value is None:
            return None
        conversion = Conversion(self.readers)
        written = json_text(value, conversion)
        self.count(conversion)
        return written

    def count(self, conversion: Conversion) -> None:
        for code in conversion.done:
            self.done[code] = self.done.get(code, 0) + 1

    def notes(self) -> tuple[Note, ...]:
        bad = [
            note(code, self.name, count=len(rows), rows=tuple(rows))
            for code, rows in self.bad.items()
        ]
        return (*bad, *(note(code, self.name, count=count) for code, count in self.done.items()))


def _quick(name: str, values: Sequence[object]) -> pl.Series | None:
    """Return the column at once if all values are of one simple builtin type."""
    kinds = set(map(type, values)) - {NoneType}
    if len(kinds) != 1 or not kinds <= {bool, str}:
        return None
    dtype = SCALARS[kinds.pop()]
    try:
        return pl.Series(name, values, dtype=dtype)
    except UnicodeEncodeError:
        return None


def _resolve(name: str, plains: list[Any], reader: _Reader) -> Column:
    kinds = set(map(type, plains)) - {NoneType}
    count = len(plains) - plains.count(None) if kinds <= {int, float, Decimal} else 0
    if kinds == {int, Decimal}:
        plains = [None if value is None else Decimal(value) for value in plains]
        kinds = {Decimal}
    dtype = infer(plains)
    if dtype is not None:
        if kinds == {int, float}:
            reader.done["type.mixed-numbers"] = count
        if dtype.is_nested():
            plains = [_fitted(value, dtype) for value in plains]
        return Column(series=pl.Series(name, plains, dtype=dtype), notes=reader.notes())
    for family, code, write in TEXTS:
        if kinds <= family:
            texts = [None if value is None else write(value) for value in plains]
            reader.done[code] = sum(text is not None for text in texts)
            return Column(series=pl.Series(name, texts, dtype=pl.String), notes=reader.notes())
    return _json(name, plains, reader, kinds)


def _fitted(value: Any, dtype: pl.DataType | DataTypeClass) -> Any:
    """Return a value whose numbers are of its type: the engine guesses lists by their first item."""
    if value is None:
        return None
    match dtype:
        case pl.List():
            return [_fitted(item, dtype.inner) for item in value]
        case pl.Struct():
            kinds = {member.name: member.dtype for member in dtype.fields}
            return {key: _fitted(item, kinds[key]) for key, item in value.items()}
        case _:
            return float(value) if dtype == pl.Float64 else value


def _json(name: str, plains: list[Any], reader: _Reader, kinds: set[type]) -> Column:
    if bytes in kinds:
        for row, value in enumerate(plains):
            if type(value) is bytes:
                reader.bad.setdefault("type.unsupported", []).append(row)
                plains[row] = None
    texts = [reader.text(value) for value in plains]
    reader.done["type.json"] = sum(text is not None for text in texts)
    series = pl.Series(name, texts, dtype=pl.String)
    return Column(series=series, json=True, notes=reader.notes())


def infer(values: Sequence[Any]) -> pl.DataType | None:
    """Return the one polars type that holds all these plain values exactly, if there is one."""
    kinds = set(map(type, values)) - {NoneType}
    if not kinds:
        return pl.Null()
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if kind in SCALARS:
            return SCALARS[kind]
        return INFER[kind](values)
    exact = all(type(value) is not int or abs(value) <= EXACT for value in values)
    return pl.Float64() if kinds == {int, float} and exact else None


def _integer(values: Sequence[Any]) -> pl.DataType | None:
    numbers = [value for value in values if value is not None]
    low, high = min(numbers), max(numbers)
    if low >= -(2**63) and high < 2**63:
        return pl.Int64()
    return pl.UInt64() if low >= 0 and high < 2**64 else None


def _decimal(values: Sequence[Any]) -> pl.DataType | None:
    scale, whole = 0, 1
    for value in values:
        if value is not None:
            _, digits, exponent = value.as_tuple()
            scale = max(scale, -int(exponent))
            whole = max(whole, len(digits) + int(exponent))
    return pl.Decimal(DIGITS, scale) if scale + whole <= DIGITS else None


def _instant(values: Sequence[Any]) -> pl.DataType | None:
    aware = {value.tzinfo is not None for value in values if value is not None}
    return pl.Datetime("us", "UTC" if aware == {True} else None) if len(aware) == 1 else None


def _items(values: Sequence[Any]) -> pl.DataType | None:
    inner = infer([item for value in values if value is not None for item in value])
    return None if inner is None else pl.List(inner)


def _members(values: Sequence[Any]) -> pl.DataType | None:
    dicts = [value for value in values if value is not None]
    keys = sorted({key for value in dicts for key in value})
    if not 0 < len(keys) <= KEYS:
        return None
    fields = {key: infer([value.get(key) for value in dicts]) for key in keys}
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

INFER: Mapping[type, Callable[[Sequence[Any]], pl.DataType | None]] = MappingProxyType(
    {int: _integer, Decimal: _decimal, datetime: _instant, list: _items, dict: _members}
)

TEXTS: tuple[tuple[set[type], str, Callable[[Any], str]], ...] = (
    ({int}, "type.big-integers", str),
    ({Decimal}, "type.big-decimals", str),
    ({date, datetime}, "time.mixed", lambda value: str(value.isoformat()).replace("+00:00", "Z")),
)
