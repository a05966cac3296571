"""Hosts that refuse: bad rows, too many bytes, or with a 200 that means nothing."""

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
from torture.harness import Line, bench, hurried, require, require_clean
from torture.inputs import Input, people
from torture.proxy import Front

BATCH_ROWS = 500
MESSAGE_BYTES, BATCH_BYTES = LIMITS["message_bytes"].value, LIMITS["batch_bytes"].value


def poison(count: int | None, *, seed: int, batches: int = 8) -> Line:
    """Send bad rows among good ones: they are refused, with few requests, and others arrive (T6).

    Args:
        count: How many rows are bad; None for all.
        seed: Decides which.
        batches: About how many batches of 500 rows are sent.
    """
    rows = BATCH_ROWS * batches
    which = np.random.default_rng(seed).choice(
        rows, rows if count is None else count, replace=False
    )
    bad = set(which.tolist())
    frame = people(rows, people=rows // 5, seed=seed, poison=bad)
    given = Input(frame=frame, batch_bytes=BATCH_ROWS * 160, poison=bad)
    what = f"{'all' if count is None else count} bad rows"
    with hurried(), bench("T6", what, seed=seed) as put:
        run = put.send(given)
        planned = given.plan.counts["batches"]
        line = put.line(given, batches=planned, stopped=run.stopped and run.stopped[0])
    if count is None:
        require_clean(line)
        require(line.facts["stopped"] == "SYSTEMIC_REJECT", line, "a plan that is all bad stops")
        require(line.requests <= 20, line, "and stops within 20 requests")  # noqa: PLR2004
        return line
    require_clean(line)
    ends = given.ends
    require(line.states == ends, line, f"bad rows are refused, and hold back their people: {ends}")
    limit = 2 * count * math.ceil(math.log2(2 * BATCH_ROWS)) + planned + 2
    require(line.requests <= limit, line, f"at most {limit} requests")
    return line


def permissive(*, seed: int, rows: int, known: bool) -> Line:
    """Send without strict mode to a host that drops behind a 200: nothing is called delivered (T7).

    Args:
        seed: Decides the rows.
        rows: How many.
        known: Whether the key is that of the workspace.
    """
    given = Input(frame=people(rows, people=rows // 10, seed=seed), batch_bytes=5_000)
    what = "permissive, " + ("dropping" if known else "unknown key")
    with bench("T7", what, seed=seed, faults=Faults(dropped=0.3)) as put:
        key = put.workspace.write_key if known else "unprovisioned"
        client = cio.connect(
            endpoint=put.workspace.url, write_key=key, strict=False, rate=None, environ={}
        )
        put.send(given, client)
        line = put.line(given, dropped=put.workspace.counts["dropped"])
    require(line.states == {"accepted_unverified": rows}, line, "nothing is called delivered")
    require(line.facts["dropped"] > 0, line, "the host did drop something")
    require(line.verdict.false_ack == 0, line, "no false acknowledgement")
    return line


def sizes(*, seed: int, combinations: int) -> Line:
    """Make messages around the limits: none that is too large leaves this machine (T7).

    Args:
        seed: Decides the sizes.
        combinations: How many sequences of sizes are cut into batches.
    """
    chance = np.random.default_rng(seed)
    for _ in range(combinations):
        _require_cut(_sizes(chance), lanes=np.sort(chance.integers(0, 4, 60)).astype(np.int32))
    lengths = chance.integers(31_700, 32_100, 240)
    frame = people(240, people=60, seed=seed).with_columns(
        pad=pl.Series(["x" * length for length in lengths])
    )
    checks = cio.Checks(ignore=["message.too-large"])
    unchecked = replace(padded(frame).pipeline, checks=checks)
    bytes_of = [len(text.encode()) for text in unchecked.messages(240)]
    over = [row for row, size in enumerate(bytes_of) if size > MESSAGE_BYTES]
    given = Input(frame=frame, poison=over, calls=(padded,))
    with bench("T7", "sizes around the limits", seed=seed) as put:
        put.send(given)
        largest = put.workspace.requests["bytes"].max()
        line = put.line(given, largest=largest, dropped=put.workspace.counts["dropped"])
    require_clean(line)
    ends = {"delivered": 240 - len(over), "rejected_local": len(over)}
    require(line.states == ends, line, f"all that fit arrive, the others stay here: {ends}")
    require(largest <= BATCH_BYTES, line, "no request is over the limit")
    require(line.facts["dropped"] == 0, line, "nothing too large was sent")
    return line


def padded(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan of events with a text that fills them up."""
    known = frame.with_columns(pl.format("u{}", "component").alias("user"))
    return cio.frame(known).track(event=cio.lit("Sizes"), user_id="user", properties=["n", "pad"])


def _sizes(chance: np.random.Generator) -> Any:
    spread = chance.choice([50, 2_000, 32_000])
    return chance.integers(max(1, spread - 40), spread + 1, 60).astype(np.int64)


def _require_cut(messages: Any, *, lanes: Any) -> None:
    limit = int(messages.sum() // 3) + ENVELOPE_BYTES
    covered = 0
    for start, stop in cut(messages, lanes=lanes, limit_bytes=limit):
        body = ENVELOPE_BYTES + int(messages[start:stop].sum()) + (stop - start - 1)
        if start != covered or (body > limit and stop - start > 1):
            raise AssertionError(f"cut {messages.tolist()} {lanes.tolist()} at {start}:{stop}")
        covered = stop
    if covered != len(messages):
        raise AssertionError(f"cut leaves out messages: {messages.tolist()}")


def too_large(limit: int | None, *, seed: int, rows: int = 200) -> Line:
    """Send to a host that answers 413 above a size, or to everything: sending ends (T8).

    Args:
        limit: The most bytes that the host takes; None for nothing at all.
        seed: Decides the rows.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=rows // 5, seed=seed))
    fits = limit is not None and limit > 400  # noqa: PLR2004
    what = "413 at any size" if limit is None else f"413 above {limit} B"
    with hurried(), bench("T8", what, seed=seed) as put:
        front = Front(_limited(0 if limit is None else limit))
        run = put.send(given, put.client(transport=front))
        if not fits:
            given = replace(given, poison=range(rows))
        line = put.line(given, stopped=run.stopped and run.stopped[0])
        line = replace(line, requests=front.requests)
    require_clean(line)
    require(line.requests <= 2 * rows + 2, line, "at most two requests a row")
    if fits:
        require(line.states == {"delivered": rows}, line, "in smaller parts everything fits")
    else:
        require("delivered" not in line.states, line, "nothing fits")
    return line


def _limited(limit: int) -> Callable[[list[dict[str, Any]], bytes], int | None]:
    return lambda _, body: 413 if len(body) > limit else None
