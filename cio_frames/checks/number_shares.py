"""Columns with numbers of cards, bank accounts and people, found by the share of valid numbers.

A check digit is right by chance in one number of ten, or of 97, so a single valid number among
identifiers means nothing. In a column of card numbers nearly all are valid.
"""

import math
import re
from collections.abc import Iterator
from functools import partial

import polars as pl

from cio_frames.checks.check import FAILURE_SCHEMA, Scope, TableTest, failing_rows
from cio_frames.checks.detectors import (
    ANY_NUMBER,
    CARD,
    IBAN,
    NATIONAL_NUMBER,
    Detector,
    Number,
    has_card_length,
)
from cio_frames.checks.fields import as_number_text, inner_text, is_id, name_words
from cio_frames.frames import collect_streaming
from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text

SAMPLE = 300
"""How many distinct texts of each column are examined: those with the smallest hashes."""

MIN_VALID_SHARE = 0.5
MAX_CHANCES = {"digits": 0.002, "code": 0.02, "spaced": 0.101, "named": 1.0}
"""Maximum probability that so many numbers are valid by chance, by how they are written: as bare digits,
which many identifiers are, with letters, with spaces or signs as on a card, or after their name."""

CONTEXT_CHARACTERS = 24
"""How many characters before a number are searched for its name."""

NUMBER_NAMES = re.compile(
    r"(?i)\b(?:cards?|visa|master ?card|amex|cc|iban|bank|ssn|social ?security|national|insurance|nino|nir|dni|nie|cpf|hetu|ahv"
    r"|personnummer|aadhaar|codice ?fiscale|rrn|insee|s[eé]curit[eé])\b"
)
ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "imei", "meid", "iccid", "rowguid"})
DETECTORS = (CARD, IBAN, NATIONAL_NUMBER)
CANDIDATES = pl.Schema(
    {
        "field": pl.String(),
        "number": pl.String(),
        "form": pl.String(),
        "piece": pl.String(),
        "valid": pl.Boolean(),
        "hash": pl.UInt64(),
        "cells": pl.Int64(),
    }
)
"""The result of a chunk: a hash of each examined text, the distinct numbers in it, and how many
cells are filled, or have a number without a check digit."""


def is_readable(field: FieldMapping) -> bool:
    """Return whether a field would be sent with readable values."""
    return field.role in ("body", "context", "field") and field.how != "hashed"


def _texts(field: FieldMapping) -> pl.Expr | None:
    """Return the values to examine: texts, or numbers wide enough for the digits of a card."""
    if field.dtype in (pl.Int64, pl.UInt64, pl.Float64):
        return pl.col(field.name)
    return inner_text(field) if is_readable(field) else None


