"""Tell rows that are wrong by exception from a plan that is wrong as a rule."""

from collections import Counter

from cio_frames.payloads.batches import Batch
from cio_frames.sending.retry_policy import Stop

SYSTEMIC = Stop(
    code="SYSTEMIC_REJECT",
    reason="Customer.io refuses these rows as a rule, not by exception. See the errors of the "
    "rejected rows, correct the plan and send it again.",
)
FORM_HELD = Stop(
    code="FORM_HELD",
    reason="The form refused its first submissions. Map its fields in Customer.io, then resume.",
)

_FIRST_BATCHES = 5
_REJECTED_SHARE = 0.2
_REJECTED_ROWS = 20  # fewer are no evidence against a plan
_FORM_REFUSALS = 3


class Guard:
    """Counts refusals among what a run sends first."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], int] = {}
        self._rejected = 0
        self._refusals: Counter[str] = Counter()
        self._working: set[str] = set()

    def plan(self, batch: Batch) -> None:
        """Count a batch among the first ones, by which the run is judged."""
        if batch.batched and len(self._first) < _FIRST_BATCHES:
            self._first[batch.segment, batch.number] = len(batch)

    def accepted(self, batch: Batch) -> None:
        """Learn that the path takes messages."""
        self._working.add(batch.path)

    def rejected(self, batch: Batch) -> Stop | None:
        """Learn that one message was refused.

        Returns:
            The reason to stop the run, if more than a fifth of the first batches is refused.
        """
        self._refusals[batch.path] += 1
        if (batch.segment, batch.number) not in self._first:
            return None
        self._rejected += 1
        limit = max(_REJECTED_ROWS - 1, _REJECTED_SHARE * sum(self._first.values()))
        return SYSTEMIC if self._rejected > limit else None

    def holds(self, batch: Batch) -> bool:
        """Tell whether a form is to be left alone: it refused its first submissions."""
        refused = self._refusals[batch.path] >= _FORM_REFUSALS
        return refused and not batch.batched and batch.path not in self._working
