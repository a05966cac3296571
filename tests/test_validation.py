"""Every row is valid or has a reason not to be, and every finding is reported."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.plan import Plan, chunks
from cio_frames.plan.plan import planned

NOW = datetime(2026, 1, 15, tzinfo=UTC)
TRACKED = {"user_id": "id", "anonymous_id": "anon", "event": "event", "timestamp": "t"}
SCHEMA = {"id": pl.String, "anon": pl.String, "event": pl.String, "t": pl.String, "x": pl.Float64}
SHOWN_CHARACTERS = 200

people = st.none() | st.sampled_from(
    ["u1", "u 2", " pad", "nan", "", "guest", "cio_1", "x" * 151, "a\u200b"]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": people,
            "anon": people,
            "event": st.sampled_from(["Order", "Order ", "", "User Deleted", "x" * 101, None]),
            "t": st.sampled_from(
                ["2024-01-01T00:00Z", "2024-01-01", "soon", "", None, "2030-01-01"]
            ),
            "x": st.none() | st.floats(),
        }
    ),
    max_size=12,
)


def tracked(frame: pl.DataFrame) -> Plan:
    """Return a plan of events, as of a fixed moment."""
    return planned(replace(frame.cio.track(**TRACKED).pipeline, clock=lambda: NOW))


@settings(max_examples=60, deadline=None)
@given(data=rows, chunk=st.integers(1, 13))
def test_every_row_is_valid_or_blocked(data, chunk):
    """The rows with a message and those with a reason are all rows, and no row is both."""
    plan = tracked(pl.DataFrame(data, schema=SCHEMA))

    for part in plan.pipeline.encode_chunks(chunk_rows=chunk):
        valid, lost = part.messages["row"].to_list(), part.reasons["row"].to_list()
        blocking = part.findings.filter(pl.col("severity").is_in(["refuse", "reject"]))
        assert sorted([*valid, *lost]) == part.rows.to_list()
        assert len(lost) == len(set(lost))
        assert set(lost) == set(blocking["row"])


@settings(max_examples=40, deadline=None)
@given(data=rows)
def test_counts_add_up(data):
    """Rows are the valid ones and the rejected ones, and bytes are those of the messages."""
    plan = tracked(pl.DataFrame(data, schema=SCHEMA))

    counts = plan.counts
    messages = plan.pipeline.messages(len(data))

    assert counts["rows"] == len(data) == counts["valid"] + counts["rejected"]
    assert counts["valid"] == len(messages)
    assert counts["rejected"] == plan.rejected.height
    assert counts["bytes"] == sum(len(text.encode()) for text in messages)
    assert (counts["batches"] > 0) == (counts["valid"] > 0)


@settings(max_examples=40, deadline=None)
@given(data=rows, chunk=st.integers(1, 13))
def test_findings_do_not_depend_on_chunks(data, chunk):
    """What is found about each row does not depend on the rows it is read with."""
    plan = tracked(pl.DataFrame(data, schema=SCHEMA))

    parts = [part.findings for part in plan.pipeline.encode_chunks(chunk_rows=chunk)]
    whole = [part.findings for part in plan.pipeline.encode_chunks(chunk_rows=100)]

    if data:
        order = ["row", "code", "column"]
        assert pl.concat(parts).sort(order).equals(pl.concat(whole).sort(order))


def test_findings_have_no_cap():
    """A problem of every row is reported for every row."""
    plan = pl.DataFrame({"id": ["nan"] * 60_000}).cio.identify(user_id="id")

    findings = plan.findings.filter(pl.col("code") == "id.placeholder")
    assert findings["row"].to_list() == list(range(60_000))
    assert plan.counts["rejected"] == plan.rejected.height == 60_000


def test_reasons_gather_what_blocks_a_row():
    """A row's reasons are its blocking codes, each once; a warning is none."""
    frame = pl.DataFrame({"id": ["a\u200b ", "guest", "u"], "x": [1, 2, 3]})

    lost = frame.cio.identify(user_id="id").rejected

    assert lost.select("id", "x").rows() == [("a\u200b ", 1)]
    assert sorted(lost["reasons"].item().split()) == ["id.invisible", "id.padded"]


