"""What rows put into a state, as the record keeps it: numbers that only the holder of the key can make.

A subject is 16 hexadecimal digits: 15 of the keyed hash of an identifier, and one for what is said of
it (`cio_frames.mapping`). With `pii="ids"` nothing is kept but that the row has some.
"""

import polars as pl

from cio_frames.audit.pseudonyms import Pii
from cio_frames.mapping.identifiers import SEPARATOR, UNKNOWN
from cio_frames.values import hmac_sha256, sha256

DIGITS = 15
KIND = 15
"""The bits of a subject that tell what is said of it."""


def hashed(rows: pl.DataFrame, *, people: pl.Series, pii: Pii, key: str | None) -> pl.Series:
    """Return the subjects of each row as the record has them, joined by spaces.

    Args:
        rows: Columns person and subjects, as messages have them.
        people: The pseudonyms of the persons.
        pii: What the record keeps of identifiers.
        key: The key of the pseudonyms.
    """
    given = rows["subjects"]
    if given.null_count() == len(given) or pii == "ids" or (pii == "hmac" and key is None):
        return rows.select(pl.when(pl.col("subjects").is_not_null()).then(pl.lit(UNKNOWN)))[
            "literal"
        ].alias("subjects")
    most = given.str.count_matches(SEPARATOR, literal=True)
    places = [f"field_{place}" for place in range(1 + int(most.drop_nulls().to_numpy().max()))]
    split = pl.col("subjects").str.split_exact(SEPARATOR, len(places) - 1)
    words = rows.select("person", split).unnest("subjects").with_columns(people)
    said = words.select(_word(pl.col(place), pii=pii, key=key).alias(place) for place in places)
    joined = pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)
    is_said = pl.any_horizontal(pl.all().is_not_null())
    return said.select(pl.when(is_said).then(joined).alias("subjects")).to_series()


def _word(said: pl.Expr, *, pii: Pii, key: str | None) -> pl.Expr:
    """Return what the record has in place of a subject: what is said of it comes last."""
    text = said.str.slice(1)
    if pii == "hmac" and key is not None:  # most are the person's own, whose pseudonym is made
        other = pl.when(text.ne_missing(pl.col("person"))).then(text)
        digits = pl.coalesce(hmac_sha256(other, key=key), "person_key")
    else:
        digits = sha256(text)
    word = pl.concat_str(digits.str.head(DIGITS), said.str.head(1))
    return pl.when(said == UNKNOWN).then(pl.lit(UNKNOWN)).when(said.is_not_null()).then(word)


def names(texts: list[str], *, pii: Pii, key: str | None) -> list[str]:
    """Return how the record's subjects name identifiers, whatever is said of them."""
    text = pl.col("text")
    digits = hmac_sha256(text, key=key) if pii == "hmac" and key is not None else sha256(text)
    return pl.DataFrame({"text": texts}).select(digits.str.head(DIGITS)).to_series().to_list()


def scheme(*, pii: Pii, key_name: str | None) -> str:
    """Return a name for the way subjects are made; only those of one way can be compared."""
    return key_name or pii if pii == "hmac" else pii


def numbers(subjects: pl.Series) -> pl.DataFrame:
    """Return the subjects of rows as numbers: place, the row's position, and subject.

    Rows without subjects, or with unknown ones, have no line.
    """
    lists = subjects.replace(UNKNOWN, None).str.split(" ")
    found = pl.DataFrame({"subject": lists}).with_row_index("place").drop_nulls()
    flat = found.explode("subject", empty_as_null=False)
    return flat.with_columns(pl.col("subject").str.to_integer(base=16, dtype=pl.UInt64))
