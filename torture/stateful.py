"""T2 and T3: histories of engine and record in virtual time, with every invariant after each step."""

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
from torture.inputs import Input, people
from torture.virtual_time import EPOCH, OUTCOMES, Crash, DoomedDrive, Host, clock, virtually

ROWS = 36
BAD_ROW = 5
RUN_ID = "20260601T000000000Z-abcdef"
SETTLED = ("delivered", "rejected_server", "rejected_local")
HIT: Counter[str] = Counter()
"""What happened in the histories so far: the guard against histories in which nothing does."""


class Machine(RuleBasedStateMachine):
    """One run over many lives: each ends by itself, by a crash, an interrupt or a full disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.jump = timedelta()
        self.settled: dict[tuple[int, int], str] = {}

    @initialize(number=st.integers(0, 9), poison=st.sets(st.integers(0, ROWS - 1), max_size=3))
    def begin(self, number: int, poison: set[int]) -> None:
        """Make a table; a few of its rows are bad."""
        frame = people(ROWS, people=8, seed=number, parts=3, poison=poison)
        self.given = Input(frame=frame, batch_bytes=900, parts=3, poison=poison)
        self.host = Host(poison=frozenset(poison))

    @rule(
        outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=12),
        crash_at=st.one_of(st.just(0), st.integers(1, 120)),
    )
    def live(self, outcomes: list[str], crash_at: int) -> None:
        """Send what is left, until the end or until the process ends at some operation."""
        ended = self._life(outcomes, DoomedDrive(crash_at, Crash()))
        HIT["crash" if ended else "end"] += 1

    @rule(outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=6), full_at=st.integers(1, 60))
    def run_out_of_room(self, outcomes: list[str], full_at: int) -> None:
        """Send what is left onto a disk that becomes full."""
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        HIT["disk full"] += self._life(outcomes, DoomedDrive(full_at, full))

    @rule(
        outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=6),
        after=st.integers(1, 8),
        at_once=st.booleans(),
    )
    def interrupt(self, outcomes: list[str], after: int, at_once: bool) -> None:  # noqa: FBT001
        """Send what is left, and ask to stop when some requests have come."""
        stop, first = StopSignal(), self.host.requests

        def heard() -> None:
            if self.host.requests - first == after:
                HIT["interrupt"] += 1
                stop.abandon() if at_once else stop.drain()

        self.host.on_request = heard
        self._life(outcomes, DoomedDrive(0, Crash()), stop=stop)
        self.host.on_request = lambda: None

    @rule(hours=st.integers(-30, 30))
    def jump_in_time(self, hours: int) -> None:
        """Let the calendar jump."""
        self.jump += timedelta(hours=hours)

    @precondition(lambda self: self._directory.joinpath("run.json").exists())
    @rule()
    def put_in_order(self) -> None:
        """Recover twice: the second time changes nothing."""
        recover(self._directory)
        files = {path: path.read_bytes() for path in self._directory.rglob("*") if path.is_file()}
        recover(self._directory)
        again = {path: path.read_bytes() for path in self._directory.rglob("*") if path.is_file()}
        _must(files == again, "a second recovery changes files")
        _must(cio.audit(self._directory).verify().is_empty(), "the record is not whole")

    @invariant()
    def nothing_is_wrong(self) -> None:
        """The numbers of the checker are zero, and what was settled stays as it was."""
        if not self._directory.joinpath("run.json").exists():
            return
        recover(self._directory)
        found = cio.audit(self._directory).messages
        log = pl.DataFrame(self.host.log, schema=ARRIVALS)
        verdict = check(self.given.rows, record=found, arrivals=log)
        _must(not verdict.violations, str(verdict))
        now = {(row["plan"], row["row"]): row["state"] for row in found.iter_rows(named=True)}
        changed = {at for at, state in self.settled.items() if now[at] != state}
        _must(not changed, f"settled rows changed: {changed}")
        self.settled = {at: state for at, state in now.items() if state in SETTLED}

    def teardown(self) -> None:
        """Finish without trouble: every row has its end."""
        if hasattr(self, "host"):
            self._life([], DoomedDrive(0, Crash()))
            self.nothing_is_wrong()
            states = Counter(cio.audit(self._directory).messages["state"])
            HIT["blocked"] += states["blocked"]
            states["blocked"] += states.pop("in_doubt", 0)  # held back while in doubt
            _must(states == Counter(self.given.ends), f"rows without their end: {states}")
            HIT["requests"] += self.host.requests
            HIT["duplicated"] += len(self.host.log) - ROWS
        shutil.rmtree(self.folder)

    @property
    def _directory(self) -> Path:
        return self.folder / RUN_ID

    def _life(
        self, outcomes: list[str], disk: DoomedDrive, *, stop: StopSignal | None = None
    ) -> bool:
        """Open the record, send what is left; returns whether the disk ended it."""
        self.host.outcomes = list(outcomes)
        with contextlib.suppress(Crash, AuditError), self._opened(disk) as (recorder, selection):
            self._refuses_a_second()
            virtually(lambda: self._sent(recorder, selection, stop or StopSignal()))
        return disk.is_dead

    @contextlib.contextmanager
    def _opened(self, disk: DoomedDrive) -> Iterator[tuple[AuditWriter, RowSelection]]:
        if self._directory.joinpath("run.json").exists():
            left = recover(self._directory).unfinished
            only = left.select("plan", "row", "message_id")
            recorder = AuditWriter.resume(self._directory, disk=disk)
            selection = RowSelection(only=only, key=recorder.id_key)
        else:
            shutil.rmtree(self._directory, ignore_errors=True)
            recorder, selection = (
                AuditWriter.start(self.folder, self._info(), disk=disk),
                RowSelection(),
            )
        try:
            yield recorder, selection
        finally:
            recorder._store.close()  # noqa: SLF001 - as the end of a process does

    async def _sent(self, recorder: AuditWriter, selection: RowSelection, stop: StopSignal) -> None:
        client = cio.connect(
            write_key="k1", transport=httpx2.MockTransport(self.host.handle), rate=None, environ={}
        )
        now = clock(jump=self.jump)
        recorder(RunStarted(run_id=RUN_ID, at=now.now()))
        job = self.given.plan.pipelines.job()
        before = cio.audit(self._directory).messages
        await send(
            job.segments(selection), client=client, tell=recorder, stop=stop, clock=now,
            retry_limits=RetryLimits(outage_s=600),
            held=blocked_people(
                job, blocking_rows(before), selection=RowSelection(key=recorder.id_key)
            ),
        )  # fmt: skip
        recorder(RunFinished(at=now.now()))

    def _refuses_a_second(self) -> None:
        with contextlib.suppress(AuditLockedError):
            AuditWriter.resume(self._directory)
            raise TortureError("A second process may write to the record.")

    def _info(self) -> RunInfo:
        plans = tuple((plan.call, plan.counts["rows"]) for plan in self.given.plan.plans)
        return RunInfo(
            run_id=RUN_ID, created=EPOCH, region="us", endpoint="cdp.customer.io", strict=True,
            rows=ROWS, plans=plans,
        )  # fmt: skip


def _must(holds: object, otherwise: str) -> None:
    if not holds:
        raise TortureError(otherwise)


def explored(examples: int, *, steps: int, seed: int) -> Line:
    """Explore random histories (T3).

    Args:
        examples: How many.
        steps: The most steps of each.
        seed: Decides them.
    """
    HIT.clear()
    started = time.monotonic()
    run_state_machine_as_test(
        _seeded(seed),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,), print_blob=True,
        ),
    )  # fmt: skip
    line = Line(
        test="T3",
        what=f"{examples} random histories",
        rows=ROWS * examples,
        requests=HIT["requests"],
        verdict=Verdict(duplicated_raw=HIT["duplicated"]),
        seed=seed,
        kills=HIT["crash"],
        seconds=time.monotonic() - started,
        facts=dict(HIT),
    )
    for kind in ("crash", "end", "disk full", "interrupt", "blocked"):
        if not HIT[kind]:
            raise TortureError(f"T3, seed {seed}: no history has a {kind}: {line}")
    return line


def ended_everywhere(*, seed: int, every: int = 1) -> Line:
    """End the process at each operation on the disk in turn, in the same history (T2).

    Args:
        seed: Decides the rows.
        every: How far apart the operations are.
    """
    HIT.clear()
    started, at, points = time.monotonic(), 1, 0
    while True:
        machine = Machine()
        try:
            machine.begin(number=seed % 1_000, poison={BAD_ROW})
            is_dead = machine._life(list(OUTCOMES), DoomedDrive(at, Crash()))  # noqa: SLF001
            machine.nothing_is_wrong()
            machine.teardown()
        except TortureError as error:
            raise TortureError(f"T2, seed {seed}, operation {at}: {error}") from None
        finally:
            shutil.rmtree(machine.folder, ignore_errors=True)
        if not is_dead:
            break
        at, points = at + every, points + 1
    return Line(
        test="T2",
        what=f"ended at {points} operations",
        rows=ROWS * points,
        requests=HIT["requests"],
        verdict=Verdict(duplicated_raw=HIT["duplicated"]),
        seed=seed,
        kills=points,
        seconds=time.monotonic() - started,
        facts={"operations": at - 1},
    )


def _seeded(number: int) -> Any:
    class Seeded(Machine):
        """The machine with a seed of its own."""

    return seed(number)(Seeded)
