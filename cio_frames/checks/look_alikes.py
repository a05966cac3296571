"""Identifiers that look alike: they differ in case, in Unicode form, or in look-alike letters."""

from functools import partial

import polars as pl

from cio_frames.checks.check import FOUND_SCHEMA, Check, OfValues, Scope, TableTest
from cio_frames.checks.fields import is_id, is_text
from cio_frames.frames import ROW, collected
from cio_frames.mapping import FieldMapping

LOOK_ALIKES = dict(
    zip(
        "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅαορνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijsdhqwABEKMHOPCTXIJSaopvikABEZHIKMNOPTYX",
        strict=True,
    )
)
"""Letters that look like Latin ones, with those (Unicode TR39, the letters that keyboards have)."""


def _ids(scope: Scope) -> list[FieldMapping]:
    return [field for field in scope.mapping.fields if is_id(field) and is_text(field)]


def _spellings(
    rows: pl.LazyFrame, scope: Scope, *, alike: OfValues, odd: OfValues
) -> pl.LazyFrame | None:
    """Return the keys of values that are `odd`; values with the same key are alike."""
    queries = [
        rows.select(scope.text(field).alias("value"))
        .filter(odd(pl.col("value")))
        .select(pl.lit(field.label).alias("column"), alike(pl.col("value")).alias("key"))
        .unique()
        for field in _ids(scope)
    ]
    return pl.concat(queries) if queries else None


def _spelt_apart(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, alike: OfValues
) -> pl.DataFrame:
    """Return the rows whose value is like another of the column, and not the same."""
    results = [FOUND_SCHEMA.to_frame().drop("evidence")]
    for field in _ids(scope):
        keys = aggregated.filter(pl.col("column") == field.label)["key"].unique()
        if len(keys):
            values = rows.select(row=ROW, column=pl.lit(field.label), value=scope.text(field))
            near = values.with_columns(key=alike(pl.col("value")))
            rivals = collected(near.filter(pl.col("key").is_in(keys.implode())))
            several = pl.col("value").n_unique().over("key") > 1
            results.append(rivals.filter(several).drop("key"))
    return pl.concat(results)


def _lower(values: pl.Expr) -> pl.Expr:
    return values.str.to_lowercase()


def _has_case(values: pl.Expr) -> pl.Expr:
    return values.str.contains(r"\p{Lu}") & ~values.str.contains("@", literal=True)


def _skeleton(values: pl.Expr) -> pl.Expr:
    """Return values in which look-alike letters are Latin ones."""
    plain = values.str.normalize("NFKC")
    return plain.str.replace_many(list(LOOK_ALIKES), list(LOOK_ALIKES.values()))


def _is_foreign(values: pl.Expr) -> pl.Expr:
    return values.str.len_bytes() != values.str.len_chars()


def _by_case(aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    apart = _spelt_apart(aggregated, rows, scope, alike=_lower)
    return apart.filter(~pl.col("value").str.contains("@", literal=True))


LOOK_ALIKE_CHECKS = (
    Check(
        "id.case-variants", "warn", TableTest(partial(_spellings, alike=_lower, odd=_has_case), _by_case),
        source="reference 3.1 (id is case-sensitive); reliability 3.3 (46)",
    ),
    Check(
        "id.look-alikes", "warn",
        TableTest(partial(_spellings, alike=_skeleton, odd=_is_foreign), partial(_spelt_apart, alike=_skeleton)),
        source="reliability 3.3 (47, 48); Unicode TR15, TR39",
    ),
)  # fmt: skip
