"""Counting: how many rows are in each state, at every moment of a run."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from cio_frames.audit import STATES
from cio_frames.errors import AccountingError
from cio_frames.sending import Fact, Totals, add_fact


class RunCounts:
    """A listener that counts rows. Rows without a final state are pending.

    Examples:
        >>> RunCounts(rows=3).counts()["pending"]
        3
    """

    def __init__(self, *, rows: int, untouched: Mapping[str, int] = MappingProxyType({})) -> None:
        self._rows = rows
        self._untouched = untouched  # states of rows that the run does not touch
        self._totals = Totals()
        self._recorded: Mapping[str, int] = {}

    def __call__(self, fact: Fact) -> None:
        """Count a fact."""
        self._totals = add_fact(self._totals, fact)

    @property
    def stopped(self) -> tuple[str, str] | None:
        """Why the run ended early, as a code and a sentence; None if it did not."""
        totals = self._totals
        return (totals.stop_code, totals.stopped) if totals.stop_code else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is worth knowing about the run, in sentences."""
        return self._totals.notes

    def counts(self) -> dict[str, int]:
        """Return the rows in each state, and rows, requests, retries and bytes in all."""
        totals = self._totals
        counts = self._recorded or self._states(totals)
        states = {state: counts.get(state, 0) for state in STATES}
        states["pending"] = self._rows - sum(states.values()) + states["pending"]
        return {
            "rows": self._rows,
            **states,
            "requests": totals.requests,
            "retries": totals.retries,
            "bytes": totals.bytes,
        }

    def recorded(self, counts: Mapping[str, int]) -> None:
        """Use the states of the record, which has the rows that an earlier run left in doubt."""
        self._recorded = {state: counts.get(state, 0) for state in STATES}

    def require_balance(self, *, complete: bool) -> None:
        """Raise if a row has two states, or none after a run that was not stopped.

        Raises:
            AccountingError: The states do not add up.
        """
        states, planned = self._states(self._totals), self._totals.planned
        ended, missing = sum(states.values()), self._rows - sum(self._untouched.values())
        if ended > self._rows or (complete and (ended, planned) != (self._rows, missing)):
            raise AccountingError(self._rows, counts=states)

    def _states(self, totals: Totals) -> dict[str, int]:
        return dict(Counter(self._untouched) + Counter(totals.counts))
