"""Sends and records the rows that `format("customerio")` gets.

The writer is created in one process and commits in another, so the record is closed in between. No driver
of ours runs while tasks send: each task uses the limit divided by the number of tasks that the job says can
run at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.run_file import State
from cio_frames.clock import utc_now
from cio_frames.config import MaskedText
from cio_frames.errors import AuditError
from cio_frames.plan.pipeline import Pipeline
from cio_frames.run.start import SPARK, new_info
from cio_frames.sending import INTERRUPTED, RunStopped
from cio_frames.spark.attempt import Work, deliver
from cio_frames.spark.lease import LEASE_S
from cio_frames.spark.rate import SHARED
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.record import SparkRecord, is_incomplete
from cio_frames.workspaces.client import Client

ABORTED: Final = "A task failed, so Spark ended the job."


@dataclass(frozen=True, kw_only=True)
class WriteJob:
    """What is sent, and where; the driver knows it before any row is read.

    Attributes:
        pipeline: Makes messages from rows. Its table has the columns and no rows.
        client: Where they are sent to.
        audit: The directory of the record, which driver and executors share.
        tasks: The most tasks that run at once.
        resume: The id of a run in `audit` whose rest is sent; None for a new run.
        allowances: The consequences that are allowed in any number.
    """

    pipeline: Pipeline
    client: Client
    audit: str
    tasks: int
    resume: str | None = None
    allowances: tuple[str, ...] = ()


class TaskDelivery:
    """Sends and records the rows of a job; see `data_source.Delivery`."""

    def begin(self, job: WriteJob) -> Work:
        """Start the record of a new run, or reopen that of one that ended early.

        Raises:
            AuditError: The run has nothing left to send.
        """
        disk, place = file_system_at(job.audit)
        pipeline, client = job.pipeline, job.client
        key: str | None = pseudonyms.key()
        if job.resume is None:
            info = new_info(
                client,
                at=utc_now(),
                namespace=pipeline.namespace,
                limits={
                    "message_bytes": pipeline.message_bytes,
                    "batch_bytes": pipeline.batch_bytes,
                },
                mapping={f"0 {pipeline.call}": pipeline.mapping.describe()},
                decisions={
                    f"0 {pipeline.call}": pipeline.decisions,
                    SPARK: {"writer": True, "allowances": list(job.allowances)},
                },
                plans=((pipeline.call, 0),),
            )
            disk.make(place, shared=True)
            record = SparkRecord.begin(
                disk, place / info.run_id, info, durability="power", key=key, notes=(SHARED,)
            )
        else:
            ended = run_file.read(disk, place / job.resume)
            if not is_incomplete(ended):
                raise AuditError(
                    f"Run {job.resume} has nothing left to send. Leave the option resume out."
                )
            key = pseudonyms.require_key(ended.key_name, where=place) if ended.key_name else None
            record = SparkRecord.reopen(disk, place / job.resume)
        record.close()
        return Work(
            directory=str(record.directory),
            info=record.run.info,
            plan=PlanSettings.of(pipeline),
            client=client.settings(),
            key=MaskedText(key) if key else None,
            in_doubt=None,
            durability="power",
            slots=job.tasks,
            lease_s=LEASE_S,
        )

    def deliver(self, chunks: Iterator[pa.Table], *, work: Work) -> Iterable[pl.DataFrame]:
        """Send those rows of a partition that no earlier attempt sent."""
        return deliver(chunks, work=work)

    def commit(self, work: Work, results: Sequence[Mapping[str, Any]]) -> None:
        """Merge the records of the attempts."""
        stopped = next(((row["code"], row["reason"]) for row in results if row["code"]), None)
        _conclude(work, results, stopped=stopped)

    def abort(self, work: Work, results: Sequence[Mapping[str, Any]]) -> None:
        """Merge the records of the attempts; the option `resume` sends the rest."""
        _conclude(work, results, stopped=(INTERRUPTED, ABORTED))


def _conclude(
    work: Work, results: Sequence[Mapping[str, Any]], *, stopped: tuple[str, str] | None
) -> None:
    disk, place = file_system_at(work.directory)
    record = SparkRecord.reopen(disk, place)
    try:
        record.count({row["partition"]: row["rows"] for row in results})
        state: State = "finished" if stopped is None else "stopped"
        why = (
            None
            if stopped is None
            else RunStopped(code=stopped[0], reason=stopped[1], at=utc_now())
        )
        record.commit(state=state, stopped=why, notes=record.run.notes)
    finally:
        record.close()
