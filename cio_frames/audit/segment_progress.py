"""The progress of a segment from its plan to its last row, and the plan as it is recorded."""

from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit.journal import ENTIRE_BATCH, Entry, Journal, MessageRange
from cio_frames.audit.open_segments import OpenSegment
from cio_frames.audit.pseudonyms import Pii, keyed_hashes, keyed_ids, pseudonyms, redacted
from cio_frames.audit.schema import FINAL_STATES, PLAN_SCHEMA
from cio_frames.audit.subjects import keyed_subjects
from cio_frames.errors import AuditError
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import BatchFact, BatchFinished


class SegmentProgress:
    """The entries and the unfinished rows of one segment."""

    def __init__(
        self, segment: Segment, *, number: int, plan: pl.DataFrame, journal: Journal
    ) -> None:
        self.number = number
        self.journal = journal
        self._plan = plan
        self._people = segment.rows.select("row", "person")
        self._batches = {batch.number: batch.rows.to_numpy() for batch in segment.batches}
        self._entries: list[Entry] = []
        self._unfinished_rows = {
            number: np.ones(len(rows), bool) for number, rows in self._batches.items()
        }
        self._unfinished = sum(len(rows) for rows in self._batches.values())

    @property
    def is_done(self) -> bool:
        """Whether every row has its final state for this run."""
        return self._unfinished == 0

    def entry(self, fact: BatchFact, *, error: str = "") -> Entry:
        """Return the journal entry of a fact; `error` replaces the error of a finished batch."""
        changes = {"error": error} if isinstance(fact, BatchFinished) else {}
        entry: Any = msgspec.structs.replace(fact, batch=self._range(fact.batch), **changes)
        return cast("Entry", entry)

    def _range(self, batch: Batch) -> MessageRange:
        """Return the positions of a request's messages in the planned batch."""
        planned = self._batches.get(batch.number)
        rows = batch.rows.to_numpy()
        if planned is not None and len(rows):
            start = int(np.argmax(planned == rows[0]))
            if np.array_equal(planned[start : start + len(rows)], rows):
                size = ENTIRE_BATCH if len(rows) == len(planned) else len(rows)
                return MessageRange(batch.number, start, size)
        raise AuditError(
            f"Batch {batch.number} of segment {self.number} is not a part of what was planned. "
            "It was not sent. This is a bug in cio_frames; please report it."
        )

    def add(self, entry: Entry) -> None:
        """Update the unfinished rows by an entry of the journal."""
        self._entries.append(entry)
        if not isinstance(entry, BatchFinished):
            return
        if entry.state in FINAL_STATES or entry.state == "blocked":
            unfinished = self._unfinished_rows[entry.batch.batch]
            unfinished = unfinished[slice(*entry.batch.within(len(unfinished)))]
            self._unfinished -= int(np.count_nonzero(unfinished))
            unfinished[:] = False

    def person(self, batch: Batch) -> str | None:
        """Return the person of a batch of one row."""
        if len(batch) != 1:
            return None
        person: str | None = self._people.row(by_predicate=pl.col("row") == batch.rows[0])[1]
        return person

    def open_segment(self) -> OpenSegment:
        """Return the segment as `read_contents` would return it."""
        return OpenSegment(segment=self.number, plan=self._plan, entries=tuple(self._entries))


_NONE = -1


def plan_of(
    segment: Segment, *, pii: Pii, key: str | None, id_key: str | None = None
) -> pl.DataFrame:
    """Return the plan of a segment as it is recorded, with message ids keyed by `id_key`, if given.

    Raises:
        AuditError: If a row occurs twice, or is in a request but not in the segment.
    """
    rows = segment.rows
    positions = _positions(segment)
    if positions is None:
        raise AuditError(
            f"Segment {segment.number} does not contain each of its rows once. "
            "Nothing of it was sent. This is a bug in cio_frames; please report it."
        )
    error = pl.col("error")
    if pii != "full" and rows["error"].null_count() < rows.height:
        error = redacted(error, person=pl.col("person"))
    people = pseudonyms(rows["person"], pii=pii, key=key)
    recorded = rows.with_columns(
        *positions,
        people,
        keyed_subjects(rows, people=people, pii=pii, key=key),
        error,
        pl.lit(segment.plan).alias("plan"),
        keyed_ids(pl.col("message_id"), key=id_key),
        keyed_hashes(pl.col("payload_hash"), key=id_key),
    )
    return recorded.select(pl.col(name).cast(kind) for name, kind in PLAN_SCHEMA.items())


def _positions(segment: Segment) -> tuple[pl.Series, pl.Series] | None:
    """Return batch and position of each row, null if it is not sent.

    Returns:
        None if a row occurs twice or out of order, or is sent but not in the segment.
    """
    rows = segment.rows["row"].to_numpy()
    batches = [batch.rows.to_numpy() for batch in segment.batches]
    sent = np.concatenate(batches) if batches else np.empty(0, np.int64)
    sizes = np.array([len(batch_rows) for batch_rows in batches], np.int64)
    is_dense = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
    indices = sent - rows[0] if is_dense else np.searchsorted(rows, sent)
    is_inside = (indices >= 0) & (indices < len(rows))
    if not is_inside.all() or not np.array_equal(rows[indices], sent):
        return None
    numbers = np.array([batch.number for batch in segment.batches], np.int32)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    batch, position = np.full((2, len(rows)), _NONE, np.int32)
    batch[indices] = np.repeat(numbers, sizes)
    position[indices] = np.arange(len(sent)) - starts
    is_once = bool(np.all(rows[1:] > rows[:-1])) and np.count_nonzero(batch != _NONE) == len(sent)
    return (_nullable("batch", batch), _nullable("position", position)) if is_once else None


def _nullable(name: str, values: npt.NDArray[np.int32]) -> pl.Series:
    """Return numbers as a column, null where there is no number."""
    column = pl.Series(name, values)
    return column.set(column == _NONE, None) if (values == _NONE).any() else column
