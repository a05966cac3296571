"""Messages at fault are found in order, with few requests, and nothing else is given up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.sending.batch_progress import Bisection, probe_positions


def search(size, *, bad, room=None):
    """Act as a host that rejects bad messages and parts above `room`; return all outcomes."""
    bisection, ends, requests = Bisection(size), [], 0
    while not bisection.done:
        start, stop = bisection.next_part()
        requests += 1
        if room is not None and stop - start > room:
            bisection.too_large(stop)
        elif any(at in bad for at in range(start, stop)):
            if stop - start == 1:
                ends.append((start, "rejected"))
            bisection.rejected(stop)
        else:
            ends.extend((at, "delivered") for at in range(start, stop))
            bisection.accepted(stop)
    return ends, requests


batches = st.integers(1, 300).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))
)


@given(batches)
def test_exactly_the_bad_messages_are_rejected_and_order_is_kept(case):
    """Each message has one end, in order, and only the bad ones are rejected."""
    size, bad = case
    ends, _ = search(size, bad=bad)

    assert ends == [(at, "rejected" if at in bad else "delivered") for at in range(size)]


@given(batches)
def test_requests_are_few(case):
    """K bad messages among n take at most 2 k ceil(log2 n) + 1 requests."""
    size, bad = case
    _, requests = search(size, bad=bad)

    assert requests <= 2 * len(bad) * math.ceil(math.log2(size)) + 1 if size > 1 else requests == 1


def test_a_batch_of_nothing_but_bad_messages_takes_hardly_more_than_one_request_each():
    """When every message is bad, the search does not go back to large parts."""
    _, requests = search(1_000, bad=set(range(1_000)))

    assert requests <= 1_000 + 20


@given(batches, st.integers(1, 50))
def test_a_host_with_less_room_gets_everything_in_smaller_parts(case, room):
    """Splitting by size ends, loses nothing, and mixes with the search."""
    size, bad = case
    ends, _ = search(size, bad=bad, room=room)

    assert ends == [(at, "rejected" if at in bad else "delivered") for at in range(size)]


def test_a_single_message_that_is_too_large_is_passed_over():
    """When nothing is small enough, each message has its end and the search is over."""
    bisection, requests = Bisection(3), 0
    while not bisection.done:
        bisection.too_large(bisection.next_part()[1])
        requests += 1

    assert requests <= 2 + 3


@given(batches, st.lists(st.booleans(), min_size=1, max_size=50))
def test_a_host_that_changes_its_mind_cannot_keep_the_search_going(case, moods):
    """Even with answers that contradict each other, every message has its one end."""
    size, _ = case
    bisection, ended, step = Bisection(size), 0, 0
    while not bisection.done:
        start, stop = bisection.next_part()
        assert start == ended
        if moods[step % len(moods)]:
            bisection.accepted(stop)
            ended = stop
        else:
            ended = stop if stop - start == 1 else ended
            bisection.rejected(stop)
        step += 1
        assert step <= 40 * size + 40

    assert ended == size


@pytest.mark.parametrize(
    ("lanes", "places"),
    [
        pytest.param([0, 1, 2, 3], (2, 3), id="a-lane-each"),
        pytest.param([0, 0, 0, 5, 5, 9], (3, 5), id="three-lanes"),
        pytest.param([0, 0, 0, 5], (1, 3), id="two-lanes"),
        pytest.param([0, 1, 1, 1], (1, 2), id="second-lane-first"),
        pytest.param([0, 0, 0, 0], (1, 2), id="one-lane"),
    ],
)
def test_probes_are_the_first_of_their_lane(lanes, places):
    """Middle and last lane are tried by their first message; few lanes go on in order."""
    assert probe_positions(lanes) == places


@given(st.lists(st.integers(0, 5), min_size=4, max_size=40).map(sorted))
def test_probes_overtake_nobody_but_the_first_message(lanes):
    """Before each probe, everything earlier of its lane was the first message or a probe."""
    first, second = probe_positions(lanes)
    sent = {0}
    for at in (first, second):
        earlier = {other for other in range(at) if lanes[other] == lanes[at]}
        assert earlier <= sent
        sent.add(at)
