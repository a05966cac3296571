"""The meaning of identifiers, times and traits of messages, one by one and by whole columns.

A key represents an identifier: keys are equal exactly if Customer.io treats two identifiers as
the same. It begins with its kind: `i:` for an id, `e:` for an e-mail (without case), `c:` for a
cio_id, `a:` for an anonymous id.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import polars as pl

from cio_frames.identity.settings import Settings
from cio_frames.values.patterns import EMAIL, ISO_TIME, is_email

IdentifierKind = Literal["id", "email", "cio_id"]

ID, MAIL, CIO, ANONYMOUS = "i:", "e:", "c:", "a:"
_SEEDS: Final = {ID: 1, MAIL: 2, CIO: 3, ANONYMOUS: 4}
_ISO: Final = re.compile(ISO_TIME, re.ASCII)
_ISO_SHORTEST: Final = len("2026-01-31")
_SECONDS: Final = re.compile(r"\d{1,12}(?:\.\d+)?", re.ASCII)
_CONVERTIBLE: Final = frozenset({str, dict})
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


class Address(NamedTuple):
    """One identifier that a message uses for a person, as it was written."""

    kind: IdentifierKind
    value: str

    @property
    def key(self) -> tuple[IdentifierKind, str]:
        """Kind and value to compare: e-mails are compared without case, ids with it (3.1)."""
        return (self.kind, self.value.lower() if self.kind == "email" else self.value)

    def __str__(self) -> str:
        return f"cio_{self.value}" if self.kind == "cio_id" else self.value


def text(value: Any) -> str | None:
    """Return an identifier as text, or `None` when it is empty (section 2, "IDs")."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def address(value: Any, *, settings: Settings) -> Address | None:
    """Resolve a person reference in the order of reference 3.1.

    If the workspace does not identify people by e-mail, an e-mail address is an id like any other.

    Examples:
        >>> address("cio_03a0", settings=Settings())
        Address(kind='cio_id', value='03a0')
        >>> address("ada@example.com", settings=Settings()).kind
        'email'
        >>> address("+4930123456", settings=Settings()).kind
        'id'
    """
    reference = text(value)
    if reference is None:
        return None
    if reference.startswith("cio_"):
        return Address("cio_id", reference[4:])
    if "@" in reference and "email" in settings.identifiers and is_email(reference):
        return Address("email", reference)
    return Address("id", reference)


def person_key(column: str) -> pl.Expr:
    """Return the keys of person references, resolved in the order of reference 3.1.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"user": ["u1", "Ada@Example.com", "cio_03a0", "a@b"]})
        >>> frame.select(person_key("user"))["user"].to_list()
        ['i:u1', 'e:ada@example.com', 'c:03a0', 'i:a@b']
    """
    value = pl.col(column)
    return (
        pl.when(value.str.starts_with("cio_")).then(CIO + value.str.slice(4))
        .when(is_mail(column)).then(MAIL + value.str.to_lowercase())
        .otherwise(ID + value)
        .alias(column)
    )  # fmt: skip


def is_mail(column: str) -> pl.Expr:
    """Return a boolean expression: True where a reference is an e-mail address."""
    value = pl.col(column)
    return value.str.contains("@", literal=True) & value.str.contains(EMAIL)


def mail_key(column: str) -> pl.Expr:
    """Return the keys of e-mails, whatever their shape."""
    return (MAIL + pl.col(column).str.to_lowercase()).alias(column)


def id_key(column: str) -> pl.Expr:
    """Return the keys of ids, whatever their shape."""
    return (ID + pl.col(column)).alias(column)


def cio_key(column: str) -> pl.Expr:
    """Return the keys of cio_ids, which are written without `cio_` before them."""
    return (CIO + pl.col(column)).alias(column)


def anonymous_key(column: str) -> pl.Expr:
    """Return the keys of anonymous ids."""
    return (ANONYMOUS + pl.col(column)).alias(column)


