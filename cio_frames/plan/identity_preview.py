"""Identity previews: the people of a workspace after the rows of plans, computed from their messages."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from time import monotonic
from typing import Any, Generic, Literal, TypeVar, get_args

import polars as pl

from cio_frames.errors import ChoiceError, IdentityRefusedError, engine_errors
from cio_frames.frames import Note, fingerprint, read
from cio_frames.frames.pandas import native
from cio_frames.identity import Settings
from cio_frames.identity.conflicts import MINOR, kinds
from cio_frames.identity.explain import explain
from cio_frames.identity.messages import IdentityColumns, WantedAttributes
from cio_frames.identity.model import gc_paused
from cio_frames.identity.open_settings import EXISTENCE_SETTINGS
from cio_frames.identity.opt_outs import folded_identifiers, people_opted_out
from cio_frames.identity.preview import Preview, preview
from cio_frames.identity.rules import join_settings, with_open_settings
from cio_frames.identity.settings import LARGEST, Premise
from cio_frames.plan.identity_parts import identity_parts
from cio_frames.plan.identity_report import identity_document
from cio_frames.plan.pipeline import Pipelines, PreviewCounts
from cio_frames.plan.workspace_people import WorkspacePeople, known_people
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Bullets, Document, Heading
from cio_frames.views.progress import Display
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered, Shown
from cio_frames.views.wording import duration, many

OnConflict = Literal["report", "reject", "refuse"]
CODE = "identity.conflict"
ROUNDS = 5
"""Excluding rows can cause new conflicts; more rounds than this were never needed."""

Sent = TypeVar("Sent")
"""A plan or a back-fill."""

SHOWN_FROM_ROWS = 200_000
"""Smaller plans are previewed too fast for a display."""


def identity(
    pipelines: Pipelines,
    premise: Premise,
    *,
    on_conflict: OnConflict,
    progress: ShowProgress,
    plan_of: Callable[[Pipelines], Sent],
) -> "IdentityPreview[Sent]":
    """Return the identity preview of plans.

    Raises:
        IdentityRefusedError: There are conflicts, and `on_conflict` is "refuse".
        ChoiceError: `on_conflict` has another value.
    """
    ChoiceError.require("on_conflict", on_conflict, get_args(OnConflict))
    preview = identity_preview(pipelines, premise, progress=progress)
    rounds = 0
    while on_conflict == "reject" and rounds < ROUNDS and _serious(preview).height:
        pipelines = _without(pipelines, _serious(preview))
        preview = identity_preview(pipelines, premise, progress=progress)
        rounds += 1
    shown = IdentityPreview(preview, pipelines, premise, plan_of)
    serious = _serious(preview)
    if serious.height and on_conflict != "report":
        raise IdentityRefusedError(_findings(serious), preview=shown)
    return shown


def _serious(preview: Preview) -> pl.DataFrame:
    return preview.conflicts.filter(~pl.col("kind").is_in(sorted(MINOR)))


def _findings(serious: pl.DataFrame) -> list[dict[str, str]]:
    """Return one finding for each kind, without the identifiers: errors end up in logs."""
    hints = dict(serious.select("kind", "hint").iter_rows())
    opens = dict(serious.group_by("kind").agg("open").iter_rows())
    return [
        {
            "code": kind,
            "message": with_open_settings(
                f"{many(lines, 'conflict')} in {many(rows, 'row')}.", join_settings(opens[kind])
            ),
            "hint": hints[kind],
        }
        for kind, lines, rows in kinds(serious)
    ]


def _without(pipelines: Pipelines, serious: pl.DataFrame) -> Pipelines:
    """Return the plans without the rows that cause conflicts, which are rejected with their reasons."""
    causes = serious.explode("rows", empty_as_null=False).select(
        "sentence", pl.col("rows").struct.unnest()
    )
    remaining = list(pipelines.all)
    for (place,), rows in causes.group_by("plan", maintain_order=True):
        pipeline = remaining[int(str(place))]
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
        remaining[int(str(place))] = replace(pipeline, table=table)
    return Pipelines(tuple(remaining))


class IdentityPreview(Shown, Generic[Sent]):
    """The people of a workspace as they would be after a plan or a back-fill."""

    def __init__(
        self,
        preview: Preview,
        pipelines: Pipelines,  # without the rows that `on_conflict="reject"` excluded
        premise: Premise,
        plan_of: Callable[[Pipelines], Sent],
    ) -> None:
        self._preview = preview
        self._pipelines = pipelines
        self._premise = premise
        self._plan_of = plan_of

    @property
    def plan(self) -> Sent:
        """The plan or back-fill to send, without the rows that were excluded."""
        return self._plan_of(self._pipelines)

    @property
    def people(self) -> Any:
        """One line per resulting profile, and per visitor who stays anonymous."""
        return self._native(self._preview.people.drop("person"))

    @property
    def merges(self) -> Any:
        """People that are merged permanently."""
        return self._native(self._preview.merges)

    @property
    def conflicts(self) -> Any:
        """What will not have the effect that rows ask for, and what to do about it."""
        return self._native(self._preview.conflicts)

    @property
    def groups(self) -> Any:
        """Objects, and how many people are related to each."""
        return self._native(self._preview.groups)

    @property
    def relationships(self) -> Any:
        """Which person is related to which object."""
        return self._native(self._preview.relationships)

    @property
    def attribution(self) -> Any:
        """The outcome of the events of anonymous visitors."""
        return self._native(self._preview.attribution)

    @property
    def clusters(self) -> Any:
        """How many identifiers and rows are linked, the largest group first."""
        return self._native(self._preview.clusters)

    @property
    def changes(self) -> Any:
        """The changes of every row, in order, without ordinary events."""
        return self._native(self._preview.changes)

    @property
    def choices(self) -> Any:
        """What the preview assumes where Customer.io's documentation is silent or contradictory."""
        return self._native(pl.DataFrame(self._premise.settings.choices(), strict=False))

    @property
    def summary(self) -> dict[str, Any]:
        """The counts."""
        return dict(self._preview.summary)

    def explain(self, who: str) -> Rendered:
        """Return what the rows do to one person, in sentences.

        Args:
            who: An id, e-mail, cio_id or anonymous id.
        """
        story = Bullets(explain(self._preview, who, calls=self._pipelines.calls), numbered=True)
        return Rendered(Document(Heading(who, "what the rows do to this person"), [story]))

    def _document(self) -> Document:
        return identity_document(self._preview, self._premise, self._pipelines)

    def _native(self, frame: pl.DataFrame) -> Any:
        return native(frame, library=self._pipelines.library)


