"""The checks that need the whole table, for a Spark frame: computed on the executors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.checks import Check, MergeFindings
from cio_frames.errors import FrameError
from cio_frames.frames import ROW
from cio_frames.plan.chunks import rows_at_once
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.chunks import OfPartition, map_chunks
from cio_frames.spark.reading import to_bytes
from cio_frames.spark.table import SparkTable
from cio_frames.spark.table_parts import (
    COUNTED,
    FINDINGS,
    KEYED,
    LINKS,
    NO_ROWS,
    OF_COUNTS,
    OF_FINGERPRINT,
    OF_SUMS,
    PARTS,
    RESULTS,
    SUMS,
    TableWork,
    findings_of_keys,
    findings_of_links,
    findings_of_second_pass,
    fingerprint_of,
    finish_small,
    gather,
    keyed,
    links,
    merge,
    second_pass,
    states_of,
)
from cio_frames.validation import FINDING_SCHEMA, aggregate_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BUCKET_ROWS = 500_000
"""About how many rows of an aggregate one executor checks at once."""

PARTS_AT_ONCE = 64
"""How many parts of aggregates an executor reads at once."""

MOST_ROWS = (1 << 32) - 2
"""The most rows that polars can count in one frame."""

FEW_LINKS, ROUNDS = 100_000, 10
"""Up to this many links the driver looks for cycles in all of them; of more, the ends of chains are removed
in so many rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFindings:
    """The findings of the whole table.

    Attributes:
        rows: Findings about rows, a Spark frame with row, code, severity, column, value, message and
            hint, in no order. Spark keeps it if there are any: call `unpersist()` when it is no longer
            needed.
        of_table: Findings about the table and its columns, with the columns of `FINDING_SCHEMA`.
        fingerprint: The same as that of a local table of the same rows.
        counts: How many findings about rows there are, by code.
        refused: How many findings of the strict checks forbid sending.
        sets_state: Whether an event sets a state.
    """

    rows: "DataFrame"
    of_table: pl.DataFrame
    fingerprint: str
    counts: Mapping[str, int]
    refused: int
    sets_state: bool


def table_findings(
    table: SparkTable,
    pipeline: Pipeline,
    *,
    checks: Sequence[Check] | None = None,
    strict: Sequence[Check] = (),
    buckets: int | None = None,
) -> TableFindings:
    """Return the findings of the whole table, the same as for a local table.

    The driver gets what stays small: sums, samples, the most frequent names, and up to 100,000 merges into
    people who are merged again; of more only those that are part of a cycle, lie between two, or in the
    middle of a chain of more than 20. All rows of a key come to one executor, with 16 to 40 bytes each.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        checks: The checks to apply; by default those of the pipeline.
        strict: Checks of rows that forbid sending.
        buckets: In how many parts aggregates are checked that grow with the rows.

    Raises:
        FrameError: The table has more rows than can be numbered in it.
    """
    if table.rows > MOST_ROWS:
        raise FrameError(
            f"The Spark frame has {table.rows:,} rows, and at most {MOST_ROWS:,} can be checked as one "
            "table. Send it in parts: cio.frame(frame.where(...)) of one part after the other."
        )
    work = TableWork.of(
        pipeline.applied if checks is None else checks,
        scope=pipeline.scope(),
        schema=table.sample.schema(),
        buckets=buckets or 1 + table.rows // BUCKET_ROWS,
        strict=strict,
    )
    return _Pass(table, work).findings()


