"""Convert values of columns to points in time, texts and hashes."""

from cio_frames.values.dtypes import has_text, instance_of
from cio_frames.values.hashing import hmac_sha256, sha256
from cio_frames.values.instants import (
    EPOCH_UNITS,
    Frame,
    epoch_unit,
    has_zone,
    instant,
    is_date_only,
    is_time,
    iso,
    with_instant,
)
from cio_frames.values.nested import anywhere, out_of_range
from cio_frames.values.number_words import many
from cio_frames.values.texts import as_text, decimal_text, exact_as_double, few_texts, json_text

__all__ = [
    "EPOCH_UNITS",
    "Frame",
    "anywhere",
    "as_text",
    "decimal_text",
    "epoch_unit",
    "exact_as_double",
    "few_texts",
    "has_text",
    "has_zone",
    "hmac_sha256",
    "instance_of",
    "instant",
    "is_date_only",
    "is_time",
    "iso",
    "json_text",
    "many",
    "out_of_range",
    "sha256",
    "with_instant",
]
