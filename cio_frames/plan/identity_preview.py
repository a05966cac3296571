"""Who is who: what the rows of plans will have made of a workspace, found from their messages."""

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
from cio_frames.identity.open_choices import EXISTENCE_SETTINGS
from cio_frames.identity.opt_outs import folded_identifiers, people_opted_out
from cio_frames.identity.preview import Preview, preview
from cio_frames.identity.rules import join_settings, with_open_settings
from cio_frames.identity.settings import LARGEST, Premise
from cio_frames.plan.identity_parts import identity_parts
from cio_frames.plan.identity_report import identity_document
from cio_frames.plan.pipeline import Pipelines, PreviewCounts
from cio_frames.plan.workspace_people import WorkspacePeople, known_people
from cio_frames.views import text
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Bullets, Document, Heading
from cio_frames.views.progress import Display
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Rendered, bundle
from cio_frames.views.wording import duration, many

OnConflict = Literal["report", "reject", "refuse"]
CODE = "identity.conflict"
ROUNDS = 5
"""Leaving rows out can bring up new conflicts; more often than this it never did."""

Sent = TypeVar("Sent")
"""A plan or a back-fill."""

SHOWN_FROM_ROWS = 200_000
"""Smaller plans are previewed before a display would be seen."""


def identity(
    pipelines: Pipelines,
    premise: Premise,
    *,
    on_conflict: OnConflict,
    progress: ShowProgress,
    plan_of: Callable[[Pipelines], Sent],
) -> "IdentityPreview[Sent]":
    """Return who is who after these plans.

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
    shown = IdentityPreview(found, pipelines, premise, plan_of)
    serious = _serious(found)
    if serious.height and on_conflict != "report":
        raise IdentityRefusedError(_findings(serious), preview=shown)
    return shown


def _serious(found: Preview) -> pl.DataFrame:
    return found.conflicts.filter(~pl.col("kind").is_in(sorted(MINOR)))


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
    """Return the plans with the rows that cause conflicts left out, each with its reason."""
    causes = serious.explode("rows", empty_as_null=False).select(
        "sentence", pl.col("rows").struct.unnest()
    )
    left = list(pipelines.all)
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


class IdentityPreview(Generic[Sent]):
    """Who is who after a plan or a back-fill, before anything is sent."""

    def __init__(
        self,
        found: Preview,
        pipelines: Pipelines,  # without the rows that `on_conflict="reject"` left out
        premise: Premise,
        plan_of: Callable[[Pipelines], Sent],
    ) -> None:
        self._found = found
        self._pipelines = pipelines
        self._premise = premise
        self._plan_of = plan_of

    @property
    def plan(self) -> Sent:
        """The plan or back-fill to send, without the rows that were left out."""
        return self._plan_of(self._pipelines)

    @property
    def people(self) -> Any:
        """One line per resulting profile, and per visitor who stays anonymous."""
        return self._native(self._found.people.drop("person"))

    @property
    def merges(self) -> Any:
        """People that become one, for good."""
        return self._native(self._found.merges)

    @property
    def conflicts(self) -> Any:
        """What does not come out as the rows ask, and what to do about it."""
        return self._native(self._found.conflicts)

    @property
    def groups(self) -> Any:
        """Objects, and how many people are related to each."""
        return self._native(self._found.groups)

    @property
    def relationships(self) -> Any:
        """Which person is related to which object."""
        return self._native(self._found.relationships)

    @property
    def attribution(self) -> Any:
        """What becomes of the events of anonymous visitors."""
        return self._native(self._found.attribution)

    @property
    def clusters(self) -> Any:
        """How many identifiers and rows hang together, largest first."""
        return self._native(self._found.clusters)

    @property
    def changes(self) -> Any:
        """What every row did to whom, in order; plain events are not among it."""
        return self._native(self._found.changes)

    @property
    def choices(self) -> Any:
        """Which side the preview took where Customer.io's documents are silent or disagree."""
        return self._native(pl.DataFrame(self._premise.settings.choices(), strict=False))

    @property
    def summary(self) -> dict[str, Any]:
        """The counts."""
        return dict(self._found.summary)

    def explain(self, who: str) -> Rendered:
        """Return one person's story in sentences.

        Args:
            who: An id, e-mail, cio_id or anonymous id.
        """
        story = Bullets(explain(self._found, who, calls=self._pipelines.calls), numbered=True)
        return Rendered(Document(Heading(who, "what the rows do to this person"), [story]))

    def __repr__(self) -> str:
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self._document())

    def _document(self) -> Document:
        return identity_document(self._found, self._premise, self._pipelines)

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
    """Return what the messages of plans will have made of a workspace."""
    rows = sum(found.rows for found in pipelines.before_send())
    began = monotonic()
    shown = display(progress if rows >= SHOWN_FROM_ROWS or callable(progress) else False)
    state = ProgressState(label="who is who", total=rows, started_s=began, now_s=began)
    shown.show(state)
    with gc_paused():
        # held by nobody else, so that its memory is free as soon as it is used
        found = preview(_columns(pipelines, premise, shown, state), premise, calls=pipelines.calls)
    pipelines.previews.pop(_assumed(premise), None)  # the last one made is the last of them
    pipelines.previews[_assumed(premise)] = PreviewCounts(
        creates=found.summary["creates"],
        people=int(found.summary["people"]),
        objects=found.groups.height,
        summary=found.summary,
        is_compared=premise.workspace_people is not None,
        automatic_merges=found.merges.filter(why="auto-merge").height,
        conflicts={kind: rows for kind, _, rows in kinds(_serious(found))},
        open=join_settings(EXISTENCE_SETTINGS & found.summary["open"].keys()),
    )
    took = f"{many(rows, 'row')} in {duration(monotonic() - began)}: identity preview ready."
    shown.close(Document(Heading(took), ()))
    return found


def _columns(
    pipelines: Pipelines, premise: Premise, shown: Display, state: ProgressState
) -> IdentityColumns:
    """Return what all messages say about who is who, and show how far it is read."""
    parts: list[IdentityColumns] = []
    with closing(identity_parts(pipelines, _wanted(pipelines, premise))) as read_so_far:
        for part, planned in read_so_far:
            parts.append(part)
            shown.update(replace(state, planned=planned, now_s=monotonic()))
    return IdentityColumns.concat(parts)


def preview_counts(
    pipelines: Pipelines, premise: Premise, *, progress: ShowProgress
) -> PreviewCounts:
    """Return what the preview comes to, from the last one that assumed the same if there is one."""
    assumed = _assumed(premise)
    if assumed not in pipelines.previews:
        identity_preview(pipelines, premise, progress=progress)
    return pipelines.previews[assumed]


def _assumed(premise: Premise) -> tuple[Settings, int, bool, str]:
    """Return what tells premises apart; the time of a preview changes none of its counts of people."""
    known = "" if premise.workspace_people is None else fingerprint(read(premise.workspace_people))
    return premise.settings, premise.largest, premise.apply_all, known


def _wanted(pipelines: Pipelines, premise: Premise) -> WantedAttributes:
    """Return which attributes matter: those with times, and what ends somebody's opt-out.

    An alias may bring in people whom the row does not name.
    """
    dated = any(
        each.call in ("identify", "group") and each.mapping.find("timestamp")
        for each in pipelines.all
    )
    people = people_opted_out(premise.workspace_people)
    is_anybody = people and "alias" in pipelines.calls
    return WantedAttributes(
        dated=dated, opted_out=None if is_anybody else folded_identifiers(people)
    )
