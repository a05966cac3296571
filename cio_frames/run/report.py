"""A run as the plain values that its summary is drawn from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.audit import FAILED, STATES, Audit, collected
from cio_frames.views.pace import PaceView
from cio_frames.views.summary import Outcome, ReasonView, RunView

if TYPE_CHECKING:
    from cio_frames.run.run import Run


def run_view(run: "Run") -> RunView:
    """Return what a run's summary shows."""
    counts = run.counts
    return RunView(
        run_id=run.run_id,
        call=run.job.label,
        host=run.client.endpoint,
        outcome=_outcome(run),
        reason=run.stopped[1] if run.stopped else "",
        counts={state: counts[state] for state in STATES},
        requests=counts["requests"],
        retries=counts["retries"],
        bytes=counts["bytes"],
        elapsed_s=run.elapsed_s,
        audit=str(run.audit),
        reasons=tuple(_reasons(run)) if run.is_over else (),
        pace=_pace(run),
        notes=run.notes,
    )


def _pace(run: "Run") -> PaceView | None:
    pace = run.pace.view()
    return pace if pace and pace.is_long else None


def _outcome(run: "Run") -> Outcome:
    if not run.is_over:
        return "running"
    if run.stopped is None:
        return "finished"
    return "interrupted" if run.stopped[0] == "INTERRUPTED" else "stopped"


def _reasons(run: "Run") -> Iterator[ReasonView]:
    found = Audit(run.audit).scan().filter(pl.col("state").is_in(FAILED))
    grouped = found.group_by("code").agg(pl.len().alias("rows"), pl.col("error").first())
    for row in collected(grouped, run.audit).sort("code", nulls_last=True).iter_rows(named=True):
        yield ReasonView(code=row["code"] or "", rows=row["rows"], sentence=row["error"] or "")
