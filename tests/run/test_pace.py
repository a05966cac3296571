"""The pace of a run: nothing lost, whatever its length, in a bounded number of buckets."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.payloads import Batch
from cio_frames.run.pace import MAX_BUCKETS, Pace
from cio_frames.sending import BatchFinished, RunStarted

START = datetime(2026, 1, 1, tzinfo=UTC)


def _finished(rows: int, *, after_s: float, elapsed_s: float, state: str = "delivered"):
    batch = Batch(
        plan=0,
        segment=0,
        number=0,
        call="track",
        path="/v1/batch",
        batched=True,
        messages=pl.Series(["{}"] * rows, dtype=pl.String),
        rows=pl.Series(range(rows), dtype=pl.Int64),
        message_bytes=2 * rows,
        lanes=(0, 0),
    )
    return BatchFinished(
        batch=batch,
        state=state,
        attempts=1,
        status=200,
        code="",
        error="",
        in_doubt=False,
        elapsed_s=elapsed_s,
        at=START + timedelta(seconds=after_s),
    )


ANSWERS = st.tuples(st.integers(1, 50), st.floats(0, 1e6), st.floats(0, 30))


@given(answers=st.lists(ANSWERS, min_size=1, max_size=60))
def test_every_answer_is_in_the_pace(answers):
    """Rows, the longest and the mean wait are those of the answers, in at most 80 buckets."""
    pace = Pace()
    pace(RunStarted(run_id="r", at=START))
    for rows, after_s, elapsed_s in sorted(answers, key=lambda answer: answer[1]):
        pace(_finished(rows, after_s=after_s, elapsed_s=elapsed_s))

    view = pace.view()
    assert view is not None
    waits = [elapsed_s for _, _, elapsed_s in answers]
    assert sum(view.rows) == sum(rows for rows, _, _ in answers)
    assert len(view.rows) <= MAX_BUCKETS
    assert max(view.longest_s) == max(waits)
    assert abs(view.mean_s - sum(waits) / len(waits)) < 1e-6
    assert view.width_s * len(view.rows) >= max(after_s for _, after_s, _ in answers) - 1e-3


def test_what_was_not_answered_has_no_pace():
    """Rows that were blocked do not count for the speed of answers."""
    pace = Pace()
    pace(RunStarted(run_id="r", at=START))

    pace(_finished(3, after_s=1.0, elapsed_s=0.0, state="pending"))

    assert pace.view() is None
