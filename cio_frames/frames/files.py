"""Scan files as lazy frames: check what they are, and that they are complete."""

import codecs
import json
import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from os import PathLike, fspath
from pathlib import Path

import polars as pl

from cio_frames.errors import ChoiceError, InputFileError
from cio_frames.frames import csv, excel, ipc, json_lines, parquet
from cio_frames.frames.column import Note
from cio_frames.frames.copies import errors_with_names, notes_with_names, unpack
from cio_frames.frames.csv_layout import CsvOptions
from cio_frames.frames.csv_records import DIALECTS, Dialect
from cio_frames.frames.csv_start import StartOptions
from cio_frames.frames.file_content import FileStamp, first_bytes, refuse_bomb
from cio_frames.frames.remote import (
    Remote,
    RemoteStamp,
    download,
    is_address,
    is_bucket,
    list_objects,
    without_credentials,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanMetadata:
    """What is known of a frame that `scan` returned.

    Attributes:
        label: Its name in reports.
        notes: What was chosen.
        files: The stamps of its files.
        pieces: The same rows, in order, in frames that can be read one by one; empty if polars
            streams the frame itself.
    """

    label: str = "polars lazy frame"
    notes: tuple[Note, ...] = ()
    files: tuple[FileStamp | RemoteStamp, ...] = ()
    pieces: tuple[pl.LazyFrame, ...] = ()


_METADATA: dict[int, ScanMetadata] = {}
_UNKNOWN = ScanMetadata()


def attach_metadata(frame: pl.LazyFrame, metadata: ScanMetadata) -> pl.LazyFrame:
    """Attach metadata to a frame until it is garbage collected.

    A lazy frame has no place for metadata and cannot be a dictionary key, hence its id.
    """
    _METADATA[id(frame)] = metadata
    weakref.finalize(frame, _METADATA.pop, id(frame), None)
    return frame


def metadata_of(frame: pl.LazyFrame) -> ScanMetadata:
    """Return the metadata of a frame; defaults if `scan` did not return it."""
    return _METADATA.get(id(frame), _UNKNOWN)


Source = str | PathLike[str]

KINDS: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".arrows": "ipc",
}

KIND_NAMES: Mapping[str, str] = {
    "csv": "a CSV file",
    "parquet": "a Parquet file",
    "json": "a JSON file",
    "excel": "a workbook",
    "ipc": "an Arrow file",
}

MAGIC_BYTES: Mapping[str, tuple[bytes, ...]] = {
    "parquet": (b"PAR1",),
    "excel": (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"),
    "ipc": (b"ARROW1", b"\xff\xff\xff\xff"),
}
"""The first bytes of all files of a kind."""

NO_PICKLES = "Pickles run code when read: save the frame as Parquet."

WRONG_CONTENT: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "is a Parquet file", "Rename it to .parquet."),
    (b"PARE", "is an encrypted Parquet file", "Decrypt it first."),
    (b"PK\x03\x04", "is a ZIP or Excel file", "Rename it to .zip, .xlsx or .ods."),
    (b"ARROW1", "is an Arrow or Feather file", "Rename it to .arrow."),
    (
        b"FEA1",
        "is a Feather file of version 1",
        "Write it again, with pandas.DataFrame.to_feather.",
    ),
    *((bytes((0x80, version)), "is a pickle", NO_PICKLES) for version in range(2, 6)),
    (b"%PDF-", "is a PDF file", "Export the table itself, as CSV (UTF-8)."),
    (b"{\\rtf", "is a word processor document", "Save it as plain text, or export it as CSV."),
    (
        b"\xd0\xcf\x11\xe0",
        "is an Excel file",
        "Rename it to .xls, or to .xlsx if it has a password.",
    ),
    (b"BZh", "is compressed with bzip2", "Unpack it, or use gzip."),
    (b"\xfd7zXZ", "is compressed with xz", "Unpack it, or use gzip."),
    (b"7z\xbc\xaf", "is a 7-Zip archive", "Unpack it, or use gzip."),
    (b"SQLite format 3", "is a SQLite database", "Query it with polars.read_database(...).cio."),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "Unpack it, or use gzip."),
    (b"\xff\xfe", "is UTF-16 text", 'Pass encoding="utf-16".'),
    (b"\xfe\xff", "is UTF-16 text", 'Pass encoding="utf-16".'),
)

