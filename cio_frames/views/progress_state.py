"""How far a run is: its totals, and what a display shows besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from cio_frames.payloads.batches import Batch
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
    StateSentAgain,
)
from cio_frames.sending.totals import Totals, add

Phase = Literal["checking", "sending", "finishing", "finished"]

_WINDOW_S = 10.0

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState(Totals):
    """How far a run is, at one moment."""

    label: str  # what is being sent
    total: int | None = None  # how many rows there are, if that is known
    phase: Phase = "checking"
    doubtful: Mapping[_Key, int] = field(default_factory=dict)  # rows of requests to be repeated
    waiting: str = ""  # why nothing is sent at the moment
    waits_until_s: float = 0.0
    paused: bool = False  # whether the user lets nothing leave at the moment
    held: str = ""  # the rate that the user asked for, in words
    started_s: float = 0.0
    now_s: float = 0.0
    marks: tuple[tuple[float, int], ...] = ()  # when how many rows were answered, lately

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
    """Return the state after a fact that was heard of at `now_s`."""
    state = add(replace(state, now_s=now_s), fact)
    match fact:
        case BatchAttempted() | BatchRetried() | BatchSplit() | BatchFinished():
            return _after_request(state, fact)
        case SegmentPlanned():
            return _whole(state)
        case Paused(seconds=seconds, why=why):
            return replace(state, waiting=why, waits_until_s=now_s + seconds)
        case RunStopped():
            return replace(state, phase="finishing", waiting="")
        case RunFinished():
            return replace(state, phase="finished", waiting="")
        case RunStarted() | ClockSkewed() | StateRepeated() | StateSentAgain():
            return state
        case never:
            assert_never(never)


def _after_request(state: ProgressState, fact: BatchFact) -> ProgressState:
    """Return the state after something happened to a request."""
    match fact:
        case BatchAttempted():
            phase: Phase = "finishing" if state.phase == "finishing" else "sending"
            return replace(state, phase=phase, marks=state.marks or ((state.now_s, 0),), waiting="")
        case BatchRetried(batch=batch, after_s=after_s, code=code, in_doubt=in_doubt):
            rows = {_key(batch): len(batch)} if in_doubt else {}
            return replace(
                state,
                doubtful={**_without(state.doubtful, batch), **rows},
                waiting=code,
                waits_until_s=state.now_s + after_s,
            )
        case BatchSplit(batch=batch):
            return replace(state, doubtful=_without(state.doubtful, batch))
        case BatchFinished(batch=batch):
            after = replace(state, doubtful=_without(state.doubtful, batch))
            return _whole(_marked(after, rows=len(batch)))
        case never:
            assert_never(never)


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
