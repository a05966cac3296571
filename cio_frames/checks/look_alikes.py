"""Identifiers that look alike: they differ in case, in Unicode form, or in look-alike letters."""

from collections.abc import Callable, Iterator
from functools import partial

import polars as pl

from cio_frames.checks.check import Check, ExprFunction, KeyedFindings, KeyedRows, Scope, TableTest
from cio_frames.checks.fields import is_id_text
from cio_frames.mapping import FieldMapping

LOOK_ALIKES = dict(
    zip(
        "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅαορνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijsdhqwABEKMHOPCTXIJSaopvikABEZHIKMNOPTYX",
        strict=True,
    )
)
"""Letters on keyboards that look like Latin ones, with the Latin letters (Unicode TR39)."""


def _id_fields(scope: Scope) -> list[FieldMapping]:
    return list(filter(is_id_text, scope.mapping.fields))


def _suspicious_keys(
    rows: pl.LazyFrame, scope: Scope, *, normalize: ExprFunction, suspicious: ExprFunction
) -> pl.LazyFrame | None:
    """Return the keys of the suspicious values; values of a column with the same key look alike."""
    queries = [
        rows.select(scope.text(field).alias("value"))
        .filter(suspicious(pl.col("value")))
        .select(_key(pl.col("value"), place, normalize=normalize).alias("key"))
        .unique()
        for place, field in enumerate(_id_fields(scope))
    ]
    return pl.concat(queries) if queries else None


def _key(values: pl.Expr, place: int, *, normalize: ExprFunction) -> pl.Expr:
    """Return a hash of the normalized values, different for each column."""
    return normalize(values).hash(place)


def _keyed_rows(scope: Scope, *, normalize: ExprFunction) -> Iterator[KeyedRows]:
    for place, field in enumerate(_id_fields(scope)):
        value = scope.text(field)
        key = _key(value, place, normalize=normalize)
        yield KeyedRows(key=key, where=value.is_not_null(), column=field.label, value=value)


def _distinct_keys(aggregated: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return aggregated.select(pl.col("key").unique())


def _different_spellings(keyed_rows: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    """Return the rows whose value looks like a different value of the column."""
    has_variants = pl.col("value").n_unique().over("key") > 1
    return keyed_rows.filter(has_variants).select("row", "column", "value")


def _lower(values: pl.Expr) -> pl.Expr:
    return values.str.to_lowercase()


def _has_case(values: pl.Expr) -> pl.Expr:
    return values.str.contains(r"\p{Lu}") & ~values.str.contains("@", literal=True)


def _skeleton(values: pl.Expr) -> pl.Expr:
    """Return values in which look-alike letters are Latin ones."""
    normalized = values.str.normalize("NFKC")
    return normalized.str.replace_many(list(LOOK_ALIKES), list(LOOK_ALIKES.values()))


def _is_not_ascii(values: pl.Expr) -> pl.Expr:
    return values.str.len_bytes() != values.str.len_chars()


def _different_case(keyed_rows: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    variants = _different_spellings(keyed_rows, scope)
    return variants.filter(~pl.col("value").str.contains("@", literal=True))


def _variants_test(
    normalize: ExprFunction,
    *,
    suspicious: ExprFunction,
    judge: Callable[[pl.DataFrame, Scope], pl.DataFrame],
) -> TableTest:
    finish = KeyedFindings(
        suspects=_distinct_keys, rows=partial(_keyed_rows, normalize=normalize), judge=judge
    )
    return TableTest(
        partial(_suspicious_keys, normalize=normalize, suspicious=suspicious), finish, by="key"
    )


LOOK_ALIKE_CHECKS = (
    Check(
        "id.case-variants", "warn", _variants_test(_lower, suspicious=_has_case, judge=_different_case),
        source="reference 3.1 (id is case-sensitive); reliability 3.3 (46)",
    ),
    Check(
        "id.look-alikes", "warn", _variants_test(_skeleton, suspicious=_is_not_ascii, judge=_different_spellings),
        source="reliability 3.3 (47, 48); Unicode TR15, TR39",
    ),
)  # fmt: skip
