"""The texts of the checks, read from texts.toml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cio_frames.spec import EVENT_CALLS


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTexts:
    """The texts that reports show about a check.

    Attributes:
        sentence: What is wrong, about `{column}`.
        consequence: What would happen if the row were sent.
        event_consequence: The consequence for an event, if `consequence` is about people.
        hint: What to do next; it may name `{column}`.
        summary: The total of all findings: `{values}` different values in `{rows}`, or `{merged}`.
        repair: What the repair does, if there is one.
        no_repair_because: Why there is no repair, if there is none.
        example: An example of a finding, if it has more than the sentence.
    """

    sentence: str
    consequence: str
    hint: str
    event_consequence: str = ""
    summary: str = ""
    repair: str = ""
    no_repair_because: str = ""
    example: str = ""

    def consequence_for(self, call: str) -> str:
        """Return what would happen if a row were sent with this call."""
        return (self.event_consequence if call in EVENT_CALLS else "") or self.consequence


@cache
def read_texts() -> dict[str, Any]:
    """Read texts.toml, when a text is first shown, because parsing takes several milliseconds."""
    import tomllib

    path = Path(__file__).with_name("texts.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def check_texts() -> dict[str, CheckTexts]:
    """Return the texts of each check, by code; a missing or misspelt key raises TypeError."""
    subjects = {name: rows for name, rows in read_texts().items() if name != "docs"}
    return {
        f"{subject}.{problem}": CheckTexts(**texts)
        for subject, rows in subjects.items()
        for problem, texts in rows.items()
    }
