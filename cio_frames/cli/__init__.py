"""The command line: parse, call the library, print."""

from cio_frames.cli.app import main

__all__ = ["main"]
