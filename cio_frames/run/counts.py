"""Counting: how many rows are in each state, at every moment of a run."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType
from typing import assert_never

import polars as pl

from cio_frames.audit import STATES
from cio_frames.errors import AccountingError
from cio_frames.sending import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    ClockSkewed,
    Fact,
    Paused,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
    StateRepeated,
)


class Tally:
    """A listener that counts. Rows whose end is not known are pending.

    Args:
        rows: Rows of all plans of the run.
        known: States of rows that the run does not touch.

    Examples:
        >>> Tally(rows=3).counts()["pending"]
        3
    """

    def __init__(self, *, rows: int, known: Mapping[str, int] = MappingProxyType({})) -> None:
        self._rows = rows
        self._states: Counter[str] = Counter(known)
        self._planned = self._states.total()
        self._totals: Counter[str] = Counter()
        self._recorded: dict[str, int] = {}
        self._lock = Lock()
        self.stopped: RunStopped | None = None
        self.notes: tuple[str, ...] = ()

    def __call__(self, fact: Fact) -> None:
        """Take note of a fact."""
        with self._lock:
            self._count(fact)

    def counts(self) -> dict[str, int]:
        """Return the rows in each state, and rows, requests, retries and bytes in all."""
        with self._lock:
            states = self._recorded or {state: self._states[state] for state in STATES}
            states["pending"] = self._rows - sum(
                count for state, count in states.items() if state != "pending"
            )
            totals = {name: self._totals[name] for name in ("requests", "retries", "bytes")}
            return {"rows": self._rows, **states, **totals}

    def recorded(self, counts: Mapping[str, int]) -> None:
        """Take over the states of the record, which knows what an earlier run left in doubt."""
        with self._lock:
            self._recorded = {state: counts.get(state, 0) for state in STATES}

    def require_balance(self, *, complete: bool) -> None:
        """Raise if a row is in two states, or in none although the run is over.

        Args:
            complete: Whether the run came to its end by itself.

        Raises:
            AccountingError: The states do not add up.
        """
        known = sum(self._states.values())
        if known > self._rows or (complete and (known, self._planned) != (self._rows, self._rows)):
            raise AccountingError(self._rows, counts=dict(self._states))

    def _count(self, fact: Fact) -> None:
        match fact:
            case SegmentPlanned(segment=segment):
                self._planned += segment.rows.height
                settled = segment.rows.filter(pl.col("state") != "pending")["state"]
                self._states.update(dict(settled.value_counts().iter_rows()))
            case BatchAttempted(batch=batch):
                self._totals["requests"] += 1
                self._totals["bytes"] += batch.message_bytes
            case BatchRetried():
                self._totals["retries"] += 1
            case BatchFinished(batch=batch, state=state):
                self._states[state] += len(batch)
            case RunStopped():
                self.stopped = fact
            case ClockSkewed(note=note) | StateRepeated(note=note):
                self.notes = (*self.notes, note)
            case RunStarted() | BatchSplit() | Paused() | RunFinished():
                pass
            case never:
                assert_never(never)
