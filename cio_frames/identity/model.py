"""The model of a workspace, to which messages are applied one after the other."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.calls import alias, form, group, identify, page, screen, track
from cio_frames.identity.identifiers import (
    OBJECT_TYPES,
    Address,
    IdentifierKind,
    mapping,
    seconds,
    text,
)
from cio_frames.identity.rules import FAILED, Change
from cio_frames.identity.settings import Settings
from cio_frames.identity.state import ObjectKey, ObjectRecord, Person, Store, change_of

Rows = list[dict[str, Any]]

_CALLS: Final[Mapping[str, Callable[[Store, Mapping[str, Any]], Iterable[Change]]]] = (
    MappingProxyType({
        "identify": identify,
        "track": track,
        "page": page,
        "screen": screen,
        "group": group,
        "alias": alias,
        "form": form,
    })
)  # fmt: skip
_EVENTS: Final = frozenset({"track", "page", "screen"})


class Model:
    """Customer.io's identity rules, applied to one message at a time.

    The model does no I/O and has no clock: equal messages with equal times give an equal workspace.
    It stores the values of a message without a copy, so do not change a message afterwards.

    Examples:
        >>> from datetime import UTC, datetime
        >>> model = Model()
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> message = {"type": "identify", "userId": "u1", "traits": {"email": "ada@example.com"}}
        >>> [change.kind for change in model.apply(message, received_at=now)]
        ['created']
        >>> model.people()[0]["email"]
        'ada@example.com'
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings: Settings = Settings() if settings is None else settings
        self.store: Store = Store(settings=self.settings)

    def apply(
        self, message: Mapping[str, Any], *, received_at: datetime, times: int = 1
    ) -> tuple[Change, ...]:
        """Apply one call."""
        if received_at.tzinfo is None:
            raise ValueError(
                "received_at has no offset: pass datetime.now(UTC) or another aware time."
            )
        store = self.store
        store.number += 1
        store.now = received_at.timestamp()
        store.times = times
        changes = tuple(self._changes(message))
        for change in changes:
            if change.rule.kind in FAILED:
                store.failures.append((store.number, change))
        return changes

    def load(self, people: Iterable[Mapping[str, Any]]) -> None:
        """Start from an export: rows with id, email, cio_id, anonymous_ids, created_at, attributes."""
        _load(self.store, people)

    def load_objects(
        self, objects: Iterable[Mapping[str, Any]], relationships: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Start from objects and relationships as well, as `objects` and `relationships` give them.

        A relationship names its person by `person` (a cio_id), id or email; others are skipped.
        """
        _load_objects(self.store, objects, relationships)

    def map_form(self, form_id: str, fields: Mapping[str, str]) -> None:
        """Map fields of a form to attributes, as the settings of the form do (section 5)."""
        record = self.store.forms.setdefault(
            form_id, {"mapping": {}, "submissions": 0, "refused": 0}
        )
        record["mapping"] = dict(fields)

    def people(self) -> Rows:
        """Return the profiles, oldest first."""
        return [
            {
                "cio_id": person.cio_id,
                "id": person.id,
                "email": person.email,
                "anonymous_ids": list(person.anonymous_ids),
                "attributes": {
                    name: value for name, value in person.attributes.items() if name != "created_at"
                },
                "created_at": person.attributes.get("created_at"),
            }
            for person in self.store.people.by_cio.values()
        ]

    def events(self) -> Rows:
        """Return the events that were not deleted, in order of receipt."""
        return [event.row() for event in self.store.events if not event.lost]

    def objects(self) -> Rows:
        """Return the objects."""
        return [record.row() for record in self.store.objects.values()]

    def relationships(self) -> Rows:
        """Return the relationships; `person` is None for a visitor."""
        return [row for record in self.store.objects.values() for row in record.relationship_rows()]

    def devices(self) -> Rows:
        """Return the push devices."""
        return [
            {"person": person.cio_id, "token": token, **device}
            for person in self.store.people.by_cio.values()
            for token, device in (person.devices or {}).items()
        ]

    def forms(self) -> Rows:
        """Return the forms with a mapping or a submission."""
        return [{"form_id": form_id, **row} for form_id, row in self.store.forms.items()]

    def merges(self) -> Rows:
        """Return the merges, in order; none can be undone."""
        return [dict(row) for row in self.store.merges]

    def failures(self) -> Rows:
        """Return attribute failures and messages without effect, with the reason."""
        return [
            {
                "number": number,
                "kind": change.kind,
                "rule": change.rule.name,
                "reason": change.sentence,
                "person": change.person,
                "key": change.key,
                "subject": change.subject,
                "source": change.source,
                "open": change.rests_on,
            }
            for number, change in self.store.failures
        ]

    def anonymous(self) -> Rows:
        """Return the visitors: their person, if identified, and their own events and attributes."""
        return [visitor.row() for visitor in self.store.visitors.values()]

    def suppressed(self) -> Rows:
        """Return the blocked identifiers."""
        return [{"kind": kind, "value": value} for kind, value in self.store.people.suppressed]

    def _changes(self, message: Mapping[str, Any]) -> Iterable[Change]:
        call = message.get("type")
        handler = _CALLS.get(call) if isinstance(call, str) else None
        if handler is None:
            return (Change(rules.TYPE_UNKNOWN, subject=repr(call)),)
        if self._is_repeated(message):
            return (Change(rules.DUPLICATE, subject=call),)
        misplaced = [name for name in OBJECT_TYPES if name in message]
        if not misplaced:
            return handler(self.store, message)
        if call == "group" and self.settings.object_type_place == "top":
            return rules.add_settings(handler(self.store, message), "object_type_place")
        ignored = (Change(rules.OBJECT_TYPE_ASIDE, subject=name) for name in misplaced)
        return (*handler(self.store, message), *ignored)

    def _is_repeated(self, message: Mapping[str, Any]) -> bool:
        """Return whether a message with this id was applied before; a setting decides (3.7)."""
        dedupe = self.settings.dedupe
        if dedupe == "off" or (dedupe == "events" and message["type"] not in _EVENTS):
            return False
        message_id = text(message.get("messageId"))
        if message_id is None:
            return False
        if message_id in self.store.message_ids:
            return True
        self.store.message_ids.add(message_id)
        return False


def _load(store: Store, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add the people of an export, in its order; they are older than people created later.

    An identifier that two rows share stays with the earlier one, and is reported as a failure with
    the number -1.
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
                visitor.linked_to = person
                visitor.linked = visitor.first = float("-inf")
                person.add_anonymous(anonymous_id)


def _load_objects(
    store: Store, objects: Iterable[Mapping[str, Any]], relationships: Iterable[Mapping[str, Any]]
) -> None:
    for row in objects:
        key = _object_key(row)
        store.objects[key] = ObjectRecord(key=key, attributes=dict(mapping(row.get("attributes"))))
    for row in relationships:
        key = _object_key(row)
        identifiers: dict[IdentifierKind, Any] = {
            "cio_id": row.get("person"), "id": row.get("id"), "email": row.get("email"),
        }  # fmt: skip
        people = (store.people.find(kind, value) for kind, value in identifiers.items() if value)
        person = next((person for person in people if person is not None), None)
        if person is not None:
            record = store.objects.setdefault(key, ObjectRecord(key=key))
            record.relate(person, mapping(row.get("attributes")))


def _object_key(row: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(str(row.get("object_type_id") or "1"), str(row["object_id"]))


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
            subject = str(Address(kind, value))
            change = change_of(rules.TAKEN, person, other=owner.cio_id, subject=subject)
            store.failures.append((-1, change))


def _anonymous_ids(row: Mapping[str, Any]) -> list[str]:
    ids = row.get("anonymous_ids")
    values = [*(ids if isinstance(ids, list | tuple) else ()), row.get("anonymous_id")]
    return [value for value in map(text, values) if value is not None]


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector, which would take half the time to scan all people repeatedly.

    Examples:
        >>> import gc
        >>> with gc_paused():
        ...     gc.isenabled()
        False
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
