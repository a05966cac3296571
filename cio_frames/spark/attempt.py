"""One attempt of a task at a partition: a local run of its rows, with its own record."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa

from cio_frames.audit import AuditWriter, RunInfo, keyed_ids
from cio_frames.audit.attempts import attempt_directories, partition_rows
from cio_frames.audit.file_system import Durability
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.schema import FINAL_STATES
from cio_frames.clock import utc_now
from cio_frames.config import MaskedText
from cio_frames.errors import RunError, RunInterruptedError, RunStoppedError
from cio_frames.mapping import linked_keys
from cio_frames.payloads import RUN_ALGORITHM
from cio_frames.plan.full_check import PreSendCheck, components_of
from cio_frames.plan.pipeline import Pipeline, Pipelines
from cio_frames.run import InDoubt, Job, RowSelection, Run
from cio_frames.run.start import (
    STATE_CALLS,
    blocked_people,
    blocking_rows,
    is_resent,
    with_kept_states,
)
from cio_frames.sending import Client
from cio_frames.sending.http import Request, Response, Transport
from cio_frames.sending.rate_limit import THROTTLED
from cio_frames.sending.retry_policy import retry_after
from cio_frames.spark.lease import Claim, Lease, Renewal
from cio_frames.spark.rate import PACE_FILE, Pace, ShareTracker, first_share
from cio_frames.spark.reading import PlanSettings
from cio_frames.spark.spool import SpooledTable, spooled
from cio_frames.validation import FINDING_SCHEMA
from cio_frames.workspaces.client import ClientSettings

RESULT_SCHEMA = pl.Schema(
    {
        "partition": pl.Int64(),
        "attempt": pl.String(),
        "rows": pl.Int64(),
        "code": pl.String(),
        "reason": pl.String(),
        "notes": pl.String(),
    }
)
"""The result of an attempt: its partition, how many rows it had, and why it stopped early."""

NOTE_SEPARATOR = "\n"
"""Between the notes of an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What all attempts of a run get. It is pickled for the executors; its keys are masked."""

    directory: str
    info: RunInfo
    plan: PlanSettings
    client: ClientSettings
    key: MaskedText | None  # of the pseudonyms and message ids in the record
    in_doubt: InDoubt | None
    durability: Durability
    slots: int
    lease_s: float


def deliver(chunks: Iterator[pa.Table], *, work: Work) -> Iterator[pl.DataFrame]:
    """Send those rows of a partition that no earlier attempt sent; yield the result."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None, "An attempt is made by a task."  # noqa: S101
    yield from deliver_partition(chunks, work=work, partition=context.partitionId())


def deliver_partition(
    chunks: Iterable[pa.Table], *, work: Work, partition: int
) -> Iterator[pl.DataFrame]:
    """Do what `deliver` does for the partition with this number."""
    attempt = _Attempt(work, partition=partition)
    if attempt.pace is not None and attempt.pace.stop:
        return
    with spooled(chunks, plan=work.plan) as table:
        if table.count:
            yield attempt.send(table)


