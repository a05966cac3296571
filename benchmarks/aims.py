"""The aims for work before a send and at its start, with the figures measured, beside the peers.

`python -m benchmarks.aims [--only WORD] [--rows ROWS] [--times TIMES]` measures the rows of the table
below, or those with a word in their names. The aims are for a million rows.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir

import polars as pl

from benchmarks.identity import table_file, unlinked_people
from benchmarks.inputs import events_file, lines_file
from benchmarks.measure import Process, run, sink
from benchmarks.tasks import objects_file

MILLION = 1_000_000
LONG_S = 60.0
"""Anything slower is measured once."""

PEER_TIMEOUT_S = 120.0
"""A peer that takes longer is stopped."""

PEERS = Path("build") / "env" / "peers"
"""The environment of the peers, as `make bench` builds it."""

OURS = "cio_frames"
Command = Sequence[str | Path]
UNITS = {"s": "s", "us_a_row": "us a row", "peak_mb": "MB", "passes": "passes", "growth": "x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Something that a user waits for.

    Attributes:
        what: Its name.
        task: What is run: one of `benchmarks.tasks`, or of `benchmarks.contenders` if it sends.
        share: Its rows, as a multiple of `--rows`.
        rows: Its rows, if the number is fixed.
        counted: What its rows are called.
        aims: The maximum to reach, by figure.
        peers: Libraries that do comparable work.
        sends: Whether it sends to a sink.
        obstacle: Why an aim is missed.
    """

    what: str
    task: str
    share: float = 1
    rows: int | None = None
    counted: str = "rows"
    aims: Mapping[str, float]
    peers: Sequence[str] = ()
    sends: bool = False
    obstacle: str = ""

    def count(self, base: int) -> int:
        """Return how many rows it has, if `--rows` is `base`."""
        return round(self.share * base) if self.rows is None else self.rows


VALIDATORS = ("pandera", "pointblank", "great_expectations", "mixpanel-import")
SENDERS = ("sdk", "handwritten", "csv-to-json-alone")
ROWS = (
    Row(what="report of events", task="report", aims={"s": 1.0}, peers=VALIDATORS,
        obstacle="checks of the whole table take 1.2 cpu s, sizes and counts 0.9, checks of rows 0.4"),
    Row(what="report of events that all warn", task="report_of_warnings", share=5, aims={"peak_mb": 500},
        obstacle="findings take 35 MB a million, and twice that while they are put in order; the engine alone 200 MB"),
    Row(what="report of 1,000 events, the second of a process", task="second_report", rows=1_000, aims={"s": 0.1}),
    Row(what="report of 50 rows of 2,000 columns", task="wide_report", rows=50, aims={"s": 5}),
    Row(what="identity preview of as many people as events", task="identity", aims={"s": 5, "peak_mb": 800},
        obstacle="reading, checking and writing the messages takes 70 %"),
    Row(what="identity preview of ten times as many", task="identity", share=10,
        aims={"s": 60, "peak_mb": 4_000, "growth": 1.2},
        obstacle="keys of everybody are sorted in memory; nothing is kept on disk"),
    Row(what="its connected components alone", task="components", aims={}, peers=("splink", "recordlinkage")),
    Row(what="rehearsal of events", task="rehearsal_of_events", aims={"s": 30, "peak_mb": 2_000}),
    Row(what="rehearsal of people", task="rehearsal_of_people", aims={"s": 60, "peak_mb": 2_000}),
    Row(what="payloads(5), all valid", task="payloads", share=5, aims={"s": 1}),
    Row(what="payloads(5), all rejected but one", task="payloads_of_one", share=5, aims={"passes": 1}),
    Row(what="estimate() after the report", task="estimate", aims={"s": 0.2}),
    Row(what="pandas column of 200,000 dictionaries with lists", task="objects", rows=200_000, aims={"us_a_row": 2},
        peers=("json.dumps", "orjson")),
    Row(what="import, beyond that of polars", task="start", rows=0, aims={"s": 0.05}),
    Row(what="first send of 1,000 rows, by a script, from start to end", task="ours", rows=1_000, sends=True,
        aims={"s": 0.6}, peers=SENDERS, obstacle="polars, numpy, pyarrow and httpx2 take 0.33 s, the end of the interpreter 0.1"),
    Row(what="first send of 1,000 rows, by the command line, from start to end", task="ours-command", rows=1_000, sends=True,
        aims={"s": 0.6}, obstacle="polars, numpy, pyarrow, httpx2 and cyclopts take 0.4 s"),
    Row(what="first request of a later run", task="earlier_runs", share=0.001, counted="earlier runs", aims={"s": 1}),
)  # fmt: skip

