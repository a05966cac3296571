"""Sending without checks: the steps of this package without controls around them.

This is a limit, not an alternative. The table is read once for its fingerprint and once for its
messages, which are those that this package sends; the plan of each segment is on disk before its
requests leave, and its part of the record afterwards. But no row is checked, no attempt is recorded,
a rejected request ends the run, and there is no display, retry or stop.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

import cio_frames as cio
from benchmarks.ours import record_directory
from cio_frames.audit.file_system import LocalFileSystem, write_atomic
from cio_frames.audit.journal import Entry, MessageRange
from cio_frames.audit.parquet import digest, encode
from cio_frames.audit.row_states import row_states
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA
from cio_frames.audit.segment_progress import plan_of
from cio_frames.frames import Fingerprint, ThreadPool, map_ahead
from cio_frames.payloads import Batch, Segment
from cio_frames.plan.chunks import AT_ONCE, encode_chunks, rows_at_once, segments
from cio_frames.run import RowSelection
from cio_frames.sending import BatchAttempted, BatchFinished

KEY, RUN = "0" * 64, "unchecked"
REQUESTS = 16
OPEN_SEGMENTS = 2

Planned = tuple[Segment, pl.DataFrame]


def unchecked(path: str, url: str) -> None:
    """Send a file of events."""
    plan = cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )
    table = plan.pipeline.table
    fingerprint = Fingerprint(table.schema())
    for _ in map_ahead(fingerprint.add, table.chunks(rows_at_once(table)), at_once=AT_ONCE):
        pass
    asyncio.run(send_segments(plan, url=url, folder=record_directory()))


async def send_segments(plan: cio.Plan, *, url: str, folder: Path) -> None:
    """Post all segments; one is planned and two are open at a time."""
    import httpx2
    from isal import igzip

    semaphore, headers = asyncio.Semaphore(REQUESTS), {"Content-Encoding": "gzip"}
    options: dict[str, Any] = {"base_url": url, "auth": ("benchmark", ""), "timeout": 30}
    segments = planned_segments(plan, folder)
    with ThreadPool(1) as planner_pool, ThreadPool(OPEN_SEGMENTS) as writer_pool:
        async with httpx2.AsyncClient(**options) as client:

            async def post(batch: Batch) -> None:
                async with semaphore:
                    body = igzip.compress(batch.body(), 1, mtime=0)
                    answer = await client.post("/v1/batch", content=body, headers=headers)
                    answer.raise_for_status()

            async def deliver(planned: Planned) -> None:
                await asyncio.gather(*map(post, planned[0].batches))
                await asyncio.wrap_future(writer_pool.start(record, *planned, folder=folder))

            open_segments: set[asyncio.Task[None]] = set()
            while planned := await asyncio.wrap_future(planner_pool.start(next, segments, None)):
                open_segments.add(asyncio.create_task(deliver(planned)))
                if len(open_segments) == OPEN_SEGMENTS:
                    done, open_segments = await asyncio.wait(
                        open_segments, return_when=asyncio.FIRST_COMPLETED
                    )
                    await asyncio.gather(*done)
            await asyncio.gather(*open_segments)


def planned_segments(plan: cio.Plan, folder: Path) -> Iterator[Planned]:
    """Write the plan of each segment to disk and yield both."""
    pipeline = plan.pipeline
    encoding = replace(pipeline.encoding(), checks=(), tests=())
    for segment in segments(
        encode_chunks(pipeline.table, encoding=encoding),
        call=pipeline.mapping.call,
        batch_bytes=pipeline.batch_bytes,
        selection=RowSelection(),
    ):
        rows = plan_of(segment, pii="hmac", key=KEY)
        data = encode(rows, schema=PLAN_SCHEMA, run_id=RUN)
        digest(data)
        write_atomic(LocalFileSystem(), folder / f"plan-{segment.number}", data)
        yield segment, rows


def record(segment: Segment, rows: pl.DataFrame, *, folder: Path) -> None:
    """Write the record of a delivered segment to disk."""
    at = datetime.now(UTC)
    entries: list[Entry] = []
    for batch in segment.batches:
        place = MessageRange(batch.number)
        entries.append(BatchAttempted(batch=place, attempt=1, at=at))
        end = BatchFinished(batch=place, state="delivered", attempts=1, elapsed_s=0.0, at=at)
        entries.append(end)
    data = encode(row_states(rows, entries, run_id=RUN), schema=PART_SCHEMA, run_id=RUN)
    digest(data)
    write_atomic(LocalFileSystem(), folder / f"part-{segment.number}", data)
