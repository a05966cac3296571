"""Who has refused mail, and whose refusal ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.known_people import CONSENTS, rows

CONSENT: Final = CONSENTS
"""How the attributes begin that say who wants mail."""
_TRUE: Final = (True, 1, "1", "true")
_FALSE: Final = (False, 0, "0", "false")
_KINDS: Final[tuple[IdentifierKind, ...]] = ("cio_id", "id", "email")


@dataclass(frozen=True, slots=True)
class OptedOut:
    """Somebody who refuses mail."""

    identifiers: tuple[tuple[IdentifierKind, str], ...]  # kind and value, the surest first
    refused: frozenset[str]  # `unsubscribed`, or the path of a topic or channel


def refused(attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return what somebody with these attributes refuses.

    Examples:
        >>> topics = {"topic_1": False, "topic_2": True}
        >>> sorted(refused({"unsubscribed": "true", "cio_subscription_preferences": {"topics": topics}}))
        ['topics.topic_1', 'unsubscribed']
    """
    found = {"unsubscribed"} if _is(attributes.get("unsubscribed"), _TRUE) else set()
    preferences = attributes.get("cio_subscription_preferences")
    for kind, each in preferences.items() if isinstance(preferences, dict) else ():
        for name, value in each.items() if isinstance(each, dict) else ():
            if _is(value, _FALSE):
                found.add(f"{kind}.{name}")
    return frozenset(found)


def opted_out(known: pl.DataFrame | None) -> list[OptedOut]:
    """Return the people of an export who refuse mail, or a topic or channel of it."""
    return [] if known is None else list(_opted_out(known))


def _opted_out(known: pl.DataFrame) -> Iterator[OptedOut]:
    if not {"attributes", *CONSENTS} & set(known.columns):
        return
    said = [pl.col(name).is_not_null() for name in CONSENTS if name in known.columns]
    if known.schema.get("attributes") == pl.String:
        said.append(pl.col("attributes").str.contains_any(list(CONSENTS)))
    elif "attributes" in known.columns:
        said.append(pl.col("attributes").is_not_null())
    known = known.filter(pl.any_horizontal(said).fill_null(value=False))
    for row in rows(known):
        found = refused(row.get("attributes") or {})
        named = tuple((kind, row[kind]) for kind in _KINDS if row[kind] is not None)
        if found and named:
            yield OptedOut(named, found)


def names(people: Sequence[OptedOut]) -> pl.Series:
    """Return how messages can name people who refuse mail, folded."""
    values = {
        f"cio_{value}" if kind == "cio_id" else value
        for person in people
        for kind, value in person.identifiers
    }
    return pl.Series(sorted(value.lower() for value in values), dtype=pl.String)


def ended(
    people: Sequence[OptedOut],
    attributes_of: Callable[[IdentifierKind, str], Mapping[str, Any] | None],
) -> int:
    """Return how many refusals are no more, as far as the people are still there.

    Args:
        people: Who refused what before.
        attributes_of: Returns the attributes of whom an identifier leads to in the end.
    """
    count = 0
    for person in people:
        for kind, value in person.identifiers:
            attributes = attributes_of(kind, value)
            if attributes is not None:
                count += len(person.refused - refused(attributes))
                break
    return count


def _is(value: Any, values: Sequence[Any]) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) in values
