"""JSON Lines, and JSON arrays of objects: every line is looked at, so that no key and no type is missed."""

import codecs
import json
from collections.abc import Iterator, Sequence
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
from cio_frames.frames.file_content import all_bytes, first_bytes, lines_after
from cio_frames.frames.json_shape import Shape

LOOKED_AT = 1_000
"""Lines whose values are looked at one by one: the first ones, and those after a surprise. The
others only pass a decoder that knows what to expect."""

SPACE = b" \t\r\n"
ERRORS = ("error", "errors", "error_description")
WHOLE_MAX_BYTES = 64 << 20


class _DoubleKeyError(ValueError):
    """An object holds one key twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """A file with an object on each line: what the engine reads, and what a line of it is called."""

    path: str
    content: str
    unit: str = "line"
    several: bool = False

    def place(self, number: int) -> str:
        """Return what a line is called in notes."""
        return f"{self.unit} {number:,}" + (f" of {self.path}" if self.several else "")


def scan(
    paths: Sequence[str], *, ids: Sequence[str], encoding: str
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return a lazy frame over the files, its columns those of all rows, and what was chosen.

    Raises:
        InputFileError: If a file does not hold one object for each row.
    """
    files = [replace(_lines(path, encoding), several=len(paths) > 1) for path in paths]
    shape = Shape()
    for file in files:
        _look(file, shape)
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


def _lines(path: str, encoding: str) -> _Lines:
    """Return a file as JSON Lines in UTF-8, rewritten if it is anything else."""
    head = first_bytes(path).decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if head.startswith("["):
        return _Lines(path=path, content=_array(path, encoding), unit="item")
    if encoding == "utf-8" and not first_bytes(path).startswith(codecs.BOM_UTF8):
        return _Lines(path=path, content=path)
    text = _decoded(path, encoding).lstrip("\ufeff").encode()
    return _Lines(path=path, content=copy(_plain_name(path), lambda file: file.write(text)))


def _rewritten(file: _Lines, shape: Shape) -> str:
    """Return the path of a copy in which values of columns that became text are text."""
    lines = (
        msgspec.json.encode(shape.written(msgspec.json.decode(line))) + b"\n"
        for line in lines_after(file.content, 0)
        if not line.isspace()
    )
    return copy(_plain_name(file.path), lambda copied: copied.writelines(lines))


def _plain_name(path: str) -> str:
    return f"{path.removesuffix('.gz')}.jsonl"


def _decoded(path: str, encoding: str) -> str:
    try:
        return all_bytes(path).decode(encoding)
    except UnicodeDecodeError:
        raise _fault(path, "is not text in the encoding", "Pass encoding=.") from None


def _array(path: str, encoding: str) -> str:
    """Return the path of a copy of an array, an item a line; line ends in JSON are no part of texts."""
    text = _decoded(path, encoding).lstrip("\ufeff").encode()
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        hint = "Export it again. A file of several arrays or objects has each of them on a line."
        raise _fault(path, f"is not one JSON array ({error})", hint) from None
    if not items:
        raise _fault(path, "is an empty JSON array", "Export it again.")
    lines = (bytes(item).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n" for item in items)
    return copy(_plain_name(path), lambda file: file.writelines(lines))


def _look(file: _Lines, shape: Shape) -> None:
    """Take all lines of a file into account."""
    left, decoder, rows = LOOKED_AT, None, 0
    for number, line in enumerate(lines_after(file.content, 0), 1):
        if line.isspace():
            continue
        rows += 1
        if not left and decoder is None:
            decoder = msgspec.json.Decoder(shape.decoder_type())
        if decoder is not None and _is_expected(line, decoder):
            continue
        left, decoder = (LOOKED_AT if decoder else left) - 1, None
        shape.see(_object(file, line, number), file.place(number))
    if rows < 2:  # noqa: PLR2004 - a table of one row may be none
        _require_table(file, rows, shape)


def _is_expected(line: bytes, decoder: msgspec.json.Decoder[Any]) -> bool:
    try:
        decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _require_table(file: _Lines, rows: int, shape: Shape) -> None:
    if not rows:
        raise _fault(file.path, "is empty", "Export it again.")
    found = next((name for name in ERRORS if name in shape.fields), None)
    if found:
        raise _fault(
            file.path,
            f"is one object with {found!r}, not a table: the answer of a server that did not export it",
            "Look at what it says, and export it again.",
        )


def _object(file: _Lines, line: bytes, number: int) -> dict[str, Any]:
    """Return the object on a line.

    Raises:
        InputFileError: The line is not one, or holds a key twice.
    """
    try:
        value = msgspec.json.decode(line)
        if isinstance(value, dict):
            json.loads(line, object_pairs_hook=_unique)
            return value
    except _DoubleKeyError as error:
        raise _fault(
            file.path,
            f"{file.unit} {number:,} has the key {error.args[0]!r} twice",
            "Take one of them out: which one is meant cannot be guessed.",
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _line_fault(file, line, number, error) from None
    raise _fault(
        file.path,
        f"{file.unit} {number:,} is {_named(value)}, not an object",
        "Each row must be an object with the names of its columns as keys.",
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DoubleKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _named(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _line_fault(file: _Lines, line: bytes, number: int, error: Exception) -> InputFileError:
    """Return what is wrong with a line, or with the file as a whole."""
    whole = _one_object(file) if number == 1 else None
    if whole is not None:
        lists = [key for key, value in whole.items() if isinstance(value, list) and value]
        if lists:
            hint = f"Read that list: cio.frame(json.load(open(path))[{lists[0]!r}])."
            return _fault(file.path, f"is one object with the list {lists[0]!r} in it", hint)
        return _fault(
            file.path, "is one object over several lines, not a table", "Export it again."
        )
    if not _is_utf8(line):  # libraries say so in ways of their own
        return _fault(
            file.path, f"{file.unit} {number:,} is not UTF-8", "Pass its encoding=, such as cp1252."
        )
    if isinstance(error, RecursionError):
        return _fault(file.path, f"{file.unit} {number:,} is nested too deep", "Flatten it.")
    odd = next((word for word in (b"NaN", b"Infinity") if word in line), None)
    if odd:
        hint = f"JSON has no {odd.decode()}: write null, as pandas.DataFrame.to_json does."
    elif not line.endswith(b"\n"):
        hint = "It is the last one: the file may be cut off. Export it again."
    else:
        hint = (
            "Each line must be one object. For objects over several lines: jq -c . file > new.jsonl"
        )
    return _fault(file.path, f"{file.unit} {number:,} is not JSON ({_reason(error)})", hint)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_object(file: _Lines) -> dict[str, Any] | None:
    if file.unit == "item":
        return None
    text = b"".join(_up_to(lines_after(file.content, 0), WHOLE_MAX_BYTES))
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _up_to(lines: Iterator[bytes], most: int) -> Iterator[bytes]:
    for line in lines:
        if most < 0:
            return
        most -= len(line)
        yield line


def _reason(error: Exception) -> str:
    """Return what the decoder says, which holds no values."""
    return str(error).removeprefix("JSON is malformed: ").rstrip(".")


def _fault(path: str, problem: str, hint: str) -> InputFileError:
    return InputFileError(path, problem=problem, hint=hint)
