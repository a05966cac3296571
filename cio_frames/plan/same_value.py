"""Whether a workspace has the value that was sent, although it and its exports have texts only."""

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
    """Return a value as an export has it; None if it is null or empty, which look the same there.

    Examples:
        >>> text_of(True), text_of({"a": [1]}), text_of(""), text_of(0)
        ('true', '{"a":[1]}', None, '0')
    """
    return None if value in EMPTY else text(value)


def is_same(name: str, sent: Any, actual: Any) -> bool:
    """Return whether an attribute has the value that was sent.

    Values that look the same as texts are equal: `1` and `"1"`, `true` and `"true"`, null and an empty
    text. What was sent as text is compared character by character.

    Args:
        name: The attribute.
        sent: Its value after Customer.io's conversions, null if it was removed.
        actual: Its value in an export: a text, or of the type of its column.

    Examples:
        >>> is_same("score", 12.50, "12.5"), is_same("code", "12.50", "12.5")
        (True, False)
        >>> is_same("tags", ["a"], '["a"]'), is_same("unsubscribed", False, None)
        (True, True)
    """
    if name == _CONSENT:
        return _is_true(sent) == _is_true(actual)
    sent_text, actual_text = text_of(sent), text_of(actual)
    if sent_text == actual_text:
        return True
    if sent_text is None or actual_text is None:
        return False
    if name in _TIMES and seconds(sent) is not None:
        return seconds(sent) == seconds(actual)
    return _means_the_same(sent, actual, texts=(sent_text, actual_text))


def _means_the_same(sent: Any, actual: Any, *, texts: tuple[str, str]) -> bool:
    """Return whether two values, at least one of which is not a text, mean the same."""
    if isinstance(sent, bool) or isinstance(actual, bool):
        return texts[0].lower() == texts[1].lower()
    if _is_number(sent) or _is_number(actual):
        sent_number, actual_number = map(_number, texts)
        return sent_number is not None and sent_number == actual_number
    if isinstance(sent, dict | list) or isinstance(actual, dict | list):
        return _is_equal(*map(_decoded, texts))
    return False


def _is_true(value: Any) -> bool:
    """Return whether `unsubscribed` is true: any casing of true, or 1 (2.1)."""
    value_text = text_of(value)
    return value_text is not None and value_text.strip().lower() in _TRUE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value_text: str) -> float | None:
    """Return a number with the precision of JavaScript and Go."""
    return float(value_text) if _NUMBER.fullmatch(value_text) else None


def _decoded(value_text: str) -> Any:
    try:
        return msgspec.json.decode(value_text)
    except msgspec.DecodeError:
        return value_text


def _is_equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal; a member that is null counts as missing."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(_is_equal(one.get(key), other.get(key)) for key in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    if _is_number(one) and _is_number(other):
        return float(one) == float(other)
    return type(one) is type(other) and bool(one == other)
