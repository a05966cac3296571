"""One sending of a plan, and what became of every row."""

from cio_frames.run.job import Job
from cio_frames.run.run import Run
from cio_frames.run.tally import Tally

__all__ = ["Job", "Run", "Tally"]
