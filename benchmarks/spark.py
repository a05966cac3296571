"""The same partitioned table sent from Spark by this package and by what a user would write instead.

Run it as `python -m benchmarks.spark [--rows N ...] [--executors N ...]`. Each contender is a process of its
own that starts a cluster on this machine; seconds are those of the job, without the start of the cluster.
Memory is the most that the executors and their Python workers held at once, divided by the executors.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from benchmarks.contenders import KEY, handwritten_bodies
from benchmarks.inputs import events
from benchmarks.measure import AS_INSTALLED, sink, totals

ROWS = (100_000, 1_000_000)
EXECUTORS = (1, 2, 4)
FILES = 8
MEMORY_MB = 1_024


def table_of(folder: Path, rows: int) -> Path:
    """Return a directory of Parquet files with events, as a job before this one would leave it."""
    target = folder / f"events-{rows}"
    target.mkdir()
    size = -(-rows // FILES)
    for number in range(FILES):
        start = number * size
        part = events(min(size, rows - start), start=start)
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
            told = row.asDict(recursive=True)
            user, event, at = told.pop("user_id"), told.pop("event"), told.pop("occurred_at")
            client.track(user_id=user, event=event, properties=told, timestamp=at)
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

    client = cio.connect(endpoint=url, write_key=KEY, rate=None)
    table = cio.scan(f"{path}/*.parquet")
    plan = cio.frame(table).track(event="event", user_id="user_id", timestamp="occurred_at")
    run = plan.send(client, audit=mkdtemp(prefix="audit-"), progress=False)
    return int(run.counts["rows"] - run.counts["delivered"])


CONTENDERS: dict[str, Callable[[Any, str], int]] = {"ours": ours, "sdk": sdk, "batches": batches}


def contend(name: str, path: str, url: str, executors: int) -> None:
    """Send the table as one contender, and print the seconds and the rows that it knows were lost."""
    if name == "local":
        began = time.perf_counter()
        lost = local(path, url)
    else:
        session = _session(executors)
        frame = session.read.parquet(path)
        session.range(executors * 4).repartition(executors * 4).foreachPartition(list)  # warm
        began = time.perf_counter()
        lost = CONTENDERS[name](frame, url)
    print(json.dumps({"s": time.perf_counter() - began, "lost": lost}), flush=True)


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
    """The most memory that the executors of a process, and their workers, held at once."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._over = threading.Event()
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Stop looking and return the peak in MB."""
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


def measured(name: str, path: Path, rows: int, executors: int) -> None:
    """Run one contender, and print a line of the table."""
    with sink() as url, TemporaryDirectory() as left:
        command = [
            sys.executable,
            "-m",
            "benchmarks.spark",
            "--contender",
            name,
            str(path),
            url,
            str(executors),
        ]
        environment = os.environ | AS_INSTALLED | {"TMPDIR": left, "PYSPARK_PYTHON": sys.executable}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            memory = Memory(process.pid)
            told, _ = process.communicate()
            peak = memory.end() / executors
        arrived = totals(url)
    if process.returncode:
        print(f"| {name} | {executors} | {rows:,} | failed | | | |", flush=True)
        return
    found = json.loads(told.strip().splitlines()[-1])
    print(
        f"| {name} | {executors} | {rows:,} | {found['s']:.1f} | {rows / found['s']:,.0f} | {peak:,.0f} "
        f"| {arrived['requests']:,} |",
        flush=True,
    )


def main() -> None:
    """Measure every contender at every size, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--executors", type=int, nargs="+", default=EXECUTORS)
    parser.add_argument("--only", nargs="+", default=["local", *CONTENDERS])
    parser.add_argument("--contender", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        name, path, url, executors = asked.contender
        contend(name, path, url, int(executors))
        return
    print("| contender | executors | rows | s | rows/s | MB an executor | requests |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        for rows in asked.rows:
            path = table_of(Path(folder), rows)
            for name in asked.only:
                for executors in asked.executors if name != "local" else asked.executors[:1]:
                    measured(name, path, rows, executors)


if __name__ == "__main__":
    main()
