"""Apply the checks: which rows can be sent, which cannot, and everything found on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import (
    ByCall,
    ByColumn,
    ByMessage,
    ByRow,
    ByValue,
    Check,
    Scope,
    Severity,
)
from cio_frames.frames import ROW, Note
from cio_frames.mapping import Slot
from cio_frames.values import as_text, has_text

FINDING_SCHEMA = pl.Schema(
    {
        "row": pl.Int64,
        "code": pl.String,
        "severity": pl.String,
        "column": pl.String,
        "value": pl.String,
        "message": pl.String,
        "hint": pl.String,
    }
)
"""The columns of findings; `row` is null where a finding is about the whole table."""

BLOCKING: tuple[Severity, ...] = ("refuse", "reject")
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A check made ready for one table: an expression over the prepared columns.

    Attributes:
        check: The check, or None for a note of the door.
        code: Its code.
        severity: Its severity.
        column: The column it looks at, as a report calls it.
        message: What is wrong.
        hint: What to do next.
        bad: True in the rows that fail.
        value: The value to show, as text.
    """

    check: Check | None
    code: str
    severity: Severity
    column: str | None
    message: str
    hint: str
    bad: pl.Expr
    value: pl.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome for one chunk: every row is in `valid` or has a blocking finding.

    Attributes:
        rows: Row numbers of the whole chunk.
        valid: The prepared rows that can be sent.
        findings: What was found, with the columns of `FINDING_SCHEMA`.
    """

    rows: pl.Series
    valid: pl.DataFrame
    findings: pl.DataFrame


def reasons(findings: pl.DataFrame) -> pl.DataFrame:
    """Return row, code and error for each row that findings keep from being sent."""
    blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("row").is_not_null())
    return blocking.group_by("row", maintain_order=True).agg(
        pl.col("code").unique(maintain_order=True).str.join(" "),
        pl.col("message").unique(maintain_order=True).str.join(" ").alias("error"),
    )


def probes(checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()) -> list[Probe]:
    """Return every test of rows that concerns a mapping.

    Args:
        checks: The checks that apply.
        scope: The mapping and what else they may know.
        notes: What the door found; its rejections become tests of row numbers.
    """
    found = [probe for check in checks for probe in _probes(check, scope=scope)]
    return found + [_noted(note) for note in notes if note.severity == "reject"]


def check(prepared: pl.DataFrame, *, tests: Sequence[Probe]) -> Checked:
    """Return which of the prepared rows can be sent, and what was found.

    Args:
        prepared: Rows with one column per slot.
        tests: What `probes` made of the checks.
    """
    flags = prepared.select(
        pl.col(ROW),
        *(test.bad.fill_null(value=False).alias(f"{number}") for number, test in enumerate(tests)),
    ).drop(ROW)
    counts = flags.sum().row(0) if tests else ()
    hit = [number for number, count in enumerate(counts) if count]
    findings = [_findings(prepared, flags[f"{number}"], test=tests[number]) for number in hit]
    blocked = [pl.col(f"{number}") for number in hit if tests[number].severity in BLOCKING]
    keep = flags.select(~pl.any_horizontal(blocked)).to_series() if blocked else None
    return Checked(
        rows=prepared[ROW],
        valid=prepared if keep is None else prepared.filter(keep),
        findings=pl.concat([FINDING_SCHEMA.to_frame(), *findings]),
    )


def check_messages(
    messages: pl.DataFrame, *, checks: Sequence[Check], scope: Scope
) -> pl.DataFrame:
    """Return the findings about encoded messages, with the columns of `FINDING_SCHEMA`."""
    found = [FINDING_SCHEMA.to_frame()]
    for item in checks:
        if isinstance(item.test, ByMessage):
            size = pl.format("{} bytes", pl.col("bytes"))
            probe = _probe(item, slot=None, bad=item.test.bad(scope), value=size)
            flags = messages.select(probe.bad).to_series()
            if flags.any():
                rows = messages.rename({"row": ROW})
                found.append(_findings(rows, flags, test=probe))
    return pl.concat(found)


def check_call(
    checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()
) -> pl.DataFrame:
    """Return the findings that need no rows: about columns, the call, and what the door did."""
    rows = [_about(check, slot, evidence) for check, slot, evidence in _evidence(checks, scope)]
    rows += [_about_note(note) for note in notes if note.severity != "reject"]
    return pl.DataFrame(rows, schema=FINDING_SCHEMA, orient="row")


def _probes(check: Check, *, scope: Scope) -> Iterator[Probe]:
    test = check.test
    if isinstance(test, ByValue):
        for slot in scope.mapping.slots:
            bad = test.bad(slot, scope)
            if bad is not None:
                yield _probe(check, slot=slot, bad=bad, value=_shown(slot, scope))
    if isinstance(test, ByRow):
        bad = test.bad(scope)
        if bad is not None:
            yield _probe(check, slot=None, bad=bad, value=pl.lit(None, pl.String))


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


def _probe(check: Check, *, slot: Slot | None, bad: pl.Expr, value: pl.Expr) -> Probe:
    column = slot.label if slot else None
    return Probe(
        check=check,
        code=check.code,
        severity=check.severity,
        column=column,
        message=_filled(check.sentence, column),
        hint=_filled(check.hint, column),
        bad=bad,
        value=value,
    )


def _noted(note: Note) -> Probe:
    return Probe(
        check=None,
        code=note.code,
        severity="reject",
        column=note.column,
        message=note.message,
        hint="Change the value, or leave the column out.",
        bad=pl.col(ROW).is_in(pl.Series(note.rows, dtype=pl.Int64).implode()),
        value=pl.lit(None, pl.String),
    )


def _shown(slot: Slot, scope: Scope) -> pl.Expr:
    if not has_text(slot.dtype):
        return pl.lit(None, pl.String)
    if slot.dtype.is_float():
        return pl.col(slot.name).cast(pl.String)
    return as_text(pl.col(slot.name), dtype=slot.dtype, timezone=scope.mapping.timezone)


def _findings(frame: pl.DataFrame, flags: pl.Series, *, test: Probe) -> pl.DataFrame:
    return frame.filter(flags).select(
        pl.col(ROW).alias("row"),
        pl.lit(test.code).alias("code"),
        pl.lit(test.severity).alias("severity"),
        pl.lit(test.column, pl.String).alias("column"),
        test.value.str.head(SHOWN_CHARACTERS).alias("value"),
        pl.lit(test.message).alias("message"),
        pl.lit(test.hint).alias("hint"),
    )


def _about(check: Check, slot: Slot | None, evidence: str) -> tuple[object, ...]:
    column = slot.label if slot else None
    sentence, hint = _filled(check.sentence, column), _filled(check.hint, column)
    return (None, check.code, check.severity, column, evidence, sentence, hint)


def _filled(words: str, column: str | None) -> str:
    return words.replace("{column}", column or "the column")


def _about_note(note: Note) -> tuple[object, ...]:
    return (None, note.code, note.severity, note.column, f"{note.count} values", note.message, "")
