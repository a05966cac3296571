"""The profile of a table: statistics of its columns, without any of their values.

All rows are counted. Slower statistics use the first rows and some of the others, chosen by their row
numbers alone, so that a profile does not depend on how a table is divided into chunks.
"""

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.checks.fields import is_id, is_text
from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.values import as_text
from cio_frames.values.patterns import EMAIL_SHAPED

MIN_VALUES: Final = 30
"""Minimum values of a column whose range is recorded: a range of fewer may reveal those of one person."""

FIRST_ROWS, FIRST_CELLS, EVERY = 10_000, 1_000_000, 100
"""How many rows from the start are sampled, how many cells in a wide table, and every how many of the rest."""

SKETCH = 512
"""Maximum distinct values that are counted exactly. If there are more, their number is estimated from
the smallest hashes, within a tenth."""

MAX_PARTS = 16
"""How many results of chunks are kept until they are merged."""

FORMS: Final[Mapping[str, str]] = {
    "digits with leading zeros": r"^0[0-9]+$",
    "numbers": r"^[0-9]+$",
    "UUIDs": r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    "addresses": EMAIL_SHAPED,
    "letters before a number": r"^[A-Za-z]{1,12}[-_:.]?[0-9]+$",
    "long hexadecimal numbers": r"^[0-9A-Fa-f]{16,64}$",
    "identifiers with lower-case letters": r"\p{Ll}",
    "identifiers with upper-case letters": r"\p{Lu}",
}
"""Forms of identifiers whose shares a profile records; one identifier can have several forms."""

_PREFIX = r"^(\pL+[-_:.]?)\d"
_TIMES = (pl.Date, pl.Datetime)
_HASHES = 2.0**64
_LOGARITHM_UNITS = 1_000_000


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Statistics of a column.

    Attributes:
        field: The field that the column fills.
        column: Its name; "" if an expression fills the field.
        type: text, number, true or false, date, time, list, record or other.
        filled: Rows in which it is not empty.
        sampled: How many of the filled rows were sampled.
        distinct: The approximate number of distinct values among them.
        least: The smallest value, coarsened: a number to its order of magnitude, a time to its month.
        most: The largest value, coarsened likewise.
        magnitude: The mean of the decimal logarithms of its numbers.
        shortest: Bytes of the shortest text.
        longest: Bytes of the longest text.
        length: The average bytes of a text.
        forms: The share of identifiers that have each of `FORMS`.
        prefix: A hash of the letters that all identifiers begin with.
    """

    field: str
    column: str
    type: str
    filled: int
    sampled: int = 0
    distinct: int = 0
    least: float | str | None = None
    most: float | str | None = None
    magnitude: float | None = None
    shortest: int | None = None
    longest: int | None = None
    length: float | None = None
    forms: dict[str, float] = msgspec.field(default_factory=dict)
    prefix: str = ""


class TableProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Statistics of a table, and what identifies its import.

    Attributes:
        call: The name of the call.
        rows: How many rows were read.
        columns: Its columns, in the order of the fields.
        namespace: The namespace of the message ids.
        constants: A hash of the constants that distinguish imports, such as the event.
        table: A hash of the file name without its digits.
        plan: Position of the plan in the run.
    """

    call: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    namespace: str = ""
    constants: str = ""
    table: str = ""
    plan: int = 0

    def without_ranges(self) -> "TableProfile":
        """Return the profile without the ranges of values and lengths."""
        unknown = dict.fromkeys(_RANGES)
        columns = tuple(msgspec.structs.replace(column, **unknown) for column in self.columns)
        return msgspec.structs.replace(self, columns=columns)


FORMAT = 1
"""Incremented if older versions cannot read the file; a new statistic of columns does not require it."""


class ProfileFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a run's profile.json."""

    format: int
    run_id: str
    tables: tuple[TableProfile, ...]


