"""The bad-input catalogue: 172 cases, each in every library that can hold it."""

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cio_frames as cio
from cio_frames.checks import CATALOGUE
from cio_frames.errors import (
    CioError,
    ColumnNamesError,
    ColumnTypeError,
    FrameError,
    InputFileError,
)
from cio_frames.plan.plan import planned

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
NAN, INF = float("nan"), float("inf")
ABSENT = object()
PERSON = {"user_id": "id"}
TIMED = {"user_id": "id", "event": cio.lit("E"), "timestamp": "x"}
EVENT = {"user_id": "id", "event": "x"}
Make = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the catalogue: how it is made in each library, and what must come of it.

    Attributes:
        number: Its number.
        what: What it is.
        makes: How each library makes it.
        call: The verb.
        asked: Its arguments.
        codes: Codes that must be found, by checks or by the door.
        not_codes: Codes that must not be found.
        sent: Value of the trait or property x of the first message; `ABSENT` if it has none.
        user: The userId of the first message.
        error: The error that must be raised instead.
        rejected: How many rows are left out.
    """

    number: int
    what: str
    makes: Mapping[str, Make]
    call: str = "identify"
    asked: Mapping[str, Any] = field(default_factory=lambda: PERSON)
    codes: tuple[str, ...] = ()
    not_codes: tuple[str, ...] = ()
    sent: Any = None
    user: Any = None
    error: type[CioError] | None = None
    rejected: int | None = None


def everywhere(data: Mapping[str, Any], kind: pa.DataType | None = None) -> dict[str, Make]:
    """Return how pandas, polars and Arrow make a table of the same columns."""
    return {
        "pandas": lambda: pd.DataFrame(dict(data)),
        "polars": lambda: pl.DataFrame(dict(data), strict=False),
        "arrow": lambda: pa.table(
            {
                name: pa.array(list(values), kind if name == "x" else None)
                for name, values in data.items()
            }
        ),
    }


def x(*values: Any, kind: pa.DataType | None = None) -> dict[str, Make]:
    """Return tables whose column x holds these values, for people u0, u1, ..."""
    return everywhere(
        {"id": [f"u{place}" for place in range(len(values))], "x": list(values)}, kind
    )


def ids(*values: Any) -> dict[str, Make]:
    """Return tables of these identifiers."""
    return everywhere({"id": list(values)})


def objects(*values: Any) -> dict[str, Make]:
    """Return tables whose column x holds any Python objects, where a library can hold them."""
    names = [f"u{place}" for place in range(len(values))]
    return {
        "pandas": lambda: pd.DataFrame({"id": names, "x": pd.Series(values, dtype=object)}),
        "polars": lambda: pl.DataFrame({"id": names, "x": pl.Series(values, dtype=pl.Object)}),
    }


def pandas_x(series: Callable[[], Any]) -> dict[str, Make]:
    """Return a pandas table whose column x is this series."""

    def make() -> Any:
        made = series()
        return pd.DataFrame({"id": [f"u{place}" for place in range(len(made))], "x": made})

    return {"pandas": make}


def polars_x(series: Callable[[], pl.Series]) -> dict[str, Make]:
    """Return a polars table whose column x is this series."""

    def make() -> Any:
        made = series()
        return pl.DataFrame({"id": [f"u{place}" for place in range(len(made))], "x": made})

    return {"polars": make}


def arrow_x(array: Callable[[], Any]) -> dict[str, Make]:
    """Return an Arrow table whose column x is this array."""

    def make() -> Any:
        made = array()
        return pa.table({"id": [f"u{place}" for place in range(len(made))], "x": made})

    return {"arrow": make}


def aware(*parts: int) -> dt.datetime:
    """Return a moment in UTC."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


def naive(*parts: int) -> dt.datetime:
    """Return a time without a zone."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - naive on purpose


def after(seconds: int) -> dt.timezone:
    """Return a zone that is so far from UTC."""
    return dt.timezone(dt.timedelta(seconds=seconds))


class Hostile:
    """An object whose every method raises."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = object.__hash__


def itself() -> list[Any]:
    """Return a list that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep(levels: int) -> Any:
    """Return a list in a list in a list."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def broken_utf8() -> Any:
    """Return an Arrow text array whose second value is not UTF-8."""
    raw = pa.array([b"fine", b"\xff\xfe"], pa.binary())
    return pa.Array.from_buffers(pa.string(), 2, raw.buffers())


DUPLICATE_MAP = [[("a", 1), ("a", 2)]]
LONG = "y" * 40_000
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
TEXT_TIME = "2024-01-02T03:04:05Z"
MESSAGE_ROOM = 32_000

