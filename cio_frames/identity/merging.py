"""Merges: two people become one, for good."""

from datetime import UTC, datetime
from typing import Literal

from cio_frames.identity.events import Event, move
from cio_frames.identity.settings import MERGED_EVENTS
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store


def merge(
    store: Store, primary: Person, secondary: Person, *, why: Literal["alias", "auto-merge"]
) -> None:
    """Merge `secondary` into `primary` and delete it (3.2a, 3.4)."""
    keys = [str(key) for key in secondary.addresses()]
    store.people.remove(secondary)
    _inherit_identifiers(store, primary, secondary)
    primary.fill(secondary.attributes, stamps=secondary.all_stamps())
    moved = _move_events(store, primary, secondary)
    lost = sum(event.times for event in secondary.events) - moved
    _move_anonymous(store, primary, secondary)
    _move_relationships(store, primary, secondary)
    primary.devices = {**(secondary.devices or {}), **(primary.devices or {})} or None
    store.merges.append({
        "kept": primary.cio_id,
        "kept_key": primary.label,
        "removed": secondary.cio_id,
        "removed_keys": keys,
        "removed_existed": secondary.existed,
        "why": why,
        "irreversible": True,
        "events_moved": moved,
        "events_lost": lost,
        "received_at": datetime.fromtimestamp(store.now, tz=UTC),
        "number": store.number,
    })  # fmt: skip


def _inherit_identifiers(store: Store, primary: Person, secondary: Person) -> None:
    """Fill an unset id or e-mail: identifiers are attributes that merge like others (3.4)."""
    if primary.id is None and secondary.id is not None:
        store.people.set_key(primary, "id", secondary.id)
    if primary.email is None and secondary.email is not None:
        store.people.set_key(primary, "email", secondary.email)


def _move_events(store: Store, primary: Person, secondary: Person) -> int:
    """Move the last 30 days of events (or all, as the workspace is set); tells how many."""
    moved = 0
    for event in secondary.events:
        if _is_moved(store, event):
            move(event, primary)
            moved += event.times
        else:
            event.lost = True
    return moved


def _is_moved(store: Store, event: Event) -> bool:
    if store.settings.merged_events == "all":
        return True
    return store.now - event.timestamp <= MERGED_EVENTS.seconds


def _move_anonymous(store: Store, primary: Person, secondary: Person) -> None:
    """Keep the anonymous ids with the person that is kept: nobody else can have them (3.3)."""
    for anonymous_id in secondary.anonymous_ids:
        store.visitors[anonymous_id].owner = primary
    primary.anonymous_ids += secondary.anonymous_ids


def _move_relationships(store: Store, primary: Person, secondary: Person) -> None:
    """Move relationships: the sources do not say, so this is a setting."""
    for thing in list(secondary.things):
        if store.settings.merged_relationships == "move":
            thing.hand_over(secondary, primary)
        else:
            thing.unrelate(secondary)
