"""`demo`: the main job on the sample data, against an embedded workspace."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cio_frames.audit import STATES, Audit
from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.output import echo, write_rows
from cio_frames.cli.sample import DIRTY, LOADS, Load, fixed_plan, plan_for
from cio_frames.cli.sandbox import contents
from cio_frames.errors import AccountingError, PlanRefusedError
from cio_frames.frames import scan
from cio_frames.identity.rules import join_settings
from cio_frames.plan import Backfill, Plan
from cio_frames.run import Run
from cio_frames.samples import FOLDER
from cio_frames.sandbox import Sandbox
from cio_frames.validation import BLOCKING
from cio_frames.views import text
from cio_frames.views.wording import duration, many, number
from cio_frames.workspaces import Client
from cio_frames.workspaces.embedded import sandbox

_ABOUT = (
    "Sends the sample data, file by file, to an embedded workspace. Nothing leaves this machine."
)
_EXPECTED_STATES = ("delivered", "rejected_local")
_TITLES = ("file", "call", "rows", "valid", "excluded", "delivered", "other", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One file: its rows, plan and run."""

    load: Load
    read: int
    plan: Plan
    run: Run


def demo(*, data: Path | None = None, audit: Path = Path("audit/demo")) -> Exit:
    """Send the sample data to a temporary workspace on this machine, and account for every row.

    It needs no account, and nothing leaves this machine.

    Args:
        data: Directory of the sample data. The default is the one in the package.
        audit: Directory for the records.
    """
    source = data or FOLDER
    echo(text.paragraph(_ABOUT))
    with sandbox() as workspace:
        client = workspace.client()
        plans = [plan_for(load, data=source) for load in LOADS]
        echo(*_identity_summary(plans))
        sent = [
            _send(load, plan, data=source, client=client, audit=audit)
            for load, plan in zip(LOADS, plans, strict=True)
        ]
        sent.append(_send_dirty(data=source, client=client, audit=audit))
        counts = balance(sent, workspace=workspace)
        echo(f"Every row\n{_table(sent)}", text.block(_sum(counts)))
        echo(f"The workspace now contains\n{contents(workspace)}")
    echo(text.paragraph(f"The record of every row is in {audit}: cio-frames audit {audit}"))
    return Exit.OK if set(counts) <= set(_EXPECTED_STATES) else Exit.ROWS


def balance(sent: Sequence[Sent], *, workspace: Sandbox[Client]) -> dict[str, int]:
    """Return the rows in each state, after comparing four independent counts.

    These are the rows of the files, the counts of the runs, the states in the Parquet record, and
    the messages that the workspace accepted.

    Raises:
        AccountingError: The counts differ.
    """
    read = sum(item.read for item in sent)
    counted = {state: sum(item.run.counts[state] for item in sent) for state in STATES}
    record = pl.concat([Audit(item.run.audit).scan().select("state") for item in sent])
    recorded = dict(record.collect()["state"].value_counts().iter_rows())
    present = {state: count for state, count in counted.items() if count}
    if sum(counted.values()) != read or present != recorded:
        raise AccountingError(read, counts=recorded if present != recorded else counted)
    accepted = workspace.counts["accepted"]
    if accepted != counted["delivered"]:
        raise AccountingError(counted["delivered"], counts={"accepted by the workspace": accepted})
    return present


def _identity_summary(plans: Sequence[Plan]) -> list[str]:
    """Return the identity preview of the clean files together."""
    summary = Backfill(plans).identity(progress=False).summary
    rows = [
        (name, number(summary[name])) for name in ("creates", "merges", "conflicts", "visitors")
    ]
    rows.append(("open settings", join_settings(summary["open"]) or "none"))
    title = "Identity preview, before anything is sent"
    return [f"{text.paragraph(title)}\n{text.columns((), rows, right={1}, indent='  ')}"]


def _send(load: Load, plan: Plan, *, data: Path, client: Client, audit: Path) -> Sent:
    sent = _sent(load, plan, data=data, client=client, audit=audit)
    echo(_section(text.paragraph(_title(load)), _figures(sent), _reasons(plan)))
    return sent


