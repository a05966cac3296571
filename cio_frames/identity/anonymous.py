"""Visitors: what is known under an anonymous id, before and after it belongs to a person."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cio_frames.identity import rules
from cio_frames.identity.events import Event, give
from cio_frames.identity.rules import Change
from cio_frames.identity.settings import ANONYMOUS_KEPT, ANONYMOUS_LATE, Settings
from cio_frames.identity.state import Person

if TYPE_CHECKING:
    from cio_frames.identity.objects import Thing


@dataclass(slots=True, eq=False, kw_only=True)
class Visitor:
    """Somebody known by an anonymous id only.

    Attributes:
        owner: Whom the anonymous id belongs to, for good: it stays taken when that person is
            deleted (3.3: not reusable).
        linked: When it was linked to its owner.
    """

    anonymous_id: str
    owner: Person | None = None
    linked: float = 0.0
    traits: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    things: "dict[Thing, None]" = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the visitor as a plain row."""
        return {
            "anonymous_id": self.anonymous_id,
            "person": None if self.owner is None else self.owner.cio_id,
            "attributes": dict(self.traits),
            "events": len(self.events),
            "relationships": len(self.things),
        }


def link(visitor: Visitor, person: Person, *, now: float, settings: Settings) -> Iterator[Change]:
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


def receive(visitor: Visitor, event: Event, *, settings: Settings) -> Iterator[Change]:
    """Keep an anonymous event, or hand it on if its sender was identified just now (3.3)."""
    yield Change(rules.EVENT_ANONYMOUS, key=visitor.anonymous_id, subject=event.name or event.type)
    person = visitor.owner
    if person is None or not person.alive:
        visitor.events.append(event)
    elif not settings.anonymous_merge:
        event.attribution = "off"
        visitor.events.append(event)
        yield _told(rules.MERGE_OFF, event, person)
    elif event.received - visitor.linked <= ANONYMOUS_LATE.seconds:
        give(event, person, now=event.received)
        yield _told(rules.ATTRIBUTED_LATE, event, person)
    else:
        event.attribution = "late"
        visitor.events.append(event)
        yield _told(rules.TOO_LATE, event, person)


def _attribute(
    visitor: Visitor, person: Person, *, now: float, settings: Settings
) -> Iterator[Change]:
    """Move past anonymous events to the person, the last 30 days of them (3.3)."""
    pending, visitor.events = visitor.events, []
    for event in pending:
        if not settings.anonymous_merge:
            event.attribution = "off"
            visitor.events.append(event)
            yield _told(rules.MERGE_OFF, event, person)
        elif now - _birth(event, settings=settings) <= ANONYMOUS_KEPT.seconds:
            give(event, person, now=now)
            yield _told(rules.ATTRIBUTED, event, person)
        else:
            event.attribution = "expired"
            visitor.events.append(event)
            yield _told(rules.TOO_OLD, event, person)


def _birth(event: Event, *, settings: Settings) -> float:
    """When the 30 days of an anonymous event begin."""
    return event.received if settings.anonymous_age == "received" else event.timestamp


def _told(rule: rules.Rule, event: Event, person: Person) -> Change:
    return Change(rule, person=person.cio_id, key=person.label, subject=event.name or event.type)
