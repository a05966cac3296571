"""Form submissions: one person, some attributes, one event."""

from collections.abc import Iterator, Mapping
from typing import Any

from cio_frames.identity import rules
from cio_frames.identity.identifiers import Address, mapping, text
from cio_frames.identity.rules import Change, Rule
from cio_frames.identity.settling import settle
from cio_frames.identity.store import Store
from cio_frames.spec import FORM_RESERVED


def form(store: Store, message: Mapping[str, Any]) -> Iterator[Change]:
    """Apply a form submission (reference section 5)."""
    form_id = text(message.get("formId")) or ""
    record = store.forms.setdefault(form_id, {"mapping": {}, "submissions": 0, "refused": 0})
    data = _mapped(mapping(message.get("data")), record["mapping"])
    problem = _problem(store, data)
    if problem is not None:
        record["refused"] += 1
        yield Change(problem, subject=form_id)
        return
    claims = {
        kind: Address(kind, data[kind]) for kind in store.settings.identifiers if data.get(kind)
    }
    for claim in claims.values():
        refused = store.refused(claim)
        if refused is not None:
            yield refused
            return
    who = claims.get("email") or claims["id"]
    person, changes = settle(store, who, claims)
    yield from changes
    anonymous_id = data.get("anonymous_id")
    if anonymous_id:
        yield from store.link(anonymous_id, person)
    taken_out = (*store.settings.identifiers, "anonymous_id")
    attributes = {key: value for key, value in data.items() if key not in taken_out}
    person.write(attributes, at=int(store.now), settings=store.settings)
    store.record(message, name=form_id, person=person, timestamp=int(store.now), properties=data)
    record["submissions"] += 1
    yield Change(rules.FORM_SUBMITTED, person=person.cio_id, key=str(who), subject=form_id)


def _mapped(data: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields under the attributes they are mapped to; reserved ones are ignored."""
    return {fields.get(key, key): value for key, value in data.items() if key not in FORM_RESERVED}


def _problem(store: Store, data: Mapping[str, Any]) -> Rule | None:
    """Return why a submission is answered with 400 (section 5; C27, C28)."""
    if not all(isinstance(value, str) for value in data.values()):
        return rules.FORM_NOT_TEXT
    given = [kind for kind in store.settings.identifiers if data.get(kind)]
    if not given:
        return rules.FORM_NO_ID
    if len(given) > 1 and store.settings.form_identifiers == "one":
        return rules.FORM_TWO_IDS
    return None
