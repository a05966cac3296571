"""Checks compiled for one table: expressions over its prepared columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import Check, CheckTexts, Predicate, Prefilter, RowTest, Scope, Severity
from cio_frames.frames import ROW, Note
from cio_frames.values import anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCheck:
    """A check compiled for one table.

    Attributes:
        check: The check, or the note of a reader as one.
        predicate: Which rows fail.
        allowed: The user's reason for allowing the column, as the end of the message.
    """

    check: Check
    predicate: Predicate
    allowed: str = ""

    @property
    def code(self) -> str:
        """The code of the check."""
        return self.check.code

    @property
    def severity(self) -> Severity:
        """The severity of the check, unless the user has allowed the column."""
        return "info" if self.allowed else self.check.severity

    @property
    def column(self) -> str | None:
        """The column it tests, as a report calls it."""
        return self.predicate.column

    @property
    def message(self) -> str:
        """What is wrong."""
        return sentence_about(self.check.texts.sentence, self.column) + self.allowed

    @property
    def hint(self) -> str:
        """What to do next."""
        return text_about(self.check.texts.hint, self.column)


def compile_checks(
    checks: Sequence[Check], *, scope: Scope, notes: Sequence[Note] = ()
) -> list[CompiledCheck]:
    """Return the tests of rows that apply to a mapping, and those of values rejected on reading."""
    compiled = [
        compile_check(check, predicate, scope=scope)
        for check in checks
        if isinstance(check.test, RowTest)
        for predicate in check.test.predicates(scope)
    ]
    return compiled + [reader_check(note) for note in notes if note.severity == "reject"]


def compile_check(check: Check, predicate: Predicate, *, scope: Scope) -> CompiledCheck:
    """Return a check with one of its predicates."""
    allowed = allowance(check, column=predicate.column, scope=scope)
    return CompiledCheck(check=check, predicate=predicate, allowed=allowed)


def allowance(check: Check, *, column: str | None, scope: Scope) -> str:
    """Return the user's reason for allowing a sensitive column; "" if there is none."""
    reason = scope.sensitive.get(column or "")
    is_allowed = reason is not None and check.code.startswith("sensitive.")
    return f" Allowed: {reason}" if is_allowed else ""


def text_about(text: str, column: str | None) -> str:
    """Return a text with the name of a column."""
    return text.replace("{column}", column or "the column")


def sentence_about(text: str, column: str | None) -> str:
    """Return a sentence with the name of a column in quotes.

    Examples:
        >>> sentence_about("{column} is empty.", "name"), sentence_about("{column} is empty.", None)
        ('"name" is empty.', 'The column is empty.')
    """
    if column is None:
        text = f"The column{text[8:]}" if text.startswith("{column}") else text
    return text_about(text, column and f'"{column}"')


def passes_prefilters(prefilters: Sequence[Prefilter]) -> pl.Expr:
    """Return a boolean expression: True where any prefilter of a column holds; patterns are searched together."""
    values, dtype = pl.col(prefilters[0].column), prefilters[0].dtype
    conditions = [prefilter.condition for prefilter in prefilters]
    pattern = "|".join(f"(?:{condition})" for condition in conditions if isinstance(condition, str))
    tests = [condition(values) for condition in conditions if not isinstance(condition, str)]
    if pattern:
        has_pattern = anywhere(values, dtype=dtype, test=lambda *part: _contains(pattern, *part))
        tests += [] if has_pattern is None else [has_pattern]
    return pl.any_horizontal(tests).fill_null(value=False)


def _contains(pattern: str, values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    is_text = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum))
    return values.cast(pl.String).str.contains(pattern) if is_text else None


def reader_check(note: Note) -> CompiledCheck:
    """Return a test of rows for a reader's note about values that cannot be sent."""
    texts = CheckTexts(
        sentence=note.message, consequence="", hint="Change the value, or leave the column out."
    )
    predicate = Predicate(
        fails=pl.col(ROW).is_in(pl.Series(note.rows, dtype=pl.Int64).implode()), column=note.column
    )
    test = RowTest(unit="value", predicates=lambda _: (predicate,))
    check = Check(note.code, "reject", test, source="the reader of the table", own_texts=texts)
    return CompiledCheck(check=check, predicate=predicate)
