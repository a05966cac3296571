"""Columns whose values are sent as their hash: the same value stays the same, and is not told."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from cio_frames.errors import MappingError
from cio_frames.mapping.message_mapping import Slot
from cio_frames.mapping.sources import demand
from cio_frames.values import as_text, has_text, sha256


def hashed(
    slots: Sequence[Slot],
    *,
    columns: str | Sequence[str],
    schema: pl.Schema,
    timezone: str | None = None,
) -> tuple[Slot, ...]:
    """Return the slots with those of some columns hashed: SHA-256 of the text, in hexadecimal.

    There is no key, so that any other system can make the same hash of the same value. A number
    that can be guessed, such as one of a card, can be found again by trying them all; where that
    matters, leave the column out.

    Args:
        slots: Every place that is filled.
        columns: The columns to hash.
        schema: The table's columns.
        timezone: Zone of times that carry none.

    Raises:
        MappingError: A column is not sent as a trait, property or form field, or has no text.
    """
    if not isinstance(columns, str | Sequence):
        raise MappingError(f"hash={columns!r} is neither a column nor a list of columns.")
    wanted = [columns] if isinstance(columns, str) else list(columns)
    for column in wanted:
        demand(column, argument="hash", schema=schema)
        if not any(slot.role == "body" and slot.column == column for slot in slots):
            raise MappingError(
                f"hash={column!r} is not sent as a trait, property or form field. Only those can "
                "be hashed: an identifier would name another person."
            )
    return tuple(
        _hashed(slot, timezone=timezone) if slot.role == "body" and slot.column in wanted else slot
        for slot in slots
    )


def _hashed(slot: Slot, *, timezone: str | None) -> Slot:
    if not has_text(slot.dtype):
        raise MappingError(
            f"hash={slot.column!r}: its values are lists or objects, which have no single text."
        )
    text = as_text(slot.expr, dtype=slot.dtype, timezone=timezone)
    return replace(
        slot,
        expr=sha256(text),
        dtype=pl.String(),
        how="hashed",
        json=False,
        reason="sent as its SHA-256",
    )
