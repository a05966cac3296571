"""Progress: a pure reducer of facts, drawn at most four times a second, harmless to the run."""

import dataclasses
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.payloads.batches import SEGMENT_SCHEMA, Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    BatchSplit,
    Paused,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
)
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress import UPDATE_S, Progress
from cio_frames.views.progress_state import ProgressState, advance, line

AT = datetime(2026, 1, 1, tzinfo=UTC)
SUMMARY = Document(Heading("the end"), ())


def _batch(number: int = 0, *, rows: int = 10) -> Batch:
    return Batch(
        plan=0,
        segment=0,
        number=number,
        call="track",
        path="/v1/batch",
        batched=True,
        messages=pl.Series(["{}"] * rows, dtype=pl.String),
        rows=pl.Series(range(number * 1000, number * 1000 + rows), dtype=pl.Int64),
        message_bytes=2 * rows,
        lanes=(0, 0),
    )


def _planned(*, pending: int, rejected: int = 0) -> SegmentPlanned:
    states = ["pending"] * pending + ["rejected_local"] * rejected
    columns = {name: [None] * len(states) for name in SEGMENT_SCHEMA} | {"state": states}
    rows = pl.DataFrame(columns, schema=SEGMENT_SCHEMA)
    return SegmentPlanned(segment=Segment(plan=0, number=0, call="track", rows=rows, batches=()))


def _attempted(batch: Batch) -> BatchAttempted:
    return BatchAttempted(batch=batch, attempt=1, at=AT)


def _retried(batch: Batch, *, in_doubt: bool = False, after_s: float = 2.0) -> BatchRetried:
    return BatchRetried(
        batch=batch, attempt=1, after_s=after_s, status=None, code="timeout", in_doubt=in_doubt
    )


def _finished(batch: Batch, state="delivered") -> BatchFinished:
    return BatchFinished(
        batch=batch,
        state=state,
        attempts=1,
        status=200,
        code="",
        error="",
        in_doubt=False,
        elapsed_s=0.1,
        at=AT,
    )


def _after(*facts, total: int | None = 20) -> ProgressState:
    state = ProgressState(label="track", total=total)
    for second, fact in enumerate(facts):
        state = advance(state, fact, now_s=float(second))
    return state


