"""The effects of each call on a workspace."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.identifiers import (
    Address,
    address,
    converted_body,
    mapping,
    moment,
    object_type,
    text,
)
from cio_frames.identity.merge import Identifiers, merge, resolve_person
from cio_frames.identity.rules import Change, Rule, add_settings
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.identity.settings import links_by_alias
from cio_frames.identity.state import (
    Event,
    ObjectKey,
    ObjectRecord,
    Person,
    Store,
    Visitor,
    change_of,
)
from cio_frames.spec import FORM_RESERVED, STRIPPED_TRAITS
from cio_frames.values.patterns import is_email

READ_ONLY: Final = ("cio_id", "_created_in_customerio_at")
# objectId makes a relationship and is stored as an attribute, too (3.5: "the latter three").
NO_ATTRIBUTES: Final = (frozenset(STRIPPED_TRAITS) - {"objectId"}) | {"anonymous_id", *READ_ONLY}


def identify(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply an identify call (reference 3.1 to 3.3).

    Without userId, it is an open setting whether the e-mail identifies the person (C11).
    """
    traits = mapping(message.get("traits"))
    is_open = text(message.get("userId")) is None and text(traits.get("email")) is not None
    settings = ("email_trait",) * is_open
    yield from add_settings(_identify(store, message, traits), *settings)


def _identify(
    store: Store, message: Mapping[str, Any], traits: Mapping[str, Any]
) -> Iterator[Change]:
    anonymous_id = text(message.get("anonymousId")) or text(traits.get("anonymous_id"))
    who = _person_reference(store, message, traits)
    if who is None:
        if anonymous_id is None:
            yield Change(rules.NO_PERSON, subject="identify")
        else:
            yield from _identify_visitor(store, anonymous_id, traits)
        return
    claims = _claims(store, traits)
    ignored = store.why_ignored(who) or _suppressed_claim(store, claims)
    if ignored is not None:
        yield ignored
        return
    email = claims.get("email")
    is_open = email is not None and email.key != who.key and not is_email(email.value)
    if email is not None and is_open:
        person, changes = _resolve_with_invalid_email(store, who, claims, email)
    else:
        person, changes = resolve_person(store, who, claims)
    yield from changes
    if anonymous_id is not None:
        yield from store.link(anonymous_id, person)
    at = moment(message.get("timestamp"), now=store.now)
    attributes = _attributes(store, traits, without=_no_attributes(store.settings.identifiers))
    yield from store.write(person, attributes, at=at)
    yield from _read_only(person, traits)
    yield from _relate_by_trait(store, person, traits)


def _resolve_with_invalid_email(
    store: Store, who: Address, claims: Identifiers, email: Address
) -> tuple[Person, Iterable[Change]]:
    """Resolve a person whose traits.email is invalid: an open setting decides if it is set."""
    holder = store.people.find(*email)
    before = None if holder is None else holder.id
    is_set = store.settings.invalid_email == "stored"
    used = {kind: claim for kind, claim in claims.items() if is_set or claim is not email}
    person, changes = resolve_person(store, who, used)
    if holder is not None and before is not None and holder.id != before:
        store.free(Address("id", before), setting="invalid_email")
    if not is_set:
        changes.append(change_of(rules.EMAIL_INVALID, person, subject=str(email)))
    return person, add_settings(changes, "invalid_email")


