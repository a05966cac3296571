"""Reading tables: any table in, the same table out, and every conversion reported."""

import gzip
import json
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from cio_frames.errors import (
    ColumnNamesError,
    ColumnTypeError,
    FrameError,
    InputFileError,
    UnsupportedFrameError,
)
from cio_frames.frames import ROW, Note, Table, fingerprint, parquet, read, scan
from cio_frames.frames.file_content import refuse_bomb

INSTANT = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
PEOPLE: Mapping[str, list[Any]] = {
    "id": ["u1", "u2", None],
    "visits": [1, 2, 3],
    "score": [0.5, None, 2.25],
    "paying": [True, False, True],
    "seen": [INSTANT, None, INSTANT + timedelta(hours=1)],
    "born": [date(1990, 1, 2), None, date(2001, 3, 4)],
    "tags": [["a", "b"], [], None],
    "address": [{"city": "Porto", "zip": "4000"}, {"city": "Lyon", "zip": None}, None],
}


class Hostile:
    """An object that must not be looked at."""

    def __str__(self) -> str:
        raise AssertionError("str was called")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("== was called")

    __hash__ = None  # type: ignore[assignment]


class BrokenZone(tzinfo):
    """A zone that knows no offset."""

    def utcoffset(self, _moment: datetime | None) -> timedelta:
        """Fail."""
        raise ZeroDivisionError("utcoffset was called")


class BrokenMapping(Mapping[str, object]):
    """A mapping whose store is gone."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("the store is gone")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("the store is gone")

    def __len__(self) -> int:
        return 1


class OwnDate(date):
    """A date of another library."""


class OwnTime(time):
    """A time of another library."""


class OwnMoment(datetime):
    """A point in time of another library."""

    def isoformat(self, *_: Any, **__: Any) -> str:
        """Fail."""
        raise AssertionError("isoformat was called")


class OwnSpan(timedelta):
    """A duration of another library."""


class OwnDecimal(Decimal):
    """A decimal of another library."""

    def __str__(self) -> str:
        raise AssertionError("str was called")


def span_without_unit() -> np.timedelta64:
    """Return a span that old pickles have: numpy makes no new ones without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.timedelta64(1)


def naive(year: int, month: int, day: int) -> datetime:
    """Return midnight without a zone."""
    return datetime.combine(date(year, month, day), time())


def values(table: Table) -> dict[str, list[Any]]:
    """Return the table's values column by column."""
    return table.lazy.collect().to_dict(as_series=False)


def codes(table: Table) -> set[str]:
    """Return the codes of the table's notes."""
    return {note.code for note in table.notes}


def objects(*items: Any) -> pd.DataFrame:
    """Return a pandas frame with one object column `x`."""
    column = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        column[place] = item
    return pd.DataFrame({"x": pd.Series(column, dtype=object)})


def test_same_data_reads_the_same_from_every_library(frame_of):
    """One data set has the same values whichever library holds it."""
    assert values(read(frame_of(PEOPLE))) == PEOPLE


def test_same_data_has_one_fingerprint_in_every_library(libraries):
    """pandas, polars and Arrow tables of the same data and types have one fingerprint."""
    plain = {name: PEOPLE[name] for name in ("id", "visits", "score", "seen", "tags", "address")}

    prints = {fingerprint(read(frame_of(plain))) for frame_of in libraries.values()}

    assert len(prints) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", [pa.timestamp, pa.duration])
def test_fingerprint_does_not_depend_on_the_unit_of_times(kind, unit):
    """Instants and spans kept in any unit, alone, in a list or in a struct, have one fingerprint."""
    times = pa.array([1_700_000_000, -1, None], pa.int64()).cast(kind("s"))

    def table(times: pa.Array) -> Table:
        items = pa.ListArray.from_arrays([0, 1, 3, 3], times)
        return read(
            pa.table({"a": times, "l": items, "s": pa.StructArray.from_arrays([times], ["m"])})
        )

    assert fingerprint(table(times.cast(kind(unit)))) == fingerprint(table(times.cast(kind("us"))))
    later = pc.add(times.cast(kind("us")), pa.scalar(timedelta(microseconds=1), pa.duration("us")))
    assert fingerprint(table(later)) != fingerprint(table(times))


def test_fingerprint_is_the_same_for_what_pandas_2_and_3_make_of_a_file():
    """Times in ns or us, text as objects or as strings, and a column without values: one fingerprint."""
    days = ["2024-01-31", "2024-02-29", None]
    two = {"at": np.array(days, "M8[ns]"), "name": np.array(["a", "b", None], object)}
    three = {"at": np.array(days, "M8[us]"), "name": pd.array(["a", "b", None], dtype="string")}
    empty = [None, None, None]
    before = pd.DataFrame(two | {"empty": np.array(empty, object)})
    after = pd.DataFrame(three | {"empty": pd.array(empty, dtype="string")})
    before["kind"] = pd.Categorical(before["at"])
    after["kind"] = pd.Categorical(after["at"])

    assert fingerprint(read(before)) == fingerprint(read(after))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"a": [1, 3, 2]}, id="order"),
        pytest.param({"b": [1, 2, 3]}, id="name"),
        pytest.param({"a": [1.0, 2.0, 3.0]}, id="type"),
        pytest.param({"a": [1, 2]}, id="rows"),
        pytest.param({"a": [1, 2, None]}, id="null"),
    ],
)
def test_fingerprint_changes_with_the_content(other):
    """Another order, name, type, number of rows or value is another fingerprint."""
    assert fingerprint(read(pl.DataFrame(other))) != fingerprint(
        read(pl.DataFrame({"a": [1, 2, 3]}))
    )


def test_fingerprint_of_categories_is_that_of_their_text():
    """A categorical column, also inside a list, has the fingerprint of its text."""
    text = pl.DataFrame({"a": ["x", "y", "x"], "l": [["p"], ["q"], []], "f": [["p"], ["q"], ["q"]]})
    text = text.cast({"f": pl.Array(pl.String, 1)})
    enum = pl.Enum(["q", "p"])
    categories = text.cast({"a": pl.Categorical, "l": pl.List(enum), "f": pl.Array(enum, 1)})

    assert fingerprint(read(categories)) == fingerprint(read(text))


@pytest.mark.parametrize(
    "thing",
    [
        pytest.param(pa.table({"id": ["u1"], "n": [2]}).to_reader(), id="record-batch-reader"),
        pytest.param(pa.record_batch({"id": ["u1"], "n": [2]}), id="record-batch"),
        pytest.param([{"id": "u1", "n": 2}], id="records"),
        pytest.param(read(pl.DataFrame({"id": ["u1"], "n": [2]})), id="table"),
    ],
)
def test_other_tables_are_read(thing):
    """Anything with an Arrow stream, a list of dictionaries and a Table are read."""
    assert values(read(thing)) == {"id": ["u1"], "n": [2]}


def test_duckdb_relations_are_read():
    """A DuckDB relation is read through its Arrow stream, maps and enumerations included."""
    with duckdb.connect() as connection:
        relation = connection.sql("select 'u1' as id, map {'k': 1} as m, 'a'::enum('a', 'b') as e")

        table = read(relation)

    assert values(table) == {"id": ["u1"], "m": [{"k": 1}], "e": ["a"]}


def test_records_with_different_keys_become_one_table():
    """A key that a dictionary lacks is a missing value."""
    assert values(read([{"a": 1}, {"b": "x"}])) == {"a": [1, None], "b": [None, "x"]}


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        pytest.param("people.csv", "cio.scan", id="path-text"),
        pytest.param(Path("people.csv"), "cio.scan", id="path"),
        pytest.param(pl.Series([1]), "Series", id="polars-series"),
        pytest.param({"a": [1]}, "dict is not a table", id="dict"),
        pytest.param([], "list is not a table", id="empty-list"),
        pytest.param(None, "NoneType", id="none"),
        pytest.param(Hostile(), "Hostile", id="hostile"),
    ],
)
def test_what_is_no_table_is_refused(thing, words):
    """An object that is no table is refused by its type, with what to pass instead."""
    with pytest.raises(UnsupportedFrameError, match=words):
        read(thing)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        pytest.param(
            pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once: 'a'", id="double"
        ),
        pytest.param(
            pa.table([[1], [2]], names=["a", "a"]), "more than once: 'a'", id="double-arrow"
        ),
        pytest.param(pd.DataFrame([[1, 2]]), "not text: 0, 1. Rename", id="integers"),
        pytest.param(pd.DataFrame([[1]], columns=[None]), "not text: None", id="none"),
        pytest.param(
            pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
            "several levels.*Flatten",
            id="levels",
        ),
        pytest.param([{"a\ud83d": 1}], "not valid Unicode: 'a[?]'", id="surrogate"),
        pytest.param(pd.DataFrame({ROW: [1]}), "row numbers: '__row__'", id="row-pandas"),
        pytest.param(pl.LazyFrame({ROW: [1]}), "row numbers: '__row__'", id="row-lazy"),
        pytest.param([{1: "x"}], "not text: 1", id="records"),
    ],
)
def test_names_that_cannot_be_columns_are_refused(frame, words):
    """Doubled, non-text, multi-level and reserved names are refused with a hint."""
    with pytest.raises(ColumnNamesError, match=words):
        read(frame)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(index=[1, 2]), pl.DataFrame(), pl.LazyFrame(), pa.table({})]
)
def test_no_columns_is_an_error(frame):
    """A table without columns is refused."""
    with pytest.raises(FrameError, match="no columns"):
        read(frame)


