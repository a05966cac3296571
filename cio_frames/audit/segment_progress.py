"""A segment from its sealed plan to its last row: what is sent, and which rows are done."""

from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit.journal import WHOLE, Entry, Journal, Place
from cio_frames.audit.open_segments import OpenSegment
from cio_frames.audit.pseudonyms import Pii, keyed_hashes, keyed_ids, pseudonyms, scrubbed
from cio_frames.audit.schema import PLAN_SCHEMA, SETTLED
from cio_frames.audit.subjects import hashed
from cio_frames.errors import AuditError
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import BatchFact, BatchFinished


class SegmentProgress:
    """What the recorder knows of one segment."""

    def __init__(
        self, segment: Segment, *, number: int, plan: pl.DataFrame, journal: Journal
    ) -> None:
        self.number = number
        self.journal = journal
        self._plan = plan
        self._people = segment.rows.select("row", "person")
        self._batches = {batch.number: batch.rows.to_numpy() for batch in segment.batches}
        self._entries: list[Entry] = []
        self._left = {number: np.ones(len(rows), bool) for number, rows in self._batches.items()}
        self._unfinished = sum(len(rows) for rows in self._batches.values())

    @property
    def is_done(self) -> bool:
        """Whether every row has reached its last state."""
        return self._unfinished == 0

    def entry(self, fact: BatchFact, *, error: str = "") -> Entry:
        """Return a fact as a journal holds it, with the error of an end in these words."""
        words = {"error": error} if isinstance(fact, BatchFinished) else {}
        entry: Any = msgspec.structs.replace(fact, batch=self._place(fact.batch), **words)
        return cast("Entry", entry)

    def _place(self, batch: Batch) -> Place:
        """Return where the messages of a request are in what was planned."""
        planned = self._batches.get(batch.number)
        rows = batch.rows.to_numpy()
        if planned is not None and len(rows):
            start = int(np.argmax(planned == rows[0]))
            if np.array_equal(planned[start : start + len(rows)], rows):
                size = WHOLE if len(rows) == len(planned) else len(rows)
                return Place(batch.number, start, size)
        raise AuditError(
            f"Batch {batch.number} of segment {self.number} is not a part of what was planned. "
            "It was not sent. This is a bug in cio_frames; please report it."
        )

    def note(self, entry: Entry) -> None:
        """Take an entry of the journal into account."""
        self._entries.append(entry)
        if not isinstance(entry, BatchFinished):
            return
        if entry.state in SETTLED or entry.state == "blocked":
            left = self._left[entry.batch.batch]
            left = left[slice(*entry.batch.within(len(left)))]
            self._unfinished -= int(np.count_nonzero(left))
            left[:] = False

    def person(self, batch: Batch) -> str | None:
        """Return the identifier that a batch of one row is about."""
        if len(batch) != 1:
            return None
        found: str | None = self._people.row(by_predicate=pl.col("row") == batch.rows[0])[1]
        return found

    def open_segments(self) -> OpenSegment:
        """Return the segment as it would be found in the directory."""
        return OpenSegment(segment=self.number, plan=self._plan, entries=tuple(self._entries))


_NONE = -1


def plan_of(
    segment: Segment, *, pii: Pii, key: str | None, id_key: str | None = None
) -> pl.DataFrame:
    """Return the plan of `segment` as it is kept, with message ids under `id_key`, if there is one.

    Raises:
        AuditError: If a row is there twice, or in a request and not in the segment.
    """
    rows = segment.rows
    places = _places(segment)
    if places is None:
        raise AuditError(
            f"Segment {segment.number} does not contain each of its rows once. "
            "Nothing of it was sent. This is a bug in cio_frames; please report it."
        )
    error = pl.col("error")
    if pii != "full" and rows["error"].null_count() < rows.height:
        error = scrubbed(error, person=pl.col("person"))
    people = pseudonyms(rows["person"], pii=pii, key=key)
    told = rows.with_columns(
        *places,
        people,
        hashed(rows, people=people, pii=pii, key=key),
        error,
        pl.lit(segment.plan).alias("plan"),
        keyed_ids(pl.col("message_id"), key=id_key),
        keyed_hashes(pl.col("payload_hash"), key=id_key),
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
