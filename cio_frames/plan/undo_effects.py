"""The people and objects that each message of a run changed, and the effects that no message undoes."""

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
    "A merge is permanent: the other profile, and which events belonged to it, cannot be restored."
)
HISTORY: Final = (
    "The person was deleted: events, messages, segments and the cio_id cannot be restored."
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
    rules.CIO_UNKNOWN.name: ("cio_id", "`known` has no person with this cio_id."),
}  # fmt: skip
"""The rules whose effects no message undoes: what the effect is, and why it stays."""
_OF_OBJECTS: Final = frozenset({"object-created", "object-updated", "object-deleted"})
_OF_RELATIONS: Final = frozenset({"related", "unrelated"})


@dataclass(slots=True)
class Effects:
    """The effects of messages, as columns."""

    former: Former
    model: Model
    touched: dict[str, list[Any]] = field(
        default_factory=lambda: {"plan": [], "row": [], "person": [], "object": []}
    )
    not_undone: dict[str, list[Any]] = field(
        default_factory=lambda: {
            "plan": [], "row": [], "what": [], "who": [], "name": [], "why": [], "person": [],
        }
    )  # fmt: skip

    def __call__(self, _: Model, arrived: Arrived, changes: Iterable[Change]) -> None:
        """Record the effects of a message; a listener of `workspace_after`."""
        seen: set[tuple[str, str]] = set()
        for change in changes:
            self._touch(arrived, change)
            effect = self._effect(change)
            if effect is not None and effect not in seen:
                seen.add(effect)
                what, why = effect
                values = (
                    arrived.plan, arrived.row, what, change.key, change.subject, why, change.person,
                )  # fmt: skip
                for column, value in zip(self.not_undone.values(), values, strict=True):
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
        """Return an effect that no message undoes, and why; None if there is none."""
        rule, people_before = change.rule, self.former.model.store.people.by_cio
        effect = _BY_RULE.get(rule.name)
        if effect is None:
            if change.kind in _OF_OBJECTS and not self.former.has_objects:
                return "object", OBJECTS
            is_unknown = change.kind in _OF_RELATIONS and not self.former.has_relationships
            return ("relationship", RELATIONS) if is_unknown else None
        if effect[0] in ("merge", "history") and not people_before.keys() & {
            change.person,
            change.other,
        }:
            return None  # the run created these people, who will be deleted
        if effect[0] == "event" and self.model.store.events and change.kind == "event":
            return ("event", CAMPAIGN) if self.model.store.events[-1].can_trigger else effect
        return effect

    def rows(self) -> pl.DataFrame:
        """Return the people and objects that rows were about."""
        schema = {"plan": pl.Int32, "row": pl.Int64, "person": pl.String, "object": pl.String}
        return pl.DataFrame(self.touched, schema=schema).unique(maintain_order=True)

    def lasting(self, *, deleted: Iterable[str]) -> pl.DataFrame:
        """Return the effects of rows that no message undoes."""
        frame = pl.DataFrame(self.not_undone, schema={**NOT_UNDONE, "person": pl.String})
        is_gone = (pl.col("what") == "relationship") & pl.col("person").is_in(list(deleted))
        return frame.filter(~is_gone.fill_null(value=False)).drop("person")