def test_empty_frames_are_fine(frame_of):
    """A table with columns and no rows is read, counted and yields no chunk."""
    table = read(frame_of({"id": ["x"]}))
    empty = read(table.lazy.head(0))

    assert (empty.rows(), list(empty.chunks()), empty.schema()["id"]) == (0, [], pl.String)


@pytest.mark.parametrize(
    ("series", "dtype", "expected"),
    [
        pytest.param(pd.Series([1.5, np.nan]), pl.Float64, [1.5, None], id="nan"),
        pytest.param(pd.Series([1, None]), pl.Float64, [1.0, None], id="integer-made-float"),
        pytest.param(pd.Series([1, None], dtype="Int64"), pl.Int64, [1, None], id="nullable"),
        pytest.param(pd.Series([1.5, pd.NA], dtype="Float64"), pl.Float64, [1.5, None], id="Float64"),
        pytest.param(pd.Series([True, None], dtype="boolean"), pl.Boolean, [True, None], id="boolean"),
        pytest.param(pd.Series(["a", None]), pl.String, ["a", None], id="str"),
        pytest.param(pd.Series(["a", None], dtype="string"), pl.String, ["a", None], id="string"),
        pytest.param(pd.Series(["a", None], dtype="category"), pl.String, ["a", None], id="category"),
        pytest.param(pd.Series([7, None], dtype="Int64").astype("category"), pl.Int64, [7, None], id="category-int"),
        pytest.param(pd.Series(pd.Categorical([7, None], [7, 9])), pl.Int64, [7, None], id="category-numpy-int"),
        pytest.param(pd.Series([0, 5], dtype="Sparse[int]"), pl.Int64, [0, 5], id="sparse"),
        pytest.param(pd.Series([None, pd.NA, pd.NaT, np.nan, Decimal("NaN")], dtype=object), pl.Null, [None] * 5, id="every-null"),
        pytest.param(pd.Series(pd.period_range("2024-01", periods=2, freq="M")), pl.String, ["2024-01", "2024-02"], id="period"),
        pytest.param(pd.Series(pd.IntervalIndex.from_breaks([0, 1, 2])), pl.String, ["(0, 1]", "(1, 2]"], id="interval"),
        pytest.param(pd.Series(pd.cut([1, 3], [0, 2, 4])), pl.String, ["(0, 2]", "(2, 4]"], id="cut"),
        pytest.param(pd.Series(pd.to_timedelta(["1h", None])), pl.Duration, [timedelta(hours=1), None], id="timedelta"),
        pytest.param(pd.Series([naive(2024, 1, 1), pd.NaT]), pl.Datetime, [naive(2024, 1, 1), None], id="naive"),
        pytest.param(pd.Series([1, 2], dtype="uint8"), pl.UInt8, [1, 2], id="uint8"),
        pytest.param(pd.Series([0.1], dtype="float32"), pl.Float32, [pytest.approx(0.1)], id="float32"),
        pytest.param(pd.Series([1, None], dtype="int64[pyarrow]"), pl.Int64, [1, None], id="arrow-int"),
        pytest.param(pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int8()))), pl.List(pl.Int8), [[1], None], id="arrow-list"),
    ],
)  # fmt: skip
def test_pandas_types_become_their_polars_counterparts(series, dtype, expected):
    """Each pandas dtype keeps its values, and missing is null however pandas writes it."""
    table = read(pd.DataFrame({"x": series}))

    assert table.schema()["x"] == dtype
    assert values(table)["x"] == expected


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin",
        "UTC",
        timezone(timedelta(hours=2)),
        timezone(timedelta(minutes=19, seconds=32)),
        "dateutil/America/New_York",
    ],
    ids=str,
)
def test_zoned_times_stay_the_same_instant(zone):
    """A time with any zone or offset that pandas takes is read as the same instant."""
    series = pd.Series(pd.date_range("1930-01-01", periods=2, tz="UTC")).dt.tz_convert(zone)

    table = read(pd.DataFrame({"x": series}))

    assert values(table)["x"] == [
        datetime(1930, 1, 1, tzinfo=UTC),
        datetime(1930, 1, 2, tzinfo=UTC),
    ]


UUID = uuid.UUID("ABCDEF00-1234-4000-8000-0123456789AB")
EAST = timezone(timedelta(hours=5))


@pytest.mark.parametrize(
    ("items", "dtype", "expected", "notes"),
    [
        pytest.param(["a", None], pl.String, ["a", None], set(), id="text"),
        pytest.param(["a", np.nan, pd.NA], pl.String, ["a", None, None], set(), id="text-nan"),
        pytest.param([True, None], pl.Boolean, [True, None], set(), id="boolean"),
        pytest.param([1, None, np.int8(2)], pl.Int64, [1, None, 2], set(), id="integers"),
        pytest.param([2**63, 1], pl.UInt64, [2**63, 1], set(), id="unsigned"),
        pytest.param([2**64, -1], pl.String, [str(2**64), "-1"], {"type.big-integers"}, id="big-integers"),
        pytest.param([1, 2.5], pl.Float64, [1.0, 2.5], {"type.mixed-numbers"}, id="numbers"),
        pytest.param([np.float32(0.1)], pl.Float64, [0.1], set(), id="float32"),
        pytest.param([UUID, None], pl.String, [str(UUID).lower(), None], {"type.text"}, id="uuid"),
        pytest.param([UUID, "a"], pl.String, [str(UUID).lower(), "a"], {"type.text"}, id="uuid-text"),
        pytest.param([Decimal("1.50"), 2], pl.Decimal(38, 2), [Decimal("1.50"), Decimal(2)], set(), id="decimal"),
        pytest.param([Decimal("1e400")], pl.String, ["1E+400"], {"type.big-decimals"}, id="big-decimal"),
        pytest.param([date(2024, 1, 2)], pl.Date, [date(2024, 1, 2)], set(), id="date"),
        pytest.param([time(1, 2)], pl.Time, [time(1, 2)], set(), id="time"),
        pytest.param([pd.Timedelta("1s"), np.timedelta64(2, "s")], pl.Duration("us"), [timedelta(seconds=1), timedelta(seconds=2)], set(), id="durations"),
        pytest.param([INSTANT, INSTANT.astimezone(EAST)], pl.Datetime("us", "UTC"), [INSTANT] * 2, {"time.to-utc"}, id="offsets"),
        pytest.param([pd.Timestamp("2024-01-01"), np.datetime64("2024-01-02", "ns"), pd.NaT], pl.Datetime("us"), [naive(2024, 1, 1), naive(2024, 1, 2), None], set(), id="naive"),
        pytest.param([naive(2024, 1, 1), INSTANT, date(2024, 1, 1)], pl.String, ["2024-01-01T00:00:00", "2024-03-01T12:30:00Z", "2024-01-01"], {"time.mixed"}, id="times-mixed"),
        pytest.param([b"x", bytearray(b"y")], pl.Binary, [b"x", b"y"], set(), id="bytes"),
        pytest.param([{"b": 1}, {"a": "x"}], pl.Struct({"a": pl.String, "b": pl.Int64}), [{"a": None, "b": 1}, {"a": "x", "b": None}], set(), id="dicts"),
        pytest.param([[1], (2,), np.array([3])], pl.List(pl.Int64), [[1], [2], [3]], set(), id="lists"),
        pytest.param([np.array(["2024-01-02"], dtype="datetime64[ns]")], pl.List(pl.Datetime("us")), [[naive(2024, 1, 2)]], set(), id="array-of-times"),
        pytest.param([np.ma.array([1, 2], mask=[False, True])], pl.List(pl.Int64), [[1, None]], set(), id="masked-array"),
        pytest.param([{"b", "a"}], pl.List(pl.String), [["a", "b"]], {"type.set-sorted"}, id="set"),
        pytest.param([[{"a": float("nan")}]], pl.List(pl.Struct({"a": pl.Null})), [[{"a": None}]], set(), id="nested-nan"),
    ],
)  # fmt: skip
def test_objects_of_one_kind_become_a_real_column(items, dtype, expected, notes):
    """Python objects of one kind become a column of that kind, and conversions are reported."""
    table = read(objects(*items))

    assert table.schema()["x"] == dtype
    assert values(table)["x"] == expected
    assert (codes(table), table.json_columns) == (notes, frozenset())


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([1, "a", {"k": None, "b": True}, None], ["1", '"a"', '{"b":true}', None], id="mixed"),
        pytest.param([1, "1", 2.5, True], ["1", '"1"', "2.5", "true"], id="scalars"),
        pytest.param([{"a": 1}, {"a": "x"}], ['{"a":1}', '{"a":"x"}'], id="dicts-that-disagree"),
        pytest.param([[1, "a"], []], ['[1,"a"]', "[]"], id="mixed-list"),
        pytest.param([{}, {}], ["{}", "{}"], id="empty-dicts"),
        pytest.param([{"z": 1, "a": [None]}, 1], ['{"a":[null],"z":1}', "1"], id="sorted-keys"),
        pytest.param([INSTANT, "later"], ['"2024-03-01T12:30:00.000Z"', '"later"'], id="time-and-text"),
        pytest.param([Decimal("1.50"), "x", Decimal(2)], ["1.5", '"x"', "2"], id="decimals"),
        pytest.param([{str(n): n for n in range(101)}], ["{" + ",".join(f'"{n}":{n}' for n in sorted(map(str, range(101)))) + "}"], id="many-keys"),
        pytest.param([[1, True], -0.0], ["[1,true]", "0.0"], id="numbers-and-booleans"),
    ],
)  # fmt: skip
def test_objects_of_many_kinds_become_json(items, expected):
    """A column that no type can hold becomes JSON text, each value kept as it is."""
    table = read(objects(*items))

    assert values(table)["x"] == expected
    assert (table.json_columns, codes(table)) == (frozenset({"x"}), {"type.json"})


