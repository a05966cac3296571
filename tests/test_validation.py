"""Every row is valid or has a reason not to be, and every finding is told."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_frames.checks import CATALOGUE, Checks, Scope
from cio_frames.frames import ROW, read
from cio_frames.frames.notes import Note
from cio_frames.mapping import Ask, MessageMapping, resolve
from cio_frames.spec import CALLS
from cio_frames.validation import (
    BLOCKING,
    FINDING_SCHEMA,
    SHOWN_CHARACTERS,
    Checked,
    check,
    check_call,
    probes,
    reasons,
)

NOW = datetime(2026, 1, 15, tzinfo=UTC)

people = st.one_of(
    st.none(),
    st.sampled_from(["u1", "u 2", " pad", "nan", "", "guest", "cio_1", "x" * 151, "a\u200b"]),
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": people,
            "anon": people,
            "event": st.sampled_from(["Order", "Order ", "", "User Deleted", "x" * 101, None]),
            "t": st.sampled_from(
                ["2024-01-01T00:00Z", "2024-01-01", "soon", "", None, "2030-01-01T00:00Z"]
            ),
            "x": st.none() | st.floats(),
        }
    ),
    max_size=12,
)
SCHEMA = {"id": pl.String, "anon": pl.String, "event": pl.String, "t": pl.String, "x": pl.Float64}


def scope_of(frame: pl.DataFrame, call: str = "track", **fields: str) -> Scope:
    """Return what the checks may know of a frame."""
    mapping: MessageMapping = resolve(Ask(fields=fields), call=CALLS[call], schema=frame.schema)
    return Scope(mapping=mapping, now=NOW)


def checked(
    frame: pl.DataFrame, scope: Scope, *, checks: Checks | None = None, notes: tuple[Note, ...] = ()
) -> Checked:
    """Return the outcome of the checks for a frame."""
    numbered = frame.select(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW), pl.all())
    tests = probes((checks or Checks()).of(CATALOGUE), scope=scope, notes=notes)
    return check(scope.mapping.prepare(numbered), tests=tests)


TRACKED = {"user_id": "id", "anonymous_id": "anon", "event": "event", "timestamp": "t"}


@settings(max_examples=60, deadline=None)
@given(data=rows)
def test_every_row_is_valid_or_blocked(data):
    """The valid rows and those with a reason are all rows, and no row is both."""
    frame = pl.DataFrame(data, schema=SCHEMA)

    found = checked(frame, scope_of(frame, **TRACKED))

    valid, lost = found.valid[ROW].to_list(), reasons(found.findings)["row"].to_list()
    assert sorted([*valid, *lost]) == found.rows.to_list() == list(range(frame.height))
    assert len(lost) == len(set(lost))


@settings(max_examples=40, deadline=None)
@given(data=rows)
def test_rows_are_judged_one_by_one(data):
    """What is found about a row does not depend on the rows around it."""
    frame = pl.DataFrame(data, schema=SCHEMA)
    together = checked(frame, scope_of(frame, **TRACKED)).findings

    for number in range(frame.height):
        alone = checked(frame[number : number + 1], scope_of(frame, **TRACKED)).findings
        beside = together.filter(pl.col("row") == number)
        assert alone.drop("row").sort(pl.all()).equals(beside.drop("row").sort(pl.all()))


def test_findings_have_no_cap():
    """A problem of every row is told for every row."""
    frame = pl.DataFrame({"id": ["nan"] * 20_000, "x": [1.0] * 20_000})

    found = checked(frame, scope_of(frame, "identify", user_id="id"))

    assert found.findings["row"].to_list() == list(range(20_000))
    assert found.valid.is_empty()
    assert found.valid.columns == [ROW, "user_id", "body:traits.x"]


def test_reasons_gather_what_blocks_a_row():
    """A row's reasons are its blocking codes, each once, with their sentences."""
    frame = pl.DataFrame({"id": ["a\u200b ", "guest", "u"]})

    found = reasons(checked(frame, scope_of(frame, "identify", user_id="id")).findings)

    assert found["row"].to_list() == [0]
    assert found["code"].to_list() == ["id.padded id.invisible"]
    assert found["error"].to_list() == [
        "id begins or ends with white space. id holds characters that cannot be seen."
    ]


def test_findings_show_the_value_in_part():
    """A finding shows the value, cut where it is long, and the words of its column."""
    frame = pl.DataFrame({"who": ["x" * 500]})

    found = checked(frame, scope_of(frame, "identify", user_id="who")).findings.row(0, named=True)

    assert found["value"] == "x" * SHOWN_CHARACTERS
    assert found["column"] == "who"
    assert found["message"].startswith("who is longer")


@pytest.mark.parametrize("value", [[b"x"], {"a": [b"x"]}], ids=["list", "struct"])
def test_values_without_a_text_are_not_shown(value):
    """Where a value is no single text, the finding has none."""
    frame = pl.DataFrame({"id": ["u"], "x": [value]})

    found = checked(frame, scope_of(frame, "identify", user_id="id")).findings

    assert found.select("code", "value").rows() == [("type.unsupported", None)]


@pytest.mark.parametrize("height", [0, 1, 3])
@pytest.mark.parametrize("select", [["page.no-url"], ["id.missing"], ["name"]], ids=str)
def test_any_choice_of_checks_keeps_the_rows(height, select):
    """Few checks, or none that test rows, still give back every row."""
    frame = pl.DataFrame({"id": ["u"] * height}, schema={"id": pl.String})

    found = checked(frame, scope_of(frame, "page", user_id="id"), checks=Checks(select=select))

    assert found.valid.height == len(found.rows) == height
    assert found.findings.schema == FINDING_SCHEMA
    assert found.findings.height == (height if select == ["page.no-url"] else 0)


def test_what_the_door_rejected_is_rejected():
    """A note of the door about rows keeps exactly those rows back; others are told as they are."""
    frame = pl.DataFrame({"id": ["a", "b", "c"]})
    notes = (
        Note(
            code="type.unsupported",
            message="No.",
            severity="reject",
            column="id",
            count=1,
            rows=(1,),
        ),
        Note(code="type.text", message="Written.", severity="info", column="id", count=3),
    )
    scope = scope_of(frame, "identify", user_id="id")

    found = checked(frame, scope, notes=notes)
    about = check_call(CATALOGUE, scope=scope, notes=notes)

    assert found.valid[ROW].to_list() == [0, 2]
    assert found.findings.select("row", "code", "message").rows() == [
        (1, "type.unsupported", "No.")
    ]
    assert about.select("row", "code", "value").rows() == [(None, "type.text", "3 values")]


def test_notes_of_a_real_table_count_rows():
    """Values that no type holds are rejected by their row, whatever chunk it is in."""
    table = read([{"id": "u", "x": 1}, {"id": "v", "x": object()}, {"id": "w", "x": "a"}])
    scope = Scope(
        mapping=resolve(
            Ask(fields={"user_id": "id"}), call=CALLS["identify"], schema=table.schema(),
            json_columns=table.json_columns,
        ),
        now=NOW,
    )  # fmt: skip
    tests = probes(CATALOGUE, scope=scope, notes=table.notes)

    lost = [
        reasons(check(scope.mapping.prepare(part), tests=tests).findings)
        for part in table.chunks(1)
    ]

    assert [part["row"].to_list() for part in lost] == [[], [1], []]


def test_only_two_severities_block():
    """Rows are kept back by what refuses or rejects, by nothing else."""
    assert BLOCKING == ("refuse", "reject")
