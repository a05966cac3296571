"""The types of the values in a JSON file: those of its columns, and of a strict decoder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.frames.column import Note

Dtype = pl.DataType | DataTypeClass

DEPTH_MAX = 20
KEYS_MAX = 1_000  # an object inside a row with more keys is a map, not a struct

BIG_INTEGERS = "type.big-integers"

EXACT = 2**53
Exact = Annotated[int, msgspec.Meta(ge=-EXACT, le=EXACT)]
Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

KIND_WORDS: Mapping[str, str] = {
    "boolean": "true or false",
    "integer": "whole numbers",
    "long": "whole numbers of more than 15 digits",
    "big": "whole numbers beyond 64 bits",
    "float": "numbers with decimals",
    "text": "text",
    "list": "lists",
    "object": "objects",
}

SCALARS: Mapping[frozenset[str], tuple[Dtype, Any]] = {
    frozenset(): (pl.Null, None),
    frozenset({"boolean"}): (pl.Boolean, bool),
    frozenset({"integer"}): (pl.Int64, Exact),
    frozenset({"long"}): (pl.Int64, Long),
    frozenset({"integer", "long"}): (pl.Int64, Long),
    frozenset({"float"}): (pl.Float64, Exact | float),
    frozenset({"integer", "float"}): (pl.Float64, Exact | float),
    frozenset({"text"}): (pl.String, str),
}
"""The column type that keeps all values of these kinds unchanged, and the type for the decoder."""


def kind(value: Any) -> str:
    """Return the kind of a JSON value, one of `KIND_WORDS`.

    Examples:
        >>> [kind(value) for value in (True, 7, 2**60, 2**70, 0.5, "x", [], {})]
        ['boolean', 'integer', 'long', 'big', 'float', 'text', 'list', 'object']
    """
    match value:
        case bool():
            return "boolean"
        case int():
            if -EXACT <= value <= EXACT:
                return "integer"
            return "long" if -(2**63) <= value < 2**63 else "big"
        case float():
            return "float"
        case str():
            return "text"
    return "list" if isinstance(value, list) else "object"


@dataclass(slots=True)
class Shape:
    """The types of the values at one place of all rows.

    Attributes:
        kinds: Their kinds, with the line of the first value of each.
        fields: The shapes of the values inside objects, by key.
        item: The shape of the values inside lists.
    """

    depth: int = 0
    kinds: dict[str, str] = field(default_factory=dict)
    fields: dict[str, "Shape"] = field(default_factory=dict)
    item: "Shape | None" = None

    def add(self, value: Any, place: str) -> None:
        """Add the value of a line."""
        if value is None:
            return
        self.kinds.setdefault(kind(value), place)
        if self.is_text:
            return
        if isinstance(value, dict):
            for key, inner in value.items():
                self.fields.setdefault(key, Shape(self.depth + 1)).add(inner, place)
        elif isinstance(value, list):
            self.item = self.item or Shape(self.depth + 1)
            for inner in value:
                self.item.add(inner, place)

    @property
    def is_text(self) -> bool:
        """Whether only text can keep all values: they are of several kinds, too large or too deep."""
        kinds = frozenset(self.kinds)
        if kinds in ({"list"}, {"object"}):
            too_many = self.depth > 0 and len(self.fields) > KEYS_MAX
            return self.depth > DEPTH_MAX or too_many
        return kinds not in SCALARS

    def dtype(self) -> Dtype:
        """Return the type of the column."""
        if self.is_text:
            return pl.String
        if "object" in self.kinds:
            return pl.Struct({name: shape.dtype() for name, shape in self.fields.items()})
        if "list" in self.kinds:
            return pl.List(self.item.dtype() if self.item else pl.Null)
        return SCALARS[frozenset(self.kinds)][0]

    def decoder_type(self) -> Any:
        """Return the type for a strict decoder, which then rejects values of other kinds."""
        if self.is_text:
            return Any if self._is_rewritten else bool | Long | float | str | None
        if "object" in self.kinds:
            return self._struct() | None
        if "list" in self.kinds:
            inner: Any = self.item.decoder_type() if self.item else None
            return list[inner] | None
        scalar = SCALARS[frozenset(self.kinds)][1]
        return None if scalar is None else scalar | None

    @property
    def _is_rewritten(self) -> bool:
        """Whether polars would write objects in another order, or cannot read a number."""
        return self.is_text and not {"object", "list", "big"}.isdisjoint(self.kinds)

    @property
    def needs_rewriting(self) -> bool:
        """Whether polars must be given text, here or inside."""
        inside = [*self.fields.values(), *([self.item] if self.item else [])]
        return self._is_rewritten or any(shape.needs_rewriting for shape in inside)

    def with_texts(self, value: Any) -> Any:
        """Return a value with JSON text where the column is text."""
        if value is None or isinstance(value, str):
            return value
        if self.is_text:
            return msgspec.json.encode(value).decode()
        if isinstance(value, dict):
            return {key: self.fields[key].with_texts(inner) for key, inner in value.items()}
        if isinstance(value, list) and self.item:
            return [self.item.with_texts(inner) for inner in value]
        return value

    def _struct(self) -> Any:
        members = [
            (f"f{place}", shape.decoder_type(), msgspec.field(name=name, default=None))
            for place, (name, shape) in enumerate(self.fields.items())
        ]
        return msgspec.defstruct("Row", members, forbid_unknown_fields=True, gc=False)

    def notes(self, path: str, name: str = "") -> Iterator[Note]:
        """Yield a note for each place whose values became text although some are not."""
        if self.is_text:
            places = ", ".join(dict.fromkeys(self.kinds.values()))
            note = Note(
                code="file.mixed-values",
                severity="warn",
                column=name.partition(".")[0],
                message=f"{path}: {name!r} contains {self._words()} (first in {places}). "
                "All its values are read as text.",
            )
            are_whole = set(self.kinds) <= {"integer", "long", "big"}
            yield replace(note, code=BIG_INTEGERS) if are_whole else note
            return
        for key, shape in self.fields.items():
            yield from shape.notes(path, f"{name}.{key}" if name else key)
        if self.item:
            yield from self.item.notes(path, name)

    def _words(self) -> str:
        *first, last = (KIND_WORDS[kind] for kind in self.kinds)
        if first:
            return f"{', '.join(first)} and {last}"
        if "big" in self.kinds:
            return last
        if self.depth > DEPTH_MAX:
            return f"{last} nested more than {DEPTH_MAX} levels"
        return f"{last} with more than {KEYS_MAX:,} keys"
