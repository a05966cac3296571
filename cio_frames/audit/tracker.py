"""A segment while its requests are under way: which rows are done, and how to name a few of them."""

from typing import Any, cast

import msgspec
import numpy as np
import polars as pl

from cio_frames.audit.journal import WHOLE, Entry, Journal, Place
from cio_frames.audit.open_segments import Unsealed
from cio_frames.audit.schema import SETTLED
from cio_frames.errors import AuditError
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import BatchFact, BatchFinished


class Tracker:
    """What the recorder knows of one segment.

    Args:
        segment: The segment as it was planned.
        number: Its number in the directory.
        plan: Its sealed plan.
        journal: Its open journal.
    """

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
            "It was not sent. This is a fault of cio_frames: please report it."
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

    def unsealed(self) -> Unsealed:
        """Return the segment as it would be found in the directory."""
        return Unsealed(segment=self.number, plan=self._plan, entries=tuple(self._entries))
