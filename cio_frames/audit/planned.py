"""The sealed plan of a segment: every input row, with its place in the requests to come."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from cio_frames.audit.pseudonym import Pii, pseudonyms, scrubbed
from cio_frames.audit.schema import HASH_CHARACTERS, PLAN_SCHEMA, frame_schema
from cio_frames.errors import AuditError
from cio_frames.payloads.batches import Batch, Segment


def plan_of(segment: Segment, *, pii: Pii, key: str | None) -> pl.DataFrame:
    """Return the plan of `segment` as it is kept.

    Raises:
        AuditError: If a row is there twice, or in a request and not in the segment.
    """
    places = _places(segment.batches)
    rows = segment.rows.drop("batch").join(places, on="row", how="left", maintain_order="left")
    if rows["row"].n_unique() != rows.height or rows["batch"].count() != places.height:
        raise AuditError(
            f"Segment {segment.number} does not hold each of its rows once. "
            "Nothing of it was sent. This is a fault of cio_frames: please report it."
        )
    error = pl.col("error")
    if pii != "full" and rows["error"].null_count() < rows.height:
        error = scrubbed(error, person=pl.col("person"))
    told = rows.with_columns(
        pseudonyms(rows["person"], pii=pii, key=key),
        error,
        pl.lit(segment.plan).alias("plan"),
        pl.col("payload_hash").str.head(HASH_CHARACTERS),
    )
    return told.select(
        pl.col(name).cast(kind) for name, kind in frame_schema(PLAN_SCHEMA).items()
    )  # fmt: skip


def _places(batches: Sequence[Batch]) -> pl.DataFrame:
    """Return batch and position of every row that is sent."""
    sizes = np.array([len(batch) for batch in batches], np.int64)
    ends = np.cumsum(sizes)
    count = int(ends[-1]) if len(ends) else 0
    numbers = np.array([batch.number for batch in batches], np.int32)
    rows = [batch.rows.to_numpy() for batch in batches]
    return pl.DataFrame(
        {
            "row": np.concatenate(rows) if rows else np.empty(0, np.int64),
            "batch": np.repeat(numbers, sizes),
            "position": (np.arange(count) - np.repeat(ends - sizes, sizes)).astype(np.int32),
        },
        schema={"row": pl.Int64, "batch": pl.Int32, "position": pl.Int32},
    )
