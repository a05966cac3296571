"""alias: a permanent merge of two people."""

from collections.abc import Iterator, Mapping
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.identifiers import address, text
from cio_frames.identity.merging import merge
from cio_frames.identity.rules import Change
from cio_frames.identity.state import Person
from cio_frames.identity.store import Store


def alias(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Merge the person previousId into the person userId and delete it (3.4, C23).

    Chains and cycles need no rule of their own: each call finds the people as the earlier calls
    left them, so the second half of a cycle finds its previousId gone.
    """
    who = address(message.get("userId"), settings=store.settings)
    previous = address(message.get("previousId"), settings=store.settings)
    if who is None or previous is None:
        yield Change(rules.ALIAS_INCOMPLETE)
        return
    refused = store.refused(who) or store.refused(previous)
    if refused is not None:
        yield refused
        return
    primary = store.people.find(*who)
    secondary = store.people.find(*previous)
    if primary is None:
        yield Change(rules.PRIMARY_UNKNOWN, key=str(who), subject=str(previous))
    elif secondary is None:
        yield from _previous_unknown(store, message, primary)
    elif secondary is primary:
        yield Change(rules.ALIAS_SELF, person=primary.cio_id, key=str(who), subject=str(previous))
    else:
        merge(store, primary, secondary, why="alias")
        yield Change(
            rules.MERGED,
            person=primary.cio_id,
            key=str(who),
            other=secondary.cio_id,
            subject=str(previous),
        )


def _previous_unknown(
    store: Store, message: Mapping[str, Any], primary: Person
) -> Iterator[Change]:
    """A previousId that is nobody's id: nothing, or an anonymous id to link (3.4, C18)."""
    previous = text(message.get("previousId"))
    if store.settings.alias_previous == "id-or-anonymous" and previous in store.visitors:
        yield from store.link(previous, primary)
        return
    yield store.told(rules.SECONDARY_UNKNOWN, primary, subject=repr(previous))