def _person_reference(
    store: Store, message: Mapping[str, Any], traits: Mapping[str, Any]
) -> Address | None:
    """Return the reference to the person of an identify: userId, else traits.email (3.1, C11)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is not None:
        return who
    by_email = address(traits.get("email"), settings=store.settings)
    if by_email is not None and store.settings.email_trait == "attribute":
        store.free(by_email, setting="email_trait")
        return None
    return by_email


def _claims(store: Store, traits: Mapping[str, Any]) -> Identifiers:
    """Return the identifiers among the traits: the attributes id and email (3.1)."""
    return {
        kind: Address(kind, value)
        for kind in store.settings.identifiers
        if (value := text(traits.get(kind))) is not None
    }


def _suppressed_claim(store: Store, claims: Identifiers) -> Change | None:
    """Return the change if a trait is a suppressed identifier: the call is ignored (3.2 row 7)."""
    for claim in claims.values():
        if store.people.is_suppressed(claim):
            return Change(rules.SUPPRESSED_ID, key=str(claim))
    return None


@cache
def _no_attributes(identifiers: tuple[str, ...]) -> frozenset[str]:
    """Return the traits that are not stored with a person."""
    return NO_ATTRIBUTES | set(identifiers)


def _attributes(
    store: Store, traits: Mapping[str, Any], *, without: Collection[str]
) -> dict[str, Any]:
    """Return the traits to store: createdAt as created_at, without relationships (3.5, C7)."""
    stored = {name: value for name, value in traits.items() if name not in without}
    created = traits.get("created_at")
    created = traits.get("createdAt") if created is None else created
    if created:
        stored["created_at"] = created
    return converted_body(stored) if store.settings.convert_times else stored


def _read_only(person: Person, traits: Mapping[str, Any]) -> Iterator[Change]:
    """Yield a change for each attribute that only Customer.io sets (section 6)."""
    for name in READ_ONLY:
        if name in traits:
            yield change_of(rules.READ_ONLY, person, subject=name)


def _relate_by_trait(
    store: Store, holder: Person | Visitor, traits: Mapping[str, Any]
) -> Iterator[Change]:
    """Apply the traits of a relationship: objectId with its type and attributes (3.5).

    Their times are not converted: ACT puts them into an array (1.6).
    """
    object_id = text(traits.get("objectId"))
    if object_id is None:
        return
    record, change = _upsert(store, ObjectKey(object_type(traits), object_id))
    if record is None or change.rule is rules.OBJECT_CREATED:
        yield change
    if record is not None:
        record.relate(holder, mapping(traits.get("relationshipAttributes")))
        yield _related(holder, record)


def _identify_visitor(
    store: Store, anonymous_id: str, traits: Mapping[str, Any]
) -> Iterator[Change]:
    """Apply an anonymous identify: it sets traits of a visitor, not a profile (3.3)."""
    visitor = store.visitor(anonymous_id)
    visitor.traits.update(
        _attributes(store, traits, without=_no_attributes(store.settings.identifiers))
    )
    yield Change(rules.ANONYMOUS, key=anonymous_id, subject=anonymous_id)
    yield from _relate_by_trait(store, visitor, traits)


def group(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a group call: an object, and a relationship if a person or visitor is named (3.5)."""
    traits = mapping(message.get("traits"))
    object_id = text(message.get("groupId"))
    if object_id is None:
        yield Change(rules.OBJECT_MISSING)
        return
    who = address(message.get("userId"), settings=store.settings)
    ignored = None if who is None else store.why_ignored(who)
    if ignored is not None:
        yield ignored
        return
    outside = message if store.settings.object_type_place == "top" else {}
    key = ObjectKey(object_type(traits, outside), object_id)
    record, change = _upsert(store, key)
    if record is None:
        yield change
        return
    attributes = _attributes(store, traits, without=STRIPPED_TRAITS)
    at = moment(message.get("timestamp"), now=store.now)
    newer = record.write(attributes, at=at, settings=store.settings)
    yield from add_settings([change], *("object_order",) * bool(newer))
    if newer and store.settings.object_order == "timestamp":
        store.kept += len(newer)
        yield Change(rules.OBJECT_STALE, subject=f"{', '.join(sorted(newer))} of object {key}")
    yield from _relate_holder(store, record, message, who)


def _relate_holder(
    store: Store, record: ObjectRecord, message: Mapping[str, Any], who: Address | None
) -> Iterator[Change]:
    """Relate the person of a group call, or without userId the visitor (3.3)."""
    attributes = _relationship(store, message)
    anonymous_id = text(message.get("anonymousId"))
    if who is not None:
        person = store.people.find(*who)
        if person is None and store.settings.group_for_unknown == "object-only":
            store.free(who, setting="group_for_unknown")
            yield Change(rules.RELATE_UNKNOWN, key=str(who), subject=str(record.key))
            return
        if person is None:
            person = store.create(who)
            yield store.change_without_owner(rules.CREATED_BY_GROUP, who, person=person.cio_id)
            record.open[person] = ("group_for_unknown",)
        record.relate(person, attributes)
        yield _related(person, record)
    elif anonymous_id is not None:
        visitor = store.visitor(anonymous_id)
        owner = visitor.owner
        holder = visitor if owner is None or not owner.alive else owner
        record.relate(holder, attributes)
        yield _related(holder, record)


def _upsert(store: Store, key: ObjectKey) -> tuple[ObjectRecord | None, Change]:
    """Find or create an object; its type must exist in the workspace (3.5)."""
    types = store.settings.object_types
    if types is not None and key.object_type not in types:
        return None, Change(rules.OBJECT_TYPE_UNKNOWN, subject=str(key))
    record = store.objects.get(key)
    if record is not None:
        return record, Change(rules.OBJECT_UPDATED, subject=str(key))
    record = store.objects[key] = ObjectRecord(key=key)
    return record, Change(rules.OBJECT_CREATED, subject=str(key))