HTML = re.compile(
    rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body|table|script|meta)\b",
    re.IGNORECASE | re.DOTALL,
)
XML = re.compile(rb"\s*<(?:\?xml\s|Error>)")
JSON = re.compile(rb"\s*(?:\{\s*(?:\"|\})|\[\s*(?:[\[{]|\]\s*\Z))")
ERROR_KEYS = (
    "error",
    "errors",
    "message",
    "error_description",
    "detail",
    "title",
    "meta",
    "status",
    "code",
)

UTF_16 = (b"\xff\xfe", b"\xfe\xff")

REFUSED: Mapping[str, str] = {".pkl": NO_PICKLES, ".pickle": NO_PICKLES}


def scan(
    source: Source | Sequence[Source],
    *,
    ids: Sequence[str] = (),
    types: Mapping[str, csv.Dtype] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    dialect: Dialect | None = None,
    header: int | None = None,
    skip_rows: int | None = None,
    columns: Sequence[str] | None = None,
    comment: str | None = None,
    sheet: str | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> pl.LazyFrame:
    """Scan CSV, JSON, Parquet, Arrow or Excel files as a lazy frame, and check all of them now.

    A CSV file is read once here, to find types that fit all rows; its rows are not kept. A column
    becomes numbers or booleans only if that loses nothing: `007`, `1E5`, integers of more than 18
    digits and decimals of more than 15 stay text. So do decimals if a zero at the end may have a
    meaning (`3.1` beside `3.10`); if all have the same number of places (`9.90`, `10.00`), they are
    numbers. Dates and times stay text. Columns that look like identifiers stay text, whatever they
    contain: names that the API spec lists for an identifier, names that contain zip, postal,
    postcode, phone, mobile or iban, and names that end in id, ids, uid, uuid, guid, key, code,
    number, no, nr, sku, ean, isbn, ref, reference, account, token or version. Only an empty cell is
    missing, in quotes (`""`) or not; `NA` and `None` are text. Completely empty rows are skipped.

    Every quote is checked. If one is neither around a value nor doubled inside one, the file is read
    by Python's csv module, with quotes escaped by a backslash if it has any, or refused with the
    line. The beginning and end of the table are recognised: lines before the header, a header of two
    or three rows, no header, a row of units, the header repeated among the rows, totals and closing
    lines. A note names each of them, with its line.

    A Parquet file is read piece by piece, however large its row groups are, so that memory stays
    flat; frames derived from this one are read by polars, which decodes whole row groups.

    JSON Lines, and arrays of objects (`.jsonl`, `.ndjson`, `.json`), are checked line by line: a key
    that only the last line has is a column, and values of several types in one place become text,
    with a note. Objects inside rows are structs; `frame.unnest("properties")` makes them columns.

    One sheet of a workbook is read, and its table is recognised as in a CSV file. Whole numbers
    become integers, and days become dates. Cells with errors such as `#N/A` are empty, with a note.

    Files in buckets and on the web are read from a copy in a folder of this process; Parquet files
    in buckets are read in place. Passwords and queries in addresses never appear in messages.

    A file must not change while its frame is in use: what is sent is what was checked. Reading a
    file whose size or modification time has changed raises InputFileError.

    What was chosen (separator, text columns, short rows) becomes the notes of the table when exactly
    this frame is read; frames derived from it have no such notes.

    Args:
        source: A path, a glob, or a list of them: `.csv`, `.tsv`, `.txt`, `.jsonl`, `.ndjson`,
            `.json` (each also `.gz`), `.parquet`, `.arrow`, `.feather`, `.xlsx`, `.xls`, `.ods`, or a
            `.zip` with one of them in it; at an `s3://`, `gs://`, `az://` or `https://` address too.
            The files must have the same columns, except JSON.
        ids: More columns to read as text; of files that have types, integers only.
        types: Types for CSV columns, instead of those found: numbers, booleans or text.
        separator: Separator of a CSV; without it `,` `;` tab and `|` are tried.
        encoding: Encoding of a CSV. Anything but UTF-8 is converted in memory.
        dialect: How a CSV writes a quote inside a quoted value: twice (`"rfc4180"`) or after a backslash
            (`"backslash"`); found without it. Files of the second kind are converted in memory.
        header: How many rows of a CSV contain the column names; False or 0 if none does.
        skip_rows: How many lines of a CSV are before its header.
        columns: Names for all columns of a CSV, instead of those of its header. This, `header` and
            `skip_rows` apply to a workbook too.
        comment: What lines to skip in a CSV begin with, such as `#`.
        sheet: The name of the sheet of a workbook; only needed if several have cells.
        storage_options: How to access a bucket, as polars takes it; without it the environment is
            used (`AWS_ACCESS_KEY_ID` ...).

    Returns:
        A lazy frame over all rows of all files, in the order of their sorted names.

    Raises:
        InputFileError: If a file is missing, empty, cut off, of another kind than its name says,
            or does not contain one table.
        MissingLibraryError: If it needs an extra: `cio-frames[excel]`, `cio-frames[cloud]`.

    Examples:
        >>> scan("no/such/file-*.csv")
        Traceback (most recent call last):
        ...
        cio_frames.errors.InputFileError: no/such/file-*.csv: no such file. Check the path; relative paths start at the working directory.
    """
    _check_options(header=header, skip_rows=skip_rows, dialect=dialect, comment=comment)
    files = _files(source, storage_options)
    names = {file.path: file.name for file in files if file.path != file.name}
    start = StartOptions(
        header=None if header is None else int(header),
        skip_rows=skip_rows,
        columns=None if columns is None else tuple(columns),
    )
    with errors_with_names(names):
        csv_options = CsvOptions(
            encoding=_encoding_name(files[0].path, encoding),
            separator=separator,
            dialect=dialect,
            comment=comment,
            start=start,
        )
        frame, notes, pieces = _read(
            files, ids=ids, types=types or {}, sheet=sheet, csv_options=csv_options
        )
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    metadata = ScanMetadata(
        label=f"{Path(files[0].name).name}{more}",
        notes=notes_with_names(notes, names),
        files=tuple(file.stamp for file in files if file.stamp),
        pieces=pieces,
    )
    return attach_metadata(frame, metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file to read.

    Attributes:
        path: The path or address to read: its own, or that of a copy.
        name: Its name in messages.
        stamp: Shows whether it has changed; None for a copy.
        remote: The object in a bucket, if it is read in place.
    """

    path: str
    name: str
    stamp: FileStamp | RemoteStamp | None = None
    remote: Remote | None = None


def _files(
    source: Source | Sequence[Source], options: Mapping[str, str] | None
) -> tuple[_File, ...]:
    if not isinstance(source, str | PathLike):
        files = tuple(file for item in source for file in _files(item, options))
        if not files:
            raise InputFileError("[]", problem="no file was named", hint="Pass at least one path.")
        return files
    text = fspath(source)
    if not is_address(text):
        return tuple(
            _File(path=_unzip(path), name=path, stamp=FileStamp.of(path)) for path in _paths(text)
        )
    if not is_bucket(text):
        return (_File(path=_unzip(download(text)), name=without_credentials(text)),)
    return tuple(map(_bucket_file, list_objects(text, options)))


def _bucket_file(remote: Remote) -> _File:
    """Return an object of a bucket as a file: Parquet files are read in place, all others are copied."""
    if _kind_of(remote.url) == "parquet":
        return _File(path=remote.url, name=remote.url, stamp=remote.stamp(), remote=remote)
    return _File(path=_unzip(remote.download()), name=remote.url)


def _unzip(path: str) -> str:
    return unpack(path) if path.lower().endswith(".zip") else path


_Read = tuple[pl.LazyFrame, tuple[Note, ...], tuple[pl.LazyFrame, ...]]


def _read(
    files: Sequence[_File],
    *,
    ids: Sequence[str],
    types: Mapping[str, csv.Dtype],
    sheet: str | None,
    csv_options: CsvOptions,
) -> _Read:
    """Return a lazy frame over files of one kind, notes, and the frame in pieces."""
    paths = [file.path for file in files]
    kind = _common_kind(paths)
    for file in files:
        if file.remote is None:
            _check_first_bytes(file.path, kind, csv_options.encoding)
    _check_applies(paths[0], kind, types=types, sheet=sheet)
    match kind:
        case "parquet":
            remotes = {file.path: file.remote for file in files if file.remote}
            frame, pieces = parquet.scan(paths, ids=ids, remotes=remotes)
            return frame, (), pieces
        case "ipc":
            return ipc.scan(paths, ids=ids), (), ()
        case "json":
            return *json_lines.scan(paths, ids=ids, encoding=csv_options.encoding), ()
        case "excel":
            return *excel.scan(paths, ids=ids, sheet=sheet, options=csv_options.start), ()
    return *csv.scan(paths, ids=ids, types=dict(types), options=csv_options), ()


def _check_applies(
    path: str, kind: str, *, types: Mapping[str, csv.Dtype], sheet: str | None
) -> None:
    """Raise if an argument does not apply to files of a kind."""
    if types and kind != "csv":
        raise InputFileError(
            path,
            problem=f"is {KIND_NAMES[kind]}, which has types of its own: types= does not apply",
            hint="Use cio.scan(path).cast({...}).",
        )
    if sheet is not None and kind != "excel":
        raise InputFileError(
            path, problem="is not a workbook, so sheet= does not apply", hint="Leave it out."
        )


def _common_kind(paths: Sequence[str]) -> str:
    kinds = {path: _kind_of(path) for path in paths}
    first = kinds[paths[0]]
    other = next((path for path in paths if kinds[path] != first), None)
    if other is not None:
        raise InputFileError(
            other,
            problem=f"is {KIND_NAMES[kinds[other]]}, but {paths[0]} is {KIND_NAMES[first]}",
            hint="Scan files of one kind at a time.",
        )
    return first


def _check_options(
    *, header: int | None, skip_rows: int | None, dialect: str | None, comment: str | None
) -> None:
    if dialect is not None:
        ChoiceError.require("dialect", dialect, DIALECTS)
    for name, value in (("header", header), ("skip_rows", skip_rows)):
        if value is not None and value < 0:
            raise ChoiceError(name, value, choices=("0", "1", "2"))
    if comment == "":
        raise ChoiceError("comment", comment, choices=("#", "//"))


def _encoding_name(path: str, encoding: str) -> str:
    """Return the usual name of an encoding."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise InputFileError(
            path,
            problem=f"{encoding!r} is not an encoding",
            hint='Try "utf-8", "cp1252" or "utf-16".',
        ) from None


def _paths(text: str) -> list[str]:
    if Path(text).is_dir():
        raise InputFileError(
            text, problem="is a directory", hint=f"Pass the files, as in {text.rstrip('/')}/*.csv."
        )
    if Path(text).is_file():
        return [text]
    matches = sorted(path for path in glob(text, recursive=True) if Path(path).is_file())  # noqa: PTH207 - takes absolute patterns
    if not matches:
        raise InputFileError(
            text,
            problem="no such file",
            hint="Check the path; relative paths start at the working directory.",
        )
    return matches


def _kind_of(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    if last not in KINDS:
        raise InputFileError(
            path,
            problem=f"files of this kind ({last or 'no extension'}) are not scanned",
            hint=REFUSED.get(
                last,
                "If it is a table, rename it to .csv, .tsv, .jsonl, .json, .xlsx, .arrow or .parquet.",
            ),
        )
    return KINDS[last]


def _check_first_bytes(path: str, kind: str, encoding: str) -> None:
    """Check that the first bytes of a file match its name."""
    head = first_bytes(path)
    if not head:
        raise InputFileError(path, problem="is empty", hint="Export it again.")
    if head.startswith(MAGIC_BYTES.get(kind, ())):
        refuse_bomb(path)
        return
    for magic, problem, hint in WRONG_CONTENT:
        if head.startswith(magic) and not (magic in UTF_16 and encoding.startswith("utf-16")):
            raise InputFileError(path, problem=problem, hint=hint)
    text = head.removeprefix(codecs.BOM_UTF8)
    _refuse_markup(path, text)
    if kind == "csv" and JSON.match(text):
        raise _json_error(path, text)
    if kind in MAGIC_BYTES:
        raise InputFileError(
            path,
            problem=f"is not {KIND_NAMES[kind]}",
            hint="Rename it to match its content, or write it again.",
        )
    if encoding.startswith("utf-8") and head.count(0) * 4 > len(head):
        raise InputFileError(
            path, problem="is not text", hint='If it is UTF-16, pass encoding="utf-16-le".'
        )
    refuse_bomb(path)


def _refuse_markup(path: str, head: bytes) -> None:
    """Raise if a file is a web page or an XML document."""
    if HTML.match(head):
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        named = f" ({title[1].decode(errors='replace').strip()!r})" if title else ""
        raise InputFileError(
            path,
            problem=f"is an HTML page{named}, not a table",
            hint="Open it in a browser: it may be a login page or an error page. "
            "If it shows the table, pandas.read_html(path)[0].cio reads it.",
        )
    if XML.match(head):
        raise InputFileError(
            path, problem="is an XML document, not a table", hint="Export it as CSV (UTF-8)."
        )


def _json_error(path: str, head: bytes) -> InputFileError:
    try:
        body = json.loads(head)
    except ValueError:
        body = None
    if isinstance(body, dict) and any(key.lower() in ERROR_KEYS for key in body):
        return InputFileError(
            path,
            problem=f"is JSON with {', '.join(map(repr, list(body)[:5]))}, not a table: "
            "the answer of a server that could not export it",
            hint="Read what it says, and export the table again.",
        )
    return InputFileError(
        path,
        problem="is JSON, not CSV",
        hint="Rename it to .json.",
    )
