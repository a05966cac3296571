"""Find the columns that may identify the person of a row, the likeliest first, with doubts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from cio_frames.spec import EVENT_CALLS, Call, folded, word_meaning, words_of
from cio_frames.values.patterns import EMAIL_SHAPED

ALMOST_ALL, HALF = 0.9, 0.5
TEXTUAL = (pl.String, pl.Categorical, pl.Enum)

Kind = Literal["id", "address", "role", "generic"]
"""An id of people by its name, addresses, a word such as Customer, or a generic id such as `id`, which
may identify the row."""

_ORDER: dict[bool, tuple[Kind, ...]] = {
    True: ("id", "address", "role", "generic"),  # events: `id` is mostly that of the event
    False: ("id", "generic", "address", "role"),
}
_GENERIC_NAMES = frozenset({"id", "ids", "uuid", "guid", "recordid", "uniqueid"})
_DOUBTS = {
    "distinctid": "make sure that it identifies people, not devices",
    "externalreference": "make sure that it is the person's id",
    "clientid": "make sure that it is a customer, not an app or browser",
    "respondentid": "make sure that it is the id of the person, not of the answers",
}
"""Folded names that identify people in most exports, and something else in others."""
_DOUBTS_BY_KIND: dict[Kind, str] = {
    "role": "make sure that it is an id, not a name",
    "generic": "make sure that it is the id of the person, not of the row",
}
_SEVERAL = "make sure that no cell names several people"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonColumn:
    """A column that may identify the person of each row.

    Attributes:
        rank: Its rank among the columns of its kind; 0 is the likeliest.
        filled: The share of rows with a value.
        doubt: What the user should make sure of, if anything.
    """

    column: str
    kind: Kind
    rank: float
    filled: float
    doubt: str = ""


def person_columns(
    sample: pl.DataFrame, *, call: Call, synonyms: Iterable[str], free: Iterable[str]
) -> list[PersonColumn]:
    """Return the columns that may identify the person, the likeliest first."""
    exact = {folded(word): rank for rank, word in reversed(list(enumerate(synonyms)))}
    candidates = [
        column for name in free if (column := _person_column(sample[name], exact=exact)) is not None
    ]
    order = _ORDER[call.name in EVENT_CALLS or call.name == "form"]
    addresses_repeat = any(
        _has_repeats(sample[column.column]) for column in candidates if column.kind == "address"
    )

    def place(column: PersonColumn) -> tuple[bool, int, float]:
        is_id_of_row = (
            column.kind == "generic"
            and addresses_repeat
            and not _has_repeats(sample[column.column])
        )
        tier = len(order) if is_id_of_row else order.index(column.kind)
        return column.filled < HALF, tier, column.rank

    return sorted(candidates, key=place)


def rivals_of(chosen: PersonColumn, others: Iterable[PersonColumn], *, call: Call) -> Iterator[str]:
    """Yield the other columns that are as likely; in a table of people, generic ids too."""
    kinds: tuple[Kind, ...] = (chosen.kind,)
    if call.name == "identify" and chosen.kind == "id":
        kinds = ("id", "generic")
    for other in others:
        if other.column != chosen.column and other.kind in kinds and other.filled >= HALF:
            yield other.column


def is_certain(chosen: PersonColumn) -> bool:
    """Return whether only a rival can make a column doubtful."""
    by_name = chosen.kind == "id" or (chosen.kind == "address" and chosen.rank <= 1)
    return by_name and not chosen.doubt and chosen.filled >= HALF


def _person_column(values: pl.Series, *, exact: dict[str, int]) -> PersonColumn | None:
    name, filled = values.name, _filled(values)
    words = words_of(name)
    meanings = [word_meaning(word) for word in words]
    if (filled == 0 and len(values)) or "staff" in meanings or not _may_identify(values):
        return None
    key = folded(name)
    kind = _kind(key, words=words, meanings=meanings, exact=exact)
    share = share_of_addresses(values)
    if kind != "id" and share >= (HALF if "email" in meanings else ALMOST_ALL):
        doubt = "" if share >= ALMOST_ALL else f"{1 - share:.0%} of its values are not addresses"
        rank = _address_rank(meanings)
        return PersonColumn(column=name, kind="address", rank=rank, filled=filled, doubt=doubt)
    if kind is None or (kind != "generic" and _is_prose(values)):
        return None
    doubt = _DOUBTS.get(key, _SEVERAL if words[-1] == "ids" else _DOUBTS_BY_KIND.get(kind, ""))
    rank = -1 if "unique" in words else exact.get(key, len(exact))
    return PersonColumn(column=name, kind=kind, rank=rank, filled=filled, doubt=doubt)


def _kind(
    key: str, *, words: tuple[str, ...], meanings: Sequence[str | None], exact: dict[str, int]
) -> Kind | None:
    if key in _GENERIC_NAMES:
        return "generic"
    if key in exact:
        return "id"
    if not words or "visitor" in meanings:
        return None
    if len(words) == 1:
        return "role" if meanings[0] in ("person", "user") else None
    if meanings[-1] == "id":
        return _kind_by_nearest_word(meanings[-2::-1])
    return _kind_by_nearest_word(meanings[1:]) if meanings[0] == "id" else None


def _kind_by_nearest_word(meanings: Sequence[str | None]) -> Kind | None:
    """Return "id" if the first word, apart from neutral ones, is for people."""
    nearest = next((word for word in meanings if word != "neutral"), "thing")
    return "id" if nearest in ("person", "user") else None


def _address_rank(meanings: Sequence[str | None]) -> float:
    """Return the rank of addresses: of a customer, of nobody in particular, of a user, of others."""
    others = {word for word in meanings if word not in ("neutral", "email")}
    if "email" not in meanings and not others & {"person", "user"}:
        return 3
    ranks = {"person": 0.0, "user": 2.0, None: 3.0, "thing": 4.0, "visitor": 5.0, "id": 1.0}
    if "person" in others:
        return ranks["person"]
    return max((ranks[word] for word in others), default=1.0)


def _filled(values: pl.Series) -> float:
    return 1 - values.null_count() / max(len(values), 1)


def _has_repeats(values: pl.Series) -> bool:
    filled = values.drop_nulls()
    return filled.n_unique() < ALMOST_ALL * len(filled)


def share_of_addresses(values: pl.Series) -> float:
    """Return the share of values that look like addresses."""
    return _share(values, EMAIL_SHAPED)


def _share(values: pl.Series, pattern: str) -> float:
    filled = values.drop_nulls()
    if filled.dtype not in TEXTUAL or filled.is_empty():
        return 0.0
    return float(filled.cast(pl.String).str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]


def _may_identify(values: pl.Series) -> bool:
    dtype = values.dtype
    return not (dtype == pl.Boolean or dtype.is_temporal() or dtype.is_nested())


def _is_prose(values: pl.Series) -> bool:
    """Return whether values are several words or phone numbers, which are not ids."""
    return _share(values, r"^\p{L}+[,.]? +\p{L}|^\+\d|^\(\d") >= HALF
