"""The pace: never faster than allowed, slower when pushed back, and always moving."""

import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sending.rate_limit import AdaptiveConcurrency, RetryBudget, TokenBucket


def leave_all(bucket, count, *, now=0.0):
    """Let `count` requests leave as soon as they may; return when each left."""
    left = []
    while len(left) < count:
        wait = bucket.take(now)
        if wait:
            now += wait
        else:
            left.append(now)
    return left


@given(
    st.floats(0.5, 1_000),
    st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_no_second_has_more_than_the_rate(rate, gaps):
    """However requests come, no second, not even the first, has more than `rate` of them."""
    bucket, now, left = TokenBucket(rate, now=0.0), 0.0, []
    for gap in gaps:
        now += gap
        while wait := bucket.take(now):
            now += wait
        left.append(now)

    for at in left:
        assert sum(at <= each < at + 1.0 - 1e-6 for each in left) <= max(1, rate)


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 9.0), (0.5, 18.0), (3.0, 3.0)])
def test_a_low_rate_limits_the_first_second_too(rate, seconds):
    """Ten requests that are ready at once leave one after the other, or three in a second."""
    assert leave_all(TokenBucket(rate, now=0.0), 10)[-1] == pytest.approx(seconds)


def test_a_steady_stream_runs_at_the_rate():
    """After the burst, requests leave one by one in even steps."""
    left = leave_all(TokenBucket(100.0, now=0.0), 110)

    assert left[9] == 0.0
    assert left[-1] == pytest.approx(1.0)


def test_no_rate_lets_everything_through():
    """Without a rate nothing waits."""
    assert leave_all(TokenBucket(None, now=0.0), 1_000)[-1] == 0.0


@pytest.mark.parametrize("rate", [None, 1.0, 200.0])
def test_no_request_passes_in_a_pause_and_no_burst_follows(rate):
    """During a pause nothing leaves, whatever the rate; after it one request leaves at once."""
    bucket = TokenBucket(rate, now=0.0)
    bucket.pause(30.0, now=0.0)

    left = leave_all(bucket, 3)

    assert left[0] == pytest.approx(30.0)
    if rate:
        assert left[1] == pytest.approx(30.0 + 1 / rate)


def test_a_shorter_pause_does_not_end_a_longer_one():
    """The later end of two pauses counts."""
    bucket = TokenBucket(10.0, now=0.0)
    bucket.pause(30.0, now=0.0)
    bucket.pause(1.0, now=0.0)

    assert bucket.take(5.0) == pytest.approx(25.0)


def test_pushing_back_lowers_the_rate_once_a_second_and_it_recovers():
    """Many push backs in one second count as one; the rate never dies and comes back in full."""
    bucket = TokenBucket(100.0, now=0.0)
    for at in (1.0, 1.1, 1.2):
        bucket.slow_down(at)
    once = bucket.rate
    for at in range(2, 60):
        bucket.slow_down(float(at))
    lowest = bucket.rate
    for at in range(60, 120):
        bucket.speed_up(float(at))

    assert once == pytest.approx(70.0)
    assert lowest == pytest.approx(1.0)
    assert bucket.rate == pytest.approx(100.0)


def simulate(concurrency, *, seconds, rtt, fails=lambda _: False):
    """Keep as many requests in flight as allowed; return the limit over time."""
    now, under_way, limits = 0.0, [], []
    while now < seconds:
        while len(under_way) < concurrency.limit:
            n = len(under_way) + 1
            under_way.append((now + rtt(n), rtt(n), fails(n)))
            concurrency.started(n)
        under_way.sort()
        now, took, failed = under_way.pop(0)
        if failed:
            concurrency.pushed_back(now)
        else:
            concurrency.add_response_time(took, now=now)
        limits.append(concurrency.limit)
    return limits


def test_a_constant_link_is_used_in_full():
    """With an even answer time the limit climbs to its most."""
    limits = simulate(AdaptiveConcurrency(maximum=16), seconds=30, rtt=lambda _: 0.1)

    assert limits[0] <= 3
    assert limits[-1] == 16


@given(st.floats(1e-3, 60), st.integers(0, 1_000))
def test_an_even_link_is_used_in_full_however_its_times_are_rounded(rtt, seed):
    """Times that differ in their last bits only are even: the limit climbs to its most."""
    random = Random(seed)
    times = [rtt * (1 + step * sys.float_info.epsilon) for step in range(-4, 5)]
    limits = simulate(
        AdaptiveConcurrency(maximum=16), seconds=40 * rtt, rtt=lambda _: random.choice(times)
    )

    assert limits[-1] == 16


