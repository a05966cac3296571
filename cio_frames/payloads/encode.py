"""Rows as messages: exactly the bytes that are sent, and the id of each message.

Keys are sorted, so the message id is in the middle of the message: the parts before and after it are
written first, the id is derived from both, and the three are concatenated.
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from typing import Any
from urllib.parse import quote

import polars as pl

from cio_frames.frames import ROW
from cio_frames.mapping import FieldMapping, MessageMapping
from cio_frames.mapping.identifiers import (
    is_written_as_text,
    lane_key,
    numbered,
    person_key,
    person_text,
    subjects,
    text_of,
)
from cio_frames.payloads.batches import LANES
from cio_frames.payloads.ids import ID_CHARACTERS, digest, ulids
from cio_frames.payloads.json import Branch, Leaf, Node, expand, members, size
from cio_frames.values import json_text

MESSAGE_SCHEMA = pl.Schema(
    {
        "row": pl.Int64,
        "person": pl.String,
        "lane": pl.Int32,
        "component": pl.UInt64,
        "path": pl.String,
        "message_id": pl.String,
        "payload_hash": pl.String,
        "content": pl.UInt64,
        "subjects": pl.String,
        "is_given": pl.Boolean,
        "bytes": pl.Int64,
        "message": pl.String,
    }
)
"""The columns of an encoded chunk. Rows with the same `component` are about one person; an id that
`is_given` cannot be replaced. `content` is the start of the digest of the message without its id;
`subjects` comes from `mapping.subjects`."""

HASH_CHARACTERS = 32
NOBODY = 0
"""The order key of all rows without an identifier, which keep their order among themselves."""
_LABEL = '"messageId":'
_TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)
_MAX_ENVELOPE_BYTES = len('{"messageId":"",}') + ID_CHARACTERS
_MAX_ESCAPED_BYTES = len(r"\u0000")
"""Maximum bytes that one byte of a text is written as."""
_MAX_NUMBER_BYTES = 400
"""Maximum bytes of a number or time; a large float is written with all its digits."""
_NOT_WRITTEN = ("messageId", "formId")


def encode(
    prepared: pl.DataFrame,
    mapping: MessageMapping,
    *,
    namespace: str = "",
    components: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one message per row: a frame of `MESSAGE_SCHEMA`, in the order of the rows.

    `components` has `key` and `component`, as numbered by `numbered`, of people who share one order.
    People who are missing there have an order of their own.
    """
    before, after = (members(part, frame=prepared) for part in _around_id(mapping))
    parts = prepared.select(
        pl.col(ROW).alias("row"),
        person_text(mapping).alias("person"),
        lane_key(mapping).alias("key"),
        subjects(mapping).alias("subjects"),
        *((person_key(mapping).alias("who"),) if mapping.call.name == "group" else ()),
        _time_ms(mapping).alias("time"),
        _argument_text(mapping, "message_id").alias("given"),
        _key_text(mapping, frame=prepared).alias("natural"),
        _argument_text(mapping, "form_id").fill_null("").alias("form"),
        before.alias("before"),
        after.alias("after"),
    )
    return _messages(parts, mapping=mapping, namespace=namespace, components=components)


def sizes(prepared: pl.DataFrame, mapping: MessageMapping) -> pl.DataFrame:
    """Return row and bytes of each message that `encode` would write, without writing it."""
    envelope = mapping.call.api.envelope
    before, after = (size(part, frame=prepared) for part in _around_id(mapping))
    total = 2 + before + after  # with the braces
    if envelope:
        given, derived = _argument_text(mapping, "message_id"), 2 + ID_CHARACTERS
        written = pl.when(given.is_not_null()).then(json_text(given).str.len_bytes())
        total += len(_LABEL) + 1 + (before > 0).cast(pl.Int64)  # with the commas
        total += written.cast(pl.Int64).fill_null(derived)
    return prepared.select(pl.col(ROW).alias("row"), total.alias("bytes"))


