"""What holds for every message, against a naive model that writes one row at a time."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

EXACT = 2**53
NAMES = (
    "a", "b", "Z", "_x", "é", 'q"q', "a b", "\\", "n\n", "😀", "p.q", "p.r", "p.s.t", "\u2028",
    "cio_subscription_preferences.topics.topic_1", "cio_subscription_preferences.channels.sms",
)  # fmt: skip

integers = st.integers(-(2**63), 2**63 - 1) | st.integers(EXACT - 2, EXACT + 2)
moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001
near = st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001
spans = st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999))
decimals = st.decimals(-(10**18), 10**18, allow_nan=False, allow_infinity=False, places=4)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

LEAVES: tuple[tuple[pl.DataType, st.SearchStrategy[Any]], ...] = (
    (pl.String(), texts),
    (pl.Boolean(), st.booleans()),
    (pl.Int8(), st.integers(-128, 127)),
    (pl.Int64(), integers),
    (pl.UInt32(), st.integers(0, 2**32 - 1)),
    (pl.UInt64(), st.integers(0, 2**64 - 1)),
    (pl.Int128(), st.integers(-(2**127), 2**127 - 1) | integers),
    (pl.Float64(), st.floats()),
    (pl.Float32(), st.floats(width=32)),
    (pl.Float16(), st.floats(width=16)),
    (pl.Decimal(38, 4), decimals),
    (pl.Date(), st.dates()),
    (pl.Datetime("us"), moments),
    (pl.Datetime("ms"), moments),
    (pl.Datetime("ns"), near),
    (pl.Datetime("us", "Asia/Kolkata"), near.map(lambda at: at.replace(tzinfo=UTC))),
    (pl.Time(), st.times()),
    (pl.Duration("us"), spans),
    (pl.Categorical(), texts),
    (pl.Enum(["x", "y"]), st.sampled_from(["x", "y"])),
    (pl.Null(), st.none()),
)


def lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make lists of a type."""
    return inner.map(
        lambda pair: (pl.List(pair[0]), st.lists(st.none() | pair[1], max_size=3)),
    )


