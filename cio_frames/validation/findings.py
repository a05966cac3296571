"""Findings: results of checks about rows or the table, and the conclusions from all of them."""

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

A warning may be about every row of a large table, so repeated texts are stored once."""

BLOCKING: tuple[Severity, ...] = ("refuse", "reject")
SENSITIVE = "sensitive."


def as_texts(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings as users get them: all columns but the row number are text."""
    return findings.cast({name: pl.String for name in FINDING_SCHEMA if name != "row"})


def rejection_reasons(findings: pl.DataFrame) -> pl.DataFrame:
    """Return row, code and error for each row that is excluded because of findings."""
    blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("row").is_not_null())
    return blocking.group_by("row", maintain_order=True).agg(
        pl.col("code").cast(pl.String).unique(maintain_order=True).str.join(" "),
        pl.col("message").cast(pl.String).unique(maintain_order=True).str.join(" ").alias("error"),
    )


def hide_sensitive(findings: pl.DataFrame, *, columns: Sequence[str] = ()) -> pl.DataFrame:
    """Return findings without the values of cells that hold sensitive data.

    The findings about such data show a masked part of it already; other findings about the same
    cell, or about its whole column, would show the rest.

    Args:
        findings: The findings.
        columns: Further columns that hold such data, in other rows.
    """
    sensitive = pl.col("code").cat.starts_with(SENSITIVE)
    cells = findings.filter(sensitive).select("row", "column").unique()
    if not cells.height and not columns:
        return findings
    joined = findings.join(
        cells.with_columns(pl.lit(value=True).alias("marked")),
        on=["row", "column"], how="left", maintain_order="left",
    )  # fmt: skip
    names = [*cells["column"].drop_nulls().cast(pl.String).unique(), *columns]
    is_column = pl.col("row").is_null() & pl.col("column").cast(pl.String).is_in(names)
    is_hidden = ~sensitive & (pl.col("marked").is_not_null() | is_column)
    has_value = pl.col("value").is_not_null()
    value = pl.when(is_hidden & has_value).then(pl.lit(HIDDEN)).otherwise("value")
    return joined.with_columns(value.alias("value")).drop("marked")


