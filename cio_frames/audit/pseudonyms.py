"""Identifiers in the record: keyed hashes that only the holder of the key can match.

The hash of an e-mail address without a key is guessed in seconds; HMAC-SHA256 with a key that never
leaves the analyst's machine is not. A person has the same pseudonym in every run with one key.
"""

import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import platformdirs
import polars as pl

from cio_frames.audit.schema import HASH_CHARACTERS, ID_CHARACTERS
from cio_frames.config import variable
from cio_frames.errors import AuditError
from cio_frames.values import hmac_sha256
from cio_frames.values.patterns import EMAIL_INSIDE

Pii = Literal["hmac", "ids", "full"]
KEY_VARIABLE = "CIO_AUDIT_KEY"
ERROR_CHARACTERS = 300
_NAMED_CHARACTERS = 3
_KEY = re.compile(r"[0-9a-f]{64}")


def key(*, environ: Mapping[str, str] | None = None, directory: Path | None = None) -> str:
    """Return the key of the pseudonyms, created once and readable for its owner only.

    Args:
        environ: Is read instead of the environment, where CIO_AUDIT_KEY may contain the key as 64
            hexadecimal characters.
        directory: The directory of the key otherwise; the user's data directory if not given.

    Raises:
        AuditError: If the key is malformed, or cannot be stored.
    """
    # The key is never in a variable here: a traceback could show it.
    if variable(KEY_VARIABLE, environ=environ) is not None:
        return _require_valid(
            _parsed_key(variable(KEY_VARIABLE, environ=environ)), where=KEY_VARIABLE
        )
    path = (directory or Path(platformdirs.user_data_dir("cio_frames"))) / "audit.key"
    try:
        if not path.exists():
            _create(path)
        return _require_valid(_parsed_key(path.read_text()), where=str(path))
    except OSError as error:
        raise AuditError(
            f"The key of the audit's pseudonyms cannot be kept in {path}: {error.strerror}. "
            f"Set {KEY_VARIABLE}."
        ) from None


def fingerprint(key: str) -> str:
    """Return a short name for the key, from which the key cannot be derived.

    Examples:
        >>> len(fingerprint("0" * 64))
        8
    """
    return hmac.digest(key.encode(), b"cio_frames audit key", "sha256").hex()[:8]


def require_key(name: str | None, *, where: Path, candidate: str | None = None) -> str:
    """Return the key of a record.

    `name` is the fingerprint of the key, and `candidate` is compared with it instead of the key of
    this machine.

    Raises:
        AuditError: The record was made with another key.
    """
    if fingerprint(candidate or key()) != name:  # not in a variable, as in `key`
        raise AuditError(
            f"The pseudonyms and message IDs in {where} were made with another key, so rows that "
            f"were sent cannot be recognised. Set {KEY_VARIABLE} to that key, or send to another "
            "directory."
        )
    return candidate or key()


def pseudonyms(person: pl.Series, *, pii: Pii, key: str | None) -> pl.Series:
    """Return the values that the record has in place of the identifiers in `person`.

    Examples:
        >>> pseudonyms(pl.Series(["ada@example.com"]), pii="hmac", key="0" * 64).to_list()
        ['5ace7752085c2219']
    """
    if pii == "full":
        return person.alias("person_key")
    if pii == "ids" or key is None:
        return pl.Series("person_key", [None], pl.String).new_from_index(0, len(person))
    hashed = hmac_sha256(pl.col("person"), key=key).str.head(HASH_CHARACTERS)
    people = person.to_frame("person")
    if 2 * person.n_unique() > len(person):  # joining would take longer than hashing
        return people.select(person_key=hashed).to_series()
    hashes = people.unique().with_columns(person_key=hashed)
    return people.join(hashes, on="person", how="left", maintain_order="left")["person_key"]


def keyed_ids(ids: pl.Expr, *, key: str | None) -> pl.Expr:
    """Return the values that the record has in place of message ids; without a key the ids themselves.

    An id is derived from its message, so whoever guesses a message could find its id in the record.
    """
    if key is None:
        return ids
    return hmac_sha256(ids, key=_id_key(key)).str.head(ID_CHARACTERS)


def keyed_hashes(hashes: pl.Expr, *, key: str | None) -> pl.Expr:
    """Return the values that the record has in place of hashes of payloads; without a key their start."""
    short = hashes.str.head(HASH_CHARACTERS)
    return short if key is None else hmac_sha256(short, key=_id_key(key)).str.head(HASH_CHARACTERS)


def _id_key(key: str) -> str:
    """Return a key for ids, so that no id has the pseudonym of a person."""
    return hmac.digest(key.encode(), b"cio_frames message ids", "sha256").hex()


def redacted(text: pl.Expr, *, person: pl.Expr) -> pl.Expr:
    """Return `text` without the row's identifier and without e-mail addresses, cut to a limit."""
    is_long = person.str.len_chars() >= _NAMED_CHARACTERS
    redacted_text = (
        pl.when(is_long).then(text.str.split(person).list.join("<person>")).otherwise(text)
    )
    return redacted_text.str.replace_all(EMAIL_INSIDE, "<email>").str.head(ERROR_CHARACTERS)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(handle)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _parsed_key(text: str | None) -> str | None:
    key = (text or "").strip().lower()
    return key if _KEY.fullmatch(key) else None


def _require_valid(key: str | None, *, where: str) -> str:
    """Return the key; an invalid one is not passed in, as a traceback could show it."""
    if key is None:
        raise AuditError(
            f"{where} does not contain a key of 64 hexadecimal characters. "
            'Create one with python -c "import secrets; print(secrets.token_hex(32))".'
        )
    return key
