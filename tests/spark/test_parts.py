"""The checks of executors, chunk by chunk, and how the driver combines their results; without Java."""

from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.errors import FrameError
from cio_frames.frames import ROW
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.reading import read_chunk
from cio_frames.validation import as_texts
from tests.catalogue.test_cases import CASES, NOW, Case
from tests.catalogue.test_laws import ASKED, LAW, tables
from tests.spark.parts import InParts, described, in_parts, is_of_spark, rows_of

CHECKS = cio.Checks(ignore=["id.duplicate"])
"""Repeats of excluded rows are removed by Spark itself."""

ON_SPARK = [case for case in CASES if "arrow" in case.makes and case.error is None]


def planned(table: pa.Table, verb: str, asked: dict[str, Any]) -> Pipeline:
    """Return the pipeline of a plan at a fixed time."""
    plan = getattr(cio.frame(table), verb)(**asked)
    return replace(plan.pipeline, clock=lambda: NOW)


def require_same(parts: InParts, local: Pipeline) -> None:
    """Require that the results of the parts are those of the whole table."""
    assert described(parts.result.full) == described(local.full_check)
    assert rows_of(parts.findings) == rows_of(as_texts(local.full_check.findings))
    lost = local.full_check.reasons.select(pl.col("row").alias(ROW), reasons="code")
    assert rows_of(parts.rejected) == rows_of(lost)
    assert list(parts.result.full.first_messages) == local.messages(2_000)
    assert rows_of(parts.result.changed.drop("before", "after")) == rows_of(
        local.changed.drop("before", "after")
    )


@pytest.mark.parametrize("case", ON_SPARK, ids=lambda case: f"{case.number}-{case.what}")
def test_a_case_of_the_catalogue_has_the_same_results_in_parts(case: Case) -> None:
    """Counts, findings, their examples, rejected rows, payloads and ids of three partitions are the same."""
    table = case.makes["arrow"]()
    if not is_of_spark(table):
        pytest.skip("Spark gives no such column")
    local = planned(table, case.call, {**case.asked, "checks": CHECKS})

    require_same(in_parts(table, local), local)


@LAW
@given(table=tables(), verb=st.sampled_from(list(ASKED)))
def test_any_table_has_the_same_results_in_parts(table: pa.Table, verb: str) -> None:
    """Whatever the values are, the results of three partitions are those of the whole table."""
    local = planned(table, verb, {**ASKED[verb], "checks": CHECKS})

    require_same(in_parts(table, local), local)


@LAW
@given(table=tables(), verb=st.sampled_from(list(ASKED)))
def test_repairs_have_the_same_results_in_parts(table: pa.Table, verb: str) -> None:
    """The changes of safe repairs are added up over the partitions."""
    plan = getattr(cio.frame(table), verb)(**ASKED[verb], checks=CHECKS)
    local = replace(plan.fix("safe").pipeline, clock=lambda: NOW)

    require_same(in_parts(table, local), local)


SHARES = cio.Checks(ignore=["id.duplicate"], thresholds={"*": 0.2, "id.placeholder": 0.1})


def test_thresholds_are_of_all_partitions_together() -> None:
    """A share of rows is that of the whole table."""
    table = pa.table({"id": ["-", "u1", "u2", "u3", None, "n/a", "u6", "u7"]})
    local = planned(table, "identify", {"user_id": "id", "checks": SHARES})

    parts = in_parts(table, local)

    require_same(parts, local)
    assert parts.result.full.before_send.refusals["code"].to_list() == ["plan.threshold"]


def test_a_column_of_another_type_is_refused() -> None:
    """A chunk whose column has another type than the first rows is refused with the column's name."""
    chunk = pa.table({"n": ["text"], ROW: pa.array([7], pa.int64())})

    with pytest.raises(FrameError, match="'n'"):
        read_chunk(chunk, pl.Schema({"n": pl.Int64()}))


def test_an_empty_column_of_a_chunk_has_the_type_of_the_table() -> None:
    """A chunk without a value in a column has the type that the first rows have."""
    chunk = pa.table({"n": pa.nulls(2), ROW: pa.array([7, 9], pa.int64())})

    rows, notes = read_chunk(chunk, pl.Schema({"n": pl.Int64()}))

    assert rows.schema == {ROW: pl.Int64, "n": pl.Int64}
    assert rows[ROW].to_list() == [7, 9]
    assert not notes


def test_the_note_of_a_broken_text_has_the_number_of_its_row() -> None:
    """Broken text is read as null, and its note names the row by its number in the whole table."""
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xff"], pa.binary()).buffers())
    chunk = pa.table({"x": broken, ROW: pa.array([40, 50], pa.int64())})

    rows, (note,) = read_chunk(chunk, pl.Schema({"x": pl.String()}))

    assert rows["x"].to_list() == ["a", None]
    assert (note.code, note.rows) == ("text.bad-unicode", (50,))
