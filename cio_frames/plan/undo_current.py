"""What a workspace holds now, so that an undo leaves alone what others have changed since the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.frames import read
from cio_frames.frames.table import frame_errors
from cio_frames.identity import Model
from cio_frames.identity.differences import is_same_text, of_people, pairs
from cio_frames.identity.identifiers import seconds
from cio_frames.identity.known_people import export_rows, normalize_export
from cio_frames.identity.state import Person
from cio_frames.identity.undo_steps import Former
from cio_frames.plan.workspace_people import WorkspacePeople
from cio_frames.spec import RESERVED_PREFIXES, PersonIdType
from cio_frames.workspaces import Client

FEW: Final = 5_000
"""Up to so many people are read one hundred with each request; more are read by an export."""
BORN: Final = "_created_in_customerio_at"
STAMPS: Final = "\0timestamps"
"""Among what is known of somebody: when each attribute was set. No attribute has this name."""

OLDER: Final = "`current` says that the profile was created before the run."
KNOWN: Final = "`known` has the profile, under another identifier."
IN_USE: Final = "Somebody has written to the person since the run."

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """People as they are now, found by any identifier."""

    by: Mapping[tuple[str, str], Row]

    def of(self, person: Person) -> Row | None:
        """Return what is known of somebody: attributes and identifiers."""
        email = None if person.email is None else person.email.lower()
        cio_id = person.cio_id if person.existed else None  # that of a new person is made up
        keys = (("cio_id", cio_id), ("id", person.id), ("email", email))
        found = (self.by.get((kind, value)) for kind, value in keys if value is not None)
        return next((row for row in found if row is not None), None)


def compared(
    former: Former, after: Model, current: WorkspacePeople, *, started: datetime
) -> Former:
    """Return what is known of a workspace, with what it holds now.

    Args:
        former: What is known of it as it was.
        after: What the run has made of it.
        current: An export of now, or a client that reads who was changed.
        started: When the run began.
    """
    if isinstance(current, Client):
        people = _read(current, former, after)
    else:
        table = read(current)
        with frame_errors(f"{table.label} of people now"):
            people = table.lazy.collect()
    stamps = people["timestamps"].to_list() if "timestamps" in people.columns else []
    aside = ["timestamps", *(["unsubscribed"] if stamps else [])]  # which is among the attributes
    exported = normalize_export(people.drop(aside, strict=False), attributes=True)
    by: dict[tuple[str, str], Row] = {}
    for number, row in enumerate(export_rows(exported)):
        held = dict(row.get("attributes") or {})
        held |= {name: row[name] for name in ("id", "email", "cio_id")}
        if row.get("created_at") is not None:
            held["created_at"] = row["created_at"]
        if stamps:
            held[STAMPS] = msgspec.json.decode(stamps[number] or "{}")
        for kind in ("cio_id", "id", "email"):
            if row[kind] is not None:
                by[kind, row[kind].lower() if kind == "email" else row[kind]] = held
    names = None
    if "attributes" not in exported.columns:
        names = frozenset(exported.columns)
    now = Current(by=by)
    return replace(
        former,
        read_current=now.of,
        reason_to_keep=_reasons_to_keep(former, started),
        current_attributes=names,
    )


def _reasons_to_keep(former: Former, started: datetime) -> Callable[[Person, Row], str | None]:
    """Return a function that explains why a person whom the run created may not be deleted."""

    def reason_to_keep(person: Person, held: Row) -> str | None:
        if held["cio_id"] in former.exported_cio_ids:
            return KNOWN
        own, stamps = person.attributes.get("created_at"), person.all_stamps()
        told = [held.get(BORN)]
        told += [at for name, at in held.get(STAMPS, {}).items() if at != stamps.get(name)]
        if not is_same_text(own, held.get("created_at")):
            told.append(held.get("created_at"))
        times = [at for each in told if (at := seconds(each)) is not None]
        if any(at < int(started.timestamp()) for at in times):
            return OLDER
        foreign = (
            name
            for name, value in held.items()
            if name not in ("id", "email", "created_at", "unsubscribed", "anonymous_id")
            and not name.startswith((*RESERVED_PREFIXES, STAMPS))
            and not is_same_text(person.attributes.get(name), value)
        )
        return IN_USE if any(True for _ in foreign) else None

    return reason_to_keep


def _read(client: Client, former: Former, after: Model) -> pl.DataFrame:
    """Return the people who differ from before, as they are now."""
    changed: dict[str, Person] = {}
    names: dict[str, None] = {}
    for each in of_people(pairs(former.model, after), same=former.same):
        person = each.after or each.before
        assert person is not None  # noqa: S101 - each is about somebody
        changed[person.cio_id] = person
        if each.what == "attribute":
            names[str(each.name)] = None
    if len(changed) > FEW:
        return client.people(attributes=list(names))
    keys: dict[PersonIdType, list[str]] = {"cio_id": [], "id": [], "email": []}
    for person in changed.values():
        if person.existed and person.cio_id in former.exported_cio_ids:
            keys["cio_id"].append(person.cio_id)
        elif person.id is not None:
            keys["id"].append(person.id)
        elif person.email is not None:
            keys["email"].append(person.email)
    return pl.concat(client.attributes(values, id_type=kind) for kind, values in keys.items())
