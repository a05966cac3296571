"""A run on Spark: one job whose tasks send, while the driver divides the limit and keeps the record."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

import msgspec

from cio_frames.audit import FAILED, STATES, pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, write_atomic
from cio_frames.audit.object_store import file_system_at, remove_all
from cio_frames.audit.run_file import RunFile, State
from cio_frames.clock import utc_now
from cio_frames.config import MaskedText
from cio_frames.errors import (
    ArgumentError,
    AuditError,
    AuditLockedError,
    CioError,
    RunError,
    RunInterruptedError,
    RunStoppedError,
)
from cio_frames.frames import ROW
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.past_runs import NOT_OFFERED
from cio_frames.plan.pipeline import Pipeline
from cio_frames.run import SendOptions
from cio_frames.run.run import OUTAGE, ShownRun
from cio_frames.run.start import SPARK, new_info, with_allowances
from cio_frames.sending import FAILURE, INTERRUPTED, RunStopped, Totals
from cio_frames.sending.run_controls import STOPPED_BY_USER
from cio_frames.spark.attempt import NOTE_SEPARATOR, RESULT_SCHEMA, Work, deliver
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.earlier import STATES_SENT, earlier_runs, spark_path, with_earlier
from cio_frames.spark.lease import DIRECTORY, LEASE_S, Claim, Lease, Renewal, read_claims
from cio_frames.spark.rate import DIVIDED, PACE_FILE, PAUSED_S, Division, Pace, Share
from cio_frames.spark.reading import FINDINGS, PlanSettings
from cio_frames.spark.record import SparkRecord, is_incomplete
from cio_frames.spark.table import SparkTable
from cio_frames.validation import BLOCKING
from cio_frames.views.summary import ReasonView, RunView
from cio_frames.workspaces.client import Client

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TASK_ROWS = 250_000
"""The most rows of a partition, unless one person has more: a repeated attempt reads this many again."""

STOP_S = 30.0
"""How long a stopped run waits for requests in flight before Spark ends its tasks."""

DRIVER = "driver"
"""The scope of the claim of the driver."""

ENDED = "The run has ended."
"""The reason to stop for tasks that are still running, or are started, after the record has ended."""

FENCED = (
    "Spark may start a task twice (spark.speculation is on). The second attempt waited until the first "
    "one had ended or was dead, so no two sent the same rows at the same time."
)


class SendablePlan(Protocol):
    """What a run needs of a plan."""

    @property
    def table(self) -> SparkTable:
        """The rows."""

    @property
    def pipeline(self) -> Pipeline:
        """Makes messages from rows; its table has the first rows."""


class OrderRows(Protocol):
    """Puts rows into the partitions in which they are sent."""

    def __call__(self, table: SparkTable, pipeline: Pipeline, *, partitions: int) -> "DataFrame":
        """Return the rows, those of a person in one partition and in the order of sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkOptions:
    """How the work of a run is divided.

    Attributes:
        partitions: How many tasks; by default it depends on rows and slots.
        slots: The most tasks that can run at once; by default as Spark reports.
        lease_s: After this many seconds without a renewal an attempt counts as dead.
        in_order: Puts rows into partitions.
        findings: The findings of the whole table, as a Spark frame with `row` and the columns of findings.
    """

    partitions: int | None = None
    slots: int | None = None
    lease_s: float = LEASE_S
    in_order: OrderRows
    findings: "DataFrame | None" = None


