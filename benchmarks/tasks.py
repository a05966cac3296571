"""Tasks that an analyst waits for before a send: `python -m benchmarks.tasks NAME ROWS FOLDER`.

Each runs in its own process, and loads its libraries and its table first. It prints the time of the
task itself and the peak memory of the process.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    import cio_frames as cio

Action = Callable[[], Mapping[str, float] | None]
ROWS_PER_RUN = 50


def events_plan(path: Path) -> "cio.Plan":
    """Return the plan of a file of events."""
    import cio_frames as cio

    return cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )


def report(rows: int, folder: Path) -> Action:
    """Show the report of events."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def action() -> None:
        plan = events_plan(path)
        plan._repr_mimebundle_()
        assert plan.counts["rejected"] == 0

    return action


def second_report(rows: int, folder: Path) -> Action:
    """Show the report of events again, when everything is loaded."""
    action = report(rows, folder)
    action()
    return action


def report_of_warnings(rows: int, folder: Path) -> Action:
    """Show the report of events that all have warnings."""
    from benchmarks.variants import variant_file

    path = variant_file(folder, "warning", rows)

    def action() -> None:
        events_plan(path)._repr_mimebundle_()

    return action


def wide_report(rows: int, folder: Path) -> Action:
    """Show the report of people with 2,000 attributes."""
    import polars as pl

    import cio_frames as cio

    del folder
    number = pl.int_range(rows)
    names = [f"attribute_{index}" for index in range(2_000)]
    table = pl.select(pl.format("user-{}", number).alias("id"), *(number.alias(n) for n in names))

    def action() -> None:
        cio.frame(table).identify(user_id="id")._repr_mimebundle_()

    return action


def identity(rows: int, folder: Path) -> Action:
    """Preview the identities of as many people as events."""
    import cio_frames as cio
    from benchmarks.identity import table_file

    people, events = (cio.scan(table_file(folder, name, rows)) for name in ("people", "events"))

    def action() -> None:
        people_plan = cio.frame(people).identify(user_id="id", anonymous_id="anonymous_id")
        event_plan = cio.frame(events).track(
            event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="at"
        )
        repr(cio.backfill([people_plan, event_plan]).identity(progress=False))

    return action


def components(rows: int, folder: Path) -> Action:
    """Find only the components of the pairs of identifiers."""
    import polars as pl

    from benchmarks.identity import table_file
    from cio_frames.identity.components import components as find_components

    pairs = pl.read_parquet(table_file(folder, "pairs", rows))

    def action() -> None:
        find_components(pairs)

    return action


def rehearsal_of_events(rows: int, folder: Path) -> Action:
    """Rehearse events of one twentieth as many people."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def action() -> None:
        assert events_plan(path).rehearse(progress=False).identical

    return action


def rehearsal_of_people(rows: int, folder: Path) -> Action:
    """Rehearse people."""
    import cio_frames as cio
    from benchmarks.identity import table_file

    path = table_file(folder, "unlinked", rows)

    def action() -> None:
        assert cio.frame(cio.scan(path)).identify(user_id="id").rehearse(progress=False).identical

    return action


def payloads(rows: int, folder: Path) -> Action:
    """Show the first messages when all rows can be sent."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def action() -> None:
        assert len(events_plan(path).payloads(5)) == min(rows, 5)

    return action


def payloads_of_one(rows: int, folder: Path) -> Action:
    """Show the first messages when only the last row can be sent, and count how often rows are read."""
    import polars as pl

    import cio_frames as cio
    from benchmarks.variants import variant_file

    read = 0

    def count_rows(chunk: "pl.DataFrame") -> "pl.DataFrame":
        nonlocal read
        read += chunk.height
        return chunk

    lazy = pl.scan_parquet(variant_file(folder, "rejected", rows))
    counted = lazy.map_batches(count_rows, schema=lazy.collect_schema(), streamable=True)

    def action() -> Mapping[str, float]:
        plan = cio.frame(counted).track(event="event", user_id="user_id", timestamp="occurred_at")
        assert len(plan.payloads(5)) == 1
        return {"passes": read / rows}

    return action


