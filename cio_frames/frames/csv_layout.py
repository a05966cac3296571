"""How a CSV file is laid out: its separator, its quotes, and where its table begins and ends."""

import codecs
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames.column import Note, check_names
from cio_frames.frames.csv_end import TAIL_RECORDS, footers
from cio_frames.frames.csv_quotes import quotes_of
from cio_frames.frames.csv_records import (
    BrokenRecordError,
    Dialect,
    Form,
    Record,
    lines_of,
    quoted,
    records,
)
from cio_frames.frames.csv_start import Start, TableStart, start
from cio_frames.frames.encodings import encoding_fault
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
class Asked:
    """What the user says of a file; None is not said."""

    encoding: str = "utf-8"
    separator: str | None = None
    dialect: Dialect | None = None
    comment: str | None = None
    start: TableStart = field(default_factory=TableStart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a CSV file is laid out.

    Attributes:
        path: The file.
        encoding: Its encoding.
        form: How its records are written.
        start: Where its table begins.
        names: The names of its columns.
        content: What the engine reads: the file, or its text in UTF-8 and with quotes in place.
        skip: How many lines of that are not read.
        header: Whether the first record after those is none of the rows.
        quoted: Whether its quotes are more than text.
        comment: What lines of it begin with that are left out.
        footers: Rows below the table.
        blank: How many blank lines are around those.
        notes: What was chosen.
    """

    path: str
    encoding: str
    form: Form
    start: Start
    names: tuple[str, ...]
    content: str | bytes
    skip: int
    header: bool
    quoted: bool
    comment: str | None
    footers: tuple[tuple[str, ...], ...]
    blank: int
    notes: tuple[Note, ...]

    @property
    def signature(self) -> tuple[str, tuple[str, ...]]:
        """What files that are read together must have in common."""
        return self.form.separator, self.names

    def records(self) -> Iterator[Record]:
        """Return the rows of the file, with their lines."""
        return _rows(self.path, self.encoding, self.form, self.start.skip)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The rows of a file as the engine is to read them, and the last of them."""

    form: Form
    content: str | bytes
    skip: int
    header: bool
    quoted: bool
    comment: str | None
    last: tuple[Record, ...]


def layout(path: str, asked: Asked) -> Layout:
    """Return the layout of a file, from its start and a look at every quote in it.

    Raises:
        InputFileError: If its header cannot name columns, two separators would fit, the one that
            was named is none, or a quote is out of place.
    """
    _check_separator(path, asked.separator)
    raw = first_bytes(path)
    head = _decoded(path, raw, asked.encoding).removeprefix("\ufeff")
    if "\r" in head and "\n" not in head:
        raise InputFileError(
            path,
            problem="its lines end in CR alone, which is not supported",
            hint="Save it with LF or CRLF line endings.",
        )
    lines = lines_of(head)
    cut = len(raw) >= HEAD_BYTES
    excel = EXCEL_LINE.match(lines[0]) if lines and asked.start.skip_rows is None else None
    skip = (asked.start.skip_rows or 0) + bool(excel)
    kept = lines[skip : -1 if cut and len(lines) > skip + 1 else None]
    named = asked.separator or (excel and excel[1])
    chosen = named or _separator(path, kept, asked=asked)
    form = Form(separator=chosen, dialect=asked.dialect or "rfc4180", comment=asked.comment)
    found, form, broken = _head_records(kept, form=form, first=skip + 1, asked=asked)
    if broken and not found:
        raise quote_fault(path, broken)
    began = start(path, found, asked.start, first=skip + 1)
    names = _names(path, began, asked.start)
    rows = [record for record in found if record.first > began.skip]
    body = _body(path, asked, form=form, began=began, names=names, rows=rows)
    last = [record for record in body.last if record.first > began.skip]
    ends = footers(path, last, rows=rows, width=len(names))
    return Layout(
        path=path,
        encoding=asked.encoding,
        form=body.form,
        start=began,
        names=names,
        content=body.content,
        skip=body.skip,
        header=body.header,
        quoted=body.quoted,
        comment=body.comment,
        footers=tuple(record.cells for record in ends.left_out),
        blank=ends.blank,
        notes=(
            *_separator_note(path, chosen, named),
            *_dialect_note(path, body.form, asked),
            *began.notes,
            *ends.notes,
        ),
    )


def check_header(
    path: str, names: Sequence[str], *, hint: str = "Rename the columns in the file."
) -> None:
    """Refuse a file whose columns have no unique names.

    Raises:
        InputFileError: If a name comes twice or is the package's own, or there is none.
    """
    try:
        check_names(names)
    except FrameError as error:
        raise InputFileError(path, problem=str(error).rstrip("."), hint=hint) from error


def _names(path: str, began: Start, asked: TableStart) -> tuple[str, ...]:
    """Return the names of the columns: those that were passed, or those of the header."""
    if not began.names:
        raise InputFileError(
            path,
            problem="has no text where its table should begin",
            hint="Export it again, or pass another skip_rows=.",
        )
    hint = "Rename the columns in the file, or pass columns=."
    if asked.columns is None:
        check_header(path, began.names, hint=hint)
        return began.names
    count, least = len(began.names), len(began.names) - began.spare
    if not least <= len(asked.columns) <= count:
        raise InputFileError(
            path,
            problem=f"has {least} columns, and columns= names {len(asked.columns)}",
            hint="List all of them, in order.",
        )
    names = (*asked.columns, *began.names[len(asked.columns) :])
    check_header(path, names, hint=hint)
    return names


def _body(
    path: str,
    asked: Asked,
    *,
    form: Form,
    began: Start,
    names: Sequence[str],
    rows: Sequence[Record],
) -> Body:
    """Look at every byte of the table, and write anew what the engine would misread."""
    content: str | bytes = path
    if not asked.encoding.startswith("utf-8"):
        content = _recoded(path, asked.encoding)
    header = began.above is not None
    # the engine counts the columns in the first record that it reads
    if form.dialect == "rfc4180" and (header or (rows and len(rows[0].cells) == len(names))):
        skip = began.skip if began.above is None else began.above
        tail = _Tail(skip)
        found = quotes_of(map(tail.seen, blocks_after(content, skip)), form.separator)
        if (found.in_place or not found.quoting) and not (form.comment and found.quoting):
            return Body(
                form=form,
                content=content,
                skip=skip,
                header=header,
                quoted=found.quoting,
                comment=form.comment,
                last=tail.records(form),
            )
    return _rewritten(path, asked, form=form, skip=began.skip, names=names)


def _rewritten(path: str, asked: Asked, *, form: Form, skip: int, names: Sequence[str]) -> Body:
    """Read the records as the csv module does, and write them as RFC 4180 has them.

    Raises:
        InputFileError: A quote is out of place.
    """
    last: deque[Record] = deque(maxlen=TAIL_RECORDS)
    text = bytearray(quoted(names, form.separator))
    try:
        for record in _rows(path, asked.encoding, form, skip):
            last.append(record)
            text += quoted(record.cells, form.separator)
    except BrokenRecordError as broken:
        if asked.dialect is None and form.dialect == "rfc4180" and broken.backslash:
            other = replace(form, dialect="backslash")
            return _rewritten(path, asked, form=other, skip=skip, names=names)
        raise quote_fault(path, broken) from broken
    return Body(
        form=form,
        content=bytes(text),
        skip=0,
        header=True,
        quoted=True,
        comment=None,
        last=tuple(last),
    )


def _rows(path: str, encoding: str, form: Form, skip: int) -> Iterator[Record]:
    if encoding.startswith("utf-8"):
        texts = _texts(path, skip)
    else:
        text = all_bytes(path).decode(encoding)
        texts = iter(lines_of(text.removeprefix("\ufeff"))[skip:])
    return records(texts, form=form, first=skip + 1)


def _texts(path: str, skip: int) -> Iterator[str]:
    for number, line in enumerate(lines_after(path, skip), skip + 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise encoding_fault(path, line=number, raw=line) from error


def quote_fault(path: str, broken: BrokenRecordError) -> InputFileError:
    """Return the error for a record that is not CSV, with its line."""
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
    """Keeps the end of what it has seen, and counts its lines."""

    def __init__(self, skip: int) -> None:
        self._lines = skip
        self._bytes = b""

    def seen(self, block: bytes) -> bytes:
        self._lines += block.count(b"\n")
        self._bytes = (self._bytes + block)[-TAIL_BYTES:]
        return block

    def records(self, form: Form) -> tuple[Record, ...]:
        """Return the records of the last lines that are whole by themselves."""
        lines = self._bytes.decode(errors="replace").split("\n")
        number = self._lines + 1 - (len(lines) - 1)
        found: list[Record] = []
        for place, line in list(enumerate(lines, number))[-TAIL_RECORDS - 1 :]:
            try:
                found.extend(records([line], form=form, first=place))
            except BrokenRecordError:
                found.clear()
        return tuple(found)


def _recoded(path: str, encoding: str) -> bytes:
    try:
        return all_bytes(path).decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise InputFileError(
            path,
            problem=f"is not {encoding} (at byte {error.start:,})",
            hint="Try another encoding.",
        ) from error


def _decoded(path: str, raw: bytes, encoding: str) -> str:
    """Return the start of a file as text; the engine never decodes a header that it need not."""
    if not encoding.startswith("utf-8"):
        return raw.decode(encoding, errors="replace")
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError as broken:
        before = raw[: broken.start]
        line = raw[before.rfind(b"\n") + 1 :].split(b"\n", 1)[0]
        raise encoding_fault(path, line=before.count(b"\n") + 1, raw=line) from broken


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
    lines: Sequence[str], *, form: Form, first: int, asked: Asked
) -> tuple[list[Record], Form, BrokenRecordError | None]:
    """Return the first records of a file, the dialect they are written in, and what breaks the next."""
    found, broken = _whole(lines, form, first)
    if broken and broken.backslash and asked.dialect is None:
        other = replace(form, dialect="backslash")
        again, still = _whole(lines, other, first)
        if not still or still.first > broken.first:
            return again, other, still
    return found, form, broken


def _whole(
    lines: Sequence[str], form: Form, first: int
) -> tuple[list[Record], BrokenRecordError | None]:
    """Return the records up to the first that is broken, and what breaks it."""
    found: list[Record] = []
    try:
        found.extend(records(lines, form=form, first=first))
    except BrokenRecordError as broken:
        return found, broken
    return found, None


def _usual(path: str) -> str:
    return "\t" if re.search(r"\.(tsv|tab)(\.gz)?$", path, re.IGNORECASE) else ","


def _separator(path: str, lines: Sequence[str], *, asked: Asked) -> str:
    """Return the separator that cuts every record of the head into as many fields as the header."""
    widths: dict[str, Counter[int]] = {}
    for sign in SEPARATORS:
        form = Form(separator=sign, dialect=asked.dialect or "rfc4180", comment=asked.comment)
        found, _, _ = _head_records(lines, form=form, first=1, asked=asked)
        widths[sign] = Counter(len(record.cells) for record in found if record.cells)
    fitting = [sign for sign, counts in widths.items() if len(counts) == 1 and 1 not in counts]
    if len(fitting) > 1:
        signs = " and ".join(SEPARATORS[sign] for sign in fitting)
        raise InputFileError(
            path, problem=f"both {signs} could separate its columns", hint="Pass separator=."
        )
    return fitting[0] if fitting else _likeliest(lines, widths, usual=_usual(path))


def _likeliest(lines: Sequence[str], widths: dict[str, Counter[int]], *, usual: str) -> str:
    """Return the separator of a file whose records are not all equally long."""
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
    found = [sign for sign in SEPARATORS if sign in header]
    return max(found, key=header.count, default=usual)


def _separator_note(path: str, chosen: str, given: str | None) -> Iterator[Note]:
    if given is None and chosen != _usual(path):
        yield Note(
            code="file.separator",
            message=f"{path} was read as separated by {SEPARATORS[chosen]}; "
            "pass separator= to change that.",
        )


def _dialect_note(path: str, form: Form, asked: Asked) -> Iterator[Note]:
    if form.dialect == "backslash" and asked.dialect is None:
        yield Note(
            code="file.backslash",
            message=f'{path} writes a double quote inside a value as \\" and was read so; '
            'pass dialect="rfc4180" to refuse that.',
        )
