"""Nobody's messages overtake each other, and nothing waits for ever."""

import random

from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sending.scheduler import Lanes
from tests.sending.conftest import batch

intervals = st.tuples(st.integers(0, 1023), st.integers(0, 1023)).map(
    lambda two: tuple(sorted(two))
)
queues = st.lists(st.tuples(intervals, st.integers(0, 3)), max_size=40)


def overlap(one, other):
    """Tell whether two batches share a lane."""
    return one.lanes[0] <= other.lanes[1] and other.lanes[0] <= one.lanes[1]


@given(queues, st.integers(1, 8), st.randoms(use_true_random=False))
def test_order_is_kept_for_any_completion_order_and_all_come_to_an_end(
    queue, width, chance: random.Random
):
    """A batch starts only after all earlier ones that share a lane, or are of a plan before."""
    plans = sorted(plan for _, plan in queue)
    batches = [
        batch([n], number=n, lanes=lanes, plan=plan)
        for n, ((lanes, _), plan) in enumerate(zip(queue, plans, strict=True))
    ]
    lanes, waiting, running, finished = Lanes(), list(batches), [], set()
    while len(finished) < len(batches):
        while waiting and chance.random() < 0.7:
            lanes.add(waiting.pop(0))
        while len(running) < width and (ready := lanes.ready()):
            for earlier in batches[: ready.number]:
                if overlap(earlier, ready) or earlier.plan != ready.plan:
                    assert earlier.number in finished
            running.append(ready)
        if running:
            done = running.pop(chance.randrange(len(running)))
            finished.add(done.number)
            lanes.done(done)
        else:
            assert waiting or not len(lanes), "something open may always start"

    assert len(lanes) == 0


def test_batches_apart_go_together_and_the_earliest_goes_first():
    """Separate intervals start at once, in order; an overlap waits."""
    lanes = Lanes()
    first, second, third = (
        batch([n], number=n, lanes=interval)
        for n, interval in enumerate([(0, 4), (4, 9), (10, 20)])
    )
    for each in (first, second, third):
        lanes.add(each)

    assert lanes.ready() is first
    assert lanes.ready() is third
    assert lanes.ready() is None
    assert list(lanes.unstarted()) == [second]
    lanes.done(first)
    assert lanes.ready() is second
    assert (len(lanes), lanes.waiting) == (2, 0)


def test_another_plan_waits_for_all_of_the_plan_before():
    """Even with lanes of its own, a batch of the next plan waits."""
    lanes = Lanes()
    first, second = batch([0], number=0, lanes=(0, 1)), batch([1], number=1, lanes=(5, 6), plan=1)
    lanes.add(first)
    lanes.add(second)

    assert lanes.ready() is first
    assert lanes.ready() is None
    lanes.done(first)
    assert lanes.ready() is second


def test_equal_batches_are_distinguished():
    """Two batches with the same numbers are two batches."""
    lanes = Lanes()
    first, second = batch([0], number=0, lanes=(0, 0)), batch([0], number=0, lanes=(1, 1))
    lanes.add(first)
    lanes.add(second)

    assert lanes.ready() is first
    assert lanes.ready() is second
