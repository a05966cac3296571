"""One sending of a plan, and what became of every row."""

from cio_frames.run.choice import Choice
from cio_frames.run.counts import Tally
from cio_frames.run.doubt import InDoubt
from cio_frames.run.history import Audit, read
from cio_frames.run.job import Job
from cio_frames.run.run import Run
from cio_frames.run.start import begin, choose, take_up

__all__ = [
    "Audit",
    "Choice",
    "InDoubt",
    "Job",
    "Run",
    "Tally",
    "begin",
    "choose",
    "read",
    "take_up",
]
