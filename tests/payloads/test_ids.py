"""Message ids: the shape of a ULID, the event's time, and nothing left to chance."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_frames.frames import ROW
from cio_frames.payloads import encode, sizes
from cio_frames.payloads.ids import content, digest, ulids

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
AT = datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def number(text: str) -> int:
    """Return the number that a text in Crockford's base 32 stands for."""
    value = 0
    for letter in text:
        value = value * 32 + CROCKFORD.index(letter)
    return value


def ids(frame: pl.DataFrame) -> list[str]:
    """Return the message ids of encoded rows."""
    return frame["message_id"].to_list()


@given(
    hashes=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5),
    time=st.none() | st.integers(-(2**60), 2**60),
)
def test_an_id_is_its_time_and_its_hash(hashes, time):
    """The first 48 bits are the time, or bits of the hash where there is none; 80 bits follow."""
    made = ulids(
        pl.Series([one.hex() for one in hashes]),
        times_ms=pl.Series([time] * len(hashes), dtype=pl.Int64),
    )

    for text, one in zip(made, hashes, strict=True):
        clock = time if time is not None and 0 <= time < 2**48 else int.from_bytes(one[10:16])
        assert len(text) == 26
        assert number(text) == (clock << 80) | int.from_bytes(one[:10])


def test_no_rows_have_no_ids():
    """A table without rows has no ids, of the right type."""
    made = ulids(pl.Series([], dtype=pl.String), times_ms=pl.Series([], dtype=pl.Int64))

    assert made.to_list() == []
    assert made.dtype == pl.String


def test_the_time_is_that_of_the_event(encoded):
    """The time part of the id is the timestamp in milliseconds, where the row has one."""
    frame = pl.DataFrame({"id": ["u", "u"], "at": [AT, None]})

    dated, undated = ids(encoded(frame, "track", user_id="id", event=pl.lit("E"), timestamp="at"))

    assert number(dated[:10]) == int(AT.timestamp() * 1000)
    assert number(undated[:10]) != number(dated[:10])


def test_same_payload_same_id(encoded):
    """Equal rows have one id, and another value, call or namespace gives another."""
    frame = pl.DataFrame({"id": ["u", "u", "v"], "x": [1, 1, 1]})

    one = ids(encoded(frame, "page", user_id="id"))
    other_call = ids(encoded(frame, "screen", user_id="id"))
    other_place = ids(encoded(frame, "page", user_id="id", namespace="staging"))

    assert one == ids(encoded(frame, "page", user_id="id"))
    assert one[0] == one[1]
    assert len({*one, *other_call, *other_place}) == 6


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.text(max_size=2)), max_size=8))
def test_distinct_payloads_have_distinct_ids(encoded, rows):
    """Two rows share an id exactly when they share all values."""
    frame = pl.DataFrame(rows, schema={"n": pl.Int64, "id": pl.String}, orient="row")

    made = ids(encoded(frame, "identify", user_id="id"))

    assert len(set(made)) == len(set(rows))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"context": {"ip": "x"}}, id="context"),
        pytest.param({"integrations": {"All": False}}, id="integrations"),
        pytest.param({"timestamp": "at"}, id="timestamp"),
        pytest.param({"anonymous_id": "x"}, id="anonymous-id"),
        pytest.param({"body": []}, id="fewer-traits"),
    ],
)
def test_everything_that_is_sent_counts(encoded, change):
    """A change of any part of the message changes its id and its hash."""
    frame = pl.DataFrame({"id": ["u"], "x": ["1"], "at": [AT]})

    plain = encoded(frame, "identify", user_id="id")
    changed = encoded(frame, "identify", user_id="id", **change)

    assert ids(plain) != ids(changed)
    assert content(ids(plain)[0]) != content(ids(changed)[0])


