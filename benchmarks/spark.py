"""The same partitioned table sent from Spark by this package and by what a user would write instead.

Run it as `python -m benchmarks.spark [--rows N ...] [--executors N ...]`. Each contender is a process of its
own that starts a cluster on this machine; seconds are those of the job, without the start of the cluster.
Memory is the most that all executors and their Python workers had at once, divided by the executors.

With `--faults` the server answers one request in twenty with 500, one in fifty with 429 and a second's wait, and
cuts the connection of three in a hundred after it has read them. What arrived is compared with the table.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import polars as pl

from benchmarks.contenders import KEY, handwritten_bodies
from benchmarks.inputs import events
from benchmarks.measure import AS_INSTALLED, server, sink, totals
from torture.recording_server import arrivals

ROWS = (100_000, 1_000_000)
EXECUTORS = (1, 2, 4)
FILES = 8
FAULTS = {"failed": 0.05, "throttled": 0.02, "cut": 0.03}
"""Shares of all requests."""
MEMORY_MB = 1_024
COLUMNS = ("contender", "executors", "rows", "s", "rows/s", "MB an executor", "requests")
WITH_FAULTS = (
    "contender", "executors", "rows", "s", "rows/s", "requests stored", "lost", "duplicated", "outcome of the job",
)  # fmt: skip


def table_of(folder: Path, rows: int, *, is_numbered: bool) -> Path:
    """Return a directory of Parquet files with events, as another job would leave it."""
    target = folder / f"events-{rows}"
    target.mkdir()
    size = -(-rows // FILES)
    for number in range(FILES):
        start = number * size
        part = events(min(size, rows - start), start=start)
        if is_numbered:
            part = part.with_columns(n=pl.int_range(start, start + part.height, dtype=pl.Int64))
        part.write_parquet(target / f"part-{number:05d}.parquet")
    return target


def ours(frame: Any, url: str) -> int:
    """cio_frames: all checks, order per person, ids, retries, and the record of every row."""
    import cio_frames as cio

    client = cio.connect(endpoint=url, write_key=KEY, rate=None)
    plan = cio.frame(frame).track(event="event", user_id="user_id", timestamp="occurred_at")
    run = plan.send(client, audit=mkdtemp(prefix="audit-"), progress=False)
    return int(run.counts["rows"] - run.counts["delivered"])


def sdk(frame: Any, url: str) -> int:
    """ForeachPartition with the official SDK, flushed at the end of each partition."""
    frame.foreachPartition(_with_sdk(url))
    return 0


def _with_sdk(url: str) -> Callable[[Iterator[Any]], None]:
    def send(rows: Iterator[Any]) -> None:
        from customerio.analytics import Client

        client = Client(KEY, host=url)
        for row in rows:
            values = row.asDict(recursive=True)
            user, event, at = (values.pop(name) for name in ("user_id", "event", "occurred_at"))
            client.track(user_id=user, event=event, properties=values, timestamp=at)
        client.flush()
        client.shutdown()

    return send


def batches(frame: Any, url: str) -> int:
    """ForeachPartition with requests in full batches: what a good engineer writes in an afternoon."""
    frame.foreachPartition(_in_batches(url))
    return 0


def _in_batches(url: str) -> Callable[[Iterator[Any]], None]:
    def send(rows: Iterator[Any]) -> None:
        import requests

        session = requests.Session()
        session.auth = (KEY, "")
        session.headers["Content-Type"] = "application/json"
        for body in handwritten_bodies(row.asDict(recursive=True) for row in rows):
            session.post(f"{url}/v1/batch", data=body, timeout=30).raise_for_status()

    return send


def local(path: str, url: str) -> int:
    """cio_frames without Spark, on the same cores."""
    import cio_frames as cio

    return ours(cio.scan(f"{path}/*.parquet"), url)


CONTENDERS: dict[str, Callable[[Any, str], int]] = {"ours": ours, "sdk": sdk, "batches": batches}


def run_contender(name: str, path: str, url: str, executors: int) -> None:
    """Send the table as one contender, and print the seconds and the rows that it reports as lost."""
    if name == "local":
        began = time.perf_counter()
        outcome = f"{local(path, url):,} lost"
    else:
        session = _session(executors)
        frame = session.read.parquet(path)
        session.range(executors * 4).repartition(executors * 4).foreachPartition(list)  # warm
        began = time.perf_counter()
        try:
            lost = CONTENDERS[name](frame, url)
        except Exception as error:  # noqa: BLE001 - an error is a result
            outcome, lost = f"failed: {type(error).__name__}", 0
        else:
            outcome = f"done, {lost:,} lost" if lost else "done"
    print(json.dumps({"s": time.perf_counter() - began, "outcome": outcome}), flush=True)


def _session(executors: int) -> Any:
    from pyspark.sql import SparkSession

    place = mkdtemp(prefix="spark-")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": place,
        "spark.sql.shuffle.partitions": str(max(4, executors * 2)),
    }
    builder = SparkSession.builder.master(f"local-cluster[{executors},1,{MEMORY_MB}]")
    for setting, value in settings.items():
        builder = builder.config(setting, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


class Memory:
    """The most memory that the executors of a process, and their workers, had at once."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._over = threading.Event()
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Stop watching and return the peak in MB."""
        self._over.set()
        self._thread.join()
        return self.peak_mb

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            self.peak_mb = max(self.peak_mb, self._now())

    def _now(self) -> float:
        parents, sizes, commands = {}, {}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    status = (entry / "stat").read_text().rpartition(")")[2].split()
                    commands[int(entry.name)] = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                parents[int(entry.name)] = int(status[1])
                sizes[int(entry.name)] = int(status[21]) * os.sysconf("SC_PAGE_SIZE")
        backends = {pid for pid, line in commands.items() if b"ExecutorBackend" in line}
        return (
            sum(
                size
                for pid, size in sizes.items()
                if self._is_below(pid, {self._root}, parents)
                and self._is_below(pid, backends, parents)
            )
            / 1e6
        )

    @staticmethod
    def _is_below(pid: int, roots: set[int], parents: dict[int, int]) -> bool:
        while pid > 1 and pid not in roots:
            pid = parents.get(pid, 0)
        return pid in roots


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a contender.

    Attributes:
        s: Seconds.
        outcome: How it ended.
        peak_mb: Memory of an executor.
    """

    s: float
    outcome: str
    peak_mb: float


