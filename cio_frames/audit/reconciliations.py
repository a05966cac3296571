"""What was found when a workspace was compared with a run, kept beside the record of the run.

audit/<run>/reconciled/
├── 20261121T093000000000Z.json      what was compared, with the hash of the other file and of itself
└── 20261121T093000000000Z.parquet   the differences, one line each

Identifiers are held as in the record of the run, and values with `pii="full"` only.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, write_atomic
from cio_frames.audit.object_store import opened
from cio_frames.audit.parquet import digest
from cio_frames.audit.run_file import RunFile
from cio_frames.errors import AuditError

FOLDER: Final = "reconciled"
IDENTIFIERS: Final = ("id", "email", "cio_id")
_VALUES: Final = ("expected", "actual")
_STEM: Final = "%Y%m%dT%H%M%S%fZ"
_COUNTS: Final = (
    "expected", "as_expected", "not_there", "other_value", "written_later", "not_checkable",
)  # fmt: skip
_EVENTS: Final = ("checked", "of", "missing", "at_most", "people", "seed")
TOLD: Final = pl.Schema({
    "run_id": pl.String(), "at": pl.Datetime("us", "UTC"), "held": pl.String(),
    **dict.fromkeys(_COUNTS, pl.Int64()), **{f"events_{name}": pl.Int64() for name in _EVENTS},
    "file": pl.String(),
})  # fmt: skip


def write(
    directory: Path | str, *, at: datetime, found: Mapping[str, Any], differences: pl.DataFrame
) -> Path:
    """Keep what was found, and return where the differences are.

    Args:
        directory: The directory of the run.
        at: When it was compared.
        found: Plain values without identifiers: held, compared, events, notes.
        differences: What was found, with the columns `id`, `email`, `cio_id`, `expected` and `actual`.

    Raises:
        AuditError: It cannot be written.
    """
    disk, where = opened(directory)
    run = run_file.read(disk, where)
    data = io.BytesIO()
    _as_recorded(differences, run, where=where).write_parquet(data)
    folder, stem = where / FOLDER, at.astimezone(UTC).strftime(_STEM)
    path = folder / f"{stem}.parquet"
    body = {
        "run_id": run.info.run_id,
        "at": at.astimezone(UTC).isoformat(),
        **found,
        "sha256": digest(data.getvalue()),
    }
    text = json.dumps({**body, "checksum": _checksum(body)}, indent=1, ensure_ascii=False)
    try:
        disk.make(folder)
        write_atomic(disk, path, data.getvalue())
        write_atomic(disk, path.with_suffix(".json"), text.encode() + b"\n")
    except OSError as error:
        raise AuditError(
            f"The reconciliation could not be kept in {folder}: {error.strerror or error}. Free up "
            "disk space, or make the directory writable."
        ) from None
    return path


def reconciliations(disk: FileSystem, directory: Path) -> pl.DataFrame:
    """Return what was found of a run each time, with the columns of `TOLD`.

    Raises:
        AuditError: A file is damaged.
    """
    lines = []
    for path in _kept(disk, directory):
        body = _body(disk, path)
        each = body["compared"]
        events = body["events"] or {}
        lines.append({
            "run_id": body["run_id"],
            "at": datetime.fromisoformat(body["at"]),
            "held": body["held"],
            **{name: sum(row[name] for row in each) for name in _COUNTS},
            **{f"events_{name}": events.get(name) for name in _EVENTS},
            "file": str(path.with_suffix(".parquet")),
        })  # fmt: skip
    return pl.DataFrame(lines, schema=TOLD, orient="row")


def problems(disk: FileSystem, directory: Path) -> Iterator[tuple[str, str]]:
    """Yield each file of reconciliations that is not whole, and what is wrong with it."""
    for path in _kept(disk, directory):
        try:
            body = _body(disk, path)
        except AuditError as error:
            yield f"{FOLDER}/{path.name}", str(error)
            continue
        other = path.with_suffix(".parquet")
        try:
            is_whole = digest(disk.read(other)) == body["sha256"]
        except OSError:
            yield f"{FOLDER}/{other.name}", "missing or not readable"
            continue
        if not is_whole:
            yield f"{FOLDER}/{other.name}", "changed after it was written"


def _kept(disk: FileSystem, directory: Path) -> list[Path]:
    folder = directory / FOLDER
    if FOLDER not in disk.listdir(directory):
        return []
    return [folder / name for name in sorted(disk.listdir(folder)) if name.endswith(".json")]


def _body(disk: FileSystem, path: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(disk.read(path))
        is_whole = body.pop("checksum") == _checksum(body)
    except (OSError, ValueError, KeyError, AttributeError):
        is_whole = False
    if not is_whole:
        raise AuditError(
            f"{path} was changed after it was written. Remove it, and reconcile again."
        )
    return body


def _as_recorded(differences: pl.DataFrame, run: RunFile, *, where: Path) -> pl.DataFrame:
    """Return differences as the record of their run holds identifiers and values."""
    pii, key = run.info.pii, None
    if pii == "full":
        return differences
    if pii == "hmac":
        try:
            key = pseudonyms.key_named(run.key_name, where=where)
        except AuditError:  # made on another machine: nobody here can be found in it
            pii = "ids"
    return differences.with_columns(
        *(
            pseudonyms.pseudonyms(differences[name], pii=pii, key=key).alias(name)
            for name in IDENTIFIERS
        ),
        *(pl.lit(None, pl.String).alias(name) for name in _VALUES),
    )


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
