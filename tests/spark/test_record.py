"""The record of a run on Spark, without Spark: what attempts recorded, merged by the driver."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import run_file
from cio_frames.audit.object_store import file_system_at
from cio_frames.clock import utc_now
from cio_frames.errors import AuditError
from cio_frames.run import SendOptions
from cio_frames.sandbox import Faults
from cio_frames.sending import RunStopped
from cio_frames.spark.attempt import deliver_partition
from cio_frames.spark.record import SparkRecord
from cio_frames.spark.run import SparkOptions, resume
from cio_frames.spark.table import PLACE_BITS
from tests.spark.plans import BY_PERSON, KEY, RUN, chunks_of, local_events, local_plan, work_of

ROWS = 900


def _begun(folder: Path | str, client: cio.Client, frame: pl.DataFrame) -> SparkRecord:
    disk, place = file_system_at(f"{folder}/{RUN}", durability="process")
    work = work_of(client, place, frame)
    return SparkRecord.begin(
        disk, place, work.info, durability="process", key=KEY, notes=("a note",)
    )


@pytest.fixture(params=["path", "s3"])
def audit(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory of records, on a disk and in a bucket."""
    if request.param == "path":
        return str(tmp_path)
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def test_partitions_become_parts(audit: str) -> None:
    """At the end each row has one record, and the directories of attempts are gone."""
    frame = local_events(ROWS)
    with cio.sandbox() as workspace:
        record = _begun(audit, workspace.client(), frame)
        work = work_of(workspace.client(), record.directory, frame)
        for partition in range(3):
            chunks = chunks_of(frame[partition::3], first=partition, step=3)
            list(deliver_partition(chunks, work=work, partition=partition))
            before = cio.audit(audit)
            assert before.messages.height == (partition + 1) * ROWS // 3
        counts = record.commit(state="finished", stopped=None, notes=("a note", "another"))
        record.close()
        assert workspace.messages.height == ROWS
    assert counts["rows"] == counts["delivered"] == ROWS
    record = cio.audit(audit)
    assert record.verify().is_empty()
    assert record.messages["row"].sort().to_list() == list(range(ROWS))
    assert record.runs["state"].item() == "finished"
    disk, place = file_system_at(f"{audit}/{RUN}")
    assert disk.listdir(place / "partitions") == []


def test_rows_without_an_attempt_are_pending(tmp_path: Path) -> None:
    """If a run stops early, rows of partitions without an attempt are pending, and a resumed run sends them."""
    frame = local_events(ROWS)
    with cio.sandbox() as workspace:
        record = _begun(tmp_path, workspace.client(), frame)
        work = work_of(workspace.client(), tmp_path / RUN, frame)
        list(deliver_partition(chunks_of(frame[::3], first=0, step=3), work=work, partition=0))
        stopped = RunStopped(code="INTERRUPTED", reason="You stopped the run.", at=utc_now())
        record.commit(state="stopped", stopped=stopped, notes=())
        record.close()
        record = cio.audit(tmp_path)
        assert record.verify().is_empty()
        assert Counter(record.messages["state"]) == {"delivered": 300, "pending": 600}
        with pytest.raises(AuditError, match="on Spark"):
            cio.resume(tmp_path / RUN, workspace.client(), cio.frame(frame).track(
                event="event", user_id="user_id", timestamp="at", properties=["n"]
            ))  # fmt: skip
        again = SparkRecord.reopen(file_system_at(tmp_path / RUN)[0], tmp_path / RUN)
        for partition in range(3):
            chunks = chunks_of(frame[partition::3], first=partition, step=3)
            list(deliver_partition(chunks, work=work, partition=partition))
        counts = again.commit(state="finished", stopped=None, notes=())
        again.close()
        assert workspace.messages.height == ROWS
    assert counts["delivered"] == ROWS
    record = cio.audit(tmp_path)
    assert record.verify().is_empty()
    assert record.messages.height == ROWS


def test_rejected_people_stay_blocked(tmp_path: Path) -> None:
    """People who were blocked by a rejected row are blocked in a later attempt, too."""
    frame = pl.DataFrame(
        {
            "user_id": ["u1", "u2", "u1", "u2"] * 5,
            "device": ["toaster", None, None, None] + [None] * 16,
            "n": range(20),
        }
    )
    with cio.sandbox(faults=Faults()) as workspace:
        work = work_of(workspace.client(), tmp_path / RUN, frame, call="identify")
        record = SparkRecord.begin(
            file_system_at(tmp_path / RUN)[0],
            tmp_path / RUN,
            work.info,
            durability="process",
            key=KEY,
            notes=(),
        )
        for _ in range(2):
            list(deliver_partition(chunks_of(frame, first=0, step=1), work=work, partition=0))
        record.commit(state="finished", stopped=None, notes=())
        lost = record.failures().select("code", "rows").rows()
        record.close()
    assert sorted(rows for _, rows in lost) == [1, 9]
    assert "BLOCKED_BY_ROW" in dict(lost)
    states = cio.audit(tmp_path).messages.sort("row")["state"].to_list()
    assert states[0] == "rejected_server"
    assert set(states[2::4]) | set(states[4::4]) == {"blocked"}
    assert set(states[1::2]) == {"delivered"}


def test_a_run_of_another_polars_is_not_resumed(tmp_path: Path) -> None:
    """With another version of polars rows are in other partitions, so the error names the version to install."""
    frame = local_events(4)
    plan = SimpleNamespace(pipeline=local_plan(frame), table=SimpleNamespace(rows=4))
    with cio.sandbox() as workspace:
        record = _begun(tmp_path, workspace.client(), frame)
        record.close()
        disk, place = file_system_at(f"{tmp_path}/{RUN}")
        run = run_file.read(disk, place)
        run_file.write(disk, place, replace(run, versions={**run.versions, "polars": "1.0.0"}))
        with pytest.raises(AuditError, match=r"started with polars 1\.0\.0, not with .* Install"):
            resume(
                place,
                plan,
                workspace.client(),
                options=SendOptions(audit=tmp_path, progress=False),
                spark=SparkOptions(in_order=BY_PERSON),
            )


def test_rows_of_a_writer_are_numbered_through_all_partitions(audit: str) -> None:
    """Tasks number their rows by partition and place; in the end they count from 0, although one task reported no count."""
    frame = local_events(ROWS)
    with cio.sandbox() as workspace:
        record = _begun(audit, workspace.client(), frame)
        work = work_of(workspace.client(), record.directory, frame)
        for partition in range(3):
            first = partition << PLACE_BITS
            chunks = chunks_of(frame[partition::3], first=first, step=1)
            list(deliver_partition(chunks, work=work, partition=partition))
        record.count({0: ROWS // 3, 2: ROWS // 3})  # the second one has reported nothing
        counts = record.commit(state="finished", stopped=None, notes=())
        record.close()
    assert counts["rows"] == counts["delivered"] == ROWS
    record = cio.audit(audit)
    assert record.verify().is_empty()
    assert record.messages["row"].sort().to_list() == list(range(ROWS))
    assert record.explain(row=ROWS - 1).startswith(f"Row {ROWS - 1} ")
