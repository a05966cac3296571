"""The contents of a workspace: people, visitors, events and objects, and steps that rules share."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address, IdentifierKind, text
from cio_frames.identity.person_events import PersonEvents
from cio_frames.identity.rules import Change, Rule
from cio_frames.identity.settings import ANONYMOUS_KEPT, ANONYMOUS_LATE, CAMPAIGN, Settings
from cio_frames.spec import FLAT_PREFIXES

Attribution = Literal["direct", "group", "linked", "moved", "anonymous", "expired", "late", "off"]
Unattributed = Literal["expired", "late", "off"]
Removal = Literal["delete", "suppress"]
LONG_AGO: Final = -(10**12)
EMPTY: Final = (None, "")
MADE_UP: Final = "c10"
"""The prefix of the cio_ids of new people; nine hexadecimal digits follow."""
_UNATTRIBUTED: Final[Mapping[Unattributed, Rule]] = {
    "expired": rules.TOO_OLD,
    "late": rules.TOO_LATE,
    "off": rules.MERGE_OFF,
}
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{9}").fullmatch


@dataclass(slots=True, eq=False, kw_only=True)
class Person:
    """One profile."""

    cio_id: str
    age: tuple[bool, float, int]  # sorts older profiles first: loaded ones, then by creation
    id: str | None = None
    email: str | None = None
    alive: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)
    # The time of all attributes, while they have the same one
    stamp: int = LONG_AGO
    # The time of each attribute once they differ, removed ones included
    stamps: dict[str, int] | None = None
    anonymous_ids: tuple[str, ...] | deque[str] = ()  # a deque after merges: both ends grow
    devices: dict[str, dict[str, Any]] | None = None
    successor: "Person | None" = None  # the person they were merged into
    # None if empty, as they are for most people: that saves a fifth of the memory
    _events: "PersonEvents[Event] | None" = None
    _objects: "dict[ObjectRecord, None] | None" = None

    @property
    def events(self) -> "PersonEvents[Event]":
        """The events of the person."""
        if self._events is None:
            self._events = PersonEvents()
        return self._events

    @property
    def objects(self) -> "dict[ObjectRecord, None]":
        """The objects that the person is related to."""
        if self._objects is None:
            self._objects = {}
        return self._objects

    def get(self, kind: IdentifierKind) -> str | None:
        """Return the person's identifier of one kind."""
        if kind == "id":
            return self.id
        return self.email if kind == "email" else self.cio_id

    def add_anonymous(self, anonymous_id: str) -> None:
        """Add an anonymous id."""
        if isinstance(self.anonymous_ids, deque):
            self.anonymous_ids.append(anonymous_id)
        else:
            self.anonymous_ids += (anonymous_id,)

    def addresses(self) -> list[Address]:
        """Return every identifier that is set."""
        keys = [Address("cio_id", self.cio_id)]
        if self.id is not None:
            keys.append(Address("id", self.id))
        if self.email is not None:
            keys.append(Address("email", self.email))
        return keys

    @property
    def existed(self) -> bool:
        """Whether the profile was there before the first message."""
        return not self.age[0]

    @property
    def label(self) -> str:
        """The identifier that readers know best."""
        return self.id or self.email or f"cio_{self.cio_id}"

    def write(self, attributes: Mapping[str, Any], *, at: int, settings: Settings) -> list[str]:
        """Set attributes as an identify of time `at` does; return those that keep a newer value.

        The latest timestamp wins, in whatever order they arrive (3.7); null removes (section 6).
        """
        kept = []
        self._prepare_stamps(at)
        for name, value in attributes.items():
            if value is None and settings.null_attribute == "ignore":
                continue
            if not self._wins(name, at, settings=settings):
                if self._value(name) != value:
                    kept.append(name)
            elif value is None and settings.null_attribute == "remove":
                self._split_stamps()[name] = at
                self.attributes.pop(name, None)
            elif name.startswith(FLAT_PREFIXES):
                self._set_preference(name, value)
            else:
                self.attributes[name] = value
        return kept

    def fill(self, other: "Mapping[str, Any]", *, stamps: Mapping[str, int]) -> None:
        """Take attributes that are unset or empty here (3.2a, 3.4)."""
        for name, value in other.items():
            if value in EMPTY or self.attributes.get(name) not in EMPTY:
                continue
            self._split_stamps()[name] = stamps.get(name, LONG_AGO)
            self.attributes[name] = value

    def all_stamps(self) -> dict[str, int]:
        """Return when each attribute was written."""
        if self.stamps is not None:
            return self.stamps
        return dict.fromkeys(self.attributes, self.stamp)

    def _prepare_stamps(self, at: int) -> None:
        """Keep one time for all attributes until one with another time is written."""
        if self.stamps is None and at != self.stamp:
            if self.attributes:
                self._split_stamps()
            else:
                self.stamp = at

    def _split_stamps(self) -> dict[str, int]:
        if self.stamps is None:
            self.stamps = self.all_stamps()
        return self.stamps

    def _wins(self, name: str, at: int, *, settings: Settings) -> bool:
        """Return whether a value of time `at` replaces the current one; if so, remember that time."""
        if self.stamps is None:
            return True
        if settings.attribute_order == "timestamp" and self.stamps.get(name, LONG_AGO) > at:
            return False
        self.stamps[name] = at
        return True

    def _value(self, name: str) -> Any:
        """Return the value of an attribute or of one subscription preference."""
        if not name.startswith(FLAT_PREFIXES):
            return self.attributes.get(name)
        node: Any = self.attributes
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    def _set_preference(self, path: str, value: Any) -> None:
        """Set one subscription preference by its dotted path, and keep the others (2.1)."""
        *parents, last = path.split(".")
        node = self.attributes
        for name in parents:
            child = node.get(name)
            node[name] = node = dict(child) if isinstance(child, dict) else {}
        node[last] = value


