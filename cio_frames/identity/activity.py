"""track, page and screen: who did it, and under which name it is recorded."""

from collections.abc import Iterator, Mapping
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.resolve import Address, address, converted_body, mapping, moment, text
from cio_frames.identity.rules import Change
from cio_frames.identity.semantic import EFFECTS
from cio_frames.identity.store import Store


def track(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a track call; reserved names act instead of being recorded (2.2, 3.6)."""
    name = text(message.get("event")) or ""
    effect = EFFECTS.get(name)
    if effect is not None:
        return effect(store, message)
    if store.settings.trim_event_names:
        name = name.strip()
    if not name:
        return iter((Change(rules.EVENT_BLANK),))
    return _record(store, message, name)


def page(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a page call: Journeys records it under properties.url (2.3)."""
    name = text(mapping(message.get("properties")).get("url"))
    if name is None and store.settings.page_without_url == "named":
        name = text(message.get("name"))
    if name is None:
        return iter((Change(rules.PAGE_NO_URL),))
    return _record(store, message, name)


def screen(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a screen call: recorded under its name, which is optional (2.4)."""
    return _record(store, message, text(message.get("name")))


def _record(store: Store, message: Mapping[str, Any], name: str | None) -> Iterator[Change]:
    """Record an event for userId; anonymousId counts only without one (3.3)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is not None:
        yield from _record_known(store, message, name, who)
        return
    anonymous_id = text(message.get("anonymousId"))
    if anonymous_id is None:
        yield Change(rules.NO_PERSON, subject=message["type"])
        return
    event = store.record(
        message,
        name=name,
        person=None,
        timestamp=moment(message.get("timestamp"), now=store.now),
        properties=_properties(store, message),
    )
    yield from store.receive(anonymous_id, event)


def _record_known(
    store: Store, message: Mapping[str, Any], name: str | None, who: Address
) -> Iterator[Change]:
    """Record an event of a person; what an unknown one does is a setting (3.7)."""
    refused = store.refused(who)
    if refused is not None:
        yield refused
        return
    person = store.people.find(*who)
    if person is None:
        if store.settings.event_for_unknown == "drop":
            yield Change(rules.EVENT_UNKNOWN, key=str(who), subject=name or message["type"])
            return
        person = store.create(who)
        yield Change(rules.CREATED_BY_EVENT, person=person.cio_id, key=str(who))
    store.record(
        message,
        name=name,
        person=person,
        timestamp=moment(message.get("timestamp"), now=store.now),
        properties=_properties(store, message),
    )
    subject = name or message["type"]
    yield Change(rules.EVENT, person=person.cio_id, key=str(who), subject=subject)


def _properties(store: Store, message: Mapping[str, Any]) -> dict[str, Any]:
    properties = mapping(message.get("properties"))
    return converted_body(properties) if store.settings.convert_times else dict(properties)
