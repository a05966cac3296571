"""Conditions for the fields to which a check applies, and the text in their values."""

import re

import polars as pl

from cio_frames.mapping import FieldMapping
from cio_frames.values import as_text, instance_of
from cio_frames.values.patterns import BLANK, PLACEHOLDERS, UNFILLED

PEOPLE = ("user_id", "anonymous_id", "previous_id", "id")
OWNERS = ("user_id", "anonymous_id")
"""Arguments that identify the person a call is about, in order of precedence."""
IDS = (*PEOPLE, "email", "group_id", "form_id")
EMAIL_PATHS = (("traits", "email"), ("data", "email"))
OBJECT_TYPES = (("traits", "objectTypeId"), ("traits", "object_type_id"))
UNSUBSCRIBED = ("traits", "unsubscribed")
PREFERENCES = re.compile(r"traits\.cio_subscription_preferences\.(?:topics|channels)\.")
STATE_CALLS = ("identify", "group")
"""Calls that set attributes."""
SEPARATOR = " | "


def is_id(field: FieldMapping) -> bool:
    """Return whether a field holds an identifier."""
    return field.argument in IDS


def is_text(field: FieldMapping) -> bool:
    """Return whether a field holds text."""
    return is_text_type(field.dtype)


def is_id_text(field: FieldMapping) -> bool:
    """Return whether a field holds identifiers as text."""
    return is_id(field) and is_text(field)


def is_text_type(dtype: pl.DataType) -> bool:
    """Return whether values of a type are texts."""
    return dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)


def is_plain_text(field: FieldMapping) -> bool:
    """Return whether a field holds strings that are not JSON."""
    return field.dtype == pl.String and not field.json


def is_number(field: FieldMapping) -> bool:
    """Return whether a field holds integers or floats."""
    return field.dtype.is_integer() or field.dtype.is_float()


def is_address(field: FieldMapping) -> bool:
    """Return whether a field holds e-mail addresses as text."""
    return (field.path in EMAIL_PATHS or field.argument == "email") and is_text(field)


def is_subscription(field: FieldMapping) -> bool:
    """Return whether a field sets a subscription: to everything, or to one topic or channel."""
    return field.path == UNSUBSCRIBED or PREFERENCES.match(".".join(field.path)) is not None


def is_body(field: FieldMapping) -> bool:
    """Return whether a field holds traits, properties or context."""
    return field.role in ("body", "context")


def name_words(name: str) -> list[str]:
    """Return the words of a name, in lower case.

    Examples:
        >>> name_words("creditCard-Number")
        ['credit', 'card', 'number']
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z0-9]+", apart.lower())


def blank(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text is a placeholder or white space."""
    return values.str.contains(BLANK)


def stripped(values: pl.Expr) -> pl.Expr:
    """Return texts without white space around them."""
    return values.str.strip_chars()


def is_placeholder(field: FieldMapping, values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a text is a placeholder in a spelling that programs use."""
    spellings = (
        [word for word in _PLACEHOLDER_SPELLINGS if word != _FAMILY_NAME]
        if _names_people(field)
        else _PLACEHOLDER_SPELLINGS
    )
    return values.is_in(spellings) | values.str.contains(UNFILLED)


_FIRST_NAMES = {"Nat", "nat", "NAT", "Nan", "Na"}
"""Personal names in spellings that no program writes for an empty cell."""

_FAMILY_NAME = "Null"
"""A family name that some programs also write for an empty cell."""

_NAME_WORDS = frozenset({
    "name", "firstname", "lastname", "surname", "vorname", "nachname", "nom", "prenom", "nome", "apellido",
})  # fmt: skip


def _names_people(field: FieldMapping) -> bool:
    """Return whether the name of a field suggests that it holds people's names."""
    return not _NAME_WORDS.isdisjoint(name_words(field.label))


_PLACEHOLDER_SPELLINGS = sorted(
    {" ", "  ", "   ", "NaN", "NaT", "[object Object]"}
    | {
        spelled
        for word in filter(None, PLACEHOLDERS)
        for spelled in (word, word.upper(), word.title(), word.capitalize())
    }
    - _FIRST_NAMES
)


def inner_text(field: FieldMapping) -> pl.Expr | None:
    """Return all text in each value of a field as one text, or None if its type has no text."""
    return _joined(pl.col(field.name), field.dtype)


def as_number_text(field: FieldMapping) -> pl.Expr | None:
    """Return each number of a field as text, or None if its type is not numeric."""
    numeric = field.dtype.is_numeric()
    return as_text(pl.col(field.name), dtype=field.dtype) if numeric else None


def _joined(values: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    match dtype:
        case pl.String():
            return values
        case pl.Categorical() | pl.Enum():
            return values.cast(pl.String)
        case pl.List() | pl.Array():
            items = values.arr.to_list() if isinstance(dtype, pl.Array) else values
            inner = instance_of(dtype.inner)
            item = _joined(pl.element(), inner)
            if item is None:
                return None
            item_texts = items if inner == pl.String else items.list.eval(item)
            return item_texts.list.join(SEPARATOR, ignore_nulls=True)
        case pl.Struct():
            parts = [
                _joined(values.struct.field(part.name), instance_of(part.dtype))
                for part in dtype.fields
            ]
            texts = [part for part in parts if part is not None]
            return pl.concat_str(texts, separator=SEPARATOR, ignore_nulls=True) if texts else None
        case _:
            return None
