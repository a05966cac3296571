"""The writer records a run from its first segment to its end."""

import errno
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from cio_frames.audit import Audit, AuditWriter, recover
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.audit.open_segments import read_contents
from cio_frames.audit.schema import STATES
from cio_frames.errors import AuditError
from cio_frames.sending.events import Paused, RunFinished, RunStopped


def states(directory: Path) -> dict[int, str]:
    """Return the state of every row of a run."""
    return dict(Audit(directory).messages.select("row", "state").iter_rows())


def test_every_row_of_a_run_is_in_the_record(begin, make_scripted_run):
    """A run with retries, splits, a rejection and a stop leaves one record per input row."""
    writer = begin()

    make_scripted_run(writer).run()

    assert states(writer.directory) == {
        **dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 16, 17), "delivered"),
        0: "rejected_server",
        **dict.fromkeys((9, 10), "rejected_local"),
        **dict.fromkeys((13, 14, 15), "in_doubt"),
        **dict.fromkeys((11, 12), "pending"),
    }


def test_the_end_of_a_run_is_in_run_json(begin, make_scripted_run):
    """run.json has the end of the run and its totals, and no secret."""
    writer = begin()

    make_scripted_run(writer).run()

    text = (writer.directory / "run.json").read_text()
    content = json.loads(text)
    assert content["state"] == "stopped"
    assert content["stopped"]["code"] == "answer.401"
    assert content["counts"]["rows"] == 18 == sum(content["counts"][state] for state in STATES)
    assert content["counts"]["requests"] == 11
    assert content["counts"]["retries"] == 2
    assert content["versions"].keys() == {"cio_frames", "polars", "pyarrow"}
    assert "0123456789abcdef" not in text


def test_only_the_record_is_left_at_the_end(begin, make_scripted_run):
    """Plans, journals and the reserve file are removed when the parts are complete."""
    writer = begin()

    make_scripted_run(writer).run()

    files = {p.relative_to(writer.directory).as_posix() for p in writer.directory.rglob("*.*")}
    assert files == {"run.json", "parts/audit-000000.parquet", "parts/audit-000001.parquet"}
    assert not (writer.directory / "RESERVE").exists()


def test_a_plan_is_on_the_disk_before_anything_is_sent(begin, make_segment, make_scripted_run):
    """When a segment is planned, its plan is on the disk, with every row of it."""
    writer = begin()

    make_scripted_run(writer).plan(make_segment(0, first=0, sizes=(3, 2), rejected=2))

    (found,) = read_contents(LocalFileSystem(), writer.directory).open_segments
    assert sorted(found.plan["row"]) == list(range(7))
    assert found.plan.filter(pl.col("batch") == 0).sort("position")["row"].to_list() == [4, 3, 2]
    writer.close()


def test_an_attempt_is_on_the_disk_when_the_call_returns(begin, make_segment, make_scripted_run):
    """Before a request may leave, its record is synced."""
    writer = begin()
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)

    scripted.attempt(made.batches[0])

    (found,) = read_contents(LocalFileSystem(), writer.directory).open_segments
    assert found.row_states("r")["state"].to_list() == ["in_doubt"] * 3
    writer.close()


def test_a_part_appears_as_soon_as_its_rows_are_done(begin, make_segment, make_scripted_run):
    """The part of a segment is written while others are still in flight."""
    writer = begin()
    scripted = make_scripted_run(writer)
    first, second = (make_segment(number, first=3 * number, sizes=(3,)) for number in (0, 1))
    scripted.plan(first)
    scripted.plan(second)

    scripted.deliver(first.batches[0])

    parts = [path.name for path in (writer.directory / "parts").iterdir()]
    assert parts == ["audit-000000.parquet"]
    assert not (writer.directory / "wal" / "seg-000000.wal").exists()
    assert states(writer.directory)[4] == "pending"
    writer.close()


def test_a_segment_without_anything_to_send_is_recorded(begin, make_segment, make_scripted_run):
    """Rows that are all rejected locally are in a part at once."""
    writer = begin()

    make_scripted_run(writer).plan(make_segment(0, first=0, sizes=(), rejected=3))
    writer(RunFinished(at=writer.run.info.created))

    assert set(states(writer.directory).values()) == {"rejected_local"}


