"""T14: interrupts of a script and of a notebook, and a terminal that goes away."""

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
from torture.child_process import given_by
from torture.harness import Bench, Line, bench, require, require_clean
from torture.inputs import Input

ROWS = 2_700
"""So many that sending them takes several seconds: on a busy machine too, rows are left when a stop takes effect."""
STOP_S = 3.0
"""How long a stop may take here: what is under way is answered within a third of a second, and a
notebook takes a while to draw a traceback."""

QUICK, STUCK = Faults(late=1.0, hold_s=0.3), Faults(late=1.0, hold_s=30.0, first=6)
BAD_WORDS = ("Task was destroyed", "never awaited", "never retrieved", "Fatal Python")


def script(signals: int, *, seed: int) -> Line:
    """Interrupt a script once, and it drains; twice, and it stops at once; then resume (T14).

    Args:
        signals: How often it is interrupted.
        seed: Decides the rows.
    """
    what = f"script, {signals} interrupt{'s' * (signals > 1)}"
    with bench("T14", what, seed=seed, faults=QUICK if signals == 1 else STUCK) as put:
        given, order = _order(put, seed=seed)
        with _running(order) as process:
            _wait_for(put, 4 if signals == 1 else 7)
            started = time.monotonic()
            for _ in range(signals):
                os.kill(process.pid, signal.SIGINT)
                time.sleep(0.2)
            out, error = process.communicate(timeout=60)
            took = time.monotonic() - started
        halfway = put.line(given, took=took, code=process.returncode, error=error[-2_000:])
        require_clean(halfway)
        require(process.returncode not in (0, -9), halfway, "the script ends by the interrupt")
        require(took < STOP_S, halfway, "it ends at once")
        require("rows arrived" in error, halfway, "it says what arrived")
        require(not any(word in out + error for word in BAD_WORDS), halfway, "it ends cleanly")
        require(0 < halfway.verdict.open < ROWS, halfway, "some rows are left")
        line = _resumed(put, given, took=took, in_doubt=halfway.states.get("in_doubt", 0))
    require(signals == 1 or line.facts["in_doubt"] > 0, line, "what was under way is in doubt")
    return line


def closed_output(*, seed: int) -> Line:
    """Close both outputs of a script while it sends: the run goes on to its end (T14).

    Args:
        seed: Decides the rows.
    """
    with bench("T14", "script, output closed", seed=seed, faults=QUICK) as put:
        given, order = _order(put, seed=seed)
        with _running(order) as process:
            _wait_for(put, 2)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            process.wait(60)
        line = put.line(given, code=process.returncode)
    require_clean(line)
    require(line.states == {"delivered": ROWS}, line, "every row is delivered")
    return line


CELLS = {
    "cell": "run = plan.send(client, audit=order['audit'])",
    "await cell": "run = await plan.asend(client, audit=order['audit'])",
}
PREPARE = """
import json, sys
from pathlib import Path
import cio_frames as cio
from torture.child_process import given_by
order = json.loads(Path({path!r}).read_text())
client = cio.connect(endpoint=order["url"], write_key=order["write_key"], rate=None, environ={{}})
given = given_by(order)
plan = given.plan
"""
RESUME = (
    "run = cio.resume(sorted(Path(order['audit']).glob('*/run.json'))[-1].parent, client, plan)"
)


def notebook(name: str, *, seed: int) -> Line:
    """Interrupt a cell of a notebook, and resume in the next one (T14).

    Args:
        name: A key of `CELLS`.
        seed: Decides the rows.
    """
    with bench("T14", f"notebook, {name}", seed=seed, faults=QUICK) as put, _kernel() as kernel:
        given, order = _order(put, seed=seed)
        kernel.run(PREPARE.format(path=str(order)))
        kernel.begin(CELLS[name])
        _wait_for(put, 4)
        started = time.monotonic()
        kernel.interrupt()
        first = kernel.end(seconds=60)
        took = time.monotonic() - started
        halfway = put.line(given, took=took, output=first[-2_000:])
        require_clean(halfway)
        require(took < STOP_S, halfway, "the cell ends at once")
        require("rows arrived" in first, halfway, "it says what arrived")
        require(0 < halfway.verdict.open < ROWS, halfway, "some rows are left")
        put.workspace.faults = "none"
        second = kernel.run(RESUME)
        line = put.line(given, took=took, output=second[-2_000:])
    require_clean(line)
    told = first + second
    require(not any(word in told for word in BAD_WORDS), line, "the cells end cleanly")
    require(line.states == {"delivered": ROWS}, line, "the next cell resumes it")
    return line


def _order(put: Bench, *, seed: int) -> tuple[Input, Path]:
    """Write down what a script is to send, and return it with the path."""
    order = {
        "url": put.workspace.url, "write_key": put.workspace.write_key,
        "audit": str(put.audit / "runs"), "rows": ROWS, "people": 300, "seed": seed, "parts": 1,
        "batch_bytes": 3_000,
    }  # fmt: skip
    path = put.audit / "order.json"
    path.write_text(json.dumps(order))
    put.audit = put.audit / "runs"
    return given_by(order), path


def _resumed(put: Bench, given: Input, **facts: Any) -> Line:
    put.workspace.faults = "none"
    put.resume(given, next(put.audit.glob("*/run.json")).parent)
    line = put.line(given, **facts)
    require_clean(line)
    require(line.states == {"delivered": ROWS}, line, "a resume completes it")
    return line


def _wait_for(put: Bench, requests: int) -> None:
    """Wait until the workspace is being sent to."""
    until = time.monotonic() + 60
    while put.workspace._store._numbers < requests:  # noqa: SLF001 - those under way count too
        if time.monotonic() > until:
            raise TimeoutError("Nothing is sent.")
        time.sleep(0.01)


@contextmanager
def _running(order: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "torture.script", str(order)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


class _Kernel:
    """A notebook's kernel, spoken to as a notebook does."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager = manager
        self._client = client
        self._asked = ""

    def begin(self, code: str) -> None:
        """Begin to execute a cell."""
        self._asked = self._client.execute(code)

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def end(self, *, seconds: float) -> str:
        """Wait for the end of the cell and return everything it said."""
        said: list[str] = []
        until = time.monotonic() + seconds
        while True:
            message = self._client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            if message["parent_header"].get("msg_id") != self._asked:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "\n".join(said)
            said += [content.get("text", ""), *content.get("traceback", [])]

    def run(self, code: str) -> str:
        """Execute a cell and return everything it said."""
        self.begin(code)
        return self.end(seconds=60)


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
