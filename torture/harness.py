"""The harness of every test: a workspace, a folder for the record, and a line of the table."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

import cio_frames as cio
from cio_frames.errors import RunError
from cio_frames.sandbox import FaultProfile, Faults
from cio_frames.sending import scheduler
from cio_frames.sending.clock import Clock
from torture import inputs
from torture.checker import Verdict, check
from torture.inputs import Workload


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        test: The test, such as T1.
        what: What was tested, in a few words.
        rows: How many rows were to be sent.
        requests: How many requests the server received.
        verdict: The result of the checker.
        seed: Repeats the test.
        kills: How many processes were killed.
        seconds: How long it took.
        states: How many rows ended in each state.
        facts: Further numbers that a test asserts.
        note: A sentence below the table.
    """

    test: str
    what: str
    rows: int
    requests: int
    verdict: Verdict
    seed: int
    kills: int = 0
    seconds: float = 0.0
    states: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class TortureError(AssertionError):
    """A condition that must hold does not."""


def require(condition: object, line: Line, claim: str) -> None:
    """Raise, with all that is needed to repeat the test, unless the condition holds."""
    if not condition:
        raise TortureError(f"{line.test} {line.what}, seed {line.seed}: {claim}\n{line}")


def require_clean(line: Line) -> Line:
    """Return the line if all numbers that must be 0 are 0; raise otherwise."""
    require(not line.verdict.violations, line, f"{line.verdict.violations}")
    return line


def sum_lines(lines: Sequence[Line], *, what: str, **facts: Any) -> Line:
    """Return one line with the sums of several lines of one test."""
    numbers = {
        field.name: sum(getattr(line.verdict, field.name) for line in lines)
        for field in fields(Verdict)
    }
    return replace(
        lines[0],
        what=what,
        rows=sum(line.rows for line in lines),
        requests=sum(line.requests for line in lines),
        kills=sum(line.kills for line in lines),
        seconds=sum(line.seconds for line in lines),
        verdict=Verdict(**numbers),
        facts=facts,
    )


@dataclass
class Harness:
    """A workspace with faults and a folder; `audit` is the folder or one inside it."""

    test: str
    what: str
    seed: int
    workspace: Any
    folder: Path
    audit: Path
    started: float = field(default_factory=time.monotonic)
    kills: int = 0

    def client(self, **options: Any) -> cio.Client:
        """Return a client with short timeouts."""
        return cio.connect(
            endpoint=self.workspace.url,
            write_key=self.workspace.write_key,
            site_id=self.workspace.site_id,
            track_api_key=self.workspace.track_api_key,
            environ={},
            **{"rate": None, "attempt_s": 0.5} | options,
        )

    def send(self, workload: Workload, client: cio.Client | None = None, **options: Any) -> cio.Run:
        """Send, and return the run even if it was stopped."""
        options = dict[str, Any](progress=False, durability="process") | options
        try:
            return workload.plan.send(client or self.client(), audit=self.audit, **options)
        except RunError as error:
            if error.run is None:
                raise
            stopped: cio.Run = error.run
            return stopped

    def resume(self, workload: Workload, directory: Path, **options: Any) -> cio.Run:
        """Resume a run."""
        return cio.resume(directory, self.client(), workload.plan, progress=False, **options)

    def line(self, workload: Workload, *, record: pl.DataFrame | None = None, **facts: Any) -> Line:
        """Return the line of the table, by the record of all runs or the one passed."""
        runs = sorted(path.parent.name for path in self.folder.rglob("run.json"))
        log = inputs.arrivals(self.workspace.messages, workload, runs=runs)
        record = cio.audit(self.audit).messages if record is None else record
        verdict = check(workload.rows, record=record, arrivals=log)
        return Line(
            test=self.test,
            what=self.what,
            rows=workload.frame.height,
            requests=self.workspace.counts["requests"],
            verdict=verdict,
            seed=self.seed,
            kills=self.kills,
            seconds=time.monotonic() - self.started,
            states=dict(record["state"].value_counts().sort("state").iter_rows()),
            facts=facts,
        )


@contextlib.contextmanager
def set_up(
    test: str, what: str, *, seed: int, faults: FaultProfile | Faults = "none", **options: Any
) -> Iterator[Harness]:
    """Start a workspace and make a folder; close and remove both at the end."""
    workspace = cio.sandbox(faults=faults, seed=seed, **options)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, workspace:
        path = Path(folder)
        yield Harness(test=test, what=what, seed=seed, workspace=workspace, folder=path, audit=path)


@contextlib.contextmanager
def fast_clock(factor: float = 0.02) -> Iterator[None]:
    """Speed up the sender's clock: its waits take a fraction of the time, the network does not."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds * factor)

    clock = partial(Clock, sleep=sleep, monotonic=lambda: time.monotonic() / factor)
    with patch.object(scheduler, "Clock", clock):
        yield
