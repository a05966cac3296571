"""The steps that take a workspace back to what it was, and why some things stay as they are."""

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
Thing = tuple[str, str | None, ObjectKey | None, str | None]
"""What tells a difference from others: what it is, the cio_id of the person, the object, the name."""

UNDONE: Final = "Somebody has undone it already."
NOT_IN_KNOWN: Final = "`known` does not have this attribute, so its former value is not known."
NOT_IN_CURRENT: Final = "`current` does not have this attribute, so it may have been changed since."
CHANGED_SINCE: Final = "Somebody has changed it since the run."
GONE_SINCE: Final = "The person has been deleted or merged since the run."
MADE_SINCE: Final = "Somebody has created the person again since the run."
INHERITED: Final = "A merge brought it from another profile, and nothing else holds it now."
HAS_MERGED: Final = "The profile has taken over an older one by a merge, and stays."
MERGED: Final = "A merge cannot be undone."
SUPPRESSED: Final = "A suppression deletes for good. Lift it only if the person agrees."
NO_ADDRESS: Final = "No identifier addresses this person."
TAKEN: Final = "Another person has the identifier now."
NOT_REMOVED: Final = "Customer.io does not remove an id or e-mail address that is set."
NEEDS_CIO_ID: Final = (
    "An identifier changes only through the cio_id, which `known` does not have (reference 3.1)."
)
OBJECT_TYPE: Final = "Objects are deleted by a whole number as their type, and this type is none."
VISITOR: Final = "The relationship of an anonymous visitor cannot be removed."
PERSON_STAYS_AWAY: Final = "The person is not there any more."
FUTURE: Final = (
    "The run wrote it with a time in the future, so that earlier times do not replace it."
)
CREATED_AT: Final = "created_at can be replaced, and not be cleared."
NO_EFFECT: Final = (
    "The message that would restore it is left out by a check, or Customer.io changes its value."
)


class Left(NamedTuple):
    """Something that stays as the run made it."""

    what: str
    person: str | None  # the cio_id
    key: ObjectKey | None
    who: str | None  # the person or object as a reader knows it
    name: str | None  # of an attribute, the kind of an identifier, or the object of a relationship
    why: str


