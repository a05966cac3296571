"""Where the record of a run is kept that many machines write: a path, or an address."""

from pathlib import Path

from cio_frames.audit.file_system import Durability, FileSystem, LocalFileSystem, located


def opened(address: Path | str, *, durability: Durability = "power") -> tuple[FileSystem, Path]:
    """Return what reads and writes at an address, and the path that it knows the address by."""
    return LocalFileSystem(durability), located(address)
