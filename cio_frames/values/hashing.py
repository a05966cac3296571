"""SHA-256 of whole columns: by polars-hash where it is installed, else by hashlib, row by row.

Both give the same texts. polars-hash is faster and uses all cores, but there is none for Alpine.
"""

import hmac
from collections.abc import Callable
from functools import cache
from hashlib import sha256 as hash_of
from typing import Any

import polars as pl


def sha256(text: pl.Expr) -> pl.Expr:
    """Return the SHA-256 of each text, in hexadecimal."""
    compiled = _polars_hash()
    if compiled is not None:
        return compiled(text).sha2_256()  # type: ignore[no-any-return]
    return _row_by_row(text, lambda data: hash_of(data).hexdigest())


def hmac_sha256(text: pl.Expr, *, key: str) -> pl.Expr:
    """Return the HMAC-SHA256 of each text with a key, in hexadecimal."""
    compiled = _polars_hash()
    if compiled is not None:
        return compiled(text).hmac_sha256(key=key)  # type: ignore[no-any-return]
    keyed = hmac.new(key.encode(), digestmod="sha256")

    def digest(data: bytes) -> str:
        one = keyed.copy()
        one.update(data)
        return one.hexdigest()

    return _row_by_row(text, digest)


@cache
def _polars_hash() -> Any:
    """Return polars-hash's functions on expressions; None if missing or made for another polars."""
    try:
        from polars_hash import CryptographicHashingNameSpace

        pl.select(CryptographicHashingNameSpace(pl.lit("")).sha2_256())
    except (ImportError, AttributeError, pl.exceptions.PolarsError):
        return None
    return CryptographicHashingNameSpace


def _row_by_row(text: pl.Expr, digest: Callable[[bytes], str]) -> pl.Expr:
    def hashed(texts: pl.Series) -> pl.Series:
        values = [None if data is None else digest(data) for data in texts.cast(pl.Binary)]
        return pl.Series(texts.name, values, dtype=pl.String)

    return text.map_batches(hashed, return_dtype=pl.String, is_elementwise=True)
