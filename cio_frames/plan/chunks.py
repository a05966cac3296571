"""The rows of a table as checked and encoded chunks, and as the segments of a run."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from cio_frames.checks import Check, Scope
from cio_frames.frames import Table, map_ahead
from cio_frames.mapping import computing
from cio_frames.payloads import SEGMENT_SCHEMA, Segment, batches, encode
from cio_frames.payloads.ids import with_new_ids_in_rows
from cio_frames.run import RowSelection
from cio_frames.spec import Call
from cio_frames.validation import BLOCKING, CompiledCheck, check, check_messages, rejection_reasons

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHUNK_ROWS = 50_000
"""The most rows of a chunk. Each chunk has costs that do not depend on its size, so smaller ones are
slower; larger ones take more memory than a laptop's user expects."""

CHUNK_CELLS = 1_600_000
"""The most cells of a chunk, so that wide tables take little more memory than narrow ones."""

AT_ONCE = 2
"""How many chunks are worked on at once: one alone leaves a core idle now and then."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """What decides which messages rows become; it is the same for every chunk."""

    scope: Scope
    checks: tuple[Check, ...]
    tests: Sequence[CompiledCheck]  # the checks, compiled for the mapping
    namespace: str  # keeps message ids of one place apart from those of another
    table_findings: pl.DataFrame | None = None  # about rows, from the whole table
    components: pl.DataFrame | None = None  # connected identifiers; without, none are


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedChunk:
    """A chunk after checks and encoding."""

    rows: pl.Series  # the row numbers of the chunk
    prepared: pl.DataFrame  # the rows that passed the checks, one column per field
    messages: pl.DataFrame  # of the rows that can be sent, in the order of the rows
    row_findings: pl.DataFrame
    message_findings: pl.DataFrame

    @property
    def findings(self) -> pl.DataFrame:
        """All findings."""
        return pl.concat([self.row_findings, self.message_findings])

    @property
    def reasons(self) -> pl.DataFrame:
        """Row, code and error of each row that cannot be sent."""
        return rejection_reasons(self.findings)


def encode_chunk(chunk: pl.DataFrame, *, encoding: Encoding) -> EncodedChunk:
    """Check and encode rows. The result depends on the arguments alone, on every engine."""
    scope = encoding.scope
    with computing(scope.mapping):
        prepared = scope.mapping.prepare(chunk)
    checked = check(
        prepared, tests=encoding.tests, table_findings=encoding.table_findings, raw=chunk
    )
    messages = encode(
        checked.valid, scope.mapping, namespace=encoding.namespace, components=encoding.components
    )
    late = check_messages(messages, checks=encoding.checks, scope=scope, prepared=prepared)
    rejected = late.filter(pl.col("severity").is_in(BLOCKING))["row"]
    if len(rejected):
        messages = messages.filter(~pl.col("row").is_in(rejected.implode()))
    return EncodedChunk(
        rows=checked.rows,
        prepared=checked.valid,
        messages=messages,
        row_findings=checked.findings,
        message_findings=late,
    )


def map_chunks(
    table: Table, function: Callable[[pl.DataFrame], Result], *, chunk_rows: int | None = None
) -> Generator[Result]:
    """Yield a function of each chunk of a table, in threads. Close it unless it is read to the end."""
    with closing(table.chunks(chunk_rows or rows_at_once(table))) as chunks:
        yield from map_ahead(function, chunks, at_once=AT_ONCE)


def encode_chunks(
    table: Table, *, encoding: Encoding, chunk_rows: int | None = None
) -> Generator[EncodedChunk]:
    """Check and encode a table chunk by chunk; bytes and ids do not depend on the chunks' size."""
    return map_chunks(table, partial(encode_chunk, encoding=encoding), chunk_rows=chunk_rows)


