"""Identifiers that are nearly the same: in case, in Unicode form, in letters that look alike."""

from collections.abc import Callable
from functools import partial

import polars as pl

from cio_frames.checks.check import ByTable, Check, Scope
from cio_frames.checks.identifiers import is_id, is_text, text
from cio_frames.frames import ROW, collected
from cio_frames.mapping import FieldMapping

LOOK_ALIKES = dict(
    zip(
        "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅαορνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijsdhqwABEKMHOPCTXIJSaopvikABEZHIKMNOPTYX",
        strict=True,
    )
)
"""Letters that look like Latin ones, and those (Unicode TR39, the letters that keyboards have)."""


def _ids(scope: Scope) -> list[FieldMapping]:
    return [slot for slot in scope.mapping.slots if is_id(slot) and is_text(slot)]


def _spellings(
    rows: pl.LazyFrame,
    scope: Scope,
    *,
    alike: Callable[[pl.Expr], pl.Expr],
    odd: Callable[[pl.Expr], pl.Expr],
) -> pl.LazyFrame | None:
    """Aggregate, of values that are odd, what they are alike by."""
    queries = [
        rows.select(text(slot, scope).alias("value"))
        .filter(odd(pl.col("value")))
        .select(pl.lit(slot.label).alias("column"), alike(pl.col("value")).alias("key"))
        .unique()
        for slot in _ids(scope)
    ]
    return pl.concat(queries) if queries else None


def _spelt_apart(
    aggregated: pl.DataFrame,
    rows: pl.LazyFrame,
    scope: Scope,
    *,
    alike: Callable[[pl.Expr], pl.Expr],
) -> pl.DataFrame:
    """Return the rows whose value is alike another of the column, and not the same."""
    results = []
    for slot in _ids(scope):
        keys = aggregated.filter(pl.col("column") == slot.label)["key"].unique()
        if not len(keys):
            continue
        near = rows.select(ROW, text(slot, scope).alias("value")).with_columns(
            alike(pl.col("value")).alias("key")
        )
        rivals = collected(near.filter(pl.col("key").is_in(keys.implode())))
        several = rivals.filter(pl.col("value").n_unique().over("key") > 1)
        results.append(
            several.select(
                pl.col(ROW).alias("row"), pl.lit(slot.label).alias("column"), pl.col("value")
            )
        )
    empty = pl.DataFrame(schema={"row": pl.Int64, "column": pl.String, "value": pl.String})
    return pl.concat([empty, *results])


def _lower(values: pl.Expr) -> pl.Expr:
    return values.str.to_lowercase()


def _has_case(values: pl.Expr) -> pl.Expr:
    return values.str.contains(r"\p{Lu}") & ~values.str.contains("@", literal=True)


def skeleton(values: pl.Expr) -> pl.Expr:
    """Return values so that those that look alike are the same."""
    plain = values.str.normalize("NFKC")
    return plain.str.replace_many(list(LOOK_ALIKES), list(LOOK_ALIKES.values()))


def _is_foreign(values: pl.Expr) -> pl.Expr:
    return values.str.len_bytes() != values.str.len_chars()


def _by_case(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    apart = _spelt_apart(aggregated, rows, scope, alike=_lower)
    return apart.filter(~pl.col("value").str.contains("@", literal=True))


VARIANT_CHECKS = (
    Check(
        code="id.case-variants", severity="warn",
        test=ByTable(aggregate=partial(_spellings, alike=_lower, odd=_has_case), finish=_by_case),
        sentence="{column} is spelt in capitals here and in small letters elsewhere.",
        hint="Write it in one way, if it is one person.",
        summary="{values}, each a profile of its own.",
        consequence="Ids are compared with their case: each spelling is another person.",
        source="reference 3.1 (id is case-sensitive); reliability 3.3 (46)",
        no_repair_because="making them one could merge two people",
    ),
    Check(
        code="id.look-alikes", severity="warn",
        test=ByTable(
            aggregate=partial(_spellings, alike=skeleton, odd=_is_foreign),
            finish=partial(_spelt_apart, alike=skeleton),
        ),
        sentence="{column} looks like another identifier of the column and is made of other characters.",
        hint="Write it in one way, if it is one person.",
        summary="{values}, each a profile of its own.",
        consequence="Each spelling is another person.",
        source="reliability 3.3 (47, 48); Unicode TR15, TR39",
        no_repair_because="making them one could merge two people",
    ),
)  # fmt: skip
