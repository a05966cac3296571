"""Scan CSV files: one pass over every row, so that none is misread and none fails later."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import InputFileError
from cio_frames.frames.column import Note
from cio_frames.frames.csv_errors import beyond_header, read_error, short_rows
from cio_frames.frames.csv_layout import CsvOptions, Layout, find_layout
from cio_frames.frames.csv_records import BrokenRecordError
from cio_frames.frames.streaming import collect_streaming
from cio_frames.spec import CALLS, CONTEXT, folded

Dtype = pl.DataType | DataTypeClass

SAMPLE_ROWS = 1_000
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
DECIMAL = r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$"
DECIMAL_BYTES = 16  # a float keeps 15 digits and the point unchanged
BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
KINDS: Mapping[str, Dtype] = {"integer": pl.Int64, "decimal": pl.Float64, "boolean": pl.Boolean}

ID_ENDINGS = frozenset(
    {"id", "ids", "uid", "uuid", "guid", "key", "code", "number", "no", "nr", "sku", "ean", "isbn"}
    | {"ref", "reference", "account", "token", "version"}
)
ID_WORDS = frozenset(
    {"zip", "zipcode", "postal", "postcode", "phone", "telephone", "mobile", "iban"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a pass over all rows shows.

    Attributes:
        types: The types of the columns that are not text.
        numeric_ids: Columns of numbers that stay text because of their names.
        uneven_decimals: Columns of numbers that stay text because their zeros would be lost.
        empty_columns: Columns without a value.
        blank_rows: The number of completely empty rows.
        short_rows: The number of rows whose last cell is empty.
        header_rows: The number of rows that begin like the header.
        misfits: How many values of each column in `types=` are not of its type.
    """

    types: Mapping[str, Dtype]
    numeric_ids: frozenset[str]
    uneven_decimals: frozenset[str]
    empty_columns: frozenset[str]
    blank_rows: int
    short_rows: int
    header_rows: int
    misfits: Mapping[str, int]


def scan(
    paths: Sequence[str], *, ids: Sequence[str], types: Mapping[str, Dtype], options: CsvOptions
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return a lazy frame over the files, with types that fit all their rows, and notes.

    Raises:
        InputFileError: If the files do not contain one readable table.
    """
    files = [find_layout(path, options) for path in paths]
    first = files[0]
    for file in files:
        if file.signature != first.signature:
            raise InputFileError(
                file.path,
                problem=f"its header differs from that of {first.path}",
                hint="Scan files of one layout at a time.",
            )
    _check_options(first, ids, types)
    id_columns = [name for name in first.names if name in ids or is_id_name(name)]
    notes: list[Note] = []
    try:
        text = _text_frame(files)
        inspection = _inspect(text, id_columns=id_columns, types=types, header=first.start.header)
        if inspection.header_rows:
            notes.extend(_repeated_header_notes(files, text))
            text = text.filter(~_is_header(first.names, first.start.header))
            inspection = _inspect(text, id_columns=id_columns, types=types, header=())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise read_error(files, error) from error
    _check_types(first, inspection)
    unused = _unused_at_end(files, inspection)
    frame = text.filter(~_is_blank()) if inspection.blank_rows else text
    frame = frame.drop(unused).with_columns(
        _typed(name, dtype) for name, dtype in inspection.types.items()
    )
    return frame, (*_notes(files, inspection, unused=unused), *notes)


def is_id_name(name: str) -> bool:
    """Return whether the name of a column shows that its values are identifiers, not quantities.

    Examples:
        >>> [is_id_name(name) for name in ("customerId", "ZIP", "order_number", "number_of_orders")]
        [True, True, True, False]
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+", name)]
    ending = words[-1] if words else ""
    return ending in ID_ENDINGS or not ID_WORDS.isdisjoint(words) or folded(name) in _id_names()


@cache
def _id_names() -> frozenset[str]:
    """Return the names that the API spec lists for identifiers, folded."""
    fields = [*(field for call in CALLS.values() for field in call.fields), *CONTEXT]
    return frozenset(
        folded(name) for field in fields if field.type == "id" for name in field.synonyms
    )


def unknown_column(path: str, name: str, names: Sequence[str]) -> InputFileError:
    """Return the error for a column that is not in the file."""
    near = get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Columns: {', '.join(names)}."
    return InputFileError(path, problem=f"has no column {name!r}", hint=hint)


def _check_options(file: Layout, ids: Sequence[str], types: Mapping[str, Dtype]) -> None:
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


def _text_frame(files: Sequence[Layout]) -> pl.LazyFrame:
    """Return a lazy frame of the files with every column as text, without the footers."""
    settings = {
        (content.skip, content.has_header, content.has_quotes, isinstance(content.source, bytes))
        for content in (file.content for file in files)
    }
    is_uniform = len(settings) == 1
    frame = _scan_text(files) if is_uniform else pl.concat([_scan_text([file]) for file in files])
    footers = list(dict.fromkeys(cells for file in files for cells in file.footers))
    if not footers:
        return frame
    return frame.filter(*(~_is_record(files[0].names, cells) for cells in footers))


def _is_record(names: Sequence[str], cells: Sequence[str]) -> pl.Expr:
    """Return a boolean expression: True where a row has exactly those cells; the last may be missing."""
    values = [*cells, *[""] * (len(names) - len(cells))]
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.lit(value or None, dtype=pl.String))
        for name, value in zip(names, values, strict=False)
    )


