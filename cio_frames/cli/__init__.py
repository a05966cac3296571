"""The command line: parse, call the library, print."""

import atexit
import gc
from collections.abc import Sequence

__all__ = ["main"]

_NEW_OBJECTS = 50_000
"""Loading a command creates fewer objects, so that garbage is not collected meanwhile."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after `cio-frames`. If not given, those of this process; garbage is then
            collected less often, and not at exit.

    Returns:
        The exit code, one of `cio_frames.cli.exit_codes.Exit`.
    """
    if argv is None:
        gc.set_threshold(_NEW_OBJECTS)
        atexit.register(gc.freeze)
    from cio_frames.cli import app

    return app.main(argv)
