"""Findings of the whole table are the same on Spark as locally, however the rows are spread."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.checks import CATALOGUE, MergeFindings, RowTest, TableTest
from cio_frames.errors import FrameError
from cio_frames.frames import fingerprint
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark import read_spark, table_checks, table_parts
from cio_frames.spark.chunks import chunks_of
from cio_frames.spark.reading import to_bytes
from cio_frames.spark.table_checks import MOST_ROWS, table_findings
from cio_frames.spark.table_parts import (
    FINDINGS,
    KEYED,
    NO_ROWS,
    OF_COUNTS,
    OF_FINGERPRINT,
    OF_SUMS,
    TableWork,
)
from cio_frames.validation import as_texts, check_table
from tests.catalogue.test_codes import NOW, TABLE, Asked
from tests.catalogue.test_laws import ASKED, EXAMPLES, LAW, tables
from tests.spark.parts import rows_of

WHOLE = {check.code: check.test for check in CATALOGUE if isinstance(check.test, TableTest)}
Rows = list[tuple[Any, ...]]
Frames = list[pl.DataFrame]


def pipeline_of(frame: Any, verb: str, asked: dict[str, Any]) -> Pipeline:
    """Return how a frame becomes messages, as of a fixed time."""
    return replace(getattr(cio.frame(frame), verb)(**asked).pipeline, clock=lambda: NOW)


def of_case(asked: Asked) -> Pipeline:
    """Return the same of a table of the catalogue."""
    verb, data, arguments = asked
    return pipeline_of(pl.DataFrame(data, strict=False), verb, arguments)


def locally(pipeline: Pipeline) -> Rows:
    """Return the findings of the local check of the whole table."""
    findings = check_table(pipeline.table, checks=pipeline.applied, scope=pipeline.scope())
    return ordered(as_texts(findings))


def ordered(*findings: pl.DataFrame) -> Rows:
    """Return the rows of findings in an order that does not depend on how they were found."""
    rows = (row for each in findings for row in each.select(FINDINGS.names()).rows())
    return sorted(rows, key=repr)


class Executors:
    """Partitions of a table, and what functions make of them, brought together as Spark would."""

    def __init__(self, pipeline: Pipeline, *, partitions: int, chunk_rows: int) -> None:
        rows = pl.concat(pipeline.table.chunks())
        size = -(-rows.height // partitions)
        self.partitions = list(rows.iter_slices(size))
        self.chunk_rows = chunk_rows
        self.work = TableWork.of(
            pipeline.applied, scope=pipeline.scope(), schema=pipeline.table.schema(), buckets=3,
            strict=[check for check in pipeline.applied if check.severity == "refuse"],
        )  # fmt: skip

    def each(self, function: Callable[..., Iterator[pl.DataFrame]], **asked: Any) -> Frames:
        """Return what a function makes of each partition."""
        own = partial(function, work=self.work, **asked)
        return [part for rows in self.partitions for part in own(self.chunks(rows))]

    def chunks(self, rows: pl.DataFrame) -> Iterator[pa.Table]:
        """Yield rows in chunks of Arrow."""
        yield from chunks_of(rows.to_arrow().to_batches(), rows=self.chunk_rows)

    def findings(self) -> tuple[Rows, str]:
        """Return all findings, and the fingerprint."""
        work = self.work
        parts = pl.concat(self.each(table_parts.gather)).sort("split", "bucket", "first")
        merged = pl.concat(list(table_parts.merge(self.chunks(parts), work=work)))
        states = states_in(merged)
        counted = pl.concat(states[OF_COUNTS]).group_by("number", "code").agg(pl.sum("rows"))
        rows = merged.filter(pl.col("part").is_null()).group_by("number", "code")
        assert rows_of(counted) == rows_of(rows.agg(pl.len()))
        of_table, again = table_parts.finish_small(work, states)
        small = {number: to_bytes(state) for number, state in again.items()}
        second = pl.concat([merged.clear(), *self.each(table_parts.second_pass, states=small)])
        of_table += table_parts.findings_of_second_pass(work, again, states_in(second))
        of_rows = [part.drop_nulls("code") for part in (merged, second)]
        of_others = [*self.of_keys(merged), *self.of_links()]
        whole = table_parts.fingerprint_of(states[OF_FINGERPRINT], schema=work.schema)
        return ordered(*map(as_texts, of_table), *of_rows, *of_others), whole.text

    def of_keys(self, merged: pl.DataFrame) -> Frames:
        """Return the findings about suspect keys."""
        suspects = merged.drop_nulls("key").select("number", "key", what="value")
        keys = dict(suspects.group_by("number").len().rows())
        rows = pl.concat([KEYED.to_frame(), *self.each(table_parts.keyed, tests=sorted(keys))])
        about = rows.join(suspects, on=["number", "key"]).sort("number", "key", "row")
        return list(table_parts.findings_of_keys(self.chunks(about), work=self.work, keys=keys))

    def of_links(self) -> Frames:
        """Return the findings about merges."""
        findings = []
        for number, check in enumerate(self.work.checks):
            test = self.work.test(number)
            if isinstance(test.finish, MergeFindings):
                every = pl.concat(
                    [
                        table_parts.LINKS.to_frame(),
                        *self.each(table_parts.links, aggregate=test.aggregate),
                    ]
                )
                own = test.finish(every, NO_ROWS, self.work.scope)["row"]
                links = every.filter(pl.col("row").is_in(own.implode()))
                findings += table_parts.findings_of_links(
                    self.chunks(links), work=self.work, number=number
                )
                assert check.code.startswith("alias.")
        return findings


def states_in(results: pl.DataFrame) -> dict[int, Frames]:
    """Return the states among results."""
    return table_parts.states_of(results.drop_nulls("part").select("number", "part").rows())


@pytest.mark.parametrize("code", WHOLE)
@pytest.mark.parametrize("chunk_rows", [1, 7])
def test_rows_of_a_case_may_lie_in_any_partition(code: str, chunk_rows: int) -> None:
    """The findings of partitions of a few rows are those of the whole table, with the same words."""
    for asked in TABLE[code]:
        pipeline = of_case(asked)
        findings, text = Executors(pipeline, partitions=3, chunk_rows=chunk_rows).findings()
        assert findings == locally(pipeline)
        assert text == fingerprint(pipeline.table)
    assert any(each[1] == code for each in locally(of_case(TABLE[code][0])))


MORE: dict[str, dict[str, Any]] = {
    **ASKED,
    "group": {"group_id": "id", "user_id": "x"},
    "screen": {"user_id": "id", "name": "x", "key": "y"},
}
"""Calls of the tables that are drawn: with an id of the message's own, and with values of objects."""


