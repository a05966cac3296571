"""Rows over time: every row that would be sent is counted once, in the right bar."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.plan.report import MOST_BARS, timeline

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def _timeline(times, *, call="track", clock=NOW, **data):
    frame = pl.DataFrame(
        {"id": [f"u{n}" for n in range(len(times))], "at": times, **data},
        schema_overrides={"at": pl.Datetime("ms", "UTC")},
    )
    verb = getattr(frame.cio, call)
    fields = {"event": cio.lit("Bought")} if call == "track" else {}
    plan = verb(user_id="id", timestamp="at", **fields)
    return timeline(replace(plan.pipeline, clock=lambda: clock))


@given(hours=st.lists(st.floats(0, 200_000), min_size=1, max_size=40))
def test_every_row_is_in_one_bar(hours):
    """However far apart, all rows are there, in at most eighty bars, recent ones apart."""
    times = [NOW - timedelta(hours=each) for each in hours]

    view = _timeline(times)

    assert view is not None
    sent = [at for at in times if at >= datetime(1970, 1, 1, tzinfo=UTC)]
    recent = sum(
        at.replace(microsecond=at.microsecond // 1000 * 1000) >= NOW - timedelta(hours=72)
        for at in sent
    )
    assert sum(view.older) + sum(view.recent) == len(sent)
    assert sum(view.recent) == recent
    assert len(view.older) == len(view.recent) <= MOST_BARS
    assert view.first <= min(sent) <= view.first + view.width


@pytest.mark.parametrize(
    ("hours", "recent"),
    [pytest.param(71.9, 1, id="just-recent"), pytest.param(72.1, 0, id="just-old")],
)
def test_the_border_is_at_72_hours(hours, recent):
    """An event can start campaigns up to 72 hours after it happened."""
    view = _timeline([NOW - timedelta(hours=hours)])

    assert sum(view.recent) == recent


def test_rows_that_are_left_out_are_not_drawn():
    """A row that is not sent is not in the chart."""
    old = NOW - timedelta(days=40)

    view = _timeline([old, None, old + timedelta(days=400)])

    assert sum(view.older) + sum(view.recent) == 1
    assert view.unknown == 0


def test_only_events_can_start_campaigns():
    """People with a time have a chart without a verdict."""
    view = _timeline([NOW], call="identify")

    assert (view.hours, sum(view.recent)) == (None, 0)


@pytest.mark.parametrize(
    "times", [pytest.param([], id="no-rows"), pytest.param([None], id="no-times")]
)
def test_without_times_there_is_no_chart(times):
    """Nothing to draw is no chart."""
    assert _timeline(times, call="identify") is None


def test_without_a_timestamp_there_is_no_chart():
    """A plan that says nothing about times has none."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    assert timeline(plan.pipeline) is None
