"""Findings: what a check says about a row or a table, and what follows when all are in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from cio_frames.checks import HIDDEN, SEVERITIES, Check, Severity
from cio_frames.values import many

FINDING_SCHEMA = pl.Schema(
    {
        "row": pl.Int64(),
        "code": pl.Categorical(),
        "severity": pl.Enum(SEVERITIES),
        "column": pl.Categorical(),
        "value": pl.String(),
        "message": pl.Categorical(),
        "hint": pl.Categorical(),
    }
)
"""The columns of findings; `row` is null where a finding is about the whole table.

A warning may be about every row of a large table, so the same words are kept once."""

BLOCKING: tuple[Severity, ...] = ("refuse", "reject")
SENSITIVE = "sensitive."


def as_texts(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings as users get them: all of it text but the number of the row."""
    return findings.cast({name: pl.String for name in FINDING_SCHEMA if name != "row"})


def rejection_reasons(findings: pl.DataFrame) -> pl.DataFrame:
    """Return row, code and error for each row that findings keep from being sent."""
    blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("row").is_not_null())
    return blocking.group_by("row", maintain_order=True).agg(
        pl.col("code").cast(pl.String).unique(maintain_order=True).str.join(" "),
        pl.col("message").cast(pl.String).unique(maintain_order=True).str.join(" ").alias("error"),
    )


def without_sensitive_values(
    findings: pl.DataFrame, *, columns: Sequence[str] = ()
) -> pl.DataFrame:
    """Return findings without the values of cells that hold sensitive data.

    The findings about such data show a masked part of it already; other findings about the same
    cell, or about its whole column, would show the rest.

    Args:
        findings: The findings.
        columns: Columns that are known to hold such data in other rows.
    """
    sensitive = pl.col("code").cat.starts_with(SENSITIVE)
    cells = findings.filter(sensitive).select("row", "column").unique()
    if not cells.height and not columns:
        return findings
    marked = findings.join(
        cells.with_columns(pl.lit(value=True).alias("marked")),
        on=["row", "column"], how="left", maintain_order="left",
    )  # fmt: skip
    names = [*cells["column"].drop_nulls().cast(pl.String).unique(), *columns]
    whole = pl.col("row").is_null() & pl.col("column").cast(pl.String).is_in(names)
    hide = ~sensitive & (pl.col("marked").is_not_null() | whole)
    value = pl.when(hide & pl.col("value").is_not_null()).then(pl.lit(HIDDEN)).otherwise("value")
    return marked.with_columns(value.alias("value")).drop("marked")


