"""The people as they were before a run, in its directory: encrypted, for whoever has the key of the audit.

The file holds pieces, each a nonce, its length and what AES-256-GCM made of it. A piece fits its place in
this file of this run only.
"""

import hmac
import io
import os
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from cio_frames.audit import pseudonyms
from cio_frames.errors import AuditCorruptError, MissingLibraryError

NAME: Final = "former_people.bin"
"""The file in the directory of the run."""

PIECE_BYTES: Final = 1 << 26
_NONCE, _LENGTH = 12, 8


def require_library() -> None:
    """Raise if the library of the encryption is missing.

    Raises:
        MissingLibraryError: It is.
    """
    _cipher("0" * 64)


def sealed(people: pl.DataFrame, *, run_id: str, key: str) -> bytes:
    """Return people as an encrypted file.

    Args:
        people: The people.
        run_id: The run whose directory it is for.
        key: The key of the audit.

    Examples:
        >>> people = pl.DataFrame({"id": ["u1"], "plan": ["pro"]})
        >>> data = sealed(people, run_id="r1", key="0" * 64)
        >>> b"pro" in data, unsealed(data, run_id="r1", key="0" * 64).rows()
        (False, [('u1', 'pro')])
    """
    plain = io.BytesIO()
    people.write_ipc(plain, compression="zstd")
    cipher, content = _cipher(key), plain.getbuffer()
    count = max(1, -(-len(content) // PIECE_BYTES))
    pieces = []
    for number in range(count):
        nonce = os.urandom(_NONCE)
        piece = bytes(content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])
        made = cipher.encrypt(nonce, piece, _place(run_id, number, count))
        pieces += [nonce, len(made).to_bytes(_LENGTH, "big"), made]
    return b"".join(pieces)


def unsealed(data: bytes, *, run_id: str, key: str, path: str = NAME) -> pl.DataFrame:
    """Return the people of an encrypted file.

    Raises:
        AuditCorruptError: It was changed, is of another run, or was encrypted with another key.
    """
    from cryptography.exceptions import InvalidTag

    cipher, pieces = _cipher(key), list(_pieces(data))
    try:
        plain = [
            cipher.decrypt(nonce, piece, _place(run_id, number, len(pieces)))
            for number, (nonce, piece) in enumerate(pieces)
        ]
    except (InvalidTag, ValueError):
        raise AuditCorruptError(
            path, problem="it was changed, or encrypted with another key",
            hint=f"Restore it from a backup, or set {pseudonyms.KEY_VARIABLE} to the key of that machine.",
        ) from None  # fmt: skip
    return pl.read_ipc(io.BytesIO(b"".join(plain)))


def _pieces(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield nonce and content of each piece."""
    start = 0
    while start < len(data):
        nonce = data[start : start + _NONCE]
        start += _NONCE + _LENGTH
        length = int.from_bytes(data[start - _LENGTH : start], "big")
        yield nonce, data[start : start + length]
        start += length


def _place(run_id: str, number: int, count: int) -> bytes:
    return f"{run_id} {number} of {count}".encode()


def _cipher(key: str) -> Any:
    """Return the cipher with a key of its own, made from that of the audit."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingLibraryError(
            "cryptography", wanted="keep_undo=True", install='"cio-frames[review]"'
        ) from None
    return AESGCM(hmac.digest(key.encode(), b"cio_frames former people", "sha256"))