class _Attempt:
    """An attempt at one partition."""

    def __init__(self, work: Work, *, partition: int) -> None:
        self._work = work
        self._partition = partition
        self._disk, self._run = file_system_at(work.directory, durability=work.durability)
        self._volatile_disk, _ = file_system_at(
            work.directory, durability="process"
        )  # for files that need not survive
        self._sender: Run | None = None
        self._tracker: ShareTracker | None = None
        self._throttled, self._pause_s = 0, 0.0

    @property
    def pace(self) -> Pace | None:
        """What the driver wrote last; None if it wrote nothing."""
        with suppress(OSError):
            return msgspec.json.decode(self._volatile_disk.read(self._run / PACE_FILE), type=Pace)
        return None

    def send(self, table: SpooledTable) -> pl.DataFrame:
        """Send the rest of the partition, and return the result."""
        lease = Lease(
            self._volatile_disk,
            self._run,
            scope=f"{self._partition:06d}",
            last_epoch=self._last_epoch,
            lease_s=self._work.lease_s,
            renewal=self._renewal,
        )
        stopped: tuple[str, str] | None = None
        try:
            if lease.acquire(still_wanted=self._is_wanted):
                with _repeating(lease.renew_s, lambda: self._renew(lease)):
                    stopped = self._send(table, lease)
        finally:
            lease.end()
        code, reason = stopped or (None, None)
        notes = NOTE_SEPARATOR.join(self._sender.notes) if self._sender else ""
        name = lease.claim.name if self._sender else ""
        result = (self._partition, name, table.count, code, reason, notes)
        return pl.DataFrame([result], schema=RESULT_SCHEMA, orient="row")

    def _last_epoch(self) -> int:
        """Return the highest epoch of the attempts at this partition."""
        paths = attempt_directories(self._disk, self._run, self._partition)
        return max((Claim.named(path.name).epoch for path in paths), default=0)

    def _is_wanted(self) -> bool:
        pace = self.pace
        return pace is None or not pace.stop

    def _renewal(self) -> Renewal:
        sender = self._sender
        return Renewal(
            counter=0,
            counts={} if sender is None else sender.counts,
            throttled=self._throttled,
            pause_s=self._pause_s,
            stopped=None if sender is None else sender.stopped,
        )

    def _note_response(self, answer: Response) -> None:
        """Count a response that asks to slow down."""
        if answer.status == THROTTLED:
            self._pause_s = retry_after(answer.retry_after, date=answer.date) or 0.0
            self._throttled += 1

    def _send(self, table: SpooledTable, lease: Lease) -> tuple[str, str] | None:
        """Send under a lease; return why it ended early, or None.

        Raises:
            RunError: Another attempt has taken over.
        """
        work = self._work
        pipeline = work.plan.of_table(table)
        pipeline = pipeline.with_pre_send_check(partition_check(pipeline, table))
        job = Pipelines((pipeline,)).job()
        before = partition_rows(self._disk, self._run, self._partition, run_id=work.info.run_id)
        client = _fenced(
            work.client.client(), may_send=lease.may_send, note_response=self._note_response
        )
        key = work.key.reveal() if work.key else None
        selection = _selection(job, table, before, work=work, key=key)
        writer = AuditWriter.start(
            self._run / "partitions" / f"{self._partition:06d}",
            replace(work.info, run_id=lease.claim.name, plans=(), rows=table.count),
            durability=work.durability,
            disk=self._disk,
            key=key,
        )
        run = Run(
            job, client=client, writer=writer, selection=selection, clock=utc_now, progress=False,
            detached=False,
        )  # fmt: skip
        limit = client.request_rate(pipeline.mapping.call.api.name)
        first = first_share(rate=limit, concurrency=client.concurrency, slots=work.slots)
        tracker = ShareTracker(name=lease.name, first=first)
        self._follow(tracker, run)
        self._sender, self._tracker = run, tracker
        try:
            stopped = run.start().wait().stopped
        except (RunStoppedError, RunInterruptedError):
            stopped = run.stopped
        if lease.is_lost:
            raise RunError(f"Another attempt at partition {self._partition} has taken over.")
        return stopped

    def _renew(self, lease: Lease) -> None:
        """Renew the claim, and follow the driver."""
        is_held = lease.renew()
        if self._sender is not None and self._tracker is not None:
            if not is_held:
                self._sender.stop()
            self._follow(self._tracker, self._sender)

    def _follow(self, tracker: ShareTracker, run: Run) -> None:
        pace = self.pace
        if pace is not None and pace.stop:
            run.stop()
        share, control = tracker.share(pace, now=time.monotonic()), run.control
        if control.rate != share.rate:
            control.rate = share.rate
        control.concurrency = share.concurrency
        control.paused = share.concurrency == 0


