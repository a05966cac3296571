"""T6 to T8: bad rows, requests that are too large, and hosts that answer 200 and drop."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

import cio_frames as cio
from cio_frames.payloads.batches import ENVELOPE_BYTES, cut
from cio_frames.sandbox import Faults
from cio_frames.spec import LIMITS
from torture.harness import Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, random_rows
from torture.proxy import ProxyTransport

BATCH_ROWS = 500
MESSAGE_BYTES, BATCH_BYTES = LIMITS["message_bytes"].value, LIMITS["batch_bytes"].value


def bad_rows(count: int | None, *, seed: int, batches: int = 8) -> Line:
    """Send bad rows among good ones: only these are rejected, within few requests (T6)."""
    rows = BATCH_ROWS * batches
    numbers = np.random.default_rng(seed).choice(
        rows, rows if count is None else count, replace=False
    )
    bad = set(numbers.tolist())
    frame = random_rows(rows, people=rows // 5, seed=seed, poison=bad)
    workload = Workload(frame=frame, batch_bytes=BATCH_ROWS * 160, poison=bad)
    what = f"{'all' if count is None else count} bad rows"
    with fast_clock(), set_up("T6", what, seed=seed) as harness:
        run = harness.send(workload)
        planned = workload.plan.counts["batches"]
        line = harness.line(workload, batches=planned, stopped=run.stopped and run.stopped[0])
    if count is None:
        require_clean(line)
        require(line.facts["stopped"] == "SYSTEMIC_REJECT", line, "a plan of bad rows only stops")
        require(line.requests <= 20, line, "and stops within 20 requests")  # noqa: PLR2004
        return line
    require_clean(line)
    expected = workload.expected_counts
    require(
        line.states == expected, line, f"bad rows are rejected and block their people: {expected}"
    )
    limit = 2 * count * math.ceil(math.log2(2 * BATCH_ROWS)) + planned + 2
    require(line.requests <= limit, line, f"at most {limit} requests")
    return line


def permissive_host(*, seed: int, rows: int, has_key: bool) -> Line:
    """Send without strict mode to a host that answers 200 and drops: nothing is delivered (T7)."""
    workload = Workload(frame=random_rows(rows, people=rows // 10, seed=seed), batch_bytes=5_000)
    what = "permissive, " + ("dropping" if has_key else "unknown key")
    with set_up("T7", what, seed=seed, faults=Faults(dropped=0.3)) as harness:
        key = harness.workspace.write_key if has_key else "unprovisioned"
        client = cio.connect(
            endpoint=harness.workspace.url, write_key=key, strict=False, rate=None, environ={}
        )
        harness.send(workload, client)
        line = harness.line(workload, dropped=harness.workspace.counts["dropped"])
    require(line.states == {"accepted_unverified": rows}, line, "nothing is recorded as delivered")
    require(line.facts["dropped"] > 0, line, "the host did drop something")
    require(line.verdict.false_ack == 0, line, "no false acknowledgement")
    return line


def sizes_around_limits(*, seed: int, combinations: int) -> Line:
    """Make messages with sizes around the limits: none that is too large is sent (T7)."""
    rng = np.random.default_rng(seed)
    for _ in range(combinations):
        _check_cut(_message_sizes(rng), lanes=np.sort(rng.integers(0, 4, 60)).astype(np.int32))
    lengths = rng.integers(31_700, 32_100, 240)
    frame = random_rows(240, people=60, seed=seed).with_columns(
        pad=pl.Series(["x" * length for length in lengths])
    )
    checks = cio.Checks(ignore=["message.too-large"])
    unchecked = replace(padded(frame).pipeline, checks=checks)
    bytes_of = [len(text.encode()) for text in unchecked.messages(240)]
    too_large = [row for row, size in enumerate(bytes_of) if size > MESSAGE_BYTES]
    workload = Workload(frame=frame, poison=too_large, calls=(padded,))
    with set_up("T7", "sizes around the limits", seed=seed) as harness:
        harness.send(workload)
        largest = harness.workspace.requests["bytes"].max()
        line = harness.line(workload, largest=largest, dropped=harness.workspace.counts["dropped"])
    require_clean(line)
    expected = {"delivered": 240 - len(too_large), "rejected_local": len(too_large)}
    require(
        line.states == expected, line, f"all that fit arrive, the others are not sent: {expected}"
    )
    require(largest <= BATCH_BYTES, line, "no request is over the limit")
    require(line.facts["dropped"] == 0, line, "nothing too large was sent")
    return line


def padded(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan of events with a long text."""
    rows = frame.with_columns(pl.format("u{}", "component").alias("user"))
    return cio.frame(rows).track(event=cio.lit("Sizes"), user_id="user", properties=["n", "pad"])


def _message_sizes(rng: np.random.Generator) -> Any:
    largest = rng.choice([50, 2_000, 32_000])
    return rng.integers(max(1, largest - 40), largest + 1, 60).astype(np.int64)


def _check_cut(messages: Any, *, lanes: Any) -> None:
    limit = int(messages.sum() // 3) + ENVELOPE_BYTES
    covered = 0
    for start, stop in cut(messages, lanes=lanes, limit_bytes=limit):
        body = ENVELOPE_BYTES + int(messages[start:stop].sum()) + (stop - start - 1)
        if start != covered or (body > limit and stop - start > 1):
            raise AssertionError(f"cut {messages.tolist()} {lanes.tolist()} at {start}:{stop}")
        covered = stop
    if covered != len(messages):
        raise AssertionError(f"cut leaves out messages: {messages.tolist()}")


def send_to_limited_host(limit: int | None, *, seed: int, rows: int = 200) -> Line:
    """Send to a host that answers 413 above a size, or always: sending ends (T8).

    Args:
        limit: The most bytes that the host accepts; None to reject everything.
        seed: Decides the rows.
        rows: How many rows.
    """
    workload = Workload(frame=random_rows(rows, people=rows // 5, seed=seed))
    fits = limit is not None and limit > 400  # noqa: PLR2004
    what = "413 at any size" if limit is None else f"413 above {limit} B"
    with fast_clock(), set_up("T8", what, seed=seed) as harness:
        proxy = ProxyTransport(_size_limit(0 if limit is None else limit))
        run = harness.send(workload, harness.client(transport=proxy))
        if not fits:
            workload = replace(workload, poison=range(rows))
        line = harness.line(workload, stopped=run.stopped and run.stopped[0])
        line = replace(line, requests=proxy.requests)
    require_clean(line)
    require(line.requests <= 2 * rows + 2, line, "at most two requests a row")
    if fits:
        require(line.states == {"delivered": rows}, line, "in smaller parts everything fits")
    else:
        require("delivered" not in line.states, line, "nothing fits")
    return line


def _size_limit(limit: int) -> Callable[[list[dict[str, Any]], bytes], int | None]:
    return lambda _, body: 413 if len(body) > limit else None
