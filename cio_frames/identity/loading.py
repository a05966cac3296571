"""Starting from the people a workspace has already."""

from collections.abc import Iterable, Mapping
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address, mapping, seconds, text
from cio_frames.identity.rules import Change
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store


def load(store: Store, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add the people of an export, in its order; they are older than anybody created later.

    An identifier that a row shares with an earlier row stays with the earlier one and is kept as
    a failure with the number -1.
    """
    for row in rows:
        created = seconds(row.get("created_at"))
        person = _profile(store, row, born=float("-inf") if created is None else created)
        _identifiers(store, person, row)
        attributes = dict(mapping(row.get("attributes")))
        if row.get("created_at") is not None:
            attributes["created_at"] = row["created_at"] if created is None else created
        person.attributes.update(attributes)
        for anonymous_id in _anonymous_ids(row):
            visitor = store.visitor(anonymous_id)
            if visitor.owner is None:
                visitor.owner = person
                visitor.linked = float("-inf")
                person.anonymous_ids += (anonymous_id,)


def _profile(store: Store, row: Mapping[str, Any], *, born: float) -> Person:
    cio_id = text(row.get("cio_id"))
    if cio_id is not None and cio_id in store.people.by_cio:
        return store.people.by_cio[cio_id]
    return store.people.create(born=born, cio_id=cio_id, loaded=True)


def _identifiers(store: Store, person: Person, row: Mapping[str, Any]) -> None:
    for kind in store.settings.identifiers:
        value = text(row.get(kind))
        if value is None:
            continue
        owner = store.people.find(kind, value)
        if owner is None:
            store.people.set_key(person, kind, value)
        elif owner is not person:
            change = Change(
                rules.TAKEN,
                person=person.cio_id,
                key=person.label,
                other=owner.cio_id,
                subject=str(Address(kind, value)),
            )
            store.failures.append((-1, change))


def _anonymous_ids(row: Mapping[str, Any]) -> list[str]:
    many = row.get("anonymous_ids")
    values = list(many) if isinstance(many, list | tuple) else []
    return [value for value in map(text, [*values, row.get("anonymous_id")]) if value is not None]
