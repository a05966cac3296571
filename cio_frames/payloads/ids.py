"""Message ids: the same row gives the same id, whoever sends it and however often.

An id has the shape of a ULID, because the destination only recognises repeats of ULIDs
(reference 3.7). Its first 48 bits are the event's time, where the row has one; everything else
comes from a hash, so nothing depends on the clock or on chance.
"""

import numpy as np
import numpy.typing as npt
import polars as pl
from polars_hash import CryptographicHashingNameSpace

ID_ALGORITHM = "v1"
"""Changes when the same row would get another id; part of what is hashed."""

_CROCKFORD = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype=np.uint8)
_WEIGHTS = np.array([16, 8, 4, 2, 1], dtype=np.uint8)
_SEPARATOR = "\x1f"


def digest(texts: pl.Expr, *, namespace: str, call: str) -> pl.Expr:
    """Return the SHA-256 of texts, in hexadecimal, within a namespace and a call."""
    prefix = _SEPARATOR.join((ID_ALGORITHM, namespace, call, ""))
    return CryptographicHashingNameSpace(pl.concat_str(pl.lit(prefix), texts)).sha2_256()


def ulids(digests: pl.Series, *, times_ms: pl.Series) -> pl.Series:
    """Return ULID-shaped ids.

    Args:
        digests: Hexadecimal SHA-256 digests.
        times_ms: Milliseconds since 1970, null or negative where a row has no usable time.

    Returns:
        Texts of 26 characters. The time part is the time modulo 2^48, or 48 bits of the digest;
        the other 80 bits are the digest's first.

    Examples:
        >>> import polars as pl
        >>> ulids(pl.Series(["00" * 32]), times_ms=pl.Series([1], dtype=pl.Int64)).to_list()
        ['00000000010000000000000000']
    """
    hashed = _bytes(digests)
    times = times_ms.fill_null(-1).to_numpy().astype(np.int64)
    clock = times.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    usable = (times >= 0) & (times < 1 << 48)
    head = np.where(usable[:, None], clock, hashed[:, 10:16])
    return _text(np.concatenate((head, hashed[:, :10]), axis=1))


def _bytes(digests: pl.Series) -> npt.NDArray[np.uint8]:
    raw = digests.str.decode("hex").bin.reinterpret(dtype=pl.Array(pl.UInt8, 32))
    return raw.to_numpy()


def _text(octets: npt.NDArray[np.uint8]) -> pl.Series:
    count = len(octets)
    bits = np.zeros((count, 130), dtype=np.uint8)
    bits[:, 2:] = np.unpackbits(octets, axis=1)
    letters = _CROCKFORD[bits.reshape(count, 26, 5) @ _WEIGHTS]
    return pl.Series(letters.view("S26").reshape(-1)).cast(pl.String)
