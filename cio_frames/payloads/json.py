"""Columns as JSON text, written column by column: no Python object is made per row.

The JSON writer of polars is fast but writes nulls, so columns without nulls are written together and
every other column is a fragment of its own, left out where it is null. The bytes are the same either
way. Keys are sorted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

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
    present: pl.Expr | None = None  # where the object is written; if None, where any member is
    clear: bool = False  # whether null is written where the object is not present


Node = Leaf | Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    key: str
    value: pl.Expr  # the column, or its JSON text
    is_native: bool  # whether the JSON writer of polars can write the column
    is_always_written: bool  # whether no row leaves the member out


_TEXTS = pl.List(pl.String)
_TIME_BYTES = len('"2024-01-02T03:04:05.678Z"')
_FOUR_DIGITS = (datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""Between these, each written time has the same number of bytes."""
_ESCAPED = bytes(range(0x20)) + b'"\\\x7f'
"""Bytes that may be escaped; all others are written unchanged."""


def members(branch: Branch, *, frame: pl.DataFrame) -> pl.Expr:
    """Return the JSON text of an object's members without the braces, `""` where it has none."""
    leaves = list(_leaves(branch))
    flags = frame.select(
        *(_is_absent(leaf).any().alias(f"{number}") for number, leaf in enumerate(leaves))
    ).row(0) if leaves else ()  # fmt: skip
    always_present = {id(leaf) for leaf, absent in zip(leaves, flags, strict=True) if not absent}
    return _joined(_members_of(branch, always_present=always_present))


def size(branch: Branch, *, frame: pl.DataFrame) -> pl.Expr:
    """Return how many bytes `members` takes, writing only values whose length cannot be computed."""
    conditions = {
        id(leaf): condition
        for leaf in _leaves(branch)
        if (condition := _has_direct_length(leaf)) is not None
    }
    flags = frame.select(condition.alias(f"{leaf}") for leaf, condition in conditions.items())
    direct = {leaf for leaf in conditions if flags[f"{leaf}"].item()}
    return _members_size(branch, direct=direct)


def _has_direct_length(leaf: Leaf) -> pl.Expr | None:
    """Return an expression: whether the length of a column's JSON can be computed from its values."""
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


def _members_size(branch: Branch, *, direct: set[int]) -> pl.Expr:
    punctuation = len(":,")
    sizes = [
        _size(member, direct=direct)
        + (punctuation + len(json.dumps(key, ensure_ascii=False).encode()))
        for key, member in branch.members.items()
    ]
    return (pl.sum_horizontal(sizes) - 1).clip(0) if sizes else pl.lit(0, pl.Int64)


def _size(node: Node, *, direct: set[int]) -> pl.Expr:
    """Return how many bytes the value of a member takes; null where the member is left out."""
    if isinstance(node, Branch):
        members_bytes = _members_size(node, direct=direct)
        size: pl.Expr = pl.when(members_bytes > 0 if node.present is None else node.present).then(
            members_bytes + 2
        )
    elif id(node) in direct:
        size = _direct_size(node)
    elif node.dtype in _SMALL_INTEGERS and not node.text:
        size = node.values.cast(pl.String).str.len_bytes().cast(pl.Int64)
    else:
        value, is_native = _value(node)
        text = pl.when(value.is_not_null()).then(json_text(value)) if is_native else value
        size = text.str.len_bytes().cast(pl.Int64)
    return size.fill_null(len("null")) if node.clear else size


def _direct_size(leaf: Leaf) -> pl.Expr:
    if leaf.dtype == pl.String:
        return leaf.values.str.len_bytes().cast(pl.Int64) + 2
    if leaf.dtype == _TEXTS:
        item_bytes = pl.element().str.len_bytes().cast(pl.Int64) + len('"",')
        items = leaf.values.list.eval(item_bytes.fill_null(len("null,")))
        return (items.list.sum() - 1).clip(0) + 2
    is_written = instant(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone).is_not_null()
    return pl.when(is_written).then(pl.lit(_TIME_BYTES, pl.Int64))


def expand(node: Node) -> Node:
    """Return the node with a branch in place of each struct column."""
    if isinstance(node, Branch):
        expanded = {key: expand(member) for key, member in node.members.items()}
        return replace(node, members=expanded)
    if not isinstance(node.dtype, pl.Struct) or node.json or node.text:
        return node
    return _as_branch(node, node.dtype)


def _as_branch(leaf: Leaf, dtype: pl.Struct) -> Branch:
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


def _is_absent(leaf: Leaf) -> pl.Expr:
    return pl.lit(value=False) if leaf.clear else _null_where_absent(leaf).is_null()


def _members_of(branch: Branch, *, always_present: set[int]) -> list[_Member]:
    return [
        _member(key, branch.members[key], always_present=always_present)
        for key in sorted(branch.members)
    ]


