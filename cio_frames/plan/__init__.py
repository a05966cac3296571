"""What would be sent."""

from cio_frames.plan.backfill import Backfill, backfill
from cio_frames.plan.making import make, suggest
from cio_frames.plan.plan import Plan
from cio_frames.plan.sendable import resume

__all__ = ["Backfill", "Plan", "backfill", "make", "resume", "suggest"]
