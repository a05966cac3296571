"""Processor seconds of each stage of sending, beside the minimum for its work.

The stages run one after the other in one process, so that each second belongs to one of them. In a
real run they overlap on several cores.
"""

import argparse
import asyncio
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import polars_hash  # noqa: F401 - gives expressions the name space `chash`
from isal import igzip

import cio_frames as cio
from benchmarks.aims import markdown
from benchmarks.inputs import events_file
from benchmarks.measure import sink
from cio_frames.audit.run_file import RunInfo
from cio_frames.audit.writer import AuditWriter
from cio_frames.payloads import Batch, Segment, batches, encode
from cio_frames.plan.chunks import CHUNK_ROWS
from cio_frames.run import RowSelection
from cio_frames.sending.events import BatchAttempted, BatchFinished, RunFinished, SegmentPlanned
from cio_frames.sending.http import Request
from cio_frames.validation import check, compile_checks

AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The time of one stage.

    Attributes:
        name: The stage.
        ours: Processor seconds per million rows.
        alone: The same for the minimum that does this work; None if there is no such minimum.
        least: What the minimum is.
    """

    name: str
    ours: float
    alone: float | None = None
    least: str = ""


class Stopwatch:
    """Adds up processor seconds by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`."""
        start = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start


def started(code: str) -> float:
    """Return the processor seconds of a new interpreter that runs `code`."""
    command = [sys.executable, "-c", f"import time\n{code}\nprint(time.process_time())"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def prepare_rows(plan: cio.Plan, watch: Stopwatch) -> None:
    """Do the work before a request, chunk by chunk."""
    with watch("before sending"):
        assert not plan.refusals()
    tests = compile_checks(plan.pipeline.applied, scope=plan.pipeline.scope())
    with watch("read"):  # all at once: reading ahead would count for other stages
        chunks = list(plan.pipeline.table.chunks(CHUNK_ROWS))
    for chunk in chunks:
        prepared = plan.pipeline.mapping.prepare(chunk)
        with watch("checks"):
            check(prepared, tests=tests, raw=chunk)
        with watch("encode"):
            messages = encode(prepared, plan.pipeline.mapping)
        with watch("alone: JSON"):
            chunk.select(pl.struct(pl.exclude("__row__")).struct.json_encode())
        with watch("alone: hash"):
            messages.select(pl.col("message").chash.sha2_256())  # type: ignore[attr-defined]
        with watch("cut"):
            batches(
                messages,
                plan=0, segment=0, call="track", batched=True, limit_bytes=plan.pipeline.batch_bytes,
            )  # fmt: skip


def pack_bodies(segments: Sequence[Segment], watch: Stopwatch) -> list[bytes]:
    """Make and compress the bodies of all requests."""
    bodies = []
    for batch in (batch for segment in segments for batch in segment.batches):
        with watch("bodies"):
            body = batch.body()
        with watch("gzip"):
            bodies.append(igzip.compress(body, 1, mtime=0))
        with watch("alone: zlib"):
            zlib.compress(body, 1)
    return bodies


def write_record(segments: Sequence[Segment], watch: Stopwatch) -> float:
    """Write the record of delivered segments; return its bytes per row."""
    now, rows = datetime.now(UTC), sum(segment.rows.height for segment in segments)
    info = RunInfo(
        run_id="run", created=now, region="us", endpoint="sink", strict=True,
        rows=rows, plans=(("track", rows),),
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        with watch("record"), AuditWriter.start(Path(folder), info, key="0" * 64) as writer:
            for segment in segments:
                writer(SegmentPlanned(segment=segment))
                for start in range(0, len(segment.batches), AT_ONCE):
                    group = segment.batches[start : start + AT_ONCE]
                    writer.record(
                        [BatchAttempted(batch=batch, attempt=1, at=now) for batch in group]
                    )
                    for batch in group:
                        writer(delivered(batch, now))
            writer(RunFinished(at=now))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    with watch("alone: Parquet"):
        for segment in segments:
            segment.rows.write_parquet(BytesIO(), compression="zstd", compression_level=1)
    return size / rows


def delivered(batch: Batch, now: datetime) -> BatchFinished[Batch]:
    """Return the fact that a batch has arrived."""
    return BatchFinished(
        batch=batch, state="delivered", attempts=1, status=200, code="", error="",
        in_doubt=False, elapsed_s=0.1, at=now,
    )  # fmt: skip


def post_bodies(bodies: Sequence[bytes], watch: Stopwatch) -> None:
    """Post the same bytes with this package's transport, and with httpx alone."""
    import httpx

    async def ours(url: str) -> None:
        client = cio.connect(endpoint=url, write_key="benchmark", gzip=False)
        async with client.session() as transport:
            with watch("post"):
                await run_concurrently(
                    [
                        Request(api="pipelines", path="/v1/batch", body=body, uncompressed=True)
                        for body in bodies
                    ],
                    transport.post,
                )

    async def alone(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, auth=("benchmark", "")) as client:
            with watch("alone: httpx"):
                await run_concurrently(bodies, lambda body: client.post("/v1/batch", content=body))

    with sink() as url:
        asyncio.run(ours(url))
        asyncio.run(alone(url))


async def run_concurrently(items: Sequence[Any], work: Callable[[Any], Any]) -> None:
    """Work on all items, several at a time."""
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    await asyncio.gather(*[worker() for _ in range(AT_ONCE)])


def measured(rows: int, *, folder: Path) -> tuple[list[Stage], float]:
    """Return the stages of sending events, and the bytes of the record per row."""
    path, watch = events_file(folder, rows), Stopwatch()
    plan = cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )
    prepare_rows(plan, watch)
    segments = list(plan.pipeline.segments(RowSelection()))
    bodies = pack_bodies(segments, watch)
    record_bytes = write_record(segments, watch)
    post_bodies(bodies, watch)
    per = {name: spent / rows * 1e6 for name, spent in watch.spent.items()}
    return [
        Stage(name="start", ours=started("import cio_frames"), alone=started("import polars"), least="import polars"),
        Stage(name="before sending: read, fingerprint, blocking checks", ours=per["before sending"]),
        Stage(name="read again", ours=per["read"]),
        Stage(name="checks of each row", ours=per["checks"]),
        Stage(name="encode: JSON, hash, ids", ours=per["encode"],
              alone=per["alone: JSON"] + per["alone: hash"], least="polars' JSON and SHA-256"),
        Stage(name="cut into requests", ours=per["cut"] + per["bodies"]),
        Stage(name="gzip", ours=per["gzip"], alone=per["alone: zlib"], least="zlib, level 1"),
        Stage(name="record", ours=per["record"], alone=per["alone: Parquet"], least="polars writing the rows as Parquet"),
        Stage(name="post", ours=per["post"], alone=per["alone: httpx"], least="httpx with the same bytes"),
    ], record_bytes  # fmt: skip


def table(stages: Sequence[Stage]) -> pl.DataFrame:
    """Return the stages as a table, with the share of each."""
    total = sum(stage.ours for stage in stages)
    return pl.DataFrame(
        {
            "stage": [stage.name for stage in stages],
            "cpu s per million": [round(stage.ours, 2) for stage in stages],
            "share": [f"{stage.ours / total:.0%}" for stage in stages],
            "least": [stage.least for stage in stages],
            "its cpu s": [stage.alone and round(stage.alone, 2) for stage in stages],
            "distance": [
                f"{stage.ours / stage.alone:.1f} x" if stage.alone else "" for stage in stages
            ],
        }
    )


def main(rows: int, *, folder: Path) -> tuple[str, float]:
    """Return the stages as Markdown, and the microseconds of the record of a message."""
    stages, record_bytes = measured(rows, folder=folder)
    record = next(stage for stage in stages if stage.name == "record")
    text = markdown(table(stages))
    total = sum(stage.ours for stage in stages)
    report = (
        f"{text}\n\nAll stages: {total:.2f} cpu s per million messages. "
        f"The record: {record.ours:.2f} us and {record_bytes:.1f} B per message."
    )
    return report, record.ours


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("build") / "benchmarks")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(main(arguments.rows, folder=arguments.folder)[0])
