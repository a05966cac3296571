"""Events: recorded for a person or a visitor, and moved when it turns out who that was."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cio_frames.identity.settings import CAMPAIGN
from cio_frames.identity.state import Person

Attribution = Literal["direct", "linked", "moved", "anonymous", "expired", "late", "off"]


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """One event of a person or of an anonymous visitor.

    Attributes:
        number: Which message it came with, counted from 0.
        attribution: How it got to its person, or why it has none.
        by_visitor: Nobody was named as its person when it arrived.
        times: How many events just like it this stands for.
        lost: Its person was deleted, and the event with it.
    """

    number: int
    type: str
    name: str | None
    person: Person | None
    anonymous_id: str | None
    timestamp: int
    received: float
    properties: dict[str, Any]
    message_id: str | None
    can_trigger: bool
    attribution: Attribution
    by_visitor: bool
    times: int = 1
    lost: bool = False

    def row(self) -> dict[str, Any]:
        """Return the event as a plain row."""
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
    event.person = person
    event.attribution = "linked"
    event.can_trigger = triggers(event.timestamp, associated=now)
    person.events.append(event)


def move(event: Event, person: Person) -> None:
    """Hand an event to the person that is kept by a merge; it starts no campaigns (3.4)."""
    event.person = person
    event.attribution = "moved"
    event.can_trigger = False
    person.events.append(event)