def premise_of(
    pipelines: Pipelines,
    known: WorkspacePeople | None,
    *,
    settings: Settings | None,
    progress: ShowProgress,
    largest: int = LARGEST,
) -> Premise:
    """Return what a preview assumes.

    Raises:
        MappingError: `known` has no column of identifiers.
        WorkspaceReadError: `known` is a client, and the people cannot be read.
    """
    return Premise(
        workspace_people=None
        if known is None
        else known_people(known, pipelines, progress=progress),
        settings=settings or Settings(),
        now=pipelines.all[0].clock(),
        largest=largest,
    )


@engine_errors("the identity preview was made")
def identity_preview(
    pipelines: Pipelines, premise: Premise, *, progress: ShowProgress = False
) -> Preview:
    """Return the preview of a workspace after the messages of plans."""
    rows = sum(check.rows for check in pipelines.before_send())
    began = monotonic()
    shown = display(progress if rows >= SHOWN_FROM_ROWS or callable(progress) else False)
    state = ProgressState(label="who is who", total=rows, started_s=began, now_s=began)
    shown.show(state)
    with gc_paused():
        # without a reference here, so that its memory is freed as soon as it was used
        result = preview(_columns(pipelines, premise, shown, state), premise, calls=pipelines.calls)
    pipelines.previews.pop(_assumptions(premise), None)  # so that the latest one is the last
    pipelines.previews[_assumptions(premise)] = PreviewCounts(
        creates=result.summary["creates"],
        people=int(result.summary["people"]),
        objects=result.groups.height,
        summary=result.summary,
        is_compared=premise.workspace_people is not None,
        automatic_merges=result.merges.filter(why="auto-merge").height,
        conflicts={kind: rows for kind, _, rows in kinds(_serious(result))},
        open=join_settings(EXISTENCE_SETTINGS & result.summary["open"].keys()),
    )
    took = f"{many(rows, 'row')} in {duration(monotonic() - began)}: identity preview ready."
    shown.close(Document(Heading(took), ()))
    return result


def _columns(
    pipelines: Pipelines, premise: Premise, shown: Display, state: ProgressState
) -> IdentityColumns:
    """Return the identity columns of all messages, and show the progress."""
    parts: list[IdentityColumns] = []
    with closing(identity_parts(pipelines, _wanted(pipelines, premise))) as read_so_far:
        for part, planned in read_so_far:
            parts.append(part)
            shown.update(replace(state, planned=planned, now_s=monotonic()))
    return IdentityColumns.concat(parts)


def preview_counts(
    pipelines: Pipelines, premise: Premise, *, progress: ShowProgress
) -> PreviewCounts:
    """Return the counts of a preview, of the last one with the same assumptions if there is one."""
    assumptions = _assumptions(premise)
    if assumptions not in pipelines.previews:
        identity_preview(pipelines, premise, progress=progress)
    return pipelines.previews[assumptions]


def _assumptions(premise: Premise) -> tuple[Settings, int, bool, str]:
    """Return what identifies a premise, without the time, which does not change counts of people."""
    people = "" if premise.workspace_people is None else fingerprint(read(premise.workspace_people))
    return premise.settings, premise.largest, premise.apply_all, people


def _wanted(pipelines: Pipelines, premise: Premise) -> WantedAttributes:
    """Return which attributes the preview needs: those with times, and those that end opt-outs.

    An alias may concern people whom its row does not name.
    """
    dated = any(
        pipeline.call in ("identify", "group") and pipeline.mapping.find("timestamp")
        for pipeline in pipelines.all
    )
    people = people_opted_out(premise.workspace_people)
    is_for_all = people and "alias" in pipelines.calls
    return WantedAttributes(
        dated=dated, opted_out=None if is_for_all else folded_identifiers(people)
    )
