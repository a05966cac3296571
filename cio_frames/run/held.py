"""Who is held back from the start of a resumed run: people of whom a row was refused before."""

from contextlib import closing

import polars as pl

from cio_frames.run.choice import Choice
from cio_frames.run.job import Job
from cio_frames.sending import BLOCKING_CALLS, BlockingRow


def refused(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a record that hold back what comes after them, in order."""
    holds = (pl.col("state") == "rejected_server") & pl.col("call").is_in(list(BLOCKING_CALLS))
    return rows.filter(holds).select("plan", "row", "message_id").sort("plan", "row")


def held(job: Job, refusals: pl.DataFrame, *, key: str | None = None) -> dict[int, BlockingRow]:
    """Return who is held back, by the number of the component.

    The record does not tell who belongs together, so these rows are planned once more.

    Args:
        job: What the run was given to do.
        refusals: The rows that were refused, as `refused` returns them.
        key: The key that their message ids are under; None if they are held as they are.
    """
    found: dict[int, BlockingRow] = {}
    left = refusals.height
    if not left:
        return found
    with closing(job.segments(Choice(only=refusals, key=key))) as segments:
        while left > 0 and (segment := next(segments, None)) is not None:
            left -= segment.rows.height
            known = segment.rows.select("component", "row").drop_nulls()
            for person, row in known.iter_rows():
                found.setdefault(person, BlockingRow(plan=segment.plan, row=row, call=segment.call))
    return found
