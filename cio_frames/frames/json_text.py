"""Plain values to JSON text, for columns that no single type can hold."""

from datetime import datetime
from decimal import Decimal
from math import isinf
from typing import Any

import msgspec

from cio_frames.frames.objects import Walk

_ENCODE = msgspec.json.Encoder(order="sorted").encode


def json_text(value: Any, walk: Walk) -> str:
    """Return the JSON of a plain value: keys sorted, null members left out.

    An infinite number has no JSON; it becomes null and is told in `walk.done`. A decimal is a
    number where a float holds it exactly, else text.
    """
    return _ENCODE(_writable(value, walk)).decode()


def _writable(value: Any, walk: Walk) -> Any:
    match value:
        case dict():
            members = {key: _writable(item, walk) for key, item in value.items()}
            return {key: item for key, item in members.items() if item is not None}
        case list():
            return [_writable(item, walk) for item in value]
        case float() if isinf(value):
            walk.done.add("number.not-finite")
            return None
        case Decimal():
            near = float(value)
            return near if Decimal(repr(near)) == value else str(value)
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case _:
            return value
