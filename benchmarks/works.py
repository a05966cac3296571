"""What an analyst waits for before a send, each a process of its own: `python -m benchmarks.works NAME ROWS FOLDER`.

Each work loads its libraries and lays its table ready first; what it prints is what the work itself
took, and the peak of the process.
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

Act = Callable[[], Mapping[str, float] | None]
ROWS_OF_A_RUN = 50


def tracked(path: Path) -> "cio.Plan":
    """Return the plan of a file of events."""
    import cio_frames as cio

    return cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )


def report(rows: int, folder: Path) -> Act:
    """Show the report of events."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def act() -> None:
        plan = tracked(path)
        plan._repr_mimebundle_()
        assert plan.counts["rejected"] == 0

    return act


def second_report(rows: int, folder: Path) -> Act:
    """Show the report of events once more, when everything is loaded."""
    act = report(rows, folder)
    act()
    return act


def report_of_warnings(rows: int, folder: Path) -> Act:
    """Show the report of events that all warn."""
    from benchmarks.variants import variant_file

    path = variant_file(folder, "warning", rows)

    def act() -> None:
        tracked(path)._repr_mimebundle_()

    return act


def wide_report(rows: int, folder: Path) -> Act:
    """Show the report of people with 2,000 attributes."""
    import polars as pl

    import cio_frames as cio

    del folder
    number = pl.int_range(rows)
    names = [f"attribute_{place}" for place in range(2_000)]
    table = pl.select(pl.format("user-{}", number).alias("id"), *(number.alias(n) for n in names))

    def act() -> None:
        cio.frame(table).identify(user_id="id")._repr_mimebundle_()

    return act


def identity(rows: int, folder: Path) -> Act:
    """Preview who is who for as many people as events."""
    import cio_frames as cio
    from benchmarks.identity import table_file

    people, events = (cio.scan(table_file(folder, name, rows)) for name in ("people", "events"))

    def act() -> None:
        named = cio.frame(people).identify(user_id="id", anonymous_id="anonymous_id")
        seen = cio.frame(events).track(
            event="event", user_id="user_id", anonymous_id="anonymous_id", timestamp="at"
        )
        repr(cio.backfill([named, seen]).identity(progress=False))

    return act


def components(rows: int, folder: Path) -> Act:
    """Find the components of the pairs that people name, alone."""
    import polars as pl

    from benchmarks.identity import table_file
    from cio_frames.identity.components import components as found

    pairs = pl.read_parquet(table_file(folder, "pairs", rows))

    def act() -> None:
        found(pairs)

    return act


def rehearsal_of_events(rows: int, folder: Path) -> Act:
    """Rehearse events of a twentieth as many people."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def act() -> None:
        assert tracked(path).rehearse(progress=False).identical

    return act


def rehearsal_of_people(rows: int, folder: Path) -> Act:
    """Rehearse people."""
    import cio_frames as cio
    from benchmarks.identity import table_file

    path = table_file(folder, "loners", rows)

    def act() -> None:
        assert cio.frame(cio.scan(path)).identify(user_id="id").rehearse(progress=False).identical

    return act


def payloads(rows: int, folder: Path) -> Act:
    """Show the first messages where all rows are sent."""
    from benchmarks.inputs import events_file

    path = events_file(folder, rows)

    def act() -> None:
        assert len(tracked(path).payloads(5)) == min(rows, 5)

    return act


def payloads_of_one(rows: int, folder: Path) -> Act:
    """Show the first messages where only the last row is sent, and count how often rows are read."""
    import polars as pl

    import cio_frames as cio
    from benchmarks.variants import variant_file

    read = 0

    def note(chunk: "pl.DataFrame") -> "pl.DataFrame":
        nonlocal read
        read += chunk.height
        return chunk

    lazy = pl.scan_parquet(variant_file(folder, "rejected", rows))
    counted = lazy.map_batches(note, schema=lazy.collect_schema(), streamable=True)

    def act() -> Mapping[str, float]:
        plan = cio.frame(counted).track(event="event", user_id="user_id", timestamp="occurred_at")
        assert len(plan.payloads(5)) == 1
        return {"passes": read / rows}

    return act


def estimate(rows: int, folder: Path) -> Act:
    """Estimate a send after its report."""
    from benchmarks.inputs import events_file

    plan = tracked(events_file(folder, rows))
    plan._repr_mimebundle_()

    def act() -> None:
        plan.estimate(progress=False)

    return act


def objects_file(folder: Path, rows: int) -> Path:
    """Return a file of objects as lines of JSON, written unless it is there."""
    path = folder / f"objects-{rows}.jsonl"
    if not path.exists():
        values = ({"a": row, "b": [f"t{row % 9}", "u"], "c": {"d": row / 3}} for row in range(rows))
        path.write_text("\n".join(map(json.dumps, values)))
    return path


def objects(rows: int, folder: Path) -> Act:
    """Read a pandas column of dictionaries with lists."""
    import pandas as pd

    from cio_frames.frames import read

    lines = objects_file(folder, rows).read_text().splitlines()
    frame = pd.DataFrame({"device": pd.Series([json.loads(line) for line in lines], dtype=object)})

    def act() -> None:
        read(frame)

    return act


def start(rows: int, folder: Path) -> Act:
    """Import the package where polars is imported."""
    import polars as pl

    del rows, folder, pl

    def act() -> None:
        import cio_frames  # noqa: F401 - that it is imported is all

    return act


def earlier_runs(rows: int, folder: Path) -> Act:
    """Send a few rows with the record of earlier runs, one for each row asked for, until a request leaves.

    A new process looks up what it has not read before; the record of earlier rounds is used again.
    """
    audit = folder / f"audit-of-{rows}-runs"
    audit.mkdir(exist_ok=True)
    with client() as there, TemporaryDirectory(dir=folder) as alone:
        for run in range(len(list(audit.iterdir())), rows):
            few(run, there, audit=Path(alone))  # by itself, so that it looks nothing up
            for made in Path(alone).iterdir():
                made.rename(audit / made.name)

    def act() -> Mapping[str, float]:
        with client() as there:
            return {"s": few(rows, there, audit=audit)}

    return act


@contextmanager
def client() -> "Iterator[cio.Client]":
    """Give a client of a sink."""
    import cio_frames as cio
    from benchmarks.measure import sink

    with sink() as url:
        yield cio.connect(endpoint=url, write_key="benchmark", rate=None)


def few(run: int, client: "cio.Client", *, audit: Path) -> float:
    """Send a few people nobody else is, and return the seconds until the first request."""
    import polars as pl

    import cio_frames as cio

    ids = [f"{time.time_ns()}-{run}-{row}" for row in range(ROWS_OF_A_RUN)]
    plan = cio.frame(pl.DataFrame({"id": ids})).identify(user_id="id")
    began = time.perf_counter()
    sent: Any = plan.send(client, audit=audit, progress=False, wait=False, durability="process")
    while not (sent.counts["requests"] or sent.done):
        time.sleep(0.001)
    first = time.perf_counter() - began
    sent.wait()
    return first


WORKS = {
    work.__name__: work
    for work in (
        report, second_report, report_of_warnings, wide_report, identity, components,
        rehearsal_of_events, rehearsal_of_people, payloads, payloads_of_one, estimate, objects, start, earlier_runs,
    )
}  # fmt: skip


def main(name: str, rows: int, folder: Path) -> None:
    """Do one work and print what it took."""
    act = WORKS[name](rows, folder)
    began, worked = time.perf_counter(), time.process_time()
    said = act() or {}
    took = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - worked}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(took | {"peak_mb": peak_mb} | dict(said)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
