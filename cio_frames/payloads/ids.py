"""Message ids: the same row always gets the same id, however often it is sent.

An id has the form of a ULID, because the destination only recognises repeats of ULIDs
(reference 3.7). Its first 48 bits are the event's time, if the row has one; everything else
comes from a hash, so nothing depends on the clock or on chance.
"""

from functools import cache, lru_cache
from hashlib import sha256 as sha256_of
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.values import sha256

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]

ID_ALGORITHM = "v1"
"""The version of the algorithm, part of what is hashed; it changes if a row would get another id."""

RUN_ALGORITHM = f"{ID_ALGORITHM}-run"
"""The algorithm of the ids that are specific to a run, used for messages that set a state."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIR_BITS, _TEXT_PAIRS, _WORD_BITS = 10, 13, 64
ID_CHARACTERS = 2 * _TEXT_PAIRS
_CONTENT_CHARACTERS = 16
_RUN_CHARACTERS = 10
"""How many characters of an id are specific to the run: 50 bits distinguish two runs."""
_DIGEST_AT = 10
"""Where in an id the 80 bits of its digest begin."""
_SEPARATOR = "\x1f"


def digest(*texts: pl.Expr, namespace: str, call: str) -> pl.Expr:
    """Return the SHA-256 of concatenated texts, in hexadecimal, for a namespace and a call."""
    prefix = _SEPARATOR.join((ID_ALGORITHM, namespace, call, ""))
    return sha256(pl.concat_str(pl.lit(prefix), *texts))


def ulids(digests: pl.Series, *, times_ms: pl.Series) -> pl.Series:
    """Return ids in the form of ULIDs; times that are null, negative or too large are not used.

    Returns:
        Texts of 26 characters. The first 48 bits are the time, or else bits of the digest; the
        other 80 bits are the first of the digest.

    Examples:
        >>> import polars as pl
        >>> ulids(pl.Series(["00" * 32]), times_ms=pl.Series([1], dtype=pl.Int64)).to_list()
        ['00000000010000000000000000']
    """
    import numpy as np

    first, second = _digest_halves(digests)
    times = times_ms.fill_null(-1).to_numpy().astype(np.int64)
    usable = (times >= 0) & (times < 1 << 48)
    clock = np.where(usable, times.astype(np.uint64), second & np.uint64((1 << 48) - 1))
    high = clock << np.uint64(16) | first >> np.uint64(48)
    low = first << np.uint64(16) | second >> np.uint64(48)
    return _as_base32(high, low)


def content(message_id: str) -> str:
    """Return the first 16 digits of the digest that an id was derived from.

    Examples:
        >>> import polars as pl
        >>> digest = "00112233445566778899" + "0" * 44
        >>> content(ulids(pl.Series([digest]), times_ms=pl.Series([1], dtype=pl.Int64))[0])
        '0011223344556677'
    """
    number = 0
    for character in message_id[-_CONTENT_CHARACTERS:]:
        number = number << 5 | max(_CROCKFORD.find(character), 0)
    return f"{number:020x}"[:16]


def with_new_ids(messages: pl.DataFrame, *, seeds: pl.Series) -> pl.DataFrame:
    """Return messages with new ids, derived from the old ones and from seeds.

    The time in an id stays. The hash of the message, which the new id does not contain, is added.
    """
    text = pl.concat_str(pl.lit(ID_ALGORITHM), "message_id", seeds, separator=_SEPARATOR)
    no_times = pl.Series([None], dtype=pl.Int64).new_from_index(0, messages.height)
    new_ids = ulids(messages.select(sha256(text)).to_series(), times_ms=no_times)
    ids = messages["message_id"].str.head(_DIGEST_AT) + new_ids.str.slice(_DIGEST_AT)
    hashes = pl.Series([f"{number:016x}" for number in messages["content"]], dtype=pl.String)
    return messages.with_columns(
        _message_with_ids(ids),
        ids.alias("message_id"),
        pl.coalesce("payload_hash", hashes).alias("payload_hash"),
    )


def _message_with_ids(ids: pl.Series) -> pl.Expr:
    """Return the texts of messages, with other ids in place of their own."""
    parts = pl.col("message").str.splitn(pl.concat_str(pl.lit('"'), "message_id", pl.lit('"')), 2)
    first, rest = (parts.struct.field(f"field_{place}") for place in (0, 1))
    return pl.concat_str(first, pl.lit('"'), ids, pl.lit('"'), rest).alias("message")


def run_ids(ids: pl.Series, *, seed: str) -> pl.Series:
    """Return ids that are specific to a run for derived ids, or the derived ids for those of the run.

    The time in an id stays. Different ids stay different.

    Examples:
        >>> import polars as pl
        >>> sent = run_ids(pl.Series(["0" * 26]), seed="20261121T093000000Z-k3f9q2")
        >>> sent.to_list(), run_ids(sent, seed="20261121T093000000Z-k3f9q2").to_list()
        (['0000000000000000YDN7B2837D'], ['00000000000000000000000000'])
    """
    import numpy as np

    joined = ids.str.join("").item().encode()
    characters = np.frombuffer(joined, np.uint8).reshape(len(ids), -1).copy()
    for position, substitutes in enumerate(_substitutions(seed), start=-_RUN_CHARACTERS):
        characters[:, position] = substitutes[characters[:, position]]
    return _texts(characters).alias(ids.name)


@lru_cache(maxsize=16)
def _substitutions(seed: str) -> "npt.NDArray[np.uint8]":
    """Return the substitute of each character, for each of the last positions of an id."""
    import numpy as np

    alphabet = np.frombuffer(_CROCKFORD.encode(), np.uint8)
    bits = np.frombuffer(sha256_of(seed.encode()).digest(), np.uint8)[:_RUN_CHARACTERS, None]
    substitutes = np.zeros((_RUN_CHARACTERS, 1 << 8), np.uint8)
    substitutes[:, alphabet] = alphabet[(np.arange(len(alphabet)) ^ bits) % len(alphabet)]
    return substitutes


def with_run_ids(messages: pl.DataFrame, *, seeds: pl.DataFrame) -> pl.DataFrame:
    """Return messages with the ids of a run in their texts, for the rows in `seeds` (row and seed).

    `message_id` stays the derived id, by which the message is recognised in every run.
    """
    distinct = seeds["seed"].unique()
    if len(distinct) == 1 and distinct[0] is not None and seeds.height == messages.height:
        return _with_ids_of_run(messages, distinct[0])
    parts = [
        part if seed is None else _with_ids_of_run(part, seed)
        for (seed,), part in _with_seeds(messages, seeds).group_by("seed", maintain_order=True)
    ]
    return pl.concat(parts).sort("place").drop("seed", "place") if parts else messages


def _with_ids_of_run(messages: pl.DataFrame, seed: str) -> pl.DataFrame:
    return messages.with_columns(_message_with_ids(run_ids(messages["message_id"], seed=seed)))


def _with_seeds(messages: pl.DataFrame, seeds: pl.DataFrame) -> pl.DataFrame:
    """Return messages with the seeds of their rows, null where there is none, and their place."""
    joined = messages.join(seeds, on="row", how="left", maintain_order="left")
    return joined.with_row_index("place")


def with_new_ids_in_rows(messages: pl.DataFrame, seeds: pl.DataFrame) -> pl.DataFrame:
    """Return messages with new ids, for the rows in `seeds` (row and seed)."""
    with_seeds = _with_seeds(messages, seeds)
    has_seed = pl.col("seed").is_not_null()
    replaced = with_seeds.filter(has_seed)
    renewed = with_new_ids(replaced.drop("seed"), seeds=replaced["seed"])
    unchanged = with_seeds.filter(~has_seed).drop("seed")
    return pl.concat([unchanged, renewed]).sort("place").drop("place")


def _digest_halves(digests: pl.Series) -> "tuple[Words, Words]":
    """Return the first and the second 64 bits of each digest."""
    first, second = (
        digests.str.slice(start, 16).str.to_integer(base=16, dtype=pl.UInt64).to_numpy()
        for start in (0, 16)
    )
    return first, second


@cache
def _character_pairs() -> "npt.NDArray[np.uint16]":
    """Return the two characters of each ten bits."""
    import numpy as np

    pairs = np.array([(one + two).encode() for one in _CROCKFORD for two in _CROCKFORD])
    return pairs.view(np.uint16)


def _as_base32(high: "Words", low: "Words") -> pl.Series:
    """Return 128 bits as 26 characters: ten bits, two characters, at a time."""
    import numpy as np

    pairs, characters = np.empty((len(high), _TEXT_PAIRS), np.uint16), _character_pairs()
    for place in range(_TEXT_PAIRS):
        shift = (_TEXT_PAIRS - 1 - place) * _PAIR_BITS
        if shift >= _WORD_BITS:
            bits = high >> np.uint64(shift - _WORD_BITS)
        elif shift > _WORD_BITS - _PAIR_BITS:
            bits = high << np.uint64(_WORD_BITS - shift) | low >> np.uint64(shift)
        else:
            bits = low >> np.uint64(shift)
        pairs[:, place] = characters[bits & np.uint64(len(characters) - 1)]
    return _texts(pairs.view(np.uint8))


def _texts(characters: "npt.NDArray[np.uint8]") -> pl.Series:
    """Return each row of ASCII characters as a text, without a Python object for each."""
    if not len(characters):
        return pl.Series(dtype=pl.String)
    return pl.Series(characters).cast(pl.List(pl.UInt8)).cast(pl.Binary).cast(pl.String)
