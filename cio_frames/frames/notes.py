"""What the door did to a table, so that nothing is converted in silence."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warn", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One conversion made at the door, or one reason why rows cannot be sent.

    `rows` is filled for severity "reject" only: the value of `column` is null in those rows, so
    whoever checks the table must leave them out.
    """

    code: str
    message: str
    severity: Severity = "info"
    column: str | None = None
    count: int = 0
    rows: tuple[int, ...] = ()
