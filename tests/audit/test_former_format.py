"""A record that an earlier version of the package left behind stays readable.

The files in format_1/ were written by the package of format 1, in a process that was killed while
its second segment was under way. Every kind of line that its journals could hold is in them.
"""

from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from cio_frames.audit import Audit, AuditWriter, recover
from torture.scripted_run import KEY, RUN_ID

FORMER = Path(__file__).with_name("format_3") / RUN_ID
"""A run of format 3, killed in the same way: its plan has all columns in all rows."""

SAMPLE = Path(__file__).with_name("format_1") / RUN_ID
ROWS = [
    (0, "delivered", 1, 200, None, 5, 10),
    (1, "delivered", 1, 200, None, 5, 10),
    (2, "delivered", 1, 200, None, 5, 10),
    (3, "rejected_local", 0, None, "id.missing", None, None),
    (4, "blocked", 1, None, "BLOCKED_BY_ROW", 80, 85),
    (5, "pending", 1, 503, "answer.busy", 80, None),
    (6, "in_doubt", 1, None, None, 75, None),
    (7, "in_doubt", 2, 429, "answer.busy", 65, None),
    (8, "in_doubt", 2, 429, "answer.busy", 65, None),
    (9, "rejected_server", 3, 400, "answer.400", 25, 60),
    (10, "delivered", 3, 200, None, 25, 50),
    (11, "delivered", 2, 200, None, 25, 35),
    (12, "delivered", 2, 200, None, 25, 35),
    (13, "delivered", 1, 200, None, 15, 20),
    (14, "delivered", 1, 200, None, 15, 20),
    (15, "delivered", 1, 200, None, 15, 20),
    (16, "rejected_local", 0, None, "id.missing", None, None),
]
"""Row, state, attempts, status, code, and the milliseconds of first attempt and end, as that
version of the package read them itself."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a copy of the killed run's directory."""
    return copytree(SAMPLE, tmp_path / RUN_ID)


def _rows(audit: Audit) -> list[tuple[object, ...]]:
    times = (
        pl.col(name).dt.millisecond().cast(pl.Int64) for name in ("first_attempt_at", "finished_at")
    )
    columns = ("row", "state", "attempts", "http_status", "code")
    return audit.messages.sort("row").select(*columns, *times).rows()


def test_a_killed_run_is_read_as_it_was_written(directory: Path):
    """Each row of it has the state, attempts, status, code and times that its own version read."""
    audit = Audit(directory)

    assert _rows(audit) == ROWS
    assert audit.runs.select("rows", "requests", "retries", "bytes").row(0) == (17, 11, 3, 1617)
    assert audit.verify().is_empty()


def test_a_killed_run_is_recovered(directory: Path):
    """Recovery changes no row of it, keeps why it stopped, and what it writes is whole."""
    found = recover(directory)

    assert found.run.stopped == {
        "code": "answer.401",
        "reason": "the key was refused",
        "at": "2026-03-01T12:00:00.000+00:00",
    }
    assert found.unfinished["row"].to_list() == [4, 5, 6, 7, 8]
    assert _rows(Audit(directory)) == ROWS
    assert Audit(directory).verify().is_empty()


def test_a_killed_run_is_resumed(directory: Path):
    """Its record can be resumed, and is complete when it is closed."""
    AuditWriter.resume(directory, key=KEY).close()

    assert _rows(Audit(directory)) == ROWS
    assert Audit(directory).verify().is_empty()


def test_the_ids_of_a_former_record_stay_as_they_are(directory: Path, monkeypatch):
    """Ids that are not keyed stay so when it is resumed."""
    monkeypatch.setenv("CIO_AUDIT_KEY", KEY)
    with AuditWriter.resume(directory, key=KEY) as writer:
        assert (writer.run.message_ids, writer.id_key) == ("plain", None)
    assert recover(directory).id_key is None
    ids = Audit(directory).messages["message_id"].drop_nulls()
    assert ids.str.starts_with("01HF7YZFPF").all()


def test_a_killed_run_of_format_3_is_read_and_recovered(tmp_path: Path):
    """Its plan is read as it was written, and recovery makes a whole record of it."""
    directory = copytree(FORMER, tmp_path / RUN_ID)
    states = ["delivered"] * 5 + ["rejected_local", "pending", "in_doubt"]
    states += ["delivered", "delivered", "rejected_local"]

    before = Audit(directory).messages.sort("row")
    found = recover(directory)

    assert before["state"].to_list() == states
    assert before.null_count().select("person_key", "message_id", "subjects").row(0) == (0, 0, 0)
    assert found.unfinished["row"].to_list() == [6, 7]
    assert Audit(directory).messages.sort("row").equals(before)
    assert Audit(directory).verify().is_empty()
