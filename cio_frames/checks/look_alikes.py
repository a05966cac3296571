"""Identifiers that look alike: they differ in case, in Unicode form, or in look-alike letters."""

from collections.abc import Callable, Iterator
from functools import partial

import polars as pl

from cio_frames.checks.check import Check, ExprFunction, KeyedFindings, KeyedRows, Scope, TableTest
from cio_frames.checks.fields import is_id, is_text
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
    rows: pl.LazyFrame, scope: Scope, *, alike: ExprFunction, odd: ExprFunction
) -> pl.LazyFrame | None:
    """Return the keys of values that are `odd`; values of a column with the same key are alike."""
    queries = [
        rows.select(scope.text(field).alias("value"))
        .filter(odd(pl.col("value")))
        .select(_key(pl.col("value"), place, alike=alike).alias("key"))
        .unique()
        for place, field in enumerate(_ids(scope))
    ]
    return pl.concat(queries) if queries else None


def _key(values: pl.Expr, place: int, *, alike: ExprFunction) -> pl.Expr:
    """Return a hash of what values that are alike have in common, another one in each column."""
    return alike(values).hash(place)


def _of_spellings(scope: Scope, *, alike: ExprFunction) -> Iterator[KeyedRows]:
    for place, field in enumerate(_ids(scope)):
        value = scope.text(field)
        key = _key(value, place, alike=alike)
        yield KeyedRows(key=key, where=value.is_not_null(), column=field.label, value=value)


def _odd_keys(aggregated: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    return aggregated.select(pl.col("key").unique())


def _spelt_apart(about: pl.DataFrame, _scope: Scope) -> pl.DataFrame:
    """Return the rows whose value is like another of the column, and not the same."""
    several = pl.col("value").n_unique().over("key") > 1
    return about.filter(several).select("row", "column", "value")


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


def _by_case(about: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    apart = _spelt_apart(about, scope)
    return apart.filter(~pl.col("value").str.contains("@", literal=True))


def _test(
    alike: ExprFunction, *, odd: ExprFunction, judge: Callable[[pl.DataFrame, Scope], pl.DataFrame]
) -> TableTest:
    spelt = KeyedFindings(suspects=_odd_keys, rows=partial(_of_spellings, alike=alike), judge=judge)
    return TableTest(partial(_spellings, alike=alike, odd=odd), spelt, by="key")


LOOK_ALIKE_CHECKS = (
    Check(
        "id.case-variants", "warn", _test(_lower, odd=_has_case, judge=_by_case),
        source="reference 3.1 (id is case-sensitive); reliability 3.3 (46)",
    ),
    Check(
        "id.look-alikes", "warn", _test(_skeleton, odd=_is_foreign, judge=_spelt_apart),
        source="reliability 3.3 (47, 48); Unicode TR15, TR39",
    ),
)  # fmt: skip
