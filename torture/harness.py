"""The bench that scenarios are put on: a workspace, a folder for the record, and the line of the table."""

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
from torture.inputs import Input


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        test: Which test, T1 to T25.
        what: What was done, in a few words.
        rows: How many rows were to be sent.
        requests: How many requests the server saw.
        verdict: What the checker says.
        seed: Replays it.
        kills: How many processes were killed.
        seconds: How long it took.
        states: How many rows ended in each state.
        facts: Further numbers that a test asserts.
        note: What the table says of it below the numbers.
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
    """Something that must hold does not."""


def require(holds: object, line: Line, claim: str) -> None:
    """Raise with everything that is needed to replay a test, unless something holds."""
    if not holds:
        raise TortureError(f"{line.test} {line.what}, seed {line.seed}: {claim}\n{line}")


def require_clean(line: Line) -> Line:
    """Return the line, if nothing is lost, doubled, out of order or unaccounted for."""
    require(not line.verdict.violations, line, f"{line.verdict.violations}")
    return line


def summed(lines: Sequence[Line], *, what: str, **facts: Any) -> Line:
    """Return one line for several of one test."""
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
class Bench:
    """A workspace with faults, and a folder for the record, which is all of it or a part."""

    test: str
    what: str
    seed: int
    workspace: Any
    folder: Path
    audit: Path
    started: float = field(default_factory=time.monotonic)
    kills: int = 0

    def client(self, **options: Any) -> cio.Client:
        """Return a client with short patience."""
        return cio.connect(
            endpoint=self.workspace.url,
            write_key=self.workspace.write_key,
            site_id=self.workspace.site_id,
            track_api_key=self.workspace.track_api_key,
            environ={},
            **{"rate": None, "attempt_s": 0.5} | options,
        )

    def send(self, given: Input, client: cio.Client | None = None, **options: Any) -> cio.Run:
        """Send, and return the run even when it was stopped."""
        options = dict[str, Any](progress=False, durability="process") | options
        try:
            return given.plan.send(client or self.client(), audit=self.audit, **options)
        except RunError as error:
            if error.run is None:
                raise
            stopped: cio.Run = error.run
            return stopped

    def resume(self, given: Input, directory: Path, **options: Any) -> cio.Run:
        """Finish what a run left."""
        return cio.resume(directory, self.client(), given.plan, progress=False, **options)

    def line(self, given: Input, *, record: pl.DataFrame | None = None, **facts: Any) -> Line:
        """Return the line of the table for what was sent, by the record of all runs or a given one."""
        runs = sorted(path.parent.name for path in self.folder.rglob("run.json"))
        log = inputs.arrivals(self.workspace.messages, given, runs=runs)
        record = cio.audit(self.audit).messages if record is None else record
        verdict = check(given.rows, record=record, arrivals=log)
        return Line(
            test=self.test,
            what=self.what,
            rows=given.frame.height,
            requests=self.workspace.counts["requests"],
            verdict=verdict,
            seed=self.seed,
            kills=self.kills,
            seconds=time.monotonic() - self.started,
            states=dict(record["state"].value_counts().sort("state").iter_rows()),
            facts=facts,
        )


@contextlib.contextmanager
def bench(
    test: str, what: str, *, seed: int, faults: FaultProfile | Faults = "none", **options: Any
) -> Iterator[Bench]:
    """Put up a workspace and a folder, and take them down again."""
    workspace = cio.sandbox(faults=faults, seed=seed, **options)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, workspace:
        path = Path(folder)
        yield Bench(test=test, what=what, seed=seed, workspace=workspace, folder=path, audit=path)


@contextlib.contextmanager
def hurried(factor: float = 0.02) -> Iterator[None]:
    """Let the sender's own time pass faster: its waits take a fraction, the network does not."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds * factor)

    quick = partial(Clock, sleep=nap, monotonic=lambda: time.monotonic() / factor)
    with patch.object(scheduler, "Clock", quick):
        yield
