"""Rejected rows as a CSV file that a spreadsheet opens without running anything in it."""

from pathlib import Path

import polars as pl
import polars.selectors as cs

from cio_frames.audit.disk import Drive, publish

_FORMULA = r"^[\s\x00]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|^[\t\r\n]"
_NESTED = (pl.List, pl.Array, pl.Struct)


def write_csv(rows: pl.DataFrame, path: Path | str) -> None:
    """Write `rows` for people who will look at them in a spreadsheet.

    A cell of text, or a column name, that a spreadsheet would take for a formula gets an
    apostrophe in front. Lists and structures become JSON, bytes become base64.

    Args:
        rows: Any table, such as the rejected rows of a plan with their reasons.
        path: Where to write; a file that is there is replaced.
    """
    nested = [name for name, kind in rows.schema.items() if isinstance(kind, _NESTED)]
    flat = rows.with_columns(*map(_json, nested), cs.binary().bin.encode("base64"))
    safe = flat.with_columns(_guarded(cs.string() | cs.categorical()))
    names = pl.DataFrame({"name": rows.columns}, schema={"name": pl.String})
    safe_names = names.select(_guarded(pl.all())).to_series()
    safe = safe.rename(dict(zip(rows.columns, safe_names, strict=True)))
    publish(Drive(), Path(path).absolute(), safe.write_csv(quote_style="non_numeric").encode())


def _json(name: str) -> pl.Expr:
    wrapped = pl.struct(pl.col(name).alias("v")).struct.json_encode()
    text = wrapped.str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(pl.col(name).is_not_null()).then(text).alias(name)


def _guarded(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.String).str.replace(_FORMULA, "'${0}")
