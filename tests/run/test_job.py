"""Which rows a run sends, when earlier runs have finished some."""

import polars as pl
import pytest

from cio_frames.errors import AuditError
from cio_frames.payloads import MESSAGE_SCHEMA
from cio_frames.payloads.ids import ulids
from cio_frames.run import RowSelection


def messages(*ids):
    """Return encoded messages with these ids; the hash is the id in lower case."""
    rows = [
        {"row": row, "message_id": each, "payload_hash": each.lower() * 32, "bytes": 10}
        for row, each in enumerate(ids)
    ]
    return pl.DataFrame(rows, schema=MESSAGE_SCHEMA)


def finished_rows(*rows):
    """Return the messages that earlier runs finished, from (id, hash, state)."""
    return pl.DataFrame(rows, schema=["message_id", "payload_hash", "state"], orient="row")


def test_without_earlier_runs_everything_is_sent():
    """A selection without finished messages sends every message."""
    sent, left = RowSelection().split_finished(messages("A", "B"))

    assert sent["message_id"].to_list() == ["A", "B"]
    assert left.is_empty()


def test_what_arrived_is_skipped():
    """A message that an earlier run delivered is not sent again, wherever its row is now."""
    selection = RowSelection(finished=finished_rows(("B", "b" * 16, "skipped_done")))

    sent, left = selection.split_finished(messages("B", "A"))

    assert sent["message_id"].to_list() == ["A"]
    assert left.select("row", "state", "code").rows() == [(0, "skipped_done", None)]


def test_a_chunk_is_compared_with_what_it_names_only():
    """Of all that earlier runs finished, a chunk takes the messages with its own ids, however often."""
    finished = finished_rows(*((f"{number}", "a" * 16, "skipped_done") for number in range(1_000)))
    selection = RowSelection(finished=pl.concat([finished, finished.head(1)]))

    matches = selection._finished_among(selection.finished, pl.Series(["7", "x", "0", "7"]))

    assert sorted(matches["message_id"]) == ["0", "0", "7"]


def test_another_message_under_the_same_id_is_a_conflict():
    """An id that delivered other content is rejected, with what to do."""
    selection = RowSelection(finished=finished_rows(("A", "f" * 16, "skipped_done")))

    sent, left = selection.split_finished(messages("A"))

    assert sent.is_empty()
    assert left["state"].to_list() == ["rejected_local"]
    assert left["code"].to_list() == ["message.conflict"]
    assert "key=" in left["error"][0]


def test_what_is_kept_in_doubt_says_so():
    """A message that stays in doubt is neither sent nor lost."""
    selection = RowSelection(finished=finished_rows(("A", "a" * 16, "in_doubt")))

    sent, left = selection.split_finished(messages("A"))

    assert sent.is_empty()
    assert left.select("state", "code").rows() == [("in_doubt", "IN_DOUBT_BEFORE")]


def test_a_resumed_run_takes_up_only_its_rows():
    """Rows of other plans, and rows that are finished, are skipped."""
    only = pl.DataFrame({"plan": [0, 1], "row": [2, 0], "message_id": ["A", "B"]})

    assert RowSelection(only=only).rows(pl.Series([0, 1, 2, 3]), plan=0).to_list() == [2]
    assert RowSelection().rows(pl.Series([0, 1]), plan=0) is None


def test_a_changed_row_is_not_taken_for_the_recorded_one():
    """Resuming with another table is refused, with the row that differs."""
    only = pl.DataFrame({"plan": [0], "row": [0], "message_id": ["Z"]})

    with pytest.raises(AuditError, match="Row 0 has changed since this run was started"):
        RowSelection(only=only).require_same(messages("A"), plan=0)


def test_a_row_without_a_recorded_id_may_be_anything():
    """Rows that a stopped run never came to have no recorded message yet."""
    only = pl.DataFrame(
        {"plan": [0], "row": [0], "message_id": [None]}, schema_overrides={"message_id": pl.String}
    )

    assert RowSelection(only=only).require_same(messages("A"), plan=0) is None


DIGEST, OTHER = "00112233445566778899aabbccddeeff", "f" * 32
DERIVED = ulids(pl.Series([DIGEST]), times_ms=pl.Series([1], dtype=pl.Int64))[0]


@pytest.mark.parametrize(
    ("now", "known", "code"),
    [
        pytest.param(OTHER, None, "message.conflict", id="taken from a record for other content"),
        pytest.param(DIGEST, None, None, id="taken from a record for the same content"),
        pytest.param(None, OTHER, "message.conflict", id="derived, once given to other content"),
        pytest.param(None, DIGEST, None, id="derived, once given to the same content"),
        pytest.param(None, None, None, id="derived both times"),
    ],
)
def test_a_derived_id_contains_the_hash_of_its_content(now, known, code):
    """An id that is derived from a message is compared with the hash of the other message."""
    before = finished_rows((DERIVED, known, "delivered")).cast({"payload_hash": pl.String})
    again = messages(DERIVED).with_columns(payload_hash=pl.lit(now, pl.String))

    _, left = RowSelection(finished=before).split_finished(again)

    assert left["code"].to_list() == [code]
