"""Points in time: what each way to write one becomes, and what is never guessed."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.values import (
    EPOCH_UNITS,
    epoch_unit,
    has_zone,
    instant,
    is_date_only,
    iso,
    with_instant,
)

BERLIN = "Europe/Berlin"


def moments(column: pl.Series, timezone: str | None = None) -> pl.Series:
    """Return a column's moments; at once or in steps, of a frame or a lazy one, they are the same."""
    frame, dtype = column.to_frame("t"), column.dtype
    asked = {"name": "at", "ambiguous": "lost", "dtype": dtype, "timezone": timezone}
    instants = frame.select(instant(pl.col("t"), dtype=dtype, timezone=timezone)).to_series()

    beside = with_instant(frame, "t", **asked)

    assert beside.columns == ["t", "at", "lost"]
    assert beside.schema["at"] == pl.Datetime("ms", "UTC")
    assert beside["at"].equals(instants)
    assert with_instant(frame.lazy(), "t", **asked).collect().equals(beside)
    return instants


def read(value: Any, dtype: pl.DataType, timezone: str | None = None) -> str | None:
    """Return the wire text of one value, None where it cannot be read."""
    instants = moments(pl.Series([value], dtype=dtype), timezone)
    return instants.to_frame("at").select(iso(pl.col("at"))).item()


