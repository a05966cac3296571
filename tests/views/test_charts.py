"""Charts: every value drawn to scale, every word outside the picture, nothing that could run."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cio_frames.views import charts, html, report, summary, text
from cio_frames.views.document import Chart, Layer, Node
from cio_frames.views.environment import Output, writing_to
from cio_frames.views.report import TimelineView
from cio_frames.views.style import TONES
from cio_frames.views.summary import PaceView

TIMES = TimelineView(
    first=datetime(2024, 11, 1, tzinfo=UTC),
    last=datetime(2024, 11, 9, tzinfo=UTC),
    width=timedelta(days=2),
    older=(4, 0, 8, 1, 0),
    recent=(0, 0, 0, 1, 2),
    hours=72,
    unknown=3,
)
PACE = PaceView(
    width_s=0.5,
    rows=(10, 40, 0, 20),
    waits_s=(0.1, 0.2, 0.0, 0.4),
    longest_s=(0.2, 0.5, 0.0, 1.5),
    retries=(0, 0, 2, 1),
    mean_s=0.25,
)


def _chart(*layers: Layer) -> Chart:
    return Chart(layers=layers, first="f", last="l", alt="a")


def _html(node: Node) -> str:
    return str(html.render_nodes([node]))


def _svg(markup: object) -> str:
    return base64.b64decode(re.findall(r"base64,([^\"]+)", str(markup))[0]).decode()


def _heights(markup: object, tone: str) -> list[float]:
    pattern = rf'height="([\d.]+)" fill="{TONES[tone]}"'
    return [float(height) for height in re.findall(pattern, _svg(markup))]


def test_bars_are_as_high_as_their_values():
    """The highest bar fills the picture, the others keep their share, and nothing is no bar."""
    drawn = charts.column_chart(_chart(Layer([5, 10, 0], "calm")))

    assert _heights(drawn, "calm") == [50.0, 100.0]


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_a_chart_fits_into_a_terminal(columns):
    """Bars are joined until they fit; words and rows are those of the joined bars."""
    view = replace(TIMES, older=tuple(range(80)), recent=(0,) * 80)
    with writing_to(Output(encoding="ascii", columns=columns)):
        shown = text.render_nodes([report.timeline(view)])
        lines = shown.split("\n")
    days = {30: 28, 40: 10, 80: 4, 200: 2}[columns]

    assert all(len(line) <= columns for line in lines)
    assert f"Each bar is {'4 weeks' if days == 28 else f'{days} days'};" in " ".join(shown.split())


def test_a_small_bar_is_still_seen():
    """One row beside a million is a bar that can be seen."""
    drawn = charts.column_chart(_chart(Layer([1_000_000, 1], "calm")))

    assert _heights(drawn, "calm")[1] == 3.0


@given(
    layers=st.integers(1, 90).flatmap(
        lambda count: st.lists(
            st.lists(st.integers(0, 10**9), min_size=count, max_size=count),
            min_size=1,
            max_size=2,
        )
    )
)
def test_bars_stay_inside_the_picture(layers):
    """Whatever the values, no bar leaves the picture."""
    tones = ("calm", "care")
    drawn = charts.column_chart(
        _chart(*(Layer(values, tone) for values, tone in zip(layers, tones, strict=False)))
    )

    for x, y, width, height in re.findall(
        r'x="([-\d.]+)" y="([-\d.]+)" width="([-\d.]+)" height="([-\d.]+)"', _svg(drawn)
    ):
        assert 0 <= float(x) <= float(x) + float(width) <= 1000.1
        assert 0 <= float(y) <= 100
        assert float(height) > 0


def test_no_words_are_in_a_picture(read):
    """A picture cannot know its ground, so its words stand beside it, and its alt text says all."""
    drawn = _html(report.timeline(TIMES))

    assert "<text" not in _svg(drawn)
    images = [dict(attributes) for tag, attributes in read(drawn).elements if tag == "img"]
    assert images[0]["alt"] == snapshot(
        "Each bar is 2 days; the tallest is 8 rows. 3 of 16 events (19 %) are less than 72 hours old."
    )


def test_rows_that_can_start_campaigns_are_marked(read):
    """They have their own tone, a line before them, a badge, and a sentence with their number."""
    drawn = _html(report.timeline(TIMES))

    assert len(_heights(drawn, "care")) == 3
    assert read(drawn).outline == snapshot(
        [
            "When the events happened",
            "2024-11-01",
            "2024-11-09",
            "Each bar is 2 days; the tallest is 8 rows.",
            "! can start campaigns",
            "3 of 16 events (19 %) are less than 72 hours old.",
            "3 rows without a time are not shown.",
        ]
    )


def test_old_rows_start_nothing(read):
    """Where every row is old, the chart says so and marks nothing."""
    drawn = _html(report.timeline(replace(TIMES, recent=(0,) * 5, unknown=0)))

    assert _heights(drawn, "care") == []
    assert "✓ no campaigns" in read(drawn).outline


def test_a_call_that_starts_nothing_has_no_verdict(read):
    """The rule is about events: people, groups and aliases have no badge."""
    outline = read(_html(report.timeline(replace(TIMES, hours=None, unknown=0)))).outline

    assert outline[-1] == "Each bar is 2 days; the tallest is 8 rows."


def test_the_timeline_in_a_terminal():
    """The bars fit on one line of a terminal."""
    assert text.render_nodes([report.timeline(TIMES)]) == snapshot("""\
When the events happened
  2024-11-01 ▄ █▂▂ 2024-11-09
  Each bar is 2 days; the tallest is 8 rows.
  ! can start campaigns: 3 of 16 events (19 %) are less than 72 hours old.
  3 rows without a time are not shown.\
""")


def test_the_pace_of_a_run(read):
    """Rows and waits over the run, in words and in bars; trouble has its own tone."""
    drawn = _html(summary.pace(PACE))

    assert read(drawn).outline == snapshot(
        [
            "Pace",
            "Rows answered: 35 rows/s on average, 80 rows/s at peak. 3 requests had to be repeated.",
            "start",
            "2.0 s",
            "Response time: 250 ms on average, 1.5 s at most.",
            "start",
            "2.0 s",
        ]
    )
    assert _heights(drawn, "care") == [50.0]
    assert text.render_nodes([summary.pace(PACE)]) == snapshot("""\
Pace
  Rows answered: 35 rows/s on average, 80 rows/s at peak. 3 requests had to be repeated.
  start ▂█ ▄ 2.0 s
  Response time: 250 ms on average, 1.5 s at most.
  start ▁▃ █ 2.0 s\
""")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([0, 0], "  ", id="zeros"),
        pytest.param([1, 1000], "▁█", id="small-is-seen"),
    ],
)
def test_sparklines(values, line):
    """Every value has its place; only nothing is blank."""
    assert charts.sparkline(values) == line