def _related(holder: Person | Visitor, record: ObjectRecord) -> Change:
    if isinstance(holder, Person):
        settings = record.open.get(holder, ())
        return change_of(rules.RELATED, holder, subject=str(record.key), settings=settings)
    return Change(rules.RELATED_ANONYMOUS, key=holder.anonymous_id, subject=str(record.key))


def _relationship(store: Store, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes of the relationship (2.5)."""
    attributes = mapping(mapping(message.get("traits")).get("relationshipAttributes"))
    return converted_body(attributes) if store.settings.convert_times else attributes


def alias(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Merge the person previousId into the person userId and delete it (3.4, C23).

    Chains and cycles need no special rule: each call applies to the result of the earlier calls, so
    the second half of a cycle no longer finds its previousId.
    """
    who = address(message.get("userId"), settings=store.settings)
    previous = address(message.get("previousId"), settings=store.settings)
    if who is None or previous is None:
        yield Change(rules.ALIAS_INCOMPLETE)
        return
    ignored = store.why_ignored(who) or store.why_ignored(previous)
    if ignored is not None:
        yield ignored
        return
    primary = store.people.find(*who)
    secondary = store.people.find(*previous)
    settings: tuple[str, ...] = ()
    if primary is None:
        is_known = secondary is not None or text(message.get("previousId")) in store.visitors
        settings = ("alias_unknown",) * is_known
        if not is_known or store.settings.alias_unknown == "nothing":
            change = store.change_without_owner(rules.PRIMARY_UNKNOWN, who, subject=str(previous))
            yield from add_settings([change], *settings)
            return
        primary = store.create(who)  # the alias goes before the identify (2.6)
        created = Change(rules.CREATED_BY_ALIAS, person=primary.cio_id, key=str(who))
        yield from add_settings([created], *settings)
    merged = _merged(store, message, primary, secondary, who=who, previous=previous)
    yield from add_settings(merged, *settings)


def _merged(
    store: Store,
    message: Mapping[str, Any],
    primary: Person,
    secondary: Person | None,
    *,
    who: Address,
    previous: Address,
) -> Iterator[Change]:
    """Merge a person into an existing one."""
    if secondary is None:
        changes = _previous_unknown(store, message, primary)
        yield from add_settings(changes, *store.freed.get(previous.key, ()))
    elif secondary is primary:
        yield Change(rules.ALIAS_SELF, person=primary.cio_id, key=str(who), subject=str(previous))
    else:
        yield Change(
            rules.MERGED,
            person=primary.cio_id,
            key=str(who),
            other=secondary.cio_id,
            subject=str(previous),
            open=merge(store, primary, secondary, why="alias"),
        )


def _previous_unknown(
    store: Store, message: Mapping[str, Any], primary: Person
) -> Iterator[Change]:
    """Apply an alias whose previousId belongs to no person: it may link an anonymous id (3.4, C18)."""
    previous = text(message.get("previousId"))
    if links_by_alias(store.settings) and previous in store.visitors:
        yield from add_settings(store.link(previous, primary), "alias_previous")
        return
    who = address(previous, settings=store.settings)
    could_be_anonymous = who is not None and who.kind == "id"
    unknown = change_of(rules.SECONDARY_UNKNOWN, primary, subject=repr(previous))
    yield from add_settings([unknown], *("alias_previous",) * could_be_anonymous)


def form(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a form submission (reference section 5)."""
    form_id = text(message.get("formId")) or ""
    record = store.forms.setdefault(form_id, {"mapping": {}, "submissions": 0, "refused": 0})
    data = _mapped(mapping(message.get("data")), record["mapping"])
    problem = _problem(store, data)
    claims = {
        kind: Address(kind, data[kind])
        for kind in store.settings.identifiers
        if isinstance(data.get(kind), str) and data[kind]
    }
    has_two = len(claims) > 1
    if problem is not None:
        record["refused"] += 1
        for claim in claims.values() if has_two else ():
            store.free(claim, setting="form_identifiers")
        people = (store.people.find(*claim) for claim in claims.values() if has_two)
        person = next((person.cio_id for person in people if person is not None), None)
        yield Change(problem, person=person, subject=form_id)
        return
    submitted = _submit(store, message, data, claims, form_id=form_id)
    yield from add_settings(submitted, *("form_identifiers",) * has_two)


def _submit(
    store: Store,
    message: Mapping[str, Any],
    data: Mapping[str, Any],
    claims: Identifiers,
    *,
    form_id: str,
) -> Iterator[Change]:
    """Apply the fields of a submission to the person with its identifiers."""
    for claim in claims.values():
        ignored = store.why_ignored(claim)
        if ignored is not None:
            yield ignored
            return
    who = claims.get("email") or claims["id"]
    person, changes = resolve_person(store, who, claims)
    yield from changes
    anonymous_id = data.get("anonymous_id")
    if anonymous_id:
        yield from store.link(anonymous_id, person)
    not_stored = (*store.settings.identifiers, "anonymous_id")
    attributes = {key: value for key, value in data.items() if key not in not_stored}
    yield from store.write(person, attributes, at=int(store.now))
    store.record(
        message, name=form_id, person=person, timestamp=int(store.now), properties=dict(data)
    )
    store.forms[form_id]["submissions"] += 1
    yield Change(rules.FORM_SUBMITTED, person=person.cio_id, key=str(who), subject=form_id)


def _mapped(data: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields under the attributes they are mapped to; reserved ones are ignored."""
    return {fields.get(key, key): value for key, value in data.items() if key not in FORM_RESERVED}


def _problem(store: Store, data: Mapping[str, Any]) -> Rule | None:
    """Return why Customer.io answers a submission with 400 (section 5; C27, C28)."""
    if not all(isinstance(value, str) for value in data.values()):
        return rules.FORM_NOT_TEXT
    kinds = [kind for kind in store.settings.identifiers if data.get(kind)]
    if not kinds:
        return rules.FORM_NO_ID
    if len(kinds) > 1 and store.settings.form_identifiers == "one":
        return rules.FORM_TWO_IDS
    return None


def track(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a track call; events with reserved names are not recorded, but act (2.2, 3.6)."""
    name = text(message.get("event")) or ""
    effect = EFFECTS.get(name)
    if effect is not None:
        return effect(store, message)
    if store.settings.trim_event_names:
        name = name.strip()
    return _record(store, message, name) if name else (Change(rules.EVENT_BLANK),)


def page(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a page call: Journeys records it under properties.url (2.3)."""
    name = text(mapping(message.get("properties")).get("url"))
    if name is None and store.settings.page_without_url == "named":
        name = text(message.get("name"))
    if name is None:
        who = address(message.get("userId"), settings=store.settings)
        person = None if who is None else store.people.find(*who)
        if who is not None and text(message.get("name")) is not None:
            store.free(who, setting="page_without_url")
        return (Change(rules.PAGE_NO_URL, person=None if person is None else person.cio_id),)
    return _record(store, message, name)


def screen(store: Store, message: Mapping[str, Any]) -> Iterable[Change]:
    """Apply a screen call: it is recorded under its name, which is optional (2.4)."""
    return _record(store, message, text(message.get("name")))


def _record(store: Store, message: Mapping[str, Any], name: str | None) -> Iterable[Change]:
    """Record an event of userId, or without one of anonymousId (3.3)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is not None:
        return _record_of_person(store, message, name, who)
    anonymous_id = text(message.get("anonymousId"))
    if anonymous_id is None:
        return _record_of_group(store, message, name)
    event = _event(store, message, name, None)
    return store.receive(anonymous_id, event)


def _record_of_group(
    store: Store, message: Mapping[str, Any], name: str | None
) -> tuple[Change, ...]:
    """Record a track call that names a group, but no person (N9)."""
    group_id = text(message.get("groupId"))
    if group_id is None or message["type"] != "track":
        return (Change(rules.NO_PERSON, subject=message["type"]),)
    _event(store, message, name, None)
    return (Change(rules.EVENT_GROUP, key=group_id, subject=name),)


def _record_of_person(
    store: Store, message: Mapping[str, Any], name: str | None, who: Address
) -> list[Change]:
    """Record an event of a person; a setting decides about unknown ones (3.7)."""
    ignored = store.why_ignored(who)
    if ignored is not None:
        return [ignored]
    key, subject = str(who), name or message["type"]
    changes = []
    person = store.people.find(*who)
    if person is None:
        if store.settings.event_for_unknown == "drop":
            store.free(who, setting="event_for_unknown")
            return [Change(rules.EVENT_UNKNOWN, key=key, subject=subject)]
        person = store.create(who)
        changes.append(
            store.change_without_owner(rules.CREATED_BY_EVENT, who, person=person.cio_id)
        )
    _event(store, message, name, person)
    changes.append(Change(rules.EVENT, person=person.cio_id, key=key, subject=subject))
    return changes


def _event(
    store: Store, message: Mapping[str, Any], name: str | None, person: Person | None
) -> Event:
    properties = mapping(message.get("properties"))
    return store.record(
        message,
        name=name,
        person=person,
        timestamp=moment(message.get("timestamp"), now=store.now),
        properties=converted_body(properties) if store.settings.convert_times else dict(properties),
    )
