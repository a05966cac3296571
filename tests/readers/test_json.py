"""JSON Lines and JSON arrays: every key of every line is a column, and nothing changes its meaning in silence."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames import Table, read, scan
from cio_frames.frames.json_lines import CHECKED_LINES

MIXPANEL = [
    {"event": "Signed Up", "properties": {"distinct_id": "u1", "time": 1767225600, "plan": "free"}},
    {
        "event": "Order Completed",
        "properties": {"distinct_id": "u2", "time": 1767225601, "total": 5},
    },
]
AMPLITUDE = [
    {"user_id": "u1", "event_type": "Play", "event_time": "2026-01-01 10:00:00.000000",
     "event_properties": {"song": "X"}, "user_properties": {}, "groups": {}},
]  # fmt: skip
SEGMENT = [
    {"type": "track", "userId": "u1", "event": "Order Completed", "messageId": "m-1",
     "timestamp": "2026-01-01T10:00:00.000Z", "properties": {"total": 12.5, "items": ["a", "b"]},
     "context": {"ip": "203.0.113.7"}},
]  # fmt: skip


def lines(rows: list[Any]) -> str:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def table_of(
    tmp_path: Path, content: str | bytes, name: str = "rows.jsonl", **options: Any
) -> Table:
    """Write a file, scan and read it."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(scan(path, **options))


def rows_of(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    return table.lazy.collect().to_dicts()


def messages(table: Table) -> dict[str, str]:
    """Return the notes by their codes."""
    return {note.code: note.message for note in table.notes}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        pytest.param("rows.jsonl", lambda text: text.encode(), id="jsonl"),
        pytest.param("rows.ndjson", lambda text: text.replace("\n", "\r\n\r\n").encode(), id="crlf"),
        pytest.param("rows.json", lambda text: text.encode(), id="lines-named-json"),
        pytest.param("rows.jsonl.gz", lambda text: gzip.compress(text.encode()), id="gzip"),
        pytest.param("rows.jsonl", lambda text: text.encode("utf-8-sig"), id="mark"),
        pytest.param(
            "rows.json",
            lambda text: json.dumps([json.loads(line) for line in text.splitlines()], indent=1).encode(),
            id="array",
        ),
        pytest.param(
            "rows.json.gz",
            lambda text: gzip.compress(("\ufeff[" + ",\n".join(text.splitlines()) + "]").encode()),
            id="array-gzip",
        ),
    ],
)  # fmt: skip
def test_lines_and_arrays_are_one_table(tmp_path, name, pack):
    """Whatever the form, packing and line ends: the same columns, types and rows."""
    rows = [{"id": "u1", "n": 1, "t": "a\nb"}, {"id": "u2", "n": None, "late": [True]}]

    table = table_of(tmp_path, pack(lines(rows)), name)

    assert rows_of(table) == [{"t": None, "late": None, "n": None} | row for row in rows]
    assert dict(table.schema()) == {
        "id": pl.String, "n": pl.Int64, "t": pl.String, "late": pl.List(pl.Boolean)
    }  # fmt: skip
    assert not table.notes


@pytest.mark.parametrize("place", [CHECKED_LINES + 1, 3 * CHECKED_LINES + 7])
def test_a_key_that_comes_late_is_a_column(tmp_path, place):
    """Keys are found however far behind, at the top and inside objects, and so are their types."""
    rows: list[Any] = [{"id": f"u{n}", "in": {"a": 1}} for n in range(place)]
    rows += [{"id": "last", "late": 1.5, "in": {"b": ["x"]}}, {"in": None, "later": {"c": False}}]

    assert rows_of(table_of(tmp_path, lines(rows)))[-2:] == [
        {"id": "last", "in": {"a": None, "b": ["x"]}, "late": 1.5, "later": None},
        {"id": None, "in": None, "late": None, "later": {"c": False}},
    ]


