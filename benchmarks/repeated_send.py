"""The same table sent twice with one record: the cost of finding that everything has arrived.

`python -m benchmarks.repeated_send` sends a million people and a million events twice.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import polars as pl

import cio_frames as cio
from benchmarks.inputs import events_file
from benchmarks.measure import sink
from benchmarks.variants import variant_file


def plan_of(path: Path) -> cio.Plan:
    """Return the plan of a file of events, or of people if it has no events."""
    table = cio.frame(cio.scan(path))
    if "event" in pl.read_parquet_schema(path):
        return table.track(event="event", user_id="user_id", timestamp="occurred_at")
    return table.identify(user_id="user_id")


def send_timed(plan: cio.Plan, client: cio.Client, *, folder: Path) -> tuple[float, float]:
    """Return the processor seconds of a run, and the seconds until its first request or its end."""
    start, cpu_start = time.perf_counter(), time.process_time()
    run = plan.send(client, audit=folder, progress=False, wait=False, durability="process")
    while not (run.counts["requests"] or run.done):
        time.sleep(0.001)
    first = time.perf_counter() - start
    run.wait()
    return time.process_time() - cpu_start, first


def main(rows: int, *, folder: Path) -> None:
    """Print the processor time of each run."""
    files = {
        "events": events_file(folder, rows), "people": variant_file(folder, "people", rows),
    }  # fmt: skip
    with sink() as url, TemporaryDirectory() as audit:
        client = cio.connect(endpoint=url, write_key="benchmark", rate=None)
        for name, path in files.items():
            for which in ("first", "second"):
                cpu_s, _ = send_timed(plan_of(path), client, folder=Path(audit) / name)
                print(f"{name}, the {which} time: {cpu_s / rows * 1e6:.1f} cpu s a million")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    main(arguments.rows, folder=arguments.folder)
