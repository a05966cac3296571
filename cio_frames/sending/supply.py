"""Segments, planned one ahead of their turn."""

import asyncio
from collections.abc import Iterator

from cio_frames.frames import ThreadPool
from cio_frames.payloads.batches import Segment


class Supply:
    """Plans segments one by one, in a thread, when it is asked to.

    Args:
        segments: The segments.
        wake: Is set when one has been planned.
    """

    def __init__(self, segments: Iterator[Segment], *, wake: asyncio.Event) -> None:
        self._segments = segments
        self._wake = wake
        self._planners = ThreadPool(1)
        self._planned: asyncio.Future[Segment | None] | None = None
        self._exhausted = False

    @property
    def is_asked(self) -> bool:
        """Whether a segment is being planned, or waits to be taken."""
        return self._planned is not None

    def ask(self) -> None:
        """Have the next segment planned, if there may be one."""
        if self._planned is None and not self._exhausted:
            planning = self._planners.start(next, self._segments, None)
            self._planned = asyncio.wrap_future(planning)
            self._planned.add_done_callback(lambda _: self._wake.set())

    def take(self) -> Segment | None:
        """Return the segment that was asked for, None if there is none, or none yet.

        Raises:
            Exception: What planning it raises.
        """
        if self._planned is None or not self._planned.done():
            return None
        planned, self._planned = self._planned, None
        segment = planned.result()
        self._exhausted = segment is None
        return segment

    async def close(self) -> None:
        """Wait for the segment that is being planned, and leave it."""
        try:
            if self._planned is not None:
                await asyncio.wait({self._planned})
                self._planned.exception()
        finally:
            self._planners.close()
