"""Whether a workspace holds the value that was sent: it keeps texts, and an export has nothing else."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cio_frames.identity.identifiers import seconds
from cio_frames.identity.state import EMPTY
from cio_frames.sandbox.filters import text

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_TRUE: Final = ("true", "1")
_TIMES: Final = frozenset({"created_at"})
"""Attributes that are times in whatever form they are written."""
_CONSENT: Final = "unsubscribed"


def text_of(value: Any) -> str | None:
    """Return a value as an export has it; nothing where it is null or empty, which look alike there.

    Examples:
        >>> text_of(True), text_of({"a": [1]}), text_of(""), text_of(0)
        ('true', '{"a":[1]}', None, '0')
    """
    return None if value in EMPTY else text(value)


def is_same(name: str, sent: Any, held: Any) -> bool:
    """Return whether an attribute is held as it was sent.

    What cannot be told apart where all values are texts is the same: `1` and `"1"`, `true` and
    `"true"`, null and an empty text. What was sent as text is compared letter by letter.

    Args:
        name: The attribute.
        sent: Its value after Customer.io's conversions, null where it was removed.
        held: What an export says: a text, or whatever type its column has.

    Examples:
        >>> is_same("score", 12.50, "12.5"), is_same("code", "12.50", "12.5")
        (True, False)
        >>> is_same("tags", ["a"], '["a"]'), is_same("unsubscribed", False, None)
        (True, True)
    """
    if name == _CONSENT:
        return _is_true(sent) == _is_true(held)
    wanted, found = text_of(sent), text_of(held)
    if wanted == found:
        return True
    if wanted is None or found is None:
        return False
    if name in _TIMES and seconds(sent) is not None:
        return seconds(sent) == seconds(held)
    return _means_the_same(sent, held, texts=(wanted, found))


def _means_the_same(sent: Any, held: Any, *, texts: tuple[str, str]) -> bool:
    """Return whether two values of which one is no text mean the same."""
    if isinstance(sent, bool) or isinstance(held, bool):
        return texts[0].lower() == texts[1].lower()
    if _is_number(sent) or _is_number(held):
        wanted, found = map(_number, texts)
        return wanted is not None and wanted == found
    if isinstance(sent, dict | list) or isinstance(held, dict | list):
        return _alike(*map(_decoded, texts))
    return False


def _is_true(value: Any) -> bool:
    """Return whether somebody has unsubscribed: any casing of true, or 1 (2.1)."""
    said = text_of(value)
    return said is not None and said.strip().lower() in _TRUE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(said: str) -> float | None:
    """Return a number as precisely as JavaScript and Go read it."""
    return float(said) if _NUMBER.fullmatch(said) else None


def _decoded(said: str) -> Any:
    try:
        return msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said


def _alike(one: Any, other: Any) -> bool:
    """Return whether two values say the same; a member that is null may as well be missing."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(_alike(one.get(key), other.get(key)) for key in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if _is_number(one) and _is_number(other):
        return float(one) == float(other)
    return type(one) is type(other) and bool(one == other)