def _candidate_numbers(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the distinct numbers of each column; all these checks share the query."""
    texts = {
        field.name: text
        for field in filter(is_readable, scope.mapping.fields)
        if (text := _texts(field)) is not None
    }
    if not texts:
        return None
    return rows.select(text.alias(name) for name, text in texts.items()).map_batches(
        _candidates_in_chunk, schema=CANDIDATES
    )


def _candidates_in_chunk(values: pl.DataFrame) -> pl.DataFrame:
    may_hold_numbers = values.select(map(_may_hold_numbers, values.iter_columns()))
    rows = [
        row
        for column in values.iter_columns()
        for row in _candidates_in_column(
            column, candidates=column.filter(may_hold_numbers[column.name])
        )
    ]
    return pl.DataFrame(rows, schema=CANDIDATES, orient="row")


def _may_hold_numbers(values: pl.Series) -> pl.Expr:
    column = pl.col(values.name)
    return column.str.contains(ANY_NUMBER) if values.dtype == pl.String else has_card_length(column)


def _candidates_in_column(
    values: pl.Series, *, candidates: pl.Series
) -> Iterator[tuple[object, ...]]:
    """Yield a row of `CANDIDATES` for each number among the sampled texts of a column."""
    yield values.name, None, None, None, None, None, values.count()
    if candidates.is_empty():
        return
    without_check_digit, sample = set(), _sample(candidates)
    for text, hashed in zip(_as_texts(sample), sample.hash(), strict=True):
        yield values.name, None, None, None, None, hashed, 0  # is part of the sample
        for detector in DETECTORS:
            for match, number in detector.candidates(text):
                form = _form(match[1], before=text[: match.start(1)][-CONTEXT_CHARACTERS:])
                is_valid = number.is_valid(match[1])
                yield values.name, number.name, form, match[1], is_valid, hashed, 0
                without_check_digit |= {number} if number.chance == 1 else set()
    for number in without_check_digit:
        cells = int(candidates.str.contains(rf"\b{number.pattern}\b").sum())
        yield values.name, number.name, "spaced", None, None, None, cells


def _reduced(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers in the sample of the whole table, and the sums of the cells."""
    is_number, is_count = pl.col("hash").is_not_null(), pl.col("hash").is_null()
    rank = pl.col("hash").rank("dense").over("field")
    numbers = aggregated.filter(is_number).filter(rank <= SAMPLE).unique(maintain_order=True)
    about = [name for name in CANDIDATES if name != "cells"]
    counts = aggregated.filter(is_count).group_by(about, maintain_order=True)
    return pl.concat([numbers, counts.agg(pl.col("cells").sum()).select(numbers.columns)])


def _form(piece: str, *, before: str) -> str:
    """Return how a number is written: a key of `MAX_CHANCES`."""
    if NUMBER_NAMES.search(before):
        return "named"
    if re.search(r"[ .+-]", piece):
        return "spaced"
    return "digits" if piece.isdigit() else "code"


def _sample(values: pl.Series) -> pl.Series:
    """Return up to `SAMPLE` distinct values, independent of how often they are repeated."""
    distinct = values.unique()
    return distinct if len(distinct) <= SAMPLE else distinct[distinct.hash().arg_sort()[:SAMPLE]]


def _as_texts(values: pl.Series) -> pl.Series:
    text = as_text(pl.col(values.name), dtype=values.dtype)
    return values.to_frame().select(text).to_series()


def chance_of(valid: int, tried: int, *, chance: float) -> float:
    """Return an upper bound of the probability that so many numbers or more are valid by chance.

    It is Chernoff's bound of the binomial distribution, which is exact if all are valid.

    Examples:
        >>> round(chance_of(2, 2, chance=0.1), 4), chance_of(1, 20, chance=0.1)
        (0.01, 1.0)
    """
    share = valid / tried
    if share <= chance:
        return 1.0
    rest = tried - valid
    logarithm = valid * math.log(chance / share)
    logarithm += rest * math.log((1 - chance) / (1 - share)) if rest else 0.0
    return math.exp(logarithm)


def _evidence_of_number(
    number: Number, candidates: pl.DataFrame, field: FieldMapping, *, filled: int
) -> str:
    """Return the evidence that candidates are numbers of this kind; "" if there is none."""
    for form, allowed in MAX_CHANCES.items():
        pieces = candidates.filter(pl.col("form") == form).drop_nulls("piece").unique("piece")
        valid, tried = int(pieces["valid"].sum()), pieces.height
        if not tried or valid < tried * MIN_VALID_SHARE:
            continue
        is_named = form == "named" or NUMBER_NAMES.search(" ".join(name_words(field.label)))
        limit = MAX_CHANCES["digits"] if _is_identifier(field) else allowed
        if number.chance == 1:
            is_likely = is_named or int(candidates["cells"].sum()) >= filled * MIN_VALID_SHARE
        else:
            is_likely = is_named or chance_of(valid, tried, chance=number.chance) <= limit
        if is_likely:
            return _evidence_text(number, valid, tried)
    return ""


def _evidence_text(number: Number, valid: int, tried: int) -> str:
    share = f"{number.name}: {valid:,} of {tried:,} different numbers in a sample are valid"
    if number.chance == 1:
        return f"{share}."
    return f"{share}; by chance, only one in {round(1 / number.chance)} would be."


def _is_identifier(field: FieldMapping) -> bool:
    return is_id(field) or bool(ID_WORDS & set(name_words(field.label)))


def _findings(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, detector: Detector
) -> pl.DataFrame:
    """Return the cells with valid numbers in the columns with evidence for them."""
    results = [FAILURE_SCHEMA.to_frame()]
    parts = _reduced(aggregated).partition_by("field", as_dict=True)
    for field in scope.mapping.fields:
        candidates, text = parts.get((field.name,)), inner_text(field)
        text = as_number_text(field) if text is None else text
        if candidates is None or text is None:
            continue
        if evidence := _evidence(candidates, field, detector=detector):
            query = failing_rows(
                rows, detector.finds(text), column=field.label, value=detector.samples(text), evidence=evidence,
            )  # fmt: skip
            results.append(collect_streaming(query))
    return pl.concat(results)


def _evidence(candidates: pl.DataFrame, field: FieldMapping, *, detector: Detector) -> str:
    """Return the evidence for the first kind of number that has any; "" if none has."""
    filled = int(candidates.filter(pl.col("number").is_null())["cells"].sum())
    for number in detector.numbers:
        own = candidates.filter(pl.col("number") == number.name)
        if evidence := _evidence_of_number(number, own, field, filled=filled):
            return evidence
    return ""


def by_share(detector: Detector) -> TableTest:
    """Return a test of the columns whose numbers are valid more often than by chance."""
    finish = partial(_findings, detector=detector)
    return TableTest(_candidate_numbers, finish, _reduced, can_fail=_has_numbers)


def _has_numbers(aggregated: pl.DataFrame) -> bool:
    return aggregated["hash"].null_count() < aggregated.height