TABLES: Mapping[str, Callable[[Path, int], Path]] = {
    "pandera": events_file,
    "pointblank": events_file,
    "great_expectations": events_file,
    "mixpanel-import": lines_file,
    "splink": lambda folder, rows: table_file(folder, "pairs", rows),
    "recordlinkage": lambda folder, rows: table_file(folder, "pairs", rows),
    "json.dumps": objects_file,
    "orjson": objects_file,
}
"""The table of each peer."""

QUIET = {"GX_ANALYTICS_ENABLED": "false"}
"""Stops great_expectations from reporting its use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure beside its aim.

    Attributes:
        what: What was measured.
        measured: The figure.
        unit: Its unit.
        aim: The aim, if there is one.
        is_floor: Whether more is better.
        beside: Other figures of the same rounds.
        obstacle: Why the aim is missed.
    """

    what: str
    measured: float
    unit: str
    aim: float | None = None
    is_floor: bool = False
    beside: str = ""
    obstacle: str = ""

    @property
    def verdict(self) -> str:
        """Whether the aim is met, and if not, why."""
        if self.aim is None:
            return ""
        is_met = self.measured >= self.aim if self.is_floor else self.measured <= self.aim
        return "yes" if is_met else f"no: {self.obstacle}".removesuffix(": ")


def table(figures: Sequence[Figure]) -> pl.DataFrame:
    """Return the figures as a table."""
    return pl.DataFrame(
        {
            "figure": [figure.what for figure in figures],
            "aim": [
                "" if figure.aim is None else f"{figure.aim:,g} {figure.unit}" for figure in figures
            ],
            "measured": [f"{rounded(figure.measured)} {figure.unit}" for figure in figures],
            "met": [figure.verdict for figure in figures],
            "beside it": [figure.beside for figure in figures],
        }
    )


def rounded(number: float) -> str:
    """Return a number with three significant digits."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings: number of rows and rounds, folders of the tables and peers."""

    rows: int
    times: int
    folder: Path
    peers: Path

    def command(self, name: str, rows: int) -> Command | None:
        """Return the command of a peer; None if it is not installed."""
        is_node = name == "mixpanel-import"
        program = shutil.which("node") if is_node else shutil.which(self.peers / "bin" / "python")
        package = self.peers / "node_modules" / name
        if program is None or (is_node and not package.exists()):
            return None
        path = TABLES[name](self.folder, rows)
        here = Path(__file__).parent
        if is_node:
            return [program, here / "mixpanel_dry_run.js", package.parent.resolve(), path]
        return [program, here / "peers.py", name, path]


