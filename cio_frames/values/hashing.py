"""SHA-256 of columns, by polars-hash if it is installed, else by hashlib for each row.

The results are the same. polars-hash is faster and uses all cores, but does not exist for Alpine.
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
        state = keyed.copy()
        state.update(data)
        return state.hexdigest()

    return _row_by_row(text, digest)


@cache
def _polars_hash() -> Any:
    """Return the namespace of polars-hash; None if it is missing or for another polars."""
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
