"""identify: who is meant, which identifiers they get, and what is written about them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.groups import relate
from cio_frames.identity.identifiers import Address, address, converted_body, mapping, moment, text
from cio_frames.identity.rules import Change
from cio_frames.identity.settling import Claims, settle
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store
from cio_frames.spec import STRIPPED_TRAITS

READ_ONLY: Final = ("cio_id", "_created_in_customerio_at")
# objectId makes a relationship and is stored as an attribute, too (3.5: "the latter three").
TAKEN_OUT: Final = (frozenset(STRIPPED_TRAITS) - {"objectId"}) | {"anonymous_id", *READ_ONLY}


def identify(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply an identify call (reference 3.1 to 3.3)."""
    traits = mapping(message.get("traits"))
    anonymous_id = text(message.get("anonymousId")) or text(traits.get("anonymous_id"))
    who = _addressed(store, message, traits)
    if who is None:
        if anonymous_id is None:
            yield Change(rules.NO_PERSON, subject="identify")
        else:
            yield from _identify_visitor(store, anonymous_id, traits)
        return
    claims = _claims(store, traits)
    refused = store.refused(who) or _suppressed_claim(store, claims)
    if refused is not None:
        yield refused
        return
    person, changes = settle(store, who, claims)
    yield from changes
    if anonymous_id is not None:
        yield from store.link(anonymous_id, person)
    at = moment(message.get("timestamp"), now=store.now)
    person.write(_attributes(store, traits), at=at, settings=store.settings)
    yield from _read_only(store, person, traits)
    yield from _relate(store, person, traits)


def _addressed(
    store: Store, message: Mapping[str, Any], traits: Mapping[str, Any]
) -> Address | None:
    """The person of an identify is userId, else traits.email (3.1, C11)."""
    who = address(message.get("userId"), settings=store.settings)
    if who is None and store.settings.email_trait == "identifies":
        return address(traits.get("email"), settings=store.settings)
    return who


def _claims(store: Store, traits: Mapping[str, Any]) -> Claims:
    """Return the identifiers among the traits; the attributes id and email are such (3.1)."""
    return {
        kind: Address(kind, value)
        for kind in store.settings.identifiers
        if (value := text(traits.get(kind))) is not None
    }


def _suppressed_claim(store: Store, claims: Claims) -> Change | None:
    """A call that carries a suppressed identifier is ignored as a whole (3.2 row 7)."""
    for claim in claims.values():
        if store.people.is_suppressed(claim):
            return Change(rules.SUPPRESSED_ID, key=str(claim))
    return None


def _attributes(store: Store, traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of the traits: createdAt as created_at, relationships out (3.5, C7)."""
    identifiers = store.settings.identifiers
    kept = {
        name: value
        for name, value in traits.items()
        if name not in TAKEN_OUT and name not in identifiers
    }
    created = traits.get("created_at")
    created = traits.get("createdAt") if created is None else created
    if created:
        kept["created_at"] = created
    return converted_body(kept) if store.settings.convert_times else kept


def _read_only(store: Store, person: Person, traits: Mapping[str, Any]) -> Iterator[Change]:
    """Attributes that only Customer.io sets (section 6)."""
    for name in READ_ONLY:
        if name in traits:
            yield store.told(rules.READ_ONLY, person, subject=name)


def _relate(store: Store, person: Person, traits: Mapping[str, Any]) -> Iterator[Change]:
    """Traits that mean a relationship: objectId with its type and attributes (3.5).

    Their times are not converted: ACT puts them into an array (1.6).
    """
    object_id = text(traits.get("objectId"))
    if object_id is not None:
        attributes = mapping(traits.get("relationshipAttributes"))
        yield from relate(store, person, traits, object_id=object_id, attributes=attributes)


def _identify_visitor(
    store: Store, anonymous_id: str, traits: Mapping[str, Any]
) -> Iterator[Change]:
    """Anonymous-only identify: traits of a visitor, not a profile (3.3)."""
    visitor = store.visitor(anonymous_id)
    visitor.traits.update(_attributes(store, traits))
    yield Change(rules.ANONYMOUS, key=anonymous_id, subject=anonymous_id)
    object_id = text(traits.get("objectId"))
    if object_id is not None:
        attributes = mapping(traits.get("relationshipAttributes"))
        yield from relate(store, visitor, traits, object_id=object_id, attributes=attributes)
