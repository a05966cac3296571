"""A process that has everything loaded and forks senders: `python -m torture.forkserver`.

It reads one request a line, as JSON, and answers each with one line. When its input is closed, it
kills its children and exits.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from torture.child_process import run_job

_POLL_S = 0.002


class ForkServer:
    """The client: sends requests to the process of the fork server."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers

    def start(self, job: Mapping[str, Any]) -> int:
        """Fork a sender and return its process id."""
        return int(self._request({"method": "start", "job": job}))

    def kill(self, pid: int) -> None:
        """Kill a child with signal 9, if it is still running."""
        self._request({"method": "kill", "pid": pid})

    def wait(self, pid: int, *, seconds: float) -> int | None:
        """Return the exit code as `os.waitstatus_to_exitcode` does; None if it is still running."""
        status = self._request({"method": "wait", "pid": pid, "seconds": seconds})
        return None if status is None else int(status)

    def _request(self, request: Mapping[str, Any]) -> Any:
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        return json.loads(self._answers.readline())


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """Start a fork server; stop it and all its children at the end."""
    environment = os.environ | {"POLARS_ALLOW_FORKING_THREAD": "1", "POLARS_MAX_THREADS": "2"}
    command = [sys.executable, "-m", "torture.forkserver"]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdin=pipe, stdout=pipe, text=True, env=environment
    ) as process:
        if process.stdin and process.stdout:
            with process.stdin as requests:
                yield ForkServer(requests, process.stdout)
            process.wait(10)


class _Children:
    """The server: forks, kills and waits."""

    def __init__(self) -> None:
        self._running: set[int] = set()

    def start(self, job: dict[str, Any]) -> int:
        pid = os.fork()
        if pid == 0:
            _run_and_exit(lambda: run_job(job))
        self._running.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        if pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def wait(self, pid: int, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while pid in self._running:
            ended_pid, status = os.waitpid(pid, os.WNOHANG)
            if ended_pid:
                self._running.discard(pid)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_S)
        raise ProcessLookupError(pid)

    def kill_all(self) -> None:
        for pid in list(self._running):
            self.kill(pid)
            self.wait(pid, 5)


def _run_and_exit(work: Callable[[], None]) -> None:
    """Do the work of a child and exit, without returning to the parent's code."""
    code = 1
    try:
        os.close(0)
        os.dup2(2, 1)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the child must end here
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Answer one request after the other."""
    children = _Children()
    try:
        for text in sys.stdin:
            request = json.loads(text)
            answer = getattr(children, request.pop("method"))(**request)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        children.kill_all()


if __name__ == "__main__":
    main()
