"""The profile of a table compared with those of earlier runs of the same import."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from functools import cached_property

from cio_frames.checks.drift import Drift
from cio_frames.checks.fields import name_words
from cio_frames.checks.profile import MIN_VALUES, ColumnProfile, TableProfile


@dataclass(frozen=True, kw_only=True)
class EarlierTable:
    """The profile of a table that an earlier run sent."""

    run_id: str
    created: datetime
    profile: TableProfile
    workspaces: Mapping[str, str]  # by surface

    @cached_property
    def columns(self) -> Mapping[str, ColumnProfile]:
        """Its columns, by field."""
        return {column.field: column for column in self.profile.columns}


MIN_COMMON = 0.5
"""Minimum share of columns that two tables of one import have in common."""


def tables_of_same_import(
    now: TableProfile, earlier: Iterable[EarlierTable], *, most: int
) -> list[EarlierTable]:
    """Return at most `most` earlier tables of the same import; `earlier` is ordered, latest first.

    They have the same call, namespace and constants, share at least half of the columns, renamed ones
    included, and went to the same workspace as the latest of them. If any of them fill the same
    arguments from a file of the same name, only those are returned.
    """
    same_source: list[EarlierTable] = []
    similar: list[EarlierTable] = []
    for table in earlier:
        if similar and similar[0].workspaces.items().isdisjoint(table.workspaces.items()):
            continue
        if is_same_import(now, table.profile):
            similar.append(table)
            if _source(now) == _source(table.profile):
                same_source.append(table)
        if len(same_source) == most:
            break
    return same_source or similar[:most]


def _source(profile: TableProfile) -> tuple[str, set[str]]:
    arguments = {column.field for column in profile.columns if "." not in column.field}
    return profile.table, arguments


def is_same_import(now: TableProfile, before: TableProfile) -> bool:
    """Return whether two tables have the same call, namespace and constants, and enough common columns."""
    if any(
        getattr(now, name) != getattr(before, name) for name in ("call", "namespace", "constants")
    ):
        return False
    fields_now, fields_before = (
        {column.field for column in each.columns} for each in (now, before)
    )
    new = [column for column in now.columns if column.field not in fields_before]
    missing = [column for column in before.columns if column.field not in fields_now]
    common = len(fields_now & fields_before)

    def is_enough(common: int) -> bool:
        return common >= MIN_COMMON * (len(fields_now) + len(fields_before) - common)

    if is_enough(common) or not is_enough(common + min(len(new), len(missing))):
        return is_enough(common)
    return is_enough(common + len(renames(new, missing)))


NAME_SIMILARITY, SAME_FACTOR = 0.7, 1.2
"""Minimum similarity of the names of a renamed column, and the factor by which the figures of two
columns with different names may differ if they are taken for one column."""

MIN_LETTERS = 3
"""Minimum length of a name to be searched for inside a longer one."""

MAX_PAIRS = 1_000
"""Maximum pairs of columns whose names are compared letter by letter."""

MIN_DISTINCT = 10
"""Minimum distinct values of a column that can be recognised by its figures alone."""


def renames(
    new: Sequence[ColumnProfile], missing: Sequence[ColumnProfile]
) -> dict[str, ColumnProfile]:
    """Return the old column of each column that seems to be renamed, by its field.

    The names are similar, or no other column has similar figures.
    """
    is_short = len(new) * len(missing) <= MAX_PAIRS
    scored = [
        (score, column, candidate)
        for column in new
        for candidate in missing
        if column.type == candidate.type
        and (score := _name_similarity(column.field, candidate.field, by_letter=is_short))
    ]
    old_columns: dict[str, ColumnProfile] = {}
    for _, column, candidate in sorted(scored, key=lambda pair: -pair[0]):
        if column.field not in old_columns and candidate not in old_columns.values():
            old_columns[column.field] = candidate
    if is_short:
        for column in new:
            candidates = [
                other
                for other in missing
                if other not in old_columns.values() and _have_same_figures(column, other)
            ]
            rivals = [
                other
                for other in new
                if other.field not in old_columns and _have_same_figures(column, other)
            ]
            if column.field not in old_columns and len(candidates) == len(rivals) == 1:
                old_columns[column.field] = candidates[0]
    return old_columns


def _name_similarity(name: str, other_name: str, *, by_letter: bool) -> float:
    """Return the similarity of two names, from `NAME_SIMILARITY` to 1; 0 if they are not similar."""
    first, second = ("".join(name_words(path.rpartition(".")[2])) for path in (name, other_name))
    if first == second:
        return 1.0
    if not by_letter:
        return 0.0
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) >= MIN_LETTERS and shorter in longer:
        return NAME_SIMILARITY
    names = SequenceMatcher(None, first, second)
    ratio = names.ratio() if names.real_quick_ratio() >= NAME_SIMILARITY else 0.0
    return ratio if ratio >= NAME_SIMILARITY else 0.0


def _have_same_figures(column: ColumnProfile, other: ColumnProfile) -> bool:
    """Return whether the figures of two columns are nearly the same, and distinctive enough."""
    if column.type != other.type or min(column.distinct, other.distinct) < MIN_DISTINCT:
        return False
    pairs = [(column.distinct / column.sampled, other.distinct / other.sampled)]
    if column.length and other.length:
        pairs.append((column.length, other.length))
    if column.magnitude is not None and other.magnitude is not None:
        pairs.append((10**column.magnitude, 10**other.magnitude))
    elif column.type != "text":
        return False
    return all(1 / SAME_FACTOR <= first / second <= SAME_FACTOR for first, second in pairs)


MIN_RUNS = 14
"""Minimum runs for leaving out the most extreme run on each side, so that one faulty run does not make
the next one pass. With fewer runs, the extreme one may be the only one of its day of the week."""

SIGMAS = 3.0
"""How many standard deviations a figure may be off in addition to the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A figure of the table now and in earlier runs, the latest first."""

    now: float
    earlier: Sequence[tuple[str, float]]  # run and figure

    @property
    def usual(self) -> tuple[float, float]:
        """The range of the earlier figures."""
        ordered = sorted(value for _, value in self.earlier)
        if len(ordered) >= MIN_RUNS:
            ordered = ordered[1:-1]
        return ordered[0], ordered[-1]

    @property
    def nearest(self) -> float:
        """The figure in the usual range that is nearest to the current one."""
        least, most = self.usual
        return min(max(self.now, least), most)

    def is_off(self, margin: float) -> bool:
        """Return whether the figure lies outside the usual range by more than a margin."""
        return abs(self.now - self.nearest) > margin

    def is_off_times(self, factor: float) -> bool:
        """Return whether the figure lies above or below the usual range by more than a factor."""
        smaller, larger = sorted((self.now, self.nearest))
        return larger > smaller * factor

    def sentence(self, format_figure: Callable[[float], str], *, subject: str = "It") -> str:
        """Return the figures as sentences that name the latest run."""
        (run, latest), runs = self.earlier[0], len(self.earlier)
        least, most = map(format_figure, self.usual)
        usual = f", and in the last {runs} runs {least} to {most}" if runs > 1 else ""
        now, before = format_figure(self.now), format_figure(latest)
        return f"{subject} is {now} now. In run {run} it was {before}{usual}."


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table compared with the last ones of the same import.

    Attributes:
        now: The profile of the table.
        at: When the table was profiled.
        earlier: The earlier tables, the latest first; at least one.
        limits: How far the table may differ.
    """

    now: TableProfile
    at: datetime
    earlier: Sequence[EarlierTable]
    limits: Drift

    @property
    def latest(self) -> EarlierTable:
        """The last table before this one."""
        return self.earlier[0]

    @cached_property
    def new(self) -> list[ColumnProfile]:
        """The columns that no earlier table had, renamed ones included."""
        earlier_fields = {name for table in self.earlier for name in table.columns}
        return [column for column in self.now.columns if column.field not in earlier_fields]

    @cached_property
    def gone(self) -> list[ColumnProfile]:
        """The latest table's columns that every earlier table had and this one does not have."""
        fields = {column.field for column in self.now.columns}
        return [
            column
            for field, column in self.latest.columns.items()
            if field not in fields and all(field in table.columns for table in self.earlier)
        ]

    @cached_property
    def renamed(self) -> Mapping[str, ColumnProfile]:
        """The old column of each renamed column, by its field."""
        moved = {
            column.field: before
            for column in self.now.columns
            if (before := self.latest.columns.get(column.field)) is not None
            and before.column
            and column.column
            and all(
                table.columns[column.field].column != column.column
                for table in self.earlier
                if column.field in table.columns
            )
        }
        return moved | renames(self.new, self.gone)

    @cached_property
    def same_period(self) -> list[EarlierTable]:
        """The earlier tables that cover a similar period."""
        period = period_of(self.now, self.at)
        return [
            table
            for table in self.earlier
            if are_comparable(period, period_of(table.profile, table.created))
        ]

    @cached_property
    def comparable(self) -> list[EarlierTable]:
        """The earlier tables of a similar period with enough rows for a comparison."""
        return [table for table in self.same_period if table.profile.rows >= MIN_VALUES]

    @cached_property
    def large(self) -> list[EarlierTable]:
        """The earlier tables of any period with enough rows for a comparison."""
        return [table for table in self.earlier if table.profile.rows >= MIN_VALUES]

    def pairs(self) -> Iterator[tuple[ColumnProfile, list[tuple[EarlierTable, ColumnProfile]]]]:
        """Yield each column with the comparable tables that have its field, and their columns."""
        for column in self.now.columns:
            field = self.renamed.get(column.field, column).field
            earlier = [
                (each, each.columns[field]) for each in self.comparable if field in each.columns
            ]
            if earlier:
                yield column, earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The months that a table covers."""

    age: int  # months from the newest one to `at`
    span: int  # months from the oldest one to the newest
    at: int  # the month in which the table was profiled, counted from year 0


def months_of(column: ColumnProfile) -> tuple[int, int] | None:
    """Return the first and the last month of a column, counted from year 0; None if it has none."""
    if not (isinstance(column.least, str) and isinstance(column.most, str)):
        return None
    first, last = (
        int(year) * 12 + int(number) - 1
        for year, _, number in (end.partition("-") for end in (column.least, column.most))
    )
    return first, last


def period_of(profile: TableProfile, at: datetime) -> Period | None:
    """Return the period of the times at which the events of a table happened; None if it has none."""
    times = next((column for column in profile.columns if column.field == "timestamp"), None)
    months = None if times is None else months_of(times)
    if months is None:
        return None
    month = at.year * 12 + at.month - 1
    return Period(age=month - months[1], span=months[1] - months[0], at=month)


def are_comparable(now: Period | None, before: Period | None) -> bool:
    """Return whether two periods are about as old and about as long.

    The period of a table of all events gets longer as time passes.
    """
    if now is None or before is None:
        return True
    passed = now.at - before.at
    return abs(now.age - before.age) <= 1 and abs(now.span - before.span) <= 1 + max(0, passed)


def chance_difference(share: float, other: float, *, rows: int, others: int) -> float:
    """Return by how much two shares, of `rows` and `others` rows, may differ by chance.

    Examples:
        >>> round(chance_difference(0.5, 0.5, rows=30, others=30), 2)
        0.39
    """
    both = (share * rows + other * others) / (rows + others)
    return SIGMAS * math.sqrt(both * (1 - both) * (1 / rows + 1 / others))


def chance_factor(values: int, others: int) -> float:
    """Return by which factor two averages, of `values` and `others` values, may differ by chance.

    Examples:
        >>> round(chance_factor(30, 30), 2), round(chance_factor(10_000, 10_000), 2)
        (2.17, 1.04)
    """
    return math.exp(SIGMAS * math.sqrt(1 / values + 1 / others))
