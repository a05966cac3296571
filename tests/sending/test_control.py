"""The word to pause, to go on or to go slower: obeyed at the next request, from any thread."""

import asyncio

import pytest

from cio_frames.sending.client import connect
from cio_frames.sending.control import Control
from cio_frames.sending.flow import Flow
from cio_frames.sending.limiter import TokenBucket
from tests.sending.conftest import virtual_clock, virtually


def _times(control, *, requests, rate=None, at=None):
    """Return when requests left, in virtual time; `at` maps a time to what is asked then."""

    async def run():
        clock = virtual_clock()
        client = connect(write_key="k", rate=rate)
        flow = Flow(client, clock=clock, tell=lambda _: None, control=control)
        loop = asyncio.get_running_loop()
        for after_s, ask in (at or {}).items():
            loop.call_later(after_s, ask)
        left = []
        for _ in range(requests):
            async with flow.leave("pipelines", after_s=0.0) as going:
                assert going
                left.append(clock.monotonic())
        return left

    return virtually(run)


def test_nothing_leaves_while_paused():
    """A pause holds every request back; the end of it lets them go within a tenth of a second."""
    control = Control()
    control.paused = True

    left = _times(control, requests=3, at={5.0: lambda: setattr(control, "paused", False)})

    assert all(4.9 < at < 5.2 for at in left)


def test_a_paused_run_can_end():
    """The end of a run does not wait for the end of a pause."""

    async def run():
        control = Control()
        control.paused = True
        client = connect(write_key="k")
        flow = Flow(client, clock=virtual_clock(), tell=lambda _: None, control=control)
        asyncio.get_running_loop().call_later(2.0, flow.ending.set)
        async with flow.leave("pipelines", after_s=0.0) as going:
            return going

    assert virtually(run) is False


def test_a_lower_rate_spreads_requests():
    """At two requests a second, ten take more than four seconds, without a burst."""
    control = Control()
    control.rate = 2.0

    left = _times(control, requests=10)

    assert left[-1] - left[0] == pytest.approx(4.5)


def test_the_rate_of_the_client_is_never_exceeded():
    """Asking for more than the client's limit changes nothing about the limit."""
    control = Control()
    control.rate = 1000.0

    left = _times(control, requests=11, rate=2.0)

    assert left[-1] - left[0] == pytest.approx(5.0)


def test_going_slower_halves_again_and_again():
    """Each word halves the rate, from what leaves at present, down to one request in two seconds."""
    control = Control()
    rates = []
    for _ in range(8):
        control.slow_down(going=16.0)
        rates.append(control.rate)

    assert rates == [8.0, 4.0, 2.0, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_a_new_limit_forgets_what_was_saved_up():
    """A limit set anew allows one request at once, then one per interval; None lifts it."""
    bucket = TokenBucket(None, now=0.0)

    bucket.limit(4.0, now=10.0)

    assert [bucket.take(10.0), bucket.take(10.0)] == [0.0, 0.25]
    bucket.limit(None, now=10.0)
    assert [bucket.take(10.0) for _ in range(5)] == [0.0] * 5
