"""Run a command as a process and return its time and memory as counted by the operating system."""

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
"""Python writes bytecode, as in an installed package, instead of compiling at every start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One run of a command.

    Attributes:
        wall_s: Seconds from start to end of the process, start-up included.
        cpu_s: Seconds of processor time, of all threads.
        rss_mb: Peak resident memory.
        ok: Whether the process succeeded.
        figures: What it measured itself.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    ok: bool
    figures: Mapping[str, float]


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
        lost: Rows that the contender rejected and did not send.
        ok: Whether the process succeeded.
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
        """Rows sent per second."""
        return (self.rows - self.lost) / self.wall_s


def sink(*, latency_ms: float = 0.0) -> AbstractContextManager[str]:
    """Start a sink as a process, yield its address, and stop it."""
    return server("benchmarks.sink", "--latency-ms", str(latency_ms))


@contextmanager
def server(module: str, *options: str) -> Iterator[str]:
    """Start a module that prints its port as a process, yield its address, and stop it."""
    command = [sys.executable, "-m", module, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def totals(url: str) -> dict[str, int]:
    """Return the totals of a sink."""
    with urllib.request.urlopen(f"{url}/totals") as answer:  # noqa: S310 - the sink's own address
        counts: dict[str, int] = json.load(answer)
        return counts


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Process:
    """Run a command with a timeout; its last line of output may contain figures as JSON."""
    # A full pipe would block a contender that warns about each row.
    with TemporaryFile() as output, TemporaryFile() as errors, TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=errors,
            env=os.environ | AS_INSTALLED | {"TMPDIR": folder, **(env or {})},
        )
        timer = Timer(timeout_s or TIMEOUT_MAX, process.kill)
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.stderr.write(errors.read().decode()[-2_000:])
        output.seek(0)
        last = (output.read().splitlines() or [b"{}"])[-1] if process.returncode == 0 else b"{}"
    return Process(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mb=usage.ru_maxrss / 1024,
        ok=process.returncode == 0,
        figures=json.loads(last),
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
        lost=int(process.figures.get("rejected", 0)),
        ok=process.ok,
    )
