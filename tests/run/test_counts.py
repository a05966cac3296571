"""Counting rows by state."""

import polars as pl
import pytest

from cio_frames.errors import AccountingError
from cio_frames.payloads import SEGMENT_SCHEMA, Segment
from cio_frames.run import RunCounts
from cio_frames.sending import SegmentPlanned


def planned(*states):
    """Return the fact of a segment whose rows have these states and are in no batch."""
    rows = pl.DataFrame(
        [{"row": n, "state": s} for n, s in enumerate(states)], schema=SEGMENT_SCHEMA
    )
    return SegmentPlanned(segment=Segment(plan=0, number=0, call="track", rows=rows, batches=()))


def test_rows_are_pending_until_something_is_known():
    """Before the first fact all rows are pending, and the states add up."""
    counts = RunCounts(rows=5, untouched={"delivered": 2}).counts()

    assert (counts["delivered"], counts["pending"], counts["rows"]) == (2, 3, 5)


def test_rows_that_planning_finishes_are_counted():
    """Rows that are left out or were done before count as soon as they are planned."""
    counted = RunCounts(rows=4)

    counted(planned("rejected_local", "skipped_done", "skipped_done", "pending"))

    counts = counted.counts()
    assert (counts["rejected_local"], counts["skipped_done"], counts["pending"]) == (1, 2, 1)


def test_a_row_too_many_is_a_fault():
    """States that exceed the rows raise, and the message lists the states."""
    counted = RunCounts(rows=1)
    counted(planned("rejected_local", "rejected_local"))

    with pytest.raises(AccountingError, match="rejected_local 2"):
        counted.require_balance(complete=False)


def test_a_row_without_an_end_is_a_fault_when_the_run_is_complete():
    """A run that ended by itself leaves no row without a state."""
    with pytest.raises(AccountingError):
        RunCounts(rows=1).require_balance(complete=True)


def test_the_record_has_the_last_word():
    """A row that an earlier run left in doubt is in doubt, whatever this run made of it."""
    counted = RunCounts(rows=1)
    counted(planned("blocked"))

    counted.recorded({"in_doubt": 1})

    assert (counted.counts()["in_doubt"], counted.counts()["blocked"]) == (1, 0)
