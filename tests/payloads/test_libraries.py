"""The same table gives the same messages whatever library holds it."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.validation import as_texts

DATA = {
    "id": ["u1", "u2", None, "ü 4"],
    "count": [1, 2**53 + 1, -3, 0],
    "share": [0.1, None, 1e-7, 2.5],
    "flag": [True, False, True, True],
    "note": ['"q"\n', None, "\u2028", "😀"],
    "at": [datetime(2024, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)] * 4,
    "local": [datetime(2024, 1, 2, 3, 4, 5)] * 4,  # noqa: DTZ001 - naive on purpose
    "day": [date(2024, 1, 2), None, date(1970, 1, 1), date(2024, 2, 29)],
    "tags": [["a", "b"], [], ["c"], None],
    "box": [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}, {"a": 4, "b": ""}],
}


def test_every_library_gives_the_same_bytes_and_ids(frame_of):
    """Pandas on numpy, nullable and Arrow, polars, lazy polars and Arrow: one message."""
    plan = cio.frame(frame_of(DATA)).identify(user_id="id", timestamp="at", namespace="n")
    wanted = cio.frame(pl.DataFrame(DATA)).identify(user_id="id", timestamp="at", namespace="n")

    messages = pl.concat(part.messages for part in plan.pipeline.encode_chunks(chunk_rows=100))

    assert messages.equals(
        pl.concat(part.messages for part in wanted.pipeline.encode_chunks(chunk_rows=100))
    )
    assert messages["row"].to_list() == [0, 1, 3]


def test_every_library_finds_the_same(frame_of):
    """The findings are the same rows, codes, columns and values for every library."""
    messages, wanted = (
        as_texts(
            cio.frame(frame).identify(user_id="id", timestamp="at").pipeline.full_check.findings
        )
        for frame in (frame_of(DATA), pl.DataFrame(DATA))
    )

    columns = ["row", "code", "severity", "column", "message"]
    kept = ~pl.col("code").str.starts_with("type.")
    assert messages.filter(kept).select(columns).equals(wanted.filter(kept).select(columns))


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_chunks_give_the_same_messages(rows):
    """A plan's messages do not depend on how many rows are read at once."""
    plan = cio.frame(pl.DataFrame(DATA)).identify(user_id="id", timestamp="at")

    messages = pl.concat(part.messages for part in plan.pipeline.encode_chunks(chunk_rows=rows))

    assert messages.equals(
        pl.concat(part.messages for part in plan.pipeline.encode_chunks(chunk_rows=100))
    )
