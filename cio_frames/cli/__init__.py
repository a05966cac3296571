"""The command line: parse, call the library, print."""

import atexit
import gc
from collections.abc import Sequence

__all__ = ["main"]

_NEW_OBJECTS = 50_000
"""A command is loaded with fewer, so that they are not looked through while it is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after `cio-frames`; those of this process if not given, which is then the
            program's own: garbage is looked for less often, and not in what ends with it.

    Returns:
        The exit code, one of `cio_frames.cli.exit_codes.Exit`.
    """
    if argv is None:
        gc.set_threshold(_NEW_OBJECTS)
        atexit.register(gc.freeze)
    from cio_frames.cli import app

    return app.main(argv)
