"""What can be done with the plans of a run once it has ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_frames.plan.pipeline import Pipelines
from cio_frames.run import Job

if TYPE_CHECKING:  # loaded when it is asked for: most runs are not followed up
    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Does with plans what `run.FollowUp` asks of them."""

    pipelines: Pipelines
    backfill_of: Callable[[Pipelines], Any]

    def reconcile(self, directory: Path, held: Any, **options: Any) -> "Reconciliation":
        """Compare what a workspace holds with what the run of this directory has sent."""
        from cio_frames.plan.reconciler import reconcile

        return reconcile(self.pipelines, directory, held, **options)

    def undo(self, directory: Path, known: Any = None, **options: Any) -> "Undo[Any]":
        """Return what takes the workspace back to what it was before the run of this directory."""
        from cio_frames.plan.undo import undo

        return undo(self.pipelines, directory, known, backfill_of=self.backfill_of, **options)


def job_of(pipelines: Pipelines, *, backfill_of: Callable[[Pipelines], Any]) -> Job:
    """Return what a run is given to do, and what can be done afterwards."""
    return replace(pipelines.job(), follow_up=FollowUp(pipelines, backfill_of))
