"""Checks the chunks of a partition on an executor and adds up the results; rows are not kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
import polars as pl
import pyarrow as pa

from cio_frames.frames import ROW, Note
from cio_frames.mapping import computing, numbered
from cio_frames.payloads import MESSAGE_SCHEMA
from cio_frames.plan.allowance_counts import RECENT, SUMS
from cio_frames.plan.chunks import Encoding, encode_chunk
from cio_frames.plan.finding_kinds import CODE_SCHEMA, KIND_SCHEMA, FindingKinds
from cio_frames.plan.fixes import CHANGE_SCHEMA
from cio_frames.plan.full_check import Distinct, check_chunk, count_rows, kinds_of
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark.reading import PlanSettings, findings_of_chunk, read_chunk, to_bytes
from cio_frames.validation import (
    BLOCKING,
    FINDING_SCHEMA,
    as_texts,
    hide_sensitive,
    reader_check,
    rejection_reasons,
    with_summaries,
    without_rejected_twins,
    worst_first,
)
from cio_frames.validation.findings import NAMED

STATE_SCHEMA = pl.Schema({"kind": pl.String(), "number": pl.Int64(), "state": pl.Binary()})
"""The results of an executor: numbers that are counted once each, and small frames."""

FINDING_TEXTS = pl.Schema({**dict.fromkeys(FINDING_SCHEMA, pl.String()), "row": pl.Int64()})
REASON_SCHEMA = pl.Schema({ROW: pl.Int64(), "reasons": pl.String()})
SPARK_MESSAGES = pl.Schema(
    {**MESSAGE_SCHEMA, "component": pl.Int64(), "content": pl.Int64(), "lane": pl.Int64()}
)
"""The columns of messages, in types of Spark."""

COUNTED = ("valid", "bytes", "batches", "unclear")
PARTS: Mapping[str, pl.Schema] = {
    "kinds": KIND_SCHEMA,
    "codes": CODE_SCHEMA,
    "affected": pl.Schema({"effect": pl.String(), "rows": pl.Int64()}),
    "named": pl.Schema(
        {"code": pl.String(), "column": pl.String(), "row": pl.Int64(), "value": pl.String()}
    ),
    "notes": pl.Schema(
        {"code": pl.String(), "column": pl.String(), "severity": pl.String(), "count": pl.Int64()}
    ),
    "counts": pl.Schema(dict.fromkeys((*COUNTED, *SUMS), pl.Int64())),
    "recent": RECENT,
    "hours": pl.Schema({"hour": pl.Int64(), "recent": pl.Boolean(), "rows": pl.Int64()}),
    "changes": pl.Schema({"row": pl.Int64(), **CHANGE_SCHEMA}),
}
"""The small frames of results, by name."""

PEOPLE, OBJECTS = "people", "objects"


@dataclass(frozen=True, kw_only=True)
class ChunkChecker:
    """Checks chunks on an executor."""

    settings: PlanSettings

    @cached_property
    def pipeline(self) -> Pipeline:
        """The pipeline of the plan."""
        return self.settings.pipeline()

    @cached_property
    def encoding(self) -> Encoding:
        """How rows become messages."""
        return self.pipeline.encoding()

    @cached_property
    def summarized_codes(self) -> list[str]:
        """The codes whose different values are counted."""
        return [check.code for check in self.pipeline.applied if check.texts.summary]

    def read(self, chunk: pa.Table) -> tuple[pl.DataFrame, Encoding, tuple[Note, ...]]:
        """Return the rows of a chunk, how they are encoded, and the notes of their reader."""
        rows, notes = read_chunk(chunk, self.settings.schema)
        unread = [reader_check(note) for note in notes if note.severity == "reject"]
        encoding = replace(
            self.encoding,
            tests=[*self.encoding.tests, *unread],
            table_findings=findings_of_chunk(chunk),
        )
        return rows, encoding, notes

    def check(self, chunk: pa.Table) -> "CheckedChunk":
        """Check a chunk."""
        rows, encoding, notes = self.read(chunk)
        with computing(encoding.scope.mapping):
            prepared = encoding.scope.mapping.prepare(rows)
        result = check_chunk(prepared, encoding=encoding, raw=rows)
        of_table = encoding.table_findings
        of_table = FINDING_SCHEMA.to_frame() if of_table is None else of_table
        own = result.row_findings
        own = own.head(own.height - of_table.height)
        findings = without_rejected_twins(pl.concat([of_table, own, result.message_findings]))
        return CheckedChunk(rows=rows, measures=result.measures, findings=findings, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChunk:
    """A chunk, the measures of its messages, and its findings."""

    rows: pl.DataFrame
    measures: pl.DataFrame
    findings: pl.DataFrame
    notes: tuple[Note, ...]

    @property
    def visible_findings(self) -> pl.DataFrame:
        """The findings, worst first, without sensitive values."""
        return worst_first(hide_sensitive(self.findings))


def summarize(chunks: Iterator[pa.Table], *, settings: PlanSettings) -> Iterator[pl.DataFrame]:
    """Check the chunks of a partition and yield the results, with the columns of `STATE_SCHEMA`."""
    checker, sums = ChunkChecker(settings=settings), _Sums()
    for chunk in chunks:
        yield from sums.add(checker, checker.check(chunk))
    yield from (_state(name, to_bytes(frame)) for name, frame in sums.frames().items())


class _Sums:
    """The sums over the chunks of a partition so far."""

    def __init__(self) -> None:
        self._kinds: list[FindingKinds] = []
        self._parts: dict[str, list[pl.DataFrame]] = {}

    def add(self, checker: ChunkChecker, checked: CheckedChunk) -> Iterator[pl.DataFrame]:
        """Add a chunk, and yield its numbers that are counted once each."""
        pipeline, findings = checker.pipeline, checked.findings
        counts = count_rows(
            checked.measures, scope=checker.encoding.scope, batch_bytes=pipeline.batch_bytes
        )
        sums = {name: getattr(counts, name) for name in COUNTED}
        sums |= {name: getattr(counts.allowances, name) for name in SUMS}
        self._add("recent", counts.allowances.recent)
        self._add("counts", pl.DataFrame([sums], schema=PARTS["counts"]))
        if counts.hours is not None:
            self._add("hours", counts.hours.cast(PARTS["hours"]))
        excluded = rejection_reasons(findings)["row"]
        kinds = kinds_of(checked.visible_findings, excluded=excluded, checks=pipeline.applied)
        self._kinds = [FindingKinds.joined([*self._kinds, kinds])]
        for note in checked.notes:
            line = {name: getattr(note, name) for name in PARTS["notes"]}
            self._add("notes", pl.DataFrame([line], schema=PARTS["notes"]))
        if pipeline.steps:
            changed = checker.settings.pipeline(checked.rows.drop(ROW)).changed
            self._add(
                "changes",
                changed.select(pl.lit(checked.rows[ROW][0], pl.Int64).alias("row"), pl.all()),
            )
        yield from self._values(findings.filter(pl.col("code").is_in(checker.summarized_codes)))
        for name, numbers in ((PEOPLE, counts.people), (OBJECTS, counts.objects)):
            yield _numbers(name, numbers)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the frames that do not grow with the rows, by name."""
        whole = FindingKinds.joined(self._kinds)
        affected = pl.DataFrame(list(whole.affected.items()), PARTS["affected"], orient="row")
        named = first_values(pl.concat([PARTS["named"].to_frame(), *self._parts.pop("named", [])]))
        parts = {name: pl.concat(parts) for name, parts in self._parts.items()}
        return {
            **parts, "kinds": whole.kinds, "codes": whole.codes, "affected": affected,
            "named": named,
        }  # fmt: skip

    def _values(self, findings: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the numbers of the different values of findings, and keep the first values."""
        about = findings.filter(pl.col("row").is_not_null()).select(
            pl.col("code", "column").cast(pl.String), "row", "value"
        )
        self._add("named", first_values(about.drop_nulls("value")))
        for (code, column), own in about.group_by("code", "column", maintain_order=True):
            values = own.select(numbered(pl.col("value")).fill_null(0).unique()).to_series()
            yield _numbers(values_kind(str(code), column and str(column)), values)

    def _add(self, name: str, part: pl.DataFrame) -> None:
        self._parts.setdefault(name, []).append(part)


def first_values(values: pl.DataFrame) -> pl.DataFrame:
    """Return the first different values of each code and column: one more than are listed."""
    ordered = values.sort("row", maintain_order=True)
    different = ordered.unique(["code", "column", "value"], keep="first", maintain_order=True)
    return different.group_by("code", "column", maintain_order=True).head(NAMED + 1)


def values_kind(code: str, column: str | None) -> str:
    """Return the kind under which the values of a code in a column are counted."""
    return msgspec.json.encode((code, column)).decode()


def _numbers(kind: str, numbers: pl.Series) -> pl.DataFrame:
    signed = numbers.cast(pl.UInt64).reinterpret(signed=True).rename("number").to_frame()
    return signed.select(
        pl.lit(kind).alias("kind"), "number", pl.lit(None, pl.Binary).alias("state")
    )


def _state(name: str, state: bytes) -> pl.DataFrame:
    return pl.DataFrame([(name, None, state)], schema=STATE_SCHEMA, orient="row")


def count_distinct(chunks: Iterator[pa.Table]) -> Iterator[pl.DataFrame]:
    """Yield how many different numbers of each kind there are, and the frames unchanged.

    Args:
        chunks: Rows of `STATE_SCHEMA`; all of one kind and number are in this partition.
    """
    distinct: dict[str, Distinct] = {}
    for chunk in chunks:
        results = pl.DataFrame(chunk).match_to_schema(STATE_SCHEMA)
        yield results.filter(pl.col("number").is_null())
        for (kind,), own in results.drop_nulls("number").group_by("kind"):
            numbers = own["number"].reinterpret(signed=False)
            distinct.setdefault(str(kind), Distinct()).add(numbers)
    counts = [(kind, len(numbers), None) for kind, numbers in distinct.items()]
    yield pl.DataFrame(counts, schema=STATE_SCHEMA, orient="row")


def find_in_rows(
    chunks: Iterator[pa.Table], *, settings: PlanSettings, summaries: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Yield the findings about rows, whose messages end with the summary of all."""
    checker = ChunkChecker(settings=settings)
    for chunk in chunks:
        findings = with_summaries(checker.check(chunk).findings, summaries.cast(_ABOUT))
        yield as_texts(hide_sensitive(findings))


_ABOUT = pl.Schema(
    {**{name: FINDING_SCHEMA[name] for name in ("code", "column")}, "summary": pl.String()}
)


def rejected_rows(chunks: Iterator[pa.Table], *, settings: PlanSettings) -> Iterator[pl.DataFrame]:
    """Yield the rows that would not be sent, with the codes why."""
    checker = ChunkChecker(settings=settings)
    for chunk in chunks:
        rejected = rejection_reasons(checker.check(chunk).visible_findings)
        yield rejected.select(pl.col("row").alias(ROW), pl.col("code").alias("reasons"))


def blocked_rows(
    chunks: Iterator[pa.Table], *, settings: PlanSettings, but: str
) -> Iterator[pl.DataFrame]:
    """Yield the rows that findings exclude, without the findings of one code."""
    checker = ChunkChecker(settings=settings)
    for chunk in chunks:
        findings = checker.check(chunk).findings
        blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("code") != but)
        yield blocking.select("row").unique()


def first_messages(
    chunks: Iterator[pa.Table], *, settings: PlanSettings, count: int
) -> Iterator[pl.DataFrame]:
    """Yield the first messages of a partition, reading no more rows than needed."""
    checker, missing = ChunkChecker(settings=settings), count
    for chunk in chunks:
        rows, encoding, _ = checker.read(chunk)
        tests = [test for test in encoding.tests if test.severity in BLOCKING]
        sent = encode_chunk(rows, encoding=replace(encoding, tests=tests)).messages.head(missing)
        bits = (
            pl.col("component", "content").reinterpret(signed=True),
            pl.col("lane").cast(pl.Int64),
        )
        yield sent.with_columns(*bits)
        missing -= sent.height
        if not missing:
            return
