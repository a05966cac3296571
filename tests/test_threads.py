"""Working map_ahead: in order, on a few parts at once, and never on more."""

import itertools
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.frames import ThreadPool, map_ahead, threads


@given(parts=st.lists(st.integers()), at_once=st.integers(1, 4))
def test_what_becomes_of_parts_is_in_their_order(parts, at_once):
    """Whatever is worked on at once, the outcomes are those of the parts one by one."""
    assert list(map_ahead(lambda part: part * 2, parts, at_once=at_once)) == [2 * p for p in parts]


def test_parts_are_worked_on_at_once():
    """With two at once, the first part may wait for the second."""
    second = threading.Event()

    def work(part: int) -> bool:
        if part == 1:
            second.set()
        return second.wait(60)

    assert list(map_ahead(work, [0, 1], at_once=2)) == [True, True]


def test_no_more_parts_are_taken_than_are_held():
    """A reader that stops after the first outcome has made no more than two parts be taken."""
    taken = []

    def parts() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    working = map_ahead(abs, parts(), at_once=2)

    assert next(working) == 0
    working.close()
    assert taken == [0, 1]


def test_a_failure_is_raised_in_its_place():
    """What comes before a part that fails is there, and the failure is the part's own."""

    def work(part: int) -> float:
        return 1 / part

    working = map_ahead(work, [1, 0, 2], at_once=3)

    assert next(working) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(working)


def test_no_thread_is_left():
    """When all is done, or nobody asks any more, the threads are gone."""
    before = threading.active_count()
    list(map_ahead(abs, range(5), at_once=3))
    begun = map_ahead(abs, range(5), at_once=3)
    next(begun)
    begun.close()

    assert threading.active_count() == before


def test_threads_are_kept():
    """Twenty parts are worked on by two threads at most: each new one would cost memory."""
    seen = set(map_ahead(lambda _: threading.get_ident(), range(20), at_once=2))

    assert len(seen) <= 2


def test_a_pool_goes_on_after_a_failure():
    """An error is raised where the result is requested, and ends no thread."""
    with ThreadPool(1) as pool:
        failing, following = pool.start(divmod, 1, 0), pool.start(abs, -7)

        assert isinstance(failing.exception(), ZeroDivisionError)
        assert following.result() == 7


def test_a_pool_ends_what_it_has_begun():
    """When it is closed, all that was started is done and its threads are gone."""
    before = threading.active_count()
    with ThreadPool(2) as pool:
        futures = [pool.start(abs, -number) for number in range(9)]

    assert [each.done() for each in futures] == [True] * 9
    assert threading.active_count() == before


def test_work_sees_the_context_of_who_asked():
    """A context variable has the value that it had where the work was started."""
    zone: ContextVar[str] = ContextVar("zone", default="none")
    with ThreadPool(1) as pool:
        before = pool.start(zone.get)
        zone.set("Europe/Berlin")
        after = pool.start(zone.get)

        assert (before.result(), after.result()) == ("none", "Europe/Berlin")


def test_an_iterator_that_is_left_does_not_hold_up_its_own_thread():
    """Garbage collection may close it on any thread, on one of its own too."""
    with ThreadPool(2) as pool:
        closed = [pool.start(pool.close) for _ in range(2)]

        assert [each.result(60) for each in closed] == [None, None]


def test_a_thread_that_does_not_end_is_not_waited_for_for_ever(monkeypatch):
    """What garbage collection closes may hold what the thread waits for."""
    monkeypatch.setattr(threads, "JOIN_S", 0.01)
    ends = threading.Event()
    pool = ThreadPool(1)
    waiting = pool.start(ends.wait, 60)
    pool.close()

    assert not waiting.done()
    ends.set()
    assert waiting.result(60)


@pytest.mark.skipif(sys.platform != "linux", reason="here threads are refused by their size")
def test_without_threads_the_caller_does_the_work():
    """What cannot have a thread of its own is done all the same, and is as complete."""
    before = threading.stack_size(2**46)
    try:
        results = list(map_ahead(lambda part: (part, threading.get_ident()), range(5), at_once=2))
    finally:
        threading.stack_size(before)

    assert results == [(part, threading.get_ident()) for part in range(5)]


def test_a_pool_is_busy_until_whoever_waits_is_notified():
    """Work counts as running until its callbacks have run too."""
    goes_on, was_busy = threading.Event(), []
    with ThreadPool(1) as pool:
        waiting = pool.start(goes_on.wait, 60)
        waiting.add_done_callback(lambda _: was_busy.append(pool.is_busy))
        before = pool.is_busy
        goes_on.set()

    assert (before, was_busy, pool.is_busy) == (True, [True], False)