def final_person(person: Person | None) -> Person | None:
    """Return the person whom a person has become by merges, and shorten the path to them."""
    if person is None or person.successor is None:
        return person
    last = person.successor
    while last.successor is not None:
        last = last.successor
    while person is not last and person.successor is not None:
        person.successor, person = last, person.successor
    return last


def change_of(
    rule: Rule,
    person: Person,
    *,
    other: str | None = None,
    subject: str | None = None,
    settings: tuple[str, ...] = (),
) -> Change:
    """Return a change of one person."""
    return Change(rule, person.cio_id, person.label, other, subject, settings)


class People:
    """All profiles of a workspace by their identifiers."""

    def __init__(self) -> None:
        self.by_cio: dict[str, Person] = {}
        self.by_id: dict[str, Person] = {}
        self.by_email: dict[str, Person] = {}
        self.suppressed: dict[tuple[IdentifierKind, str], tuple[Address, ...]] = {}
        self._made = 0

    def find(self, kind: IdentifierKind, value: str) -> Person | None:
        """Return the person with an identifier; e-mails are compared without case (3.1)."""
        if kind == "id":
            return self.by_id.get(value)
        if kind == "email":
            return self.by_email.get(value.lower())
        return self.by_cio.get(value)

    def create(self, *, born: float, cio_id: str | None = None, loaded: bool = False) -> Person:
        """Add a profile without identifiers; loaded ones are older than all others."""
        self._made += 1
        if cio_id is not None and cio_id.startswith(MADE_UP):  # continue counting after it
            digits = cio_id.removeprefix(MADE_UP)
            self._made = max(self._made, int(digits, 16) if _HEXADECIMAL(digits) else 0)
        person = Person(cio_id=cio_id or self._free_cio_id(), age=(not loaded, born, self._made))
        self.by_cio[person.cio_id] = person
        return person

    def _free_cio_id(self) -> str:
        """Return the next `cio_id`: a counter, so that equal inputs give equal ids."""
        while (cio_id := f"{MADE_UP}{self._made:09x}") in self.by_cio:
            self._made += 1
        return cio_id

    def set_key(self, person: Person, kind: IdentifierKind, value: str) -> None:
        """Give a person an identifier that nobody else has."""
        if kind == "id":
            if person.id is not None:
                del self.by_id[person.id]
            person.id = value
            self.by_id[value] = person
        elif kind == "email":
            if person.email is not None:
                del self.by_email[person.email.lower()]
            person.email = value
            key = value.lower()
            self.by_email[value if key == value else key] = person  # without a second string

    def remove(self, person: Person) -> None:
        """Delete a profile; its identifiers are free again (3.6: can be re-created)."""
        person.alive = False
        del self.by_cio[person.cio_id]
        if person.id is not None:
            del self.by_id[person.id]
        if person.email is not None:
            del self.by_email[person.email.lower()]

    def suppress(self, addresses: list[Address]) -> None:
        """Block identifiers together: lifting one lifts all (TRACK, suppress and unsuppress)."""
        group = tuple(addresses)
        for item in group:
            self.suppressed[item.key] = group

    def unsuppress(self, item: Address) -> tuple[Address, ...]:
        """Allow an identifier and those that were blocked with it; returns them."""
        group = self.suppressed.get(item.key, ())
        for member in group:
            self.suppressed.pop(member.key, None)
        return group

    def is_suppressed(self, item: Address | None) -> bool:
        """Return whether calls about this identifier are ignored (3.2 row 7)."""
        return bool(self.suppressed) and item is not None and item.key in self.suppressed


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """One event of a person or of an anonymous visitor."""

    number: int  # of its message, counted from 0
    type: str
    name: str | None
    owner: Person | None  # its person before any merge
    anonymous_id: str | None
    timestamp: int
    received: float
    properties: dict[str, Any]
    message_id: str | None
    triggered: bool  # whether it could start campaigns before any merge
    first_attribution: Attribution  # how it got its owner, or why it has none, before any merge
    by_visitor: bool  # whether its message named no person
    times: int = 1  # how many equal events it represents
    lost: bool = False  # whether it was deleted with its person
    is_reidentified: bool = (
        False  # whether it has a person only because they identified again (C22)
    )

    @property
    def person(self) -> Person | None:
        """Its person after all merges."""
        return final_person(self.owner)

    @property
    def is_moved(self) -> bool:
        """Whether a merge has moved it to another person, so that it starts no campaigns (3.4)."""
        return self.owner is not None and self.owner.successor is not None

    @property
    def can_trigger(self) -> bool:
        """Whether it can start campaigns."""
        return self.triggered and not self.is_moved

    @property
    def attribution(self) -> Attribution:
        """How it got its person, or why it has none."""
        return "moved" if self.is_moved else self.first_attribution

    @property
    def open(self) -> tuple[str, ...]:
        """The open settings on which its existence or its person rests."""
        unnamed = self.type == "page" and text(self.properties.get("url")) is None
        late = self.attribution == "late" or self.is_reidentified
        return ("page_without_url",) * unnamed + ("late_anonymous",) * late

    def change(self, rule: Rule, person: Person) -> Change:
        """Return a change of the event, which concerns a person."""
        return change_of(rule, person, subject=self.name or self.type, settings=self.open)

    def row(self) -> dict[str, Any]:
        """Return the event as a row."""
        return {
            "name": self.name,
            "type": self.type,
            "person": None if self.person is None else self.person.cio_id,
            "anonymous_id": self.anonymous_id,
            "timestamp": datetime.fromtimestamp(self.timestamp, tz=UTC),
            "received_at": datetime.fromtimestamp(self.received, tz=UTC),
            "properties": self.properties,
            "message_id": self.message_id,
            "can_trigger_campaigns": self.can_trigger,
            "attribution": self.attribution,
            "number": self.number,
        }


