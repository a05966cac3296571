"""`send` and `resume`: to Customer.io, to a server on this machine, or to a temporary workspace."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import polars as pl

from cio_frames.audit import UNFINISHED, Audit, collect_rows
from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.known import preview_known
from cio_frames.cli.options import Fields, Form, KnownPeople, Rules, Switch, Target
from cio_frames.cli.output import echo, echo_json, prompt
from cio_frames.cli.plan_options import allowances, plan_of
from cio_frames.errors import RunError, UsageError
from cio_frames.plan import Plan
from cio_frames.plan import resume as resume_run
from cio_frames.plan.outcome import needs, outcome
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.plan import Sendable, allowed
from cio_frames.run import Run
from cio_frames.sending.events import ARRIVED
from cio_frames.spec import EVENT_CALLS
from cio_frames.values.number_words import number_of
from cio_frames.views import summary, text
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import EMPTY
from cio_frames.views.wording import many
from cio_frames.workspaces import Client, connect

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox

_NO_TARGET = (
    "Say where to send: --to sandbox, --to us, --to eu, or --endpoint http://127.0.0.1:PORT."
)
_TEMPORARY = "A temporary workspace disappears when its run ends, so it cannot be resumed."


def send(
    files: list[str],
    /,
    *,
    fields: Fields,
    target: Target | None = None,
    rules: Rules | None = None,
    audit: Path = Path("audit"),
    repeat: Switch = False,
    corrected: Path | None = None,
    known: KnownPeople = None,
    keep_undo: Switch = False,
) -> Exit:
    """Check the rows, send those that can be sent, and record the outcome of every row.

    Keys come from the environment only: CIO_WRITE_KEY; for forms CIO_SITE_ID and
    CIO_TRACK_API_KEY. Before anything is sent to Customer.io, you confirm the number of rows by
    typing it, and so each number of campaigns, opt-outs, deletions and merges that can follow.
    Rows that an earlier run with the same audit directory has delivered are not sent again.

    Args:
        files: Tables: CSV, JSON, Excel, Arrow or Parquet files, globs or addresses; all with the same
            columns.
        fields: Which column is sent as which field.
        target: Where to send, and how.
        rules: How values are read and checked.
        audit: Directory for the records of all runs.
        repeat: Send rows again that an earlier run has delivered.
        corrected: Send only the rows of this file, with the columns, types and repairs of the
            others. It is the file that --rejected wrote, corrected.
        known: The people in the workspace, so that the report shows who is new: a file with an
            export, or "workspace" to read them with the key in CIO_APP_API_KEY, or "export:110" to
            continue an export that was started earlier.
        keep_undo: Before sending, read the people that the rows name and store them with the record,
            encrypted, for `cio-frames undo`. Needs CIO_APP_API_KEY.
    """
    target, rules = target or Target(), rules or Rules()
    allow = allowed(allowances(rules.allow) or None)
    with open_client(target) as (client, workspace):
        client.require(fields.call)
        plan = plan_of(files, fields=fields, rules=rules)
        if corrected is not None:
            plan = plan.corrected(corrected)
        plan.require_sendable()
        _warn_of_now(plan)
        preview_known(plan, known, client=lambda: client, progress=_shown_progress(target))
        preview = plan.pipelines.last_preview
        if needs_confirmation(target):
            outcome_text = outcome([plan.pipeline], preview, client=client)
            allow = confirm_plan(
                plan.pipelines, allow, target=target, client=client, outcome_text=outcome_text
            )
        elif preview is not None:
            sys.stderr.write(outcome([plan.pipeline], preview, client=client) + "\n")
        run = send_plan(
            target, plan, client, audit=audit, repeat=repeat, allow=allow, keep_undo=keep_undo
        )
        if workspace is not None and target.format == "text":
            from cio_frames.cli.sandbox import contents

            echo(f"The workspace now contains\n{contents(workspace)}")
    return Exit.OK if all_arrived(run) else Exit.ROWS


def resume(
    run: Path,
    files: list[str],
    /,
    *,
    fields: Fields,
    target: Target | None = None,
    rules: Rules | None = None,
) -> Exit:
    """Finish a run after a crash, an interrupt or an outage.

    Messages are not stored on disk, so pass the same files and options as for the run. Rows that
    arrived are not sent again.

    Args:
        run: The directory of the run, such as audit/20261121T093000000Z-k3f9q2.
        files: The files of the run.
        fields: Which column is sent as which field.
        target: Where to send, and how.
        rules: How values are read and checked.
    """
    target = target or Target()
    if target.to == "sandbox":
        raise UsageError(_TEMPORARY)
    with open_client(target) as (client, _):
        client.require(fields.call)
        plan = plan_of(files, fields=fields, rules=rules or Rules())
        if needs_confirmation(target):
            confirm(
                _unfinished_rows(run), host=client.endpoint, answers=sys.stdin, prompts=sys.stderr
            )
        resumed = report_run(
            lambda progress: resume_run(
                run, client, plan, in_doubt=target.in_doubt, progress=progress
            ),
            target=target,
        )
    return Exit.OK if all_arrived(resumed) else Exit.ROWS


def _warn_of_now(plan: Plan) -> None:
    """Print to stderr how many events have no time, before anything is sent."""
    mapping = plan.pipeline.mapping
    if mapping.call.name not in EVENT_CALLS or mapping.find("timestamp") is not None:
        return  # no full check without events to count
    if rows := plan.pipeline.full_check.allowances.undated:
        sys.stderr.write(
            f"{many(rows, 'event')} would count as happening now and can start campaigns: no "
            "--timestamp is given.\n"
        )


def confirm(
    rows: int, *, host: str, answers: TextIO | None, prompts: TextIO, outcome_text: str = ""
) -> None:
    """Show what sending would do, and require that the user types the number of rows.

    Raises:
        UsageError: There is no interactive terminal, or the number is wrong.
    """
    if answers is None or not answers.isatty():
        raise UsageError(
            f"Sending {many(rows, 'row')} to {host} needs confirmation, but this is not an "
            "interactive terminal. Nothing was sent. Use --yes to confirm."
        )
    lines = (
        f"This sends {many(rows, 'row')} to {host}. This cannot be undone.",
        outcome_text,
        "Type the number of rows to continue:",
    )
    _require_typed("\n".join(filter(None, lines)), rows, answers=answers, prompts=prompts)


def confirm_plan(
    pipelines: Pipelines,
    allow: Mapping[str, int] | None,
    *,
    target: Target,
    client: Client,
    outcome_text: str,
) -> dict[str, int]:
    """Require that the user types the number of rows and each number to allow; return the latter."""
    confirm(
        pipelines.counts["valid"], host=client.endpoint, answers=sys.stdin, prompts=sys.stderr,
        outcome_text=outcome_text,
    )  # fmt: skip
    return confirm_allowances(
        pipelines,
        allow or {},
        progress=_shown_progress(target),
        answers=sys.stdin,
        prompts=sys.stderr,
    )


def confirm_allowances(
    pipelines: Pipelines,
    allow: Mapping[str, int],
    *,
    progress: ShowProgress,
    answers: TextIO,
    prompts: TextIO,
) -> dict[str, int]:
    """Require that the user types each number beyond the allowances of the options; return all.

    Raises:
        UsageError: A number is wrong.
    """
    from cio_frames.plan.allowances import merge_preview

    needed = needs(pipelines.checked(), merge_preview(pipelines, progress=progress))
    beyond = {kind: count for kind, count in needed.counts.items() if count > allow.get(kind, 0)}
    for kind, count in beyond.items():
        name = kind.replace("_", "-")
        question = f"{needed.sentences[kind]}.\nType the number of {name} to continue:"
        _require_typed(question, count, answers=answers, prompts=prompts)
    return {**allow, **beyond}


def _require_typed(question: str, number: int, *, answers: TextIO, prompts: TextIO) -> None:
    prompt(question, stream=prompts)
    if number_of(answers.readline()) != number:
        raise UsageError("The number does not match. Nothing was sent.")


@contextmanager
def open_client(target: Target) -> Iterator["tuple[Client, Sandbox[Client] | None]"]:
    """Yield a client, and its workspace if that is a temporary one."""
    rate = target.rate if isinstance(target.rate, float) else None
    strict = not target.no_strict
    if target.to is None and target.endpoint is None:
        raise UsageError(_NO_TARGET)
    if target.to == "sandbox" and target.endpoint is not None:
        raise UsageError("--to sandbox and --endpoint are two targets. Leave one out.")
    if target.to != "sandbox":
        region = target.to or "us"
        yield connect(region, endpoint=target.endpoint, strict=strict, rate=rate), None
        return
    from cio_frames.workspaces.embedded import sandbox  # a server, which most commands do not need

    with sandbox() as workspace:
        client = connect(
            "us",
            endpoint=workspace.url,
            write_key=workspace.write_key,
            site_id=workspace.site_id,
            track_api_key=workspace.track_api_key,
            app_api_key=workspace.app_api_key,
            strict=strict,
            rate=rate,
        )
        yield client, workspace


def _shown_progress(target: Target) -> ShowProgress:
    """Return the progress option as the argument of the library."""
    return False if target.progress == "off" else target.progress


def needs_confirmation(target: Target) -> bool:
    """Return whether rows would leave this machine without confirmation."""
    return target.to != "sandbox" and target.endpoint is None and not target.yes


def send_plan(target: Target, plan: Sendable, client: Client, **options: Any) -> Run:
    """Send a plan with the options of a target and those of `plan.send`."""
    return report_run(
        lambda progress: plan.send(client, progress=progress, in_doubt=target.in_doubt, **options),
        target=target,
    )


def report_run(start: Callable[[ShowProgress], Run], *, target: Target) -> Run:
    """Start a run, and print the outcome of the rows even if it ends early."""
    progress = None if target.progress == "off" else display(target.progress)
    try:
        run = start(progress.update if progress else False)
    except (RunError, KeyboardInterrupt) as error:
        ended = getattr(error, "run", None)
        if ended is None:
            raise
        _print_outcome(ended, format=target.format)
        if isinstance(error, KeyboardInterrupt) or ended.stopped is None:
            raise
        code, reason = ended.stopped  # the outcome contains the reason
        message = str(error).replace(reason, f"The run stopped early ({code}).")
        raise RunError(message, run=ended) from error
    finally:
        if progress is not None:
            progress.close(EMPTY)
    _print_outcome(run, format=target.format)
    return run


def _print_outcome(run: Run, *, format: Form) -> None:  # noqa: A002 - the option's name
    if format == "json":
        echo_json(run.view())
    else:
        adapt_advice = partial(_advice, audit=run.audit)
        echo(text.render(summary.document(run.view(), adapt_advice=adapt_advice)))


def _advice(words: str, *, audit: Path) -> str:
    return cli_advice(words).replace("audit DIR", f"audit {audit}")


def _unfinished_rows(run: Path) -> int:
    rows = Audit(run).scan().filter(pl.col("state").is_in(UNFINISHED))
    return int(collect_rows(rows.select(pl.len()), run).item())


def all_arrived(run: Run) -> bool:
    """Return whether Customer.io has every row."""
    counts = run.counts
    return sum(counts[state] for state in ARRIVED) == counts["rows"]
