"""Laws that hold for any table: libraries agree, rows add up, repairs come to an end."""

import datetime as dt
import os
from dataclasses import replace
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.checks import CATALOGUE
from cio_frames.plan import chunks
from cio_frames.plan.plan import planned
from cio_frames.validation import as_texts

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
EXAMPLES = int(os.environ.get("CIO_FRAMES_DIFFERENTIAL_EXAMPLES", "40"))
"""2,000 in the long form."""

LAW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
OWN = {check.code for check in CATALOGUE} - {"number.nan"}
"""NaN is how pandas writes an empty cell, so it is not reported."""

ODD_TEXTS = (
    "", " ", "nan", "None", " u1", "u1 ", "u1", "U1", "u\u200b1", "\u0430nn", "ann", "jose\u0301", "jos\u00e9",
    "123.0", "123", "007", "7", "1.05E+04", "TRUE", "cio_9", "a@b.co", "A@b.co ", "mailto:a@b.co", "<a@b.co>",
    "a@b.co,", "none@none", "guest", "0", "31/01/2024", "01/02/2024", "45000.5", "20240102", "1700000000",
    "1700000000000", "2024-01-02", "2024-01-02 03:04", "2024-01-02T03:04:05+02:00", "ZÃ¼rich", "Ãâ‚¬", "a\x00b",
    "a\u202eb", "&amp;lt;", "<b>x</b>", "=1+1", '{"a":1}', "JA", "nein", "maybe", "true", "$1,234",
    "4111 1111 1111 1111", "DE89370400440532013000", "078-05-1121", "User Deleted", "Order Placed",
    "order placed", '="00123"', "'007", '""x""', "#REF!", "${id}", "01/02/2024 10:11:12 AM", "y" * 200, "👩🏽\u200d🌾",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=12))
