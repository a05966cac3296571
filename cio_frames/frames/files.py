"""Files to lazy frames: what they are, whether they are whole, and how to read them."""

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
from cio_frames.frames import csv, parquet
from cio_frames.frames.column import Note
from cio_frames.frames.csv_layout import Asked
from cio_frames.frames.csv_records import DIALECTS, Dialect
from cio_frames.frames.csv_start import TableStart
from cio_frames.frames.file_content import FileStamp, first_bytes, refuse_bomb


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """Where a frame comes from.

    Attributes:
        label: What reports call it.
        notes: What was chosen.
        files: The files, as they were.
        pieces: The same rows, in order, in frames that can be read one by one; none where the
            engine streams the frame itself.
    """

    label: str = "polars lazy frame"
    notes: tuple[Note, ...] = ()
    files: tuple[FileStamp, ...] = ()
    pieces: tuple[pl.LazyFrame, ...] = ()


_KNOWN: dict[int, Scanned] = {}
_OTHER = Scanned()


def keep(frame: pl.LazyFrame, scanned: Scanned) -> pl.LazyFrame:
    """Keep what is known of a frame for as long as it lives.

    A lazy frame has no place for metadata and cannot be a dictionary key, hence the identity.
    """
    _KNOWN[id(frame)] = scanned
    weakref.finalize(frame, _KNOWN.pop, id(frame), None)
    return frame


def scanned_of(frame: pl.LazyFrame) -> Scanned:
    """Return what is known of a frame."""
    return _KNOWN.get(id(frame), _OTHER)


Source = str | PathLike[str]

KINDS: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}

MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "is a Parquet file", "Rename it to .parquet."),
    (b"PARE", "is an encrypted Parquet file", "Decrypt it first."),
    (b"PK\x03\x04", "is a ZIP or Excel file", "Unpack it, or export the sheet as CSV (UTF-8)."),
    (b"ARROW1", "is an Arrow or Feather file", "Use polars.scan_ipc(path).cio."),
    (b"\x80\x02", "is a pickle", "Pickles run code when read: save the frame as Parquet."),
    (b"\x80\x03", "is a pickle", "Pickles run code when read: save the frame as Parquet."),
    (b"\x80\x04", "is a pickle", "Pickles run code when read: save the frame as Parquet."),
    (b"\x80\x05", "is a pickle", "Pickles run code when read: save the frame as Parquet."),
    (b"%PDF-", "is a PDF file", "Export the table itself, as CSV (UTF-8)."),
    (b"{\\rtf", "is a word processor document", "Save it as plain text, or export it as CSV."),
    (b"\xd0\xcf\x11\xe0", "is an old Excel file", "Export the sheet as CSV (UTF-8)."),
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
MESSAGES = (
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

OTHERS: Mapping[str, str] = {
    ".pkl": "Pickles run code when read: save the frame as Parquet.",
    ".pickle": "Pickles run code when read: save the frame as Parquet.",
    ".ndjson": "Use polars.scan_ndjson(path).cio.",
    ".jsonl": "Use polars.scan_ndjson(path).cio.",
    ".json": "Use polars.read_json(path).cio.",
    ".xlsx": "Export the sheet as CSV (UTF-8), or use pandas.read_excel(path, dtype=str).cio.",
    ".arrow": "Use polars.scan_ipc(path).cio.",
    ".feather": "Use polars.scan_ipc(path).cio.",
}


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
) -> pl.LazyFrame:
    """Open CSV or Parquet files as a lazy frame, with their traps found now and not half way.

    A CSV file is streamed through once here, to settle the types over all rows; its rows are not
    kept. A column becomes a number or a boolean only if every value of it survives that: `007`,
    `1E5`, and integers of more than 18 or decimals of more than 15 digits stay text, and so do
    decimals of which a zero at the end says something (`3.1` beside `3.10`); where all have as many
    places (`9.90`, `10.00`) they are numbers. Dates and times stay text. Columns that look like identifiers stay text whatever they hold: names that
    the API spec lists for an identifier, and names that have zip, postal, postcode, phone, mobile or
    iban in them, or end in id, ids, uid, uuid, guid, key, code, number, no, nr, sku, ean, isbn,
    ref, reference, account, token or version. Only an empty cell is missing, in quotes (`""`) or not; `NA` and
    `None` are text. Rows that are wholly empty are left out.

    Every quote is looked at: a file in which one stands elsewhere than around a value or doubled
    inside one is read as Python's csv module reads it, with quotes escaped by a backslash if it has
    such, or is refused with the line. Where the table begins and ends is recognised: lines before the
    header, a header of two or three rows, no header, a row of units, the header once more among the
    rows, totals and closing lines. Each is told in a note, with its line.

    A Parquet file is read piece by piece, however large its row groups are, so that memory stays flat;
    what is derived from the frame is read by polars, which decodes row groups whole.

    A file must not be written to while its frame is in use: what is sent is what was checked. A read
    that finds another size or time of writing raises InputFileError.

    What was chosen (separator, text columns, short rows) becomes the notes of the table when this
    very frame is read; frames derived from it do not carry them.

    Args:
        source: A path, a glob, or a list of them: `.csv`, `.tsv`, `.txt` (each also `.gz`),
            `.parquet`. The files must have the same columns.
        ids: More columns to read as text; of a Parquet file, integers only.
        types: Types for CSV columns, instead of those found: numbers, booleans or text.
        separator: Of a CSV; without it `,` `;` tab and `|` are tried.
        encoding: Of a CSV. Anything but UTF-8 is converted in memory.
        dialect: How a CSV writes a quote inside a quoted value: twice (`"rfc4180"`) or after a backslash
            (`"backslash"`); found out without it. Files of the second kind are converted in memory.
        header: How many rows of a CSV hold the names of its columns; False or 0 if none does.
        skip_rows: How many lines of a CSV stand before its header.
        columns: Names for all columns of a CSV, in place of those of its header.
        comment: What the lines of a CSV begin with that are left out, such as `#`.

    Returns:
        A lazy frame over all rows of all files, in the order of their sorted names.

    Raises:
        InputFileError: If a file is missing, empty, cut off, of another kind than its name says,
            or does not hold one table.

    Examples:
        >>> scan("no/such/file-*.csv")
        Traceback (most recent call last):
        ...
        cio_frames.errors.InputFileError: no/such/file-*.csv: no such file. Check the path; relative paths start at the working directory.
    """
    _check_options(header=header, skip_rows=skip_rows, dialect=dialect, comment=comment)
    paths = _paths(source)
    stamps = tuple(FileStamp.of(path) for path in paths)
    known = _encoding(paths[0], encoding)
    kinds = {path: _kind(path) for path in paths}
    odd = [path for path in paths if kinds[path] != kinds[paths[0]]]
    if odd:
        raise InputFileError(
            odd[0],
            problem=f"is {kinds[odd[0]]}, but {paths[0]} is {kinds[paths[0]]}",
            hint="Scan files of one kind at a time.",
        )
    for path in paths:
        _check_start(path, kinds[path], known)
    notes: tuple[Note, ...] = ()
    pieces: tuple[pl.LazyFrame, ...] = ()
    if kinds[paths[0]] == "parquet":
        frame, pieces = parquet.scan(paths, ids=ids, types=types or {})
    else:
        start = TableStart(
            header=None if header is None else int(header),
            skip_rows=skip_rows,
            columns=None if columns is None else tuple(columns),
        )
        asked = Asked(
            encoding=known, separator=separator, dialect=dialect, comment=comment, start=start
        )
        frame, notes = csv.scan(paths, ids=ids, types=dict(types or {}), asked=asked)
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    label = f"{Path(paths[0]).name}{more}"
    return keep(frame, Scanned(label=label, notes=notes, files=stamps, pieces=pieces))


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


