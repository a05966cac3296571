"""What the data source sends and records, task by task and without Spark."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from cio_frames.errors import AuditError
from cio_frames.spark.attempt import deliver_partition
from cio_frames.spark.table import PLACE_BITS
from tests.spark.plans import chunks_of

data_source = pytest.importorskip(
    "cio_frames.spark.data_source", reason="pyspark 4 is missing: pip install 'pyspark>=4'"
)
ROWS = 200
FRAME = pl.select(
    id=pl.format("u{}", pl.int_range(ROWS)),
    event=pl.lit("Seen"),
    at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).repeat_by(ROWS).explode(),
)
COLUMNS = pa.schema({"id": pa.string(), "event": pa.string(), "at": pa.timestamp("us", "UTC")})


class Job:
    """A job of two tasks."""

    def __init__(self, workspace: Any, audit: Path, **options: str) -> None:
        asked = {
            "call": "track", "event": "event", "userId": "id", "timestamp": "at",
            "endpoint": workspace.url, "audit": str(audit), "rate": "none", "tasks": "2", **options,
        }  # fmt: skip
        self.delivery = data_source.CustomerIO.delivery
        self.work = self.delivery.begin(data_source.write_job(asked, COLUMNS))
        self.results: list[dict[str, Any]] = []

    def run(self, task: int) -> None:
        """Do what a task does."""
        chunks = chunks_of(FRAME[task::2], first=task << PLACE_BITS, step=1)
        for frame in deliver_partition(chunks, work=self.work, partition=task):
            self.results += frame.to_dicts()


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve a workspace whose key is in the environment."""
    with cio.sandbox() as served:
        monkeypatch.setenv("CIO_WRITE_KEY", served.write_key)
        yield served


def test_a_job_that_succeeds_leaves_a_whole_record(workspace: Any, tmp_path: Path) -> None:
    """After all tasks every row is delivered, numbered from 0, and nothing is left to resume."""
    job = Job(workspace, tmp_path)
    job.run(1)
    job.run(0)
    job.delivery.commit(job.work, job.results)
    record = cio.audit(tmp_path)
    assert workspace.messages.height == ROWS
    assert record.verify().is_empty()
    assert record.messages["row"].sort().to_list() == list(range(ROWS))
    assert record.runs["state"].item() == "finished"
    with pytest.raises(AuditError, match="nothing left to send"):
        Job(workspace, tmp_path, resume=job.work.info.run_id)


def test_a_job_that_failed_is_resumed_without_sending_twice(workspace: Any, tmp_path: Path) -> None:
    """What a task sent before the job failed is skipped by the job that resumes it; the rest is sent."""
    failed = Job(workspace, tmp_path)
    failed.run(0)
    failed.delivery.abort(failed.work, failed.results)
    assert cio.audit(tmp_path).runs["state"].item() == "stopped"
    assert workspace.messages.height == ROWS // 2
    again = Job(workspace, tmp_path, resume=failed.work.info.run_id)
    again.run(0)
    again.run(1)
    again.delivery.commit(again.work, again.results)
    record = cio.audit(tmp_path)
    assert workspace.messages.height == ROWS
    assert record.runs.select("state", "delivered").rows() == [("finished", ROWS)]
    assert record.verify().is_empty()


def test_no_key_stands_in_what_tasks_are_given(workspace: Any, tmp_path: Path) -> None:
    """Neither the work nor its pickle has the key as it is."""
    from pyspark import cloudpickle

    job = Job(workspace, tmp_path)
    assert workspace.write_key.encode() not in cloudpickle.dumps(job.work)
    assert workspace.write_key not in repr(job.work)
