"""Rows packed into pieces of bytes, so that Spark moves a few values instead of every cell of every row.

Executors write the rows of a chunk that go to one partition as a stream of Arrow, and cut it into pieces. Java
holds a whole batch of them, and gives Python up to 10,000 rows at once, so pieces and batches are small.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cio_frames.errors import FrameError
from cio_frames.frames import ROW

PIECE_BYTES: Final = 2_048
"""The size of a piece; the last one of a stream may be smaller."""

PIECES_AT_ONCE: Final = 1_000
"""How many pieces of a batch are copied at once."""

PACKED_BYTES: Final = 1 << 26
"""The most bytes of rows that are packed at once, unless one row has more."""

BATCH_PIECES: Final = 10_000
"""The most pieces of a batch that Spark gets."""

PIECES: Final = pa.schema(
    {
        "key": pa.int64(),
        "stream": pa.int64(),
        "place": pa.int64(),
        "bytes": pa.int64(),
        "piece": pa.binary(),
    }
)
"""Pieces of streams: a number that decides the partition, the number of the stream, the place of the piece in
it, the size of the whole stream, and the piece. Rows of a stream without numbers are numbered from that of the
stream."""

PIECES_SQL: Final = "key bigint, stream bigint, place bigint, bytes bigint, piece binary"

ROW_FIELD: Final = pa.field(ROW, pa.int64(), nullable=False)
"""The column of row numbers, where this package makes it."""


def packed_in_order(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield rows with consecutive numbers as pieces, whose key is how many rows their stream has."""
    for part in _parts(rows):
        numbers, count = part[ROW].to_numpy()[:1], np.array([part.num_rows])
        yield from _pieces([_stream(part.drop_columns([ROW]))], keys=count, numbers=numbers)


def packed(
    rows: pa.Table, *, keys: npt.NDArray[np.int64], partitions: int
) -> Iterator[pa.RecordBatch]:
    """Yield rows as pieces; rows of one partition are in one stream.

    Args:
        rows: The rows of a chunk, with their numbers.
        keys: A number for each row. Rows with equal numbers are in one partition.
        partitions: How many partitions there are.
    """
    start = 0
    for part in _parts(rows):
        own = keys[start : start + part.num_rows]
        start += part.num_rows
        places = partition_of(own, partitions)
        order = np.argsort(places, kind="stable")
        starts = np.flatnonzero(np.diff(places[order], prepend=-1))
        ordered, lengths = part.take(pa.array(order)), np.diff(starts, append=len(order))
        streams = [_stream(ordered.slice(*each)) for each in zip(starts, lengths, strict=True)]
        first = order[starts]
        yield from _pieces(streams, keys=own[first], numbers=part[ROW].to_numpy()[first])


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield rows in parts that are small enough to be packed."""
    half = rows.num_rows // 2
    if half and rows.nbytes > PACKED_BYTES:
        yield from _parts(rows.slice(0, half))
        yield from _parts(rows.slice(half))
    else:
        yield rows


def _stream(rows: pa.Table) -> pa.Buffer:
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, rows.schema) as writer:
        writer.write_table(rows)
    return target.getvalue()


def _pieces(
    streams: list[pa.Buffer], *, keys: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> Iterator[pa.RecordBatch]:
    """Yield streams in pieces, in batches of at most `BATCH_PIECES`."""
    sizes = np.array([stream.size for stream in streams], np.int64)
    counts = -(-sizes // PIECE_BYTES)
    ends = np.cumsum(sizes)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = np.append(np.repeat(ends - sizes, counts) + PIECE_BYTES * place, ends[-1])
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(streams))]
    pieces = pa.BinaryArray.from_buffers(pa.binary(), len(place), buffers)
    repeated = (pa.array(np.repeat(values, counts)) for values in (keys, numbers, sizes))
    key, stream, size = repeated
    columns = [key, stream, pa.array(place), size, pieces]
    whole = pa.RecordBatch.from_arrays(columns, schema=PIECES)
    yield from (whole.slice(start, BATCH_PIECES) for start in range(0, len(place), BATCH_PIECES))


def unpacked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows that batches of pieces contain; other batches are yielded unchanged.

    Raises:
        FrameError: Pieces are missing at the end.
    """
    waiting: dict[int, dict[int, bytes]] = {}
    for batch in batches:
        if batch.schema.names != PIECES.names:
            yield batch
            continue
        for start in range(0, batch.num_rows, PIECES_AT_ONCE):
            part = batch.slice(start, PIECES_AT_ONCE)
            _, *columns = (column.to_pylist() for column in part.columns)
            for stream, place, size, piece in zip(*columns, strict=True):
                pieces = waiting.setdefault(stream, {})
                pieces[place] = piece
                if len(pieces) * PIECE_BYTES >= size:
                    whole = b"".join(pieces[place] for place in range(len(pieces)))
                    del waiting[stream]
                    yield from _numbered(pa.ipc.open_stream(whole), first=stream)
    if waiting:
        raise FrameError(
            "Spark lost pieces of rows between two steps. Do this again; a run can be resumed."
        )


def _numbered(batches: Iterable[pa.RecordBatch], *, first: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if ROW in batch.schema.names:
            yield batch
            continue
        numbers = pa.array(np.arange(first, first + batch.num_rows))
        yield batch.add_column(0, ROW_FIELD, numbers)
        first += batch.num_rows


_SEED: Final = 42
"""Spark's seed of `hash`."""


def partition_of(keys: npt.NDArray[np.int64], partitions: int) -> npt.NDArray[np.int64]:
    """Return Spark's partition of numbers, `pmod(hash(key), partitions)`: MurmurHash3 of their halves.

    Examples:
        >>> partition_of(np.array([1, -7, 2**40]), 1_000).tolist()
        [669, 16, 313]
    """
    bits = keys.view(np.uint64)
    state = np.full(len(keys), _SEED, np.uint32)
    for half in (bits.astype(np.uint32), (bits >> np.uint64(32)).astype(np.uint32)):
        mixed = _rotated(half * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        state = _rotated(state ^ mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(8)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ (state >> np.uint32(shift))) * np.uint32(factor)
    state ^= state >> np.uint32(16)
    return state.view(np.int32).astype(np.int64) % partitions


def _rotated(bits: npt.NDArray[np.uint32], by: int) -> npt.NDArray[np.uint32]:
    return (bits << np.uint32(by)) | (bits >> np.uint32(32 - by))
