"""Joins the rows with what earlier runs recorded about their messages, on the executors."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from cio_frames.audit import keyed_ids, pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, RemotePath
from cio_frames.audit.run_file import Layout, RunFile
from cio_frames.config import MaskedText
from cio_frames.errors import AuditError
from cio_frames.frames import ROW
from cio_frames.plan.chunks import encode_chunk, rows_at_once, sets_state
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.reading import PlanSettings, read_chunk
from cio_frames.spark.spool import EARLIER
from cio_frames.spark.table import SparkTable
from cio_frames.spec import CALLS

STATES_SENT = (
    "Rows that set a state were all sent again, although an earlier run in the same directory may have "
    "delivered some of them: whether anything has changed since is not looked up on Spark. A repeat of "
    "such a row is harmless where nothing has."
)

_IDS = pl.Schema({"row": pl.Int64(), "plain": pl.String(), "keyed": pl.String()})


def earlier_runs(
    disk: FileSystem, audit: Path, *, workspaces: dict[str, str], call: str, before: str
) -> list[tuple[Path, RunFile]]:
    """Return the runs before one that sent the same call to the same workspace.

    Raises:
        AuditError: One of them ended before its record did.
    """
    api = CALLS[call].api.name
    runs = []
    for name in disk.listdir(audit):
        try:
            if name >= before or run_file.NAME not in disk.listdir(audit / name):
                continue
        except NotADirectoryError:
            continue
        run = run_file.read(disk, audit / name)
        same = run.info.workspaces.get(api) == workspaces.get(api)
        if not same or call not in [each for each, _ in run.info.plans]:
            continue
        if run.state == "running":
            raise AuditError(
                f"Run {name} in {audit} has not ended, so what it sent is not known. Wait for it, or "
                f"finish it: cio.resume({str(audit / name)!r}, client, plan)."
            )
        runs.append((audit / name, run))
    return runs


def with_earlier(
    table: SparkTable,
    plan: PlanSettings,
    runs: Sequence[tuple[Path, RunFile]],
    *,
    key: MaskedText | None,
) -> SparkTable:
    """Return the table with a column of what earlier runs recorded about their messages.

    Raises:
        AuditError: A run kept its ids under another key.
    """
    for path, run in runs:
        if run.message_ids == "keyed":
            pseudonyms.require_key(
                run.key_name, where=path, candidate=key.reveal() if key else None
            )
    message_ids = partial(_message_ids, plan=plan, key=key)
    ids = map_chunks(table.chunks, message_ids, schema=_IDS, rows=rows_at_once(table.sample))
    record = None
    for kind, column in (("keyed", "keyed"), ("plain", "plain")):
        paths = [
            spark_path(Layout(path).part(part.segment))
            for path, run in runs
            if run.message_ids == kind
            for part in run.parts
        ]
        if not paths:
            continue
        read = table.frame.sparkSession.read.parquet(*paths)
        sent = read.where("state IN ('delivered', 'in_doubt') AND message_id IS NOT NULL")
        hashes = "payload_hash" if kind == "keyed" else "CAST(NULL AS STRING)"
        recorded = sent.selectExpr(
            f"message_id AS {column}",
            f"struct({hashes} AS payload_hash, state, call, first_attempt_at) AS recorded",
        )
        each = ids.join(recorded, column).selectExpr(f"row AS `{ROW}`", "recorded")
        record = each if record is None else record.unionByName(each)
    if record is None:
        return table
    of_row = record.groupBy(ROW).agg({"recorded": "collect_list"}).toDF(ROW, EARLIER)
    return table.with_rows(table.frame.join(of_row, ROW, "left"))


def _message_ids(
    chunks: Iterator[pa.Table], *, plan: PlanSettings, key: MaskedText | None
) -> Iterable[pl.DataFrame]:
    """Yield the ids of messages that set no state: as they are, and as the record has them."""
    pipeline = plan.pipeline()
    encoding = pipeline.encoding()
    clear = key.reveal() if key else None
    for chunk in chunks:
        rows, _ = read_chunk(chunk, plan.schema)
        messages = encode_chunk(rows, encoding=encoding).messages
        events = messages.filter(~sets_state(pipeline.mapping.call))
        yield events.select(
            "row",
            pl.col("message_id").alias("plain"),
            keyed_ids(pl.col("message_id"), key=clear).alias("keyed"),
        )


def spark_path(path: Path) -> str:
    """Return a path in the form that Spark reads."""
    return str(path) if isinstance(path, RemotePath) else path.as_uri()
