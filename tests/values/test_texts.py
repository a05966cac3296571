"""Values as text, for identifiers, names and form fields."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.values import as_text, exact_as_double, has_text, instance_of, json_text

CASTS: dict[str, tuple[Any, pl.DataType, str | None]] = {
    "text": (" a\u2028", pl.String(), " a\u2028"),
    "category": ("a", pl.Categorical(), "a"),
    "enum": ("a", pl.Enum(["a"]), "a"),
    "true": (True, pl.Boolean(), "true"),
    "false": (False, pl.Boolean(), "false"),
    "int8": (-128, pl.Int8(), "-128"),
    "int64": (2**63 - 1, pl.Int64(), "9223372036854775807"),
    "uint64": (2**64 - 1, pl.UInt64(), "18446744073709551615"),
    "int128": (-(2**127), pl.Int128(), str(-(2**127))),
    "uint128": (2**128 - 1, pl.UInt128(), str(2**128 - 1)),
    "whole-float": (123.0, pl.Float64(), "123"),
    "negative-float": (-5.0, pl.Float64(), "-5"),
    "minus-zero": (-0.0, pl.Float64(), "0"),
    "large-float": (1e16, pl.Float64(), "10000000000000000"),
    "larger-float": (1e20, pl.Float64(), "100000000000000000000"),
    "fraction": (0.1, pl.Float64(), "0.1"),
    "tiny": (5e-324, pl.Float64(), "5e-324"),
    "float32": (0.1, pl.Float32(), "0.1"),
    "whole-float32": (16_777_216.0, pl.Float32(), "16777216"),
    "half": (0.5, pl.Float16(), "0.5"),
    "nan": (float("nan"), pl.Float64(), None),
    "infinite": (float("-inf"), pl.Float64(), None),
    "decimal": (Decimal("1.50"), pl.Decimal(10, 2), "1.5"),
    "whole-decimal": (Decimal("100.00"), pl.Decimal(10, 2), "100"),
    "hundred": (Decimal(100), pl.Decimal(10, 0), "100"),
    "zero-decimal": (Decimal("0.00"), pl.Decimal(10, 2), "0"),
    "date": (date(2024, 2, 29), pl.Date(), "2024-02-29"),
    "naive": (datetime(2024, 1, 2, 3, 4, 5, 6000), pl.Datetime("us"), "2024-01-02T03:04:05.006Z"),  # noqa: DTZ001
    "aware": (datetime(2024, 1, 2, tzinfo=UTC), pl.Datetime("ns", "Asia/Tokyo"), "2024-01-02T00:00:00.000Z"),
    "time": (time(1, 2, 3), pl.Time(), "01:02:03"),
    "duration": (timedelta(days=1, hours=2), pl.Duration("ms"), "P1DT2H"),
    "no-duration": (timedelta(0), pl.Duration("us"), "PT0S"),
    "null": (None, pl.Null(), None),
    "bytes": (b"x", pl.Binary(), None),
    "list": ([1], pl.List(pl.Int64()), None),
    "struct": ({"a": 1}, pl.Struct({"a": pl.Int64()}), None),
}  # fmt: skip


@pytest.mark.parametrize(("value", "dtype", "wanted"), CASTS.values(), ids=CASTS)
def test_casts(value, dtype, wanted):
    """Every type has one text, or none; no number is written with a point it does not need."""
    frame = pl.DataFrame({"v": pl.Series([value, None], dtype=dtype), "row": [0, 1]})

    texts = frame.select("row", text=as_text(pl.col("v"), dtype=dtype))["text"]

    assert texts.dtype == pl.String
    assert texts.to_list() == [wanted, None]


@pytest.mark.parametrize(("value", "dtype", "wanted"), CASTS.values(), ids=CASTS)
def test_types_with_text(value, dtype, wanted):
    """A type is said to have texts exactly when its values can be written as one."""
    not_finite = isinstance(value, float) and not math.isfinite(value)

    assert has_text(dtype) == (wanted is not None or not_finite)


def test_local_times_are_read_in_the_zone_given():
    """A time without a zone is written in UTC, from the zone that was given."""
    frame = pl.DataFrame({"t": [datetime(2024, 1, 2, 12)]})  # noqa: DTZ001 - naive on purpose

    texts = frame.select(as_text(pl.col("t"), dtype=pl.Datetime("us"), timezone="Asia/Tokyo"))

    assert texts.item() == "2024-01-02T03:00:00.000Z"


@given(number=st.integers(-(2**53), 2**53))
def test_whole_floats_and_integers_are_one_text(number):
    """An identifier stored as a float is the text of the integer it was."""
    frame = pl.DataFrame({"f": [float(number)], "i": [number]})

    texts = frame.select(
        as_text(pl.col("f"), dtype=pl.Float64()), as_text(pl.col("i"), dtype=pl.Int64())
    )

    assert texts["f"].to_list() == texts["i"].to_list() == [str(number)]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_json_text_reads_back(text):
    """A JSON string reads back as the text, whatever is in it."""
    import json

    written = pl.DataFrame({"t": [text]}).select(json_text(pl.col("t"))).item()

    assert json.loads(written) == text


EXACT = {
    "largest": (2**53, pl.Int64(), True),
    "beyond": (2**53 + 1, pl.Int64(), False),
    "smallest": (-(2**53), pl.Int64(), True),
    "below": (-(2**53) - 1, pl.Int64(), False),
    "unsigned": (2**53 + 1, pl.UInt64(), False),
    "uint128": (2**127, pl.UInt128(), False),
    "small": (5, pl.UInt8(), True),
    "fifteen-digits": (Decimal("1234567890.12345"), pl.Decimal(38, 5), True),
    "sixteen-digits": (Decimal("1234567890.123456"), pl.Decimal(38, 6), False),
    "trailing-zeros": (Decimal("1.5"), pl.Decimal(38, 20), True),
    "leading-zeros": (Decimal("0.00000000000000000001"), pl.Decimal(38, 20), True),
}


@pytest.mark.parametrize(("value", "dtype", "wanted"), EXACT.values(), ids=EXACT)
def test_what_doubles_hold(value, dtype, wanted):
    """A number is exact as a double up to 2^53, a decimal up to fifteen digits."""
    frame = pl.DataFrame({"v": pl.Series([value], dtype=dtype)})

    assert frame.select(exact_as_double(pl.col("v"), dtype=dtype)).item() is wanted


@given(number=st.decimals(-(10**12), 10**12, places=3, allow_nan=False))
def test_exact_decimals_survive_doubles(number):
    """A decimal that is sent as a number is the same decimal after a reader made it a double."""
    dtype = pl.Decimal(38, 3)
    frame = pl.DataFrame({"v": pl.Series([number], dtype=dtype)})

    if frame.select(exact_as_double(pl.col("v"), dtype=dtype)).item():
        assert Decimal(repr(float(number))) == number


@pytest.mark.parametrize(
    "dtype", [pl.Int8, pl.Int8(), pl.List(pl.Int8)], ids=["class", "object", "nested"]
)
def test_types_as_objects(dtype):
    """A type given as a class or as an object is the same object."""
    assert isinstance(instance_of(dtype), pl.DataType)
    assert instance_of(dtype) == dtype
