"""Segments are planned one ahead, and no thread outlives their sending."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import fields

import pytest

from cio_frames.payloads.batches import Segment
from cio_frames.sending.http import Transport
from cio_frames.sending.run_controls import StopSignal
from cio_frames.sending.scheduler import SegmentPrefetch, send
from cio_frames.workspaces import Client
from tests.sending.conftest import Host, client_of, segment

PATIENCE_S = 60


def opening(kind: type[Client], host: Host) -> Client:
    """Return a client of another kind for a host."""
    client = client_of(host)
    return kind(**{each.name: getattr(client, each.name) for each in fields(client)})


def test_the_first_segment_is_planned_while_the_session_opens():
    """Opening takes a moment that planning can use: here it lasts until something is planned."""
    planned, host = threading.Event(), Host()

    class Slow(Client):
        def session(self, **options) -> Transport:
            assert planned.wait(PATIENCE_S)
            return super().session(**options)

    def segments() -> Iterator[Segment]:
        planned.set()
        yield segment(30)

    asyncio.run(
        send(segments(), client=opening(Slow, host), listener=lambda _: None, stop=StopSignal())
    )

    assert sorted(host.applied) == list(range(30))


def test_a_session_that_cannot_be_opened_leaves_no_thread():
    """The error is passed on when the segment that is being planned is done."""
    before = threading.active_count()

    class Broken(Client):
        def session(self, **_) -> Transport:
            raise OSError("no route")

    client = opening(Broken, Host())
    with pytest.raises(OSError, match="no route"):
        asyncio.run(
            send(iter([segment(30)]), client=client, listener=lambda _: None, stop=StopSignal())
        )

    assert threading.active_count() == before


def test_segments_come_one_by_one_and_in_order():
    """A segment is planned when it is requested, not sooner; at the end `pop` returns None."""
    taken = []

    def segments() -> Iterator[Segment]:
        for number in range(3):
            taken.append(number)
            yield segment(1, number=number)

    async def work() -> list[int]:
        wake, found = asyncio.Event(), []
        supply = SegmentPrefetch(segments(), wake=wake)
        assert (supply.is_requested, supply.pop(), taken) == (False, None, [])
        while len(found) < 3:
            supply.request()
            supply.request()  # once is as good as twice
            await wake.wait()
            wake.clear()
            found.append(supply.pop().number)
            assert taken == found
        supply.request()
        await wake.wait()
        assert supply.pop() is None
        supply.request()
        assert not supply.is_requested
        await supply.close()
        return found

    assert asyncio.run(work()) == [0, 1, 2]
