"""`check` and `preview`: what would be sent, and what would not."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from cyclopts import Parameter

from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.known import app_api_client, preview_known
from cio_frames.cli.options import Fields, KnownPeople, Rules
from cio_frames.cli.output import (
    as_json,
    echo,
    echo_html,
    echo_json,
    require_table_suffix,
    write_file,
    write_rows,
)
from cio_frames.cli.plan_options import plan_of
from cio_frames.errors import PlanRefusedError
from cio_frames.plan import Plan
from cio_frames.plan.report import plan_view
from cio_frames.validation import as_texts
from cio_frames.views import html, report, text
from cio_frames.views.document import Document, Heading, Messages, Paragraph
from cio_frames.views.environment import Output, writing_to
from cio_frames.views.findings import FindingView
from cio_frames.views.report import PlanView

PAGE = '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Plan</title>\n{}\n</html>\n'


def check(
    files: list[str],
    /,
    *,
    fields: Fields,
    rules: Rules | None = None,
    format: Literal["text", "json", "html"] = "text",  # noqa: A002 - the option's name
    output: Path | None = None,
    findings: Path | None = None,
    rejected: Path | None = None,
    known: KnownPeople = None,
    endpoint: Annotated[str | None, Parameter(metavar="URL")] = None,
) -> Exit:
    """Show which rows can be sent, which cannot, and why. Nothing is sent.

    Args:
        files: Tables: CSV, JSON, Excel, Arrow or Parquet files, globs or addresses; all with the same
            columns.
        fields: Which column is sent as which field.
        rules: How values are read and checked.
        format: Format of the report; json contains counts, groups and the list of findings.
        output: Write the report to this file.
        findings: Write every finding to this .csv or .parquet file instead of the JSON.
        rejected: Write the excluded rows, with reasons, to this .csv or .parquet file.
        known: The people in the workspace, so that the report shows who is new: a file with an
            export, or "workspace" to read them with the key in CIO_APP_API_KEY, or "export:110" to
            continue an export that was started earlier.
        endpoint: A server on this machine whose workspace is read, instead of Customer.io's in CIO_REGION.
    """
    require_table_suffix((findings, rejected))
    plan = plan_of(files, fields=fields, rules=rules or Rules())
    preview_known(plan, known, client=partial(app_api_client, endpoint=endpoint))
    if findings is not None:
        write_rows(findings, as_texts(plan.pipeline.full_check.findings))
    if rejected is not None:
        write_rows(rejected, plan.rejected)
    if output is None:
        _print_report(plan, format, findings=findings)
    else:
        with writing_to(Output()):
            write_file(output, _report(plan, format, findings=findings) + "\n")
    return verdict(plan)


def preview(
    files: list[str],
    /,
    *,
    fields: Fields,
    rules: Rules | None = None,
    rows: int = 5,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the option's name
) -> Exit:
    """Show the first messages as they would be sent, and where each value comes from.

    Args:
        files: Tables: CSV, JSON, Excel, Arrow or Parquet files, globs or addresses; all with the same
            columns.
        fields: Which column is sent as which field.
        rules: How values are read and checked.
        rows: Number of messages.
        format: Output format.
    """
    plan = plan_of(files, fields=fields, rules=rules or Rules())
    messages = plan.pipeline.messages(rows)
    mapping = plan.pipeline.mapping.describe()
    if format == "json":
        raw = [msgspec.Raw(message.encode()) for message in messages]
        echo_json({"call": plan.call, "mapping": mapping, "messages": raw})
    else:
        echo(text.render(_preview(plan, messages, mapping=mapping)))
    return Exit.OK if messages or not plan.counts["rejected"] else Exit.ROWS


def verdict(plan: Plan) -> Exit:
    """Return the exit code for the checks of a plan."""
    try:
        plan.require_sendable()
    except PlanRefusedError:
        return Exit.REFUSED
    return Exit.ROWS if plan.counts["rejected"] else Exit.OK


def plan_text(plan: Plan) -> str:
    """Return the report of a plan with advice for the command line."""
    return text.render(_document(plan))


def _print_report(plan: Plan, format: str, *, findings: Path | None) -> None:  # noqa: A002
    match format:
        case "html":
            echo_html(_report(plan, format, findings=findings))
        case "json":
            echo_json(_json_values(plan, findings=findings))
        case _:
            echo(plan_text(plan))


def _report(plan: Plan, format: str, *, findings: Path | None) -> str:  # noqa: A002
    if format == "html":
        return PAGE.format(html.render(_document(plan)))
    if format == "json":
        return as_json(_json_values(plan, findings=findings))
    return plan_text(plan)


def _json_values(plan: Plan, *, findings: Path | None) -> dict[str, Any]:
    """Return the report as plain values."""
    view, preview = _view(plan), plan.pipelines.last_preview
    findings_entry: dict[str, Any] = (
        {"findings": plan.pipeline.full_check.findings.to_dicts()}
        if findings is None
        else {"findings_file": str(findings)}
    )
    return {
        "call": plan.call,
        "source": view.source,
        "verdict": verdict(plan).name.lower(),
        "counts": plan.counts,
        **({} if preview is None else {"identity": preview.summary}),
        "mapping": plan.pipeline.mapping.describe(),
        "groups": view.findings,
        "fixes": pl.DataFrame(plan.fixes).to_dicts(),
        "notes": view.notes,
        **findings_entry,
    }


def _document(plan: Plan) -> Document:
    return report.plan(_view(plan), adapt_advice=cli_advice)


def _view(plan: Plan) -> PlanView:
    view = plan_view(plan.pipeline, plan.pipelines.last_preview)
    return replace(view, findings=tuple(map(_finding_view, view.findings)))


def _finding_view(finding: FindingView) -> FindingView:
    hint, fix = cli_advice(finding.hint), cli_advice(finding.fix)
    return replace(
        finding, sentence=cli_advice(finding.sentence), hint=hint, fix="" if fix in hint else fix
    )


def _preview(plan: Plan, messages: list[str], *, mapping: list[dict[str, str]]) -> Document:
    empty = "No row can be sent. Run `cio-frames check` with the same options to see why."
    return Document(
        Heading(plan.call, plan.pipeline.table.label),
        (report.mapping(mapping), Messages(messages) if messages else Paragraph(empty)),
    )