def profile_file(tables: Iterable[TableProfile], *, run_id: str, has_ranges: bool = True) -> bytes:
    """Return the file, with the ranges of values or without."""
    profiles = tuple(table if has_ranges else table.without_ranges() for table in tables)
    return msgspec.json.encode(ProfileFile(format=FORMAT, run_id=run_id, tables=profiles))


_RANGES = ("least", "most", "magnitude", "shortest", "longest", "length")


def field_key(field: FieldMapping) -> str:
    """Return the name of a field in profiles: its argument, else its path in the message."""
    return field.argument or ".".join(field.path) or field.name


def kind_of(dtype: pl.DataType) -> str:
    """Return the kind of a type; all numbers are one kind, as an empty cell can turn integers into floats.

    Examples:
        >>> kind_of(pl.Int8()), kind_of(pl.Float64()), kind_of(pl.Datetime("us"))
        ('number', 'number', 'time')
    """
    if dtype.is_numeric():
        return "number"
    return next((name for name, types in _KINDS.items() if isinstance(dtype, types)), "other")


_KINDS: Final[Mapping[str, tuple[type[pl.DataType], ...]]] = {
    "text": (pl.String, pl.Categorical, pl.Enum),
    "true or false": (pl.Boolean,),
    "date": (pl.Date,),
    "time": (pl.Datetime,),
    "list": (pl.List, pl.Array),
    "record": (pl.Struct,),
}


