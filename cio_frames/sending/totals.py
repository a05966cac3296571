"""The running totals of a run, computed from its facts, for counts and displays."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, assert_never

import polars as pl

from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Fact,
    Noted,
    Paused,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Rows by state, and requests and bytes sent, up to one moment."""

    counts: Mapping[str, int] = field(default_factory=dict)  # finished rows by state
    planned: int = 0  # rows that were checked and encoded
    requests: int = 0
    retries: int = 0  # requests that were repeats
    bytes: int = 0  # of the messages in all requests
    stopped: str = ""  # why the run stopped early, in a sentence
    stop_code: str = ""  # the same, as a code
    notes: tuple[str, ...] = ()  # further notes, in sentences


TotalsT = TypeVar("TotalsT", bound=Totals)


def add(totals: TotalsT, fact: Fact) -> TotalsT:
    """Return the totals after a fact; each row is counted exactly once."""
    changed: dict[str, Any] = {}
    match fact:
        case SegmentPlanned(segment=segment):
            final = segment.rows.filter(pl.col("state") != "pending")["state"]
            changed["planned"] = totals.planned + segment.rows.height
            changed["counts"] = _sum(totals.counts, dict(final.value_counts().iter_rows()))
        case BatchAttempted(batch=batch):
            changed["requests"] = totals.requests + 1
            changed["bytes"] = totals.bytes + batch.message_bytes
        case BatchRetried():
            changed["retries"] = totals.retries + 1
        case BatchFinished(batch=batch, state=state):
            changed["counts"] = _sum(totals.counts, {state: len(batch)})
        case RunStopped(code=code, reason=reason):
            changed = {"stopped": reason, "stop_code": code}
        case Noted(note=note):
            changed["notes"] = (*totals.notes, note)
        case RunStarted() | BatchSplit() | Paused() | RunFinished():
            pass
        case never:
            assert_never(never)
    return replace(totals, **changed) if changed else totals


def _sum(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**counts, **{state: counts.get(state, 0) + rows for state, rows in more.items()}}
