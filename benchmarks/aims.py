"""What is aimed at before a send and at its start, with what came out, beside the peers.

`python -m benchmarks.aims [--only WORD] [--rows ROWS] [--times TIMES]` measures the rows of the table
below, or those with a word in their names. Aims are those for a million rows.
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

from benchmarks.identity import loners, table_file
from benchmarks.inputs import events_file, lines_file
from benchmarks.measure import Process, run, sink
from benchmarks.works import objects_file

MILLION = 1_000_000
LONG_S = 60.0
"""What takes longer is measured once."""

PATIENCE_S = 120.0
"""A peer that takes longer is stopped."""

PEERS = Path("build") / "env" / "peers"
"""The environment of the peers, as `make bench` builds it."""

OURS = "cio_frames"
Command = Sequence[str | Path]
UNITS = {"s": "s", "us_a_row": "us a row", "peak_mb": "MB", "passes": "passes", "growth": "x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Something that is waited for.

    Attributes:
        what: Its name.
        work: What is run: one of `benchmarks.works`, or of `benchmarks.contenders` if it sends.
        share: Its rows, as a multiple of those that are asked for.
        rows: Its rows, if they are always as many.
        counted: What its rows are called.
        aims: The most that is aimed at, by figure.
        peers: Those who do comparable work.
        sends: Whether it sends to a sink.
        in_the_way: What stands in the way, if an aim is missed.
    """

    what: str
    work: str
    share: float = 1
    rows: int | None = None
    counted: str = "rows"
    aims: Mapping[str, float]
    peers: Sequence[str] = ()
    sends: bool = False
    in_the_way: str = ""

    def of(self, asked: int) -> int:
        """Return how many rows it has."""
        return round(self.share * asked) if self.rows is None else self.rows


