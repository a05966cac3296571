"""Who is who: the identity preview of a plan or a back-fill."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, get_args

import polars as pl

from cio_frames.errors import ChoiceError, IdentityRefusedError
from cio_frames.frames import Note
from cio_frames.identity.conflicts import MINOR, kinds
from cio_frames.identity.explain import explain
from cio_frames.identity.preview import Premise, Preview
from cio_frames.plan.identity_report import identity_document
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.preview import identity_preview
from cio_frames.views import text
from cio_frames.views.displays import ShowProgress
from cio_frames.views.document import Bullets, Document, Heading
from cio_frames.views.render import Rendered, bundle
from cio_frames.views.wording import many

OnConflict = Literal["report", "reject", "refuse"]
CODE = "identity.conflict"
ROUNDS = 5
"""Leaving rows out can bring up new conflicts; more often than this it never did."""
_INTERNAL = frozenset({"found", "pipelines", "plan_of", "premise"})
"""What only this package asks of a preview; completion does not offer it."""

Sent = TypeVar("Sent")
"""A plan or a back-fill."""


def identity(
    pipelines: Pipelines,
    premise: Premise,
    *,
    on_conflict: OnConflict,
    progress: ShowProgress,
    plan_of: Callable[[Pipelines], Sent],
) -> "IdentityPreview[Sent]":
    """Return who is who after these plans.

    Args:
        pipelines: The plans, in order.
        premise: What is assumed.
        on_conflict: What a conflict means for the rows that cause it.
        progress: How to show how far it is.
        plan_of: Makes the plan or back-fill to send, without the rows that are left out.

    Raises:
        IdentityRefusedError: There are conflicts, and `on_conflict` is "refuse".
        ChoiceError: `on_conflict` is none of the three.
    """
    ChoiceError.require("on_conflict", on_conflict, get_args(OnConflict))
    found = identity_preview(pipelines, premise, progress=progress)
    rounds = 0
    while on_conflict == "reject" and rounds < ROUNDS and _serious(found).height:
        pipelines = _without(pipelines, _serious(found))
        found = identity_preview(pipelines, premise, progress=progress)
        rounds += 1
    shown = IdentityPreview(found=found, pipelines=pipelines, premise=premise, plan_of=plan_of)
    serious = _serious(found)
    if serious.height and on_conflict != "report":
        raise IdentityRefusedError(_findings(serious), preview=shown)
    return shown


def _serious(found: Preview) -> pl.DataFrame:
    return found.conflicts.filter(~pl.col("kind").is_in(sorted(MINOR)))


def _findings(serious: pl.DataFrame) -> list[dict[str, str]]:
    """Return one finding for each kind, without the identifiers: errors end up in logs."""
    hints = dict(serious.select("kind", "hint").iter_rows())
    return [
        {
            "code": kind,
            "message": f"{many(lines, 'conflict')} in {many(rows, 'row')}.",
            "hint": hints[kind],
        }
        for kind, lines, rows in kinds(serious)
    ]


def _without(pipelines: Pipelines, serious: pl.DataFrame) -> Pipelines:
    """Return the plans with the rows that cause conflicts left out, each with its reason."""
    causes = serious.explode("rows", empty_as_null=False).select(
        "sentence", pl.col("rows").struct.unnest()
    )
    left = list(pipelines.each)
    for (place,), rows in causes.group_by("plan", maintain_order=True):
        pipeline = left[int(str(place))]
        notes = [
            Note(
                code=CODE,
                message=str(sentence),
                severity="reject",
                rows=tuple(group["row"].to_list()),
            )
            for (sentence,), group in rows.group_by("sentence", maintain_order=True)
        ]
        table = replace(pipeline.table, notes=(*pipeline.table.notes, *notes))
        left[int(str(place))] = replace(pipeline, table=table)
    return Pipelines(tuple(left))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IdentityPreview(Generic[Sent]):
    """Who is who after a plan or a back-fill, before anything is sent."""

    found: Preview
    pipelines: Pipelines  # without the rows that `on_conflict="reject"` left out
    premise: Premise
    plan_of: Callable[[Pipelines], Sent]

    @property
    def plan(self) -> Sent:
        """The plan or back-fill to send, without the rows that were left out."""
        return self.plan_of(self.pipelines)

    @property
    def people(self) -> Any:
        """One line per resulting profile, and per visitor who stays anonymous."""
        return self._native(self.found.people.drop("person"))

    @property
    def merges(self) -> Any:
        """People that become one, for good."""
        return self._native(self.found.merges)

    @property
    def conflicts(self) -> Any:
        """What does not come out as the rows ask, and what to do about it."""
        return self._native(self.found.conflicts)

    @property
    def groups(self) -> Any:
        """Objects, and how many people are related to each."""
        return self._native(self.found.groups)

    @property
    def relationships(self) -> Any:
        """Who is related to which object."""
        return self._native(self.found.relationships)

    @property
    def attribution(self) -> Any:
        """What becomes of the events of anonymous visitors."""
        return self._native(self.found.attribution)

    @property
    def clusters(self) -> Any:
        """How many identifiers and rows hang together, largest first."""
        return self._native(self.found.clusters)

    @property
    def changes(self) -> Any:
        """What every row did to whom, in order; plain events are not among it."""
        return self._native(self.found.changes)

    @property
    def choices(self) -> Any:
        """Which side the preview took where Customer.io's documents are silent or disagree."""
        return self._native(pl.DataFrame(self.premise.settings.choices(), strict=False))

    @property
    def summary(self) -> dict[str, Any]:
        """The counts."""
        return dict(self.found.summary)

    def explain(self, who: str) -> Rendered:
        """Return one person's story in sentences.

        Args:
            who: An id, e-mail, cio_id or anonymous id.
        """
        story = Bullets(explain(self.found, who, calls=self.pipelines.calls), numbered=True)
        return Rendered(Document(Heading(who, "what the rows do to this person"), [story]))

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __repr__(self) -> str:
        return text.render(identity_document(self.found, self.premise, self.pipelines))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(identity_document(self.found, self.premise, self.pipelines))

    def _native(self, frame: pl.DataFrame) -> Any:
        return frame.to_pandas() if self.pipelines.library == "pandas" else frame
