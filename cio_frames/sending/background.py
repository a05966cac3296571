"""A thread with its own event loop, so that a run works in scripts, notebooks and with `await`.

When the interpreter exits, every run finishes its requests in flight, and what is left to do is
printed. This happens in a function of `atexit`, the last moment at which threads still run. By then
no executor (since Python 3.9) and no thread (since 3.12) can be started, so nothing here needs one.
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
from cio_frames.sending.run_controls import STOPPED_BY_USER, StopSignal

EXIT_SECONDS = 60.0
"""How long the interpreter's exit waits for requests in flight."""

EXITED = "The program ended before the run did. Resume the run to send the rest."
_WAITING_TEXT = (
    "The program has ended; waiting for the answers to open requests. Ctrl-C leaves them in doubt."
)
_SILENT_SECONDS = 1.0  # a longer wait is explained
_SLICE_SECONDS = 0.1  # an interrupt that another thread catches is noticed only between waits
_HELPERS = 4

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class BackgroundLoop:
    """Runs a coroutine on a thread, apart from any event loop of the caller.

    It waits on an event and does not join the thread: before Python 3.13 an interrupted join takes
    the thread for dead (cpython#90882).

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
        unfinished: Callable[[], str] = lambda: "",
    ) -> None:
        self._work = work
        self._stop = stop
        self.name = name
        self.unfinished = unfinished
        self._ended = threading.Event()
        self._end_listeners: list[Callable[[], object]] = []
        self._result: Any = None
        self.error: BaseException | None = None
        self._process: int | None = None

    @property
    def done(self) -> bool:
        """Whether the coroutine has ended."""
        return self._ended.is_set()

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
        _register(self)
        try:
            thread.start()
        except RuntimeError:
            _unregister(self)
            raise

    def stop(self, reason: str = STOPPED_BY_USER) -> None:
        """Stop after the requests in flight; nothing else is started."""
        self._stop.drain(reason)

    def abandon(self) -> None:
        """Stop at once; requests in flight stay in doubt."""
        self._stop.abandon()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, and return whether it was reached.

        Raises:
            RunError: The run was not started, or was started in the process that this one was forked
                from.
        """
        self._require_own_process()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self._ended.wait(min(_SLICE_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    async def wait_async(self) -> None:
        """Wait for the end without blocking the caller's event loop.

        Raises:
            RunError: As for `wait`.
        """
        self._require_own_process()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._end_listeners.append(lambda: loop.call_soon_threadsafe(ended.set))
        # In slices: a signal that cancels the caller's task does not wake a loop that sleeps.
        while not self.done:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _SLICE_SECONDS)

    def result(self) -> Any:
        """Wait for the end, and return what the coroutine returned or raise what it raised."""
        self.wait()
        self.dismiss()
        if self.error is not None:
            raise self.error
        return self._result

    def dismiss(self) -> None:
        """Do not print what is left to do when the interpreter exits: the caller reports it."""
        _UNFINISHED.pop(self.name, None)

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                self._result = runner.run(self._work())
        except BaseException as error:  # noqa: BLE001  # `result` raises it
            self.error = error
        finally:
            _unregister(self, unfinished=self.unfinished())
            self._ended.set()
            for notify in self._end_listeners:
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
    _BaseLoop = asyncio.ProactorEventLoop
else:
    _BaseLoop = asyncio.SelectorEventLoop


class _Loop(_BaseLoop):
    """An event loop whose work in threads, such as looking up a host, continues at exit.

    The default executor of asyncio takes no more work after the main thread has ended.
    """

    def __init__(self) -> None:
        self._helpers = ThreadPool(_HELPERS)
        super().__init__()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], Result], *args: *Args
    ) -> asyncio.Future[Result]:
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        return asyncio.wrap_future(self._helpers.start(func, *args), loop=self)

    def close(self) -> None:
        self._helpers.close()
        super().close()


_RUNNING: set[BackgroundLoop] = set()
_UNFINISHED: dict[str, str] = {}
"""What ended runs have left to do, by run, until it is reported in another way."""


def _register(worker: BackgroundLoop) -> None:
    """Make the exit wait for a worker."""
    _UNFINISHED.pop(worker.name, None)
    _RUNNING.add(worker)
    atexit.unregister(_finish_all)
    atexit.register(_finish_all)  # the last one runs first, before what the run needs is stopped


def _unregister(worker: BackgroundLoop, *, unfinished: str = "") -> None:
    """Let the exit not wait for a worker, but print what it has left to do."""
    if unfinished:
        _UNFINISHED[worker.name] = unfinished
    _RUNNING.discard(worker)


def _finish_all() -> None:
    """Finish the requests in flight of all runs, and print what is left to do."""
    running = list(_RUNNING)
    for worker in running:
        worker.stop(EXITED)
    _wait_for_all(running)
    for worker in running:
        if not worker.done:
            _unregister(worker, unfinished=worker.unfinished())
    for sentence in _UNFINISHED.values():
        _print_to_stderr(sentence)


def _wait_for_all(running: Iterable[BackgroundLoop]) -> None:
    """Wait for workers. The first interrupt stops them at once, the second ends the wait."""
    began = time.monotonic()
    is_explained = is_interrupted = False
    while active := [worker for worker in running if not worker.done]:
        elapsed_s = time.monotonic() - began
        if elapsed_s >= EXIT_SECONDS:
            return
        try:
            active[0].wait(_SLICE_SECONDS)
            if not is_explained and elapsed_s > _SILENT_SECONDS:
                is_explained = True
                _print_to_stderr(_WAITING_TEXT)
        except KeyboardInterrupt:
            if is_interrupted:
                return
            is_interrupted = True
            for worker in active:
                worker.abandon()


def _print_to_stderr(text: str) -> None:
    """Write to standard error, which may be missing or closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"cio_frames: {text}\n")


def _clear_after_fork() -> None:
    """Clear the runs in a fork: they belong to the parent."""
    _RUNNING.clear()
    _UNFINISHED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clear_after_fork)
