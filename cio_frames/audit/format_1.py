"""Journals of format 1, whose lines were not yet the facts of the run."""

from datetime import UTC, datetime
from typing import Any

_KINDS = {
    "H": "Opened",
    "A": "BatchAttempted",
    "R": "BatchRetried",
    "O": "BatchFinished",
    "C": "Part",
    "S": "RunStopped",
}
_NOT_KEPT = {"attempt": 0, "attempts": 0, "after_s": 0.0, "elapsed_s": 0.0}


def upgraded(line: dict[str, Any]) -> dict[str, Any] | None:
    """Return a line as a journal holds it today; None for a split, which changes no row.

    Examples:
        >>> upgraded({"k": "C", "segment": 3})["k"]
        'Part'
    """
    if line["k"] == "B":
        return None
    now = {**_NOT_KEPT, **line, "k": _KINDS[line["k"]]}
    if "batch" in line:
        now["batch"] = [line["batch"], line.get("start", 0), line.get("size", -1)]
    if "at" in line:
        now["at"] = datetime.fromtimestamp(line["at"] / 1000, UTC)
    return now
