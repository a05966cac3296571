"""Compute the record of every row from a plan and its journal.

Only this module decides the states: of a finished segment, of a stopped run, and of a directory that
a crash left behind:

- no attempt recorded: pending, certainly not sent;
- attempted, and the response shows that it was not applied: pending;
- attempted, and no response or an ambiguous one: in doubt;
- otherwise the recorded outcome. A final state never changes.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.audit.journal import Entry, MessageRange
from cio_frames.audit.schema import FINAL_STATES, PART_SCHEMA, STATES
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried

_NUMBER = {name: number for number, name in enumerate(STATES)}
_PENDING, _IN_DOUBT, _BLOCKED = (_NUMBER[name] for name in ("pending", "in_doubt", "blocked"))
_IS_FINAL = np.array([name in FINAL_STATES for name in STATES])
_NONE = -1


def row_states(plan: pl.DataFrame, entries: Iterable[Entry], *, run_id: str) -> pl.DataFrame:
    """Return one row per row of `plan`, in its order, with the columns of a part.

    Raises:
        LookupError: If an entry is about a batch that the plan does not have.
    """
    states = _RowStates(plan)
    for entry in entries:
        states.apply(entry)
    columns = {
        **{column.name: column for column in plan},
        **states.columns(),
        "run_id": pl.Series([run_id]).new_from_index(0, plan.height),
    }
    if states.has_reasons:
        for name in ("code", "error"):
            texts = columns[f"entry_{name}"]
            columns[name] = texts.zip_with(texts.is_not_null(), plan[name])
    return pl.DataFrame(
        [columns[name].cast(kind).alias(name) for name, kind in PART_SCHEMA.items()]
    )


class _RowStates:
    """The states of the rows that are sent, as arrays in sending order."""

    def __init__(self, plan: pl.DataFrame) -> None:
        batches = plan["batch"].fill_null(_NONE).to_numpy()
        is_sent = batches != _NONE
        sizes = np.bincount(batches[is_sent])
        firsts = np.cumsum(sizes) - sizes
        self._batch_ranges = {
            batch: (first, first + size)
            for batch, (first, size) in enumerate(zip(firsts.tolist(), sizes.tolist(), strict=True))
            if size
        }
        sending_order = firsts[batches[is_sent]] + plan["position"].drop_nulls().to_numpy()
        self._plan_rows = np.empty(len(sending_order), np.int64)
        self._plan_rows[sending_order] = np.flatnonzero(is_sent)
        self._planned = plan["state"]
        count = len(self._plan_rows)
        self._state = np.full(count, _PENDING, np.int8)
        self._is_unanswered = np.zeros(count, bool)
        self._may_be_applied = np.zeros(count, bool)
        self._attempts = np.zeros(count, np.int32)
        self._status = np.full(count, _NONE, np.int16)
        self._reason = np.full(count, _NONE, np.int32)
        self._first_attempts = np.full(count, _NONE, np.int64)
        self._finished_at = np.full(count, _NONE, np.int64)
        self._reasons: list[tuple[str, str]] = []

    def apply(self, entry: Entry) -> None:
        """Apply one entry of the journal."""
        first, end = self._batch_ranges[entry.batch.batch]
        start, stop = entry.batch.within(end - first)
        rows = slice(first + start, first + stop)
        match entry:
            case BatchAttempted(at=at):
                self._attempts[rows] += 1
                self._is_unanswered[rows] = True
                earliest = self._first_attempts[rows]
                earliest[earliest == _NONE] = _milliseconds(at)
            case BatchRetried(in_doubt=in_doubt):
                self._is_unanswered[rows] = False
                self._may_be_applied[rows] |= in_doubt
                self._set_reason(rows, ~_IS_FINAL[self._state[rows]], entry)
            case BatchFinished():
                self._finish(rows, entry)

    @property
    def has_reasons(self) -> bool:
        """Whether an entry has a code or an error."""
        return bool(self._reasons)

    def columns(self) -> dict[str, pl.Series]:
        """Return the columns for every row of the plan, null where there is no value."""
        is_open = ~_IS_FINAL[self._state]
        self._state[is_open & (self._is_unanswered | self._may_be_applied)] = _IN_DOUBT
        states = pl.Series(STATES).gather(self._in_plan_order(self._state, _PENDING))
        if len(self._plan_rows) < len(self._planned):
            is_sent = pl.Series(self._in_plan_order(np.ones(len(self._state), bool), missing=False))
            states = states.zip_with(is_sent, self._planned)
        columns = {
            "state": states,
            "attempts": pl.Series(self._in_plan_order(self._attempts, 0)),
            "http_status": self._nullable(self._status),
            "first_attempt_at": _moments(self._in_plan_order(self._first_attempts, _NONE)),
            "finished_at": _moments(self._in_plan_order(self._finished_at, _NONE)),
        }
        if self.has_reasons:
            reasons = self._nullable(self._reason)
            for name, texts in zip(
                ("code", "error"), zip(*self._reasons, strict=True), strict=True
            ):
                column = pl.Series([text or None for text in texts], dtype=pl.String)
                columns[f"entry_{name}"] = column.gather(reasons)
        return columns

    def _finish(self, rows: slice, entry: BatchFinished[MessageRange]) -> None:
        number = _NUMBER[entry.state]
        self._is_unanswered[rows] = False
        is_open = ~_IS_FINAL[self._state[rows]]
        self._may_be_applied[rows] |= is_open & (entry.in_doubt or number == _IN_DOUBT)
        if _IS_FINAL[number] or number == _BLOCKED:
            self._state[rows][is_open] = number
        self._finished_at[rows][is_open] = _milliseconds(entry.at)
        self._set_reason(rows, is_open, entry)

    def _set_reason(
        self,
        rows: slice,
        mask: npt.NDArray[np.bool_],
        entry: BatchFinished[MessageRange] | BatchRetried[MessageRange],
    ) -> None:
        reason = _NONE
        error = entry.error if isinstance(entry, BatchFinished) else ""
        if entry.code or error:
            self._reasons.append((entry.code, error))
            reason = len(self._reasons) - 1
        self._reason[rows][mask] = reason
        self._status[rows][mask] = _NONE if entry.status is None else entry.status

    def _in_plan_order(self, values: npt.NDArray[Any], missing: int) -> npt.NDArray[Any]:
        """Return `values` in the order of the plan."""
        ordered = np.full(len(self._planned), missing, values.dtype)
        ordered[self._plan_rows] = values
        return ordered

    def _nullable(self, values: npt.NDArray[Any]) -> pl.Series:
        return _without_missing(self._in_plan_order(values, _NONE))


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _moments(milliseconds: npt.NDArray[np.int64]) -> pl.Series:
    return _without_missing(milliseconds).cast(pl.Datetime("ms", "UTC"))


def _without_missing(values: npt.NDArray[Any]) -> pl.Series:
    return pl.Series(values).set(pl.Series(values == _NONE), None)
