"""What a user would pick instead: each sends the same Parquet file to the same sink."""

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
    """Yield the rows of a file, as a careful user would: without holding them all."""
    scanned = (
        pl.scan_csv(path, schema_overrides={"user_id": pl.String}, try_parse_dates=True)
        if path.endswith(".csv")
        else pl.scan_parquet(path)
    )
    for frame in scanned.collect_batches(chunk_size=50_000, maintain_order=True):
        yield from frame.iter_rows(named=True)


def sdk(path: str, url: str, *, best: bool) -> int:
    """The official SDK: with its defaults, or with the settings that lose nothing and are fastest."""
    from customerio.analytics import Client

    options: dict[str, Any] = {"max_queue_size": 10**7, "thread": 4} if best else {}
    client = Client(KEY, host=url, **options)
    refused = 0
    for row in rows_of(path):
        user, event, at = row.pop("user_id"), row.pop("event", None), row.pop("occurred_at", None)
        if event is None:
            taken, _ = client.identify(user_id=user, traits=row)
        else:
            taken, _ = client.track(user_id=user, event=event, properties=row, timestamp=at)
        refused += not taken
    for consumer in client.consumers:
        consumer.queue.join()
    client.shutdown()
    return refused


def handwritten_message(row: dict[str, Any]) -> bytes:
    """Return the JSON of one row."""
    import orjson

    user, event, at = row.pop("user_id"), row.pop("event", None), row.pop("occurred_at", None)
    told = {key: value for key, value in row.items() if value is not None}
    if event is None:
        return orjson.dumps({"type": "identify", "userId": user, "traits": told})
    message = {
        "type": "track",
        "event": event,
        "userId": user,
        "timestamp": at.isoformat(timespec="milliseconds"),
        "properties": told,
    }
    return orjson.dumps(message)


def handwritten_bodies(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield full batches of rows."""
    held: list[bytes] = []
    size = 0
    for row in rows:
        text = handwritten_message(row)
        if size + len(text) + 1 > BATCH_BYTES:
            yield b'{"batch":[' + b",".join(held) + b"]}"
            held, size = [], 0
        held.append(text)
        size += len(text) + 1
    if held:
        yield b'{"batch":[' + b",".join(held) + b"]}"


def handwritten(path: str, url: str) -> int:
    """asyncio, httpx and orjson with full batches: what a good engineer writes in an afternoon."""
    import httpx

    async def post(client: httpx.AsyncClient, body: bytes, gate: asyncio.Semaphore) -> None:
        try:
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/v1/batch", content=body, headers=headers)
            answer.raise_for_status()
        finally:
            gate.release()

    async def send_all() -> None:
        gate = asyncio.Semaphore(16)
        options: dict[str, Any] = {"base_url": url, "auth": (KEY, ""), "timeout": 30}
        async with httpx.AsyncClient(**options) as client, asyncio.TaskGroup() as group:
            for body in handwritten_bodies(rows_of(path)):
                await gate.acquire()
                group.create_task(post(client, body, gate))

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
    """How fast polars alone writes the JSON of the rows, on all cores: the yardstick."""
    written = 0
    for frame in pl.scan_parquet(path).collect_batches(chunk_size=50_000, maintain_order=True):
        text = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        written += int(text.str.len_bytes().sum())
    return 0 if written else 1


def least(path: str, url: str) -> int:
    """What nobody can leave out, with the same engines on all cores: the limit, not a peer.

    Rows are read once, written as JSON with their nulls, hashed, packed, compressed and posted.
    Nothing is checked, ordered or recorded, and the messages are not what the API takes.
    """
    import httpx2 as httpx  # as this package does; it costs a third of httpx
    import polars_hash  # noqa: F401 - gives expressions the name space `chash`
    from isal import igzip

    def packed(frame: pl.DataFrame) -> list[bytes]:
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
        gate, headers = asyncio.Semaphore(16), {"Content-Encoding": "gzip"}
        frames = pl.scan_parquet(path).collect_batches(chunk_size=50_000, maintain_order=True)
        options: dict[str, Any] = {"base_url": url, "auth": (KEY, ""), "timeout": 30}
        async with httpx.AsyncClient(**options) as client, asyncio.TaskGroup() as group:

            async def post(body: bytes) -> None:
                async with gate:
                    answer = await client.post("/v1/batch", content=body, headers=headers)
                    answer.raise_for_status()

            async def work() -> None:
                while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                    for body in await asyncio.to_thread(packed, frame):
                        group.create_task(post(body))

            async with asyncio.TaskGroup() as workers:
                for _ in range(3):
                    workers.create_task(work())

    asyncio.run(send_all())
    return 0


def csv_to_json_alone(path: str, _: str) -> int:
    """How fast polars alone reads a CSV file and writes its JSON."""
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
    """Run one contender and print what it refused and how long it sent."""
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
    began = time.perf_counter()
    refused = CONTENDERS[name](path, url)
    print(json.dumps({"refused": refused, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])), sys.argv[3])
