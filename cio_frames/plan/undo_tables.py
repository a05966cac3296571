"""The steps of an undo as tables whose columns have one type each, as plans, and as files."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from cio_frames.checks import Checks
from cio_frames.errors import SavedPlanError
from cio_frames.frames import read
from cio_frames.identity.undo_steps import Steps, Values
from cio_frames.mapping import CallArguments, Nulls, resolve
from cio_frames.payloads.ids import digest, ulids
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spec import CALLS

EVENTS: Final = ("User Deleted", "Object Deleted", "Relationship Deleted")
"""The events that an undo sends; they act instead of being recorded (reference 3.6)."""
NOBODY: Final = "undo"
"""The anonymous id of the deletion of an object: the specification requires one, and nothing reads it (C24)."""
MOST_SETS: Final = 20
"""Up to this many different sets of attributes are cleared by one table each; beyond, one per attribute."""

_EXACT: Final = 2**53
_KEY: Final = "\0{}"
_SIMPLE: Final[Mapping[type, str]] = {bool: "truth", str: "text", float: "number"}


_GROUP: Final = ("group", "type")
_OBJECT: Final = ("objectId", "objectTypeId")
_FIELDS: Final = {
    "person": "user_id", "group": "group_id", "type": "object_type_id", "message_id": "message_id",
}  # fmt: skip


class UndoTable(NamedTuple):
    """One table of an undo, and how it becomes messages."""

    label: str
    call: str
    frame: pl.DataFrame
    arguments: CallArguments

    def pipeline(
        self, *, checks: Checks, frame: Any = None, clock: Callable[[], datetime]
    ) -> Pipeline:
        """Return the pipeline for this frame, or for one with the same content."""
        table = replace(read(self.frame if frame is None else frame), label=self.label)
        mapping = resolve(self.arguments, call=CALLS[self.call], schema=table.schema())
        return Pipeline(
            table=table, mapping=mapping, checks=checks, clock=clock, arguments=self.arguments
        )


Row = tuple[tuple[str, ...], Values]
"""The identifiers that a message is about, and its attributes."""


class Layer(NamedTuple):
    """A frame, its columns after the first ones, and what an empty cell means."""

    frame: pl.DataFrame
    names: list[str]
    nulls: Nulls


@dataclass(frozen=True, slots=True)
class _Maker:
    run_id: str

    def tables(self, steps: Steps) -> Iterator[UndoTable]:
        recreated, attributes, identifiers = (
            [((who,), values) for who, values in pairs]
            for pairs in (steps.people, steps.attributes, steps.identifiers)
        )
        objects = [((key.object_id, key.object_type), values) for key, values in steps.objects]
        related = [
            ((key.object_id, key.object_type, who), values)
            for key, who, values in steps.relationships
        ]
        relations = [(who, key.object_id, int(key.object_type)) for who, key in steps.unrelated]
        deleted = [(key.object_id, int(key.object_type)) for key in steps.deleted_objects]
        yield from self._states("people to create again", recreated, ("person",), "identify")
        yield from self._event(
            "relationships to remove", EVENTS[2], ("person", *_OBJECT), relations
        )
        yield from self._event("objects to delete", EVENTS[1], _OBJECT, deleted)
        yield from self._states("former attributes of objects", objects, _GROUP, "group")
        yield from self._states("former relationships", related, (*_GROUP, "person"), "group")
        yield from self._states("former attributes", attributes, ("person",), "identify")
        yield from self._event(
            "people to delete", EVENTS[0], ("person",), [(who,) for who in steps.deleted]
        )
        yield from self._states("former identifiers", identifiers, ("person",), "identify")

    def _event(
        self, label: str, event: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> Iterator[UndoTable]:
        if not rows:
            return
        frame = pl.DataFrame(rows, schema=list(names), orient="row")
        frame = self._with_ids(frame, label, name="message_id")
        who: Mapping[str, Any] = {"anonymous_id": pl.lit(NOBODY)}
        if "person" in names:
            who = {"user_id": "person"}
        fields = {"event": pl.lit(event), "message_id": "message_id", **who}
        body = {name: name for name in names if name != "person"}
        yield UndoTable(label, "track", frame, CallArguments(fields=fields, body=body))

    def _states(
        self, label: str, rows: Sequence[Row], names: Sequence[str], call: str
    ) -> Iterator[UndoTable]:
        """Yield tables that restore values, then those that clear them."""
        is_related = call == "group" and "person" in names
        for frame, body, nulls in layers(rows, names):
            key_columns = {name: _free(name, body) for name in (*names, "message_id")}
            keyed = frame.rename(
                dict(zip(frame.columns[: len(names)], key_columns.values(), strict=False))
            )
            with_ids = self._with_ids(keyed, label, name=key_columns["message_id"])
            fields = {_FIELDS[name]: column for name, column in key_columns.items()}
            columns = {name: name for name in body}
            yield UndoTable(label, call, with_ids, CallArguments(
                fields=fields, body={} if is_related else columns,
                relationship=columns if is_related else None, nulls=nulls, dots="keep",
            ))  # fmt: skip

    def _with_ids(self, frame: pl.DataFrame, label: str, *, name: str) -> pl.DataFrame:
        """Return rows with message ids that are the same in each undo of this run with the same content.

        So an undo that is sent twice is ignored the second time, also by Customer.io.
        """
        contents = frame.select(pl.struct(pl.all()).struct.json_encode().alias("content"))
        digests = contents.select(
            digest(pl.col("content"), namespace=f"undo {self.run_id}", call=label)
        )
        no_times = pl.Series([None], dtype=pl.Int64).new_from_index(0, frame.height)
        ids = ulids(digests.to_series(), times_ms=no_times)
        return frame.with_columns(ids.alias(name))


def tables(steps: Steps, *, run_id: str) -> list[UndoTable]:
    """Return the tables of an undo in the order in which they are sent."""
    return list(_Maker(run_id).tables(steps))


def layers(rows: Sequence[Row], keys: Sequence[str]) -> Iterator[Layer]:
    """Yield frames of rows, each column of one type: first those that restore values, then those that clear.

    Their first columns are `keys`. Values of the second most frequent type of an attribute are in a second
    frame, and so on. Rows without values are sent, too: a relationship may have none.

    Examples:
        >>> rows = [(("u1",), {"plan": "pro"}), (("u2",), {"plan": 7, "city": None})]
        >>> [(layer.frame.rows(), layer.nulls) for layer in layers(rows, ["person"])]
        [([('u1', 'pro')], 'omit'), ([('u2', 7)], 'omit'), ([('u2', None)], 'send')]
    """
    shapes = _shapes(rows)
    for number in range(max((len(of_name) for of_name in shapes.values()), default=0)):
        of_layer = {
            name: of_name[number] for name, of_name in shapes.items() if number < len(of_name)
        }
        yield _layer(rows, keys, of_layer)
    bare = [key for key, values in rows if not values]
    if bare:
        yield Layer(_keys(bare, keys), [], "omit")
    yield from _cleared(rows, keys)


def _shapes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the types of each attribute's values, the most frequent first."""
    counters: dict[str, Counter[str]] = {}
    for _, values in rows:
        for name, value in values.items():
            shape = None if value is None else _shape(value)
            if shape is not None:
                counters.setdefault(name, Counter())[shape] += 1
    return {
        name: [shape for shape, _ in counter.most_common()] for name, counter in counters.items()
    }


