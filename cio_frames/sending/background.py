"""A thread with an event loop of its own, so that a run works in scripts, notebooks and `await`."""

import asyncio
import atexit
import contextvars
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from cio_frames.errors import RunError
from cio_frames.sending.stop import StopFlag

EXIT_SECONDS = 60.0
"""How long the interpreter's exit waits for requests under way."""

_SLICE_SECONDS = 0.1  # an interrupt that another thread catches is seen only between waits


class Worker:
    """Runs a coroutine on a thread, apart from any event loop of the caller.

    Waiting is done on an event, not by joining the thread: before Python 3.13 an interrupt during
    a join takes the thread for dead (cpython#90882).

    Args:
        work: Makes the coroutine, on the thread.
        stop: The flag that the coroutine listens to.

    Examples:
        >>> async def work():
        ...     return 7
        >>> worker = Worker(work, stop=StopFlag())
        >>> worker.start()
        >>> worker.wait()
        True
        >>> worker.result()
        7
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], *, stop: StopFlag) -> None:
        self._work = work
        self._flag = stop
        self._over = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None
        self._process: int | None = None

    @property
    def done(self) -> bool:
        """Whether the coroutine has come to its end."""
        return self._over.is_set()

    def start(self) -> None:
        """Start the thread. The coroutine sees the context variables of the caller."""
        if self._process is not None:
            raise RunError("This run was started before.")
        self._process = os.getpid()
        context = contextvars.copy_context()
        atexit.register(self._exit)
        threading.Thread(
            target=context.run, args=(self._main,), name="cio_frames", daemon=True
        ).start()

    def stop(self) -> None:
        """Ask to finish what is under way and to start nothing else."""
        self._flag.drain()

    def abandon(self) -> None:
        """Ask to end at once; what is under way stays in doubt."""
        self._flag.abandon()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether the end has come.

        Raises:
            RunError: The run was not started here: not at all, or in the process this one was
                forked from.
        """
        self._require_own_process()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self._over.wait(min(_SLICE_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    def result(self) -> Any:
        """Return what the coroutine returned, or raise what it raised. Waits for the end."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def _main(self) -> None:
        try:
            self._result = asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is waited for
            self._error = error
        finally:
            atexit.unregister(self._exit)
            self._over.set()

    def _exit(self) -> None:
        """Drain when the interpreter exits while the run goes on."""
        if self._process == os.getpid():
            self._flag.drain()
            self._over.wait(EXIT_SECONDS)

    def _require_own_process(self) -> None:
        if self._process is None:
            raise RunError("This run was not started.")
        if self._process != os.getpid():
            raise RunError(
                f"This run belongs to process {self._process}; this is a fork of it. "
                "Wait for it there, or send from here with a client of your own."
            )
