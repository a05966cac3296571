"""`send`: to Customer.io, to a server on this machine, or to a throw-away workspace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter

from cio_frames.cli.exits import Exit
from cio_frames.cli.options import Fields, Rules, Switch
from cio_frames.cli.output import as_json, say
from cio_frames.cli.planning import plan_of
from cio_frames.cli.wording import spoken
from cio_frames.cli.workspace import holdings
from cio_frames.errors import RunError, UsageError
from cio_frames.plan import Plan
from cio_frames.run import Run
from cio_frames.run.report import run_view
from cio_frames.sandbox import Sandbox
from cio_frames.sending import Client, connect
from cio_frames.views.displays import display
from cio_frames.views.html import NOTHING, Drawn
from cio_frames.views.wording import many
from cio_frames.workspaces import sandbox

_ARRIVED = ("delivered", "accepted_unverified", "skipped_done")
_NO_TARGET = "Say where to send: --to sandbox, --to us, --to eu, or --endpoint http://127.0.0.1:PORT."
Format = Literal["text", "json"]


def send(
    files: list[str],
    /,
    *,
    fields: Fields,
    rules: Rules | None = None,
    to: Literal["sandbox", "us", "eu"] | None = None,
    endpoint: str | None = None,
    audit: Path = Path("audit"),
    progress: Literal["auto", "terminal", "lines", "off"] = "auto",
    format: Format = "text",  # noqa: A002 - the option's name
    rate: Annotated[float | Literal["none"], Parameter(show_choices=False)] = 200.0,
    no_strict: Switch = False,
    yes: Switch = False,
) -> Exit:
    """Check the rows, send those that can be sent, and record what became of every row.

    Keys come from the environment only: CIO_WRITE_KEY; for forms CIO_SITE_ID and
    CIO_TRACK_API_KEY. Before anything goes to Customer.io, the number of rows is to be typed back.

    Args:
        files: CSV or Parquet files, or globs; all with the same columns.
        fields: Which column feeds which field.
        rules: How values are read and checked.
        to: Customer.io in the US or the EU, or a throw-away workspace on this machine.
        endpoint: A server on this machine, such as `cio-frames sandbox`, in place of Customer.io.
        audit: Directory of the records of all runs.
        progress: How progress is shown, on standard error.
        format: How the outcome is written.
        rate: The most requests per second; "none" lifts the limit.
        no_strict: Do not ask Customer.io to check; rows end as "accepted, unverified".
        yes: Do not ask before sending to Customer.io.
    """
    limit = None if rate == "none" else rate
    with _target(to, endpoint, strict=not no_strict, rate=limit) as (client, workspace):
        client.require(fields.call)
        plan = plan_of(files, fields=fields, rules=rules or Rules())
        plan.require_sendable()
        if endpoint is None and workspace is None and not yes:
            confirm(plan.counts["valid"], host=client.endpoint, answers=sys.stdin, asks=sys.stderr)
        run = _sent(plan, client, audit=audit, progress=progress, format=format)
        _tell(run, format=format)
        if workspace is not None and format == "text":
            say(f"What the workspace now holds\n{holdings(workspace)}")
    return Exit.OK if _all_arrived(run) else Exit.ROWS


def confirm(rows: int, *, host: str, answers: TextIO, asks: TextIO) -> None:
    """Have the number of rows typed back.

    Args:
        rows: How many rows would be sent.
        host: Where they would go.
        answers: Where the number is read from.
        asks: Where the question is written to.

    Raises:
        UsageError: Nobody is there to ask, or the number is another one.
    """
    if not answers.isatty():
        raise UsageError(
            f"Sending {many(rows, 'row')} to {host} is asked about first, and there is no "
            "terminal to ask on. Nothing was sent. Add --yes if it is meant."
        )
    asks.write(f"This sends {many(rows, 'row')} to {host}. It cannot be taken back.\n")
    asks.write("Type the number of rows to go on: ")
    asks.flush()
    if answers.readline().strip().replace(",", "") != str(rows):
        raise UsageError("That is another number. Nothing was sent.")


@contextmanager
def _target(
    to: str | None, endpoint: str | None, *, strict: bool, rate: float | None
) -> Iterator[tuple[Client, Sandbox | None]]:
    """Give a client, and the workspace behind it if it is a throw-away one."""
    if to is None and endpoint is None:
        raise UsageError(_NO_TARGET)
    if to == "sandbox" and endpoint is not None:
        raise UsageError("--to sandbox and --endpoint are two targets. Leave one away.")
    if to != "sandbox":
        yield connect(to or "us", endpoint=endpoint, strict=strict, rate=rate), None
        return
    with sandbox() as workspace:
        client = connect(
            "us",
            endpoint=workspace.url,
            write_key=workspace.write_key,
            site_id=workspace.site_id,
            track_api_key=workspace.track_api_key,
            strict=strict,
            rate=rate,
        )
        yield client, workspace


def _sent(plan: Plan, client: Client, *, audit: Path, progress: str, format: Format) -> Run:  # noqa: A002
    """Send, and tell what became of the rows even if the run ends early."""
    shown = None if progress == "off" else display(progress)
    try:
        return plan.send(client, audit=audit, progress=shown.update if shown else False)
    except (RunError, KeyboardInterrupt) as error:
        run = getattr(error, "run", None)
        if run is not None:
            _tell(run, format=format)
        raise
    finally:
        if shown is not None:
            shown.close(Drawn(html=NOTHING, text=""))


def _tell(run: Run, *, format: Format) -> None:  # noqa: A002
    if format == "json":
        say(as_json(run_view(run)))
    else:
        say(spoken(repr(run)).replace("audit DIR", f"audit {run.audit}"))


def _all_arrived(run: Run) -> bool:
    counts = run.counts
    return sum(counts[state] for state in _ARRIVED) == counts["rows"]
