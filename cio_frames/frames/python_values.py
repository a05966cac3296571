"""Convert Python objects, as object columns contain them, to builtin types: one table of all types.

Nothing here calls a method of a type that is not in the table: `str`, `repr` or `==` of such an object
is code of the user, and may be wrong, fail or never return.
"""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isinf
from types import MappingProxyType, NoneType
from typing import Any
from uuid import UUID

import msgspec

from cio_frames.frames.column import Invalid, encodable

LEVELS_MAX = 20
BITS_MAX = 8_192  # Python refuses to write integers of more than 4,300 digits
PARTS_MAX = 32_000  # a message has at most as many bytes, so a value with more parts cannot be sent
SPAN_MAX = timedelta(microseconds=2**63 - 1)
SPAN_MIN = -SPAN_MAX  # the one below is NaT
FINER = ("ns", "ps", "fs", "as")  # numpy units whose cast to microseconds cannot overflow


class InvalidValueError(Exception):
    """A value that cannot be sent; other modules get an `Invalid` instead."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True)
class Conversion:
    """The state of the conversion of one value.

    Attributes:
        converters: The function for each type.
        codes: The codes of what was changed.
        parts_left: How many more parts the value may have.
    """

    converters: Mapping[type, "Converter"]
    codes: set[str] = field(default_factory=set)
    parts_left: int = PARTS_MAX


Converter = Callable[[Any, Conversion, int], Any]


def to_builtin(value: object, conversion: Conversion) -> Any:
    """Return the value converted to builtin types, or an `Invalid` with the code of the reason."""
    try:
        return _convert(value, conversion, 0)
    except InvalidValueError as error:
        return Invalid(error.code)
    except Exception:  # noqa: BLE001 - types of other libraries and of users may raise anything
        return Invalid("type.unreadable")


def converters() -> Mapping[type, Converter]:
    """Return the table of types, with those of numpy and pandas if they are loaded."""
    table = dict(BUILTIN)
    if numpy := sys.modules.get("numpy"):
        table |= {
            numpy.generic: _numpy_scalar,
            numpy.ndarray: _numpy_array,
            numpy.datetime64: _numpy_time,
            numpy.timedelta64: _numpy_time,
        }
    if pandas := sys.modules.get("pandas"):
        table |= {
            type(pandas.NaT): _nothing,
            type(pandas.NA): _nothing,
            pandas.Timestamp: _pandas_time,
            pandas.Timedelta: _pandas_span,
            pandas.Period: _pandas_text,
            pandas.Interval: _pandas_text,
        }
    return table


def _convert(value: object, conversion: Conversion, level: int) -> Any:
    if value is None:
        return None
    conversion.parts_left -= 1
    if conversion.parts_left < 0:
        raise InvalidValueError("type.too-large")
    for base in type(value).__mro__:
        converter = conversion.converters.get(base)
        if converter is not None:
            return converter(value, conversion, level)
    raise InvalidValueError("type.unsupported")


def _nothing(_value: object, _conversion: Conversion, _level: int) -> None:
    return None


def _float(value: float, _conversion: Conversion, _level: int) -> float | None:
    number = float.__float__(value)
    return None if number != number else number  # noqa: PLR0124 - the cheapest test for NaN


def _integer(value: int, _conversion: Conversion, _level: int) -> int:
    number = int.__int__(value)
    if number.bit_length() > BITS_MAX:
        raise InvalidValueError("type.too-large")
    return number


def _text(value: str, _conversion: Conversion, _level: int) -> str:
    text = str.__str__(value)
    if not encodable(text):
        raise InvalidValueError("text.bad-unicode")
    return text


def _decimal(value: Decimal, _conversion: Conversion, _level: int) -> Decimal | None:
    if Decimal.is_nan(value):
        return None
    if Decimal.is_infinite(value):
        raise InvalidValueError("type.unsupported")
    return Decimal(value)


def _datetime(value: datetime, conversion: Conversion, _level: int) -> datetime:
    builtin = value
    if type(value) is not datetime:
        builtin = datetime.combine(datetime.date(value), datetime.time(value), value.tzinfo)
    try:
        offset = builtin.utcoffset()
        if offset is None:
            return builtin
        if offset:
            conversion.codes.add("time.to-utc")
        return builtin.astimezone(UTC)
    except OverflowError:
        raise InvalidValueError("time.out-of-range") from None


def _date(value: date, _conversion: Conversion, _level: int) -> date:
    return date.fromordinal(date.toordinal(value))


def _time(value: time, _conversion: Conversion, _level: int) -> time:
    if value.tzinfo is not None:
        raise InvalidValueError("type.unsupported")
    return datetime.combine(date.min, value).time()


def _timedelta(value: timedelta, _conversion: Conversion, _level: int) -> timedelta:
    builtin = timedelta.__pos__(value)
    if not SPAN_MIN <= builtin <= SPAN_MAX:
        raise InvalidValueError("time.out-of-range")
    return builtin


def _uuid(value: UUID, conversion: Conversion, _level: int) -> str:
    conversion.codes.add("type.text")
    return UUID.__str__(value)


def _bytes(value: bytes | bytearray, _conversion: Conversion, level: int) -> bytes:
    if level:
        raise InvalidValueError("type.unsupported")
    return bytes(value)


def _list(value: Sequence[object], conversion: Conversion, level: int) -> list[Any]:
    if level >= LEVELS_MAX:
        raise InvalidValueError("type.too-deep")
    items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)  # type: ignore[arg-type]
    return [_convert(item, conversion, level + 1) for item in items]


def _set(value: set[object] | frozenset[object], conversion: Conversion, level: int) -> list[Any]:
    if level >= LEVELS_MAX:
        raise InvalidValueError("type.too-deep")
    conversion.codes.add("type.set-sorted")
    kind = set if isinstance(value, set) else frozenset
    items = [_convert(item, conversion, level + 1) for item in kind.__iter__(value)]  # type: ignore[arg-type]
    return sorted(items, key=lambda item: json_text(item, conversion))


def _dict(value: Mapping[object, object], conversion: Conversion, level: int) -> dict[str, Any]:
    if level >= LEVELS_MAX:
        raise InvalidValueError("type.too-deep")
    items = dict.items(value) if isinstance(value, dict) else value.items()
    members: dict[str, Any] = {}
    for key, item in items:
        if not issubclass(type(key), str):
            raise InvalidValueError("type.key-not-text")
        members[_text(key, conversion, level)] = _convert(item, conversion, level + 1)  # type: ignore[arg-type]
    return members


def _invalid(value: Invalid, _conversion: Conversion, _level: int) -> Any:
    raise InvalidValueError(value.code)


def _numpy_scalar(value: Any, conversion: Conversion, level: int) -> Any:
    item = float(str(value)) if value.dtype.name in {"float16", "float32"} else value.item()
    if type(item) not in BUILTIN:
        raise InvalidValueError("type.unsupported")
    return _convert(item, conversion, level)


def _numpy_array(value: Any, conversion: Conversion, level: int) -> Any:
    if value.size > conversion.parts_left:
        raise InvalidValueError("type.too-large")
    if value.dtype.kind in "mM":  # tolist() makes times that Python cannot represent integers
        return _convert(list(value) if value.ndim else value[()], conversion, level)
    return _convert(value.tolist(), conversion, level)


def _numpy_time(value: Any, conversion: Conversion, level: int) -> Any:
    unit = value.dtype.str[4:-1]
    if value.dtype.kind == "m" and unit in {"", "Y", "M"}:  # a month has no fixed length
        raise InvalidValueError("type.unsupported")
    try:
        rounded = value.astype(f"{value.dtype.kind}8[us]")
    except OverflowError:
        raise InvalidValueError("time.out-of-range") from None
    item = rounded.item()
    if item is None:
        return None
    wrapped = unit not in FINER and rounded.astype(value.dtype) != value
    if wrapped or isinstance(item, int):
        raise InvalidValueError("time.out-of-range")
    return _convert(item, conversion, level)


def _pandas_time(value: Any, conversion: Conversion, level: int) -> Any:
    try:
        item = value.to_pydatetime(warn=False)
    except (OverflowError, ValueError):
        raise InvalidValueError("time.out-of-range") from None
    return _convert(item, conversion, level)


def _pandas_span(value: Any, conversion: Conversion, level: int) -> Any:
    try:
        item = value.to_pytimedelta()
    except OverflowError:
        raise InvalidValueError("time.out-of-range") from None
    return _convert(item, conversion, level)


def _pandas_text(value: Any, conversion: Conversion, _level: int) -> str:
    conversion.codes.add("type.text")
    return str(value)


BUILTIN: Mapping[type, Converter] = MappingProxyType(
    {
        NoneType: _nothing,
        bool: lambda value, _conversion, _level: value,
        int: _integer,
        float: _float,
        str: _text,
        Decimal: _decimal,
        datetime: _datetime,
        date: _date,
        time: _time,
        timedelta: _timedelta,
        UUID: _uuid,
        bytes: _bytes,
        bytearray: _bytes,
        list: _list,
        tuple: _list,
        set: _set,
        frozenset: _set,
        dict: _dict,
        OrderedDict: _dict,
        defaultdict: _dict,
        MappingProxyType: _dict,
        Invalid: _invalid,
    }
)


EXACT = 2**53  # the largest range of integers that all readers of JSON numbers keep exactly
DIGITS = 15  # decimals of so many digits stay exact as floats

_ENCODE = msgspec.json.Encoder(order="sorted").encode


def json_text(value: Any, conversion: Conversion) -> str:
    """Return the JSON of a value of builtin types, with sorted keys and without null members.

    Infinite numbers, numbers that readers would round, and times without a zone are written as in
    typed columns, and their codes are added to the conversion.
    """
    return _ENCODE(_writable(value, conversion)).decode()


def _writable(value: Any, conversion: Conversion) -> Any:
    write = WRITERS.get(type(value))
    return value if write is None else write(value, conversion)


def _json_members(value: dict[str, Any], conversion: Conversion) -> dict[str, Any]:
    members = {key: _writable(item, conversion) for key, item in value.items()}
    return {key: item for key, item in members.items() if item is not None}


def _json_items(value: list[Any], conversion: Conversion) -> list[Any]:
    return [_writable(item, conversion) for item in value]


def _json_float(value: float, conversion: Conversion) -> float | None:
    if isinf(value):
        conversion.codes.add("number.not-finite")
        return None
    return value + 0.0  # turns -0.0 into 0.0


def _json_integer(value: int, conversion: Conversion) -> int | str:
    if abs(value) <= EXACT:
        return value
    conversion.codes.add("number.as-text")
    return str(value)


def _json_decimal(value: Decimal, conversion: Conversion) -> int | float | str:
    if abs(value.adjusted()) <= DIGITS:
        text = f"{value:f}"
        short = text.rstrip("0").rstrip(".") if "." in text else text
        if len(short.lstrip("-0.").replace(".", "")) <= DIGITS:
            return float(short) if "." in short else int(short)
    conversion.codes.add("number.as-text")
    return str(value)


def _json_instant(value: datetime, conversion: Conversion) -> str:
    if value.tzinfo is None:
        conversion.codes.add("time.naive")
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


WRITERS: Mapping[type, Callable[[Any, Conversion], Any]] = MappingProxyType(
    {
        dict: _json_members,
        list: _json_items,
        float: _json_float,
        int: _json_integer,
        Decimal: _json_decimal,
        datetime: _json_instant,
    }
)
