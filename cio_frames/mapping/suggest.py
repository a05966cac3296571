"""Which column looks like which field, with the reason for each proposal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from cio_frames.frames import ROW
from cio_frames.spec import EVENT_CALLS, Call, Field, folded, is_other_time, is_time_name
from cio_frames.values import is_time
from cio_frames.values.patterns import EMAIL_SHAPED

ALMOST_ALL = 0.9
UNNAMED = 2
ORDERED_CALLS = ("identify", "group")
OLDER_THAN_THE_LAST_EDIT = "attributes that were edited after that time keep their values"
"""What is said of a time for a call that sets attributes: it orders edits (reference 3.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A column that looks like a field."""

    argument: str  # argument of the verb
    column: str
    # "high" when name and content agree and no other column is named like it, else "medium"
    confidence: str
    reason: str  # why, in a few words


def propose(sample: pl.DataFrame, *, call: Call) -> list[Proposal]:
    """Propose a column for each field of a call that has an argument.

    Returns:
        At most one proposal per argument, and none that takes a column twice.
    """
    proposals: list[Proposal] = []
    free = [name for name in sample.columns if name != ROW]
    for row in call.fields:
        if row.column_argument is None or row.argument == "message_id":
            continue
        if call.name == "form" and row.argument == "id" and _names_someone(proposals, call=call):
            continue
        proposal = _by_name(row, call=call, sample=sample, free=free)
        if proposal is not None:
            proposals.append(proposal)
            free.remove(proposal.column)
    if not any(proposal.argument == "timestamp" for proposal in proposals):
        proposals += _by_times(sample, call=call, free=free)
    if not _names_someone(proposals, call=call):
        proposals += _by_addresses(sample, call=call, free=free) or _by_hint(
            sample, call=call, free=free
        )
    return proposals


def _by_name(
    row: Field, *, call: Call, sample: pl.DataFrame, free: Iterable[str]
) -> Proposal | None:
    ranks = {folded(word): rank for rank, word in reversed(list(enumerate(row.synonyms)))}
    named = [name for name in free if folded(name) in ranks and not _is_empty(sample[name])]
    if not named:
        return None
    column, *rivals = sorted(named, key=lambda name: ranks[folded(name)])
    agrees, evidence = _agrees(sample[column], row=row)
    beside = f" (as does {', '.join(rivals)})" if rivals else ""
    is_order = row.argument == "timestamp" and call.name in ORDERED_CALLS
    told = f"; {OLDER_THAN_THE_LAST_EDIT}" if is_order else ""
    return Proposal(
        argument=str(row.argument),
        column=column,
        confidence="high" if agrees and not rivals and not is_order else "medium",
        reason=f"its name looks like {row.argument}{beside}; {evidence}{told}",
    )


def _by_times(sample: pl.DataFrame, *, call: Call, free: list[str]) -> list[Proposal]:
    """Propose for the time of an event the column that holds times, whatever its name."""
    ranks = {name: time_rank(name, call=call) for name in free}
    likely = {
        name: rank
        for name, rank in ranks.items()
        if rank is not None and _share_of_times(sample[name], counts=rank < UNNAMED) >= ALMOST_ALL
    }
    if not likely:
        return []
    column, *rivals = sorted(likely, key=likely.__getitem__)
    free.remove(column)
    beside = f" (as {'does' if len(rivals) == 1 else 'do'} {', '.join(rivals)})" if rivals else ""
    return [
        Proposal(
            argument="timestamp",
            column=column,
            confidence="medium",
            reason=f"it contains times{beside}; make sure that it is when the event happened",
        )
    ]


def time_rank(name: str, *, call: Call) -> int | None:
    """Return how likely a column that holds times is the time of a call, 0 the likeliest; None if not.

    An `UNNAMED` column has another name than times have; numbers in it may be ids or amounts.
    """
    row = next((row for row in call.fields if row.argument == "timestamp"), None)
    if row is None:
        return None
    if folded(name) in map(folded, row.synonyms):
        return 0
    if call.name not in EVENT_CALLS or is_other_time(name):
        return None
    return 1 if is_time_name(name) else UNNAMED


def _share_of_times(values: pl.Series, *, counts: bool) -> float:
    held = is_time(pl.col(values.name), dtype=values.dtype, counts=counts)
    filled = values.drop_nulls()
    if held is None or filled.is_empty():
        return 0.0
    return float(filled.to_frame().select(held.mean()).item() or 0.0)


def _by_addresses(sample: pl.DataFrame, *, call: Call, free: Sequence[str]) -> list[Proposal]:
    argument = next(
        (row.argument for row in call.fields if row.argument in ("email", "user_id")), None
    )
    texts = [name for name in sample.select(cs.string()).columns if name in free]
    for column in texts if argument else ():
        if _share(sample[column], EMAIL_SHAPED) >= ALMOST_ALL:
            return [
                Proposal(
                    argument=str(argument),
                    column=column,
                    confidence="medium",
                    reason="it contains e-mail addresses, and no column is named like an identifier",
                )
            ]
    return []


def _by_hint(sample: pl.DataFrame, *, call: Call, free: Sequence[str]) -> list[Proposal]:
    """Propose for the person what may also be something else: a name, or the number of the row."""
    names_person = any(
        row.argument == "user_id" and row.required.startswith("one-of:") for row in call.fields
    )
    named = {folded(name): name for name in reversed(free) if not _is_empty(sample[name])}
    column = next((named[word] for word in _HINTS if word in named), None)
    if not names_person or column is None:
        return []
    told = f"no column is named like a person's identifier; make sure that it is {_HINTS[folded(column)]}"
    _, evidence = _agrees_as_id(sample[column])
    return [
        Proposal(
            argument="user_id", column=column, confidence="medium", reason=f"{told}; {evidence}"
        )
    ]


_NOT_A_NAME, _NOT_THE_ROW = "an ID, not a name", "the ID of the person, not of the row"
_HINTS = {
    "customer": _NOT_A_NAME, "user": _NOT_A_NAME, "person": _NOT_A_NAME, "member": _NOT_A_NAME,
    "id": _NOT_THE_ROW,
}  # fmt: skip
"""Names, folded, that hint at a person, the likeliest first, and what else they could mean."""


def _names_someone(proposals: Iterable[Proposal], *, call: Call) -> bool:
    found = {proposal.argument for proposal in proposals}
    required = {
        row.argument
        for row in call.fields
        if row.required.startswith("one-of:") or row.required == "always"
    }
    return bool(
        found & required & {"user_id", "anonymous_id", "group_id", "email", "id", "previous_id"}
    )


def _agrees(values: pl.Series, *, row: Field) -> tuple[bool, str]:
    if row.type in ("id", "email"):
        return _agrees_as_id(values)
    if row.type == "time":
        temporal = values.dtype.is_temporal()
        return (
            temporal,
            "its values are times" if temporal else "its values can be read as times",
        )
    return True, f"its values are {'text' if values.dtype == pl.String else values.dtype}"


def _agrees_as_id(values: pl.Series) -> tuple[bool, str]:
    filled = values.drop_nulls()
    if filled.dtype == pl.String and _share(filled, EMAIL_SHAPED) >= ALMOST_ALL:
        return True, "its values are e-mail addresses"
    share = filled.n_unique() / max(len(filled), 1)
    return True, f"{share:.0%} of its first {len(filled):,} values are distinct"


def _share(values: pl.Series, pattern: str) -> float:
    filled = values.drop_nulls()
    if filled.is_empty():
        return 0.0
    return float(filled.str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]


def _is_empty(values: pl.Series) -> bool:
    return len(values) > 0 and values.null_count() == len(values)
