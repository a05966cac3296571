"""Where the files of a run are.

audit/<run>/
├── run.json                     what the run is, its counts, its files with their hashes
├── LOCK                         held by the process that writes
├── BALLAST                      given up when the disk is full, so that outcomes still fit
├── plan/seg-000000.parquet      while a segment is under way
├── wal/seg-000000.wal           while a segment is under way
├── wal/run.wal                  while the run is under way: which parts are complete
└── parts/audit-000000.parquet   the record itself, one row per input row
"""

import re
from dataclasses import dataclass
from pathlib import Path

BALLAST_BYTES = 1 << 20
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
    def ballast(self) -> Path:
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