def job(name: str, path: Path, url: str, executors: int) -> Job | None:
    """Run one contender; None if its process failed."""
    command = [
        sys.executable, "-m", "benchmarks.spark", "--contender", name, str(path), url, str(executors),
    ]  # fmt: skip
    with TemporaryDirectory() as temporary:
        environment = (
            os.environ | AS_INSTALLED | {"TMPDIR": temporary, "PYSPARK_PYTHON": sys.executable}
        )
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            memory = Memory(process.pid)
            out, _ = process.communicate()
            peak = memory.end() / executors
    if process.returncode:
        return None
    return Job(peak_mb=peak, **json.loads(out.strip().splitlines()[-1]))


def measure_speed(name: str, path: Path, rows: int, executors: int) -> None:
    """Run one contender, and print a line of the table."""
    with sink() as url:
        done = job(name, path, url, executors)
        arrived = totals(url)
    if done is None or done.outcome.startswith("failed"):
        print(f"| {name} | {executors} | {rows:,} | failed | | | |", flush=True)
        return
    print(
        f"| {name} | {executors} | {rows:,} | {done.s:.1f} | {rows / done.s:,.0f} | {done.peak_mb:,.0f} "
        f"| {arrived['requests']:,} |",
        flush=True,
    )


def recording_server(file: Path) -> AbstractContextManager[str]:
    """Start a server with faults that records requests, yield its address, and stop it."""
    shares = [text for name, share in FAULTS.items() for text in (f"--{name}", str(share))]
    return server("torture.recording_server", str(file), *shares)


def measure_faults(name: str, path: Path, rows: int, executors: int) -> None:
    """Run one contender against faults, and print how many of its rows arrived."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "arrived"
        with recording_server(file) as url:
            done = job(name, path, url, executors)
        messages, requests = arrivals(file)
    unique = messages["key"].n_unique()
    is_first = pl.struct(
        "key", "message_id"
    ).is_first_distinct()  # the API ignores an id it has seen
    recorded = messages.filter(is_first | pl.col("message_id").is_null())
    seconds, outcome = (done.s, done.outcome) if done else (float("nan"), "failed")
    print(
        f"| {name} | {executors} | {rows:,} | {seconds:.1f} | {unique / seconds:,.0f} | {requests:,} "
        f"| {rows - unique:,} | {recorded.height - unique:,} | {outcome} |",
        flush=True,
    )


def main() -> None:
    """Measure every contender at every size, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--executors", type=int, nargs="+", default=EXECUTORS)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--contender", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--faults", action="store_true")
    options = parser.parse_args()
    if options.contender:
        name, path, url, executors = options.contender
        run_contender(name, path, url, int(executors))
        return
    columns = WITH_FAULTS if options.faults else COLUMNS
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    measure = measure_faults if options.faults else measure_speed
    with TemporaryDirectory() as folder:
        for rows in options.rows:
            path = table_of(Path(folder), rows, is_numbered=options.faults)
            for name in options.only or (CONTENDERS if options.faults else ("local", *CONTENDERS)):
                for executors in options.executors if name != "local" else options.executors[:1]:
                    measure(name, path, rows, executors)


if __name__ == "__main__":
    main()
