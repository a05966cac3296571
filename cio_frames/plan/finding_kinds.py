"""Findings by kind: the number of each, and the first ones. Reports need no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.checks import SEVERITIES, Effect

EXAMPLES = 3
PART = 200_000
"""How many findings are processed at once, so that millions are not copied."""
LOOKED_AT = 10_000
"""The findings of a kind among which examples are chosen."""

KIND = ("severity", "code", "column")
FIRST = {"row": pl.Int64(), "value": pl.String(), "message": pl.String(), "hint": pl.String()}
KIND_SCHEMA = pl.Schema(
    {
        "severity": pl.Enum(SEVERITIES),
        "code": pl.String(),
        "column": pl.String(),
        "findings": pl.Int64(),
        "rows": pl.Int64(),
        "first": pl.Struct(FIRST),
        "examples": pl.List(pl.Struct({"row": pl.Int64, "value": pl.String})),
    }
)
"""The columns of kinds of findings; `rows` are those findings that name a row, `first` is the first
of all of them, and `examples` are the first different values with their rows."""

CODE_SCHEMA = pl.Schema({"severity": pl.Enum(SEVERITIES), "code": pl.String(), "rows": pl.Int64()})
"""How many rows have findings of a code and severity; a row counts once, whatever columns fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKinds:
    """Findings by kind, worst first.

    Attributes:
        kinds: The kinds, with the columns of `KIND_SCHEMA`.
        codes: The rows of each code and severity, with the columns of `CODE_SCHEMA`.
        affected: The rows that would be sent and have findings of an effect, by effect.
    """

    kinds: pl.DataFrame
    codes: pl.DataFrame
    affected: Mapping[Effect, int]

    def rows_of(self, code: str, *, severity: str) -> int:
        """Return how many rows have findings of a code and severity."""
        own = (pl.col("code") == code) & (pl.col("severity") == severity)
        return int(self.codes.filter(own)["rows"].sum())

    @classmethod
    def of(
        cls, findings: pl.DataFrame, *, excluded: pl.Series, effects: Mapping[str, Effect]
    ) -> "FindingKinds":
        """Return the kinds of findings.

        The findings are sorted, worst first; `excluded` are the rows that would not be sent.
        """
        if findings.is_empty():
            nothing = KIND_SCHEMA.to_frame()
            return cls(kinds=nothing, codes=CODE_SCHEMA.to_frame(), affected={})
        parts = [_kinds(part) for part in findings.iter_slices(PART)]
        kinds = parts[0] if len(parts) == 1 else joined_kinds(parts)
        return cls(
            kinds=kinds,
            codes=_codes(findings, kinds),
            affected=_affected(findings, excluded=excluded, effects=effects),
        )

    @classmethod
    def joined(cls, parts: Sequence["FindingKinds"]) -> "FindingKinds":
        """Return the kinds of several parts of a table, which have different rows."""
        codes = pl.concat([CODE_SCHEMA.to_frame(), *(part.codes for part in parts)])
        affected: dict[Effect, int] = {}
        for part in parts:
            for effect, rows in part.affected.items():
                affected[effect] = affected.get(effect, 0) + rows
        return cls(
            kinds=joined_kinds([part.kinds for part in parts]),
            codes=codes.group_by("severity", "code", maintain_order=True).agg(pl.col("rows").sum()),
            affected=affected,
        )


def _kinds(findings: pl.DataFrame) -> pl.DataFrame:
    heads = findings.drop_nulls("row").group_by(KIND, maintain_order=True).head(LOOKED_AT)
    counted = findings.group_by(KIND, maintain_order=True).agg(
        findings=pl.len(),
        rows=pl.col("row").count(),
        first=pl.struct(pl.col(name).first().cast(dtype) for name, dtype in FIRST.items()),
    )
    return _with_examples(counted, heads)


def joined_kinds(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the kinds of several parts as one frame, worst first."""
    joined = pl.concat([KIND_SCHEMA.to_frame(), *parts])
    ordered = joined.sort(
        "severity", "code", pl.col("first").struct.field("row"), maintain_order=True
    )
    counted = ordered.group_by(KIND, maintain_order=True).agg(
        pl.col("findings", "rows").sum(), pl.col("first").first()
    )
    shown = (
        joined.select(*KIND, "examples").explode("examples", empty_as_null=False).unnest("examples")
    )
    return _with_examples(counted, shown.drop_nulls("row").sort("row", maintain_order=True))


def _with_examples(counted: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return kinds with the first different values of those that are shown."""
    different = rows.unique([*KIND, "value"], keep="first", maintain_order=True)
    examples = different.group_by(KIND, maintain_order=True).agg(
        examples=pl.struct("row", "value").head(EXAMPLES)
    )
    joined = counted.join(examples, on=KIND, how="left", nulls_equal=True, maintain_order="left")
    return joined.select(pl.col(name).cast(dtype) for name, dtype in KIND_SCHEMA.items())


def _codes(findings: pl.DataFrame, kinds: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each code; where it is found in one column, these are those of its kind."""
    if kinds.height == len(set(kinds.select("severity", "code").iter_rows())):
        return kinds.select(CODE_SCHEMA.names())
    by_code = kinds.group_by("severity", "code", maintain_order=True).agg(
        columns=pl.len(), rows=pl.col("rows").sum()
    )
    several = by_code.filter(pl.col("columns") > 1).select("severity", "code")
    counted = [
        (
            severity,
            code,
            findings.filter(pl.col("severity") == severity, pl.col("code") == code)["row"]
            .drop_nulls()
            .n_unique(),
        )
        for severity, code in several.iter_rows()
    ]
    return pl.concat(
        [
            by_code.filter(pl.col("columns") == 1).select(CODE_SCHEMA.names()),
            pl.DataFrame(counted, schema=CODE_SCHEMA, orient="row"),
        ]
    )


def _affected(
    findings: pl.DataFrame, *, excluded: pl.Series, effects: Mapping[str, Effect]
) -> dict[Effect, int]:
    """Return how many of the rows that would be sent have findings of each effect."""
    with_effect = findings.filter(pl.col("code").is_in(list(effects)), pl.col("row").is_not_null())
    if with_effect.is_empty():
        return {}
    sent = with_effect.filter(~pl.col("row").is_in(excluded.implode()))
    return {
        effect: sent.filter(
            pl.col("code").is_in([code for code, own in effects.items() if own == effect])
        )["row"].n_unique()
        for effect in dict.fromkeys(effects.values())
    }
