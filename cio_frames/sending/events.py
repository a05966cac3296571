"""The facts that a run emits, in the order in which they happen, for its listeners.

The journal of the record holds the facts about batches too. There `batch` is the position of the
messages in the plan; for listeners it is the messages themselves.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Generic, Literal, TypeVar

import msgspec

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
    """Rows about people and groups that an earlier run left in doubt were sent again.

    Attributes:
        rows: How many rows.
    """

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
    """Rows that an earlier run had delivered were sent again under other ids.

    Attributes:
        rows: How many rows.
    """

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