def _layer(rows: Sequence[Row], keys: Sequence[str], shapes: Mapping[str, str]) -> Layer:
    """Return the values that have these types."""
    columns: dict[str, list[Any]] = {name: [] for name in shapes}
    row_keys: list[tuple[str, ...]] = []
    for key, values in rows:
        own = {
            name: value
            for name, value in values.items()
            if value is not None and name in shapes and _shape(value) == shapes[name]
        }
        if own:
            row_keys.append(key)
            for name, column in columns.items():
                column.append(own.get(name))
    series = [pl.Series(name, column, strict=False) for name, column in columns.items()]
    return Layer(_keys(row_keys, keys).hstack(series), list(shapes), "omit")


def _cleared(rows: Sequence[Row], keys: Sequence[str]) -> Iterator[Layer]:
    """Yield frames of rows in which all attributes are cleared."""
    sets: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key, values in rows:
        cleared = tuple(sorted(name for name, value in values.items() if value is None))
        if cleared:
            sets.setdefault(cleared, []).append(key)
    if len(sets) > MOST_SETS:
        by_name: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for names, members in sets.items():
            for name in names:
                by_name.setdefault((name,), []).extend(members)
        sets = by_name
    for names, members in sets.items():
        frame = _keys(members, keys)
        nulls = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
        yield Layer(frame.hstack([nulls.alias(name) for name in names]), list(names), "send")


def _keys(rows: Sequence[tuple[str, ...]], keys: Sequence[str]) -> pl.DataFrame:
    """Return the first columns, under names that no attribute has."""
    schema = {_KEY.format(key): pl.String for key in keys}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shape(value: Any) -> str | None:
    """Return the type of a value in a column, None if no column can hold it unchanged.

    Examples:
        >>> _shape({"b": [1, 2], "a": "x"}), _shape([1, "x"]), _shape(2**60)
        ('{a:text,b:[whole]}', None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return "whole" if abs(value) <= _EXACT else None
    if isinstance(value, list):
        item_shapes = {_shape(item) for item in value}
        return (
            f"[{item_shapes.pop()}]" if len(item_shapes) == 1 and None not in item_shapes else None
        )
    if isinstance(value, dict):
        shapes = {name: _shape(value[name]) for name in sorted(value)}
        if not shapes or None in shapes.values():
            return None
        return "{" + ",".join(f"{name}:{shape}" for name, shape in shapes.items()) + "}"
    return _SIMPLE.get(type(value))


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name for a column that no attribute has."""
    while name in taken:
        name += "_"
    return name


def write_tables(tables: Iterable[UndoTable], directory: Path) -> list[Path]:
    """Write tables as Parquet files that only their owner can read, in the order of sending; return their paths.

    Raises:
        SavedPlanError: They cannot be written, or the directory has files of another undo.
    """
    paths = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number, table in enumerate(tables):
            path = directory / f"{number:02d} {table.label}.parquet".replace(" ", "-")
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                table.frame.write_parquet(file)
            paths.append(path)
    except FileExistsError:
        raise SavedPlanError(
            str(directory), problem="it has the tables of another undo",
            hint="Choose another directory.",
        ) from None  # fmt: skip
    except OSError as error:
        raise SavedPlanError(
            str(directory), problem=f"tables cannot be written ({error.strerror})",
            hint="Choose another directory.",
        ) from None  # fmt: skip
    return paths