WHOLE = _batch(rows=20)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([RunStarted(run_id="r", at=AT)], {"phase": "checking", "done": 0}, id="start"),
        pytest.param(
            [_planned(pending=16, rejected=4)],
            {"phase": "checking", "planned": 20, "done": 4, "rejected": 4},
            id="planned",
        ),
        pytest.param(
            [_attempted(_batch())], {"phase": "sending", "requests": 1, "done": 0}, id="attempted"
        ),
        pytest.param(
            [_attempted(_batch()), _finished(_batch())],
            {"phase": "sending", "done": 10, "rejected": 0},
            id="delivered",
        ),
        pytest.param(
            [_finished(_batch(), "rejected_server")], {"done": 10, "rejected": 10}, id="refused"
        ),
        pytest.param([_finished(_batch(), "pending")], {"done": 0}, id="given-back"),
        pytest.param(
            [_attempted(_batch()), _retried(_batch(), in_doubt=True)],
            {"retries": 1, "in_doubt": 10, "waiting": "timeout", "wait_s": 2.0, "done": 0},
            id="answer-lost",
        ),
        pytest.param(
            [_retried(_batch(), in_doubt=True), _retried(_batch())],
            {"retries": 2, "in_doubt": 0},
            id="doubt-cleared-by-an-answer",
        ),
        pytest.param(
            [_retried(_batch(), in_doubt=True), _finished(_batch())],
            {"in_doubt": 0, "done": 10},
            id="doubt-cleared-by-the-end",
        ),
        pytest.param(
            [_retried(_batch(), in_doubt=True), _finished(_batch(), "in_doubt")],
            {"in_doubt": 10, "done": 10},
            id="doubt-for-good",
        ),
        pytest.param(
            [_retried(WHOLE, in_doubt=True), BatchSplit(batch=WHOLE, into=WHOLE.split())],
            {"in_doubt": 0},
            id="split",
        ),
        pytest.param(
            [_retried(half, in_doubt=True) for half in WHOLE.split()],
            {"in_doubt": 20},
            id="both-halves-in-doubt",
        ),
        pytest.param(
            [Paused(seconds=30.0, why="rate limited")],
            {"waiting": "rate limited", "wait_s": 30.0},
            id="paused",
        ),
        pytest.param(
            [Paused(seconds=30.0, why="rate limited"), _attempted(_batch())],
            {"waiting": "", "wait_s": 0.0},
            id="going-on",
        ),
        pytest.param(
            [_planned(pending=10, rejected=10), _attempted(_batch()), _finished(_batch())],
            {"phase": "finishing", "done": 20, "remaining_s": None},
            id="all-known",
        ),
        pytest.param(
            [_attempted(_batch()), RunStopped(code="http.401", reason="wrong key", at=AT)],
            {"phase": "finishing", "stopped": "wrong key", "done": 0},
            id="stopped",
        ),
        pytest.param(
            [RunStopped(code="http.401", reason="wrong key", at=AT), RunFinished(at=AT)],
            {"phase": "finished", "stopped": "wrong key"},
            id="stopped-and-over",
        ),
        pytest.param([RunFinished(at=AT)], {"phase": "finished"}, id="over"),
    ],
)
def test_a_state_follows_from_the_facts(facts, expected):
    """Each fact changes what it speaks of, and nothing else."""
    state = _after(*facts)

    assert {name: getattr(state, name) for name in expected} == expected


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    ends=st.lists(
        st.sampled_from(["delivered", "rejected_server", "in_doubt"]), min_size=8, max_size=8
    ),
    data=st.data(),
)
def test_every_row_is_counted_once_in_any_order(sizes, ends, data):
    """However requests end and in whatever order, rows done are the rows of the ended requests."""
    batches = [_batch(number, rows=rows) for number, rows in enumerate(sizes)]
    order = data.draw(st.permutations(list(zip(batches, ends, strict=False))))

    state = _after(*(_finished(batch, end) for batch, end in order), total=sum(sizes))

    assert state.done == sum(sizes)
    assert state.phase == "finishing"
    assert state.counts == {
        end: sum(len(batch) for batch, its in order if its == end) for _, end in order
    }


def test_speed_is_that_of_the_last_seconds():
    """A slow start is forgotten after ten seconds, so that the time left is true."""
    state = advance(ProgressState(label="l", total=1000), _attempted(_batch(0)), now_s=0.0)
    for second in range(1, 60):
        rows = 1 if second < 30 else 10
        state = advance(state, _finished(_batch(second, rows=rows)), now_s=float(second))

    assert state.rows_per_s == pytest.approx(10, rel=0.01)
    assert state.remaining_s == pytest.approx((1000 - state.done) / 10, rel=0.01)
    assert len(state.answered) < 15


@pytest.mark.parametrize(("seconds", "is_shown"), [(0.5, False), (1.9, False), (2.5, True)])
def test_no_time_is_promised_in_the_first_seconds(seconds, is_shown):
    """The first answers are faster or slower than the rest: the time left is shown after two seconds."""
    state = advance(ProgressState(label="l", total=1000), _attempted(_batch(0)), now_s=0.0)
    for number in range(1, 5):
        state = advance(state, _finished(_batch(number, rows=10)), now_s=seconds)

    assert (state.remaining_s is not None) == is_shown


@pytest.mark.parametrize(
    ("answers", "every_s", "is_shown"), [(3, 1.0, False), (4, 1.0, True), (3, 4.0, True)]
)
def test_no_time_is_promised_after_few_answers(answers, every_s, is_shown):
    """Many requests are in flight when the first are answered: with fewer than four answers, no time is shown for ten seconds."""
    state = advance(ProgressState(label="l", total=1000), _attempted(_batch(0)), now_s=0.0)
    for number in range(1, answers + 1):
        state = advance(state, _finished(_batch(number, rows=10)), now_s=number * every_s)

    assert (state.remaining_s is not None) == is_shown


