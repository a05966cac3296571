"""Wear: connections that are given up again and again, and hosts that ask to wait."""

import asyncio
import time
from collections import Counter

from cio_frames.sandbox import Faults
from cio_frames.sending.http import Request
from torture.checker import Verdict
from torture.harness import Bench, Line, bench, hurried, require, require_clean
from torture.inputs import Input, people

ATTEMPTS_AT_ONCE = 50
TRIES = 20
"""How often one request is tried: on a busy machine an answer may come too late."""
UNDER_WAY_S = 0.3
"""By how much a request may be late that had left when the pause began."""
BODY = b'{"batch":[{"type":"track","userId":"u1","event":"x","properties":{"n":%d}}]}'


def given_up(count: int, *, seed: int, good: int = 100) -> Line:
    """Give many requests up, by time and by cancelling; those after them all get through (T15).

    Args:
        count: How many are given up.
        seed: Only told.
        good: How many are sent after them, over the same connections.
    """
    with bench("T15", f"{count} requests given up", seed=seed) as put:
        put.workspace.faults = Faults(late=1.0, hold_s=2.0, last=count)
        troubles = asyncio.run(_wear(put, count=count, good=good))
        line = Line(
            test=put.test,
            what=put.what,
            rows=good,
            requests=put.workspace.counts["requests"],
            verdict=Verdict(),
            seed=seed,
            seconds=time.monotonic() - put.started,
            facts=troubles,
        )
    require("POOL" not in troubles, line, "no request waits for a connection")
    require(troubles["TIMEOUT"] and troubles["cancelled"], line, "requests were given up")
    require(troubles["200"] == good, line, "later requests get through")
    return line


async def _wear(put: Bench, *, count: int, good: int) -> Counter[str]:
    """Return what came of all requests."""
    found: Counter[str] = Counter()
    client = put.client(attempt_s=0.3)
    request = Request(api="pipelines", path="/v1/batch", body=BODY % 0)
    async with client.session() as transport:

        async def one(number: int) -> None:
            posting = asyncio.ensure_future(transport.post(request))
            if number % 2:
                await asyncio.sleep(0.01 * (number % 4))
                posting.cancel()
            try:
                answer = await posting
                told = answer.trouble or str(answer.status)
            except asyncio.CancelledError:
                told = "cancelled"
            found[told] += 1

        for start in range(0, count, ATTEMPTS_AT_ONCE):
            await asyncio.gather(*(one(start + at) for at in range(ATTEMPTS_AT_ONCE)))
        put.workspace.faults = "none"
        found.pop("200", None)
        for _ in range(good):
            for _ in range(TRIES):
                answer = await transport.post(request)
                found[answer.trouble or str(answer.status)] += 1
                if answer.status:
                    break
    return found


def asked_to_wait(*, seed: int, wait_s: float = 3.0) -> Line:
    """Answer one request with 429 and Retry-After: nothing at all is sent until then (T16).

    Args:
        seed: Decides the rows.
        wait_s: The seconds that the host asks for.
    """
    given = Input(frame=people(800, people=100, seed=seed), batch_bytes=4_000)
    with bench("T16", f"Retry-After {wait_s:g} s", seed=seed) as put:
        put.workspace.faults = Faults(throttled_with_wait=1.0, wait_s=wait_s, first=6, last=6)
        put.send(given)
        log = put.workspace.requests.sort("number")
        at = log.filter(log["fault"].is_not_null())["at"][0]
        waited = (log.filter(log["at"] > at)["at"] - at).dt.total_milliseconds() / 1000
        quiet = waited.filter(waited > wait_s / 2).min()
        line = put.line(given, quiet_s=quiet)
    require_clean(line)
    early = waited.filter((waited > UNDER_WAY_S) & (waited < wait_s * 0.95)).len()
    require(early == 0, line, "only what was under way comes before the time")
    require(wait_s * 0.95 <= quiet <= wait_s * 1.5, line, f"then it goes on: {quiet} s")
    return line


def outage(*, seed: int, rows: int = 2_000) -> Line:
    """Let everything fail for a while: a few probes are made, one at a time (T16).

    Args:
        seed: Decides the rows.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=rows // 10, seed=seed), batch_bytes=160 * rows // 60)
    started = time.monotonic()
    with hurried(), bench("T16", "outage", seed=seed) as put:
        put.workspace.faults = Faults(failed=1.0, first=30, last=50)
        put.send(given)
        failed = put.workspace.requests.filter(put.workspace.requests["fault"].is_not_null())
        alone = failed.sort("number").tail(6)
        gaps = alone["at"].diff().drop_nulls().dt.total_microseconds()
        line = put.line(given, least_gap_us=gaps.min(), took=time.monotonic() - started)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "everything arrives after the outage")
    return line
