"""Attempts at a partition, without Spark: what a later one sends of the rest of an earlier one."""

import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from cio_frames.audit.attempts import partition_rows
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.errors import RunError
from cio_frames.plan.chunks import CHUNK_ROWS
from cio_frames.sandbox import Faults
from cio_frames.spark import chunks as spark_chunks
from cio_frames.spark.attempt import deliver_partition
from cio_frames.spark.lease import Renewal
from cio_frames.spark.rate import PACE_FILE, Pace
from cio_frames.spark.reading import FINDINGS
from cio_frames.spark.spool import spooled
from tests.spark.plans import KEY, RUN, chunks_of, local_events, work_of

cloudpickle = pytest.importorskip("pyspark.cloudpickle")


def _rows(folder: Path) -> pl.DataFrame:
    return partition_rows(LocalFileSystem(), folder, 3, run_id=RUN)


def test_rows_keep_their_numbers_and_are_not_sent_twice(tmp_path: Path) -> None:
    """A second attempt reads what the first one delivered, and sends nothing."""
    frame = local_events(1_000)
    with cio.sandbox() as workspace:
        work = work_of(workspace.client(), tmp_path, frame)
        for _ in range(2):
            (result,) = deliver_partition(chunks_of(frame), work=work, partition=3)
            assert result["rows"].item() == 1_000
        assert workspace.messages.height == 1_000
    record = _rows(tmp_path)
    assert record["row"].to_list() == list(range(1, 2_000, 2))
    assert set(record["state"]) == {"delivered"}
    assert set(record["run_id"]) == {RUN}
    assert len(list((tmp_path / "partitions/000003").iterdir())) == 2


@contextmanager
def _once_some_arrived(workspace: Any, do: Callable[[], None]) -> Iterator[None]:
    """Do something on a thread as soon as the first messages have arrived."""

    def wait() -> None:
        while workspace.messages.is_empty():
            time.sleep(0.02)
        do()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def _stop(folder: Path, *, reason: str) -> None:
    (folder / PACE_FILE).write_bytes(msgspec.json.encode(Pace(counter=1, stop=reason)))


def test_a_stopped_attempt_leaves_rows_that_a_later_one_sends(tmp_path: Path) -> None:
    """Rows that a stopped attempt has not sent are pending, and the next attempt sends them, once."""
    frame = local_events(4_000)
    with cio.sandbox(faults=Faults(late=1.0, hold_s=0.2)) as workspace:
        work = work_of(workspace.client(), tmp_path, frame, batch_bytes=3_000)
        with _once_some_arrived(workspace, lambda: _stop(tmp_path, reason="enough")):
            (result,) = deliver_partition(chunks_of(frame), work=work, partition=3)
        assert result["code"].item() == "INTERRUPTED"
        first = Counter(_rows(tmp_path)["state"])
        assert 0 < first["delivered"] < 4_000
        assert sum(first.values()) < 4_000 or first["pending"]
        (tmp_path / PACE_FILE).unlink()
        workspace.faults = Faults()
        (result,) = deliver_partition(chunks_of(frame), work=work, partition=3)
        assert result["code"].item() is None
        numbers = workspace.messages["message_id"]
    assert Counter(_rows(tmp_path)["state"]) == {"delivered": 4_000}
    assert len(numbers) == numbers.n_unique() == 4_000


def test_an_attempt_after_a_stop_begins_nothing(tmp_path: Path) -> None:
    """A task that starts after the run was stopped reads no row."""
    _stop(tmp_path, reason="enough")
    frame = local_events(10)
    with cio.sandbox() as workspace:
        work = work_of(workspace.client(), tmp_path, frame)
        assert list(deliver_partition(iter([]), work=work, partition=3)) == []
        assert workspace.messages.is_empty()


def test_an_attempt_with_an_older_claim_stops(tmp_path: Path) -> None:
    """Once there is a higher claim, nothing more is sent, and the task fails."""
    frame = local_events(4_000)

    def claim() -> None:
        path = tmp_path / "alive" / "000003-000009-zz"
        path.write_bytes(msgspec.json.encode(Renewal(counter=1)))

    with cio.sandbox(faults=Faults(late=1.0, hold_s=0.2)) as workspace:
        work = work_of(workspace.client(), tmp_path, frame, batch_bytes=3_000)
        with (
            _once_some_arrived(workspace, claim),
            pytest.raises(RunError, match="taken over"),
        ):
            list(deliver_partition(chunks_of(frame), work=work, partition=3))
        arrived = workspace.messages.height
        assert 0 < arrived < 4_000
        time.sleep(0.3)
        assert workspace.messages.height == arrived


