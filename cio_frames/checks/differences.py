"""What differs from earlier runs of the same import: columns, types, shares, and how much there is."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cio_frames.checks.check import Found
from cio_frames.checks.comparison import (
    Comparison,
    EarlierTable,
    Figures,
    chance,
    chance_factor,
    months_of,
)
from cio_frames.checks.profile import FEW, FORMS, ColumnProfile, TableProfile

ROOT_OFF = 3.0
"""By how much the square roots of two numbers of rows differ at least: about four standard deviations
of what chance does to rows that come one by one."""

EXPECTED = 10
"""Filled cells that are expected of a column that comes and goes, before it is missed."""

ZEROS = "digits with leading zeros"
ZEROS_LOST = 0.01
"""The share of identifiers with leading zeros from which on it is told that there are none any more."""

Earlier = list[tuple[EarlierTable, ColumnProfile]]


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _volume(given: Comparison) -> Iterator[Found]:
    if not given.basis:
        return
    rows = Figures(
        now=given.now.rows,
        earlier=[(each.run_id, each.profile.rows) for each in given.of_period],
    )
    left = 1 - given.limits.volume
    is_off = left > 0 and rows.is_off_times(1 / left)
    if is_off and abs(math.sqrt(rows.now) - math.sqrt(rows.nearest)) > ROOT_OFF:
        yield None, rows.told(lambda count: f"{count:,.0f}")


def _period(given: Comparison) -> Iterator[Found]:
    if given.basis or not given.large:
        return
    latest = given.large[0]
    now, before = (
        _months(next(each for each in profile.columns if each.field == "timestamp"))
        for profile in (given.now, latest.profile)
    )
    yield None, f"They are from {now} now. In run {latest.run_id} they were from {before}."


def _gone(given: Comparison) -> Iterator[Found]:
    renamed = [column.field for column in given.renamed.values()]
    latest = given.latest
    for column in given.gone:
        share = column.filled / max(1, latest.profile.rows)
        is_missed = share > 0 and (share >= 1 / 2 or share * given.now.rows >= EXPECTED)
        if column.field not in renamed and is_missed:
            told = f"Run {latest.run_id} had it, filled in {_percent(share)} of its rows."
            yield column.column or column.field, told


def _new(given: Comparison) -> Iterator[Found]:
    for column in given.new:
        if column.field not in given.renamed and column.filled:
            share = _percent(column.filled / given.now.rows)
            told = (
                f"It is filled in {share} of the rows; run {given.latest.run_id} did not have it."
            )
            yield column.column or column.field, told


def _renamed(given: Comparison) -> Iterator[Found]:
    columns = {column.field: column for column in given.now.columns}
    for field, before in given.renamed.items():
        name = before.column or before.field
        told = f'Run {given.latest.run_id} had the column "{name}" instead.'
        yield columns[field].column or field, told


def _types(given: Comparison) -> Iterator[Found]:
    for column in given.now.columns:
        known = given.renamed.get(column.field) or column
        earlier = [
            (each.run_id, each.columns[known.field].type)
            for each in given.earlier
            if known.field in each.columns and each.columns[known.field].filled
        ]
        if earlier and column.filled and column.type not in {kind for _, kind in earlier}:
            run, kind = earlier[0]
            told = f"The type is {column.type} now. In run {run} it was {kind}."
            yield column.column or column.field, told


def _by_column(
    given: Comparison, *, figures: Callable[[Comparison, ColumnProfile, Earlier], Iterator[str]]
) -> Iterator[Found]:
    """Yield what is found of each column that earlier tables had as well."""
    for column, earlier in given.pairs():
        for told in figures(given, column, earlier):
            yield column.column or column.field, told


def _empty(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    rows = given.now.rows
    if rows < FEW:
        return
    figures = Figures(
        now=_empty_share(column, given.now),
        earlier=[(each.run_id, _empty_share(known, each.profile)) for each, known in earlier],
    )
    others = min(each.profile.rows for each, _ in earlier)
    margin = chance(figures.now, figures.nearest, rows=rows, others=others)
    if figures.is_off(given.limits.share + margin):
        yield figures.told(_percent)


def _empty_share(column: ColumnProfile, table: TableProfile) -> float:
    return 1 - column.filled / table.rows


def _sampled(column: ColumnProfile, earlier: Earlier) -> Earlier:
    """Return the earlier columns of which enough is known, if that is so of the column too."""
    if column.sampled < FEW:
        return []
    return [(each, known) for each, known in earlier if known.sampled >= FEW]


def _distinct(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    known = _sampled(column, earlier)
    if not known or not column.distinct:
        return
    counts = Figures(
        now=column.distinct, earlier=[(each.run_id, of.distinct) for each, of in known]
    )
    shares = Figures(
        now=column.distinct / column.sampled,
        earlier=[(each.run_id, of.distinct / of.sampled) for each, of in known],
    )
    limit = 0.99 / given.limits.distinct  # large counts are estimates
    if counts.is_off_times(limit) and shares.is_off_times(limit):
        yield counts.told(lambda count: f"about {count:,.0f}")


def _length(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    known = [(each, of) for each, of in _sampled(column, earlier) if of.length]
    if not known or not column.length or column.forms:  # of identifiers, the form says more
        return
    figures = Figures(
        now=column.length, earlier=[(each.run_id, of.length or 0) for each, of in known]
    )
    others = min(of.sampled for _, of in known)
    if figures.is_off_times(given.limits.length * chance_factor(column.sampled, others)):
        yield figures.told(lambda length: f"{length:,.1f} bytes")


def _range(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    if months_of(column) is not None:
        yield from _times(given, column, earlier)
        return
    known = [(each, of.magnitude, of.sampled) for each, of in earlier if of.magnitude is not None]
    if column.magnitude is None or not known:
        return
    figures = Figures(
        now=10**column.magnitude, earlier=[(each.run_id, 10**size) for each, size, _ in known]
    )
    others = min(sampled for *_, sampled in known)
    if figures.is_off_times(given.limits.magnitude * chance_factor(column.sampled, others)):
        yield figures.told(_about, what="A typical number")


def _about(size: float) -> str:
    """Return a number with one digit that is not 0.

    Examples:
        >>> _about(3160), _about(0.00432)
        ('about 3,000', 'about 0.004')
    """
    digits = -math.floor(math.log10(size))
    return f"about {round(size, digits):,.{max(0, digits)}f}"


def _times(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    """Yield a range of times that reaches far beyond the earlier ones; those of events have a period."""
    now = months_of(column)
    made = given.at.year * 12 + given.at.month
    known = [
        (months[0], months[1] + made - each.created.year * 12 - each.created.month)
        for each, of in earlier
        if (months := months_of(of)) is not None
    ]
    if now is None or not known or column.field == "timestamp":
        return
    first, last = min(start for start, _ in known), max(end for _, end in known)
    margin = max(YEAR, last - first)
    if now[0] < first - margin or now[1] > last + margin:
        each, before = next((each, of) for each, of in earlier if months_of(of) is not None)
        yield (
            f"The times are from {_months(column)} now. In run {each.run_id} they were from "
            f"{_months(before)}."
        )


YEAR = 12
"""Months by which a range of times may at least reach beyond the earlier ones."""


def _months(column: ColumnProfile) -> str:
    return f"{column.least} to {column.most}"


def _forms(given: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    known = _sampled(column, earlier)
    if not known or not any(of.forms for _, of in known):
        return
    off = max(
        (
            (abs(figures.now - figures.nearest), form, figures)
            for form in FORMS
            for figures in (_of_form(form, column, known),)
            if _is_other_form(given, form, figures, column, known)
        ),
        default=None,
        key=lambda each: each[0],
    )
    if off is not None:
        yield off[2].told(_percent, what=f"The share of {off[1]}")
    elif all(of.prefix for _, of in known) and column.prefix not in {of.prefix for _, of in known}:
        run = known[0][0].run_id
        yield f"Not all of them begin with the same letters as in run {run}."


def _of_form(form: str, column: ColumnProfile, known: Earlier) -> Figures:
    return Figures(
        now=column.forms.get(form, 0.0),
        earlier=[(each.run_id, of.forms.get(form, 0.0)) for each, of in known],
    )


def _is_other_form(
    given: Comparison, form: str, figures: Figures, column: ColumnProfile, known: Earlier
) -> bool:
    """Return whether a form is much more or less frequent, or leading zeros are gone."""
    others = min(of.sampled for _, of in known)
    margin = chance(figures.now, figures.nearest, rows=column.sampled, others=others)
    if figures.is_off(given.limits.share + margin):
        return True
    usual = figures.usual[0]
    expected = usual * column.sampled
    return form == ZEROS and not figures.now and usual >= ZEROS_LOST and expected >= EXPECTED


DIFFERENCES: Mapping[str, Callable[[Comparison], Iterator[Found]]] = {
    "drift.volume": _volume,
    "drift.period": _period,
    "drift.column-gone": _gone,
    "drift.column-new": _new,
    "drift.column-renamed": _renamed,
    "drift.type": _types,
    "drift.empty": partial(_by_column, figures=_empty),
    "drift.distinct": partial(_by_column, figures=_distinct),
    "drift.range": partial(_by_column, figures=_range),
    "drift.length": partial(_by_column, figures=_length),
    "drift.id-form": partial(_by_column, figures=_forms),
}
"""What finds the columns that differ, and the evidence, by the code of the check."""
