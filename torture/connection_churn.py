"""T15 and T16: many abandoned requests, hosts that send Retry-After, and an outage."""

import asyncio
import time
from collections import Counter

from cio_frames.sandbox import Faults
from cio_frames.sending.http import Request
from torture.checker import Verdict
from torture.harness import Harness, Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, random_rows

ATTEMPTS_AT_ONCE = 50
TRIES = 20
"""How often one request is tried: on a busy machine an answer may come too late."""
IN_FLIGHT_S = 0.3
"""How long a request that was sent before the pause may take to arrive."""
BODY = b'{"batch":[{"type":"track","userId":"u1","event":"x","properties":{"n":%d}}]}'


def abandoned_requests(count: int, *, seed: int, good: int = 100) -> Line:
    """Abandon many requests by timeout and cancellation; all later ones get through (T15).

    Args:
        count: How many are abandoned.
        seed: For the table.
        good: How many are sent after them, over the same connections.
    """
    with set_up("T15", f"{count} requests given up", seed=seed) as harness:
        harness.workspace.faults = Faults(late=1.0, hold_s=2.0, last=count)
        results = asyncio.run(_post_all(harness, count=count, good=good))
        line = Line(
            test=harness.test,
            what=harness.what,
            rows=good,
            requests=harness.workspace.counts["requests"],
            verdict=Verdict(),
            seed=seed,
            seconds=time.monotonic() - harness.started,
            facts=results,
        )
    require("POOL" not in results, line, "no request waits for a connection")
    require(results["TIMEOUT"] and results["cancelled"], line, "requests were abandoned")
    require(results["200"] == good, line, "later requests get through")
    return line


async def _post_all(harness: Harness, *, count: int, good: int) -> Counter[str]:
    """Return how often each result of a request came."""
    results: Counter[str] = Counter()
    client = harness.client(attempt_s=0.3)
    request = Request(api="pipelines", path="/v1/batch", body=BODY % 0)
    async with client.session() as transport:

        async def one(number: int) -> None:
            posting = asyncio.ensure_future(transport.post(request))
            if number % 2:
                await asyncio.sleep(0.01 * (number % 4))
                posting.cancel()
            try:
                answer = await posting
                result = answer.network_error or str(answer.status)
            except asyncio.CancelledError:
                result = "cancelled"
            results[result] += 1

        for start in range(0, count, ATTEMPTS_AT_ONCE):
            await asyncio.gather(*(one(start + at) for at in range(ATTEMPTS_AT_ONCE)))
        harness.workspace.faults = "none"
        results.pop("200", None)
        for _ in range(good):
            for _ in range(TRIES):
                answer = await transport.post(request)
                results[answer.network_error or str(answer.status)] += 1
                if answer.status:
                    break
    return results


def retry_after(*, seed: int, wait_s: float = 3.0) -> Line:
    """Answer one request with 429 and Retry-After: nothing is sent until that time (T16).

    Args:
        seed: Decides the rows.
        wait_s: The seconds that the host asks for.
    """
    workload = Workload(frame=random_rows(800, people=100, seed=seed), batch_bytes=4_000)
    with set_up("T16", f"Retry-After {wait_s:g} s", seed=seed) as harness:
        harness.workspace.faults = Faults(throttled_with_wait=1.0, wait_s=wait_s, first=6, last=6)
        harness.send(workload)
        log = harness.workspace.requests.sort("number")
        at = log.filter(log["fault"].is_not_null())["at"][0]
        waited = (log.filter(log["at"] > at)["at"] - at).dt.total_milliseconds() / 1000
        quiet = waited.filter(waited > wait_s / 2).min()
        line = harness.line(workload, quiet_s=quiet)
    require_clean(line)
    early = waited.filter((waited > IN_FLIGHT_S) & (waited < wait_s * 0.95)).len()
    require(early == 0, line, "only requests in flight arrive before that time")
    require(wait_s * 0.95 <= quiet <= wait_s * 1.5, line, f"then sending continues: {quiet} s")
    return line


def outage(*, seed: int, rows: int = 2_000) -> Line:
    """Let every request fail for a while: then everything arrives (T16)."""
    workload = Workload(
        frame=random_rows(rows, people=rows // 10, seed=seed), batch_bytes=160 * rows // 60
    )
    with fast_clock(), set_up("T16", "outage", seed=seed) as harness:
        harness.workspace.faults = Faults(failed=1.0, first=30, last=50)
        harness.send(workload)
        line = harness.line(workload)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "everything arrives after the outage")
    return line
