"""The differences between two states of a workspace: people, objects and relationships."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from cio_frames.identity.model import Model
from cio_frames.identity.state import ObjectKey, ObjectRecord, People, Person, Visitor

What = Literal[
    "person created", "person gone", "identifier", "attribute",
    "object created", "object gone", "object attribute",
    "relationship added", "relationship gone", "relationship attributes", "visitor relationship",
]  # fmt: skip
Same = Callable[[Any, Any], bool]
_KINDS: Final[tuple[Literal["id", "email"], ...]] = ("id", "email")


class Pair(NamedTuple):
    """A person before and after; `before` is None for a new person, `after` for a removed one."""

    before: Person | None
    after: Person | None


class Difference(NamedTuple):
    """One difference."""

    what: What
    before: Person | None = None
    after: Person | None = None
    key: ObjectKey | None = None
    name: str | None = None  # of the attribute, or the kind of the identifier
    former: Any = None  # the former value or attributes; None if there were none


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are equal in JSON.

    Examples:
        >>> is_same(3, 3.0), is_same(1, True), is_same("3", 3)
        (True, False, False)
    """
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def is_same_text(one: Any, other: Any) -> bool:
    """Return whether two values are equal as the text of an export (N3).

    Examples:
        >>> is_same_text("3", 3.0), is_same_text("true", True), is_same_text("", None)
        (True, True, True)
    """
    return is_same(one, other) or _export_text(one) == _export_text(other)


def _export_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value, order="sorted").decode()


def pairs(before: Model, after: Model) -> list[Pair]:
    """Return all people before and after, former people first.

    A person who is gone is paired with a new profile that has one of their identifiers.
    """
    former, current = before.store.people.by_cio, after.store.people
    matched: list[Pair] = []
    taken: set[str] = set()
    for cio_id, person in former.items():
        match = current.by_cio.get(cio_id)
        if match is None:
            new = (holder for holder in _holders(person, current) if holder.cio_id not in former)
            match = next((holder for holder in new if holder.cio_id not in taken), None)
            taken |= set() if match is None else {match.cio_id}
        matched.append(Pair(person, match))
    created = (key for key in current.by_cio if key not in former and key not in taken)
    return [*matched, *(Pair(None, current.by_cio[key]) for key in created)]


def _holders(person: Person, people: People) -> Iterator[Person]:
    """Yield the people who now have the identifiers of a person."""
    for kind in _KINDS:
        value = person.get(kind)
        holder = None if value is None else people.find(kind, value)
        if holder is not None:
            yield holder


def of_people(people: Iterable[Pair], *, same: Same = is_same) -> Iterator[Difference]:
    """Yield the differences between people."""
    for before, after in people:
        if before is None or after is None:
            yield Difference("person created" if before is None else "person gone", before, after)
            continue
        for kind in _KINDS:
            if before.get(kind) != after.get(kind):
                yield Difference("identifier", before, after, None, kind, before.get(kind))
        for name, former in _changed(before.attributes, after.attributes, same=same):
            yield Difference("attribute", before, after, None, name, former)


def of_objects(before: Model, after: Model, *, same: Same = is_same) -> Iterator[Difference]:
    """Yield the differences between objects."""
    former, current = before.store.objects, after.store.objects
    for key, record in former.items():
        if key not in current:
            yield Difference("object gone", key=key, former=record.attributes)
            continue
        for name, value in _changed(record.attributes, current[key].attributes, same=same):
            yield Difference("object attribute", key=key, name=name, former=value)
    yield from (Difference("object created", key=key) for key in current if key not in former)


def of_relationships(
    before: Model, after: Model, people: Sequence[Pair], *, same: Same = is_same
) -> Iterator[Difference]:
    """Yield the differences between relationships."""
    person_before = {after: before for before, after in people if after is not None}
    person_after = {before: after for before, after in people if before is not None}
    for key, holder, attributes in _relationships(before):
        if isinstance(holder, Visitor):
            continue
        person = person_after.get(holder)
        related = _attributes(after.store.objects.get(key), person)
        if related is None:
            yield Difference("relationship gone", holder, person, key, None, attributes)
        elif any(_changed(attributes, related, same=same)):
            yield Difference("relationship attributes", holder, person, key, None, attributes)
    for key, holder, _ in _relationships(after):
        if isinstance(holder, Visitor):
            yield Difference("visitor relationship", key=key)
            continue
        former = person_before.get(holder)
        if _attributes(before.store.objects.get(key), former) is None:
            yield Difference("relationship added", former, holder, key)


def _relationships(
    model: Model,
) -> Iterator[tuple[ObjectKey, Person | Visitor, Mapping[str, Any]]]:
    for key, record in model.store.objects.items():
        for holder, attributes in record.related.items():
            yield key, holder, attributes


def _attributes(record: ObjectRecord | None, holder: Person | None) -> Mapping[str, Any] | None:
    """Return the attributes of a relationship, None if there is none."""
    return None if record is None or holder is None else record.related.get(holder)


def _changed(
    before: Mapping[str, Any], after: Mapping[str, Any], *, same: Same
) -> Iterator[tuple[str, Any]]:
    """Yield name and former value of changed and new attributes."""
    for name, value in before.items():
        if name not in after or not same(value, after[name]):
            yield name, value
    yield from ((name, None) for name in after if name not in before)
