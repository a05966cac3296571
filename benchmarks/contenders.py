"""The alternatives of a user: each sends the same Parquet file to the same sink."""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

BATCH_BYTES = 475_000
KEY = "benchmark"


def rows_of(path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file without loading all of them, as a careful user would."""
    query = (
        pl.scan_csv(path, schema_overrides={"user_id": pl.String}, try_parse_dates=True)
        if path.endswith(".csv")
        else pl.scan_parquet(path)
    )
    for frame in query.collect_batches(chunk_size=50_000, maintain_order=True):
        yield from frame.iter_rows(named=True)


def sdk(path: str, url: str, *, best: bool) -> int:
    """The official SDK: with its defaults, or with the settings that lose nothing and are fastest."""
    from customerio.analytics import Client

    options: dict[str, Any] = {"max_queue_size": 10**7, "thread": 4} if best else {}
    client = Client(KEY, host=url, **options)
    rejected = 0
    for row in rows_of(path):
        user, event, at = row.pop("user_id"), row.pop("event", None), row.pop("occurred_at", None)
        if event is None:
            accepted, _ = client.identify(user_id=user, traits=row)
        else:
            accepted, _ = client.track(user_id=user, event=event, properties=row, timestamp=at)
        rejected += not accepted
    for consumer in client.consumers:
        consumer.queue.join()
    client.shutdown()
    return rejected


def handwritten_message(row: dict[str, Any]) -> bytes:
    """Return the JSON of one row."""
    import orjson

    user, event, at = row.pop("user_id"), row.pop("event", None), row.pop("occurred_at", None)
    body = {key: value for key, value in row.items() if value is not None}
    if event is None:
        return orjson.dumps({"type": "identify", "userId": user, "traits": body})
    message = {
        "type": "track",
        "event": event,
        "userId": user,
        "timestamp": at.isoformat(timespec="milliseconds"),
        "properties": body,
    }
    return orjson.dumps(message)


def handwritten_bodies(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield full batches of rows."""
    messages: list[bytes] = []
    size = 0
    for row in rows:
        text = handwritten_message(row)
        if size + len(text) + 1 > BATCH_BYTES:
            yield b'{"batch":[' + b",".join(messages) + b"]}"
            messages, size = [], 0
        messages.append(text)
        size += len(text) + 1
    if messages:
        yield b'{"batch":[' + b",".join(messages) + b"]}"


def handwritten(path: str, url: str) -> int:
    """asyncio, httpx and orjson with full batches: what a good engineer writes in an afternoon."""
    import httpx

    async def post(client: httpx.AsyncClient, body: bytes, semaphore: asyncio.Semaphore) -> None:
        try:
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/v1/batch", content=body, headers=headers)
            answer.raise_for_status()
        finally:
            semaphore.release()

    async def send_all() -> None:
        semaphore = asyncio.Semaphore(16)
        options: dict[str, Any] = {"base_url": url, "auth": (KEY, ""), "timeout": 30}
        async with httpx.AsyncClient(**options) as client, asyncio.TaskGroup() as group:
            for body in handwritten_bodies(rows_of(path)):
                await semaphore.acquire()
                group.create_task(post(client, body, semaphore))

    asyncio.run(send_all())
    return 0


def to_json(path: str, url: str) -> int:
    """pandas.to_json and requests, chunk by chunk."""
    import pandas as pd
    import requests

    session = requests.Session()
    session.auth = (KEY, "")
    frame = pd.read_parquet(path)
    frame["timestamp"] = frame.pop("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    envelope = ["event", "user_id", "timestamp"]
    for start in range(0, len(frame), 1_000):
        part = frame.iloc[start : start + 1_000]
        properties = json.loads(part.drop(columns=envelope).to_json(orient="records"))
        batch = [
            {"type": "track", "event": e, "userId": u, "timestamp": t, "properties": p}
            for (e, u, t), p in zip(part[envelope].itertuples(index=False), properties, strict=True)
        ]
        session.post(f"{url}/v1/batch", json={"batch": batch}, timeout=30).raise_for_status()
    return 0


def json_alone(path: str, _: str) -> int:
    """Polars alone writing the JSON of the rows on all cores, for comparison."""
    size = 0
    for frame in pl.scan_parquet(path).collect_batches(chunk_size=50_000, maintain_order=True):
        text = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        size += int(text.str.len_bytes().sum())
    return 0 if size else 1


def least(path: str, url: str) -> int:
    """The minimum of work, with the same engines on all cores: a limit, not an alternative.

    Rows are read once, written as JSON with their nulls, hashed, packed, compressed and posted.
    Nothing is checked, ordered or recorded, and the API would not accept the messages.
    """
    import httpx2 as httpx  # as this package does; it costs a third of httpx
    import polars_hash  # noqa: F401 - gives expressions the name space `chash`
    from isal import igzip

    def bodies_of(frame: pl.DataFrame) -> list[bytes]:
        text = frame.select(message=pl.struct(pl.all()).struct.json_encode())
        text.select(pl.col("message").chash.sha2_256())  # type: ignore[attr-defined]
        sizes = text["message"].str.len_bytes().cast(pl.Int64) + 1
        numbers = (sizes.cum_sum() // BATCH_BYTES).alias("batch")
        bodies = text.group_by(numbers, maintain_order=True).agg(pl.col("message").str.join(","))
        return [
            igzip.compress(b'{"batch":[%b]}' % body, 1)
            for body in bodies["message"].cast(pl.Binary)
        ]

    async def send_all() -> None:
        semaphore, headers = asyncio.Semaphore(16), {"Content-Encoding": "gzip"}
        frames = pl.scan_parquet(path).collect_batches(chunk_size=50_000, maintain_order=True)
        options: dict[str, Any] = {"base_url": url, "auth": (KEY, ""), "timeout": 30}
        async with httpx.AsyncClient(**options) as client, asyncio.TaskGroup() as group:

            async def post(body: bytes) -> None:
                async with semaphore:
                    answer = await client.post("/v1/batch", content=body, headers=headers)
                    answer.raise_for_status()

            async def work() -> None:
                while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                    for body in await asyncio.to_thread(bodies_of, frame):
                        group.create_task(post(body))

            async with asyncio.TaskGroup() as workers:
                for _ in range(3):
                    workers.create_task(work())

    asyncio.run(send_all())
    return 0


def csv_to_json_alone(path: str, _: str) -> int:
    """Polars alone reading a CSV file and writing its JSON."""
    table = pl.read_csv(path)
    return 0 if table.select(pl.struct(pl.all()).struct.json_encode()).height else 1


CONTENDERS = {
    "sdk": lambda path, url: sdk(path, url, best=False),
    "sdk-best": lambda path, url: sdk(path, url, best=True),
    "handwritten": handwritten,
    "to_json": to_json,
    "json-alone": json_alone,
    "csv-to-json-alone": csv_to_json_alone,
    "least": least,
}


def main(name: str, path: str, url: str) -> None:
    """Run one contender and print how many rows it rejected and how long it sent."""
    if name.startswith("ours"):
        from benchmarks import ours

        if name == "ours-latency":
            ours.latency(path, url)
        elif name == "ours-command":
            ours.command(path, url)
        else:
            ours.main(path, url, gzip=name != "ours-plain", lazy=name == "ours-lazy")
        return
    if name == "unchecked":
        from benchmarks.unchecked import unchecked

        unchecked(path, url)
        return
    start = time.perf_counter()
    rejected = CONTENDERS[name](path, url)
    print(json.dumps({"rejected": rejected, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])), sys.argv[3])
