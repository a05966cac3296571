"""Batches of messages: as large as the limits allow, and in an order that can be kept.

Rows are sorted by lane and cut at lane borders, so that a batch covers an interval of lanes. Two
batches may be in flight together if their intervals do not overlap; that keeps the order of every
person without a separate request for each lane.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LANES = 1024
"""How many lanes rows are spread over."""

OPEN, CLOSE = b'{"batch":[', b"]}"
ENVELOPE_BYTES = len(OPEN) + len(CLOSE)

SEGMENT_SCHEMA = pl.Schema(
    {
        "row": pl.Int64,
        "call": pl.String,
        "person": pl.String,
        "message_id": pl.String,
        "payload_hash": pl.String,
        "subjects": pl.String,
        "bytes": pl.Int64,
        "lane": pl.Int32,
        "component": pl.UInt64,
        "batch": pl.Int32,
        "state": pl.String,
        "code": pl.String,
        "error": pl.String,
    }
)
"""The columns of `Segment.rows`. Rows with the same `component` are about one person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One request's worth of messages."""

    plan: int  # position of the plan in its back-fill, from 0
    segment: int  # number of the segment the rows belong to, from 0
    number: int  # number of the batch in its segment; the halves of a split keep it
    call: str  # name of the call
    path: str  # path of the request, percent-encoded
    batched: bool  # whether the path takes many messages at once
    messages: pl.Series  # the messages' JSON, in sending order
    rows: pl.Series  # row numbers in the plan's table, one per message
    message_bytes: int  # bytes of the messages
    lanes: tuple[int, int]  # first and last lane the batch touches

    def __len__(self) -> int:
        return len(self.rows)

    def body(self) -> bytes:
        """Return the bytes of the request's body, before compression."""
        if not self.batched:
            return str(self.messages[0]).encode()
        joined: bytes = self.messages.str.join(",").cast(pl.Binary)[0]
        return b"".join((OPEN, joined, CLOSE))

    def split(self) -> tuple["Batch", "Batch"]:
        """Return the two halves, in order."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))

    def only(self, position: int) -> "Batch":
        """Return the batch of the single message at `position`."""
        return self.part(position, position + 1)

    def part(self, start: int, stop: int) -> "Batch":
        """Return the batch of the messages from `start` up to `stop`."""
        messages = self.messages.slice(start, stop - start)
        return replace(
            self,
            messages=messages,
            rows=self.rows.slice(start, stop - start),
            message_bytes=int(messages.str.len_bytes().sum()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A slice of a plan's rows, with the decision for each row before anything is sent."""

    plan: int  # position of the plan in its back-fill, from 0
    number: int  # number of the segment in the run, from 0
    call: str  # name of the call
    rows: pl.DataFrame  # one row per input row of the slice, with the columns of `SEGMENT_SCHEMA`
    batches: tuple[Batch, ...]  # the requests made from the rows that are sent, in sending order


def cut(
    sizes: "npt.NDArray[np.int64]", *, lanes: "npt.NDArray[np.int32]", limit_bytes: int
) -> list[tuple[int, int]]:
    """Cut messages that are sorted by lane into batches of limited size, including the envelope.

    Returns:
        Half-open intervals that cover all messages in order. Each body is within the limit
        unless a single message exceeds it. A lane is divided only if it is larger than a batch.

    Examples:
        >>> import numpy as np
        >>> cut(np.array([40, 40, 40]), lanes=np.array([0, 1, 1], np.int32), limit_bytes=100)
        [(0, 1), (1, 3)]
    """
    import numpy as np

    intervals = []
    ends = np.concatenate(([0], np.cumsum(sizes + 1)))
    borders = np.flatnonzero(np.diff(lanes)) + 1
    start, count = 0, len(sizes)
    while start < count:
        room = limit_bytes - ENVELOPE_BYTES + 1 + ends[start]
        stop = max(int(np.searchsorted(ends, room, side="right")) - 1, start + 1)
        if stop < count:
            border = int(np.searchsorted(borders, stop, side="right")) - 1
            if border >= 0 and borders[border] > start:
                stop = int(borders[border])
        intervals.append((start, stop))
        start = stop
    return intervals


def count_batches(sizes: pl.Series, *, lanes: pl.Series, limit_bytes: int) -> int:
    """Return how many requests `batches` makes of messages that can be batched."""
    order = _sending_order(lanes)
    return len(cut(sizes.to_numpy()[order], lanes=lanes.to_numpy()[order], limit_bytes=limit_bytes))


def _sending_order(lanes: pl.Series) -> "npt.NDArray[np.int64]":
    """Return the positions of rows by lane; the rows of a lane keep their order."""
    import numpy as np

    return np.argsort(lanes.to_numpy().astype(np.int16), kind="stable")  # a radix sort, of 16 bits


def batches(
    messages: pl.DataFrame, *, plan: int, segment: int, call: str, batched: bool, limit_bytes: int
) -> tuple[tuple[Batch, ...], pl.Series]:
    """Return the requests for the encoded rows of one segment.

    Returns:
        The requests, and for each row of `messages` the number of its request.
    """
    import numpy as np

    order = _sending_order(messages["lane"])
    messages = messages.select("row", "lane", "path", "bytes", "message")[order]
    lanes, sizes = messages["lane"].to_numpy(), messages["bytes"].to_numpy()
    if batched:
        slices = cut(sizes, lanes=lanes, limit_bytes=limit_bytes)
    else:
        slices = [(position, position + 1) for position in range(messages.height)]
    numbers = np.empty(messages.height, np.int32)
    numbers[order] = np.repeat(
        np.arange(len(slices), dtype=np.int32), [stop - start for start, stop in slices]
    )
    requests = tuple(
        Batch(
            plan=plan,
            segment=segment,
            number=number,
            call=call,
            path=messages["path"][start],
            batched=batched,
            messages=messages["message"].slice(start, stop - start),
            rows=messages["row"].slice(start, stop - start),
            message_bytes=int(sizes[start:stop].sum()),
            lanes=(int(lanes[start]), int(lanes[stop - 1])),
        )
        for number, (start, stop) in enumerate(slices)
    )
    return requests, pl.Series("batch", numbers)
