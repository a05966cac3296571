"""Propose the column with the time of a call, by its content and its name."""

from collections.abc import Sequence

import polars as pl

from cio_frames.mapping.people import ALMOST_ALL, HALF
from cio_frames.mapping.proposal import Proposal, rivals_clause
from cio_frames.spec import (
    EVENT_CALLS,
    Call,
    folded,
    is_other_time,
    is_time_name,
    is_transport_time,
)
from cio_frames.values import is_time

UNNAMED = 2
ORDERED_CALLS = ("identify", "group")
ORDER_NOTE = "attributes that were edited after that time keep their values"
"""The note on a time for a call that sets attributes: it orders edits (reference 3.7)."""


def propose_time(sample: pl.DataFrame, *, call: Call, free: Sequence[str]) -> Proposal | None:
    """Propose the column with the time of a call: one with a name for it, or any column of times."""
    ranks = {name: rank for name in free if (rank := time_rank(name, call=call)) is not None}
    shares = {
        name: share_of_times(sample[name], named=rank < UNNAMED) for name, rank in ranks.items()
    }
    order = _synonyms(call)
    likely = [name for name, rank in ranks.items() if _is_likely(sample[name], rank, shares[name])]
    if not likely:
        return None

    def place(name: str) -> tuple[bool, bool, float, int]:
        is_mostly_empty = sample[name].null_count() > HALF * len(sample)
        rank = ranks[name] + UNNAMED * is_transport_time(name)
        return shares[name] < HALF, is_mostly_empty, rank, order.get(folded(name), len(order))

    column, *others = sorted(likely, key=place)
    rivals = tuple(name for name in others if place(name)[:3] == place(column)[:3])
    return _proposal(sample[column], call=call, rank=ranks[column], rivals=rivals)


def _is_likely(values: pl.Series, rank: int, share: float) -> bool:
    if rank == UNNAMED:
        return share >= ALMOST_ALL
    if len(values) and values.null_count() == len(values):
        return False
    return share >= HALF or (rank == 0 and _could_be_times(values))


def _could_be_times(values: pl.Series) -> bool:
    """Return whether values may be times in an unknown format: numbers, or texts with digits."""
    if values.dtype == pl.String:
        return bool(values.is_empty() or values.str.contains(r"\d").any())
    return values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.Null


def _proposal(values: pl.Series, *, call: Call, rank: int, rivals: tuple[str, ...]) -> Proposal:
    is_order = call.name in ORDERED_CALLS
    temporal = values.dtype.is_temporal()
    if rank == 0:
        reason = (
            f"its name looks like timestamp; its values are {'' if temporal else 'read as '}times"
        )
    else:
        reason = "it contains times; make sure that they are when the event happened"
    note = f"; {ORDER_NOTE}" if is_order else ""
    return Proposal(
        argument="timestamp",
        column=values.name,
        confidence="high" if rank == 0 and temporal and not rivals and not is_order else "medium",
        reason=f"{reason}{rivals_clause(rivals)}{note}",
        rivals=rivals,
    )


def time_rank(name: str, *, call: Call) -> int | None:
    """Return the rank of a column of times as the time of a call, 0 for the likeliest; None if it is not.

    The name of an `UNNAMED` column is not one of a time; numbers in it may be ids or amounts.
    """
    if not any(row.argument == "timestamp" for row in call.fields):
        return None
    if folded(name) in _synonyms(call):
        return 0
    if call.name not in EVENT_CALLS or is_other_time(name):
        return None
    return 1 if is_time_name(name) else UNNAMED


def share_of_times(values: pl.Series, *, named: bool) -> float:
    """Return the share of values that are times; numbers count only in a column named like a time."""
    are_times = is_time(pl.col(values.name), dtype=values.dtype, counts=named)
    filled = values.drop_nulls()
    if are_times is None or filled.is_empty():
        return 0.0
    return float(filled.to_frame().select(are_times.mean()).item() or 0.0)


def _synonyms(call: Call) -> dict[str, int]:
    words = (row.synonyms for row in call.fields if row.argument == "timestamp")
    return {folded(word): rank for rank, word in reversed(list(enumerate(next(words, ()))))}
