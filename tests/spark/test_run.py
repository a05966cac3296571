"""Runs on Spark: what arrives, what is recorded, and what a resume sends."""

import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AuditError, RunStoppedError
from cio_frames.run import SendOptions
from cio_frames.sandbox import Faults
from cio_frames.spark.run import SparkOptions, SparkRun, resume, start
from tests.spark.plans import BY_PERSON, SparkEvents, events, plan_of

ROWS = 3_000


def _options(folder: Path, **others: Any) -> SendOptions:
    return SendOptions(audit=folder, progress=False, **others)


def _spark(**others: Any) -> SparkOptions:
    return SparkOptions(**{"partitions": 4, "in_order": BY_PERSON, "lease_s": 6.0} | others)


@pytest.fixture(scope="module")
def plan(spark: Any) -> SparkEvents:
    """A plan of events, in small requests."""
    return plan_of(events(spark, rows=ROWS), batch_bytes=8_000)


def _sent(plan: SparkEvents, client: cio.Client, folder: Path, **others: Any) -> SparkRun:
    return start(plan, client, options=_options(folder, **others), spark=_spark()).wait()


def test_all_rows_arrive_once_and_in_order(plan: SparkEvents, tmp_path: Path) -> None:
    """Every row is delivered once, a person's in their order; a second run sends none of them again."""
    with cio.sandbox() as workspace:
        run = _sent(plan, workspace.client(), tmp_path)
        messages = workspace.messages
        again = _sent(plan, workspace.client(), tmp_path)
        assert workspace.messages.height == ROWS
    arrived = messages.sort("number").select(
        n=pl.col("json").str.json_path_match("$.properties.n").cast(pl.Int64),
        who=pl.col("json").str.json_path_match("$.userId"),
    )
    assert sorted(arrived["n"]) == list(range(ROWS))
    assert arrived.select((pl.col("n").diff().over("who") > 0).all()).item()
    assert run.counts["delivered"] == ROWS
    assert again.counts["skipped_done"] == ROWS
    record = cio.audit(tmp_path)
    assert record.verify().is_empty()
    first = cio.audit(run.audit).messages
    assert sorted(first["row"]) == list(range(ROWS))
    assert set(first["state"]) == {"delivered"}
    assert set(first["run_id"]) == {run.run_id}
    assert "All 3,000 rows arrived" in repr(run)


def test_a_run_is_stopped_and_resumed(plan: SparkEvents, tmp_path: Path) -> None:
    """After a stop every row has a state, and a resume sends the rest, once."""
    with cio.sandbox(faults=Faults(late=1.0, hold_s=0.3)) as workspace:
        run = start(
            plan, workspace.client(), options=_options(tmp_path, wait=False), spark=_spark()
        )
        while not run.counts["delivered"]:
            time.sleep(0.1)
        run.stop()
        run.wait()
        counts = run.counts
        assert run.stopped is not None
        assert run.stopped[0] == "INTERRUPTED"
        assert 0 < counts["delivered"] < ROWS
        assert counts["delivered"] + counts["pending"] + counts["in_doubt"] == ROWS
        assert run.failed().count() == ROWS - counts["delivered"]
        assert cio.audit(tmp_path).verify().is_empty()
        other = cio.connect(endpoint=workspace.url, write_key="other", environ={})
        with pytest.raises(AuditError, match="different workspace"):
            resume(run.audit, plan, other, options=_options(tmp_path), spark=_spark())
        workspace.faults = Faults()
        done = resume(
            run.audit, plan, workspace.client(), options=_options(tmp_path), spark=_spark()
        ).wait()
        assert done.counts["delivered"] == ROWS
        ids = workspace.messages["message_id"]
        assert ids.n_unique() == ROWS
    messages = cio.audit(tmp_path).messages
    assert Counter(messages["state"]) == {"delivered": ROWS}


def test_a_key_that_is_refused_stops_all_tasks(
    plan: SparkEvents, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A refused key stops the run with its reason, and is in no output, log or event log."""
    key = "cio_live_" + "canary9" * 3
    with cio.sandbox() as workspace:
        client = cio.connect(endpoint=workspace.url, write_key=key, environ={})
        with pytest.raises(RunStoppedError) as stopped:
            _sent(plan, client, tmp_path)
    run = stopped.value.run
    assert run.counts["pending"] == ROWS
    work = Path(pytest.importorskip("pyspark").__file__).parent / "work"
    application = plan.table.frame.sparkSession.sparkContext.applicationId
    events = Path(urlsplit(plan.table.frame.sparkSession.conf.get("spark.eventLog.dir")).path)
    logs = [path for place in (work / application, events) for path in place.rglob("*")]
    texts = [path.read_bytes() for path in logs if path.is_file()]
    assert any(b"SparkListenerJobStart" in text for text in texts)
    out = "".join(capfd.readouterr()) + repr(run) + str(stopped.value)
    for secret in (key, "11" * 32):
        assert secret not in out
        assert not any(secret.encode() in text for text in texts)
