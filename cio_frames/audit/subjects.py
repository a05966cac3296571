"""What rows put into a state, as the record keeps it: numbers that only the holder of the key can make.

A subject is 16 hexadecimal digits: 15 of the keyed hash of an identifier, and one for what is said of
it (`cio_frames.mapping`). With `pii="ids"` nothing is kept but that the row has some.
"""

import numpy as np
import polars as pl
import pyarrow as pa

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
    lists = given.str.split(SEPARATOR)
    sizes = lists.list.len().fill_null(1).to_numpy()
    owners = np.repeat(np.arange(len(given)), sizes)
    flat = pl.DataFrame({"text": lists.explode(), "person": rows["person"].gather(owners)})
    text = pl.col("text").str.slice(1)
    if pii == "hmac" and key is not None:  # most are the person's own, whose pseudonym is made
        others = flat.select(pl.when(text.ne_missing(pl.col("person"))).then(text).alias("text"))
        made = others.select(hmac_sha256(pl.col("text"), key=key)).to_series()
        digits = made.fill_null(people.gather(owners)) if made.null_count() else made
    else:
        digits = flat.select(sha256(text)).to_series()
    words = flat.select(
        pl.when(pl.col("text") == UNKNOWN)
        .then(pl.lit(UNKNOWN))
        .when(pl.col("text").is_not_null())
        .then(pl.concat_str(digits.str.head(DIGITS), pl.col("text").str.head(1)))
        .alias("subjects")
    ).to_series()
    if len(words) == len(given):
        return words
    offsets = pl.Series(np.concatenate(([0], np.cumsum(sizes))))  # of an array pyarrow asks pandas
    joined = pa.LargeListArray.from_arrays(offsets.to_arrow(), words.to_arrow())
    series = pl.Series("subjects", joined).list.join(" ", ignore_nulls=True)
    return series.zip_with(given.is_not_null(), pl.Series([None], dtype=pl.String))


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