def start(
    plan: SendablePlan, client: Client, *, options: SendOptions, spark: SparkOptions
) -> "SparkRun":
    """Start a run: its record, and a job on its own thread.

    Raises:
        AuditError: An earlier run in this directory sent the same table, or the record cannot be kept.
    """
    disk, place = file_system_at(options.audit, durability=options.durability)
    pipeline, table = plan.pipeline, plan.table
    slots = spark.slots or _slots(table.frame.sparkSession)
    number = spark.partitions or max(1, min(2 * slots, table.rows), -(-table.rows // TASK_ROWS))
    info = new_info(
        client,
        at=utc_now(),
        namespace=pipeline.namespace,
        repeat=options.repeat,
        limits={"message_bytes": pipeline.message_bytes, "batch_bytes": pipeline.batch_bytes},
        mapping={f"0 {pipeline.call}": pipeline.mapping.describe()},
        decisions=with_allowances(
            {
                f"0 {pipeline.call}": pipeline.decisions,
                SPARK: {"partitions": number, "order_by": list(table.order_by)},
            },
            options.allow,
        ),
        fingerprint=pipeline.before_send.fingerprint,
        rows=table.rows,
        plans=((pipeline.call, table.rows),),
        pii=options.pii,
    )
    key = pseudonyms.key() if options.pii != "full" else None
    notes = (DIVIDED, *((FENCED,) if _speculates(table.frame.sparkSession) else ()))
    earlier = _earlier(place, plan, client, run_id=info.run_id, repeat=options.repeat)
    disk.make(place, shared=True)
    record = SparkRecord.begin(
        disk, place / info.run_id, info, durability=options.durability, key=key, notes=notes
    )
    work = _work(plan, client, record, options=options, spark=spark, key=key)
    return SparkRun(
        plan, client=client, record=record, options=options, spark=spark, work=work, earlier=earlier
    ).start()


def resume(
    directory: Path | str,
    plan: SendablePlan,
    client: Client,
    *,
    options: SendOptions,
    spark: SparkOptions,
) -> "SparkRun":
    """Finish a run; if it left nothing, nothing is sent.

    Raises:
        AuditError: The plan or the workspace is not that of the run.
        AuditLockedError: The driver of the run is still running.
    """
    disk, place = file_system_at(directory, durability=options.durability)
    run = run_file.read(disk, place)
    if SPARK not in run.info.decisions:
        raise AuditError(
            f"{place} is the record of a run that was not made on Spark. Resume it with the plan that "
            "it was made from."
        )
    _require_same(plan, client, run)
    key = pseudonyms.require_key(run.key_name, where=place) if run.key_name else None
    earlier = _earlier(place.parent, plan, client, run_id=run.info.run_id, repeat=run.info.repeat)
    driver_lease = _driver_lease(disk, place, spark.lease_s)
    record = SparkRecord.reopen(disk, place)
    work = _work(plan, client, record, options=options, spark=spark, key=key)
    return SparkRun(
        plan, client=client, record=record, options=options, spark=spark, work=work, earlier=earlier,
        driver_lease=driver_lease, is_incomplete=is_incomplete(run),
    ).start()  # fmt: skip


def _work(
    plan: SendablePlan,
    client: Client,
    record: SparkRecord,
    *,
    options: SendOptions,
    spark: SparkOptions,
    key: str | None,
) -> Work:
    """Return what attempts get."""
    return Work(
        directory=str(record.directory),
        info=record.run.info,
        plan=PlanSettings.of(plan.pipeline),
        client=client.settings(),
        key=MaskedText(key) if key else None,
        in_doubt=options.in_doubt,
        durability=options.durability,
        slots=spark.slots or _slots(plan.table.frame.sparkSession),
        lease_s=spark.lease_s,
    )


def _earlier(
    audit: Path, plan: SendablePlan, client: Client, *, run_id: str, repeat: bool
) -> list[tuple[Path, RunFile]]:
    """Return the runs whose deliveries are not sent again."""
    if repeat:
        return []
    disk, _ = file_system_at(audit)
    return earlier_runs(
        disk, audit, workspaces=client.workspaces, call=plan.pipeline.call, before=run_id
    )


def _driver_lease(disk: FileSystem, place: Path, lease_s: float) -> Lease:
    """Return the lease of the driver, once no other driver can be running.

    Raises:
        AuditLockedError: Another one is.
    """
    lease = Lease(disk, place, scope=DRIVER, lease_s=lease_s)
    ends_at = time.monotonic() + 2 * lease_s
    if not lease.acquire(still_wanted=lambda: time.monotonic() < ends_at):
        raise AuditLockedError(
            f"The run in {place} is being sent by another driver. Stop that one, or wait for its end."
        )
    return lease


def _require_same(plan: SendablePlan, client: Client, run: RunFile) -> None:
    info, used, now = run.info, run.versions.get("polars"), run_file.installed_versions()["polars"]
    if used != now:  # identifiers get other numbers, and rows other partitions
        raise AuditError(
            f"This run was started with polars {used}, not with {now}. Install that version on the driver "
            "and on all executors, then resume."
        )
    given = ((plan.pipeline.call, plan.table.rows),)
    if given != info.plans:
        (call, rows), (other, count) = info.plans[0], given[0]
        raise AuditError(
            f"This run was started with {rows:,} rows for {call}, not with {count:,} for {other}. Pass "
            "the original plan."
        )
    if info.fingerprint != plan.pipeline.before_send.fingerprint:
        raise AuditError(
            "The rows are not those that this run was started with, or Spark gives them in another order now. Pass "
            "the same table; if its order is not certain, start with cio.frame(df, order_by=...)."
        )
    if any(info.workspaces.get(api, name) != name for api, name in client.workspaces.items()):
        raise AuditError(
            "This client sends to a different workspace than the run, or uses another key. Connect "
            "with the key of that workspace."
        )


@dataclass(slots=True)
class _AttemptReports:
    """The counts of the latest attempt of each partition, and why the first one stopped early."""

    counts: dict[str, tuple[Claim, dict[str, int]]] = field(default_factory=dict)
    stopped: tuple[str, str] | None = None

    def add(self, scope: str, claim: Claim, renewal: Renewal) -> None:
        """Add what an attempt wrote."""
        latest = self.counts.get(scope)
        if renewal.counts and (latest is None or claim >= latest[0]):
            self.counts[scope] = claim, renewal.counts
        if renewal.stopped is not None and renewal.stopped[0] != INTERRUPTED:
            self.stopped = self.stopped or renewal.stopped

    def totals(self, *, rows: int) -> dict[str, int]:
        """Return the sums over all partitions; rows that no attempt reached are pending."""
        sums = dict.fromkeys((*STATES, "requests", "retries", "bytes"), 0)
        for _, counts in self.counts.values():
            for name in sums:
                sums[name] += counts.get(name, 0)
        reached = sum(sums[state] for state in STATES if state != "pending")
        return {"rows": rows, **sums, "pending": rows - reached}


class SparkRun(ShownRun):
    """A run on Spark, returned by `plan.send`. It sends in the background.

    Attributes:
        run_id: Name of the run.
        audit: The run's directory.
    """

    def __init__(
        self,
        plan: SendablePlan,
        *,
        client: Client,
        record: SparkRecord,
        options: SendOptions,
        spark: SparkOptions,
        work: Work,
        earlier: Sequence[tuple[Path, RunFile]],
        driver_lease: Lease | None = None,
        is_incomplete: bool = True,
    ) -> None:
        self._plan = plan
        self._is_incomplete = is_incomplete
        self._client = client
        self._record = record
        self._options, self._spark, self._work, self._earlier = options, spark, work, earlier
        self._volatile_disk, _ = file_system_at(record.directory, durability="process")
        self.run_id: str = record.run.info.run_id
        self.audit: Path = record.directory
        self._driver_lease = driver_lease or Lease(
            self._volatile_disk, self.audit, scope=DRIVER, lease_s=spark.lease_s
        )
        self._division = Division(
            rate=client.request_rate(plan.pipeline.mapping.call.api.name),
            concurrency=client.concurrency,
            now=time.monotonic(),
        )
        self._reports = _AttemptReports()
        self._lock = threading.Lock()
        self._stop = ""
        self._stopped: tuple[str, str] | None = None
        self._error: BaseException | None = None
        self._final: dict[str, int] | None = None
        self._notes = record.run.notes
        if earlier and plan.pipeline.mapping.call.sets_state:
            self._notes = (*self._notes, STATES_SENT)
        self._over = threading.Event()
        self._started = self._ended = utc_now()
        self._show_in(
            options.progress, label=plan.pipeline.call, total=self._rows, detached=not options.wait
        )

    def start(self) -> Self:
        """Start to send, and return at once."""
        if self._is_shown:
            self._progress.start()
        threading.Thread(target=self._main, name="cio-spark", daemon=True).start()
        return self

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._over.is_set()

    @property
    def counts(self) -> dict[str, int]:
        """Rows in each state, and rows, requests, retries and bytes in all."""
        if self._final is not None:
            return self._final
        with self._lock:
            return self._reports.totals(rows=self._rows)

    @property
    def stopped(self) -> tuple[str, str] | None:
        """Why the run ended early, as a code and a sentence; None if it did not."""
        return self._stopped

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the run as a whole."""
        return self._notes

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start to the end, or until now."""
        return ((self._ended if self.done else utc_now()) - self._started).total_seconds()

    @property
    def _rows(self) -> int:
        return self._record.run.info.rows or 0

    def failed(self) -> "DataFrame":
        """Return the rows that Customer.io is not known to have.

        Returns:
            A Spark frame: all columns of the rows, plus row, state, code and error. A name that the
            table already has gets a trailing underscore.
        """
        table = self._plan.table
        states = ", ".join(f"'{state}'" for state in FAILED)
        failures = (
            table.frame.sparkSession.read.parquet(spark_path(self.audit / "parts"))
            .where(f"state IN ({states})")
            .selectExpr(f"row AS `{ROW}`", "row", "state", "code", "error")
        )
        return table.matching(failures)

    def reconcile(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: it needs the messages of the run, which only executors have."""
        raise ArgumentError(NOT_OFFERED.format("compared with what the workspace holds"))

    def undo(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, for the same reason."""
        raise ArgumentError(NOT_OFFERED.format("undone"))

    def stop(self) -> None:
        """Ask the run to end: requests in flight are finished, nothing else is started."""
        self._stop = self._stop or STOPPED_BY_USER
        threading.Thread(target=self._cancel_after_wait, name="cio-stop", daemon=True).start()

    def wait(self) -> Self:
        """Wait until the run is over.

        Raises:
            RunStoppedError: The answers forbid going on. Its `run` has the state of each row.
            RunInterruptedError: An outage lasted longer than the run waits.
            RunError: Spark could not finish the job.
            KeyboardInterrupt: The user interrupted; the rows that were sent are recorded.
        """
        interrupt: KeyboardInterrupt | None = None
        while not self._over.is_set():
            try:
                self._over.wait(0.1)
            except KeyboardInterrupt as error:
                self.stop()
                if interrupt is not None:
                    self._cancel()
                interrupt = error
        self._show_summary()
        if interrupt is not None:
            interrupt.add_note(self._note())
            raise interrupt
        if self._error is not None:
            raise self._as_run_error(self._error)
        if self._stopped is not None and self._stopped[0] != INTERRUPTED:
            kind = RunInterruptedError if self._stopped[0] == OUTAGE else RunStoppedError
            raise kind(f"{self._stopped[1]} {self._note()}", run=self)
        return self

    def _as_run_error(self, error: BaseException) -> BaseException:
        if isinstance(error, CioError):
            return error
        sentence = f"Spark could not finish the job ({type(error).__name__}). {self._note()}"
        run_error = RunError(sentence, run=self)
        run_error.__cause__ = error
        return run_error

    def _main(self) -> None:
        try:
            if self._is_incomplete:
                self._send()
            else:
                self._final = dict(self._record.run.counts)
        except BaseException as error:  # noqa: BLE001 - wait() raises it again
            self._error = self._error or error
        finally:
            self._ended = utc_now()
            self._record.close()
            self._driver_lease.end()
            self._over.set()
            if not self._options.wait:
                with suppress(CioError):
                    self._show_summary()

    def _send(self) -> None:
        self._driver_lease.acquire()
        over = threading.Event()
        monitor = threading.Thread(target=self._watch, args=(over,), name="cio-pace", daemon=True)
        self._exchange()
        monitor.start()
        try:
            results = self._run_job()
        except Exception as error:  # noqa: BLE001 - wait() raises it, once the record has ended
            self._error, results = error, []
            self._stop = self._stop or FAILURE.reason
            self._cancel()
        self._wait_for_attempts()
        over.set()
        monitor.join()
        self._exchange()
        self._conclude(results)

    def _run_job(self) -> Sequence[Any]:
        """Run the job, and return the results of its tasks."""
        table, spark = self._plan.table, self._spark
        session = table.frame.sparkSession
        self._tag(session)
        if self._earlier:
            table = with_earlier(table, self._work.plan, self._earlier, key=self._work.key)
        table = _with_findings(table, spark.findings)
        number = self._record.run.info.decisions[SPARK]["partitions"]
        frame = spark.in_order(table, self._plan.pipeline, partitions=number)
        results = map_chunks(
            frame, partial(deliver, work=self._work), schema=RESULT_SCHEMA,
            rows=rows_at_once(table.sample),
        )  # fmt: skip
        return results.collect()

    def _conclude(self, results: Sequence[Any]) -> None:
        """Merge the records of attempts, and end the record of the run."""
        reasons = ((row["code"], row["reason"]) for row in results if row["code"])
        stops = (reason for reason in reasons if reason[0] != INTERRUPTED)
        self._stopped = next(stops, None) or self._reports.stopped
        if self._stopped is None and self._stop:
            code = INTERRUPTED if self._error is None else FAILURE.code
            self._stopped = code, self._stop
        texts = [text for row in results for text in (row["notes"] or "").split(NOTE_SEPARATOR)]
        self._notes = tuple(dict.fromkeys([*self._notes, *filter(None, texts)]))
        stopped = None
        if self._stopped is not None:
            stopped = RunStopped(code=self._stopped[0], reason=self._stopped[1], at=utc_now())
        state: State = "finished" if stopped is None else "stopped"
        ended = Pace(counter=0, stop=ENDED)
        write_atomic(self._volatile_disk, self.audit / PACE_FILE, msgspec.json.encode(ended))
        self._final = self._record.commit(state=state, stopped=stopped, notes=self._notes)
        remove_all(self._volatile_disk, self.audit / DIRECTORY)
        if self._is_shown:
            self._progress.add_up(self._totals(self._final))

    def _watch(self, over: threading.Event) -> None:
        """Read the claims of attempts and write their shares, until the run is over."""
        while not over.wait(self._driver_lease.renew_s):
            with suppress(OSError):
                self._exchange()

    def _exchange(self) -> None:
        if not self._driver_lease.renew():
            self._stop = self._stop or "Another driver has taken over the run."
        renewals = self._renewals()
        with self._lock:
            for name, renewal in renewals.items():
                scope, _, claim = name.partition("-")
                self._reports.add(scope, Claim.named(claim), renewal)
            stop = self._stop or (self._reports.stopped[1] if self._reports.stopped else "")
        pace = self._division.pace(renewals, now=time.monotonic(), stop=stop)
        pace = self._with_user_limits(pace)
        write_atomic(self._volatile_disk, self.audit / PACE_FILE, msgspec.json.encode(pace))
        for name, renewal in renewals.items():
            if renewal.ended:
                self._volatile_disk.remove(self.audit / DIRECTORY / name)
        if self._is_shown:
            self._progress.add_up(self._totals(self.counts))

    def _renewals(self) -> dict[str, Renewal]:
        """Return what the attempts wrote last, by the names of their claims."""
        claims = read_claims(
            self._volatile_disk, self.audit / DIRECTORY, where=lambda scope: scope != DRIVER
        )
        return {f"{scope}-{claim.name}": renewal for (scope, claim), renewal in claims.items()}

    def _with_user_limits(self, pace: Pace) -> Pace:
        """Return what is written for attempts, with the limits that the user has set."""
        control = self._control
        if control.paused:
            return msgspec.structs.replace(pace, pause_s=PAUSED_S)
        if control.rate is None:
            return pace
        most = control.rate / max(1, len(pace.shares))
        shares = {
            name: Share(most if each.rate is None else min(each.rate, most), each.concurrency)
            for name, each in pace.shares.items()
        }
        return msgspec.structs.replace(pace, shares=shares)

    def _wait_for_attempts(self) -> None:
        """Wait until no attempt can send any more: all have ended, or their leases have expired."""
        since: dict[str, tuple[int, float]] = {}
        while True:
            now, renewals = time.monotonic(), self._renewals()
            latest: dict[str, str] = {}
            for name in sorted(renewals):
                latest[name.partition("-")[0]] = name
            open_ = {name for name in latest.values() if not renewals[name].ended}
            if self._error is None:
                open_ = {name for name in open_ if not self._is_superseded(name)}
            since = {
                name: since[name]
                if name in since and since[name][0] == renewals[name].counter
                else (renewals[name].counter, now)
                for name in open_
            }
            if all(now - at >= self._spark.lease_s for _, at in since.values()):
                return
            time.sleep(self._driver_lease.renew_s)

    def _is_superseded(self, name: str) -> bool:
        """Return whether a later attempt at the same partition has reported counts."""
        scope, _, claim = name.partition("-")
        with self._lock:
            latest = self._reports.counts.get(scope)
        return latest is not None and latest[0] > Claim.named(claim)

    def _totals(self, counts: dict[str, int]) -> Totals:
        reached = {state: counts[state] for state in STATES if state != "pending"}
        return Totals(
            counts=reached, planned=sum(reached.values()), requests=counts["requests"],
            retries=counts["retries"], bytes=counts["bytes"],
            stopped=self._stop or (self._stopped[1] if self._stopped else ""),
            stop_code=self._stopped[0] if self._stopped else "", notes=self._notes,
        )  # fmt: skip

    def _tag(self, session: "SparkSession") -> None:
        """Give the job the name by which it is cancelled."""
        if _is_connect(session):
            session.addTag(self.run_id)
        else:
            about = f"cio_frames sends {self._plan.pipeline.call}: {self.run_id}"
            session.sparkContext.setJobGroup(self.run_id, about, interruptOnCancel=True)

    def _cancel(self) -> None:
        """Have Spark end the tasks."""
        session = self._plan.table.frame.sparkSession
        with suppress(Exception):  # the session may be gone
            if _is_connect(session):
                session.interruptTag(self.run_id)
            else:
                session.sparkContext.cancelJobGroup(self.run_id)

    def _cancel_after_wait(self) -> None:
        if not self._over.wait(STOP_S):
            self._cancel()

    def view(self) -> RunView:
        """Return what the summary shows."""
        counts = self.counts
        return RunView(
            run_id=self.run_id,
            call=self._plan.pipeline.call,
            host=self._client.endpoint,
            outcome=self._outcome() if self.done else "running",
            reason=self._stopped[1] if self._stopped else "",
            counts={state: counts[state] for state in STATES},
            requests=counts["requests"],
            retries=counts["retries"],
            bytes=counts["bytes"],
            elapsed_s=self.elapsed_s,
            audit=str(self.audit),
            reasons=self._reasons() if self.done else (),
            notes=self.notes,
        )

    def _reasons(self) -> tuple[ReasonView, ...]:
        """Return why rows did not arrive, or why that cannot be read."""
        failed = sum(self.counts[state] for state in FAILED)
        if not failed:
            return ()
        try:
            failures = self._record.failures()
        except (AuditError, OSError) as error:
            return (ReasonView(code="", rows=failed, sentence=str(error)),)
        return tuple(
            ReasonView(code=code or "", rows=rows, sentence=error or "")
            for code, rows, error in failures.rows()
        )


def _with_findings(table: SparkTable, findings: "DataFrame | None") -> SparkTable:
    """Return the table with a column of the findings of the whole table about each row."""
    if findings is None:
        return table
    severities = ", ".join(f"'{severity}'" for severity in BLOCKING)
    each = findings.where(f"row IS NOT NULL AND severity IN ({severities})").selectExpr(
        f"row AS `{ROW}`", "struct(code, severity, column, value, message, hint) AS finding"
    )
    of_row = each.groupBy(ROW).agg({"finding": "collect_list"}).toDF(ROW, FINDINGS)
    return table.with_rows(table.frame.join(of_row, ROW, "left"))


def _is_connect(session: Any) -> bool:
    return "connect" in type(session).__module__


def _slots(session: Any) -> int:
    """Return the most tasks that can run at once."""
    if _is_connect(session):
        return int(session.conf.get("spark.default.parallelism", "0") or 0) or 64
    return int(session.sparkContext.defaultParallelism)


def _speculates(session: Any) -> bool:
    return str(session.conf.get("spark.speculation", "false")).lower() == "true"