CASES = (
    # 3.1 missing values
    Case(number=1, what="NaN in floats", makes=x(NAN, 1.5), sent=ABSENT),
    Case(number=2, what="None in objects", makes=objects(None, "a"), sent=ABSENT),
    Case(number=3, what="pd.NA", makes=pandas_x(lambda: pd.Series([pd.NA, 1], dtype="Int64")), sent=ABSENT),
    Case(number=4, what="NaT", makes=pandas_x(lambda: pd.Series([pd.NaT, pd.Timestamp(0, tz="UTC")])), sent=ABSENT),
    Case(number=5, what="Arrow null", makes=arrow_x(lambda: pa.array([None, "a"])), sent=ABSENT),
    Case(number=6, what="polars null", makes=polars_x(lambda: pl.Series([None, 1.0])), sent=ABSENT),
    Case(number=7, what="polars NaN", makes=polars_x(lambda: pl.Series([NAN, 1.0])), sent=ABSENT, codes=("number.nan",)),
    Case(number=8, what="None in a pandas str column", makes=pandas_x(lambda: pd.Series(["a", None], dtype="str").iloc[::-1]), sent=ABSENT),
    Case(number=9, what="the text nan", makes=x("nan", "a"), sent="nan", codes=("value.placeholder",)),
    Case(number=10, what="an all-null column", makes=x(None, None), sent=ABSENT, codes=("column.empty",)),
    Case(number=11, what="null inside a dictionary", makes=x({"a": None, "b": 1}), sent={"b": 1}),
    Case(number=12, what="a masked array", makes=pandas_x(lambda: pd.Series(np.ma.array([1, 2], mask=[True, False]))), sent=ABSENT),
    Case(number=13, what="Decimal NaN", makes=objects(decimal.Decimal("NaN"), decimal.Decimal(1)), sent=ABSENT),
    Case(number=14, what="NaN nested in a list", makes=objects([1.5, NAN], [2.5]), sent=[1.5, None]),
    Case(number=15, what="a table without rows", makes=everywhere({"id": [], "x": []}), asked={"user_id": cio.lit("u")}, rejected=0),
    Case(number=16, what="a table without columns", makes={"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": lambda: pa.table({})}, error=FrameError),
    # 3.2 placeholders
    Case(number=17, what="an empty text as id", makes=ids("", "u"), codes=("id.placeholder",), rejected=1),
    Case(number=18, what="blanks as id", makes=ids("   ", "u"), codes=("id.placeholder",), rejected=1),
    *(
        Case(number=number, what=f"{word} as id", makes=ids(word, "u"), codes=("id.placeholder",), rejected=1)
        for number, word in zip(range(19, 28), ("nan", "None", "null", "NaT", "N/A", "#N/A", "-", "undefined", "[object Object]"), strict=True)
    ),
    Case(number=28, what="0 as id", makes=ids("0", "u"), codes=("id.nobody",), rejected=0),
    Case(number=29, what="guest as id", makes=ids("guest", "u"), codes=("id.nobody",), rejected=0),
    Case(number=30, what="N/A, which one reader takes for null", makes=x("N/A", "b"), sent="N/A", codes=("value.placeholder",)),
    # 3.3 identifiers
    Case(number=31, what="123.0 from integers with nulls", makes=ids(123.0, None), codes=("id.float", "id.missing"), rejected=2),
    Case(number=32, what="beyond 2^53 in a float", makes=ids(2.0**53 + 2, 1.0), codes=("id.precision-lost",), rejected=2),
    Case(number=33, what="1e16 in a float", makes=ids(1e16), codes=("id.precision-lost",)),
    Case(number=34, what="a fraction as id", makes=ids(1.5), codes=("id.fractional",), rejected=1),
    Case(number=35, what="1E5 as id", makes=ids("1E5", "u"), codes=("id.scientific",), rejected=1),
    Case(number=36, what="leading zeros lost", makes=everywhere({"id": ["7", "012"], "code": ["007", "012"]}), codes=("id.zeros-lost",)),
    Case(number=37, what="integers and texts as ids", makes={name: (lambda lib=lib: lib({"id": [1, "1"]})) for name, lib in (("pandas", pd.DataFrame), ("polars", lambda data: pl.DataFrame({"id": pl.Series(data["id"], dtype=pl.Object)})))}, codes=("id.type",)),
    Case(number=38, what="integers beyond 64 bits", makes={"pandas": lambda: pd.DataFrame({"id": pd.Series([10**20], dtype=object)}), "polars": lambda: pl.DataFrame({"id": pl.Series([10**20], dtype=pl.Object)})}, user="100000000000000000000"),
    Case(number=39, what="a negative id", makes=ids(-5), codes=("id.negative",), rejected=0),
    Case(number=40, what="zero as id", makes=ids(0), codes=("id.nobody",), user="0"),
    Case(number=41, what="a truth value as id", makes=ids(True), codes=("id.boolean",)),
    Case(number=42, what="UUID objects", makes={"pandas": lambda: pd.DataFrame({"id": [uuid.UUID(int=5)]}), "polars": lambda: pl.DataFrame({"id": pl.Series([uuid.UUID(int=5)], dtype=pl.Object)})}, user=str(uuid.UUID(int=5))),
    Case(number=43, what="bytes as id", makes=ids(b"u1"), codes=("id.type",)),
    Case(number=44, what="white space around an id", makes=ids(" u1"), codes=("id.padded",), rejected=1),
    Case(number=45, what="a zero-width space in an id", makes=ids("u\u200b1"), codes=("id.invisible",), rejected=1),
    Case(number=46, what="ids apart in case", makes=ids("Ann", "ann"), codes=("id.case-variants",), rejected=0),
    Case(number=47, what="ids apart in Unicode form", makes=ids("jos\u00e9", "jose\u0301"), codes=("id.look-alikes",), rejected=0),
    Case(number=48, what="a Cyrillic letter in a Latin id", makes=ids("\u0430nn1", "ann1"), codes=("id.two-scripts", "id.look-alikes"), rejected=0),
    Case(number=49, what="an id over 150 bytes", makes=ids("é" * 76), codes=("id.too-long",), rejected=1),
    Case(number=50, what="an address among ids", makes=ids("u1", "u2", "a@b.co"), codes=("id.some-addresses",), rejected=0),
    Case(number=51, what="id and address swapped", makes=everywhere({"id": ["a@b.co", "u2"], "email": ["u1", "c@d.co"]}), codes=("id.swapped",), rejected=1),
    Case(number=52, what="two addresses, and mailto:", makes=everywhere({"id": ["u1", "u2"], "email": ["a@b.co, c@d.co", "mailto:a@b.co"]}), codes=("email.invalid", "email.wrapped"), rejected=1),
    Case(number=53, what="one id with several addresses", makes=everywhere({"id": ["u1", "u1"], "email": ["a@b.co", "c@d.co"]}), codes=("person.many-emails", "id.duplicate"), rejected=0),
    Case(number=54, what="one address with several ids", makes=everywhere({"id": ["u1", "u2"], "email": ["a@b.co", "A@b.co"]}), codes=("person.shared-email",), rejected=0),
    Case(number=55, what="an alias of an id to itself", makes=everywhere({"id": ["a"], "x": ["a"]}), call="alias", asked={"previous_id": "x", "user_id": "id"}, codes=("alias.self",), rejected=1),
    Case(number=56, what="a circle of aliases", makes=everywhere({"id": ["a", "b"], "x": ["b", "a"]}), call="alias", asked={"previous_id": "x", "user_id": "id"}, codes=("alias.cycle",), rejected=2),
    Case(number=57, what="a chain of aliases", makes=everywhere({"id": ["b", "c"], "x": ["a", "b"]}), call="alias", asked={"previous_id": "x", "user_id": "id"}, codes=("alias.chain",), rejected=0),
    Case(number=58, what="a group without id", makes=ids(None, "g"), call="group", asked={"group_id": "id"}, codes=("id.missing",), rejected=1),
    Case(number=59, what="an object type that is no number", makes=x("company", "2"), call="group", asked={"group_id": "id", "object_type_id": "x"}, codes=("group.type",), rejected=1),
    Case(number=60, what="neither id", makes=everywhere({"id": [None, "u"], "anon": [None, None]}), asked={"user_id": "id", "anonymous_id": "anon"}, codes=("id.missing",), rejected=1),
    # 3.4 numbers
    Case(number=61, what="infinity", makes=x(INF, 1.5), codes=("number.infinite",), rejected=1),
    Case(number=62, what="minus zero", makes=x(-0.0), sent=0),
    Case(number=63, what="decimals", makes=x(decimal.Decimal("1.10")), sent=1.1),
    Case(number=64, what="a decimal beyond doubles", makes=objects(decimal.Decimal("1e400")), sent="1E+400", codes=("type.big-decimals",)),
    Case(number=65, what="128-bit integers", makes=polars_x(lambda: pl.Series([2**100], dtype=pl.Int128)), sent=str(2**100), codes=("number.large",)),
    Case(number=66, what="the largest unsigned integer", makes=x(2**64 - 1, kind=pa.uint64()), sent=str(2**64 - 1), codes=("number.large",)),
    Case(number=67, what="32-bit floats", makes={**pandas_x(lambda: pd.Series([0.1], dtype="float32")), **polars_x(lambda: pl.Series([0.1], dtype=pl.Float32)), **arrow_x(lambda: pa.array([0.1], pa.float32()))}, sent=0.1),
    Case(number=68, what="a complex number", makes=objects(1j), codes=("type.unsupported",), rejected=1),
    Case(number=69, what="numpy scalars", makes=objects(np.int64(5)), sent=5),
    Case(number=70, what="currency", makes=x("$1,234"), sent="$1,234", codes=("column.numbers-as-text",)),
    Case(number=71, what="a decimal comma", makes=x("1,5"), sent="1,5", codes=("column.numbers-as-text",)),
    Case(number=72, what="percent", makes=x("5%"), sent="5%", codes=("column.numbers-as-text",)),
    Case(number=73, what="truth in words", makes=x("Y", "N"), sent="Y", codes=("column.truth-as-text",)),
    Case(number=74, what="a number with its unit", makes=x("5 kg"), sent="5 kg", codes=("column.numbers-as-text",)),
    # 3.5 time
    Case(number=75, what="a naive time", makes=x(naive(2024, 1, 2)), call="track", asked=TIMED, codes=("time.naive",), rejected=0),
    Case(number=76, what="a local time that comes twice", makes=x(naive(2024, 10, 27, 2, 30)), call="track", asked={**TIMED, "timezone": "Europe/Berlin"}, codes=("time.clock-change",), rejected=1),
    Case(number=77, what="a local time that is skipped", makes=x(naive(2024, 3, 31, 2, 30)), call="track", asked={**TIMED, "timezone": "Europe/Berlin"}, codes=("time.clock-change",), rejected=1),
    Case(number=78, what="several offsets", makes=x("2024-01-02T03:04:05+01:00", "2024-01-02T03:04:05-05:00"), call="track", asked=TIMED, codes=("time.offsets",), rejected=0),
    Case(number=79, what="the year 1", makes=x("0001-01-01T00:00:00Z"), call="track", asked=TIMED, codes=("time.early",), rejected=1),
    Case(number=80, what="the year 9999", makes=x("9999-12-31T00:00:00Z"), call="track", asked=TIMED, codes=("time.future",), rejected=1),
    Case(number=81, what="the year 10000", makes=x("10000-01-01T00:00:00Z"), call="track", asked=TIMED, codes=("time.unreadable",), rejected=1),
    Case(number=82, what="epoch seconds", makes=x(1_700_000_000), call="track", asked=TIMED, codes=("time.epoch",), rejected=0),
    Case(number=83, what="epoch milliseconds", makes=x(1_700_000_000_000), call="track", asked=TIMED, codes=("time.epoch",), rejected=0),
    Case(number=84, what="epoch microseconds", makes=x(1_700_000_000_000_000), call="track", asked=TIMED, codes=("time.epoch",), rejected=0),
    Case(number=85, what="epochs of several units", makes=x(1_700_000_000, 1_700_000_000_000), call="track", asked=TIMED, codes=("time.epoch-mixed",)),
    Case(number=86, what="seconds read as nanoseconds", makes=pandas_x(lambda: pd.to_datetime(pd.Series([1_700_000_000]), utc=True)), call="track", asked=TIMED, codes=("time.misread-unit",)),
    Case(number=87, what="a spreadsheet's day", makes=x(45_000), call="track", asked=TIMED, codes=("time.excel-serial",), not_codes=("time.unreadable",), rejected=1),
    Case(number=88, what="20240102", makes=x(20_240_102), call="track", asked=TIMED, codes=("time.compact",), not_codes=("time.unreadable",), rejected=1),
    Case(number=89, what="01/02/2024", makes=x("01/02/2024"), call="track", asked=TIMED, codes=("time.day-or-month",), not_codes=("time.unreadable",), rejected=1),
    Case(number=90, what="a leap second", makes=x("2016-12-31T23:59:60Z"), call="track", asked=TIMED, codes=("time.unreadable",), rejected=1),
    Case(number=91, what="24:00", makes=x("2024-01-01T24:00:00Z"), call="track", asked=TIMED, codes=("time.unreadable",), rejected=1),
    Case(number=92, what="the future", makes=x(aware(2030, 1, 1)), call="track", asked=TIMED, codes=("time.future",), rejected=1),
    Case(number=93, what="an offset with seconds", makes=objects(dt.datetime(1975, 1, 1, tzinfo=after(1172))), call="track", asked=TIMED, codes=("time.to-utc",), rejected=0),
    Case(number=94, what="a time of day", makes=x(dt.time(3, 4)), sent="03:04:00"),
    Case(number=95, what="a duration", makes=x(dt.timedelta(hours=1, minutes=30)), sent="PT1H30M"),
    Case(number=96, what="a period", makes=pandas_x(lambda: pd.Series(pd.period_range("2024-01", periods=1, freq="M"))), sent="2024-01", codes=("type.text",)),
    Case(number=97, what="an interval", makes=pandas_x(lambda: pd.Series(pd.interval_range(0, 1))), sent="(0, 1]", codes=("type.text",)),
    Case(number=98, what="a calendar interval", makes=arrow_x(lambda: pa.array([(1, 2, 3_000_000_000)], pa.month_day_nano_interval())), sent="P1M2DT3S"),
    Case(number=99, what="a date alone", makes=x(dt.date(2024, 1, 2)), call="track", asked=TIMED, codes=("time.date-only",), rejected=0),
    Case(number=100, what="a time as text without a zone", makes=x("2024-01-02 03:04:05"), call="track", asked=TIMED, codes=("time.naive-text",), rejected=0),
    Case(number=101, what="rows of one person out of order", makes=everywhere({"id": ["u", "u"], "x": ["2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"]}), call="track", asked=TIMED, codes=("time.unsorted",), rejected=0),
    Case(number=102, what="datetimes, which some writers put with a space", makes=x(aware(2024, 1, 1)), sent="2024-01-01T00:00:00.000Z"),
    # 3.6 text
    Case(number=103, what="half a surrogate pair", makes=objects("\ud800", "a"), codes=("text.bad-unicode",), rejected=1),
    Case(number=104, what="text that is not UTF-8", makes=arrow_x(broken_utf8), codes=("text.bad-unicode",), rejected=1),
    Case(number=105, what="NUL", makes=x("a\x00b"), sent="a\x00b", codes=("text.control",)),
    Case(number=106, what="control characters", makes=x("a\x07\x9b"), sent="a\x07\x9b", codes=("text.control",)),
    Case(number=107, what="a direction override", makes=x("a\u202eb"), sent="a\u202eb", codes=("text.direction",)),
    Case(number=108, what="an emoji of several signs", makes=x("👩🏽\u200d🌾"), sent="👩🏽\u200d🌾", rejected=0),
    Case(number=109, what="line separators", makes=x("a\u2028b"), sent="a\u2028b", codes=("text.control",)),
    Case(number=110, what="a huge text", makes=x("z" * 1_000_000), codes=("message.too-large",), rejected=1),
    Case(number=111, what="a message at the limit", makes=x(LONG[:31_000], LONG), codes=("message.too-large",), rejected=1),
    Case(number=112, what="mojibake", makes=x("ZÃ¼rich"), sent="ZÃ¼rich", codes=("text.mojibake",)),
    Case(number=113, what="HTML entities", makes=x("a &amp; b"), sent="a &amp; b", codes=("text.entity",)),
    Case(number=114, what="event names: empty, too long, of two spellings", makes=x("", "y" * 101, *["Order Placed"] * 3, "order placed"), call="track", asked=EVENT, codes=("event.missing", "event.too-long", "event.variants"), rejected=2),
    Case(number=115, what="an event that deletes", makes=x("User Deleted"), call="track", asked=EVENT, codes=("event.destructive",)),
    # 3.7 types and nesting
    Case(number=116, what="several types in one column", makes=objects(1, "a", {"b": 1}, None), sent=1, codes=("type.json",), rejected=0),
    Case(number=117, what="lists", makes=x([1, 2]), sent=[1, 2]),
    Case(number=118, what="structs", makes=x({"a": 1}), sent={"a": 1}),
    Case(number=119, what="fixed arrays", makes={**polars_x(lambda: pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2))), **arrow_x(lambda: pa.array([[1, 2]], pa.list_(pa.int64(), 2)))}, sent=[1, 2]),
    Case(number=120, what="a map with one key twice", makes=arrow_x(lambda: pa.array(DUPLICATE_MAP, pa.map_(pa.string(), pa.int64()))), codes=("type.duplicate-key",), rejected=1),
    Case(number=121, what="a struct with one field name twice", makes=arrow_x(lambda: pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])), error=ColumnTypeError),
    Case(number=122, what="keys that are no text", makes=objects({1: "a"}), codes=("type.key-not-text",), rejected=1),
    Case(number=123, what="nesting without end", makes=objects(deep(3000)), codes=("type.too-deep",), rejected=1),
    Case(number=124, what="a list that contains itself", makes=objects(itself()), codes=("type.too-deep",), rejected=1),
    Case(number=125, what="a set", makes=objects({2, 1}), sent=[1, 2], codes=("type.set-sorted",)),
    Case(number=126, what="bytes", makes=x(b"ab"), codes=("type.unsupported",), rejected=1),
    Case(number=127, what="categories", makes={**pandas_x(lambda: pd.Series(["a"], dtype=pd.CategoricalDtype(["b", "a"], ordered=True))), **polars_x(lambda: pl.Series(["a"], dtype=pl.Categorical)), **arrow_x(lambda: pa.array(["a"]).dictionary_encode())}, sent="a"),
    Case(number=128, what="an enumeration", makes=polars_x(lambda: pl.Series(["a"], dtype=pl.Enum(["a", "b"]))), sent="a"),
    Case(number=129, what="objects of a class", makes=objects(object()), codes=("type.unsupported",), rejected=1),
    Case(number=130, what="a sparse column", makes=pandas_x(lambda: pd.Series(pd.arrays.SparseArray([1.5, NAN]))), sent=1.5),
    Case(number=131, what="an extension type", makes=pandas_x(lambda: pd.Series(["a"], dtype="string")), sent="a"),
    Case(number=132, what="Arrow encodings", makes={**arrow_x(lambda: pa.array(["a", "a"], pa.large_string()))}, sent="a"),
    Case(number=133, what="objects with hostile methods", makes=objects(Hostile()), codes=("type.unsupported",), rejected=1),
    Case(number=134, what="JSON as text", makes=x('{"a":1}'), sent='{"a":1}', codes=("text.json",)),
    Case(number=135, what="a lazy frame", makes={"polars": lambda: pl.LazyFrame({"id": ["u"], "x": [1]})}, sent=1),
    Case(number=136, what="a frame that is changed later", makes=x("before"), sent="before"),
    # 3.8 columns and index
    Case(number=137, what="a column name twice", makes={"pandas": lambda: pd.DataFrame([["u", 1]], columns=["id", "id"]), "arrow": lambda: pa.table([pa.array(["u"]), pa.array([1])], names=["id", "id"])}, error=ColumnNamesError),
    Case(number=138, what="column names that are no text", makes={"pandas": lambda: pd.DataFrame({"id": ["u"], 0: [1]})}, error=ColumnNamesError),
    Case(number=139, what="columns of several levels", makes={"pandas": lambda: pd.DataFrame([["u"]], columns=pd.MultiIndex.from_tuples([("a", "id")]))}, error=ColumnNamesError),
    Case(number=140, what="an index that holds something", makes={"pandas": lambda: pd.DataFrame({"id": ["u"]}, index=pd.Index(["k"], name="key"))}, codes=("frame.index-ignored",), rejected=0),
    Case(number=141, what="index labels that come twice", makes={"pandas": lambda: pd.DataFrame({"id": ["u", "v"]}, index=[5, 5])}, codes=("frame.index-ignored",), rejected=0),
    Case(number=142, what="odd names", makes=everywhere({"id": ["u"], "$plan ": ["pro"], "_x": [1]}), codes=("name.odd", "name.reserved"), rejected=0),
    Case(number=143, what="names apart in case", makes=everywhere({"id": ["u"], "Plan": ["a"], "plan": ["b"]}), codes=("name.variants",), rejected=0),
    Case(number=144, what="a name over 150 bytes", makes=everywhere({"id": ["u"], "y" * 151: [1]}), codes=("name.too-long",)),
    Case(number=145, what="more than 300 attributes", makes=everywhere({"id": ["u"], **{f"a{place}": [1] for place in range(301)}}), codes=("name.too-many", "person.too-many"), rejected=0),
    Case(number=146, what="names of the message's own fields", makes=everywhere({"id": ["u"], "messageId": ["m"], "cio_id": ["c"]}), codes=("name.envelope", "name.reserved"), rejected=0),
    Case(number=147, what="a column of passwords", makes=everywhere({"id": ["u"], "password": ["hunter2"]}), codes=("sensitive.secret-column",)),
    Case(number=148, what="row numbers and constants", makes=everywhere({"id": ["u", "v"], "Unnamed: 0": [0, 1], "same": [1, 1]}), codes=("column.left-over", "column.constant"), rejected=0),
    Case(number=149, what="very many columns", makes={"polars": lambda: pl.DataFrame({"id": ["u"], **{f"a{place}": [place] for place in range(2_000)}})}, codes=("name.too-many",)),
    # 3.10 sensitive and hostile content; 3.9 is below
    Case(number=168, what="card numbers, spaced and as floats", makes=everywhere({"id": ["u", "v"], "x": ["4111 1111 1111 1111", "ok"], "y": [4111111111111111.0, 5.0]}), codes=("sensitive.card",), rejected=1),
    Case(number=169, what="an IBAN and a state's number", makes=x("DE89 3704 0044 0532 0130 00", "078-05-1121"), codes=("sensitive.iban", "sensitive.national-id"), rejected=2),
    Case(number=170, what="secrets", makes=x("sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", JWT, "-----BEGIN PRIVATE KEY-----"), codes=("sensitive.secret",), rejected=3),
    Case(number=171, what="HTML in values and names", makes=everywhere({"id": ["u"], "<b>x</b>": ["<script>alert(1)</script>"]}), codes=("text.markup", "name.odd"), rejected=0),
    Case(number=172, what="spreadsheet formulas", makes=x("=1+1", "\uff1dSUM(A1)"), sent="=1+1", codes=("text.formula",), rejected=0),
)  # fmt: skip