class Profiler:
    """Makes the profile of a table, chunk by chunk.

    Args:
        mapping: Which columns are sent; constants and columns of keys are not profiled.
        hidden: Columns that may hold sensitive data: nothing about their values is recorded.
        namespace: The namespace of the message ids.
        table: The name of the table.
    """

    def __init__(
        self,
        mapping: MessageMapping,
        *,
        hidden: Collection[str] = (),
        namespace: str = "",
        table: str = "",
    ) -> None:
        self._about: dict[str, Any] = {
            "call": mapping.call.name, "namespace": namespace, "table": _digest(re.sub(r"\d+", "", table)),
        }  # fmt: skip
        self._fields = [
            field
            for field in mapping.fields
            if field.role != "key" and (field.column or field.how == "expression")
        ]
        secret = {
            field.name for field in self._fields if field.how == "hashed" or field.column in hidden
        }
        ids = {field.name for field in self._fields if is_id(field)}
        self._times = {
            field.name: field.utc_column if field.is_time else field.name
            for field in self._fields
            if field.is_time or isinstance(field.dtype, _TIMES)
        }
        texts, numbers = self._names_of("text"), self._names_of("number")
        self._texts = [name for name in texts if name not in secret]
        self._ranged = {field.name for field in self._fields} - secret - ids
        self._numbers = [
            name for name in numbers if name in self._ranged and name not in self._times
        ]
        self._mapping = mapping
        cells = FIRST_CELLS // max(1, len(self._fields))
        self._first_rows = max(MIN_VALUES, min(FIRST_ROWS, cells))
        self._all_row_exprs = [*self._filled(), *self._ranges()]
        self._sample_exprs = [*self._distinct_hashes(), *self._sizes(), *self._forms()]
        self._parts: list[pl.DataFrame] = []

    def part(self, prepared: pl.DataFrame) -> pl.DataFrame:
        """Return the statistics of a chunk, in one row; this can be called on any thread."""
        sample = prepared
        if prepared.height and prepared[ROW][-1] >= self._first_rows:
            is_sampled = (pl.col(ROW) < self._first_rows) | (pl.col(ROW) % EVERY == 0)
            sample = prepared.filter(is_sampled)
        rows = pl.DataFrame({_ROWS: [prepared.height]})
        counts = prepared.select(self._all_row_exprs)
        return rows.hstack(counts).hstack(sample.select(self._sample_exprs))

    def add(self, part: pl.DataFrame) -> None:
        """Add the statistics of the next chunk."""
        self._parts.append(part)
        if len(self._parts) >= MAX_PARTS:
            self._parts = [_merged(self._parts)]

    def profile(self) -> TableProfile:
        """Return the profile of all chunks that were added."""
        totals = _merged(self._parts).row(0, named=True) if self._parts else {}
        rows = totals.get(_ROWS, 0)
        return TableProfile(
            **self._about,
            rows=rows,
            columns=tuple(self._column(field, totals) for field in self._fields),
            constants=_constants(self._mapping),
        )

    def _names_of(self, *kinds: str) -> list[str]:
        return [field.name for field in self._fields if kind_of(field.dtype) in kinds]

    def _filled(self) -> list[pl.Expr]:
        """Return how many cells of each column are filled, not counting empty texts and NaN."""
        texts = [field.name for field in self._fields if field.dtype == pl.String]
        floats = [field.name for field in self._fields if field.dtype.is_float()]
        others = [field.name for field in self._fields if field.name not in {*texts, *floats}]
        counts = (
            (pl.col(texts) != "").sum(), pl.col(floats).fill_nan(None).count(), pl.col(others).count(),
        )  # fmt: skip
        return [_named(count, "filled") for count in counts]

    def _ranges(self) -> list[pl.Expr]:
        """Return the least and the greatest number or month of each column."""
        numbers = pl.col(self._numbers).cast(pl.Float64)
        months = [
            _months(end).alias(f"{word} {name}")
            for name, times in self._times.items()
            if name in self._ranged
            for word, end in (("least", pl.col(times).min()), ("most", pl.col(times).max()))
        ]
        return [_named(numbers.min(), "least"), _named(numbers.max(), "most"), *months]

    def _distinct_hashes(self) -> list[pl.Expr]:
        """Return the smallest hashes of each column, from which distinct values are counted."""
        others = self._names_of("number", "true or false", "date", "time")
        exprs = []
        for values in (pl.col(self._names_of("text")).cast(pl.String), pl.col(others)):
            hashes = values.drop_nulls().hash().unique().bottom_k(SKETCH).implode()
            exprs += [_named(values.count(), "sampled"), _named(hashes, "hashes")]
        return exprs

    def _sizes(self) -> list[pl.Expr]:
        """Return the lengths of texts and the magnitudes of numbers."""
        sizes = pl.col(self._texts).cast(pl.String).str.len_bytes().cast(pl.Int64)
        logarithms = pl.col(self._numbers).cast(pl.Float64).abs().log10()
        finite = logarithms.filter(logarithms.is_finite())
        exact = (
            (finite * _LOGARITHM_UNITS).round().cast(pl.Int64)
        )  # their sum does not depend on the order
        return [
            _named(sizes.min(), "shortest"),
            _named(sizes.max(), "longest"),
            _named(sizes.sum(), "length"),
            _named(finite.len(), "logged"),
            _named(exact.sum(), "logarithms"),
        ]

    def _forms(self) -> list[pl.Expr]:
        """Return how many identifiers have each form, and the letters they begin with."""
        exprs = []
        for field in filter(is_id, self._fields):
            if not (is_text(field) or field.dtype.is_integer()):
                continue
            text = as_text(pl.col(field.name), dtype=field.dtype, timezone=self._mapping.timezone)
            exprs += [
                text.str.contains(pattern).sum().alias(f"form:{form} {field.name}")
                for form, pattern in FORMS.items()
            ]
            prefix = pl.when(text.is_not_null()).then(text.str.extract(_PREFIX).fill_null(""))
            exprs += [
                prefix.min().alias(f"prefix-least {field.name}"),
                prefix.max().alias(f"prefix-most {field.name}"),
            ]
        return exprs

    def _column(self, field: FieldMapping, totals: Mapping[str, Any]) -> ColumnProfile:
        """Return the profile of a column, from the totals of all chunks."""
        own: dict[str, Any] = {word: totals.get(f"{word} {field.name}") for word in _WORDS}
        filled, sampled = own["filled"] or 0, own["sampled"] or 0
        values: dict[str, Any] = {}
        if filled >= MIN_VALUES:
            coarse = month if field.name in self._times else _magnitude
            values = {word: coarse(own[word]) for word in ("least", "most")}
            if (own["logged"] or 0) >= MIN_VALUES:
                values["magnitude"] = round(own["logarithms"] / own["logged"] / _LOGARITHM_UNITS, 1)
        if sampled and own["length"] is not None:
            values |= {word: own[word] for word in ("shortest", "longest")}
            values["length"] = round(own["length"] / sampled, 1)
        return ColumnProfile(
            field=field_key(field), column=field.column or "", type=kind_of(field.dtype),
            filled=filled, sampled=sampled, distinct=_distinct(own["hashes"] or ()),
            forms=_shares(field, totals, sampled=sampled), prefix=_shared_prefix(own, sampled=sampled),
            **values,
        )  # fmt: skip


