"""The short form of T9, T10 and T11."""

import errno

import pytest

from torture.aborted_runs import (
    failing_disk,
    failure_points,
    resume_before_planning,
    resume_on_full_disk,
    revoked_key,
    second_writer,
    two_audits,
)

SEED = 20269


def test_a_revoked_key_stops_the_run_and_a_resume_completes_it():
    """After the first 401 only requests in flight are answered; nothing is lost."""
    assert revoked_key(seed=SEED, rows=2_000).facts["after"] >= 0


def test_two_records_of_one_table_do_no_harm():
    """The same rows from two runs at once: events are copies, and each run sets every state once."""
    assert two_audits(seed=SEED, rows=600).verdict.duplicated_raw >= 600


def test_a_second_writer_gets_an_error():
    """While a run is written, no other process, nor a forked child, can write to its record."""
    assert second_writer(seed=SEED).facts["forked"] == "AuditError"


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO], ids=["full", "device error"])
def test_a_failing_disk_loses_nothing(failure):
    """Wherever the disk begins to fail, nothing leaves unrecorded, and a resume completes."""
    lines = [
        failing_disk(at, seed=SEED + at, failure=failure)
        for at in failure_points(4, seed=SEED, last=40)
    ]
    assert sum(bool(line.facts["error"]) for line in lines) >= 2


def test_a_resume_that_fails_can_be_tried_again():
    """When there is no room for a resume, it lets go of the record, and a later one completes."""
    assert resume_on_full_disk(seed=SEED).facts["errors"] > 0


def test_a_resume_of_a_run_that_planned_nothing_skips_what_arrived_before_it():
    """A second run that ends before its first row and is resumed sends nothing that the first delivered."""
    assert resume_before_planning(seed=SEED).facts["skipped"] > 0