def can_trigger(timestamp: int, *, associated: float) -> bool:
    """Return whether an event that gets its person now can start campaigns (3.3, 3.8)."""
    return associated - timestamp <= CAMPAIGN.seconds


@dataclass(slots=True, eq=False, kw_only=True)
class Visitor:
    """A visitor, who has an anonymous id."""

    anonymous_id: str
    # The owner of the anonymous id, permanently, even if that person is deleted (3.3: not reusable)
    linked_to: Person | None = None
    linked: float = 0.0  # when it was linked, or last identified with its owner again
    first: float = 0.0  # when it was linked
    traits: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    objects: "dict[ObjectRecord, None]" = field(default_factory=dict)

    @property
    def owner(self) -> Person | None:
        """The owner of the anonymous id, after all merges."""
        return final_person(self.linked_to)

    def row(self) -> dict[str, Any]:
        """Return the visitor as a row."""
        return {
            "anonymous_id": self.anonymous_id,
            "person": None if self.owner is None else self.owner.cio_id,
            "attributes": dict(self.traits),
            "events": len(self.events),
            "relationships": len(self.objects),
        }


class ObjectKey(NamedTuple):
    """What identifies an object: its type and its id (3.5)."""

    object_type: str
    object_id: str

    def __str__(self) -> str:
        return f"{self.object_type}/{self.object_id!r}"


