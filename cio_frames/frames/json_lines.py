"""Scan JSON Lines and JSON arrays of objects; every line is checked, so that no key or type is missed."""

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import escape
from typing import Any

import msgspec
import polars as pl

from cio_frames.errors import InputFileError
from cio_frames.frames import csv
from cio_frames.frames.column import Note
from cio_frames.frames.copies import copy
from cio_frames.frames.csv_layout import check_header
from cio_frames.frames.file_content import all_bytes, first_bytes, lines_after, opened
from cio_frames.frames.json_shape import Shape

CHECKED_LINES = 1_000
"""The number of lines whose values are checked one by one: at the start, and after an unexpected
value. All other lines only pass a decoder for the types found so far."""

ERRORS = ("error", "errors", "error_description")
ONE_OBJECT_MAX_BYTES = 64 << 20


class _DoubleKeyError(ValueError):
    """An object has a key twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _JsonLines:
    """A file with an object on each line.

    Attributes:
        path: The file.
        content: The path of what polars reads.
        unit: What messages call a line.
        is_one_of_several: Whether notes must name the file.
    """

    path: str
    content: str
    unit: str = "line"
    is_one_of_several: bool = False

    def place(self, number: int) -> str:
        """Return the name of a line in notes."""
        return f"{self.unit} {number:,}" + (f" of {self.path}" if self.is_one_of_several else "")


def scan(
    paths: Sequence[str], *, ids: Sequence[str], encoding: str
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return a lazy frame over the files, with the columns of all rows, and notes.

    Raises:
        InputFileError: If a file does not contain one object for each row.
    """
    files = [
        replace(_as_json_lines(path, encoding), is_one_of_several=len(paths) > 1) for path in paths
    ]
    shape = Shape()
    for file in files:
        _add_lines(file, shape)
    if not shape.fields:
        raise InputFileError(
            paths[0], problem="has no keys in its objects", hint="Export it again."
        )
    check_header(paths[0], list(shape.fields), hint="Rename one of the keys in the file.")
    for name in ids:
        if name not in shape.fields:
            raise csv.unknown_column(paths[0], name, list(shape.fields))
    texts = {name for name in ids if shape.fields[name].dtype() == pl.Int64}
    schema = {
        name: pl.String if name in texts else inner.dtype() for name, inner in shape.fields.items()
    }
    contents = [
        _rewritten(file, shape) if shape.needs_rewriting else file.content for file in files
    ]
    frame = pl.scan_ndjson(list(map(escape, contents)), schema=schema)
    return frame, tuple(shape.notes(paths[0]))


def _as_json_lines(path: str, encoding: str) -> _JsonLines:
    """Return a file as JSON Lines in UTF-8; any other file is copied."""
    head = first_bytes(path).decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if head.startswith("["):
        return _JsonLines(path=path, content=_copy_array(path, encoding), unit="item")
    if encoding == "utf-8" and not first_bytes(path).startswith(codecs.BOM_UTF8):
        return _JsonLines(path=path, content=path)
    text = _decoded(path, encoding).lstrip("\ufeff").encode()
    return _JsonLines(path=path, content=copy(_copy_name(path), lambda file: file.write(text)))


def _rewritten(file: _JsonLines, shape: Shape) -> str:
    """Return the path of a copy with text in the columns that became text."""
    lines = (
        msgspec.json.encode(shape.with_texts(msgspec.json.decode(line))) + b"\n"
        for line in lines_after(file.content, 0)
        if not line.isspace()
    )
    return copy(_copy_name(file.path), lambda copied: copied.writelines(lines))


def _copy_name(path: str) -> str:
    return f"{path.removesuffix('.gz')}.jsonl"


def _decoded(path: str, encoding: str) -> str:
    try:
        return all_bytes(path).decode(encoding)
    except UnicodeDecodeError:
        raise _error(path, "is not text in the encoding", "Pass encoding=.") from None


