"""What only the whole table shows, of a Spark frame: found where the rows are."""

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
from cio_frames.spark.table import SparkTable
from cio_frames.spark.table_parts import (
    COUNTED,
    FINDINGS,
    FOUND,
    KEYED,
    LINKS,
    NO_ROWS,
    OF_FINGERPRINT,
    OF_FOUND,
    OF_SUMS,
    PARTS,
    SUMS,
    TableWork,
    fingerprint_of,
    gather,
    judged,
    keyed,
    links,
    look_again,
    merge,
    packed,
    recounted,
    states_of,
    tell,
    tell_links,
)
from cio_frames.validation import FINDING_SCHEMA, aggregate_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BUCKET_ROWS = 500_000
"""About how many rows of an aggregate one executor judges at once."""

PARTS_AT_ONCE = 64
"""How many parts of aggregates an executor reads at once."""

MOST_ROWS = (1 << 32) - 2
"""Rows that polars counts in one frame."""

FEW_LINKS, ROUNDS = 100_000, 10
"""Links of chains up to which the driver looks for cycles in all of them, and how often those at the
ends of chains are left out where they are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFindings:
    """What only the whole table shows.

    Attributes:
        rows: Findings about rows, a Spark frame with row, code, severity, column, value, message and
            hint, in no order. Spark keeps it if there are any: call `unpersist()` when it is no longer
            needed.
        of_table: Findings about the table and its columns, with the columns of `FINDING_SCHEMA`.
        fingerprint: The same as that of a local table of the same rows.
        counts: How many findings about rows there are, by code.
        refused: How much the strict checks find that forbids sending.
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
    """Return what only the whole table shows, the same as of a local table.

    The driver gets what stays small: sums, samples, the names that are most frequent, and of merges
    into people who are merged again the first 100,000; of more only those that are part of a cycle,
    lie between two, or in the middle of a chain of more than 20. All rows of one key come together in
    one executor, with 16 to 40 bytes for each.

    Args:
        table: The rows.
        pipeline: The pipeline of their sample.
        checks: The checks to apply; those of the pipeline without.
        strict: Checks of rows that forbid sending.
        buckets: How many parts each aggregate is judged in that grows with the rows.

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
    """The passes over a table that its tests need, and what they have found so far."""

    def __init__(self, table: SparkTable, work: TableWork) -> None:
        self._table = table
        self._work = work
        self._found: list[DataFrame] = []
        self._kept: list[DataFrame] = []
        self._of_table = [FINDING_SCHEMA.to_frame()]

    def findings(self) -> TableFindings:
        """Return all of it; what Spark kept for it is let go."""
        try:
            return self._findings()
        finally:
            for each in self._kept:
                each.unpersist()

    def _findings(self) -> TableFindings:
        merged = self._merged()
        states = _states(merged)
        found, again = judged(self._work, states)
        self._of_table += found
        if again:
            self._look_again(again)
        counted = pl.concat([COUNTED.to_frame(), *states.get(OF_FOUND, [])])
        self._tell_keys(merged, counted)
        self._tell_links()
        rows, counts = self._rows(counted)
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

    def _rows(self, counted: pl.DataFrame) -> "tuple[DataFrame, dict[str, int]]":
        """Return the findings about rows and how many they are; Spark is asked where there can be any."""
        rows = reduce(_union, self._found)
        if len(self._found) == 1 and counted["code"].null_count() == counted.height:
            return rows, {}
        rows = rows.persist()
        counts = rows.groupBy("code").count().collect()
        return rows, {row["code"]: row["count"] for row in counts}

    def _merged(self) -> "DataFrame":
        """Return what is found in buckets, once their parts are brought together."""
        parts = self._of_rows(partial(gather, work=self._work), schema=PARTS)
        together = parts.repartition(max(2, self._work.buckets), "split", "bucket")
        in_order = together.sortWithinPartitions("split", "bucket", "first")
        merged = map_chunks(
            in_order, partial(merge, work=self._work), schema=FOUND, rows=PARTS_AT_ONCE
        )
        self._add(self._keep(merged))
        return merged

    def _look_again(self, again: Mapping[int, pl.DataFrame]) -> None:
        """Read the rows again for the tests that ask for them."""
        states = {number: packed(aggregated) for number, aggregated in again.items()}
        looked = self._keep(
            self._of_rows(partial(look_again, work=self._work, states=states), schema=FOUND)
        )
        self._add(looked)
        self._of_table += recounted(self._work, again, _states(looked))

    def _tell_keys(self, merged: "DataFrame", counted: pl.DataFrame) -> None:
        """Bring the rows of keys in question together, and tell what is found of them."""
        of_test = counted.filter(pl.col("code").is_null()).group_by("number").agg(pl.sum("rows"))
        keys: dict[int, int] = dict(of_test.iter_rows())
        if keys:
            suspects = merged.where("key IS NOT NULL").selectExpr("number", "key", "value AS what")
            rows = self._of_rows(partial(keyed, work=self._work, tests=sorted(keys)), schema=KEYED)
            about = rows.join(suspects, on=["number", "key"]).repartition("number", "key")
            told = map_chunks(
                about.sortWithinPartitions("number", "key", "row"),
                partial(tell, work=self._work, keys=keys),
                schema=FINDINGS,
                rows=rows_at_once(self._table.sample),
            )
            self._found.append(told)

    def _tell_links(self) -> None:
        """Tell the merges into people who are merged into others."""
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
            return  # rows of this call link nobody
        rows = self._of_rows(partial(links, work=self._work, aggregate=aggregate), schema=LINKS)
        merges = self._keep(rows)
        chained = self._keep(merges.join(_starts(merges), on="into", how="left_semi"))
        if not chained.take(1):
            return
        core = self._core(chained)
        circular = MergeFindings(circular=True)(core, NO_ROWS, self._work.scope)["row"]
        session = chained.sparkSession
        cycles = session.createDataFrame([(row,) for row in circular], "row bigint")
        for number, finish in tests.items():
            own = chained.join(
                cycles, on="row", how="left_semi" if finish.circular else "left_anti"
            )
            told = partial(tell_links, work=self._work, number=number)
            chunk_rows = rows_at_once(self._table.sample)
            columns = own.select(*LINKS.names())
            self._found.append(map_chunks(columns, told, schema=FINDINGS, rows=chunk_rows))

    def _core(self, chained: "DataFrame") -> pl.DataFrame:
        """Return the links that may be part of a cycle; of many, those that others lead to and from."""
        inner, count = chained, chained.count()
        for _ in range(ROUNDS):
            if count <= FEW_LINKS:
                break
            inner, before = self._keep(_between(inner)), count
            count = inner.count()
            if count == before:
                break
        rows = inner.select(*LINKS.names()).collect()
        return pl.DataFrame(list(map(tuple, rows)), schema=LINKS, orient="row")

    def _of_rows(self, function: OfPartition, *, schema: pl.Schema) -> "DataFrame":
        """Return what a function makes of the rows of each partition."""
        chunk_rows = rows_at_once(self._table.sample)
        return map_chunks(self._table.frame, function, schema=schema, rows=chunk_rows)

    def _keep(self, frame: "DataFrame") -> "DataFrame":
        """Have Spark keep rows that are read more than once, until all is found."""
        self._kept.append(frame.persist())
        return self._kept[-1]

    def _add(self, found: "DataFrame") -> None:
        """Add the findings among rows of `FOUND`."""
        told = found.where("`key` IS NULL AND `part` IS NULL")
        self._found.append(told.select(*FINDINGS.names()))


def _starts(merges: "DataFrame") -> "DataFrame":
    """Return who is merged into others, by the name of the column that is joined."""
    return merges.selectExpr("`from` AS `into`").distinct()


def _between(merges: "DataFrame") -> "DataFrame":
    """Return the links of people who are merged into, into people who are merged again."""
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


def _states(found: "DataFrame") -> dict[int, list[pl.DataFrame]]:
    """Return what is known of each split or test; it is small, whatever the rows."""
    rows = found.where("`part` IS NOT NULL").select("number", "part").collect()
    return states_of((row["number"], bytes(row["part"])) for row in rows)
