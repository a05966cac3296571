"""The current state of a workspace, so that an undo keeps what others have changed since the run."""

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

MAX_READ_BY_NAME: Final = 5_000
"""Up to this many people are read, one hundred with each request; beyond, all are exported."""
CREATED_IN_WORKSPACE: Final = "_created_in_customerio_at"
TIMESTAMPS: Final = "\0timestamps"
"""A key in the row of a person: when each attribute was set. No attribute has this name."""

OLDER: Final = "`current` says that the profile was created before the run."
IN_KNOWN: Final = "`known` has the profile, under another identifier."
IN_USE: Final = "Somebody has written to the person since the run."

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """People as they are now, found by any identifier."""

    by: Mapping[tuple[str, str], Row]

    def of(self, person: Person) -> Row | None:
        """Return the attributes and identifiers of a person; None if they are not there."""
        email = None if person.email is None else person.email.lower()
        cio_id = person.cio_id if person.existed else None  # the model invents those of new people
        keys = (("cio_id", cio_id), ("id", person.id), ("email", email))
        rows = (self.by.get((kind, value)) for kind, value in keys if value is not None)
        return next((row for row in rows if row is not None), None)


def with_current(
    former: Former, after: Model, current: WorkspacePeople, *, started: datetime
) -> Former:
    """Return the former state of a workspace, with its current state added.

    `current` is a new export, or a client that reads the people whom the run has changed.
    """
    if isinstance(current, Client):
        people = _read(current, former, after)
    else:
        table = read(current)
        with frame_errors(f"{table.label} of people now"):
            people = table.lazy.collect()
    stamps = people["timestamps"].to_list() if "timestamps" in people.columns else []
    # With times, `unsubscribed` is among the attributes too.
    not_attributes = ["timestamps", *(["unsubscribed"] if stamps else [])]
    exported = normalize_export(people.drop(not_attributes, strict=False), attributes=True)
    index: dict[tuple[str, str], Row] = {}
    for number, row in enumerate(export_rows(exported)):
        person_now = dict(row.get("attributes") or {})
        person_now |= {name: row[name] for name in ("id", "email", "cio_id")}
        if row.get("created_at") is not None:
            person_now["created_at"] = row["created_at"]
        if stamps:
            person_now[TIMESTAMPS] = msgspec.json.decode(stamps[number] or "{}")
        for kind in ("cio_id", "id", "email"):
            if row[kind] is not None:
                index[kind, row[kind].lower() if kind == "email" else row[kind]] = person_now
    names = None
    if "attributes" not in exported.columns:
        names = frozenset(exported.columns)
    now = Current(by=index)
    return replace(
        former,
        read_current=now.of,
        reason_to_keep=_reasons_to_keep(former, started),
        current_attributes=names,
    )


def _reasons_to_keep(former: Former, started: datetime) -> Callable[[Person, Row], str | None]:
    """Return a function that gives the reason why a person whom the run created must not be deleted."""

    def reason_to_keep(person: Person, row: Row) -> str | None:
        if row["cio_id"] in former.exported_cio_ids:
            return IN_KNOWN
        created_at, stamps = person.attributes.get("created_at"), person.all_stamps()
        times_seen = [row.get(CREATED_IN_WORKSPACE)]
        times_seen += [at for name, at in row.get(TIMESTAMPS, {}).items() if at != stamps.get(name)]
        if not is_same_text(created_at, row.get("created_at")):
            times_seen.append(row.get("created_at"))
        times = [at for time in times_seen if (at := seconds(time)) is not None]
        if any(at < int(started.timestamp()) for at in times):
            return OLDER
        foreign = (
            name
            for name, value in row.items()
            if name not in ("id", "email", "created_at", "unsubscribed", "anonymous_id")
            and not name.startswith((*RESERVED_PREFIXES, TIMESTAMPS))
            and not is_same_text(person.attributes.get(name), value)
        )
        return IN_USE if any(True for _ in foreign) else None

    return reason_to_keep


def _read(client: Client, former: Former, after: Model) -> pl.DataFrame:
    """Return the people whom the run has changed, as they are now."""
    changed: dict[str, Person] = {}
    names: dict[str, None] = {}
    for difference in of_people(pairs(former.model, after), same=former.same):
        person = difference.after or difference.before
        assert person is not None  # noqa: S101 - each is about somebody
        changed[person.cio_id] = person
        if difference.what == "attribute":
            names[str(difference.name)] = None
    if len(changed) > MAX_READ_BY_NAME:
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
