"""The differences from earlier runs of the same import: columns, types, shares and amounts."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cio_frames.checks.check import ColumnEvidence
from cio_frames.checks.comparison import (
    Comparison,
    EarlierTable,
    Figures,
    chance_difference,
    chance_factor,
    months_of,
)
from cio_frames.checks.profile import FORMS, MIN_VALUES, ColumnProfile, TableProfile

MIN_ROOT_DIFFERENCE = 3.0
"""Minimum difference of the square roots of two numbers of rows: about four standard deviations of
chance, for rows that occur independently."""

MIN_EXPECTED = 10
"""How many filled cells are expected of an occasional column before its absence is reported."""

ZEROS = "digits with leading zeros"
MIN_ZEROS = 0.01
"""Minimum earlier share of identifiers with leading zeros for their absence to be reported."""

Earlier = list[tuple[EarlierTable, ColumnProfile]]


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _name(column: ColumnProfile) -> str:
    return column.column or column.field


def _volume(comparison: Comparison) -> Iterator[ColumnEvidence]:
    if not comparison.comparable:
        return
    rows = Figures(
        now=comparison.now.rows,
        earlier=[(table.run_id, table.profile.rows) for table in comparison.same_period],
    )
    smallest_share = 1 - comparison.limits.volume
    is_off = smallest_share > 0 and rows.is_off_times(1 / smallest_share)
    if is_off and abs(math.sqrt(rows.now) - math.sqrt(rows.nearest)) > MIN_ROOT_DIFFERENCE:
        yield None, rows.sentence(lambda count: f"{count:,.0f}")


def _period(comparison: Comparison) -> Iterator[ColumnEvidence]:
    if comparison.comparable or not comparison.large:
        return
    latest = comparison.large[0]
    now, before = (
        _months(next(column for column in profile.columns if column.field == "timestamp"))
        for profile in (comparison.now, latest.profile)
    )
    yield None, f"They are from {now} now. In run {latest.run_id} they were from {before}."


def _gone(comparison: Comparison) -> Iterator[ColumnEvidence]:
    renamed = [column.field for column in comparison.renamed.values()]
    latest = comparison.latest
    for column in comparison.gone:
        share = column.filled / max(1, latest.profile.rows)
        is_missed = share > 0 and (share >= 1 / 2 or share * comparison.now.rows >= MIN_EXPECTED)
        if column.field not in renamed and is_missed:
            yield (
                _name(column),
                f"Run {latest.run_id} had it, filled in {_percent(share)} of its rows.",
            )


def _new(comparison: Comparison) -> Iterator[ColumnEvidence]:
    run = comparison.latest.run_id
    for column in comparison.new:
        if column.field not in comparison.renamed and column.filled:
            share = _percent(column.filled / comparison.now.rows)
            yield _name(column), f"It is filled in {share} of the rows; run {run} did not have it."


def _renamed(comparison: Comparison) -> Iterator[ColumnEvidence]:
    columns = {column.field: column for column in comparison.now.columns}
    run = comparison.latest.run_id
    for field, before in comparison.renamed.items():
        yield _name(columns[field]), f'Run {run} had the column "{_name(before)}" instead.'


def _types(comparison: Comparison) -> Iterator[ColumnEvidence]:
    for column in comparison.now.columns:
        field = comparison.renamed.get(column.field, column).field
        earlier = [
            (table.run_id, table.columns[field].type)
            for table in comparison.earlier
            if field in table.columns and table.columns[field].filled
        ]
        if earlier and column.filled and column.type not in {kind for _, kind in earlier}:
            run, kind = earlier[0]
            yield _name(column), f"The type is {column.type} now. In run {run} it was {kind}."


def _by_column(
    comparison: Comparison,
    *,
    differences: Callable[[Comparison, ColumnProfile, Earlier], Iterator[str]],
) -> Iterator[ColumnEvidence]:
    """Yield the differences of each column that earlier tables had as well."""
    for column, earlier in comparison.pairs():
        for evidence in differences(comparison, column, earlier):
            yield _name(column), evidence


def _empty(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    rows = comparison.now.rows
    if rows < MIN_VALUES:
        return
    figures = Figures(
        now=_empty_share(column, comparison.now),
        earlier=[(table.run_id, _empty_share(before, table.profile)) for table, before in earlier],
    )
    others = min(table.profile.rows for table, _ in earlier)
    margin = chance_difference(figures.now, figures.nearest, rows=rows, others=others)
    if figures.is_off(comparison.limits.share + margin):
        yield figures.sentence(_percent)


def _empty_share(column: ColumnProfile, table: TableProfile) -> float:
    return 1 - column.filled / table.rows


def _well_sampled(column: ColumnProfile, earlier: Earlier) -> Earlier:
    """Return the earlier columns with enough sampled rows, if the column itself has enough."""
    if column.sampled < MIN_VALUES:
        return []
    return [(table, before) for table, before in earlier if before.sampled >= MIN_VALUES]


def _distinct(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    sampled = _well_sampled(column, earlier)
    if not sampled or not column.distinct:
        return
    counts = Figures(
        now=column.distinct, earlier=[(table.run_id, before.distinct) for table, before in sampled]
    )
    shares = Figures(
        now=column.distinct / column.sampled,
        earlier=[(table.run_id, before.distinct / before.sampled) for table, before in sampled],
    )
    limit = 0.99 / comparison.limits.distinct  # large counts are estimates
    if counts.is_off_times(limit) and shares.is_off_times(limit):
        yield counts.sentence(lambda count: f"about {count:,.0f}")


def _length(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    sampled = [pair for pair in _well_sampled(column, earlier) if pair[1].length]
    if not sampled or not column.length or column.forms:  # identifiers are compared by their form
        return
    figures = Figures(
        now=column.length, earlier=[(table.run_id, before.length or 0) for table, before in sampled]
    )
    others = min(before.sampled for _, before in sampled)
    factor = chance_factor(column.sampled, others)
    if figures.is_off_times(comparison.limits.length * factor):
        yield figures.sentence(lambda length: f"{length:,.1f} bytes")


def _range(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    if months_of(column) is not None:
        yield from _times(comparison, column, earlier)
        return
    magnitudes = [
        (table.run_id, before.magnitude, before.sampled)
        for table, before in earlier
        if before.magnitude is not None
    ]
    if column.magnitude is None or not magnitudes:
        return
    figures = Figures(
        now=10**column.magnitude, earlier=[(run, 10**size) for run, size, _ in magnitudes]
    )
    others = min(sampled for *_, sampled in magnitudes)
    factor = chance_factor(column.sampled, others)
    if figures.is_off_times(comparison.limits.magnitude * factor):
        yield figures.sentence(_about, subject="A typical number")


def _about(size: float) -> str:
    """Return a number rounded to one significant digit.

    Examples:
        >>> _about(3160), _about(0.00432)
        ('about 3,000', 'about 0.004')
    """
    digits = -math.floor(math.log10(size))
    return f"about {round(size, digits):,.{max(0, digits)}f}"


def _times(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    """Yield a sentence if times reach far beyond the earlier ones; times of events have a period."""
    now = months_of(column)
    month = comparison.at.year * 12 + comparison.at.month
    ranges = [  # the end as far from the present as it was from the time of that run
        (months[0], months[1] + month - table.created.year * 12 - table.created.month)
        for table, before in earlier
        if (months := months_of(before)) is not None
    ]
    if now is None or not ranges or column.field == "timestamp":
        return
    first, last = min(start for start, _ in ranges), max(end for _, end in ranges)
    margin = max(YEAR, last - first)
    if now[0] < first - margin or now[1] > last + margin:
        table, before = next(pair for pair in earlier if months_of(pair[1]) is not None)
        yield (
            f"The times are from {_months(column)} now. In run {table.run_id} they were from "
            f"{_months(before)}."
        )


YEAR = 12
"""How many months a range of times may at least reach beyond the earlier ones."""


def _months(column: ColumnProfile) -> str:
    return f"{column.least} to {column.most}"


def _forms(comparison: Comparison, column: ColumnProfile, earlier: Earlier) -> Iterator[str]:
    sampled = _well_sampled(column, earlier)
    if not any(before.forms for _, before in sampled):
        return
    figures_by_form = {form: _form_figures(form, column, sampled) for form in FORMS}
    off = {
        form: figures
        for form, figures in figures_by_form.items()
        if _is_form_off(comparison, form, figures, column, sampled)
    }
    if off:
        form = max(off, key=lambda form: abs(off[form].now - off[form].nearest))
        yield off[form].sentence(_percent, subject=f"The share of {form}")
        return
    prefixes = {before.prefix for _, before in sampled}
    if all(prefixes) and column.prefix not in prefixes:
        run = sampled[0][0].run_id
        yield f"Not all of them begin with the same letters as in run {run}."


def _form_figures(form: str, column: ColumnProfile, sampled: Earlier) -> Figures:
    return Figures(
        now=column.forms.get(form, 0.0),
        earlier=[(table.run_id, before.forms.get(form, 0.0)) for table, before in sampled],
    )


def _is_form_off(
    comparison: Comparison, form: str, figures: Figures, column: ColumnProfile, sampled: Earlier
) -> bool:
    """Return whether a form is much more or less frequent, or leading zeros are gone."""
    others = min(before.sampled for _, before in sampled)
    margin = chance_difference(figures.now, figures.nearest, rows=column.sampled, others=others)
    if figures.is_off(comparison.limits.share + margin):
        return True
    usual = figures.usual[0]
    expected = usual * column.sampled
    return form == ZEROS and not figures.now and usual >= MIN_ZEROS and expected >= MIN_EXPECTED


DIFFERENCES: Mapping[str, Callable[[Comparison], Iterator[ColumnEvidence]]] = {
    "drift.volume": _volume,
    "drift.period": _period,
    "drift.column-gone": _gone,
    "drift.column-new": _new,
    "drift.column-renamed": _renamed,
    "drift.type": _types,
    "drift.empty": partial(_by_column, differences=_empty),
    "drift.distinct": partial(_by_column, differences=_distinct),
    "drift.range": partial(_by_column, differences=_range),
    "drift.length": partial(_by_column, differences=_length),
    "drift.id-form": partial(_by_column, differences=_forms),
}
"""The functions that yield the columns that differ, and the evidence, by the code of the check."""
