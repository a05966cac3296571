"""Whom rows name: identifiers as text, in the columns that messages are written from."""

from collections.abc import Iterator

import polars as pl

from cio_frames.mapping.message_mapping import FieldMapping, MessageMapping
from cio_frames.spec import IDENTIFIERS, LINKING_CALLS, Identifier
from cio_frames.values import as_text


def is_written_as_text(slot: FieldMapping, *, texts_only: bool) -> bool:
    """Whether a message has the values of a slot as text, whatever their type is."""
    named = slot.role == "field" and slot.type in ("id", "text", "email")
    return (named or texts_only) and not slot.json


def filled(mapping: MessageMapping) -> Iterator[tuple[Identifier, FieldMapping]]:
    """Yield the identifiers that a mapping fills, in the order in which they count."""
    slots = {slot.path: slot for slot in mapping.slots if slot.path}
    for row in IDENTIFIERS[mapping.call.name]:
        if row.path in slots:
            yield row, slots[row.path]


def text_of(slot: FieldMapping, mapping: MessageMapping) -> pl.Expr:
    """Return the values of a slot as text."""
    return as_text(pl.col(slot.name), dtype=slot.dtype, timezone=mapping.timezone)


def person_text(mapping: MessageMapping) -> pl.Expr:
    """Return whom each row is about, as the row writes it."""
    texts = [text_of(slot, mapping) for row, slot in filled(mapping) if row.addressed]
    return pl.coalesce(texts) if texts else pl.lit(None, pl.String)


def person_key(mapping: MessageMapping) -> pl.Expr:
    """Return whom each row is about, in lower case; a group's row keeps another order."""
    return person_text(mapping).str.to_lowercase()


def lane_key(mapping: MessageMapping) -> pl.Expr:
    """Return whose order each row must keep: the person's, or the group's."""
    if mapping.call.name != "group":
        return person_key(mapping)
    objects = [slot for row, slot in filled(mapping) if row.role == "object"]
    return text_of(objects[0], mapping).str.to_lowercase()


def linked_keys(mapping: MessageMapping) -> list[pl.Expr]:
    """Return the other identifiers by which a row ties its person to further ones."""
    if mapping.call.name not in LINKING_CALLS:
        return []
    people = [slot for row, slot in filled(mapping) if not row.role.startswith("object")]
    return [text_of(slot, mapping).str.to_lowercase() for slot in people[1:]]


def numbered(identifier: pl.Expr) -> pl.Expr:
    """Return a number for each identifier, null where there is none."""
    return pl.when(identifier.is_not_null()).then(identifier.hash())