def test_a_second_attempt_waits_for_the_first(tmp_path: Path) -> None:
    """Of two attempts at once the second sends nothing until the first has ended."""
    frame = local_events(1_000)
    results: list[pl.DataFrame] = []
    with cio.sandbox(faults=Faults(late=1.0, hold_s=0.02)) as workspace:
        work = work_of(workspace.client(), tmp_path, frame, batch_bytes=3_000)

        def attempt() -> None:
            results.extend(deliver_partition(chunks_of(frame), work=work, partition=3))

        both = [threading.Thread(target=attempt) for _ in range(2)]
        both[0].start()
        while not list((tmp_path / "alive").glob("000003-*")):
            time.sleep(0.01)
        both[1].start()
        for thread in both:
            thread.join()
        assert len(results) == 2
        assert workspace.messages.height == 1_000
    assert Counter(_rows(tmp_path)["state"]) == {"delivered": 1_000}


def test_rows_leave_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    """Rows are sent in the order in which they come, although their numbers go down."""
    frame = local_events(1_000)
    with cio.sandbox() as workspace:
        work = work_of(workspace.client(), tmp_path, frame)
        list(deliver_partition(chunks_of(frame, first=5_000, step=-2), work=work, partition=3))
        messages = workspace.messages.sort("number")
    arrived = messages.select(
        n=pl.col("json").str.json_path_match("$.properties.n").cast(pl.Int64),
        who=pl.col("json").str.json_path_match("$.userId"),
    )
    assert arrived.select((pl.col("n").diff().over("who") > 0).all()).item()
    record = _rows(tmp_path).sort("row")
    assert record["row"].to_list() == list(range(5_000 - 2 * 999, 5_001, 2))


def test_findings_of_the_whole_table_exclude_rows(tmp_path: Path) -> None:
    """A row that a finding of the whole table rejects is recorded as rejected, with the reason."""
    frame = local_events(10)
    finding = {
        "code": "row.duplicate", "severity": "reject", "column": "n", "value": "3",
        "message": "it is there twice", "hint": "leave one out",
    }  # fmt: skip
    chunk = chunks_of(frame)[0]
    marked = pa.array([None, None, [finding], *([None] * 7)])
    with cio.sandbox() as workspace:
        work = work_of(workspace.client(), tmp_path, frame)
        chunk = chunk.append_column(FINDINGS, marked)
        list(deliver_partition([chunk], work=work, partition=3))
        assert workspace.messages.height == 9
    lost = _rows(tmp_path).filter(pl.col("state") != "delivered")
    assert lost.select("row", "state", "code", "error").rows() == [
        (5, "rejected_local", "row.duplicate", "it is there twice")
    ]


def test_no_key_is_in_what_executors_get(tmp_path: Path) -> None:
    """Neither the write key nor the key of the record is in the pickled work, or in its repr."""
    client = cio.connect(endpoint="http://127.0.0.1:9", write_key="cio_live_canary", environ={})
    work = work_of(client, tmp_path, local_events(1))
    pickled = cloudpickle.dumps(work)
    for secret in ("cio_live_canary", KEY):
        assert secret.encode() not in pickled
        assert secret not in repr(work)
    same = pickle.loads(pickled)  # noqa: S301 - made here
    assert same.client.client().workspaces == client.workspaces
    assert same.key.reveal() == KEY


def test_rows_are_encoded_in_whole_chunks(tmp_path: Path) -> None:
    """The batches of Spark, of 10,000 rows, are put together before they are checked and encoded."""
    frame = local_events(120_000)
    (rows,) = chunks_of(frame, step=1, size=frame.height)
    batches = rows.to_batches(max_chunksize=10_000)
    with cio.sandbox() as workspace:
        plan = work_of(workspace.client(), tmp_path, frame).plan
    with spooled(spark_chunks.chunks_of(batches, rows=CHUNK_ROWS), plan=plan) as table:
        assert [chunk.height for chunk in table.chunks()] == [50_000, 50_000, 20_000]