def complete_findings(
    findings: pl.DataFrame,
    *,
    checks: Iterable[Check],
    rows: int,
    rejected: int = 0,
    shares: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Return all findings of a table, once all are in: with summaries and thresholds, worst first.

    Args:
        findings: Everything that was found.
        checks: The checks that apply.
        rows: Rows read.
        rejected: Rows that would be left out.
        shares: The largest share of rows that may fail, by code; of all codes under `"*"`.
    """
    if findings.is_empty() and not shares:
        return findings
    findings = _without_rejected_repeats(without_rejected_twins(findings))
    summed = _with_summaries(findings, checks={check.code: check for check in checks})
    numbered = summed.filter(pl.col("row").is_not_null())
    failed = {
        code: rejected if code == "*" else numbered.filter(pl.col("code") == code)["row"].n_unique()
        for code in shares or {}
    }
    refused = threshold_refusals(failed, rows=rows, shares=shares or {})
    return worst_first(pl.concat([without_sensitive_values(summed), refused]))


NAMED = 3
"""Values that are listed, not only counted."""

SUMMARY_SCHEMA = pl.Schema(
    {
        "code": FINDING_SCHEMA["code"],
        "column": FINDING_SCHEMA["column"],
        "rows": pl.Int64(),
        "values": pl.Int64(),
        "named": pl.List(pl.String()),
    }
)
"""What findings come to in all, by code and column: rows, different values, and the first of them."""

REPEATED = "id.duplicate"
TWIN = "message.duplicate"
AS_ROW, WINS = r"as row (\d+)", r", row (\d+) wins$"
"""How a finding says which row it repeats, and where times decide, which row wins."""


def without_rejected_twins(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in which no row that is left out anyway is told to be the same as another."""
    left_out = findings.filter(pl.col("severity").is_in(BLOCKING))["row"].drop_nulls().unique()
    is_told = (pl.col("code") == TWIN) & pl.col("row").is_in(left_out.implode())
    return findings.filter(~is_told.fill_null(value=False)) if len(left_out) else findings


def _without_rejected_repeats(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in which no row repeats, or is repeated by, a row that is left out anyway."""
    repeats = findings.filter(pl.col("code") == REPEATED)
    blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("code") != REPEATED)
    left_out = blocking["row"].drop_nulls().unique().implode()
    if repeats.is_empty() or blocking.is_empty():
        return findings
    first, wins = (pl.col("value").str.extract(said).cast(pl.Int64) for said in (AS_ROW, WINS))
    remaining = repeats.filter(~pl.col("row").is_in(left_out)).with_columns(first=first)
    sent = pl.when(pl.col("first").is_in(left_out)).then(pl.col("row").min().over("first"))
    later = remaining.with_columns(sent=sent.fill_null(pl.col("first"))).filter(
        pl.col("row") != pl.col("sent")
    )
    value = pl.col("value").str.replace(AS_ROW, pl.format("as row {}", "sent"))
    without = value.str.replace(WINS, "")
    told = later.with_columns(
        value=pl.when(wins.is_in(left_out)).then(without).otherwise(value)
    ).drop("first", "sent")
    return pl.concat([findings.filter(pl.col("code") != REPEATED), told])


def worst_first(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in the order of a report.

    Those of a test of a chunk lie together, so they are moved together: where millions of rows have
    one warning, no finding is copied.
    """
    of_kind: dict[tuple[Any, ...], list[pl.DataFrame]] = {}
    for piece in _pieces(findings.match_to_schema(FINDING_SCHEMA)):
        kinds = piece.select("severity", "code").unique(maintain_order=True).rows()
        for kind in kinds:
            is_kind = (pl.col("severity") == kind[0]) & (pl.col("code") == kind[1])
            of_kind.setdefault(kind, []).append(piece if len(kinds) == 1 else piece.filter(is_kind))
    ordered = [FINDING_SCHEMA.to_frame()]
    for kind in sorted(of_kind, key=lambda kind: (SEVERITIES.index(kind[0]), kind[1])):
        whole = pl.concat(of_kind[kind])
        is_ordered = not whole["row"].has_nulls() and whole["row"].is_sorted()
        ordered.append(whole if is_ordered else whole.sort("row", maintain_order=True))
    return pl.concat(ordered)


def _pieces(findings: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the pieces that a frame was put together from, without a copy."""
    start = 0
    for length in findings["row"].chunk_lengths():
        if length:
            yield findings.slice(start, length)
        start += length


def _with_summaries(findings: pl.DataFrame, *, checks: Mapping[str, Check]) -> pl.DataFrame:
    """Add to each message what the finding comes to in all, such as how many profiles."""
    found = findings["code"].unique()
    counted = [code for code in found if code in checks and checks[code].texts.summary]
    if not counted:
        return findings
    summaries = (
        findings.filter(pl.col("code").is_in(counted), pl.col("row").is_not_null())
        .group_by("code", "column", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            pl.col("value").n_unique().alias("values"),
            pl.col("value").drop_nulls().unique(maintain_order=True).head(NAMED + 1).alias("named"),
        )
        .cast(SUMMARY_SCHEMA)
    )
    return with_summaries(findings, summary_texts(summaries, checks=checks))


def summary_texts(summaries: pl.DataFrame, *, checks: Mapping[str, Check]) -> pl.DataFrame:
    """Return code, column and a `summary` that tells what the findings come to in all.

    Args:
        summaries: What they come to, with the columns of `SUMMARY_SCHEMA`.
        checks: The checks that apply, by code.
    """
    texts = [
        checks[row["code"]].texts.summary.format(
            rows=many(row["rows"], "row"),
            values=many(row["values"], "value", "different values"),
            merged=_merged(row["rows"], row["values"], row["named"]),
        )
        for row in summaries.iter_rows(named=True)
    ]
    return summaries.select("code", "column", pl.Series("summary", texts, dtype=pl.String))


def with_summaries(findings: pl.DataFrame, summaries: pl.DataFrame) -> pl.DataFrame:
    """Return findings whose messages end with their `summary`, as `summarized` gives it."""
    message = pl.concat_str(pl.col("message").cast(pl.String), "summary", separator=" ")
    longer = (
        findings.select("code", "column", "message")
        .unique(maintain_order=True)
        .join(summaries, on=["code", "column"], nulls_equal=True)
        .select("code", "column", "message", longer=message.cast(FINDING_SCHEMA["message"]))
    )
    joined = findings.join(
        longer, on=["code", "column", "message"], how="left", nulls_equal=True,
        maintain_order="left",
    )  # fmt: skip
    return joined.with_columns(message=pl.coalesce("longer", "message")).drop("longer")


def _merged(rows: int, values: int, named: Sequence[str]) -> str:
    """Return how many profiles rows with a few values would become, and their names if few.

    Examples:
        >>> _merged(35, 1, ["-"])
        '35 rows would be merged into 1 profile ("-")'
        >>> _merged(8, 4, ["0", "1", "2", "3"])
        '8 rows would be merged into 4 profiles'
        >>> _merged(1, 1, ["-"])
        '1 row would create 1 profile ("-")'
    """
    verb = "be merged into" if rows > values else "create"
    quoted = ", ".join(f'"{name}"' for name in named)
    names = f" ({quoted})" if values <= NAMED else ""
    return f"{many(rows, 'row')} would {verb} {many(values, 'profile')}{names}"


def threshold_refusals(
    failed: Mapping[str, int], *, rows: int, shares: Mapping[str, float]
) -> pl.DataFrame:
    """Return a refusal for each code whose share of failing rows is larger than the user allows."""
    refused = [
        (
            None, "plan.threshold", "refuse", None, f"{count:,} of {rows:,} rows",
            f"{_named(code)} {count / rows:.1%} of the rows, but only {shares[code]:.1%} are allowed.",
            "Find out why, or allow more in Checks(thresholds=...).",
        )
        for code, count in failed.items()
        if rows and count / rows > shares[code]
    ]  # fmt: skip
    return pl.DataFrame(refused, schema=FINDING_SCHEMA, orient="row")


def _named(code: str) -> str:
    return "The checks would exclude" if code == "*" else f"{code} affects"
