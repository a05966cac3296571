"""What can be done with the plans of a run once it has ended."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_frames.plan.pipeline import Pipelines
from cio_frames.run import Job

if TYPE_CHECKING:  # loaded when it is asked for: most runs are not followed up
    from cio_frames.run.reconciliation import Reconciliation


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Does with plans what `run.FollowUp` asks of them."""

    pipelines: Pipelines

    def reconcile(self, directory: Path, held: Any, **options: Any) -> "Reconciliation":
        """Compare what a workspace holds with what the run of this directory has sent."""
        from cio_frames.plan.reconcile import reconcile

        return reconcile(self.pipelines, directory, held, **options)


def job_of(pipelines: Pipelines) -> Job:
    """Return what a run is given to do, and what can be done afterwards."""
    return replace(pipelines.job(), follow_up=FollowUp(pipelines))
