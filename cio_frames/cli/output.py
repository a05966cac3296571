"""The output of commands: standard output, standard error, and files."""

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

_SUFFIXES = (".csv", ".parquet")


def echo(*blocks: str) -> None:
    """Write blocks of text to standard output, an empty line after each."""
    _write(sys.stdout, text.page(blocks) + "\n\n")


def echo_json(value: Any) -> None:
    """Write values to standard output as JSON, in any encoding."""
    _write(sys.stdout, text.json_text(as_json(value)) + "\n\n")


def echo_html(html: str) -> None:
    """Write HTML to standard output, with references for all characters outside ASCII."""
    _write(sys.stdout, html.encode("ascii", "xmlcharrefreplace").decode() + "\n\n")


def prompt(question: str, *, stream: TextIO) -> None:
    """Write a question; the answer follows on the same line."""
    with writing_to(output_of(stream)):
        _write(stream, text.block(question, indent="") + " ")


def echo_error(message: str) -> None:
    """Write a message to standard error."""
    with writing_to(output_of(sys.stderr)):
        _write(sys.stderr, text.block(f"cio-frames: {message}", indent="") + "\n")


def as_json(value: Any) -> str:
    """Return values as indented JSON.

    Examples:
        >>> print(as_json({"rows": 2}))
        {
          "rows": 2
        }
    """
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def write_file(path: Path, content: str) -> None:
    """Write text to a file that the user named.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def write_rows(path: Path, rows: pl.DataFrame) -> None:
    """Write a table to a Parquet file, or to a CSV file that is safe to open in a spreadsheet.

    Raises:
        UsageError: It cannot be written, or has another extension.
    """
    require_table_suffix((path,))
    try:
        if path.suffix == ".parquet":
            rows.write_parquet(path)
        else:
            write_csv(rows, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def require_table_suffix(paths: Sequence[Path | None]) -> None:
    """Raise if a table cannot be written under one of these names, before any work is done.

    Raises:
        UsageError: A name ends in neither .csv nor .parquet.
    """
    for path in paths:
        if path is not None and path.suffix not in _SUFFIXES:
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
        # The reader has closed the pipe. Buffered output would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
