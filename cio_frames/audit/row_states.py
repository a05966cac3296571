"""From a sealed plan and its journal to what is known of every row.

This is the one place that decides it: for a segment that is done, for a run that was stopped,
and for a directory that a crash left behind:

- no attempt recorded: pending, certainly not sent;
- attempted, and the answer shows that it was not applied: pending;
- attempted, and no answer or an ambiguous one: in doubt;
- otherwise what the outcome says. A settled state is never left.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit.journal import Entry, Place
from cio_frames.audit.schema import PART_SCHEMA, SETTLED, STATES
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried

_NUMBER = {name: number for number, name in enumerate(STATES)}
_PENDING, _IN_DOUBT, _BLOCKED = (_NUMBER[name] for name in ("pending", "in_doubt", "blocked"))
_IS_SETTLED = np.array([name in SETTLED for name in STATES])
_NONE = -1


def row_states(plan: pl.DataFrame, entries: Iterable[Entry], *, run_id: str) -> pl.DataFrame:
    """Return one row per row of `plan`, in its order, with the columns of a part.

    Raises:
        LookupError: If an entry speaks of a batch that the plan does not have.
    """
    book = _RowStates(plan)
    for entry in entries:
        book.apply(entry)
    known = {
        **{column.name: column for column in plan},
        **book.columns(),
        "run_id": pl.Series([run_id]).new_from_index(0, plan.height),
    }
    if book.has_reasons:
        for name in ("code", "error"):
            said = known[f"said_{name}"]
            known[name] = said.zip_with(said.is_not_null(), plan[name])
    return pl.DataFrame([known[name].cast(kind).alias(name) for name, kind in PART_SCHEMA.items()])


class _RowStates:
    """What is known of the rows that are sent, as columns in sending order."""

    def __init__(self, plan: pl.DataFrame) -> None:
        batches = plan["batch"].fill_null(_NONE).to_numpy()
        is_sent = batches != _NONE
        sizes = np.bincount(batches[is_sent])
        firsts = np.cumsum(sizes) - sizes
        self._where = {
            batch: (first, first + size)
            for batch, (first, size) in enumerate(zip(firsts.tolist(), sizes.tolist(), strict=True))
            if size
        }
        places = firsts[batches[is_sent]] + plan["position"].drop_nulls().to_numpy()
        self._places = np.empty(len(places), np.int64)
        self._places[places] = np.flatnonzero(is_sent)
        self._planned = plan["state"]
        count = len(self._places)
        self._state = np.full(count, _PENDING, np.int8)
        self._waiting = np.zeros(count, bool)
        self._doubted = np.zeros(count, bool)
        self._attempts = np.zeros(count, np.int32)
        self._status = np.full(count, _NONE, np.int16)
        self._reason = np.full(count, _NONE, np.int32)
        self._first = np.full(count, _NONE, np.int64)
        self._last = np.full(count, _NONE, np.int64)
        self._reasons: list[tuple[str, str]] = []

    def apply(self, entry: Entry) -> None:
        """Take one entry of the journal into account."""
        first, end = self._where[entry.batch.batch]
        start, stop = entry.batch.within(end - first)
        rows = slice(first + start, first + stop)
        match entry:
            case BatchAttempted(at=at):
                self._attempts[rows] += 1
                self._waiting[rows] = True
                earliest = self._first[rows]
                earliest[earliest == _NONE] = _milliseconds(at)
            case BatchRetried(in_doubt=in_doubt):
                self._waiting[rows] = False
                self._doubted[rows] |= in_doubt
                self._explain(rows, ~_IS_SETTLED[self._state[rows]], entry)
            case BatchFinished():
                self._finish(rows, entry)

    @property
    def has_reasons(self) -> bool:
        """Whether an answer had words of its own for anything."""
        return bool(self._reasons)

    def columns(self) -> dict[str, pl.Series]:
        """Return the columns for every row of the plan, null where nothing is known."""
        unsettled = ~_IS_SETTLED[self._state]
        self._state[unsettled & (self._waiting | self._doubted)] = _IN_DOUBT
        states = pl.Series(STATES).gather(self._spread(self._state, _PENDING))
        if len(self._places) < len(self._planned):
            is_sent = pl.Series(self._spread(np.ones(len(self._state), bool), missing=False))
            states = states.zip_with(is_sent, self._planned)
        found = {
            "state": states,
            "attempts": pl.Series(self._spread(self._attempts, 0)),
            "http_status": self._optional(self._status),
            "first_attempt_at": _moments(self._spread(self._first, _NONE)),
            "finished_at": _moments(self._spread(self._last, _NONE)),
        }
        if self.has_reasons:
            reasons = self._optional(self._reason)
            for name, said in zip(("code", "error"), zip(*self._reasons, strict=True), strict=True):
                texts = pl.Series([each or None for each in said], dtype=pl.String)
                found[f"said_{name}"] = texts.gather(reasons)
        return found

    def _finish(self, rows: slice, entry: BatchFinished[Place]) -> None:
        number = _NUMBER[entry.state]
        self._waiting[rows] = False
        unsettled = ~_IS_SETTLED[self._state[rows]]
        self._doubted[rows] |= unsettled & (entry.in_doubt or number == _IN_DOUBT)
        if _IS_SETTLED[number] or number == _BLOCKED:
            self._state[rows][unsettled] = number
        self._last[rows][unsettled] = _milliseconds(entry.at)
        self._explain(rows, unsettled, entry)

    def _explain(
        self,
        rows: slice,
        which: npt.NDArray[np.bool_],
        entry: BatchFinished[Place] | BatchRetried[Place],
    ) -> None:
        reason = _NONE
        error = entry.error if isinstance(entry, BatchFinished) else ""
        if entry.code or error:
            self._reasons.append((entry.code, error))
            reason = len(self._reasons) - 1
        self._reason[rows][which] = reason
        self._status[rows][which] = _NONE if entry.status is None else entry.status

    def _spread(self, values: npt.NDArray[Any], missing: int) -> npt.NDArray[Any]:
        """Return `values` in the order of the plan."""
        whole = np.full(len(self._planned), missing, values.dtype)
        whole[self._places] = values
        return whole

    def _optional(self, values: npt.NDArray[Any]) -> pl.Series:
        whole = self._spread(values, _NONE)
        return pl.Series(whole).set(pl.Series(whole == _NONE), None)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _moments(milliseconds: npt.NDArray[np.int64]) -> pl.Series:
    known = pl.Series(milliseconds).set(pl.Series(milliseconds == _NONE), None)
    return known.cast(pl.Datetime("ms", "UTC"))
