"""The progress of a run: its totals, further facts for displays, and the texts about it."""

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
    Totals,
    add_fact,
)
from cio_frames.views.document import Badge, Document, Heading, Look, Meter, Paragraph, Step
from cio_frames.views.style import Tone
from cio_frames.views.text import join_parts
from cio_frames.views.wording import duration, many, number, percent, rate, resume_line

Phase = Literal["reading", "checking", "sending", "finishing", "finished"]

_WINDOW_S = 10.0
_STEADY_S = 2.0
_STEADY_ANSWERS = 4
_SAMPLE_S = 0.25
_AT_LIMIT = 0.8
"""The share of the client's rate from which the rate counts as what slows the run down."""

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState(Totals):
    """The progress of a run at one moment."""

    label: str  # what is being sent
    record: str = ""  # the directory of its record, if there is one
    total: int | None = None  # how many rows there are, if known
    plans: int = 1  # how many tables are sent, one after the other
    plan: int = 0  # the index of the table that is being sent
    phase: Phase = "checking"
    doubtful: Mapping[_Key, int] = field(default_factory=dict)  # rows of requests to be repeated
    waiting: str = ""  # why no request is being sent
    waits_until_s: float = 0.0
    paused: bool = False  # whether the user has paused the run
    requested_rate: str = ""  # the rate that the user requested, in words
    limit: float | None = None  # the maximum requests per second of the client
    started_s: float = 0.0
    now_s: float = 0.0
    answered: tuple[tuple[float, int], ...] = ()  # recent times, with the rows answered by then
    sent: tuple[tuple[float, int], ...] = ()  # recent times, with the requests sent by then

    @property
    def done(self) -> int:
        """Rows with a final state."""
        return sum(self.counts.values()) - self.counts.get("pending", 0)

    @property
    def rejected(self) -> int:
        """Rows rejected by the checks or by Customer.io."""
        return self.counts.get("rejected_local", 0) + self.counts.get("rejected_server", 0)

    @property
    def in_doubt(self) -> int:
        """Rows sent without an answer, so far or permanently."""
        return self.counts.get("in_doubt", 0) + sum(self.doubtful.values())

    @property
    def rows_per_s(self) -> float:
        """Rows answered per second, over the last seconds."""
        if not self.answered:
            return 0.0
        (since, before), (_, after) = self.answered[0], self.answered[-1]
        return (after - before) / (self.now_s - since) if self.now_s > since else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the end at the current speed, if known."""
        speed = self.rows_per_s
        if self.total is None or self.phase != "sending" or self.paused or not speed:
            return None
        span_s = self.answered[-1][0] - self.answered[0][0]
        is_few = len(self.answered) <= _STEADY_ANSWERS and span_s < _WINDOW_S
        if span_s < _STEADY_S or is_few:
            return None  # too early for an estimate
        return max(self.total - self.done, 0) / speed

    @property
    def is_at_limit(self) -> bool:
        """Whether the limit of the client determines the speed."""
        if not self.limit or self.phase != "sending" or self.paused or self.wait_s or not self.sent:
            return False
        (since, before), (until, after) = self.sent[0], self.sent[-1]
        span_s, gap_s = until - since, 1 / self.limit
        is_sending = self.now_s - until <= gap_s + _STEADY_S
        is_steady = span_s >= max(_STEADY_S / 2, gap_s)
        return is_sending and is_steady and after - before >= _AT_LIMIT * self.limit * span_s

    @property
    def wait_s(self) -> float:
        """Seconds until sending resumes."""
        return max(self.waits_until_s - self.now_s, 0.0) if self.waiting else 0.0


def advance(state: ProgressState, fact: Fact, *, now_s: float) -> ProgressState:
    """Return the state after a fact that arrived at `now_s`."""
    state = add_fact(replace(state, now_s=now_s), fact)
    match fact:
        case BatchAttempted() | BatchRetried() | BatchSplit() | BatchFinished():
            return _after_request(state, fact)
        case SegmentPlanned():
            return _finishing_if_done(state)
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


def with_totals(state: ProgressState, totals: Totals, *, now_s: float) -> ProgressState:
    """Return the state with totals that were added up elsewhere.

    Examples:
        >>> state = ProgressState(label="track", total=4)
        >>> with_totals(state, Totals(counts={"delivered": 3}, requests=1), now_s=1.0).phase
        'sending'
    """
    values = {field.name: getattr(totals, field.name) for field in fields(Totals)}
    after = replace(state, **values, now_s=now_s)
    if totals.requests > state.requests:
        answered = state.answered or ((now_s, 0),)
        after = _with_sent(replace(after, phase="sending", answered=answered))
    if after.done > state.done and after.answered:
        after = _with_answered(after, rows=after.done - state.done)
    return _finishing_if_done(after)


def line(state: ProgressState) -> str:
    """Return the state as one line.

    Examples:
        >>> line(ProgressState(label="track", total=200, phase="sending", counts={"delivered": 50}))
        'Sending track 25 % · 50 of 200 rows'
    """
    share_done = f" {_percent(state)}" if state.total else ""
    return join_parts(title(state) + share_done, *details(state))


def title(state: ProgressState) -> str:
    """Return what the run is doing."""
    if state.stopped:
        return f"Stopping {state.label}" if state.phase != "finished" else f"Stopped {state.label}"
    last = ", the last" if state.plan == state.plans - 1 else ""
    position = f" (plan {state.plan}{last})" if state.plans > 1 else ""
    return f"{'Paused' if state.paused else state.phase.capitalize()} {state.label}{position}"


def details(state: ProgressState) -> tuple[str, ...]:
    """Return the texts about extent, speed, remaining time and problems."""
    texts = (_extent(state), _speed(state), _remaining(state), *problems(state))
    return tuple(filter(None, texts))


def problems(state: ProgressState) -> tuple[str, ...]:
    """Return the texts about everything unusual."""
    texts = (
        f"{number(state.rejected)} rejected" if state.rejected else "",
        many(state.retries, "retry", "retries") if state.retries else "",
        f"{number(state.in_doubt)} in doubt" if state.in_doubt else "",
        state.requested_rate,
        f"waiting {duration(state.wait_s)}: {state.waiting}" if state.wait_s else "",
        _limit(state) if state.is_at_limit else "",
        state.stopped,
    )
    return tuple(filter(None, texts))


def share(state: ProgressState) -> float | None:
    """Return the share that is done, from 0 to 1, or None if the total is unknown."""
    if not state.total:
        return None
    return min(_rows_done(state) / state.total, 1.0)


def tone(state: ProgressState) -> Tone:
    """Return the tone of the state."""
    if state.stopped:
        return "bad"
    if state.phase == "finished":
        return "good"
    return "care" if state.wait_s or state.in_doubt or state.paused else "calm"


def document(state: ProgressState, *, advice: str = "") -> Document:
    """Return the state for the output of a notebook, with advice as the last line."""
    meter = Meter(share(state), tone(state), _percent(state))
    return Document(
        heading(state), (meter, *report(state, advice=advice), *steps_after_closing(state))
    )


def steps_after_closing(state: ProgressState) -> tuple[Step, ...]:
    """Return the steps that finish a run whose notebook was closed."""
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
    extent = (_extent(state), _speed(state), _remaining(state))
    lines: tuple[tuple[str, Look], ...] = (
        (" · ".join(filter(None, extent)), "plain"),
        (" · ".join(problems(state)), "strong"),
        (advice, "aside"),
    )
    return tuple(Paragraph(words, look) for words, look in lines if words)


def _after_request(state: ProgressState, fact: BatchFact) -> ProgressState:
    match fact:
        case BatchAttempted(batch=batch):
            phase: Phase = "finishing" if state.phase == "finishing" else "sending"
            answered = state.answered or ((state.now_s, 0),)
            after = _with_sent(state)
            return replace(after, phase=phase, answered=answered, waiting="", plan=batch.plan)
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
            return _finishing_if_done(_with_answered(after, rows=len(batch)))
        case never:
            assert_never(never)


def _finishing_if_done(state: ProgressState) -> ProgressState:
    """Return the state, in the phase "finishing" if every row has a final state."""
    is_done = state.total is not None and state.done >= state.total
    return replace(state, phase="finishing", waiting="") if is_done else state


def _with_answered(state: ProgressState, *, rows: int) -> ProgressState:
    """Return the state with answered rows added to the window that the speed is computed from."""
    total = (state.answered[-1][1] if state.answered else 0) + rows
    answered = (*state.answered, (state.now_s, total))
    first = next(i for i, (at, _) in enumerate(answered) if at >= state.now_s - _WINDOW_S)
    return replace(state, answered=answered[max(first - 1, 0) :])


def _with_sent(state: ProgressState) -> ProgressState:
    """Return the state with the request sent now added to its window, which keeps few samples."""
    earlier = state.sent[:-1] if _is_close(state.sent, now_s=state.now_s) else state.sent
    sent = (*earlier, (state.now_s, state.requests))
    window_s = max(_STEADY_S, 3 / state.limit if state.limit else 0.0)
    first = next(i for i, (at, _) in enumerate(sent) if at >= state.now_s - window_s)
    return replace(state, sent=sent[max(first - 1, 0) :])


def _is_close(samples: tuple[tuple[float, int], ...], *, now_s: float) -> bool:
    """Return whether the second last sample is so recent that a new one can replace the last."""
    return len(samples) > 1 and now_s - samples[-2][0] < _SAMPLE_S


def _limit(state: ProgressState) -> str:
    requests = "1 request" if state.limit == 1 else f"{state.limit:,g} requests"
    return f"waiting: {requests} a second is the client's limit"


def _key(batch: Batch) -> _Key:
    """Return the key of a request; the halves of a split differ in their first row."""
    return (batch.plan, batch.segment, batch.number, int(batch.rows[0]))


def _without(doubtful: Mapping[_Key, int], batch: Batch) -> dict[_Key, int]:
    return {key: rows for key, rows in doubtful.items() if key != _key(batch)}


def _rows_done(state: ProgressState) -> int:
    """Return the rows that the current phase has processed."""
    return state.planned if state.phase in ("reading", "checking") else state.done


def _percent(state: ProgressState) -> str:
    return percent(_rows_done(state), state.total or 0)


def _extent(state: ProgressState) -> str:
    """Return how many rows are done, out of the total if known."""
    done = _rows_done(state)
    if state.total is None:
        return many(done, "row")
    return f"{number(done)} of {many(state.total, 'row')}"


def _speed(state: ProgressState) -> str:
    return (
        rate(round(state.rows_per_s * 10), seconds=10)
        if state.rows_per_s and not state.paused
        else ""
    )


def _remaining(state: ProgressState) -> str:
    return f"about {duration(state.remaining_s)} left" if state.remaining_s else ""