def _scan_text(files: Sequence[Layout]) -> pl.LazyFrame:
    first = files[0]
    sources: list[Any] = [file.content.source for file in files]
    return pl.scan_csv(
        sources,
        separator=first.csv_format.separator,
        quote_char='"' if first.content.has_quotes else None,
        comment_prefix=first.content.comment,
        has_header=first.content.has_header,
        skip_lines=first.content.skip,
        infer_schema=False,
        with_column_names=lambda _: list(first.names),
        null_values=[""],
        glob=False,
    )


def _unused_at_end(files: Sequence[Layout], inspection: Inspection) -> list[str]:
    """Return the last columns if they have neither names nor values: all lines end in a separator.

    Raises:
        InputFileError: One has a value, but the header has no name for it.
    """
    unnamed = min(file.start.unnamed_at_end for file in files)
    names = files[0].names[len(files[0].names) - unnamed :] if unnamed else ()
    if inspection.empty_columns.issuperset(names):
        return list(names)
    for file in files:
        if len(file.start.header) < len(file.names):
            error = beyond_header(file)
            if error:
                raise error
    return []


def _inspect(
    text: pl.LazyFrame,
    *,
    id_columns: Sequence[str],
    types: Mapping[str, Dtype],
    header: Sequence[str],
) -> Inspection:
    """Apply to all rows the tests that a sample of them passes."""
    sample = text.head(SAMPLE_ROWS).collect()
    possible = {
        (name, kind): test
        for name in sample.columns
        if name not in types
        for kind, test in _tests(name).items()
        if sample.select(test.all()).item()
    }
    results = text.select(
        _is_blank().sum().alias("blank"),
        pl.col(sample.columns[-1]).null_count().alias("short"),
        _begins_like_header(sample.columns, header).sum().alias("header"),
        *(test.all().alias(f"{kind} {name}") for (name, kind), test in possible.items()),
        *(
            _is_uneven(name).alias(f"uneven {name}")
            for name, kind in possible
            if kind == "decimal" and (name, "integer") not in possible
        ),
        *(pl.col(name).count().alias(f"count {name}") for name in sample.columns),
        *(_misfits(name, dtype).alias(f"misfits {name}") for name, dtype in types.items()),
    )
    row = collect_streaming(results).row(0, named=True)
    kinds = {
        name: next(kind for kind in KINDS if row.get(f"{kind} {name}"))
        for name in sample.columns
        if row[f"count {name}"] and any(row.get(f"{kind} {name}") for kind in KINDS)
    }
    decimals = [name for name, kind in kinds.items() if kind == "decimal"]
    untested = [name for name in decimals if f"uneven {name}" not in row]  # integers in the sample
    if untested:
        row |= collect_streaming(
            text.select(_is_uneven(name).alias(f"uneven {name}") for name in untested)
        ).row(0, named=True)
    uneven = {name for name in decimals if row[f"uneven {name}"]}
    as_text = uneven.union(id_columns)
    return Inspection(
        types={name: KINDS[kind] for name, kind in kinds.items() if name not in as_text}
        | {**types},
        numeric_ids=frozenset(kinds).intersection(id_columns),
        uneven_decimals=frozenset(uneven.difference(id_columns)),
        empty_columns=frozenset(name for name in sample.columns if not row[f"count {name}"]),
        blank_rows=row["blank"],
        short_rows=row["short"],
        header_rows=row["header"],
        misfits={name: row[f"misfits {name}"] for name in types},
    )


_FILE_START = '\ufeff"'  # before the first name in the second of two concatenated files


