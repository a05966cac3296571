"""Python objects, as they lie in object columns, to columns: the one table of what may pass.

Nothing here calls a method of a type it does not know: an object's `str`, `repr` or `==` is the
user's code and may lie, fail or never return.
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

LEVELS = 20
BITS = 8_192  # Python refuses to write integers of more than 4,300 digits
PARTS = 32_000  # a message has at most as many bytes, so no sendable value has more parts
SPAN_MAX = timedelta(microseconds=2**63 - 1)
SPAN_MIN = -SPAN_MAX  # the one below it stands for NaT
FINER = ("ns", "ps", "fs", "as")  # units of numpy that no cast to microseconds can overflow


class InvalidValueError(Exception):
    """A value that cannot be sent; leaves this module as an `Invalid`."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True)
class Conversion:
    """The way through one value: what was done on it, and how much is left."""

    readers: Mapping[type, "Reader"]
    done: set[str] = field(default_factory=set)
    parts: int = PARTS


Reader = Callable[[Any, Conversion, int], Any]


def plain(value: object, conversion: Conversion) -> Any:
    """Return the value made of builtin types only, or an `Invalid` that says why it cannot be."""
    try:
        return _read(value, conversion, 0)
    except InvalidValueError as bad:
        return Invalid(bad.code)
    except Exception:  # noqa: BLE001 - a type of another library, or the user's own, raises what it likes
        return Invalid("type.unreadable")


def readers() -> Mapping[type, Reader]:
    """Return the table of types that may pass, with what is loaded of numpy and pandas."""
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


def _read(value: object, conversion: Conversion, level: int) -> Any:
    if value is None:
        return None
    conversion.parts -= 1
    if conversion.parts < 0:
        raise InvalidValueError("type.too-large")
    for base in type(value).__mro__:
        reader = conversion.readers.get(base)
        if reader is not None:
            return reader(value, conversion, level)
    raise InvalidValueError("type.unsupported")


def _nothing(_value: object, _conversion: Conversion, _level: int) -> None:
    return None


def _float(value: float, _conversion: Conversion, _level: int) -> float | None:
    number = float.__float__(value)
    return None if number != number else number  # noqa: PLR0124 - the cheapest test for NaN


def _integer(value: int, _conversion: Conversion, _level: int) -> int:
    number = int.__int__(value)
    if number.bit_length() > BITS:
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
            conversion.done.add("time.to-utc")
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
    conversion.done.add("type.text")
    return UUID.__str__(value)


def _bytes(value: bytes | bytearray, _conversion: Conversion, level: int) -> bytes:
    if level:
        raise InvalidValueError("type.unsupported")
    return bytes(value)


def _list(value: Sequence[object], conversion: Conversion, level: int) -> list[Any]:
    if level >= LEVELS:
        raise InvalidValueError("type.too-deep")
    items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)  # type: ignore[arg-type]
    return [_read(item, conversion, level + 1) for item in items]


def _set(value: set[object] | frozenset[object], conversion: Conversion, level: int) -> list[Any]:
    if level >= LEVELS:
        raise InvalidValueError("type.too-deep")
    conversion.done.add("type.set-sorted")
    kind = set if isinstance(value, set) else frozenset
    items = [_read(item, conversion, level + 1) for item in kind.__iter__(value)]  # type: ignore[arg-type]
    return sorted(items, key=lambda item: json_text(item, conversion))


def _dict(value: Mapping[object, object], conversion: Conversion, level: int) -> dict[str, Any]:
    if level >= LEVELS:
        raise InvalidValueError("type.too-deep")
    items = dict.items(value) if isinstance(value, dict) else value.items()
    read: dict[str, Any] = {}
    for key, item in items:
        if not issubclass(type(key), str):
            raise InvalidValueError("type.key-not-text")
        read[_text(key, conversion, level)] = _read(item, conversion, level + 1)  # type: ignore[arg-type]
    return read


def _bad(value: Invalid, _conversion: Conversion, _level: int) -> Any:
    raise InvalidValueError(value.code)


def _numpy_scalar(value: Any, conversion: Conversion, level: int) -> Any:
    item = float(str(value)) if value.dtype.name in {"float16", "float32"} else value.item()
    if type(item) not in BUILTIN:
        raise InvalidValueError("type.unsupported")
    return _read(item, conversion, level)


def _numpy_array(value: Any, conversion: Conversion, level: int) -> Any:
    if value.size > conversion.parts:
        raise InvalidValueError("type.too-large")
    if (
        value.dtype.kind in "mM"
    ):  # as a list, times finer or farther than Python's would be integers
        return _read(list(value) if value.ndim else value[()], conversion, level)
    return _read(value.tolist(), conversion, level)


def _numpy_time(value: Any, conversion: Conversion, level: int) -> Any:
    unit = value.dtype.str[4:-1]
    if value.dtype.kind == "m" and unit in {"", "Y", "M"}:  # how long is a month?
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
    return _read(item, conversion, level)


def _pandas_time(value: Any, conversion: Conversion, level: int) -> Any:
    try:
        item = value.to_pydatetime(warn=False)
    except (OverflowError, ValueError):
        raise InvalidValueError("time.out-of-range") from None
    return _read(item, conversion, level)


def _pandas_span(value: Any, conversion: Conversion, level: int) -> Any:
    try:
        item = value.to_pytimedelta()
    except OverflowError:
        raise InvalidValueError("time.out-of-range") from None
    return _read(item, conversion, level)


def _pandas_text(value: Any, conversion: Conversion, _level: int) -> str:
    conversion.done.add("type.text")
    return str(value)


BUILTIN: Mapping[type, Reader] = MappingProxyType(
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
        Invalid: _bad,
    }
)


EXACT = 2**53  # the largest range of integers that a reader of JSON numbers keeps exactly
DIGITS = 15  # of a decimal that survives being read as a float

_ENCODE = msgspec.json.Encoder(order="sorted").encode


def json_text(value: Any, conversion: Conversion) -> str:
    """Return the JSON of a plain value: keys sorted, null members left out.

    What JSON cannot say as it is (infinite numbers, numbers that a reader would round, times
    without a zone) is written the way typed columns are, and noted in `conversion.done`.
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
        conversion.done.add("number.not-finite")
        return None
    return value + 0.0  # turns -0.0 into 0.0


def _json_integer(value: int, conversion: Conversion) -> int | str:
    if abs(value) <= EXACT:
        return value
    conversion.done.add("number.as-text")
    return str(value)


def _json_decimal(value: Decimal, conversion: Conversion) -> int | float | str:
    if abs(value.adjusted()) <= DIGITS:
        text = f"{value:f}"
        short = text.rstrip("0").rstrip(".") if "." in text else text
        if len(short.lstrip("-0.").replace(".", "")) <= DIGITS:
            return float(short) if "." in short else int(short)
    conversion.done.add("number.as-text")
    return str(value)


def _json_instant(value: datetime, conversion: Conversion) -> str:
    if value.tzinfo is None:
        conversion.done.add("time.naive")
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
