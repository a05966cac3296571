"""Work in threads: piece by piece, or the parts of a table in order and some of them at once.

The threads are no executor's: when the interpreter exits, executors take no more work before a run
can be asked to finish what is under way. And they are kept, since each new thread has memory of
its own from the allocators, which do not give it back.

When the interpreter exits, the threads that nobody has ended are ended before it stops running them:
from Python 3.13 on, whatever waits for a thread after that waits for ever.
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
"""How long the end of a thread is waited for. An iterator that nobody closed is closed by garbage
collection, which may run where a lock is held that the thread is waiting for."""

Part = TypeVar("Part")
Done = TypeVar("Done")
Asked = ParamSpec("Asked")


class ThreadPool:
    """Threads that take up work in the order it comes, started when there is some for them.

    Where none can be started (the interpreter exits, or there are too many), the caller's thread
    does the work.

    Use it as a context manager, or call `close`.

    Args:
        most: How many threads there are at most.

    Examples:
        >>> with ThreadPool(1) as pool:
        ...     pool.start(abs, -7).result()
        7
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way: set[Future[Any]] = set()

    def start(
        self, work: Callable[Asked, Done], *asked: Asked.args, **options: Asked.kwargs
    ) -> Future[Done]:
        """Have something done, which sees the context variables of the caller.

        Returns:
            What becomes of it.
        """
        done: Future[Done] = Future()
        context = copy_context()

        def do() -> None:
            try:
                with engine_errors("a part of the table was worked on"):
                    found = context.run(work, *asked, **options)
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                done.set_exception(error)
            else:
                done.set_result(found)
            self._under_way.discard(done)

        self._under_way.add(done)
        if len(self._threads) < self._most:
            self._add()
        if self._threads:
            self._work.put(do)
        else:
            do()
        return done

    @property
    def is_busy(self) -> bool:
        """Whether something is started of which nobody has the result yet."""
        return bool(self._under_way)

    def close(self) -> None:
        """End the threads, when all that was started is done."""
        threads, self._threads = self._threads, []
        POOLS.discard(self)
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def _add(self) -> None:
        """Start one more thread, if there can be one."""
        thread = threading.Thread(target=self._do, name="cio-work", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._threads.append(thread)
            POOLS.add(self)

    def _do(self) -> None:
        while (do := self._work.get()) is not None:
            do()
            del do  # what it was given would be held until there is more to do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


POOLS: set[ThreadPool] = set()
"""Those that have threads."""


@atexit.register
def _close_all() -> None:
    for pool in list(POOLS):
        pool.close()


def map_ahead(
    work: Callable[[Part], Done], parts: Iterable[Part], *, at_once: int
) -> Generator[Done]:
    """Yield what becomes of each part, in order, while the next ones are worked on in threads.

    Parts are taken on the caller's thread, and no more than `at_once` of them are held.

    Raises:
        Exception: What `work` or `parts` raise.

    Examples:
        >>> list(map_ahead(abs, [-1, 2, -3], at_once=2))
        [1, 2, 3]
    """
    under_way: deque[Future[Done]] = deque()
    with ThreadPool(at_once) as pool:
        for part in parts:
            under_way.append(pool.start(work, part))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
