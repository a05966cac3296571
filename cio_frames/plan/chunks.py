"""Rows as checked and encoded chunks, and as the segments of a run; nothing of them is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import Check, Scope
from cio_frames.frames import Table, ahead
from cio_frames.mapping import computing
from cio_frames.payloads import SEGMENT_SCHEMA, Segment, batches, encode
from cio_frames.run import Choice
from cio_frames.validation import BLOCKING, Probe, check, check_messages, probes, reasons

CHUNK_ROWS = 50_000
"""The most rows of a chunk. Each chunk has costs that do not depend on its size, so smaller ones are
slower; larger ones take more memory than a laptop's user expects."""

CHUNK_CELLS = 1_600_000
"""The most cells of a chunk, so that wide tables take little more memory than narrow ones."""

AT_ONCE = 2
"""How many chunks are worked on at once: one alone leaves a core idle now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassInput:
    """What a pass over a table is given."""

    table: Table
    scope: Scope
    checks: tuple[Check, ...]
    namespace: str
    batch_bytes: int

    def tests(self) -> list[Probe]:
        """Return the checks of rows, compiled for this table."""
        return probes(self.checks, scope=self.scope, notes=self.table.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedChunk:
    """A chunk after checks and encoding.

    Attributes:
        rows: Row numbers of the chunk.
        messages: The messages of the rows that can be sent, in the order of the rows.
        row_findings: What was found about its rows.
        message_findings: What was found about the messages made of them.
    """

    rows: pl.Series
    messages: pl.DataFrame
    row_findings: pl.DataFrame
    message_findings: pl.DataFrame

    @property
    def findings(self) -> pl.DataFrame:
        """Everything that was found."""
        return pl.concat([self.row_findings, self.message_findings])

    @property
    def reasons(self) -> pl.DataFrame:
        """Row, code and error of each row that cannot be sent."""
        return reasons(self.findings)


def encode_chunk(
    chunk: pl.DataFrame,
    *,
    scope: Scope,
    checks: Sequence[Check],
    tests: Sequence[Probe],
    namespace: str,
    known: pl.DataFrame | None = None,
    components: pl.DataFrame | None = None,
) -> EncodedChunk:
    """Check and encode rows. The result depends on the arguments alone, on whatever engine.

    Args:
        chunk: Rows of the table, with their numbers.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply.
        tests: What `probes` makes of the checks.
        namespace: Keeps message ids of one place apart from those of another.
        known: Findings about rows that only the whole table shows.
        components: Who is connected with whom; everybody stands alone without.
    """
    with computing(scope.mapping):
        prepared = scope.mapping.prepare(chunk)
    return encode_prepared(
        prepared, raw=chunk, scope=scope, checks=checks, tests=tests, namespace=namespace,
        known=known, components=components,
    )  # fmt: skip


def encode_prepared(
    prepared: pl.DataFrame,
    *,
    raw: pl.DataFrame,
    scope: Scope,
    checks: Sequence[Check],
    tests: Sequence[Probe],
    namespace: str,
    known: pl.DataFrame | None = None,
    components: pl.DataFrame | None = None,
) -> EncodedChunk:
    """Check and encode rows that have one column per slot already."""
    checked = check(prepared, tests=tests, known=known, raw=raw)
    messages = encode(checked.valid, scope.mapping, namespace=namespace, components=components)
    late = check_messages(messages, checks=checks, scope=scope, prepared=prepared)
    refused = late.filter(pl.col("severity").is_in(BLOCKING))["row"]
    if len(refused):
        messages = messages.filter(~pl.col("row").is_in(refused.implode()))
    return EncodedChunk(
        rows=checked.rows, messages=messages, row_findings=checked.findings, message_findings=late
    )


def encode_chunks(
    given: PassInput,
    *,
    known: pl.DataFrame | None = None,
    components: pl.DataFrame | None = None,
    chunk_rows: int | None = None,
) -> Iterator[EncodedChunk]:
    """Check and encode a table chunk by chunk; bytes and ids do not depend on the chunks' size."""
    tests = given.tests()

    def encoded(chunk: pl.DataFrame) -> EncodedChunk:
        return encode_chunk(
            chunk, scope=given.scope, checks=given.checks, tests=tests,
            namespace=given.namespace, known=known, components=components,
        )  # fmt: skip

    chunks = given.table.chunks(chunk_rows or rows_at_once(given.table))
    yield from ahead(encoded, chunks, at_once=AT_ONCE)


def rows_at_once(table: Table) -> int:
    """Return how many rows of a table make a chunk: fewer where it is wide.

    Examples:
        >>> from cio_frames.frames import read
        >>> rows_at_once(read(pl.DataFrame({"id": ["u1"]})))
        50000
        >>> rows_at_once(read(pl.DataFrame({f"c{place}": [1.5] for place in range(64)})))
        25000
    """
    return max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(1, len(table.schema()))))


def segments(
    given: PassInput,
    *,
    known: pl.DataFrame,
    components: pl.DataFrame | None,
    choice: Choice,
    plan: int = 0,
    first: int = 0,
) -> Iterator[Segment]:
    """Yield a table's segments: what becomes of each row, and the requests.

    Args:
        given: What the pass is given.
        known: Findings of the whole table that keep rows from being sent.
        components: Who is connected with whom by the rows of all plans.
        choice: Which rows the run sends.
        plan: Position of the plan in its back-fill.
        first: Number of the first segment.
    """
    number = first
    for encoded in encode_chunks(given, known=known, components=components):
        messages, lost = encoded.messages, encoded.reasons
        rows = choice.rows(encoded.rows, plan=plan)
        if rows is not None:
            if rows.is_empty():
                continue
            taken = pl.col("row").is_in(rows.implode())
            messages, lost = messages.filter(taken), lost.filter(taken)
            choice.require_same(messages, plan=plan)
        sent, settled = choice.of_messages(messages)
        yield _segment(given, sent, settled=settled, lost=lost, plan=plan, number=number)
        number += 1


def _segment(
    given: PassInput,
    messages: pl.DataFrame,
    *,
    settled: pl.DataFrame,
    lost: pl.DataFrame,
    plan: int,
    number: int,
) -> Segment:
    call = given.scope.mapping.call
    requests, numbers = batches(
        messages, plan=plan, segment=number, call=call.name, batched=call.batched,
        limit_bytes=given.batch_bytes,
    )  # fmt: skip
    rows = messages.drop("path", "message").with_columns(numbers, pl.lit("pending").alias("state"))
    if lost.height or settled.height:
        left_out = lost.with_columns(pl.lit("rejected_local").alias("state"))
        others = [left_out, settled.drop("path", "message")]
        rows = pl.concat([rows, *others], how="diagonal").sort("row")
    rows = rows.with_columns(pl.lit(call.name).alias("call"))
    return Segment(
        plan=plan,
        number=number,
        call=call.name,
        rows=rows.select(
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in SEGMENT_SCHEMA.items()
        ),
        batches=requests,
    )