class _Pass:
    """The passes over a table that its tests need, and their findings so far."""

    def __init__(self, table: SparkTable, work: TableWork) -> None:
        self._table = table
        self._work = work
        self._row_findings: list[DataFrame] = []
        self._persisted: list[DataFrame] = []
        self._of_table = [FINDING_SCHEMA.to_frame()]

    def findings(self) -> TableFindings:
        """Return all findings, and release the frames that Spark kept for them."""
        try:
            return self._findings()
        finally:
            for frame in self._persisted:
                frame.unpersist()

    def _findings(self) -> TableFindings:
        merged = self._merged()
        states = _states(merged)
        findings, again = finish_small(self._work, states)
        self._of_table += findings
        if again:
            self._second_pass(again)
        counted = pl.concat([COUNTED.to_frame(), *states.get(OF_COUNTS, [])])
        self._find_in_keys(merged, counted)
        self._find_in_links()
        rows, counts = self._row_findings_and_counts(counted)
        fingerprint = fingerprint_of(states.get(OF_FINGERPRINT, []), schema=self._work.schema)
        sums = pl.concat([SUMS.to_frame(), *states.get(OF_SUMS, [])]).sum()
        return TableFindings(
            rows=rows,
            of_table=pl.concat(self._of_table),
            fingerprint=fingerprint.text,
            counts=counts,
            refused=sums["refused"].item(),
            sets_state=sums["setting"].item() > 0,
        )

    def _row_findings_and_counts(self, counted: pl.DataFrame) -> "tuple[DataFrame, dict[str, int]]":
        """Return the findings about rows and how many there are; Spark only counts if there can be any."""
        rows = reduce(_union, self._row_findings)
        if len(self._row_findings) == 1 and counted["code"].null_count() == counted.height:
            return rows, {}
        rows = rows.persist()
        counts = rows.groupBy("code").count().collect()
        return rows, {row["code"]: row["count"] for row in counts}

    def _merged(self) -> "DataFrame":
        """Merge the parts of each bucket, and return the results."""
        parts = self._of_rows(partial(gather, work=self._work), schema=PARTS)
        together = parts.repartition(max(2, self._work.buckets), "split", "bucket")
        in_order = together.sortWithinPartitions("split", "bucket", "first")
        merged = map_chunks(
            in_order, partial(merge, work=self._work), schema=RESULTS, rows=PARTS_AT_ONCE
        )
        self._add(self._persist(merged))
        return merged

    def _second_pass(self, again: Mapping[int, pl.DataFrame]) -> None:
        """Read the rows again for the tests that need it."""
        states = {number: to_bytes(aggregated) for number, aggregated in again.items()}
        results = self._persist(
            self._of_rows(partial(second_pass, work=self._work, states=states), schema=RESULTS)
        )
        self._add(results)
        self._of_table += findings_of_second_pass(self._work, again, _states(results))

    def _find_in_keys(self, merged: "DataFrame", counted: pl.DataFrame) -> None:
        """Collect the rows of each suspect key in one partition, and add the findings about them."""
        of_test = counted.filter(pl.col("code").is_null()).group_by("number").agg(pl.sum("rows"))
        keys: dict[int, int] = dict(of_test.iter_rows())
        if keys:
            suspects = merged.where("key IS NOT NULL").selectExpr("number", "key", "value AS what")
            rows = self._of_rows(partial(keyed, work=self._work, tests=sorted(keys)), schema=KEYED)
            about = rows.join(suspects, on=["number", "key"]).repartition("number", "key")
            findings = map_chunks(
                about.sortWithinPartitions("number", "key", "row"),
                partial(findings_of_keys, work=self._work, keys=keys),
                schema=FINDINGS,
                rows=rows_at_once(self._table.sample),
            )
            self._row_findings.append(findings)

    def _find_in_links(self) -> None:
        """Add the findings about merges into people who are merged into others."""
        tests = {
            number: finish
            for number in range(len(self._work.checks))
            for finish in (self._work.test(number).finish,)
            if isinstance(finish, MergeFindings)
        }
        if not tests:
            return
        aggregate = self._work.test(next(iter(tests))).aggregate
        none = self._work.prepared(pl.DataFrame(schema={ROW: pl.Int64(), **self._work.schema}))
        if not aggregate_rows(none, [aggregate], scope=self._work.scope):
            return  # this call merges nobody
        rows = self._of_rows(partial(links, work=self._work, aggregate=aggregate), schema=LINKS)
        merges = self._persist(rows)
        chained = self._persist(merges.join(_starts(merges), on="into", how="left_semi"))
        if not chained.take(1):
            return
        core = self._possible_cycles(chained)
        circular = MergeFindings(circular=True)(core, NO_ROWS, self._work.scope)["row"]
        session = chained.sparkSession
        cycles = session.createDataFrame([(row,) for row in circular], "row bigint")
        for number, finish in tests.items():
            own = chained.join(
                cycles, on="row", how="left_semi" if finish.circular else "left_anti"
            )
            findings = partial(findings_of_links, work=self._work, number=number)
            chunk_rows = rows_at_once(self._table.sample)
            columns = own.select(*LINKS.names())
            self._row_findings.append(
                map_chunks(columns, findings, schema=FINDINGS, rows=chunk_rows)
            )

    def _possible_cycles(self, chained: "DataFrame") -> pl.DataFrame:
        """Return the links that may be part of a cycle; if there are many, those between other links."""
        inner, count = chained, chained.count()
        for _ in range(ROUNDS):
            if count <= FEW_LINKS:
                break
            inner, before = self._persist(_between(inner)), count
            count = inner.count()
            if count == before:
                break
        rows = inner.select(*LINKS.names()).collect()
        return pl.DataFrame(list(map(tuple, rows)), schema=LINKS, orient="row")

    def _of_rows(self, function: OfPartition, *, schema: pl.Schema) -> "DataFrame":
        """Return the results of a function for each partition."""
        chunk_rows = rows_at_once(self._table.sample)
        return map_chunks(self._table.chunks, function, schema=schema, rows=chunk_rows)

    def _persist(self, frame: "DataFrame") -> "DataFrame":
        """Have Spark keep a frame that is read more than once, until all checks are done."""
        self._persisted.append(frame.persist())
        return self._persisted[-1]

    def _add(self, results: "DataFrame") -> None:
        """Add the findings among rows of `RESULTS`."""
        findings = results.where("`key` IS NULL AND `part` IS NULL")
        self._row_findings.append(findings.select(*FINDINGS.names()))


def _starts(merges: "DataFrame") -> "DataFrame":
    """Return the people who are merged into others, in a column to join with `into`."""
    return merges.selectExpr("`from` AS `into`").distinct()


def _between(merges: "DataFrame") -> "DataFrame":
    """Return the links from people that others are merged into, to people who are merged again."""
    ends = merges.selectExpr("*", "explode(array(true, false)) AS `starts`")
    people = ends.selectExpr("*", "IF(`starts`, `from`, `into`) AS `person`")
    of_person = "OVER (PARTITION BY `person`)"
    both = people.selectExpr(
        "*", f"min(`starts`) {of_person} <> max(`starts`) {of_person} AS `is_between`"
    )
    each = both.groupBy(*LINKS.names()).agg({"is_between": "min"})
    return each.where("`min(is_between)`").select(*LINKS.names())


def _union(one: "DataFrame", other: "DataFrame") -> "DataFrame":
    return one.unionAll(other)


def _states(results: "DataFrame") -> dict[int, list[pl.DataFrame]]:
    """Return the state of each split or test; it is small, however many rows there are."""
    rows = results.where("`part` IS NOT NULL").select("number", "part").collect()
    return states_of((row["number"], bytes(row["part"])) for row in rows)
