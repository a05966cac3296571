"""Plain values to JSON text, for columns that no single type can hold."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isinf
from types import MappingProxyType
from typing import Any

import msgspec

from cio_frames.frames.python_values import Walk

EXACT = 2**53  # the largest range of integers that a reader of JSON numbers keeps exactly
DIGITS = 15  # of a decimal that survives being read as a float

_ENCODE = msgspec.json.Encoder(order="sorted").encode


def json_text(value: Any, walk: Walk) -> str:
    """Return the JSON of a plain value: keys sorted, null members left out.

    What JSON cannot say as it is (infinite numbers, numbers that a reader would round, times
    without a zone) is written the way typed columns are, and told in `walk.done`.
    """
    return _ENCODE(_writable(value, walk)).decode()


def _writable(value: Any, walk: Walk) -> Any:
    write = WRITERS.get(type(value))
    return value if write is None else write(value, walk)


def _members(value: dict[str, Any], walk: Walk) -> dict[str, Any]:
    members = {key: _writable(item, walk) for key, item in value.items()}
    return {key: item for key, item in members.items() if item is not None}


def _items(value: list[Any], walk: Walk) -> list[Any]:
    return [_writable(item, walk) for item in value]


def _float(value: float, walk: Walk) -> float | None:
    if isinf(value):
        walk.done.add("number.not-finite")
        return None
    return value + 0.0  # turns -0.0 into 0.0


def _integer(value: int, walk: Walk) -> int | str:
    if abs(value) <= EXACT:
        return value
    walk.done.add("number.as-text")
    return str(value)


def _decimal(value: Decimal, walk: Walk) -> int | float | str:
    if abs(value.adjusted()) <= DIGITS:
        text = f"{value:f}"
        short = text.rstrip("0").rstrip(".") if "." in text else text
        if len(short.lstrip("-0.").replace(".", "")) <= DIGITS:
            return float(short) if "." in short else int(short)
    walk.done.add("number.as-text")
    return str(value)


def _instant(value: datetime, walk: Walk) -> str:
    if value.tzinfo is None:
        walk.done.add("time.naive")
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


WRITERS: Mapping[type, Callable[[Any, Walk], Any]] = MappingProxyType(
    {
        dict: _members,
        list: _items,
        float: _float,
        int: _integer,
        Decimal: _decimal,
        datetime: _instant,
    }
)
