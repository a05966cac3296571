"""T30: a run on Spark whose executors, Python workers and drivers are killed: `python -m torture.spark`.

The table is partitioned Parquet, the cluster is of this machine, and a server keeps what arrives. The
events of a person must arrive in their order, each once, and the record must know what became of each.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

import cio_frames as cio
from torture.bench import Line, TortureError, require, require_clean
from torture.checker import ROWS, check
from torture.recorder import arrivals
from torture.spark_driver import FAILED
from torture.table import drawn

KINDS = {"executor": "CoarseGrainedExecutorBackend", "worker": "pyspark.daemon"}
"""What is killed, by a word of its command line."""

FEW_ROWS = 100_000
"""Fewer rows are one file."""

LIFE_S = 1_800.0
"""After so long a driver is taken to hang."""


@dataclass(kw_only=True)
class Bench:
    """One table, one record and one server, for as many drivers as it takes."""

    folder: Path
    seed: int
    rows: int
    people: int
    partitions: int
    master: str
    lease_s: float
    wait_s: float
    write_key: str = field(default_factory=lambda: f"cio_live_{secrets.token_hex(12)}")
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> int:
        """Of how many files the table is. Of one file Spark keeps the order by itself."""
        return 1 if self.rows < FEW_ROWS else 8

    @property
    def arrived(self) -> Path:
        """The file of the server."""
        return self.folder / "arrived"

    @property
    def audit(self) -> Path:
        """The directory of the record."""
        return self.folder / "audit"

    def write_table(self) -> None:
        """Write the table as several files."""
        (self.folder / "table").mkdir()
        step = -(-self.rows // self.files)
        for first in range(0, self.rows, step):
            n = pl.int_range(first, min(first + step, self.rows), dtype=pl.Int64)
            pl.select(
                n.alias("n"),
                event=pl.format("event {}", n % 7),
                user_id=pl.format("u{}", n * 7_919 % self.people),
                at=pl.lit(1_767_225_600_000_000).add(n * 1_000_000).cast(pl.Datetime("us", "UTC")),
            ).write_parquet(self.folder / "table" / f"{first:09d}.parquet")

    def order(self, url: str) -> Path:
        """Write what a driver is told, and return the file."""
        path = self.folder / "order.json"
        told = {
            "url": url, "write_key": self.write_key, "folder": str(self.folder),
            "table": str(self.folder / "table"), "audit": str(self.audit), "master": self.master,
            "order_by": ["n"] if self.files > 1 else [], "partitions": self.partitions, "lease_s": self.lease_s,
            "batch_bytes": 20_000 if self.wait_s else 475_000,
        }  # fmt: skip
        path.write_text(json.dumps(told))
        return path

    def line(self, *, started: float) -> Line:
        """Return the line of the table for what was sent."""
        n = pl.int_range(self.rows, dtype=pl.Int64)
        truth = pl.select(
            key=n,
            plan=pl.lit(0, pl.Int32),
            row=n,
            component=n * 7_919 % self.people,
            payload_sha=pl.lit(""),
            refused=pl.lit(value=False),
            holds=pl.lit(value=False),
        ).match_to_schema(ROWS)
        came, requests = arrivals(self.arrived)
        record = cio.audit(self.audit)
        messages = record.messages
        line = Line(
            test="T30",
            what="Spark",
            rows=self.rows,
            requests=requests,
            verdict=check(truth, record=messages, arrivals=came),
            seed=self.seed,
            kills=sum(self.kills.values()),
            seconds=time.monotonic() - started,
            states=dict(messages["state"].value_counts().sort("state").iter_rows()),
            note=", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items())),
        )
        require(record.verify().is_empty(), line, "the record is whole")
        return require_clean(line)


def killed(
    *,
    seed: int,
    rows: int,
    kills: int,
    drivers: int,
    partitions: int = 8,
    master: str = "local-cluster[2,1,2048]",
    lease_s: float = 6.0,
    wait_s: float = 0.0,
    every_s: float = 5.0,
) -> Line:
    """Send a table while processes are killed at random, and return what came of it.

    Args:
        seed: Decides what is killed, when, and what the server does.
        rows: How many events.
        kills: How many executors and Python workers are killed, if the run lasts so long.
        drivers: How many drivers are killed, each followed by a resume.
        partitions: Into how many tasks the work is divided.
        master: The cluster.
        lease_s: The time of a lease.
        wait_s: How long the server takes to answer.
        every_s: Seconds between two kills, on average.
    """
    started, chance = time.monotonic(), random.Random(seed)  # noqa: S311 - replayed by its seed
    with tempfile.TemporaryDirectory(prefix="torture-spark-") as name:
        bench = Bench(
            folder=Path(name), seed=seed, rows=rows, people=max(1, rows // 20),
            partitions=partitions, master=master, lease_s=lease_s, wait_s=wait_s,
        )  # fmt: skip
        bench.write_table()
        bench.arrived.touch()
        with _server(bench) as url:
            order = bench.order(url)
            while _life(bench, order, chance, kills=kills, drivers=drivers, every_s=every_s):
                pass
        _require_no_key(bench)
        line = bench.line(started=started)
        require(set(line.states) == {"delivered"}, line, f"all is delivered: {line.states}")
    return line


def _life(
    bench: Bench, order: Path, chance: random.Random, *, kills: int, drivers: int, every_s: float
) -> bool:
    """Let one driver live until it ends or is killed; returns whether another one is needed."""
    told = bench.folder / "driver.log"
    with told.open("ab") as log:
        driver = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "torture.spark_driver", str(order)],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline, before = time.monotonic() + LIFE_S, bench.arrived.stat().st_size
        while driver.poll() is None:
            if time.monotonic() > deadline:
                raise TortureError(f"T30 seed {bench.seed}: a driver hangs\n{_end_of(told)}")
            time.sleep(chance.uniform(0.2, 1.8) * every_s)
            if bench.arrived.stat().st_size > before and driver.poll() is None:
                _kill_one(bench, driver.pid, chance, kills=kills, drivers=drivers)
    finally:
        _end_all(driver.pid)
        driver.wait()
    if driver.returncode not in (0, FAILED, -signal.SIGKILL):
        raise TortureError(
            f"T30 seed {bench.seed}: a driver ended with {driver.returncode}\n{_end_of(told)}"
        )
    return driver.returncode != 0


def _kill_one(
    bench: Bench, driver: int, chance: random.Random, *, kills: int, drivers: int
) -> None:
    """Kill the driver with all that hears of it late, or one of its processes."""
    lesser = sum(bench.kills[kind] for kind in KINDS)
    if bench.kills["driver"] < drivers and lesser * (drivers + 1) >= kills * (
        bench.kills["driver"] + 1
    ):
        bench.kills["driver"] += 1
        java = [pid for pid in _below(driver) if "SparkSubmit" in _command(pid)]
        for pid in (*java, driver):
            _kill(pid)
        time.sleep(bench.lease_s / 2)  # what it leaves behind goes on for a moment
        return
    kind = chance.choice(sorted(KINDS))
    found = [pid for pid in _below(driver) if KINDS[kind] in _command(pid)]
    if found and lesser < kills:
        bench.kills[kind] += 1
        _kill(chance.choice(found))


def _below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _end_all(driver: int) -> None:
    """End what is left of a driver's processes: those of its session, wherever they belong now."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == driver:
                _kill(int(path.name))


