"""The table that every later stage works on: a lazy frame with numbered rows, and its fingerprint."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from polars.datatypes import DataTypeClass

from cio_frames.errors import FrameError, errors_as
from cio_frames.frames.column import ROW, Note
from cio_frames.frames.file_content import FileStamp
from cio_frames.frames.order import RowOrder
from cio_frames.frames.pandas import append
from cio_frames.frames.remote import RemoteStamp
from cio_frames.frames.streaming import collect_streaming, stream
from cio_frames.frames.threads import map_ahead

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FINGERPRINT_VERSION = 2
"""Increased whenever the same table gets another fingerprint than before."""

RUN_IT_ALONE = "Run frame.collect() to see the step that fails."

_REORDERED = Note(
    code="frame.loaded",
    message="The lazy frame gave its rows in another order when it was read again, so it was loaded "
    "once. Row numbers are those of the first reading.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A table of the user; its rows are numbered from 0 in input order.

    Attributes:
        lazy: The converted columns, without row numbers.
        json_columns: Text columns whose values are JSON.
        index: The column names that the levels of a pandas index would have.
        eager: The same data as `lazy`, if it is in memory anyway.
        source: The frame of the user, from which rows are returned.
        pieces: The same rows, in order, in frames that can be read one by one.
        files: The stamps of the files that the pieces come from.
        order: The order of the rows in the pass that checked them.
        calls_python: Whether the query calls functions of the user, which may return another order
            each time.
    """

    lazy: pl.LazyFrame = field(repr=False)
    library: Literal["pandas", "polars", "spark"] = "polars"
    label: str = "polars frame"
    json_columns: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    index: tuple[str, ...] = ()
    eager: pl.DataFrame | None = field(default=None, repr=False)
    source: Any = field(default=None, repr=False)
    pieces: tuple[pl.LazyFrame, ...] = field(default=(), repr=False)
    files: tuple[FileStamp | RemoteStamp, ...] = ()
    order: RowOrder = field(default_factory=RowOrder, repr=False)
    calls_python: bool = False

    @property
    def all_notes(self) -> tuple[Note, ...]:
        """The notes of the reader, and one if the rows had another order in a later pass."""
        return (*self.notes, *([_REORDERED] if self.order.loaded is not None else []))

    def schema(self) -> pl.Schema:
        """Return the columns and their types, without row numbers."""
        if self.eager is not None:
            return self.eager.schema
        with frame_errors(self.label):
            return self.lazy.collect_schema()

    def rows(self) -> int:
        """Count the rows; a lazy table is not loaded."""
        if self.eager is not None:
            return self.eager.height
        with frame_errors(self.label):
            return int(collect_streaming(self.lazy.select(pl.len())).item())

    def chunks(self, rows: int = 50_000) -> Generator[pl.DataFrame]:
        """Yield the table in frames of exactly `rows` rows (the last may be shorter).

        Yields:
            Frames whose first column is `__row__` (Int64). Close the generator unless it is read to
            the end: threads read ahead, and files are open.

        Raises:
            FrameError: If a lazy table fails while it is read.

        Examples:
            >>> from cio_frames.frames import read
            >>> table = read(pl.DataFrame({"id": ["a", "b", "c"]}))
            >>> [chunk.rows() for chunk in table.chunks(2)]
            [[(0, 'a'), (1, 'b')], [(2, 'c')]]
        """
        if rows < 1:
            raise ValueError(f"rows={rows}: a chunk must have at least one row.")
        if self.eager is None:
            parts = self._batches_in_order(rows)
        else:
            # polars 2.0.0 panics where it computes with structs that are in several pieces
            parts = (part.rechunk() for part in self.eager.iter_slices(rows))
        start = 0
        with closing(parts):
            for part in parts:
                numbers = pl.int_range(start, start + part.height, dtype=pl.Int64, eager=True)
                yield part.select(numbers.alias(ROW), pl.all())
                start += part.height

    def numbered(self) -> pl.LazyFrame:
        """Return the rows with their numbers, in a query that detects another order.

        It does so only if it calls functions of the user, since comparing rows reads all columns.
        """
        loaded = self.order.loaded
        rows = self.lazy if loaded is None else loaded.lazy()
        rows = rows.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
        if loaded is not None or not self.calls_python:
            return rows
        return rows.map_batches(
            self._compare_order, predicate_pushdown=False, projection_pushdown=False,
            slice_pushdown=False, streamable=True,
        )  # fmt: skip

    def load_in_order(self) -> pl.DataFrame:
        """Load a lazy table, with the rows in the order of the pass that checked them.

        Raises:
            FrameError: The query returns other rows each time, or fails.
        """
        if self.order.loaded is not None:
            return self.order.loaded
        with frame_errors(self.label):
            rows = collect_streaming(self.lazy)
            hashes = row_hashes(rows, canonical_schema(self.schema()))
            return self.order.restore(rows, hashes, label=self.label)

    def without_reason_columns(self, names: Sequence[str]) -> "Table":
        """Return the table without columns with the reasons why rows were not sent earlier.

        Rows are returned without them, too.
        """
        listed = ", ".join(map(repr, names))
        note = Note(
            code="frame.own-columns",
            message=f"Columns that say why rows of an earlier plan or run were not sent are not sent: "
            f"{listed}.",
        )
        source = self.source
        if source is not None:
            is_pandas = self.library == "pandas"
            source = (
                source.drop(columns=list(names)) if is_pandas else pl.DataFrame(source).drop(names)
            )
        return replace(
            self,
            lazy=self.lazy.drop(names),
            eager=None if self.eager is None else self.eager.drop(names),
            source=source,
            pieces=tuple(piece.drop(names) for piece in self.pieces),
            json_columns=self.json_columns - set(names),
            notes=(*(item for item in self.notes if item.column not in names), note),
            order=RowOrder(),
        )

    def pick(self, rows: Sequence[int] | pl.Series, extra: pl.DataFrame | None = None) -> Any:
        """Return input rows unchanged, in the order of the row numbers.

        Args:
            rows: Row numbers; a number may come twice.
            extra: Columns to append, with a `__row__` column to join them by; other rows get nulls.
                A name that the table already has gets a trailing underscore.

        Returns:
            A pandas frame with its own index and types if the table came from pandas, else a
            polars frame.

        Raises:
            IndexError: If a row number is not in the table.
        """
        numbers = pl.Series(ROW, rows, dtype=pl.Int64)
        height = self.rows() if self.eager is not None else None
        outside = numbers.is_null() | (numbers < 0)
        if outside.any() or (height is not None and (numbers >= height).any()):
            raise IndexError("A row number is outside the table.")
        if self.library == "pandas":
            return self._pick_pandas(numbers, extra)
        picked = self._pick_polars(numbers)
        return (
            picked
            if extra is None
            else picked.hstack(_extra_columns(numbers, extra, picked.columns))
        )

    def _batches_in_order(self, rows: int) -> Generator[pl.DataFrame]:
        """Yield the batches of a lazy table in the order of the first pass."""
        start = 0
        if self.order.loaded is None:
            with closing(self._batches(rows)) as parts:
                for part in parts:
                    if not self._is_in_order(part, start):
                        break
                    yield part
                    start += part.height
                else:
                    if self.order.has_all_rows(start):
                        return
        yield from self.load_in_order()[start:].iter_slices(rows)

    def _is_in_order(self, part: pl.DataFrame, start: int) -> bool:
        """Return whether a batch that begins at `start` has the same rows as in the first pass."""
        if not self.order.is_complete:
            return True
        numbers = pl.int_range(start, start + part.height, dtype=pl.Int64, eager=True)
        return self._match_first_pass(part, numbers)

    def _match_first_pass(self, part: pl.DataFrame, numbers: pl.Series) -> bool:
        hashes = row_hashes(part, canonical_schema(self.schema()))
        return self.order.matches(hashes, numbers.to_numpy())

    def _compare_order(self, part: pl.DataFrame) -> pl.DataFrame:
        if self.order.is_complete and not self.order.differs:
            self._match_first_pass(part.drop(ROW), part[ROW])
        return part

    def _batches(self, rows: int) -> Generator[pl.DataFrame]:
        """Stream the lazy frame in batches of exactly `rows` rows; the last may be shorter."""
        with frame_errors(self.label), closing(self._stream()) as batches:
            waiting: list[pl.DataFrame] = []
            for batch in batches:
                waiting.append(batch)
                if sum(frame.height for frame in waiting) < rows:
                    continue
                joined = pl.concat(waiting).rechunk()
                complete = joined.height // rows * rows
                yield from joined.head(complete).iter_slices(rows)
                waiting = [joined[complete:]]
            rest = pl.concat(waiting).rechunk() if waiting else pl.DataFrame()
            if rest.height:
                yield rest

    def _stream(self) -> Generator[pl.DataFrame]:
        """Yield batches of any size, but none of a file that has changed."""
        batches = (
            map_ahead(_collect_piece, self.pieces, at_once=2) if self.pieces else stream(self.lazy)
        )
        with closing(batches):
            self._require_same_files()
            for batch in batches:
                self._require_same_files()
                yield batch
                self._require_same_files()

    def _require_same_files(self) -> None:
        for file in self.files:
            file.require_same()

    def _pick_pandas(self, numbers: pl.Series, extra: pl.DataFrame | None) -> Any:
        picked = self.source.iloc[numbers.to_numpy()]
        if extra is None:
            return picked
        return append(picked, _extra_columns(numbers, extra, list(picked.columns)))

    def _pick_polars(self, numbers: pl.Series) -> pl.DataFrame:
        if self.source is not None:
            return pl.DataFrame(self.source)[numbers.to_numpy()]
        with frame_errors(self.label):
            is_picked = pl.col(ROW).is_in(numbers.unique().implode())
            picked = collect_streaming(self.numbered().filter(is_picked))
        has_all = picked.height == numbers.n_unique()
        if self.order.is_complete and not (
            has_all and self._match_first_pass(picked.drop(ROW), picked[ROW])
        ):
            restored = self.load_in_order()
            picked = restored.select(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW), pl.all())
            picked = picked.filter(is_picked)
        if picked.height < numbers.n_unique():
            raise IndexError("A row number is outside the table.")
        return numbers.to_frame().join(picked, on=ROW, how="left", maintain_order="left").drop(ROW)


