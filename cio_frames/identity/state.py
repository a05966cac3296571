"""What a workspace holds: people, anonymous visitors, events and objects, and steps that rules share."""

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
Removal = Literal["delete", "suppress"]
LONG_AGO: Final = -(10**12)
EMPTY: Final = (None, "")
MADE_UP: Final = "c10"
"""How the cio_ids of new people begin, before nine hexadecimal digits."""
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
    # When every attribute was written, as long as all were written at one time
    stamp: int = LONG_AGO
    # When each attribute was written, once they differ; also of removed ones
    stamps: dict[str, int] | None = None
    anonymous_ids: tuple[str, ...] | deque[str] = ()  # a deque after merges: both ends grow
    devices: dict[str, dict[str, Any]] | None = None
    successor: "Person | None" = None  # whom they were merged into
    # Most people have neither, and an empty one of each is a fifth of their memory
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
        """The identifier that a reader knows best."""
        return self.id or self.email or f"cio_{self.cio_id}"

    def write(self, attributes: Mapping[str, Any], *, at: int, settings: Settings) -> list[str]:
        """Set attributes as an identify of time `at` does; return those that keep another value.

        The later timestamp wins, whatever arrives first (3.7); null removes (section 6).
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
                self._prefer(name, value)
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
        """Keep one stamp for all attributes until a second time of writing appears."""
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
        """Whether a value of time `at` replaces what is there; remembers that time if so."""
        if self.stamps is None:
            return True
        if settings.attribute_order == "timestamp" and self.stamps.get(name, LONG_AGO) > at:
            return False
        self.stamps[name] = at
        return True

    def _value(self, name: str) -> Any:
        """Return the value of an attribute, or of one subscription preference."""
        if not name.startswith(FLAT_PREFIXES):
            return self.attributes.get(name)
        node: Any = self.attributes
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node

    def _prefer(self, path: str, value: Any) -> None:
        """Set one subscription preference by its dotted path and keep the others (2.1)."""
        *parents, last = path.split(".")
        node = self.attributes
        for name in parents:
            below = node.get(name)
            node[name] = node = dict(below) if isinstance(below, dict) else {}
        node[last] = value


def survivor(person: Person | None) -> Person | None:
    """Return whom somebody has become by merges; what was passed on the way is remembered."""
    if person is None or person.successor is None:
        return person
    last = person.successor
    while last.successor is not None:
        last = last.successor
    while person is not last and person.successor is not None:
        person.successor, person = last, person.successor
    return last


class People:
    """All profiles of a workspace and the identifiers that lead to them."""

    def __init__(self) -> None:
        self.by_cio: dict[str, Person] = {}
        self.by_id: dict[str, Person] = {}
        self.by_email: dict[str, Person] = {}
        self.suppressed: dict[tuple[IdentifierKind, str], tuple[Address, ...]] = {}
        self._made = 0

    def find(self, kind: IdentifierKind, value: str) -> Person | None:
        """Return the person with this identifier: ids have case, e-mails do not (3.1)."""
        if kind == "id":
            return self.by_id.get(value)
        if kind == "email":
            return self.by_email.get(value.lower())
        return self.by_cio.get(value)

    def create(self, *, born: float, cio_id: str | None = None, loaded: bool = False) -> Person:
        """Add a profile without identifiers; loaded ones are older than all others."""
        self._made += 1
        if cio_id is not None and cio_id.startswith(MADE_UP):  # it stays taken
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
            self.by_email[value if key == value else key] = person  # which is no second text

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
        """Whether calls about this identifier are ignored (3.2 row 7)."""
        return bool(self.suppressed) and item is not None and item.key in self.suppressed


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """One event of a person or of an anonymous visitor."""

    number: int  # which message it came with, counted from 0
    type: str
    name: str | None
    owner: Person | None  # whose it was before any merge
    anonymous_id: str | None
    timestamp: int
    received: float
    properties: dict[str, Any]
    message_id: str | None
    triggered: bool  # whether it could start campaigns before any merge
    fate: Attribution  # how it got to its owner, or why it has none
    by_visitor: bool  # nobody was named as its person when it arrived
    times: int = 1  # how many events just like it this stands for
    lost: bool = False  # its person was deleted, and the event with it
    is_brought_late: bool = False  # it has its person because that one was identified again (C22)

    @property
    def person(self) -> Person | None:
        """Whose it is."""
        return survivor(self.owner)

    @property
    def is_moved(self) -> bool:
        """Whether a merge has handed it to another person: it starts no campaigns then (3.4)."""
        return self.owner is not None and self.owner.successor is not None

    @property
    def can_trigger(self) -> bool:
        """Whether it can start campaigns."""
        return self.triggered and not self.is_moved

    @property
    def attribution(self) -> Attribution:
        """How it got to its person, or why it has none."""
        return "moved" if self.is_moved else self.fate

    @property
    def open(self) -> tuple[str, ...]:
        """The open settings that its being there, or its person, rests on."""
        unnamed = self.type == "page" and text(self.properties.get("url")) is None
        late = self.attribution == "late" or self.is_brought_late
        return ("page_without_url",) * unnamed + ("late_anonymous",) * late

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


def triggers(timestamp: int, *, associated: float) -> bool:
    """Whether an event is young enough to start campaigns when it gets its person (3.3, 3.8)."""
    return associated - timestamp <= CAMPAIGN.seconds


def give(event: Event, person: Person, *, now: float) -> None:
    """Attribute an anonymous event to the person it belongs to (3.3)."""
    event.owner = person
    event.fate = "linked"
    event.triggered = triggers(event.timestamp, associated=now)
    person.events.add(event)


@dataclass(slots=True, eq=False, kw_only=True)
class Visitor:
    """Somebody known by an anonymous id only."""

    anonymous_id: str
    # Whom the anonymous id belongs to, for good: it stays taken when that person is deleted (3.3:
    # not reusable)
    linked_to: Person | None = None
    linked: float = 0.0  # when it was linked to its owner, or identified with them again
    first: float = 0.0  # when it was linked to its owner
    traits: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    objects: "dict[ObjectRecord, None]" = field(default_factory=dict)

    @property
    def owner(self) -> Person | None:
        """Whose the anonymous id is, after all merges."""
        return survivor(self.linked_to)

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
    """One object and everybody who is related to it."""

    key: ObjectKey
    attributes: dict[str, Any] = field(default_factory=dict)
    related: dict[Person | Visitor, dict[str, Any]] = field(default_factory=dict)
    short_of: tuple[str, ...] = ()  # the open settings by which it has lost relationships
    # The open settings that relationships rest on
    open: dict[Person | Visitor, tuple[str, ...]] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)  # when each attribute was written

    def write(self, attributes: Mapping[str, Any], *, at: int, settings: Settings) -> list[str]:
        """Set attributes of the object; null and "" remove (3.5).

        Returns:
            Those that have another value of a later time, which they keep if times count (3.7).
        """
        newer = [
            name
            for name, value in attributes.items()
            if self.stamps.get(name, LONG_AGO) > at
            and self.attributes.get(name) != (None if value in EMPTY else value)
        ]
        keeps = newer if settings.object_order == "timestamp" else ()
        _write(
            self.attributes,
            {name: value for name, value in attributes.items() if name not in keeps},
        )
        for name in attributes:
            self.stamps[name] = max(at, self.stamps.get(name, LONG_AGO))
        return newer

    def relate(self, holder: Person | Visitor, attributes: Mapping[str, Any]) -> None:
        """Relate somebody to the object, or update that relationship; null and "" remove."""
        _write(self.related.setdefault(holder, {}), attributes)
        holder.objects[self] = None

    def unrelate(self, holder: Person | Visitor) -> bool:
        """Remove a relationship; return whether there was one."""
        holder.objects.pop(self, None)
        self.open.pop(holder, None)
        return self.related.pop(holder, None) is not None

    def hand_over(self, holder: Person | Visitor, successor: Person) -> None:
        """Move a relationship; what the successor has of it already stays."""
        attributes = self.related.get(holder, {})
        kept = self.related.get(successor, {})
        settings = self.open.get(holder, ())
        self.unrelate(holder)
        self.relate(successor, {**attributes, **kept})
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
    removed: list[tuple[Person, Removal]] = field(default_factory=list)  # who was deleted, and how
    merged: list[Person] = field(default_factory=list)  # who was merged into somebody
    failures: list[tuple[int, Change]] = field(default_factory=list)
    kept: int = 0  # how many attributes kept their value since it is newer
    seen: set[str] = field(default_factory=set)
    # Identifiers that are nobody's by a rule that rests on an open setting
    freed: dict[tuple[IdentifierKind, str], tuple[str, ...]] = field(default_factory=dict)
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

    def delete(self, person: Person, *, how: Removal = "delete") -> Change:
        """Delete a person with events, relationships and devices (3.6)."""
        self.removed.append((person, how))
        for event in person.events:
            event.lost = True
        for record in list(person.objects):
            record.unrelate(person)
        self.people.remove(person)
        email = person.email if person.id is not None else None
        return Change(rules.DELETED, person=person.cio_id, key=person.label, subject=email)

    def record(
        self,
        message: Mapping[str, Any],
        *,
        name: str | None,
        person: Person | None,
        timestamp: int,
        properties: dict[str, Any],
    ) -> Event:
        """Keep an event, of a person or (without one) of an anonymous visitor or a group."""
        anonymous_id = text(message.get("anonymousId"))
        by_visitor = person is None and anonymous_id is not None
        nobody: Attribution = "anonymous" if by_visitor else "group"
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
            triggered=person is not None and triggers(timestamp, associated=self.now),
            fate=nobody if person is None else "direct",
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
            yield self.change(rules.STALE, person, subject=", ".join(sorted(kept)))

    def receive(self, anonymous_id: str, event: Event) -> Iterator[Change]:
        """Keep an event for a visitor."""
        return _receive(self.visitor(anonymous_id), event, settings=self.settings)

    def free(self, address: Address, *, setting: str) -> None:
        """Remember that an open setting has made an identifier nobody's."""
        self.freed[address.key] = (*self.freed.get(address.key, ()), setting)

    def absent(self, rule: Rule, address: Address, **parts: str | None) -> Change:
        """Return a change that rests on an identifier being nobody's."""
        open_settings = self.freed.get(address.key, ())
        return Change(rule, key=str(address), open=open_settings, **parts)

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
            for event in visitor.events:
                event.is_brought_late = True
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
    visitor.linked_to = person
    visitor.linked = visitor.first = now
    person.add_anonymous(visitor.anonymous_id)
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
        event.fate = "off"
        visitor.events.append(event)
        yield _of_event(rules.MERGE_OFF, event, person)
    elif event.received - visitor.linked <= ANONYMOUS_LATE.seconds:
        event.is_brought_late = event.received - visitor.first > ANONYMOUS_LATE.seconds
        give(event, person, now=event.received)
        yield _of_event(rules.ATTRIBUTED_LATE, event, person)
    else:
        event.fate = "late"
        visitor.events.append(event)
        yield _of_event(rules.TOO_LATE, event, person)


def _attribute(
    visitor: Visitor, person: Person, *, now: float, settings: Settings
) -> Iterator[Change]:
    """Move past anonymous events to the person, the last 30 days of them (3.3, N4)."""
    pending, visitor.events = visitor.events, []
    for event in pending:
        if not settings.anonymous_merge:
            event.fate = "off"
            visitor.events.append(event)
            yield _of_event(rules.MERGE_OFF, event, person)
        elif now - _counted_from(event, settings=settings) <= ANONYMOUS_KEPT.seconds:
            give(event, person, now=now)
            yield _of_event(rules.ATTRIBUTED, event, person)
        else:
            event.fate = "expired"
            visitor.events.append(event)
            yield _of_event(rules.TOO_OLD, event, person)


def _counted_from(event: Event, *, settings: Settings) -> float:
    """Return when the 30 days of an anonymous event begin."""
    return event.received if settings.anonymous_age == "received" else event.timestamp


def _of_event(rule: Rule, event: Event, person: Person) -> Change:
    return Change(
        rule,
        person=person.cio_id,
        key=person.label,
        subject=event.name or event.type,
        open=event.open,
    )