_ROWS = "rows"
_SUMMED = ("filled", "sampled", "length", "logged", "logarithms", "form")
_LEAST = ("least", "shortest", "prefix-least")
_MOST = ("most", "longest", "prefix-most")
_WORDS = (*_SUMMED, *_LEAST, *_MOST, "hashes")


def _named(values: pl.Expr, word: str) -> pl.Expr:
    return values.name.prefix(f"{word} ")


def _months(moment: pl.Expr) -> pl.Expr:
    return moment.dt.year().cast(pl.Int64) * 12 + moment.dt.month() - 1


def month(months: int | None) -> str | None:
    """Return a month as text.

    Examples:
        >>> month(2026 * 12 + 10)
        '2026-11'
    """
    return None if months is None else f"{months // 12:04d}-{months % 12 + 1:02d}"


def _magnitude(number: float | None) -> float | None:
    """Return the power of ten below a number, with its sign."""
    if number is None or not math.isfinite(number):
        return None
    return math.copysign(10.0 ** math.floor(math.log10(abs(number))), number) if number else 0.0


def _merged(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the results of several chunks as one result."""
    rows = pl.concat(parts, how="vertical_relaxed")
    if len(parts) == 1:
        return rows
    columns_by_word: dict[str, list[str]] = {}
    for name in rows.columns:
        columns_by_word.setdefault(name.partition(" ")[0].partition(":")[0], []).append(name)
    sums = [name for word in (_ROWS, *_SUMMED) for name in columns_by_word.get(word, ())]
    least, most = (
        [name for word in words for name in columns_by_word.get(word, ())]
        for words in (_LEAST, _MOST)
    )
    hashes = columns_by_word.get("hashes", [])
    smallest = pl.col(hashes).explode(empty_as_null=False).unique().bottom_k(SKETCH).implode()
    merged = rows.select(pl.col(sums).sum(), pl.col(least).min(), pl.col(most).max(), smallest)
    return merged.select(rows.columns)


def _distinct(hashes: Sequence[int]) -> int:
    """Return the number of distinct values, from their smallest hashes."""
    if len(hashes) < SKETCH:
        return len(hashes)
    return round((SKETCH - 1) * _HASHES / max(hashes))


def _shares(field: FieldMapping, totals: Mapping[str, Any], *, sampled: int) -> dict[str, float]:
    counts = {form: totals.get(f"form:{form} {field.name}") for form in FORMS}
    return {form: round(count / sampled, 4) for form, count in counts.items() if count and sampled}


def _shared_prefix(totals: Mapping[str, Any], *, sampled: int) -> str:
    """Return a hash of the letters that all identifiers begin with; "" if they begin differently."""
    least, most = totals["prefix-least"], totals["prefix-most"]
    return _digest(least) if least and least == most and sampled >= MIN_VALUES else ""


def _constants(mapping: MessageMapping) -> str:
    """Return a hash of the constants that identify what is sent; identifiers of people are not among them."""
    constants = {
        field.argument: str(pl.select(field.expr).item())
        for field in mapping.fields
        if field.argument in _IDENTIFYING_ARGUMENTS and field.how == "constant"
    }
    return _digest(repr(sorted(constants.items()))) if constants else ""


_IDENTIFYING_ARGUMENTS = ("event", "name", "form_id", "object_type_id")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
