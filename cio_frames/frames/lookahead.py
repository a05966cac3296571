"""Work on the parts of a table in order, and on some of them at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")


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
    with ThreadPoolExecutor(at_once, thread_name_prefix="cio-ahead") as pool:
        for part in parts:
            under_way.append(pool.submit(work, part))
            if len(under_way) == at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
