"""Identifiers in the record: keyed hashes that only the holder of the key can match.

A plain hash of an e-mail address is guessed in seconds; HMAC-SHA256 with a key that never leaves
the analyst's machine is not. The same person has the same pseudonym in every run of one key.
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
    """Return the key of the pseudonyms, made once and kept for its owner only.

    Args:
        environ: What is read instead of the environment, where CIO_AUDIT_KEY may hold it as 64
            hexadecimal characters.
        directory: Where it is kept otherwise; the user's data directory if not given.

    Raises:
        AuditError: If the key is malformed, or cannot be kept.
    """
    if variable(KEY_VARIABLE, environ=environ) is not None:
        return _required(_key_in(variable(KEY_VARIABLE, environ=environ)), where=KEY_VARIABLE)
    kept = (directory or Path(platformdirs.user_data_dir("cio_frames"))) / "audit.key"
    try:
        if not kept.exists():
            _make(kept)
        return _required(_key_in(kept.read_text()), where=str(kept))
    except OSError as error:
        told = f"The key of the audit's pseudonyms cannot be kept in {kept}: {error.strerror}. "
        raise AuditError(told + f"Set {KEY_VARIABLE}.") from None


def fingerprint(key: str) -> str:
    """Return a short name for the key, from which the key cannot be had.

    Examples:
        >>> len(fingerprint("0" * 64))
        8
    """
    return hmac.digest(key.encode(), b"cio_frames audit key", "sha256").hex()[:8]


def key_named(name: str | None, *, where: Path, known: str | None = None) -> str:
    """Return the key that a record was made with.

    Args:
        name: Its fingerprint.
        where: The record.
        known: The key, if it is not to be looked up.

    Raises:
        AuditError: It is not the key of this machine.
    """
    found = known or key()
    if fingerprint(found) != name:
        raise AuditError(
            f"The pseudonyms and message ids in {where} were made with another key, so what was "
            f"sent cannot be known again. Set {KEY_VARIABLE} to that one, or send to another "
            "directory."
        )
    return found


def pseudonyms(person: pl.Series, *, pii: Pii, key: str | None) -> pl.Series:
    """Return what the record holds in place of the identifiers in `person`.

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
    if 2 * person.n_unique() > len(person):  # looking them up would take longer than hashing
        return people.select(person_key=hashed).to_series()
    once = people.unique().with_columns(person_key=hashed)
    return people.join(once, on="person", how="left", maintain_order="left")["person_key"]


def keyed_ids(ids: pl.Expr, *, key: str | None) -> pl.Expr:
    """Return what the record holds in place of message ids; without a key the ids themselves.

    An id is made of its message, so whoever guesses a message could find its id in the record.
    """
    if key is None:
        return ids
    return hmac_sha256(ids, key=_id_key(key)).str.head(ID_CHARACTERS)


def keyed_hashes(hashes: pl.Expr, *, key: str | None) -> pl.Expr:
    """Return what the record holds in place of hashes of payloads; without a key their start."""
    short = hashes.str.head(HASH_CHARACTERS)
    return short if key is None else hmac_sha256(short, key=_id_key(key)).str.head(HASH_CHARACTERS)


def _id_key(key: str) -> str:
    """Return a key for ids, under which nothing has the pseudonym that a person has."""
    return hmac.digest(key.encode(), b"cio_frames message ids", "sha256").hex()


def scrubbed(text: pl.Expr, *, person: pl.Expr) -> pl.Expr:
    """Return `text` without the row's identifier and without e-mail addresses, not too long."""
    named = person.str.len_chars() >= _NAMED_CHARACTERS
    without = pl.when(named).then(text.str.split(person).list.join("<person>")).otherwise(text)
    return without.str.replace_all(EMAIL_INSIDE, "<email>").str.head(ERROR_CHARACTERS)


def _make(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(handle)
    try:
        os.link(fresh, kept)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _key_in(text: str | None) -> str | None:
    key = (text or "").strip().lower()
    return key if _KEY.fullmatch(key) else None


def _required(key: str | None, *, where: str) -> str:
    """Return the key. What is none is not passed on: a traceback that shows values would have it."""
    if key is None:
        raise AuditError(
            f"{where} does not contain a key of 64 hexadecimal characters. "
            'Create one with python -c "import secrets; print(secrets.token_hex(32))".'
        )
    return key