def _collect_piece(piece: pl.LazyFrame) -> pl.DataFrame:
    return piece.collect(engine="streaming")


@contextmanager
def frame_errors(label: str, *, hint: str = RUN_IT_ALONE) -> Iterator[None]:
    """Raise any error in reading a table as a FrameError.

    Raises:
        FrameError: The table, the engine or a function of the user failed.
    """
    with errors_as(
        lambda kind: FrameError(f"The {label} failed while it was read ({kind}). {hint}"),
        any_error=True,
    ):
        yield


def _extra_columns(numbers: pl.Series, extra: pl.DataFrame, taken: Sequence[str]) -> pl.DataFrame:
    """Return the extra columns for those rows, under unused names."""
    extra = extra.with_columns(pl.col(ROW).cast(pl.Int64))
    joined = numbers.to_frame().join(
        extra, on=ROW, how="left", maintain_order="left", validate="m:1"
    )
    names: dict[str, str] = {}
    for name in joined.drop(ROW).columns:
        unused = name
        while unused in taken or unused in names.values():
            unused += "_"
        names[name] = unused
    return joined.drop(ROW).rename(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintPart:
    """The contribution of some rows to the fingerprint of a table.

    Attributes:
        total: The sum of their hashes, modulo 2**64.
        rows: The number of rows.
        filled: The columns that have a value in any of these rows.
    """

    total: int
    rows: int
    filled: frozenset[str]


class Fingerprint:
    """Computes the fingerprint of a table, chunk by chunk, in any order and on any threads.

    pandas, polars and Arrow tables of the same data have the same fingerprint if their column types
    agree. Times and durations count in microseconds, whatever their unit is; a categorical column
    counts as text; a column without values has no type. Row hashes come from polars, so fingerprints
    are comparable only with the same polars version, which is part of the text.

    Args:
        schema: The columns of the table, without row numbers.
        order: Where to add the order of the rows, if it is needed.

    Examples:
        >>> from cio_frames.frames import read
        >>> table = read(pl.DataFrame({"id": ["a", "b", "c"]}))
        >>> by_parts, at_once = Fingerprint(table.schema()), Fingerprint(table.schema())
        >>> for chunk in table.chunks(2):
        ...     by_parts.add(chunk)
        >>> for chunk in table.chunks():
        ...     at_once.add(chunk)
        >>> by_parts.text == at_once.text
        True
    """

    def __init__(self, schema: pl.Schema, order: RowOrder | None = None) -> None:
        self._schema = canonical_schema(schema)
        self._order = order
        self._filled: set[str] = set()
        self._lock = Lock()
        self._total = 0
        self._rows = 0

    def add(self, chunk: pl.DataFrame) -> None:
        """Add rows, with their numbers."""
        part, hashes = self._part(chunk)
        if self._order is not None and chunk.height:
            self._order.add(chunk.item(0, ROW), hashes)
        self.merge(part)

    def merge(self, part: "FingerprintPart") -> None:
        """Add the part of other rows of the same table."""
        with self._lock:
            self._total = (self._total + part.total) % (1 << 64)
            self._rows += part.rows
            self._filled.update(part.filled)

    @property
    def part(self) -> "FingerprintPart":
        """The part of the rows added so far."""
        with self._lock:
            return FingerprintPart(
                total=self._total, rows=self._rows, filled=frozenset(self._filled)
            )

    def _part(self, chunk: pl.DataFrame) -> tuple["FingerprintPart", "npt.NDArray[np.uint64]"]:
        rows = _cast_to_canonical(chunk.drop(ROW), self._schema)
        hashes = rows.hash_rows(seed=0).to_numpy()
        filled = [column.name for column in rows if column.null_count() < chunk.height]
        places = chunk[ROW].cast(pl.UInt64).to_numpy()
        total = int((hashes * (2 * places + 1)).sum())  # modulo 2**64
        part = FingerprintPart(total=total, rows=chunk.height, filled=frozenset(filled))
        return part, hashes

    @property
    def text(self) -> str:
        """Version, polars version and 32 hexadecimal digits: `2:2.1.0:9f86d081884c7d659a2feaa0c55ad015`."""
        columns = "\n".join(
            f"{name}\t{dtype!r}" if name in self._filled else name
            for name, dtype in self._schema.items()
        )
        text = f"{columns}\n{self._rows}\n{self._total}"
        return f"{FINGERPRINT_VERSION}:{pl.__version__}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def canonical_schema(schema: pl.Schema) -> pl.Schema:
    """Return types that the same columns have in every library."""
    return pl.Schema({name: _canonical(dtype) for name, dtype in schema.items()})


def row_hashes(rows: pl.DataFrame, schema: pl.Schema) -> "npt.NDArray[np.uint64]":
    """Return a hash of each row; equal rows have equal hashes."""
    return _cast_to_canonical(rows, schema).hash_rows(seed=0).to_numpy()


def _cast_to_canonical(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    # times outside the range of microseconds become null; such rows are never sent
    return rows.cast(schema, strict=False)


def fingerprint(table: Table) -> str:
    """Return the fingerprint of a table, of its columns, their types, the rows and their order.

    Raises:
        FrameError: If a lazy table fails while it is read.
    """
    total = Fingerprint(table.schema())
    with closing(table.chunks()) as chunks:
        for chunk in chunks:
            total.add(chunk)
    return total.text


def _canonical(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """Return the type that the same values have in every library: microseconds, categories as text."""
    canonical = dtype if isinstance(dtype, pl.DataType) else dtype()
    match canonical:
        case pl.Datetime():
            canonical = pl.Datetime("us", canonical.time_zone)
        case pl.Duration():
            canonical = pl.Duration("us")
        case pl.Categorical() | pl.Enum():
            canonical = pl.String()
        case pl.List():
            canonical = pl.List(_canonical(canonical.inner))
        case pl.Array():
            canonical = pl.Array(_canonical(canonical.inner), canonical.size)
        case pl.Struct():
            fields = {item.name: _canonical(item.dtype) for item in canonical.fields}
            canonical = pl.Struct(fields)
    return canonical