def nested(levels: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """Return a value wrapped that many times."""
    value: Any = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


def looping() -> list[Any]:
    """Return a list that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    return loop


def bomb() -> list[Any]:
    """Return a small list that unfolds to a million parts."""
    value: list[Any] = [0, 0]
    for _ in range(19):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(Hostile(), "type.unsupported", id="hostile"),
        pytest.param([Hostile()], "type.unsupported", id="hostile-inside"),
        pytest.param(1j, "type.unsupported", id="complex"),
        pytest.param(np.complex64(1), "type.unsupported", id="numpy-complex"),
        pytest.param(np.longdouble(1), "type.unsupported", id="longdouble"),
        pytest.param(pl.Series([1]), "type.unsupported", id="series"),
        pytest.param(Decimal("Infinity"), "type.unsupported", id="decimal-infinity"),
        pytest.param({"a": b"x"}, "type.unsupported", id="bytes-inside"),
        pytest.param(b"x", "type.unsupported", id="bytes-among-text"),
        pytest.param(10**5000, "type.too-large", id="endless-integer"),
        pytest.param(time(1, tzinfo=UTC), "type.unsupported", id="zoned-time"),
        pytest.param({1: "a"}, "type.key-not-text", id="integer-key"),
        pytest.param({None: "a"}, "type.key-not-text", id="none-key"),
        pytest.param("a\ud83d", "text.bad-unicode", id="surrogate"),
        pytest.param({"a\ud83d": 1}, "text.bad-unicode", id="surrogate-key"),
        pytest.param(nested(21), "type.too-deep", id="deep"),
        pytest.param({"k": nested(20)}, "type.too-deep", id="deep-in-dict"),
        pytest.param(nested(21, lambda inner: {"k": inner}), "type.too-deep", id="deep-dict"),
        pytest.param(nested(21, lambda inner: frozenset({inner})), "type.too-deep", id="deep-set"),
        pytest.param(np.zeros(32_001), "type.too-large", id="large-array"),
        pytest.param(looping(), "type.too-deep", id="loop"),
        pytest.param(bomb(), "type.too-large", id="bomb"),
        pytest.param(np.datetime64(10**15, "s"), "time.out-of-range", id="far-time"),
        pytest.param(datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))), "time.out-of-range", id="last-hour"),
        pytest.param(np.datetime64(2**64 // 10**6 + 1_700_000_000, "s"), "time.out-of-range", id="time-that-wraps-to-2023"),
        pytest.param(np.datetime64(2**62, "Y"), "time.out-of-range", id="year-that-wraps-to-1970"),
        pytest.param(np.array(["20000-01-01"], "M8[D]"), "time.out-of-range", id="array-of-far-times"),
        pytest.param({"at": np.datetime64("20000-01-01")}, "time.out-of-range", id="far-time-inside"),
        pytest.param(pd.Timestamp(np.datetime64("20000-01-01", "s")), "time.out-of-range", id="far-timestamp"),
        pytest.param(pd.Timedelta(np.timedelta64(2**60, "s")), "time.out-of-range", id="long-timedelta"),
        pytest.param(np.timedelta64(2**62, "s"), "time.out-of-range", id="long-numpy-timedelta"),
        pytest.param(timedelta.max, "time.out-of-range", id="longest-timedelta"),
        pytest.param([timedelta.min], "time.out-of-range", id="shortest-timedelta-inside"),
        pytest.param(np.timedelta64(1, "M"), "type.unsupported", id="months"),
        pytest.param(span_without_unit(), "type.unsupported", id="span-without-unit"),
        pytest.param(datetime(2024, 1, 1, tzinfo=BrokenZone()), "type.unreadable", id="broken-zone"),
        pytest.param([datetime(2024, 1, 1, tzinfo=BrokenZone())], "type.unreadable", id="broken-zone-inside"),
        pytest.param(MappingProxyType(BrokenMapping()), "type.unreadable", id="broken-mapping"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_sent_are_null_and_reported_by_row(value, code):
    """A value outside the table costs its row, is never looked at, and does not harm the rest."""
    table = read(objects("fine", value, "too"))

    bad = [note for note in table.notes if note.severity == "reject"]

    assert values(table)["x"][1] is None
    assert [text.strip('"') for text in values(table)["x"][::2]] == ["fine", "too"]
    assert [(note.code, note.column, note.rows, note.count) for note in bad] == [
        (code, "x", (1,), 1)
    ]


@pytest.mark.parametrize(
    ("value", "builtin"),
    [
        pytest.param(OwnDate(2024, 1, 2), date(2024, 1, 2), id="date"),
        pytest.param(OwnTime(1, 2), time(1, 2), id="time"),
        pytest.param(OwnMoment(2024, 1, 2), naive(2024, 1, 2), id="naive"),
        pytest.param(OwnMoment(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC), id="utc"),
        pytest.param(OwnMoment(2024, 1, 2, 5, tzinfo=EAST), datetime(2024, 1, 2, tzinfo=UTC), id="zoned"),
        pytest.param(OwnSpan(1), timedelta(1), id="duration"),
        pytest.param(OwnDecimal("1.5"), Decimal("1.5"), id="decimal"),
    ],
)  # fmt: skip
def test_subclasses_of_builtin_types_read_as_those(value, builtin):
    """A value of a user's or another library's subclass is what the builtin value is, also among others."""
    for others in ([], ["text"], [{"a": 1}]):
        own, plain = read(objects(value, *others)), read(objects(builtin, *others))

        assert_frame_equal(own.lazy.collect(), plain.lazy.collect())


def test_twenty_levels_are_not_too_deep():
    """Twenty nested lists can be read."""
    assert codes(read(objects(nested(20)))) == set()


@pytest.mark.parametrize(
    ("value", "text", "code"),
    [
        pytest.param({"a": float("inf")}, "{}", "number.not-finite", id="infinity"),
        pytest.param(2**53 + 1, '"9007199254740993"', "number.as-text", id="integer"),
        pytest.param(Decimal("0.1234567890123456"), '"0.1234567890123456"', "number.as-text", id="decimal"),
        pytest.param(Decimal("1E+400"), '"1E+400"', "number.as-text", id="big-decimal"),
        pytest.param(naive(2024, 1, 2), '"2024-01-02T00:00:00.000Z"', "time.naive", id="naive"),
        pytest.param({"k": {2, 1}}, '{"k":[1,2]}', "type.set-sorted", id="set"),
    ],
)  # fmt: skip
def test_values_that_json_cannot_represent_are_reported(value, text, code):
    """A mixed value that JSON cannot represent is written like those of typed columns, and reported."""
    table = read(objects(value, "x"))

    assert values(table)["x"] == [text, '"x"']
    assert codes(table) == {"type.json", code}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def without_nulls(value: Any) -> Any:
    """Return a value whose dictionaries have no null members."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(items=st.lists(PLAIN, min_size=1, max_size=5))
@example(items=[{"prices": [10, 9.5]}])
@example(items=[{"one": {"two": [None, 1, 2.5]}}, None])
@example(items=[[{"prices": [10, 9.5]}]])
def test_any_plain_values_come_through(items):
    """Whatever JSON-like values a column holds, typed or as JSON, they are all still there."""
    table = read(objects(*items))

    read_values = values(table)["x"]
    if table.json_columns:
        read_values = [None if text is None else json.loads(text) for text in read_values]
    assert without_nulls(read_values) == without_nulls(items)


def test_polars_keeps_its_own_types_and_its_nan():
    """Types that polars has pass as they are, and NaN stays NaN for the checks to find."""
    frame = pl.DataFrame(
        {
            "nan": [float("nan"), None],
            "huge": pl.Series([2**100, None], dtype=pl.Int128),
            "enum": pl.Series(["a", None], dtype=pl.Enum(["a"])),
            "array": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int8, 2)),
            "half": pl.Series([1.5, None], dtype=pl.Float16),
            "binary": [b"x", None],
            "none": [None, None],
        }
    )

    table = read(frame)

    assert_frame_equal(table.lazy.collect(), frame)
    assert table.notes == ()


