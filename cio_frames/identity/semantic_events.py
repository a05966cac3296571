"""Track events with reserved names: they are not recorded, but act."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address, address, mapping, object_type, text
from cio_frames.identity.rules import Change
from cio_frames.identity.state import ObjectKey, Person, Store, change_of

Effect = Callable[[Store, Mapping[str, Any]], Iterator[Change]]


def delete_person(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Delete a person; later data can create it again (3.6, "User Deleted")."""
    person = _person_of(store, message)
    yield store.delete(person) if isinstance(person, Person) else person


def suppress(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Delete a person and block all its identifiers, or the given one (3.6)."""
    who = _reference(store, message)
    if isinstance(who, Change):
        yield who
        return
    person = store.people.find(*who)
    blocked = [who]
    if person is not None:
        blocked = person.addresses()
        yield store.delete(person, how="suppress")
    store.people.suppress(blocked)
    yield Change(rules.SUPPRESSED, key=str(who), subject=_list_of(blocked))


def unsuppress(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Allow identifiers again, all that were blocked together (3.6)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is None:
        yield Change(rules.NO_PERSON, subject=message["event"])
        return
    allowed = store.people.unsuppress(who)
    if not allowed:
        yield Change(rules.NOT_SUPPRESSED, key=str(who))
        return
    yield Change(rules.UNSUPPRESSED, key=str(who), subject=_list_of(allowed))


def delete_relationship(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Remove the relationship of a person to an object (3.6)."""
    person = _person_of(store, message)
    key = _object_key(message)
    if not isinstance(person, Person):
        yield person
    elif key is None:
        yield Change(rules.OBJECT_MISSING)
    else:
        record = store.objects.get(key)
        removed = record is not None and record.unrelate(person)
        rule = rules.UNRELATED if removed else rules.NOT_RELATED
        yield change_of(rule, person, subject=str(key))


def delete_object(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Delete an object and its relationships; the person does not matter (3.5, 3.6, C24)."""
    key = _object_key(message)
    if key is None:
        yield Change(rules.OBJECT_MISSING)
        return
    record = store.objects.pop(key, None)
    if record is None:
        yield Change(rules.OBJECT_UNKNOWN, subject=str(key))
        return
    for holder in list(record.related):
        record.unrelate(holder)
    yield Change(rules.OBJECT_DELETED, subject=str(key))


def set_device(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Add a push device to a person, who is created if unknown, as by any event (3.6, 3.7, C25)."""
    token = _token(message)
    if token is None:
        yield Change(rules.DEVICE_MISSING, subject=message["event"])
        return
    person = _person_of(store, message)
    if not isinstance(person, Person):
        who = address(message.get("userId"), settings=store.settings)
        creates = store.settings.event_for_unknown == "create"
        if person.rule is not rules.PERSON_UNKNOWN or who is None or not creates:
            yield person
            return
        person = store.create(who)
        yield store.change_without_owner(rules.CREATED_BY_EVENT, who, person=person.cio_id)
    device = mapping(mapping(message.get("context")).get("device"))
    person.devices = {**(person.devices or {}), token: {"platform": text(device.get("type"))}}
    yield change_of(rules.DEVICE_SET, person, subject=token)


def delete_device(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Remove a push device from a person (3.6)."""
    token = _token(message)
    person = _person_of(store, message)
    if token is None:
        yield Change(rules.DEVICE_MISSING, subject=message["event"])
    elif not isinstance(person, Person):
        yield person
    else:
        person.devices = {key: row for key, row in (person.devices or {}).items() if key != token}
        yield change_of(rules.DEVICE_GONE, person, subject=token)


def metric(_store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Report a delivery event, which changes no profile (3.6)."""
    yield Change(rules.METRIC, subject=message["event"])


def _list_of(addresses: Sequence[Address]) -> str:
    """Return identifiers as text; the cio_id only if there is no other."""
    shown = [item for item in addresses if item.kind != "cio_id"]
    return ", ".join(map(str, shown or addresses))


def _reference(store: Store, message: Mapping[str, Any]) -> Address | Change:
    """Return the reference to the person of userId, or why the message is ignored."""
    who = address(message.get("userId"), settings=store.settings)
    if who is None:
        return Change(rules.NO_PERSON, subject=message["event"])
    return store.why_ignored(who) or who


def _person_of(store: Store, message: Mapping[str, Any]) -> Person | Change:
    """Return the person of userId, or why there is none."""
    who = _reference(store, message)
    if isinstance(who, Change):
        return who
    person = store.people.find(*who)
    if person is None:
        return store.change_without_owner(rules.PERSON_UNKNOWN, who, subject=message["event"])
    return person


def _object_key(message: Mapping[str, Any]) -> ObjectKey | None:
    """Return the object of a delete event; its type is an integer here (3.6)."""
    properties = mapping(message.get("properties"))
    object_id = text(properties.get("objectId"))
    return None if object_id is None else ObjectKey(object_type(properties), object_id)


def _token(message: Mapping[str, Any]) -> str | None:
    """Return the push token, which is read from context only (3.6, C25)."""
    return text(mapping(mapping(message.get("context")).get("device")).get("token"))


DELETION: Final = "User Deleted"
EFFECTS: Final[Mapping[str, Effect]] = MappingProxyType({
    DELETION: delete_person,
    "User Suppressed": suppress,
    "User Unsuppressed": unsuppress,
    "Relationship Deleted": delete_relationship,
    "Object Deleted": delete_object,
    "Device Created or Updated": set_device,
    "Device Deleted": delete_device,
    "Report Delivery Event": metric,
    "Report Content Event": metric,
    "Application Installed": set_device,
    "Application Opened": set_device,
    "Application Uninstalled": delete_device,
})  # fmt: skip
