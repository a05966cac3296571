"""One limit for all tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.spark.lease import Renewal
from cio_frames.spark.rate import (
    ALIVE_S,
    HEARD_S,
    Division,
    Followed,
    Pace,
    Share,
    divided,
    first_share,
)


@given(st.integers(0, 40), st.floats(0.1, 1_000), st.integers(1, 64))
def test_shares_are_never_more_than_the_limit(tasks: int, rate: float, concurrency: int) -> None:
    """All shares together are the limit, of requests a second and of requests under way."""
    shares = divided([str(n) for n in range(tasks)], rate=rate, concurrency=concurrency)
    sending = [share for share in shares.values() if share.concurrency]
    assert sum(share.concurrency for share in sending) == (concurrency if tasks else 0)
    assert sum(share.rate or 0 for share in sending) == pytest.approx(rate if tasks else 0)
    assert len(shares) == tasks


@given(st.integers(1, 200), st.integers(1, 64))
def test_first_shares_are_never_more_than_the_limit(slots: int, concurrency: int) -> None:
    """As many tasks as can run at once stay within the limit before the driver knows of them."""
    share = first_share(rate=200.0, concurrency=concurrency, slots=slots)
    assert slots * share.concurrency <= concurrency
    assert slots * (share.rate or 0) == pytest.approx(200.0)


def _division() -> Division:
    return Division(rate=100.0, concurrency=10, now=0.0)


def test_the_dead_have_no_share() -> None:
    """An attempt whose count stands still loses its share to those that go on."""
    division = _division()
    for second in range(10):
        told = {"a": Renewal(counter=second), "b": Renewal(counter=min(second, 2))}
        pace = division.pace(told, now=float(second))
        alive = {"a", "b"} if second - 2 < ALIVE_S else {"a"}
        assert set(pace.shares) == alive
    assert pace.shares == {"a": Share(100.0, 10)}


def test_one_that_was_throttled_slows_all_down() -> None:
    """After a 429 of one attempt all have less, and wait as long as was asked; later they get faster."""
    division = _division()
    division.pace({"a": Renewal(counter=1), "b": Renewal(counter=1)}, now=1.0)
    told = {"a": Renewal(counter=2, throttled=1, pause_s=2.0), "b": Renewal(counter=2)}
    pace = division.pace(told, now=2.0)
    assert pace.shares["b"] == Share(35.0, 5)
    assert pace.pause_s == 2.0
    for second in range(3, 40):
        told = {name: Renewal(counter=second, throttled=1) for name in "ab"}
        pace = division.pace(told, now=float(second))
    assert pace.shares["b"] == Share(50.0, 5)
    assert pace.pause_s == 0


def test_an_attempt_follows_the_driver() -> None:
    """Before the driver knows of it, and when it has fallen silent, an attempt has its first share."""
    first = Share(10.0, 1)
    followed = Followed(name="a", first=first)
    assert followed.share(None, now=0.0) == first
    pace = Pace(counter=1, shares={"a": Share(50.0, 5)})
    assert followed.share(pace, now=1.0) == Share(50.0, 5)
    assert followed.share(pace, now=1.0 + HEARD_S) == first
    assert followed.share(Pace(counter=2, pause_s=1.0), now=10.0).concurrency == 0
    assert followed.share(None, now=11.5) == first
