"""The identifiers of people and objects in rows, as text."""

from collections.abc import Iterator

import polars as pl

from cio_frames.mapping.message_mapping import FieldMapping, MessageMapping
from cio_frames.spec import IDENTIFIERS, LINKING_CALLS, SEMANTIC_EVENTS, Identifier
from cio_frames.values import as_text

SEPARATOR = "\x1f"
UNKNOWN = ""
"""The subjects of a row that changes something unknown."""

ATTRIBUTES, GONE, RELATIONS, DEVICES, NAMED = "01234"
"""What a message changes of a subject: its attributes, its existence or identity, its relations, its
devices, or nothing, if it only names it."""

_OBJECT_ID, _OBJECT_TYPE = ("properties", "objectId"), ("properties", "objectTypeId")


def is_written_as_text(field: FieldMapping, *, texts_only: bool) -> bool:
    """Return whether messages contain the values of a field as text, whatever their type is."""
    is_text_field = field.role == "field" and field.type in ("id", "text", "email")
    return (is_text_field or texts_only) and not field.json


def filled(mapping: MessageMapping) -> Iterator[tuple[Identifier, FieldMapping]]:
    """Yield the identifiers that a mapping fills, in the order of their precedence."""
    fields = {field.path: field for field in mapping.fields if field.path}
    if mapping.call.name == "form":  # its fields may have other names
        fields |= {("data", field.argument): field for field in mapping.fields if field.argument}
    for row in IDENTIFIERS[mapping.call.name]:
        if row.path in fields:
            yield row, fields[row.path]


def own_names(mapping: MessageMapping) -> dict[str, str]:
    """Return the attributes of form fields that have another name than their attribute."""
    return {
        field.path[-1]: field.argument
        for field in mapping.fields
        if field.argument and field.path[:1] == ("data",) and field.path[-1] != field.argument
    }


def text_of(field: FieldMapping, mapping: MessageMapping) -> pl.Expr:
    """Return the values of a field as text."""
    return as_text(pl.col(field.name), dtype=field.dtype, timezone=mapping.timezone)


def person_ids(mapping: MessageMapping) -> Iterator[pl.Expr]:
    """Yield the ids of people in each row, unchanged."""
    for row, field in filled(mapping):
        if row.role in ("person", "previous", "id"):
            yield text_of(field, mapping)


def person_text(mapping: MessageMapping) -> pl.Expr:
    """Return the person of each row, unchanged."""
    texts = [text_of(field, mapping) for row, field in filled(mapping) if row.addressed]
    return pl.coalesce(texts) if texts else pl.lit(None, pl.String)


def person_name(mapping: MessageMapping) -> pl.Expr:
    """Return the person of each row as Customer.io compares it: addresses in lower case."""
    text = person_text(mapping)
    return (
        pl.when(text.str.contains("@", literal=True)).then(text.str.to_lowercase()).otherwise(text)
    )


def person_key(mapping: MessageMapping) -> pl.Expr:
    """Return the person of each row, in lower case."""
    return person_text(mapping).str.to_lowercase()


def lane_key(mapping: MessageMapping) -> pl.Expr:
    """Return the person or group whose rows must stay in order, for each row.

    An event without a person belongs to its group.
    """
    objects = [field for row, field in filled(mapping) if row.role == "object"]
    if mapping.call.name not in ("group", "track") or not objects:
        return person_key(mapping)
    group = text_of(objects[0], mapping).str.to_lowercase()
    return group if mapping.call.name == "group" else pl.coalesce(person_key(mapping), group)


def linked_keys(mapping: MessageMapping) -> list[pl.Expr]:
    """Return the other identifiers that a row links to its person."""
    if mapping.call.name not in LINKING_CALLS:
        return []
    people = [field for row, field in filled(mapping) if not row.role.startswith("object")]
    return [text_of(field, mapping).str.to_lowercase() for field in people[1:]]


def numbered(identifier: pl.Expr) -> pl.Expr:
    """Return a number for each identifier, null if there is none."""
    return pl.when(identifier.is_not_null()).then(identifier.hash())


def subjects(mapping: MessageMapping) -> pl.Expr:
    """Return what each row changes: texts joined by `SEPARATOR`, null for events without effects.

    Each text is one of the kinds above, and an identifier in lower case.
    """
    call = mapping.call.name
    if call == "track":
        return _changed_by_event(mapping)
    if not (mapping.call.sets_state or call in LINKING_CALLS):
        return pl.lit(None, pl.String)
    person = pl.lit(RELATIONS) + person_key(mapping)
    objects = _object(mapping)
    if call == "group":
        not_traits = ("object_type_id", "relationship")
        has_traits = any(
            field.role == "body" and field.argument not in not_traits for field in mapping.fields
        )
        kind = ATTRIBUTES if has_traits else NAMED
        return _joined([pl.lit(kind) + text for text in objects] + [person])
    kind = GONE if call == "alias" else ATTRIBUTES
    people = [field for row, field in filled(mapping) if not row.role.startswith("object")]
    named = [pl.lit(kind) + text_of(field, mapping).str.to_lowercase() for field in people]
    related = [pl.lit(NAMED) + text for text in objects]
    return _joined([*named, *related, *([person] if objects else [])])


def _joined(texts: list[pl.Expr]) -> pl.Expr:
    return pl.concat_str(texts, separator=SEPARATOR, ignore_nulls=True)


def _object(mapping: MessageMapping) -> list[pl.Expr]:
    """Return the object of each row, with its type; empty without an object."""
    fields = {row.role: field for row, field in reversed([*filled(mapping)])}
    if "object" not in fields:
        return []
    return [_typed(fields["object"], fields.get("object_type"), mapping)]


def _typed(field: FieldMapping, kind: FieldMapping | None, mapping: MessageMapping) -> pl.Expr:
    kinds = pl.lit("1") if kind is None else text_of(kind, mapping).fill_null("1")
    return pl.lit("object ") + kinds + pl.lit(" ") + text_of(field, mapping).str.to_lowercase()


def _changed_by_event(mapping: MessageMapping) -> pl.Expr:
    """Return what semantic events change."""
    field = mapping.find("event")
    if field is None:
        return pl.lit(None, pl.String)
    kinds = {"person": GONE, "relationship": RELATIONS, "device": DEVICES, "object": GONE}
    changes = {
        event.name: event.changes for event in SEMANTIC_EVENTS.values() if event.changes in kinds
    }
    changed = text_of(field, mapping).replace_strict(changes, default=None, return_dtype=pl.String)
    kind = changed.replace_strict(kinds, default=None, return_dtype=pl.String)
    places = {field.path: field for field in mapping.fields}
    about_object = pl.lit(None, pl.String)
    if _OBJECT_ID in places:
        about_object = _typed(places[_OBJECT_ID], places.get(_OBJECT_TYPE), mapping)
    lower, text = person_key(mapping), person_text(mapping)
    about = pl.when(changed == "object").then(about_object).otherwise(lower)
    # later changes of the person are recorded with the original text, not in lower case
    original = pl.when((changed != "object") & (text != lower)).then(kind + text)
    joined = _joined([(kind + about), original])
    return pl.when(kind.is_not_null()).then(joined)
