"""What a run is given to do: rows from one or several plans, and how to plan them."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cio_frames.frames import Table
from cio_frames.payloads import Segment
from cio_frames.run.choice import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is given to do.

    Attributes:
        calls: The calls, in the order of the plans.
        tables: The rows, one table per plan.
        rows: Rows of each table.
        fingerprints: What tells each table from another one, for the record.
        segments: Makes the segments of the rows that are chosen, in the order of sending.
        mapping: Which column feeds which field, per plan, as plain values for the record.
        decisions: What the user chose: repairs, allowances, changed severities.
        limits: The limits in force, by name.
        namespace: What the message ids are made for.
    """

    calls: tuple[str, ...]
    tables: tuple[Table, ...]
    rows: tuple[int, ...]
    fingerprints: tuple[str, ...]
    segments: Callable[[Choice], Generator[Segment]]
    mapping: Mapping[str, Any] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = ""

    @property
    def label(self) -> str:
        """What the run is called in displays."""
        return " + ".join(dict.fromkeys(self.calls))
