"""profile.json: the profiles of the tables of a run, without any of their values."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl

from cio_frames.audit import run_file
from cio_frames.audit.file_system import FileSystem
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.open_segments import read_unchanged
from cio_frames.audit.run_file import Layout, RunFile, corrupt
from cio_frames.checks import TableProfile
from cio_frames.checks.comparison import EarlierTable
from cio_frames.checks.profile import FORMAT, ProfileFile
from cio_frames.sending.events import ARRIVED

MOST_RUNS = 200
"""How many of the latest runs are searched for the same import."""


def tables_of(disk: FileSystem, directory: Path, run: RunFile) -> tuple[TableProfile, ...]:
    """Return the profiles of a run; empty if it has none.

    Raises:
        AuditCorruptError: The file is missing, changed, or of another run or version.
    """
    if run.profile is None:
        return ()
    path = Layout(directory).profile
    data = read_unchanged(disk, path, sha256=run.profile)
    try:
        profile_file = msgspec.json.decode(data, type=ProfileFile)
    except msgspec.DecodeError:
        raise corrupt(path, "written by another version of cio_frames") from None
    if profile_file.format > FORMAT or profile_file.run_id != run.info.run_id:
        raise corrupt(path, "of another run, or written by another version of cio_frames")
    return profile_file.tables


def earlier_tables(
    directory: Path | str, *, workspaces: Mapping[str, str] | None = None
) -> Iterator[EarlierTable]:
    """Yield the tables of earlier runs that delivered something, the latest first.

    The directory, of one run or of all runs, need not exist. Without `workspaces`, runs to any count.

    Raises:
        AuditCorruptError: A file is changed.
    """
    disk, parent = file_system_at(directory)
    names = disk.listdir(parent)
    paths = [parent] if run_file.NAME in names else [parent / name for name in reversed(names)]
    for path in islice((path for path in paths if _has_profile(disk, path)), MOST_RUNS):
        run = run_file.read(disk, path)
        is_here = workspaces is None or workspaces.items() & run.info.workspaces.items()
        if is_here and any(run.counts.get(state) for state in ARRIVED):
            for table in reversed(tables_of(disk, path, run)):
                yield EarlierTable(
                    run_id=run.info.run_id,
                    created=run.info.created,
                    workspaces=run.info.workspaces,
                    profile=table,
                )


def _has_profile(disk: FileSystem, path: Path) -> bool:
    """Return whether a directory has a run with a profile, which is written before run.json."""
    try:
        return {Layout(path).profile.name, run_file.NAME} <= {*disk.listdir(path)}
    except NotADirectoryError:
        return False


PROFILE_SCHEMA = pl.Schema(
    {
        "run_id": pl.String(), "created": pl.Datetime("ms", "UTC"), "plan": pl.Int64(), "call": pl.String(),
        "rows": pl.Int64(), "field": pl.String(), "column": pl.String(), "type": pl.String(),
        "filled": pl.Int64(), "sampled": pl.Int64(), "distinct": pl.Int64(), "least": pl.String(),
        "most": pl.String(), "magnitude": pl.Float64(), "shortest": pl.Int64(), "longest": pl.Int64(),
        "length": pl.Float64(), "forms": pl.List(pl.Struct({"form": pl.String(), "share": pl.Float64()})),
    }
)  # fmt: skip
"""The columns of `Audit.profiles`."""


def profile_rows(run: RunFile, tables: Sequence[TableProfile]) -> Iterator[dict[str, object]]:
    """Yield a row for each column of the tables of a run."""
    for table in tables:
        for column in table.columns:
            values = msgspec.structs.asdict(column)
            ends = {
                end: None if values[end] is None else str(values[end]) for end in ("least", "most")
            }
            forms = [{"form": form, "share": share} for form, share in column.forms.items()]
            about = {"run_id": run.info.run_id, "created": run.info.created, "plan": table.plan}
            of_table = {"call": table.call, "rows": table.rows}
            yield {**about, **of_table, **values, **ends, "forms": forms}