def structs(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Make structs whose fields are of a type each."""

    def build(fields: Mapping[str, Any]) -> tuple[pl.DataType, st.SearchStrategy[Any]]:
        dtype = pl.Struct({name: pair[0] for name, pair in fields.items()})
        return dtype, st.fixed_dictionaries(
            {name: st.none() | pair[1] for name, pair in fields.items()}
        )

    names = st.sampled_from(["k", "A", 'w"', "é"])
    return st.dictionaries(names, inner, min_size=1, max_size=3).map(build)


types = st.recursive(
    st.sampled_from(LEAVES), lambda inner: lists(inner) | structs(inner), max_leaves=4
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Make a frame with columns of any type that can be sent, and an id for each row."""
    height = draw(st.integers(0, 5))
    columns = [pl.Series("id", [f"u{row}" for row in range(height)], dtype=pl.String)]
    for name, (dtype, values) in draw(
        st.dictionaries(st.sampled_from(NAMES), types, max_size=5)
    ).items():
        cells = draw(st.lists(st.none() | values, min_size=height, max_size=height))
        columns.append(pl.Series(name, cells, dtype=dtype))
    return pl.DataFrame(columns)


def plain(value: Any, dtype: pl.DataType) -> Any:
    """Return what one cell is in JSON, None where it is left out."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        return [plain(item, dtype.inner) for item in value]
    if isinstance(dtype, pl.Struct):
        inside = {part.name: plain(value[part.name], part.dtype) for part in dtype.fields}
        return {name: item for name, item in inside.items() if item is not None}
    return SCALARS[type(value)](value, dtype)


def plain_float(value: float, dtype: pl.DataType) -> float | None:
    """Write a float: whole numbers exactly, others as the shortest text that reads back as it."""
    if not math.isfinite(value):
        return None
    whole = value.is_integer()
    return value if dtype == pl.Float64 or whole else float(str(np.float32(value)))


def plain_int(value: int, _: pl.DataType) -> int | str:
    """Write an integer: as text where a double would lose digits."""
    return value if abs(value) <= EXACT else str(value)


def plain_decimal(value: Decimal, _: pl.DataType) -> float | str:
    """Write a decimal: as text where it has more digits than a double."""
    text = f"{value:f}".rstrip("0").rstrip(".") or "0"
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    return float(text) if len(digits) <= 15 else text


def plain_datetime(value: datetime, _: pl.DataType) -> str:
    """Write a moment: in UTC, cut to milliseconds."""
    at = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return f"{at:%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z".join([f"{at.year:04}-", ""])


def plain_time(value: time, _: pl.DataType) -> str:
    """Write a time of day, with as many digits as it needs."""
    if value.microsecond % 1000 == 0:
        return value.isoformat("milliseconds" if value.microsecond else "seconds")
    return value.isoformat()


def plain_span(value: timedelta, _: pl.DataType) -> str:
    """Write ISO 8601: days, then hours, minutes and seconds, each where it is not zero."""
    size, sign = abs(value), "-" if value < timedelta(0) else ""
    if not size:
        return "PT0S"
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{size.microseconds:06}".rstrip("0") if size.microseconds else ""
    parts = [(hours, "H", ""), (minutes, "M", ""), (seconds, "S", fraction)]
    inside = "".join(f"{number}{rest}{unit}" for number, unit, rest in parts if number or rest)
    days = f"{size.days}D" if size.days else ""
    return f"{sign}P{days}" + (f"T{inside}" if inside else "")


SCALARS: Mapping[type, Callable[[Any, pl.DataType], Any]] = {
    float: plain_float,
    int: plain_int,
    Decimal: plain_decimal,
    datetime: plain_datetime,
    time: plain_time,
    timedelta: plain_span,
    bool: lambda value, _: value,
    str: lambda value, _: value,
    date: lambda value, _: value.isoformat(),
}


def traits(row: Mapping[str, Any], schema: pl.Schema, *, clear: bool) -> dict[str, Any]:
    """Return the traits of one row, as a model that only knows Python would write them."""
    content: dict[str, Any] = {}
    for name, dtype in schema.items():
        value = plain(row[name], dtype)
        if name == "id" or (value is None and not clear):
            continue
        place, *path = (
            [name] if name.startswith("cio_subscription_preferences.") else name.split(".")
        )
        into = content
        for step in path:
            into = into.setdefault(place, {})
            place = step
        into[place] = value
    return content


def sorted_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of JSON members, whose keys must be sorted and must not repeat."""
    keys = [key for key, _ in pairs]
    assert keys == sorted(set(keys))
    return dict(pairs)


@pytest.mark.parametrize("nulls", ["omit", "send"])
@settings(max_examples=80, deadline=None)
@given(frame=frames())
def test_a_message_parses_to_the_row(encoded, nulls, frame):
    """Whatever the types, a parsed message is the row, its keys sorted on every level."""
    messages = encoded(frame, "identify", user_id="id", nulls=nulls)
    rows = frame.rows(named=True)

    for text, row in zip(messages["message"], rows, strict=True):
        message = json.loads(text.encode("utf-8"), object_pairs_hook=sorted_object)
        wanted = traits(row, frame.schema, clear=nulls == "send")
        assert message.pop("messageId")
        assert message == {"type": "identify", "userId": row["id"]} | (
            {"traits": wanted} if wanted else {}
        )


@settings(max_examples=30, deadline=None)
@given(frame=frames())
def test_bytes_are_counted_as_they_are_sent(encoded, frame):
    """The bytes column is the length of each message in UTF-8."""
    messages = encoded(frame, "track", user_id="id", event=pl.lit("É"))

    assert messages["bytes"].to_list() == [len(text.encode()) for text in messages["message"]]


@settings(max_examples=50, deadline=None)
@given(frame=frames(), data=st.data())
def test_a_message_does_not_depend_on_its_chunk(encoded, frame, data):
    """Encoding the slices gives the slices of the encoding: messages, ids, lanes, everything."""
    cut = data.draw(st.integers(0, frame.height))
    whole = encoded(frame, "identify", user_id="id", namespace="n")

    parts = [
        encoded(frame[:cut], "identify", user_id="id", namespace="n"),
        encoded(frame[cut:], "identify", user_id="id", namespace="n", first=cut),
    ]

    assert_frame_equal(pl.concat(parts), whole)


@settings(max_examples=30, deadline=None)
@given(frame=frames())
def test_a_message_does_not_depend_on_empty_cells_around_it(encoded, frame):
    """A further row with nothing in it, or with an id alone, changes no other row's message."""
    alone = encoded(frame, "identify", user_id="id")
    empty = frame.clear(1).with_columns(id=pl.lit("other"))

    beside = encoded(pl.concat([frame, empty]), "identify", user_id="id")

    assert_frame_equal(beside.head(frame.height), alone)


@settings(max_examples=30, deadline=None)
@given(frame=frames())
def test_ids_do_not_depend_on_the_order_of_rows(encoded, frame):
    """Rows in reverse have the same ids in reverse."""
    ids = encoded(frame, "identify", user_id="id")["message_id"]
    turned = encoded(frame.reverse(), "identify", user_id="id")["message_id"]

    assert turned.reverse().to_list() == ids.to_list()


@settings(max_examples=30, deadline=None)
@given(frame=frames(), order=st.randoms(use_true_random=False))
def test_messages_do_not_depend_on_the_order_of_columns(encoded, frame, order):
    """Columns in any order give the same bytes."""
    names = frame.columns
    order.shuffle(names)

    mixed = encoded(frame.select(names), "identify", user_id="id")

    assert_frame_equal(mixed, encoded(frame, "identify", user_id="id"))


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in LEAVES], ids=str)
@pytest.mark.parametrize("shape", ["plain", "list", "struct"])
@pytest.mark.parametrize("nulls", ["omit", "send"])
def test_a_table_without_rows_has_no_messages(encoded, dtype, shape, nulls):
    """Every type can stand in a table without rows, and in one whose cells are all empty."""
    kind = {"plain": dtype, "list": pl.List(dtype), "struct": pl.Struct({"k": dtype})}[shape]
    frame = pl.DataFrame({"id": ["u"], "v": pl.Series([None], dtype=kind)})

    none = encoded(frame.clear(), "identify", user_id="id", nulls=nulls)
    one = encoded(frame, "identify", user_id="id", nulls=nulls)["message"][0]

    assert none.is_empty()
    assert none.schema == encoded(frame, "identify", user_id="id").schema
    assert ('"traits":{"v":null}' in one) == (nulls == "send")


@given(
    numbers=st.lists(st.none() | st.integers(-EXACT, EXACT), min_size=1),
    kinds=st.permutations([pl.Int64(), pl.Float64(), pl.Int128()]),
)
def test_whole_numbers_are_the_same_message_in_any_type(encoded, numbers, kinds):
    """Reading a table again, so that whole numbers become floats, changes no byte and no id."""
    ids = [f"u{place}" for place in range(len(numbers))]
    one, other = (
        encoded(
            pl.DataFrame({"id": ids, "n": numbers}, schema_overrides={"n": kind}),
            "identify",
            user_id="id",
        )
        for kind in kinds[:2]
    )

    assert_frame_equal(one, other)
