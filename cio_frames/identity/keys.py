"""Identifiers as keys: equal exactly where Customer.io takes two of them for the same.

A key begins with its kind: `i:` for an id, `e:` for an e-mail (without case), `c:` for a cio_id,
`a:` for an anonymous id.
"""

from typing import Final

import polars as pl

from cio_frames.identity.identifiers import EMAIL

ID, MAIL, CIO, VISITOR = "i:", "e:", "c:", "a:"
MAIL_SHAPE: Final = f"(?i-u)^(?:{EMAIL.pattern})$"


def person_key(column: str) -> pl.Expr:
    """Return the keys of person references, resolved in the order of reference 3.1.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"user": ["u1", "Ada@Example.com", "cio_03a0", "a@b"]})
        >>> frame.select(person_key("user"))["user"].to_list()
        ['i:u1', 'e:ada@example.com', 'c:03a0', 'i:a@b']
    """
    value = pl.col(column)
    return (
        pl.when(value.str.starts_with("cio_")).then(CIO + value.str.slice(4))
        .when(is_mail(column)).then(MAIL + value.str.to_lowercase())
        .otherwise(ID + value)
        .alias(column)
    )  # fmt: skip


def is_mail(column: str) -> pl.Expr:
    """Tell of each reference whether it is read as an e-mail."""
    value = pl.col(column)
    return value.str.contains("@", literal=True) & value.str.contains(MAIL_SHAPE)


def mail_key(column: str) -> pl.Expr:
    """Return the keys of e-mails, whatever their shape."""
    return (MAIL + pl.col(column).str.to_lowercase()).alias(column)


def id_key(column: str) -> pl.Expr:
    """Return the keys of ids, whatever their shape."""
    return (ID + pl.col(column)).alias(column)


def cio_key(column: str) -> pl.Expr:
    """Return the keys of cio_ids, which are written without `cio_` before them."""
    return (CIO + pl.col(column)).alias(column)


def visitor_key(column: str) -> pl.Expr:
    """Return the keys of anonymous ids."""
    return (VISITOR + pl.col(column)).alias(column)


def name(key: str) -> str:
    """Return the identifier of a key as a reader knows it.

    Examples:
        >>> name("a:visitor-7"), name("c:03a0")
        ('visitor-7', 'cio_03a0')
    """
    return f"cio_{key[2:]}" if key.startswith(CIO) else key[2:]
