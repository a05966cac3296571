"""Who is held back: after a refused identify or alias, nothing later of that person is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from cio_frames.payloads.batches import Batch

BLOCKED = "BLOCKED_BY_ROW"

BLOCKING_CALLS = frozenset({"identify", "alias"})
"""Calls that say who somebody is. What comes after a refused one could reach the wrong person, or
make a second one; a refused event or group changes nothing for what comes after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingRow:
    """A refused row that holds back what comes after it."""

    plan: int
    row: int
    call: str

    @property
    def reason(self) -> str:
        """Why, and what to do."""
        return (
            f"Row {self.row} of plan {self.plan} ({self.call}) about the same person was refused. "
            "Correct that row and send again with the same audit directory; only what is missing "
            "is sent."
        )


class BlockedPeople:
    """Knows the people whose messages are held back, each by the number of its component.

    Examples:
        >>> hold = BlockedPeople()
        >>> hold.refused(BlockingRow(plan=0, row=3, call="identify"), person=77)
        True
        >>> hold.refused(BlockingRow(plan=0, row=4, call="track"), person=78)
        False
    """

    def __init__(self, refusals: Mapping[int, BlockingRow] = MappingProxyType({})) -> None:
        self._refusals = dict(refusals)

    def __bool__(self) -> bool:
        return bool(self._refusals)

    def refused(self, refusal: BlockingRow, *, person: int | None) -> bool:
        """Learn that a row was refused. Returns whether that holds anything back."""
        if person is None or refusal.call not in BLOCKING_CALLS:
            return False
        self._refusals.setdefault(person, refusal)
        return True

    def spans(
        self, batch: Batch, *, people: Sequence[int | None]
    ) -> Iterator[tuple[int, int, BlockingRow]]:
        """Yield the parts of a batch that are held back, and the row that does it."""
        rows = zip(batch.rows.to_list(), people, strict=True)
        found = [self._of(batch.plan, row, person) for row, person in rows]
        start = 0
        for refusal, run in groupby(found):
            stop = start + len(list(run))
            if refusal is not None:
                yield start, stop, refusal
            start = stop

    def _of(self, plan: int, row: int, person: int | None) -> BlockingRow | None:
        refusal = None if person is None else self._refusals.get(person)
        if refusal is None or (plan, row) <= (refusal.plan, refusal.row):
            return None
        return refusal