def _send_dirty(*, data: Path, client: Client, audit: Path) -> Sent:
    first = plan_for(DIRTY, data=data)
    echo(_section(text.paragraph(_title(DIRTY)), _refusal(first)))
    plan, changes = fixed_plan(data=data)
    steps = (text.paragraph(step, indent="    ", hanging="      ") for step in changes)
    echo(_section("  It is repaired like this:", *steps))
    sent = _sent(DIRTY, plan, data=data, client=client, audit=audit)
    path = audit / "people_dirty.rejected.csv"
    write_rows(path, pl.DataFrame(plan.rejected))
    echo(_section(_figures(sent), _reasons(plan)))
    echo(_section("  Rows excluded, by number:", *_excluded_rows(plan)))
    echo(text.block(f"The same rows with all columns, for a spreadsheet: {path}"))
    return sent


def _sent(load: Load, plan: Plan, *, data: Path, client: Client, audit: Path) -> Sent:
    read = scan(data / load.file).select(pl.len()).collect().item()
    return Sent(load=load, read=read, plan=plan, run=plan.send(client, audit=audit, progress=False))


def _section(*blocks: str) -> str:
    return "\n".join(filter(None, blocks))


def _title(load: Load) -> str:
    return f"{load.file} as {load.call}: {load.about}"


def _figures(sent: Sent) -> str:
    planned, counts = sent.plan.counts, sent.run.counts
    figures = (
        many(sent.read, "row"),
        f"{number(planned['valid'])} valid",
        f"{number(planned['rejected'])} excluded",
        f"{number(counts['delivered'])} delivered",
        f"{many(counts['requests'], 'request')} in {duration(sent.run.elapsed_s)}",
    )
    return text.block(f"{text.join_parts(*figures)}\naudit: {_relative(sent.run.audit)}")


def _blocking(plan: Plan) -> Iterator[tuple[str, list[int], str]]:
    """Yield why rows are excluded: code, row numbers, sentence; most rows first."""
    blocking = plan.pipeline.full_check.findings.filter(
        pl.col("severity").is_in(BLOCKING), pl.col("row").is_not_null()
    )
    grouped = blocking.group_by("code").agg(
        pl.col("row").unique().sort(),
        pl.col("message").first(),
        pl.col("row").n_unique().alias("n"),
    )
    yield from grouped.sort("n", "code", descending=[True, False]).drop("n").iter_rows()


def _reasons(plan: Plan) -> str:
    """Return why rows are excluded; a row can have several reasons."""
    table = [
        (f"excluded: {code}", number(len(rows)), sentence)
        for code, rows, sentence in _blocking(plan)
    ]
    return text.columns((), table, right={1}, indent="  ")


def _excluded_rows(plan: Plan) -> list[str]:
    """Return all excluded rows, by reason."""
    return [
        text.paragraph(f"{code}: {', '.join(map(str, rows))}", indent="    ")
        for code, rows, _ in _blocking(plan)
    ]


def _refusal(plan: Plan) -> str:
    """Return why a plan cannot be sent unchanged."""
    try:
        plan.require_sendable()
    except PlanRefusedError:
        findings = plan.pipeline.full_check.findings
        groups = findings.filter(pl.col("severity").is_in(BLOCKING)).group_by(
            "severity", "code", "column", maintain_order=True
        )
        rows = [
            (f"[{severity}]", str(code), number(rows.height), rows["message"][0])
            for (severity, code, _), rows in groups
        ]
        others = findings.filter(~pl.col("severity").is_in(BLOCKING))["code"].n_unique()
        rest = f"and {many(others, 'thing')} to look at: cio-frames check shows all of them."
        return _section(
            "  Refused, so nothing was sent:",
            text.columns((), rows, right={2}, indent="    "),
            text.paragraph(rest, indent="    "),
        )
    return "  It can be sent as it is."


def _table(sent: Sequence[Sent]) -> str:
    rows = [(item.load.file, item.load.call, *_numbers([item])) for item in sent]
    total = ("all", "", *_numbers(sent))
    return text.columns(_TITLES, [*rows, total], right=set(range(2, 8)), indent="  ")


def _numbers(sent: Sequence[Sent]) -> tuple[str, ...]:
    rows = sum(item.read for item in sent)
    valid = sum(item.plan.counts["valid"] for item in sent)
    excluded, delivered = (
        sum(item.run.counts[state] for item in sent) for state in ("rejected_local", "delivered")
    )
    seconds = sum(item.run.elapsed_s for item in sent)
    figures = (rows, valid, excluded, delivered, rows - excluded - delivered)
    return (*map(number, figures), duration(seconds))


def _sum(counts: dict[str, int]) -> str:
    summary = " + ".join(f"{number(count)} {state}" for state, count in counts.items())
    total = number(sum(counts.values()))
    return (
        f"{summary} = {total} rows read.\n"
        "The files, the runs, the Parquet record and the workspace agree."
    )


def _relative(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
