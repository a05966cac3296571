"""Work in threads: piece by piece, or the parts of a table in order and some of them at once.

The threads are no executor's: when the interpreter exits, executors take no more work before a run
can be asked to finish what is under way. And they are kept, since each new thread has memory of
its own from the allocators, which do not give it back.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import ParamSpec, Self, TypeVar

from cio_frames.errors import engine_errors

Part = TypeVar("Part")
Done = TypeVar("Done")
Asked = ParamSpec("Asked")


class Crew:
    """Threads that take up work in the order it comes, started when there is some for them.

    Use it as a context manager, or call `close`.

    Args:
        most: How many threads there are at most.

    Examples:
        >>> with Crew(1) as crew:
        ...     crew.start(abs, -7).result()
        7
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(
        self, work: Callable[Asked, Done], *asked: Asked.args, **options: Asked.kwargs
    ) -> Future[Done]:
        """Have something done, which sees the context variables of the caller.

        Args:
            work: What is done.
            *asked: What it is given.
            **options: The same, by name.

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

        self._work.put(do)
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._do, name="cio-work", daemon=True)
            self._threads.append(thread)
            thread.start()
        return done

    def close(self) -> None:
        """End the threads, when all that was started is done."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _do(self) -> None:
        while (do := self._work.get()) is not None:
            do()
            del do  # what it was given would be held until there is more to do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def ahead(work: Callable[[Part], Done], parts: Iterable[Part], *, at_once: int) -> Iterator[Done]:
    """Yield what becomes of each part, in order, while the next ones are worked on in threads.

    Parts are taken on the caller's thread, and no more than `at_once` of them are held.

    Args:
        work: What is done with a part.
        parts: The parts.
        at_once: How many parts are worked on at once.

    Raises:
        Exception: What `work` or `parts` raise.

    Examples:
        >>> list(ahead(abs, [-1, 2, -3], at_once=2))
        [1, 2, 3]
    """
    under_way: deque[Future[Done]] = deque()
    with Crew(at_once) as crew:
        for part in parts:
            under_way.append(crew.start(work, part))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
