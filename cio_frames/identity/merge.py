"""The person and identifiers that an identify resolves to, and merges of two people."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address
from cio_frames.identity.rules import Change, Rule, add_settings, join_settings
from cio_frames.identity.state import Person, Store, change_of

Identifiers = Mapping[Literal["id", "email"], Address]
Outcome = tuple[Person, list[Change]]

OTHER: Final[Mapping[str, Literal["id", "email"]]] = {"id": "email", "email": "id"}


def resolve_person(store: Store, who: Address, claims: Identifiers) -> Outcome:
    """Find or create the person an identify is about, and set its identifiers (3.2)."""
    if who.kind == "cio_id":
        return _addressed_by_cio_id(store, who, claims)
    claim = claims.get(OTHER[who.kind])
    addressed = store.people.find(*who)
    claimed = None if claim is None else store.people.find(*claim)
    if addressed is None:
        person, changes = _unused_identifier(store, who, claim, claimed)
    elif claim is None or claimed is addressed:
        person, changes = addressed, [_updated(addressed, who)]
    elif claimed is None:
        person, changes = _free_claim(store, addressed, who, claim)
    else:
        person, changes = _two_people(store, addressed, claimed, who=who, claim=claim)
    own = claims.get("email" if who.kind == "email" else "id")
    if own is not None and own.key != who.key:
        changes.append(_failed(rules.FIXED, person, own))
    return person, changes


def _unused_identifier(
    store: Store, who: Address, claim: Address | None, claimed: Person | None
) -> Outcome:
    """Resolve an unused identifier: a new person, or an existing one who gets it (3.2 rows 1, 3)."""
    if claim is None or claimed is None:
        person = store.create(who)
        if claim is not None:
            store.people.set_key(person, claim.kind, claim.value)
        return person, [store.change_without_owner(rules.CREATED, who, person=person.cio_id)]
    if claimed.get(who.kind) is None:
        store.people.set_key(claimed, who.kind, who.value)
        change = Change(rules.REKEYED, person=claimed.cio_id, key=str(who), subject=str(claim))
        return claimed, [change]
    person, changes = _taken(store, who, claim, claimed)
    return person, list(add_settings(changes, "taken_identifier"))


def _taken(store: Store, who: Address, claim: Address, claimed: Person) -> Outcome:
    """Resolve a new id with the e-mail of a person who has another id: open (3.1 against N1).

    The tip is about ids: an e-mail is replaced only if the workspace allows that (3.1).
    """
    setting, before = store.settings.taken_identifier, claimed.get(who.kind)
    if setting == "rekey" and (who.kind == "id" or store.settings.email_updates):
        store.free(Address(who.kind, before or ""), setting="taken_identifier")
        store.people.set_key(claimed, who.kind, who.value)
        change = Change(rules.REPLACED, person=claimed.cio_id, key=str(who), subject=before)
        return claimed, [change]
    if setting == "update":
        store.free(who, setting="taken_identifier")
        return claimed, [_updated(claimed, claim), _failed(rules.FIXED, claimed, who)]
    person = store.create(who)
    return person, [
        Change(rules.CREATED, person=person.cio_id, key=str(who)),
        _failed(rules.TAKEN, person, claim, other=claimed),
    ]


def _free_claim(store: Store, person: Person, who: Address, claim: Address) -> Outcome:
    """Set an unused identifier of an existing person, or change it if allowed (3.1, 3.2 row 5)."""
    if person.get(claim.kind) is None:
        store.people.set_key(person, claim.kind, claim.value)
        return person, [_updated(person, who)]
    changes = [_updated(person, who), _failed(rules.FIXED, person, claim)]
    if claim.kind != "email":
        return person, changes
    before = Address("email", person.email or "")
    store.free(before if store.settings.email_updates else claim, setting="email_updates")
    if store.settings.email_updates:
        store.people.set_key(person, claim.kind, claim.value)
        changes = [_changed(person, who, claim)]
    return person, list(add_settings(changes, "email_updates"))


def _two_people(
    store: Store, addressed: Person, claimed: Person, *, who: Address, claim: Address
) -> Outcome:
    """Resolve an id and an e-mail of two people: an automatic merge or a failure (3.2 row 4, 3.2a).

    They merge if neither has the identifier that matched the other. The older profile is kept.
    """
    mergeable = addressed.get(claim.kind) is None and claimed.get(who.kind) is None
    if not (mergeable and store.settings.auto_merge):
        failed = _failed(rules.TAKEN, addressed, claim, other=claimed)
        return addressed, [_updated(addressed, who), failed]
    older, younger = sorted((addressed, claimed), key=lambda person: person.age)
    change = Change(
        rules.AUTO_MERGED,
        person=older.cio_id,
        key=str(who),
        other=younger.cio_id,
        subject=str(claim),
        open=merge(store, older, younger, why="auto-merge"),
    )
    return older, [change]


def _addressed_by_cio_id(store: Store, who: Address, claims: Identifiers) -> Outcome:
    """Resolve a cio_id: identifiers can be changed, but not to those of other people (3.1)."""
    person = store.people.by_cio[who.value]
    changes = [_updated(person, who)]
    for claim in claims.values():
        owner = store.people.find(*claim)
        if owner is None:
            if person.get(claim.kind) is not None:
                changes.append(_changed(person, who, claim))
            store.people.set_key(person, claim.kind, claim.value)
        elif owner is not person:
            changes.append(_failed(rules.TAKEN, person, claim, other=owner))
    return person, changes


def _updated(person: Person, who: Address) -> Change:
    return Change(rules.UPDATED, person=person.cio_id, key=str(who))


def _changed(person: Person, who: Address, claim: Address) -> Change:
    return Change(rules.RECHANGED, person=person.cio_id, key=str(who), subject=str(claim))


def _failed(rule: Rule, person: Person, claim: Address, *, other: Person | None = None) -> Change:
    other_id = None if other is None else other.cio_id
    return change_of(rule, person, other=other_id, subject=str(claim))


def merge(
    store: Store, primary: Person, secondary: Person, *, why: Literal["alias", "auto-merge"]
) -> tuple[str, ...]:
    """Merge `secondary` into `primary` and delete it (3.2a, 3.4); return the open settings."""
    keys, kept_key = [str(key) for key in secondary.addresses()], primary.label
    store.people.remove(secondary)
    _inherit_identifiers(store, primary, secondary)
    primary.fill(secondary.attributes, stamps=secondary.all_stamps())
    secondary.events.sort_by_age(store.now)
    older = secondary.events.older_times
    lost = _move_events(store, primary, secondary)
    rests_on = _open_settings(older_events=older > 0, relationships=bool(secondary.objects))
    _move_anonymous(primary, secondary)
    secondary.successor = primary
    store.merged.append(secondary)
    _move_relationships(store, primary, secondary)
    primary.devices = {**(secondary.devices or {}), **(primary.devices or {})} or None
    store.merges.append({
        "kept": primary.cio_id,
        "kept_key": kept_key,
        "removed": secondary.cio_id,
        "removed_keys": keys,
        "removed_existed": secondary.existed,
        "why": why,
        "irreversible": True,
        "events_moved": secondary.events.recent_times,
        "events_later": older - lost,
        "events_lost": lost,
        "open": join_settings(rests_on),
        "received_at": datetime.fromtimestamp(store.now, tz=UTC),
        "number": store.number,
    })  # fmt: skip
    return rests_on


def _open_settings(*, older_events: bool, relationships: bool) -> tuple[str, ...]:
    """Return the open settings that decide what a merge moves."""
    matters = {"merged_events": older_events, "merged_relationships": relationships}
    return tuple(setting for setting, is_open in matters.items() if is_open)


def _inherit_identifiers(store: Store, primary: Person, secondary: Person) -> None:
    """Fill an unset id or e-mail: identifiers merge like attributes (3.4)."""
    if primary.id is None and secondary.id is not None:
        store.people.set_key(primary, "id", secondary.id)
    if primary.email is None and secondary.email is not None:
        store.people.set_key(primary, "email", secondary.email)


def _move_events(store: Store, primary: Person, secondary: Person) -> int:
    """Move the latest events, or all, by a setting; return how many are lost (N2)."""
    primary.events.take_recent(secondary.events)
    if store.settings.merged_events == "all":
        primary.events.take_older(secondary.events)
        return 0
    for event in secondary.events.older:
        event.lost = True
    return secondary.events.older_times


def _move_anonymous(primary: Person, secondary: Person) -> None:
    """Move the anonymous ids to the person who is kept: nobody else can have them (3.3)."""
    own, others = primary.anonymous_ids, secondary.anonymous_ids
    if len(others) <= len(own):
        primary.anonymous_ids = ids = own if isinstance(own, deque) else deque(own)
        ids.extend(others)
    else:
        primary.anonymous_ids = ids = others if isinstance(others, deque) else deque(others)
        ids.extendleft(reversed(own))


def _move_relationships(store: Store, primary: Person, secondary: Person) -> None:
    """Move relationships, or remove them, by a setting, as the sources do not say."""
    for record in list(secondary.objects):
        if store.settings.merged_relationships == "move":
            record.hand_over(secondary, primary)
            record.open[primary] = ("merged_relationships", *record.open.get(primary, ()))
        else:
            record.unrelate(secondary)
            record.lost_by = ("merged_relationships",)