def test_findings_show_the_value_in_part():
    """A finding shows the value, cut where it is long, and the words of its column."""
    findings = pl.DataFrame({"who": ["x" * 500]}).cio.identify(user_id="who").findings

    first = findings.row(0, named=True)
    assert first["value"] == "x" * SHOWN_CHARACTERS
    assert first["column"] == "who"
    assert first["message"].startswith('"who" is longer')


@pytest.mark.parametrize("value", [[b"x"], {"a": [b"x"]}], ids=["list", "struct"])
def test_values_without_a_text_are_not_shown(value):
    """Where a value is no single text, the finding has none."""
    findings = pl.DataFrame({"id": ["u"], "x": [value]}).cio.identify(user_id="id").findings

    assert findings.select("code", "value").rows() == [("type.unsupported", None)]


@pytest.mark.parametrize("height", [0, 1, 3])
@pytest.mark.parametrize("select", [["page.no-url"], ["id.missing"], ["name"]], ids=str)
def test_any_choice_of_checks_keeps_the_rows(height, select):
    """Few checks, or none that test rows, still give back every row."""
    frame = pl.DataFrame({"id": ["u"] * height}, schema={"id": pl.String})

    plan = frame.cio.page(user_id="id", checks=cio.Checks(select=select))

    assert plan.counts["valid"] == plan.counts["rows"] == height
    assert plan.findings.height == (height if select == ["page.no-url"] else 0)


def test_what_the_door_rejected_is_rejected():
    """A value that no type holds keeps its own row back, whatever chunk it is in."""
    table = [{"id": "u", "x": 1}, {"id": "v", "x": object()}, {"id": "w", "x": "a"}]

    plan = cio.frame(table).identify(user_id="id")

    assert plan.counts["rejected"] == 1
    assert [
        part.reasons["row"].to_list() for part in plan.pipeline.encode_chunks(chunk_rows=1)
    ] == [[], [1], []]


def test_a_note_of_a_file_counts_what_it_says(tmp_path):
    """What a file note counts stands in its sentence: no other number stands beside it."""
    (tmp_path / "people.csv").write_text("id,plan\n1,pro\n,\n2,free\n")
    plan = cio.scan(tmp_path / "people.csv").cio.identify(user_id="id")

    notes = plan.findings.filter(pl.col("code").str.starts_with("file."))
    assert notes["value"].to_list() == ["", ""]
    assert "1 wholly empty row was skipped." in notes["message"].to_list()


MET_LATER = {
    "message.conflict": lambda: pl.DataFrame(
        {"id": [f"u{n}" for n in range(6)], "m": [*"abcdea"], "x": [*"uvwxyz"]}
    ).cio.identify(user_id="id", message_id="m"),
    "alias.cycle": lambda: pl.DataFrame(
        {"old": ["a", "c", "e", "b", "g"], "new": ["b", "d", "f", "a", "h"]}
    ).cio.alias(user_id="new", previous_id="old"),
    "time.day-first": lambda: pl.DataFrame(
        {"id": ["u1", "u2", "u3", "u4"], "t": ["2024-01-01", "01/02/2024", "2024-01-02", "31/01/2024"]}
    ).cio.track(user_id="id", event=cio.lit("E"), timestamp="t"),
}  # fmt: skip


@pytest.mark.parametrize("rows", [1, 2, 50_000])
@pytest.mark.parametrize("code", MET_LATER)
def test_rows_that_only_the_whole_table_rejects_are_not_counted(code, rows, monkeypatch):
    """Counts are those of the rows that are sent, wherever in the table the reason stands."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", rows)
    plan = MET_LATER[code]()

    counts = plan.counts

    assert code in plan.findings["code"]
    assert counts["rejected"] == plan.rejected.height > 0
    assert counts["valid"] == counts["rows"] - counts["rejected"]
    messages = plan.pipeline.messages(counts["rows"])
    assert (counts["valid"], counts["bytes"]) == (len(messages), sum(map(len, messages)))
