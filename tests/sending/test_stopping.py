"""A stopped run ends cleanly: after the requests in flight, or at once."""

import asyncio
import threading

import httpx2
import pytest

from cio_frames.sending.events import BatchAttempted, BatchFinished, RunStopped, SegmentPlanned
from cio_frames.sending.run_controls import StopSignal
from cio_frames.sending.scheduler import send
from tests.sending.conftest import (
    Host,
    Record,
    check,
    client_of,
    run,
    run_virtually,
    segment,
    virtual_clock,
)


def stopping(when, *, how="drain", host=None, rows=2_000, **options):
    """Run, and ask to stop before the `when`-th attempt."""
    flag, attempts = StopSignal(), []

    def listen(fact):
        if isinstance(fact, BatchAttempted):
            attempts.append(fact)
            if len(attempts) == when:
                getattr(flag, how)()

    return run([segment(rows)], host or Host(seconds=1.0), stop=flag, listen=listen, **options)


@pytest.mark.parametrize("when", [1, 2, 30])
def test_draining_finishes_what_is_under_way_and_starts_nothing_else(when):
    """Every attempted row is delivered, the rest is pending, and nothing is in doubt."""
    record = stopping(when)
    attempted = sum(len(each.rows) for each in record.host.requests)

    assert record.counts == {"delivered": attempted, "pending": 2_000 - attempted}
    assert record.stopped == "INTERRUPTED"
    assert attempted // 10 <= when + 16


def test_abandoning_leaves_what_is_under_way_in_doubt():
    """A second word to stop does not wait for answers."""
    record = stopping(30, how="abandon", host=Host(seconds=30.0))

    assert record.counts["in_doubt"] > 0
    assert (
        record.counts["in_doubt"] + record.counts["delivered"] + record.counts["pending"] == 2_000
    )
    assert {record.ends[row].code for row in record.rows("in_doubt")} == {"INTERRUPTED"}


def test_abandoning_before_a_batch_has_begun_leaves_it_pending():
    """A batch that was about to start gets an outcome like the unstarted ones."""
    flag = StopSignal()

    def listen(fact):
        if isinstance(fact, SegmentPlanned):
            flag.abandon()

    record = run([segment(30)], stop=flag, listen=listen)

    assert record.host.requests == []
    assert record.counts == {"pending": 30}


def test_a_flag_set_before_the_start_sends_nothing():
    """Then not even a segment is planned."""
    flag, host = StopSignal(), Host()
    flag.drain()
    segments = iter([segment(100)])
    record = run(segments, host, stop=flag)

    assert host.requests == []
    assert next(segments, None) is not None
    assert [type(fact) for fact in record.facts] == [RunStopped]


def test_a_stop_during_a_long_wait_is_heard_at_once():
    """A run stops at once, even within a pause of five minutes."""
    flag = StopSignal()
    later = httpx2.Response(429, headers={"Retry-After": "300"})

    async def work():
        asyncio.get_running_loop().call_later(10.0, flag.drain)
        await send(
            iter([segment(100)]), client=client_of(host), listener=facts.append, stop=flag,
            clock=virtual_clock(),
        )  # fmt: skip
        return asyncio.get_running_loop().time()

    facts, host = [], Host(later)
    seconds = run_virtually(work)
    record = check(Record(host, facts, seconds))

    assert seconds < 11
    assert record.counts == {"pending": 100}


def test_a_row_that_may_have_been_applied_is_not_left_as_pending():
    """Stopping between a failed attempt and the next leaves doubt where there is doubt."""
    flag = StopSignal()

    async def work():
        asyncio.get_running_loop().call_later(0.1, flag.drain)
        await send(
            iter([segment(20)]), client=client_of(host), listener=facts.append, stop=flag,
            clock=virtual_clock(),
        )  # fmt: skip

    facts, host = [], Host(500)
    run_virtually(work)

    assert check(Record(host, facts, 0)).counts == {"in_doubt": 10, "pending": 10}


def test_a_stop_during_the_search_keeps_the_outcomes_so_far():
    """Rows with an outcome keep it; rows that were only rejected together are in doubt."""
    flag = StopSignal()

    def answer(heard):
        if heard.number == 4:
            flag.drain()
        return 400 if 5 in heard.rows else 200

    record = run([segment(16, per_batch=16)], Host(answer), stop=flag)

    assert record.counts["delivered"] > 0
    assert record.counts["in_doubt"] > 0
    assert sum(record.counts.values()) == 16


