"""The short form of T15, T16 and T25."""

from torture.baseline import compare_with_sdk
from torture.connection_churn import abandoned_requests, outage, retry_after

SEED = 20275


def test_requests_that_are_given_up_leave_the_connections_usable():
    """After a hundred timeouts and cancellations, requests get through as before."""
    assert abandoned_requests(100, seed=SEED).facts["200"] == 100


def test_a_host_that_asks_to_wait_is_left_alone():
    """After a 429 with Retry-After nothing is sent until the time is over."""
    assert retry_after(seed=SEED).facts["quiet_s"] >= 2.7


def test_an_outage_costs_time_and_nothing_else():
    """When every request fails for a while, everything arrives afterwards."""
    assert outage(seed=SEED).requests > 50


def test_the_official_sdk_loses_rows_where_this_package_does_not():
    """A host that drops requests behind a 200 costs the SDK rows, and this package none."""
    ours, theirs = compare_with_sdk("dropping host", seed=SEED, rows=4_000, seconds=30)
    assert ours.verdict.lost == 0
    assert theirs.verdict.lost > 0