RUNS = [
    pytest.param(case, library, id=f"{case.number}-{library}")
    for case in CASES
    for library in case.makes
]


def plan_of(case: Case, library: str) -> cio.Plan:
    """Return the plan for a case in a library."""
    made = getattr(cio.frame(case.makes[library]()), case.call)(**case.asked)
    return planned(replace(made.pipeline, clock=lambda: NOW))


def sent(plan: cio.Plan) -> dict[str, Any]:
    """Return the first message, whatever forbids sending it."""
    first = plan.payloads(1)
    return dict(first[0]) if first else {}


@pytest.mark.parametrize(("case", "library"), RUNS)
def test_a_case_ends_as_the_catalogue_says(case: Case, library: str):
    """Each case is refused, rejected, warned of or sent as its row says; nothing else is raised."""
    if case.error is not None:
        with pytest.raises(case.error):
            plan_of(case, library)
        return

    plan = plan_of(case, library)
    codes = set(plan.pipeline.full_check.findings["code"])

    assert set(case.codes) <= codes
    assert not set(case.not_codes) & codes
    assert plan.counts["rows"] == plan.counts["valid"] + plan.counts["rejected"]
    if case.rejected is not None:
        assert plan.counts["rejected"] == case.rejected
    if case.user is not None:
        assert sent(plan)["userId"] == case.user
    if case.sent is not None:
        body = sent(plan).get("traits", {})
        assert body.get("x", ABSENT) == case.sent


