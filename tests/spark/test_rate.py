"""One limit for all tasks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.run import SendOptions
from cio_frames.spark.lease import Renewal
from cio_frames.spark.rate import (
    ALIVE_S,
    PACE_VALID_S,
    Division,
    Pace,
    Share,
    ShareTracker,
    divided,
    first_share,
)
from cio_frames.spark.run import SparkOptions, start
from tests.spark.plans import BY_PERSON, events, plan_of


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


def test_dead_attempts_have_no_share() -> None:
    """An attempt whose counter stands still loses its share to the others."""
    division = _division()
    for second in range(10):
        renewals = {"a": Renewal(counter=second), "b": Renewal(counter=min(second, 2))}
        pace = division.pace(renewals, now=float(second))
        alive = {"a", "b"} if second - 2 < ALIVE_S else {"a"}
        assert set(pace.shares) == alive
    assert pace.shares == {"a": Share(100.0, 10)}


def test_a_throttled_attempt_slows_all_down() -> None:
    """After a 429 of one attempt all have less, and wait as long as the server asked; later they get faster."""
    division = _division()
    division.pace({"a": Renewal(counter=1), "b": Renewal(counter=1)}, now=1.0)
    renewals = {"a": Renewal(counter=2, throttled=1, pause_s=2.0), "b": Renewal(counter=2)}
    pace = division.pace(renewals, now=2.0)
    assert pace.shares["b"] == Share(35.0, 5)
    assert pace.pause_s == 2.0
    for second in range(3, 40):
        renewals = {name: Renewal(counter=second, throttled=1) for name in "ab"}
        pace = division.pace(renewals, now=float(second))
    assert pace.shares["b"] == Share(50.0, 5)
    assert pace.pause_s == 0


def test_an_attempt_follows_the_driver() -> None:
    """Until the driver has given it a share, and when the driver is silent, an attempt has its first share."""
    first = Share(10.0, 1)
    followed = ShareTracker(name="a", first=first)
    assert followed.share(None, now=0.0) == first
    pace = Pace(counter=1, shares={"a": Share(50.0, 5)})
    assert followed.share(pace, now=1.0) == Share(50.0, 5)
    assert followed.share(pace, now=1.0 + PACE_VALID_S) == first
    assert followed.share(Pace(counter=2, pause_s=1.0), now=10.0).concurrency == 0
    assert followed.share(None, now=11.5) == first


RATE, WAIT_S = 20, 6
"""Requests a second of the client, and the seconds that the server asks one task to wait."""
BURST = 4
"""How many requests may arrive late, in the next window: one of ten a second is under way in each task."""
THROTTLED = 80
"""The number of the request that is asked to."""


class _Arrivals(BaseHTTPRequestHandler):
    """Notes when requests arrive, and asks one of them to wait."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer 200, and once 429."""
        self.rfile.read(int(self.headers["Content-Length"]))
        arrived: list[float] = self.server.arrived  # type: ignore[attr-defined]
        arrived.append(time.monotonic())
        is_throttled = len(arrived) == THROTTLED
        self.send_response(429 if is_throttled else 200)
        if is_throttled:
            self.send_header("Retry-After", str(WAIT_S))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def _server() -> Iterator[tuple[str, list[float]]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Arrivals) as server:
        server.arrived = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.arrived  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.slow
def test_executors_keep_to_one_rate_and_wait_together(spark: Any, tmp_path: Path) -> None:
    """Two executors together never exceed the rate, and when one is asked to wait, both do within seconds."""
    with _server() as (url, arrived):
        plan = plan_of(events(spark, rows=3_600), batch_bytes=3_000)
        client = cio.connect(endpoint=url, write_key="k", rate=RATE, environ={})
        options = SendOptions(audit=tmp_path, progress=False, durability="process")
        divided_in_two = SparkOptions(partitions=2, slots=2, in_order=BY_PERSON)
        run = start(plan, client, options=options, spark=divided_in_two).wait()
    assert run.counts["delivered"] == 3_600
    times = list(arrived)
    for window_s in (2, 5):
        most = max(sum(at <= each < at + window_s for each in times) for at in times)
        assert most <= RATE * window_s + BURST, f"{most} requests in {window_s} s"
    asked = times[THROTTLED - 1]
    waits = [at - asked for at in times if at > asked]
    assert not [at for at in waits if 3.5 < at < WAIT_S], waits
    again = min(at for at in waits if at >= WAIT_S)
    assert sum(again <= at < again + 3 for at in waits) <= 0.9 * RATE * 3
