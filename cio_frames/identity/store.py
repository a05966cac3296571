"""Everything a workspace holds, and the steps that several rules share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.anonymous import Visitor, link, receive
from cio_frames.identity.events import Attribution, Event, triggers
from cio_frames.identity.identifiers import Address, text
from cio_frames.identity.objects import Thing, ThingKey
from cio_frames.identity.rules import Change, Rule
from cio_frames.identity.settings import Settings
from cio_frames.identity.state import People, Person


@dataclass(slots=True, eq=False, kw_only=True)
class Store:
    """The state of one workspace.

    Attributes:
        number: Which message is being applied, counted from 0.
        now: When that message was received, in Unix seconds.
        times: How many messages just like it were received together.
    """

    settings: Settings
    people: People = field(default_factory=People)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    things: dict[ThingKey, Thing] = field(default_factory=dict)
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    merges: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[int, Change]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    number: int = -1
    now: float = 0.0
    times: int = 1

    def visitor(self, anonymous_id: str) -> Visitor:
        """Return who is known by an anonymous id, new if nobody is."""
        visitor = self.visitors.get(anonymous_id)
        if visitor is None:
            visitor = self.visitors[anonymous_id] = Visitor(anonymous_id=anonymous_id)
        return visitor

    def link(self, anonymous_id: str, person: Person) -> Iterator[Change]:
        """Link an anonymous id and what hangs on it to a person (3.3)."""
        visitor = self.visitor(anonymous_id)
        yield from link(visitor, person, now=self.now, settings=self.settings)
        if visitor.owner is person:
            for thing in list(visitor.things):
                thing.hand_over(visitor, person)
                yield self.told(rules.RELATED_LATER, person, subject=str(thing.key))

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
        for thing in list(person.things):
            thing.unrelate(person)
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
        return receive(self.visitor(anonymous_id), event, settings=self.settings)

    def told(self, rule: Rule, person: Person, *, subject: str | None = None) -> Change:
        """Return a change of one person."""
        return Change(rule, person=person.cio_id, key=person.label, subject=subject)
