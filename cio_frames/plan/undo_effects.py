"""What each message of a run did to whom, and what of it no message undoes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from cio_frames.identity import Change, Model, rules
from cio_frames.identity.undo_steps import SUPPRESSED, VISITOR, Former
from cio_frames.plan.arrived import Arrived

NOT_UNDONE: Final = pl.Schema({
    "plan": pl.Int32(), "row": pl.Int64(), "what": pl.String(), "who": pl.String(),
    "name": pl.String(), "why": pl.String(),
})  # fmt: skip

EVENT: Final = "Customer.io does not delete events."
CAMPAIGN: Final = (
    "Customer.io does not delete events, and messages of campaigns that it started stay sent."
)
MERGE: Final = (
    "A merge is for good: the other profile and which events were whose do not come back."
)
HISTORY: Final = (
    "The person was deleted: events, messages, segments and the cio_id do not come back."
)
LINK: Final = "An anonymous ID stays with the person that it was linked to."
OBJECTS: Final = "Which objects there were before is not known: pass objects=."
RELATIONS: Final = "Who was related to which object before is not known: pass relationships=."

_BY_RULE: Final[Mapping[str, tuple[str, str]]] = {
    **{rule.name: ("event", EVENT) for rule in (
        rules.EVENT, rules.EVENT_ANONYMOUS, rules.EVENT_GROUP, rules.FORM_SUBMITTED, rules.METRIC,
    )},
    rules.MERGED.name: ("merge", MERGE),
    rules.AUTO_MERGED.name: ("merge", MERGE),
    rules.DELETED.name: ("history", HISTORY),
    rules.SUPPRESSED.name: ("suppression", SUPPRESSED),
    rules.UNSUPPRESSED.name: ("suppression", "To suppress the person again would delete them."),
    rules.LINKED.name: ("anonymous id", LINK),
    rules.ANONYMOUS.name: ("visitor", "What is stored for anonymous visitors is in no export."),
    rules.RELATED_ANONYMOUS.name: ("visitor", VISITOR),
    rules.DEVICE_SET.name: ("device", "Which devices there were is in no export."),
    rules.DEVICE_GONE.name: ("device", "Which devices there were is in no export."),
    rules.CIO_UNKNOWN.name: ("cio_id", "`known` has nobody with this cio_id."),
}  # fmt: skip
"""What the rules of a message do that no message undoes: what it is, and why."""
_OF_OBJECTS: Final = frozenset({"object-created", "object-updated", "object-deleted"})
_OF_RELATIONS: Final = frozenset({"related", "unrelated"})


@dataclass(slots=True)
class Effects:
    """What each message did, as columns."""

    former: Former
    model: Model
    touched: dict[str, list[Any]] = field(
        default_factory=lambda: {"plan": [], "row": [], "person": [], "object": []}
    )
    kept: dict[str, list[Any]] = field(
        default_factory=lambda: {
            "plan": [], "row": [], "what": [], "who": [], "name": [], "why": [], "person": [],
        }
    )  # fmt: skip

    def __call__(self, _: Model, arrived: Arrived, changes: Iterable[Change]) -> None:
        """Take note of what a message did."""
        told: set[tuple[str, str]] = set()
        for change in changes:
            self._touch(arrived, change)
            found = self._effect(change)
            if found is not None and found not in told:
                told.add(found)
                what, why = found
                values = (
                    arrived.plan, arrived.row, what, change.key, change.subject, why, change.person,
                )  # fmt: skip
                for column, value in zip(self.kept.values(), values, strict=True):
                    column.append(value)

    def _touch(self, arrived: Arrived, change: Change) -> None:
        is_object = change.kind in _OF_OBJECTS or change.kind in _OF_RELATIONS
        people = (change.person, change.other) if change.other else (change.person,)
        for person in people:
            if person is not None or is_object:
                values = (arrived.plan, arrived.row, person, change.subject if is_object else None)
                for column, value in zip(self.touched.values(), values, strict=True):
                    column.append(value)

    def _effect(self, change: Change) -> tuple[str, str] | None:
        """Return what a change leaves behind, and why."""
        rule, known = change.rule, self.former.model.store.people.by_cio
        found = _BY_RULE.get(rule.name)
        if found is None:
            if change.kind in _OF_OBJECTS and not self.former.has_objects:
                return "object", OBJECTS
            is_unknown = change.kind in _OF_RELATIONS and not self.former.has_relationships
            return ("relationship", RELATIONS) if is_unknown else None
        if found[0] in ("merge", "history") and not known.keys() & {change.person, change.other}:
            return None  # of people who were created and go
        if found[0] == "event" and self.model.store.events and change.kind == "event":
            return ("event", CAMPAIGN) if self.model.store.events[-1].can_trigger else found
        return found

    def rows(self) -> pl.DataFrame:
        """Return which rows were about whom and what."""
        schema = {"plan": pl.Int32, "row": pl.Int64, "person": pl.String, "object": pl.String}
        return pl.DataFrame(self.touched, schema=schema).unique(maintain_order=True)

    def lasting(self, *, deleted: Iterable[str]) -> pl.DataFrame:
        """Return what rows did that no message undoes."""
        found = pl.DataFrame(self.kept, schema={**NOT_UNDONE, "person": pl.String})
        is_gone = (pl.col("what") == "relationship") & pl.col("person").is_in(list(deleted))
        return found.filter(~is_gone.fill_null(value=False)).drop("person")