def measured(settings: Settings, rows: Sequence[Row] = ROWS) -> list[Figure]:
    """Measure rows of the table and return their figures."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for row in rows:
        count = row.count(settings.rows)
        print(f"  {row.what}, {count:,} rows", file=sys.stderr)
        with commands(row, settings) as by_name:
            figures_by_name = {
                name: medians(processes, rows=count)
                for name, processes in run_in_turn(by_name, settings).items()
            }
        per_row = figures_by_name[OURS]["us_a_row"]
        figures_by_name[OURS]["growth"] = (
            per_row / first.setdefault(row.task, per_row) if per_row else nan
        )
        figures += figures_of(
            row, figures_by_name, rows=count, missing=set(row.peers) - by_name.keys()
        )
    return figures


@contextmanager
def commands(row: Row, settings: Settings) -> Iterator[Mapping[str, Command]]:
    """Yield the commands of this package and of the installed peers."""
    rows = row.count(settings.rows)
    if not row.sends:
        ours: Command = [
            sys.executable,
            "-m",
            "benchmarks.tasks",
            row.task,
            str(rows),
            settings.folder,
        ]
        by_peer = {peer: settings.command(peer, rows) for peer in row.peers}
        yield {OURS: ours} | {
            peer: command for peer, command in by_peer.items() if command is not None
        }
        return
    with sink() as url, TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        unlinked_people(rows).rename({"id": "user_id"}).write_csv(path)
        names = {OURS: row.task} | {peer: peer for peer in row.peers}
        module: Command = [sys.executable, "-m", "benchmarks.contenders"]
        yield {name: [*module, contender, path, url] for name, contender in names.items()}


def run_in_turn(
    commands: Mapping[str, Command], settings: Settings
) -> Mapping[str, Sequence[Process]]:
    """Run the commands in turn, so that the load of the machine is the same for all."""
    processes: dict[str, list[Process]] = {name: [] for name in commands}
    for _ in range(settings.times):
        for name, runs in processes.items():
            if not runs or runs[0].wall_s < LONG_S:
                timeout_s = None if name == OURS else PEER_TIMEOUT_S
                runs.append(run(commands[name], env=QUIET, timeout_s=timeout_s))
    return processes


def medians(processes: Sequence[Process], *, rows: int) -> dict[str, float]:
    """Return the median of each figure, measured by the process itself or from outside."""
    if not all(process.ok for process in processes):
        return dict.fromkeys(("s", "cpu_s", "peak_mb", "us_a_row"), nan)
    runs = [
        {"s": process.wall_s, "cpu_s": process.cpu_s, "peak_mb": process.rss_mb}
        | dict(process.figures)
        for process in processes
    ]
    result = {name: median(figures[name] for figures in runs) for name in runs[0]}
    return result | {"us_a_row": result["cpu_s"] / rows * 1e6 if rows else nan}


def figures_of(
    row: Row, figures_by_name: Mapping[str, Mapping[str, float]], *, rows: int, missing: set[str]
) -> Iterator[Figure]:
    """Yield the figures of a row; the first has the processor time and the peers beside it."""
    ours = figures_by_name[OURS]
    unit = next(iter(row.aims), "s")
    peers = [
        f"{name} failed, or took more than {PEER_TIMEOUT_S:.0f} s"
        if isnan(figures[unit])
        else f"{name} {rounded(figures[unit])} {UNITS[unit]} in {rounded(figures['peak_mb'])} MB"
        for name, figures in figures_by_name.items()
        if name != OURS
    ]
    absent = [f"{name} is not installed" for name in sorted(missing)]
    ours_text = f"{rounded(ours['cpu_s'])} cpu s in {rounded(ours['peak_mb'])} MB"
    name = row.what if row.rows is not None else f"{row.what}, {rows:,} {row.counted}"
    for index, figure in enumerate(row.aims or (unit,)):
        yield Figure(
            what=name, measured=ours.get(figure, nan), unit=UNITS[figure], aim=row.aims.get(figure),
            beside="; ".join((ours_text, *peers, *absent)) if index == 0 else "", obstacle=row.obstacle,
        )  # fmt: skip


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the common options."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--rows", type=int, default=MILLION, help="instead of a million")
    result.add_argument("--times", type=int, default=3, help="rounds, of which medians are taken")
    result.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    result.add_argument("--peers", type=Path, default=PEERS, help="the environment of the peers")
    return result


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings in the arguments."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return Settings(
        rows=arguments.rows,
        times=arguments.times,
        folder=arguments.folder.resolve(),
        peers=arguments.peers,
    )


def markdown(frame: pl.DataFrame) -> str:
    """Return a table as Markdown."""
    with pl.Config(tbl_formatting="MARKDOWN", tbl_hide_column_data_types=True, tbl_rows=-1,
                   tbl_hide_dataframe_shape=True, tbl_cols=-1, tbl_width_chars=2_000,
                   fmt_str_lengths=1_000):  # fmt: skip
        return str(frame)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--only", default="", help="a word in the names of rows")
    arguments = options.parse_args()
    rows = [row for row in ROWS if arguments.only in row.what]
    print(markdown(table(measured(settings_of(arguments), rows))))
