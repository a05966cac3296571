"""`python -m benchmarks`: every contender on the same files, alternating, in one run."""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import gettempdir

import polars as pl

from benchmarks.inputs import events_file
from benchmarks.measure import Measured, measure, sink
from benchmarks.plot import plot
from benchmarks.variants import VARIANTS, variant_file

PEERS = ("sdk", "sdk-best", "handwritten", "to_json", "json-alone")
OURS = ("ours", "ours-plain")
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
                "failed": sum(not item.ok for item in each),
            }
        )
    return pl.DataFrame(rows)


def main() -> None:
    """Measure, print, and write the plot and the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000,5000000")
    parser.add_argument("--peers-up-to", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    parser.add_argument("--write", action="store_true", help="write results.md and results.svg")
    asked = parser.parse_args()
    found: list[Measured] = []
    with sink() as url:
        for rows in map(int, asked.sizes.split(",")):
            path = events_file(asked.folder, rows)
            names = (*OURS, *PEERS) if rows <= asked.peers_up_to else (*OURS, "json-alone")
            found += rounds(names, path=path, rows=rows, url=url, times=asked.times)
        for name in VARIANTS:
            path = variant_file(asked.folder, name, 100_000)
            for result in rounds(["ours"], path=path, rows=100_000, url=url, times=1):
                found.append(renamed(result, f"ours, {name}"))
    with sink(latency_ms=80) as url:
        path = events_file(asked.folder, 1_000_000)
        found += rounds(["ours-latency"], path=path, rows=1_000_000, url=url, times=1)
    report(table(found), write=asked.write)


def renamed(result: Measured, name: str) -> Measured:
    """Return a result under another name."""
    from dataclasses import replace

    return replace(result, name=name)


def report(results: pl.DataFrame, *, write: bool) -> None:
    """Print the results, and keep them if asked."""
    with pl.Config(tbl_formatting="MARKDOWN", tbl_hide_column_data_types=True, tbl_rows=-1,
                   tbl_hide_dataframe_shape=True, tbl_cols=-1, tbl_width_chars=200):  # fmt: skip
        text = str(results)
    print(text)
    if write:
        here = Path(__file__).parent
        head = (
            f"Python {platform.python_version()}, polars {pl.__version__}, {platform.machine()}\n\n"
        )
        (here / "results.md").write_text(head + text + "\n")
        (here / "results.svg").write_text(plot(results))


if __name__ == "__main__":
    main()
