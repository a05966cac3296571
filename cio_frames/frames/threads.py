"""Run work in threads: single calls, or a function over the parts of a table, in order.

This is not an executor of the standard library: executors reject work when the interpreter exits,
before a run can finish its open requests. Threads are reused, since allocators do not return the
memory of ended threads.

When the interpreter exits, all remaining threads are ended before it stops running them: since
Python 3.13, waiting for a thread after that never returns.
"""

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, ParamSpec, Self, TypeVar

from cio_frames.errors import engine_errors

JOIN_S = 10.0
"""How long to wait for the end of a thread. Iterators that are not closed are closed by garbage
collection, possibly while a lock is held that the thread needs."""

Part = TypeVar("Part")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class ThreadPool:
    """Threads that do work in the order it is started; the threads start when they are needed.

    If no thread can be started (the interpreter exits, or there are too many), the work is done on
    the thread of the caller.

    Use it as a context manager, or call `close`.

    Examples:
        >>> with ThreadPool(1) as pool:
        ...     pool.start(abs, -7).result()
        7
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished: set[Future[Any]] = set()

    def start(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Call a function on a thread, with the context variables of the caller.

        Returns:
            The future of its result.
        """
        future: Future[Result] = Future()
        context = copy_context()

        def run() -> None:
            try:
                with engine_errors("a part of the table was worked on"):
                    result = context.run(work, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised by future.result()
                future.set_exception(error)
            else:
                future.set_result(result)
            self._unfinished.discard(future)

        self._unfinished.add(future)
        if len(self._threads) < self._max_threads:
            self._start_thread()
        if self._threads:
            self._work.put(run)
        else:
            run()
        return future

    @property
    def is_busy(self) -> bool:
        """Whether work that was started is not finished."""
        return bool(self._unfinished)

    def close(self) -> None:
        """End the threads after all work that was started."""
        threads, self._threads = self._threads, []
        POOLS.discard(self)
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def _start_thread(self) -> None:
        """Start one more thread, if possible."""
        thread = threading.Thread(target=self._run_work, name="cio-work", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._threads.append(thread)
            POOLS.add(self)

    def _run_work(self) -> None:
        while (run := self._work.get()) is not None:
            run()
            del run  # else its arguments would stay in memory until the next work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


POOLS: set[ThreadPool] = set()
"""The pools that have threads."""


@atexit.register
def _close_all() -> None:
    for pool in list(POOLS):
        pool.close()


def map_ahead(
    work: Callable[[Part], Result], parts: Iterable[Part], *, at_once: int
) -> Generator[Result]:
    """Yield the result for each part, in order, while threads work on the next parts.

    Parts are read on the thread of the caller, and at most `at_once` of them are in memory.

    Raises:
        Exception: What `work` or `parts` raise.

    Examples:
        >>> list(map_ahead(abs, [-1, 2, -3], at_once=2))
        [1, 2, 3]
    """
    futures: deque[Future[Result]] = deque()
    with ThreadPool(at_once) as pool:
        for part in parts:
            futures.append(pool.start(work, part))
            if len(futures) == at_once:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
