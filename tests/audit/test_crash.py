"""A crash, a power cut or a failing disk at any operation loses nothing and claims nothing."""

import errno
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cio_frames.audit import Audit, Recorder, recover
from cio_frames.audit.contents import rows_of
from cio_frames.audit.schema import PART_SCHEMA, frame_schema
from cio_frames.errors import AuditCorruptError, AuditError

ROOT = Path("/audit")


@pytest.fixture
def drive(info, key, make_driver, make_server, crash) -> Callable[..., Any]:
    """Return what drives a run on a disk until its end, and tells what really happened."""

    def driven(disk: Any, *, hasty: bool = False) -> Any:
        server = make_server()
        try:
            recorder = Recorder.start(ROOT, info, disk=disk, key=key, now=lambda: info.created)
            make_driver(recorder, server, hasty=hasty).whole_run()
        except crash:
            return server
        except AuditError:
            pass
        return server

    return driven


def states_after(disk: Any, info: Any) -> pl.DataFrame | None:
    """Return the rows after recovery, or None if the run never began."""
    directory = ROOT / info.run_id
    if "run.json" not in disk.names(directory):
        return None
    told = Audit(directory, disk=disk).runs.row(0, named=True)
    run = recover(directory, disk=disk).run
    assert {name: told[name] for name in run.counts} == run.counts
    frames = [rows_of(disk, directory, part) for part in run.parts]
    return pl.concat([frame_schema(PART_SCHEMA).to_frame(), *frames])


def violations(disk: Any, server: Any, info: Any) -> list[str]:
    """Return which promises are broken on a disk that a crash left."""
    try:
        rows = states_after(disk, info)
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
    return found + _disorder(disk, info)


def _disorder(disk: Any, info: Any) -> list[str]:
    directory = ROOT / info.run_id
    found = []
    if not Audit(directory, disk=disk).verify().is_empty():
        found.append("I8: a file under its final name is not whole")
    before = {path: disk.read(path) for path in disk.named}
    recover(directory, disk=disk)
    if before != {path: disk.read(path) for path in disk.named}:
        found.append("I7: recovering again changed a file")
    return found


def operations(make_disk: Any, drive: Any) -> list[str]:
    """Return the operations of an undisturbed run."""
    disk = make_disk()
    drive(disk)
    steps: list[str] = disk.steps
    return steps


def all_violations(disks: Iterator[Any], server: Any, info: Any) -> list[str]:
    """Return the broken promises on any of the disks."""
    return [problem for disk in disks for problem in violations(disk, server, info)]


def test_a_kill_at_any_operation_keeps_every_promise(make_disk, drive, info):
    """Whatever operation the process dies in, recovery tells the truth about every row."""
    steps = operations(make_disk, drive)

    for stop_at, torn in itertools.product(range(len(steps)), (0, 1, 40, 10_000)):
        if torn and not steps[stop_at].startswith("write"):
            continue
        disk = make_disk(stop_at=stop_at, torn=torn)
        server = drive(disk)

        assert violations(disk.after_kill(), server, info) == [], (stop_at, steps[stop_at], torn)


def test_a_power_cut_at_any_operation_keeps_every_promise(make_disk, drive, info):
    """Whatever the disk had not yet made safe may be gone, and every promise still holds."""
    steps = operations(make_disk, drive)

    seen = set()
    for stop_at in range(len(steps)):
        disk = make_disk(stop_at=stop_at, torn=7)
        server = drive(disk)
        for left in disk.after_power_cut():
            if (state := left.fingerprint(server)) in seen:
                continue
            seen.add(state)

            assert violations(left, server, info) == [], steps[stop_at]
    assert len(seen) > 500


def test_the_crash_test_reaches_every_phase(make_disk, drive):
    """Plans, attempts, outcomes, parts and the end are all among the operations that crash."""
    steps = operations(make_disk, drive)

    for phase in (
        "rename seg-000000.parquet",
        "sync seg-000000.wal",
        "write seg-000001.wal",
        "rename audit-000000.parquet",
        "sync run.wal",
        "remove seg-000000.wal",
        "rename run.json",
    ):
        assert phase in steps


@pytest.mark.parametrize(
    ("lies", "hasty"),
    [
        pytest.param(["seg-000000.wal", "seg-000001.wal"], False, id="no-sync-before-sending"),
        pytest.param(["run.wal"], False, id="journal-removed-before-the-part-is-listed"),
        pytest.param([".parquet.tmp"], False, id="renamed-before-it-is-safe"),
        pytest.param(["names"], False, id="no-sync-of-names"),
        pytest.param([], True, id="outcome-before-the-answer"),
    ],
)
def test_a_recorder_with_a_fault_is_caught(make_disk, drive, info, lies, hasty):
    """The crash test has teeth: each way of cutting a corner breaks a promise somewhere."""
    count = len(operations(make_disk, drive))

    caught = False
    for stop_at in range(count):
        disk = make_disk(stop_at=stop_at, torn=7, lies=lies)
        server = drive(disk, hasty=hasty)
        caught = caught or bool(all_violations(disk.after_power_cut(), server, info))

    assert caught


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO], ids=["disk-full", "broken"])
def test_a_failing_disk_never_lets_a_request_leave_unrecorded(make_disk, drive, info, failure):
    """A disk that fails at any operation stops the run with every promise kept."""
    count = len(operations(make_disk, drive))

    for fail_at in range(count):
        disk = make_disk(fail_at=fail_at, failure=failure, torn=3)
        server = drive(disk)

        assert violations(disk.after_kill(), server, info) == [], (fail_at, disk.steps[fail_at])
