"""The people whom a workspace has, as a preview takes them: from a table, or read by a client."""

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import AnyTable, read
from cio_frames.frames.table import frame_errors
from cio_frames.identity.known_people import export
from cio_frames.plan.pipeline import Pipelines
from cio_frames.views.displays import ShowProgress
from cio_frames.workspaces import Client

Known = AnyTable | Client
"""An export of the workspace's people, or a client that reads them."""


@engine_errors("the known people were read")
def known_people(known: Known, pipelines: Pipelines, *, progress: ShowProgress) -> pl.DataFrame:
    """Return an export of people as the model takes it; what a client reads is kept with the plans."""
    if isinstance(known, Client):
        if known not in pipelines.known:
            pipelines.known[known] = export(known.people(progress=progress))
        return pipelines.known[known]
    return export(people_table(known))


def people_table(people: AnyTable) -> pl.DataFrame:
    """Return a table of people as a frame."""
    table = read(people)
    with frame_errors(f"{table.label} of known people"):
        return table.lazy.collect()
