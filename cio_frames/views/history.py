"""What was recorded: all runs with their counts, and the story of one row."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cio_frames.sending.events import ARRIVED
from cio_frames.views.document import (
    Badge,
    Code,
    Document,
    Figures,
    Fold,
    Heading,
    Paragraph,
    Quoted,
    Table,
)
from cio_frames.views.summary import STATES
from cio_frames.views.wording import many

_RUNS = ("run", "when (UTC)", "to", "end", "rows", "arrived", "not sent", "outcome unknown")
_LEFT_OUT = ("rejected_local", "rejected_server", "blocked", "pending")
_FACTS = (
    "call", "person_key", "message_id", "payload_hash", "bytes", "lane", "batch", "attempts",
    "http_status", "code", "error",
)  # fmt: skip
_TIMES = {"first sent": "first_attempt_at", "ended": "finished_at"}


def audit(
    directory: str, runs: Sequence[Mapping[str, Any]], *, totals: Mapping[str, int]
) -> Document:
    """Return all runs, the latest first: what arrived, what did not.

    Args:
        directory: Where the runs are.
        runs: Each run with its rows in each state.
        totals: The rows in each state, each once although several runs have it.
    """
    rows, arrived, left_out, unknown = _sums(totals)
    told = f"{many(len(runs), 'run')}, with a record of every row."
    if rows < sum(_sums(run)[0] for run in runs):
        told += " The totals count a row of several runs once, as the last one left it."
    if left_out or unknown:
        told += " .failed() lists the rows that did not arrive; .explain(row=...) shows what happened to one."
    lines = [
        (
            run["run_id"],
            f"{run['created']:%Y-%m-%d %H:%M}",
            run["endpoint"],
            f"{run['state']} ({run['stopped']})" if run["stopped"] else run["state"],
            *_sums(run),
        )
        for run in sorted(runs, key=lambda run: str(run["run_id"]), reverse=True)
    ]
    return Document(
        Heading("Audit", directory, _verdict(totals)),
        [
            Paragraph(told, "lead"),
            Figures(
                [
                    ("runs", len(runs)),
                    ("rows", rows),
                    ("arrived", arrived),
                    ("not sent or refused", left_out),
                    ("outcome unknown", unknown),
                ],
                bar=[(shown.label, totals[state], shown.tone) for state, shown in STATES.items()],
            ),
            Table(_RUNS, lines, right={4, 5, 6, 7}, whole="cio.audit(...).runs"),
        ],
    )


def story(record: Mapping[str, Any], *, told: str) -> Document:
    """Return what became of one row, in sentences, and what is known about it.

    Args:
        record: The row of the audit.
        told: The sentences.
    """
    shown = STATES[record["state"]]
    facts = [(name, Code(str(record[name]))) for name in _FACTS if record[name] is not None]
    facts += [
        (name, Code(_moment(record[column])))
        for name, column in _TIMES.items()
        if record[column] is not None
    ]
    return Document(
        Heading(f"Row {record['row']} · {record['call']}", f"run {record['run_id']}", shown.badge),
        [Paragraph(Quoted(told)), Fold("Technical details", [Table(("what", "value"), facts)])],
    )


def _verdict(totals: Mapping[str, int]) -> Badge:
    """Return how things stand."""
    _, _, left_out, unknown = _sums(totals)
    if unknown:
        return Badge("! outcome of some rows unknown", "care")
    if totals["pending"]:
        return Badge("… some rows not sent yet", "care")
    return Badge("✓ complete: some rows not sent" if left_out else "✓ complete", "good")


def _sums(counts: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return rows in all, arrived, left out, and not known to have arrived."""
    rows = sum(counts[state] for state in STATES)
    arrived = sum(counts[state] for state in ARRIVED)
    left_out = sum(counts[state] for state in _LEFT_OUT)
    return rows, arrived, left_out, rows - arrived - left_out


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