def test_given_ids_are_sent_as_they_are(encoded):
    """A value of the message id's column is the id; an empty cell gets a derived one."""
    frame = pl.DataFrame({"id": ["u", "u", "u"], "m": ['é "1"', None, "x"]})

    encoded_rows = encoded(frame, "identify", user_id="id", message_id="m")
    plain = encoded(frame, "identify", user_id="id", body=[])

    assert ids(encoded_rows) == ['é "1"', ids(plain)[1], "x"]
    assert encoded_rows["message"][0].startswith('{"messageId":"é \\"1\\"",')
    assert encoded_rows["payload_hash"].is_not_null().to_list() == [True, False, True]
    assert encoded_rows["payload_hash"][0] == encoded_rows["payload_hash"][2]
    assert encoded_rows["payload_hash"][0].startswith(content(ids(encoded_rows)[1]))


def test_numbers_are_taken_as_given_ids(encoded):
    """A numeric column of message ids is written as text."""
    frame = pl.DataFrame({"id": ["u"], "m": [7]})

    assert ids(encoded(frame, "identify", user_id="id", message_id="m")) == ["7"]


def test_a_key_makes_the_id(encoded):
    """With key columns the id depends on them alone, not on the rest of the row."""
    frame = pl.DataFrame({"id": ["u", "u", "u"], "order": [1, 1, 2], "x": ["a", "b", "a"]})

    one, same, other = ids(encoded(frame, "identify", user_id="id", key="order"))

    assert one == same
    assert one != other


def test_names_of_key_columns_count(encoded):
    """The same values under the names of other key columns give other ids."""
    frame = pl.DataFrame({"id": ["u"], "a": [1], "b": [1]})

    keys = [
        ids(encoded(frame, "identify", user_id="id", key=key))[0] for key in ("a", "b", ["a", "b"])
    ]

    assert len(set(keys)) == 3
    assert ids(encoded(frame, "identify", user_id="id", key=["b", "a"]))[0] == keys[2]


def test_an_empty_key_falls_back_to_the_payload(encoded):
    """Rows whose key is not complete keep ids of their own, so that none is dropped as a repeat."""
    frame = pl.DataFrame({"id": ["u"] * 3, "a": [None, None, 1], "b": [2, 2, 2], "x": [1, 2, 3]})

    plain = ids(encoded(frame, "identify", user_id="id"))
    made = ids(encoded(frame, "identify", user_id="id", key=["a", "b"]))

    assert made[:2] == plain[:2]
    assert made[2] != plain[2]


def test_forms_have_ids_that_are_not_sent(encoded):
    """A form's id depends on the form and its data, and its message does not hold it."""
    frame = pl.DataFrame({"email": ["a@b.co"], "x": ["1"]})

    one = encoded(frame, "form", email="email", form_id=pl.lit("f"))
    other = encoded(frame, "form", email="email", form_id=pl.lit("g"))

    assert one["message"].equals(other["message"])
    assert ids(one) != ids(other)
    assert one["message"][0] == '{"data":{"email":"a@b.co","x":"1"}}'


def test_the_digest_is_sha_256():
    """The digest is plain SHA-256 of version, namespace, call and text, as anyone can compute it."""
    import hashlib

    frame = pl.DataFrame({"t": ["payload"]})
    wanted = hashlib.sha256(b"v1\x1fns\x1ftrack\x1fpayload").hexdigest()

    assert frame.select(digest(pl.col("t"), namespace="ns", call="track")).item() == wanted


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("track", {"event": "what", "user_id": "id", "message_id": "given"}),
        ("track", {"event": "what", "user_id": "id"}),
        ("form", {"form_id": "what", "email": "mail"}),
    ],
)
def test_sizes_are_those_of_written_messages(verb, arguments):
    """They are known without the ids, given ones with signs to escape included."""
    frame = pl.DataFrame({
        "id": ["u1", "u2", "u3"], "what": "É", "mail": "a@example.com", "given": [None, 'a "quoted" id', "é"], "n": [1.0, None, 2.5],
    })  # fmt: skip
    pipeline = getattr(frame.cio, verb)(**arguments).pipeline
    prepared = pipeline.mapping.prepare(frame.with_row_index(ROW).cast({ROW: pl.Int64}))

    written = encode(prepared, pipeline.mapping).select("row", "bytes")

    assert sizes(prepared, pipeline.mapping).equals(written)
