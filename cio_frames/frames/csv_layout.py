"""How a CSV file is laid out, and which line of it is at fault."""

import codecs
import csv
import io
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames.column import Note, check_names
from cio_frames.frames.compressed import HEAD_BYTES, first_bytes, opened

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a CSV file is laid out."""

    path: str
    encoding: str
    separator: str
    names: tuple[str, ...]
    notes: tuple[Note, ...]

    @property
    def signature(self) -> tuple[str, tuple[str, ...]]:
        """What files that are read together must have in common."""
        return self.separator, self.names


def layout(path: str, *, encoding: str, separator: str | None) -> Layout:
    """Return the layout of a file, from its start.

    Raises:
        InputFileError: If its header cannot name columns, two separators would fit, or the one
            that was named is none.
    """
    _check_separator(path, separator)
    raw = first_bytes(path)
    head = _decoded(path, raw, encoding).removeprefix("\ufeff")
    if "\r" in head and "\n" not in head:
        raise InputFileError(
            path,
            problem="its lines end in CR alone, which no reader here takes",
            hint="Save it with LF or CRLF line ends.",
        )
    chosen = separator or _separator(path, head, cut=len(raw) >= HEAD_BYTES)
    header = next(iter(_records(head, chosen)), [])
    names = [name or f"column_{place}" for place, name in enumerate(header, 1)]
    check_header(path, names)
    notes = (*_separator_note(path, chosen, separator), *_unnamed_note(path, names, header))
    return Layout(path=path, encoding=encoding, separator=chosen, names=tuple(names), notes=notes)


def _decoded(path: str, raw: bytes, encoding: str) -> str:
    """Return the start of a file as text; polars never decodes a header that it need not."""
    if not encoding.startswith("utf-8"):
        return raw.decode(encoding, errors="replace")
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError as broken:
        before = raw[: broken.start]
        line = raw[before.rfind(b"\n") + 1 :].split(b"\n", 1)[0]
        raise _encoding_fault(path, before.count(b"\n") + 1, line) from broken


def _check_separator(path: str, separator: str | None) -> None:
    if separator is None or (
        len(separator) == 1 and separator.isascii() and separator not in '"\r\n'
    ):
        return
    raise InputFileError(
        path,
        problem=f"separator={separator!r} cannot part its columns",
        hint='Pass one character, as in separator=";" or separator="\\t", or leave it out.',
    )


def check_header(path: str, names: Sequence[str]) -> None:
    """Refuse a file whose columns cannot be told apart.

    Raises:
        InputFileError: If a name comes twice or is the package's own, or there is none.
    """
    try:
        check_names(names)
    except FrameError as error:
        raise InputFileError(
            path, problem=str(error).rstrip("."), hint="Name the columns anew in the file."
        ) from error


def _usual(path: str) -> str:
    return "\t" if re.search(r"\.(tsv|tab)(\.gz)?$", path, re.IGNORECASE) else ","


def _separator(path: str, head: str, *, cut: bool) -> str:
    """Return the separator that cuts every record of the head into as many fields as the header."""
    fitting = []
    for sign in SEPARATORS:
        records = [record for record in _records(head, sign) if record]
        widths = {len(record) for record in (records[:-1] if cut else records)}
        if len(widths) == 1 and widths != {1}:
            fitting.append(sign)
    if len(fitting) > 1:
        signs = " and ".join(SEPARATORS[sign] for sign in fitting)
        raise InputFileError(
            path, problem=f"both {signs} could separate its columns", hint="Pass separator=."
        )
    return fitting[0] if fitting else _likeliest(head, _usual(path))


def _likeliest(head: str, usual: str) -> str:
    """Return the separator of a file whose records are not all equally long."""
    header = head.split("\n", 1)[0]
    if usual in header:
        return usual
    found = [sign for sign in SEPARATORS if sign in header]
    return max(found, key=header.count, default=usual)


def _records(text: str, separator: str) -> list[list[str]]:
    """Return the records of a text, up to the first that is not CSV."""
    records: list[list[str]] = []
    with suppress(csv.Error):
        records.extend(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    return records


def _separator_note(path: str, chosen: str, given: str | None) -> Iterator[Note]:
    if given is None and chosen != _usual(path):
        yield Note(
            code="file.separator",
            message=f"{path} was read as separated by {SEPARATORS[chosen]}; "
            "pass separator= to change that.",
        )


def _unnamed_note(path: str, names: Sequence[str], header: Sequence[str]) -> Iterator[Note]:
    blank = [name for name, given in zip(names, header, strict=True) if not given]
    if blank:
        yield Note(
            code="file.unnamed-column",
            severity="warn",
            count=len(blank),
            message=f"{path} has columns without a name, called {', '.join(blank)} here.",
        )


def short_rows(file: Layout) -> Iterator[Note]:
    """Yield a note if records have fewer fields than the header: polars fills them up silently."""
    found: list[int] = []
    with suppress(csv.Error):
        for line, width in _widths(file):
            if 0 < width < len(file.names):
                found.append(line)
    if found:
        yield Note(
            code="file.short-rows",
            severity="warn",
            count=len(found),
            message=f"{file.path}: {len(found):,} rows have fewer fields than the header (first at "
            f"line {found[0]:,}); the missing ones count as empty.",
        )


def _widths(file: Layout) -> Generator[tuple[int, int]]:
    """Yield each record's last line and its number of fields."""
    with opened(file.path) as raw:
        if file.encoding.startswith(("utf-16", "utf-32")):
            text = raw.read().decode(file.encoding)
            texts: Iterator[str] = iter(io.StringIO(text, newline=""))
        else:
            texts = (line.decode(file.encoding) for line in raw)
        reader = csv.reader(texts, delimiter=file.separator, strict=True)
        for record in reader:
            yield reader.line_num, len(record)


def fault(files: Sequence[Layout], error: BaseException) -> InputFileError:
    """Return the error for files that cannot be read, with the line, which polars does not tell."""
    for file in files:
        line, width = 0, len(file.names)
        try:
            with closing(_widths(file)) as widths:
                for line, size in widths:
                    if size > width:
                        return InputFileError(
                            file.path,
                            problem=f"line {line:,} has {size} fields, the header has {width}",
                            hint="Put values that contain the separator in double quotes.",
                        )
        except csv.Error as broken:
            return _syntax_fault(file.path, line, broken)
        except UnicodeDecodeError as broken:
            return _encoding_fault(file.path, line + 1, broken.object)
    return InputFileError(
        files[0].path,
        problem=f"cannot be read as CSV ({type(error).__name__})",
        hint="Export it again.",
    )


def _syntax_fault(path: str, line: int, broken: csv.Error) -> InputFileError:
    if "new-line" in str(broken):
        return InputFileError(
            path,
            problem=f"after line {line:,} a line ends in CR, others in LF",
            hint="Save it with one kind of line ends.",
        )
    return InputFileError(
        path,
        problem=f"after line {line:,} a double quote is not closed or out of place",
        hint='Inside a quoted value a double quote is written twice ("").',
    )


def _encoding_fault(path: str, line: int, raw: bytes) -> InputFileError:
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        fitting = "latin-1"
    else:
        fitting = "cp1252"
    return InputFileError(
        path,
        problem=f"line {line:,} is not UTF-8",
        hint=f'It reads as {fitting}: pass encoding="{fitting}", or save the file as UTF-8.',
    )
