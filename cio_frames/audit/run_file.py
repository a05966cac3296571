"""The files of a run's directory, and run.json: what the run is, and its outcome.

audit/<run>/
├── run.json                     what the run is, its counts, its files with their hashes
├── profile.json                 profiles of its tables, with which the next run is compared
├── LOCK                         locked by the process that writes
├── RESERVE                      removed when the disk is full, so that outcomes still fit
├── plan/seg-000000.parquet      while a segment is in flight
├── wal/seg-000000.wal           while a segment is in flight
├── wal/run.wal                  while the run is running: which parts are complete
├── former_people.bin            with keep_undo: the people as they were before, encrypted
└── parts/audit-000000.parquet   the record itself, one row per input row

run.json is replaced as a whole and contains the hash of its own content, so that a changed byte, or
the file of another run, is detected.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import msgspec

from cio_frames.audit.file_system import Durability, FileSystem, write_atomic
from cio_frames.audit.journal import Part
from cio_frames.audit.pseudonyms import Pii, fingerprint
from cio_frames.audit.schema import FORMAT, READABLE
from cio_frames.errors import AuditCorruptError, AuditError

NAME = "run.json"
State = Literal["running", "finished", "stopped", "crashed"]
_PACKAGES = ("cio_frames", "polars", "pyarrow")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The description of a run before it begins. Only values that JSON has, and never a key.

    Attributes:
        run_id: Name of the run and of its directory; `new_run_id` makes one.
        created: When the run was made.
        region: "us", "eu" or "sandbox".
        endpoint: The host.
        strict: Whether strict mode is on.
        workspaces: Identifiers of the workspace, by API; no key can be derived from them.
        namespace: The namespace of the derived message ids.
        id_algorithm: Version of the algorithm that derives message ids.
        repeat: Whether rows that an earlier run delivered are sent again.
        limits: The limits, by name.
        mapping: Which column feeds which field, per plan.
        decisions: The choices of the user: repairs, overrides, allowed findings.
        fingerprint: Hashes of the tables, if computed.
        rows: How many rows the plans have, if that is known.
        plans: Call and number of rows of each plan, so that rows that a stopped run never planned
            are recorded too.
        pii: "hmac" keeps keyed hashes of the identifiers, "ids" nothing, "full" the identifiers.
        former_people: SHA-256 of the encrypted file with the people as they were before, if any.
    """

    run_id: str
    created: datetime
    region: str
    endpoint: str
    strict: bool
    workspaces: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    id_algorithm: str = ""
    repeat: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    mapping: Mapping[str, Any] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    rows: int | None = None
    plans: tuple[tuple[str, int], ...] = ()
    pii: Pii = "hmac"
    former_people: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """The content of run.json.

    Attributes:
        info: The description of the run.
        state: "running" until the writer or a recovery changes it.
        versions: Versions of this package and of the libraries that affect the bytes.
        durability: What the record was safe against while it was written.
        key_name: Fingerprint of the key of pseudonyms and message ids.
        message_ids: Whether message ids and hashes of payloads are keyed, or stored as they are.
        stopped: Code, reason and time of the stop, if there was one.
        resumed: When the run was resumed.
        parts: The parts, by segment.
        counts: The totals at the end of the run.
        notes: Further notes about the run, in sentences.
        profile: The hash of profile.json; None if the run has none.
    """

    info: RunInfo
    state: State
    durability: Durability
    versions: Mapping[str, str]
    key_name: str | None = None
    message_ids: Literal["plain", "keyed"] = "plain"
    stopped: Mapping[str, str] | None = None
    resumed: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    profile: str | None = None


