"""The first send of a process: 1,000 people from a CSV file, by a script and by the command line.

Run it as `python -m benchmarks.cold_start [times]`. Each is a process of its own, start and imports
included; polars alone, which only reads the file and writes its JSON, is the limit.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Measured, measure, sink
from benchmarks.rehearsal import people

ROWS = 1_000
NAMES = ("ours", "ours-command", "sdk", "handwritten", "csv-to-json-alone")
AIM_S = 0.6


def main(times: int) -> None:
    """Send with each in turn, several times over, and print the medians."""
    found: dict[str, list[Measured]] = {name: [] for name in NAMES}
    with sink() as url, TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        people(ROWS).rename({"id": "user_id"}).write_csv(path)
        for _ in range(times + 1):
            for name, results in found.items():
                module = "benchmarks.contenders"
                results.append(measure(name, path=str(path), rows=ROWS, url=url, module=module))
    print(f"| first send of {ROWS:,} rows | wall s | cpu s | aim |\n|---|---|---|---|")
    for name, results in found.items():
        warm = results[1:]  # the first reads libraries that are not in memory yet
        assert all(result.ok for result in warm)
        wall, cpu = (
            median(each) for each in zip(*((r.wall_s, r.cpu_s) for r in warm), strict=True)
        )
        aim = f"{AIM_S} s" if name.startswith("ours") else ""
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {aim} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