@pytest.mark.parametrize(
    ("values", "texts", "words"),
    [
        pytest.param([1, "x", None], ["1", "x", None], "whole numbers and text", id="number-text"),
        pytest.param([True, 1], ["true", "1"], "true or false and whole numbers", id="true-number"),
        pytest.param(["x", {"a": [1]}], ["x", '{"a":[1]}'], "text and objects", id="text-object"),
        pytest.param([[1], 0.5], ["[1]", "0.5"], "lists and numbers with dec", id="list-number"),
        pytest.param([2**53 + 1, 0.5], [str(2**53 + 1), "0.5"], "whole numbers of more than 15 digits and", id="exact"),
        pytest.param([{"k": 10**50}, "x"], [f'{{"k":{10**50}}}', "x"], "objects and text", id="huge"),
        pytest.param(
            [{f"k{n}": n for n in range(50)}, 1],
            [json.dumps({f"k{n}": n for n in range(50)}, separators=(",", ":")), "1"],
            "objects and whole numbers",
            id="many-keys-in-order",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("far", [0, CHECKED_LINES], ids=["at-once", "far-behind"])
def test_values_of_several_types_become_text_and_are_reported(tmp_path, values, texts, words, far):
    """No value is lost or rounded where one column holds several types: a note has type and line."""
    rows = [{"x": {"y": value}} for value in [values[0]] * far + values]

    table = table_of(tmp_path, lines(rows))

    assert [row["x"]["y"] for row in rows_of(table)][far:] == texts
    message = messages(table)["file.mixed-values"]
    assert "'x.y' contains " + words in message
    assert f"line {far + 2}" in message.replace(",", "")


def test_integers_beyond_64_bits_are_text(tmp_path):
    """Each digit stays, and a note says so."""
    table = table_of(tmp_path, lines([{"id": 10**40 + 1}, {"id": 5}]))

    assert [row["id"] for row in rows_of(table)] == [str(10**40 + 1), "5"]
    assert "beyond 64 bits" in messages(table)["type.big-integers"]


def test_objects_keyed_by_ids_are_one_text(tmp_path):
    """An object with thousands of keys is no struct of thousands of columns."""
    table = table_of(tmp_path, lines([{"seen": {f"u{n}": n for n in range(1_500)}}]))

    assert json.loads(rows_of(table)[0]["seen"])["u1499"] == 1_499
    assert "more than 1,000 keys" in messages(table)["file.mixed-values"]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def is_kept(given: Any, got: Any) -> bool:
    """Tell whether a value came as itself, as its JSON, or with nulls for keys that it lacks."""
    if isinstance(given, dict) and isinstance(got, dict):
        return all(is_kept(given.get(key), got[key]) for key in {*given, *got})
    if isinstance(given, list) and isinstance(got, list):
        return len(given) == len(got) and all(map(is_kept, given, got))
    if isinstance(got, str) and not isinstance(given, str) and given is not None:
        value = msgspec.json.decode(got)
        return (float(value) if isinstance(given, float) else value) == given
    return given == got


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), min_size=1, max_size=5)
)
def test_nothing_is_lost(tmp_path_factory, rows):
    """Of any rows each value comes as it is, or as the text of it."""
    read_rows = rows_of(table_of(tmp_path_factory.mktemp("json"), lines(rows)))

    assert len(read_rows) == len(rows)
    assert all(map(is_kept, rows, read_rows)), read_rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("\n \n", "is empty", id="blank"),
        pytest.param("[]", "empty JSON array", id="empty-array"),
        pytest.param('{"a":1}\n{"a":2', "line 2 is not JSON.*cut off", id="cut-off"),
        pytest.param('[{"a":1},{"a"', "not one JSON array", id="cut-off-array"),
        pytest.param('{"a":1}\n{"a":x}\n{"a":2}\n', "line 2 is not JSON.*jq -c", id="broken-line"),
        pytest.param('{"a":1}{"a":2}\n', "line 1 is not JSON", id="two-on-a-line"),
        pytest.param('{"a":NaN}\n', "JSON has no NaN", id="nan"),
        pytest.param('{"a":1}\n[2]\n', "line 2 is a list, not an object", id="list"),
        pytest.param('[{"a":1}, 3]', "item 2 is a number, not an object", id="number-in-array"),
        pytest.param('{"a":1,"b":{"c":1,"c":2}}\n', "line 1 has the key 'c' twice", id="twice"),
        pytest.param('{"a":"\\ud800"}\n', "line 1 is not JSON", id="lone-surrogate"),
        pytest.param(b'{"a":"\xe9"}\n', "line 1 is not UTF-8.*encoding=", id="latin"),
        pytest.param('{"__row__":1}\n', "row numbers", id="reserved"),
        pytest.param('{"error":{"code":401}}', "the answer of a server", id="server-error"),
        pytest.param('{\n "data": [{"a":1}]\n}', "the list 'data' in it.*json.load", id="wrapped"),
        pytest.param('{\n "a": 1\n}', "one object over several lines", id="pretty"),
        pytest.param("id,x\n1,2\n", "line 1 is not JSON", id="csv"),
        pytest.param("<html><title>Log in</title>", "HTML page .'Log in'", id="html"),
        pytest.param(b"PK\x03\x04....", "ZIP or Excel", id="zip"),
        pytest.param('{"a":1}\n'.encode("utf-16"), "is UTF-16", id="utf-16"),
    ],
)
def test_a_file_that_is_no_table_says_why(tmp_path, content, words):
    """What cannot be read is refused with the line, and with what to do."""
    with pytest.raises(InputFileError, match=f"(?s){words}") as caught:
        table_of(tmp_path, content)
    assert caught.value.path.endswith("rows.jsonl")
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_other_encodings_are_the_users_word(tmp_path, encoding):
    """A file in another encoding is converted."""
    table = table_of(tmp_path, '{"id":"é"}\n'.encode(encoding), encoding=encoding)

    assert rows_of(table) == [{"id": "é"}]


