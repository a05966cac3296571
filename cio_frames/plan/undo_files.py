"""The tables of an undo as files that only their owner can read."""

import os
from collections.abc import Iterable
from pathlib import Path

from cio_frames.errors import SavedPlanError
from cio_frames.plan.undo_tables import UndoTable


def written(tables: Iterable[UndoTable], directory: Path) -> list[Path]:
    """Write tables as Parquet files, in the order in which they are sent; return their paths.

    Raises:
        SavedPlanError: They cannot be written, or the directory has files of another undo.
    """
    paths = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number, each in enumerate(tables):
            path = directory / f"{number:02d} {each.label}.parquet".replace(" ", "-")
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                each.frame.write_parquet(file)
            paths.append(path)
    except FileExistsError:
        raise SavedPlanError(
            str(directory), problem="it has the tables of another undo",
            hint="Choose another directory.",
        ) from None  # fmt: skip
    except OSError as error:
        raise SavedPlanError(
            str(directory), problem=f"tables cannot be written ({error.strerror})",
            hint="Choose another directory.",
        ) from None  # fmt: skip
    return paths
