"""Columns as readers return them, with notes on how their values were converted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import polars as pl

from cio_frames.errors import ColumnNamesError, FrameError

Severity = Literal["info", "warn", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One conversion by a reader, or one reason why rows cannot be sent.

    `rows` are those of severity "reject": the value of `column` is null there, so validation must
    reject them.
    """

    code: str
    message: str
    severity: Severity = "info"
    column: str | None = None
    count: int = 0
    rows: tuple[int, ...] = ()


ROW = "__row__"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column as the later stages get it; `json` says that its texts are JSON."""

    series: pl.Series
    json: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Invalid:
    """A value that cannot be sent, with the code of the reason."""

    code: str


NOTE_TEXTS: Mapping[str, tuple[Severity, str]] = MappingProxyType(
    {
        "type.unsupported": ("reject", "values of a type that JSON cannot represent"),
        "type.unreadable": ("reject", "values that raise an error when they are read"),
        "type.too-deep": ("reject", "values nested more than 20 levels, or containing themselves"),
        "type.too-large": ("reject", "values larger than any message"),
        "type.duplicate-key": ("reject", "maps that contain a key twice"),
        "type.key-not-text": ("reject", "dictionaries whose keys are not text"),
        "text.bad-unicode": ("reject", "text that is not valid Unicode"),
        "time.out-of-range": (
            "reject",
            "times outside the years 1 to 9999, or spans over 292,000 years",
        ),
        "json.invalid": ("reject", "JSON text that cannot be parsed"),
        "type.text": ("info", "UUIDs, periods or intervals, written as text"),
        "type.set-sorted": ("warn", "sets, sent as sorted lists"),
        "type.json": ("info", "values of several types, which are sent unchanged as JSON"),
        "type.big-integers": ("warn", "integers beyond 64 bits: the column became text"),
        "type.big-decimals": ("warn", "decimals beyond 38 digits: the column became text"),
        "type.mixed-numbers": ("info", "both integers and floats: the column became floats"),
        "time.mixed": (
            "warn",
            "a mix of dates and times with and without time zone: the column became ISO 8601 text",
        ),
        "time.to-utc": ("info", "times with an offset, converted to UTC"),
        "number.not-finite": ("warn", "infinite numbers inside mixed values, sent as null"),
        "number.as-text": ("warn", "numbers that most software would round, sent as text"),
        "time.naive": ("warn", "times without a time zone inside mixed values, taken as UTC"),
    }
)


def note(code: str, column: str, *, count: int, rows: tuple[int, ...] = ()) -> Note:
    """Return the note for a code of `NOTE_TEXTS`."""
    severity, _ = NOTE_TEXTS[code]
    message = f"{sentence_of(code, column)} {counted_rows(count)}"
    rejected = rows if severity == "reject" else ()
    return Note(
        code=code, message=message, severity=severity, column=column, count=count, rows=rejected
    )


def sentence_of(code: str, column: str) -> str:
    """Return the sentence of the note for a code of `NOTE_TEXTS`, without the rows."""
    return f"Column {column!r} has {NOTE_TEXTS[code][1]}"


def counted_rows(count: int) -> str:
    """Return the end of the sentence: the number of rows."""
    return f"({count:,} {'row' if count == 1 else 'rows'})."


def check_names(names: Iterable[object]) -> list[str]:
    """Return the names as text, if they are valid names of columns.

    Names that are not text are not converted: `0` and `"0"` would become one trait.

    Raises:
        FrameError: If there are no columns.
        ColumnNamesError: If a name is not text, comes twice, or is `__row__`.
    """
    listed = list(names)
    if not listed:
        raise FrameError("The table has no columns. Pass a frame with at least one column.")
    not_text = [name for name in listed if not issubclass(type(name), str)]
    if not_text:
        raise ColumnNamesError(
            [_safe_name(name) for name in not_text],
            problem="Column names that are not text",
            hint="Rename them, for example df.rename(columns=str).",
        )
    texts = [str.__str__(str_name) for str_name in listed if isinstance(str_name, str)]
    _check_text_names(texts)
    return texts


def _check_text_names(names: list[str]) -> None:
    twice = []
    if len(set(names)) < len(names):  # counting each name takes long
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ColumnNamesError(
            twice,
            problem="Column names that appear more than once",
            hint="Rename or drop all but one of each.",
        )
    broken = [name.encode("utf-8", "replace").decode() for name in names if not encodable(name)]
    if broken:
        raise ColumnNamesError(
            broken, problem="Column names that are not valid Unicode", hint="Rename them."
        )
    if ROW in names:
        raise ColumnNamesError(
            [ROW],
            problem="A column name that cio_frames uses for row numbers",
            hint="Rename or drop the column.",
        )


def _safe_name(name: object) -> object:
    """Return the name if its repr is safe to call, else the name of its type."""
    return name if type(name) in {int, float, bool, tuple, type(None)} else type(name).__name__


def encodable(text: str) -> bool:
    """Return whether the text can be written as UTF-8 (a lone surrogate cannot)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
