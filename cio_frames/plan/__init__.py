"""Plans: what would be sent, and what can be done with it before and after."""

from cio_frames.plan.past_runs import resume
from cio_frames.plan.plan import Backfill, Plan, backfill
from cio_frames.plan.suggest import make, suggest

__all__ = ["Backfill", "Plan", "backfill", "make", "resume", "suggest"]
