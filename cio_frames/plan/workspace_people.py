"""The people of a workspace, from an export or read by a client, and how one of them is found there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import AnyTable, read
from cio_frames.frames.table import frame_errors
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.known_people import normalize_export
from cio_frames.identity.state import Person
from cio_frames.plan.pipeline import Pipelines
from cio_frames.spec import FLAT_PREFIXES
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces import Client

WorkspacePeople = AnyTable | Client
"""An export of the workspace's people, or a client that reads them."""

Identifiers = Mapping[IdentifierKind, str | None]
"""The identifiers of one person."""

KINDS: Final[tuple[IdentifierKind, ...]] = ("cio_id", "id", "email")
"""Identifiers in the order in which a person is looked up, the most reliable first."""
AT_ONCE: Final = 20_000
ASKED_AT_ONCE: Final = 1_000


@engine_errors("the known people were read")
def known_people(
    known: WorkspacePeople, pipelines: Pipelines, *, progress: ShowProgress
) -> pl.DataFrame:
    """Return an export of people as the model needs it; what a client reads is kept with the plans."""
    if isinstance(known, Client):
        if known not in pipelines.workspace_people:
            pipelines.workspace_people[known] = normalize_export(known.people(progress=progress))
        return pipelines.workspace_people[known]
    return normalize_export(people_table(known))


def people_table(people: AnyTable) -> pl.DataFrame:
    """Return a table of people as a frame."""
    table = read(people)
    with frame_errors(f"{table.label} of known people"):
        return table.lazy.collect()


class Profile(Protocol):
    """One person in a workspace."""

    def get(self, name: str) -> Any:
        """Return an attribute or identifier, null if there is none."""

    def covers(self, name: str) -> bool:
        """Return whether the source has this attribute, so that null means there is none."""

    def written_at(self, name: str) -> int | None:
        """Return when an attribute was set, in Unix seconds, if known."""


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """A line of an export."""

    columns: Mapping[str, list[Any]]  # of several lines
    place: int  # of this person among them

    def get(self, name: str) -> Any:
        """Return an attribute or identifier, null if there is none."""
        attribute = root(name)
        if attribute in self.columns:
            return _part(self.columns[attribute][self.place], name)
        if "attributes" not in self.columns:
            return None
        return _part(self.columns["attributes"][self.place].get(attribute), name)

    def covers(self, name: str) -> bool:
        """Return whether the export has this column, or all attributes."""
        return root(name) in self.columns or "attributes" in self.columns

    def written_at(self, name: str) -> int | None:  # noqa: ARG002 - an export has no times
        """Return None: an export has no times."""
        return None


@dataclass(frozen=True, slots=True)
class ReadPerson:
    """A person from the App API: all attributes, and when each was set."""

    attributes: Mapping[str, Any]
    timestamps: Mapping[str, int]

    def get(self, name: str) -> Any:
        """Return an attribute or identifier, null if there is none."""
        return _part(self.attributes.get(root(name)), name)

    def covers(self, name: str) -> bool:  # noqa: ARG002 - it has all
        """Return whether the source has this attribute, so that null means there is none."""
        return True

    def written_at(self, name: str) -> int | None:
        """Return when an attribute was set."""
        return self.timestamps.get(root(name))


class Export:
    """An export of people: a table whose columns are identifiers and attributes."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._people = normalize_export(table, attributes=True)
        names = {name.strip().lower() for name in table.columns}
        self._columns = [
            name
            for name in self._people.columns
            if name != "anonymous_ids" and (name not in KINDS or name in names)
        ]

    @property
    def has_ids(self) -> bool:
        """Whether the export has the ids of people."""
        return "id" in self._columns

    def places(self, people: pl.DataFrame) -> pl.Series:
        """Return the line of each person, null if they are in none.

        The columns cio_id, id and email are looked up in this order.
        """
        places = pl.DataFrame({kind: self._places(people[kind], kind) for kind in KINDS})
        return places.select(pl.coalesce(KINDS)).to_series()

    def _places(self, values: pl.Series, kind: IdentifierKind) -> pl.Series:
        key = pl.col("key").str.to_lowercase() if kind == "email" else pl.col("key")
        lines = self._people.select(key=kind).with_row_index("place").with_columns(key)
        first = lines.drop_nulls("key").unique("key", keep="first", maintain_order=True)
        wanted = values.alias("key").to_frame().with_columns(key)
        return wanted.join(first, on="key", how="left", maintain_order="left")["place"]

    def lines(self, places: pl.Series) -> Iterator[ExportedPerson | None]:
        """Yield the people in these lines, None for a null."""
        for start in range(0, len(places), AT_ONCE):
            numbers = places[start : start + AT_ONCE]
            part = self._people.select(pl.all().gather(numbers))
            columns = {name: part[name].to_list() for name in self._columns}
            if "attributes" in columns:
                columns["attributes"] = [_attributes(value) for value in columns["attributes"]]
            for place, line in enumerate(numbers):
                yield None if line is None else ExportedPerson(columns, place)


def read_people(
    client: Client,
    people: Sequence[tuple[Person, Identifiers]],
    *,
    kinds: Sequence[IdentifierKind] = KINDS,
    notify: Callable[[int], object] = lambda _: None,
) -> dict[Person, ReadPerson]:
    """Return the people who are in the workspace, as they are now.

    Each person comes with their possible identifiers, which are looked up in the order of `kinds`.
    `notify` is called with the number of people that were looked up.
    """
    profiles: dict[Person, ReadPerson] = {}
    for kind in kinds:
        remaining = [
            (person, names.get(kind)) for person, names in people if person not in profiles
        ]
        named = [(person, name) for person, name in remaining if name is not None]
        for start in range(0, len(named), ASKED_AT_ONCE):
            part = named[start : start + ASKED_AT_ONCE]
            rows = client.attributes([name for _, name in part], id_type=kind)
            by_name = {_folded(row[kind], kind): row for row in rows.iter_rows(named=True)}
            for person, name in part:
                row = by_name.get(_folded(name, kind))
                if row is not None:
                    profiles[person] = _read(row)
            notify(len(part))
    return profiles


def _read(row: Mapping[str, Any]) -> ReadPerson:
    named = {kind: row[kind] for kind in KINDS if row[kind] is not None}
    consent = {"unsubscribed": row["unsubscribed"]}
    attributes = consent | msgspec.json.decode(row["attributes"]) | named
    return ReadPerson(attributes, msgspec.json.decode(row["timestamps"]))


def _folded(name: str | None, kind: IdentifierKind) -> str | None:
    return name.lower() if name is not None and kind == "email" else name


def _attributes(value: Any) -> Mapping[str, Any]:
    """Return attributes that are JSON or a struct."""
    return msgspec.json.decode(value) if isinstance(value, str) else value or {}


def root(name: str) -> str:
    """Return the attribute that a name is a part of; only preferences are set part by part (2.1)."""
    return name.partition(".")[0] if name.startswith(FLAT_PREFIXES) else name


def _part(value: Any, name: str) -> Any:
    """Return the part of a value under a dotted path."""
    if not name.startswith(FLAT_PREFIXES):
        return value
    node = msgspec.json.decode(value) if isinstance(value, str) and value[:1] == "{" else value
    for part in name.split(".")[1:]:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