@dataclass(slots=True, eq=False, kw_only=True)
class ObjectRecord:
    """One object and its relationships."""

    key: ObjectKey
    attributes: dict[str, Any] = field(default_factory=dict)
    related: dict[Person | Visitor, dict[str, Any]] = field(default_factory=dict)
    lost_by: tuple[str, ...] = ()  # the open settings by which it has lost relationships
    # The open settings that relationships rest on
    open: dict[Person | Visitor, tuple[str, ...]] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)  # the time of each attribute

    def write(self, attributes: Mapping[str, Any], *, at: int, settings: Settings) -> list[str]:
        """Set attributes of the object; null and "" remove (3.5).

        Returns:
            Those with a newer value, which they keep if the latest timestamp wins (3.7).
        """
        newer = [
            name
            for name, value in attributes.items()
            if self.stamps.get(name, LONG_AGO) > at
            and self.attributes.get(name) != (None if value in EMPTY else value)
        ]
        kept = newer if settings.object_order == "timestamp" else ()
        _write(
            self.attributes,
            {name: value for name, value in attributes.items() if name not in kept},
        )
        for name in attributes:
            self.stamps[name] = max(at, self.stamps.get(name, LONG_AGO))
        return newer

    def relate(self, holder: Person | Visitor, attributes: Mapping[str, Any]) -> None:
        """Relate a person or visitor to the object, or update the relationship; null and "" remove."""
        _write(self.related.setdefault(holder, {}), attributes)
        holder.objects[self] = None

    def unrelate(self, holder: Person | Visitor) -> bool:
        """Remove a relationship; return whether there was one."""
        holder.objects.pop(self, None)
        self.open.pop(holder, None)
        return self.related.pop(holder, None) is not None

    def hand_over(self, holder: Person | Visitor, successor: Person) -> None:
        """Move a relationship; values that the successor already has stay."""
        attributes = self.related.get(holder, {})
        own = self.related.get(successor, {})
        settings = self.open.get(holder, ())
        self.unrelate(holder)
        self.relate(successor, {**attributes, **own})
        if settings:
            self.open[successor] = (*self.open.get(successor, ()), *settings)

    def row(self) -> dict[str, Any]:
        """Return the object as a row."""
        return {
            "object_type_id": self.key.object_type,
            "object_id": self.key.object_id,
            "attributes": dict(self.attributes),
        }

    def relationship_rows(self) -> Iterator[dict[str, Any]]:
        """Return the relationships as rows."""
        for holder, attributes in self.related.items():
            yield {
                "object_type_id": self.key.object_type,
                "object_id": self.key.object_id,
                "person": holder.cio_id if isinstance(holder, Person) else None,
                "anonymous_id": None if isinstance(holder, Person) else holder.anonymous_id,
                "attributes": dict(attributes),
            }


