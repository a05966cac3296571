"""Which columns may name the person of a row, the likeliest first, and what speaks against each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from cio_frames.spec import EVENT_CALLS, Call, folded, word_meaning, words_of
from cio_frames.values.patterns import EMAIL_SHAPED

ALMOST_ALL, HALF = 0.9, 0.5
TEXTUAL = (pl.String, pl.Categorical, pl.Enum)

Kind = Literal["id", "address", "role", "own"]
"""An id of people by its name, addresses, a word such as Customer, or an id that may be the row's own."""

_ORDER: dict[bool, tuple[Kind, ...]] = {
    True: ("id", "address", "role", "own"),  # events: an id alone is mostly that of the event
    False: ("id", "own", "address", "role"),
}
_OWN_NAMES = frozenset({"id", "ids", "uuid", "guid", "recordid", "uniqueid"})
_DOUBTS = {
    "distinctid": "make sure that it names known people and not devices",
    "externalreference": "make sure that it is the person's id",
    "clientid": "make sure that it is a customer and no app or browser",
    "respondentid": "make sure that it is the person's id and not that of the answers",
}
"""Names, folded, that mean people in most exports and something else in some."""
_UNSURE: dict[Kind, str] = {
    "role": "make sure that it is an id and no name",
    "own": "make sure that it is the person's id and not the row's own",
}
_SEVERAL = "make sure that no cell names several people"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonColumn:
    """A column that may name the person of each row.

    Attributes:
        rank: How likely among those of its kind, 0 the likeliest.
        filled: Share of the rows that have a value.
        doubt: What to make sure of, if anything.
    """

    column: str
    kind: Kind
    rank: float
    filled: float
    doubt: str = ""


def person_columns(
    sample: pl.DataFrame, *, call: Call, synonyms: Iterable[str], free: Iterable[str]
) -> list[PersonColumn]:
    """Return the columns that may name the person, the likeliest first."""
    exact = {folded(word): rank for rank, word in reversed(list(enumerate(synonyms)))}
    found = [
        column for name in free if (column := _person_column(sample[name], exact=exact)) is not None
    ]
    order = _ORDER[call.name in EVENT_CALLS or call.name == "form"]
    repeats = any(_repeats(sample[column.column]) for column in found if column.kind == "address")

    def place(column: PersonColumn) -> tuple[bool, int, float]:
        is_rows_own = column.kind == "own" and repeats and not _repeats(sample[column.column])
        tier = len(order) if is_rows_own else order.index(column.kind)
        return column.filled < HALF, tier, column.rank

    return sorted(found, key=place)


def rivals_of(chosen: PersonColumn, others: Iterable[PersonColumn], *, call: Call) -> Iterator[str]:
    """Yield the other columns that could as well be meant, those of a table of people with its id."""
    alike: tuple[Kind, ...] = (chosen.kind,)
    if call.name == "identify" and chosen.kind == "id":
        alike = ("id", "own")
    for other in others:
        if other.column != chosen.column and other.kind in alike and other.filled >= HALF:
            yield other.column


def is_certain(chosen: PersonColumn) -> bool:
    """Return whether nothing but a rival can speak against a column."""
    by_name = chosen.kind == "id" or (chosen.kind == "address" and chosen.rank <= 1)
    return by_name and not chosen.doubt and chosen.filled >= HALF


def _person_column(values: pl.Series, *, exact: dict[str, int]) -> PersonColumn | None:
    name, filled = values.name, _filled(values)
    words = words_of(name)
    meanings = [word_meaning(word) for word in words]
    if (filled == 0 and len(values)) or "staff" in meanings or _is_no_identifier(values):
        return None
    key = folded(name)
    kind = _kind(key, words=words, meanings=meanings, exact=exact)
    share = share_of_addresses(values)
    if kind != "id" and share >= (HALF if "email" in meanings else ALMOST_ALL):
        doubt = "" if share >= ALMOST_ALL else f"{1 - share:.0%} of its values are no addresses"
        rank = _address_rank(meanings)
        return PersonColumn(column=name, kind="address", rank=rank, filled=filled, doubt=doubt)
    if kind is None or (kind != "own" and _is_prose(values)):
        return None
    doubt = _DOUBTS.get(key, _SEVERAL if words[-1] == "ids" else _UNSURE.get(kind, ""))
    rank = -1 if "unique" in words else exact.get(key, len(exact))
    return PersonColumn(column=name, kind=kind, rank=rank, filled=filled, doubt=doubt)


def _kind(
    key: str, *, words: tuple[str, ...], meanings: Sequence[str | None], exact: dict[str, int]
) -> Kind | None:
    if key in _OWN_NAMES:
        return "own"
    if key in exact:
        return "id"
    if not words or "visitor" in meanings:
        return None
    if len(words) == 1:
        return "role" if meanings[0] in ("person", "user") else None
    if meanings[-1] == "id":
        return _named_before(meanings[-2::-1])
    return _named_before(meanings[1:]) if meanings[0] == "id" else None


def _named_before(meanings: Sequence[str | None]) -> Kind | None:
    """Return whether the word nearest to that for an id, apart from neutral ones, is for people."""
    nearest = next((word for word in meanings if word != "neutral"), "thing")
    return "id" if nearest in ("person", "user") else None


def _address_rank(meanings: Sequence[str | None]) -> float:
    """Return the rank of addresses: a customer's, plain ones, a user's, others, those of no person."""
    told = {word for word in meanings if word not in ("neutral", "email")}
    if "email" not in meanings and not told & {"person", "user"}:
        return 3
    ranks = {"person": 0.0, "user": 2.0, None: 3.0, "thing": 4.0, "visitor": 5.0, "id": 1.0}
    if "person" in told:
        return ranks["person"]
    return max((ranks[word] for word in told), default=1.0)


def _filled(values: pl.Series) -> float:
    return 1 - values.null_count() / max(len(values), 1)


def _repeats(values: pl.Series) -> bool:
    given = values.drop_nulls()
    return given.n_unique() < ALMOST_ALL * len(given)


def share_of_addresses(values: pl.Series) -> float:
    """Return the share of values that look like addresses."""
    return _share(values, EMAIL_SHAPED)


def _share(values: pl.Series, pattern: str) -> float:
    given = values.drop_nulls()
    if given.dtype not in TEXTUAL or given.is_empty():
        return 0.0
    return float(given.cast(pl.String).str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]


def _is_no_identifier(values: pl.Series) -> bool:
    return values.dtype == pl.Boolean or values.dtype.is_temporal() or values.dtype.is_nested()


def _is_prose(values: pl.Series) -> bool:
    """Return whether values are of several words, or phone numbers: names and phones are no ids."""
    return _share(values, r"^\p{L}+[,.]? +\p{L}|^\+\d|^\(\d") >= HALF