@dataclass(slots=True, kw_only=True)
class Steps:
    """What to send, in the order of the fields."""

    people: list[tuple[str, Values]] = field(default_factory=list)  # to be created again
    unrelated: list[tuple[str, ObjectKey]] = field(default_factory=list)
    deleted_objects: list[ObjectKey] = field(default_factory=list)
    objects: list[tuple[ObjectKey, Values]] = field(default_factory=list)
    relationships: list[tuple[ObjectKey, str, Values]] = field(default_factory=list)
    attributes: list[tuple[str, Values]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    identifiers: list[tuple[str, Values]] = field(default_factory=list)
    reasons: dict[Thing, str] = field(default_factory=dict)  # why other differences stay
    gone: set[str] = field(default_factory=set)  # cio_ids of the people who are deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What is known of a workspace as it was, and of it as it is.

    Attributes:
        model: The workspace as it was.
        given: The cio_ids that an export gives; the model makes up others.
        names: The attributes that an export has; None for all.
        has_texts: Whether the export has values as texts.
        has_objects: Whether the objects that were there are known.
        has_relationships: Whether it is known whom they were related to.
        now: Returns what is known of a person now, None for nobody; None if that is not asked for.
        sign: Returns why a person was there before the run, or is in use since; None if nothing says so.
        names_now: The attributes that are known now; None for all.
    """

    model: Model
    given: frozenset[str]
    names: frozenset[str] | None = None
    has_texts: bool = False
    has_objects: bool = False
    has_relationships: bool = False
    now: Callable[[Person], Mapping[str, Any] | None] | None = None
    sign: Callable[[Person, Mapping[str, Any]], str | None] | None = None
    names_now: frozenset[str] | None = None

    @property
    def same(self) -> Same:
        """What tells whether two values are the same."""
        return is_same_text if self.has_texts else is_same

    def differences(self, after: Model) -> Iterator[Difference]:
        """Yield what is not as it was."""
        known = pairs(self.model, after)
        yield from of_people(known, same=self.same)
        if self.has_objects:
            yield from of_objects(self.model, after, same=self.same)
        if self.has_relationships:
            yield from of_relationships(self.model, after, known, same=self.same)


def thing(difference: Difference) -> Thing:
    """Return what tells a difference from others."""
    person = difference.before or difference.after
    return (
        difference.what, None if person is None else person.cio_id, difference.key, difference.name,
    )  # fmt: skip


def steps_back(former: Former, after: Model) -> Steps:
    """Return the steps that take a workspace back."""
    return _Planner(former=former, after=after).steps()


def left(former: Former, after: Model, steps: Steps, *, now: float) -> Iterator[Left]:
    """Yield what is not as it was once the steps were taken.

    Args:
        former: The workspace as it was.
        after: The workspace after the steps.
        steps: The steps.
        now: When they were taken.
    """
    for difference in former.differences(after):
        what, cio_id, key, name = known = thing(difference)
        why = steps.reasons.get(known) or _why(difference, now=now)
        if why == UNDONE:
            continue
        person = difference.before or difference.after
        who = person.label if person is not None else None
        word = "relationship" if what.startswith("visitor") else what.partition(" ")[0]
        if word == "object":
            who = str(key)
        elif word == "relationship":
            name = str(key)
        yield Left(word, cio_id, key, who, name, why)


def _why(difference: Difference, *, now: float) -> str:
    person, name = difference.after, difference.name
    if difference.what != "attribute" or person is None or name is None:
        return NO_EFFECT
    if person.all_stamps().get(name, LONG_AGO) > now:
        return FUTURE
    return CREATED_AT if name == "created_at" and difference.former is None else NO_EFFECT


def addressed(person: Person, *, given: frozenset[str], settings: Settings) -> str | None:
    """Return how a message names a person: by cio_id if an export gave it, else by id or e-mail."""
    if person.existed and person.cio_id in given:  # that of a new person is made up
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
    _again: dict[str, str] = field(default_factory=dict)  # how people are named who come again
    _absorbed: dict[str, list[Person]] = field(default_factory=dict)
    _removed: dict[str, str] = field(default_factory=dict)  # why people are gone

    def steps(self) -> Steps:
        known = pairs(self.former.model, self.after)
        self._read_removals()
        for pair in known:
            found = list(of_people((pair,), same=self.former.same))
            if found:
                self._person(pair, found)
        if self.former.has_objects:
            self._objects()
        if self.former.has_relationships:
            for each in of_relationships(
                self.former.model, self.after, known, same=self.former.same
            ):
                self._relationship(each)
        return self._steps

    def _read_removals(self) -> None:
        """Take note of who was merged into whom, and who was suppressed."""
        there, store = self.former.model.store.people.by_cio, self.after.store
        for row in store.merges:
            kept, removed = row["kept"], row["removed"]
            own = [there[removed]] if removed in there else []
            self._absorbed[kept] = [
                *self._absorbed.get(kept, ()), *own, *self._absorbed.pop(removed, ()),
            ]  # fmt: skip
            self._removed[removed] = MERGED
        for person, how in store.removed:
            self._removed.setdefault(person.cio_id, SUPPRESSED if how == "suppress" else "")

    def _keep(self, difference: Difference, why: str) -> None:
        self._steps.reasons[thing(difference)] = why

    def _person(self, pair: Pair, found: list[Difference]) -> None:
        if pair.before is None and pair.after is not None:
            self._delete(pair.after, found[0])
        elif pair.after is None and pair.before is not None:
            self._make_again(pair.before, found[0])
        elif pair.before is not None and pair.after is not None:
            self._restore(pair.before, pair.after, found)

    def _address(self, person: Person) -> str | None:
        return addressed(person, given=self.former.given, settings=self.after.settings)

    def _delete(self, person: Person, difference: Difference) -> None:
        """Delete who was created, unless anything says that they were there before."""
        who, former = self._address(person), self.former
        why = HAS_MERGED if self._absorbed.get(person.cio_id) else None
        why = why or (NO_ADDRESS if who is None else None)
        if why is None and former.now is not None:
            found = former.now(person)
            if found is None:
                self._steps.gone.add(person.cio_id)
                self._keep(difference, UNDONE)
                return
            why = None if former.sign is None else former.sign(person, found)
        if why is not None or who is None:
            self._keep(difference, why or NO_ADDRESS)
            return
        self._steps.gone.add(person.cio_id)
        self._steps.deleted.append(who)

    def _make_again(self, person: Person, difference: Difference) -> None:
        """Create who was deleted with the attributes they had."""
        settings, people = self.after.settings, self.after.store.people
        why = self._removed.get(person.cio_id)
        who = addressed(person, given=frozenset(), settings=settings)
        if why or who is None:
            self._keep(difference, why or NO_ADDRESS)
            return
        if self.former.now is not None and self.former.now(person) is not None:
            self._keep(difference, MADE_SINCE)
            return
        values = dict(person.attributes)
        other = person.email if who == person.id else person.id
        if other is not None and people.find("email" if who == person.id else "id", other) is None:
            values["email" if who == person.id else "id"] = other
        self._again[person.cio_id] = who
        self._steps.people.append((who, values))

    def _restore(self, before: Person, after: Person, found: list[Difference]) -> None:
        """Give former values back, and clear what there was not."""
        who = self._address(after)
        now = None if self.former.now is None else self.former.now(after)
        is_gone = self.former.now is not None and now is None
        if who is None or is_gone:
            for each in found:
                self._keep(each, GONE_SINCE if is_gone else NO_ADDRESS)
            return
        given: dict[str, Values] = {"attribute": {}, "identifier": {}}
        for each in found:
            why = self._kept(each, before, after, who=who, now=now)
            if why is not None:
                self._keep(each, why)
            elif now is not None and is_same_text(now.get(str(each.name)), each.former):
                self._keep(each, UNDONE)
            else:
                given[each.what][str(each.name)] = each.former
        if given["attribute"]:
            self._steps.attributes.append((who, given["attribute"]))
        if given["identifier"]:
            self._steps.identifiers.append((who, given["identifier"]))

    def _kept(
        self, each: Difference, before: Person, after: Person, *, who: str,
        now: Mapping[str, Any] | None,
    ) -> str | None:  # fmt: skip
        """Return why an attribute or identifier stays as it is, None if it does not."""
        former, name = self.former, str(each.name)
        if each.what == "identifier":
            value = after.get("id") if name == "id" else after.email
            why = self._fixed(each, who=who)
        else:
            value = after.attributes.get(name)
            is_known = former.names is None or name in former.names
            why = None if is_known else NOT_IN_KNOWN
            if each.former is None and name not in before.attributes:
                brought = self._absorbed.get(after.cio_id, ())
                why = why or (INHERITED if any(name in p.attributes for p in brought) else None)
            if why is None and now is not None and not _has(former.names_now, name):
                why = NOT_IN_CURRENT
        if why is not None or now is None:
            return why
        held = now.get(name)
        is_as_left = is_same_text(held, value) or is_same_text(held, each.former)
        return None if is_as_left else CHANGED_SINCE

    def _fixed(self, each: Difference, *, who: str) -> str | None:
        """Return why an identifier cannot be given back (3.1)."""
        if each.former is None:
            return NOT_REMOVED
        by_id = not who.startswith("cio_") and who == (each.after and each.after.id)
        is_allowed = by_id and each.name == "email" and self.after.settings.email_updates
        return None if who.startswith("cio_") or is_allowed else NEEDS_CIO_ID

    def _objects(self) -> None:
        """Delete objects that were created, and give the others their attributes."""
        changed: dict[ObjectKey, Values] = {}
        for each in of_objects(self.former.model, self.after, same=self.former.same):
            key = each.key
            assert key is not None  # noqa: S101 - each is about an object
            if each.what == "object gone":
                changed[key] = dict(each.former)
            elif each.what == "object attribute":
                changed.setdefault(key, {})[str(each.name)] = each.former
            elif _is_number(key):
                self._steps.deleted_objects.append(key)
            else:
                self._keep(each, OBJECT_TYPE)
        self._steps.objects += changed.items()

    def _relationship(self, each: Difference) -> None:
        key = each.key
        assert key is not None  # noqa: S101 - each is about an object
        is_deleted = self.former.has_objects and key not in self.former.model.store.objects
        person = each.after
        if person is not None and person.cio_id in self._steps.gone:
            return
        who = self._address(person) if person is not None else None
        if who is None and each.before is not None:
            who = self._again.get(each.before.cio_id)
        if each.what == "visitor relationship":
            self._keep(each, VISITOR)
        elif who is None:
            self._keep(each, PERSON_STAYS_AWAY)
        elif each.what == "relationship added":
            if is_deleted and _is_number(key):
                return
            self._unrelate(each, key, who=who)
        else:
            if each.what == "relationship attributes" and _is_number(key):
                self._steps.unrelated.append((who, key))
            self._steps.relationships.append((key, who, dict(each.former)))

    def _unrelate(self, each: Difference, key: ObjectKey, *, who: str) -> None:
        """Remove a relationship, unless a merge brought it from a profile that is gone."""
        brought = self._absorbed.get(each.after.cio_id, ()) if each.after else ()
        record = self.former.model.store.objects.get(key)
        if record is not None and any(person in record.related for person in brought):
            self._keep(each, INHERITED)
        elif _is_number(key):
            self._steps.unrelated.append((who, key))
        else:
            self._keep(each, OBJECT_TYPE)


def _is_number(key: ObjectKey) -> bool:
    """Whether the events that delete can name the type of an object, as a whole number (3.6, N8)."""
    return key.object_type.isascii() and key.object_type.isdigit()


def _has(names: Iterable[str] | None, name: str) -> bool:
    return names is None or name in names
