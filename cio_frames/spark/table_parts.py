"""What executors do for the checks of a whole table: gather aggregates, merge them, and read rows again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter

import polars as pl
import pyarrow as pa

from cio_frames.checks import (
    Aggregate,
    Check,
    KeyedFindings,
    MergeFindings,
    RowTest,
    Scope,
    SecondCount,
    TableTest,
)
from cio_frames.frames import ROW, Fingerprint, FingerprintPart, collect_streaming
from cio_frames.mapping import computing, subjects
from cio_frames.spark.reading import from_bytes, read_chunk, to_bytes
from cio_frames.validation import (
    FINDING_SCHEMA,
    CompiledCheck,
    aggregate_rows,
    as_findings,
    as_texts,
    check,
    compile_checks,
)

PARTS = pl.Schema(
    {"split": pl.Int64(), "bucket": pl.Int64(), "first": pl.Int64(), "part": pl.Binary()}
)
"""The parts of aggregates of a partition; those of one split and bucket are merged."""

FINDINGS = pl.Schema({name: pl.String() for name in FINDING_SCHEMA} | {"row": pl.Int64()})
"""Findings as texts, except the number of the row."""

RESULTS = pl.Schema({"number": pl.Int64(), "key": pl.Int64(), "part": pl.Binary(), **FINDINGS})
"""A finding; or a suspect key of the test with this number, with a `value` for its finding; or, if there is
a `part`, a part of the state of a split or test."""

KEYED = pl.Schema(
    {
        "number": pl.Int64(),
        "key": pl.Int64(),
        "row": pl.Int64(),
        "column": pl.String(),
        "value": pl.String(),
    }
)
"""Rows with their key, for the test with this number."""

LINKS = pl.Schema({"row": pl.Int64(), "from": pl.String(), "into": pl.String()})

OF_ROWS, OF_FINGERPRINT, OF_SUMS, OF_COUNTS = -1, -2, -3, -4
"""The splits of findings about rows, of fingerprints, of sums over rows, and of the counts of findings."""

SUMS = pl.Schema({"refused": pl.Int64(), "setting": pl.Int64()})
"""The number of findings that forbid sending, and of events that set a state."""

COUNTED = pl.Schema({"number": pl.Int64(), "code": pl.String(), "rows": pl.Int64()})
"""How many findings a code has, or how many suspect keys the test with this number."""

GATHERED_ROWS = 500_000
"""A partition with more rows of an aggregate yields them at once, in buckets."""
REDUCED_PARTS = 64
"""A partition with more parts of an aggregate combines them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """An aggregate, and how it is split into buckets that are merged independently.

    Attributes:
        aggregate: The aggregate.
        by: The column whose equal values are in one bucket; "" for a small aggregate with one bucket.
        tests: The numbers of the tests that use it.
    """

    aggregate: Aggregate
    by: str
    tests: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWork:
    """The checks of a whole table, with all that executors need for them.

    Attributes:
        scope: The mapping and what else checks may read.
        checks: The checks that need the whole table; the number of a test is its place here.
        schema: The columns of the table.
        buckets: In how many parts aggregates are checked that grow with the rows.
        strict: Checks of rows that forbid sending; their findings are counted.
    """

    scope: Scope
    checks: tuple[Check, ...]
    schema: pl.Schema
    buckets: int
    strict: tuple[Check, ...] = ()
    splits: tuple[Split, ...] = field(init=False)

    def __post_init__(self) -> None:
        of_split: dict[tuple[Aggregate, str], list[int]] = {}
        for number in range(len(self.checks)):
            test = self.test(number)
            if not isinstance(test.finish, MergeFindings):
                of_split.setdefault((test.aggregate, test.by), []).append(number)
        splits = tuple(
            Split(aggregate=aggregate, by=by, tests=tuple(tests))
            for (aggregate, by), tests in of_split.items()
        )
        object.__setattr__(self, "splits", splits)

    @classmethod
    def of(
        cls, checks: Iterable[Check], *, scope: Scope, schema: pl.Schema, buckets: int,
        strict: Iterable[Check] = (),
    ) -> "TableWork":  # fmt: skip
        """Return the work for those of the checks that need the whole table."""
        own = tuple(replace(each, repair=None) for each in checks if _is_of_table(each))
        rows = tuple(
            replace(each, repair=None) for each in strict if isinstance(each.test, RowTest)
        )
        return cls(scope=scope, checks=own, schema=schema, buckets=buckets, strict=rows)

    def test(self, number: int) -> TableTest:
        """Return the test of a check."""
        test = self.checks[number].test
        assert isinstance(test, TableTest)  # noqa: S101 - there are no others here
        return test

    def first_test(self, split: Split) -> TableTest:
        """Return one test of a split; all have the same aggregate."""
        return self.test(split.tests[0])

    def prepared(self, chunk: pl.DataFrame) -> pl.DataFrame:
        """Return rows with one column per field."""
        with computing(self.scope.mapping):
            return self.scope.mapping.prepare(chunk)

    def finished(self, number: int, aggregated: pl.DataFrame, rows: pl.LazyFrame) -> pl.DataFrame:
        """Return the findings of a test."""
        return self.findings(number, self.test(number).finish(aggregated, rows, self.scope))

    def findings(self, number: int, matches: pl.DataFrame) -> pl.DataFrame:
        """Return the matches of a test as findings, with the texts of its check."""
        return as_findings(self.checks[number], matches, scope=self.scope)

    def combined(self, split: Split, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return the parts of a split as one, as small as possible."""
        test, whole = self.first_test(split), pl.concat(parts)
        small = test.condense if split.by else test.reduce
        return whole if small is None else small(whole)


def _is_of_table(check: Check) -> bool:
    return isinstance(check.test, TableTest)


def gather(chunks: Iterator[pa.Table], *, work: TableWork) -> Iterator[pl.DataFrame]:
    """Yield the parts of aggregates of one partition, with the columns of `PARTS`."""
    gathered, fingerprint = _Gathered(work), Fingerprint(work.schema)
    tests = compile_checks(work.strict, scope=work.scope)
    sums = [pl.DataFrame([dict.fromkeys(SUMS, 0)], schema=SUMS)]
    for chunk in chunks:
        rows, _ = read_chunk(chunk, work.schema)
        fingerprint.add(rows)
        prepared = work.prepared(rows)
        sums.append(_sums(prepared, rows, work=work, tests=tests))
        yield from gathered.add(prepared)
    yield from gathered.rest()
    if fingerprint.part.rows:
        yield _part(OF_FINGERPRINT, _of_fingerprint(fingerprint.part), first=gathered.first)
        yield _part(OF_SUMS, pl.concat(sums).sum(), first=gathered.first)


def _sums(
    prepared: pl.DataFrame, rows: pl.DataFrame, *, work: TableWork, tests: Sequence[CompiledCheck]
) -> pl.DataFrame:
    """Return the sums over the rows of a chunk, with the columns of `SUMS`."""
    mapping = work.scope.mapping
    refused = setting = 0
    if tests:
        findings = check(prepared, tests=tests, raw=rows).findings
        refused = findings.filter(pl.col("severity") == "refuse").height
    if mapping.call.name == "track":
        setting = prepared.select(subjects(mapping).is_not_null().sum()).item()
    return pl.DataFrame([(refused, setting)], schema=SUMS, orient="row")


class _Gathered:
    """The aggregates of one partition so far; large ones are yielded at once."""

    def __init__(self, work: TableWork) -> None:
        self._work = work
        self._aggregates = dict.fromkeys(split.aggregate for split in work.splits)
        self._parts: dict[int, list[pl.DataFrame]] = {}
        self._first: int | None = None

    @property
    def first(self) -> int:
        """The number of the first row."""
        return self._first or 0

    def add(self, prepared: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Add the next rows; yield the parts that are large."""
        first = prepared.item(0, ROW)
        self._first = first if self._first is None else self._first
        scope, rows = self._work.scope, prepared.lazy()
        with computing(scope.mapping):
            aggregated = aggregate_rows(prepared, self._aggregates, scope=scope)
        for place, split in enumerate(self._work.splits):
            part = aggregated.get(split.aggregate)
            if part is None or part.is_empty():
                continue
            if split.by == "row":
                findings = [self._work.finished(number, part, rows) for number in split.tests]
                yield _part(OF_ROWS, pl.concat(findings), first=first, bucket=first)
            else:
                self._parts.setdefault(place, []).append(part)
                yield from self._large_parts(place)

    def rest(self) -> Iterator[pl.DataFrame]:
        """Yield the rest."""
        for place in list(self._parts):
            yield from self._buckets(place)

    def _large_parts(self, place: int) -> Iterator[pl.DataFrame]:
        split, parts = self._work.splits[place], self._parts[place]
        if split.by and sum(map(len, parts)) > GATHERED_ROWS:
            yield from self._buckets(place)
        elif not split.by and len(parts) > REDUCED_PARTS:
            self._parts[place] = [self._work.combined(split, parts)]

    def _buckets(self, place: int) -> Iterator[pl.DataFrame]:
        split, parts = self._work.splits[place], self._parts.pop(place)
        if not split.by:
            yield _part(place, self._work.combined(split, parts), first=self.first)
            return
        whole = pl.concat(parts)
        bucket = (pl.col(split.by).hash(seed=1) % self._work.buckets).cast(pl.Int64)
        buckets = whole.select(bucket).to_series()
        for (number,), part in whole.with_columns(buckets.alias(_BUCKET)).group_by(
            _BUCKET, maintain_order=True
        ):
            yield _part(place, part.drop(_BUCKET), first=self.first, bucket=int(str(number)))


_BUCKET = "\0bucket"
"""The bucket of a row of an aggregate; no column has this name."""


def _part(split: int, frame: pl.DataFrame, *, first: int, bucket: int = 0) -> pl.DataFrame:
    return pl.DataFrame([(split, bucket, first, to_bytes(frame))], schema=PARTS, orient="row")


def _of_fingerprint(part: FingerprintPart) -> pl.DataFrame:
    return pl.DataFrame(
        {"total": [part.total], "rows": [part.rows], "filled": [sorted(part.filled)]},
        schema={"total": pl.UInt64, "rows": pl.Int64, "filled": pl.List(pl.String)},
    )


def fingerprint_of(parts: Iterable[pl.DataFrame], *, schema: pl.Schema) -> Fingerprint:
    """Return the fingerprint of all rows from those of partitions."""
    whole = Fingerprint(schema)
    for total, rows, filled in (row for part in parts for row in part.rows()):
        whole.merge(FingerprintPart(total=total, rows=rows, filled=frozenset(filled)))
    return whole


def merge(chunks: Iterator[pa.Table], *, work: TableWork) -> Iterator[pl.DataFrame]:
    """Merge the parts of each bucket and yield the results, with the columns of `RESULTS`.

    Args:
        chunks: Rows of `PARTS`; all of a split and bucket are here, in the order of `first`.
        work: The checks.
    """
    counts = [COUNTED.to_frame()]
    for results in _bucket_results(chunks, work=work):
        own = results.filter(pl.col("part").is_null()).group_by("number", "code")
        counts.append(own.agg(pl.len().cast(pl.Int64).alias("rows")))
        yield results
    yield _state(OF_COUNTS, pl.concat(counts).group_by("number", "code").agg(pl.sum("rows")))


def _bucket_results(chunks: Iterator[pa.Table], *, work: TableWork) -> Iterator[pl.DataFrame]:
    """Yield the results of `merge` without the counts."""
    columns = (chunk.select(PARTS.names()).to_pydict().values() for chunk in chunks)
    rows = (row for each in columns for row in zip(*each, strict=True))
    for (number, _), group in groupby(rows, key=itemgetter(0, 1)):
        parts = (from_bytes(part) for _, _, _, part in group)
        if number == OF_ROWS:
            yield from map(_as_results, parts)
        elif number == OF_FINGERPRINT:
            whole = fingerprint_of(parts, schema=work.schema)
            yield _state(number, _of_fingerprint(whole.part))
        elif number == OF_SUMS:
            yield _state(number, pl.concat(parts).sum())
        else:
            yield from _merged(number, list(parts), work=work)


def _merged(
    number: int, parts: Sequence[pl.DataFrame], *, work: TableWork
) -> Iterator[pl.DataFrame]:
    """Yield the results of tests for one bucket of an aggregate, or its state if more is needed."""
    split = work.splits[number]
    whole = work.combined(split, parts)
    if not split.by or work.first_test(split).condense:
        yield _state(number, whole)
        return
    for test in split.tests:
        finish = work.test(test).finish
        if isinstance(finish, KeyedFindings):
            yield _suspects(test, finish.suspects(whole, work.scope))
        else:
            yield _as_results(work.finished(test, whole, NO_ROWS))


NO_ROWS = pl.LazyFrame()
"""For tests that do not read the rows again."""


def _as_results(findings: pl.DataFrame) -> pl.DataFrame:
    return _filled(as_texts(findings))


def _state(number: int, state: pl.DataFrame) -> pl.DataFrame:
    return _filled(pl.DataFrame({"number": [number], "part": [to_bytes(state)]}))


def _suspects(number: int, suspects: pl.DataFrame) -> pl.DataFrame:
    what = pl.col("what") if "what" in suspects.columns else pl.lit(None, pl.String)
    key = pl.col("key").reinterpret(signed=True)
    return _filled(suspects.select(pl.lit(number, pl.Int64).alias("number"), key, value=what))


def _filled(results: pl.DataFrame) -> pl.DataFrame:
    return results.match_to_schema(RESULTS, missing_columns="insert")


def states_of(parts: Iterable[tuple[int, bytes]]) -> dict[int, list[pl.DataFrame]]:
    """Return the state of each split or test, in parts."""
    states: dict[int, list[pl.DataFrame]] = {}
    for number, part in parts:
        states.setdefault(number, []).append(from_bytes(part))
    return states


def finish_small(
    work: TableWork, states: Mapping[int, Sequence[pl.DataFrame]]
) -> tuple[list[pl.DataFrame], dict[int, pl.DataFrame]]:
    """Return the findings that need no rows, and the aggregates of the tests that need the rows again.

    Args:
        work: The tests.
        states: The merged state of each split.
    """
    findings, again = [], {}
    for place, parts in states.items():
        if place < 0:
            continue
        split = work.splits[place]
        aggregated = work.combined(split, parts)
        for number in split.tests if aggregated.height else ():
            own, needs_rows = _without_rows(work, number, aggregated)
            findings.append(own)
            if needs_rows:
                again[number] = aggregated
    return findings, again


def _without_rows(
    work: TableWork, number: int, aggregated: pl.DataFrame
) -> tuple[pl.DataFrame, bool]:
    """Return the findings of a test that need no rows, and whether it needs the rows."""
    finish = work.test(number).finish
    if isinstance(finish, SecondCount):
        return FINDING_SCHEMA.to_frame(), bool(finish.measures(aggregated, work.scope))
    reads: list[bool] = []

    def note_read(rows: pl.DataFrame) -> pl.DataFrame:
        reads.append(True)
        return rows

    none = pl.DataFrame(schema={ROW: pl.Int64(), **work.schema})
    rows = work.prepared(none).lazy().map_batches(note_read)
    return work.finished(number, aggregated, rows), bool(reads)


def findings_of_second_pass(
    work: TableWork,
    again: Mapping[int, pl.DataFrame],
    states: Mapping[int, Sequence[pl.DataFrame]],
) -> list[pl.DataFrame]:
    """Return the findings of tests that counted in a second pass.

    Args:
        work: The tests.
        again: Their aggregates of the first pass.
        states: Their counts of the second pass.
    """
    findings = []
    for number, parts in states.items():
        finish = work.test(number).finish
        if isinstance(finish, SecondCount):
            counts = finish.reduce(pl.concat(parts))
            findings.append(work.findings(number, finish.judge(again[number], counts, work.scope)))
    return findings


def second_pass(
    chunks: Iterator[pa.Table], *, work: TableWork, states: Mapping[int, bytes]
) -> Iterator[pl.DataFrame]:
    """Yield the findings or counts of tests that read the rows again, with the columns of `RESULTS`.

    Args:
        chunks: All rows once more.
        work: The tests.
        states: The aggregates of those tests, by number.
    """
    gathered = {number: from_bytes(state) for number, state in states.items()}
    counted: dict[int, pl.DataFrame] = {}
    for chunk in chunks:
        rows = work.prepared(read_chunk(chunk, work.schema)[0]).lazy()
        for number, state in gathered.items():
            finish = work.test(number).finish
            if isinstance(finish, SecondCount):
                counts = collect_streaming(rows.select(finish.measures(state, work.scope)))
                before = [counted[number]] if number in counted else []
                counted[number] = finish.reduce(pl.concat([*before, counts]))
            else:
                findings = work.finished(number, state, rows)
                yield _as_results(findings.filter(pl.col("row").is_not_null()))
    yield from (_state(number, counts) for number, counts in counted.items())


def keyed(
    chunks: Iterator[pa.Table], *, work: TableWork, tests: Sequence[int]
) -> Iterator[pl.DataFrame]:
    """Yield all rows with a key, for tests of suspect keys, with the columns of `KEYED`."""
    for chunk in chunks:
        rows = work.prepared(read_chunk(chunk, work.schema)[0]).lazy()
        for number in tests:
            finish = work.test(number).finish
            if isinstance(finish, KeyedFindings):
                for each in finish.rows(work.scope):
                    of_test = collect_streaming(each.of(rows)).with_columns(
                        pl.col("key").reinterpret(signed=True), number=pl.lit(number, pl.Int64)
                    )
                    yield of_test.select(KEYED.names())


def findings_of_keys(
    chunks: Iterator[pa.Table], *, work: TableWork, keys: Mapping[int, int]
) -> Iterator[pl.DataFrame]:
    """Yield the findings about rows of suspect keys, with the columns of `FINDINGS`.

    Args:
        chunks: Rows of `KEYED`, with the `what` of their key; those of a number and key follow each other,
            in the order of the rows.
        work: The tests.
        keys: How many suspect keys there are, by the number of the test.
    """
    rest: pl.DataFrame | None = None
    for chunk in chunks:
        rows = pl.DataFrame(pl.from_arrow(chunk))
        rows = rows if rest is None else pl.concat([rest, rows])
        key = pl.struct("number", "key")
        is_last = rows.select(key == key.last()).to_series()
        yield from _key_findings(rows.filter(~is_last), work=work, keys=keys)
        rest = rows.filter(is_last)
    if rest is not None:
        yield from _key_findings(rest, work=work, keys=keys)


def _key_findings(
    about: pl.DataFrame, *, work: TableWork, keys: Mapping[int, int]
) -> Iterator[pl.DataFrame]:
    for (number,), rows in about.group_by("number"):
        test = int(str(number))
        finish = work.test(test).finish
        if isinstance(finish, KeyedFindings):
            in_order = rows.sort("row", maintain_order=True)
            matches = finish.findings(in_order, work.scope, keys=keys[test])
            yield as_texts(work.findings(test, matches))


def links(
    chunks: Iterator[pa.Table], *, work: TableWork, aggregate: Aggregate
) -> Iterator[pl.DataFrame]:
    """Yield the merges of people, with the columns of `LINKS`."""
    for chunk in chunks:
        prepared = work.prepared(read_chunk(chunk, work.schema)[0])
        yield from aggregate_rows(prepared, [aggregate], scope=work.scope).values()


def findings_of_links(
    chunks: Iterator[pa.Table], *, work: TableWork, number: int
) -> Iterator[pl.DataFrame]:
    """Yield the findings of a test about links, with the columns of `FINDINGS`."""
    finish = work.test(number).finish
    for chunk in chunks:
        if isinstance(finish, MergeFindings):
            matches = finish.findings(pl.DataFrame(pl.from_arrow(chunk)), work.scope)
            yield as_texts(work.findings(number, matches))
