"""A run: one sending of a plan or a back-fill, and the outcome of every row."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from cio_frames.audit import FAILED, STATES, Audit, AuditWriter, BackgroundWriter, collect_rows
from cio_frames.checks import Checks
from cio_frames.errors import (
    AuditError,
    CioError,
    ConfigError,
    RunError,
    RunInterruptedError,
    RunStoppedError,
)
from cio_frames.frames import ROW, AnyTable
from cio_frames.identity import Settings
from cio_frames.payloads import Segment
from cio_frames.run.counts import RunCounts
from cio_frames.run.job import Job, RowSelection
from cio_frames.run.pace import Pace
from cio_frames.sending import (
    EXITED,
    FAILURE,
    INTERRUPTED,
    BackgroundLoop,
    Client,
    Fact,
    PaceControl,
    RunFinished,
    RunStarted,
    RunStopped,
    StateRepeated,
    StateSentAgain,
    StopSignal,
    send,
)
from cio_frames.sending.events import ARRIVED
from cio_frames.views import html, summary, text
from cio_frames.views.displays import CallbackDisplay, Off, ShowProgress, display
from cio_frames.views.document import EMPTY, Document, Paragraph
from cio_frames.views.progress import Progress
from cio_frames.views.render import bundle
from cio_frames.views.summary import Outcome, ReasonView, RunView
from cio_frames.views.wording import resume_line

if TYPE_CHECKING:  # loaded when they are used
    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo
    from cio_frames.workspaces import Client as ReadingClient

MIN_ELAPSED_S = 0.1
"""The shortest time from which requests per second are computed."""
_INTERNAL = frozenset({"control", "start", "view"})
"""Members for plans and the command line, which completion does not offer."""
OUTAGE = "OUTAGE"
SEE_SUMMARY = "The summary above says why, and how to send the rest."


class ShownRun(ABC):
    """One sending: its display, its summary, and its pace.

    Attributes:
        audit: The run's directory.
    """

    audit: Path
    _client: Client

    def _show_in(
        self, progress: ShowProgress, *, label: str, total: int, plans: int = 1, detached: bool
    ) -> None:
        """Make the display. `detached`: nobody waits for the run, so its buttons can be pressed."""
        self._control = PaceControl()
        shown = display(progress, run=self if detached else None)
        self._is_shown = not isinstance(shown, Off)
        self._is_summed_up = not isinstance(shown, Off | CallbackDisplay)
        self._progress = Progress(
            shown, label=label, total=total, record=str(self.audit), plans=plans,
            limit=self._client.rate,
        )  # fmt: skip

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Rows in each state, and rows, requests, retries and bytes in all."""

    @property
    @abstractmethod
    def elapsed_s(self) -> float:
        """Seconds from the start to the end, or until now."""

    @property
    @abstractmethod
    def stopped(self) -> tuple[str, str] | None:
        """Why the run ended early, as a code and a sentence; None if it did not."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the run to end: requests in flight finish, and no others start."""

    @abstractmethod
    def view(self) -> RunView:
        """Return what the summary shows."""

    @property
    def client(self) -> Client:
        """Where the run sends to."""
        return self._client

    def pause(self) -> None:
        """Start no more requests until `go_on`; those in flight finish."""
        self._control.paused = True
        self._show_pace()

    def go_on(self) -> None:
        """End a pause."""
        self._control.paused = False
        self._show_pace()

    def slow_down(self) -> None:
        """Halve the requests per second, each time it is called."""
        measured = max(self.counts["requests"] / max(self.elapsed_s, MIN_ELAPSED_S), 1.0)
        self._control.slow_down(current=min(measured, self._client.rate or measured))
        self._show_pace()

    @property
    def rate(self) -> float | None:
        """Most requests per second, None for no limit. Set it to go slower or faster.

        It never goes beyond the rate of the client.
        """
        return self._client.rate if self._control.rate is None else self._control.rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        if rate is not None and not rate > 0:
            raise ConfigError(f"rate={rate} is not a number of requests per second greater than 0.")
        self._control.rate = rate
        self._show_pace()

    def _show_pace(self) -> None:
        """Show the pace that was set."""
        rate = self._control.rate
        slow = f"at most {rate:.3g} requests/s" if rate is not None else ""
        self._progress.set_pace(paused=self._control.paused, requested_rate=slow)

    def _note(self) -> str:
        """Return how many rows arrived, and how to finish the run: another program needs the plan."""
        counts = self.counts
        arrived = sum(counts[state] for state in ARRIVED)
        is_left = counts["pending"] or counts["in_doubt"]
        return (
            f"{arrived:,} of {counts['rows']:,} rows arrived; {counts['pending']:,} are pending, "
            f"{counts['in_doubt']:,} in doubt. The record of every row is in {self.audit}."
            + (f" Finish it with\n    {resume_line(str(self.audit))}" if is_left else "")
        )

    def _outcome(self) -> Outcome:
        if self.stopped is None:
            return "finished"
        return "interrupted" if self.stopped[0] == INTERRUPTED else "stopped"

    def _show_summary(self) -> None:
        """Replace the display by the summary, which is built only if the display shows it."""
        if self._is_shown:
            self._progress.finish(self._document() if self._is_summed_up else EMPTY)

    def _document(self) -> Document:
        return summary.document(self.view())

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __repr__(self) -> str:
        if not hasattr(self, "_progress"):  # a traceback shows it before it is made
            return object.__repr__(self)
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        if self._progress.is_in_view:
            line = [Paragraph(summary.line(self.view()), "aside")]
            return {
                "text/plain": text.render_nodes(line),
                "text/html": str(html.render_nodes(line)),
            }
        return bundle(self._document())


