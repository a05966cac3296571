"""Where a command's words go: standard output, standard error, and files."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec
import polars as pl

from cio_frames.audit import write_csv
from cio_frames.errors import UsageError
from cio_frames.views import text
from cio_frames.views.environment import output_of, writing_to

_WRITTEN = (".csv", ".parquet")


def say(*blocks: str) -> None:
    """Write blocks of text to standard output, an empty line after each."""
    _write(sys.stdout, text.page(blocks) + "\n\n")


def say_json(value: Any) -> None:
    """Write plain values to standard output, as JSON whatever characters it takes."""
    _write(sys.stdout, text.json_text(as_json(value)) + "\n\n")


def say_html(html: str) -> None:
    """Write HTML to standard output, as references where it takes no other characters."""
    _write(sys.stdout, html.encode("ascii", "xmlcharrefreplace").decode() + "\n\n")


def ask(question: str, *, stream: TextIO) -> None:
    """Write a question, after which the answer stands on the same line."""
    with writing_to(output_of(stream)):
        _write(stream, text.block(question, indent="") + " ")


def complain(message: str) -> None:
    """Write a message to standard error."""
    with writing_to(output_of(sys.stderr)):
        _write(sys.stderr, text.block(f"cio-frames: {message}", indent="") + "\n")


def as_json(value: Any) -> str:
    """Return plain values as JSON that people can read.

    Examples:
        >>> print(as_json({"rows": 2}))
        {
          "rows": 2
        }
    """
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def put(path: Path, content: str) -> None:
    """Write text to a file that the user named.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def put_rows(path: Path, rows: pl.DataFrame) -> None:
    """Write a table to a Parquet file, or to a CSV file that is safe to open in a spreadsheet.

    Raises:
        UsageError: It cannot be written, or its name says neither.
    """
    require_written((path,))
    try:
        if path.suffix == ".parquet":
            rows.write_parquet(path)
        else:
            write_csv(rows, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def require_written(paths: Sequence[Path | None]) -> None:
    """Make sure that tables can be written under these names, before any work is done.

    Raises:
        UsageError: A name ends in neither .csv nor .parquet.
    """
    for path in paths:
        if path is not None and path.suffix not in _WRITTEN:
            raise UsageError(
                f"{path}: tables can be written as .csv or .parquet. Use one of these extensions."
            )


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: cannot be written ({error.strerror or error}). Choose another file."
    )


def _write(stream: TextIO, words: str) -> None:
    try:
        text.write(stream, words)
    except BrokenPipeError:
        # Whoever read has enough. What is still buffered would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