def test_polars_object_columns_are_read_by_value():
    """An Object column is read like a pandas object column, never as pointers."""
    frame = pl.DataFrame({"x": pl.Series([UUID, "a", Hostile()], dtype=pl.Object)})

    table = read(frame)

    assert values(table)["x"] == [str(UUID), "a", None]
    assert codes(table) == {"type.text", "type.unsupported"}


has_maps = pytest.mark.skipif(not hasattr(pl, "Map"), reason="polars 1 has no maps")
keeps_extensions = pytest.mark.skipif(
    not hasattr(pl, "Map"), reason="polars 1 forgets the names of extension types"
)


@pytest.mark.parametrize("column", ["object", pytest.param("map", marks=has_maps)])
def test_lazy_frames_with_odd_columns_are_loaded_and_reported(column):
    """A lazy frame stays lazy unless values must be looked at one by one, which is noted."""
    pairs = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
    odd = {"object": pl.Series([UUID], dtype=pl.Object), "map": pl.Series(pl.from_arrow(pairs))}

    table = read(pl.LazyFrame({"x": odd[column]}))

    assert "frame.loaded" in codes(table)
    assert values(table)["x"] == {"object": [str(UUID)], "map": [{"a": 1}]}[column]


MONTHS = pa.array([pa.MonthDayNano([1, 2, 3_500_000_000])], pa.month_day_nano_interval())
UNION = pa.UnionArray.from_sparse(
    pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
)

VIEWED = [["x"], None, ["y", "z"], [], ["v" * 40]]


def coded(items, kind):
    """Return the second of two values, nothing, and the first, as a dictionary array."""
    return pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array(items, kind))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"], id="dictionary"),
        pytest.param(pa.array([7, None]).dictionary_encode(), [7, None], id="dictionary-int"),
        pytest.param(pc.run_end_encode(pa.array(["a", "a", "b"])), ["a", "a", "b"], id="run-end"),
        pytest.param(pa.array(["a", None], pa.string_view()), ["a", None], id="string-view"),
        pytest.param(pa.array([[1], None], pa.large_list(pa.int64())), [[1], None], id="large-list"),
        pytest.param(pa.array([[1], None], pa.list_view(pa.int64())), [[1], None], id="list-view"),
        pytest.param(pa.array(VIEWED, pa.list_view(pa.string())), VIEWED, id="list-view-of-text"),
        pytest.param(pa.array(VIEWED, pa.large_list_view(pa.string_view())).slice(1), VIEWED[1:], id="large-list-view"),
        pytest.param(pa.array([VIEWED, None, []], pa.list_view(pa.list_view(pa.string()))), [VIEWED, None, []], id="list-view-of-list-view"),
        pytest.param(pa.array([{"a": ["x"]}, None], pa.struct({"a": pa.list_view(pa.string())})), [{"a": ["x"]}, None], id="struct-of-list-view"),
        pytest.param(coded([["x"], ["y", "z"]], pa.list_view(pa.string())), [["y", "z"], None, ["x"]], id="dictionary-of-list-view"),
        pytest.param(coded([[("a", 1)], [("a", 2)]], pa.map_(pa.string(), pa.int64())), [{"a": 2}, None, {"a": 1}], id="dictionary-of-map"),
        pytest.param(coded([{"a": 1}, {"a": 2}], pa.struct({"a": pa.int64()})), [{"a": 2}, None, {"a": 1}], id="dictionary-of-struct"),
        pytest.param(pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([["x"], None], pa.list_view(pa.string()))), [["x"], ["x"], None], id="run-end-of-list-view"),
        pytest.param(pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None], id="fixed-list"),
        pytest.param(pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), [["a"]], id="list-of-dictionary"),
        pytest.param(pa.array([{"a": "x"}], pa.struct({"a": pa.dictionary(pa.int8(), pa.string())})), [{"a": "x"}], id="struct-of-dictionary"),
        pytest.param(pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [{"a": 1}, None], id="map"),
        pytest.param(pa.array([[[("a", 1)]]], pa.list_(pa.map_(pa.string(), pa.int64()))), [[{"a": 1}]], id="list-of-map"),
        pytest.param(pa.array([{}], pa.struct([])), ["{}"], id="empty-struct"),
        pytest.param(MONTHS, ["P1M2DT3.5S"], id="calendar-interval"),
        pytest.param(UNION, ["1", '"b"'], id="union"),
        pytest.param(pa.array([UUID.bytes], pa.uuid()), [str(UUID)], id="uuid"),
        pytest.param(pa.array(['{"a":1}', None], pa.json_()), [{"a": 1}, None], id="json"),
        pytest.param(pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())), [True, False], id="bool8"),
        pytest.param(pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([[1, 2]])), [[1, 2]], id="tensor"),
        pytest.param(pa.array([Decimal("1.25")], pa.decimal256(60, 2)), [Decimal("1.25")], id="decimal256"),
        pytest.param(pa.array([Decimal(1000)], pa.decimal128(5, -2)), [Decimal(1000)], id="negative-scale"),
        pytest.param(pa.array([0], pa.timestamp("s")), [naive(1970, 1, 1)], id="seconds"),
        pytest.param(pa.array([0], pa.timestamp("us", "+00:19")), [datetime(1970, 1, 1, tzinfo=UTC)], id="offset"),
        pytest.param(pa.array([0], pa.timestamp("us", "Nowhere/City")), [datetime(1970, 1, 1, tzinfo=UTC)], id="unknown-zone"),
        pytest.param(pa.array([date(2024, 1, 2)], pa.date64()), [date(2024, 1, 2)], id="date64"),
        pytest.param(pa.array([3], pa.duration("s")), [timedelta(seconds=3)], id="duration"),
        pytest.param(pa.array([b"ab"], pa.binary(2)), [b"ab"], id="fixed-binary"),
        pytest.param(pa.nulls(1), [None], id="null"),
    ],
)  # fmt: skip
def test_arrow_encodings_are_normalised(array, expected):
    """Every Arrow encoding is read for the values it encodes."""
    assert values(read(pa.table({"x": array})))["x"] == expected


def test_arrow_map_with_a_key_twice_costs_its_row():
    """A map that holds one key twice has no JSON object, so its row is rejected."""
    array = pa.array([[("a", 1), ("a", 2)], [("b", 3)]], pa.map_(pa.string(), pa.int64()))

    table = read(pa.table({"x": array}))

    assert values(table)["x"] == [None, {"b": 3}]
    assert [(note.code, note.rows) for note in table.notes] == [("type.duplicate-key", (0,))]


