"""Requests: full, in order, never over the limit, lanes kept whole where they can be."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.payloads import Batch, batches, cut
from cio_frames.payloads.batches import ENVELOPE_BYTES
from cio_frames.spec import LIMITS

BATCH = LIMITS["batch_bytes"].value

sizes_and_lanes = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 6)), max_size=40).map(
    lambda rows: sorted(rows, key=lambda row: row[1])
)


def body_bytes(sizes: list[int]) -> int:
    """Return how long a body of messages of these sizes is: envelope, messages, commas."""
    return len('{"batch":[]}') + sum(sizes) + max(len(sizes) - 1, 0)


def sliced(rows: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Return the cuts of rows of size and lane."""
    return cut(
        np.array([size for size, _ in rows], dtype=np.int64),
        lanes=np.array([lane for _, lane in rows], dtype=np.int32),
        limit_bytes=limit,
    )


def messages(sizes: list[int], *, lanes: list[int] | None = None) -> pl.DataFrame:
    """Return encoded rows whose messages have these sizes in bytes."""
    texts = ['{"x":"' + "é" * ((size - 8) // 2) + "y" * ((size - 8) % 2) + '"}' for size in sizes]
    return pl.DataFrame(
        {
            "row": range(len(sizes)),
            "lane": pl.Series(lanes or [0] * len(sizes), dtype=pl.Int32),
            "path": ["/v1/batch"] * len(sizes),
            "bytes": pl.Series(sizes, dtype=pl.Int64),
            "message": texts,
        }
    )


def requests(frame: pl.DataFrame, *, limit: int = BATCH, batched: bool = True) -> tuple[Batch, ...]:
    """Return the requests of encoded rows."""
    return numbered(frame, limit=limit, batched=batched)[0]


def numbered(
    frame: pl.DataFrame, *, limit: int = BATCH, batched: bool = True
) -> tuple[tuple[Batch, ...], pl.Series]:
    """Return the requests of encoded rows, and the number of each row's."""
    return batches(frame, plan=0, segment=3, call="track", batched=batched, limit_bytes=limit)


@given(rows=sizes_and_lanes, limit=st.integers(ENVELOPE_BYTES + 1, 200))
def test_cuts_cover_everything_in_order(rows, limit):
    """Every message is in exactly one batch, in the order it came in, and no batch is empty."""
    slices = sliced(rows, limit)

    assert [position for start, stop in slices for position in range(start, stop)] == [
        *range(len(rows))
    ]
    assert all(start < stop for start, stop in slices)


@given(rows=sizes_and_lanes, limit=st.integers(ENVELOPE_BYTES + 1, 200))
def test_no_batch_is_over_the_limit(rows, limit):
    """A body is within the limit, unless one message alone is over it."""
    for start, stop in sliced(rows, limit):
        assert body_bytes([size for size, _ in rows[start:stop]]) <= limit or stop - start == 1


@given(rows=sizes_and_lanes, limit=st.integers(ENVELOPE_BYTES + 1, 200))
def test_a_lane_is_divided_only_where_it_must_be(rows, limit):
    """Where a cut divides a lane, the batch before the cut holds nothing but that lane."""
    for (start, stop), _ in pairwise(sliced(rows, limit)):
        lanes = [lane for _, lane in rows]
        if lanes[stop - 1] == lanes[stop]:
            assert set(lanes[start:stop]) == {lanes[stop]}


@given(rows=sizes_and_lanes, limit=st.integers(ENVELOPE_BYTES + 1, 200))
def test_batches_are_as_full_as_they_can_be(rows, limit):
    """The next whole lane, or in a divided lane the next message, would not have fitted."""
    lanes = [lane for _, lane in rows]
    for start, stop in sliced(rows, limit):
        if stop == len(rows):
            continue
        divided = lanes[stop - 1] == lanes[stop]
        more = stop + 1 if divided else stop + lanes[stop:].count(lanes[stop])
        assert body_bytes([size for size, _ in rows[start:more]]) > limit


def test_batches_are_well_filled():
    """Messages of 300 bytes in many lanes fill the requests to more than nine tenths."""
    generator = np.random.default_rng(7)
    rows = sorted(zip([300] * 20_000, generator.integers(0, 1024, 20_000).tolist(), strict=True),
                  key=lambda row: row[1])  # fmt: skip

    slices = sliced(rows, BATCH)

    filled = [body_bytes([300] * (stop - start)) for start, stop in slices[:-1]]
    assert sum(filled) / len(filled) > 0.9 * BATCH


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        pytest.param(BATCH - 1, 1, id="one-byte-under"),
        pytest.param(BATCH, 1, id="exactly"),
        pytest.param(BATCH + 1, 2, id="one-byte-over"),
    ],
)
def test_the_limit_counts_every_byte(total, parts):
    """A body of exactly the limit is one request, and one byte more makes two."""
    full = [1000] * 400
    last = total - body_bytes([*full, 0])

    batches = requests(messages([*full, last]))

    assert len(batches) == parts
    assert [len(batch.body()) for batch in batches] == (
        [total] if parts == 1 else [body_bytes(full), body_bytes([last])]
    )


