"""`reconcile`: what a workspace holds beside what a run should have left there."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.known import WORKSPACE, people_named, reader
from cio_frames.cli.options import Fields, Form, Rules
from cio_frames.cli.output import put_rows, require_written, say, say_json
from cio_frames.cli.plan_options import plan_of
from cio_frames.frames import scan
from cio_frames.plan.past_runs import reconcile as reconciled
from cio_frames.run.reconciliation import Reconciliation
from cio_frames.views import text


def reconcile(
    run: Path,
    files: list[str],
    /,
    *,
    fields: Fields,
    rules: Rules | None = None,
    known: Annotated[str, Parameter(metavar="FILE|workspace")] = WORKSPACE,
    before: Annotated[str | None, Parameter(metavar="FILE")] = None,
    events: Annotated[int, Parameter(metavar="NUMBER")] = 300,
    seed: Annotated[int | None, Parameter(metavar="NUMBER")] = None,
    endpoint: Annotated[str | None, Parameter(metavar="URL")] = None,
    differences: Path | None = None,
    format: Form = "text",  # noqa: A002 - the option's name
) -> Exit:
    """Compare what the workspace holds now with what a run should have left there. Nothing is sent.

    Messages are not stored on disk, so pass the same files and options as for the run. What is found
    is kept beside the record of the run.

    Args:
        run: The directory of the run, such as audit/20261121T093000000Z-k3f9q2.
        files: The files of the run.
        fields: Which column is sent as which field.
        rules: How values are read and checked.
        known: What the workspace holds now: "workspace" to read it with the key in CIO_APP_API_KEY, or a
            file with an export of its people and their attributes, or "export:110" to take up an
            export that was started before.
        before: An export of the people from before the run.
        events: How many events of the last 30 days are looked up, ten each second.
        seed: What draws these events, as an earlier report tells it.
        endpoint: A server on this machine whose workspace is read, instead of Customer.io's in CIO_REGION.
        differences: Write every difference to this .csv or .parquet file.
        format: Output format of the report.
    """
    require_written((differences,))
    held = people_named(known, client=partial(reader, endpoint=endpoint))
    found = reconciled(
        run,
        held,
        plan_of(files, fields=fields, rules=rules or Rules()),
        before=None if before is None else scan(before),
        events=events,
        seed=seed,
    )
    if differences is not None:
        put_rows(differences, found.differences)
    if format == "json":
        say_json(_values(found))
    else:
        say(cli_advice(text.render(found.document())))
    return Exit.OK if found.is_as_expected else Exit.ROWS


def _values(found: Reconciliation) -> dict[str, Any]:
    """Return a report as plain values."""
    return {
        "run": found.run_id,
        "held": found.held,
        "as_expected": found.is_as_expected,
        "compared": found.compared.to_dicts(),
        "events": None if found.events is None else asdict(found.events),
        "notes": found.notes,
        "differences": found.differences.to_dicts(),
    }
