"""Everyrecord a workspace holds, and the steps that several rules share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address, text
from cio_frames.identity.rules import Change, Rule
from cio_frames.identity.settings import ANONYMOUS_KEPT, ANONYMOUS_LATE, Settings
from cio_frames.identity.state import (
    Attribution,
    Event,
    ObjectKey,
    ObjectRecord,
    People,
    Person,
    Visitor,
    give,
    triggers,
)


@dataclass(slots=True, eq=False, kw_only=True)
class Store:
    """The state of one workspace."""

    settings: Settings
    people: People = field(default_factory=People)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    objects: dict[ObjectKey, ObjectRecord] = field(default_factory=dict)
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    merges: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[int, Change]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    number: int = -1  # which message is being applied, counted from 0
    now: float = 0.0  # when that message was received, in Unix seconds
    times: int = 1  # how many messages just like it were received together

    def visitor(self, anonymous_id: str) -> Visitor:
        """Return who is known by an anonymous id, new if nobody is."""
        visitor = self.visitors.get(anonymous_id)
        if visitor is None:
            visitor = self.visitors[anonymous_id] = Visitor(anonymous_id=anonymous_id)
        return visitor

    def link(self, anonymous_id: str, person: Person) -> Iterator[Change]:
        """Link an anonymous id and what hangs on it to a person (3.3)."""
        visitor = self.visitor(anonymous_id)
        yield from _link(visitor, person, now=self.now, settings=self.settings)
        if visitor.owner is person:
            for record in list(visitor.objects):
                record.hand_over(visitor, person)
                yield self.change(rules.RELATED_LATER, person, subject=str(record.key))

    def create(self, address: Address) -> Person:
        """Create a person with one identifier."""
        person = self.people.create(born=self.now)
        self.people.set_key(person, address.kind, address.value)
        return person

    def refused(self, address: Address) -> Change | None:
        """Return why a call about this identifier is ignored, if it is (3.1, 3.2)."""
        people = self.people
        if not people.suppressed and address.kind in self.settings.identifiers:
            return None
        if self.people.is_suppressed(address):
            return Change(rules.SUPPRESSED_ID, key=str(address))
        if address.kind != "cio_id":
            if address.kind in self.settings.identifiers:
                return None
            return Change(rules.DISABLED_ID, key=str(address))
        if address.value in self.people.by_cio:
            return None
        return Change(rules.CIO_UNKNOWN, key=str(address))

    def delete(self, person: Person) -> Change:
        """Delete a person with events, relationships and devices (3.6)."""
        for event in person.events:
            event.lost = True
        for record in list(person.objects):
            record.unrelate(person)
        self.people.remove(person)
        return Change(rules.DELETED, person=person.cio_id, key=person.label)

    def record(
        self,
        message: Mapping[str, Any],
        *,
        name: str | None,
        person: Person | None,
        timestamp: int,
        properties: dict[str, Any],
    ) -> Event:
        """Keep an event, of a person or (without one) of an anonymous visitor."""
        attribution: Attribution = "anonymous" if person is None else "direct"
        event = Event(
            number=self.number,
            type=message["type"],
            name=name,
            person=person,
            anonymous_id=text(message.get("anonymousId")),
            timestamp=timestamp,
            received=self.now,
            properties=properties,
            message_id=text(message.get("messageId")),
            can_trigger=person is not None and triggers(timestamp, associated=self.now),
            attribution=attribution,
            by_visitor=person is None,
            times=self.times,
        )
        self.events.append(event)
        if person is not None:
            person.events.append(event)
        return event

    def receive(self, anonymous_id: str, event: Event) -> Iterator[Change]:
        """Keep an event for a visitor."""
        return _receive(self.visitor(anonymous_id), event, settings=self.settings)

    def change(self, rule: Rule, person: Person, *, subject: str | None = None) -> Change:
        """Return a change of one person."""
        return Change(rule, person=person.cio_id, key=person.label, subject=subject)


def _link(visitor: Visitor, person: Person, *, now: float, settings: Settings) -> Iterator[Change]:
    """Give an anonymous id to the person that is identified with it (3.3).

    Identifying again with the same pair brings nothing more, unless the workspace follows the
    older text of C22.
    """
    if visitor.owner is person:
        if settings.late_anonymous == "reidentify":
            visitor.linked = now
            yield from _attribute(visitor, person, now=now, settings=settings)
        return
    if visitor.owner is not None:
        yield Change(
            rules.NOT_REUSABLE,
            person=person.cio_id,
            key=person.label,
            other=visitor.owner.cio_id,
            subject=visitor.anonymous_id,
        )
        return
    visitor.owner = person
    visitor.linked = now
    person.anonymous_ids += (visitor.anonymous_id,)
    yield Change(rules.LINKED, person=person.cio_id, key=person.label, subject=visitor.anonymous_id)
    if settings.anonymous_traits == "carry" and visitor.traits:
        person.fill(visitor.traits, stamps={})
    yield from _attribute(visitor, person, now=now, settings=settings)


def _receive(visitor: Visitor, event: Event, *, settings: Settings) -> Iterator[Change]:
    """Keep an anonymous event, or hand it on if its sender was identified just now (3.3)."""
    yield Change(rules.EVENT_ANONYMOUS, key=visitor.anonymous_id, subject=event.name or event.type)
    person = visitor.owner
    if person is None or not person.alive:
        visitor.events.append(event)
    elif not settings.anonymous_merge:
        event.attribution = "off"
        visitor.events.append(event)
        yield _of_event(rules.MERGE_OFF, event, person)
    elif event.received - visitor.linked <= ANONYMOUS_LATE.seconds:
        give(event, person, now=event.received)
        yield _of_event(rules.ATTRIBUTED_LATE, event, person)
    else:
        event.attribution = "late"
        visitor.events.append(event)
        yield _of_event(rules.TOO_LATE, event, person)


def _attribute(
    visitor: Visitor, person: Person, *, now: float, settings: Settings
) -> Iterator[Change]:
    """Move past anonymous events to the person, the last 30 days of them (3.3)."""
    pending, visitor.events = visitor.events, []
    for event in pending:
        if not settings.anonymous_merge:
            event.attribution = "off"
            visitor.events.append(event)
            yield _of_event(rules.MERGE_OFF, event, person)
        elif now - _counted_from(event, settings=settings) <= ANONYMOUS_KEPT.seconds:
            give(event, person, now=now)
            yield _of_event(rules.ATTRIBUTED, event, person)
        else:
            event.attribution = "expired"
            visitor.events.append(event)
            yield _of_event(rules.TOO_OLD, event, person)


def _counted_from(event: Event, *, settings: Settings) -> float:
    """Return when the 30 days of an anonymous event begin."""
    return event.received if settings.anonymous_age == "received" else event.timestamp


def _of_event(rule: rules.Rule, event: Event, person: Person) -> Change:
    return Change(rule, person=person.cio_id, key=person.label, subject=event.name or event.type)
