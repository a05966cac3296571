"""What `format("customerio")` does with the rows of a job: attempts send them, and a record tells of each.

The writer is made in one process and concludes in another, so the record is closed in between. No driver
is there while tasks send: each task keeps to the share of one of as many as the job says can run at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.object_store import opened
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
from cio_frames.spark.record import SparkRecord, has_rest
from cio_frames.workspaces.client import Client

ABORTED: Final = "A task failed, so Spark ended the job."


@dataclass(frozen=True, kw_only=True)
class WriteJob:
    """What is to be sent, and where to; the driver has it before any row is read.

    Attributes:
        pipeline: What decides which messages the rows become. Its table has the columns and no rows.
        client: Where they are sent to.
        audit: The directory of the record, which driver and executors share.
        tasks: The most tasks that run at once.
        resume: The id of a run in `audit` whose rest is sent; None for a new one.
        allowances: What may follow from the rows, in any number.
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
        """Begin the record of a new run, or take up that of one that ended early.

        Raises:
            AuditError: The run has nothing left to send.
        """
        disk, place = opened(job.audit)
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
            known = run_file.read(disk, place / job.resume)
            if not has_rest(known):
                raise AuditError(
                    f"Run {job.resume} has nothing left to send. Leave the option resume out."
                )
            key = pseudonyms.key_named(known.key_name, where=place) if known.key_name else None
            record = SparkRecord.take_up(disk, place / job.resume)
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
        """Send the rows of one partition, as far as no earlier attempt did."""
        return deliver(chunks, work=work)

    def commit(self, work: Work, told: Sequence[Mapping[str, Any]]) -> None:
        """Merge what the attempts recorded."""
        stopped = next(((row["code"], row["reason"]) for row in told if row["code"]), None)
        _conclude(work, told, stopped=stopped)

    def abort(self, work: Work, told: Sequence[Mapping[str, Any]]) -> None:
        """Merge what the attempts recorded; the rest is sent by the option `resume`."""
        _conclude(work, told, stopped=(INTERRUPTED, ABORTED))


def _conclude(
    work: Work, told: Sequence[Mapping[str, Any]], *, stopped: tuple[str, str] | None
) -> None:
    disk, place = opened(work.directory)
    record = SparkRecord.take_up(disk, place)
    try:
        record.count({row["partition"]: row["rows"] for row in told})
        state: State = "finished" if stopped is None else "stopped"
        why = (
            None
            if stopped is None
            else RunStopped(code=stopped[0], reason=stopped[1], at=utc_now())
        )
        record.commit(state=state, stopped=why, notes=record.run.notes)
    finally:
        record.close()