VALIDATORS = ("pandera", "pointblank", "great_expectations", "mixpanel-import")
SENDERS = ("sdk", "handwritten", "csv-to-json-alone")
ROWS = (
    Row(what="report of events", work="report", aims={"s": 1.0}, peers=VALIDATORS,
        in_the_way="checks of the whole table take 1.2 cpu s, sizes and counts 0.9, checks of rows 0.4"),
    Row(what="report of events that all warn", work="report_of_warnings", share=5, aims={"peak_mb": 500},
        in_the_way="findings take 35 MB a million, and twice that while they are put in order; the engine alone 200 MB"),
    Row(what="report of 1,000 events, the second of a process", work="second_report", rows=1_000, aims={"s": 0.1}),
    Row(what="report of 50 rows of 2,000 columns", work="wide_report", rows=50, aims={"s": 5}),
    Row(what="identity preview of as many people as events", work="identity", aims={"s": 5, "peak_mb": 800},
        in_the_way="reading, checking and writing the messages takes 70 %"),
    Row(what="identity preview of ten times as many", work="identity", share=10,
        aims={"s": 60, "peak_mb": 4_000, "growth": 1.2},
        in_the_way="keys of everybody are sorted in memory; nothing is kept on disk"),
    Row(what="its connected components alone", work="components", aims={}, peers=("splink", "recordlinkage")),
    Row(what="rehearsal of events", work="rehearsal_of_events", aims={"s": 30, "peak_mb": 2_000}),
    Row(what="rehearsal of people", work="rehearsal_of_people", aims={"s": 60, "peak_mb": 2_000}),
    Row(what="payloads(5), all valid", work="payloads", share=5, aims={"s": 1}),
    Row(what="payloads(5), all rejected but one", work="payloads_of_one", share=5, aims={"passes": 1}),
    Row(what="estimate() after the report", work="estimate", aims={"s": 0.2}),
    Row(what="pandas column of 200,000 dictionaries with lists", work="objects", rows=200_000, aims={"us_a_row": 2},
        peers=("json.dumps", "orjson")),
    Row(what="import, beyond that of polars", work="start", rows=0, aims={"s": 0.05}),
    Row(what="first send of 1,000 rows, by a script, from start to end", work="ours", rows=1_000, sends=True,
        aims={"s": 0.6}, peers=SENDERS, in_the_way="polars, numpy, pyarrow and httpx2 take 0.33 s, the end of the interpreter 0.1"),
    Row(what="first send of 1,000 rows, by the command line, from start to end", work="ours-command", rows=1_000, sends=True,
        aims={"s": 0.6}, in_the_way="polars, numpy, pyarrow, httpx2 and cyclopts take 0.4 s"),
    Row(what="first request of a later run", work="earlier_runs", share=0.001, counted="earlier runs", aims={"s": 1}),
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
"""What each peer works on."""

QUIET = {"GX_ANALYTICS_ENABLED": "false"}
"""great_expectations would tell its makers of each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure beside its aim.

    Attributes:
        what: What was measured.
        measured: The figure.
        unit: What it counts.
        aim: What was aimed at, if anything.
        is_floor: Whether more is better.
        beside: What else was measured in the same rounds.
        in_the_way: What stands in the way, if the aim is missed.
    """

    what: str
    measured: float
    unit: str
    aim: float | None = None
    is_floor: bool = False
    beside: str = ""
    in_the_way: str = ""

    @property
    def verdict(self) -> str:
        """Whether the aim is met, and if not, what stands in the way."""
        if self.aim is None:
            return ""
        is_met = self.measured >= self.aim if self.is_floor else self.measured <= self.aim
        return "yes" if is_met else f"no: {self.in_the_way}".removesuffix(": ")


def table(figures: Sequence[Figure]) -> pl.DataFrame:
    """Return the figures as a table."""
    return pl.DataFrame(
        {
            "figure": [each.what for each in figures],
            "aim": ["" if each.aim is None else f"{each.aim:,g} {each.unit}" for each in figures],
            "measured": [f"{rounded(each.measured)} {each.unit}" for each in figures],
            "met": [each.verdict for each in figures],
            "beside it": [each.beside for each in figures],
        }
    )


def rounded(number: float) -> str:
    """Return a number with three digits that count."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to measure with: so many rows, so often, with tables and peers in these folders."""

    rows: int
    times: int
    folder: Path
    peers: Path

    def command(self, name: str, rows: int) -> Command | None:
        """Return what runs a peer; None where it is not installed."""
        is_node = name == "mixpanel-import"
        program = shutil.which("node") if is_node else shutil.which(self.peers / "bin" / "python")
        where = self.peers / "node_modules" / name
        if program is None or (is_node and not where.exists()):
            return None
        path = TABLES[name](self.folder, rows)
        here = Path(__file__).parent
        if is_node:
            return [program, here / "mixpanel_dry_run.js", where.parent.resolve(), path]
        return [program, here / "peers.py", name, path]


def measured(asked: Asked, rows: Sequence[Row] = ROWS) -> list[Figure]:
    """Measure rows of the table and return their figures."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for row in rows:
        count = row.of(asked.rows)
        print(f"  {row.what}, {count:,} rows", file=sys.stderr)
        with commands(row, asked) as found:
            taken = {
                name: medians(each, rows=count) for name, each in in_turn(found, asked).items()
            }
        per_row = taken[OURS]["us_a_row"]
        taken[OURS]["growth"] = per_row / first.setdefault(row.work, per_row) if per_row else nan
        figures += of_row(row, taken, rows=count, missing=set(row.peers) - found.keys())
    return figures


@contextmanager
def commands(row: Row, asked: Asked) -> Iterator[Mapping[str, Command]]:
    """Give the commands of this package and of the peers there are."""
    rows = row.of(asked.rows)
    if not row.sends:
        ours: Command = [
            sys.executable,
            "-m",
            "benchmarks.works",
            row.work,
            str(rows),
            asked.folder,
        ]
        named = {peer: asked.command(peer, rows) for peer in row.peers}
        yield {OURS: ours} | {peer: each for peer, each in named.items() if each is not None}
        return
    with sink() as url, TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        loners(rows).rename({"id": "user_id"}).write_csv(path)
        names = {OURS: row.work} | {peer: peer for peer in row.peers}
        module: Command = [sys.executable, "-m", "benchmarks.contenders"]
        yield {name: [*module, contender, path, url] for name, contender in names.items()}


def in_turn(commands: Mapping[str, Command], asked: Asked) -> Mapping[str, Sequence[Process]]:
    """Run the commands in turn, so that all meet the same weather; the very first reads libraries from disk."""
    found: dict[str, list[Process]] = {name: [] for name in commands}
    for _ in range(asked.times):
        for name, each in found.items():
            if not each or each[0].wall_s < LONG_S:
                most_s = None if name == OURS else PATIENCE_S
                each.append(run(commands[name], env=QUIET, most_s=most_s))
    return found


def medians(each: Sequence[Process], *, rows: int) -> dict[str, float]:
    """Return the median of each figure; what a process did not say of itself is that of the whole."""
    if not all(process.ok for process in each):
        return dict.fromkeys(("s", "cpu_s", "peak_mb", "us_a_row"), nan)
    whole = [{"s": p.wall_s, "cpu_s": p.cpu_s, "peak_mb": p.rss_mb} | dict(p.said) for p in each]
    found = {name: median(figures[name] for figures in whole) for name in whole[0]}
    return found | {"us_a_row": found["cpu_s"] / rows * 1e6 if rows else nan}


def of_row(
    row: Row, taken: Mapping[str, Mapping[str, float]], *, rows: int, missing: set[str]
) -> Iterator[Figure]:
    """Yield the figures of a row; the first has the processor time and the peers beside it."""
    ours = taken[OURS]
    unit = next(iter(row.aims), "s")
    peers = [
        f"{name} failed, or took more than {PATIENCE_S:.0f} s"
        if isnan(each[unit])
        else f"{name} {rounded(each[unit])} {UNITS[unit]} in {rounded(each['peak_mb'])} MB"
        for name, each in taken.items()
        if name != OURS
    ]
    absent = [f"{name} is not installed" for name in sorted(missing)]
    worked = f"{rounded(ours['cpu_s'])} cpu s in {rounded(ours['peak_mb'])} MB"
    name = row.what if row.rows is not None else f"{row.what}, {rows:,} {row.counted}"
    for place, figure in enumerate(row.aims or (unit,)):
        yield Figure(
            what=name, measured=ours.get(figure, nan), unit=UNITS[figure], aim=row.aims.get(figure),
            beside="; ".join((worked, *peers, *absent)) if place == 0 else "", in_the_way=row.in_the_way,
        )  # fmt: skip


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return what reads how much to measure."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rows", type=int, default=MILLION, help="instead of a million")
    made.add_argument("--times", type=int, default=3, help="rounds, of which medians are taken")
    made.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    made.add_argument("--peers", type=Path, default=PEERS, help="the environment of the peers")
    return made


def asked_of(arguments: argparse.Namespace) -> Asked:
    """Return what the arguments ask for."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return Asked(
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
    reads = parser(__doc__)
    reads.add_argument("--only", default="", help="a word in the names of rows")
    arguments = reads.parse_args()
    chosen = [row for row in ROWS if arguments.only in row.what]
    print(markdown(table(measured(asked_of(arguments), chosen))))