def _write(target: dict[str, Any], attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value in EMPTY:
            target.pop(name, None)
        else:
            target[name] = value


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
    removed: list[tuple[Person, Removal]] = field(default_factory=list)  # deleted people
    merged: list[Person] = field(default_factory=list)  # people merged into others
    failures: list[tuple[int, Change]] = field(default_factory=list)
    kept: int = 0  # how many attributes kept a newer value
    message_ids: set[str] = field(default_factory=set)
    # Identifiers without an owner because of an open setting
    freed: dict[tuple[IdentifierKind, str], tuple[str, ...]] = field(default_factory=dict)
    number: int = -1  # of the message being applied, counted from 0
    now: float = 0.0  # when that message was received, in Unix seconds
    times: int = 1  # how many equal messages it represents

    def visitor(self, anonymous_id: str) -> Visitor:
        """Return the visitor with an anonymous id, a new one if there is none."""
        visitor = self.visitors.get(anonymous_id)
        if visitor is None:
            visitor = self.visitors[anonymous_id] = Visitor(anonymous_id=anonymous_id)
        return visitor

    def link(self, anonymous_id: str, person: Person) -> Iterator[Change]:
        """Link an anonymous id to a person, with its events and relationships (3.3)."""
        visitor = self.visitor(anonymous_id)
        yield from self._link(visitor, person)
        if visitor.owner is person:
            for record in list(visitor.objects):
                record.hand_over(visitor, person)
                yield change_of(rules.RELATED_LATER, person, subject=str(record.key))

    def _link(self, visitor: Visitor, person: Person) -> Iterator[Change]:
        """Link a visitor to the person identified with the anonymous id (3.3).

        Identifying again with the same pair has no effect, unless the workspace follows the older
        text of C22.
        """
        if visitor.owner is person:
            if self.settings.late_anonymous == "reidentify":
                visitor.linked = self.now
                for event in visitor.events:
                    event.is_reidentified = True
                yield from self._attribute_past(visitor, person)
            return
        if visitor.owner is not None:
            other, subject = visitor.owner.cio_id, visitor.anonymous_id
            yield change_of(rules.NOT_REUSABLE, person, other=other, subject=subject)
            return
        visitor.linked_to = person
        visitor.linked = visitor.first = self.now
        person.add_anonymous(visitor.anonymous_id)
        yield change_of(rules.LINKED, person, subject=visitor.anonymous_id)
        if self.settings.anonymous_traits == "carry" and visitor.traits:
            person.fill(visitor.traits, stamps={})
        yield from self._attribute_past(visitor, person)

    def _attribute_past(self, visitor: Visitor, person: Person) -> Iterator[Change]:
        """Attribute the anonymous events of the last 30 days to the person (3.3, N4)."""
        by_receipt = self.settings.anonymous_age == "received"
        pending, visitor.events = visitor.events, []
        for event in pending:
            age = self.now - (event.received if by_receipt else event.timestamp)
            if not self.settings.anonymous_merge:
                yield self._keep_anonymous(visitor, event, person, why="off")
            elif age <= ANONYMOUS_KEPT.seconds:
                yield self._attribute(event, person, rules.ATTRIBUTED)
            else:
                yield self._keep_anonymous(visitor, event, person, why="expired")

    def receive(self, anonymous_id: str, event: Event) -> Iterator[Change]:
        """Keep an anonymous event, or attribute it if the visitor was just identified (3.3)."""
        visitor = self.visitor(anonymous_id)
        yield Change(rules.EVENT_ANONYMOUS, key=anonymous_id, subject=event.name or event.type)
        person = visitor.owner
        if person is None or not person.alive:
            visitor.events.append(event)
        elif not self.settings.anonymous_merge:
            yield self._keep_anonymous(visitor, event, person, why="off")
        elif event.received - visitor.linked <= ANONYMOUS_LATE.seconds:
            event.is_reidentified = event.received - visitor.first > ANONYMOUS_LATE.seconds
            yield self._attribute(event, person, rules.ATTRIBUTED_LATE)
        else:
            yield self._keep_anonymous(visitor, event, person, why="late")

    def _attribute(self, event: Event, person: Person, rule: Rule) -> Change:
        """Attribute an anonymous event to a person (3.3)."""
        event.owner = person
        event.first_attribution = "linked"
        event.triggered = can_trigger(event.timestamp, associated=self.now)
        person.events.add(event)
        return event.change(rule, person)

    def _keep_anonymous(
        self, visitor: Visitor, event: Event, person: Person, *, why: Unattributed
    ) -> Change:
        """Keep an event with the visitor, although they are identified as a person."""
        event.first_attribution = why
        visitor.events.append(event)
        return event.change(_UNATTRIBUTED[why], person)

    def create(self, address: Address) -> Person:
        """Create a person with one identifier."""
        person = self.people.create(born=self.now)
        self.people.set_key(person, address.kind, address.value)
        return person

    def why_ignored(self, address: Address) -> Change | None:
        """Return why a call about this identifier is ignored, None if it is not (3.1, 3.2)."""
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

    def delete(self, person: Person, *, how: Removal = "delete") -> Change:
        """Delete a person with events, relationships and devices (3.6)."""
        self.removed.append((person, how))
        for event in person.events:
            event.lost = True
        for record in list(person.objects):
            record.unrelate(person)
        self.people.remove(person)
        email = person.email if person.id is not None else None
        return change_of(rules.DELETED, person, subject=email)

    def record(
        self,
        message: Mapping[str, Any],
        *,
        name: str | None,
        person: Person | None,
        timestamp: int,
        properties: dict[str, Any],
    ) -> Event:
        """Record an event of a person, else of an anonymous visitor or a group."""
        anonymous_id = text(message.get("anonymousId"))
        by_visitor = person is None and anonymous_id is not None
        without_person: Attribution = "anonymous" if by_visitor else "group"
        event = Event(
            number=self.number,
            type=message["type"],
            name=name,
            owner=person,
            anonymous_id=anonymous_id,
            timestamp=timestamp,
            received=self.now,
            properties=properties,
            message_id=text(message.get("messageId")),
            triggered=person is not None and can_trigger(timestamp, associated=self.now),
            first_attribution=without_person if person is None else "direct",
            by_visitor=by_visitor,
            times=self.times,
        )
        self.events.append(event)
        if person is not None:
            person.events.add(event)
        return event

    def write(self, person: Person, attributes: Mapping[str, Any], *, at: int) -> Iterator[Change]:
        """Set attributes of a person; those with a newer value keep it (3.7)."""
        kept = person.write(attributes, at=at, settings=self.settings)
        if kept:
            self.kept += len(kept)
            yield change_of(rules.STALE, person, subject=", ".join(sorted(kept)))

    def free(self, address: Address, *, setting: str) -> None:
        """Remember that an identifier has no owner because of an open setting."""
        self.freed[address.key] = (*self.freed.get(address.key, ()), setting)

    def change_without_owner(self, rule: Rule, address: Address, **parts: str | None) -> Change:
        """Return a change that depends on an identifier having no owner."""
        open_settings = self.freed.get(address.key, ())
        return Change(rule, key=str(address), open=open_settings, **parts)
