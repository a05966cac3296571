"""What a look at the whole table finds: rows, with the value and the evidence."""

import polars as pl

from cio_frames.frames import ROW, collected

FOUND_SCHEMA = pl.Schema(
    {"row": pl.Int64(), "column": pl.String(), "value": pl.String(), "evidence": pl.String()}
)


def found(
    rows: pl.LazyFrame,
    bad: pl.Expr,
    *,
    column: str | None,
    value: pl.Expr,
    evidence: str | None = None,
) -> pl.DataFrame:
    """Return the rows for which a test holds.

    Args:
        rows: The prepared rows.
        bad: The test.
        column: The column it is about.
        value: What to show.
        evidence: What proves it.
    """
    chosen = rows.filter(bad.fill_null(value=False)).select(
        pl.col(ROW).alias("row"),
        pl.lit(column, pl.String).alias("column"),
        value.alias("value"),
        pl.lit(evidence, pl.String).alias("evidence"),
    )
    return collected(chosen)


def about(column: str, evidence: str) -> tuple[None, str, str, str]:
    """Return a finding about a whole column."""
    return None, column, evidence, evidence


def listed(findings: list[tuple[None, str, str, str]]) -> pl.DataFrame:
    """Return findings about whole columns as a table."""
    return pl.DataFrame(findings, schema=FOUND_SCHEMA, orient="row")
