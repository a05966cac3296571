"""T2 and T3: histories of engine and record in virtual time; each step checks every invariant."""

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import hypothesis.strategies as st
import polars as pl
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import cio_frames as cio
from cio_frames.audit import AuditWriter, RunInfo, recover
from cio_frames.errors import AuditError, AuditLockedError
from cio_frames.run import RowSelection
from cio_frames.run.start import blocked_people, blocking_rows
from cio_frames.sending import RunFinished, RunStarted, StopSignal, send
from cio_frames.sending.retry_policy import RetryLimits
from torture.checker import ARRIVALS, Verdict, check
from torture.harness import Line, TortureError
from torture.inputs import Workload, random_rows
from torture.virtual_time import EPOCH, OUTCOMES, Crash, FailingDisk, FakeHost, clock, run_virtually

ROWS = 36
BAD_ROW = 5
RUN_ID = "20260601T000000000Z-abcdef"
FINAL_STATES = ("delivered", "rejected_server", "rejected_local")
EVENTS: Counter[str] = Counter()
"""What happened in the histories so far, to notice histories in which nothing happens."""


class SendingMachine(RuleBasedStateMachine):
    """One run sent by many processes: each finishes, crashes, is interrupted or fills the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.clock_offset = timedelta()
        self.final_states: dict[tuple[int, int], str] = {}
        self.is_checked = True

    @initialize(number=st.integers(0, 9), poison=st.sets(st.integers(0, ROWS - 1), max_size=3))
    def begin(self, number: int, poison: set[int]) -> None:
        """Make a table with a few bad rows."""
        frame = random_rows(ROWS, people=8, seed=number, parts=3, poison=poison)
        self.workload = Workload(frame=frame, batch_bytes=900, parts=3, poison=poison)
        self.host = FakeHost(poison=frozenset(poison))

    @rule(
        outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=12),
        crash_at=st.one_of(st.just(0), st.integers(1, 120)),
    )
    def crash_or_finish(self, outcomes: list[str], crash_at: int) -> None:
        """Send the remaining rows until all are sent or the process crashes at some operation."""
        has_crashed = self._send(outcomes, FailingDisk(crash_at, Crash()))
        EVENTS["crash" if has_crashed else "end"] += 1

    @rule(outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=6), full_at=st.integers(1, 60))
    def run_out_of_space(self, outcomes: list[str], full_at: int) -> None:
        """Send the remaining rows while the disk becomes full."""
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        EVENTS["disk full"] += self._send(outcomes, FailingDisk(full_at, full))

    @rule(
        outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=6),
        after=st.integers(1, 8),
        at_once=st.booleans(),
    )
    def interrupt(self, outcomes: list[str], after: int, at_once: bool) -> None:  # noqa: FBT001
        """Send the remaining rows, and stop when some requests have arrived."""
        stop, first = StopSignal(), self.host.requests

        def stop_after() -> None:
            if self.host.requests - first == after:
                EVENTS["interrupt"] += 1
                stop.abandon() if at_once else stop.drain()

        self.host.on_request = stop_after
        self._send(outcomes, FailingDisk(0, Crash()), stop=stop)
        self.host.on_request = lambda: None

    @rule(hours=st.integers(-30, 30))
    def jump_in_time(self, hours: int) -> None:
        """Move the wall clock."""
        self.clock_offset += timedelta(hours=hours)

    @precondition(lambda self: self._directory.joinpath("run.json").exists())
    @rule()
    def recover_twice(self) -> None:
        """Recover twice: the second time changes nothing."""
        self.is_checked = False
        recover(self._directory)
        files = {path: path.read_bytes() for path in self._directory.rglob("*") if path.is_file()}
        recover(self._directory)
        again = {path: path.read_bytes() for path in self._directory.rglob("*") if path.is_file()}
        _must(files == again, "a second recovery changes files")
        _must(cio.audit(self._directory).verify().is_empty(), "the record is damaged")

    @invariant()
    def check_record(self) -> None:
        """The numbers of the checker are zero, and final states do not change."""
        if self.is_checked:  # neither the record nor the log of the host has changed since
            return
        self.is_checked = True
        if not self._directory.joinpath("run.json").exists():
            return
        recover(self._directory)
        record = cio.audit(self._directory).messages
        log = pl.DataFrame(self.host.log, schema=ARRIVALS)
        verdict = check(self.workload.rows, record=record, arrivals=log)
        _must(not verdict.violations, str(verdict))
        states = {(row["plan"], row["row"]): row["state"] for row in record.iter_rows(named=True)}
        changed = {row for row, state in self.final_states.items() if states[row] != state}
        _must(not changed, f"final states changed: {changed}")
        self.final_states = {row: state for row, state in states.items() if state in FINAL_STATES}

    def teardown(self) -> None:
        """Finish without faults: every row has its final state."""
        if hasattr(self, "host"):
            self._send([], FailingDisk(0, Crash()))
            self.check_record()
            states = Counter(cio.audit(self._directory).messages["state"])
            EVENTS["blocked"] += states["blocked"]
            states["blocked"] += states.pop("in_doubt", 0)  # blocked while in doubt
            _must(states == Counter(self.workload.expected_counts), f"wrong final states: {states}")
            EVENTS["requests"] += self.host.requests
            EVENTS["duplicated"] += len(self.host.log) - ROWS
        shutil.rmtree(self.folder)

    @property
    def _directory(self) -> Path:
        return self.folder / RUN_ID

    def _send(
        self, outcomes: list[str], disk: FailingDisk, *, stop: StopSignal | None = None
    ) -> bool:
        """Open the record and send the remaining rows; return whether the disk failed."""
        self.host.outcomes = list(outcomes)
        self.is_checked = False
        with contextlib.suppress(Crash, AuditError), self._open(disk) as (writer, selection):
            self._check_lock()
            run_virtually(lambda: self._send_rows(writer, selection, stop or StopSignal()))
        return disk.has_failed

    @contextlib.contextmanager
    def _open(self, disk: FailingDisk) -> Iterator[tuple[AuditWriter, RowSelection]]:
        if self._directory.joinpath("run.json").exists():
            unfinished = recover(self._directory).unfinished
            only = unfinished.select("plan", "row", "message_id")
            writer = AuditWriter.resume(self._directory, disk=disk)
            selection = RowSelection(only=only, key=writer.id_key)
        else:
            shutil.rmtree(self._directory, ignore_errors=True)
            writer, selection = (
                AuditWriter.start(self.folder, self._info(), disk=disk),
                RowSelection(),
            )
        try:
            yield writer, selection
        finally:
            writer._store.close()  # noqa: SLF001 - as the end of a process does

    async def _send_rows(
        self, writer: AuditWriter, selection: RowSelection, stop: StopSignal
    ) -> None:
        client = cio.connect(
            write_key="k1", transport=httpx2.MockTransport(self.host.handle), rate=None, environ={}
        )
        now = clock(offset=self.clock_offset)
        writer(RunStarted(run_id=RUN_ID, at=now.now()))
        job = self.workload.plan.pipelines.job()
        before = cio.audit(self._directory).messages
        await send(
            job.segments(selection), client=client, listener=writer, stop=stop, clock=now,
            retry_limits=RetryLimits(outage_s=600),
            blocked=blocked_people(
                job, blocking_rows(before), selection=RowSelection(key=writer.id_key)
            ),
        )  # fmt: skip
        writer(RunFinished(at=now.now()))

    def _check_lock(self) -> None:
        with contextlib.suppress(AuditLockedError):
            AuditWriter.resume(self._directory)
            raise TortureError("A second process can write to the record.")

    def _info(self) -> RunInfo:
        calls = [plan.call for plan in self.workload.plan.plans]
        rows = self.workload.rows["plan"].value_counts().sort("plan")["count"]
        return RunInfo(
            run_id=RUN_ID, created=EPOCH, region="us", endpoint="cdp.customer.io", strict=True,
            rows=ROWS, plans=tuple(zip(calls, rows, strict=True)),
        )  # fmt: skip


def _must(condition: object, problem: str) -> None:
    if not condition:
        raise TortureError(problem)


def run_histories(examples: int, *, steps: int, seed: int) -> Line:
    """Run random histories (T3)."""
    EVENTS.clear()
    started = time.monotonic()
    run_state_machine_as_test(
        _seeded_machine(seed),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,), print_blob=True,
        ),
    )  # fmt: skip
    line = Line(
        test="T3",
        what=f"{examples} random histories",
        rows=ROWS * examples,
        requests=EVENTS["requests"],
        verdict=Verdict(duplicated_raw=EVENTS["duplicated"]),
        seed=seed,
        kills=EVENTS["crash"],
        seconds=time.monotonic() - started,
        facts=dict(EVENTS),
    )
    for kind in ("crash", "end", "disk full", "interrupt", "blocked"):
        if not EVENTS[kind]:
            raise TortureError(f"T3, seed {seed}: no history has a {kind}: {line}")
    return line


def crash_at_every_operation(*, seed: int, every: int = 1) -> Line:
    """Crash at each disk operation in turn, in the same history (T2)."""
    EVENTS.clear()
    started, at, crashes = time.monotonic(), 1, 0
    while True:
        machine = SendingMachine()
        try:
            machine.begin(number=seed % 1_000, poison={BAD_ROW})
            has_failed = machine._send(list(OUTCOMES), FailingDisk(at, Crash()))  # noqa: SLF001
            machine.check_record()
            machine.teardown()
        except TortureError as error:
            raise TortureError(f"T2, seed {seed}, operation {at}: {error}") from None
        finally:
            shutil.rmtree(machine.folder, ignore_errors=True)
        if not has_failed:
            break
        at, crashes = at + every, crashes + 1
    return Line(
        test="T2",
        what=f"ended at {crashes} operations",
        rows=ROWS * crashes,
        requests=EVENTS["requests"],
        verdict=Verdict(duplicated_raw=EVENTS["duplicated"]),
        seed=seed,
        kills=crashes,
        seconds=time.monotonic() - started,
        facts={"operations": at - 1},
    )


def _seeded_machine(number: int) -> Any:
    class Seeded(SendingMachine):
        """The machine with a fixed seed."""

    return seed(number)(Seeded)
