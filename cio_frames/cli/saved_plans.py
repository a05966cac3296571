"""`plan`, `show`, `approve` and `apply`: a plan in a file, reviewed before it is sent."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from cyclopts import Parameter

from cio_frames.cli.check import PAGE, verdict
from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.known import app_api_client, people_of
from cio_frames.cli.options import Fields, KnownPeople, Pairs, Rules, Switch, Target
from cio_frames.cli.output import as_json, echo, echo_html, echo_json, write_file
from cio_frames.cli.plan_options import allowances, plan_of, scan_options
from cio_frames.cli.send import (
    all_arrived,
    confirm_plan,
    needs_confirmation,
    open_client,
    send_plan,
)
from cio_frames.errors import UsageError
from cio_frames.frames import scan
from cio_frames.plan.apply import restored, reviewed
from cio_frames.plan.approval import approval_key, require_approval
from cio_frames.plan.approval import approve as approved
from cio_frames.plan.plan import allowed
from cio_frames.plan.saved_plan import SavedPlan, read_plan, saved_plan
from cio_frames.views import html, text

Repeated = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


def plan(
    files: list[str],
    /,
    *,
    fields: Fields,
    out: Path,
    target: Target | None = None,
    rules: Rules | None = None,
    known: KnownPeople = None,
    expires: Annotated[float | Literal["never"], Parameter(metavar="DAYS", show_choices=False)] = 7,
) -> Exit:
    """Save a plan for review: what would be sent, without any value of the table. Nothing is sent.

    Args:
        files: Tables: CSV, JSON, Excel, Arrow or Parquet files, globs or addresses; all with the same
            columns.
        fields: Which column is sent as which field.
        out: The file to write, such as july.cioplan.
        target: Where the plan may be sent; anywhere if not given.
        rules: How values are read and checked.
        known: The people of the workspace to compare with: a file with an export, or "workspace" to
            read them with the key in CIO_APP_API_KEY, or "export:110" to continue an export that was
            started earlier.
        expires: Days for which the plan can be applied; "never" for no limit.
    """
    rules, target = rules or Rules(), target or Target()
    reviewable = plan_of(files, fields=fields, rules=rules)
    region = None if target.to == "sandbox" else target.to
    people = people_of(known, client=partial(app_api_client, region, endpoint=target.endpoint))
    until = None if expires == "never" else timedelta(days=float(expires))
    if target.to is None and target.endpoint is None:
        saved = saved_plan(
            reviewable.pipelines, known=people, expires=until, reading=scan_options(rules)
        )
    else:
        if target.to == "sandbox":
            raise UsageError(
                "A temporary workspace is gone before the plan is applied. Leave --to out."
            )
        with open_client(target) as (client, _):
            saved = saved_plan(
                reviewable.pipelines,
                client=client,
                known=people,
                expires=until,
                reading=scan_options(rules),
            )
    saved.write(out)
    echo(text.render(saved.document()), f"Saved as {out}.")
    return verdict(reviewable)


def show(
    file: Path,
    /,
    *,
    format: Literal["text", "json", "html", "markdown"] = "text",  # noqa: A002 - the option's name
    output: Path | None = None,
) -> Exit:
    """Show a saved plan: as text, as a page, or as Markdown for a pull request.

    Args:
        file: The plan that `cio-frames plan` or plan.save(...) wrote.
        format: Format of the report.
        output: Write the report to this file.
    """
    saved = read_plan(file)
    if format == "json" and output is None:
        echo_json(saved.values())
    elif format == "html" and output is None:
        echo_html(_report(saved, format))
    elif output is None:
        echo(_report(saved, format))
    else:
        write_file(output, _report(saved, format))
    return Exit.OK


def _report(saved: SavedPlan, format: str) -> str:  # noqa: A002 - the option's name
    match format:
        case "html":
            return PAGE.format(html.render(saved.document()))
        case "markdown":
            return saved.markdown()
        case "json":
            return as_json(saved.values())
        case _:
            return text.render(saved.document())


def approve(file: Path | None = None, /, *, key: Switch = False) -> Exit:
    """Sign a saved plan with your own key, which is created on first use.

    Args:
        file: The plan.
        key: Print your public key, which --approved-by takes; nothing is signed.
    """
    if key or file is None:
        echo(approval_key())
        return Exit.OK
    saved = approved(file)
    echo(f"{file} is approved by {saved.approvals[-1]['key']}.")
    return Exit.OK


def apply(
    file: Path,
    tables: list[str],
    /,
    *,
    target: Target | None = None,
    known: KnownPeople = None,
    approved_by: Repeated = (),
    only_if: Repeated = (),
    allow: Pairs = (),
    audit: Path = Path("audit"),
    repeat: Switch = False,
    keep_undo: Switch = False,
) -> Exit:
    """Send a saved plan, if table, messages and destination are as they were reviewed.

    Args:
        file: The plan.
        tables: Its files; for several plans, one file per plan, in order.
        target: Where to send, and how.
        known: The people of the workspace, if the plan was compared with them: a file, or "workspace"
            to read them now.
        approved_by: Public key of somebody who may approve; one of them must have signed the plan.
        only_if: A condition such as "rejected<1%" or "creates<=500" instead of the same rows, for
            jobs with a different table each time.
        allow: How much may happen in Customer.io, such as campaigns=37, opt_outs=3, deletions=1 or
            merges=2.
        audit: Directory for the records of all runs.
        repeat: Send rows again that an earlier run has delivered.
        keep_undo: Before sending, read the people that the rows name and store them with the record,
            encrypted, for `cio-frames undo`. Needs CIO_APP_API_KEY.
    """
    target, saved = target or Target(), read_plan(file)
    numbers = allowed(allowances(allow) or None)
    require_approval(file, saved, approved_by=approved_by)
    with open_client(target) as (client, _):
        ready = reviewed(
            file,
            restored(file, saved, _tables(saved, tables)),
            client,
            known=people_of(known, client=lambda: client),
            approved_by=approved_by,
            only_if=only_if,
        )
        ready.require_sendable()
        if needs_confirmation(target):
            numbers = confirm_plan(
                ready.pipelines, numbers, target=target, client=client, outcome_text=saved.outcome
            )
        run = send_plan(
            target, ready, client, audit=audit, repeat=repeat, allow=numbers, keep_undo=keep_undo
        )
    return Exit.OK if all_arrived(run) else Exit.ROWS


def _tables(saved: SavedPlan, files: list[str]) -> list[pl.LazyFrame]:
    """Return the files of each plan, read as they were for the review."""
    options = saved.reading or {}
    if len(saved.plans) == 1:
        return [scan(files, **options)]
    return [scan(file, **options) for file in files]