@contextmanager
def _server(bench: Bench) -> Iterator[str]:
    command = [
        sys.executable, "-m", "torture.recorder", str(bench.arrived), "--seed", str(bench.seed),
        "--wait-s", str(bench.wait_s),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _require_no_key(bench: Bench) -> None:
    """Raise if the key stands in what the driver said, in an event log or in what executors said."""
    import pyspark

    work = Path(pyspark.__file__).parent / "work"
    started = (bench.folder / "order.json").stat().st_mtime
    logs = [
        path
        for place in (bench.folder / "events", bench.audit, work)
        for path in place.rglob("*")
        if path.is_file() and path.stat().st_mtime >= started
    ]
    texts = {path: path.read_bytes() for path in (bench.folder / "driver.log", *logs)}
    if not any(b"SparkListenerJobStart" in text for text in texts.values()):
        raise TortureError(f"T30 seed {bench.seed}: there is no event log to look through")
    for path, text in texts.items():
        if bench.write_key.encode() in text:
            raise TortureError(f"T30 seed {bench.seed}: the key stands in {path}")


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace")[-4_000:]


def main() -> None:
    """Run it in full size and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--drivers", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--wait-s", type=float, default=0.05)
    parser.add_argument("--every-s", type=float, default=6.0)
    parser.add_argument("--lease-s", type=float, default=6.0)
    parser.add_argument("--master", default="local-cluster[2,1,2048]")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = vars(parser.parse_args())
    os.environ["CIO_AUDIT_KEY"] = "11" * 32
    sys.stdout.write(f"T30 Spark, seed {given['seed']}\n")
    sys.stdout.flush()
    sys.stdout.write(f"\n{drawn([killed(**given)])}\n")


if __name__ == "__main__":
    main()
