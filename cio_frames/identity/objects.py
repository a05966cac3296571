"""Objects (groups) and the relationships of people and visitors to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cio_frames.identity.anonymous import Visitor
from cio_frames.identity.state import EMPTY, Person


class ThingKey(NamedTuple):
    """What identifies an object: its type and its id (3.5)."""

    object_type: str
    object_id: str

    def __str__(self) -> str:
        return f"{self.object_type}/{self.object_id!r}"


@dataclass(slots=True, eq=False, kw_only=True)
class Thing:
    """One object and everybody who is related to it."""

    key: ThingKey
    attributes: dict[str, Any] = field(default_factory=dict)
    related: dict[Person | Visitor, dict[str, Any]] = field(default_factory=dict)

    def write(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of the object; null and "" remove (3.5)."""
        _write(self.attributes, attributes)

    def relate(self, holder: Person | Visitor, attributes: Mapping[str, Any]) -> None:
        """Relate somebody to the object, or update that relationship; null and "" remove."""
        _write(self.related.setdefault(holder, {}), attributes)
        holder.things[self] = None

    def unrelate(self, holder: Person | Visitor) -> bool:
        """Remove a relationship; tells whether there was one."""
        holder.things.pop(self, None)
        return self.related.pop(holder, None) is not None

    def hand_over(self, holder: Person | Visitor, heir: Person) -> None:
        """Move a relationship; what the heir has of it already stays."""
        attributes = self.related.get(holder, {})
        kept = self.related.get(heir, {})
        self.unrelate(holder)
        self.relate(heir, {**attributes, **kept})

    def row(self) -> dict[str, Any]:
        """Return the object as a plain row."""
        return {
            "object_type_id": self.key.object_type,
            "object_id": self.key.object_id,
            "attributes": dict(self.attributes),
        }

    def relationship_rows(self) -> Iterator[dict[str, Any]]:
        """Return the relationships as plain rows."""
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
