"""What the rows of plans will have made of a workspace, found from their messages."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from time import monotonic

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import AnyTable, fingerprint, read
from cio_frames.frames.table import reading
from cio_frames.identity import Settings
from cio_frames.identity.known_people import export
from cio_frames.identity.messages import IdentityColumns, identity_columns
from cio_frames.identity.model import gc_paused
from cio_frames.identity.preview import Premise, Preview, preview
from cio_frames.identity.settings import LARGEST
from cio_frames.plan.chunks import CHUNK_ROWS
from cio_frames.plan.pipeline import Pipelines, PreviewCounts
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import duration, many

SHOWN_FROM_ROWS = 200_000
"""Smaller plans are previewed before a display would be seen."""


def premise_of(
    pipelines: Pipelines,
    known: AnyTable | None,
    *,
    settings: Settings | None,
    largest: int = LARGEST,
) -> Premise:
    """Return what a preview assumes.

    Raises:
        MappingError: `known` has no column of identifiers.
    """
    return Premise(
        known=None if known is None else _people_of(known),
        settings=settings or Settings(),
        now=pipelines.each[0].clock(),
        largest=largest,
    )


@engine_errors("the known people were read")
def _people_of(known: AnyTable) -> pl.DataFrame:
    """Return an export of people as the model takes it."""
    table = read(known)
    with reading(f"{table.label} of known people"):
        people = table.lazy.collect()
    return export(people)


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
        parts: list[IdentityColumns] = []
        with closing(_identity_columns(pipelines)) as read_so_far:
            for part, planned in read_so_far:
                parts.append(part)
                state = replace(state, planned=planned, now_s=monotonic())
                shown.update(state)
        columns = IdentityColumns.joined(parts)
        del parts
        found = preview(columns, premise, calls=pipelines.calls)
    pipelines.previews[_assumed(premise)] = PreviewCounts(
        creates=found.summary["creates"],
        people=int(found.summary["people"]),
        objects=found.groups.height,
    )
    took = f"{many(rows, 'row')} in {duration(monotonic() - began)}: who is who is known."
    shown.close(Document(Heading(took), ()))
    return found


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
    known = "" if premise.known is None else fingerprint(read(premise.known))
    return premise.settings, premise.largest, premise.whole, known


def _identity_columns(pipelines: Pipelines) -> Generator[tuple[IdentityColumns, int]]:
    """Yield what messages say in the order in which they are sent, and the rows read so far."""
    planned = first = 0
    components = pipelines.components
    for place, pipeline in enumerate(pipelines.each):
        with closing(
            pipeline.encode_chunks(components=components, chunk_rows=CHUNK_ROWS)
        ) as chunks:
            for encoded in chunks:
                planned += len(encoded.rows)
                columns = identity_columns(encoded.prepared, encoded.messages, pipeline.mapping)
                yield IdentityColumns.of(columns, plan=place, first=first), planned
                first += columns.height
