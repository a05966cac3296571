"""The record of all runs: what arrived, what did not, and one line per run, the latest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cio_frames.views import components, table
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup
from cio_frames.views.states import STATES
from cio_frames.views.style import Tone
from cio_frames.views.table import TableView
from cio_frames.views.wording import many, number

_TITLES = ("run", "when (UTC)", "to", "end", "rows", "arrived", "left out", "not known")
_ARRIVED = ("delivered", "accepted_unverified", "skipped_done")
_LEFT_OUT = ("rejected_local", "rejected_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run of a record.

    Attributes:
        run_id: Its name.
        created: When it was made.
        endpoint: Where it sent to.
        outcome: How it ended.
        counts: Rows by state.
    """

    run_id: str
    created: str
    endpoint: str
    outcome: str
    counts: Mapping[str, int]


def html(directory: str, runs: Sequence[RunLine]) -> Markup:
    """Return the record for a notebook."""
    word, tone = _verdict(runs)
    counts = _sums(runs)
    return components.card(
        components.head("Audit", about=directory, verdict=word, tone=tone),
        components.sentence(_sentence(runs), style=css.LEAD),
        components.figures(_figures(runs)),
        components.bar([(look.label, counts[state], look.tone) for state, look in STATES.items()]),
        table.html(_table(runs)),
    )


def text(directory: str, runs: Sequence[RunLine]) -> str:
    """Return the record for a terminal."""
    word, _ = _verdict(runs)
    blocks = (
        plain.head(f"Audit: {directory}", verdict=word),
        plain.paragraph(_sentence(runs)),
        table.text(_table(runs)),
    )
    return plain.page(blocks)


def _sums(runs: Sequence[RunLine]) -> dict[str, int]:
    """Return the rows of all runs by state."""
    return {state: sum(run.counts.get(state, 0) for run in runs) for state in STATES}


def _verdict(runs: Sequence[RunLine]) -> tuple[str, Tone]:
    """Return how things stand, as a word and a tone."""
    if any(_unknown(run.counts) for run in runs):
        return "! rows not known to have arrived", "care"
    if any(_left_out(run.counts) for run in runs):
        return "✓ complete, rows left out", "good"
    return "✓ complete", "good"


def _sentence(runs: Sequence[RunLine]) -> str:
    """Return how things stand, and what to type."""
    told = f"{many(len(runs), 'run')}, one row kept for every row of every run."
    if any(_unknown(run.counts) or _left_out(run.counts) for run in runs):
        told += " .failed() has the rows that did not arrive, .explain(row=...) the story of one."
    return told


def _figures(runs: Sequence[RunLine]) -> list[tuple[str, str]]:
    """Return the sums that matter most."""
    counts = _sums(runs)
    return [
        ("runs", number(len(runs))),
        ("rows", number(sum(counts.values()))),
        ("arrived", number(_arrived(counts))),
        ("left out", number(_left_out(counts))),
        ("not known", number(_unknown(counts))),
    ]


def _table(runs: Sequence[RunLine]) -> TableView:
    """Return one line per run, the latest first."""
    lines = [
        (
            run.run_id,
            run.created,
            run.endpoint,
            run.outcome,
            sum(run.counts.values()),
            _arrived(run.counts),
            _left_out(run.counts),
            _unknown(run.counts),
        )
        for run in sorted(runs, key=lambda run: run.run_id, reverse=True)
    ]
    return TableView(columns=_TITLES, rows=lines, total=len(lines), whole="cio.audit(...).runs")


def _arrived(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in _ARRIVED)


def _left_out(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in _LEFT_OUT)


def _unknown(counts: Mapping[str, int]) -> int:
    return sum(counts.values()) - _arrived(counts) - _left_out(counts)