OWN = {check.code for check in CATALOGUE}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if len(case.makes) > 1 and not case.error],
    ids=lambda case: case.number,
)
def test_libraries_agree(case: Case):
    """All libraries give the same codes for the same rows, and the same bytes.

    NaN is reported except for pandas, which writes empty cells as NaN.
    """
    plans = [plan_of(case, library) for library in case.makes]

    results = [
        sorted(
            plan.pipeline.full_check.findings.filter(pl.col("code").is_in(OWN - {"number.nan"}))
            .select("code", "row", "column")
            .rows(),
            key=repr,
        )
        for plan in plans
    ]
    messages = [plan.pipeline.messages(10) for plan in plans]

    assert all(one == results[0] for one in results)
    assert all(one == messages[0] for one in messages)


def test_a_plan_does_not_see_later_changes():
    """What is done to a frame after the plan was made does not reach it."""
    pandas, polars = (
        pd.DataFrame({"id": ["u"], "x": ["before"]}),
        pl.DataFrame({"id": ["u"], "x": ["before"]}),
    )
    plans = [pandas.cio.identify(user_id="id"), polars.cio.identify(user_id="id")]

    pandas.loc[0, "x"] = "after"
    polars[0, "x"] = "after"

    assert [plan.payloads(1)[0]["traits"]["x"] for plan in plans] == ["before", "before"]


