"""What would be sent."""

from cio_frames.plan.making import make, suggest
from cio_frames.plan.plan import Plan

__all__ = ["Plan", "make", "suggest"]