def number(values: pl.Expr, kind: str) -> pl.Expr:
    """Return the number of each identifier of a kind: 64 bits instead of its key.

    Equal keys have equal numbers. Different keys may share one, which callers must handle.
    """
    return pl.when(values.is_not_null()).then(values.hash(_SEEDS[kind]))


def person_number(column: str) -> pl.Expr:
    """Return the numbers of person references other than cio_ids."""
    value = pl.col(column)
    mail, other = number(value.str.to_lowercase(), MAIL), number(value, ID)
    return pl.when(is_mail(column)).then(mail).otherwise(other)


def key_number(column: str) -> pl.Expr:
    """Return the numbers of keys.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"user": ["u1", "Ada@Example.com"]})
        >>> keys = frame.select(person_key("user"), person_number("user").alias("number"))
        >>> keys.select((key_number("user") == pl.col("number")).all()).item()
        True
    """
    value = pl.col(column).str.slice(2)
    return pl.coalesce(
        pl.when(pl.col(column).str.starts_with(kind)).then(number(value, kind)) for kind in _SEEDS
    )


def identifier_of(key: str) -> str:
    """Return the identifier of a key as a user knows it.

    Examples:
        >>> identifier_of("a:visitor-7"), identifier_of("c:03a0")
        ('visitor-7', 'cio_03a0')
    """
    return f"cio_{key[2:]}" if key.startswith(CIO) else key[2:]


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value of a message if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


OBJECT_TYPES: Final = ("object_type_id", "objectTypeId")
"""The names of the type of an object, in the order in which they are read."""


def object_type(*places: Mapping[str, Any]) -> str:
    """Return the object type: the first value under one of its names, else "1" (2.5, C17)."""
    types = (
        place[name] for place in places for name in OBJECT_TYPES if place.get(name) is not None
    )
    return text(next(types, None)) or "1"


def moment(value: Any, *, now: float) -> int:
    """Return a message's `timestamp` in whole Unix seconds, `now` without a usable one (1.6)."""
    instant = seconds(value)
    return math.floor(now) if instant is None else instant


def seconds(value: Any) -> int | None:
    """Return a time in whole Unix seconds: text, a number of seconds, or a datetime.

    Examples:
        >>> seconds("1970-01-01T01:00:00.9+01:00"), seconds("yesterday")
        (0, None)
    """
    instant: float | None = None
    if isinstance(value, str):
        is_date = "-" in value
        instant = float(value) if not is_date and _SECONDS.fullmatch(value) else _iso_seconds(value)
    elif isinstance(value, datetime):
        instant = _utc_seconds(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        instant = value
    if instant is None or not FIRST_SECOND <= instant <= LAST_SECOND:
        return None
    return math.floor(instant)


def converted(value: Any) -> Any:
    """Return one attribute value as Journeys stores it: ISO times as Unix seconds (1.6).

    Objects are converted at every depth, arrays are not.

    Examples:
        >>> converted({"born": "1970-01-02", "at": ["1970-01-02"]})
        {'born': 86400, 'at': ['1970-01-02']}
    """
    if isinstance(value, str):
        if len(value) < _ISO_SHORTEST or value[4] != "-" or not _ISO.fullmatch(value):
            return value
        instant = _iso_seconds(value)
        return value if instant is None else instant
    return converted_body(value) if isinstance(value, dict) else value


def converted_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return traits or properties with their ISO times converted (1.6)."""
    return {
        key: converted(value) if type(value) in _CONVERTIBLE else value
        for key, value in body.items()
    }


def _iso_seconds(value: str) -> int | None:
    """Return whole Unix seconds of an ISO time; of a date, its first second."""
    try:
        return _utc_seconds(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _utc_seconds(value: datetime) -> int:
    """Return whole Unix seconds; a time without offset is UTC."""
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return math.floor(aware.timestamp())
