"""One pass over a plan's rows: chunk by chunk, checked and encoded, nothing kept behind."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import polars as pl

from cio_frames.checks import Check, Scope
from cio_frames.errors import engine_errors
from cio_frames.frames import Fingerprint, Table, map_ahead
from cio_frames.mapping import computing
from cio_frames.payloads import (
    SEGMENT_SCHEMA,
    Batch,
    Segment,
    batches,
    encode,
)
from cio_frames.run import Choice
from cio_frames.validation import (
    BLOCKING,
    TableAggregates,
    check,
    check_call,
    check_messages,
    check_table,
    compile_checks,
    concluded,
    reasons,
)

CHUNK_ROWS = 50_000
"""The most rows of a chunk. Each chunk has costs that do not depend on its size, so smaller ones are
slower; larger ones take more memory than a laptop's user expects."""

CHUNK_CELLS = 1_600_000
"""The most cells of a chunk, so that wide tables take little more memory than narrow ones."""

AT_ONCE = 2
"""How many chunks are worked on at once: one alone leaves a core idle now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A chunk after checks and encoding.

    Attributes:
        number: Position of the chunk.
        rows: Row numbers of the chunk.
        messages: The messages of the rows that can be sent, in the order of the rows.
        findings: What was found about the rows of the chunk.
        reasons: Row, code and error of each row that cannot be sent.
    """

    number: int
    rows: pl.Series
    messages: pl.DataFrame
    findings: pl.DataFrame
    reasons: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one pass over all rows found.

    Attributes:
        rows: Rows read.
        valid: Rows that would be sent.
        bytes: Bytes of their messages.
        batches: Requests they would take.
        findings: Everything found, worst first.
        reasons: Row, code and error of each row that would not be sent.
    """

    rows: int
    valid: int
    bytes: int
    batches: int
    findings: pl.DataFrame
    reasons: pl.DataFrame


def work(
    table: Table,
    *,
    scope: Scope,
    checks: Sequence[Check],
    namespace: str,
    chunk_rows: int | None = None,
    known: pl.DataFrame | None = None,
    links: pl.DataFrame | None = None,
) -> Generator[Worked]:
    """Check and encode a table chunk by chunk, in threads. Close it unless it is read to the end.

    Args:
        table: The rows.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply.
        namespace: Keeps message ids of one place apart from those of another.
        chunk_rows: Rows of a chunk, by the width of the table if not given; message ids and bytes
            do not depend on it.
        known: Findings that a look at the whole table has made already.
        links: Who is connected with whom, from `links_of`; found in this table alone if not given.
    """
    from cio_frames.plan.links import links_of

    tests = compile_checks(checks, scope=scope, notes=table.notes)
    links = links_of([(table, scope)]) if links is None else links

    def worked(numbered: tuple[int, pl.DataFrame]) -> Worked:
        number, chunk = numbered
        with computing(scope.mapping):
            prepared = scope.mapping.prepare(chunk)
        checked = check(prepared, tests=tests, known=known, raw=chunk)
        messages = encode(checked.valid, scope.mapping, namespace=namespace, components=links)
        late = check_messages(messages, checks=checks, scope=scope, prepared=prepared)
        refused = late.filter(pl.col("severity").is_in(BLOCKING))["row"]
        found = pl.concat([checked.findings, late])
        return Worked(
            number=number,
            rows=checked.rows,
            messages=messages.filter(~pl.col("row").is_in(refused.implode()))
            if len(refused)
            else messages,
            findings=found,
            reasons=reasons(found),
        )

    with closing(table.chunks(chunk_rows or rows_at_once(table))) as chunks:
        yield from map_ahead(worked, enumerate(chunks), at_once=AT_ONCE)


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


@engine_errors("the table was checked")
def overlook(table: Table, *, scope: Scope, checks: Sequence[Check]) -> pl.DataFrame:
    """Return what only a look at the whole table finds.

    Args:
        table: The rows.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply; those that look at rows one by one are passed over.
    """
    with computing(scope.mapping):
        return check_table(table, checks=checks, scope=scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What is looked at before anything is sent, in one pass that encodes nothing.

    Attributes:
        rows: Rows read.
        foreseen: What only the whole table shows, and keeps rows from being sent.
        findings: What forbids sending.
        fingerprint: Tells this table from another one.
    """

    rows: int
    foreseen: pl.DataFrame
    findings: pl.DataFrame
    fingerprint: str


@engine_errors("the table was checked")
def glance(table: Table, *, scope: Scope, checks: Sequence[Check]) -> Glance:
    """Go once over all rows, look only for what keeps them from being sent, and encode nothing.

    Args:
        table: The rows.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply.
    """
    blocking = [item for item in checks if item.severity in BLOCKING]
    strict = [item for item in blocking if item.severity == "refuse"]
    tests = compile_checks(strict, scope=scope)
    aggregates = TableAggregates(table, checks=blocking, scope=scope)
    fingerprint, rows = Fingerprint(table.schema()), 0
    findings = [check_call(strict, scope=scope)]

    def looked(chunk: pl.DataFrame) -> tuple[int, list[pl.DataFrame], pl.DataFrame]:
        fingerprint.add(chunk)
        with computing(scope.mapping):
            prepared = scope.mapping.prepare(chunk)
            aggregated = aggregates.aggregated(prepared)
        return chunk.height, aggregated, check(prepared, tests=tests, raw=chunk).findings

    with (
        closing(table.chunks(rows_at_once(table))) as chunks,
        closing(map_ahead(looked, chunks, at_once=AT_ONCE)) as parts,
    ):
        for height, aggregated, found in parts:
            rows += height
            aggregates.add(aggregated)
            findings.append(found)
    with computing(scope.mapping):
        foreseen = aggregates.findings()
    return Glance(
        rows=rows,
        foreseen=foreseen,
        findings=concluded(pl.concat([*findings, foreseen]), checks=strict, rows=rows),
        fingerprint=fingerprint.text,
    )


