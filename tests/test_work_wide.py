"""A guard that counts work, not time: planning is linear in columns and in links of aliases."""

import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.identity.components import components

OURS = str(Path(cio.__file__).parent)
QUERIES = ("filter", "group_by", "select", "with_columns")
LINES = 2.1
"""How much more twice as many columns may take: twice as much, and a tenth for what is not seen."""
LINKS = 0.1
"""How many lines one more link may take."""

VALUES = (
    [f"word {row}" for row in "abc"],
    [7, 8, 12],
    [0.5, 1.5, 2.25],
    [datetime(2024, 1, 2, tzinfo=UTC)] * 3,
)


class Work:
    """Counts the lines of this package that are run, and the steps of queries that polars is given."""

    def __init__(self):
        self.lines = 0
        self.steps = 0

    def __call__(self, frame, _event, _argument):
        """Take note of a call, and of each line of it where it is ours."""
        code = frame.f_code
        if code.co_filename.endswith("lazyframe/frame.py"):
            self.steps += code.co_name in QUERIES
        return self.line if code.co_filename.startswith(OURS) else None

    def line(self, _frame, event, _argument):
        """Take note of a line, each time round a loop."""
        self.lines += event == "line"
        return self.line


@contextmanager
def counted():
    """Count the work of this thread and of those that begin meanwhile."""
    work, before = Work(), sys.gettrace()
    threading.settrace(work)
    sys.settrace(work)
    try:
        yield work
    finally:
        sys.settrace(before)
        threading.settrace(before)


def planned(columns):
    """Return the work of planning a table of so many columns, of texts, numbers and times."""
    data = {"id": ["u1", "u2", "u3"]}
    data |= {f"column {place}": VALUES[place % len(VALUES)] for place in range(columns)}
    frame = pl.DataFrame(data)
    with counted() as work:
        plan = cio.frame(frame).identify(user_id="id")
        assert plan.counts["valid"] == 3
        repr(plan)
    return work


@pytest.fixture(scope="module")
def works():
    """The work of planning 70, 140 and 280 columns, after everything is loaded."""
    planned(8)
    return [planned(columns) for columns in (70, 140, 280)]


def test_planning_is_linear_in_columns(works):
    """Twice as many further columns take no more than twice as many further lines."""
    few, some, many = (work.lines for work in works)

    assert many - some < LINES * (some - few)


def test_queries_do_not_grow_with_columns(works):
    """Polars is given as many steps for 280 columns as for 70: each step costs all columns."""
    few, _, many = (work.steps for work in works)

    assert many == few


def test_columns_with_cells_that_fail_are_read_in_one_pass():
    """Postal codes that lost zeros, and numbers with a stray word, cost no pass for each column."""
    zips = ["02139", "2139", *["90210"] * 28]
    scores = ["seven", *map(str, range(10, 39))]
    steps = []
    for columns in (2, 20):
        frame = pl.DataFrame({"id": [f"u{row}" for row in range(30)]}).with_columns(
            *(pl.Series(f"zip {place}", zips) for place in range(columns)),
            *(pl.Series(f"score {place}", scores) for place in range(columns)),
        )
        with counted() as work:
            findings = frame.cio.identify(user_id="id").findings
        assert set(findings["code"]) == {"value.zeros-mixed", "column.stray-text"}
        assert findings.height == 2 * columns
        steps.append(work.steps)

    assert steps[0] == steps[1]


def test_components_take_no_step_per_link():
    """A chain of aliases, each merged into the next, is one component at no cost per link."""
    lines = []
    for links in (1_000, 5_000):
        chain = [f"u{place:05d}" for place in range(links + 1)]
        pairs = pl.DataFrame({"key": chain[:-1], "other": chain[1:]})
        with counted() as work:
            by_key = components(pairs)
        assert set(by_key["component"]) == {"u00000"}
        lines.append(work.lines)

    assert lines[1] - lines[0] < LINKS * 4_000