def test_arrow_json_that_is_no_json_costs_its_row():
    """Text that an Arrow JSON column only claims to be JSON is rejected."""
    array = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{", "[1]"]))

    table = read(pa.table({"x": array}))

    assert values(table)["x"] == [None, [1]]
    assert [(note.code, note.rows) for note in table.notes] == [("json.invalid", (0,))]


FAR = pa.array([0, 2**62], pa.int64())


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(FAR.view(pa.timestamp("s")), id="time"),
        pytest.param(FAR.view(pa.timestamp("s", "Europe/Berlin")), id="zoned"),
        pytest.param(FAR.view(pa.duration("s")), id="duration"),
        pytest.param(FAR.view(pa.timestamp("s")).dictionary_encode(), id="dictionary"),
        pytest.param(pa.ListArray.from_arrays([0, 1, 2], FAR.view(pa.timestamp("s"))), id="list"),
        pytest.param(pa.StructArray.from_arrays([FAR.view(pa.timestamp("s"))], ["a"]), id="struct"),
        pytest.param(pa.MapArray.from_arrays([0, 1, 2], ["k", "k"], FAR.view(pa.timestamp("us"))), id="map"),
        pytest.param(pa.RunEndEncodedArray.from_arrays([1, 2], FAR.view(pa.timestamp("us"))), id="run-ends"),
    ],
)  # fmt: skip
def test_arrow_times_that_no_type_holds_cost_their_row(array):
    """A time or duration that fits neither polars' types nor Python's rejects its row alone."""
    table = read(pa.table({"x": array}))

    assert [item is None for item in values(table)["x"]] == [False, True]
    rejected = [note for note in table.notes if note.severity == "reject"]
    assert [(note.code, note.rows) for note in rejected] == [("time.out-of-range", (1,))]


FOREIGN = pa.table(
    [pa.array([1])],
    schema=pa.schema([pa.field("x", pa.int64(), metadata={b"ARROW:extension:name": b"foo.bar"})]),
)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(FOREIGN, id="arrow"),
        pytest.param(pl.DataFrame(FOREIGN), id="polars", marks=keeps_extensions),
    ],
)
def test_unregistered_extension_types_are_refused(frame):
    """Numbers that only their own library can explain are not taken for numbers."""
    with pytest.raises(ColumnTypeError, match=r"foo\.bar is not supported"):
        read(frame)


def broken_text() -> pa.Array:
    """Return an Arrow string array whose second value is not UTF-8."""
    offsets = pa.py_buffer(np.array([0, 1, 3], dtype=np.int32).tobytes())
    return pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"a\xff\xfe"))


def test_arrow_text_that_is_not_utf_8_costs_its_row():
    """Invalid UTF-8 in an Arrow buffer rejects its row instead of crashing later."""
    table = read(pa.table({"x": broken_text()}))

    assert values(table)["x"] == ["a", None]
    assert [(note.code, note.rows) for note in table.notes] == [("text.bad-unicode", (1,))]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        pytest.param(
            pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
            "a field name twice",
            id="doubled-field",
        ),
        pytest.param(pa.array(pd.Series(pd.period_range("2024", periods=1, freq="M"))), "pandas.period", id="extension"),
        pytest.param(pa.ListArray.from_arrays([0, 2], broken_text()), "broken", id="broken-inside"),
    ],
)  # fmt: skip
def test_arrow_columns_without_meaning_are_refused_by_name(array, words):
    """A column that cannot be read for what it means is refused, and named."""
    with pytest.raises(ColumnTypeError, match=f"Column 'x'.*{words}"):
        read(pa.table({"x": array}))


@pytest.mark.parametrize(
    ("index", "severity"),
    [
        pytest.param(pd.RangeIndex(2), None, id="range"),
        pytest.param(pd.Index([4, 9]), "info", id="filtered"),
        pytest.param(pd.Index(["u1", "u2"]), "warn", id="text"),
        pytest.param(pd.RangeIndex(2, name="user_id"), "warn", id="named"),
        pytest.param(pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["a", "b"]), "warn", id="levels"),
    ],
)  # fmt: skip
def test_an_index_that_contains_something_is_reported(index, severity):
    """A named or non-range index is noted with what to do, and kept for rows handed back."""
    table = read(pd.DataFrame({"a": [1, 2]}, index=index))

    notes = [note for note in table.notes if note.code == "frame.index-ignored"]

    assert [note.severity for note in notes] == ([severity] if severity else [])
    assert all("reset_index" in note.message for note in notes)
    assert table.pick([1]).index.equals(index[[1]])


def test_a_table_is_a_snapshot():
    """Changing the user's frame after reading changes neither the rows sent nor those handed back."""
    pandas, polars = pd.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 2]})
    tables = [read(pandas), read(polars)]

    pandas.loc[0, "a"] = 99
    polars[0, "a"] = 99

    assert [values(table)["a"] for table in tables] == [[1, 2], [1, 2]]
    assert [list(table.pick([0])["a"]) for table in tables] == [[1], [1]]


CHUNKED = [pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Datetime, pl.List, pl.Struct, pl.Enum]


@settings(max_examples=40, deadline=None)
@given(
    frame=dataframes(min_cols=1, max_cols=3, max_size=40, allowed_dtypes=CHUNKED),
    rows=st.integers(1, 50),
    lazy=st.booleans(),
)
def test_chunks_are_the_table_cut_and_numbered(frame, rows, lazy):
    """Chunks joined are the table; rows are numbered from 0; all but the last are full."""
    table = read(frame.lazy() if lazy else frame)

    chunks = list(table.chunks(rows))

    assert [chunk.height for chunk in chunks[:-1]] == [rows] * (len(chunks) - 1)
    assert all(chunk.columns[0] == ROW and chunk.height for chunk in chunks)
    joined = pl.concat(chunks) if chunks else frame.with_row_index(ROW).cast({ROW: pl.Int64})
    assert joined[ROW].to_list() == list(range(frame.height))
    assert_frame_equal(joined.drop(ROW), frame)


@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
def test_lazy_chunks_cross_batch_borders(tmp_path, rows):
    """A streamed file is cut to the size asked for, whatever its row groups are."""
    frame = pl.DataFrame({"n": range(100)})
    frame.write_parquet(tmp_path / "n.parquet", row_group_size=9)

    chunks = list(read(pl.scan_parquet(tmp_path / "n.parquet")).chunks(rows))

    assert pl.concat(chunks)["n"].to_list() == list(range(100))
    assert {chunk.height for chunk in chunks[:-1]} <= {rows}


def test_chunks_may_be_left_early():
    """A consumer that stops after the first chunk leaves nothing running."""
    lazy = pl.LazyFrame({"n": range(500_000)})

    first = next(iter(read(lazy).chunks(10)))

    assert first["n"].to_list() == list(range(10))


def test_chunks_of_no_rows_are_refused():
    """A chunk has at least one row."""
    with pytest.raises(ValueError, match="at least one row"):
        next(read(pl.DataFrame({"a": [1]})).chunks(0))


def test_a_lazy_frame_that_fails_says_so():
    """A lazy frame that cannot be resolved or read is one kind of error."""
    unresolved = pl.LazyFrame({"a": ["x"]}).select("b")
    failing = pl.LazyFrame({"a": ["x"]}).select(pl.col("a").cast(pl.Int64))

    with pytest.raises(FrameError, match="failed while it was read"):
        read(unresolved)
    with pytest.raises(FrameError, match="failed while it was read"):
        list(read(failing).chunks())


def test_pick_returns_those_rows(frame_of):
    """Rows come back as they came in, in the order asked, repeats included."""
    table = read(frame_of(PEOPLE))

    picked = table.pick([2, 0, 2])

    ids = [None if pd.isna(value) else value for value in picked["id"].to_list()]
    assert ids == [None, "u1", None]
    assert list(picked.columns) == list(PEOPLE)
    assert isinstance(picked, pd.DataFrame) == (table.library == "pandas")


def test_pick_keeps_pandas_types_and_index():
    """A pandas frame's own dtypes and index come back untouched."""
    frame = pd.DataFrame(
        {
            "c": pd.Categorical(["a", "b"]),
            "o": objects(1, {"k": Hostile}).x,
            "s": pd.array([1, None]),
        },
        index=["first", "second"],
    )

    picked = read(frame).pick([1])

    pd.testing.assert_frame_equal(picked, frame.iloc[[1]])


