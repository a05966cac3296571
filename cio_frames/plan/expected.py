"""What a run should have left in a workspace: whom it was about, and what it wrote of them."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import polars as pl

from cio_frames.audit import Audit
from cio_frames.identity import Change, Model, Settings, rules
from cio_frames.identity.identifiers import Address, IdentifierKind, address, mapping, text
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.identity.state import LONG_AGO, Event, Person
from cio_frames.plan.arrived import IN_DOUBT, Arrived, workspace_after
from cio_frames.plan.pipeline import Pipelines
from cio_frames.spec import FLAT_PREFIXES

IDENTIFIERS: Final[tuple[IdentifierKind, ...]] = ("id", "email")
_UNKNOWN: Final = frozenset({
    rules.CIO_UNKNOWN, rules.PRIMARY_UNKNOWN, rules.SECONDARY_UNKNOWN,
})  # fmt: skip
"""Rules by which a message does nothing as it names somebody who is not there."""
_MARKED: Final = ("identify", "form")
_NO_PROPERTIES: Final[dict[str, Any]] = {}


class Written(NamedTuple):
    """One attribute or identifier that the run wrote."""

    name: str
    value: Any  # null where it was removed
    at: int | None  # the time of writing, in Unix seconds, if it is known


@dataclass(slots=True, kw_only=True)
class Expected:
    """The people whom a run was about, as they should be now.

    Attributes:
        model: The workspace that the messages make which have arrived.
        people: Those whom a message was about, each with the number of the last one that may have written
            attributes, or else of the first.
        doubtful: Of whom messages in doubt may have changed something: which attributes, or None for all.
        unknown: How many messages name people who are not among those before.
    """

    model: Model = field(default_factory=Model)
    people: dict[Person, int] = field(default_factory=dict)
    doubtful: dict[Person, frozenset[str] | None] = field(default_factory=dict)
    unknown: int = 0
    _plans: "array[int]" = field(default_factory=lambda: array("i"))
    _rows: "array[int]" = field(default_factory=lambda: array("q"))
    _named: dict[Person, set[IdentifierKind]] = field(default_factory=dict)
    _doubted: list[tuple[Address, frozenset[str] | None]] = field(default_factory=list)

    def place(self, number: int) -> tuple[int, int]:
        """Return plan and row of a message by its number."""
        return self._plans[number], self._rows[number]

    def written(self, person: Person) -> Iterator[Written]:
        """Yield what the run wrote of somebody, the identifiers first.

        What a person had before, and what a merge brought along, is not among it.
        """
        time = _time(person)
        for kind in IDENTIFIERS:
            value = person.get(kind)
            if value is not None and (not person.existed or kind in self._named.get(person, ())):
                yield Written(kind, value, time)
        if person.stamps is None:
            if person.stamp != LONG_AGO:
                for name, value in person.attributes.items():
                    yield from _parts(Written(name, value, person.stamp))
            return
        for name, at in person.stamps.items():
            if at != LONG_AGO:
                yield from _parts(Written(name, _held(person.attributes, name), at))

    def is_in_doubt(self, person: Person, name: str) -> bool:
        """Return whether a message in doubt may have changed an attribute of somebody."""
        names = self.doubtful.get(person, frozenset())
        return names is None or not names.isdisjoint((name, name.partition(".")[0]))

    def is_removal_in_doubt(self, person: Person) -> bool:
        """Return whether a message in doubt may have removed somebody."""
        return self.doubtful.get(person, frozenset()) is None

    def gone(self) -> Iterator[tuple[Person, str]]:
        """Yield whom the run has deleted, or merged into others, unless they are there again."""
        store = self.model.store
        removed = [(person, "deleted") for person, _ in store.removed]
        removed += [(person, "merged into another person") for person in store.merged]
        for person, how in removed:
            if person.id is not None and store.people.find("id", person.id) is None:
                yield person, how

    def events(self) -> list[Event]:
        """Return the events that should be there."""
        return [event for event in self.model.store.events if not event.lost]

    def tell(self, model: Model, each: Arrived, changes: tuple[Change, ...]) -> None:
        """Take note of what a message did."""
        store = model.store
        if each.state == IN_DOUBT:
            self._doubted += _doubted(each.message, model.settings)
            return
        self._plans.append(each.plan)
        self._rows.append(each.row)
        if store.events and store.events[-1].number == store.number:
            store.events[-1].properties = _NO_PROPERTIES  # they are not compared
        for change in changes:
            if change.rule in _UNKNOWN:
                self.unknown += 1
            person = None if change.person is None else store.people.by_cio.get(change.person)
            if person is None:
                continue
            self.people.setdefault(person, store.number)
            if each.message["type"] in _MARKED:
                self.people[person] = store.number
                if person.existed:
                    named = self._named.setdefault(person, set())
                    named.update(_kinds(each.message, model.settings))

    def finish(self) -> None:
        """Find out whom the messages in doubt are about, and who is gone, once all are told."""
        store = self.model.store
        for who, names in self._doubted:
            person = store.people.find(*who)
            if person is not None:
                before = self.doubtful.get(person, frozenset())
                self.doubtful[person] = None if names is None or before is None else before | names


def expected(
    pipelines: Pipelines,
    record: pl.DataFrame | Audit,
    *,
    before: pl.DataFrame | None,
    settings: Settings | None,
    messages: Iterable[Arrived] | None = None,
) -> Expected:
    """Return what the messages should have left that arrived.

    Args:
        pipelines: The plans that the run was made from.
        record: The rows of the run.
        before: The people who were there before, as `export` gives them.
        settings: How the workspace is set up.
        messages: What `arrived` yields, if that is known already.
    """
    found = Expected()
    found.model = workspace_after(
        pipelines, record, known=before, settings=settings, messages=messages, tell=found.tell
    )
    found.finish()
    return found


def _time(person: Person) -> int | None:
    """Return when the identifiers of somebody were set, as far as that is known."""
    if not person.existed:
        return int(person.age[1])
    return max((at for at in person.all_stamps().values() if at != LONG_AGO), default=None)


def _parts(each: Written) -> Iterator[Written]:
    """Yield an attribute, or each of its parts where these are set one by one (2.1)."""
    if isinstance(each.value, dict) and f"{each.name}.".startswith(FLAT_PREFIXES):
        for name, value in each.value.items():
            yield from _parts(Written(f"{each.name}.{name}", value, each.at))
    else:
        yield each


def _held(attributes: Mapping[str, Any], name: str) -> Any:
    """Return an attribute, or a part of it by its dotted path, null where it is not there."""
    if name in attributes or "." not in name:
        return attributes.get(name)
    node: Any = attributes
    for part in name.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _kinds(message: Mapping[str, Any], settings: Settings) -> Iterator[IdentifierKind]:
    """Yield the kinds of identifiers that a message names."""
    who = address(message.get("userId"), settings=settings)
    if who is not None:
        yield who.kind
    said = {**mapping(message.get("traits")), **mapping(message.get("data"))}
    yield from (kind for kind in IDENTIFIERS if text(said.get(kind)) is not None)


def _doubted(
    message: Mapping[str, Any], settings: Settings
) -> Iterator[tuple[Address, frozenset[str] | None]]:
    """Yield whose attributes a message may have changed, and which."""
    if message["type"] not in (*_MARKED, "alias") and message.get("event") not in EFFECTS:
        return
    said = {**mapping(message.get("traits")), **mapping(message.get("data"))}
    names = frozenset({*said, "id", "email", "created_at"})
    named = (
        message.get("userId"), message.get("previousId"), said.get("id"), said.get("email"),
    )  # fmt: skip
    for value in named:
        who = address(value, settings=settings)
        if who is not None:
            yield who, names if message["type"] in _MARKED else None
