"""The steps that restore a workspace, and the reasons why some differences remain."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cio_frames.identity.differences import (
    Difference,
    Pair,
    Same,
    is_same,
    is_same_text,
    of_objects,
    of_people,
    of_relationships,
    pairs,
)
from cio_frames.identity.identifiers import Address, address
from cio_frames.identity.model import Model
from cio_frames.identity.settings import Settings
from cio_frames.identity.state import LONG_AGO, ObjectKey, Person

Values = dict[str, Any]
"""Attributes by name; None clears."""
Key = tuple[str, str | None, ObjectKey | None, str | None]
"""What identifies a difference: its type, the cio_id of the person, the object, the name."""

UNDONE: Final = "Somebody has undone it already."
NOT_IN_KNOWN: Final = "`known` does not have this attribute, so its former value is not known."
NOT_IN_CURRENT: Final = "`current` does not have this attribute, so it may have been changed since."
CHANGED_SINCE: Final = "Somebody has changed it since the run."
GONE_SINCE: Final = "The person has been deleted or merged since the run."
MADE_SINCE: Final = "Somebody has created the person again since the run."
INHERITED: Final = "A merge brought it from another profile, and no other profile has it now."
HAS_MERGED: Final = "The profile has absorbed an older one in a merge, so it stays."
MERGED: Final = "A merge cannot be undone."
SUPPRESSED: Final = "A suppression deletes permanently. Lift it only if the person agrees."
NO_ADDRESS: Final = "The person has no identifier that a message can use."
TAKEN: Final = "Another person has the identifier now."
NOT_REMOVED: Final = "Customer.io never removes an id or e-mail address."
NEEDS_CIO_ID: Final = (
    "An identifier changes only through the cio_id, which `known` does not have (reference 3.1)."
)
OBJECT_TYPE: Final = (
    "An object can be deleted only if its type is a whole number, and this one is not."
)
VISITOR: Final = "The relationship of an anonymous visitor cannot be removed."
PERSON_STAYS_AWAY: Final = "The person no longer exists."
FUTURE: Final = (
    "The run wrote it with a time in the future, so that earlier times do not replace it."
)
CREATED_AT: Final = "created_at can be replaced, but not cleared."
NO_EFFECT: Final = (
    "A check excludes the message that would restore it, or Customer.io changes its value."
)


class Remaining(NamedTuple):
    """A difference that the undo does not remove."""

    what: str
    person: str | None  # the cio_id
    key: ObjectKey | None
    label: str | None  # the person or object as a reader knows it
    name: str | None  # of an attribute, the kind of an identifier, or the object of a relationship
    why: str


@dataclass(slots=True, kw_only=True)
class Steps:
    """What to send, in the order of the fields."""

    people: list[tuple[str, Values]] = field(default_factory=list)  # people to create again
    unrelated: list[tuple[str, ObjectKey]] = field(default_factory=list)
    deleted_objects: list[ObjectKey] = field(default_factory=list)
    objects: list[tuple[ObjectKey, Values]] = field(default_factory=list)
    relationships: list[tuple[ObjectKey, str, Values]] = field(default_factory=list)
    attributes: list[tuple[str, Values]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    identifiers: list[tuple[str, Values]] = field(default_factory=list)
    reasons: dict[Key, str] = field(default_factory=dict)  # why other differences stay
    gone: set[str] = field(default_factory=set)  # cio_ids of the people who are deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """The workspace before a run, and how to read it as it is now.

    Attributes:
        model: The workspace before the run.
        exported_cio_ids: The cio_ids of the export; the model makes up all others.
        exported_attributes: The attributes of the export; None for all.
        has_text_values: Whether the values of the export are texts.
        has_objects: Whether the former objects are known.
        has_relationships: Whether the former relationships are known.
        read_current: Returns the current attributes and identifiers of a person, None if there is
            no such person; itself None if the undo does not compare with the current workspace.
        reason_to_keep: Returns why a created person must stay: they existed before the run, or have
            been used since. None if the person can be deleted.
        current_attributes: The attributes that the current data has; None for all.
    """

    model: Model
    exported_cio_ids: frozenset[str]
    exported_attributes: frozenset[str] | None = None
    has_text_values: bool = False
    has_objects: bool = False
    has_relationships: bool = False
    read_current: Callable[[Person], Mapping[str, Any] | None] | None = None
    reason_to_keep: Callable[[Person, Mapping[str, Any]], str | None] | None = None
    current_attributes: frozenset[str] | None = None

    @property
    def same(self) -> Same:
        """The function that compares two values."""
        return is_same_text if self.has_text_values else is_same

    def differences(self, after: Model) -> Iterator[Difference]:
        """Yield the differences from the former workspace."""
        people = pairs(self.model, after)
        yield from of_people(people, same=self.same)
        if self.has_objects:
            yield from of_objects(self.model, after, same=self.same)
        if self.has_relationships:
            yield from of_relationships(self.model, after, people, same=self.same)


def _key(difference: Difference) -> Key:
    """Return what identifies a difference."""
    person = difference.before or difference.after
    return (
        difference.what, None if person is None else person.cio_id, difference.key, difference.name,
    )  # fmt: skip


def steps_back(former: Former, after: Model) -> Steps:
    """Return the steps that restore a workspace."""
    return _Planner(former=former, after=after).steps()


def remaining_differences(
    former: Former, after: Model, steps: Steps, *, now: float
) -> Iterator[Remaining]:
    """Yield the differences that remain after the steps, which were taken at `now`."""
    for difference in former.differences(after):
        what, cio_id, key, name = _key(difference)
        why = steps.reasons.get(_key(difference)) or _why(difference, now=now)
        if why == UNDONE:
            continue
        person = difference.before or difference.after
        label = person.label if person is not None else None
        subject = "relationship" if what.startswith("visitor") else what.partition(" ")[0]
        if subject == "object":
            label = str(key)
        elif subject == "relationship":
            name = str(key)
        yield Remaining(subject, cio_id, key, label, name, why)


def _why(difference: Difference, *, now: float) -> str:
    person, name = difference.after, difference.name
    if difference.what != "attribute" or person is None or name is None:
        return NO_EFFECT
    if person.all_stamps().get(name, LONG_AGO) > now:
        return FUTURE
    return CREATED_AT if name == "created_at" and difference.former is None else NO_EFFECT


def _address(person: Person, *, exported_cio_ids: frozenset[str], settings: Settings) -> str | None:
    """Return how a message names a person: by an exported cio_id, else by id or e-mail."""
    if person.existed and person.cio_id in exported_cio_ids:  # that of a new person is made up
        return f"cio_{person.cio_id}"
    for kind in settings.identifiers:
        value = person.get(kind)
        if value is not None and address(value, settings=settings) == Address(kind, value):
            return value
    return None


@dataclass(slots=True, kw_only=True)
class _Planner:
    former: Former
    after: Model
    _steps: Steps = field(default_factory=Steps)
    # By cio_id: the address of people to create again, who was merged into whom, why people are gone
    _recreated: dict[str, str] = field(default_factory=dict)
    _absorbed: dict[str, list[Person]] = field(default_factory=dict)
    _removed: dict[str, str] = field(default_factory=dict)

    def steps(self) -> Steps:
        people = pairs(self.former.model, self.after)
        self._read_removals()
        for pair in people:
            differences = list(of_people((pair,), same=self.former.same))
            if differences:
                self._person(pair, differences)
        if self.former.has_objects:
            self._objects()
        if self.former.has_relationships:
            for difference in of_relationships(
                self.former.model, self.after, people, same=self.former.same
            ):
                self._relationship(difference)
        return self._steps

    def _read_removals(self) -> None:
        """Remember who was merged into whom, and who was suppressed."""
        former_people, store = self.former.model.store.people.by_cio, self.after.store
        for row in store.merges:
            kept, removed = row["kept"], row["removed"]
            own = [former_people[removed]] if removed in former_people else []
            self._absorbed[kept] = [
                *self._absorbed.get(kept, ()), *own, *self._absorbed.pop(removed, ()),
            ]  # fmt: skip
            self._removed[removed] = MERGED
        for person, how in store.removed:
            self._removed.setdefault(person.cio_id, SUPPRESSED if how == "suppress" else "")

    def _keep(self, difference: Difference, why: str) -> None:
        self._steps.reasons[_key(difference)] = why

    def _person(self, pair: Pair, differences: list[Difference]) -> None:
        if pair.before is None and pair.after is not None:
            self._delete(pair.after, differences[0])
        elif pair.after is None and pair.before is not None:
            self._create_again(pair.before, differences[0])
        elif pair.before is not None and pair.after is not None:
            self._restore(pair.before, pair.after, differences)

    def _address(self, person: Person) -> str | None:
        return _address(
            person,
            exported_cio_ids=self.former.exported_cio_ids,
            settings=self.after.settings,
        )

    def _delete(self, person: Person, difference: Difference) -> None:
        """Delete a created person, unless there is a reason to keep them."""
        who, former = self._address(person), self.former
        why = HAS_MERGED if self._absorbed.get(person.cio_id) else None
        why = why or (NO_ADDRESS if who is None else None)
        if why is None and former.read_current is not None:
            current = former.read_current(person)
            if current is None:
                self._steps.gone.add(person.cio_id)
                self._keep(difference, UNDONE)
                return
            why = None if former.reason_to_keep is None else former.reason_to_keep(person, current)
        if why is not None or who is None:
            self._keep(difference, why or NO_ADDRESS)
            return
        self._steps.gone.add(person.cio_id)
        self._steps.deleted.append(who)

    def _create_again(self, person: Person, difference: Difference) -> None:
        """Create a deleted person with their former attributes."""
        settings, people = self.after.settings, self.after.store.people
        why = self._removed.get(person.cio_id)
        who = _address(person, exported_cio_ids=frozenset(), settings=settings)
        if why or who is None:
            self._keep(difference, why or NO_ADDRESS)
            return
        read_current = self.former.read_current
        if read_current is not None and read_current(person) is not None:
            self._keep(difference, MADE_SINCE)
            return
        values = dict(person.attributes)
        other = person.email if who == person.id else person.id
        if other is not None and people.find("email" if who == person.id else "id", other) is None:
            values["email" if who == person.id else "id"] = other
        self._recreated[person.cio_id] = who
        self._steps.people.append((who, values))

    def _restore(self, before: Person, after: Person, differences: list[Difference]) -> None:
        """Restore former values, and clear values that did not exist."""
        who = self._address(after)
        read_current = self.former.read_current
        current = None if read_current is None else read_current(after)
        is_gone = read_current is not None and current is None
        if who is None or is_gone:
            for difference in differences:
                self._keep(difference, GONE_SINCE if is_gone else NO_ADDRESS)
            return
        restored: dict[str, Values] = {"attribute": {}, "identifier": {}}
        for difference in differences:
            name, value = str(difference.name), difference.former
            why = self._reason_to_keep(difference, before, after, who=who, current=current)
            if why is not None:
                self._keep(difference, why)
            elif current is not None and is_same_text(current.get(name), value):
                self._keep(difference, UNDONE)
            else:
                restored[difference.what][name] = value
        if restored["attribute"]:
            self._steps.attributes.append((who, restored["attribute"]))
        if restored["identifier"]:
            self._steps.identifiers.append((who, restored["identifier"]))

    def _reason_to_keep(
        self, difference: Difference, before: Person, after: Person, *, who: str,
        current: Mapping[str, Any] | None,
    ) -> str | None:  # fmt: skip
        """Return why an attribute or identifier stays as it is, None if it does not."""
        former, name = self.former, str(difference.name)
        if difference.what == "identifier":
            value = after.get("id") if name == "id" else after.email
            why = self._why_fixed(difference, who=who)
        else:
            value = after.attributes.get(name)
            why = None if _has(former.exported_attributes, name) else NOT_IN_KNOWN
            if difference.former is None and name not in before.attributes:
                absorbed = self._absorbed.get(after.cio_id, ())
                why = why or (INHERITED if any(name in p.attributes for p in absorbed) else None)
            if why is None and current is not None and not _has(former.current_attributes, name):
                why = NOT_IN_CURRENT
        if why is not None or current is None:
            return why
        is_unchanged = any(
            is_same_text(current.get(name), expected) for expected in (value, difference.former)
        )
        return None if is_unchanged else CHANGED_SINCE

    def _why_fixed(self, difference: Difference, *, who: str) -> str | None:
        """Return why an identifier cannot be restored (3.1), None if it can."""
        if difference.former is None:
            return NOT_REMOVED
        by_id = not who.startswith("cio_") and who == (difference.after and difference.after.id)
        is_allowed = by_id and difference.name == "email" and self.after.settings.email_updates
        return None if who.startswith("cio_") or is_allowed else NEEDS_CIO_ID

    def _objects(self) -> None:
        """Delete created objects, and restore the attributes of the others."""
        restored: dict[ObjectKey, Values] = {}
        for difference in of_objects(self.former.model, self.after, same=self.former.same):
            key = difference.key
            assert key is not None  # noqa: S101 - these differences are about objects
            if difference.what == "object gone":
                restored[key] = dict(difference.former)
            elif difference.what == "object attribute":
                restored.setdefault(key, {})[str(difference.name)] = difference.former
            elif _is_number(key):
                self._steps.deleted_objects.append(key)
            else:
                self._keep(difference, OBJECT_TYPE)
        self._steps.objects += restored.items()

    def _relationship(self, difference: Difference) -> None:
        key = difference.key
        assert key is not None  # noqa: S101 - these differences are about objects
        is_deleted = self.former.has_objects and key not in self.former.model.store.objects
        person = difference.after
        if person is not None and person.cio_id in self._steps.gone:
            return
        who = self._address(person) if person is not None else None
        if who is None and difference.before is not None:
            who = self._recreated.get(difference.before.cio_id)
        if difference.what == "visitor relationship":
            self._keep(difference, VISITOR)
        elif who is None:
            self._keep(difference, PERSON_STAYS_AWAY)
        elif difference.what == "relationship added":
            if is_deleted and _is_number(key):
                return
            self._unrelate(difference, key, who=who)
        else:
            if difference.what == "relationship attributes" and _is_number(key):
                self._steps.unrelated.append((who, key))
            self._steps.relationships.append((key, who, dict(difference.former)))

    def _unrelate(self, difference: Difference, key: ObjectKey, *, who: str) -> None:
        """Remove a relationship, unless a merge brought it from a profile that is gone."""
        absorbed = self._absorbed.get(difference.after.cio_id, ()) if difference.after else ()
        record = self.former.model.store.objects.get(key)
        if record is not None and any(person in record.related for person in absorbed):
            self._keep(difference, INHERITED)
        elif _is_number(key):
            self._steps.unrelated.append((who, key))
        else:
            self._keep(difference, OBJECT_TYPE)


def _is_number(key: ObjectKey) -> bool:
    """Return whether the type of an object is a whole number, as deleting requires (3.6, N8)."""
    return key.object_type.isascii() and key.object_type.isdigit()


def _has(names: Iterable[str] | None, name: str) -> bool:
    return names is None or name in names
