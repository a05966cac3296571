"""Find the layout of a CSV file: its separator, its quotes, and where its table begins and ends."""

import codecs
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames.column import Note, check_names
from cio_frames.frames.csv_end import TAIL_RECORDS, find_end
from cio_frames.frames.csv_quotes import quotes_of
from cio_frames.frames.csv_records import (
    BrokenRecordError,
    CsvFormat,
    Dialect,
    Record,
    lines_of,
    quoted_record,
    records,
)
from cio_frames.frames.csv_start import StartOptions, TableStart, find_start
from cio_frames.frames.encodings import encoding_error
from cio_frames.frames.file_content import (
    HEAD_BYTES,
    all_bytes,
    blocks_after,
    first_bytes,
    lines_after,
)

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
EXCEL_LINE = re.compile(r"\"?sep=([^\r\n])\"?[\r\n]*\Z", re.IGNORECASE)
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """What the user has set about a CSV file; None is detected from its content."""

    encoding: str = "utf-8"
    separator: str | None = None
    dialect: Dialect | None = None
    comment: str | None = None
    start: StartOptions = field(default_factory=StartOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvContent:
    """What polars reads of a file, and how.

    Attributes:
        source: The path of the file, or its text in UTF-8 with all quotes in place.
        skip: The number of lines to skip.
        has_header: Whether the first record after those is not a row.
        has_quotes: Whether values are in quotes; otherwise a quote is a character like any other.
        comment: What lines to skip begin with.
        csv_format: How its records are written.
        last_records: The last records.
    """

    source: str | bytes
    skip: int
    has_header: bool
    has_quotes: bool
    comment: str | None
    csv_format: CsvFormat
    last_records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The layout of a CSV file.

    Attributes:
        path: The file.
        encoding: Its encoding.
        csv_format: How its records are written.
        start: Where its table begins.
        names: The names of its columns.
        content: What polars reads.
        footers: The cells of the records below the table.
        blank_lines: The number of blank lines around the footers.
        notes: What was chosen.
    """

    path: str
    encoding: str
    csv_format: CsvFormat
    start: TableStart
    names: tuple[str, ...]
    content: CsvContent
    footers: tuple[tuple[str, ...], ...]
    blank_lines: int
    notes: tuple[Note, ...]

    @property
    def signature(self) -> tuple[str, tuple[str, ...]]:
        """What files that are read together must have in common."""
        return self.csv_format.separator, self.names

    def records(self) -> Iterator[Record]:
        """Return the records of the table, with their line numbers."""
        return _numbered_records(self.path, self.encoding, self.csv_format, self.start.skip)


def find_layout(path: str, options: CsvOptions) -> Layout:
    """Return the layout of a file, from its first bytes and every quote in it.

    Raises:
        InputFileError: If its header cannot name columns, two separators would fit, the one that
            was passed is not one character, or a quote is out of place.
    """
    _check_separator(path, options.separator)
    raw = first_bytes(path)
    head = _decoded(path, raw, options.encoding).removeprefix("\ufeff")
    if "\r" in head and "\n" not in head:
        raise InputFileError(
            path,
            problem="its lines end in CR alone, which is not supported",
            hint="Save it with LF or CRLF line endings.",
        )
    lines = lines_of(head)
    is_cut = len(raw) >= HEAD_BYTES
    excel = EXCEL_LINE.match(lines[0]) if lines and options.start.skip_rows is None else None
    skip = (options.start.skip_rows or 0) + bool(excel)
    complete = lines[skip : -1 if is_cut and len(lines) > skip + 1 else None]
    named = options.separator or (excel and excel[1])
    separator = named or _find_separator(path, complete, options=options)
    csv_format = _format(separator, options)
    first_records, csv_format, broken = _head_records(
        complete, csv_format=csv_format, first=skip + 1, options=options
    )
    if broken and not first_records:
        raise quote_error(path, broken)
    start = find_start(path, first_records, options.start, first=skip + 1)
    if not start.names:
        raise InputFileError(
            path,
            problem="has no text where its table should begin",
            hint="Export it again, or pass another skip_rows=.",
        )
    rename = "Rename the columns in the file, or pass columns=."
    names = column_names(path, start, options.start, hint=rename)
    rows = [record for record in first_records if record.first > start.skip]
    content = _content(path, options, csv_format=csv_format, start=start, names=names, rows=rows)
    last = [record for record in content.last_records if record.first > start.skip]
    end = find_end(path, last, rows=rows, width=len(names))
    return Layout(
        path=path,
        encoding=options.encoding,
        csv_format=content.csv_format,
        start=start,
        names=names,
        content=content,
        footers=tuple(record.cells for record in end.footers),
        blank_lines=end.blank_lines,
        notes=(
            *_separator_note(path, separator, named),
            *_dialect_note(path, content.csv_format, options),
            *start.notes,
            *end.notes,
        ),
    )


def _format(separator: str, options: CsvOptions) -> CsvFormat:
    dialect = options.dialect or "rfc4180"
    return CsvFormat(separator=separator, dialect=dialect, comment=options.comment)


def check_header(
    path: str, names: Sequence[str], *, hint: str = "Rename the columns in the file."
) -> None:
    """Raise if the columns of a file do not have unique names.

    Raises:
        InputFileError: If a name comes twice or is the package's own, or there is none.
    """
    try:
        check_names(names)
    except FrameError as error:
        raise InputFileError(path, problem=str(error).rstrip("."), hint=hint) from error


def column_names(
    path: str, start: TableStart, options: StartOptions, *, hint: str
) -> tuple[str, ...]:
    """Return the names of the columns: those that were passed, or those of the header.

    Raises:
        InputFileError: If there are too few or too many, or as `check_header`.
    """
    names = start.names
    if options.columns is not None:
        least = len(names) - start.unnamed_at_end
        if not least <= len(options.columns) <= len(names):
            raise InputFileError(
                path,
                problem=f"has {least} columns, and columns= names {len(options.columns)}",
                hint="List all of them, in order.",
            )
        names = (*options.columns, *names[len(options.columns) :])
    check_header(path, names, hint=hint)
    return names


def _content(
    path: str,
    options: CsvOptions,
    *,
    csv_format: CsvFormat,
    start: TableStart,
    names: Sequence[str],
    rows: Sequence[Record],
) -> CsvContent:
    """Return what polars reads, after a look at every byte: rewritten if polars would misread it."""
    source: str | bytes = path
    if not options.encoding.startswith("utf-8"):
        source = _as_utf8(path, options.encoding)
    has_header = start.skip_to_header is not None
    # polars counts the columns in the first record that it reads
    counts_right = has_header or (rows and len(rows[0].cells) == len(names))
    if csv_format.dialect == "rfc4180" and counts_right:
        skip = start.skip if start.skip_to_header is None else start.skip_to_header
        tail = _Tail(skip)
        quotes = quotes_of(map(tail.add, blocks_after(source, skip)), csv_format.separator)
        is_readable = quotes.in_place or not quotes.quoting
        if is_readable and not (csv_format.comment and quotes.quoting):
            return CsvContent(
                source=source,
                skip=skip,
                has_header=has_header,
                has_quotes=quotes.quoting,
                comment=csv_format.comment,
                csv_format=csv_format,
                last_records=tail.records(csv_format),
            )
    return _rewritten(path, options, csv_format=csv_format, skip=start.skip, names=names)


def _rewritten(
    path: str, options: CsvOptions, *, csv_format: CsvFormat, skip: int, names: Sequence[str]
) -> CsvContent:
    """Read the records with the csv module, and write them in the form of RFC 4180.

    Raises:
        InputFileError: A quote is out of place.
    """
    last: deque[Record] = deque(maxlen=TAIL_RECORDS)
    text = bytearray(quoted_record(names, csv_format.separator))
    try:
        for record in _numbered_records(path, options.encoding, csv_format, skip):
            last.append(record)
            text += quoted_record(record.cells, csv_format.separator)
    except BrokenRecordError as broken:
        if options.dialect is None and csv_format.dialect == "rfc4180" and broken.backslash:
            other = replace(csv_format, dialect="backslash")
            return _rewritten(path, options, csv_format=other, skip=skip, names=names)
        raise quote_error(path, broken) from broken
    return CsvContent(
        source=bytes(text),
        skip=0,
        has_header=True,
        has_quotes=True,
        comment=None,
        csv_format=csv_format,
        last_records=tuple(last),
    )


def _numbered_records(
    path: str, encoding: str, csv_format: CsvFormat, skip: int
) -> Iterator[Record]:
    if encoding.startswith("utf-8"):
        lines = _decoded_lines(path, skip)
    else:
        text = all_bytes(path).decode(encoding)
        lines = iter(lines_of(text.removeprefix("\ufeff"))[skip:])
    return records(lines, csv_format=csv_format, first=skip + 1)


def _decoded_lines(path: str, skip: int) -> Iterator[str]:
    for number, line in enumerate(lines_after(path, skip), skip + 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise encoding_error(path, line=number, raw=line) from error


def quote_error(path: str, broken: BrokenRecordError) -> InputFileError:
    """Return the error for a record that is not valid CSV, with its line."""
    if "new-line" in broken.reason:
        return InputFileError(
            path,
            problem=f"after line {broken.first - 1:,} a line ends in CR, others in LF",
            hint="Save it with one kind of line ending.",
        )
    if "limit" in broken.reason:
        return InputFileError(
            path,
            problem=f"after line {broken.first - 1:,} a double quote is not closed, or a value is "
            "longer than 131,072 characters",
            hint="Close the quote in the file.",
        )
    if "expected after" in broken.reason and broken.first == broken.last:
        return InputFileError(
            path,
            problem=f"line {broken.first:,} has a double quote in the middle of a quoted value",
            hint='Write it twice (""), or pass dialect="backslash" if it is written \\".',
        )
    return InputFileError(
        path,
        problem=f"after line {broken.first - 1:,} a double quote is not closed or out of place",
        hint='Inside a quoted value a double quote is written twice ("").',
    )


class _Tail:
    """The end of a stream of blocks, and the number of its lines."""

    def __init__(self, skip: int) -> None:
        self._lines = skip
        self._bytes = b""

    def add(self, block: bytes) -> bytes:
        self._lines += block.count(b"\n")
        self._bytes = (self._bytes + block)[-TAIL_BYTES:]
        return block

    def records(self, csv_format: CsvFormat) -> tuple[Record, ...]:
        """Return the last lines that are complete records."""
        lines = self._bytes.decode(errors="replace").split("\n")
        number = self._lines + 1 - (len(lines) - 1)
        complete: list[Record] = []
        for place, line in list(enumerate(lines, number))[-TAIL_RECORDS - 1 :]:
            try:
                complete.extend(records([line], csv_format=csv_format, first=place))
            except BrokenRecordError:
                complete.clear()
        return tuple(complete)


def _as_utf8(path: str, encoding: str) -> bytes:
    try:
        return all_bytes(path).decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise InputFileError(
            path,
            problem=f"is not {encoding} (at byte {error.start:,})",
            hint="Try another encoding.",
        ) from error


def _decoded(path: str, raw: bytes, encoding: str) -> str:
    """Return the start of a file as text. polars itself would not notice a header in another encoding."""
    if not encoding.startswith("utf-8"):
        return raw.decode(encoding, errors="replace")
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError as broken:
        before = raw[: broken.start]
        line = raw[before.rfind(b"\n") + 1 :].split(b"\n", 1)[0]
        raise encoding_error(path, line=before.count(b"\n") + 1, raw=line) from broken


def _check_separator(path: str, separator: str | None) -> None:
    if separator is None or (
        len(separator) == 1 and separator.isascii() and separator not in '"\r\n'
    ):
        return
    raise InputFileError(
        path,
        problem=f"separator={separator!r} cannot separate its columns",
        hint='Pass one character, as in separator=";" or separator="\\t", or leave it out.',
    )


def _head_records(
    lines: Sequence[str], *, csv_format: CsvFormat, first: int, options: CsvOptions
) -> tuple[list[Record], CsvFormat, BrokenRecordError | None]:
    """Return the first records of a file, their format, and the error in the next record."""
    valid, broken = _records_until_broken(lines, csv_format, first)
    if broken and broken.backslash and options.dialect is None:
        other = replace(csv_format, dialect="backslash")
        valid_with_backslash, still_broken = _records_until_broken(lines, other, first)
        if not still_broken or still_broken.first > broken.first:
            return valid_with_backslash, other, still_broken
    return valid, csv_format, broken


def _records_until_broken(
    lines: Sequence[str], csv_format: CsvFormat, first: int
) -> tuple[list[Record], BrokenRecordError | None]:
    """Return the records before the first broken one, and its error."""
    valid: list[Record] = []
    try:
        valid.extend(records(lines, csv_format=csv_format, first=first))
    except BrokenRecordError as broken:
        return valid, broken
    return valid, None


def _usual_separator(path: str) -> str:
    return "\t" if re.search(r"\.(tsv|tab)(\.gz)?$", path, re.IGNORECASE) else ","


def _find_separator(path: str, lines: Sequence[str], *, options: CsvOptions) -> str:
    """Return the separator that divides all first records into the same number of fields."""
    widths: dict[str, Counter[int]] = {}
    for sign in SEPARATORS:
        csv_format = _format(sign, options)
        valid, _, _ = _head_records(lines, csv_format=csv_format, first=1, options=options)
        widths[sign] = Counter(len(record.cells) for record in valid if record.cells)
    fitting = [sign for sign, counts in widths.items() if len(counts) == 1 and 1 not in counts]
    if len(fitting) > 1:
        signs = " and ".join(SEPARATORS[sign] for sign in fitting)
        raise InputFileError(
            path, problem=f"both {signs} could separate its columns", hint="Pass separator=."
        )
    return (
        fitting[0]
        if fitting
        else _most_regular_separator(lines, widths, usual=_usual_separator(path))
    )


def _most_regular_separator(
    lines: Sequence[str], widths: dict[str, Counter[int]], *, usual: str
) -> str:
    """Return the separator of a file whose records have different numbers of fields."""
    shares = {
        sign: max((count for width, count in counts.items() if width > 1), default=0)
        / max(counts.total(), 1)
        for sign, counts in widths.items()
    }
    best = max(shares, key=lambda sign: (shares[sign], sign == usual))
    if shares[best] > 0.5 and widths[best].total() > 2:  # noqa: PLR2004 - more than half of them
        return best
    header = lines[0] if lines else ""
    if usual in header:
        return usual
    in_header = [sign for sign in SEPARATORS if sign in header]
    return max(in_header, key=header.count, default=usual)


def _separator_note(path: str, chosen: str, named: str | None) -> Iterator[Note]:
    if named is None and chosen != _usual_separator(path):
        yield Note(
            code="file.separator",
            message=f"{path} was read as separated by {SEPARATORS[chosen]}; "
            "pass separator= to change that.",
        )


def _dialect_note(path: str, csv_format: CsvFormat, options: CsvOptions) -> Iterator[Note]:
    if csv_format.dialect == "backslash" and options.dialect is None:
        yield Note(
            code="file.backslash",
            message=f'{path} writes a double quote inside a value as \\" and was read so; '
            'pass dialect="rfc4180" to refuse that.',
        )