def _sending(requests_per_s: float, *, limit: float | None, seconds: float = 4.0) -> ProgressState:
    """Return the state after requests have left evenly."""
    state = ProgressState(label="l", total=9_999_999, limit=limit)
    for number in range(int(requests_per_s * seconds) + 1):
        state = advance(state, _attempted(_batch(number)), now_s=number / requests_per_s)
    return state


@pytest.mark.parametrize(
    ("requests_per_s", "limit", "expected"),
    [
        pytest.param(100, 100.0, "waiting: 100 requests a second is the client's limit", id="at"),
        pytest.param(1, 1.0, "waiting: 1 request a second is the client's limit", id="slow"),
        pytest.param(0.5, 0.5, "waiting: 0.5 requests a second is the client's limit", id="slower"),
        pytest.param(50, 100.0, "", id="host-is-slower"),
        pytest.param(100, None, "", id="no-limit"),
    ],
)
def test_a_run_says_that_it_waits_for_its_own_limit(requests_per_s, limit, expected):
    """Where requests leave as fast as the client lets them, the display says that its limit is why."""
    state = _sending(requests_per_s, limit=limit, seconds=max(4.0, 4 / requests_per_s))

    assert line(state).partition("waiting")[1:] == expected.partition("waiting")[1:]
    assert len(state.sent) < 30


def test_a_wait_that_the_host_asks_for_is_not_shown_as_the_own_limit():
    """After an answer 429 the display names Customer.io, and not the limit of the client."""
    state = advance(
        _sending(100, limit=100.0),
        Paused(seconds=5.0, why="Customer.io asked to slow down."),
        now_s=4.1,
    )

    assert "waiting 5.0 s: Customer.io asked to slow down." in line(state)
    assert "limit" not in line(state)


def test_the_own_limit_is_shown_after_a_second_and_not_while_nothing_is_sent():
    """A burst at the start is no wait, nor is a host that does not answer."""
    early = _sending(100, limit=100.0, seconds=0.5)
    stuck = dataclasses.replace(_sending(100, limit=100.0), now_s=30.0)

    assert [state.is_at_limit for state in (early, stuck)] == [False, False]


def test_a_back_fill_says_which_plan_is_being_sent():
    """Where several tables are sent one after the other, the line has the number of the one being sent."""
    state = ProgressState(label="identify + track", total=1000, plans=2)
    second = dataclasses.replace(_batch(0), plan=1)

    first, then = (advance(state, _attempted(batch), now_s=0.0) for batch in (_batch(0), second))

    assert line(first).startswith("Sending identify + track (plan 0) 0 %")
    assert line(then).startswith("Sending identify + track (plan 1, the last) 0 %")


def test_nothing_is_promised_before_anything_arrived():
    """Without an answer there is neither a speed nor a time left."""
    state = _after(_attempted(_batch()))

    assert (state.rows_per_s, state.remaining_s) == (0.0, None)


class _Watch:
    """A display that notes when it was drawn."""

    persistence = "text"

    def __init__(self, clock=lambda: 0.0) -> None:
        self.clock = clock
        self.calls: list[tuple[str, float]] = []
        self.states: list[ProgressState] = []

    def show(self, state: ProgressState) -> None:
        self._note("show", state)

    def update(self, state: ProgressState) -> None:
        self._note("update", state)

    def close(self, summary: Document) -> None:
        self.calls.append((summary.heading.title, self.clock()))

    def _note(self, name: str, state: ProgressState) -> None:
        self.calls.append((name, self.clock()))
        self.states.append(state)


