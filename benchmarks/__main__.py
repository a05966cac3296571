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
from benchmarks.aims import Figure, asked_of, markdown, parser
from benchmarks.inputs import events_file
from benchmarks.measure import Measured, measure, sink
from benchmarks.plot import plot
from benchmarks.variants import VARIANTS, variant_file

PEERS = ("sdk", "sdk-best", "handwritten", "to_json", "json-alone", "least", "unchecked")
OURS = ("ours", "ours-plain", "ours-lazy")
UNTIRED = ("handwritten", "json-alone", "least", "unchecked")
"""Those that are fast enough to be measured with the largest tables."""

MODULE = "benchmarks.contenders"


def rounds(names: Sequence[str], *, path: Path, rows: int, url: str, times: int) -> list[Measured]:
    """Run every contender in turn, several times over, so that all meet the same weather."""
    found = []
    for _ in range(times):
        for name in names:
            result = measure(name, path=str(path), rows=rows, url=url, module=MODULE)
            print(f"  {name:12} {result.rows:>9,} rows  {result.per_s:>9,.0f}/s", file=sys.stderr)
            found.append(result)
    return found


def table(found: Sequence[Measured]) -> pl.DataFrame:
    """Return the medians, one row per contender and size."""
    rows = []
    for name, size in dict.fromkeys((item.name, item.rows) for item in found):
        each = [item for item in found if (item.name, item.rows) == (name, size)]
        rows.append(
            {
                "what": name,
                "rows": size,
                "messages/s": round(median(item.per_s for item in each)),
                "wall s": round(median(item.wall_s for item in each), 2),
                "cpu s per million": round(median(item.cpu_s for item in each) / size * 1e6, 2),
                "peak MB": round(max(item.rss_mb for item in each)),
                "requests": each[0].requests,
                "MB on the wire": round(each[0].bytes / 1e6, 1),
                "rows lost": max(item.lost for item in each),
                "failed": sum(not item.ok for item in each),
            }
        )
    return pl.DataFrame(rows)


def targets(
    results: pl.DataFrame, *, sizes: Sequence[int], record_us: float, import_s: float
) -> list[Figure]:
    """Return what was aimed at in sending, and what came out, as ratios within this one run.

    Args:
        results: The medians.
        sizes: The sizes of the tables: few rows, those asked for, and most.
        record_us: Microseconds of processor time that the record of a message takes.
        import_s: Seconds of `import cio_frames` in a new interpreter.
    """
    found = {(row["what"], row["rows"]): row for row in results.iter_rows(named=True)}
    few, many, most = sizes

    def speed(what: str, rows: int = many) -> float:
        return float(found[what, rows]["messages/s"])

    def of(what: str, rows: int, column: str = "peak MB") -> float:
        return float(found[what, rows][column])

    def share(what: str, rows: int = many) -> float:
        return 100 * speed("ours", rows) / speed(what, rows)

    small = (of("ours", few, "wall s") - import_s) / few
    large = of("ours", most, "wall s") / most
    sdk, loop = (speed("ours") / speed(peer) for peer in ("sdk", "handwritten"))
    return [
        Figure(what="sending, times the official SDK", measured=sdk, unit="x", aim=40, is_floor=True, in_the_way=ENGINES),
        Figure(what="sending, times the hand-written loop", measured=loop, unit="x", aim=5, is_floor=True, in_the_way=ENGINES),
        Figure(what="sending, of the JSON alone", measured=share("json-alone"), unit="%", aim=50, is_floor=True, in_the_way=ENGINES),
        Figure(what="sending, of its own steps without checks and engine", measured=share("unchecked"), unit="%"),
        Figure(what=f"sending, of the bare work, {many:,} rows", measured=share("least"), unit="%", aim=50, is_floor=True, in_the_way=MESSAGES),
        Figure(what=f"sending, of the bare work, {most:,} rows", measured=share("least", most), unit="%", aim=50, is_floor=True, in_the_way=MESSAGES),
        Figure(what="the record of a message", measured=record_us, unit="us", aim=0.35, in_the_way=RECORD),
        Figure(what=f"peak memory, {most:,} rows to {many:,}", measured=of("ours", most) / of("ours", many), unit="x", aim=1.15),
        Figure(what=f"peak memory, {most:,} rows", measured=of("ours", most), unit="MB", aim=600),
        Figure(what=f"peak memory, {most:,} rows of a query", measured=of("ours-lazy", most), unit="MB"),
        Figure(what=f"peak memory, {most:,} rows of a CSV file", measured=of("ours, csv", most), unit="MB"),
        Figure(what=f"time per row, {most:,} rows to {few:,}", measured=large / small, unit="x", aim=1.15),
        Figure(what="messages/s at 80 ms an answer, default settings", measured=speed("ours-latency"), unit="messages/s", aim=100_000, is_floor=True),
    ]  # fmt: skip


ENGINES = "even these steps without checks reach 34 x, 2.2 x and 22 %"
MESSAGES = "messages that the API takes, reading twice, order, plans and record"
RECORD = "keyed ids alone take 0.3 us"


def main() -> None:
    """Measure, print, and write the plot and the tables beside this file."""
    reads = parser(__doc__)
    reads.add_argument("--write", action="store_true", help="write results.md and results.svg")
    arguments = reads.parse_args()
    asked = asked_of(arguments)
    sizes = (asked.rows // 10, asked.rows, 5 * asked.rows)
    results = table(
        [
            *sent(sizes, folder=asked.folder, peers_up_to=asked.rows, times=asked.times),
            *varied(sizes, most=asked.rows, folder=asked.folder),
            *late(asked.rows, folder=asked.folder),
        ]
    )
    before = aims.measured(asked)  # first: what this process has held counts as memory of others
    drawn, record_us = stages.main(asked.rows, folder=asked.folder)
    of_sending = targets(
        results, sizes=sizes, record_us=record_us, import_s=stages.started("import cio_frames")
    )
    tables = {
        "Side by side": markdown(results),
        "Aims": markdown(aims.table([*before, *of_sending])),
        "Stages": drawn,
    }
    report(tables, results, times=asked.times, write=arguments.write)


def sent(sizes: Sequence[int], *, folder: Path, peers_up_to: int, times: int) -> list[Measured]:
    """Measure everybody on events, at every size."""
    found: list[Measured] = []
    with sink() as url:
        for rows in sizes:
            path = events_file(folder, rows)
            names = (*OURS, *(PEERS if rows <= peers_up_to else UNTIRED))
            found += rounds(names, path=path, rows=rows, url=url, times=times)
    return found


def varied(sizes: Sequence[int], *, most: int, folder: Path) -> list[Measured]:
    """Measure this package and the hand-written loop on tables of other shapes, once each."""
    found: list[Measured] = []
    with sink() as url:
        for name, variant in VARIANTS.items():
            for rows in (size for size in sizes if variant.is_large or size <= most):
                path = variant_file(folder, name, rows)
                both = rounds(["ours", "handwritten"], path=path, rows=rows, url=url, times=1)
                found += [replace(result, name=f"{result.name}, {name}") for result in both]
    return found


def late(rows: int, *, folder: Path) -> list[Measured]:
    """Measure this package where every answer takes 80 ms."""
    with sink(latency_ms=80) as url:
        path = events_file(folder, rows)
        return rounds(["ours-latency"], path=path, rows=rows, url=url, times=1)


def report(tables: Mapping[str, str], results: pl.DataFrame, *, times: int, write: bool) -> None:
    """Print the tables, and keep them and the plot if asked."""
    text = "\n\n".join(f"## {title}\n\n{drawn}" for title, drawn in tables.items())
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
