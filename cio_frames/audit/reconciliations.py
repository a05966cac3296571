"""The results of comparing a workspace with a run, stored beside the record of the run.

audit/<run>/reconciled/
├── 20261121T093000000000Z.json      the result, with the hash of the other file and of itself
└── 20261121T093000000000Z.parquet   the differences, one row each

Identifiers are stored as in the record of the run, values only with `pii="full"`.
"""

import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import FileSystem, write_atomic
from cio_frames.audit.object_store import file_system_at
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
SCHEMA: Final = pl.Schema({
    "run_id": pl.String(), "at": pl.Datetime("us", "UTC"), "held": pl.String(),
    **dict.fromkeys(_COUNTS, pl.Int64()), **{f"events_{name}": pl.Int64() for name in _EVENTS},
    "file": pl.String(),
})  # fmt: skip


def write(
    directory: Path | str, *, at: datetime, results: Mapping[str, Any], differences: pl.DataFrame
) -> Path:
    """Store the results of a comparison, and return the path of the differences.

    Args:
        directory: The directory of the run.
        at: When it was compared.
        results: JSON values without identifiers: held, compared, events, notes.
        differences: The differences, with the columns `id`, `email`, `cio_id`, `expected` and `actual`.

    Raises:
        AuditError: It cannot be written.
    """
    disk, run_directory = file_system_at(directory)
    run = run_file.read(disk, run_directory)
    data = io.BytesIO()
    _pseudonymised(differences, run, run_directory=run_directory).write_parquet(data)
    folder, stem = run_directory / FOLDER, at.astimezone(UTC).strftime(_STEM)
    path = folder / f"{stem}.parquet"
    body = {
        "run_id": run.info.run_id,
        "at": at.astimezone(UTC).isoformat(),
        **results,
        "sha256": digest(data.getvalue()),
    }
    text = json.dumps({**body, "checksum": run_file.checksum(body)}, indent=1, ensure_ascii=False)
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
    """Return the results of all comparisons of a run, with the columns of `SCHEMA`.

    Raises:
        AuditError: A file is damaged.
    """
    rows = []
    for path in _result_files(disk, directory):
        body = _body(disk, path)
        compared = body["compared"]
        events = body["events"] or {}
        rows.append({
            "run_id": body["run_id"],
            "at": datetime.fromisoformat(body["at"]),
            "held": body["held"],
            **{name: sum(row[name] for row in compared) for name in _COUNTS},
            **{f"events_{name}": events.get(name) for name in _EVENTS},
            "file": str(path.with_suffix(".parquet")),
        })  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def problems(disk: FileSystem, directory: Path) -> Iterator[tuple[str, str]]:
    """Yield each damaged file of reconciliations, and its problem."""
    for path in _result_files(disk, directory):
        try:
            body = _body(disk, path)
        except AuditError as error:
            yield f"{FOLDER}/{path.name}", str(error)
            continue
        differences_file = path.with_suffix(".parquet")
        try:
            is_unchanged = digest(disk.read(differences_file)) == body["sha256"]
        except OSError:
            yield f"{FOLDER}/{differences_file.name}", "missing or not readable"
            continue
        if not is_unchanged:
            yield f"{FOLDER}/{differences_file.name}", "changed after it was written"


def _result_files(disk: FileSystem, directory: Path) -> list[Path]:
    folder = directory / FOLDER
    if FOLDER not in disk.listdir(directory):
        return []
    return [folder / name for name in sorted(disk.listdir(folder)) if name.endswith(".json")]


def _body(disk: FileSystem, path: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(disk.read(path))
        is_unchanged = body.pop("checksum") == run_file.checksum(body)
    except (OSError, ValueError, KeyError, AttributeError):
        is_unchanged = False
    if not is_unchanged:
        raise AuditError(
            f"{path} was changed after it was written. Remove it, and reconcile again."
        )
    return body


def _pseudonymised(differences: pl.DataFrame, run: RunFile, *, run_directory: Path) -> pl.DataFrame:
    """Return differences with identifiers and values as in the record of their run."""
    pii, key = run.info.pii, None
    if pii == "full":
        return differences
    if pii == "hmac":
        try:
            key = pseudonyms.require_key(run.key_name, where=run_directory)
        except AuditError:  # made on another machine, with another key
            pii = "ids"
    return differences.with_columns(
        *(
            pseudonyms.pseudonyms(differences[name], pii=pii, key=key).alias(name)
            for name in IDENTIFIERS
        ),
        *(pl.lit(None, pl.String).alias(name) for name in _VALUES),
    )