def _copy_array(path: str, encoding: str) -> str:
    """Return the path of a copy of an array with one item on each line."""
    text = _decoded(path, encoding).lstrip("\ufeff").encode()
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        hint = "Export it again. A file of several arrays or objects has each of them on a line."
        raise _error(path, f"is not one JSON array ({error})", hint) from None
    if not items:
        raise _error(path, "is an empty JSON array", "Export it again.")
    # JSON texts contain no raw line ends, so these are between values
    lines = (bytes(item).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n" for item in items)
    return copy(_copy_name(path), lambda file: file.writelines(lines))


def _add_lines(file: _JsonLines, shape: Shape) -> None:
    """Add the values of all lines of a file to the shape."""
    to_check, decoder, rows = CHECKED_LINES, None, 0
    for number, line in enumerate(lines_after(file.content, 0), 1):
        if line.isspace():
            continue
        rows += 1
        if not to_check and decoder is None:
            decoder = msgspec.json.Decoder(shape.decoder_type())
        if decoder is not None and _is_expected(line, decoder):
            continue
        to_check, decoder = (CHECKED_LINES if decoder else to_check) - 1, None
        shape.add(_object(file, line, number), file.place(number))
    if rows < 2:  # noqa: PLR2004 - one row may be an error message
        _require_table(file, rows, shape)


def _is_expected(line: bytes, decoder: msgspec.json.Decoder[Any]) -> bool:
    try:
        decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _require_table(file: _JsonLines, rows: int, shape: Shape) -> None:
    if not rows:
        raise _error(file.path, "is empty", "Export it again.")
    key = next((name for name in ERRORS if name in shape.fields), None)
    if key:
        raise _error(
            file.path,
            f"is one object with {key!r}, not a table: the answer of a server that did not export it",
            "Look at what it says, and export it again.",
        )


def _object(file: _JsonLines, line: bytes, number: int) -> dict[str, Any]:
    """Return the object on a line.

    Raises:
        InputFileError: The line is not an object, or has a key twice.
    """
    try:
        value = msgspec.json.decode(line)
        if isinstance(value, dict):
            json.loads(line, object_pairs_hook=_without_doubles)
            return value
    except _DoubleKeyError as error:
        raise _error(
            file.path,
            f"{file.unit} {number:,} has the key {error.args[0]!r} twice",
            "Remove one of them.",
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _line_error(file, line, number, error) from None
    raise _error(
        file.path,
        f"{file.unit} {number:,} is {_kind_words(value)}, not an object",
        "Each row must be an object with the names of its columns as keys.",
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DoubleKeyError(next(key for key in keys if keys.count(key) > 1))
    return members


def _kind_words(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _line_error(file: _JsonLines, line: bytes, number: int, error: Exception) -> InputFileError:
    """Return the error for a line, or for the complete file."""
    one_object = _one_object(file) if number == 1 else None
    if one_object is not None:
        lists = [key for key, value in one_object.items() if isinstance(value, list) and value]
        if lists:
            hint = f"Read that list: cio.frame(json.load(open(path))[{lists[0]!r}])."
            return _error(file.path, f"is one object with the list {lists[0]!r} in it", hint)
        return _error(
            file.path, "is one object over several lines, not a table", "Export it again."
        )
    if not _is_utf8(line):  # libraries report this in different ways
        return _error(
            file.path, f"{file.unit} {number:,} is not UTF-8", "Pass its encoding=, such as cp1252."
        )
    if isinstance(error, RecursionError):
        return _error(file.path, f"{file.unit} {number:,} is nested too deep", "Flatten it.")
    constant = next((word for word in (b"NaN", b"Infinity") if word in line), None)
    if constant:
        hint = f"JSON has no {constant.decode()}: write null, as pandas.DataFrame.to_json does."
    elif not line.endswith(b"\n"):
        hint = "It is the last one: the file may be cut off. Export it again."
    else:
        hint = (
            "Each line must be one object. For objects over several lines: jq -c . file > new.jsonl"
        )
    return _error(file.path, f"{file.unit} {number:,} is not JSON ({_reason(error)})", hint)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_object(file: _JsonLines) -> dict[str, Any] | None:
    if file.unit == "item":
        return None
    with opened(file.content) as content:
        text = content.read(ONE_OBJECT_MAX_BYTES)
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _reason(error: Exception) -> str:
    """Return the message of the decoder, which contains no values."""
    return str(error).removeprefix("JSON is malformed: ").rstrip(".")


def _error(path: str, problem: str, hint: str) -> InputFileError:
    return InputFileError(path, problem=problem, hint=hint)