def test_a_message_over_the_limit_goes_alone():
    """A message that fits no batch has one of its own, and the others keep theirs."""
    batches = requests(messages([50, 500, 50]), limit=200)

    assert [batch.rows.to_list() for batch in batches] == [[0], [1], [2]]


def test_a_body_is_a_batch_of_the_messages():
    """The body is JSON with the messages in order, and its bytes are those of the account."""
    frame = messages([40, 41, 42], lanes=[1, 1, 5])

    (batch,) = requests(frame)

    assert batch.body() == b'{"batch":[' + ",".join(frame["message"]).encode() + b"]}"
    assert json.loads(batch.body()) == {"batch": [json.loads(text) for text in frame["message"]]}
    assert (batch.lanes, batch.segment, batch.number, len(batch)) == ((1, 5), 3, 0, 3)


@given(rows=st.lists(st.tuples(st.integers(8, 60), st.integers(0, 1023)), max_size=40))
def test_every_row_has_the_number_of_its_request(rows):
    """Rows in any order of lanes: each has the number of its request, where lanes then rows ascend."""
    frame = messages([size for size, _ in rows], lanes=[lane for _, lane in rows])

    batches, numbers = numbered(frame, limit=150)

    numbers_by_row = {row: batch.number for batch in batches for row in batch.rows}
    assert numbers.to_list() == [numbers_by_row[row] for row in range(len(rows))]
    order = [row for batch in batches for row in batch.rows]
    assert order == sorted(range(len(rows)), key=lambda row: (rows[row][1], row))
    texts = frame["message"].to_list()
    assert [*map(texts.__getitem__, order)] == [
        text for batch in batches for text in batch.messages
    ]
    assert [batch.message_bytes for batch in batches] == [
        sum(len(text.encode()) for text in batch.messages) for batch in batches
    ]


def test_unbatched_calls_have_a_request_per_row():
    """Where the path takes one message, each row is a request and its body the message itself."""
    frame = messages([20, 20])

    batches = requests(frame, batched=False)

    assert [batch.body() for batch in batches] == [text.encode() for text in frame["message"]]


def test_no_rows_make_no_requests():
    """A segment without messages has no requests."""
    assert requests(messages([])) == ()


@given(count=st.integers(2, 9))
def test_halves_hold_what_the_whole_held(count):
    """Splitting keeps every message and row in order and leaves no half empty."""
    (batch,) = requests(messages([30] * count))

    first, second = batch.split()

    assert len(first) > 0 < len(second)
    assert [*first.rows, *second.rows] == [*batch.rows]
    assert [*first.messages, *second.messages] == [*batch.messages]
    assert (first.number, second.lanes) == (batch.number, batch.lanes)
    assert first.message_bytes + second.message_bytes == batch.message_bytes == 30 * count


def test_only_takes_one_message():
    """The batch of one position holds that message and row alone."""
    (batch,) = requests(messages([30, 40, 50]))

    one = batch.only(1)

    assert (one.rows.to_list(), one.messages.to_list()) == ([1], [batch.messages[1]])
