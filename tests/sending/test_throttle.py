"""What answers teach about the pace."""

import asyncio

import pytest

from cio_frames.sending.events import Paused
from cio_frames.sending.http import Response
from cio_frames.sending.rate_limit import Throttle
from cio_frames.sending.retry_policy import Delivered, Rejected, Retry, Split
from tests.sending.conftest import Host, client_of, run_virtually, virtual_clock

TAKEN = Response(kind="answer", status=200, json={}, elapsed_s=0.1)
THROTTLED = Response(kind="answer", status=429, elapsed_s=0.1)
LATE = Response(kind="no-answer", network_error="TIMEOUT", elapsed_s=60.0)
AGAIN = Retry(after_s=1.0, code="X", in_doubt=False)


def flowing(work, **options):
    """Run a coroutine function with a throttle; return its result and the facts."""

    async def inside():
        facts = []
        client = client_of(Host(), **({"rate": 100.0} | options))
        throttle = Throttle(client, clock=virtual_clock(), listener=facts.append)
        await asyncio.sleep(1.0)
        return await work(throttle), facts

    return run_virtually(inside)


async def wide(throttle):
    """Teach a flow that eight requests at once are fine."""
    api_state = throttle.api_state("pipelines")
    for _ in range(6):
        api_state.concurrency.started(api_state.concurrency.limit)
        throttle.record("pipelines", response=TAKEN, decision=Delivered())
        await asyncio.sleep(0.2)
    return api_state


def test_a_success_opens_the_way_for_more_than_one():
    """Before it one batch may be in flight, after it as many as the limit allows."""

    async def work(throttle):
        before = throttle.api_state("pipelines").limit
        api_state = await wide(throttle)
        return before, api_state.limit, throttle.api_state("forms").limit

    (before, after, forms), _ = flowing(work)

    assert (before, forms) == (1, 1)
    assert after > 4


def test_a_run_keeps_to_the_requests_that_it_is_asked_for():
    """However many requests a host accepts, no more are in flight than requested, but at least one."""

    async def work(throttle):
        await wide(throttle)
        limits = [throttle.limit("pipelines")]
        for most in (3, 1, 0):
            throttle._control.concurrency = most
            limits.append(throttle.limit("pipelines"))
        return limits

    limits, _ = flowing(work)

    assert limits[0] > 4
    assert limits[1:] == [3, 1, 1]


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        pytest.param(
            THROTTLED, Retry(after_s=1, code="X", in_doubt=False, slow_down=True), id="429"
        ),
        pytest.param(LATE, Retry(after_s=1, code="X", in_doubt=True, slow_down=True), id="late"),
        pytest.param(LATE, Split(code="TIMEOUT", too_large=True, in_doubt=True), id="halved"),
    ],
)
def test_a_push_back_lowers_what_may_be_under_way(answer, decision):
    """Throttling and lateness cut the limit."""

    async def work(throttle):
        api_state = await wide(throttle)
        before = api_state.limit
        throttle.record("pipelines", response=answer, decision=decision)
        return before, api_state.limit

    (before, after), _ = flowing(work)

    assert after == int(before * 0.7)


def test_throttling_lowers_the_rate_of_that_surface():
    """A 429 lowers the rate by three tenths; a rejected row does not."""

    async def work(throttle):
        throttle.record("pipelines", response=THROTTLED, decision=AGAIN)
        throttle.record("forms", response=TAKEN, decision=Rejected(code="X", error=""))
        return throttle.api_state("pipelines").bucket.rate, throttle.api_state("forms").bucket.rate

    rates, _ = flowing(work)

    assert rates == (pytest.approx(70.0), 100.0)


def test_an_outage_leaves_one_request_at_a_time_and_emits_one_fact():
    """When the retries are spent the limit starts again at one."""

    async def work(throttle):
        api_state = await wide(throttle)
        for _ in range(30):
            throttle.record("pipelines", response=TAKEN, decision=AGAIN)
        return api_state.limit

    limit, facts = flowing(work)

    assert limit == 1
    assert [type(fact) for fact in facts] == [Paused]


def test_a_rest_ends_with_the_run():
    """Waiting returns early, with False."""

    async def work(throttle):
        asyncio.get_running_loop().call_later(5.0, throttle.ending.set)
        going = [await throttle.sleep(2.0), await throttle.sleep(100.0), await throttle.sleep(0.0)]
        return going, asyncio.get_running_loop().time()

    (going, seconds), _ = flowing(work)

    assert going == [True, False, False]
    assert seconds == pytest.approx(6.0)
