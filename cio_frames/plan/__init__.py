"""What would be sent."""

from cio_frames.plan.backfill import Backfill, backfill
from cio_frames.plan.plan import Plan
from cio_frames.plan.sendable import resume
from cio_frames.plan.suggest import make, suggest

__all__ = ["Backfill", "Plan", "backfill", "make", "resume", "suggest"]
