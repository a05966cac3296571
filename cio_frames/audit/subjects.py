"""The subjects of rows in the record: keyed hashes of the people and objects whose state a row sets.

A subject is 16 hexadecimal digits: 15 of the keyed hash of an identifier, and one for its kind
(`cio_frames.mapping`). With `pii="ids"` the record only keeps whether a row has subjects.
"""

import polars as pl

from cio_frames.audit.pseudonyms import Pii
from cio_frames.mapping.identifiers import SEPARATOR, UNKNOWN
from cio_frames.values import hmac_sha256, sha256

DIGITS = 15
KIND = 15
"""The bits of a subject that are its kind."""


def keyed_subjects(
    rows: pl.DataFrame, *, people: pl.Series, pii: Pii, key: str | None
) -> pl.Series:
    """Return the subjects of each row as the record has them, joined by spaces.

    `people` are the pseudonyms of the persons.
    """
    subjects = rows["subjects"]
    if subjects.null_count() == len(subjects) or pii == "ids" or (pii == "hmac" and key is None):
        has_subjects = pl.col("subjects").is_not_null()
        return rows.select(
            pl.when(has_subjects).then(pl.lit(UNKNOWN)).alias("subjects")
        ).to_series()
    separators = subjects.str.count_matches(SEPARATOR, literal=True).drop_nulls().to_numpy().max()
    names = [f"field_{number}" for number in range(1 + int(separators))]
    fields = pl.col("subjects").str.split_exact(SEPARATOR, len(names) - 1)
    split = rows.select("person", fields).unnest("subjects").with_columns(people)
    keyed = split.select(_keyed(pl.col(name), pii=pii, key=key).alias(name) for name in names)
    joined = pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)
    has_any = pl.any_horizontal(pl.all().is_not_null())
    return keyed.select(pl.when(has_any).then(joined).alias("subjects")).to_series()


def _keyed(subject: pl.Expr, *, pii: Pii, key: str | None) -> pl.Expr:
    """Return the value that the record has in place of a subject; its kind is the last digit."""
    text = subject.str.slice(1)
    if pii == "hmac" and key is not None:
        # Most subjects are the row's own person, whose pseudonym is already computed.
        other = pl.when(text.ne_missing(pl.col("person"))).then(text)
        digits = pl.coalesce(hmac_sha256(other, key=key), "person_key")
    else:
        digits = sha256(text)
    keyed = pl.concat_str(digits.str.head(DIGITS), subject.str.head(1))
    is_unknown = subject == UNKNOWN
    return pl.when(is_unknown).then(pl.lit(UNKNOWN)).when(subject.is_not_null()).then(keyed)


def identifier_digits(texts: list[str], *, pii: Pii, key: str | None) -> list[str]:
    """Return the digits of identifiers in the subjects of the record, without their kind."""
    text = pl.col("text")
    digits = hmac_sha256(text, key=key) if pii == "hmac" and key is not None else sha256(text)
    return pl.DataFrame({"text": texts}).select(digits.str.head(DIGITS)).to_series().to_list()


def scheme(*, pii: Pii, key_name: str | None) -> str:
    """Return a name for the scheme of the subjects; only those of one scheme can be compared."""
    return key_name or pii if pii == "hmac" else pii


def numbers(subjects: pl.Series) -> pl.DataFrame:
    """Return the subjects of rows as numbers: place, the row's position, and subject.

    Rows without subjects, or with unknown ones, are left out.
    """
    lists = subjects.replace(UNKNOWN, None).str.split(" ")
    known = pl.DataFrame({"subject": lists}).with_row_index("place").drop_nulls()
    flat = known.explode("subject", empty_as_null=False)
    return flat.with_columns(pl.col("subject").str.to_integer(base=16, dtype=pl.UInt64))
