"""How much faster sending would be if a stage cost nothing, which limits the gain of optimising it.

`python -m benchmarks.without_stages` sends the same file with everything, with messages, hashes and ids
from a file (an encoder that costs nothing), with a single check, and with both.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from typing import Any

import polars as pl
import pyarrow as pa

import cio_frames as cio
from benchmarks.inputs import events_file
from benchmarks.measure import Measured, measure, sink
from benchmarks.ours import record_directory
from cio_frames.frames import ROW
from cio_frames.plan import chunks

ROWS, TIMES = 1_000_000, 5
CHEAPEST = cio.Checks(select=["message.no-id"])
VARIANTS = ("everything", "one check", "ready messages", "ready messages, one check")


def plan_of(path: str, *, checks: cio.Checks | None = None) -> cio.Plan:
    """Return the plan of a file of events."""
    return cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at", checks=checks
    )


def write_ready(path: str) -> None:
    """Write the messages of a file, one file per chunk, if they do not exist."""
    folder = _folder(path)
    if folder.exists():
        return
    folder.mkdir()
    plan = plan_of(path)
    encoding = replace(plan.pipeline.encoding(), checks=(), tests=())
    for number, encoded in enumerate(chunks.encode_chunks(plan.pipeline.table, encoding=encoding)):
        encoded.messages.rechunk().write_ipc(folder / f"{number}.arrow")


def ready_encoder(path: str) -> Callable[..., pl.DataFrame]:
    """Return a replacement of the encoder that maps the ready messages into memory."""

    def encode(prepared: pl.DataFrame, *_: Any, **__: Any) -> pl.DataFrame:
        number, start = divmod(prepared[ROW][0], chunks.CHUNK_ROWS)
        with pa.memory_map(str(_folder(path) / f"{number}.arrow")) as file:
            messages: Any = pl.from_arrow(pa.ipc.open_file(file).read_all(), rechunk=False)
        messages = messages.slice(start, prepared.height)  # the first rows are a chunk of their own
        assert messages["row"].equals(prepared[ROW], check_names=False)
        return pl.DataFrame(messages)

    return encode


def send(name: str, path: str, url: str) -> None:
    """Send a file of events without the stages that a variant leaves out."""
    if name.startswith("ready messages"):
        vars(chunks)["encode"] = ready_encoder(path)
    client = cio.connect(endpoint=url, write_key="benchmark", rate=None)
    plan = plan_of(path, checks=CHEAPEST if name.endswith("one check") else None)
    run = plan.send(client, audit=record_directory(), progress=False)
    assert run.counts["delivered"] == run.counts["rows"], run.counts


def compare(path: str) -> pl.DataFrame:
    """Send with each variant in turn and return the medians."""
    results: dict[str, list[Measured]] = {name: [] for name in VARIANTS}
    with sink() as url:
        for _ in range(TIMES):
            for name, runs in results.items():
                runs.append(
                    measure(name, path=path, rows=ROWS, url=url, module="benchmarks.without_stages")
                )
    speeds = {name: median(run.per_s for run in runs) for name, runs in results.items()}
    return pl.DataFrame(
        {
            "what": list(speeds),
            "messages/s": [round(speed) for speed in speeds.values()],
            "times everything": [
                f"{speed / speeds['everything']:.2f}" for speed in speeds.values()
            ],
            "cpu s per million": [
                round(median(run.cpu_s for run in runs) / ROWS * 1e6, 2)
                for runs in results.values()
            ],
            "failed": [sum(not run.ok for run in runs) for runs in results.values()],
        }
    )


def main() -> None:
    """Measure and print."""
    folder = Path(gettempdir()) / "cio_frames-benchmarks"
    folder.mkdir(exist_ok=True)
    path = str(events_file(folder, ROWS))
    write_ready(path)
    with pl.Config(
        tbl_formatting="MARKDOWN", tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True
    ):
        print(compare(path))


def _folder(path: str) -> Path:
    return Path(f"{path}.messages")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        send(*sys.argv[1:])
    else:
        main()