def test_pick_appends_columns_by_row(frame_of):
    """Extra columns are joined by row number; a name that is taken gets an underscore."""
    table = read(frame_of({"id": ["a", "b"], "reasons": ["mine", "mine"]}))
    extra = pl.DataFrame({ROW: [1], "reasons": [["id.empty", "id.float"]]})

    picked = table.pick([1, 0], extra=extra)

    assert list(picked.columns) == ["id", "reasons", "reasons_"]
    assert [None if row is None else list(row) for row in picked["reasons_"]] == [
        ["id.empty", "id.float"],
        None,
    ]


def test_pick_of_no_rows_is_an_empty_frame(frame_of):
    """Asking for no rows gives the columns and no rows."""
    picked = read(frame_of({"id": ["a", "b"]})).pick([])

    assert (len(picked), list(picked.columns)) == (0, ["id"])


def test_pick_returns_objects_themselves():
    """Rows with Python objects come back as they were, in polars too."""
    kept = Hostile()
    frame = pl.DataFrame({"x": pl.Series([1, kept], dtype=pl.Object)})

    assert read(frame).pick([1])["x"].to_list()[0] is kept


@pytest.mark.parametrize("rows", [[2], [-1], [0, 5]])
def test_pick_refuses_rows_that_are_not_there(frame_of, rows):
    """A row number outside the table is an error in every library."""
    with pytest.raises(IndexError, match="outside"):
        read(frame_of({"id": ["a", "b"]})).pick(rows)


def test_a_table_does_not_show_its_values():
    """A table's repr holds no value of the user's."""
    assert "secret@example.com" not in repr(read(pl.DataFrame({"id": ["secret@example.com"]})))


def test_polars_users_never_load_pandas():
    """Reading, cutting and picking polars frames never imports pandas."""
    script = """
        import sys, polars as pl
        from cio_frames.frames import fingerprint, read
        table = read(pl.DataFrame({"id": ["a"], "o": pl.Series([1], dtype=pl.Object)}))
        list(table.chunks()), table.pick([0]), fingerprint(read([{"a": 1}]))
        print("pandas" in sys.modules)
    """

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def scanned(
    tmp_path: Path, content: str | bytes, name: str = "people.csv", **options: Any
) -> Table:
    """Write a file, scan and read it."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(scan(path, **options))


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        pytest.param("1,-2,0", pl.Int64, [1, -2, 0], id="integers"),
        pytest.param("1,2.5", pl.Float64, [1.0, 2.5], id="decimals"),
        pytest.param("true,FALSE", pl.Boolean, [True, False], id="booleans"),
        pytest.param("007,1", pl.String, ["007", "1"], id="leading-zero"),
        pytest.param("1E5,2", pl.String, ["1E5", "2"], id="exponent"),
        pytest.param(
            "12345678901234567890", pl.String, ["12345678901234567890"], id="long-integer"
        ),
        pytest.param("0.1234567890123456", pl.String, ["0.1234567890123456"], id="long-decimal"),
        pytest.param("+1,2", pl.String, ["+1", "2"], id="plus"),
        pytest.param("-0", pl.String, ["-0"], id="minus-zero"),
        pytest.param(" 1", pl.String, [" 1"], id="space"),
        pytest.param("NA,None,null,nan", pl.String, ["NA", "None", "null", "nan"], id="na-texts"),
        pytest.param("2024-01-01T00:00:00Z", pl.String, ["2024-01-01T00:00:00Z"], id="time"),
        pytest.param("1,yes", pl.String, ["1", "yes"], id="mixed"),
    ],
)
def test_csv_values_keep_their_meaning(tmp_path, cells, dtype, expected):
    """A CSV column is typed only if every value survives it."""
    table = scanned(tmp_path, "name,x\n" + "".join(f"n,{cell}\n" for cell in cells.split(",")))

    assert (table.schema()["x"], values(table)["x"]) == (dtype, expected)


def test_csv_types_are_decided_by_all_rows(tmp_path):
    """A value far behind the start of the file still decides the column's type."""
    table = scanned(tmp_path, "name,x\n" + "a,1\n" * 5000 + "a,x1\n")

    assert table.schema()["x"] == pl.String
    assert values(table)["x"][-1] == "x1"


def test_csv_identifiers_stay_text(tmp_path):
    """Columns named like identifiers are text although each value is a number, with a note."""
    names = ["user_id", "customerId", "zip", "Order Number", "sku", "phone", "previousId", "total"]

    table = scanned(tmp_path, ",".join(names) + "\n" + ",".join("1" * len(names)) + "\n")

    assert [name for name, dtype in table.schema().items() if dtype != pl.String] == ["total"]
    assert "file.text-columns" in codes(table)


def test_csv_ids_and_types_are_the_users_word(tmp_path):
    """`ids` and `types` go before what the values and names say."""
    table = scanned(
        tmp_path,
        "id,seats,score,flag\n1,2,3,true\n",
        ids=["seats"],
        types={"id": pl.Int32, "score": pl.Float64, "flag": pl.String},
    )

    assert table.lazy.collect().rows() == [(1, "2", 3.0, "true")]


def test_csv_only_empty_cells_are_missing(tmp_path):
    """An empty cell is missing, in quotes or not, and no type depends on it; other words are text."""
    table = scanned(tmp_path, '"id","x","n"\n"a","NA","1"\n"","","2"\n"b",,""\n')

    assert table.lazy.collect().rows() == [("a", "NA", 1), (None, None, 2), ("b", None, None)]


def test_csv_blank_and_short_rows_are_reported(tmp_path):
    """Blank rows are left out and short rows filled up, both with a warning."""
    table = scanned(tmp_path, "id,a,b\n1,x,y\n\n2,z\n\n")

    assert table.lazy.collect().rows() == [("1", "x", "y"), ("2", "z", None)]
    assert {note.code: note.count for note in table.notes if note.severity == "warn"} == {
        "file.blank-rows": 2,
        "file.short-rows": 1,
    }
    assert "line 4" in next(note.message for note in table.notes if note.code == "file.short-rows")


@pytest.mark.parametrize(
    ("name", "content", "separator"),
    [
        pytest.param("a.csv", "id;price\n1;1,5\n2;2,5\n", "semicolon", id="semicolon"),
        pytest.param("a.csv", "id\tname\n1\tx\n", "tab", id="tab"),
        pytest.param("a.csv", "id|name\n1|x\n", "bar", id="bar"),
        pytest.param("a.tsv", "id\tname\n1\tx\n", None, id="tsv"),
        pytest.param("a.csv", 'id,name\n1,"x;y"\n', None, id="comma"),
        pytest.param("a.csv", "id\n1\n", None, id="one-column"),
    ],
)
def test_csv_separator_is_detected_and_reported(tmp_path, name, content, separator):
    """The separator is the one that splits all rows alike; a note names one that the extension does not suggest."""
    table = scanned(tmp_path, content, name)

    messages = [note.message for note in table.notes if note.code == "file.separator"]
    assert table.schema().names()[0] == "id"
    assert [separator in message for message in messages] == ([True] if separator else [])


@pytest.mark.parametrize(
    ("content", "options"),
    [
        pytest.param(b"\xef\xbb\xbfid,x\n1,\xc3\xa9\n", {}, id="bom"),
        pytest.param("id,x\r\n1,é\r\n".encode(), {}, id="crlf"),
        pytest.param("id,x\n1,é\n".encode("cp1252"), {"encoding": "cp1252"}, id="cp1252"),
        pytest.param("id,x\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}, id="utf-16"),
        pytest.param(gzip.compress("id,x\n1,é\n".encode()), {}, id="gzip-by-content"),
        pytest.param("id;x\n1;é\n".encode(), {"separator": ";"}, id="separator"),
    ],
)
def test_csv_encodings_are_read(tmp_path, content, options):
    """Byte order marks, line ends, other encodings and compression do not change the values."""
    assert values(scanned(tmp_path, content, **options)) == {"id": ["1"], "x": ["é"]}


def test_small_files_that_unpack_to_gigabytes_are_refused(tmp_path):
    """A gzip file that unpacks to far more than its size is refused; an ordinary one is not."""
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"id\n" + b"1\n" * 2_000_000))
    (tmp_path / "fair.csv.gz").write_bytes(gzip.compress(random.Random(1).randbytes(20_000)))

    refuse_bomb(str(tmp_path / "fair.csv.gz"), unpacked_max_bytes=3_000_000)
    with pytest.raises(InputFileError, match="200 times its size"):
        refuse_bomb(str(tmp_path / "bomb.csv.gz"), unpacked_max_bytes=3_000_000)


