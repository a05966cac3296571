"""T2: end the process or cut the power at every disk operation and within every write."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from cio_frames.audit import Audit, AuditWriter, recover
from cio_frames.audit.open_segments import part_rows
from cio_frames.audit.schema import PART_SCHEMA
from cio_frames.errors import AuditCorruptError, AuditError
from torture.checker import Verdict
from torture.fake_disk import Crash, FakeDisk
from torture.harness import Line, TortureError
from torture.scripted_run import INFO, KEY, ScriptedRun, Server

ROOT = Path("/audit")
DIRECTORY = ROOT / INFO.run_id
ROWS = 18
"""Rows of the scripted run."""


def run_on(disk: FakeDisk, *, outcome_first: bool = False) -> Server:
    """Run the scripted run on a disk until it ends or crashes; return what the server received."""
    server = Server()
    try:
        writer = AuditWriter.start(ROOT, INFO, disk=disk, key=KEY, now=lambda: INFO.created)
        ScriptedRun(writer, server, outcome_first=outcome_first).run()
    except (Crash, AuditError):
        return server
    return server


def states_after(disk: FakeDisk) -> pl.DataFrame | None:
    """Return the rows after recovery, or None if the run never began."""
    if "run.json" not in disk.listdir(DIRECTORY):
        return None
    counts = Audit(DIRECTORY, disk=disk).runs.row(0, named=True)
    run = recover(DIRECTORY, disk=disk).run
    if {name: counts[name] for name in run.counts} != run.counts:
        raise TortureError(f"T2: recovery counts {run.counts}, the reader {counts}")
    frames = [part_rows(disk, DIRECTORY, part) for part in run.parts]
    return pl.concat([PART_SCHEMA.to_frame(), *frames])


def violations(disk: FakeDisk, server: Server) -> list[str]:
    """Return the promises that are broken on a disk after a crash."""
    try:
        rows = states_after(disk)
    except AuditCorruptError as error:
        return [f"damaged: {error}"]
    if rows is None:
        return ["sent without a run"] if server.received or server.planned else []
    state = dict(rows.select("row", "state").iter_rows())
    attempted = set(rows.filter(pl.col("attempts") > 0)["row"])
    broken = []
    if len(state) != rows.height or not server.planned <= set(state):
        broken.append("I1: a planned row is missing or recorded twice")
    if not server.received <= attempted:
        broken.append("I2: a row was received without a record of its attempt")
    if not {row for row, was in state.items() if was == "delivered"} <= server.accepted:
        broken.append("I3: a row counts as delivered and was not")
    if any(state.get(row) in {"pending", "rejected_local"} for row in server.accepted):
        broken.append("I3: a delivered row would be sent as if new")
    if {row for row, was in state.items() if was == "rejected_server"} - server.rejected:
        broken.append("I4: a row counts as rejected and was not")
    return broken + _file_violations(disk)


def _file_violations(disk: FakeDisk) -> list[str]:
    broken = []
    if not Audit(DIRECTORY, disk=disk).verify().is_empty():
        broken.append("I8: a file under its final name is incomplete")
    before = {path: disk.read(path) for path in disk.names}
    recover(DIRECTORY, disk=disk)
    if before != {path: disk.read(path) for path in disk.names}:
        broken.append("I7: a second recovery changed a file")
    return broken


def operations() -> list[str]:
    """Return the operations of an undisturbed run."""
    disk = FakeDisk()
    run_on(disk)
    return disk.steps


def crashed_disks(*, step_bytes: int = 1) -> Iterator[tuple[str, FakeDisk, Server]]:
    """Yield each disk that a crash may leave, once, with its operation and what was received.

    Args:
        step_bytes: How many bytes lie between two places where a write may end.
    """
    seen = set()
    for stop_at, step in enumerate(operations()):
        killed, cut = FakeDisk(stop_at=stop_at), FakeDisk(stop_at=stop_at, torn=7)
        server = run_on(killed)
        run_on(cut)
        events = tuple(map(frozenset, (server.received, server.accepted, server.planned)))
        disks = itertools.chain(
            killed.after_each_byte(step_bytes=step_bytes), cut.after_power_cut()
        )
        for disk in disks:
            state = disk.fingerprint(), events
            if state not in seen:
                seen.add(state)
                yield step, disk, server


def check_all(*, step_bytes: int, seed: int) -> Line:
    """Check every such disk: recovery keeps every promise (T2).

    Args:
        step_bytes: How many bytes lie between two places where a write may end.
        seed: For the table; nothing here is random.
    """
    started, count = time.monotonic(), 0
    for step, disk, server in crashed_disks(step_bytes=step_bytes):
        if broken := violations(disk, server):
            raise TortureError(f"T2, ended in {step!r}, state {count}: {', '.join(broken)}")
        count += 1
    return Line(
        test="T2",
        what=f"{count:,} states of the disk",
        rows=ROWS * count,
        requests=0,
        verdict=Verdict(),
        seed=seed,
        kills=count,
        seconds=time.monotonic() - started,
        facts={"states": count},
    )
