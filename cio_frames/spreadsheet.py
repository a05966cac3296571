"""Write tables as CSV that spreadsheets open without running formulas in it."""

from collections.abc import Sequence

import polars as pl
import polars.selectors as cs

_SIGNS = r"[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_FORMULA = rf"^[\s\x00]*{_SIGNS}|^[\t\r\n]"
_LATER_FORMULA = rf"([;,|\t\r\n][\s\x00\"\']*)({_SIGNS})"
_LATER_FORMULA_IN_JSON = rf"([;|][\s\x00\"\']*)({_SIGNS})"
_NESTED = (pl.List, pl.Array, pl.Struct)


def csv(rows: pl.DataFrame) -> str:
    """Return rows as CSV that can be opened safely in a spreadsheet.

    Every text that a spreadsheet would read as a formula gets an apostrophe before it: at the start of
    a cell or column name, and after every separator in it, because the spreadsheet may use another
    separator than this file. Lists and structs become JSON, bytes become base64.
    """
    nested = [name for name, kind in rows.schema.items() if isinstance(kind, _NESTED)]
    flat = rows.with_columns(*map(_json, nested), cs.binary().bin.encode("base64"))
    texts = (cs.string() | cs.categorical()) - cs.by_name(nested)
    safe = flat.with_columns(
        _guarded(texts, later=_LATER_FORMULA),
        _guarded(cs.by_name(nested), later=_LATER_FORMULA_IN_JSON),
    )
    safe = safe.rename({name: safe_name for safe_name, name in guarded_names(rows.columns).items()})
    return safe.write_csv(quote_style="non_numeric")


def guarded_names(names: Sequence[str]) -> dict[str, str]:
    """Return column names by the names that `csv` writes."""
    frame = pl.DataFrame({"name": names}, schema={"name": pl.String})
    safe = frame.select(_guarded(pl.all(), later=_LATER_FORMULA)).to_series()
    return dict(zip(safe, names, strict=True))


def unguarded(text: pl.Expr) -> pl.Expr:
    """Return the original of a text that `csv` wrote."""
    unguarded_start = text.str.replace(rf"^'([\s\x00]*{_SIGNS}|[\t\r\n])", "${1}")
    return unguarded_start.str.replace_all(rf"([;,|\t\r\n][\s\x00\"\']*)'({_SIGNS})", "${1}${2}")


def _json(name: str) -> pl.Expr:
    wrapped = pl.struct(pl.col(name).alias("v")).struct.json_encode()
    text = wrapped.str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(pl.col(name).is_not_null()).then(text).alias(name)


def _guarded(text: pl.Expr, *, later: str) -> pl.Expr:
    """Return text with an apostrophe before formulas; `later` matches those after a separator."""
    guarded_start = text.cast(pl.String).str.replace(_FORMULA, "'${0}")
    return guarded_start.str.replace_all(later, "${1}'${2}")
