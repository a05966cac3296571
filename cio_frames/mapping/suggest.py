"""Propose columns for the fields of a call, with a reason for each."""

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
from cio_frames.mapping.proposal import Proposal, rivals_clause
from cio_frames.mapping.times import propose_time
from cio_frames.spec import CALLS, RESERVED_TRAITS, Call, Field, folded, words_of

PERSON_ARGUMENTS = ("user_id", "email", "id")
"""The arguments that identify a person; a list of names is not enough to find their columns."""

_SNAKE_CASE = {"createdAt": "created_at"}
_TRAITS_BY_NAME = {
    folded(word): _SNAKE_CASE.get(field.path[1], field.path[1])
    for field in CALLS["identify"].fields
    if field.path[0] == "traits" and field.synonyms
    for word in field.synonyms
} | {
    folded(word): row.name
    for row in RESERVED_TRAITS.values()
    if row.settable and row.of == "person"
    for word in (row.name, *row.synonyms)
}


def propose(sample: pl.DataFrame, *, call: Call) -> list[Proposal]:
    """Propose a column for each field of a call that has an argument.

    Returns:
        At most one proposal per argument, each with another column.
    """
    proposals: list[Proposal] = []
    free = [name for name in sample.columns if name != ROW]
    by_name = call.name == "alias"  # only names show which of two people is kept
    for row in call.fields:
        if row.column_argument is None or row.argument in ("message_id", "timestamp"):
            continue
        if row.argument in PERSON_ARGUMENTS and not by_name:
            continue
        _add(_propose_by_name(row, sample=sample, free=free), proposals, free)
    if not by_name:
        _add(_propose_person(sample, call=call, free=free, proposals=proposals), proposals, free)
    _add(propose_time(sample, call=call, free=free), proposals, free)
    proposals = _without_devices(proposals, sample=sample)
    order = [row.argument for row in call.fields]
    return sorted(proposals, key=lambda proposal: order.index(proposal.argument))


def propose_traits(sample: pl.DataFrame, *, call: Call, taken: Iterable[str]) -> list[Proposal]:
    """Propose the columns with almost the name of an attribute that Customer.io acts on."""
    if call.name != "identify":
        return []
    columns_by_trait: dict[str, list[str]] = {}
    for name in sample.columns:
        trait = intended_trait(name)
        if (
            trait
            and trait not in sample.columns
            and name not in taken
            and not _is_empty(sample[name])
        ):
            columns_by_trait.setdefault(trait, []).append(name)
    return [
        Proposal(
            argument=f"traits.{trait}",
            column=column,
            confidence="medium",
            reason=f'Customer.io acts on {trait} only; plan.fix("name.nearly") sends {column} under '
            f"that name{rivals_clause(tuple(rivals))}",
            rivals=tuple(rivals),
        )
        for trait, (column, *rivals) in columns_by_trait.items()
        if trait in RESERVED_TRAITS
    ]


def intended_trait(name: str) -> str | None:
    """Return the trait that a column name stands for; None if Customer.io does not act on it.

    Examples:
        >>> intended_trait("E-Mail"), intended_trait("Created"), intended_trait("Phone"), intended_trait("plan")
        ('email', 'created_at', 'phone', None)
    """
    return _TRAITS_BY_NAME.get(folded(name))


def _without_devices(proposals: list[Proposal], *, sample: pl.DataFrame) -> list[Proposal]:
    """Return proposals without a device if almost every row has a person: several may share it."""
    person = next(
        (proposal.column for proposal in proposals if proposal.argument == "user_id"), None
    )
    if person is None or sample[person].count() < ALMOST_ALL * len(sample):
        return proposals
    return [
        proposal
        for proposal in proposals
        if proposal.argument != "anonymous_id" or "device" not in words_of(proposal.column)
    ]


def _add(proposal: Proposal | None, proposals: list[Proposal], free: list[str]) -> None:
    if proposal is not None:
        proposals.append(proposal)
        free.remove(proposal.column)


def _propose_by_name(row: Field, *, sample: pl.DataFrame, free: Iterable[str]) -> Proposal | None:
    ranks = {folded(word): rank for rank, word in reversed(list(enumerate(row.synonyms)))}
    filled_columns = [name for name in free if not _is_empty(sample[name])]
    named = [name for name in filled_columns if folded(name) in ranks]
    is_exact = bool(named)
    if row.argument == "event" and not named:
        named = [name for name in filled_columns if _names_events(sample[name])]
    if not named:
        return None
    column, *others = sorted(named, key=lambda name: ranks.get(folded(name), 0))
    rivals = tuple(others)
    return Proposal(
        argument=str(row.argument),
        column=column,
        confidence="high" if is_exact and not rivals and folded(column) != "id" else "medium",
        reason=f"its name looks like {row.argument}; {_evidence(sample[column], row=row)}{rivals_clause(rivals)}",
        rivals=rivals,
    )


def _names_events(values: pl.Series) -> bool:
    """Return whether a column is named like "event name", and its values repeat."""
    *before, last = words_of(values.name) or ("",)
    is_named = last == "name" and not {"event", "events"}.isdisjoint(before)
    return is_named and values.dtype == pl.String and values.n_unique() <= HALF * len(values)


def _propose_person(
    sample: pl.DataFrame, *, call: Call, free: Sequence[str], proposals: Sequence[Proposal]
) -> Proposal | None:
    """Propose the column of the person; next to a visitor or a group, only a likely one."""
    rows = {row.argument: row for row in call.fields if row.argument in PERSON_ARGUMENTS}
    if not rows:
        return None
    words = rows.get("user_id") or rows["id"]
    columns = person_columns(sample, call=call, synonyms=words.synonyms, free=free)
    is_named = any(proposal.argument in ("anonymous_id", "group_id") for proposal in proposals)
    if call.name == "form":  # exactly one of the two, preferably the address
        columns.sort(key=lambda column: column.kind != "address")
    if call.name == "group":
        columns = [column for column in columns if column.kind == "id"]
    if is_named:
        columns = [column for column in columns if column.kind in ("id", "address")]
    if not columns:
        return None
    chosen = columns[0]
    argument = "user_id"
    if call.name == "form":
        argument = "email" if chosen.kind == "address" else "id"
    rivals = tuple(rivals_of(chosen, columns, call=call))
    return Proposal(
        argument=argument,
        column=chosen.column,
        confidence="high" if is_certain(chosen) and not rivals else "medium",
        reason=_reason(chosen, sample[chosen.column], argument=argument) + rivals_clause(rivals),
        rivals=rivals,
    )


def _reason(chosen: PersonColumn, values: pl.Series, *, argument: str) -> str:
    how = {
        "id": f"its name looks like {argument}; {_distinct(values)}",
        "address": "its values are e-mail addresses, and no column is named like an identifier",
        "role": f"no column is named like an identifier of people; {_distinct(values)}",
        "generic": f"no column is named like an identifier of people; {_distinct(values)}",
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
