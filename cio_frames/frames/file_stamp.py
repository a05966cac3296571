"""Files as they were when they were scanned: what is sent is what was looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cio_frames.errors import InputFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """What tells that a file is as it was.

    Attributes:
        path: The file.
        bytes: Its size.
        written_ns: When it was last written, in nanoseconds.
    """

    path: str
    bytes: int
    written_ns: int

    @classmethod
    def of(cls, path: str) -> Self:
        """Return the stamp of a file as it is now."""
        told = Path(path).stat()
        return cls(path=path, bytes=told.st_size, written_ns=told.st_mtime_ns)

    def require_same(self) -> None:
        """Raise if the file was written to since: rows read now are not those that were checked.

        Raises:
            InputFileError: The file was changed.
        """
        if FileStamp.of(self.path) != self:
            raise InputFileError(
                self.path,
                problem="was changed after it was scanned",
                hint="Wait until it is written, and scan it again.",
            )
