"""T1: a sender is killed with signal 9 again and again, and what it sent is complete in the end."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cio_frames.audit import journal, keyed_ids, pseudonyms, recover
from cio_frames.sandbox import Faults
from cio_frames.sending.events import BatchAttempted, BatchFinished, BatchRetried
from torture.child_process import given_by
from torture.forkserver import Nursery, nursery
from torture.harness import Bench, Line, bench, require, require_clean, summed
from torture.kill_points import POINTS

PHASES = ("plan", "attempt", "in flight", "outcome", "compaction")
"""Where a kill can hit: a plan half made or sealed and nothing sent of it; an attempt on record
that has not left; one that has left and is not answered; an outcome just recorded; a part half
made, or not listed yet."""

WEATHER = Faults(
    failed=0.08, failed_after=0.02, reset_before=0.03, reset_after=0.03, truncated=0.03,
    throttled=0.05, dripping=0.02, late=0.2, hold_s=0.03, drip_s=1.0,
)  # fmt: skip

LIFE_S = 30.0
PATIENCE = 4
"""How many times as many kills as asked for there may be until every phase is hit: where a signal
finds a process is chance."""
LANDING_S = 0.05
"""How long what has left takes to arrive."""


def killed(kills: int, *, seed: int, rows: int, parts: int, least: int) -> Line:
    """Kill senders, each taking up what the one before left, and let the last one finish (T1).

    Args:
        kills: How many at least; more, with patience, until they hit each phase.
        seed: Decides rows, trouble and where each kill hits.
        rows: How many rows a round has; when a round is done before the kills are, another one
            begins.
        parts: Into how many plans they are divided.
        least: How many kills must hit each phase.
    """
    chance = np.random.default_rng(seed)
    hit: Counter[str] = Counter()
    lines: list[Line] = []
    with nursery() as nurse:
        points = _points(chance)
        done = 0
        while done < kills or (done < kills * PATIENCE and _missed(hit, least)):
            line = _round(
                nurse,
                max(kills - done, len(POINTS)),
                chance=chance,
                points=points,
                hit=hit,
                seed=seed + len(lines),
                rows=rows,
                parts=parts,
            )
            lines.append(line)
            done += line.kills
    line = summed(lines, what="kill -9", hit=dict(hit), rounds=len(lines))
    told = ", ".join(f"{phase} {hit[phase]}" for phase in PHASES)
    line = replace(line, note=f"kills in each phase: {told}; some hit two phases at once")
    missed = _missed(hit, least)
    require(not missed, line, f"at least {least} kills hit each phase; too few: {missed}")
    return line


def _missed(hit: Mapping[str, int], least: int) -> list[str]:
    """Return the phases that were hit less often than they must be."""
    return [phase for phase in PHASES if hit.get(phase, 0) < least]


def _round(
    nurse: Nursery, kills: int, *, chance: np.random.Generator, points: Iterator[str], hit: Counter[str],
    seed: int, rows: int, parts: int,
) -> Line:  # fmt: skip
    with bench("T1", "kill -9", seed=seed, faults=WEATHER) as put:
        order = {
            "url": put.workspace.url, "write_key": put.workspace.write_key,
            "audit": str(put.audit), "rows": rows, "people": rows // 10, "seed": seed,
            "parts": parts, "batch_bytes": 6_000, "again": "resume",
        }  # fmt: skip
        given = given_by(order)
        while put.kills < kills:
            ended = _life(nurse, put, order, next(points), chance=chance)
            if ended == 0:
                break
            put.kills += 1
            time.sleep(LANDING_S)
            hit.update(_phases(put))
        else:
            status = nurse.wait(nurse.begin(order), seconds=LIFE_S * 2)
            if status != 0:
                raise AssertionError(f"T1 seed {seed}: the last life ended with {status}")
        for path in put.audit.glob("*/run.json"):  # lives that nobody took up again
            recover(path.parent)
        line = put.line(given)
    require_clean(line)
    require(line.verdict.open == 0, line, "every row is delivered in the end")
    return line


def _points(chance: np.random.Generator) -> Iterator[str]:
    """Yield where to kill: every place in turn, in an order that changes."""
    while True:
        yield from map(str, chance.permutation([*POINTS, "timer"]))


def _life(
    nurse: Nursery, put: Bench, order: Mapping[str, Any], point: str, *, chance: np.random.Generator
) -> int:
    """Let one sender live until it is killed or done; returns how it ended."""
    fuse = None if point == "timer" else (point, int(chance.integers(1, 10)))
    put.workspace.faults = replace(WEATHER, seed=int(chance.integers(0, 2**31)))
    again = str(chance.choice(["resume", "send"], p=[0.8, 0.2]))
    pid = nurse.begin({**order, "fuse": fuse, "again": again})
    if fuse is None:
        status = nurse.wait(pid, seconds=0.25 + float(chance.random()) * 0.4)
        if status is None:
            nurse.kill(pid)
            status = nurse.wait(pid, seconds=5)
    else:
        status = nurse.wait(pid, seconds=LIFE_S)
    if status not in (0, -9):
        told = f"a life ended with {status}, fuse {fuse}, {again}"
        raise AssertionError(f"T1 seed {put.seed}: {told}")
    return status


def _phases(put: Bench) -> set[str]:
    """Tell from what a kill left behind which phases it hit."""
    directories = sorted(path.parent for path in put.audit.glob("*/run.json"))
    if not directories:
        return set()
    folder = directories[-1]
    found = {_phase(path, put) for path in (folder / "wal").glob("seg-*.wal")}
    if list((folder / "plan").glob("*.tmp")):
        found.add("plan")
    if list((folder / "parts").glob("*.tmp")):
        found.add("compaction")
    return found - {""}


def _phase(path: Path, put: Bench) -> str:
    """Tell how far a segment was when the sender was killed."""
    folder, number = path.parent.parent, path.stem.removeprefix("seg-")
    plan = folder / "plan" / f"seg-{number}.parquet"
    entries = journal.parse(path.read_bytes(), path=path)[1:]
    if not entries:
        return "plan"
    if not plan.exists() or (folder / "parts" / f"audit-{number}.parquet").exists():
        return "compaction"
    last = entries[-1]
    if isinstance(last, BatchFinished | BatchRetried):
        return "outcome"
    if not isinstance(last, BatchAttempted):
        return ""
    batch = pl.read_parquet(plan).filter(pl.col("batch") == last.batch.batch).sort("position")
    message_id = batch["message_id"][last.batch.start]
    ids = keyed_ids(pl.col("message_id"), key=pseudonyms.key())
    log = put.workspace.messages.filter(ids == message_id)
    came = put.workspace.requests.filter(pl.col("number").is_in(log["request"].implode()))
    return (
        "in flight"
        if (came["at"].dt.epoch("ms") >= round(last.at.timestamp() * 1000)).any()
        else "attempt"
    )
