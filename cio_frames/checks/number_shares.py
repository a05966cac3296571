"""Columns of numbers of cards, banks and people, judged by the share of their numbers that is valid.

A check digit is right by chance in one number of ten, or of 97: a lone hit among identifiers says
nothing. In a column of cards nearly all are right.
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
"""Different texts of each column that are looked at: those with the smallest hashes."""

HALF = 0.5
UNLIKELY = {"digits": 0.002, "code": 0.02, "spaced": 0.101, "named": 1.0}
"""Chances up to which valid numbers are no accident, by how they are written: as bare digits, which
many identifiers are, with letters, with spaces or signs as on a card, or after their name."""

BEFORE = 24
"""Characters before a number in which its name may stand."""

NAMES = re.compile(
    r"(?i)\b(?:cards?|visa|master ?card|amex|cc|iban|bank|ssn|social ?security|national|insurance|nino|nir|dni|nie|cpf|hetu|ahv"
    r"|personnummer|aadhaar|codice ?fiscale|rrn|insee|s[eé]curit[eé])\b"
)
IDENTIFIERS = frozenset({"id", "ids", "uuid", "guid", "imei", "meid", "iccid", "rowguid"})
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
"""What is kept of a chunk: a hash of each text looked at, the different numbers in it, and how many
cells are filled, or hold a number without a check digit."""


def is_readable(field: FieldMapping) -> bool:
    """Return whether a field would be sent so that its values can be read."""
    return field.role in ("body", "context", "field") and field.how != "hashed"


def _texts(field: FieldMapping) -> pl.Expr | None:
    """Return the values to look at: texts, or numbers wide enough for the digits of a card."""
    if field.dtype in (pl.Int64, pl.UInt64, pl.Float64):
        return pl.col(field.name)
    return inner_text(field) if is_readable(field) else None


def _sampled(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Aggregate the different numbers of each column; the same query serves all these checks."""
    texts = {
        field.name: text
        for field in filter(is_readable, scope.mapping.fields)
        if (text := _texts(field)) is not None
    }
    if not texts:
        return None
    return rows.select(text.alias(name) for name, text in texts.items()).map_batches(
        _candidates, schema=CANDIDATES
    )


def _candidates(values: pl.DataFrame) -> pl.DataFrame:
    can_fail = values.select(_may_hold_numbers(column) for column in values.iter_columns())
    found = [
        row
        for column in values.iter_columns()
        for row in _candidates_of(column, opened=column.filter(can_fail[column.name]))
    ]
    return pl.DataFrame(found, schema=CANDIDATES, orient="row")


def _may_hold_numbers(values: pl.Series) -> pl.Expr:
    column = pl.col(values.name)
    return column.str.contains(ANY_NUMBER) if values.dtype == pl.String else has_card_length(column)


def _candidates_of(values: pl.Series, *, opened: pl.Series) -> Iterator[tuple[object, ...]]:
    """Yield a row of `CANDIDATES` for each number among the sampled texts of a column."""
    yield values.name, None, None, None, None, None, values.count()
    if opened.is_empty():
        return
    counted, sample = set(), _smallest(opened)
    for text, hashed in zip(_as_texts(sample), sample.hash(), strict=True):
        yield values.name, None, None, None, None, hashed, 0  # has a place in the sample
        for detector in DETECTORS:
            for found, number in detector.candidates(text):
                form = _form(found[1], before=text[: found.start(1)][-BEFORE:])
                is_valid = number.is_valid(found[1])
                yield values.name, number.name, form, found[1], is_valid, hashed, 0
                counted |= {number} if number.chance == 1 else set()
    for number in counted:
        cells = int(opened.str.contains(rf"\b{number.pattern}\b").sum())
        yield values.name, number.name, "spaced", None, None, None, cells