def complete_findings(
    findings: pl.DataFrame,
    *,
    checks: Iterable[Check],
    rows: int,
    rejected: int = 0,
    shares: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Return the findings of all checks with summaries and thresholds, worst first.

    Args:
        findings: The findings of all checks.
        checks: The checks that apply.
        rows: Rows read.
        rejected: Rows that would be excluded.
        shares: The largest share of rows that may fail, by code; of all codes under `"*"`.
    """
    if findings.is_empty() and not shares:
        return findings
    findings = _without_rejected_repeats(without_rejected_twins(findings))
    with_totals = _with_summaries(findings, checks={check.code: check for check in checks})
    shares = shares or {}
    failed = {
        code: with_totals.filter(pl.col("code") == code)["row"].drop_nulls().n_unique()
        for code in shares
    } | {"*": rejected}
    refused = threshold_refusals(failed, rows=rows, shares=shares)
    return worst_first(pl.concat([hide_sensitive(with_totals), refused]))


NAMED = 3
"""Maximum number of values that are listed instead of counted."""

SUMMARY_SCHEMA = pl.Schema(
    {
        "code": FINDING_SCHEMA["code"],
        "column": FINDING_SCHEMA["column"],
        "rows": pl.Int64(),
        "values": pl.Int64(),
        "named": pl.List(pl.String()),
    }
)
"""The totals of findings, by code and column: rows, distinct values, and the first of the values."""

REPEATED = "id.duplicate"
TWIN = "message.duplicate"
AS_ROW, WINS = r"as row (\d+)", r", row (\d+) wins$"
"""How a finding names the row that it repeats, and the row that wins if timestamps decide."""


def without_rejected_twins(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in which no row that is excluded anyway is called the same as another one."""
    excluded = findings.filter(pl.col("severity").is_in(BLOCKING))["row"].drop_nulls().unique()
    is_duplicate = (pl.col("code") == TWIN) & pl.col("row").is_in(excluded.implode())
    return findings.filter(~is_duplicate.fill_null(value=False)) if len(excluded) else findings


def _without_rejected_repeats(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in which no row repeats, or is repeated by, a row that is excluded anyway."""
    repeats = findings.filter(pl.col("code") == REPEATED)
    blocking = findings.filter(pl.col("severity").is_in(BLOCKING), pl.col("code") != REPEATED)
    excluded = blocking["row"].drop_nulls().unique().implode()
    if repeats.is_empty() or blocking.is_empty():
        return findings
    value = pl.col("value")
    first, wins = (value.str.extract(pattern).cast(pl.Int64) for pattern in (AS_ROW, WINS))
    remaining = repeats.filter(~pl.col("row").is_in(excluded)).with_columns(first=first)
    first_sent = pl.when(pl.col("first").is_in(excluded)).then(pl.col("row").min().over("first"))
    later = remaining.with_columns(first_sent=first_sent.fill_null(pl.col("first"))).filter(
        pl.col("row") != pl.col("first_sent")
    )
    text = value.str.replace(AS_ROW, pl.format("as row {}", "first_sent"))
    text = pl.when(wins.is_in(excluded)).then(text.str.replace(WINS, "")).otherwise(text)
    updated = later.with_columns(value=text).drop("first", "first_sent")
    return pl.concat([findings.filter(pl.col("code") != REPEATED), updated])


def worst_first(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings in the order of a report.

    Findings of one test in one chunk are adjacent, so they are moved together. If millions of rows
    have one warning, no finding is copied.
    """
    groups: dict[tuple[Any, ...], list[pl.DataFrame]] = {}
    for piece in _pieces(findings.match_to_schema(FINDING_SCHEMA)):
        kinds = piece.select("severity", "code").unique(maintain_order=True).rows()
        for kind in kinds:
            is_kind = (pl.col("severity") == kind[0]) & (pl.col("code") == kind[1])
            groups.setdefault(kind, []).append(piece if len(kinds) == 1 else piece.filter(is_kind))
    ordered = [FINDING_SCHEMA.to_frame()]
    for kind in sorted(groups, key=lambda kind: (SEVERITIES.index(kind[0]), kind[1])):
        group = pl.concat(groups[kind])
        rows = group["row"]
        is_ordered = not rows.has_nulls() and rows.is_sorted()
        ordered.append(group if is_ordered else group.sort("row", maintain_order=True))
    return pl.concat(ordered)


def _pieces(findings: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the pieces that were concatenated to a frame, without a copy."""
    start = 0
    for length in findings["row"].chunk_lengths():
        if length:
            yield findings.slice(start, length)
        start += length


def _with_summaries(findings: pl.DataFrame, *, checks: Mapping[str, Check]) -> pl.DataFrame:
    """Add the total of the findings to each message, such as how many profiles would be merged."""
    codes = [
        code for code in findings["code"].unique() if code in checks and checks[code].texts.summary
    ]
    if not codes:
        return findings
    summaries = (
        findings.filter(pl.col("code").is_in(codes), pl.col("row").is_not_null())
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
    """Return code, column and a `summary`, the text of the totals.

    Args:
        summaries: The totals, with the columns of `SUMMARY_SCHEMA`.
        checks: The checks that apply, by code.
    """
    texts = [
        checks[row["code"]].texts.summary.format(
            rows=many(row["rows"], "row"),
            values=many(row["values"], "value", "different values"),
            merged=_merged_profiles(row["rows"], row["values"], row["named"]),
        )
        for row in summaries.iter_rows(named=True)
    ]
    return summaries.select("code", "column", pl.Series("summary", texts, dtype=pl.String))


def with_summaries(findings: pl.DataFrame, summaries: pl.DataFrame) -> pl.DataFrame:
    """Return findings whose messages end with the `summary` that `summary_texts` returns."""
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


def _merged_profiles(rows: int, values: int, examples: Sequence[str]) -> str:
    """Return a text about how many profiles rows would create, with the names of a few.

    Examples:
        >>> _merged_profiles(35, 1, ["-"])
        '35 rows would be merged into 1 profile ("-")'
        >>> _merged_profiles(8, 4, ["0", "1", "2", "3"])
        '8 rows would be merged into 4 profiles'
        >>> _merged_profiles(1, 1, ["-"])
        '1 row would create 1 profile ("-")'
    """
    verb = "be merged into" if rows > values else "create"
    quoted = ", ".join(f'"{name}"' for name in examples)
    names = f" ({quoted})" if values <= NAMED else ""
    return f"{many(rows, 'row')} would {verb} {many(values, 'profile')}{names}"


def threshold_refusals(
    failed: Mapping[str, int], *, rows: int, shares: Mapping[str, float]
) -> pl.DataFrame:
    """Return a refusal for each code whose share of failing rows is larger than the user allows."""
    refused = [
        (
            None, "plan.threshold", "refuse", None, f"{failed[code]:,} of {rows:,} rows",
            f"{_threshold_subject(code)} {failed[code] / rows:.1%} of the rows, but only {share:.1%} are allowed.",
            "Find out why, or allow more in Checks(thresholds=...).",
        )
        for code, share in shares.items()
        if rows and failed[code] / rows > share
    ]  # fmt: skip
    return pl.DataFrame(refused, schema=FINDING_SCHEMA, orient="row")


def _threshold_subject(code: str) -> str:
    return "The checks would exclude" if code == "*" else f"{code} affects"