@settings(LAW, max_examples=EXAMPLES // 2)
@given(
    table=tables(),
    verb=st.sampled_from(sorted(MORE)),
    partitions=st.integers(1, 4),
    chunk_rows=st.integers(1, 4),
)
@example(
    table=pa.table({"id": ["1", "2", "3"], "email": ["", "", ""], "x": ["", "", "078-05-1121"]}),
    verb="form",
    partitions=1,
    chunk_rows=1,
)
def test_any_rows_may_lie_in_any_partition(
    table: pa.Table, verb: str, partitions: int, chunk_rows: int
) -> None:
    """Whatever the rows are and however they are spread, findings and fingerprint are the local ones."""
    twice = pa.concat_tables([table, table.slice(0, 3)])  # keys that meet across partitions
    pipeline = pipeline_of(pl.DataFrame(twice), verb, MORE[verb])
    spread = Executors(pipeline, partitions=partitions, chunk_rows=chunk_rows)
    assert spread.findings() == (locally(pipeline), fingerprint(pipeline.table))


REFUSED = [
    check.code
    for check in CATALOGUE
    if check.severity == "refuse" and isinstance(check.test, RowTest)
]


@pytest.mark.parametrize("code", REFUSED)
def test_findings_that_forbid_sending_are_counted_in_any_partition(code: str) -> None:
    """Partitions count as many findings that forbid sending as the checks of rows have, and no others."""
    for asked in TABLE[code]:
        pipeline = of_case(asked)
        spread = Executors(pipeline, partitions=2, chunk_rows=1)
        parts = pl.concat(spread.each(table_parts.gather)).sort("split", "bucket", "first")
        merged = pl.concat(table_parts.merge(spread.chunks(parts), work=spread.work))
        (sums,) = pl.concat(states_in(merged)[OF_SUMS]).sum().to_dicts()
        rows = pipeline.full_check.findings.filter(pl.col("row").is_not_null(), severity="refuse")
        own = {check.code for check in spread.work.strict}
        assert sums["refused"] == rows.filter(pl.col("code").cast(pl.String).is_in(own)).height


def distinct(rows: int) -> pl.DataFrame:
    """Return rows of which no two are the same, in columns that every test of a table looks at."""
    number = pl.int_range(1, rows + 1)
    moment = pl.datetime(2020, 1, 1) + pl.duration(seconds=number)
    return pl.select(
        id=pl.format("U{}", number),
        other=pl.format("u{}", number + 1),
        email=pl.format("a{}@b.co", number),
        phone=pl.format("+1212555{}", number.cast(pl.String).str.zfill(4)),
        event=pl.format("Event {}", number),
        text=pl.format("{} card 4111-1111-{}-1111", number, number.cast(pl.String).str.zfill(4)),
        code=number.cast(pl.String).str.zfill(9),
        number=1_000_000_000 + number,
        paid_at=1_700_000_000 + number,
        do_not_email=pl.lit(value=True),
        at=moment.dt.strftime("%d/%m/%Y %H:%M:%S"),
        epoch=1_700_000_000 + number * 1_000,
        offset=moment.dt.strftime("%Y-%m-%dT%H:%M:%S+01:00"),
    )


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("identify", {"user_id": "id", "timestamp": "at"}),
    ("track", {"user_id": "id", "event": "event", "timestamp": "epoch", "key": "id"}),
    ("track", {"user_id": "id", "event": "event", "timestamp": "offset"}),
    ("page", {"user_id": "number"}),
    ("identify", {"user_id": "code"}),
    ("group", {"group_id": "id", "user_id": "other"}),
    ("alias", {"user_id": "id", "previous_id": "other"}),
    ("form", {"email": "email", "form_id": "event"}),
)
KNOWN = cio.Checks(reference={"user_id": ["0123"]}, phone_region="US")


