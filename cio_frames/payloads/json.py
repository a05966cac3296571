"""Columns as JSON text, written by whole columns: no Python object is made per row.

The engine's own JSON writer is fast but writes nulls, so columns that hold none are written
together and every other column is a fragment of its own, left out where it is null. Which way a
column takes depends on its content only; the bytes are the same either way. Keys are sorted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from cio_frames.values import (
    as_text,
    decimal_text,
    exact_as_double,
    instance_of,
    instant,
    iso,
    json_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A value to write."""

    values: pl.Expr  # the column
    dtype: pl.DataType  # its type
    clear: bool = False  # whether an empty cell is written as null instead of being left out
    json: bool = False  # whether the values are JSON text already
    text: bool = False  # whether the value is written as text whatever its type is
    timezone: str | None = None  # zone of times that carry none


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """An object to write."""

    members: Mapping[str, "Leaf | Branch"]  # key to what is written under it
    present: pl.Expr | None = None  # where the object is written; without it, where any member is
    clear: bool = False  # whether null is written where the object is not


Node = Leaf | Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    key: str
    value: pl.Expr
    plain: bool
    always: bool


_TEXTS = pl.List(pl.String)
_MOMENT_BYTES = len('"2024-01-02T03:04:05.678Z"')
_FOUR_DIGITS = (datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""Between these each written moment has as many bytes."""
_ESCAPED = bytes(range(0x20)) + b'"\\\x7f'
"""What may be written in other bytes; the rest of a text is written as it is."""


def members(branch: Branch, *, frame: pl.DataFrame) -> pl.Expr:
    """Return the members of an object without its braces, `""` where there is none."""
    leaves = list(_leaves(branch))
    flags = frame.select(
        *(_absent(leaf).any().alias(f"{number}") for number, leaf in enumerate(leaves))
    ).row(0) if leaves else ()  # fmt: skip
    full = {id(leaf) for leaf, absent in zip(leaves, flags, strict=True) if not absent}
    return _members(branch, full=full)


def size(branch: Branch, *, frame: pl.DataFrame) -> pl.Expr:
    """Return how many bytes `members` takes, writing only what tells no length by itself."""
    told = {id(leaf): flag for leaf in _leaves(branch) if (flag := _told(leaf)) is not None}
    flags = frame.select(flag.alias(f"{place}") for place, flag in told.items())
    quick = {place for place in told if flags[f"{place}"].item()}
    return _members_size(branch, quick=quick)


def _told(leaf: Leaf) -> pl.Expr | None:
    """Return whether the written length of a whole column follows from its values, if it can."""
    values, dtype = leaf.values, leaf.dtype
    if leaf.json or (leaf.text and dtype != pl.String):
        return None
    if dtype in (pl.String, _TEXTS):
        texts = values if dtype == pl.String else values.explode(empty_as_null=False)
        return texts.str.join("").map_batches(
            _has_no_escapes, return_dtype=pl.Boolean, returns_scalar=True
        )
    if isinstance(dtype, pl.Datetime):
        at = instant(values, dtype=dtype, timezone=leaf.timezone)
        return at.is_between(*_FOUR_DIGITS).all()
    return None


def _has_no_escapes(joined: pl.Series) -> pl.Series:
    text = joined.cast(pl.Binary)[0]
    return pl.Series([len(text.translate(None, _ESCAPED)) == len(text)])


def _members_size(branch: Branch, *, quick: set[int]) -> pl.Expr:
    around = len(":,")
    sizes = [
        _size(member, quick=quick) + (around + len(json.dumps(key, ensure_ascii=False).encode()))
        for key, member in branch.members.items()
    ]
    return (pl.sum_horizontal(sizes) - 1).clip(0) if sizes else pl.lit(0, pl.Int64)


def _size(node: Node, *, quick: set[int]) -> pl.Expr:
    """Return how many bytes the value of a member takes; null where the member is left out."""
    if isinstance(node, Branch):
        inside = _members_size(node, quick=quick)
        size: pl.Expr = pl.when(inside > 0 if node.present is None else node.present).then(
            inside + 2
        )
    elif id(node) in quick:
        size = _quick_size(node)
    elif node.dtype in _SMALL_INTEGERS and not node.text:
        size = node.values.cast(pl.String).str.len_bytes().cast(pl.Int64)
    else:
        value, is_plain = _value(node)
        text = pl.when(value.is_not_null()).then(json_text(value)) if is_plain else value
        size = text.str.len_bytes().cast(pl.Int64)
    return size.fill_null(len("null")) if node.clear else size


def _quick_size(leaf: Leaf) -> pl.Expr:
    if leaf.dtype == pl.String:
        return leaf.values.str.len_bytes().cast(pl.Int64) + 2
    if leaf.dtype == _TEXTS:
        each = pl.element().str.len_bytes().cast(pl.Int64) + len('"",')
        items = leaf.values.list.eval(each.fill_null(len("null,")))
        return (items.list.sum() - 1).clip(0) + 2
    is_written = instant(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone).is_not_null()
    return pl.when(is_written).then(pl.lit(_MOMENT_BYTES, pl.Int64))


def expand(node: Node) -> Node:
    """Return the node with every struct column as the object it is written as."""
    if isinstance(node, Branch):
        grown = {key: expand(member) for key, member in node.members.items()}
        return replace(node, members=grown)
    if not isinstance(node.dtype, pl.Struct) or node.json or node.text:
        return node
    return _fields(node, node.dtype)


def _fields(leaf: Leaf, dtype: pl.Struct) -> Branch:
    fields = {
        field.name: expand(
            Leaf(
                values=leaf.values.struct.field(field.name),
                dtype=instance_of(field.dtype),
                timezone=leaf.timezone,
            )
        )
        for field in dtype.fields
    }
    return Branch(members=fields, present=leaf.values.is_not_null(), clear=leaf.clear)


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
        return
    for member in node.members.values():
        yield from _leaves(member)


def _absent(leaf: Leaf) -> pl.Expr:
    return pl.lit(value=False) if leaf.clear else _writable(leaf).is_null()


def _members(branch: Branch, *, full: set[int]) -> pl.Expr:
    return _joined(_pieces(branch, full=full))


def _pieces(branch: Branch, *, full: set[int]) -> list[_Piece]:
    return [_piece(key, branch.members[key], full=full) for key in sorted(branch.members)]


def _joined(pieces: Sequence[_Piece]) -> pl.Expr:
    if not pieces:
        return pl.lit("")
    return pl.concat_str(list(_fragments(pieces)), separator=",", ignore_nulls=True)


def _fragments(pieces: Sequence[_Piece]) -> Iterator[pl.Expr]:
    together: list[_Piece] = []
    for piece in pieces:
        if piece.plain and piece.always:
            together.append(piece)
            continue
        if together:
            yield _written_together(together)
            together = []
        yield _written_alone(piece)
    if together:
        yield _written_together(together)


def _written_together(pieces: Sequence[_Piece]) -> pl.Expr:
    struct = pl.struct(piece.value.alias(piece.key) for piece in pieces)
    return struct.struct.json_encode().str.slice(1).str.head(-1)  # the braces, without a copy


def _written_alone(piece: _Piece) -> pl.Expr:
    if piece.plain:
        return pl.when(piece.value.is_not_null()).then(_written_together([piece]))
    return pl.concat_str(pl.lit(f"{json.dumps(piece.key, ensure_ascii=False)}:"), piece.value)


def _piece(key: str, node: Node, *, full: set[int]) -> _Piece:
    if isinstance(node, Branch):
        pieces = _pieces(node, full=full)
        if pieces and all(piece.plain and piece.always for piece in pieces):
            together = pl.struct(piece.value.alias(piece.key) for piece in pieces)
            return _Piece(key=key, value=together, plain=True, always=True)
        inside = _joined(pieces)
        value: pl.Expr = pl.concat_str(pl.lit("{"), inside, pl.lit("}"))
        if node.present is not None:
            value = pl.when(node.present).then(value)
        elif not any(piece.always for piece in pieces):
            value = pl.when(inside != "").then(value)
        if node.clear:
            value = value.fill_null("null")
        return _Piece(key=key, value=value, plain=False, always=False)
    value, plain = _value(node)
    if node.clear and not plain:
        value = value.fill_null("null")
    always = node.clear or id(node) in full
    return _Piece(key=key, value=value, plain=plain, always=always)


def _value(leaf: Leaf) -> tuple[pl.Expr, bool]:
    """Return how a value is written: as a column the writer takes, or as JSON text."""
    if leaf.json:
        return leaf.values, False
    if leaf.text:
        return as_text(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone), True
    return _typed(leaf.values, leaf.dtype, timezone=leaf.timezone)


def _typed(values: pl.Expr, dtype: pl.DataType, *, timezone: str | None) -> tuple[pl.Expr, bool]:
    if dtype.is_float():
        # 3.0 is written as 3: a table read again, with a gap in its whole numbers, is the same
        return as_text(values, dtype=dtype), False
    if dtype.is_integer() or isinstance(dtype, pl.Decimal):
        return _digits(values, dtype)
    if isinstance(dtype, pl.Datetime):
        return iso(instant(values, dtype=dtype, timezone=timezone)), True
    if isinstance(dtype, pl.List | pl.Array):
        return _list(values, dtype, timezone=timezone)
    if isinstance(dtype, pl.Struct):
        return _object(values, dtype, timezone=timezone), False
    return as_text(values, dtype=dtype) if dtype != pl.Boolean else values, True


def _writable(leaf: Leaf) -> pl.Expr:
    """Return something that is null exactly where the written value is."""
    if leaf.dtype.is_float():
        return pl.when(leaf.values.is_finite()).then(leaf.values)
    if isinstance(leaf.dtype, pl.Datetime):
        return instant(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone)
    return leaf.values


def _digits(values: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, bool]:
    """Return numbers, as texts where a reader would lose digits of them."""
    if dtype in _SMALL_INTEGERS:
        return values, True
    text = values.cast(pl.String) if dtype.is_integer() else decimal_text(values)
    quoted = pl.concat_str(pl.lit('"'), text, pl.lit('"'))
    return pl.when(exact_as_double(values, dtype=dtype)).then(text).otherwise(quoted), False


def _list(
    values: pl.Expr, dtype: pl.List | pl.Array, *, timezone: str | None
) -> tuple[pl.Expr, bool]:
    items = values.arr.to_list() if isinstance(dtype, pl.Array) else values
    inner = instance_of(dtype.inner)
    item, plain = _typed(pl.element(), inner, timezone=timezone)
    if plain:
        return (items if inner in _AS_THEY_ARE else items.list.eval(item)), True
    written = items.list.eval(item.fill_null("null")).list.join(",")
    return pl.concat_str(pl.lit("["), written, pl.lit("]")), False


def _object(values: pl.Expr, dtype: pl.Struct, *, timezone: str | None) -> pl.Expr:
    branch = _fields(Leaf(values=values, dtype=dtype, timezone=timezone), dtype)
    text = pl.concat_str(pl.lit("{"), _members(branch, full=set()), pl.lit("}"))
    return pl.when(values.is_not_null()).then(text)


_SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
_AS_THEY_ARE = (pl.String, pl.Boolean, *_SMALL_INTEGERS)
