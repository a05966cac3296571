"""`python -m benchmarks`: every contender on the same files, alternating, in one run."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks import aims, stages
from benchmarks.aims import Figure, markdown, parser, settings_of
from benchmarks.inputs import events_file
from benchmarks.measure import Measured, measure, sink
from benchmarks.plot import plot
from benchmarks.variants import VARIANTS, variant_file

PEERS = ("sdk", "sdk-best", "handwritten", "to_json", "json-alone", "least", "unchecked")
OURS = ("ours", "ours-plain", "ours-lazy")
FAST_PEERS = ("handwritten", "json-alone", "least", "unchecked")
"""Contenders that are fast enough for the largest tables."""

MODULE = "benchmarks.contenders"


def rounds(names: Sequence[str], *, path: Path, rows: int, url: str, times: int) -> list[Measured]:
    """Run every contender in turn, several times, so that the load of the machine is the same for all."""
    results = []
    for _ in range(times):
        for name in names:
            result = measure(name, path=str(path), rows=rows, url=url, module=MODULE)
            print(f"  {name:12} {result.rows:>9,} rows  {result.per_s:>9,.0f}/s", file=sys.stderr)
            results.append(result)
    return results


def table(results: Sequence[Measured]) -> pl.DataFrame:
    """Return the medians, one row per contender and size."""
    rows = []
    for name, size in dict.fromkeys((result.name, result.rows) for result in results):
        runs = [result for result in results if (result.name, result.rows) == (name, size)]
        rows.append(
            {
                "what": name,
                "rows": size,
                "messages/s": round(median(run.per_s for run in runs)),
                "wall s": round(median(run.wall_s for run in runs), 2),
                "cpu s per million": round(median(run.cpu_s for run in runs) / size * 1e6, 2),
                "peak MB": round(max(run.rss_mb for run in runs)),
                "requests": runs[0].requests,
                "MB on the wire": round(runs[0].bytes / 1e6, 1),
                "rows lost": max(run.lost for run in runs),
                "failed": sum(not run.ok for run in runs),
            }
        )
    return pl.DataFrame(rows)


def targets(
    results: pl.DataFrame, *, sizes: Sequence[int], record_us: float, import_s: float
) -> list[Figure]:
    """Return the aims of sending with the figures of this run, as ratios."""
    by_size = {(row["what"], row["rows"]): row for row in results.iter_rows(named=True)}
    few, many, most = sizes

    def speed(what: str, rows: int = many) -> float:
        return float(by_size[what, rows]["messages/s"])

    def value(what: str, rows: int, column: str = "peak MB") -> float:
        return float(by_size[what, rows][column])

    def share(what: str, rows: int = many) -> float:
        return 100 * speed("ours", rows) / speed(what, rows)

    small = (value("ours", few, "wall s") - import_s) / few
    large = value("ours", most, "wall s") / most
    sdk, loop = (speed("ours") / speed(peer) for peer in ("sdk", "handwritten"))
    return [
        Figure(what="sending, times the official SDK", measured=sdk, unit="x", aim=40, is_floor=True, obstacle=ENGINES),
        Figure(what="sending, times the hand-written loop", measured=loop, unit="x", aim=5, is_floor=True, obstacle=ENGINES),
        Figure(what="sending, of the JSON alone", measured=share("json-alone"), unit="%", aim=50, is_floor=True, obstacle=ENGINES),
        Figure(what="sending, of its own steps without checks and engine", measured=share("unchecked"), unit="%"),
        Figure(what=f"sending, of the bare work, {many:,} rows", measured=share("least"), unit="%", aim=50, is_floor=True, obstacle=MESSAGES),
        Figure(what=f"sending, of the bare work, {most:,} rows", measured=share("least", most), unit="%", aim=50, is_floor=True, obstacle=MESSAGES),
        Figure(what="the record of a message", measured=record_us, unit="us", aim=0.35, obstacle=RECORD),
        Figure(what=f"peak memory, {most:,} rows to {many:,}", measured=value("ours", most) / value("ours", many), unit="x", aim=1.15),
        Figure(what=f"peak memory, {most:,} rows", measured=value("ours", most), unit="MB", aim=600),
        Figure(what=f"peak memory, {most:,} rows of a query", measured=value("ours-lazy", most), unit="MB"),
        Figure(what=f"peak memory, {most:,} rows of a CSV file", measured=value("ours, csv", most), unit="MB"),
        Figure(what=f"time per row, {most:,} rows to {few:,}", measured=large / small, unit="x", aim=1.15),
        Figure(what="messages/s at 80 ms an answer, default settings", measured=speed("ours-latency"), unit="messages/s", aim=100_000, is_floor=True),
    ]  # fmt: skip


ENGINES = "even these steps without checks reach 34 x, 2.2 x and 22 %"
MESSAGES = "messages that the API takes, reading twice, order, plans and record"
RECORD = "keyed ids alone take 0.3 us"


def main() -> None:
    """Measure, print, and write the plot and the tables beside this file."""
    options = parser(__doc__)
    options.add_argument("--write", action="store_true", help="write results.md and results.svg")
    arguments = options.parse_args()
    settings = settings_of(arguments)
    sizes = (settings.rows // 10, settings.rows, 5 * settings.rows)
    results = table(
        [
            *measure_events(
                sizes, folder=settings.folder, peers_up_to=settings.rows, times=settings.times
            ),
            *measure_variants(sizes, most=settings.rows, folder=settings.folder),
            *measure_latency(settings.rows, folder=settings.folder),
        ]
    )
    before_sending = aims.measured(
        settings
    )  # first: memory of this process counts as memory of its children
    stages_table, record_us = stages.main(settings.rows, folder=settings.folder)
    of_sending = targets(
        results, sizes=sizes, record_us=record_us, import_s=stages.started("import cio_frames")
    )
    tables = {
        "Side by side": markdown(results),
        "Aims": markdown(aims.table([*before_sending, *of_sending])),
        "Stages": stages_table,
    }
    report(tables, results, times=settings.times, write=arguments.write)


def measure_events(
    sizes: Sequence[int], *, folder: Path, peers_up_to: int, times: int
) -> list[Measured]:
    """Measure every contender on events, at every size."""
    results: list[Measured] = []
    with sink() as url:
        for rows in sizes:
            path = events_file(folder, rows)
            names = (*OURS, *(PEERS if rows <= peers_up_to else FAST_PEERS))
            results += rounds(names, path=path, rows=rows, url=url, times=times)
    return results


def measure_variants(sizes: Sequence[int], *, most: int, folder: Path) -> list[Measured]:
    """Measure this package and the hand-written loop on other tables, once each."""
    results: list[Measured] = []
    with sink() as url:
        for name, variant in VARIANTS.items():
            for rows in (size for size in sizes if variant.is_large or size <= most):
                path = variant_file(folder, name, rows)
                pair = rounds(["ours", "handwritten"], path=path, rows=rows, url=url, times=1)
                results += [replace(result, name=f"{result.name}, {name}") for result in pair]
    return results


def measure_latency(rows: int, *, folder: Path) -> list[Measured]:
    """Measure this package with answers that take 80 ms."""
    with sink(latency_ms=80) as url:
        path = events_file(folder, rows)
        return rounds(["ours-latency"], path=path, rows=rows, url=url, times=1)


def report(tables: Mapping[str, str], results: pl.DataFrame, *, times: int, write: bool) -> None:
    """Print the tables, and write them and the plot if `write`."""
    text = "\n\n".join(f"## {title}\n\n{table}" for title, table in tables.items())
    print(text)
    if write:
        here = Path(__file__).parent
        head = (
            "# Results\n\n"
            f"`make bench` on {os.cpu_count()} cores: Python {platform.python_version()}, "
            f"polars {pl.__version__}, {platform.machine()}. Medians of {times} rounds of one run; "
            "times of sending include the start of the process, those before a send do not.\n\n"
        )
        (here / "results.md").write_text(head + text + "\n")
        (here / "results.svg").write_text(plot(results))


if __name__ == "__main__":
    main()
