"""Sending: client, retry policy, rate limit, lanes, and the scheduler that emits facts."""

from cio_frames.sending.background import EXITED, BackgroundLoop
from cio_frames.sending.blocking import BLOCKING_CALLS, BlockingRow
from cio_frames.sending.client import Client
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    Fact,
    RunFinished,
    RunStarted,
    RunStopped,
    SegmentPlanned,
    StateRepeated,
    StateSentAgain,
    Totals,
    add_fact,
)
from cio_frames.sending.run_controls import PaceControl, StopSignal
from cio_frames.sending.scheduler import FAILURE, INTERRUPTED, send

__all__ = [
    "BLOCKING_CALLS",
    "EXITED",
    "FAILURE",
    "INTERRUPTED",
    "BackgroundLoop",
    "BatchAttempted",
    "BatchFinished",
    "BatchRetried",
    "BlockingRow",
    "Client",
    "Fact",
    "PaceControl",
    "RunFinished",
    "RunStarted",
    "RunStopped",
    "SegmentPlanned",
    "StateRepeated",
    "StateSentAgain",
    "StopSignal",
    "Totals",
    "add_fact",
    "send",
]
