"""T2: end the process, or cut the power, at every operation of the record and within every write."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from cio_frames.audit import Audit, AuditWriter, recover
from cio_frames.audit.open_segments import rows_of
from cio_frames.audit.schema import PART_SCHEMA
from cio_frames.errors import AuditCorruptError, AuditError
from torture.checker import Verdict
from torture.fake_disk import Crash, FakeDisk
from torture.harness import Line, TortureError
from torture.scripted_run import INFO, KEY, Driver, Server

ROOT = Path("/audit")
DIRECTORY = ROOT / INFO.run_id
ROWS = 18
"""Rows of the run that is ended."""


def driven(disk: FakeDisk, *, hasty: bool = False) -> Server:
    """Go through a whole run on a disk, until its end, and return what really happened."""
    server = Server()
    try:
        recorder = AuditWriter.start(ROOT, INFO, disk=disk, key=KEY, now=lambda: INFO.created)
        Driver(recorder, server, hasty=hasty).whole_run()
    except (Crash, AuditError):
        return server
    return server


def states_after(disk: FakeDisk) -> pl.DataFrame | None:
    """Return the rows after recovery, or None if the run never began."""
    if "run.json" not in disk.listdir(DIRECTORY):
        return None
    told = Audit(DIRECTORY, disk=disk).runs.row(0, named=True)
    run = recover(DIRECTORY, disk=disk).run
    if {name: told[name] for name in run.counts} != run.counts:
        raise TortureError(f"T2: a recovery counts {run.counts}, and what reads it {told}")
    frames = [rows_of(disk, DIRECTORY, part) for part in run.parts]
    return pl.concat([PART_SCHEMA.to_frame(), *frames])


def violations(disk: FakeDisk, server: Server) -> list[str]:
    """Return which promises are broken on a disk that a crash left."""
    try:
        rows = states_after(disk)
    except AuditCorruptError as error:
        return [f"refused: {error}"]
    if rows is None:
        return ["sent without a run"] if server.received or server.planned else []
    state = dict(rows.select("row", "state").iter_rows())
    attempted = set(rows.filter(pl.col("attempts") > 0)["row"])
    found = []
    if len(state) != rows.height or not server.planned <= set(state):
        found.append("I1: a planned row is missing or there twice")
    if not server.received <= attempted:
        found.append("I2: a row was received without a record of its attempt")
    if not {row for row, was in state.items() if was == "delivered"} <= server.accepted:
        found.append("I3: a row counts as delivered and was not")
    if any(state.get(row) in {"pending", "rejected_local"} for row in server.accepted):
        found.append("I3: a delivered row would be sent as if new")
    if {row for row, was in state.items() if was == "rejected_server"} - server.refused:
        found.append("I4: a row counts as refused and was not")
    return found + _disorder(disk)


def _disorder(disk: FakeDisk) -> list[str]:
    found = []
    if not Audit(DIRECTORY, disk=disk).verify().is_empty():
        found.append("I8: a file under its final name is not whole")
    before = {path: disk.read(path) for path in disk.named}
    recover(DIRECTORY, disk=disk)
    if before != {path: disk.read(path) for path in disk.named}:
        found.append("I7: recovering again changed a file")
    return found


def operations() -> list[str]:
    """Return the operations of an undisturbed run."""
    disk = FakeDisk()
    driven(disk)
    return disk.steps


def crashes(*, apart: int = 1) -> Iterator[tuple[str, FakeDisk, Server]]:
    """Yield every disk that the end of a run may leave, each once, and what had happened by then.

    Args:
        apart: How many bytes lie between two places where a write may end.
    """
    seen = set()
    for stop_at, step in enumerate(operations()):
        killed, cut = FakeDisk(stop_at=stop_at), FakeDisk(stop_at=stop_at, torn=7)
        server = driven(killed)
        driven(cut)
        happened = tuple(map(frozenset, (server.received, server.accepted, server.planned)))
        left = itertools.chain(killed.after_each_byte(apart=apart), cut.after_power_cut())
        for disk in left:
            state = disk.fingerprint(), happened
            if state not in seen:
                seen.add(state)
                yield step, disk, server


def explored(*, apart: int, seed: int) -> Line:
    """Look at every such disk: recovery keeps every promise on each (T2).

    Args:
        apart: How many bytes lie between two places where a write may end.
        seed: For the table; nothing here is left to chance.
    """
    started, count = time.monotonic(), 0
    for step, disk, server in crashes(apart=apart):
        if found := violations(disk, server):
            raise TortureError(f"T2, ended in {step!r}, state {count}: {', '.join(found)}")
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
