"""What would be sent."""

from cio_frames.plan.plan import Backfill, Plan, backfill, resume
from cio_frames.plan.suggest import make, suggest

__all__ = ["Backfill", "Plan", "backfill", "make", "resume", "suggest"]