def estimate(rows: int, folder: Path) -> Action:
    """Estimate a send after its report."""
    from benchmarks.inputs import events_file

    plan = events_plan(events_file(folder, rows))
    plan._repr_mimebundle_()

    def action() -> None:
        plan.estimate(progress=False)

    return action


def objects_file(folder: Path, rows: int) -> Path:
    """Return a file of objects as lines of JSON; write it if it does not exist."""
    path = folder / f"objects-{rows}.jsonl"
    if not path.exists():
        values = ({"a": row, "b": [f"t{row % 9}", "u"], "c": {"d": row / 3}} for row in range(rows))
        path.write_text("\n".join(map(json.dumps, values)))
    return path


def objects(rows: int, folder: Path) -> Action:
    """Read a pandas column of dictionaries with lists."""
    import pandas as pd

    from cio_frames.frames import read

    lines = objects_file(folder, rows).read_text().splitlines()
    frame = pd.DataFrame({"device": pd.Series([json.loads(line) for line in lines], dtype=object)})

    def action() -> None:
        read(frame)

    return action


def start(rows: int, folder: Path) -> Action:
    """Import the package when polars is imported already."""
    import polars as pl

    del rows, folder, pl

    def action() -> None:
        import cio_frames  # noqa: F401 - the import is measured

    return action


def earlier_runs(rows: int, folder: Path) -> Action:
    """Send a few rows beside `rows` earlier runs, until the first request leaves.

    A new process reads the earlier runs once; the record of earlier rounds is used again.
    """
    audit = folder / f"audit-of-{rows}-runs"
    audit.mkdir(exist_ok=True)
    with client() as target, TemporaryDirectory(dir=folder) as separate:
        for run in range(len(list(audit.iterdir())), rows):
            send_few(run, target, audit=Path(separate))  # no earlier runs to read
            for directory in Path(separate).iterdir():
                directory.rename(audit / directory.name)

    def action() -> Mapping[str, float]:
        with client() as target:
            return {"s": send_few(rows, target, audit=audit)}

    return action


@contextmanager
def client() -> "Iterator[cio.Client]":
    """Yield a client of a sink."""
    import cio_frames as cio
    from benchmarks.measure import sink

    with sink() as url:
        yield cio.connect(endpoint=url, write_key="benchmark", rate=None)


def send_few(run: int, client: "cio.Client", *, audit: Path) -> float:
    """Send a few new people, and return the seconds until the first request."""
    import polars as pl

    import cio_frames as cio

    ids = [f"{time.time_ns()}-{run}-{row}" for row in range(ROWS_PER_RUN)]
    plan = cio.frame(pl.DataFrame({"id": ids})).identify(user_id="id")
    start_s = time.perf_counter()
    sent: Any = plan.send(client, audit=audit, progress=False, wait=False, durability="process")
    while not (sent.counts["requests"] or sent.done):
        time.sleep(0.001)
    first = time.perf_counter() - start_s
    sent.wait()
    return first


TASKS = {
    task.__name__: task
    for task in (
        report, second_report, report_of_warnings, wide_report, identity, components,
        rehearsal_of_events, rehearsal_of_people, payloads, payloads_of_one, estimate, objects, start, earlier_runs,
    )
}  # fmt: skip


def main(name: str, rows: int, folder: Path) -> None:
    """Do one task and print its figures."""
    action = TASKS[name](rows, folder)
    start_s, cpu_start_s = time.perf_counter(), time.process_time()
    own_figures = action() or {}
    figures = {
        "s": time.perf_counter() - start_s, "cpu_s": time.process_time() - cpu_start_s,
    }  # fmt: skip
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures | {"peak_mb": peak_mb} | dict(own_figures)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
