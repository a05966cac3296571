"""Work in threads: one piece of it, or the parts of a table in order and some of them at once.

The threads are started one by one, not by an executor: when the interpreter exits, executors take
no more work before a run can be asked to finish what is under way.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import ParamSpec, TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")
Asked = ParamSpec("Asked")


def in_thread(
    work: Callable[Asked, Done], *asked: Asked.args, **options: Asked.kwargs
) -> Future[Done]:
    """Start work on a thread of its own, which sees the context variables of the caller.

    Args:
        work: What is done.
        *asked: What it is given.
        **options: The same, by name.

    Returns:
        What becomes of it.

    Examples:
        >>> in_thread(abs, -7).result()
        7
    """
    done: Future[Done] = Future()
    context = copy_context()

    def run() -> None:
        try:
            found = context.run(work, *asked, **options)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            done.set_exception(error)
        else:
            done.set_result(found)

    threading.Thread(target=run, name="cio-work", daemon=True).start()
    return done


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
    try:
        for part in parts:
            under_way.append(in_thread(work, part))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        wait(under_way)
