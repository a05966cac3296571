"""Checks that need no rows, or all of them at once."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import polars as pl

from cio_frames.checks import ByCall, ByColumn, ByTable, Check, Gather, Scope
from cio_frames.frames import ROW, Note, Table
from cio_frames.frames.column import SAYS
from cio_frames.mapping import Slot
from cio_frames.validation.compiled import filled, leniency
from cio_frames.validation.findings import FINDING_SCHEMA
from cio_frames.validation.run_checks import SHOWN_CHARACTERS

CHUNK_ROWS = 50_000


def check_call(
    checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()
) -> pl.DataFrame:
    """Return the findings that need no rows: about columns, the call, and what the door did."""
    rows = [
        _about(check, slot, evidence, scope=scope)
        for check, slot, evidence in _evidence(checks, scope)
    ]
    rows += [_about_note(note) for note in notes if note.severity != "reject"]
    return pl.DataFrame(rows, schema=FINDING_SCHEMA, orient="row")


def check_table(table: Table, *, checks: Sequence[Check], scope: Scope) -> pl.DataFrame:
    """Return the findings that only a look at the whole table can make.

    Args:
        table: The rows.
        checks: The checks that apply; those that look at rows one by one are passed over.
        scope: The mapping and what else they may know.
    """
    aggregates = TableAggregates(table, checks=checks, scope=scope)
    if aggregates:
        with closing(table.chunks(CHUNK_ROWS)) as chunks:
            for chunk in chunks:
                aggregates.add(aggregates.of(scope.mapping.prepare(chunk)))
    return aggregates.findings()


class TableAggregates:
    """What the checks of the whole table need of it, added up chunk by chunk.

    It is false where they need nothing.

    Args:
        table: The rows.
        checks: The checks that apply; those that look at rows one by one are passed over.
        scope: The mapping and what else they may know.
    """

    def __init__(self, table: Table, *, checks: Sequence[Check], scope: Scope) -> None:
        numbered = table.lazy.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
        self._rows = scope.mapping.prepare(numbered)
        self._scope = scope
        self._asked = [(item, item.test) for item in checks if isinstance(item.test, ByTable)]
        gathers = dict.fromkeys(test.gather for _, test in self._asked)
        self._parts: dict[Gather, list[pl.DataFrame]] = {
            gather: []
            for gather in gathers
            if table.schema() and gather(self._rows, scope) is not None
        }

    def __bool__(self) -> bool:
        return bool(self._parts)

    def of(self, prepared: pl.DataFrame) -> list[pl.DataFrame]:
        """Return the aggregates of rows that have one column per slot; any thread may ask."""
        rows = prepared.lazy()
        queries = [
            query for gather in self._parts if (query := gather(rows, self._scope)) is not None
        ]
        return pl.collect_all(queries) if queries else []

    def add(self, aggregates: Sequence[pl.DataFrame]) -> None:
        """Add the aggregates of the next rows."""
        for parts, part in zip(self._parts.values(), aggregates, strict=True):
            parts.append(part)

    def findings(self) -> pl.DataFrame:
        """Return what was found, with the columns of `FINDING_SCHEMA`."""
        gathered = {gather: pl.concat(parts) for gather, parts in self._parts.items() if parts}
        found = [
            _listed(item, test.conclude(gathered[test.gather], self._rows, self._scope))
            for item, test in self._asked
            if test.gather in gathered
        ]
        return pl.concat([FINDING_SCHEMA.to_frame(), *found])


def _listed(check: Check, found: pl.DataFrame) -> pl.DataFrame:
    if not found.height:
        return FINDING_SCHEMA.to_frame()
    evidence = pl.col("evidence") if "evidence" in found.columns else pl.lit(None, pl.String)
    names = found["column"].unique().to_list()
    sentences = {name: filled(check.sentence, name) for name in names}
    hints = {name: filled(check.hint, name) for name in names}
    sentence = pl.col("column").replace_strict(sentences, return_dtype=pl.String)
    return (
        found.sort("row")
        .select(
            pl.col("row").cast(pl.Int64),
            pl.lit(check.code).alias("code"),
            pl.lit(check.severity).alias("severity"),
            pl.col("column").cast(pl.String),
            pl.col("value").cast(pl.String).str.head(SHOWN_CHARACTERS),
            pl.concat_str(sentence, evidence, separator=" ", ignore_nulls=True).alias("message"),
            pl.col("column").replace_strict(hints, return_dtype=pl.String).alias("hint"),
        )
        .cast(FINDING_SCHEMA)
    )


def _evidence(checks: Sequence[Check], scope: Scope) -> Iterator[tuple[Check, Slot | None, str]]:
    for check in checks:
        if isinstance(check.test, ByCall):
            evidence = check.test.bad(scope)
            if evidence is not None:
                yield check, None, evidence
        if isinstance(check.test, ByColumn):
            for slot in scope.mapping.slots:
                evidence = check.test.bad(slot, scope)
                if evidence is not None:
                    yield check, slot, evidence


def _about(check: Check, slot: Slot | None, evidence: str, *, scope: Scope) -> tuple[object, ...]:
    column = slot.label if slot else None
    severity, allowed = leniency(check, column=column, scope=scope)
    sentence, hint = filled(check.sentence, column) + allowed, filled(check.hint, column)
    return (None, check.code, severity, column, evidence, sentence, hint)


def _about_note(note: Note) -> tuple[object, ...]:
    counted = note.code in SAYS  # what a file note counts, rows or columns, it says itself
    evidence = f"{note.count:,} value{'' if note.count == 1 else 's'}" if counted else ""
    return (None, note.code, note.severity, note.column, evidence, note.message, "")
