"""The rows of plans for an identity preview: checked, and read without building whole messages."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from cio_frames.frames import ROW
from cio_frames.identity.messages import (
    IdentityColumns,
    WantedAttributes,
    identity_columns,
    is_content_needed,
)
from cio_frames.mapping import MessageMapping, computing, lane_key, subjects
from cio_frames.payloads import contents, lanes, max_message_bytes, order_key, sizes
from cio_frames.plan.chunks import (
    CHUNK_ROWS,
    Encoding,
    Repeats,
    encode_chunks,
    map_chunks,
    sets_state,
)
from cio_frames.plan.pipeline import Pipeline, Pipelines
from cio_frames.validation import BLOCKING, check, check_messages


def identity_parts(
    pipelines: Pipelines, wanted: WantedAttributes
) -> Generator[tuple[IdentityColumns, int]]:
    """Yield the identity columns of messages in the order of sending, and the rows read so far."""
    read = first = 0
    repeats = Repeats() if _have_own_ids(pipelines) else None
    for place, pipeline in enumerate(pipelines.all):
        reader = _Reader(
            pipeline=pipeline, encoding=_encoding(pipeline, pipelines.components), wanted=wanted
        )
        with closing(reader.parts(repeats)) as parts:
            for rows, columns in parts:
                read += rows
                yield IdentityColumns.from_columns(columns, plan=place, first=first), read
                first += columns.height


def _have_own_ids(pipelines: Pipelines) -> bool:
    """Return whether the ids of any messages are not derived from their contents."""
    fields = [field for pipeline in pipelines.all for field in pipeline.mapping.fields]
    return any(field.role == "key" or field.argument == "message_id" for field in fields)


def _encoding(pipeline: Pipeline, components: pl.DataFrame | None) -> Encoding:
    """Return the encoding of a pipeline with only the checks that can reject a row."""
    encoding = pipeline.encoding(
        table_findings=pipeline.before_send.blocking, components=components
    )
    tests = [test for test in encoding.tests if test.severity in BLOCKING]
    return replace(encoding, tests=tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the rows of one table."""

    pipeline: Pipeline
    encoding: Encoding
    wanted: WantedAttributes

    @property
    def _mapping(self) -> MessageMapping:
        return self.encoding.scope.mapping

    def parts(self, repeats: Repeats | None) -> Generator[tuple[int, pl.DataFrame]]:
        """Yield rows and identity columns of each chunk; with `repeats`, from written messages."""
        if repeats is None:
            rejected = self.pipeline.rejected
            part = partial(self._part, rejected=rejected)
            yield from map_chunks(self.pipeline.table, part, chunk_rows=CHUNK_ROWS)
            return
        chunks = encode_chunks(self.pipeline.table, encoding=self.encoding, chunk_rows=CHUNK_ROWS)
        with closing(chunks):
            for chunk in chunks:
                messages = repeats.renewed(chunk.messages, call=self._mapping.call)
                columns = identity_columns(chunk.prepared, messages, self._mapping, self.wanted)
                yield len(chunk.rows), columns

    def _part(self, chunk: pl.DataFrame, *, rejected: pl.Series | None) -> tuple[int, pl.DataFrame]:
        with computing(self._mapping):
            prepared = self._mapping.prepare(chunk)
        if rejected is None:
            sent = self._sent(prepared, chunk)
        else:
            sent = prepared.filter(~pl.col(ROW).is_in(rejected.implode()))
        columns = identity_columns(sent, self._messages(sent), self._mapping, self.wanted)
        return chunk.height, columns

    def _sent(self, prepared: pl.DataFrame, chunk: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that pass the checks."""
        encoding = self.encoding
        scope = encoding.scope
        checked = check(
            prepared, tests=encoding.tests, table_findings=encoding.table_findings, raw=chunk
        )
        sent = checked.valid
        most = max_message_bytes(sent, self._mapping)
        if most is not None and most <= scope.message_bytes:
            return sent
        late = check_messages(sizes(sent, self._mapping), checks=encoding.checks, scope=scope)
        rejected = late.filter(pl.col("severity").is_in(BLOCKING))["row"].implode()
        return sent.filter(~pl.col(ROW).is_in(rejected))

    def _messages(self, sent: pl.DataFrame) -> pl.DataFrame:
        """Return row, lane, what the id is derived from, and the message if it is needed.

        The derived id of a message that sets a state occurs once, any other as often as its content.
        """
        mapping = self._mapping
        is_needed = is_content_needed(sent, mapping, self.wanted)
        keeps_id = self._keeps_derived_id(sent)
        texts = _contents_of(sent, is_needed | keeps_id, mapping)
        keys = sent.select(ROW, key=order_key(lane_key(mapping)))["key"]  # it may be a constant
        return pl.DataFrame(
            {"row": sent[ROW], "lane": lanes(keys, self.encoding.components), "content": texts}
        ).select(
            "row",
            "lane",
            pl.when(keeps_id).then(self.encoding.namespace + pl.col("content")).alias("message_id"),
            pl.when(is_needed).then("content").alias("message"),
        )

    def _keeps_derived_id(self, sent: pl.DataFrame) -> pl.Series:
        """Return which messages keep the id that is derived from their content."""
        call = self._mapping.call
        if call.sets_state or not call.api.envelope:  # forms have no ids
            return pl.repeat(value=False, n=sent.height, dtype=pl.Boolean, eager=True)
        subject = subjects(self._mapping).alias("subjects")
        return sent.select(pl.col(ROW), subject).select(~sets_state(call)).to_series()


def _contents_of(rows: pl.DataFrame, wanted: pl.Series, mapping: MessageMapping) -> pl.Series:
    """Return the contents of the messages of the wanted rows, null for the others."""
    if wanted.all():
        return contents(rows, mapping)
    texts = pl.Series("content", [None], dtype=pl.String).new_from_index(0, rows.height)
    selected = rows.filter(wanted)
    return (
        texts.scatter(wanted.arg_true(), contents(selected, mapping)) if selected.height else texts
    )
