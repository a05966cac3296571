"""track, page and screen: who did it, and under which name it is recorded."""

from collections.abc import Iterable, Mapping
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.events import Event
from cio_frames.identity.identifiers import Address, address, converted_body, mapping, moment, text
from cio_frames.identity.rules import Change
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store


def track(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a track call; reserved names act instead of being recorded (2.2, 3.6)."""
    name = text(message.get("event")) or ""
    effect = EFFECTS.get(name)
    if effect is not None:
        return effect(store, message)
    if store.settings.trim_event_names:
        name = name.strip()
    return _record(store, message, name) if name else (Change(rules.EVENT_BLANK),)


def page(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a page call: Journeys records it under properties.url (2.3)."""
    name = text(mapping(message.get("properties")).get("url"))
    if name is None and store.settings.page_without_url == "named":
        name = text(message.get("name"))
    return (Change(rules.PAGE_NO_URL),) if name is None else _record(store, message, name)


def screen(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a screen call: recorded under its name, which is optional (2.4)."""
    return _record(store, message, text(message.get("name")))


def _record(store: Store, message: Mapping[str, Any], name: str | None) -> Iterable[Change]:
    """Record an event for userId; anonymousId counts only without one (3.3)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is not None:
        return _record_known(store, message, name, who)
    anonymous_id = text(message.get("anonymousId"))
    if anonymous_id is None:
        return (Change(rules.NO_PERSON, subject=message["type"]),)
    event = _event(store, message, name, None)
    return store.receive(anonymous_id, event)


def _record_known(
    store: Store, message: Mapping[str, Any], name: str | None, who: Address
) -> list[Change]:
    """Record an event of a person; what an unknown one does is a setting (3.7)."""
    refused = store.refused(who)
    if refused is not None:
        return [refused]
    key, subject = str(who), name or message["type"]
    changes = []
    person = store.people.find(*who)
    if person is None:
        if store.settings.event_for_unknown == "drop":
            return [Change(rules.EVENT_UNKNOWN, key=key, subject=subject)]
        person = store.create(who)
        changes.append(Change(rules.CREATED_BY_EVENT, person=person.cio_id, key=key))
    _event(store, message, name, person)
    changes.append(Change(rules.EVENT, person=person.cio_id, key=key, subject=subject))
    return changes


def _event(
    store: Store, message: Mapping[str, Any], name: str | None, person: Person | None
) -> Event:
    properties = mapping(message.get("properties"))
    return store.record(
        message,
        name=name,
        person=person,
        timestamp=moment(message.get("timestamp"), now=store.now),
        properties=converted_body(properties) if store.settings.convert_times else dict(properties),
    )