def new_run_id(at: datetime, *, token: str | None = None) -> str:
    """Return a name that sorts by time.

    Examples:
        >>> new_run_id(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), token="k3f9q2")
        '20261121T093000000Z-k3f9q2'
    """
    moment = at.astimezone(UTC)
    end = token or "".join(secrets.choice(_ALPHABET) for _ in range(6))
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z-{end}"


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that write the record."""
    return {name: _version(name) for name in _PACKAGES}


def new_run_file(
    info: RunInfo,
    *,
    durability: Durability,
    key: str | None,
    notes: tuple[str, ...],
    profile: str | None = None,
) -> RunFile:
    """Return the content of run.json for a run that begins."""
    return RunFile(
        info=info,
        state="running",
        durability=durability,
        versions=installed_versions(),
        key_name=fingerprint(key) if key else None,
        message_ids="keyed" if key else "plain",
        notes=notes,
        profile=profile,
    )


def write(disk: FileSystem, directory: Path, content: RunFile) -> None:
    """Replace run.json."""
    values = {name: getattr(content, name) for name in RunFile.__dataclass_fields__}
    info = {name: getattr(content.info, name) for name in RunInfo.__dataclass_fields__}
    info["created"] = content.info.created.astimezone(UTC).isoformat()
    parts = [msgspec.structs.asdict(part) for part in content.parts]
    body = {"format": FORMAT, **info, **values, "parts": parts}
    del body["info"]
    try:
        text = json.dumps({**body, "checksum": checksum(body)}, indent=1, ensure_ascii=False)
    except TypeError as error:
        raise AuditError(
            f"The description of a run can contain plain values only ({error}). "
            "Pass text, numbers, lists and dictionaries in RunInfo."
        ) from None
    write_atomic(disk, directory / NAME, text.encode() + b"\n")


def read(disk: FileSystem, directory: Path) -> RunFile:
    """Return the content of run.json.

    Raises:
        AuditCorruptError: If it is missing, changed, of another format, or of another run.
    """
    path = directory / NAME
    try:
        body = json.loads(disk.read(path))
        is_unchanged = body.pop("checksum") == checksum(body)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise corrupt(path, "missing, or not a run") from None
    if not is_unchanged:
        raise corrupt(path, "changed after it was written")
    if body.pop("format") not in READABLE:
        raise corrupt(path, "written by another version of cio_frames")
    if body["run_id"] != directory.name:
        raise corrupt(path, f"of another run ({body['run_id']})")
    try:
        return _parsed(body)
    except (KeyError, TypeError, ValueError):
        raise corrupt(path, "written by another version of cio_frames") from None


def _parsed(body: dict[str, Any]) -> RunFile:
    body["plans"] = tuple((call, rows) for call, rows in body["plans"])
    body["created"] = datetime.fromisoformat(body["created"])
    body.setdefault("repeat", False)  # missing in records of earlier versions
    body.setdefault("former_people", "")
    info = {name: body.pop(name) for name in RunInfo.__dataclass_fields__}
    body["parts"] = tuple(Part(**part) for part in body["parts"])
    body["resumed"] = tuple(body["resumed"])
    body["notes"] = tuple(body.get("notes", ()))
    return RunFile(info=RunInfo(**info), **body)


def checksum(body: Mapping[str, Any]) -> str:
    """Return the hash of a JSON object, which its file contains."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def corrupt(path: Path, problem: str) -> AuditCorruptError:
    """Return the error for a file that cannot be used."""
    return AuditCorruptError(str(path), problem=problem, hint="Restore it from a backup.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


RESERVE_BYTES = 1 << 20
_NUMBERED = re.compile(r"(?:seg|audit)-(\d{6,})\.(?:parquet|wal)")


class Layout:
    """The paths of one run's directory.

    Attributes:
        directory: The directory.
        lock: The file that the writing process locks.
        profile: The profiles of the tables.
        reserve: The file that is removed when the disk is full.
        reserves: The reserve file, by its name and by the one that earlier versions gave it.
        plans: The directory of the plans.
        journals: The directory of the journals.
        run_journal: The journal of the run itself.
        parts: The directory of the parts.
    """

    def __init__(self, directory: Path) -> None:
        self.directory: Path = directory
        self.lock: Path = directory / "LOCK"
        self.profile: Path = directory / "profile.json"
        self.reserve: Path = directory / "RESERVE"
        self.reserves: tuple[Path, ...] = (self.reserve, directory / "BALLAST")
        self.plans: Path = directory / "plan"
        self.journals: Path = directory / "wal"
        self.run_journal: Path = self.journals / "run.wal"
        self.parts: Path = directory / "parts"

    def plan(self, segment: int) -> Path:
        """Return the path of a segment's plan."""
        return self.plans / f"seg-{segment:06d}.parquet"

    def journal(self, segment: int) -> Path:
        """Return the path of a segment's journal."""
        return self.journals / f"seg-{segment:06d}.wal"

    def part(self, segment: int) -> Path:
        """Return the path of a segment's part.

        Examples:
            >>> Layout(Path("run")).part(7).name
            'audit-000007.parquet'
        """
        return self.parts / f"audit-{segment:06d}.parquet"


def segment_of(name: str) -> int | None:
    """Return the segment in a file name.

    Examples:
        >>> segment_of("seg-000012.wal"), segment_of("run.wal")
        (12, None)
    """
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else None
