"""A process that has everything loaded and forks a sender for each life: `python -m torture.forkserver`.

It reads one order a line, as JSON, and answers each with one line. It ends, and ends all its
children, when its input is closed.
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

from torture.child_process import live

_POLL_S = 0.002


class Nursery:
    """The other side: asks the process of the nursery."""

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions = questions
        self._answers = answers

    def begin(self, order: Mapping[str, Any]) -> int:
        """Begin a life and return its process id."""
        return int(self._ask({"do": "begin", "order": order}))

    def kill(self, pid: int) -> None:
        """Kill a child with signal 9, if it still lives."""
        self._ask({"do": "kill", "pid": pid})

    def wait(self, pid: int, *, seconds: float) -> int | None:
        """Return how a child ended, as `os.waitstatus_to_exitcode` does; None if it lives on."""
        status = self._ask({"do": "wait", "pid": pid, "seconds": seconds})
        return None if status is None else int(status)

    def _ask(self, question: Mapping[str, Any]) -> Any:
        self._questions.write(json.dumps(question) + "\n")
        self._questions.flush()
        return json.loads(self._answers.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Start a nursery, and end it with all its children."""
    environment = os.environ | {"POLARS_ALLOW_FORKING_THREAD": "1", "POLARS_MAX_THREADS": "2"}
    command = [sys.executable, "-m", "torture.forkserver"]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdin=pipe, stdout=pipe, text=True, env=environment
    ) as process:
        if process.stdin and process.stdout:
            with process.stdin as questions:
                yield Nursery(questions, process.stdout)
            process.wait(10)


class _Keeper:
    """This side: forks, kills and waits."""

    def __init__(self) -> None:
        self._living: set[int] = set()

    def begin(self, order: dict[str, Any]) -> int:
        pid = os.fork()
        if pid == 0:
            _end(lambda: live(order))
        self._living.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        if pid in self._living:
            os.kill(pid, signal.SIGKILL)

    def wait(self, pid: int, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while pid in self._living:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._living.discard(pid)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_S)
        raise ProcessLookupError(pid)

    def end(self) -> None:
        for pid in list(self._living):
            self.kill(pid)
            self.wait(pid, 5)


def _end(work: Callable[[], None]) -> None:
    """Do the work of a child and end it, without going back into the parent's code."""
    code = 1
    try:
        os.close(0)
        os.dup2(2, 1)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Do one order after the other."""
    keeper = _Keeper()
    try:
        for text in sys.stdin:
            asked = json.loads(text)
            answer = getattr(keeper, asked.pop("do"))(**asked)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
