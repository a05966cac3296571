"""What executors do for the tests of a whole table: gather, merge, look again, and tell."""

import io
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
from cio_frames.spark.reading import read_chunk
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
"""What a partition gathers: parts of aggregates, those of a split and bucket to be put together."""

FINDINGS = pl.Schema({name: pl.String() for name in FINDING_SCHEMA} | {"row": pl.Int64()})
"""Findings as texts, but for the number of the row."""

FOUND = pl.Schema({"number": pl.Int64(), "key": pl.Int64(), "part": pl.Binary(), **FINDINGS})
"""A finding; or the key in question of the test of a number, its `value` what there is to say; or a
part of what is known of a split or a test, if there is a part."""

KEYED = pl.Schema(
    {
        "number": pl.Int64(),
        "key": pl.Int64(),
        "row": pl.Int64(),
        "column": pl.String(),
        "value": pl.String(),
    }
)
"""Rows with the key that they belong to, for the test of a number."""

LINKS = pl.Schema({"row": pl.Int64(), "from": pl.String(), "into": pl.String()})

OF_ROWS, OF_FINGERPRINT, OF_SUMS, OF_FOUND = -1, -2, -3, -4
"""The splits of findings that are told already, of fingerprints, of sums over rows, and how much was found."""

SUMS = pl.Schema({"refused": pl.Int64(), "setting": pl.Int64()})
"""Findings in rows that forbid sending, and events that set a state."""

COUNTED = pl.Schema({"number": pl.Int64(), "code": pl.String(), "rows": pl.Int64()})
"""How many findings a code has, or how many keys are in question for the test of a number."""