@engine_errors("the table was checked")
def survey(
    table: Table,
    *,
    scope: Scope,
    checks: Sequence[Check],
    namespace: str,
    batch_bytes: int,
    whole: pl.DataFrame,
    shares: Mapping[str, float],
) -> Survey:
    """Go once over all rows and count.

    Args:
        table: The rows.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply.
        namespace: Keeps message ids of one place apart from those of another.
        batch_bytes: The most bytes of a request.
        whole: What a look at the whole table has found.
        shares: The largest share of rows that may fail, by code.
    """
    rows = valid = size = requests = 0
    by_row = pl.col("severity").is_in(BLOCKING) & pl.col("row").is_not_null()
    known = whole.filter(by_row)
    findings = [check_call(checks, scope=scope, notes=table.notes), whole.filter(~by_row)]
    with closing(
        work(table, scope=scope, checks=checks, namespace=namespace, known=known)
    ) as chunks:
        for worked in chunks:
            rows += len(worked.rows)
            valid += worked.messages.height
            size += int(worked.messages["bytes"].sum())
            requests += len(_batches(worked, scope=scope, batch_bytes=batch_bytes)[0])
            findings.append(worked.findings)
    found = concluded(
        pl.concat(findings), checks=checks, rows=rows, rejected=rows - valid, shares=shares
    )
    return Survey(
        rows=rows,
        valid=valid,
        bytes=size,
        batches=requests,
        findings=found,
        reasons=reasons(found),
    )


def segments(
    table: Table,
    *,
    scope: Scope,
    checks: Sequence[Check],
    namespace: str,
    batch_bytes: int,
    known: pl.DataFrame,
    choice: Choice,
    links: pl.DataFrame | None = None,
    plan: int = 0,
    first: int = 0,
) -> Generator[Segment]:
    """Yield a table's segments: what becomes of each row, and the requests. Threads work ahead.

    Args:
        table: The rows.
        scope: The mapping and what else the checks may know.
        checks: The checks that apply.
        namespace: Keeps message ids of one place apart from those of another.
        batch_bytes: The most bytes of a request.
        known: What a look at the whole table has found that keeps rows from being sent.
        choice: Which rows the run sends.
        links: Who is connected with whom; found in this table alone if not given.
        plan: Position of the plan in its back-fill.
        first: Number of the first segment.
    """
    number = first
    with closing(
        work(table, scope=scope, checks=checks, namespace=namespace, known=known, links=links)
    ) as chunks:
        for worked in chunks:
            taken = _taken(worked, choice=choice, plan=plan)
            if taken is not None:
                sent, settled = choice.of_messages(taken.messages)
                yield _segment(
                    replace(taken, messages=sent),
                    settled=settled,
                    scope=scope,
                    batch_bytes=batch_bytes,
                    plan=plan,
                    number=number,
                )
                number += 1


def _taken(worked: Worked, *, choice: Choice, plan: int) -> Worked | None:
    """Return what of a chunk the run takes up, None if nothing."""
    rows = choice.rows(worked.rows, plan=plan)
    if rows is None:
        return worked
    if rows.is_empty():
        return None
    taken = pl.col("row").is_in(rows.implode())
    messages = worked.messages.filter(taken)
    choice.require_same(messages, plan=plan)
    return replace(worked, rows=rows, messages=messages, reasons=worked.reasons.filter(taken))


def _segment(
    worked: Worked,
    *,
    settled: pl.DataFrame,
    scope: Scope,
    batch_bytes: int,
    plan: int,
    number: int,
) -> Segment:
    requests, numbers = _batches(
        worked, scope=scope, batch_bytes=batch_bytes, plan=plan, segment=number
    )
    call = scope.mapping.call.name
    rows = worked.messages.drop("path", "message").with_columns(
        numbers, pl.lit("pending").alias("state")
    )
    if worked.reasons.height or settled.height:
        left = worked.reasons.with_columns(pl.lit("rejected_local").alias("state"))
        others = [left, settled.drop("path", "message")]
        rows = pl.concat([rows, *others], how="diagonal").sort("row")
    rows = rows.with_columns(pl.lit(call).alias("call"))
    return Segment(
        plan=plan,
        number=number,
        call=call,
        rows=rows.select(
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in SEGMENT_SCHEMA.items()
        ),
        batches=requests,
    )


def _batches(
    worked: Worked, *, scope: Scope, batch_bytes: int, plan: int = 0, segment: int = 0
) -> tuple[tuple[Batch, ...], pl.Series]:
    call = scope.mapping.call
    return batches(
        worked.messages,
        plan=plan,
        segment=segment,
        call=call.name,
        batched=call.batched,
        limit_bytes=batch_bytes,
    )
