"""What became of a file beside what should: its table, its report, its proposals."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

import cio_frames as cio
from cio_frames.errors import InputFileError
from cio_frames.frames import read
from tests.corpus.export import Columns, Export, Grid

TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A file as it was judged.

    Attributes:
        export: The file.
        cells: How many cells were compared.
        differing: Where a cell, or the table, is not what it should be.
        refused: Why a file, or a plan, that is good was refused; "" if it was not.
        false: Findings that are not true, or warn of nothing: code and columns.
        noise: Findings that are true and of no use to an analyst.
        missed: Findings that there should be.
        groups: How many findings the report shows.
        lines: How many lines the report has above the mapping.
        wrong: Proposals that are wrong, and right ones that are not made.
        right: How many proposals are right, none where none is possible counted too.
        is_warned: Whether the report says more than what is good to know.
    """

    export: Export
    cells: int = 0
    differing: tuple[str, ...] = ()
    refused: str = ""
    false: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    groups: int = 0
    lines: int = 0
    wrong: tuple[str, ...] = ()
    right: int = 0
    is_warned: bool = True


def judge(export: Export) -> Judged:
    """Read a file as an analyst does, and compare what comes of it with what should."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, export.file)
        path.write_bytes(export.content)
        try:
            frame = cio.scan(path, **export.options)
        except InputFileError as error:
            return _refused(export, str(error))
        if export.grid is None:
            return Judged(export=export, differing=("was read, and should be refused",))
        return _judged(export, frame)


def _refused(export: Export, problem: str) -> Judged:
    if export.grid is not None:
        return Judged(export=export, refused=problem)
    is_expected = re.search(export.refused, problem)
    return Judged(export=export, missed=() if is_expected else (f"refused with: {problem}",))


def _judged(export: Export, frame: pl.LazyFrame) -> Judged:
    assert export.grid is not None
    differing, cells = differences(read(frame).lazy.collect(), export.grid)
    if differing:
        return Judged(export=export, differing=tuple(differing), cells=cells)
    plan = getattr(frame.cio, export.call)(**export.asked)
    findings = _findings(plan)
    noise = {pair for pair in findings if _is_noise(*pair, grid=export.grid)}
    wanted = {(code, column) for code, columns in export.expected.items() for column in columns}
    false, missed = findings - noise - wanted, wanted - findings
    shown, false_by_code = _report(plan), _by_code(false)
    refusing = {finding["code"] for finding in plan.refusals()} - set(export.expected)
    rejected = plan.counts["rejected"]
    if rejected != export.rejected:
        missed |= {(f"{rejected} rows left out instead of {export.rejected}", "")}
    wrong = tuple(_wrong(export, frame))
    return Judged(
        export=export, cells=cells, refused=", ".join(sorted(refusing)), false=false_by_code, noise=_by_code(noise),
        missed=_by_code(missed), groups=len(shown), lines=_lines(plan), wrong=wrong, right=_judged_proposals(export) - len(wrong),
        is_warned=not set(plan.findings["severity"]) <= {"info"},
    )  # fmt: skip


def _findings(plan: cio.Plan) -> set[tuple[str, str]]:
    pairs = plan.findings.select("code", pl.col("column").fill_null("")).unique()
    return set(pairs.rows())


def _report(plan: cio.Plan) -> list[str]:
    """Return the codes of the findings as the report shows them: one for many columns."""
    findings = plan.findings.select("code", "severity", "column").unique(maintain_order=True)
    columns = Counter((code, severity) for code, severity, _ in findings.rows())
    return [code for (code, severity), count in columns.items() for _ in range(count if count <= 3 or severity == "refuse" else 1)]  # fmt: skip


def _lines(plan: cio.Plan) -> int:
    """Return how many lines of the report come before the mapping and the messages."""
    return repr(plan).partition("\nMapping:")[0].count("\n") + 1


def _is_noise(code: str, column: str, *, grid: Grid) -> bool:
    """Return whether a finding is true and of no use: that a column is read, empty, or constant."""
    if code in (
        "file.text-columns",
        "column.placeholders",
    ):  # value.placeholder reports the second
        return True
    if code not in ("column.empty", "column.constant") or column not in grid.names:
        return False
    values = {row[grid.names.index(column)] for row in grid.rows}
    return values == {""} if code == "column.empty" else len(values) == 1 and values != {""}


def _by_code(pairs: set[tuple[str, str]]) -> tuple[str, ...]:
    """Return the pairs as texts, the columns of a code in one, as the report has them."""
    columns: dict[str, list[str]] = {}
    for code, column in sorted(pairs):
        columns.setdefault(code, []).append(column)
    return tuple(f"{code}: {', '.join(each)}" if any(each) else code for code, each in columns.items())  # fmt: skip


def differences(table: pl.DataFrame, grid: Grid) -> tuple[list[str], int]:
    """Return where a table is not the one of the file, and how many cells were compared."""
    if table.columns != grid.names:
        return [f"columns {table.columns} instead of {grid.names}"], 0
    if table.height != len(grid.rows):
        return [f"{table.height} rows instead of {len(grid.rows)}"], 0
    differing = [
        f"row {place}, {name}: {got!r} instead of {row[at]!r}"
        for place, (values, row) in enumerate(zip(table.rows(), grid.rows, strict=True))
        for at, (name, got) in enumerate(zip(grid.names, values, strict=True))
        if not _same(got, row[at])
    ]
    return differing, table.height * table.width


def _same(value: object, cell: str) -> bool:
    if value is None:
        return not cell
    if isinstance(value, bool):
        return TRUTHS.get(cell.lower()) is value
    if isinstance(value, int):
        return int(cell) == value
    if isinstance(value, float):
        return float(cell) == value
    return value == cell


def _judged_proposals(export: Export) -> int:
    """Return how many proposals are judged: the time only of events."""
    return 2 if export.call == "track" else 1


def _wrong(export: Export, frame: pl.LazyFrame) -> Iterator[str]:
    proposed = dict(cio.suggest(frame, export.call).select("argument", "column").rows())
    who = [proposed[name] for name in ("user_id", "anonymous_id") if name in proposed]
    yield from _wrong_proposals("person", who, export.person)
    when = [proposed["timestamp"]] if "timestamp" in proposed and export.call == "track" else []
    yield from _wrong_proposals("time", when, export.time)


def _wrong_proposals(what: str, got: list[str], right: Columns) -> Iterator[str]:
    if not got and right:
        yield f"{what}: none instead of {' or '.join(right)}"
    elif any(column not in right for column in got):
        yield f"{what}: {', '.join(got)} instead of {' or '.join(right) or 'none'}"
