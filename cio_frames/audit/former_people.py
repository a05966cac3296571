"""The people as they were before a run, in its directory, encrypted with a key derived from the audit's.

The file has pieces, each a nonce, a length and the content encrypted with AES-256-GCM. A piece can only
be decrypted at its position in the file of its run.
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
    """Require the library of the encryption.

    Raises:
        MissingLibraryError: It is not installed.
    """
    _cipher("0" * 64)


def encrypt(people: pl.DataFrame, *, run_id: str, key: str) -> bytes:
    """Return people as an encrypted file.

    Examples:
        >>> people = pl.DataFrame({"id": ["u1"], "plan": ["pro"]})
        >>> data = encrypt(people, run_id="r1", key="0" * 64)
        >>> b"pro" in data, decrypt(data, run_id="r1", key="0" * 64).rows()
        (False, [('u1', 'pro')])
    """
    file = io.BytesIO()
    people.write_ipc(file, compression="zstd")
    cipher, content = _cipher(key), file.getbuffer()
    count = max(1, -(-len(content) // PIECE_BYTES))
    pieces = []
    for number in range(count):
        nonce = os.urandom(_NONCE)
        piece = bytes(content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])
        encrypted = cipher.encrypt(nonce, piece, _associated_data(run_id, number, count))
        pieces += [nonce, len(encrypted).to_bytes(_LENGTH, "big"), encrypted]
    return b"".join(pieces)


def decrypt(data: bytes, *, run_id: str, key: str, path: str = NAME) -> pl.DataFrame:
    """Return the people of an encrypted file.

    Raises:
        AuditCorruptError: It was changed, belongs to another run, or was encrypted with another key.
    """
    from cryptography.exceptions import InvalidTag

    cipher, pieces = _cipher(key), list(_split(data))
    try:
        content = [
            cipher.decrypt(nonce, piece, _associated_data(run_id, number, len(pieces)))
            for number, (nonce, piece) in enumerate(pieces)
        ]
    except (InvalidTag, ValueError):
        raise AuditCorruptError(
            path, problem="it was changed, or encrypted with another key",
            hint=f"Restore it from a backup, or set {pseudonyms.KEY_VARIABLE} to the key of that machine.",
        ) from None  # fmt: skip
    return pl.read_ipc(io.BytesIO(b"".join(content)))


def _split(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield nonce and content of each piece."""
    start = 0
    while start < len(data):
        nonce = data[start : start + _NONCE]
        start += _NONCE + _LENGTH
        length = int.from_bytes(data[start - _LENGTH : start], "big")
        yield nonce, data[start : start + length]
        start += length


def _associated_data(run_id: str, number: int, count: int) -> bytes:
    return f"{run_id} {number} of {count}".encode()


def _cipher(key: str) -> Any:
    """Return the cipher, with a key derived from that of the audit."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingLibraryError(
            "cryptography", wanted="keep_undo=True", install='"cio-frames[review]"'
        ) from None
    return AESGCM(hmac.digest(key.encode(), b"cio_frames former people", "sha256"))