def test_cancelling_the_coroutine_abandons_the_run():
    """A cancelled `send` emits the outcome of every row and raises the cancellation."""
    facts, host = [], Host(seconds=30.0)

    async def work():
        sending = asyncio.create_task(
            send(
                iter([segment(100)]),
                client=client_of(host),
                listener=facts.append,
                stop=StopSignal(),
                clock=virtual_clock(),
            )
        )
        await asyncio.sleep(1.0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(work)

    assert check(Record(host, facts, 0)).counts == {"in_doubt": 10, "pending": 90}


def test_no_thread_is_left_behind():
    """After the loop is closed only the threads from before are there."""
    before = threading.active_count()
    run([segment(500)])

    assert threading.active_count() == before


def test_a_stop_after_the_end_changes_nothing():
    """The flag has let go of the run, and asking is harmless."""
    flag, facts = StopSignal(), []
    run([segment(10)], stop=flag, listen=facts.append)
    before = len(facts)
    flag.drain()
    flag.abandon()

    assert len(facts) == before
    assert any(isinstance(fact, BatchFinished) for fact in facts)


def test_a_stop_at_the_very_end_emits_no_fact():
    """A word that comes when everything has its end is too late to stop anything."""

    class Late(StopSignal):
        def unwatch(self, watcher):
            self.drain()
            super().unwatch(watcher)

    facts = []

    async def work():
        await send(
            iter([segment(10)]),
            client=client_of(Host()),
            listener=facts.append,
            stop=Late(),
            clock=virtual_clock(),
        )
        await asyncio.sleep(1)

    run_virtually(work)

    assert not [fact for fact in facts if isinstance(fact, RunStopped)]


def test_a_flag_can_be_set_from_a_signal_handler():
    """A signal handler that stops the run while it is being stopped causes no deadlock."""
    flag, calls = StopSignal(), []

    def nested():
        calls.append(1)
        if len(calls) < 3:
            flag.abandon()

    flag.watch(nested)
    flag.drain()

    assert len(calls) == 3


@pytest.mark.parametrize("call", ["track", "form"])
@pytest.mark.parametrize("state", ["delivered", "rejected_server"])
def test_what_fails_between_answer_and_record_leaves_doubt(call, state):
    """Rows whose answer came, and whose end could not be recorded, are never called pending."""
    host = Host(200 if state == "delivered" else 400)
    facts = []

    def listen(fact):
        facts.append(fact)
        if isinstance(fact, BatchFinished) and fact.state == state:
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        run([segment(30, call=call)], host, listen=listen)

    ends = {
        row: fact.state
        for fact in facts
        if isinstance(fact, BatchFinished)
        for row in fact.batch.rows
    }
    heard = {row for request in host.requests for row in request.rows}
    assert heard
    assert {ends[row] for row in heard} <= {"in_doubt", state}
    assert {ends[row] for row in ends.keys() - heard} == {"pending"}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Date": "1 Jan 99999 00:00:00 GMT"}, id="year"),
        pytest.param({"Date": f"1 Jan {'9' * 40} 00:00:00 GMT"}, id="number"),
        pytest.param({"Date": "", "Retry-After": "1 Jan 99999"}, id="retry"),
    ],
)
def test_no_header_of_an_answer_ends_a_run(headers):
    """Accepted messages are recorded as delivered, whatever else is in the response."""
    host = Host()

    def answer(heard):
        host.applied += heard.rows
        return httpx2.Response(200, json={}, headers=headers)

    host.answer = answer
    assert run([segment(30)], host).counts == {"delivered": 30}


def test_half_a_character_of_a_server_ends_no_run():
    """A rejection with a text that no file can contain rejects the row, and the others arrive."""
    content = b'{"meta": {"errors": ["not \\ud800 this"]}}'
    record = run(
        [segment(10)],
        Host(lambda it: 200 if 3 not in it.rows else httpx2.Response(400, content=content)),
    )

    assert record.rows("rejected_server") == [3]
    assert record.ends[3].error == "not ? this"
