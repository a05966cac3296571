"""`python -m benchmarks`: every contender on the same files, alternating, in one run."""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import gettempdir

import polars as pl

from benchmarks import stages
from benchmarks.inputs import events_file
from benchmarks.measure import AS_INSTALLED, Measured, measure, sink
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
    results: pl.DataFrame, *, report_s: float, small_report_s: float, import_s: float
) -> pl.DataFrame:
    """Return what was aimed at, and what came out, as ratios within this one run.

    Args:
        results: The medians.
        report_s: Seconds of a plan and its report for a million rows, with the import.
        small_report_s: The same for a thousand rows, after the import.
        import_s: Seconds of `import cio_frames` in a new interpreter.
    """
    found = {
        (row["what"], row["rows"]): row for row in results.iter_rows(named=True)
    }  # fmt: skip
    few, many, most = 100_000, 1_000_000, 5_000_000

    def speed(what: str, rows: int = many) -> float:
        return float(found[what, rows]["messages/s"])

    def of(rows: int, column: str) -> float:
        return float(found["ours", rows][column])

    small = (of(few, "wall s") - import_s) / few
    aims = [
        ("messages/s, times the official SDK", "40 x", f"{speed('ours') / speed('sdk'):.1f} x"),
        ("messages/s, times the hand-written loop", "5 x", f"{speed('ours') / speed('handwritten'):.2f} x"),
        ("messages/s, of the JSON alone", "50 %", f"{speed('ours') / speed('json-alone'):.0%}"),
        ("messages/s, of its own steps without checks and engine", "", f"{speed('ours') / speed('unchecked'):.0%}"),
        ("messages/s, of what is possible without checks, order and record", "", f"{speed('ours') / speed('least'):.0%}"),
        ("peak memory, 5 million rows to 1 million", "1.15 x", f"{of(most, 'peak MB') / of(many, 'peak MB'):.2f} x"),
        ("peak memory, 5 million rows", "600 MB", f"{of(most, 'peak MB'):.0f} MB"),
        ("peak memory, 5 million rows of a query", "", f"{found['ours-lazy', most]['peak MB']:.0f} MB"),
        ("peak memory, 5 million rows of a CSV file", "", f"{found['ours, csv', most]['peak MB']:.0f} MB"),
        ("time per row, 5 million rows to 100,000", "1.15 x", f"{of(most, 'wall s') / most / small:.2f} x"),
        ("plan and report, 1 million rows", "5 s", f"{report_s:.1f} s"),
        ("import", "0.5 s", f"{import_s:.2f} s"),
        ("plan and report, 1,000 rows, after the import", "0.1 s", f"{small_report_s:.3f} s"),
        ("messages/s at 80 ms an answer, default settings", "100,000", f"{speed('ours-latency'):,.0f}"),
    ]  # fmt: skip
    return pl.DataFrame(aims, schema=["figure", "aim", "measured"], orient="row")


def seconds_of(code: str, *, after: str = "") -> float:
    """Return the seconds that `code` takes in a new interpreter; the best of three.

    The start of the interpreter, and what it does before, are left out.
    """
    timed = f"import time\n{after}\nbegan = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    command = [sys.executable, "-c", timed]
    env = os.environ | AS_INSTALLED
    runs = [
        subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        for _ in range(3)
    ]
    return min(float(run.stdout.splitlines()[-1]) for run in runs)


def main() -> None:
    """Measure, print, and write the plot and the tables beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000,5000000")
    parser.add_argument("--peers-up-to", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    parser.add_argument("--write", action="store_true", help="write results.md and results.svg")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in asked.sizes.split(",")]
    results = table(
        [
            *sent(sizes, folder=asked.folder, peers_up_to=asked.peers_up_to, times=asked.times),
            *varied(sizes, folder=asked.folder),
            *late(asked.folder),
        ]
    )
    tables = {"Side by side": markdown(results)}
    if set(sizes) >= {100_000, 1_000_000, 5_000_000}:
        reported, small = (
            REPORT.format(path=str(events_file(asked.folder, rows))) for rows in (1_000_000, 1_000)
        )
        aims = targets(
            results,
            report_s=seconds_of(reported),
            small_report_s=seconds_of(small, after="import cio_frames"),
            import_s=seconds_of("import cio_frames"),
        )
        tables["Aims"] = markdown(aims)
    tables["Stages"] = stages.main(1_000_000, folder=asked.folder)
    report(tables, results, write=asked.write)


REPORT = """
import cio_frames as cio
plan = cio.scan({path!r}).cio.track(event="event", user_id="user_id", timestamp="occurred_at")
plan._repr_mimebundle_()
"""


def sent(sizes: Sequence[int], *, folder: Path, peers_up_to: int, times: int) -> list[Measured]:
    """Measure everybody on events, at every size."""
    found: list[Measured] = []
    with sink() as url:
        for rows in sizes:
            path = events_file(folder, rows)
            names = (*OURS, *(PEERS if rows <= peers_up_to else UNTIRED))
            found += rounds(names, path=path, rows=rows, url=url, times=times)
    return found


def varied(sizes: Sequence[int], *, folder: Path) -> list[Measured]:
    """Measure this package and the hand-written loop on tables of other shapes, once each."""
    found: list[Measured] = []
    with sink() as url:
        for name, variant in VARIANTS.items():
            for rows in (size for size in sizes if size <= variant.rows):
                path = variant_file(folder, name, rows)
                both = rounds(["ours", "handwritten"], path=path, rows=rows, url=url, times=1)
                found += [replace(result, name=f"{result.name}, {name}") for result in both]
    return found


def late(folder: Path) -> list[Measured]:
    """Measure this package where every answer takes 80 ms."""
    with sink(latency_ms=80) as url:
        path = events_file(folder, 1_000_000)
        return rounds(["ours-latency"], path=path, rows=1_000_000, url=url, times=1)


def markdown(frame: pl.DataFrame) -> str:
    """Return a table as Markdown."""
    with pl.Config(tbl_formatting="MARKDOWN", tbl_hide_column_data_types=True, tbl_rows=-1,
                   tbl_hide_dataframe_shape=True, tbl_cols=-1, tbl_width_chars=200,
                   fmt_str_lengths=80):  # fmt: skip
        return str(frame)


def report(tables: Mapping[str, str], results: pl.DataFrame, *, write: bool) -> None:
    """Print the tables, and keep them and the plot if asked."""
    text = "\n\n".join(f"## {title}\n\n{drawn}" for title, drawn in tables.items())
    print(text)
    if write:
        here = Path(__file__).parent
        head = (
            "# Results\n\n"
            f"`make bench` on {os.cpu_count()} cores: Python {platform.python_version()}, "
            f"polars {pl.__version__}, {platform.machine()}. Medians of the rounds of one run; "
            "times include the start of the process.\n\n"
        )
        (here / "results.md").write_text(head + text + "\n")
        (here / "results.svg").write_text(plot(results))


if __name__ == "__main__":
    main()
