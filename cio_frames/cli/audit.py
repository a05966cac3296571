"""`audit`: the outcome of every row of every run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from cio_frames.audit import Audit
from cio_frames.cli.exit_codes import Exit
from cio_frames.cli.options import Switch
from cio_frames.cli.output import echo, echo_json, require_table_suffix, write_rows
from cio_frames.errors import AuditError, UsageError
from cio_frames.sending.events import ARRIVED
from cio_frames.views import text
from cio_frames.views.wording import many, number

_SHOWN_ROWS = 20
_RUNS = ("run", "state", "host", "rows", "arrived", "not sent", "refused", "outcome unknown")
_FAILED = ("run", "plan", "row", "call", "state", "code", "reason")


def audit(
    directory: Path,
    /,
    *,
    run: str | None = None,
    failed: Switch = False,
    explain: int | None = None,
    id: str | None = None,  # noqa: A002 - the option's name
    email: str | None = None,
    verify: Switch = False,
    csv: Path | None = None,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the option's name
) -> Exit:
    """Show what happened to the rows of all runs in a directory.

    Without further options: one line per run.

    Args:
        directory: The directory of `send --audit`, or one run in it.
        run: Only this run.
        failed: Show the rows that may not have arrived, with reasons.
        explain: Show what happened to one row, by number; the first row of a table is 0.
        id: Show what happened to all rows about the person with this ID.
        email: Show what happened to all rows about the person with this e-mail address.
        verify: Read every file, compare it with its hash, and check that all states add up.
        csv: Write the rows (with --failed: only failed ones) to this .csv or .parquet file.
        format: Output format.
    """
    require_table_suffix((csv,))
    if explain is not None and explain < 0:
        raise UsageError(f"--explain {explain}: rows are numbered from 0.")
    record = _record(directory, run=run)
    answers: dict[str, Any] = {}
    if failed:
        answers["failed"] = record.failed()
    if len({explain, id, email} - {None}) > 1:
        raise UsageError("Give one of --explain, --id and --email.")
    if explain is not None or id is not None or email is not None:
        answers["story"] = record.explain(row=explain, id=id, email=email)
    if verify:
        answers["problems"] = record.verify()
    if csv is not None:
        write_rows(csv, answers["failed"] if failed else record.messages)
        answers["file"] = str(csv)
    if not answers:
        answers["runs"] = record.runs
    _print_answers(answers, format=format)
    return Exit.AUDIT if verify and answers["problems"].height else Exit.OK


def _record(directory: Path, *, run: str | None) -> Audit:
    record = Audit(directory)
    if run is None or directory.name == run:
        return record
    if not (directory / run / "run.json").is_file():
        names = ", ".join(sorted(path.parent.name for path in directory.glob("*/run.json")))
        raise AuditError(f"There is no run {run!r} in {directory}. Runs: {names}.")
    return Audit(directory / run)


def _print_answers(answers: dict[str, Any], *, format: str) -> None:  # noqa: A002
    if format == "json":
        echo_json({name: _json_value(value) for name, value in answers.items()})
        return
    echo(*(_BLOCKS[name](value) for name, value in answers.items()))


def _json_value(value: Any) -> Any:
    return value.to_dicts() if isinstance(value, pl.DataFrame) else value


def _runs(runs: pl.DataFrame) -> str:
    rows = [
        (
            row["run_id"],
            row["state"] + (f" ({row['stopped']})" if row["stopped"] else ""),
            row["endpoint"],
            number(row["rows"]),
            number(sum(row[state] for state in ARRIVED)),
            number(row["rejected_local"] + row["blocked"] + row["pending"]),
            number(row["rejected_server"]),
            number(row["in_doubt"]),
        )
        for row in runs.iter_rows(named=True)
    ]
    return text.columns(_RUNS, rows, right={3, 4, 5, 6, 7})


def _failed(failed: pl.DataFrame) -> str:
    if failed.is_empty():
        return "Every row arrived."
    grouped = failed.group_by("state", "code").agg(pl.len().alias("rows"), pl.col("error").first())
    reasons = [
        (row["state"], row["code"] or "", number(row["rows"]), row["error"] or "")
        for row in grouped.sort("rows", "code", descending=[True, False]).iter_rows(named=True)
    ]
    blocks = [
        f"{many(failed.height, 'row')} did not arrive",
        text.columns(("state", "code", "rows", "reason"), reasons, right={2}),
        text.columns(_FAILED, list(map(_row, failed.head(_SHOWN_ROWS).to_dicts())), right={1, 2}),
    ]
    if failed.height > _SHOWN_ROWS:
        rest = number(failed.height - _SHOWN_ROWS)
        blocks.append(text.paragraph(f"{rest} more; --failed --csv FILE writes them all."))
    return "\n\n".join(blocks)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["run_id"], str(row["plan"]), number(row["row"]), row["call"], row["state"],
        row["code"] or "", row["error"] or "",
    )  # fmt: skip


def _explanation(explanation: str) -> str:
    return "\n\n".join(map(text.paragraph, explanation.split("\n\n")))


def _problems(problems: pl.DataFrame) -> str:
    if problems.is_empty():
        return text.paragraph(
            "The record is complete: every file is present and unchanged, and all rows add up."
        )
    titles = ("run", "file", "problem", "what to do")
    return text.columns(titles, problems.rows())


def _file(path: str) -> str:
    return text.paragraph(f"Written to {path}.")


_BLOCKS: Mapping[str, Callable[[Any], str]] = {
    "runs": _runs,
    "failed": _failed,
    "story": _explanation,
    "problems": _problems,
    "file": _file,
}
