"""The word to pause, to go on or to go slower: obeyed at the next request, from any thread."""

import asyncio
import threading

import pytest

from cio_frames.sending.clock import Clock
from cio_frames.sending.events import BatchRetried
from cio_frames.sending.rate_limit import Throttle, TokenBucket
from cio_frames.sending.retry_policy import RetryLimits
from cio_frames.sending.run_controls import PaceControl
from cio_frames.workspaces import connect
from tests.sending.conftest import Host, run, run_virtually, segment, virtual_clock


def _times(control, *, requests, rate=None, at=None):
    """Return when requests started, in virtual time; `at` maps a time to a change of the control."""

    async def run():
        clock = virtual_clock()
        client = connect(write_key="k", rate=rate)
        throttle = Throttle(client, clock=clock, listener=lambda _: None, control=control)
        loop = asyncio.get_running_loop()
        for after_s, ask in (at or {}).items():
            loop.call_later(after_s, ask)
        left = []
        for _ in range(requests):
            async with throttle.acquire("pipelines", after_s=0.0) as going:
                assert going
                left.append(clock.monotonic())
        return left

    return run_virtually(run)


def _setting(control, name, value):
    """Return what sets an attribute of a control when it is called."""
    return lambda: setattr(control, name, value)


def test_nothing_leaves_while_paused():
    """No request starts in a pause; at its end they start at once."""
    control = PaceControl()
    control.paused = True

    left = _times(control, requests=3, at={5.0: _setting(control, "paused", False)})

    assert left == [5.0, 5.0, 5.0]


def test_a_pause_delays_a_request_that_waits_for_its_turn():
    """A request that the rate delays does not leave in a pause that begins meanwhile."""
    control = PaceControl()
    control.rate = 0.5
    asked = {1.0: _setting(control, "paused", True), 60.0: _setting(control, "paused", False)}

    left = _times(control, requests=2, at=asked)

    assert left == [0.0, 60.0]


def test_another_rate_wakes_a_request_that_waits_for_its_turn():
    """A request that a low rate delays leaves at once when the limit is lifted."""
    control = PaceControl()
    control.rate = 0.5

    left = _times(control, requests=2, at={0.25: _setting(control, "rate", None)})

    assert left == [0.0, 0.25]


def test_a_paused_run_sleeps_until_it_is_woken_from_any_thread():
    """A pause waits for no time at all, and another thread ends it."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(seconds)

    async def work():
        control = PaceControl()
        control.paused = True
        clock = Clock(sleep=sleep)
        throttle = Throttle(
            connect(write_key="k"), clock=clock, listener=lambda _: None, control=control
        )
        timer = threading.Timer(0.05, _setting(control, "paused", False))
        timer.start()
        async with asyncio.timeout(10), throttle.acquire("pipelines", after_s=0.0) as going:
            timer.join()
            return going

    assert asyncio.run(work()) is True
    assert slept == []


def test_a_paused_run_can_end():
    """The end of a run does not wait for the end of a pause."""

    async def run():
        control = PaceControl()
        control.paused = True
        client = connect(write_key="k")
        throttle = Throttle(client, clock=virtual_clock(), listener=lambda _: None, control=control)
        asyncio.get_running_loop().call_later(2.0, throttle.ending.set)
        async with throttle.acquire("pipelines", after_s=0.0) as going:
            return going

    assert run_virtually(run) is False


def test_a_lower_rate_spreads_requests():
    """At two requests a second, ten take more than four seconds, without a burst."""
    control = PaceControl()
    control.rate = 2.0

    left = _times(control, requests=10)

    assert left[-1] - left[0] == pytest.approx(4.5)


def test_the_rate_of_the_client_is_never_exceeded():
    """Asking for more than the client's limit changes nothing about the limit."""
    control = PaceControl()
    control.rate = 1000.0

    left = _times(control, requests=11, rate=2.0)

    assert left[-1] - left[0] == pytest.approx(5.0)


def test_going_slower_halves_again_and_again():
    """Each word halves the rate, from what leaves at present, down to one request in two seconds."""
    control = PaceControl()
    rates = []
    for _ in range(8):
        control.slow_down(current=16.0)
        rates.append(control.rate)

    assert rates == [8.0, 4.0, 2.0, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_a_new_limit_forgets_what_was_saved_up():
    """A limit set anew allows one request at once, then one per interval; None lifts it."""
    bucket = TokenBucket(None, now=0.0)

    bucket.limit(4.0, now=10.0)

    assert [bucket.take(10.0), bucket.take(10.0)] == [0.0, 0.25]
    bucket.limit(None, now=10.0)
    assert [bucket.take(10.0) for _ in range(5)] == [0.0] * 5


def _paused_in_an_outage(*, pause_s):
    """Return a run in which a request fails from the start, with a pause in the middle."""
    control = PaceControl()
    host = Host(lambda _: 503)

    def listen(fact):
        if isinstance(fact, BatchRetried) and len(host.requests) == 5:
            control.paused = True
            loop = asyncio.get_running_loop()
            loop.call_later(pause_s, lambda: setattr(control, "paused", False))

    retry_limits = RetryLimits(outage_s=600)
    return run([segment(30)], host, listen=listen, retry_limits=retry_limits, control=control)


@pytest.mark.parametrize("pause_s", [60.0, 3_600.0, 86_400.0])
def test_a_pause_does_not_use_up_the_patience(pause_s):
    """However long the user pauses an outage, as many requests as without it are tried after it."""
    record = _paused_in_an_outage(pause_s=pause_s)
    plain = run([segment(30)], Host(lambda _: 503), retry_limits=RetryLimits(outage_s=600))

    assert record.stopped == plain.stopped == "OUTAGE"
    assert record.seconds - pause_s == pytest.approx(plain.seconds, rel=0.1)
    assert len(record.host.requests) == pytest.approx(len(plain.host.requests), abs=3)


def test_a_pause_does_not_count_towards_the_limit_of_an_outage():
    """Several requests that wait out one pause count it once, and a running run counts as time."""

    async def work():
        control = PaceControl()
        client = connect(write_key="k", rate=None)
        throttle = Throttle(client, clock=virtual_clock(), listener=lambda _: None, control=control)
        await asyncio.sleep(10.0)
        before = throttle.running_s
        control.paused = True

        async def leaving():
            async with throttle.acquire("pipelines", after_s=0.0):
                pass

        waiting = [asyncio.create_task(leaving()) for _ in range(3)]
        await asyncio.sleep(100.0)
        during = throttle.running_s
        control.paused = False
        await asyncio.gather(*waiting)
        await asyncio.sleep(5.0)
        return before, during, throttle.running_s

    before, during, after = run_virtually(work)

    assert (before, during, after) == (10.0, 10.0, 15.0)
