"""What would be sent."""

from cio_frames.plan.plan import Backfill, Plan, backfill, reconcile, resume
from cio_frames.plan.suggest import make, suggest

__all__ = ["Backfill", "Plan", "backfill", "make", "reconcile", "resume", "suggest"]