@pytest.mark.parametrize("size", [31_999, 32_000, 32_001])
def test_the_limit_of_a_message_is_in_bytes(size):
    """A message of 32,000 bytes is sent, one of a byte more is not."""
    empty = pl.DataFrame({"id": ["u"], "x": ["é"]}).cio.identify(user_id="id")
    room = size - len(empty.pipeline.messages(1)[0].encode())
    plan = pl.DataFrame({"id": ["u"], "x": ["é" + "y" * room]}).cio.identify(user_id="id")

    assert plan.counts["valid"] == (size <= 32_000)


def text_file(folder: Path, content: bytes) -> Path:
    """Write a CSV file."""
    path = folder / "people.csv"
    path.write_bytes(content)
    return path


FILES: dict[int, tuple[str, bytes, type[CioError] | None, str]] = {
    150: ("rows longer than the header", b"id,a\nu1,1,9\nu2,2,8\n", InputFileError, ""),
    151: ("rows shorter than the header", b"id,a,b\nu1,1\nu2,2,3\n", None, "file.short-rows"),
    152: ("a byte order mark", b"\xef\xbb\xbfid,a\nu1,1\n", None, ""),
    153: ("UTF-16", "id,a\nu1,1\n".encode("utf-16"), InputFileError, ""),
    154: ("Latin-1", "id,a\nu1,Zürich\n".encode("latin-1"), InputFileError, ""),
    155: ("NUL bytes", b"id,a\nu1,a\x00b\n", None, "text.control"),
    156: ("a quote that is not closed", b'id,a\nu1,"open\nu2,2\n', InputFileError, ""),
    157: ("CR alone", b"id,a\ru1,1\r", InputFileError, ""),
    158: ("semicolons", b"id;a\nu1;1\n", None, "file.separator"),
    159: ("a header that repeats a name", b"id,a,a\nu1,1,2\n", InputFileError, ""),
    160: ("a type that changes late", b"id,a\n" + b"1,1\n" * 20_000 + b"x,text\n", None, ""),
    161: ("nothing in it", b"", InputFileError, ""),
    166: ("a spreadsheet", b"PK\x03\x04" + b"\x00" * 40, InputFileError, ""),
    167: ("a pickle", b"\x80\x04\x95\x00\x00\x00\x00", InputFileError, ""),
}