def test_csv_nul_and_quoted_newlines_pass(tmp_path):
    """NUL and line breaks inside values are data; the checks speak about them."""
    assert values(scanned(tmp_path, b'id,x\n1,"a\nb"\n2,c\x00d\n'))["x"] == ["a\nb", "c\x00d"]


def test_csv_header_without_rows_is_an_empty_table(tmp_path):
    """A file with a header and no rows has columns and no rows."""
    table = scanned(tmp_path, "id,name\n")

    assert (table.rows(), table.schema().names()) == (0, ["id", "name"])


def test_csv_unnamed_columns_get_a_name(tmp_path):
    """A column without a name, as pandas writes an index, is named by its position, with a note."""
    table = scanned(tmp_path, ",id\n0,u1\n")

    assert table.schema().names() == ["column_1", "id"]
    assert "file.unnamed-column" in codes(table)


PARQUET = pl.DataFrame({"id": [1, 2]})


def parquet_bytes(tmp_path: Path) -> bytes:
    """Return the bytes of a small Parquet file."""
    path = tmp_path / "bytes"
    PARQUET.write_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("a.csv", b"", "is empty", id="empty"),
        pytest.param("a.csv", b"id,id\n1,2\n", "more than once: 'id'", id="doubled-header"),
        pytest.param("a.csv", b"__row__,id\n1,2\n", "row numbers", id="reserved-header"),
        pytest.param("a.csv", b"id,x\n1,2\n3,4,5\n", "line 3 has 3 fields, the header has 2", id="long-row"),
        pytest.param("a.csv", b'id,x\n1,a\n2,"b\n3,c\n', "after line 2 a double quote", id="open-quote"),
        pytest.param("a.csv", b"id,x\n1,a\n2,\xe9\n", 'line 3 is not UTF-8.*encoding="cp1252"', id="latin"),
        pytest.param("a.csv", b"id,n\xe9\n2,3\n", "line 1 is not UTF-8", id="latin-header"),
        pytest.param("a.csv", b"id,x\n" + b"1,aaaaaa\n" * 40_000 + b"2,\xe9\n", "line 40,002 is not UTF-8", id="latin-far-behind"),
        pytest.param("a.csv", b"id,x\n2,M\x81ller\n", '.Müller. as encoding="cp850"', id="not-cp1252"),
        pytest.param("a.csv", "id,x\n".encode("utf-16"), 'UTF-16.*encoding="utf-16"', id="utf-16"),
        pytest.param("a.csv", "id,x\n".encode("utf-16-le"), "is not text.*utf-16-le", id="utf-16-no-mark"),
        pytest.param("a.csv", b",\r1,2\n", "ends in CR, others in LF", id="mixed-line-ends"),
        pytest.param("a.csv", b"id,x\r1,2\r", "CR alone", id="cr-only"),
        pytest.param("a.csv", b"a,b;c\n1,2;3\n", "both comma and semicolon", id="two-separators"),
        pytest.param("a.csv", b"PAR1....PAR1", "is a Parquet file.*Rename", id="parquet-named-csv"),
        pytest.param("a.csv", b"PK\x03\x04....", "ZIP or Excel", id="excel-named-csv"),
        pytest.param("a.csv", pickle.dumps({"a": 1}), "is a pickle", id="pickle-named-csv"),
        pytest.param("a.parquet", pickle.dumps({"a": 1}), "is a pickle", id="pickle-named-parquet"),
        pytest.param("a.parquet", b"id,x\n1,2\n", "not a Parquet file", id="csv-named-parquet"),
        pytest.param("a.parquet", b"PARE....PARE", "encrypted", id="encrypted"),
        pytest.param("a.pkl", b"x", "Pickles run code", id="pickle"),
        pytest.param("a.xlsx", b"x", "is not a workbook", id="excel"),
        pytest.param("a.jsonl", b"{}", "no keys", id="ndjson"),
        pytest.param("a", b"x", "no extension", id="no-extension"),
        pytest.param("a.csv.gz", gzip.compress(b"id,x\n1,2\n")[:-9], "cannot be read", id="cut-gzip"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_say_why(tmp_path, name, content, words):
    """A file that does not hold one table is refused at once, with its path and what to do."""
    with pytest.raises(InputFileError, match=words) as caught:
        scanned(tmp_path, content, name)
    assert caught.value.path.endswith(name)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("nothing-*.csv", "no such file", id="empty-glob"),
        pytest.param("nothing.csv", "no such file", id="missing"),
        pytest.param(".", "is a directory", id="directory"),
        pytest.param("ftp://host/a.parquet", "not read from ftp", id="url"),
        pytest.param([], "no file was named", id="empty-list"),
    ],
)
def test_paths_without_a_file_are_refused(source, words):
    """A path that leads to no file is refused, with what to check."""
    with pytest.raises(InputFileError, match=words):
        scan(source)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"ids": ["nmae"]}, "no column 'nmae'. Did you mean 'name'", id="ids"),
        pytest.param({"types": {"x": pl.Int64}}, "no column 'x'", id="types"),
        pytest.param(
            {"types": {"name": pl.Int64}}, "1 values of 'name' are not Int64", id="misfit"
        ),
        pytest.param({"types": {"name": pl.Datetime}}, "number, boolean or text", id="time"),
        pytest.param({"encoding": "utf-9"}, "is not an encoding", id="encoding"),
        pytest.param({"encoding": "ascii"}, "is not ascii", id="other-encoding"),
    ],
)
def test_scan_arguments_that_do_not_fit_are_refused(tmp_path, options, words):
    """Names, types and encodings that the file does not bear out are refused at once."""
    with pytest.raises(InputFileError, match=words):
        scanned(tmp_path, "id,name\n1,Zoé\n", **options)


def test_files_are_read_in_the_order_of_their_names(tmp_path):
    """A glob of CSV files is one table, in the order of the sorted names."""
    for number in (2, 1):
        (tmp_path / f"{number}.csv").write_text(f"id,n\nu{number},{number}\n")
    (tmp_path / "3.csv.gz").write_bytes(gzip.compress(b"id,n\nu3,x\n"))

    table = read(scan([tmp_path / "*.csv", tmp_path / "3.csv.gz"]))

    assert table.lazy.collect().rows() == [("u1", "1"), ("u2", "2"), ("u3", "x")]


def test_files_with_different_columns_are_refused(tmp_path):
    """Files of one scan have the same columns; the one that differs is named."""
    (tmp_path / "1.csv").write_text("id,n\n1,2\n")
    (tmp_path / "2.csv").write_text("n,id\n1,2\n")
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"id": ["1"]}).write_parquet(tmp_path / "2.parquet")

    with pytest.raises(InputFileError, match=r"2\.csv: its header differs"):
        scan(tmp_path / "*.csv")
    with pytest.raises(InputFileError, match=r"2\.parquet: its columns differ.*\(id\)"):
        scan(tmp_path / "*.parquet")
    with pytest.raises(InputFileError, match=r"1\.parquet: is a Parquet file, but"):
        scan([tmp_path / "1.csv", tmp_path / "1.parquet"])


def test_parquet_is_scanned_lazily(tmp_path):
    """Parquet files become one lazy table with their own types; `ids` turns integers to text."""
    PARQUET.write_parquet(tmp_path / "1.parquet")
    PARQUET.write_parquet(tmp_path / "2.parquet")

    table, text = (read(scan(str(tmp_path / "*.parquet"), ids=ids)) for ids in ([], ["id"]))

    assert (table.eager, table.rows(), values(table)["id"]) == (None, 4, [1, 2, 1, 2])
    assert values(text)["id"] == ["1", "2", "1", "2"]


@given(groups=st.lists(st.tuples(st.integers(0, 700_000), st.integers(0, 300 << 20)), max_size=9))
def test_pieces_are_the_file_once(groups):
    """Pieces follow on each other, hold each row once, and none is too large."""
    pieces = list(parquet.pieces_of(groups))

    ends = [start + rows for start, rows in pieces]
    assert [start for start, _ in pieces] == [0, *ends][: len(pieces)]
    assert sum(rows for _, rows in pieces) == sum(rows for rows, _ in groups)
    assert all(0 < rows <= parquet.PIECE_ROWS for _, rows in pieces)


