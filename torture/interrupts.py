"""T14: interrupts of a script and of a notebook, and a terminal that is closed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cio_frames.sandbox import Faults
from torture.child_process import workload_of
from torture.harness import Harness, Line, require, require_clean, set_up
from torture.inputs import Workload

ROWS = 2_700
"""Enough to take several seconds: even on a busy machine some are unsent when a stop takes effect."""
STOP_S = 3.0
"""How long a stop may take: requests in flight are answered within a third of a second, and a
notebook takes a while to render a traceback."""

QUICK, STUCK = Faults(late=1.0, hold_s=0.3), Faults(late=1.0, hold_s=30.0, first=6)
BAD_WORDS = ("Task was destroyed", "never awaited", "never retrieved", "Fatal Python")


def interrupt_script(signals: int, *, seed: int) -> Line:
    """Interrupt a script once to drain it, twice to stop it at once; then resume (T14)."""
    what = f"script, {signals} interrupt{'s' * (signals > 1)}"
    with set_up("T14", what, seed=seed, faults=QUICK if signals == 1 else STUCK) as harness:
        workload, job = _write_job(harness, seed=seed)
        with _running(job) as process:
            _wait_for(harness, 4 if signals == 1 else 7)
            started = time.monotonic()
            for _ in range(signals):
                os.kill(process.pid, signal.SIGINT)
                time.sleep(0.2)
            out, error = process.communicate(timeout=60)
            took = time.monotonic() - started
        halfway = harness.line(workload, took=took, code=process.returncode, error=error[-2_000:])
        require_clean(halfway)
        require(process.returncode not in (0, -9), halfway, "the script ends by the interrupt")
        require(took < STOP_S, halfway, "it ends at once")
        require("rows arrived" in error, halfway, "it reports what arrived")
        require(not any(word in out + error for word in BAD_WORDS), halfway, "it ends cleanly")
        require(0 < halfway.verdict.open < ROWS, halfway, "some rows are unsent")
        line = _resumed(harness, workload, took=took, in_doubt=halfway.states.get("in_doubt", 0))
    require(signals == 1 or line.facts["in_doubt"] > 0, line, "requests in flight are in doubt")
    return line


def closed_output(*, seed: int) -> Line:
    """Close both outputs of a script while it sends: the run continues to its end (T14)."""
    with set_up("T14", "script, output closed", seed=seed, faults=QUICK) as harness:
        workload, job = _write_job(harness, seed=seed)
        with _running(job) as process:
            _wait_for(harness, 2)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            process.wait(60)
        line = harness.line(workload, code=process.returncode)
    require_clean(line)
    require(line.states == {"delivered": ROWS}, line, "every row is delivered")
    return line


CELLS = {
    "cell": "run = plan.send(client, audit=job['audit'])",
    "await cell": "run = await plan.asend(client, audit=job['audit'])",
}
PREPARE = """
import json, sys
from pathlib import Path
import cio_frames as cio
from torture.child_process import workload_of
job = json.loads(Path({path!r}).read_text())
client = cio.connect(endpoint=job["url"], write_key=job["write_key"], rate=None, environ={{}})
plan = workload_of(job).plan
"""
RESUME = "run = cio.resume(sorted(Path(job['audit']).glob('*/run.json'))[-1].parent, client, plan)"


def interrupt_cell(name: str, *, seed: int) -> Line:
    """Interrupt a cell of a notebook, and resume in the next one (T14)."""
    with (
        set_up("T14", f"notebook, {name}", seed=seed, faults=QUICK) as harness,
        _kernel() as kernel,
    ):
        workload, job = _write_job(harness, seed=seed)
        kernel.run(PREPARE.format(path=str(job)))
        kernel.start(CELLS[name])
        _wait_for(harness, 4)
        started = time.monotonic()
        kernel.interrupt()
        first = kernel.finish(seconds=60)
        took = time.monotonic() - started
        halfway = harness.line(workload, took=took, output=first[-2_000:])
        require_clean(halfway)
        require(took < STOP_S, halfway, "the cell ends at once")
        require("rows arrived" in first, halfway, "it reports what arrived")
        require(0 < halfway.verdict.open < ROWS, halfway, "some rows are unsent")
        harness.workspace.faults = "none"
        second = kernel.run(RESUME)
        line = harness.line(workload, took=took, output=second[-2_000:])
    require_clean(line)
    output = first + second
    require(not any(word in output for word in BAD_WORDS), line, "the cells end cleanly")
    require(line.states == {"delivered": ROWS}, line, "the next cell resumes the run")
    return line


def _write_job(harness: Harness, *, seed: int) -> tuple[Workload, Path]:
    """Write the job of a script to a file; return its rows and the path."""
    job = {
        "url": harness.workspace.url, "write_key": harness.workspace.write_key,
        "audit": str(harness.audit / "runs"), "rows": ROWS, "people": 300, "seed": seed, "parts": 1,
        "batch_bytes": 3_000,
    }  # fmt: skip
    path = harness.audit / "job.json"
    path.write_text(json.dumps(job))
    harness.audit = harness.audit / "runs"
    return workload_of(job), path


def _resumed(harness: Harness, workload: Workload, **facts: Any) -> Line:
    harness.workspace.faults = "none"
    harness.resume(workload, next(harness.audit.glob("*/run.json")).parent)
    line = harness.line(workload, **facts)
    require_clean(line)
    require(line.states == {"delivered": ROWS}, line, "a resume completes the run")
    return line


def _wait_for(harness: Harness, requests: int) -> None:
    """Wait until the workspace has received that many requests."""
    until = time.monotonic() + 60
    while harness.workspace._store._numbers < requests:  # noqa: SLF001 - counts unanswered requests too
        if time.monotonic() > until:
            raise TimeoutError("Nothing is sent.")
        time.sleep(0.01)


@contextmanager
def _running(job: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "torture.script", str(job)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


class _Kernel:
    """A Jupyter kernel, used as a notebook uses it."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager = manager
        self._client = client
        self._message_id = ""

    def start(self, code: str) -> None:
        """Start to execute a cell."""
        self._message_id = self._client.execute(code)

    def interrupt(self) -> None:
        """Interrupt the cell, as the stop button does."""
        self._manager.interrupt_kernel()

    def finish(self, *, seconds: float) -> str:
        """Wait for the end of the cell and return its output."""
        output: list[str] = []
        until = time.monotonic() + seconds
        while True:
            message = self._client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            if message["parent_header"].get("msg_id") != self._message_id:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "\n".join(output)
            output += [content.get("text", ""), *content.get("traceback", [])]

    def run(self, code: str) -> str:
        """Execute a cell and return its output."""
        self.start(code)
        return self.finish(seconds=60)


@contextmanager
def _kernel() -> Iterator[_Kernel]:
    from jupyter_client.manager import KernelManager

    with tempfile.TemporaryDirectory() as folder:
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        manager.start_kernel(env={**os.environ, "PYTHONPATH": str(Path.cwd())})
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            yield _Kernel(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