def test_closing_ends_a_run_that_nobody_ended(begin, make_segment, make_scripted_run):
    """An error in the with block leaves a record with the state stopped."""
    writer = begin()
    made = make_segment(0, first=0, sizes=(2, 2))

    def fail() -> None:
        with writer:
            scripted = make_scripted_run(writer)
            scripted.plan(made)
            scripted.attempt(made.batches[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert Audit(writer.directory).runs["state"].item() == "stopped"
    assert sorted(states(writer.directory).values()) == ["in_doubt"] * 2 + ["pending"] * 2


def test_rows_that_a_stopped_run_never_came_to_are_pending(
    begin, info, make_segment, make_scripted_run
):
    """When the plans' rows are known, those of segments that were never planned are recorded."""
    known = replace(info, rows=12, plans=(("track", 7), ("identify", 5)))
    writer = begin(info=known)
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)
    scripted.deliver(made.batches[0])

    writer(RunStopped(code="answer.401", reason="the key", at=info.created))
    writer(RunFinished(at=info.created))

    rows = Audit(writer.directory).messages
    assert rows.group_by("plan", "call", "state").len().sort("plan", "state").rows() == [
        (0, "track", "delivered", 3),
        (0, "track", "pending", 4),
        (1, "identify", "pending", 5),
    ]
    assert Audit(writer.directory).verify().is_empty()


def test_a_full_disk_keeps_a_request_from_leaving(
    info, key, make_disk, make_segment, make_scripted_run
):
    """Without room for the record of an attempt the call raises, and the run can be resumed."""
    disk = make_disk()
    writer = AuditWriter.start("/audit", info, disk=disk, key=key)
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)
    disk.fail_at = len(disk.steps)

    with pytest.raises(AuditError, match="Free up disk space"):
        scripted.attempt(made.batches[0])

    assert scripted.server.received == set()
    disk.fail_at = -1
    writer.close()
    assert recover(writer.directory, disk=disk).unfinished["state"].unique().item() == "pending"


def test_an_outcome_fits_on_a_full_disk(info, key, make_disk, make_segment, make_scripted_run):
    """The reserve file is removed so that the outcome of a request in flight is recorded."""
    disk = make_disk()
    writer = AuditWriter.start("/audit", info, disk=disk, key=key)
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3, 1))
    scripted.plan(made)
    scripted.attempt(made.batches[0])
    disk.fail_at = len(disk.steps)

    scripted.finish(made.batches[0])

    (found,) = read_contents(disk, writer.directory).open_segments
    assert found.row_states("r")["state"].to_list().count("delivered") == 3
    assert "RESERVE" not in disk.listdir(writer.directory)


def test_the_reserve_of_an_earlier_version_is_removed_on_a_full_disk(
    info, key, make_disk, make_segment, make_scripted_run
):
    """A run that was killed with a file BALLAST is recovered although the disk is full."""
    disk = make_disk()
    writer = AuditWriter.start("/audit", info, disk=disk, key=key)
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3, 1))
    scripted.plan(made)
    scripted.deliver(made.batches[0])
    disk.rename(writer.directory / "RESERVE", writer.directory / "BALLAST")
    writer._store.close()
    disk.fail_at = len(disk.steps)

    assert recover(writer.directory, disk=disk).unfinished["row"].to_list() == [0]

    assert "BALLAST" not in disk.listdir(writer.directory)


def test_a_record_with_the_reserve_of_an_earlier_version_is_verified_and_resumed(
    begin, key, make_segment, make_scripted_run
):
    """A killed run with a file BALLAST has no problems; resumed, it has neither reserve file at its end."""
    writer = begin()
    first = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(2, 1))
    first.plan(made)
    first.deliver(made.batches[0])
    (writer.directory / "RESERVE").rename(writer.directory / "BALLAST")
    writer._store.close()
    assert Audit(writer.directory).verify().is_empty()

    with AuditWriter.resume(writer.directory, key=key) as again:
        names = {path.name for path in writer.directory.iterdir()}
        assert "RESERVE" in names
        assert "BALLAST" not in names
        second = make_scripted_run(again)
        rest = make_segment(0, first=0, sizes=(1,))
        second.plan(rest)
        second.deliver(rest.batches[0])
        again(RunFinished(at=second.at))

    assert not {"RESERVE", "BALLAST"} & {path.name for path in writer.directory.iterdir()}
    assert Audit(writer.directory).verify().is_empty()
    assert set(states(writer.directory).values()) == {"delivered"}


