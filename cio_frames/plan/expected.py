"""What a run should have left in a workspace: the people it was about, and what it wrote about them."""

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
"""Rules by which a message does nothing because it names a person who does not exist."""
_MARKED: Final = ("identify", "form")
_NO_PROPERTIES: Final[dict[str, Any]] = {}


class Written(NamedTuple):
    """One attribute or identifier that the run wrote."""

    name: str
    value: Any  # null if it was removed
    at: int | None  # when it was written, in Unix seconds, if known


@dataclass(slots=True, kw_only=True)
class Expected:
    """The people that a run was about, as they should be now.

    Attributes:
        model: The workspace that the messages which have arrived make.
        people: The people that messages were about, each with the number of the last message that may
            have written attributes, or else of the first one.
        in_doubt: The attributes that messages in doubt may have changed, by person; None for all.
        unknown: How many messages name people who did not exist before.
    """

    model: Model = field(default_factory=Model)
    people: dict[Person, int] = field(default_factory=dict)
    in_doubt: dict[Person, frozenset[str] | None] = field(default_factory=dict)
    unknown: int = 0
    _plans: "array[int]" = field(default_factory=lambda: array("i"))
    _rows: "array[int]" = field(default_factory=lambda: array("q"))
    _identified: dict[Person, set[IdentifierKind]] = field(default_factory=dict)
    _addresses_in_doubt: list[tuple[Address, frozenset[str] | None]] = field(default_factory=list)

    def place(self, number: int) -> tuple[int, int]:
        """Return plan and row of a message by its number."""
        return self._plans[number], self._rows[number]

    def written(self, person: Person) -> Iterator[Written]:
        """Yield what the run wrote about a person, the identifiers first.

        What the person had before, and what a merge added, is not included.
        """
        time = _time(person)
        for kind in IDENTIFIERS:
            value = person.get(kind)
            if value is not None and (
                not person.existed or kind in self._identified.get(person, ())
            ):
                yield Written(kind, value, time)
        if person.stamps is None:
            if person.stamp != LONG_AGO:
                for name, value in person.attributes.items():
                    yield from _parts(Written(name, value, person.stamp))
            return
        for name, at in person.stamps.items():
            if at != LONG_AGO:
                yield from _parts(Written(name, _value_at(person.attributes, name), at))

    def is_in_doubt(self, person: Person, name: str) -> bool:
        """Return whether a message in doubt may have changed an attribute of a person."""
        names = self.in_doubt.get(person, frozenset())
        return names is None or not names.isdisjoint((name, name.partition(".")[0]))

    def is_removal_in_doubt(self, person: Person) -> bool:
        """Return whether a message in doubt may have removed a person."""
        return self.in_doubt.get(person, frozenset()) is None

    def removed(self) -> Iterator[tuple[Person, str]]:
        """Yield people that the run has deleted or merged into others, unless they exist again, and how."""
        store = self.model.store
        everyone = [(person, "deleted") for person, _ in store.removed]
        everyone += [(person, "merged into another person") for person in store.merged]
        for person, reason in everyone:
            if person.id is not None and store.people.find("id", person.id) is None:
                yield person, reason

    def events(self) -> list[Event]:
        """Return the events that should be there."""
        return [event for event in self.model.store.events if not event.lost]

    def record(self, model: Model, arrived: Arrived, changes: tuple[Change, ...]) -> None:
        """Record what a message changed; a listener of `workspace_after`."""
        store = model.store
        if arrived.state == IN_DOUBT:
            self._addresses_in_doubt += _changes_in_doubt(arrived.message, model.settings)
            return
        self._plans.append(arrived.plan)
        self._rows.append(arrived.row)
        if store.events and store.events[-1].number == store.number:
            store.events[-1].properties = _NO_PROPERTIES  # they are not compared
        for change in changes:
            if change.rule in _UNKNOWN:
                self.unknown += 1
            person = None if change.person is None else store.people.by_cio.get(change.person)
            if person is None:
                continue
            self.people.setdefault(person, store.number)
            if arrived.message["type"] in _MARKED:
                self.people[person] = store.number
                if person.existed:
                    named = self._identified.setdefault(person, set())
                    named.update(_kinds(arrived.message, model.settings))

    def finish(self) -> None:
        """Find the people that messages in doubt are about, after all messages are recorded."""
        store = self.model.store
        for who, names in self._addresses_in_doubt:
            person = store.people.find(*who)
            if person is not None:
                before = self.in_doubt.get(person, frozenset())
                self.in_doubt[person] = None if names is None or before is None else before | names


def expected(
    pipelines: Pipelines,
    record: pl.DataFrame | Audit,
    *,
    before: pl.DataFrame | None,
    settings: Settings | None,
    messages: Iterable[Arrived] | None = None,
) -> Expected:
    """Return what the messages that arrived should have left.

    `before` has the people before the run; `messages` is the result of `arrived`, if there is one already.
    """
    result = Expected()
    result.model = workspace_after(
        pipelines,
        record,
        before=before,
        settings=settings,
        messages=messages,
        listener=result.record,
    )
    result.finish()
    return result


def _time(person: Person) -> int | None:
    """Return when the identifiers of a person were set, if known."""
    if not person.existed:
        return int(person.age[1])
    return max((at for at in person.all_stamps().values() if at != LONG_AGO), default=None)


def _parts(written: Written) -> Iterator[Written]:
    """Yield an attribute, or each of its parts if these are set one by one (2.1)."""
    if isinstance(written.value, dict) and f"{written.name}.".startswith(FLAT_PREFIXES):
        for name, value in written.value.items():
            yield from _parts(Written(f"{written.name}.{name}", value, written.at))
    else:
        yield written


def _value_at(attributes: Mapping[str, Any], name: str) -> Any:
    """Return an attribute, or a part of it by its dotted path; null if there is none."""
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
    attributes = {**mapping(message.get("traits")), **mapping(message.get("data"))}
    yield from (kind for kind in IDENTIFIERS if text(attributes.get(kind)) is not None)


def _changes_in_doubt(
    message: Mapping[str, Any], settings: Settings
) -> Iterator[tuple[Address, frozenset[str] | None]]:
    """Yield the people whose attributes a message may have changed, and which."""
    if message["type"] not in (*_MARKED, "alias") and message.get("event") not in EFFECTS:
        return
    attributes = {**mapping(message.get("traits")), **mapping(message.get("data"))}
    names = frozenset({*attributes, "id", "email", "created_at"})
    values = (
        message.get("userId"), message.get("previousId"), attributes.get("id"), attributes.get("email"),
    )  # fmt: skip
    for value in values:
        who = address(value, settings=settings)
        if who is not None:
            yield who, names if message["type"] in _MARKED else None
