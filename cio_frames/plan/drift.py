"""How the table of a plan differs from those of earlier runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cio_frames.audit.profiles import earlier_tables
from cio_frames.checks import Check, Drift, RunsTest, Scope, TableProfile, column_findings
from cio_frames.checks.comparison import Comparison, tables_of_same_import
from cio_frames.checks.differences import DIFFERENCES
from cio_frames.validation import FINDING_SCHEMA, as_findings, worst_first

MOST_NOTES = 5
"""The most findings that become a note each."""


def drift_findings(
    profile: TableProfile,
    *,
    checks: Sequence[Check],
    scope: Scope,
    limits: Drift,
    directory: Path | str,
    workspaces: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Return what differs from the earlier runs of a directory, with the columns of `FINDING_SCHEMA`."""
    parts = [FINDING_SCHEMA.to_frame()]
    tests = [check for check in checks if isinstance(check.test, RunsTest)]
    earlier = (
        tables_of_same_import(
            profile, earlier_tables(directory, workspaces=workspaces), most=limits.runs
        )
        if tests
        else []
    )
    if earlier:
        compared = Comparison(now=profile, at=scope.now, earlier=earlier, limits=limits)
        parts += [
            as_findings(check, column_findings(DIFFERENCES[check.code](compared)), scope=scope)
            for check in tests
        ]
    return pl.concat(parts)


def drift_notes(findings: pl.DataFrame) -> list[str]:
    """Return findings about differences as notes of a run."""
    messages = worst_first(findings)["message"].cast(pl.String)
    notes = [f"Compared with earlier runs: {message}" for message in messages[:MOST_NOTES]]
    more = len(messages) - MOST_NOTES
    if more > 0:
        notes.append(
            f"Compared with earlier runs: {more:,} more differences. A plan with "
            'checks=cio.Checks(drift="audit") lists them all in its report.'
        )
    return notes
