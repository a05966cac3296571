"""How far a run is: its totals, what a display shows besides, and its words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, assert_never

from cio_frames.payloads.batches import Batch
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFact,
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
from cio_frames.sending.totals import Totals, add
from cio_frames.views.document import Badge, Document, Heading, Look, Meter, Paragraph, Step
from cio_frames.views.style import Tone
from cio_frames.views.text import joined
from cio_frames.views.wording import duration, many, number, percent, rate, resume_line

Phase = Literal["checking", "sending", "finishing", "finished"]

_WINDOW_S = 10.0
_SETTLED_S = 2.0
_SETTLED_ANSWERS = 4
_SAMPLE_S = 0.25
_AT_LIMIT = 0.8
"""The share of the most requests per second from which the limit counts as what holds a run up."""

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState(Totals):
    """How far a run is, at one moment."""

    label: str  # what is being sent
    record: str = ""  # the directory of its record, if that is kept
    total: int | None = None  # how many rows there are, if that is known
    plans: int = 1  # how many tables are sent, one after the other
    plan: int = 0  # the one that is being sent, from 0
    phase: Phase = "checking"
    doubtful: Mapping[_Key, int] = field(default_factory=dict)  # rows of requests to be repeated
    waiting: str = ""  # why nothing is sent at the moment
    waits_until_s: float = 0.0
    paused: bool = False  # whether the user lets nothing leave at the moment
    held: str = ""  # the rate that the user asked for, in words
    limit: float | None = None  # the most requests per second that the client sends
    started_s: float = 0.0
    now_s: float = 0.0
    marks: tuple[tuple[float, int], ...] = ()  # when how many rows were answered, lately
    left: tuple[tuple[float, int], ...] = ()  # when how many requests had left, lately

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
        span_s = self.marks[-1][0] - self.marks[0][0]
        is_few = len(self.marks) <= _SETTLED_ANSWERS and span_s < _WINDOW_S
        if span_s < _SETTLED_S or is_few:
            return None  # the first answers say little about the others
        return max(self.total - self.done, 0) / speed

    @property
    def is_at_limit(self) -> bool:
        """Whether requests leave as fast as the client lets them, so that its limit sets the pace."""
        if not self.limit or self.phase != "sending" or self.paused or self.wait_s or not self.left:
            return False
        (since, before), (until, after) = self.left[0], self.left[-1]
        span_s, gap_s = until - since, 1 / self.limit
        is_going = self.now_s - until <= gap_s + _SETTLED_S
        is_settled = span_s >= max(_SETTLED_S / 2, gap_s)
        return is_going and is_settled and after - before >= _AT_LIMIT * self.limit * span_s

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
        case RunStarted() | Noted():
            return state
        case never:
            assert_never(never)


def summed(state: ProgressState, totals: Totals, *, now_s: float) -> ProgressState:
    """Return the state after totals were read that others had added up.

    Examples:
        >>> state = ProgressState(label="track", total=4)
        >>> summed(state, Totals(counts={"delivered": 3}, requests=1), now_s=1.0).phase
        'sending'
    """
    known = {each.name: getattr(totals, each.name) for each in fields(Totals)}
    after = replace(state, **known, now_s=now_s)
    if totals.requests > state.requests:
        marks = state.marks or ((now_s, 0),)
        after = _departed(replace(after, phase="sending", marks=marks))
    if after.done > state.done and after.marks:
        after = _marked(after, rows=after.done - state.done)
    return _whole(after)


def line(state: ProgressState) -> str:
    """Return the state as one line.

    Examples:
        >>> line(ProgressState(label="track", total=200, phase="sending", counts={"delivered": 50}))
        'Sending track 25 % · 50 of 200 rows'
    """
    share_done = f" {_percent(state)}" if state.total else ""
    return joined(title(state) + share_done, *details(state))


def title(state: ProgressState) -> str:
    """Return what the run is doing."""
    if state.stopped:
        return f"Stopping {state.label}" if state.phase != "finished" else f"Stopped {state.label}"
    place = f" (plan {state.plan + 1} of {state.plans})" if state.plans > 1 else ""
    return f"{'Paused' if state.paused else state.phase.capitalize()} {state.label}{place}"


def details(state: ProgressState) -> tuple[str, ...]:
    """Return how far the run is, how fast, and what is out of the ordinary."""
    return tuple(
        told for told in (_extent(state), _speed(state), _left(state), *troubles(state)) if told
    )


def troubles(state: ProgressState) -> tuple[str, ...]:
    """Return what is out of the ordinary."""
    told = (
        f"{number(state.rejected)} rejected" if state.rejected else "",
        many(state.retries, "retry", "retries") if state.retries else "",
        f"{number(state.in_doubt)} in doubt" if state.in_doubt else "",
        state.held,
        f"waiting {duration(state.wait_s)}: {state.waiting}" if state.wait_s else "",
        _limit(state) if state.is_at_limit else "",
        state.stopped,
    )
    return tuple(filter(None, told))


def share(state: ProgressState) -> float | None:
    """Return how much is done, from 0 to 1, if the total is known."""
    if not state.total:
        return None
    return min(_seen(state) / state.total, 1.0)


def tone(state: ProgressState) -> Tone:
    """Return how the state looks."""
    if state.stopped:
        return "bad"
    if state.phase == "finished":
        return "good"
    return "care" if state.wait_s or state.in_doubt or state.paused else "calm"


def document(state: ProgressState, *, advice: str = "") -> Document:
    """Return the state for the output of a notebook.

    Args:
        state: The state.
        advice: A last line, such as how to stop the run.
    """
    meter = Meter(share(state), tone(state), _percent(state))
    return Document(heading(state), (meter, *report(state, advice=advice), *afterwards(state)))


def afterwards(state: ProgressState) -> tuple[Step, ...]:
    """Return how to finish a run whose notebook was closed, with the very line to type."""
    if not state.record:
        return ()
    return (
        Step("Make the plan again in a new kernel, then send the rest:", resume_line(state.record)),
        Step("The record of every row is in", state.record),
    )


def heading(state: ProgressState) -> Heading:
    """Return what the run is doing, on one line."""
    return Heading(title(state), verdict=Badge(_percent(state), tone(state)))


def report(state: ProgressState, *, advice: str = "") -> tuple[Paragraph, ...]:
    """Return the details under the bar."""
    extent = (_extent(state), _speed(state), _left(state))
    lines: tuple[tuple[str, Look], ...] = (
        (" · ".join(filter(None, extent)), "plain"),
        (" · ".join(troubles(state)), "strong"),
        (advice, "aside"),
    )
    return tuple(Paragraph(words, look) for words, look in lines if words)


def _after_request(state: ProgressState, fact: BatchFact) -> ProgressState:
    """Return the state after something happened to a request."""
    match fact:
        case BatchAttempted(batch=batch):
            phase: Phase = "finishing" if state.phase == "finishing" else "sending"
            marks = state.marks or ((state.now_s, 0),)
            after = _departed(state)
            return replace(after, phase=phase, marks=marks, waiting="", plan=batch.plan)
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


def _departed(state: ProgressState) -> ProgressState:
    """Return the state with the request that leaves now in its window; few moments are kept of many."""
    kept = state.left[:-1] if _is_near(state.left, now_s=state.now_s) else state.left
    left = (*kept, (state.now_s, state.requests))
    window_s = max(_SETTLED_S, 3 / state.limit if state.limit else 0.0)
    first = next(i for i, (at, _) in enumerate(left) if at >= state.now_s - window_s)
    return replace(state, left=left[max(first - 1, 0) :])


def _is_near(left: tuple[tuple[float, int], ...], *, now_s: float) -> bool:
    """Return whether the last moment but one is so recent that the last one can be replaced."""
    return len(left) > 1 and now_s - left[-2][0] < _SAMPLE_S


def _limit(state: ProgressState) -> str:
    """Return that the run waits for its own limit, which nothing outside of it asked for."""
    requests = "1 request" if state.limit == 1 else f"{state.limit:,g} requests"
    return f"waiting: {requests} a second is the client's limit"


def _key(batch: Batch) -> _Key:
    """Return what tells a request from all others; halves of a split differ in their first row."""
    return (batch.plan, batch.segment, batch.number, int(batch.rows[0]))


def _without(doubtful: Mapping[_Key, int], batch: Batch) -> dict[_Key, int]:
    """Return the doubtful requests without this one."""
    return {key: rows for key, rows in doubtful.items() if key != _key(batch)}


def _seen(state: ProgressState) -> int:
    """Return the rows that the present phase has behind it."""
    return state.planned if state.phase == "checking" else state.done


def _percent(state: ProgressState) -> str:
    """Return how much is done, if the total is known."""
    return percent(_seen(state), state.total or 0)


def _extent(state: ProgressState) -> str:
    """Return how many rows are done, of how many."""
    seen = _seen(state)
    if state.total is None:
        return many(seen, "row")
    return f"{number(seen)} of {many(state.total, 'row')}"


def _speed(state: ProgressState) -> str:
    """Return how fast rows go."""
    return (
        rate(round(state.rows_per_s * 10), seconds=10)
        if state.rows_per_s and not state.paused
        else ""
    )


def _left(state: ProgressState) -> str:
    """Return how long it will take."""
    return f"about {duration(state.left_s)} left" if state.left_s else ""
