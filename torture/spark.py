"""T30: a run on Spark whose executors, Python workers and drivers are killed: `python -m torture.spark`.

The table is partitioned Parquet, the cluster runs on this machine, and a server keeps what arrives. The
events of a person must arrive in order, each once, and the record must have the outcome of each.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

import cio_frames as cio
from torture.checker import ROWS, check
from torture.harness import Line, TortureError, require, require_clean, sum_lines
from torture.recording_server import arrivals
from torture.spark_driver import DONE, FAILED
from torture.table import format_table

KINDS = {"executor": "CoarseGrainedExecutorBackend", "worker": "pyspark.daemon"}
"""The processes that are killed, by a word of their command line."""

FEW_ROWS = 10_000
"""A table with fewer rows is one file."""

HANGS_AFTER_S = 1_800.0
"""A driver that takes longer for one run counts as hanging."""


@dataclass(kw_only=True)
class Trial:
    """One test: its tables, its record and its server, which survive its drivers."""

    folder: Path
    seed: int
    runs: int
    rows: int
    people: int
    partitions: int
    master: str
    lease_s: float
    wait_s: float
    write_key: str = field(default_factory=lambda: f"cio_live_{secrets.token_hex(12)}")
    kills: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def run(self) -> int:
        """The number of the current run."""
        return max(0, len(list(self.audit.glob("*"))) - 1)

    @property
    def files(self) -> int:
        """How many files the table has. Spark keeps the order of a single file."""
        return 1 if self.rows < FEW_ROWS else 8

    @property
    def arrived(self) -> Path:
        """The file of the server."""
        return self.folder / "arrived"

    @property
    def audit(self) -> Path:
        """The directory of the record."""
        return self.folder / "audit"

    def write_tables(self) -> None:
        """Write the table of each run as several files."""
        step = -(-self.rows // self.files)
        for run in range(self.runs):
            folder, start = self.folder / "table" / f"{run:03d}", run * self.rows
            folder.mkdir(parents=True)
            for first in range(start, start + self.rows, step):
                n = pl.int_range(first, min(first + step, start + self.rows), dtype=pl.Int64)
                at = pl.lit(1_767_225_600_000_000).add(n * 1_000_000)
                pl.select(
                    n.alias("n"),
                    event=pl.format("event {}", n % 7),
                    user_id=pl.format("u{}", n * 7_919 % self.people),
                    at=at.cast(pl.Datetime("us", "UTC")),
                ).write_parquet(folder / f"{first:09d}.parquet")

    @property
    def settings(self) -> Path:
        """The file of the settings of drivers."""
        return self.folder / "settings.json"

    def write_settings(self, url: str) -> None:
        """Write the settings of drivers."""
        settings = {
            "url": url, "write_key": self.write_key, "folder": str(self.folder),
            "table": str(self.folder / "table"), "audit": str(self.audit), "master": self.master,
            "runs": self.runs,
            "order_by": ["n"] if self.files > 1 else [], "partitions": self.partitions, "lease_s": self.lease_s,
            "batch_bytes": 20_000 if self.wait_s else 475_000,
        }  # fmt: skip
        self.settings.write_text(json.dumps(settings))

    def lines(self, *, started: float) -> list[Line]:
        """Return the line of the table for each run."""
        messages, requests = arrivals(self.arrived)
        return [self._line(run, messages, requests, started=started) for run in range(self.runs)]

    def _line(self, run: int, messages: pl.DataFrame, requests: int, *, started: float) -> Line:
        n = pl.int_range(run * self.rows, (run + 1) * self.rows, dtype=pl.Int64)
        truth = pl.select(
            key=n,
            plan=pl.lit(0, pl.Int32),
            row=n - run * self.rows,
            component=n * 7_919 % self.people,
            payload_sha=pl.lit(""),
            rejected=pl.lit(value=False),
            blocks=pl.lit(value=False),
        ).match_to_schema(ROWS)
        messages = messages.filter(pl.col("key") // self.rows == run)
        record, kills = cio.audit(self.audit / f"{run:03d}"), self.kills[run]
        line = Line(
            test="T30",
            what="Spark",
            rows=self.rows,
            requests=requests // self.runs,
            verdict=check(truth, record=record.messages, arrivals=messages),
            seed=self.seed,
            kills=kills.total(),
            seconds=(time.monotonic() - started) / self.runs,
            states=dict(record.messages["state"].value_counts().sort("state").iter_rows()),
            note=", ".join(f"{kind} {count}" for kind, count in sorted(kills.items())),
        )
        require(record.verify().is_empty(), line, "the record is whole")
        require(set(line.states) == {"delivered"}, line, f"all is delivered: {line.states}")
        return require_clean(line)


def killed(
    *,
    seed: int,
    runs: int = 1,
    rows: int,
    kills: int,
    drivers: int,
    partitions: int = 8,
    master: str = "local-cluster[2,1,2048]",
    lease_s: float = 6.0,
    wait_s: float = 0.0,
    every_s: float = 5.0,
) -> list[Line]:
    """Send tables while processes are killed at random, and return a line for each run.

    Args:
        seed: Decides what is killed, when, and what the server does.
        runs: How many tables are sent, one after the other.
        rows: How many events each has.
        kills: How many executors and Python workers are killed in each run, if it lasts long enough; an
            executor first.
        drivers: How many drivers are killed in all, each followed by a resume.
        partitions: How many tasks the work has.
        master: The cluster.
        lease_s: The time of a lease.
        wait_s: How long the server takes to answer.
        every_s: Seconds between two kills, on average.
    """
    started, chance = time.monotonic(), random.Random(seed)  # noqa: S311 - replayed by its seed
    trial = Trial(
        folder=Path(tempfile.mkdtemp(prefix=f"torture-spark-{seed}-")), seed=seed, runs=runs,
        rows=rows, people=max(1, rows // 20), partitions=partitions, master=master, lease_s=lease_s,
        wait_s=wait_s,
    )  # fmt: skip
    trial.write_tables()
    trial.arrived.touch()
    with _server(trial) as url:
        trial.write_settings(url)
        while _run_driver(trial, chance, kills=kills, drivers=drivers, every_s=every_s):
            pass
    _require_no_key(trial)
    lines = trial.lines(started=started)
    shutil.rmtree(trial.folder)  # it is kept after a failure
    return lines


def _run_driver(
    trial: Trial, chance: random.Random, *, kills: int, drivers: int, every_s: float
) -> bool:
    """Run one driver until it ends or is killed; return whether another one is needed."""
    path = trial.folder / "driver.log"
    with path.open("ab") as log:
        driver = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "torture.spark_driver", str(trial.settings)],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        run, deadline, before = -1, 0.0, trial.arrived.stat().st_size
        while driver.poll() is None:
            if trial.run != run:
                run, deadline = trial.run, time.monotonic() + HANGS_AFTER_S
            if time.monotonic() > deadline:
                raise TortureError(f"T30 seed {trial.seed}: a driver hangs\n{_end_of(path)}")
            time.sleep(chance.uniform(0.2, 1.8) * every_s)
            if trial.arrived.stat().st_size > before and driver.poll() is None:
                before = trial.arrived.stat().st_size
                _kill_one(trial, driver.pid, chance, kills=kills, drivers=drivers)
    finally:
        _end_all(driver.pid)
        driver.wait()
    if driver.returncode not in (0, FAILED, -signal.SIGKILL):
        raise TortureError(
            f"T30 seed {trial.seed}: a driver ended with {driver.returncode}\n{_end_of(path)}"
        )
    return driver.returncode != 0


def _kill_one(
    trial: Trial, driver: int, chance: random.Random, *, kills: int, drivers: int
) -> None:
    """Kill the driver and its JVM, or one of its other processes."""
    if (trial.audit / f"{trial.run:03d}" / DONE).exists():
        return
    of_run = trial.kills[trial.run]
    lesser = of_run.total() - of_run["driver"]
    dead = sum(each["driver"] for each in trial.kills.values())
    is_due = (trial.run + lesser / max(1, kills)) * (drivers + 1) >= trial.runs * (dead + 1)
    if dead < drivers and is_due:
        of_run["driver"] += 1
        java = [pid for pid in _below(driver) if "SparkSubmit" in _command(pid)]
        for pid in (*java, driver):
            _kill(pid)
        time.sleep(trial.lease_s / 2)  # its executors run on for a moment
        return
    kind = chance.choice(sorted(KINDS)) if lesser else "executor"
    candidates = [pid for pid in _below(driver) if KINDS[kind] in _command(pid)]
    if candidates and lesser < kills:
        of_run[kind] += 1
        _kill(chance.choice(candidates))


def _below(pid: int) -> list[int]:
    """Return the descendants of a process."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.name))
    descendants, to_visit = [], [pid]
    while to_visit:
        own = children.get(to_visit.pop(), [])
        descendants += own
        to_visit += own
    return descendants


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _end_all(driver: int) -> None:
    """Kill the remaining processes of a driver: all of its session, whatever their parent is now."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == driver:
                _kill(int(path.name))


@contextmanager
def _server(trial: Trial) -> Iterator[str]:
    command = [
        sys.executable, "-m", "torture.recording_server", str(trial.arrived), "--seed", str(trial.seed),
        "--wait-s", str(trial.wait_s),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _require_no_key(trial: Trial) -> None:
    """Raise if the key is in the output of the driver or an executor, or in an event log."""
    import pyspark

    work = Path(pyspark.__file__).parent / "work"
    started = trial.settings.stat().st_mtime
    logs = [
        path
        for place in (trial.folder / "events", trial.audit, work)
        for path in place.rglob("*")
        if path.is_file() and path.stat().st_mtime >= started
    ]
    texts = {path: path.read_bytes() for path in (trial.folder / "driver.log", *logs)}
    if not any(b"SparkListenerJobStart" in text for text in texts.values()):
        raise TortureError(f"T30 seed {trial.seed}: there is no event log to search")
    for path, text in texts.items():
        if trial.write_key.encode() in text:
            raise TortureError(f"T30 seed {trial.seed}: the key is in {path}")


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace")[-4_000:]


def main() -> None:
    """Run it in full size and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
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
    lines = killed(**given)
    if len(lines) > 1:
        lines.append(replace(sum_lines(lines, what=f"Spark, {len(lines)} runs"), note=""))
    sys.stdout.write(f"\n{format_table(lines)}\n")


if __name__ == "__main__":
    main()
