"""Which column looks like which field, with the reason for each proposal."""

from collections.abc import Iterable, Sequence

import polars as pl

from cio_frames.frames import ROW
from cio_frames.mapping.people import (
    ALMOST_ALL,
    HALF,
    PersonColumn,
    is_certain,
    person_columns,
    rivals_of,
    share_of_addresses,
)
from cio_frames.mapping.proposal import Proposal, beside
from cio_frames.mapping.times import propose_time
from cio_frames.mapping.well_known import meant_trait
from cio_frames.spec import RESERVED_TRAITS, Call, Field, folded, words_of

OF_PEOPLE = ("user_id", "email", "id")
"""The arguments that name a person in more ways than a list of names can tell."""


def propose(sample: pl.DataFrame, *, call: Call) -> list[Proposal]:
    """Propose a column for each field of a call that has an argument.

    Returns:
        At most one proposal per argument, and none that takes a column twice.
    """
    proposals: list[Proposal] = []
    free = [name for name in sample.columns if name != ROW]
    by_name = call.name == "alias"  # which of two people stays is said by names alone
    for row in call.fields:
        if row.column_argument is None or row.argument in ("message_id", "timestamp"):
            continue
        if row.argument in OF_PEOPLE and not by_name:
            continue
        _take(_by_name(row, sample=sample, free=free), proposals, free)
    if not by_name:
        _take(_person(sample, call=call, free=free, proposals=proposals), proposals, free)
    _take(propose_time(sample, call=call, free=free), proposals, free)
    proposals = _without_devices(proposals, sample=sample)
    order = [row.argument for row in call.fields]
    return sorted(proposals, key=lambda proposal: order.index(proposal.argument))


def propose_traits(sample: pl.DataFrame, *, call: Call, taken: Iterable[str]) -> list[Proposal]:
    """Propose the columns that are named nearly like an attribute that Customer.io acts on."""
    if call.name != "identify":
        return []
    meant: dict[str, list[str]] = {}
    for name in sample.columns:
        trait = meant_trait(name)
        if (
            trait
            and trait not in sample.columns
            and name not in taken
            and not _is_empty(sample[name])
        ):
            meant.setdefault(trait, []).append(name)
    return [
        Proposal(
            argument=f"traits.{trait}",
            column=column,
            confidence="medium",
            reason=f'Customer.io acts on {trait} only; plan.fix("name.nearly") sends {column} under '
            f"that name{beside(tuple(rivals))}",
            rivals=tuple(rivals),
        )
        for trait, (column, *rivals) in meant.items()
        if trait in RESERVED_TRAITS
    ]


def _without_devices(proposals: list[Proposal], *, sample: pl.DataFrame) -> list[Proposal]:
    """Return proposals without a device where nearly every row names a person: it may be shared."""
    person = next((each.column for each in proposals if each.argument == "user_id"), None)
    if person is None or sample[person].count() < ALMOST_ALL * len(sample):
        return proposals
    return [
        each
        for each in proposals
        if each.argument != "anonymous_id" or "device" not in words_of(each.column)
    ]


def _take(proposal: Proposal | None, proposals: list[Proposal], free: list[str]) -> None:
    if proposal is not None:
        proposals.append(proposal)
        free.remove(proposal.column)


def _by_name(row: Field, *, sample: pl.DataFrame, free: Iterable[str]) -> Proposal | None:
    ranks = {folded(word): rank for rank, word in reversed(list(enumerate(row.synonyms)))}
    given = [name for name in free if not _is_empty(sample[name])]
    named = [name for name in given if folded(name) in ranks]
    is_exact = bool(named)
    if row.argument == "event" and not named:
        named = [name for name in given if _names_events(sample[name])]
    if not named:
        return None
    column, *others = sorted(named, key=lambda name: ranks.get(folded(name), 0))
    rivals = tuple(others)
    return Proposal(
        argument=str(row.argument),
        column=column,
        confidence="high" if is_exact and not rivals and folded(column) != "id" else "medium",
        reason=f"its name looks like {row.argument}; {_evidence(sample[column], row=row)}{beside(rivals)}",
        rivals=rivals,
    )


def _names_events(values: pl.Series) -> bool:
    """Return whether a column is called the name of an event, whatever else, and its values repeat."""
    *before, last = words_of(values.name) or ("",)
    is_called = last == "name" and not {"event", "events"}.isdisjoint(before)
    return is_called and values.dtype == pl.String and values.n_unique() <= HALF * len(values)


def _person(
    sample: pl.DataFrame, *, call: Call, free: Sequence[str], proposals: Sequence[Proposal]
) -> Proposal | None:
    """Propose the column of the person; where a visitor or a group is named, a doubtful one is not."""
    rows = {row.argument: row for row in call.fields if row.argument in OF_PEOPLE}
    if not rows:
        return None
    words = rows.get("user_id") or rows["id"]
    found = person_columns(sample, call=call, synonyms=words.synonyms, free=free)
    is_named = any(proposal.argument in ("anonymous_id", "group_id") for proposal in proposals)
    if call.name == "form":  # exactly one of the two, rather the address
        found.sort(key=lambda column: column.kind != "address")
    if call.name == "group":
        found = [column for column in found if column.kind == "id"]
    if is_named:
        found = [column for column in found if column.kind in ("id", "address")]
    if not found:
        return None
    chosen = found[0]
    argument = "user_id"
    if call.name == "form":
        argument = "email" if chosen.kind == "address" else "id"
    rivals = tuple(rivals_of(chosen, found, call=call))
    return Proposal(
        argument=argument,
        column=chosen.column,
        confidence="high" if is_certain(chosen) and not rivals else "medium",
        reason=_reason(chosen, sample[chosen.column], argument=argument) + beside(rivals),
        rivals=rivals,
    )


def _reason(chosen: PersonColumn, values: pl.Series, *, argument: str) -> str:
    how = {
        "id": f"its name looks like {argument}; {_distinct(values)}",
        "address": "its values are e-mail addresses, and no column is named like an identifier",
        "role": f"no column is named like an identifier of people; {_distinct(values)}",
        "own": f"no column is named like an identifier of people; {_distinct(values)}",
    }[chosen.kind]
    empty = f"{1 - chosen.filled:.0%} of its cells are empty" if chosen.filled < HALF else ""
    return "; ".join(filter(None, (how, empty, chosen.doubt)))


def _evidence(values: pl.Series, *, row: Field) -> str:
    if row.type in ("id", "email"):
        return _distinct(values)
    return f"its values are {'text' if values.dtype == pl.String else values.dtype}"


def _distinct(values: pl.Series) -> str:
    if share_of_addresses(values) >= ALMOST_ALL:
        return "its values are e-mail addresses"
    filled = values.drop_nulls()
    share = filled.n_unique() / max(len(filled), 1)
    return f"{share:.0%} of its first {len(filled):,} values are distinct"


def _is_empty(values: pl.Series) -> bool:
    return len(values) > 0 and values.null_count() == len(values)
