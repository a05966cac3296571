"""`demo`: the main job on the sample data, against an embedded workspace."""

from pathlib import Path
from cio_frames.cli.exits import Exit
def demo(*, data: Path|None=None, audit: Path=Path("audit/demo")) -> Exit:
    """Demo."""
    return Exit.OK
