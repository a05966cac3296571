"""A thread with an event loop of its own, so that a run works in scripts, notebooks and `await`.

When the interpreter exits, every run finishes what is under way, and what is left to do is said.
This happens in a function of `atexit`, the last moment at which threads still run. No thread and
no executor can be started by then (from Python 3.12 on, and since 3.9), so nothing here needs one.
"""

import asyncio
import atexit
import contextvars
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple

from cio_frames.errors import RunError
from cio_frames.frames import ThreadPool
from cio_frames.sending.run_controls import StopSignal

EXIT_SECONDS = 60.0
"""How long the interpreter's exit waits for requests under way."""

EXITED = "The program ended before the run did. Resume the run to send the rest."
_WAITING = (
    "The program has ended; waiting for the answers to open requests. Ctrl-C leaves them in doubt."
)
_QUIET_SECONDS = 1.0  # a wait that is longer is explained
_SLICE_SECONDS = 0.1  # an interrupt that another thread catches is seen only between waits
_HELPERS = 4

Given = TypeVarTuple("Given")
Done = TypeVar("Done")


class BackgroundLoop:
    """Runs a coroutine on a thread, apart from any event loop of the caller.

    Waiting is done on an event, not by joining the thread: before Python 3.13 an interrupt during
    a join takes the thread for dead (cpython#90882).

    Examples:
        >>> async def work():
        ...     return 7
        >>> worker = BackgroundLoop(work, stop=StopSignal())
        >>> worker.start()
        >>> worker.wait()
        True
        >>> worker.result()
        7
    """

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, Any]],
        *,
        stop: StopSignal,
        name: str = "",
        left: Callable[[], str] = lambda: "",
    ) -> None:
        self._work = work
        self._flag = stop
        self.name = name
        self._left = left
        self._over = threading.Event()
        self._when_over: list[Callable[[], object]] = []
        self._result: Any = None
        self._error: BaseException | None = None
        self._process: int | None = None

    @property
    def done(self) -> bool:
        """Whether the coroutine has come to its end."""
        return self._over.is_set()

    @property
    def error(self) -> BaseException | None:
        """What the coroutine raised."""
        return self._error

    def start(self) -> None:
        """Start the thread. The coroutine sees the context variables of the caller.

        Raises:
            RunError: It was started before.
            RuntimeError: No thread can be started.
        """
        if self._process is not None:
            raise RunError("This run has already been started.")
        self._process = os.getpid()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._main,), name="cio_frames", daemon=True
        )
        _enter(self)
        try:
            thread.start()
        except RuntimeError:
            _leave(self)
            raise

    def stop(self) -> None:
        """Ask to finish what is under way and to start nothing else."""
        self._flag.drain()

    def abandon(self) -> None:
        """Ask to end at once; what is under way stays in doubt."""
        self._flag.abandon()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end.

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

    async def ended(self) -> None:
        """Wait for the end, and let other tasks of the caller's loop go on.

        Raises:
            RunError: As for `wait`.
        """
        self._require_own_process()
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        self._when_over.append(lambda: loop.call_soon_threadsafe(over.set))
        while (
            not self.done
        ):  # a signal that cancels the caller's task does not wake a loop that sleeps
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _SLICE_SECONDS)

    def result(self) -> Any:
        """Return what the coroutine returned, or raise what it raised. Waits for the end."""
        self.wait()
        self.seen()
        if self._error is not None:
            raise self._error
        return self._result

    def seen(self) -> None:
        """Leave it to the caller to say what is left to do."""
        _LEFT.pop(self.name, None)

    def drain_at_exit(self) -> None:
        """Ask to finish what is under way, because the interpreter exits."""
        self._flag.drain(EXITED)

    def left(self) -> str:
        """Return what is left to do, in words; nothing if all is done."""
        return self._left()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                self._result = runner.run(self._work())
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is waited for
            self._error = error
        finally:
            _leave(self, left=self._left())
            self._over.set()
            for notify in self._when_over:
                with suppress(RuntimeError):  # its loop was closed
                    notify()

    def _require_own_process(self) -> None:
        if self._process is None:
            raise RunError("This run has not been started.")
        if self._process != os.getpid():
            raise RunError(
                f"This run belongs to process {self._process}; this is a fork of it. "
                "Wait for it there, or send from here with a client of your own."
            )


if sys.platform == "win32":
    _Usual = asyncio.ProactorEventLoop
else:
    _Usual = asyncio.SelectorEventLoop


class _Loop(_Usual):
    """An event loop whose work in threads, such as looking up a host, goes on at exit.

    The executor that asyncio would start takes no work any more from the end of the main thread on.
    """

    def __init__(self) -> None:
        self._helpers = ThreadPool(_HELPERS)
        super().__init__()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Given], Done], *args: *Given
    ) -> asyncio.Future[Done]:
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        return asyncio.wrap_future(self._helpers.start(func, *args), loop=self)

    def close(self) -> None:
        self._helpers.close()
        super().close()


_RUNNING: set[BackgroundLoop] = set()
_LEFT: dict[str, str] = {}
"""What runs that have ended leave to do, until somebody is told by other means."""


def _enter(worker: BackgroundLoop) -> None:
    """Have the exit wait for a worker."""
    _LEFT.pop(worker.name, None)
    _RUNNING.add(worker)
    atexit.unregister(_exit)
    atexit.register(_exit)  # the latest goes first: before what the run needs is stopped


def _leave(worker: BackgroundLoop, *, left: str = "") -> None:
    """Have the exit say what a worker left, and wait for it no longer."""
    if left:
        _LEFT[worker.name] = left
    _RUNNING.discard(worker)


def _exit() -> None:
    """Have all runs finish what is under way, and say what is left to do."""
    running = list(_RUNNING)
    for worker in running:
        worker.drain_at_exit()
    _outlast(running)
    for worker in running:
        if not worker.done:
            _leave(worker, left=worker.left())
    for left in _LEFT.values():
        _say(left)


def _outlast(running: Iterable[BackgroundLoop]) -> None:
    """Wait for workers. The first interrupt makes them end at once, the second ends the wait."""
    began = time.monotonic()
    is_explained = is_interrupted = False
    while (left := [each for each in running if not each.done]) and _since(began) < EXIT_SECONDS:
        try:
            left[0].wait(_SLICE_SECONDS)
            if not is_explained and _since(began) > _QUIET_SECONDS:
                is_explained = True
                _say(_WAITING)
        except KeyboardInterrupt:
            if is_interrupted:
                return
            is_interrupted = True
            for worker in left:
                worker.abandon()


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _say(text: str) -> None:
    """Write to standard error, which may be missing or closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"cio_frames: {text}\n")


def _forget() -> None:
    """In a fork: the runs are the parent's."""
    _RUNNING.clear()
    _LEFT.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
