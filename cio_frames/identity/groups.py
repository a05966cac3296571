"""group: objects, and who is related to them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.anonymous import Visitor
from cio_frames.identity.identifiers import (
    Address,
    address,
    converted_body,
    mapping,
    object_type,
    text,
)
from cio_frames.identity.objects import Thing, ThingKey
from cio_frames.identity.rules import Change
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store
from cio_frames.spec import STRIPPED_TRAITS

TAKEN_OUT: Final = frozenset(STRIPPED_TRAITS)


def group(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a group call: an object, and a relationship if it names somebody (3.5)."""
    traits = mapping(message.get("traits"))
    object_id = text(message.get("groupId"))
    if object_id is None:
        yield Change(rules.OBJECT_MISSING)
        return
    who = address(message.get("userId"), settings=store.settings)
    refused = None if who is None else store.refused(who)
    if refused is not None:
        yield refused
        return
    key = ThingKey(object_type(traits), object_id)
    thing, change = _upsert(store, key)
    yield change
    if thing is None:
        return
    thing.write(_attributes(store, traits))
    yield from _relate(store, thing, message, who)


def relate(
    store: Store,
    holder: Person | Visitor,
    body: Mapping[str, Any],
    *,
    object_id: str,
    attributes: Mapping[str, Any],
) -> Iterator[Change]:
    """Relate somebody to an object, which is created if it is new (3.5)."""
    thing, change = _upsert(store, ThingKey(object_type(body), object_id))
    if thing is None or change.rule is rules.OBJECT_CREATED:
        yield change
    if thing is not None:
        thing.relate(holder, attributes)
        yield _related(holder, thing)


def _relate(
    store: Store, thing: Thing, message: Mapping[str, Any], who: Address | None
) -> Iterator[Change]:
    """The person of a group call: userId alone if both are given, else the visitor (3.3)."""
    attributes = _relationship(store, message)
    anonymous_id = text(message.get("anonymousId"))
    if who is not None:
        person = store.people.find(*who)
        if person is None and store.settings.group_for_unknown == "object-only":
            yield Change(rules.RELATE_UNKNOWN, key=str(who), subject=str(thing.key))
            return
        if person is None:
            person = store.create(who)
            yield Change(rules.CREATED_BY_GROUP, person=person.cio_id, key=str(who))
        thing.relate(person, attributes)
        yield _related(person, thing)
    elif anonymous_id is not None:
        visitor = store.visitor(anonymous_id)
        owner = visitor.owner
        holder = visitor if owner is None or not owner.alive else owner
        thing.relate(holder, attributes)
        yield _related(holder, thing)


def _upsert(store: Store, key: ThingKey) -> tuple[Thing | None, Change]:
    """Find or create an object; its type must exist in the workspace (3.5)."""
    types = store.settings.object_types
    if types is not None and key.object_type not in types:
        return None, Change(rules.OBJECT_TYPE_UNKNOWN, subject=str(key))
    thing = store.things.get(key)
    if thing is not None:
        return thing, Change(rules.OBJECT_UPDATED, subject=str(key))
    thing = store.things[key] = Thing(key=key)
    return thing, Change(rules.OBJECT_CREATED, subject=str(key))


def _related(holder: Person | Visitor, thing: Thing) -> Change:
    if isinstance(holder, Person):
        return Change(rules.RELATED, person=holder.cio_id, key=holder.label, subject=str(thing.key))
    return Change(rules.RELATED_ANONYMOUS, key=holder.anonymous_id, subject=str(thing.key))


def _attributes(store: Store, traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object's attributes: without type and relationship, created_at mapped (2.5)."""
    kept = {name: value for name, value in traits.items() if name not in TAKEN_OUT}
    created = traits.get("created_at")
    created = traits.get("createdAt") if created is None else created
    if created:
        kept["created_at"] = created
    return converted_body(kept) if store.settings.convert_times else kept


def _relationship(store: Store, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes of the relationship (2.5)."""
    attributes = mapping(mapping(message.get("traits")).get("relationshipAttributes"))
    return converted_body(attributes) if store.settings.convert_times else attributes