@pytest.mark.parametrize("number", FILES)
def test_a_file_ends_as_the_catalogue_says(number, tmp_path):
    """A file is read completely and reported on, or refused with an error of this package."""
    _, content, error, code = FILES[number]
    path = text_file(tmp_path, content)
    if error is not None:
        with pytest.raises(error):
            cio.scan(path).cio.identify(user_id="id").counts  # noqa: B018 - counting reads the file
        return

    plan = cio.scan(path).cio.identify(user_id="id")

    assert plan.counts["rows"] == plan.counts["valid"] + plan.counts["rejected"] > 0
    assert not code or code in set(plan.pipeline.full_check.findings["code"])
    assert plan.pipeline.mapping.find("user_id").dtype == pl.String


PARQUET: dict[int, str] = {
    162: "cut off",
    163: "INT96 times",
    164: "old layout of lists",
    165: "a bomb",
}


def test_parquet_files_end_as_the_catalogue_says(tmp_path):
    """A cut file is refused with an error of this package; old types and layouts are read."""
    whole = tmp_path / "whole.parquet"
    table = pa.table({"id": ["u"], "t": [aware(2024, 1, 2)], "l": [[1, 2]]})
    pq.write_table(
        table, whole, use_deprecated_int96_timestamps=True, use_compliant_nested_type=False
    )
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])

    traits = cio.scan(whole).cio.identify(user_id="id").payloads(1)[0]["traits"]

    assert traits == {"t": "2024-01-02T00:00:00.000Z", "l": [1, 2]}
    with pytest.raises(InputFileError):
        cio.scan(cut).cio.identify(user_id="id").counts  # noqa: B018 - counting reads the file