def _begins_like_header(names: Sequence[str], header: Sequence[str]) -> pl.Expr:
    """Return a boolean expression: True where a row begins with the first name of the header."""
    place = next((place for place, cell in enumerate(header) if cell), None)
    return pl.lit(value=False) if place is None else _equals(names[place], header[place])


def _is_header(names: Sequence[str], header: Sequence[str]) -> pl.Expr:
    """Return a boolean expression: True where a row repeats the header."""
    pairs = zip(names, header, strict=False)
    return pl.all_horizontal(_equals(name, cell) for name, cell in pairs if cell)


def _equals(name: str, cell: str) -> pl.Expr:
    bare = cell.strip(_FILE_START)
    forms = (bare, "\ufeff" + bare, f'\ufeff"{bare}"')
    return pl.any_horizontal(pl.col(name) == form for form in forms).fill_null(value=False)


def _repeated_header_notes(files: Sequence[Layout], text: pl.LazyFrame) -> Iterator[Note]:
    """Yield a note if the header comes again among the rows."""
    is_header = _is_header(files[0].names, files[0].start.header)
    count = collect_streaming(text.select(is_header.sum())).item()
    if not count:
        return
    yield Note(
        code="file.header-repeated",
        severity="warn",
        count=count,
        message=f"{_line_of_header(files)} repeats the header. "
        f"{'It was' if count == 1 else f'{count:,} such lines were'} skipped.",
    )


def _line_of_header(files: Sequence[Layout]) -> str:
    header = [cell.strip(_FILE_START) for cell in files[0].start.header]
    for file in files:
        with suppress(BrokenRecordError):
            for record in file.records():
                if [cell.strip(_FILE_START) for cell in record.cells] == header:
                    return f"{file.path}: line {record.first:,}"
    return f"{files[0].path}: a line"


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


def _is_uneven(name: str) -> pl.Expr:
    """Return whether decimals would lose a zero that has a meaning, as in 3.1 beside 3.10.

    Prices (9.90, 10.00) all have the same number of places: their zeros have no meaning.
    """
    column = pl.col(name)
    places = (column.str.len_bytes() - column.str.find(".", literal=True)).fill_null(0)
    counted = pl.when(column != "0").then(places)
    ends_in_zero = column.str.ends_with("0") & column.str.contains(".", literal=True)
    return ends_in_zero.any() & (counted.min() != counted.max())


def _misfits(name: str, dtype: Dtype) -> pl.Expr:
    return (_typed(name, dtype, strict=False).is_null() & pl.col(name).is_not_null()).sum()


def _typed(name: str, dtype: Dtype, *, strict: bool = True) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean:
        is_true = column.str.to_lowercase() == "true"
        return pl.when(column.str.contains(BOOLEAN)).then(is_true).alias(name)
    return column.cast(dtype, strict=strict)


def _check_types(file: Layout, inspection: Inspection) -> None:
    for name, count in inspection.misfits.items():
        if count:
            raise InputFileError(
                file.path,
                problem=f"{count:,} values of {name!r} are not {inspection.types[name]}",
                hint="Leave the column out of types= and check its values.",
            )


def _notes(
    files: Sequence[Layout], inspection: Inspection, *, unused: Sequence[str]
) -> Iterator[Note]:
    for file in files:
        yield from file.notes
    if unused:
        yield Note(
            code="file.trailing-separators",
            count=len(unused),
            message=f"{files[0].path}: the empty cell after the last separator of each line was "
            "ignored.",
        )
    if inspection.numeric_ids:
        yield Note(
            code="file.text-columns",
            count=len(inspection.numeric_ids),
            message="Read as text although each value is a number, because the names are those of "
            f"identifiers: {', '.join(sorted(inspection.numeric_ids))}.",
        )
    if inspection.uneven_decimals:
        yield Note(
            code="file.uneven-decimals",
            count=len(inspection.uneven_decimals),
            message="Read as text although each value is a number, because as numbers they would "
            "change (3.10 would become 3.1): "
            f"{', '.join(sorted(inspection.uneven_decimals))}. Pass types= to read them as numbers.",
        )
    blank = inspection.blank_rows - sum(file.blank_lines for file in files)
    if blank > 0:
        yield Note(
            code="file.blank-rows",
            severity="warn",
            count=blank,
            message=f"{blank:,} wholly empty {'row was' if blank == 1 else 'rows were'} skipped.",
        )
    if inspection.short_rows > inspection.blank_rows and not unused:
        for file in files:
            yield from short_rows(file)
