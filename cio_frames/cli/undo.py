"""`undo`: a plan that restores a workspace to its state before a run."""

from functools import partial
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.known import app_api_client, people_of
from cio_frames.cli.options import Fields, KnownPeople, Rules
from cio_frames.cli.output import echo
from cio_frames.cli.plan_options import plan_of
from cio_frames.frames import scan
from cio_frames.plan.past_runs import undo as plan_undo
from cio_frames.spec import Region

Table = Annotated[str | None, Parameter(metavar="FILE", show_default=False)]


def undo(
    run: Path,
    files: list[str],
    /,
    *,
    fields: Fields,
    rules: Rules | None = None,
    known: Table = None,
    objects: Table = None,
    relationships: Table = None,
    current: KnownPeople = None,
    region: Region | None = None,
    out: Path | None = None,
) -> Exit:
    """Plan how to restore the workspace to its state before a run. Nothing is sent.

    Messages are not stored on disk, so pass the same files and options as for the run. The plan and its
    tables are written to a directory, for `cio-frames apply`; the tables contain personal data.

    Args:
        run: The directory of the run, such as audit/20261121T093000000Z-k3f9q2.
        files: The files of the run.
        fields: Which column is sent as which field.
        rules: How values are read and checked.
        known: The people as they were before the run, with their attributes: a file with an export.
            Without it, the people that the run stored.
        objects: The objects as they were: a file with object_type_id, object_id and attributes.
        relationships: Who was related to which object: a file with object_type_id, object_id, id or
            email, and attributes.
        current: The people as they are now, so that later changes are left alone: a file with an
            export, or "workspace" to read them with the key in CIO_APP_API_KEY.
        region: The region of the account, for --current workspace.
        out: The directory to write undo.cioplan and its tables to; without it, the report only.
    """
    plan = plan_of(files, fields=fields, rules=rules or Rules())
    undo_plan = plan_undo(
        run,
        _read(known),
        plan=plan,
        objects=_read(objects),
        relationships=_read(relationships),
        current=people_of(current, client=partial(app_api_client, region)),
    )
    echo(cli_advice(repr(undo_plan)))
    if out is not None and not undo_plan.is_empty:
        undo_plan.save(out)
        echo(f"Saved in {out}.")
    return Exit.OK


def _read(path: str | None) -> pl.LazyFrame | None:
    return None if path is None else scan(path)