def sizes(rows: int) -> dict[str, dict[str, int]]:
    """Return how many rows each aggregate has in the end, for each call, by the code of its test."""
    frame, heights = distinct(rows), {code: {} for code in WHOLE}
    for place, (verb, asked) in enumerate(CALLS):
        pipeline = pipeline_of(frame, verb, {**asked, "checks": KNOWN})
        chunks = [pipeline.mapping.prepare(chunk) for chunk in pipeline.table.chunks(rows // 4)]
        for code, test in WHOLE.items():
            parts = [test.aggregate(chunk.lazy(), pipeline.scope()) for chunk in chunks]
            whole = pl.concat(
                [part.collect() for part in parts if part is not None] or [pl.DataFrame()]
            )
            small = test.condense if test.by else test.reduce
            if whole.height:
                heights[code][f"{place} {verb}"] = (small(whole) if small else whole).height
    return heights


def test_aggregates_that_grow_with_the_rows_are_split() -> None:
    """A test either names the column by which its aggregate is split, or the aggregate stays small.

    It fails for a new test of the whole table that keeps a hash of each row and does not name it.
    """
    few, many = sizes(1_000), sizes(4_000)
    for code, test in WHOLE.items():
        is_split = bool(test.by)
        assert is_split or test.reduce, f"{code}: TableTest(by=...) or TableTest(reduce=...)"
        assert is_split or many[code], f"{code}: no call above has a column that it looks at"
        if not is_split or test.condense:
            grown = {
                call: size
                for call, size in many[code].items()
                if size > max(few[code].get(call, 0), 2_000)
            }
            assert not grown, (
                f"{code} keeps {grown} rows: name the column that grows, TableTest(by=...)"
            )


@pytest.mark.parametrize("code", [code for code, test in WHOLE.items() if not test.by])
def test_results_of_chunks_may_be_reduced_in_any_groups(code: str) -> None:
    """Reduced once or in two steps, an aggregate is the same."""
    test = WHOLE[code]
    assert test.reduce is not None
    for verb, asked in CALLS:
        pipeline = pipeline_of(distinct(1_200), verb, {**asked, "checks": KNOWN})
        chunks = [pipeline.mapping.prepare(chunk) for chunk in pipeline.table.chunks(300)]
        queries = [test.aggregate(chunk.lazy(), pipeline.scope()) for chunk in chunks]
        parts = [query.collect() for query in queries if query is not None]
        if parts:
            halves = [test.reduce(pl.concat(half)) for half in (parts[:1], parts[1:])]
            assert test.reduce(pl.concat(halves)).equals(test.reduce(pl.concat(parts)))


PEOPLE = pl.DataFrame(
    {
        "id": ["u1", "U1", "u2", "\u0430nn", "ann", "u2", "7", "007", "u3", None, "u1", "u3"] * 4,
        "email": ["a@b.co", "c@d.co", "e@f.co", "A@b.co ", "x@y.co", "g@h.co", "k@l.co", "m@n.co", "", None, "a@b.co", "p@q.co"] * 4,
        "code": ["0042", "u1", "x", "", "y", "z", "007", "1", "2", "3", "4", "5"] * 4,
        "phone": ["+1 (212) 555-0142", None, "+12125550142", "5"] * 12,
        "card": ["card 4111-1111-1111-1111", "card 5500-0000-0000-0004", None, ""] * 12,
        "kind": ["1", "a", "$1,234", "yes"] * 12,
        "truth": ["ja", "nein", "JA", None] * 12,
        "zip": ["01394", "1394"] * 24,
        "paid_at": [0, 1_700_000_000, 1_700_000_001] * 16,
        "do_not_email": [True, False] * 24,
        "empty": pl.Series([None] * 48, dtype=pl.String),
        "at": ["2024-01-02T03:04+01:00", "2024-01-02T03:05Z", "31/01/2024", "01/02/2024"] * 12,
    }
)  # fmt: skip
EVENTS = pl.DataFrame(
    {
        "id": [f"u{row % 7}" for row in range(60)],
        "event": [*["Order Placed"] * 40, *["order_placed"] * 18, "Order Placd", "User Deleted"],
        "at": [1_600_000_000 + (row * 37) % 60 for row in range(59)] + [1_700_000_000_000],
        "key": [f"k{row % 20}" for row in range(60)],
        "value": [row % 40 for row in range(60)],
    }
)
CHAIN = [(f"c{place}", f"c{place + 1}") for place in range(30)]
MERGES = [*CHAIN, ("a", "b"), ("b", "c"), ("c", "a"), ("x", "a"), ("c", "y"), ("x", "z"), ("s", "s"), ("p", "q")]  # fmt: skip
CASES: dict[str, tuple[pl.DataFrame, str, dict[str, Any]]] = {
    "people": (PEOPLE, "identify", {"user_id": "id", "timestamp": "at", "checks": KNOWN}),
    "events": (EVENTS, "track", {"user_id": "id", "event": "event", "timestamp": "at", "key": "key"}),
    "undated": (EVENTS, "page", {"user_id": "id", "name": "event", "key": "key"}),
    "objects": (EVENTS, "group", {"group_id": "id", "user_id": "key"}),
    "merges": (pl.DataFrame(MERGES, schema=["x", "id"], orient="row"), "alias", {"previous_id": "x", "user_id": "id"}),
    "forms": (EVENTS, "form", {"form_id": "event", "email": "id"}),
    "nothing": (EVENTS.clear(), "identify", {"user_id": "id"}),
}  # fmt: skip
SQL_TYPES = {pl.String(): "string", pl.Int64(): "bigint", pl.Boolean(): "boolean"}


def on_spark(spark: Any, frame: pl.DataFrame) -> Any:
    """Return a Spark frame of the same rows in the same order, in three partitions."""
    schema = ", ".join(f"`{name}` {SQL_TYPES[dtype]}" for name, dtype in frame.schema.items())
    size = max(1, -(-frame.height // 3))
    slices = [part.rows() for part in frame.iter_slices(size)] or [[]]
    parts = [spark.createDataFrame(rows, schema).coalesce(1) for rows in slices]
    return reduce(lambda one, other: one.unionAll(other), parts)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_spark_finds_what_a_local_table_shows(spark: Any, case: str) -> None:
    """Over several partitions findings, their words and the fingerprint are those of one local table."""
    frame, verb, asked = CASES[case]
    pipeline = pipeline_of(frame, verb, asked)
    table = read_spark(on_spark(spark, frame))
    whole = table_findings(table, pipeline, buckets=3)
    rows = [tuple(row[name] for name in FINDINGS.names()) for row in whole.rows.collect()]
    of_table = as_texts(whole.of_table).select(FINDINGS.names()).rows()
    whole.rows.unpersist()
    assert sorted([*rows, *of_table], key=repr) == locally(pipeline)
    assert whole.fingerprint == fingerprint(pipeline.table)


@pytest.mark.slow
def test_of_many_merges_those_in_no_cycle_are_left_out_first(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the driver must not get all links of chains, it gets those between others, and finds the same."""
    monkeypatch.setattr(table_checks, "FEW_LINKS", 3)
    frame, verb, asked = CASES["merges"]
    pipeline = pipeline_of(frame, verb, asked)
    whole = table_findings(read_spark(on_spark(spark, frame)), pipeline, buckets=1)
    codes = {row["code"]: row["count"] for row in whole.rows.groupBy("code").count().collect()}
    whole.rows.unpersist()
    assert codes == {"alias.cycle": 3, "alias.chain": 30, "alias.split": 4}


def test_more_rows_than_polars_counts_are_refused(spark: Any) -> None:
    """A table whose rows cannot be numbered in 32 bits is refused before anything is read."""
    pipeline = pipeline_of(EVENTS, "page", {"user_id": "id"})
    table = replace(read_spark(on_spark(spark, EVENTS)), rows=MOST_ROWS + 1)
    with pytest.raises(FrameError, match=r"4,294,967,295 rows.*in parts"):
        table_findings(table, pipeline)