def partition_check(pipeline: Pipeline, table: SpooledTable) -> PreSendCheck:
    """Return the check of a partition: the findings of the whole table about it, and its components."""
    is_linked = bool(linked_keys(pipeline.mapping))
    return PreSendCheck(
        rows=table.count,
        blocking=table.findings,
        refusals=FINDING_SCHEMA.to_frame(),
        fingerprint="",
        components=components_of(pipeline.link_keys()) if is_linked else None,
    )


def _selection(
    job: Job, table: SpooledTable, before: pl.DataFrame, *, work: Work, key: str | None
) -> RowSelection:
    """Return which rows are sent: the rest of earlier attempts, as in a resumed run."""
    seed = work.info.run_id if work.info.id_algorithm == RUN_ALGORITHM else None
    finished = None if work.info.repeat else _finished(job, table, work=work, key=key)
    if before.is_empty():
        return RowSelection(seed=seed, key=key, finished=finished)
    in_doubt = before.filter(pl.col("state") == "in_doubt")
    resent = in_doubt.filter(is_resent(in_doubt, now=utc_now(), wanted=work.in_doubt))
    kept = before.filter(pl.col("state").is_in([*FINAL_STATES, "in_doubt"])).join(
        resent, on="row", how="anti"
    )
    ids = before.select("row", "message_id")
    only = table.numbers.to_frame("row").join(kept, on="row", how="anti").join(
        ids, on="row", how="left"
    )  # fmt: skip
    selection = RowSelection(
        only=only.select(pl.lit(0, pl.Int32).alias("plan"), "row", "message_id"),
        resent=resent.filter(pl.col("call").is_in(STATE_CALLS))["message_id"],
        untouched=dict(kept["state"].value_counts().iter_rows()),
        seed=seed,
        key=key,
        finished=finished,
    )
    blocked = blocked_people(job, blocking_rows(before), selection=selection)
    return replace(selection, blocked=blocked)


def _finished(job: Job, table: SpooledTable, *, work: Work, key: str | None) -> pl.DataFrame | None:
    """Return the messages that earlier runs delivered, or left in doubt and that are not sent again."""
    if table.earlier.is_empty():
        return None
    best = table.earlier.sort(pl.col("state") == "delivered", descending=True).unique(
        "row", keep="first"
    )
    finished = with_kept_states(best, now=utc_now(), wanted=work.in_doubt).filter(
        pl.col("kept_state").is_not_null()
    )
    names = pl.concat(
        messages.select("row", keyed_ids(pl.col("message_id"), key=key).alias("message_id"))
        for _, _, messages in job.state_messages(events=True)
    )
    named = finished.join(names, on="row").unique("message_id")
    return named.select("message_id", "payload_hash", state="kept_state")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _FencedClient(Client):
    """A client that sends nothing once another attempt may have taken over."""

    _may_send: Callable[[], bool] = field(repr=False)
    _note_response: Callable[[Response], None] = field(repr=False)

    def session(self, *, monotonic: Callable[[], float] = time.monotonic) -> Transport:
        """Return a transport that checks the lease before each request."""
        return _FencedTransport(
            self._transport_config,
            monotonic=monotonic,
            may_send=self._may_send,
            note_response=self._note_response,
        )


class _FencedTransport(Transport):
    """A transport that checks the lease before each request."""

    def __init__(
        self,
        *args: Any,
        may_send: Callable[[], bool],
        note_response: Callable[[Response], None],
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        self._may_send = may_send
        self._note_response = note_response

    async def post(self, request: Request) -> Response:
        """Send one request if the lease allows it."""
        if not self._may_send():
            return Response(kind="never-sent", error="another attempt may have taken over")
        answer = await super().post(request)
        self._note_response(answer)
        return answer


def _fenced(
    client: Client, *, may_send: Callable[[], bool], note_response: Callable[[Response], None]
) -> Client:
    settings = {name: getattr(client, name) for name in Client.__dataclass_fields__}
    return _FencedClient(**settings, _may_send=may_send, _note_response=note_response)


@contextmanager
def _repeating(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Call a function again and again on a thread, until the block is left."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(seconds):
            do()

    thread = threading.Thread(target=again, name="cio-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
