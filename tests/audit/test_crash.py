"""A crash, a power cut or a failing disk at any operation loses nothing and claims nothing."""

import errno

import pytest

from torture.crashes import check_all, operations, run_on, violations
from torture.fake_disk import FakeDisk


def test_an_end_at_any_operation_keeps_every_promise():
    """Wherever the process is killed or the power is cut, recovery returns the true state of every row."""
    assert check_all(step_bytes=997, seed=0).facts["states"] > 1_000


def test_the_crash_test_reaches_every_phase():
    """Plans, attempts, outcomes, parts and the end are all among the operations that crash."""
    steps = operations()

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
    ("ignored_syncs", "outcome_first"),
    [
        pytest.param(["seg-000000.wal", "seg-000001.wal"], False, id="no-sync-before-sending"),
        pytest.param(["run.wal"], False, id="journal-removed-before-the-part-is-listed"),
        pytest.param([".parquet.tmp"], False, id="renamed-before-it-is-safe"),
        pytest.param(["names"], False, id="no-sync-of-names"),
        pytest.param([], True, id="outcome-before-the-answer"),
    ],
)
def test_a_writer_with_a_fault_is_caught(ignored_syncs, outcome_first):
    """The crash test has teeth: each way of cutting a corner breaks a promise somewhere."""
    count = len(operations())

    caught = False
    for stop_at in range(count):
        disk = FakeDisk(stop_at=stop_at, torn=7, ignored_syncs=ignored_syncs)
        server = run_on(disk, outcome_first=outcome_first)
        caught = caught or any(violations(left, server) for left in disk.after_power_cut())

    assert caught


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO], ids=["disk-full", "broken"])
def test_a_failing_disk_never_lets_a_request_leave_unrecorded(failure):
    """A disk that fails at any operation stops the run with every promise kept."""
    count = len(operations())

    for fail_at in range(count):
        disk = FakeDisk(fail_at=fail_at, failure=failure, torn=3)
        server = run_on(disk)

        assert violations(disk.after_kill(), server) == [], (fail_at, disk.steps[fail_at])
