"""Types of Spark columns: which are supported, and how maps are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json import loads
from typing import TYPE_CHECKING, Any

from cio_frames.errors import ColumnTypeError
from cio_frames.frames.inference import STRUCT_KEYS_MAX

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SUPPORTED = frozenset(
    {
        "BinaryType", "BooleanType", "ByteType", "CharType", "DateType", "DayTimeIntervalType",
        "DecimalType", "DoubleType", "FloatType", "IntegerType", "LongType", "NullType", "ShortType",
        "StringType", "TimeType", "TimestampNTZType", "TimestampType", "VarcharType",
    }
)  # fmt: skip
"""The names of the classes of types of single values that Arrow has too."""

_TO_TEXT = "CAST({name} AS STRING) AS {name}"
_VECTOR = "pyspark.ml.functions.vector_to_array makes an array of a vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How columns are read, so that Arrow has no maps.

    Attributes:
        columns: An SQL expression for each column, in order.
        json: The columns that are read as JSON text.
    """

    columns: tuple[str, ...]
    json: frozenset[str]


def quoted(name: str) -> str:
    """Return a column's name quoted for SQL.

    Examples:
        >>> quoted("a`b")
        '`a``b`'
    """
    return f"`{name.replace('`', '``')}`"


def require_types(schema: Any) -> None:
    """Raise if the type of a column means nothing outside Spark; no row is read.

    Raises:
        ColumnTypeError: A column has such a type, or a map whose keys are not text.
    """
    for column in schema.fields:
        for kind in _within(column.dataType):
            _require(column.name, kind)


def _require(name: str, kind: Any) -> None:
    type_name = type(kind).__name__
    if type_name == "MapType":
        key = type(kind.keyType).__name__
        if key not in {"StringType", "CharType", "VarcharType"}:
            raise ColumnTypeError(
                name,
                problem=f"it has maps whose keys are {kind.keyType.simpleString()}, not text",
                hint=f"Cast the keys: CAST({quoted(name)} AS "
                f"{_with_text_keys(kind)}) AS {quoted(name)}.",
            )
    elif type_name not in SUPPORTED and type_name not in {"ArrayType", "StructType"}:
        is_own = any(base.__name__ == "UserDefinedType" for base in type(kind).__mro__)
        cast = _TO_TEXT.format(name=quoted(name))
        hint = f"Take its parts first: {_VECTOR}." if is_own else f"Select it as text: {cast}."
        raise ColumnTypeError(
            name, problem=f"its type {kind.simpleString()} is not supported", hint=hint
        )


def _with_text_keys(kind: Any) -> str:
    return f"MAP<STRING, {kind.valueType.simpleString().upper()}>"


def _within(kind: Any) -> Iterator[Any]:
    """Yield a type and all types in it."""
    yield kind
    for inner in _parts(kind):
        yield from _within(inner)


def _parts(kind: Any) -> Sequence[Any]:
    match type(kind).__name__:
        case "ArrayType":
            return (kind.elementType,)
        case "MapType":
            return (kind.keyType, kind.valueType)
        case "StructType":
            return tuple(field.dataType for field in kind.fields)
        case _:
            return ()


def has_maps(schema: Any) -> bool:
    """Return whether a column has maps, or structs without fields: `reading` changes these."""
    kinds = (kind for column in schema.fields for kind in _within(column.dataType))
    return any(
        type(kind).__name__ == "MapType"
        or (type(kind).__name__ == "StructType" and not kind.fields)
        for kind in kinds
    )


def has_required_fields(schema: Any) -> bool:
    """Return whether a column has structs with a field that cannot be null."""
    kinds = (kind for column in schema.fields for kind in _within(column.dataType))
    return any(
        not field.nullable
        for kind in kinds
        if type(kind).__name__ == "StructType"
        for field in kind.fields
    )


def nullable(schema: Any) -> Any:
    """Return a schema with the same columns, all of whose fields may be null."""
    text = schema.json().replace('"nullable":false', '"nullable":true')
    return type(schema).fromJson(loads(text))


def reading(frame: "DataFrame", *, of: "DataFrame") -> Reading:
    """Return how the columns of a frame are read, so that each chunk has the same types.

    A map becomes a struct of all its keys, as in any other table. If there are too many keys, or the map is
    part of another value, it becomes JSON.

    Args:
        frame: The user's frame.
        of: The same rows, which Spark keeps; their keys are read.
    """
    columns, json = [], set()
    for column in frame.schema.fields:
        name = quoted(column.name)
        kinds = [type(kind).__name__ for kind in _within(column.dataType)]
        is_empty = any(
            type(kind).__name__ == "StructType" and not kind.fields
            for kind in _within(column.dataType)
        )
        keys = _keys(of, name) if kinds[0] == "MapType" and kinds.count("MapType") == 1 else []
        if 0 < len(keys) <= STRUCT_KEYS_MAX and not is_empty:
            members = ", ".join(f"{text}, try_element_at({name}, {text})" for text in keys)
            columns.append(f"IF({name} IS NULL, NULL, named_struct({members})) AS {name}")
        elif "MapType" in kinds or is_empty:
            columns.append(f"to_json({name}) AS {name}")
            json.add(column.name)
        else:
            columns.append(name)
    return Reading(columns=tuple(columns), json=frozenset(json))


def _keys(rows: "DataFrame", name: str) -> list[str]:
    """Return the keys of a column of maps quoted for SQL, at most one more than a struct may have."""
    keys = (
        rows.selectExpr(f"explode(map_keys({name})) AS key").distinct().limit(STRUCT_KEYS_MAX + 1)
    )
    return [_text(row["key"]) for row in sorted(keys.collect())]


def _text(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
