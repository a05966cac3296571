"""How far a run is: a pure reducer of the facts of sending."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFact,
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

Phase = Literal["checking", "sending", "finishing", "finished"]

_WINDOW_S = 10.0

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState:
    """How far a run is, at one moment.

    Attributes:
        label: What is being sent.
        total: How many rows there are, if that is known.
        phase: What the run is doing.
        planned: Rows that were checked and encoded.
        counts: Rows whose end is known, by state.
        requests: Requests that left.
        retries: How many of them were repeats.
        doubtful: Rows of each request whose answer was lost and that will be repeated.
        waiting: Why nothing is sent at the moment.
        waits_until_s: When that ends.
        stopped: Why the run stopped early.
        paused: Whether the user lets nothing leave at the moment.
        held: The rate that the user asked for, in words.
        started_s: When the run began.
        now_s: The moment this is about.
        marks: When how many rows had been answered, over the last seconds.
    """

    label: str
    total: int | None = None
    phase: Phase = "checking"
    planned: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    doubtful: Mapping[_Key, int] = field(default_factory=dict)
    waiting: str = ""
    waits_until_s: float = 0.0
    stopped: str = ""
    paused: bool = False
    held: str = ""
    started_s: float = 0.0
    now_s: float = 0.0
    marks: tuple[tuple[float, int], ...] = ()

    @property
    def done(self) -> int:
        """Rows whose end is known."""
        return sum(self.counts.values()) - self.counts.get("pending", 0)

    @property
    def rejected(self) -> int:
        """Rows that were left out or refused."""
        return self.counts.get("rejected_local", 0) + self.counts.get("rejected_server", 0)

    @property
    def in_doubt(self) -> int:
        """Rows that were sent and not answered, so far or for good."""
        return self.counts.get("in_doubt", 0) + sum(self.doubtful.values())

    @property
    def rows_per_s(self) -> float:
        """Rows answered per second, over the last seconds."""
        if not self.marks:
            return 0.0
        (since, before), (_, after) = self.marks[0], self.marks[-1]
        return (after - before) / (self.now_s - since) if self.now_s > since else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at the present speed, if both are known."""
        speed = self.rows_per_s
        if self.total is None or self.phase != "sending" or self.paused or not speed:
            return None
        return max(self.total - self.done, 0) / speed

    @property
    def wait_s(self) -> float:
        """Seconds until sending goes on."""
        return max(self.waits_until_s - self.now_s, 0.0) if self.waiting else 0.0


def advance(state: ProgressState, fact: Fact, *, now_s: float) -> ProgressState:
    """Return the state after a fact.

    Args:
        state: The state before.
        fact: What happened.
        now_s: When it was heard of.

    Returns:
        The state after; rows are counted exactly once.
    """
    state = replace(state, now_s=now_s)
    match fact:
        case BatchAttempted() | BatchRetried() | BatchSplit() | BatchFinished():
            return _after_request(state, fact)
        case SegmentPlanned(segment=segment):
            return _after_planning(state, segment)
        case Paused(seconds=seconds, why=why):
            return replace(state, waiting=why, waits_until_s=now_s + seconds)
        case RunStopped(reason=reason):
            return replace(state, phase="finishing", stopped=reason, waiting="")
        case RunFinished():
            return replace(state, phase="finished", waiting="")
        case RunStarted() | ClockSkewed() | StateRepeated():
            return state
        case never:
            assert_never(never)


def _after_request(state: ProgressState, fact: BatchFact) -> ProgressState:
    """Return the state after something happened to a request."""
    match fact:
        case BatchAttempted():
            phase: Phase = "finishing" if state.phase == "finishing" else "sending"
            marks = state.marks or ((state.now_s, 0),)
            requests = state.requests + 1
            return replace(state, phase=phase, marks=marks, requests=requests, waiting="")
        case BatchRetried(batch=batch, after_s=after_s, code=code, in_doubt=in_doubt):
            rows = {_key(batch): len(batch)} if in_doubt else {}
            return replace(
                state,
                retries=state.retries + 1,
                doubtful={**_without(state.doubtful, batch), **rows},
                waiting=code,
                waits_until_s=state.now_s + after_s,
            )
        case BatchSplit(batch=batch):
            return replace(state, doubtful=_without(state.doubtful, batch))
        case BatchFinished(batch=batch, state=end):
            counts = {**state.counts, end: state.counts.get(end, 0) + len(batch)}
            after = replace(state, counts=counts, doubtful=_without(state.doubtful, batch))
            return _whole(_marked(after, rows=len(batch)))
        case never:
            assert_never(never)


def _after_planning(state: ProgressState, segment: Segment) -> ProgressState:
    """Return the state after a slice of the rows was checked and encoded."""
    counts = dict(state.counts)
    for end, rows in segment.rows["state"].value_counts().iter_rows():
        if end != "pending":
            counts[end] = counts.get(end, 0) + rows
    return _whole(replace(state, counts=counts, planned=state.planned + segment.rows.height))


def _whole(state: ProgressState) -> ProgressState:
    """Return the state in its last phase if the end of every row is known."""
    complete = state.total is not None and state.done >= state.total
    return replace(state, phase="finishing", waiting="") if complete else state


def _marked(state: ProgressState, *, rows: int) -> ProgressState:
    """Return the state with the answered rows in its window of speed."""
    answered = (state.marks[-1][1] if state.marks else 0) + rows
    marks = (*state.marks, (state.now_s, answered))
    first = next(i for i, (at, _) in enumerate(marks) if at >= state.now_s - _WINDOW_S)
    return replace(state, marks=marks[max(first - 1, 0) :])


def _key(batch: Batch) -> _Key:
    """Return what tells a request from all others; halves of a split differ in their first row."""
    return (batch.plan, batch.segment, batch.number, int(batch.rows[0]))


def _without(doubtful: Mapping[_Key, int], batch: Batch) -> dict[_Key, int]:
    """Return the doubtful requests without this one."""
    return {key: rows for key, rows in doubtful.items() if key != _key(batch)}
