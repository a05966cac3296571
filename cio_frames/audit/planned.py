"""The sealed plan of a segment: every input row, with its place in the requests to come."""

import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit.pseudonyms import Pii, pseudonyms, scrubbed
from cio_frames.audit.schema import HASH_CHARACTERS, PLAN_SCHEMA
from cio_frames.errors import AuditError
from cio_frames.payloads.batches import Segment

_NONE = -1


def plan_of(segment: Segment, *, pii: Pii, key: str | None) -> pl.DataFrame:
    """Return the plan of `segment` as it is kept.

    Raises:
        AuditError: If a row is there twice, or in a request and not in the segment.
    """
    rows = segment.rows
    places = _places(segment)
    if places is None:
        raise AuditError(
            f"Segment {segment.number} does not hold each of its rows once. "
            "Nothing of it was sent. This is a fault of cio_frames: please report it."
        )
    error = pl.col("error")
    if pii != "full" and rows["error"].null_count() < rows.height:
        error = scrubbed(error, person=pl.col("person"))
    told = rows.with_columns(
        *places,
        pseudonyms(rows["person"], pii=pii, key=key),
        error,
        pl.lit(segment.plan).alias("plan"),
        pl.col("payload_hash").str.head(HASH_CHARACTERS),
    )
    return told.select(
        pl.col(name).cast(kind) for name, kind in PLAN_SCHEMA.items()
    )  # fmt: skip


def _places(segment: Segment) -> tuple[pl.Series, pl.Series] | None:
    """Return batch and position of each row, null where it is not sent.

    Returns:
        None where a row is there twice or out of order, or sent and not in the segment.
    """
    rows = segment.rows["row"].to_numpy()
    found = [batch.rows.to_numpy() for batch in segment.batches]
    sent = np.concatenate(found) if found else np.empty(0, np.int64)
    sizes = np.array([len(each) for each in found], np.int64)
    dense = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
    where = sent - rows[0] if dense else np.searchsorted(rows, sent)
    inside = (where >= 0) & (where < len(rows))
    if not inside.all() or not np.array_equal(rows[where], sent):
        return None
    numbers = np.array([batch.number for batch in segment.batches], np.int32)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    batch, position = np.full((2, len(rows)), _NONE, np.int32)
    batch[where] = np.repeat(numbers, sizes)
    position[where] = np.arange(len(sent)) - starts
    once = bool(np.all(rows[1:] > rows[:-1])) and np.count_nonzero(batch != _NONE) == len(sent)
    return (_known("batch", batch), _known("position", position)) if once else None


def _known(name: str, values: npt.NDArray[np.int32]) -> pl.Series:
    """Return numbers as a column, null where there is none."""
    column = pl.Series(name, values)
    return column.set(column == _NONE, None) if (values == _NONE).any() else column
