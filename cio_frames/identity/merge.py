"""Which person an identify is about, which identifiers they have then, and merges of two people."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address
from cio_frames.identity.rules import Change, Rule, joined, rest_on
from cio_frames.identity.state import Person, Store

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
        person, changes = _newcomer(store, who, claim, claimed)
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


def _newcomer(store: Store, who: Address, claim: Address | None, claimed: Person | None) -> Outcome:
    """An identifier nobody has: a new person, or a known one that gets it (3.2 rows 1 and 3)."""
    if claim is None or claimed is None:
        person = store.create(who)
        if claim is not None:
            store.people.set_key(person, claim.kind, claim.value)
        return person, [store.absent(rules.CREATED, who, person=person.cio_id)]
    if claimed.get(who.kind) is None:
        store.people.set_key(claimed, who.kind, who.value)
        change = Change(rules.REKEYED, person=claimed.cio_id, key=str(who), subject=str(claim))
        return claimed, [change]
    person, changes = _taken(store, who, claim, claimed)
    return person, list(rest_on(changes, "taken_identifier"))


def _taken(store: Store, who: Address, claim: Address, claimed: Person) -> Outcome:
    """A new id with the e-mail of a person who has another one: open (3.1 against N1).

    The tip is about ids: an e-mail is replaced only where e-mails may be changed (3.1).
    """
    reading, before = store.settings.taken_identifier, claimed.get(who.kind)
    if reading == "rekey" and (who.kind == "id" or store.settings.email_updates):
        store.free(Address(who.kind, before or ""), setting="taken_identifier")
        store.people.set_key(claimed, who.kind, who.value)
        change = Change(rules.REPLACED, person=claimed.cio_id, key=str(who), subject=before)
        return claimed, [change]
    if reading == "update":
        store.free(who, setting="taken_identifier")
        return claimed, [_updated(claimed, claim), _failed(rules.FIXED, claimed, who)]
    person = store.create(who)
    return person, [
        Change(rules.CREATED, person=person.cio_id, key=str(who)),
        _failed(rules.TAKEN, person, claim, other=claimed),
    ]


def _free_claim(store: Store, person: Person, who: Address, claim: Address) -> Outcome:
    """A free identifier for a known person: set, or changed only if allowed (3.1, 3.2 row 5)."""
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
    return person, list(rest_on(changes, "email_updates"))


def _two_people(
    store: Store, addressed: Person, claimed: Person, *, who: Address, claim: Address
) -> Outcome:
    """Id of one, e-mail of another: the automatic merge or a failure (3.2 row 4, 3.2a).

    They merge when each of the two lacks the identifier that matched the other; that each
    identifier matches exactly one person is so by construction. The older profile is kept.
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
    """Addressed by cio_id, identifiers can be changed, yet not to somebody else's (3.1)."""
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
    return Change(rule, person=person.cio_id, key=person.label, other=other_id, subject=str(claim))


def merge(
    store: Store, primary: Person, secondary: Person, *, why: Literal["alias", "auto-merge"]
) -> tuple[str, ...]:
    """Merge `secondary` into `primary` and delete it (3.2a, 3.4); return the open settings."""
    keys, kept_key = [str(key) for key in secondary.addresses()], primary.label
    store.people.remove(secondary)
    _inherit_identifiers(store, primary, secondary)
    primary.fill(secondary.attributes, stamps=secondary.all_stamps())
    secondary.events.sort_out(store.now)
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
        "open": joined(rests_on),
        "received_at": datetime.fromtimestamp(store.now, tz=UTC),
        "number": store.number,
    })  # fmt: skip
    return rests_on


def _open_settings(*, older_events: bool, relationships: bool) -> tuple[str, ...]:
    """Return the open settings that say what a merge moves."""
    decided = {"merged_events": older_events, "merged_relationships": relationships}
    return tuple(setting for setting, matters in decided.items() if matters)


def _inherit_identifiers(store: Store, primary: Person, secondary: Person) -> None:
    """Fill an unset id or e-mail: identifiers are attributes that merge like others (3.4)."""
    if primary.id is None and secondary.id is not None:
        store.people.set_key(primary, "id", secondary.id)
    if primary.email is None and secondary.email is not None:
        store.people.set_key(primary, "email", secondary.email)


def _move_events(store: Store, primary: Person, secondary: Person) -> int:
    """Move the latest events, or all as the workspace is set; return how many are lost (N2)."""
    primary.events.take_recent(secondary.events)
    if store.settings.merged_events == "all":
        primary.events.take_older(secondary.events)
        return 0
    for event in secondary.events.older:
        event.lost = True
    return secondary.events.older_times


def _move_anonymous(primary: Person, secondary: Person) -> None:
    """Keep the anonymous ids with the person that is kept: nobody else can have them (3.3)."""
    mine, theirs = primary.anonymous_ids, secondary.anonymous_ids
    if len(theirs) <= len(mine):
        primary.anonymous_ids = kept = mine if isinstance(mine, deque) else deque(mine)
        kept.extend(theirs)
    else:
        primary.anonymous_ids = kept = theirs if isinstance(theirs, deque) else deque(theirs)
        kept.extendleft(reversed(mine))


def _move_relationships(store: Store, primary: Person, secondary: Person) -> None:
    """Move relationships: the sources do not say, so this is a setting."""
    for record in list(secondary.objects):
        if store.settings.merged_relationships == "move":
            record.hand_over(secondary, primary)
            record.open[primary] = ("merged_relationships", *record.open.get(primary, ()))
        else:
            record.unrelate(secondary)
            record.short_of = ("merged_relationships",)