@given(steps=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=80))
def test_at_most_four_updates_a_second(steps):
    """In every second, however facts and ticks fall, the display is updated at most four times."""
    now = [0.0]
    watch = _Watch(lambda: now[0])
    progress = Progress(watch, label="track", clock=lambda: now[0])
    progress.show()
    for sixty_fourths, is_reported in steps:
        now[0] += sixty_fourths / 64
        if is_reported:
            progress(_finished(_batch()))
        progress.tick()

    times = [at for name, at in watch.calls if name == "update"]
    assert all(later - sooner >= UPDATE_S for sooner, later in pairwise(times))
    assert all(sum(start <= at < start + 1 for at in times) <= 4 for start in times)


def test_the_last_fact_is_always_seen():
    """A fact right after an update is drawn with the next tick, not lost."""
    now = [0.0]
    watch = _Watch(lambda: now[0])
    progress = Progress(watch, label="track", clock=lambda: now[0])
    now[0] = 1.0
    progress(_finished(_batch(0)))
    progress.tick()
    progress(_finished(_batch(1)))
    progress.tick()
    now[0] = 1.25
    progress.tick()

    assert [state.done for state in watch.states] == [10, 20]


def test_an_idle_display_moves_once_a_second():
    """While nothing happens, a wait still counts down."""
    now = [0.0]
    watch = _Watch(lambda: now[0])
    progress = Progress(watch, label="track", clock=lambda: now[0])
    progress(Paused(seconds=30.0, why="rate limited"))
    for quarter in range(1, 17):
        now[0] = quarter / 4
        progress.tick()

    assert [state.wait_s for state in watch.states] == [29.75, 28.75, 27.75, 26.75]


def test_the_summary_takes_the_place_of_the_display():
    """The end is the last state and then the summary."""
    watch = _Watch()
    progress = Progress(watch, label="track", clock=lambda: 0.0)

    progress.show()
    progress(_finished(_batch()))
    progress.finish(SUMMARY)

    assert [name for name, _ in watch.calls] == ["show", "update", "the end"]
    assert watch.states[-1].done == 10


class _Broken(_Watch):
    """A display that fails whatever it is asked."""

    def show(self, _: object) -> None:
        raise OSError("closed")

    update = close = show


def test_a_broken_display_is_counted_and_nothing_more():
    """No error of a display reaches the run; each is counted."""
    now = [0.0]
    progress = Progress(_Broken(), label="track", clock=lambda: now[0])

    progress.show()
    progress(_finished(_batch()))
    now[0] = 1.0
    progress.tick()
    progress.finish(SUMMARY)

    assert progress.errors == 4
    assert progress.state.done == 10


def test_a_display_that_hangs_does_not_hold_the_run():
    """Facts go on while a display hangs, and the end waits for it only so long."""
    release, entered = threading.Event(), threading.Event()

    class Hanging(_Watch):
        def update(self, _: ProgressState) -> None:
            entered.set()
            release.wait(120)

    progress = Progress(Hanging(), label="track", timeout_s=0.05)
    progress.start()
    progress(_finished(_batch()))
    assert entered.wait(60)
    started = time.monotonic()
    progress(_finished(_batch(1)))
    progress.finish(SUMMARY)
    took = time.monotonic() - started
    release.set()

    assert took < 60  # not as long as the display hangs
    assert progress.errors == 2
    assert progress.state.done == 20


def test_a_running_display_is_drawn_by_its_own_thread():
    """The thread that passes facts never draws; the drawing thread ends with the run."""
    drawn_by: list[str] = []
    drawn = threading.Event()

    class Noting(_Watch):
        def update(self, _: ProgressState) -> None:
            drawn_by.append(threading.current_thread().name)
            drawn.set()

    progress = Progress(Noting(), label="track")
    progress.start()
    progress(_finished(_batch()))
    assert drawn.wait(60)
    progress.finish(SUMMARY)

    assert drawn_by[0] == "cio-progress"
    assert "cio-progress" not in {
        thread.name for thread in threading.enumerate() if thread.is_alive()
    }