def test_a_first_slow_moment_is_taken_alike_however_times_are_rounded():
    """After equal times the spread is unknown, so one longer time does not lower the limit."""
    even, rounded = AdaptiveConcurrency(start=8), AdaptiveConcurrency(start=8)
    for at in range(50):
        even.add_response_time(0.1, now=float(at))
        rounded.add_response_time(0.1 * (1 + at % 2 * sys.float_info.epsilon), now=float(at))
    for concurrency in (even, rounded):
        concurrency.add_response_time(0.2, now=50.0)

    assert (even.limit, rounded.limit) == (8, 8)


def test_a_host_that_drops_above_a_knee_is_kept_near_it():
    """With push backs above eight at once the limit settles around eight."""
    limits = simulate(
        AdaptiveConcurrency(maximum=16), seconds=60, rtt=lambda _: 0.1, fails=lambda n: n > 8
    )
    settled = limits[len(limits) // 2 :]

    assert 8 * 0.6 <= sum(settled) / len(settled) <= 8 * 1.2
    assert max(settled) <= 10


def test_a_host_that_queues_above_a_knee_is_not_flooded():
    """With answer times that grow beyond four at once the limit stays far below its most."""
    limits = simulate(
        AdaptiveConcurrency(maximum=16), seconds=60, rtt=lambda n: 0.1 * max(1, n / 4) ** 3
    )

    assert sum(limits[-200:]) / 200 <= 8


def test_an_unused_limit_does_not_grow():
    """The limit does not grow while fewer requests are in flight than allowed."""
    concurrency = AdaptiveConcurrency(maximum=16, start=4)
    for at in range(100):
        concurrency.started(1)
        concurrency.add_response_time(0.1, now=float(at))

    assert concurrency.limit == 4


def test_push_backs_within_a_window_count_once():
    """Eight rejections within one window lower the limit once."""
    concurrency = AdaptiveConcurrency(maximum=16, start=10)
    concurrency.started(10)
    concurrency.add_response_time(1.0, now=0.0)
    before = concurrency.limit
    for _ in range(8):
        concurrency.pushed_back(0.1)

    assert concurrency.limit == int(before * 0.7)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 20), st.booleans()), max_size=200))
def test_the_limit_stays_within_its_bounds(events):
    """Whatever happens, at least one and at most the maximum may be in flight."""
    concurrency, now = AdaptiveConcurrency(maximum=8), 0.0
    for rtt, under_way, failed in events:
        now += rtt / 10
        concurrency.started(under_way)
        if failed:
            concurrency.pushed_back(now)
        else:
            concurrency.add_response_time(rtt, now=now)

        assert 1 <= concurrency.limit <= 8


def test_few_failures_among_many_successes_do_not_exhaust_the_budget():
    """One failure in ten successes is within the budget for ever."""
    budget = RetryBudget(now=0.0)
    for n in range(1_000):
        if n % 10 == 0:
            budget.failed(0.0)
        else:
            budget.succeeded(0.0)

        assert not budget.is_exhausted


def test_an_outage_exhausts_the_budget_once_and_three_successes_end_that():
    """The budget of ten retries is spent, then one try at a time, until three in a row succeed."""
    budget = RetryBudget(now=0.0)
    opened = [budget.failed(0.0) for _ in range(20)]

    assert opened.index(True) == 10
    assert opened.count(True) == 1
    for _ in range(2):
        budget.succeeded(0.0)
    budget.failed(0.0)
    for _ in range(2):
        budget.succeeded(0.0)
    assert budget.is_exhausted
    budget.succeeded(0.0)
    assert not budget.is_exhausted


def test_time_alone_earns_retries():
    """A second earns one retry, so that a slow run is not cut off."""
    budget = RetryBudget(now=0.0)
    for n in range(1, 200):
        budget.failed(float(n))

    assert not budget.is_exhausted


def test_a_retry_is_earned_however_its_shares_are_rounded():
    """Ten tenths are one retry, though as floats they add up to a little less."""
    budget = RetryBudget(now=0.0, retries_per_success=0.1)
    for _ in range(10):
        budget.failed(0.0)
    for _ in range(10):
        budget.succeeded(0.0)

    assert not budget.failed(0.0)


@given(st.lists(st.booleans(), max_size=300))
def test_retries_stay_within_the_budget(outcomes):
    """While no time passes, retries are at most ten and a fifth of the successes."""
    budget, spent, earned = RetryBudget(now=0.0), 0, 0
    for succeeded in outcomes:
        if budget.is_exhausted:
            break
        if succeeded:
            budget.succeeded(0.0)
            earned += 1
        else:
            spent += not budget.failed(0.0)

    assert spent <= 10 + earned * 0.2 + 1e-6
