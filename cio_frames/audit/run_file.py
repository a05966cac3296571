"""Where the files of a run are, and run.json: what the run is and what became of it.

audit/<run>/
├── run.json                     what the run is, its counts, its files with their hashes
├── profile.json                 what its tables were like, for the next run to be compared with
├── LOCK                         held by the process that writes
├── BALLAST                      given up when the disk is full, so that outcomes still fit
├── plan/seg-000000.parquet      while a segment is in flight
├── wal/seg-000000.wal           while a segment is in flight
├── wal/run.wal                  while the run goes on: which parts are complete
├── former_people.bin            with keep_undo: the people as they were before, encrypted
└── parts/audit-000000.parquet   the record itself, one row per input row

run.json is written whole each time and carries the hash of its own content, so that a changed
byte, or the file of another run, is noticed.
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
from cio_frames.audit.pseudonyms import Pii
from cio_frames.audit.schema import FORMAT, READABLE
from cio_frames.errors import AuditCorruptError, AuditError

NAME = "run.json"
State = Literal["running", "finished", "stopped", "crashed"]
_PACKAGES = ("cio_frames", "polars", "pyarrow")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What the sender knows of a run before it begins. Plain values only, and never a key.

    Attributes:
        run_id: Name of the run and of its directory; `new_run_id` makes one.
        created: When the run was made.
        region: "us", "eu" or "sandbox".
        endpoint: Host that is sent to.
        strict: Whether strict mode is on.
        workspaces: What tells the workspace from others, by surface; no key can be read from it.
        namespace: What the derived message ids are made for.
        id_algorithm: Version of the way message ids are derived.
        repeat: Whether rows are sent again that an earlier run delivered.
        limits: The limits in force, by name.
        mapping: Which column feeds which field, per plan.
        decisions: What the user chose: repairs, overrides, warnings they sent in spite of.
        fingerprint: Hash of the table or tables that are sent, if one was taken.
        rows: How many rows the plans have, if that is known.
        plans: Call and number of rows of each plan, so that rows that a stopped run never came
            to are recorded too.
        pii: "hmac" keeps keyed hashes of the identifiers, "ids" nothing, "full" the identifiers.
        former_people: SHA-256 of the encrypted file with the people as they were before, if there is one.
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
        info: The run as the sender described it.
        state: "running" until the recorder or a recovery says otherwise.
        versions: Versions of this package and of the libraries that decide the bytes.
        durability: What the record was safe against while it was written.
        key_name: Fingerprint of the key of pseudonyms and message ids.
        message_ids: Whether message ids and hashes of payloads are held keyed, or as they are.
        stopped: Code, reason and time of the stop, if there was one.
        resumed: When the run was taken up again.
        parts: The parts, by segment.
        counts: What the rows added up to when the run ended.
        notes: What else is worth knowing of the run, in sentences.
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


def installed() -> dict[str, str]:
    """Return the versions that a later reader may need to know."""
    return {name: _version(name) for name in _PACKAGES}


def write(disk: FileSystem, directory: Path, content: RunFile) -> None:
    """Replace run.json."""
    told = {name: getattr(content, name) for name in RunFile.__dataclass_fields__}
    info = {name: getattr(content.info, name) for name in RunInfo.__dataclass_fields__}
    info["created"] = content.info.created.astimezone(UTC).isoformat()
    parts = [msgspec.structs.asdict(part) for part in content.parts]
    body = {"format": FORMAT, **info, **told, "parts": parts}
    del body["info"]
    try:
        text = json.dumps({**body, "checksum": _checksum(body)}, indent=1, ensure_ascii=False)
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
        is_unchanged = body.pop("checksum") == _checksum(body)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise _corrupt(path, "missing, or not a run") from None
    if not is_unchanged:
        raise _corrupt(path, "changed after it was written")
    if body.pop("format") not in READABLE:
        raise _corrupt(path, "written by another version of cio_frames")
    if body["run_id"] != directory.name:
        raise _corrupt(path, f"of another run ({body['run_id']})")
    try:
        return _parsed(body)
    except (KeyError, TypeError, ValueError):
        raise _corrupt(path, "written by another version of cio_frames") from None


def _parsed(body: dict[str, Any]) -> RunFile:
    body["plans"] = tuple((call, rows) for call, rows in body["plans"])
    body["created"] = datetime.fromisoformat(body["created"])
    body.setdefault("repeat", False)  # records of former versions do not say so
    body.setdefault("former_people", "")
    described = {name: body.pop(name) for name in RunInfo.__dataclass_fields__}
    body["parts"] = tuple(Part(**part) for part in body["parts"])
    body["resumed"] = tuple(body["resumed"])
    body["notes"] = tuple(body.get("notes", ()))
    return RunFile(info=RunInfo(**described), **body)


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _corrupt(path: Path, problem: str) -> AuditCorruptError:
    return AuditCorruptError(str(path), problem=problem, hint="Restore it from a backup.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


RESERVE_BYTES = 1 << 20
_NUMBERED = re.compile(r"(?:seg|audit)-(\d{6,})\.(?:parquet|wal)")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one run's directory."""

    directory: Path

    @property
    def lock(self) -> Path:
        """The file whose lock says that somebody writes."""
        return self.directory / "LOCK"

    @property
    def profile(self) -> Path:
        """The file of what the tables were like."""
        return self.directory / "profile.json"

    @property
    def reserve(self) -> Path:
        """The file that is given up when the disk is full."""
        return self.directory / "BALLAST"

    @property
    def plans(self) -> Path:
        """The directory of the sealed plans."""
        return self.directory / "plan"

    @property
    def journals(self) -> Path:
        """The directory of the journals."""
        return self.directory / "wal"

    @property
    def parts(self) -> Path:
        """The directory of the record."""
        return self.directory / "parts"

    @property
    def run_journal(self) -> Path:
        """The journal of the run itself."""
        return self.journals / "run.wal"

    def plan(self, segment: int) -> Path:
        """Return the path of a sealed plan."""
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
    """Return the segment that a file name speaks of.

    Examples:
        >>> segment_of("seg-000012.wal"), segment_of("run.wal")
        (12, None)
    """
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else None