def max_message_bytes(prepared: pl.DataFrame, mapping: MessageMapping) -> int | None:
    """Return an upper bound of the bytes of each message of these rows; None if it cannot be computed."""
    key_bytes, texts, fixed = 0, [], _MAX_ENVELOPE_BYTES
    for path, leaf in _leaves(tree(mapping)):
        key_bytes += sum(_MAX_ESCAPED_BYTES * len(key.encode()) + len('"":{},') for key in path)
        if leaf.dtype in _TEXT_TYPES:
            texts.append(leaf.values.cast(pl.String).str.len_bytes().max())
        elif leaf.dtype.is_numeric() or leaf.dtype.is_temporal() or leaf.dtype == pl.Boolean:
            fixed += _MAX_NUMBER_BYTES
        else:
            return None
    longest = prepared.select(pl.lit(0), *(text.alias(f"{n}") for n, text in enumerate(texts))).row(
        0
    )
    return (
        fixed
        + key_bytes
        + sum(_MAX_ESCAPED_BYTES * (length or 0) + len('""') for length in longest)
    )


def _leaves(branch: Branch, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    for key, node in branch.members.items():
        if isinstance(node, Leaf):
            yield (*path, key), node
        else:
            yield from _leaves(node, (*path, key))


def contents(prepared: pl.DataFrame, mapping: MessageMapping) -> pl.Series:
    """Return the JSON of each message without its id. Derived ids differ if and only if these do."""
    before, after = (members(part, frame=prepared) for part in _around_id(mapping))
    written = prepared.select(ROW, before.alias("before"), after.alias("after"))  # maybe constants
    comma = pl.when((pl.col("before") != "") & (pl.col("after") != "")).then(pl.lit(","))
    parts = ("before", comma.otherwise(pl.lit("")), "after")
    return written.select(pl.concat_str(pl.lit("{"), *parts, pl.lit("}"))).to_series()


def tree(mapping: MessageMapping) -> Branch:
    """Return the message as a tree of columns, without its id."""
    root: dict[str, Any] = {}
    for field in mapping.fields:
        if field.path and field.path[0] not in _NOT_WRITTEN:
            _add_leaf(
                root, field, timezone=mapping.timezone, texts_only=mapping.call.api.texts_only
            )
    if mapping.call.api.envelope:
        root["type"] = Leaf(values=pl.lit(mapping.call.name), dtype=pl.String())
    expanded = expand(_branch(root))
    assert isinstance(expanded, Branch)  # noqa: S101 - a branch stays one
    return expanded


def _add_leaf(
    root: dict[str, Any], field: FieldMapping, *, timezone: str | None, texts_only: bool
) -> None:
    *parents, last = field.path
    for parent in parents:
        root = root.setdefault(parent, {})
    clear = field.nulls == "send"
    if field.is_time_field:
        root[last] = Leaf(values=pl.col(field.utc_column), dtype=pl.Datetime("ms", "UTC"))
        return
    root[last] = Leaf(
        values=pl.col(field.name),
        dtype=field.dtype,
        clear=clear,
        json=field.json,
        text=is_written_as_text(field, texts_only=texts_only),
        timezone=timezone,
    )


def _branch(members_by_key: MappingType[str, Any]) -> Branch:
    nodes: dict[str, Node] = {
        key: _branch(member) if isinstance(member, dict) else member
        for key, member in members_by_key.items()
    }
    return Branch(members=nodes)


def _around_id(mapping: MessageMapping) -> tuple[Branch, Branch]:
    """Return the parts before and after the message id; without an id, everything is in the second."""
    root, envelope = tree(mapping).members, mapping.call.api.envelope
    before = {key: node for key, node in root.items() if envelope and key < "messageId"}
    after = {key: node for key, node in root.items() if key not in before}
    return Branch(members=before), Branch(members=after)


def _messages(
    parts: pl.DataFrame,
    *,
    mapping: MessageMapping,
    namespace: str,
    components: pl.DataFrame | None,
) -> pl.DataFrame:
    domain = {"namespace": namespace, "call": mapping.call.name}
    digest_of_message = digest(pl.col("form"), pl.col("before"), pl.col("after"), **domain)
    hashed = parts.with_columns(digest_of_message.alias("digest"))
    source = hashed["digest"]
    if parts["natural"].null_count() < parts.height:
        by_key = hashed.select(pl.coalesce(digest(pl.col("natural"), **domain), "digest"))
        source = by_key.to_series()
    derived = ulids(source, times_ms=hashed["time"]).alias("derived")
    ready = hashed.with_columns(derived, *_lane_and_component(hashed, components, mapping=mapping))
    return ready.select(
        "row",
        "person",
        "lane",
        "component",
        _path_of(ready, mapping=mapping),
        pl.coalesce("given", "derived").alias("message_id"),
        _payload_hash(ready).alias("payload_hash"),
        pl.col("digest").str.head(16).str.to_integer(base=16, dtype=pl.UInt64).alias("content"),
        "subjects",
        pl.col("given").is_not_null().alias("is_given"),
        _message_text(ready, envelope=mapping.call.api.envelope).alias("message"),
    ).select(*MESSAGE_SCHEMA.names()[:-2], _SIZE, "message")


_SIZE = pl.col("message").str.len_bytes().cast(pl.Int64).alias("bytes")


def _payload_hash(parts: pl.DataFrame) -> pl.Expr:
    """Return the hash of each message, null where its id is derived from that hash."""
    own_ids = [name for name in ("given", "natural") if parts[name].null_count() < parts.height]
    if not own_ids:
        return pl.lit(None, pl.String)
    content = pl.col("digest").str.head(HASH_CHARACTERS)
    return pl.when(pl.any_horizontal(pl.col(name).is_not_null() for name in own_ids)).then(content)


def _message_text(parts: pl.DataFrame, *, envelope: bool) -> pl.Expr:
    if not envelope:
        return pl.concat_str(pl.lit("{"), "after", pl.lit("}"))
    quoted = pl.concat_str(pl.lit('"'), "derived", pl.lit('"'))
    if parts["given"].null_count() < parts.height:
        given = pl.col("given")
        quoted = pl.when(given.is_not_null()).then(json_text(given)).otherwise(quoted)
    comma = pl.when(pl.col("before") != "").then(pl.lit(",")).otherwise(pl.lit(""))
    return pl.concat_str(
        pl.lit("{"), "before", comma, pl.lit(_LABEL), quoted, pl.lit(","), "after", pl.lit("}")
    )


def _lane_and_component(
    parts: pl.DataFrame, components: pl.DataFrame | None, *, mapping: MessageMapping
) -> tuple[pl.Series, pl.Series]:
    """Return the lane of each row, and the component of its person."""
    keys = parts.select(order_key(pl.col("key"))).to_series()
    person = keys
    if mapping.call.name == "group":
        person = parts.select(order_key(pl.col("who"))).to_series()
    return lanes(keys, components), _component_of(person, components).alias("component")


def order_key(identifier: pl.Expr) -> pl.Expr:
    """Return the order key of a row: the number of its person; rows without an identifier share one."""
    return numbered(identifier).fill_null(NOBODY)


def lanes(keys: pl.Series, components: pl.DataFrame | None) -> pl.Series:
    """Return the lane of each row, from its order key."""
    return (_component_of(keys, components) % LANES).cast(pl.Int32).alias("lane")


def _component_of(keys: pl.Series, components: pl.DataFrame | None) -> pl.Series:
    if components is None:
        return keys
    joined = keys.to_frame("key").join(components, on="key", how="left", maintain_order="left")
    return joined.select(pl.coalesce("component", "key")).to_series()


def _path_of(parts: pl.DataFrame, *, mapping: MessageMapping) -> pl.Expr:
    if mapping.call.api.batch_path is not None:
        return pl.lit(mapping.call.api.batch_path).alias("path")
    forms = parts["form"].unique().to_list()
    paths = {form: mapping.call.path.format(form_id=quote(form, safe="")) for form in forms}
    return pl.col("form").replace_strict(paths, return_dtype=pl.String).alias("path")


def _argument_text(mapping: MessageMapping, argument: str) -> pl.Expr:
    field = mapping.find(argument)
    return pl.lit(None, pl.String) if field is None else text_of(field, mapping)


def _time_ms(mapping: MessageMapping) -> pl.Expr:
    field = mapping.find("timestamp")
    if field is None:
        return pl.lit(None, pl.Int64)
    return pl.col(field.utc_column).dt.epoch("ms")


def _key_text(mapping: MessageMapping, *, frame: pl.DataFrame) -> pl.Expr:
    """Return the key as text, null where a part of it is empty, since rows would share an id."""
    fields = [field for field in mapping.fields if field.role == "key"]
    if not fields:
        return pl.lit(None, pl.String)
    leaves: dict[str, Node] = {
        field.label: Leaf(values=pl.col(field.name), dtype=field.dtype, json=field.json)
        for field in fields
    }
    filled = pl.all_horizontal(pl.col(field.name).is_not_null() for field in fields)
    return pl.when(filled).then(members(Branch(members=leaves), frame=frame))