class Repeats:
    """Gives rows that set a state ids of their own if an earlier row has the same content.

    With the id of the earlier row, the workspace would ignore them although something may have changed
    in between. All chunks have to pass through it in the order of the rows.
    """

    def __init__(self) -> None:
        self._seen: list[npt.NDArray[np.uint64]] = []  # sorted; each at least twice the next
        self._times: dict[int, int] = {}

    def renewed(self, messages: pl.DataFrame, *, call: Call) -> pl.DataFrame:
        """Return the messages, with new ids for repeats."""
        is_state = sets_state(call) & ~pl.col("is_given")
        states = messages.select("row", "content").filter(messages.select(is_state).to_series())
        if states.is_empty():
            return messages
        import numpy as np

        new = np.sort(states["content"].to_numpy())
        seen = [new[:0]]
        for block in self._seen:
            matches = np.take(block, np.searchsorted(block, new), mode="clip")
            seen.append(new[matches == new])
        is_seen = pl.col("content").is_in(pl.Series(np.concatenate(seen)).implode())
        again = states.filter(is_seen | ~pl.col("content").is_first_distinct())
        while self._seen and len(self._seen[-1]) < 2 * len(new):
            new = np.sort(np.concatenate((self._seen.pop(), new)), kind="stable")
        self._seen.append(new)
        if again.is_empty():
            return messages
        numbers = [self._next(content) for content in again["content"]]
        seeds = again.select("row", seed=pl.Series(numbers, dtype=pl.Int64).cast(pl.String))
        return with_new_ids_in_rows(messages, seeds)

    def _next(self, content: int) -> int:
        self._times[content] = self._times.get(content, 0) + 1
        return self._times[content]


def sets_state(call: Call) -> pl.Expr:
    """Return an expression: whether a message of a call sets a state, so that repeating it is harmless."""
    return pl.col("subjects").is_not_null() & pl.lit(call.sets_state or call.name == "track")


def rows_at_once(table: Table) -> int:
    """Return how many rows of a table make a chunk: fewer where it is wide.

    Examples:
        >>> from cio_frames.frames import read
        >>> rows_at_once(read(pl.DataFrame({"id": ["u1"]})))
        50000
        >>> rows_at_once(read(pl.DataFrame({f"c{place}": [1.5] for place in range(64)})))
        25000
    """
    return max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(1, len(table.schema()))))


def segments(
    chunks: Iterable[EncodedChunk],
    *,
    call: Call,
    batch_bytes: int,
    selection: RowSelection,
    plan: int = 0,
    first: int = 0,
) -> Generator[Segment]:
    """Yield the segments of a run: the state of each row, and the requests; the first has number `first`."""
    number = first
    for chunk in chunks:
        messages, lost = chunk.messages, chunk.reasons
        rows = selection.rows(chunk.rows, plan=plan)
        if rows is not None:
            if rows.is_empty():
                continue
            taken = pl.col("row").is_in(rows.implode())
            messages, lost = messages.filter(taken), lost.filter(taken)
        sent, finished = selection.split_finished(messages, plan=plan)
        selection.require_same(sent, plan=plan)
        states = sets_state(call) & ~pl.col("is_given")
        requests, numbers = batches(
            selection.on_wire(sent, states=states), plan=plan, segment=number, call=call.name, batched=call.batched,
            limit_bytes=batch_bytes,
        )  # fmt: skip
        rows_of = _rows(sent.with_columns(numbers), finished=finished, lost=lost, call=call.name)
        yield Segment(plan=plan, number=number, call=call.name, rows=rows_of, batches=requests)
        number += 1


def _rows(
    sent: pl.DataFrame, *, finished: pl.DataFrame, lost: pl.DataFrame, call: str
) -> pl.DataFrame:
    """Return one row for each row of a chunk, in the order of their numbers, as `SEGMENT_SCHEMA`.

    Messages are sent in the order in which they come, which differs where a table is in order
    of time.
    """
    rows = sent.drop("path", "message").with_columns(pl.lit("pending").alias("state"))
    if lost.height or finished.height:
        rejected = lost.with_columns(pl.lit("rejected_local").alias("state"))
        more = [rejected, finished.drop("path", "message")]
        rows = pl.concat([rows, *more], how="diagonal")
    if not rows["row"].is_sorted():
        rows = rows.sort("row")
    rows = rows.with_columns(pl.lit(call).alias("call"))
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in SEGMENT_SCHEMA.items()
    )