class Run(ShownRun):
    """One sending, in a thread of its own. `plan.send` makes it.

    Attributes:
        run_id: Name of the run.
        audit: The run's directory.
    """

    def __init__(
        self,
        job: Job,
        *,
        client: Client,
        writer: AuditWriter,
        selection: RowSelection,
        progress: ShowProgress,
        detached: bool,  # whether nobody waits for it, so that a stop button can be pressed
        clock: Callable[[], datetime],
    ) -> None:
        self._job = job
        self._client = client
        self._writer = writer
        self._selection = selection
        self._clock = clock
        self._detached = detached
        self.run_id: str = writer.run.info.run_id
        self.audit: Path = writer.directory
        self._counts = RunCounts(rows=sum(job.rows), untouched=selection.untouched)
        self._pace = Pace()
        self._stop = StopSignal()
        self._background_writer = BackgroundWriter(writer)
        self._started = self._ended = clock()
        self._is_over = False
        self._repeated = self._sent_again = 0
        self._worker = BackgroundLoop(
            self._main, stop=self._stop, name=str(self.audit), unfinished=self._unfinished
        )
        self._show_in(
            progress, label=job.label, plans=len(job.calls), detached=detached,
            total=sum(job.rows) - sum(selection.untouched.values()),
        )  # fmt: skip

    def start(self) -> Self:
        """Begin to send. Returns at once.

        Raises:
            RunError: No thread can be started: the interpreter exits, or has too many. Nothing was
                sent.
        """
        try:
            if self._is_shown:
                self._progress.start()
            self._background_writer.start()
            self._worker.start()
        except RuntimeError as error:
            self._background_writer.end()
            self._fail()
            self._writer.close()
            raise RunError(
                f"No thread could be started: {error}. Nothing was sent.", run=self
            ) from None
        return self

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._worker.done

    @property
    def counts(self) -> dict[str, int]:
        """Rows in each state, and rows, requests, retries and bytes in all."""
        return self._counts.counts()

    @property
    def control(self) -> PaceControl:
        """The controls that change the pace of the run."""
        return self._control

    @property
    def stopped(self) -> tuple[str, str] | None:
        """Why the run ended early, as a code and a sentence; None if it did not."""
        return self._counts.stopped

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is worth knowing about the run, in sentences."""
        return (*self._job.notes, *self._counts.notes)

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start to the end, or until now."""
        end = self._ended if self._is_over or self.done else self._clock()
        return (end - self._started).total_seconds()

    def failed(self, *, plan: int = 0) -> Any:
        """Return the rows that may not have arrived, with all their columns.

        Args:
            plan: Position of the plan in a back-fill, from 0: each plan has columns of its own.

        Returns:
            A frame of the user's library: all columns of the rows, plus row (its number, as
            `explain` takes it), state, code and error.
        """
        messages = Audit(self.audit).messages.filter(
            pl.col("state").is_in(FAILED), pl.col("plan") == plan
        )
        lost = messages.sort("row")
        extra = lost.select(pl.col("row").alias(ROW), "row", "state", "code", "error")
        return self._job.tables[plan].pick(lost["row"], extra)

    def reconcile(
        self,
        held: "AnyTable | ReadingClient | None" = None,
        *,
        before: "AnyTable | None" = None,
        settings: "Settings | None" = None,
        events: int = 300,
        seed: int | None = None,
        progress: ShowProgress = "auto",
    ) -> "Reconciliation":
        """Compare what the workspace holds now with what this run should have left there.

        People are compared attribute by attribute, after Customer.io's conversions; only what the run
        wrote counts. A sample of the events of the last 30 days is looked up. The result is kept with
        the record of the run.

        Args:
            held: A client with an App API key, which reads the workspace, or an export of its people
                as a table; the client of the run if not given.
            before: An export of the people from before the run, such as the `known=` of the preview.
                Without it, people who were there already are compared as if the run had created them.
            settings: How the workspace is set up, as for `plan.identity`.
            events: How many events are looked up, ten each second.
            seed: The seed of the sample; the report names it.
            progress: As for `plan.send`.

        Raises:
            MissingKeyError: The client has no App API key.
            WorkspaceReadError: The people cannot be read.
            AuditError: The record cannot be read, or the plans have changed since.

        Examples:
            >>> import polars as pl, cio_frames as cio, tempfile
            >>> plan = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "free"]}).cio.identify(user_id="id")
            >>> with cio.sandbox() as workspace, tempfile.TemporaryDirectory() as folder:
            ...     run = plan.send(workspace.client(), audit=folder, progress=False)
            ...     result = run.reconcile(progress=False)
            >>> result.is_as_expected, result.counts["as_expected"]
            (True, 6)
        """
        if self._job.follow_up is None:
            raise RunError("This run has no plan that could be compared.", run=self)
        return self._job.follow_up.reconcile(
            self.audit, self._client if held is None else held, before=before, settings=settings,
            events=events, seed=seed, progress=progress,
        )  # fmt: skip

    def undo(
        self,
        known: AnyTable | None = None,
        *,
        objects: AnyTable | None = None,
        relationships: AnyTable | None = None,
        current: AnyTable | Client | None = None,
        settings: Settings | None = None,
        checks: Checks | None = None,
    ) -> "Undo[Any]":
        """Return the undo of this run: a back-fill that restores the workspace, and what it cannot undo.

        Nothing is sent: `.plan` is checked, previewed, saved and sent like any back-fill. Former
        attribute values are restored and new ones cleared; people and objects that the run has created are
        deleted, those that it has deleted are created again, and relationships are removed or restored.

        Args:
            known: The people as they were before the run: an export with their attributes. It must have
                all people of the workspace: others count as created by the run. A run that was sent
                with `keep_undo=True` has kept the people that it needs.
            objects: The objects as they were: columns object_type_id, object_id and attributes, as
                JSON. Without it, objects are left as they are.
            relationships: Who was related to which object: columns object_type_id, object_id, id or
                email, and attributes, as JSON. Without it, relationships are left as they are.
            current: A new export, or a client that reads the workspace: what others have changed
                since the run is kept. Without it, their changes are overwritten.
            settings: How the workspace is set up; a new one without.
            checks: Which checks apply to the undo; without, sensitive columns that the run was
                allowed to send may be restored.

        Raises:
            AuditError: The run is not over, or its record cannot be read.
            MappingError: `known` is missing, is a client, or has no column of identifiers.
        """
        if not self.done:
            raise AuditError("The run is not over. Undo it after run.wait(), or after run.stop().")
        if self._job.follow_up is None:
            raise AuditError(f"Pass the plan: cio.undo({str(self.audit)!r}, known=..., plan=plan).")
        return self._job.follow_up.undo(
            self.audit, known, objects=objects, relationships=relationships, current=current,
            settings=settings, checks=checks,
        )  # fmt: skip

    def stop(self) -> None:
        """Ask the run to end: requests in flight finish, and no others start."""
        self._stop.drain()

    def wait(self) -> Self:
        """Wait until the run is over.

        The first interrupt lets requests in flight finish, the second leaves them in doubt.

        Raises:
            RunStoppedError: The answers forbid going on. Its `run` has the outcome of each row.
            RunInterruptedError: An outage lasted longer than the run waits.
            KeyboardInterrupt: The user interrupted; the rows that were sent are recorded.
        """
        interrupt: KeyboardInterrupt | None = None
        while not self._worker.done:
            try:
                self._worker.wait()
            except KeyboardInterrupt as error:
                self._request_stop(abandon=interrupt is not None)
                interrupt = error
        return self._finish(interrupt)

    def __await__(self) -> Generator[Any, None, Self]:
        return self._await_end().__await__()

    async def _await_end(self) -> Self:
        cancelled: asyncio.CancelledError | None = None
        while not self._worker.done:
            try:
                await self._worker.wait_async()
            except asyncio.CancelledError as error:
                self._request_stop(abandon=cancelled is not None)
                cancelled = error
        return self._finish(cancelled)

    def _request_stop(self, *, abandon: bool) -> None:
        if abandon:
            self._stop.abandon()
        else:
            self._stop.drain()

    def _finish(self, interrupt: BaseException | None) -> Self:
        self._show_summary()
        if isinstance(interrupt, KeyboardInterrupt):
            self._worker.dismiss()  # the error that cancels a task is seldom shown
        if interrupt is not None:
            interrupt.add_note(self._note())
            interrupt.run = self  # type: ignore[attr-defined]
            raise interrupt
        try:
            self._worker.result()
        except CioError as error:
            error.run = self  # type: ignore[attr-defined]
            raise
        self._counts.require_balance(complete=self.stopped is None)
        if self.stopped and self.stopped[0] != INTERRUPTED:
            kind = RunInterruptedError if self.stopped[0] == OUTAGE else RunStoppedError
            message = f"{self.stopped[1]} {self._note()}"
            if self._is_summed_up and self._progress.is_read:
                message = f"The run stopped early ({self.stopped[0]}). {SEE_SUMMARY}"
            raise kind(message, run=self)
        return self

    def _unfinished(self) -> str:
        """Return what is not done yet, for a message when the interpreter exits."""
        counts, error = self.counts, self._worker.error
        if not (counts["pending"] or counts["in_doubt"] or error):
            return ""
        why = self.stopped[1] if self.stopped else EXITED
        return f"{error if isinstance(error, CioError) else why} {self._note()}"

    async def _main(self) -> None:
        self._started = self._clock()
        try:
            with self._writer:
                try:
                    await self._send()
                except Exception:
                    self._fail()
                    raise
            self._counts.recorded(self._writer.run.counts)
        finally:
            self._is_over = True
            if self._detached:
                with suppress(CioError):  # `wait` raises it again
                    self._show_summary()

    async def _send(self) -> None:
        async with self._background_writer:
            self._notify(RunStarted(run_id=self.run_id, at=self._started))
            with closing(self._segments()) as segments:
                await send(
                    segments,
                    client=self._client,
                    listener=self._notify,
                    stop=self._stop,
                    control=self._control,
                    blocked=self._selection.blocked,
                )
            if self._repeated:
                self._notify(StateRepeated(rows=self._repeated))
            if self._sent_again:
                self._notify(StateSentAgain(rows=self._sent_again))
            self._ended = self._clock()
            self._notify(RunFinished(at=self._ended))

    def _fail(self) -> None:
        """Record why the run ended, if that is possible and not done yet."""
        if self.stopped is None:
            fact = RunStopped(code=FAILURE.code, reason=FAILURE.reason, at=self._clock())
            self._counts(fact)
            with suppress(AuditError):
                self._writer(fact)

    def _segments(self) -> Generator[Segment]:
        """Yield the segments, and count rows whose repeat can replace newer attributes."""
        with closing(self._job.segments(self._selection)) as segments:
            for segment in segments:
                self._repeated += self._selection.repeated(segment.rows)
                self._sent_again += self._selection.sent_again(segment.rows)
                self._writer.prepare(segment)
                yield segment

    def _notify(self, fact: Fact) -> Awaitable[None] | None:
        """Pass a fact to all listeners, the record first: an attempt waits until it is written."""
        written = self._background_writer(fact)
        self._counts(fact)
        self._pace(fact)
        if self._is_shown:
            self._progress(fact)
        return written

    def view(self) -> RunView:
        """Return what the summary shows."""
        counts, pace = self.counts, self._pace.view()
        is_over = self._is_over or self.done
        return RunView(
            run_id=self.run_id,
            call=self._job.label,
            host=self._client.endpoint,
            outcome=self._outcome() if is_over else "running",
            reason=self.stopped[1] if self.stopped else "",
            counts={state: counts[state] for state in STATES},
            requests=counts["requests"],
            retries=counts["retries"],
            bytes=counts["bytes"],
            elapsed_s=self.elapsed_s,
            audit=str(self.audit),
            reasons=self._reasons_or_error() if is_over else (),
            pace=pace if pace and pace.is_long else None,
            notes=self.notes,
            plans=len(self._job.calls),
        )

    def _reasons_or_error(self) -> tuple[ReasonView, ...]:
        """Return why rows did not arrive, or why the record cannot be read: a summary is always drawn."""
        try:
            return tuple(self._reasons())
        except (AuditError, OSError) as error:
            lost = sum(self.counts[state] for state in FAILED)
            return (ReasonView(code="", rows=lost, sentence=str(error)),) if lost else ()

    def _reasons(self) -> Iterator[ReasonView]:
        failed = Audit(self.audit).scan().filter(pl.col("state").is_in(FAILED))
        by_code = failed.group_by("code").agg(pl.len().alias("rows"), pl.col("error").first())
        reasons = collect_rows(by_code, self.audit).sort("code", nulls_last=True)
        for row in reasons.iter_rows(named=True):
            yield ReasonView(code=row["code"] or "", rows=row["rows"], sentence=row["error"] or "")