def _smallest_of(aggregated: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers in the sample of the whole table, and the sums of the cells."""
    hashed, cells = pl.col("hash").is_not_null(), pl.col("hash").is_null()
    place = pl.col("hash").rank("dense").over("field")
    numbers = aggregated.filter(hashed).filter(place <= SAMPLE).unique(maintain_order=True)
    about = [name for name in CANDIDATES if name != "cells"]
    counted = aggregated.filter(cells).group_by(about, maintain_order=True)
    return pl.concat([numbers, counted.agg(pl.col("cells").sum()).select(numbers.columns)])


def _form(piece: str, *, before: str) -> str:
    """Return how a number is written, a key of `UNLIKELY`."""
    if NAMES.search(before):
        return "named"
    if re.search(r"[ .+-]", piece):
        return "spaced"
    return "digits" if piece.isdigit() else "code"


def _smallest(values: pl.Series) -> pl.Series:
    """Return up to `SAMPLE` different values, the same ones however often they are repeated."""
    different = values.unique()
    return (
        different if len(different) <= SAMPLE else different[different.hash().arg_sort()[:SAMPLE]]
    )


def _as_texts(values: pl.Series) -> pl.Series:
    text = as_text(pl.col(values.name), dtype=values.dtype)
    return values.to_frame().select(text).to_series()


def chance_of(valid: int, tried: int, *, chance: float) -> float:
    """Return the most that the chance can be of so many valid numbers or more.

    It is Chernoff's bound of the binomial distribution: exact where all are valid.

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


def _is_told(number: Number, found: pl.DataFrame, field: FieldMapping, *, filled: int) -> str:
    """Return what speaks for it that numbers of one name are what they look like; "" if nothing."""
    for form, allowed in UNLIKELY.items():
        pieces = found.filter(pl.col("form") == form).drop_nulls("piece").unique("piece")
        valid, tried = int(pieces["valid"].sum()), pieces.height
        if not tried or valid < tried * HALF:
            continue
        is_named = form == "named" or NAMES.search(" ".join(name_words(field.label)))
        most = UNLIKELY["digits"] if _is_identifier(field) else allowed
        if number.chance == 1:
            told = is_named or int(found["cells"].sum()) >= filled * HALF
        else:
            told = is_named or chance_of(valid, tried, chance=number.chance) <= most
        if told:
            return _evidence(number, valid, tried)
    return ""


def _evidence(number: Number, valid: int, tried: int) -> str:
    share = f"{number.name}: {valid:,} of {tried:,} different numbers in a sample are valid"
    if number.chance == 1:
        return f"{share}."
    return f"{share}; by chance, only one in {round(1 / number.chance)} would be."


def _is_identifier(field: FieldMapping) -> bool:
    return is_id(field) or bool(IDENTIFIERS & set(name_words(field.label)))


def _judged(
    aggregated: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, detector: Detector
) -> pl.DataFrame:
    """Return the cells with valid numbers of the columns that are judged to hold them."""
    results = [FAILURE_SCHEMA.to_frame()]
    parts = _smallest_of(aggregated).partition_by("field", as_dict=True)
    for field in scope.mapping.fields:
        own = parts.get((field.name,))
        evidence = "" if own is None else _told_of(own, field, detector=detector)
        text = inner_text(field)
        text = as_number_text(field) if text is None else text
        if evidence and text is not None:
            query = failing_rows(
                rows, detector.finds(text), column=field.label, value=detector.samples(text), evidence=evidence,
            )  # fmt: skip
            results.append(collect_streaming(query))
    return pl.concat(results)


def _told_of(found: pl.DataFrame, field: FieldMapping, *, detector: Detector) -> str:
    """Return the evidence for the first kind of number that a column is judged to hold."""
    filled = int(found.filter(pl.col("number").is_null())["cells"].sum())
    named = ((number, found.filter(pl.col("number") == number.name)) for number in detector.numbers)
    told = (_is_told(number, part, field, filled=filled) for number, part in named if part.height)
    return next(filter(None, told), "")


def by_share(detector: Detector) -> TableTest:
    """Return a test of the columns whose numbers are valid more often than chance would have it."""
    judged = partial(_judged, detector=detector)
    return TableTest(_sampled, judged, _smallest_of, can_fail=_has_numbers)


def _has_numbers(aggregated: pl.DataFrame) -> bool:
    return aggregated["hash"].null_count() < aggregated.height