@pytest.mark.parametrize("row_group", [7_000, 80_000, 600_000])
def test_a_parquet_file_is_read_in_pieces(tmp_path, row_group):
    """Memory does not depend on how a file was written: no read holds more than a piece."""
    frame = pl.DataFrame({"n": range(600_000)})
    for name in ("1", "2"):
        frame.write_parquet(tmp_path / f"{name}.parquet", row_group_size=row_group)
    table = read(scan(tmp_path / "*.parquet", ids=["n"]))

    held = [piece.collect() for piece in table.pieces]
    chunks = list(table.chunks(64_000))

    assert max(piece.height for piece in held) <= parquet.PIECE_ROWS
    assert len(held) <= 2 * 600_000 / parquet.SMALL_ROWS + 4
    assert {chunk.height for chunk in chunks[:-1]} == {64_000}
    assert_frame_equal(pl.concat(chunks).drop(ROW), table.lazy.collect())


def test_one_piece_is_read_while_another_is_worked_on(tmp_path):
    """The next piece is read without being asked for, and no further one, for the memory's sake."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"n": range(6)}).write_parquet(path)
    read_yet = [threading.Event() for _ in range(3)]

    def noting(place: int) -> pl.LazyFrame:
        def note(rows: pl.DataFrame) -> pl.DataFrame:
            read_yet[place].set()
            return rows

        return pl.scan_parquet(path).slice(2 * place, 2).map_batches(note)

    table = replace(read(scan(path)), pieces=tuple(map(noting, range(3))))
    chunks = table.chunks(2)

    assert next(chunks)["n"].to_list() == [0, 1]
    assert read_yet[1].wait(60)
    assert not read_yet[2].is_set()
    assert [chunk["n"].to_list() for chunk in chunks] == [[2, 3], [4, 5]]


def test_what_is_derived_from_a_scan_is_read_as_a_whole(tmp_path):
    """A filtered scan has the rows of the filter, not those of the file."""
    pl.DataFrame({"n": range(9)}).write_parquet(tmp_path / "a.parquet")

    (chunk,) = read(scan(tmp_path / "a.parquet").filter(pl.col("n") > 6)).chunks()

    assert chunk["n"].to_list() == [7, 8]


def test_pieces_are_not_heavier_than_they_may_be():
    """Small row groups of large values are not read together."""
    mib = 1 << 20

    assert list(parquet.pieces_of([(900, 40 * mib)] * 3)) == [(0, 900), (900, 900), (1800, 900)]
    assert list(parquet.pieces_of([(900, 20 * mib)] * 4)) == [(0, 2700), (2700, 900)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path, kind):
    """The rows of one read are never of two states of a file."""
    path = tmp_path / f"a.{kind}"
    before, after = (pl.DataFrame({"n": range(start, start + 120_000)}) for start in (0, 120_000))
    getattr(before, f"write_{kind}")(path)
    message = rf"a\.{kind}: was changed after it was scanned"

    table = read(scan(path))
    first = next(table.chunks(10_000))
    getattr(after, f"write_{kind}")(path)

    assert first["n"].to_list() == list(range(10_000))
    with pytest.raises(InputFileError, match=message):
        next(table.chunks(10_000))

    chunks = read(scan(path)).chunks(10_000)
    assert next(chunks)["n"].to_list() == list(range(120_000, 130_000))
    os.utime(path, ns=(0, 0))
    with pytest.raises(InputFileError, match=message):
        list(chunks)


def test_a_file_that_goes_while_it_is_read_says_so(tmp_path):
    """A file that is gone when its rows are asked for is one kind of error."""
    pl.DataFrame({"n": range(9)}).write_parquet(tmp_path / "a.parquet")
    table = read(scan(tmp_path / "a.parquet"))
    (tmp_path / "a.parquet").unlink()

    with pytest.raises(FrameError, match=r"a\.parquet failed while it was read"):
        list(table.chunks())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"ids": ["uid"]}, "no column 'uid'", id="ids"),
        pytest.param({"types": {"id": pl.String}}, "types of its own", id="types"),
    ],
)
def test_parquet_keeps_its_own_types(tmp_path, options, words):
    """Names that a Parquet file does not have, and types for it, are refused."""
    with pytest.raises(InputFileError, match=words):
        scanned(tmp_path, parquet_bytes(tmp_path), "a.parquet", **options)


def test_text_that_is_text_already_stays_in_parquet(tmp_path):
    """Naming a Parquet text column as an identifier changes nothing."""
    pl.DataFrame({"id": ["007"]}).write_parquet(tmp_path / "a.parquet")

    assert values(read(scan(tmp_path / "a.parquet", ids=["id"])))["id"] == ["007"]


def test_faults_of_recoded_files_are_found_too(tmp_path):
    """A ragged line of a UTF-16 file is found by its number."""
    with pytest.raises(InputFileError, match="line 3 has 3 fields"):
        scanned(tmp_path, "id,x\n1,2\n3,4,5\n".encode("utf-16"), encoding="utf-16")


def test_categories_that_cannot_be_sent_cost_their_rows():
    """A category outside the table is null in each of its rows, which are reported."""
    table = read(
        pd.DataFrame({"x": pd.Series(["a", 1j, "a", 1j], dtype=object).astype("category")})
    )

    assert values(table)["x"] == ["a", None, "a", None]
    assert [(note.code, note.rows) for note in table.notes] == [("type.unsupported", (1, 3))]


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_parquet_that_is_cut_off_is_refused(tmp_path, kept):
    """A Parquet file without its end is refused when it is scanned."""
    content = parquet_bytes(tmp_path)

    with pytest.raises(InputFileError, match="incomplete or damaged"):
        scanned(tmp_path, content[: int(len(content) * kept)], "a.parquet")


def test_parquet_with_a_name_twice_is_refused(tmp_path):
    """A Parquet file with one column name twice is refused by its path."""
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "a.parquet")

    with pytest.raises(InputFileError, match=r"a\.parquet"):
        scan(tmp_path / "a.parquet")


PIECES = st.lists(st.sampled_from([*',;|\t"\n\ra1 é\0', "\r\n", "1,2\n", '"x"']), max_size=30)
RANDOM_BYTES = PIECES.map("".join).map(str.encode) | st.binary(max_size=40)


@settings(deadline=None, max_examples=300)
@given(content=RANDOM_BYTES, name=st.sampled_from(["a.csv", "a.tsv", "a.csv.gz", "a.parquet"]))
def test_any_bytes_are_a_table_or_a_typed_error(tmp_path_factory, content, name):
    """Whatever a file holds, it is read to its end or refused at once as a file."""
    folder = tmp_path_factory.getbasetemp()

    table: Table | None = None
    with suppress(InputFileError):
        table = scanned(folder, content, name)

    assert table is None or sum(chunk.height for chunk in table.chunks(3)) == table.rows()


def test_notes_belong_to_the_scanned_frame_alone(tmp_path):
    """The notes of scan are reported when that frame is read, and forgotten with it."""
    (tmp_path / "a.csv").write_text("id;x\n1;2\n")
    frame = scan(tmp_path / "a.csv")

    assert Note in {type(note) for note in read(frame).notes}
    assert read(frame.head(1)).notes == ()


@pytest.mark.parametrize("separator", ["", "xx", "\n", '"', "§"])
def test_a_separator_that_is_none_is_an_error_of_the_file(tmp_path, separator):
    """A separator that cannot part columns is refused with what to pass instead."""
    path = tmp_path / "people.csv"
    path.write_text("id,plan\nu1,pro\n")

    with pytest.raises(InputFileError, match=r'Pass one character, as in separator=";"'):
        scan(path, separator=separator)


def test_a_scanned_table_is_called_after_its_files(tmp_path):
    """Reports name the file that was scanned, and the first of several."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id\nu1\n")
    pl.DataFrame({"id": ["u1"]}).write_parquet(tmp_path / "c.parquet")

    labels = [read(scan(tmp_path / name)).label for name in ("a.csv", "c.parquet", "?.csv")]

    assert labels == ["a.csv", "c.parquet", "a.csv and 1 more"]


def test_a_frame_derived_from_a_scanned_one_is_no_file(tmp_path):
    """A frame that is not the file any more does not carry its name."""
    (tmp_path / "a.csv").write_text("id\nu1\n")

    assert read(scan(tmp_path / "a.csv").head(1)).label == "polars lazy frame"
