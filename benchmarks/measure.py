"""Run a command as a process of its own and take what the operating system counted of it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import TIMEOUT_MAX, Timer

AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
"""What is installed is compiled once, not at every start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One run of a command.

    Attributes:
        wall_s: Seconds from start to end of the process, start-up included.
        cpu_s: Seconds of processor time, of all threads.
        rss_mb: Peak resident memory.
        ok: Whether the process ended well.
        said: What it measured itself.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    ok: bool
    said: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one contender.

    Attributes:
        name: The contender.
        rows: Rows of the file.
        wall_s: Seconds from start to end of the process, start-up included.
        cpu_s: Seconds of processor time, of all threads.
        rss_mb: Peak resident memory.
        requests: Requests that arrived.
        bytes: Bytes of their bodies, as sent.
        lost: Rows that the contender took and did not send.
        ok: Whether the process ended well.
    """

    name: str
    rows: int
    wall_s: float
    cpu_s: float
    rss_mb: float
    requests: int
    bytes: int
    lost: int
    ok: bool

    @property
    def per_s(self) -> float:
        """Rows that were sent, per second."""
        return (self.rows - self.lost) / self.wall_s


def sink(*, latency_ms: float = 0.0) -> AbstractContextManager[str]:
    """Start a sink as a process, give its address, and end it."""
    return server("benchmarks.sink", "--latency-ms", str(latency_ms))


@contextmanager
def server(module: str, *options: str) -> Iterator[str]:
    """Start a module that prints its port as a process, give its address, and end it."""
    command = [sys.executable, "-m", module, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def totals(url: str) -> dict[str, int]:
    """Return what a sink has counted."""
    with urllib.request.urlopen(f"{url}/totals") as answer:  # noqa: S310 - the sink's own address
        counted: dict[str, int] = json.load(answer)
        return counted


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    most_s: float | None = None,
) -> Process:
    """Run a command, for so many seconds at most; return what it took, and what its last line of JSON said."""
    # A pipe that nobody empties would stop a contender that warns of each row.
    with TemporaryFile() as answer, TemporaryFile() as told, TemporaryDirectory() as left:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=answer,
            stderr=told,
            env=os.environ | AS_INSTALLED | {"TMPDIR": left, **(env or {})},
        )
        patience = Timer(most_s or TIMEOUT_MAX, process.kill)
        patience.daemon = True
        patience.start()
        _, status, usage = os.wait4(process.pid, 0)
        patience.cancel()
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            sys.stderr.write(told.read().decode()[-2_000:])
        answer.seek(0)
        said = (answer.read().splitlines() or [b"{}"])[-1] if process.returncode == 0 else b"{}"
    return Process(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mb=usage.ru_maxrss / 1024,
        ok=process.returncode == 0,
        said=json.loads(said),
    )


def measure(name: str, *, path: str, rows: int, url: str, module: str) -> Measured:
    """Run one contender on one file."""
    before = totals(url)
    process = run([sys.executable, "-m", module, name, path, url])
    after = totals(url)
    return Measured(
        name=name,
        rows=rows,
        wall_s=process.wall_s,
        cpu_s=process.cpu_s,
        rss_mb=process.rss_mb,
        requests=after["requests"] - before["requests"],
        bytes=after["bytes"] - before["bytes"],
        lost=int(process.said.get("refused", 0)),
        ok=process.ok,
    )