def _joined(parts: Sequence[_Member]) -> pl.Expr:
    if not parts:
        return pl.lit("")
    return pl.concat_str(list(_fragments(parts)), separator=",", ignore_nulls=True)


def _fragments(parts: Sequence[_Member]) -> Iterator[pl.Expr]:
    """Yield the JSON text of the members; adjacent members are written together if possible."""
    groups = groupby(parts, key=lambda member: member.is_native and member.is_always_written)
    for is_together, group in groups:
        if is_together:
            yield _encoded_together(list(group))
        else:
            yield from map(_encoded_alone, group)


def _encoded_together(parts: Sequence[_Member]) -> pl.Expr:
    struct = pl.struct(member.value.alias(member.key) for member in parts)
    return struct.struct.json_encode().str.slice(1).str.head(-1)  # the braces, without a copy


def _encoded_alone(member: _Member) -> pl.Expr:
    if member.is_native:
        return pl.when(member.value.is_not_null()).then(_encoded_together([member]))
    return pl.concat_str(pl.lit(f"{json.dumps(member.key, ensure_ascii=False)}:"), member.value)


def _member(key: str, node: Node, *, always_present: set[int]) -> _Member:
    if isinstance(node, Branch):
        parts = _members_of(node, always_present=always_present)
        if parts and all(member.is_native and member.is_always_written for member in parts):
            struct = pl.struct(member.value.alias(member.key) for member in parts)
            return _Member(key=key, value=struct, is_native=True, is_always_written=True)
        text = _joined(parts)
        value: pl.Expr = pl.concat_str(pl.lit("{"), text, pl.lit("}"))
        if node.present is not None:
            value = pl.when(node.present).then(value)
        elif not any(member.is_always_written for member in parts):
            value = pl.when(text != "").then(value)
        if node.clear:
            value = value.fill_null("null")
        return _Member(key=key, value=value, is_native=False, is_always_written=False)
    value, is_native = _value(node)
    if node.clear and not is_native:
        value = value.fill_null("null")
    is_always_written = node.clear or id(node) in always_present
    return _Member(key=key, value=value, is_native=is_native, is_always_written=is_always_written)


def _value(leaf: Leaf) -> tuple[pl.Expr, bool]:
    """Return a value and whether the JSON writer of polars can write it; if not, it is JSON text."""
    if leaf.json:
        return leaf.values, False
    if leaf.text:
        return as_text(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone), True
    return _typed(leaf.values, leaf.dtype, timezone=leaf.timezone)


def _typed(values: pl.Expr, dtype: pl.DataType, *, timezone: str | None) -> tuple[pl.Expr, bool]:
    if dtype.is_float():
        # 3.0 is written as 3, as an empty cell in a column of integers turns it into floats
        return as_text(values, dtype=dtype), False
    if dtype.is_integer() or isinstance(dtype, pl.Decimal):
        return _number(values, dtype)
    if isinstance(dtype, pl.Datetime):
        return iso(instant(values, dtype=dtype, timezone=timezone)), True
    if isinstance(dtype, pl.List | pl.Array):
        return _list(values, dtype, timezone=timezone)
    if isinstance(dtype, pl.Struct):
        return _object_text(values, dtype, timezone=timezone), False
    return as_text(values, dtype=dtype) if dtype != pl.Boolean else values, True


def _null_where_absent(leaf: Leaf) -> pl.Expr:
    """Return an expression that is null exactly where the written value is null."""
    if leaf.dtype.is_float():
        return pl.when(leaf.values.is_finite()).then(leaf.values)
    if isinstance(leaf.dtype, pl.Datetime):
        return instant(leaf.values, dtype=leaf.dtype, timezone=leaf.timezone)
    return leaf.values


def _number(values: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, bool]:
    """Return numbers, as texts if a reader would lose digits of them."""
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
    item, is_native = _typed(pl.element(), inner, timezone=timezone)
    if is_native:
        return (items if inner in _NATIVE_ITEMS else items.list.eval(item)), True
    texts = items.list.eval(item.fill_null("null")).list.join(",")
    return pl.concat_str(pl.lit("["), texts, pl.lit("]")), False


def _object_text(values: pl.Expr, dtype: pl.Struct, *, timezone: str | None) -> pl.Expr:
    branch = _as_branch(Leaf(values=values, dtype=dtype, timezone=timezone), dtype)
    text = pl.concat_str(
        pl.lit("{"), _joined(_members_of(branch, always_present=set())), pl.lit("}")
    )
    return pl.when(values.is_not_null()).then(text)


_SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
_NATIVE_ITEMS = (pl.String, pl.Boolean, *_SMALL_INTEGERS)
