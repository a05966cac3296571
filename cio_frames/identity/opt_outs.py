"""People who have opted out of mail, and opt-outs that end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.known_people import CONSENTS, export_rows

_TRUE: Final = (True, 1, "1", "true")
_FALSE: Final = (False, 0, "0", "false")
_KINDS: Final[tuple[IdentifierKind, ...]] = ("cio_id", "id", "email")


@dataclass(frozen=True, slots=True)
class OptedOutPerson:
    """A person who has opted out of mail."""

    identifiers: tuple[tuple[IdentifierKind, str], ...]  # kind and value, the most reliable first
    opt_outs: frozenset[str]  # `unsubscribed`, or the path of a topic or channel


def opt_outs_in(attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return the opt-outs among the attributes of a person.

    Examples:
        >>> topics = {"topic_1": False, "topic_2": True}
        >>> sorted(opt_outs_in({"unsubscribed": "true", "cio_subscription_preferences": {"topics": topics}}))
        ['topics.topic_1', 'unsubscribed']
    """
    paths = {"unsubscribed"} if _is_in(attributes.get("unsubscribed"), _TRUE) else set()
    preferences = attributes.get("cio_subscription_preferences")
    for kind, choices in preferences.items() if isinstance(preferences, dict) else ():
        for name, value in choices.items() if isinstance(choices, dict) else ():
            if _is_in(value, _FALSE):
                paths.add(f"{kind}.{name}")
    return frozenset(paths)


def people_opted_out(exported: pl.DataFrame | None) -> list[OptedOutPerson]:
    """Return the people of an export who have opted out of mail, or of a topic or channel."""
    if exported is None:
        return []
    has_consent = [pl.col(name).is_not_null() for name in CONSENTS if name in exported.columns]
    if exported.schema.get("attributes") == pl.String:
        has_consent.append(pl.col("attributes").str.contains_any(list(CONSENTS)))
    elif "attributes" in exported.columns:
        has_consent.append(pl.col("attributes").is_not_null())
    if not has_consent:
        return []
    consenting = exported.filter(pl.any_horizontal(has_consent).fill_null(value=False))
    people = (
        OptedOutPerson(
            tuple((kind, row[kind]) for kind in _KINDS if row[kind] is not None),
            opt_outs_in(row.get("attributes") or {}),
        )
        for row in export_rows(consenting)
    )
    return [person for person in people if person.identifiers and person.opt_outs]


def folded_identifiers(people: Sequence[OptedOutPerson]) -> pl.Series:
    """Return the references by which messages can name people, in lower case."""
    values = {
        f"cio_{value}" if kind == "cio_id" else value
        for person in people
        for kind, value in person.identifiers
    }
    return pl.Series(sorted(value.lower() for value in values), dtype=pl.String)


def count_ended(
    people: Sequence[OptedOutPerson],
    attributes_of: Callable[[IdentifierKind, str], Mapping[str, Any] | None],
) -> int:
    """Return how many opt-outs have ended, of people who still exist.

    Args:
        people: People with their opt-outs before.
        attributes_of: Returns the attributes of the person who has an identifier in the end.
    """
    count = 0
    for person in people:
        for kind, value in person.identifiers:
            attributes = attributes_of(kind, value)
            if attributes is not None:
                count += len(person.opt_outs - opt_outs_in(attributes))
                break
    return count


def _is_in(value: Any, values: Sequence[Any]) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) in values