MOMENTS = st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2040, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=dt.UTC)
)
KINDS: tuple[tuple[pa.DataType, st.SearchStrategy[Any]], ...] = (
    (pa.string(), TEXTS),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 45_000, 20_240_102, 1_700_000_000, 4111111111111111])),
    (pa.float64(), st.floats(allow_nan=False) | st.sampled_from([1.0, 123.0, 45_000.5, 2.0**53 + 2])),
    (pa.bool_(), st.booleans()),
    (pa.timestamp("ms", "UTC"), MOMENTS),
    (pa.date32(), st.dates(dt.date(1960, 1, 1), dt.date(2040, 1, 1))),
    (pa.list_(pa.string()), st.lists(TEXTS, max_size=3)),
    (pa.struct([("a", pa.string()), ("b", pa.int64())]), st.fixed_dictionaries({"a": st.none() | TEXTS, "b": st.integers(-5, 5)})),
)  # fmt: skip
COLUMNS = ("id", "email", "x", "created_at", "unsubscribed", "y")


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw an Arrow table of columns that checks have an eye on."""
    rows = draw(st.integers(1, 6))
    columns = {}
    for name in COLUMNS:
        kind, values = (
            draw(st.sampled_from(KINDS[:1] * 3 + KINDS))
            if name != "id"
            else draw(st.sampled_from(KINDS[:3]))
        )
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[name] = pa.array(column, kind)
    return pa.table(columns)


ASKED: dict[str, dict[str, Any]] = {
    "identify": {"user_id": "id"},
    "track": {"user_id": "id", "event": cio.lit("E"), "timestamp": "created_at"},
    "alias": {"user_id": "id", "previous_id": "x"},
    "form": {"email": "email", "form_id": cio.lit("f")},
}


def plan_now(frame: Any, verb: str) -> cio.Plan:
    """Return the plan for a frame at a fixed time, with the repairs of ids that it needs."""
    return planned(
        replace(getattr(cio.frame(frame), verb)(**ASKED[verb]).pipeline, clock=lambda: NOW)
    )


def findings_of(plan: cio.Plan) -> list[Any]:
    """Return what the checks found: code, row, column and the message."""
    findings = plan.pipeline.full_check.findings.filter(pl.col("code").is_in(OWN))
    return sorted(findings.select("code", "row", "column", "severity", "message").rows(), key=repr)


@LAW
@given(table=tables(), verb=st.sampled_from(list(ASKED)))
def test_libraries_find_the_same_and_write_the_same(table: pa.Table, verb: str):
    """pandas, polars and Arrow tables of the same data give the same findings and bytes."""
    frames = [
        table.to_pandas(types_mapper=pd.ArrowDtype),
        pl.DataFrame(pl.from_arrow(table)),
        table,
    ]
    plans = [plan_now(frame, verb) for frame in frames]

    findings = [findings_of(plan) for plan in plans]
    messages = [plan.pipeline.messages(10) for plan in plans]

    assert findings[0] == findings[1] == findings[2]
    assert messages[0] == messages[1] == messages[2]


@LAW
@given(table=tables(), verb=st.sampled_from(list(ASKED)))
def test_repairs_come_to_an_end(table: pa.Table, verb: str):
    """Repairing whatever is offered leaves nothing to repair; rows always add up."""
    plan = plan_now(table, verb)
    left = len(CATALOGUE)
    while plan.pipeline.offered and left:
        for code in list(plan.pipeline.offered):
            if code in plan.pipeline.offered:
                plan = plan.fix(code)
                event(f"repaired {code}")
                assert code not in plan.pipeline.offered
                assert plan.counts["rows"] == plan.counts["valid"] + plan.counts["rejected"]
        left -= 1

    assert not plan.pipeline.offered
    assert (
        plan.pipeline.full_check.valid + plan.pipeline.full_check.reasons.height
        == plan.pipeline.full_check.rows
        == table.num_rows
    )


@LAW
@given(table=tables(), verb=st.sampled_from(list(ASKED)))
def test_every_excluded_row_has_a_finding(table: pa.Table, verb: str):
    """A row is left out exactly if a finding about it refuses or rejects it."""
    plan = plan_now(table, verb)
    findings = plan.pipeline.full_check.findings.filter(
        pl.col("severity").is_in(["refuse", "reject"]), pl.col("row").is_not_null()
    )

    sent = {
        row
        for worked in plan.pipeline.encode_chunks(chunk_rows=2)
        for row in worked.messages["row"]
    }

    assert sent | set(findings["row"]) == set(range(table.num_rows))
    assert not sent & set(findings["row"])


def in_chunks(plan: cio.Plan, rows: int) -> tuple[dict[str, int], pl.DataFrame]:
    """Return the counts and findings of a plan that reads so many rows at once."""
    again = planned(replace(plan.pipeline))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", rows)
        counts = {name: count for name, count in again.counts.items() if name != "batches"}
    return counts, as_texts(again.pipeline.full_check.findings)


@settings(LAW, max_examples=EXAMPLES // 2)
@given(table=tables(), verb=st.sampled_from(sorted(ASKED)))
def test_counts_and_findings_do_not_depend_on_chunks(table: pa.Table, verb: str):
    """The results of a chunk contain all that the rest of the table can still change."""
    twice = pa.concat_tables([table, table])  # rows of different chunks that say the same
    plan = plan_now(pl.DataFrame(twice), verb)

    counts, findings = in_chunks(plan, 50_000)
    counts_too, findings_too = in_chunks(plan, 2)

    assert counts_too == counts
    assert findings_too.equals(findings)


@pytest.mark.parametrize("verb", ["identify", "track"])
def test_values_that_repeat_are_judged_like_others(verb: str):
    """Where a chunk has few different texts each is tested once, and nothing else is found."""
    count = 12_000
    texts = [ODD_TEXTS[place % len(ODD_TEXTS)] for place in range(count)]
    frame = pl.DataFrame(dict.fromkeys(COLUMNS, texts)).with_columns(
        id=pl.format("u{}", pl.int_range(count)), y=pl.col("y").reverse()
    )
    asked = {"user_id": "id"} | ({"event": "x", "timestamp": "y"} if verb == "track" else {})
    plan = getattr(frame.cio, verb)(**asked)

    counts, findings = in_chunks(plan, count)
    counts_too, findings_too = in_chunks(plan, count // 2)  # as many as make no text one of few

    assert findings["code"].n_unique() > 20
    assert counts_too == counts
    assert findings_too.equals(findings)
