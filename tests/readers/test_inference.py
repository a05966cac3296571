"""Object columns that Arrow infers are those that looking at each value gives."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.frames import read
from cio_frames.frames.inference import infer_column
from cio_frames.frames.python_columns import column, convert_each
from cio_frames.frames.python_values import PARTS_MAX

NAN = float("nan")
EDGE = 2**53
SCALARS = st.sampled_from([
    None, NAN, True, False, 0, 1, -7, EDGE, EDGE + 1, -EDGE - 1, 2**63 - 1, 2**63, 2**64, 0.5, -0.0, 1e300, float("inf"),
    "", "a", "é", "2024-01-02", "\ud800", b"b", Decimal("1.50"), date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC), np.int64(3), np.float32(0.1),
    np.float64(0.25), np.str_("n"), np.bool_(True), np.array([1, 2]), pd.NaT, pd.NA, pd.Timestamp("2024-01-02"), {1, 2}, object,
])  # fmt: skip
COMMON = st.sampled_from([None, NAN, True, 1, 2, 2.5, EDGE + 1, "a", "b"])
KEYS = st.sampled_from(["b", "a", "c", "é", 1, b"a", "\ud800"])
NAMES = st.sampled_from(["b", "a", "c"])


def nested(leaves, keys):
    """Make leaves, lists and dictionaries of them."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(keys, inner, max_size=3)
            | st.tuples(inner, inner)
        ),
        max_leaves=6,
    )


def records(leaves, keys):
    """Make columns of dictionaries or lists of a kind, which Arrow may well infer."""
    return st.lists(st.none() | st.dictionaries(keys, leaves, max_size=3), max_size=5) | st.lists(
        st.none() | st.lists(leaves, max_size=3), max_size=5
    )


VALUES = st.one_of(
    records(COMMON, NAMES),
    records(nested(COMMON, NAMES), NAMES),
    records(SCALARS, KEYS),
    st.lists(nested(SCALARS, KEYS), max_size=5),
)


@given(values=VALUES)
def test_both_ways_give_the_same_column(values):
    """Type, values and notes do not depend on whether Arrow infers the column."""
    quick, slow = column("c", values), convert_each("c", values)

    assert quick.series.dtype == slow.series.dtype
    # As texts: old polars calls equal structs different, and NaN is not equal to itself.
    assert repr(quick.series.to_list()) == repr(slow.series.to_list())
    assert (quick.json, quick.notes) == (slow.json, slow.notes)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([{"b": 1, "a": "x"}, None, {"a": None}], pl.Struct({"a": pl.String, "b": pl.Int64})),
        ([["a"], NAN, [], [None]], pl.List(pl.String)),
        ([{"a": 1}, {"a": 0.5}, {"a": NAN}], pl.Struct({"a": pl.Float64})),
        ([{"a": [{"b": True}]}, {"c": 0.5}], pl.Struct({"a": pl.List(pl.Struct({"b": pl.Boolean})), "c": pl.Float64})),
        ([{"a": NAN}], pl.Struct({"a": pl.Null})),
        (["a", NAN], pl.String),
    ],
)  # fmt: skip
def test_plain_lists_and_dictionaries_are_inferred(values, dtype):
    """Nothing but builtin types of one kind for each place is left to Arrow."""
    series = infer_column("c", values)

    assert series is not None
    assert series.dtype == dtype


@pytest.mark.parametrize(
    "values",
    [
        [{"a": 1}, {"a": True}], [{"a": 0.5}, {"a": True}], [[True, 0.5], [False]], [{"a": EDGE + 1}, {"a": 0.5}], [{"a": 2**63}],
        [{}], [{"a": {}}], [{"a": {1, 2}}], [{b"a": 1}], [{1: 1}], [{"a": "\ud800"}], [{"a": np.array([1])}], [{"a": np.float64(1)}],
        [{"a": date(2024, 1, 2)}], [{f"k{place}": place for place in range(101)}], [["a"] * PARTS_MAX], [1, 0.5],
    ],
    ids=repr,
)  # fmt: skip
def test_what_arrow_would_change_is_looked_at(values):
    """Where Arrow would turn one value into another, or does not support it, each value is converted on its own."""
    assert infer_column("c", values) is None


def test_values_that_contain_themselves_end():
    """A list or a dictionary in itself is not followed for ever."""
    items, members = [1], {}
    items.append(items)
    members["a"] = members

    assert infer_column("c", [items]) is None
    assert infer_column("c", [members]) is None


def test_no_reader_is_called_for_each_dictionary(monkeypatch):
    """A pandas column of dictionaries and lists makes no call of this package for each value."""
    calls = []
    monkeypatch.setattr("cio_frames.frames.python_columns.to_builtin", lambda *_: calls.append(1))
    rows = [{"a": place, "b": [f"t{place}", "u"], "c": {"d": 0.5}} for place in range(50)]

    table = read(pd.DataFrame({"id": range(50), "device": rows}))

    assert not calls
    assert table.eager["device"].to_list() == rows
