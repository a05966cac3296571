"""The facts that a run emits, in the order in which they happen, and their running totals.

The journal of the record holds the facts about batches too. There `batch` is the position of the
messages in the plan; for listeners it is the messages themselves.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar, assert_never

import msgspec
import polars as pl

from cio_frames.payloads.batches import Batch, Segment

State = Literal[
    "delivered",
    "accepted_unverified",
    "rejected_local",
    "rejected_server",
    "skipped_done",
    "blocked",
    "in_doubt",
    "pending",
]
"""The outcome of a row."""

ARRIVED: Final[tuple[State, ...]] = ("delivered", "accepted_unverified", "skipped_done")
"""States of rows that Customer.io has received according to its responses."""


Messages = TypeVar("Messages")


class _Fact(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, tag_field="k"):
    """The common base of all facts: how they are serialised."""


class RunStarted(_Fact, frozen=True, kw_only=True):
    """A run begins."""

    run_id: str
    at: datetime


class SegmentPlanned(_Fact, frozen=True, kw_only=True):
    """A slice of rows was checked and encoded; nothing of it has been sent yet."""

    segment: Segment


class BatchAttempted(_Fact, Generic[Messages], frozen=True, kw_only=True):
    """A request is about to be sent. It is not sent before every listener has returned.

    Attributes:
        batch: The messages of the request: a whole batch or a part of one.
        attempt: How many requests have had these rows by now, from 1.
        at: When.
    """

    batch: Messages
    attempt: int
    at: datetime


class BatchRetried(_Fact, Generic[Messages], frozen=True, kw_only=True):
    """The same bytes will be sent again.

    Attributes:
        batch: The messages of the request.
        attempt: The attempt that failed.
        after_s: Seconds until the next one.
        status: HTTP status, if there was a response.
        code: Why it failed.
        in_doubt: Whether the failed attempt may have been applied.
    """

    batch: Messages
    attempt: int
    after_s: float
    status: int | None = None
    code: str = ""
    in_doubt: bool = False


class BatchSplit(_Fact, Generic[Messages], frozen=True, kw_only=True):
    """A rejected batch is searched for the bad messages, first part first."""

    batch: Messages
    into: tuple[Messages, Messages]


class BatchFinished(_Fact, Generic[Messages], frozen=True, kw_only=True):
    """The outcome of all rows of `batch`. Each planned row is finished exactly once.

    Attributes:
        batch: The messages: a whole batch or a part of one.
        state: The state of every row of it.
        attempts: How many requests have had these rows.
        status: HTTP status of the last response, if any.
        code: The reason, if the state is not a success.
        error: The error text of the server, without keys and addresses.
        in_doubt: Whether an earlier attempt may have been applied as well.
        elapsed_s: Seconds from the first attempt to the end.
        at: When.
    """

    batch: Messages
    state: State
    attempts: int
    status: int | None = None
    code: str = ""
    error: str = ""
    in_doubt: bool = False
    elapsed_s: float
    at: datetime


class Paused(_Fact, frozen=True, kw_only=True):
    """No request is sent for some seconds."""

    seconds: float
    why: str


class Noted(_Fact, frozen=True, kw_only=True):
    """A note about the run as a whole. Emitted once in a run."""

    @property
    def note(self) -> str:
        """What happened, what it means and what to do."""
        raise NotImplementedError


class ClockSkewed(Noted, frozen=True, kw_only=True):
    """The clock of this machine differs from the host's.

    Attributes:
        ahead_s: Seconds that this machine is ahead; negative when it is behind.
    """

    ahead_s: float

    @property
    def note(self) -> str:
        """What is wrong, what it means and what to do."""
        way = "ahead of" if self.ahead_s > 0 else "behind"
        return (
            f"This machine's clock is {abs(self.ahead_s) / 60:,.0f} minutes {way} Customer.io's. "
            "The times in the record are off by that much; the timestamps of your rows are not "
            "affected. Set the clock."
        )


class StateRepeated(Noted, frozen=True, kw_only=True):
    """Rows about people and groups that an earlier run left in doubt were sent again."""

    rows: int

    @property
    def note(self) -> str:
        """What that can overwrite."""
        subject = "1 row about a person or group was" if self.rows == 1 else (
            f"{self.rows:,} rows about people or groups were"
        )  # fmt: skip
        return (
            f"{subject} in doubt and sent again. If one had already arrived and something else has "
            "changed the same attributes since, the row's values overwrite those changes."
        )


class StateSentAgain(Noted, frozen=True, kw_only=True):
    """Rows that an earlier run had delivered were sent again under other ids."""

    rows: int

    @property
    def note(self) -> str:
        """Why that was done."""
        subject = "1 row was" if self.rows == 1 else f"{self.rows:,} rows were"
        return (
            f"{subject} sent again under new message IDs, because an earlier run had sent the same "
            "content, followed by something else about the same people or objects."
        )


class RunStopped(_Fact, frozen=True, kw_only=True):
    """No further request is started. What was not sent stays pending.

    Attributes:
        code: Why, as a code.
        reason: Why, in a sentence that says what to do.
        at: When.
    """

    code: str
    reason: str
    at: datetime


class RunFinished(_Fact, frozen=True, kw_only=True):
    """A run is over, with no request in flight."""

    at: datetime


BatchFact = BatchAttempted[Batch] | BatchRetried[Batch] | BatchSplit[Batch] | BatchFinished[Batch]
"""A fact about a batch or a part of one."""

Fact = (
    RunStarted
    | SegmentPlanned
    | BatchFact
    | Paused
    | ClockSkewed
    | StateRepeated
    | StateSentAgain
    | RunStopped
    | RunFinished
)

Listener = Callable[[Fact], Awaitable[None] | None]
"""Receives every fact in order, on the thread of the run. What it returns for an attempt is awaited
before the request is sent."""


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


def add_fact(totals: TotalsT, fact: Fact) -> TotalsT:
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
