"""Blocked people: after a rejected identify or alias, nothing later about that person is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from cio_frames.payloads.batches import Batch

BLOCKED = "BLOCKED_BY_ROW"

BLOCKING_CALLS = frozenset({"identify", "alias"})
"""Calls that say who a person is. Messages after a rejected one could reach the wrong person, or
create a second one; a rejected event or group does not affect later messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingRow:
    """A rejected row that blocks later rows of the same person."""

    plan: int
    row: int
    call: str

    @property
    def reason(self) -> str:
        """Why rows are blocked, and what to do, in sentences."""
        return (
            f"Row {self.row} of plan {self.plan} ({self.call}) about the same person was refused. "
            "Correct that row and send again with the same audit directory; only what is missing "
            "is sent."
        )


class BlockedPeople:
    """The people whose messages are not sent, each by the number of its component.

    Examples:
        >>> blocked = BlockedPeople()
        >>> blocked.block(BlockingRow(plan=0, row=3, call="identify"), person=77)
        True
        >>> blocked.block(BlockingRow(plan=0, row=4, call="track"), person=78)
        False
    """

    def __init__(self, blocking_rows: Mapping[int, BlockingRow] = MappingProxyType({})) -> None:
        self._rows_by_person = dict(blocking_rows)

    def __bool__(self) -> bool:
        return bool(self._rows_by_person)

    def block(self, blocking_row: BlockingRow, *, person: int | None) -> bool:
        """Record that a row was rejected, and return whether that blocks anything."""
        if person is None or blocking_row.call not in BLOCKING_CALLS:
            return False
        self._rows_by_person.setdefault(person, blocking_row)
        return True

    def blocked_parts(
        self, batch: Batch, *, people: Sequence[int | None]
    ) -> Iterator[tuple[int, int, BlockingRow]]:
        """Yield the blocked parts of a batch, each with the row that blocks it."""
        rows = zip(batch.rows.to_list(), people, strict=True)
        blocking_rows = [self._blocking_row(batch.plan, row, person) for row, person in rows]
        start = 0
        for blocking_row, group in groupby(blocking_rows):
            stop = start + len(list(group))
            if blocking_row is not None:
                yield start, stop, blocking_row
            start = stop

    def _blocking_row(self, plan: int, row: int, person: int | None) -> BlockingRow | None:
        blocking_row = None if person is None else self._rows_by_person.get(person)
        if blocking_row is None or (plan, row) <= (blocking_row.plan, blocking_row.row):
            return None
        return blocking_row
