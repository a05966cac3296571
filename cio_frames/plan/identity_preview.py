"""Who is who: the identity preview of a plan or a back-fill."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import unquote

import polars as pl

from cio_frames.errors import ChoiceError, IdentityRefusedError, engine_errors
from cio_frames.frames import AnyTable, Note, read
from cio_frames.frames.table import reading
from cio_frames.identity.collector import paused
from cio_frames.identity.conflicts import MINOR, kinds
from cio_frames.identity.explain import story
from cio_frames.identity.known_people import export
from cio_frames.identity.messages import Sheet, Slips, slips
from cio_frames.identity.preview import Premise, Preview, preview
from cio_frames.plan.identity_report import identity_view
from cio_frames.plan.links import linked
from cio_frames.plan.pipeline import CHUNK_ROWS
from cio_frames.spec import CALLS
from cio_frames.views import identity as views
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.html import Drawn, bundle, tag
from cio_frames.views.narrative import narrated
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.text import paragraph
from cio_frames.views.wording import duration, many

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan
    from cio_frames.plan.sendable import Sendable

OnConflict = Literal["report", "reject", "refuse"]
CODE = "identity.conflict"
SHOWN_FROM_ROWS = 200_000
"""Smaller plans are previewed before a display would be seen."""
ROUNDS = 5
"""Leaving rows out can bring up new conflicts; more often than this it never did."""
_INTERNAL = frozenset({"found", "plans", "premise"})
"""What the report asks of a preview; completion does not offer it."""


@engine_errors("the known people were read")
def people_of(known: AnyTable | None) -> pl.DataFrame | None:
    """Return an export of people as the model takes it.

    Raises:
        MappingError: It has no column of identifiers.
    """
    if known is None:
        return None
    table = read(known)
    with reading(f"{table.label} of known people"):
        people = table.lazy.collect()
    return export(people)


@engine_errors("the identity preview was made")
def foresee(
    plans: Sequence["Plan"], premise: Premise, *, progress: ShowProgress = False
) -> Preview:
    """Return what the messages of plans will have made of a workspace.

    Args:
        plans: The plans, in order.
        premise: What is assumed.
        progress: How to show how far it is.
    """
    rows = sum(plan.table.rows() for plan in plans)
    began = monotonic()
    shown = display(progress if rows >= SHOWN_FROM_ROWS or callable(progress) else False)
    state = ProgressState(label="who is who", total=rows, started_s=began, now_s=began)
    shown.show(state)
    with paused():
        collected: list[Slips] = []
        first = 0
        with closing(sheets(plans)) as counted:
            for sheet, planned in counted:
                collected.append(slips(sheet, first=first, whole=premise.whole))
                first += sheet.messages.height
                state = replace(state, planned=planned, now_s=monotonic())
                shown.update(state)
        found = preview(Slips.joined(collected), premise, calls=[plan.call for plan in plans])
    took = f"{many(rows, 'row')} in {duration(monotonic() - began)}: who is who is known."
    shown.close(Drawn(html=tag("p", took), make_text=lambda: paragraph(took)))
    return found


def sheets(plans: Sequence["Plan"]) -> Generator[tuple[Sheet, int]]:
    """Yield the messages of plans in the order in which they are sent, and the rows read so far."""
    planned = 0
    links = linked(plans)
    for place, plan in enumerate(plans):
        with closing(plan.worked(chunk_rows=CHUNK_ROWS, links=links)) as chunks:
            for worked in chunks:
                messages = worked.messages.sort("lane", "row")
                planned += len(worked.rows)
                form = _form(messages, plan.call)
                columns = messages.select("row", "message", "message_id", *form)
                yield Sheet(plan=place, call=plan.call, messages=columns), planned


def _form(messages: pl.DataFrame, call: str) -> list[pl.Series]:
    if CALLS[call].batched:
        return []
    before, after = CALLS[call].path.split("{form_id}")
    paths = messages["path"].to_list()
    forms = [unquote(path.removeprefix(before).removesuffix(after)) for path in paths]
    return [pl.Series("form", forms, dtype=pl.String)]


def identity(
    plans: Sequence["Plan"],
    premise: Premise,
    *,
    on_conflict: OnConflict = "report",
    progress: ShowProgress = False,
) -> "IdentityPreview":
    """Return who is who after these plans.

    Args:
        plans: The plans, in order.
        premise: What is assumed.
        on_conflict: What a conflict means for the rows that cause it.
        progress: How to show how far it is.

    Raises:
        IdentityRefusedError: There are conflicts, and `on_conflict` is "refuse".
        ChoiceError: `on_conflict` is none of the three.
    """
    ChoiceError.require("on_conflict", on_conflict, get_args(OnConflict))
    found = _previewed(plans, premise, progress=progress)
    rounds = 0
    while on_conflict == "reject" and rounds < ROUNDS and _serious(found.found).height:
        plans = _without(plans, _serious(found.found))
        found = _previewed(plans, premise, progress=progress)
        rounds += 1
    serious = _serious(found.found)
    if serious.height and on_conflict != "report":
        raise IdentityRefusedError(_findings(serious), preview=found)
    return found


def _previewed(
    plans: Sequence["Plan"], premise: Premise, *, progress: ShowProgress
) -> "IdentityPreview":
    found = foresee(plans, premise, progress=progress)
    return IdentityPreview(found=found, plans=tuple(plans), premise=premise)


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


def _without(plans: Sequence["Plan"], serious: pl.DataFrame) -> list["Plan"]:
    """Return the plans with the rows that cause conflicts left out, each with its reason."""
    causes = serious.explode("rows", empty_as_null=False).select(
        "sentence", pl.col("rows").struct.unnest()
    )
    left = list(plans)
    for (place,), rows in causes.group_by("plan", maintain_order=True):
        plan = left[int(str(place))]
        notes = [
            Note(
                code=CODE,
                message=str(sentence),
                severity="reject",
                rows=tuple(group["row"].to_list()),
            )
            for (sentence,), group in rows.group_by("sentence", maintain_order=True)
        ]
        table = replace(plan.table, notes=(*plan.table.notes, *notes))
        left[int(str(place))] = replace(plan, table=table)
    return left


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IdentityPreview:
    """Who is who after a plan or a back-fill, before anything is sent."""

    found: Preview
    plans: tuple["Plan", ...]  # without the rows that `on_conflict="reject"` left out
    premise: Premise

    @property
    def plan(self) -> "Sendable":
        """The plan or back-fill to send, without the rows that were left out."""
        from cio_frames.plan.backfill import Backfill

        return self.plans[0] if len(self.plans) == 1 else Backfill(self.plans)

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

    def explain(self, who: str) -> "Drawn":
        """Return one person's story in sentences.

        Args:
            who: An id, e-mail, cio_id or anonymous id.
        """
        told = story(self.found, who, calls=[plan.call for plan in self.plans])
        return narrated(who, told)

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __repr__(self) -> str:
        return views.text(identity_view(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        view = identity_view(self)
        return bundle(views.html(view), views.text(view))

    def _native(self, frame: pl.DataFrame) -> Any:
        return frame.to_pandas() if self.plans[0].table.library == "pandas" else frame