def test_names_of_files_are_no_patterns(tmp_path):
    """A file whose name looks like a glob is read as any other."""
    (tmp_path / "rows[1].jsonl").write_text('{"id":1}\n')

    assert rows_of(read(scan(tmp_path / "rows[1].jsonl", ids=["id"]))) == [{"id": "1"}]


def test_files_of_one_export_may_differ(tmp_path):
    """The columns are those of all files, and a note says which file is meant."""
    (tmp_path / "a.jsonl").write_text('{"id":"u1","x":1}\n')
    (tmp_path / "b.jsonl").write_text('{"id":"u2","x":"y","z":true}\n')

    table = read(scan(tmp_path / "*.jsonl"))

    assert [tuple(row.values()) for row in rows_of(table)] == [("u1", "1", None), ("u2", "y", True)]
    assert "line 1 of " in messages(table)["file.mixed-values"]


def test_arguments_of_other_kinds_are_refused(tmp_path):
    """JSON has types of its own, and no sheets; columns are named as they are."""
    (tmp_path / "a.jsonl").write_text('{"id":1}\n')
    for options in ({"types": {"id": pl.String}}, {"sheet": "A"}, {"ids": ["ide"]}):
        with pytest.raises(InputFileError, match=r"does not apply|Did you mean 'id'"):
            scan(tmp_path / "a.jsonl", **options)


def test_a_changed_file_is_noticed(tmp_path):
    """What is sent is what was checked: lines added later are refused."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"u1"}\n')
    table = read(scan(path))
    path.write_text('{"id":"u1"}\n{"id":"u2"}\n')

    with pytest.raises(FrameError, match="was changed after it was scanned"):
        list(table.chunks())


def test_an_export_of_mixpanel(tmp_path):
    """Its properties become columns with unnest; its times are seconds."""
    path = tmp_path / "export.json"
    path.write_text(lines(MIXPANEL))
    events = cio.scan(path).unnest("properties").with_columns(pl.from_epoch("time"))

    plan = events.cio.track(event="event", user_id="distinct_id", timestamp="time", timezone="UTC")

    first, second = plan.payloads(2)
    assert (first["userId"], first["event"], first["properties"]) == (
        "u1",
        "Signed Up",
        {"plan": "free"},
    )
    assert second["properties"] == {"total": 5}
    assert first["timestamp"] == "2026-01-01T00:00:00.000Z"


def test_an_export_of_amplitude(tmp_path):
    """Its event properties are the properties, its times are in UTC."""
    path = tmp_path / "export.json.gz"
    path.write_bytes(gzip.compress(lines(AMPLITUDE).encode()))
    events = cio.scan(path)
    properties = (
        events.select("event_properties").unnest("event_properties").collect_schema().names()
    )

    plan = events.unnest("event_properties").cio.track(
        event="event_type", user_id="user_id", timestamp="event_time", timezone="UTC",
        properties=properties,
    )  # fmt: skip

    (message,) = plan.payloads(1)
    assert message["properties"] == {"song": "X"}
    assert message["timestamp"] == "2026-01-01T10:00:00.000Z"


def test_an_export_of_segment(tmp_path):
    """Its tracks keep their ids, times, properties and context."""
    path = tmp_path / "segment.jsonl"
    path.write_text(lines(SEGMENT))
    tracks = cio.scan(path).filter(pl.col("type") == "track").unnest("properties")

    plan = tracks.cio.track(
        event="event", user_id="userId", timestamp="timestamp", message_id="messageId",
        context="context", properties=["total", "items"],
    )  # fmt: skip

    (message,) = plan.payloads(1)
    assert message["properties"] == {"total": 12.5, "items": ["a", "b"]}
    assert (message["messageId"], message["context"]["ip"]) == ("m-1", "203.0.113.7")
