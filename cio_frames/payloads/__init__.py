"""Rows as bytes: messages, their ids, and the requests that carry them."""

from cio_frames.payloads.batches import (
    SEGMENT_SCHEMA,
    Batch,
    Segment,
    batches,
    count_batches,
    cut,
)
from cio_frames.payloads.encode import (
    MESSAGE_SCHEMA,
    contents,
    encode,
    lanes,
    max_message_bytes,
    order_key,
    sizes,
)
from cio_frames.payloads.ids import ID_ALGORITHM, RUN_ALGORITHM

__all__ = [
    "ID_ALGORITHM",
    "MESSAGE_SCHEMA",
    "RUN_ALGORITHM",
    "SEGMENT_SCHEMA",
    "Batch",
    "Segment",
    "batches",
    "contents",
    "count_batches",
    "cut",
    "encode",
    "lanes",
    "max_message_bytes",
    "order_key",
    "sizes",
]
