"""T1: a sender is killed with signal 9 again and again; in the end every row arrived once."""

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
from torture.child_process import workload_of
from torture.forkserver import ForkServer, fork_server
from torture.harness import Harness, Line, require, require_clean, set_up, sum_lines
from torture.kill_points import POINTS

PHASES = ("plan", "attempt", "in flight", "outcome", "compaction")
"""What a kill can interrupt: a plan that is incomplete or unsent; an attempt recorded and not yet
sent; a request in flight; an outcome just recorded; a part incomplete or not listed yet."""

FAULTS = Faults(
    failed=0.08, failed_after=0.02, reset_before=0.03, reset_after=0.03, truncated=0.03,
    throttled=0.05, dripping=0.02, late=0.2, hold_s=0.03, drip_s=1.0,
)  # fmt: skip

SLOW_ANSWERS = Faults(dripping=1.0, drip_s=2.0)
"""For senders that are killed when a request has arrived: it is still in flight then."""

CHILD_TIMEOUT_S = 30.0
MAX_KILLS_FACTOR = 4
"""How many times the planned kills there may be until every phase is hit, which is random."""
IN_FLIGHT_S = 0.05
"""How long a request that was sent takes to arrive."""


def kill_senders(kills: int, *, seed: int, rows: int, parts: int, kills_per_phase: int) -> Line:
    """Kill senders, each resuming the run of the one before, and let the last one finish (T1).

    Args:
        kills: The minimum; more follow until each phase was hit.
        seed: Decides rows, faults and when each kill happens.
        rows: How many rows a round has; if its rows are sent before all kills are done, another
            round starts.
        parts: Into how many plans they are divided.
        kills_per_phase: How many kills must hit each phase.
    """
    rng = np.random.default_rng(seed)
    hits: Counter[str] = Counter()
    lines: list[Line] = []
    with fork_server() as server:
        points = _points(rng)
        done = 0
        while done < kills or (done < kills * MAX_KILLS_FACTOR and _missed(hits, kills_per_phase)):
            line = _round(
                server,
                max(kills - done, len(POINTS)),
                rng=rng,
                points=points,
                hits=hits,
                seed=seed + len(lines),
                rows=rows,
                parts=parts,
            )
            lines.append(line)
            done += line.kills
    line = sum_lines(lines, what="kill -9", hits=dict(hits), rounds=len(lines))
    counts = ", ".join(f"{phase} {hits[phase]}" for phase in PHASES)
    line = replace(line, note=f"kills in each phase: {counts}; some hit two phases at once")
    missed = _missed(hits, kills_per_phase)
    require(not missed, line, f"at least {kills_per_phase} kills hit each phase; too few: {missed}")
    return line


def _missed(hits: Mapping[str, int], minimum: int) -> list[str]:
    """Return the phases that were hit too rarely."""
    return [phase for phase in PHASES if hits.get(phase, 0) < minimum]


def _round(
    server: ForkServer, kills: int, *, rng: np.random.Generator, points: Iterator[str], hits: Counter[str],
    seed: int, rows: int, parts: int,
) -> Line:  # fmt: skip
    with set_up("T1", "kill -9", seed=seed, faults=FAULTS) as harness:
        job = {
            "url": harness.workspace.url, "write_key": harness.workspace.write_key,
            "audit": str(harness.audit), "rows": rows, "people": rows // 10, "seed": seed,
            "parts": parts, "batch_bytes": 6_000, "continue_by": "resume",
        }  # fmt: skip
        workload = workload_of(job)
        while harness.kills < kills:
            status = _run_child(server, harness, job, next(points), rng=rng)
            if status == 0:
                break
            harness.kills += 1
            time.sleep(IN_FLIGHT_S)
            hits.update(_phases(harness))
        else:
            last_status = server.wait(server.start(job), seconds=CHILD_TIMEOUT_S * 2)
            if last_status != 0:
                raise AssertionError(f"T1 seed {seed}: the last sender ended with {last_status}")
        for path in harness.audit.glob("*/run.json"):  # runs that were not resumed
            recover(path.parent)
        line = harness.line(workload)
    require_clean(line)
    require(line.verdict.open == 0, line, "every row is delivered in the end")
    return line


def _points(rng: np.random.Generator) -> Iterator[str]:
    """Yield the points at which to kill: all in random order, again and again."""
    while True:
        yield from map(str, rng.permutation([*POINTS, "timer", "arrival"]))


def _run_child(
    server: ForkServer,
    harness: Harness,
    job: Mapping[str, Any],
    point: str,
    *,
    rng: np.random.Generator,
) -> int:
    """Run one sender until it is killed or done; return its exit code."""
    kill_point = (point, int(rng.integers(1, 10))) if point in POINTS else None
    faults = SLOW_ANSWERS if point == "arrival" else FAULTS
    harness.workspace.faults = replace(faults, seed=int(rng.integers(0, 2**31)))
    requests = harness.workspace.counts["requests"]
    continue_by = str(rng.choice(["resume", "send"], p=[0.8, 0.2]))
    pid = server.start({**job, "kill_point": kill_point, "continue_by": continue_by})
    if point == "arrival":
        status = None
        while status is None and harness.workspace.counts["requests"] == requests:
            status = server.wait(pid, seconds=0.01)
    elif point == "timer":
        status = server.wait(pid, seconds=0.25 + float(rng.random()) * 0.4)
    else:
        status = server.wait(pid, seconds=CHILD_TIMEOUT_S)
    if status is None and kill_point is None:
        server.kill(pid)
        status = server.wait(pid, seconds=5)
    if status not in (0, -9):
        end = f"a sender ended with {status}, kill point {kill_point}, {continue_by}"
        raise AssertionError(f"T1 seed {harness.seed}: {end}")
    return status


def _phases(harness: Harness) -> set[str]:
    """Return the phases that a kill hit, by the files it left."""
    directories = sorted(path.parent for path in harness.audit.glob("*/run.json"))
    if not directories:
        return set()
    folder = directories[-1]
    phases = {_phase(path, harness) for path in (folder / "wal").glob("seg-*.wal")}
    if list((folder / "plan").glob("*.tmp")):
        phases.add("plan")
    if list((folder / "parts").glob("*.tmp")):
        phases.add("compaction")
    return phases - {""}


def _phase(path: Path, harness: Harness) -> str:
    """Return the phase of a segment when the sender was killed."""
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
    log = harness.workspace.messages.filter(ids == message_id)
    requests = harness.workspace.requests.filter(pl.col("number").is_in(log["request"].implode()))
    return (
        "in flight"
        if (requests["at"].dt.epoch("ms") >= round(last.at.timestamp() * 1000)).any()
        else "attempt"
    )
