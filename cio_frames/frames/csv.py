"""CSV files: their layout, and one pass over every row, so that none is misread or fails half way."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import InputFileError
from cio_frames.frames.column import Note
from cio_frames.frames.csv_faults import beyond_header, fault, short_rows
from cio_frames.frames.csv_layout import Asked, Layout, layout
from cio_frames.frames.csv_rows import begins_as_header, is_record, is_repeated, repeated_notes
from cio_frames.frames.streaming import collect_streaming
from cio_frames.spec import CALLS, CONTEXT, folded

Dtype = pl.DataType | DataTypeClass

SAMPLE_ROWS = 1_000
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
DECIMAL = r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$"
DECIMAL_BYTES = 16  # 15 digits and the point are what a float gives back unchanged
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
class Settled:
    """What the look at every row found.

    `numeric` are the columns kept as text although each value is a number, because of their names,
    `uneven` because their decimals would not give the text back; `blank` counts wholly
    empty rows, `open_ended` those whose last cell is empty, `repeated` those that begin as the
    header does; `empty` are the columns without a value.
    """

    types: Mapping[str, Dtype]
    numeric: frozenset[str]
    uneven: frozenset[str]
    empty: frozenset[str]
    blank: int
    open_ended: int
    repeated: int
    misfits: Mapping[str, int]


def scan(
    paths: Sequence[str], *, ids: Sequence[str], types: Mapping[str, Dtype], asked: Asked
) -> tuple[pl.LazyFrame, tuple[Note, ...]]:
    """Return a lazy frame over the files, its types settled over all their rows, and what was chosen.

    Raises:
        InputFileError: If the files do not hold one table that can be read to its end.
    """
    files = [layout(path, asked) for path in paths]
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
    notes: list[Note] = []
    try:
        text = _text(files)
        settled = _settle(text, kept=kept, types=types, header=first.start.header)
        if settled.repeated:
            notes.extend(repeated_notes(files, text))
            text = text.filter(~is_repeated(first.names, first.start.header))
            settled = _settle(text, kept=kept, types=types, header=())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise fault(files, error) from error
    _check_types(first, settled)
    spare = _unused(files, settled)
    frame = text.filter(~_is_blank()) if settled.blank else text
    frame = frame.drop(spare).with_columns(
        _typed(name, dtype) for name, dtype in settled.types.items()
    )
    return frame, (*_notes(files, settled, spare=spare), *notes)


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
    """Return a lazy frame of the files with every column as text, without what is below the table."""
    ways = {
        (file.skip, file.header, file.quoted, isinstance(file.content, bytes)) for file in files
    }
    frame = _read(files) if len(ways) == 1 else pl.concat([_read([file]) for file in files])
    ends = list(dict.fromkeys(cells for file in files for cells in file.footers))
    return frame.filter(*(~is_record(files[0].names, cells) for cells in ends)) if ends else frame


def _read(files: Sequence[Layout]) -> pl.LazyFrame:
    first = files[0]
    sources: list[Any] = [file.content for file in files]
    return pl.scan_csv(
        sources,
        separator=first.form.separator,
        quote_char='"' if first.quoted else None,
        comment_prefix=first.comment,
        has_header=first.header,
        skip_lines=first.skip,
        infer_schema=False,
        with_column_names=lambda _: list(first.names),
        null_values=[""],
        glob=False,
    )


def _unused(files: Sequence[Layout], settled: Settled) -> list[str]:
    """Return the columns without a name that hold nothing: lines that end in a separator.

    Raises:
        InputFileError: One holds a value, and the header says nothing of it.
    """
    spare = min(file.start.spare for file in files)
    names = files[0].names[len(files[0].names) - spare :] if spare else ()
    used = [name for name in names if name not in settled.empty]
    for file in files:
        if used and len(file.start.header) < len(file.names):
            found = beyond_header(file)
            if found:
                raise found
    return [] if used else list(names)


def _settle(
    text: pl.LazyFrame,
    *,
    kept: Sequence[str],
    types: Mapping[str, Dtype],
    header: Sequence[str],
) -> Settled:
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
        begins_as_header(sample.columns, header).sum().alias("repeated"),
        *(test.all().alias(f"{kind} {name}") for (name, kind), test in open_tests.items()),
        *(
            _is_uneven(name).alias(f"uneven {name}")
            for name, kind in open_tests
            if kind == "decimal" and (name, "integer") not in open_tests
        ),
        *(pl.col(name).count().alias(f"count {name}") for name in sample.columns),
        *(_misfits(name, dtype).alias(f"misfits {name}") for name, dtype in types.items()),
    )
    row = collect_streaming(tested).row(0, named=True)
    found = {
        name: next(kind for kind in KINDS if row.get(f"{kind} {name}"))
        for name in sample.columns
        if row[f"count {name}"] and any(row.get(f"{kind} {name}") for kind in KINDS)
    }
    decimals = [name for name, kind in found.items() if kind == "decimal"]
    late = [name for name in decimals if f"uneven {name}" not in row]  # integers in the sample
    if late:
        row |= collect_streaming(
            text.select(_is_uneven(name).alias(f"uneven {name}") for name in late)
        ).row(0, named=True)
    uneven = {name for name in decimals if row[f"uneven {name}"]}
    as_text = uneven.union(kept)
    return Settled(
        types={name: KINDS[kind] for name, kind in found.items() if name not in as_text}
        | {**types},
        numeric=frozenset(found).intersection(kept),
        uneven=frozenset(uneven.difference(kept)),
        empty=frozenset(name for name in sample.columns if not row[f"count {name}"]),
        blank=row["blank"],
        open_ended=row["open"],
        repeated=row["repeated"],
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


def _is_uneven(name: str) -> pl.Expr:
    """Tell whether some decimals would lose a zero that says something, as in 3.1 beside 3.10.

    Prices (9.90, 10.00) all have as many places: their zeros say nothing.
    """
    column = pl.col(name)
    places = (column.str.len_bytes() - column.str.find(".", literal=True)).fill_null(0)
    told = pl.when(column != "0").then(places)
    ends_in_zero = column.str.ends_with("0") & column.str.contains(".", literal=True)
    return ends_in_zero.any() & (told.min() != told.max())


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
                hint="Leave the column out of types= and check its values.",
            )


def _notes(files: Sequence[Layout], settled: Settled, *, spare: Sequence[str]) -> Iterator[Note]:
    for file in files:
        yield from file.notes
    if spare:
        yield Note(
            code="file.trailing-separators",
            count=len(spare),
            message=f"{files[0].path}: the empty cell after the last separator of each line was "
            "ignored.",
        )
    if settled.numeric:
        yield Note(
            code="file.text-columns",
            count=len(settled.numeric),
            message="Read as text although each value is a number, because the names say "
            f"identifier: {', '.join(sorted(settled.numeric))}.",
        )
    if settled.uneven:
        yield Note(
            code="file.uneven-decimals",
            count=len(settled.uneven),
            message="Read as text although each value is a number, because numbers would not give the "
            "text back (3.10 would become 3.1): "
            f"{', '.join(sorted(settled.uneven))}. Pass types= to read them as numbers.",
        )
    blank = settled.blank - sum(file.blank for file in files)
    if blank > 0:
        yield Note(
            code="file.blank-rows",
            severity="warn",
            count=blank,
            message=f"{blank:,} wholly empty {'row was' if blank == 1 else 'rows were'} skipped.",
        )
    if settled.open_ended > settled.blank and not spare:
        for file in files:
            yield from short_rows(file)