def test_a_file_that_swells_is_read_in_parts(tmp_path):
    """A small file of many equal rows is counted without holding them all."""
    path = tmp_path / "swollen.parquet"
    pl.DataFrame({"id": ["u"], "x": ["y" * 2_000]}).select(
        pl.all().repeat_by(100_000).explode(empty_as_null=True, keep_nulls=True)
    ).write_parquet(path, row_group_size=10_000)
    checks = cio.Checks(ignore=["message"])

    counts = cio.scan(path).cio.identify(user_id="id", checks=checks).counts

    assert path.stat().st_size < 1_000_000
    assert counts["valid"] == 100_000


def test_every_number_of_the_catalogue_is_here():
    """No case from 1 to 172 is missing, and none is there twice."""
    numbers = [case.number for case in CASES] + list(FILES) + list(PARQUET)

    assert sorted(numbers) == list(range(1, 173))


def test_every_code_that_a_case_names_exists():
    """A misspelt code would make a case vacuous, were it among those that must not be found."""
    from cio_frames.frames.column import NOTE_TEXTS

    door = {*NOTE_TEXTS, "frame.index-ignored"}
    named = {code for case in CASES for code in (*case.codes, *case.not_codes)}

    assert named <= OWN | door
    assert json.dumps(sorted(named))
