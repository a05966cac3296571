"""CSV files: their layout, and one pass over every row, so that none is misread or fails half way."""

import codecs
import csv
import io
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import FrameError, InputFileError
from cio_frames.frames.column import Note, check_names
from cio_frames.frames.file_content import HEAD_BYTES, all_bytes, first_bytes, opened
from cio_frames.frames.streaming import collected
from cio_frames.spec import CALLS, CONTEXT, folded

Dtype = pl.DataType | DataTypeClass

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE_ROWS = 1_000
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
DECIMAL = r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$"
DECIMAL_BYTES = 16  # 15 digits and the point are what a float gives back unchanged
BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
KINDS: Mapping[str, Dtype] = {"integer": pl.Int64, "decimal": pl.Float64, "boolean": pl.Boolean}

ID_ENDINGS = frozenset(
    {"id", "ids", "uid", "uuid", "guid", "key", "code", "number", "no", "nr", "sku", "ean", "isbn"}
    | {"ref", "reference", "account", "token"}
)
ID_WORDS = frozenset(
    {"zip", "zipcode", "postal", "postcode", "phone", "telephone", "mobile", "iban"}
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the look at every row found.

    `numeric` are the columns kept as text although each value is a number; `blank` counts wholly
    empty rows, `open_ended` those whose last cell is empty.
    """

    types: Mapping[str, Dtype]
    numeric: frozenset[str]
    blank: int
    open_ended: int
    misfits: Mapping[str, int]


def scan(
    paths: Sequence[str],
    *,
    ids: Sequence[str],
    types: Mapping[str, Dtype],
    separator: str | None,
    encoding: str,
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return a lazy frame over the files, its types settled over all their rows, and what was chosen.

    Raises:
        InputFileError: If the files do not hold one table that can be read to its end.
    """
    files = [layout(path, encoding=encoding, separator=separator) for path in paths]
    first = files[0]
    for file in files:
        if file.signature != first.signature:
            raise InputFileError(
                file.path,
                problem=f"its header differs from that of {first.path}",
                hint="Scan files of one layout at a time.",
            )
    _check_asked(first, ids, types)
    kept = [name for name in first.names if name in ids or is_id(name)]
    try:
        text = _text(files)
        settled = _settle(text, kept=kept, types=types)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise fault(files, error) from error
    _check_types(first, settled)
    frame = text.filter(~_is_blank()) if settled.blank else text
    frame = frame.with_columns(_typed(name, dtype) for name, dtype in settled.types.items())
    return frame, tuple(_notes(files, settled))


def is_id(name: str) -> bool:
    """Return whether a column's name says that its values are identifiers, not quantities.

    Examples:
        >>> [is_id(name) for name in ("customerId", "ZIP", "order_number", "number_of_orders")]
        [True, True, True, False]
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+", name)]
    ending = words[-1] if words else ""
    return ending in ID_ENDINGS or not ID_WORDS.isdisjoint(words) or folded(name) in _id_names()


@cache
def _id_names() -> frozenset[str]:
    """Return the names that the API spec lists for identifiers."""
    fields = [*(field for call in CALLS.values() for field in call.fields), *CONTEXT]
    return frozenset(
        folded(name) for field in fields if field.type == "id" for name in field.synonyms
    )


def unknown_column(path: str, name: str, names: Sequence[str]) -> InputFileError:
    """Return the error for a column that was named but is not in the file."""
    near = get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Columns: {', '.join(names)}."
    return InputFileError(path, problem=f"has no column {name!r}", hint=hint)


def _check_asked(file: Layout, ids: Sequence[str], types: Mapping[str, Dtype]) -> None:
    for name in (*ids, *types):
        if name not in file.names:
            raise unknown_column(file.path, name, file.names)
    for name, dtype in types.items():
        if not (dtype in {pl.Boolean, pl.String} or dtype.is_numeric()):
            raise InputFileError(
                file.path,
                problem=f"types= names {name!r} as something else than number, boolean or text",
                hint="Leave it as text, and convert it with the expression that fits its format.",
            )


def _text(files: Sequence[Layout]) -> pl.LazyFrame:
    """Return a lazy frame of the files with every column as text."""
    sources: list[Any] = [
        file.path if file.encoding.startswith("utf-8") else _recoded(file) for file in files
    ]
    return pl.scan_csv(
        sources,
        separator=files[0].separator,
        infer_schema=False,
        with_column_names=lambda _: list(files[0].names),
        glob=False,
    )


def _recoded(file: Layout) -> bytes:
    try:
        return all_bytes(file.path).decode(file.encoding).encode()
    except UnicodeDecodeError as error:
        raise InputFileError(
            file.path,
            problem=f"is not {file.encoding} (at byte {error.start:,})",
            hint="Try another encoding.",
        ) from error


def _settle(text: pl.LazyFrame, *, kept: Sequence[str], types: Mapping[str, Dtype]) -> Settled:
    """Stream all rows through the tests that a sample of them passes."""
    sample = text.head(SAMPLE_ROWS).collect()
    open_tests = {
        (name, kind): test
        for name in sample.columns
        if name not in types
        for kind, test in _tests(name).items()
        if sample.select(test.all()).item()
    }
    tested = text.select(
        _is_blank().sum().alias("blank"),
        pl.col(sample.columns[-1]).null_count().alias("open"),
        *(test.all().alias(f"{kind} {name}") for (name, kind), test in open_tests.items()),
        *(pl.col(name).count().alias(f"count {name}") for name in sample.columns),
        *(_misfits(name, dtype).alias(f"misfits {name}") for name, dtype in types.items()),
    )
    row = collected(tested).row(0, named=True)
    found = {
        name: next(kind for kind in KINDS if row.get(f"{kind} {name}"))
        for name in sample.columns
        if row[f"count {name}"] and any(row.get(f"{kind} {name}") for kind in KINDS)
    }
    return Settled(
        types={name: KINDS[kind] for name, kind in found.items() if name not in kept} | {**types},
        numeric=frozenset(found).intersection(kept),
        blank=row["blank"],
        open_ended=row["open"],
        misfits={name: row[f"misfits {name}"] for name in types},
    )


def _is_blank() -> pl.Expr:
    return pl.all_horizontal(pl.all().is_null())


def _tests(name: str) -> dict[str, pl.Expr]:
    column = pl.col(name)
    short = column.str.len_bytes() <= DECIMAL_BYTES
    return {
        "integer": column.str.contains(INTEGER),
        "decimal": column.str.contains(DECIMAL) & short,
        "boolean": column.str.contains(BOOLEAN),
    }


def _misfits(name: str, dtype: Dtype) -> pl.Expr:
    return (_typed(name, dtype, strict=False).is_null() & pl.col(name).is_not_null()).sum()


def _typed(name: str, dtype: Dtype, *, strict: bool = True) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean:
        is_true = column.str.to_lowercase() == "true"
        return pl.when(column.str.contains(BOOLEAN)).then(is_true).alias(name)
    return column.cast(dtype, strict=strict)


def _check_types(file: Layout, settled: Settled) -> None:
    for name, count in settled.misfits.items():
        if count:
            raise InputFileError(
                file.path,
                problem=f"{count:,} values of {name!r} are not {settled.types[name]}",
                hint="Leave the column out of types= and look at its values.",
            )


def _notes(files: Sequence[Layout], settled: Settled) -> Iterator[Note]:
    for file in files:
        yield from file.notes
    if settled.numeric:
        yield Note(
            code="file.text-columns",
            count=len(settled.numeric),
            message="Read as text although each value is a number, because the names say "
            f"identifier: {', '.join(sorted(settled.numeric))}.",
        )
    if settled.blank:
        yield Note(
            code="file.blank-rows",
            severity="warn",
            count=settled.blank,
            message=f"{settled.blank:,} wholly empty "
            f"{'row was' if settled.blank == 1 else 'rows were'} left out.",
        )
    if settled.open_ended > settled.blank:
        for file in files:
            yield from short_rows(file)


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
    """Refuse a file whose columns have no unique names.

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
