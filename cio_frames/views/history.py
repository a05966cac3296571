"""Views of the record: all runs with their counts, and the history of one row."""

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
_NOT_SENT = ("rejected_local", "rejected_server", "blocked", "pending")
_FACTS = (
    "call", "person_key", "message_id", "payload_hash", "bytes", "lane", "batch", "attempts",
    "http_status", "code", "error",
)  # fmt: skip
_TIMES = {"first sent": "first_attempt_at", "ended": "finished_at"}


def audit(
    directory: str, runs: Sequence[Mapping[str, Any]], *, totals: Mapping[str, int]
) -> Document:
    """Return all runs with their counts, the latest first; `totals` count each row once."""
    rows, arrived, not_sent, unknown = _sums(totals)
    lead = f"{many(len(runs), 'run')}, with a record of every row."
    if rows < sum(_sums(run)[0] for run in runs):
        lead += " The totals count a row of several runs once, as the last one left it."
    if not_sent or unknown:
        lead += " .failed() lists the rows that did not arrive; .explain(row=...) shows what happened to one."
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
            Paragraph(lead, "lead"),
            Figures(
                [
                    ("runs", len(runs)),
                    ("rows", rows),
                    ("arrived", arrived),
                    ("not sent or refused", not_sent),
                    ("outcome unknown", unknown),
                ],
                bar=[(view.label, totals[state], view.tone) for state, view in STATES.items()],
            ),
            Table(_RUNS, lines, right={4, 5, 6, 7}, all_rows="cio.audit(...).runs"),
        ],
    )


def explanation(record: Mapping[str, Any], *, text: str) -> Document:
    """Return the outcome of one row: the sentences of `text`, and its technical details."""
    state = STATES[record["state"]]
    facts = [(name, Code(str(record[name]))) for name in _FACTS if record[name] is not None]
    facts += [
        (name, Code(_utc_text(record[column])))
        for name, column in _TIMES.items()
        if record[column] is not None
    ]
    return Document(
        Heading(f"Row {record['row']} · {record['call']}", f"run {record['run_id']}", state.badge),
        [Paragraph(Quoted(text)), Fold("Technical details", [Table(("what", "value"), facts)])],
    )


def _verdict(totals: Mapping[str, int]) -> Badge:
    _, _, not_sent, unknown = _sums(totals)
    if unknown:
        return Badge("! outcome of some rows unknown", "care")
    if totals["pending"]:
        return Badge("… some rows not sent yet", "care")
    return Badge("✓ complete: some rows not sent" if not_sent else "✓ complete", "good")


def _sums(counts: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return the number of rows: all, arrived, not sent, and with unknown outcome."""
    rows = sum(counts[state] for state in STATES)
    arrived = sum(counts[state] for state in ARRIVED)
    not_sent = sum(counts[state] for state in _NOT_SENT)
    return rows, arrived, not_sent, rows - arrived - not_sent


def _utc_text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
