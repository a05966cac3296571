"""Checks made ready for one table: expressions over its prepared columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import (
    ByInputRow,
    ByRow,
    ByText,
    ByValue,
    Check,
    Scope,
    Severity,
    holding,
    number_text,
    text_of,
)
from cio_frames.frames import ROW, Note
from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text, has_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilter:
    """A cheap test that tells which rows are worth asking further.

    Attributes:
        column: The column it looks at.
        dtype: Its type; texts in lists and structs are looked at one by one.
        opens: What is found in texts worth asking, or a test of the values.
    """

    column: str
    dtype: pl.DataType
    opens: str | Callable[[pl.Expr], pl.Expr]

    @property
    def name(self) -> str:
        """What tells it from others."""
        opens = self.opens if isinstance(self.opens, str) else self.opens.__name__
        return f"{self.column} {opens}"


def any_open(prefilters: Sequence[Prefilter]) -> pl.Expr:
    """Tell of each row whether one of the prefilters of a column is open: one look for all of them."""
    values, dtype = pl.col(prefilters[0].column), prefilters[0].dtype
    patterns = [prefilter.opens for prefilter in prefilters if isinstance(prefilter.opens, str)]
    tests = [
        prefilter.opens(values) for prefilter in prefilters if not isinstance(prefilter.opens, str)
    ]
    if patterns:
        tests += holding("|".join(f"(?:{one})" for one in patterns), values=values, dtype=dtype)
    return pl.any_horizontal(tests).fill_null(value=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCheck:
    """A check made ready for one table: an expression over the prepared columns.

    Attributes:
        check: The check, or None for a note of the door.
        code: Its code.
        severity: Its severity.
        column: The column it looks at, as a report calls it.
        message: What is wrong.
        hint: What to do next.
        fails: True in the rows that fail.
        value: The value to show, as text.
        prefilter: Which rows are asked; all without one.
        own: Whether it looks at the user's own columns, before they are mapped.
    """

    check: Check | None
    code: str
    severity: Severity
    column: str | None
    message: str
    hint: str
    fails: pl.Expr
    value: pl.Expr
    prefilter: Prefilter | None = None
    own: bool = False


def compile_checks(
    checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()
) -> list[CompiledCheck]:
    """Return every test of rows that concerns a mapping.

    Args:
        checks: The checks that apply.
        scope: The mapping and what else they may know.
        notes: What the door found; its rejections become tests of row numbers.
    """
    found = [compiled for check in checks for compiled in _compiled(check, scope=scope)]
    return found + [_noted(note) for note in notes if note.severity == "reject"]


def compile_check(
    check: Check,
    *,
    slot: FieldMapping | None,
    fails: pl.Expr,
    value: pl.Expr,
    scope: Scope | None = None,
    prefilter: Prefilter | None = None,
    own: bool = False,
) -> CompiledCheck:
    """Return a check made ready for a slot, or for none.

    Args:
        check: The check.
        slot: The slot it looks at.
        fails: True in the rows that fail.
        value: The value to show.
        scope: Knows which sensitive columns are allowed, and why.
        prefilter: Which rows are asked.
        own: Whether it looks at the user's own columns.
    """
    column = slot.label if slot else None
    severity, allowed = leniency(check, column=column, scope=scope)
    return CompiledCheck(
        check=check,
        code=check.code,
        severity=severity,
        column=column,
        message=filled(check.sentence, column) + allowed,
        hint=filled(check.hint, column),
        fails=fails,
        value=value,
        prefilter=prefilter,
        own=own,
    )


def leniency(check: Check, *, column: str | None, scope: Scope | None) -> tuple[Severity, str]:
    """Return how severe a check is for a column, and what the user said to allow it."""
    reason = scope.sensitive.get(column or "") if scope else None
    if reason is None or not check.code.startswith("sensitive."):
        return check.severity, ""
    return "info", f" Allowed: {reason}"


def filled(words: str, column: str | None) -> str:
    """Return a sentence about a column."""
    return words.replace("{column}", column or "the column")


def _compiled(check: Check, *, scope: Scope) -> Iterator[CompiledCheck]:
    match check.test:
        case ByValue() as by_value:
            yield from _compiled_by_value(check, by_value, scope=scope)
        case ByText() as by_text:
            yield from _compiled_by_text(check, by_text, scope=scope)
        case ByRow(fails=test):
            bad = test(scope)
            if bad is not None:
                yield compile_check(check, slot=None, fails=bad, value=pl.lit(None, pl.String))
        case ByInputRow(fails=bad):
            names = bad.meta.root_names()
            value = pl.col(names[0]) if len(set(names)) == 1 else pl.lit(None, pl.String)
            yield compile_check(check, slot=None, fails=bad, value=value, own=True)
        case _:
            return


def _compiled_by_value(check: Check, test: ByValue, *, scope: Scope) -> Iterator[CompiledCheck]:
    for slot in scope.mapping.slots:
        bad = test.fails(slot, scope)
        if bad is not None:
            text = text_of(slot) if test.prefilter else None
            prefilter = None
            if text is not None:
                prefilter = Prefilter(column=slot.name, dtype=slot.dtype, opens=test.prefilter)
            shown = _shown(slot, scope)
            yield compile_check(
                check, slot=slot, fails=bad, value=shown, scope=scope, prefilter=prefilter
            )


def _compiled_by_text(check: Check, test: ByText, *, scope: Scope) -> Iterator[CompiledCheck]:
    for slot in scope.mapping.slots:
        asked = _gated(slot, test) if test.slots(slot, scope) else None
        if asked is not None:
            text, prefilter = asked
            shown = test.shown(text) if test.shown else text
            yield compile_check(
                check,
                slot=slot,
                fails=test.fails(text),
                value=shown,
                scope=scope,
                prefilter=prefilter,
            )


def _gated(slot: FieldMapping, test: ByText) -> tuple[pl.Expr, Prefilter] | None:
    """Return the text of a slot, and the prefilter before it."""
    text, number = text_of(slot), number_text(slot)
    if text is not None:
        return text, Prefilter(column=slot.name, dtype=slot.dtype, opens=test.prefilter)
    if number is not None and test.numbers is not None:
        return number, Prefilter(column=slot.name, dtype=slot.dtype, opens=test.numbers)
    return None


def _noted(note: Note) -> CompiledCheck:
    return CompiledCheck(
        check=None,
        code=note.code,
        severity="reject",
        column=note.column,
        message=note.message,
        hint="Change the value, or leave the column out.",
        fails=pl.col(ROW).is_in(pl.Series(note.rows, dtype=pl.Int64).implode()),
        value=pl.lit(None, pl.String),
    )


def _shown(slot: FieldMapping, scope: Scope) -> pl.Expr:
    if not has_text(slot.dtype):
        return pl.lit(None, pl.String)
    if slot.dtype.is_float():
        return pl.col(slot.name).cast(pl.String)
    return as_text(pl.col(slot.name), dtype=slot.dtype, timezone=scope.mapping.timezone)