def _encoding(path: str, encoding: str) -> str:
    """Return the encoding's usual name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise InputFileError(
            path,
            problem=f"{encoding!r} is not an encoding",
            hint='Try "utf-8", "cp1252" or "utf-16".',
        ) from None


def _paths(source: Source | Sequence[Source]) -> list[str]:
    if not isinstance(source, str | PathLike):
        found = [path for item in source for path in _paths(item)]
        if not found:
            raise InputFileError("[]", problem="no file was given", hint="Pass at least one path.")
        return found
    text = fspath(source)
    if "://" in text:
        raise InputFileError(
            text,
            problem="is a URL, and only local files are scanned",
            hint="Use polars.scan_parquet(url).cio or polars.scan_csv(url, infer_schema=False).cio.",
        )
    if Path(text).is_dir():
        raise InputFileError(
            text, problem="is a directory", hint=f"Pass the files, as in {text.rstrip('/')}/*.csv."
        )
    if Path(text).is_file():
        return [text]
    found = sorted(path for path in glob(text, recursive=True) if Path(path).is_file())  # noqa: PTH207 - takes absolute patterns
    if not found:
        raise InputFileError(
            text,
            problem="no such file",
            hint="Check the path; relative paths start at the working directory.",
        )
    return found


def _kind(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    if last not in KINDS:
        raise InputFileError(
            path,
            problem=f"files of this kind ({last or 'no extension'}) are not scanned",
            hint=OTHERS.get(
                last, "If it is a table, rename it to .csv, .tsv, .txt, .csv.gz or .parquet."
            ),
        )
    return KINDS[last]


def _check_start(path: str, kind: str, encoding: str) -> None:
    """Look at the first bytes: they tell more about a file than its name."""
    head = first_bytes(path)
    if not head:
        raise InputFileError(path, problem="is empty", hint="Export it again.")
    if kind == "parquet" and head.startswith(b"PAR1"):
        return
    for magic, problem, hint in MAGIC:
        if head.startswith(magic) and not (magic in UTF_16 and encoding.startswith("utf-16")):
            raise InputFileError(path, problem=problem, hint=hint)
    _refuse_markup(path, head.removeprefix(codecs.BOM_UTF8))
    if kind == "parquet":
        raise InputFileError(
            path,
            problem="is not a Parquet file",
            hint="Rename it to match its content, or write it again.",
        )
    if encoding.startswith("utf-8") and head.count(0) * 4 > len(head):
        raise InputFileError(
            path, problem="is not text", hint='If it is UTF-16, pass encoding="utf-16-le".'
        )
    refuse_bomb(path)


def _refuse_markup(path: str, head: bytes) -> None:
    """Refuse a page or a document that was saved under the name of a table."""
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
    if JSON.match(head):
        raise _json_fault(path, head)


def _json_fault(path: str, head: bytes) -> InputFileError:
    try:
        body = json.loads(head)
    except ValueError:
        body = None
    if isinstance(body, dict) and any(key.lower() in MESSAGES for key in body):
        return InputFileError(
            path,
            problem=f"is JSON with {', '.join(map(repr, list(body)[:5]))}, not a table: "
            "the answer of a server that could not export it",
            hint="Read what it says, and export the table again.",
        )
    return InputFileError(
        path,
        problem="is JSON, not CSV",
        hint="Use polars.read_json(path).cio, or polars.scan_ndjson(path).cio if each line is an "
        "object.",
    )