GATHERED_ROWS = 500_000
"""Rows of an aggregate from which on a partition gives them away, in buckets."""
REDUCED_PARTS = 64
"""Parts of an aggregate from which on a partition makes one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """An aggregate, in the parts that are put together apart from each other.

    Attributes:
        aggregate: The aggregate.
        by: The column whose equal values come together; "" where all of it does, for it is small.
        tests: The numbers of the tests that judge it.
    """

    aggregate: Aggregate
    by: str
    tests: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWork:
    """What decides what the tests of a whole table find, wherever its rows are.

    Attributes:
        scope: The mapping and what else checks may know.
        checks: The checks that ask for the whole table; places in it are the numbers of tests.
        schema: The columns of the table.
        buckets: How many parts each aggregate is judged in that grows with the rows.
        strict: Checks of rows that forbid sending; what they find is counted.
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
        """Return the work of those of the checks that ask for the whole table."""
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
        """Return a test of a split; all have the same aggregate."""
        return self.test(split.tests[0])

    def prepared(self, chunk: pl.DataFrame) -> pl.DataFrame:
        """Return rows with one column per field."""
        with computing(self.scope.mapping):
            return self.scope.mapping.prepare(chunk)

    def finished(self, number: int, aggregated: pl.DataFrame, rows: pl.LazyFrame) -> pl.DataFrame:
        """Return what a test finds."""
        return self.findings(number, self.test(number).finish(aggregated, rows, self.scope))

    def findings(self, number: int, found: pl.DataFrame) -> pl.DataFrame:
        """Return what a test has found, with the texts of its check."""
        return as_findings(self.checks[number], found, scope=self.scope)

    def together(self, split: Split, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return the parts of a split as one, as small as it is when nothing is missing."""
        test, whole = self.first_test(split), pl.concat(parts)
        small = test.condense if split.by else test.reduce
        return whole if small is None else small(whole)


def _is_of_table(check: Check) -> bool:
    return isinstance(check.test, TableTest)


def packed(frame: pl.DataFrame) -> bytes:
    """Return a frame as bytes."""
    target = io.BytesIO()
    frame.write_ipc_stream(target)
    return target.getvalue()


def unpacked(part: bytes) -> pl.DataFrame:
    """Return the frame that bytes are of."""
    return pl.read_ipc_stream(io.BytesIO(part))


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
    """Return what is counted of the rows of a chunk, with the columns of `SUMS`."""
    mapping = work.scope.mapping
    refused = setting = 0
    if tests:
        found = check(prepared, tests=tests, raw=rows).findings
        refused = found.filter(pl.col("severity") == "refuse").height
    if mapping.call.name == "track":
        setting = prepared.select(subjects(mapping).is_not_null().sum()).item()
    return pl.DataFrame([(refused, setting)], schema=SUMS, orient="row")


class _Gathered:
    """The aggregates of one partition, so far; they are given away when they are large."""

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
        """Add the next rows; yield what must not wait."""
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
                found = [self._work.finished(number, part, rows) for number in split.tests]
                yield _part(OF_ROWS, pl.concat(found), first=first, bucket=first)
            else:
                self._parts.setdefault(place, []).append(part)
                yield from self._given_away(place)

    def rest(self) -> Iterator[pl.DataFrame]:
        """Yield all that is left."""
        for place in list(self._parts):
            yield from self._buckets(place)

    def _given_away(self, place: int) -> Iterator[pl.DataFrame]:
        split, parts = self._work.splits[place], self._parts[place]
        if split.by and sum(map(len, parts)) > GATHERED_ROWS:
            yield from self._buckets(place)
        elif not split.by and len(parts) > REDUCED_PARTS:
            self._parts[place] = [self._work.together(split, parts)]

    def _buckets(self, place: int) -> Iterator[pl.DataFrame]:
        split, parts = self._work.splits[place], self._parts.pop(place)
        if not split.by:
            yield _part(place, self._work.together(split, parts), first=self.first)
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
    return pl.DataFrame([(split, bucket, first, packed(frame))], schema=PARTS, orient="row")


def _of_fingerprint(part: FingerprintPart) -> pl.DataFrame:
    return pl.DataFrame(
        {"total": [part.total], "rows": [part.rows], "filled": [sorted(part.filled)]},
        schema={"total": pl.UInt64, "rows": pl.Int64, "filled": pl.List(pl.String)},
    )


def fingerprint_of(parts: Iterable[pl.DataFrame], *, schema: pl.Schema) -> Fingerprint:
    """Return the fingerprint of the rows that several are of."""
    whole = Fingerprint(schema)
    for total, rows, filled in (row for part in parts for row in part.rows()):
        whole.merge(FingerprintPart(total=total, rows=rows, filled=frozenset(filled)))
    return whole


def merge(chunks: Iterator[pa.Table], *, work: TableWork) -> Iterator[pl.DataFrame]:
    """Yield what is found in buckets of which all parts are here, with the columns of `FOUND`.

    Args:
        chunks: Rows of `PARTS`, those of a split and bucket one after the other, in the order of `first`.
        work: What was gathered, and for which tests.
    """
    counts = [COUNTED.to_frame()]
    for found in _found_in(chunks, work=work):
        own = found.filter(pl.col("part").is_null()).group_by("number", "code")
        counts.append(own.agg(pl.len().cast(pl.Int64).alias("rows")))
        yield found
    yield _state(OF_FOUND, pl.concat(counts).group_by("number", "code").agg(pl.sum("rows")))


def _found_in(chunks: Iterator[pa.Table], *, work: TableWork) -> Iterator[pl.DataFrame]:
    """Yield what `merge` does but for the counts."""
    columns = (chunk.select(PARTS.names()).to_pydict().values() for chunk in chunks)
    rows = (row for each in columns for row in zip(*each, strict=True))
    for (number, _), group in groupby(rows, key=itemgetter(0, 1)):
        parts = (unpacked(part) for _, _, _, part in group)
        if number == OF_ROWS:
            yield from map(_as_found, parts)
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
    """Yield what tests find in one bucket of an aggregate, the last part of the work where it is one."""
    split = work.splits[number]
    whole = work.together(split, parts)
    if not split.by or work.first_test(split).condense:
        yield _state(number, whole)
        return
    for test in split.tests:
        finish = work.test(test).finish
        if isinstance(finish, KeyedFindings):
            yield _suspects(test, finish.suspects(whole, work.scope))
        else:
            yield _as_found(work.finished(test, whole, NO_ROWS))


NO_ROWS = pl.LazyFrame()
"""Given where no test reads the rows again."""


def _as_found(findings: pl.DataFrame) -> pl.DataFrame:
    return _filled(as_texts(findings))


def _state(number: int, state: pl.DataFrame) -> pl.DataFrame:
    return _filled(pl.DataFrame({"number": [number], "part": [packed(state)]}))


def _suspects(number: int, suspects: pl.DataFrame) -> pl.DataFrame:
    what = pl.col("what") if "what" in suspects.columns else pl.lit(None, pl.String)
    key = pl.col("key").reinterpret(signed=True)
    return _filled(suspects.select(pl.lit(number, pl.Int64).alias("number"), key, value=what))


def _filled(found: pl.DataFrame) -> pl.DataFrame:
    return found.match_to_schema(FOUND, missing_columns="insert")


def states_of(parts: Iterable[tuple[int, bytes]]) -> dict[int, list[pl.DataFrame]]:
    """Return what is known of each split or test, in the parts that it came in."""
    states: dict[int, list[pl.DataFrame]] = {}
    for number, part in parts:
        states.setdefault(number, []).append(unpacked(part))
    return states


def judged(
    work: TableWork, states: Mapping[int, Sequence[pl.DataFrame]]
) -> tuple[list[pl.DataFrame], dict[int, pl.DataFrame]]:
    """Return what is found without a row, and what was gathered for each test that asks for the rows.

    Args:
        work: The tests.
        states: What is left of each split when all of it was merged.
    """
    findings, again = [], {}
    for place, parts in states.items():
        if place < 0:
            continue
        split = work.splits[place]
        aggregated = work.together(split, parts)
        for number in split.tests if aggregated.height else ():
            found, asks = _on_no_rows(work, number, aggregated)
            findings.append(found)
            if asks:
                again[number] = aggregated
    return findings, again


def _on_no_rows(
    work: TableWork, number: int, aggregated: pl.DataFrame
) -> tuple[pl.DataFrame, bool]:
    """Return what a test finds without a row, and whether it has asked for the rows."""
    finish = work.test(number).finish
    if isinstance(finish, SecondCount):
        return FINDING_SCHEMA.to_frame(), bool(finish.measures(aggregated, work.scope))
    asked: list[bool] = []

    def noted(rows: pl.DataFrame) -> pl.DataFrame:
        asked.append(True)
        return rows

    none = pl.DataFrame(schema={ROW: pl.Int64(), **work.schema})
    rows = work.prepared(none).lazy().map_batches(noted)
    return work.finished(number, aggregated, rows), bool(asked)


def recounted(
    work: TableWork,
    again: Mapping[int, pl.DataFrame],
    states: Mapping[int, Sequence[pl.DataFrame]],
) -> list[pl.DataFrame]:
    """Return what tests find that have counted once more.

    Args:
        work: The tests.
        again: What was gathered for them first.
        states: What they have counted then.
    """
    found = []
    for number, parts in states.items():
        finish = work.test(number).finish
        if isinstance(finish, SecondCount):
            counts = finish.reduce(pl.concat(parts))
            found.append(work.findings(number, finish.judge(again[number], counts, work.scope)))
    return found


def look_again(
    chunks: Iterator[pa.Table], *, work: TableWork, states: Mapping[int, bytes]
) -> Iterator[pl.DataFrame]:
    """Yield what tests find in rows now that all is gathered, or what they count, of `FOUND`.

    Args:
        chunks: All rows once more.
        work: The tests.
        states: What was gathered for those tests that read the rows again, by their number.
    """
    gathered = {number: unpacked(state) for number, state in states.items()}
    counted: dict[int, pl.DataFrame] = {}
    for chunk in chunks:
        rows = work.prepared(read_chunk(chunk, work.schema)[0]).lazy()
        for number, state in gathered.items():
            finish = work.test(number).finish
            if isinstance(finish, SecondCount):
                looked = collect_streaming(rows.select(finish.measures(state, work.scope)))
                before = [counted[number]] if number in counted else []
                counted[number] = finish.reduce(pl.concat([*before, looked]))
            else:
                found = work.finished(number, state, rows)
                yield _as_found(found.filter(pl.col("row").is_not_null()))
    yield from (_state(number, looked) for number, looked in counted.items())


def keyed(
    chunks: Iterator[pa.Table], *, work: TableWork, tests: Sequence[int]
) -> Iterator[pl.DataFrame]:
    """Yield all rows that have a key, for tests that look at some keys again, of `KEYED`."""
    for chunk in chunks:
        rows = work.prepared(read_chunk(chunk, work.schema)[0]).lazy()
        for number in tests:
            finish = work.test(number).finish
            if isinstance(finish, KeyedFindings):
                for each in finish.rows(work.scope):
                    found = collect_streaming(each.of(rows)).with_columns(
                        pl.col("key").reinterpret(signed=True), number=pl.lit(number, pl.Int64)
                    )
                    yield found.select(KEYED.names())


def tell(
    chunks: Iterator[pa.Table], *, work: TableWork, keys: Mapping[int, int]
) -> Iterator[pl.DataFrame]:
    """Yield the findings about rows of keys in question, with the columns of `FINDINGS`.

    Args:
        chunks: Rows of `KEYED`, with what there is to say of their key; those of a number and key lie
            together, in the order of the rows.
        work: The tests.
        keys: How many keys are in question, by the number of the test.
    """
    rest: pl.DataFrame | None = None
    for chunk in chunks:
        found = pl.DataFrame(pl.from_arrow(chunk))
        found = found if rest is None else pl.concat([rest, found])
        key = pl.struct("number", "key")
        is_last = found.select(key == key.last()).to_series()
        yield from _told(found.filter(~is_last), work=work, keys=keys)
        rest = found.filter(is_last)
    if rest is not None:
        yield from _told(rest, work=work, keys=keys)


def _told(
    about: pl.DataFrame, *, work: TableWork, keys: Mapping[int, int]
) -> Iterator[pl.DataFrame]:
    for (number,), rows in about.group_by("number"):
        test = int(str(number))
        finish = work.test(test).finish
        if isinstance(finish, KeyedFindings):
            in_order = rows.sort("row", maintain_order=True)
            found = finish.findings(in_order, work.scope, keys=keys[test])
            yield as_texts(work.findings(test, found))


def links(
    chunks: Iterator[pa.Table], *, work: TableWork, aggregate: Aggregate
) -> Iterator[pl.DataFrame]:
    """Yield who is merged into whom, with the columns of `LINKS`."""
    for chunk in chunks:
        prepared = work.prepared(read_chunk(chunk, work.schema)[0])
        yield from aggregate_rows(prepared, [aggregate], scope=work.scope).values()


def tell_links(
    chunks: Iterator[pa.Table], *, work: TableWork, number: int
) -> Iterator[pl.DataFrame]:
    """Yield the findings about links that a test was found to tell, with the columns of `FINDINGS`."""
    finish = work.test(number).finish
    for chunk in chunks:
        if isinstance(finish, MergeFindings):
            found = finish.findings(pl.DataFrame(pl.from_arrow(chunk)), work.scope)
            yield as_texts(work.findings(number, found))
