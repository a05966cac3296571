"""`reconcile`: compare a workspace with what a run should have left in it."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.known import WORKSPACE, app_api_client, read_people
from cio_frames.cli.options import Fields, Form, Rules
from cio_frames.cli.output import echo, echo_json, require_table_suffix, write_rows
from cio_frames.cli.plan_options import plan_of
from cio_frames.frames import scan
from cio_frames.plan.past_runs import reconcile as reconcile_run
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

    Messages are not stored on disk, so pass the same files and options as for the run. The result
    is stored with the record of the run.

    Args:
        run: The directory of the run, such as audit/20261121T093000000Z-k3f9q2.
        files: The files of the run.
        fields: Which column is sent as which field.
        rules: How values are read and checked.
        known: What the workspace holds now: "workspace" to read it with the key in CIO_APP_API_KEY, or a
            file with an export of its people and their attributes, or "export:110" to continue an
            export that was started earlier.
        before: An export of the people from before the run.
        events: How many events of the last 30 days are looked up, ten each second.
        seed: Selects these events, as an earlier report shows it.
        endpoint: A server on this machine whose workspace is read, instead of Customer.io's in CIO_REGION.
        differences: Write every difference to this .csv or .parquet file.
        format: Output format of the report.
    """
    require_table_suffix((differences,))
    people = read_people(known, client=partial(app_api_client, endpoint=endpoint))
    reconciliation = reconcile_run(
        run,
        people,
        plan_of(files, fields=fields, rules=rules or Rules()),
        before=None if before is None else scan(before),
        events=events,
        seed=seed,
    )
    if differences is not None:
        write_rows(differences, reconciliation.differences)
    if format == "json":
        echo_json(_values(reconciliation))
    else:
        echo(cli_advice(text.render(reconciliation.document())))
    return Exit.OK if reconciliation.is_as_expected else Exit.ROWS


def _values(reconciliation: Reconciliation) -> dict[str, Any]:
    return {
        "run": reconciliation.run_id,
        "held": reconciliation.held,
        "as_expected": reconciliation.is_as_expected,
        "compared": reconciliation.compared.to_dicts(),
        "events": None if reconciliation.events is None else asdict(reconciliation.events),
        "notes": reconciliation.notes,
        "differences": reconciliation.differences.to_dicts(),
    }