def test_a_failed_sync_ends_the_record(info, key, make_disk, make_segment, make_scripted_run):
    """After a failed sync nothing more is recorded, and recovery returns the known states."""
    disk = make_disk()
    writer = AuditWriter.start("/audit", info, disk=disk, key=key)
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3, 1))
    scripted.plan(made)
    disk.failure, disk.fail_at = errno.EIO, len(disk.steps) + 1
    with pytest.raises(AuditError, match="could not be synced"):
        scripted.attempt(made.batches[0])

    with pytest.raises(AuditError, match="could not be kept"):
        scripted.attempt(made.batches[1])
    writer.close()

    assert "run.json" in disk.listdir(writer.directory)
    found = recover(writer.directory, disk=disk)
    assert found.run.state == "crashed"
    assert set(found.unfinished["state"]) <= {"in_doubt", "pending"}


def test_a_batch_that_was_not_planned_is_refused(begin, make_segment, make_scripted_run):
    """No attempt is recorded for a request whose rows are not in a recorded plan."""
    writer = begin()
    scripted = make_scripted_run(writer)
    scripted.plan(make_segment(0, first=0, sizes=(3,)))
    other = make_segment(0, first=90, sizes=(3,))

    with pytest.raises(AuditError, match="not a part of what was planned"):
        scripted.attempt(other.batches[0])
    writer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_cannot_write(begin, make_segment, make_scripted_run):
    """A child process gets an error, and the parent continues to write."""
    writer = begin()
    scripted = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(3,))
    scripted.plan(made)

    child = os.fork()
    if child == 0:
        try:
            scripted.attempt(made.batches[0])
        except AuditError:
            os._exit(7)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    scripted.deliver(made.batches[0])
    writer(RunFinished(at=scripted.at))
    assert set(states(writer.directory).values()) == {"delivered"}


def test_a_resumed_run_counts_every_row_once(begin, key, make_segment, make_scripted_run):
    """Rows that are sent again replace their earlier record, with its attempts and doubt."""
    writer = begin()
    first = make_scripted_run(writer)
    made = make_segment(0, first=0, sizes=(2, 1, 1))
    first.plan(made)
    first.attempt(made.batches[0])
    writer.close()

    with AuditWriter.resume(writer.directory, key=key) as again:
        second = make_scripted_run(again)
        rest = make_segment(0, first=0, sizes=(2, 1, 1))
        second.plan(rest)
        second.at += timedelta(hours=1)
        second.deliver(rest.batches[1])
        again(RunFinished(at=second.at))

    audit = Audit(writer.directory)
    assert states(writer.directory) == {
        3: "in_doubt",
        2: "in_doubt",
        1: "delivered",
        0: "pending",
    }
    assert audit.messages["attempts"].sum() == 3
    counts = audit.runs.row(0, named=True)
    assert (counts["rows"], counts["delivered"], counts["in_doubt"]) == (4, 1, 2)
    assert audit.verify().is_empty()
    assert recover(writer.directory).unfinished.height == 3


def test_a_run_is_resumed_with_its_own_key_only(begin):
    """Pseudonyms of two keys never meet in one run."""
    writer = begin()
    writer.close()

    with pytest.raises(AuditError, match="another key"):
        AuditWriter.resume(writer.directory, key="f" * 64)


def test_a_run_is_not_begun_twice(begin):
    """A directory that has a run is not written over."""
    begin().close()

    with pytest.raises(AuditError, match="already contains a run"):
        begin()


def test_other_facts_are_passed_over(begin):
    """A pause is no business of the record."""
    with begin() as writer:
        writer(Paused(seconds=1.0, why="asked to"))
        assert writer.run.parts == ()


def test_durability_process_does_not_wait_for_the_disk(begin, make_scripted_run, monkeypatch):
    """Without the promise against a power cut nothing is synced, and the record is the same."""
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(os, "fdatasync", synced.append, raising=False)

    writer = begin(durability="process")
    make_scripted_run(writer).run()

    assert synced == []
    assert len(states(writer.directory)) == 18