def local(*parts: int) -> datetime:
    """Return a time without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - naive on purpose


TEXTS = {
    "zulu": ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000Z"),
    "small-zulu": ("2024-01-02t03:04:05z", "2024-01-02T03:04:05.000Z"),
    "milliseconds": ("2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678Z"),
    "microseconds": ("2024-01-02T03:04:05.678999Z", "2024-01-02T03:04:05.678Z"),
    "nanoseconds": ("2024-01-02T03:04:05.678999999Z", "2024-01-02T03:04:05.678Z"),
    "one-digit": ("2024-01-02T03:04:05.5Z", "2024-01-02T03:04:05.500Z"),
    "offset": ("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05.000Z"),
    "offset-without-colon": ("2024-01-02T03:04:05-0330", "2024-01-02T06:34:05.000Z"),
    "offset-of-hours": ("2024-01-02 03:04:05+02", "2024-01-02T01:04:05.000Z"),
    "offset-after-space": ("2024-01-02 03:04:05.5 +0000", "2024-01-02T03:04:05.500Z"),
    "named-utc": ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05.000Z"),
    "space": ("2024-01-02 03:04:05Z", "2024-01-02T03:04:05.000Z"),
    "minutes": ("2024-01-02T03:04Z", "2024-01-02T03:04:00.000Z"),
    "minutes-with-offset": ("2024-01-02T03:04+01:00", "2024-01-02T02:04:00.000Z"),
    "naive": ("2024-01-02T03:04:05", "2024-01-02T03:04:05.000Z"),
    "naive-minutes": ("2024-01-02 03:04", "2024-01-02T03:04:00.000Z"),
    "naive-fraction": ("2024-01-02T03:04:05.25", "2024-01-02T03:04:05.250Z"),
    "date": ("2024-01-02", "2024-01-02T00:00:00.000Z"),
    "padded": ("  2024-01-02T03:04:05Z\n", "2024-01-02T03:04:05.000Z"),
    "leap-day": ("2024-02-29", "2024-02-29T00:00:00.000Z"),
    "year-1": ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    "year-9999": ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    "no-leap-day": ("2023-02-29", None),
    "leap-second": ("2016-12-31T23:59:60Z", None),
    "hour-24": ("2024-01-02T24:00:00Z", None),
    "minute-60": ("2024-01-02T03:60:00Z", None),
    "month-13": ("2024-13-01", None),
    "year-10000": ("10000-01-01T00:00:00Z", None),
    "day-first": ("01/02/2024", None),
    "day-first-dots": ("02.01.2024", None),
    "month-name": ("Jan 2, 2024", None),
    "rfc-2822": ("Tue, 02 Jan 2024 03:04:05 +0000", None),
    "basic": ("20240102T030405Z", None),
    "digits": ("20240102", None),
    "epoch-as-text": ("1700000000", None),
    "twelve-hours": ("2024-01-02 03:04:05 PM", None),
    "zone-name": ("2024-01-02T03:04:05 Europe/Berlin", None),
    "more-behind": ("2024-01-02T03:04:05Z x", None),
    "two-dates": ("2024-01-02/2024-01-03", None),
    "word": ("yesterday", None),
    "empty": ("", None),
    "spaces": ("  ", None),
}


@pytest.mark.parametrize(("text", "wanted"), TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("dtype", [pl.String(), pl.Categorical()], ids=str)
def test_texts(text, wanted, dtype):
    """ISO 8601 is read, in the ways databases write it; everything else is not."""
    assert read(text, dtype) == wanted


@pytest.mark.parametrize(("text", "wanted"), TEXTS.values(), ids=TEXTS)
def test_a_text_reads_the_same_beside_others(text, wanted):
    """What a text becomes does not depend on the other texts of its column."""
    column = pl.Series("t", [None, text, "2024-05-06", "2024-05-06T01:02:03+05:00", "junk"])

    instants = moments(column).to_frame("at").select(iso(pl.col("at"))).to_series()

    assert instants.to_list() == [
        None, wanted, "2024-05-06T00:00:00.000Z", "2024-05-05T20:02:03.000Z", None,
    ]  # fmt: skip


@pytest.mark.parametrize("values", [[], [None], [None, None]], ids=["no-rows", "null", "nulls"])
@pytest.mark.parametrize(
    "dtype",
    [
        pl.String(), pl.Categorical(), pl.Enum(["a"]), pl.Date(), pl.Datetime("ns"),
        pl.Datetime("us", BERLIN), pl.Int64(), pl.UInt64(), pl.Float64(), pl.Null(), pl.Boolean(),
        pl.Time(), pl.Duration(), pl.List(pl.Int64()), pl.Struct({"a": pl.Int64()}), pl.Decimal(9, 2),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("timezone", [None, BERLIN])
def test_columns_without_values(values, dtype, timezone):
    """Any column without values has no times, whatever its type, and keeps its length."""
    instants = moments(pl.Series(values, dtype=dtype), timezone)

    assert instants.dtype == pl.Datetime("ms", "UTC")
    assert instants.to_list() == values


AWARE = datetime(2024, 7, 1, 12, 0, 0, 123_999, tzinfo=ZoneInfo(BERLIN))
TYPED = {
    "naive-us": (local(2024, 1, 2, 3, 4, 5, 678_999), pl.Datetime("us"), "2024-01-02T03:04:05.678Z"),
    "naive-ns": (local(2024, 1, 2), pl.Datetime("ns"), "2024-01-02T00:00:00.000Z"),
    "naive-ms": (local(2024, 1, 2), pl.Datetime("ms"), "2024-01-02T00:00:00.000Z"),
    "aware": (AWARE, pl.Datetime("us", BERLIN), "2024-07-01T10:00:00.123Z"),
    "aware-ns": (AWARE, pl.Datetime("ns", "Asia/Kolkata"), "2024-07-01T10:00:00.123Z"),
    "before-1970": (local(1969, 12, 31, 23, 59, 59, 1), pl.Datetime("us"), "1969-12-31T23:59:59.000Z"),
    "old-offset": (
        datetime(1900, 1, 1, tzinfo=timezone(timedelta(minutes=19, seconds=32))),
        pl.Datetime("us", "UTC"), "1899-12-31T23:40:28.000Z",
    ),
    "year-1": (local(1, 1, 1), pl.Datetime("us"), "0001-01-01T00:00:00.000Z"),
    "year-9999": (local(9999, 12, 31), pl.Datetime("us"), "9999-12-31T00:00:00.000Z"),
    "date": (date(2024, 2, 29), pl.Date(), "2024-02-29T00:00:00.000Z"),
    "seconds": (1_700_000_000, pl.Int64(), "2023-11-14T22:13:20.000Z"),
    "seconds-int32": (1_700_000_000, pl.Int32(), "2023-11-14T22:13:20.000Z"),
    "milliseconds": (1_700_000_000_123, pl.Int64(), "2023-11-14T22:13:20.123Z"),
    "microseconds": (1_700_000_000_123_456, pl.UInt64(), "2023-11-14T22:13:20.123Z"),
    "nanoseconds": (1_700_000_000_123_456_789, pl.Int64(), "2023-11-14T22:13:20.123Z"),
    "float-seconds": (1_700_000_000.25, pl.Float64(), "2023-11-14T22:13:20.250Z"),
    "float-milliseconds": (1_700_000_000_123.0, pl.Float64(), "2023-11-14T22:13:20.123Z"),
    "negative-seconds": (-1_700_000_000, pl.Int64(), "1916-02-18T01:46:40.000Z"),
    "excel-day": (45_000, pl.Int64(), None),
    "digits-of-a-day": (20_240_102, pl.Int64(), None),
    "year": (2024, pl.Int64(), None),
    "zero": (0, pl.Int64(), None),
    "float-excel": (45_000.5, pl.Float64(), None),
    "nan": (float("nan"), pl.Float64(), None),
    "infinite": (float("inf"), pl.Float64(), None),
    "smallest": (-(2**63), pl.Int64(), None),
    "largest-unsigned": (2**64 - 1, pl.UInt64(), None),
    "time-of-day": (time(1, 2), pl.Time(), None),
    "duration": (timedelta(1), pl.Duration("us"), None),
    "truth": (True, pl.Boolean(), None),
    "list": ([1], pl.List(pl.Int64()), None),
}  # fmt: skip


@pytest.mark.parametrize(("value", "dtype", "wanted"), TYPED.values(), ids=TYPED)
def test_typed_values(value, dtype, wanted):
    """Times, dates and numbers of a likely size are read; what is no time is not."""
    assert read(value, dtype) == wanted


ZONED = {
    "winter": (local(2024, 1, 2, 12), "2024-01-02T11:00:00.000Z"),
    "summer": (local(2024, 7, 2, 12), "2024-07-02T10:00:00.000Z"),
    "before-the-gap": (local(2024, 3, 31, 1, 59, 59), "2024-03-31T00:59:59.000Z"),
    "skipped": (local(2024, 3, 31, 2, 30), None),
    "after-the-gap": (local(2024, 3, 31, 3), "2024-03-31T01:00:00.000Z"),
    "before-the-overlap": (local(2024, 10, 27, 1, 59), "2024-10-26T23:59:00.000Z"),
    "repeated": (local(2024, 10, 27, 2, 30), None),
    "after-the-overlap": (local(2024, 10, 27, 3), "2024-10-27T02:00:00.000Z"),
}


@pytest.mark.parametrize(("value", "wanted"), ZONED.values(), ids=ZONED)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_local_times(value, wanted, unit):
    """Local times are read in the zone given; what clocks skip or repeat is no moment."""
    assert read(value, pl.Datetime(unit), BERLIN) == wanted
    assert read(value.isoformat(), pl.String(), BERLIN) == wanted


@pytest.mark.parametrize("dtype", [pl.String(), pl.Categorical(), pl.Datetime("us")], ids=str)
def test_what_a_change_of_clocks_skips_or_repeats(dtype):
    """A local time is skipped where it is no moment in its zone alone; junk and offsets never are."""
    values = [value for value, _ in ZONED.values()]
    wanted = [moment is None for _, moment in ZONED.values()]
    if not dtype.is_temporal():
        values = [value.isoformat(" ") for value in values] + ["junk", "2024-03-31T02:30:00+05:00"]
        wanted += [False, False]
    frame = pl.DataFrame({"t": pl.Series([*values, None], dtype=dtype)})
    asked = {"name": "at", "ambiguous": "lost", "dtype": dtype}

    here = with_instant(frame, "t", timezone=BERLIN, **asked)["lost"]
    nowhere = with_instant(frame, "t", **asked)["lost"]

    assert here.to_list() == [*wanted, False]
    assert not nowhere.any()


def test_a_zone_changes_only_what_has_none():
    """The zone is for local times and dates; an offset, a zone or an epoch stand."""
    assert read("2024-01-02T03:04:05Z", pl.String(), BERLIN) == "2024-01-02T03:04:05.000Z"
    assert read(AWARE, pl.Datetime("us", BERLIN), "Asia/Tokyo") == "2024-07-01T10:00:00.123Z"
    assert read(1_700_000_000, pl.Int64(), BERLIN) == "2023-11-14T22:13:20.000Z"
    assert read(date(2024, 1, 2), pl.Date(), BERLIN) == "2024-01-01T23:00:00.000Z"
    assert read("2024-01-02", pl.String(), BERLIN) == "2024-01-01T23:00:00.000Z"


@given(at=st.datetimes(min_value=local(1, 1, 2), max_value=local(9999, 12, 30)))
def test_texts_and_times_agree(at):
    """A time and its ISO text are the same moment."""
    aware = at.replace(tzinfo=UTC)

    assert read(aware.isoformat(), pl.String()) == read(aware, pl.Datetime("us", "UTC"))
    assert read(at.isoformat(" "), pl.String()) == read(at, pl.Datetime("us"))


@given(
    at=st.datetimes(min_value=local(1970, 1, 3), max_value=local(2260, 1, 1)),
    fraction=st.text("0123456789", max_size=9),
    offset=st.integers(-14 * 60, 14 * 60),
    form=st.sampled_from(["{:+03}:{:02}", "{:+03}{:02}", " {:+03}:{:02}", " {:+03}{:02}"]),
    between=st.sampled_from("Tt "),
)
def test_every_way_to_write_an_offset(at, fraction, offset, form, between):
    """Fractions of any length are cut to milliseconds, and offsets are taken off."""
    hours, minutes = divmod(abs(offset), 60)
    signed = form.format(hours, minutes)
    if offset < 0:
        signed = signed.replace("+", "-")
    written = at.strftime(f"%Y-%m-%d{between}%H:%M:%S")
    text = written + (f".{fraction}" if fraction else "") + signed
    cut = at.replace(microsecond=int(fraction[:3].ljust(3, "0")) * 1000 if fraction else 0)
    moment = (cut - timedelta(minutes=offset)).replace(tzinfo=UTC)

    assert read(text, pl.String()) == read(moment, pl.Datetime("us", "UTC"))


@given(at=st.datetimes(min_value=local(1973, 3, 4), max_value=local(2250, 1, 1)))
def test_epochs_of_every_unit_agree(at):
    """The count of seconds, milliseconds, microseconds or nanoseconds is the same second."""
    micros = (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    wanted = read(at.replace(microsecond=at.microsecond // 1000 * 1000), pl.Datetime("us"))

    assert read(micros * 1000, pl.Int64()) == read(micros, pl.Int64()) == wanted
    assert read(micros // 1000, pl.Int64()) == wanted
    assert str(read(micros // 1_000_000, pl.Int64()))[:19] == str(wanted)[:19]


def test_units_do_not_overlap():
    """Each unit begins where no time of the smaller one before the year 5000 can lie."""
    names = [unit.name for unit in EPOCH_UNITS]
    sizes = pl.DataFrame({"n": [unit.least for unit in EPOCH_UNITS] + [EPOCH_UNITS[-1].least - 1]})

    assert sizes.select(epoch_unit(pl.col("n"))).to_series().to_list() == [*names, None]
    assert sizes.select(epoch_unit(-pl.col("n"))).to_series().to_list() == [*names, None]


SHAPES = {
    "2024-01-02T03:04:05Z": (True, False),
    "2024-01-02T03:04:05+01:00": (True, False),
    "2024-01-02 03:04:05+01": (True, False),
    "2024-01-02 03:04:05 UTC": (True, False),
    "2024-01-02T03:04:05": (False, False),
    "2024-01-02": (False, True),
    "2024-01-02T03:04": (False, False),
}


@pytest.mark.parametrize(("text", "wanted"), SHAPES.items(), ids=SHAPES)
def test_shapes_of_texts(text, wanted):
    """A date's last two digits are no offset."""
    frame = pl.DataFrame({"t": [text]})

    assert frame.select(has_zone(pl.col("t")), d=is_date_only(pl.col("t"))).row(0) == wanted
