"""A table's profile beside those of earlier runs of the same import."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from functools import cached_property

from cio_frames.checks.drift import Drift
from cio_frames.checks.fields import name_words
from cio_frames.checks.profile import FEW, ColumnProfile, TableProfile


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


LIKE = 0.5
"""The share of columns that two tables of one import have in common, at least."""


def of_same_import(
    now: TableProfile, earlier: Iterable[EarlierTable], *, most: int
) -> list[EarlierTable]:
    """Return the tables that the same import sent before, among all, which come latest first.

    They have the same call, namespace and constants, and at least half of the columns, renamed ones
    included, and went to the same workspace as the latest of them. Where some fill the same arguments
    from a file of the same name, it is only these.
    """
    same: list[EarlierTable] = []
    like: list[EarlierTable] = []
    for each in earlier:
        if like and like[0].workspaces.items().isdisjoint(each.workspaces.items()):
            continue
        if are_of_one_import(now, each.profile):
            like.append(each)
            if _source(now) == _source(each.profile):
                same.append(each)
        if len(same) == most:
            break
    return same or like[:most]


def _source(profile: TableProfile) -> tuple[str, set[str]]:
    arguments = {column.field for column in profile.columns if "." not in column.field}
    return profile.table, arguments


def are_of_one_import(now: TableProfile, before: TableProfile) -> bool:
    """Return whether two tables are sent as the same, and have enough columns in common."""
    about = ("call", "namespace", "constants")
    if any(getattr(now, name) != getattr(before, name) for name in about):
        return False
    ours, theirs = ({column.field: column for column in each.columns} for each in (now, before))
    both = ours.keys() & theirs.keys()
    new, gone = ([of[name] for name in of if name not in both] for of in (ours, theirs))

    def is_enough(common: int) -> bool:
        return common >= LIKE * (len(ours) + len(theirs) - common)

    if is_enough(len(both)) or not is_enough(len(both) + min(len(new), len(gone))):
        return is_enough(len(both))
    return is_enough(len(both) + len(renames(new, gone)))


NAME, CLOSE = 0.7, 1.2
"""How much alike the names of a renamed column are, and by which factor the figures of columns may
differ that are taken for the same although their names are not alike."""

SHORTEST = 3
"""Letters of a name that is looked for inside a longer one."""

MOST_PAIRS = 1_000
"""Pairs of columns up to which names are compared letter by letter."""

TELLING = 10
"""Different values from which on a column can be known by its figures alone."""


def renames(
    new: Sequence[ColumnProfile], gone: Sequence[ColumnProfile]
) -> dict[str, ColumnProfile]:
    """Return what columns were called before that seem to be renamed ones, by their field.

    The names are alike, or it is the only column with such figures.
    """
    is_short = len(new) * len(gone) <= MOST_PAIRS
    scored = [
        (score, one, other)
        for one in new
        for other in gone
        if one.type == other.type
        and (score := _names_alike(one.field, other.field, by_letter=is_short))
    ]
    found: dict[str, ColumnProfile] = {}
    for _, one, other in sorted(scored, key=lambda pair: -pair[0]):
        if one.field not in found and other not in found.values():
            found[one.field] = other
    if is_short:
        for one in new:
            alike = [
                other for other in gone if other not in found.values() and _is_alike(one, other)
            ]
            rivals = [other for other in new if other.field not in found and _is_alike(one, other)]
            if one.field not in found and len(alike) == len(rivals) == 1:
                found[one.field] = alike[0]
    return found


def _names_alike(one: str, other: str, *, by_letter: bool) -> float:
    """Return how much alike two names are, from `NAME` to 1; 0 if they are not."""
    first, second = ("".join(name_words(name.rpartition(".")[2])) for name in (one, other))
    if first == second:
        return 1.0
    if not by_letter:
        return 0.0
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) >= SHORTEST and shorter in longer:
        return NAME
    names = SequenceMatcher(None, first, second)
    ratio = names.ratio() if names.real_quick_ratio() >= NAME else 0.0
    return ratio if ratio >= NAME else 0.0


def _is_alike(one: ColumnProfile, other: ColumnProfile) -> bool:
    """Return whether the figures of two columns are nearly the same, and say enough."""
    if one.type != other.type or min(one.distinct, other.distinct) < TELLING:
        return False
    pairs = [(one.distinct / one.sampled, other.distinct / other.sampled)]
    if one.length and other.length:
        pairs.append((one.length, other.length))
    if one.magnitude is not None and other.magnitude is not None:
        pairs.append((10**one.magnitude, 10**other.magnitude))
    elif one.type != "text":
        return False
    return all(1 / CLOSE <= first / second <= CLOSE for first, second in pairs)


ENOUGH = 14
"""Runs from which on the most extreme one on each side does not count, so that one broken night does
not let the next one pass. In fewer, a day of the week may stand alone."""

SURE = 3.0
"""How many standard deviations of chance a figure may be off beside the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A figure of the table now and in earlier runs, the latest first."""

    now: float
    earlier: Sequence[tuple[str, float]]  # run and figure

    @property
    def usual(self) -> tuple[float, float]:
        """The range of the earlier figures."""
        ordered = sorted(value for _, value in self.earlier)
        if len(ordered) >= ENOUGH:
            ordered = ordered[1:-1]
        return ordered[0], ordered[-1]

    @property
    def nearest(self) -> float:
        """The usual figure that is nearest to that of now."""
        least, most = self.usual
        return min(max(self.now, least), most)

    def is_off(self, margin: float) -> bool:
        """Return whether the figure lies outside the usual range by more than a margin."""
        return abs(self.now - self.nearest) > margin

    def is_off_times(self, factor: float) -> bool:
        """Return whether it lies outside the usual range by more than a factor, upwards or downwards."""
        smaller, larger = sorted((self.now, self.nearest))
        return larger > smaller * factor

    def told(self, shown: Callable[[float], str], *, what: str = "It") -> str:
        """Return the figures as sentences that name the latest run."""
        (run, latest), runs = self.earlier[0], len(self.earlier)
        least, most = map(shown, self.usual)
        others = f", and in the last {runs} runs {least} to {most}" if runs > 1 else ""
        return f"{what} is {shown(self.now)} now. In run {run} it was {shown(latest)}{others}."


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table beside the last ones of the same import.

    Attributes:
        now: The profile of the table.
        at: When it was made.
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
        known = {name for each in self.earlier for name in each.columns}
        return [column for column in self.now.columns if column.field not in known]

    @cached_property
    def gone(self) -> list[ColumnProfile]:
        """The columns that every earlier table had and this one has not, as the latest had them."""
        ours = {column.field for column in self.now.columns}
        return [
            column
            for name, column in self.latest.columns.items()
            if name not in ours and all(name in each.columns for each in self.earlier)
        ]

    @cached_property
    def renamed(self) -> Mapping[str, ColumnProfile]:
        """What columns were called before, by their field."""
        moved = {
            column.field: before
            for column in self.now.columns
            if (before := self.latest.columns.get(column.field)) is not None
            and before.column
            and column.column
            and all(
                each.columns[column.field].column != column.column
                for each in self.earlier
                if column.field in each.columns
            )
        }
        return moved | renames(self.new, self.gone)

    @cached_property
    def of_period(self) -> list[EarlierTable]:
        """The earlier tables that are about the same kind of period."""
        period = period_of(self.now, self.at)
        return [
            each
            for each in self.earlier
            if are_comparable(period, period_of(each.profile, each.created))
        ]

    @cached_property
    def basis(self) -> list[EarlierTable]:
        """Those whose figures can be compared, as they are not tiny."""
        return [each for each in self.of_period if each.profile.rows >= FEW]

    @cached_property
    def large(self) -> list[EarlierTable]:
        """The earlier tables of any period that are not tiny."""
        return [each for each in self.earlier if each.profile.rows >= FEW]

    def pairs(self) -> Iterator[tuple[ColumnProfile, list[tuple[EarlierTable, ColumnProfile]]]]:
        """Yield each column with those of the same field in the tables whose figures can be compared."""
        for column in self.now.columns:
            name = self.renamed.get(column.field, column).field
            known = [(each, each.columns[name]) for each in self.basis if name in each.columns]
            if known:
                yield column, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The months that a table is about: how old the newest one is, how many there are, and when that was."""

    age: int
    span: int
    at: int


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
    made = at.year * 12 + at.month - 1
    return Period(age=made - months[1], span=months[1] - months[0], at=made)


def are_comparable(now: Period | None, before: Period | None) -> bool:
    """Return whether figures of two periods can be compared: about as old, and about as long.

    A table of all events gets longer as time passes.
    """
    if now is None or before is None:
        return True
    passed = now.at - before.at
    return abs(now.age - before.age) <= 1 and abs(now.span - before.span) <= 1 + max(0, passed)


def chance(share: float, other: float, *, rows: int, others: int) -> float:
    """Return by how much two shares of so many rows may differ by chance.

    Examples:
        >>> round(chance(0.5, 0.5, rows=30, others=30), 2)
        0.39
    """
    both = (share * rows + other * others) / (rows + others)
    return SURE * math.sqrt(both * (1 - both) * (1 / rows + 1 / others))


def chance_factor(values: int, others: int) -> float:
    """Return by which factor two averages of so many values may differ by chance.

    Examples:
        >>> round(chance_factor(30, 30), 2), round(chance_factor(10_000, 10_000), 2)
        (2.17, 1.04)
    """
    return math.exp(SURE * math.sqrt(1 / values + 1 / others))
