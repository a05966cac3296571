"""The report of a reconciliation: how a workspace differs from what a run should have left there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from cio_frames.views.document import (
    Badge,
    Bullets,
    Document,
    Heading,
    Inline,
    Muted,
    Node,
    Paragraph,
    Quoted,
    Section,
    Table,
)
from cio_frames.views.render import Shown
from cio_frames.views.wording import many, number

Kind = Literal["not there", "other value", "written later", "not checkable"]
"""How a workspace differs from what a run should have left there."""

KINDS: Final[tuple[Kind, ...]] = ("not there", "other value", "written later", "not checkable")
DIFFERENCES: Final = pl.Schema({
    "kind": pl.String(), "what": pl.String(), "id": pl.String(), "email": pl.String(), "cio_id": pl.String(),
    "name": pl.String(), "expected": pl.String(), "actual": pl.String(),
    "written_at": pl.Datetime("us", "UTC"), "plan": pl.Int32(), "row": pl.Int64(), "note": pl.String(),
})  # fmt: skip
COMPARED: Final = pl.Schema({
    "what": pl.String(), "expected": pl.Int64(), "as_expected": pl.Int64(), "not_there": pl.Int64(),
    "other_value": pl.Int64(), "written_later": pl.Int64(), "not_checkable": pl.Int64(),
})  # fmt: skip
SHOWN: Final = 20
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSample:
    """The result of looking up a sample of events among the activities of their people.

    Attributes:
        checked: How many were looked up, drawn at random.
        of: How many there were to draw from: those of people that are not older than activities are kept.
        missing: How many of the checked ones are not there.
        at_most: How many of all are missing at most, with 95 % confidence.
        people: How many people were looked up.
        seed: The seed of the sample; with it the same events are drawn again.
    """

    checked: int
    of: int
    missing: int
    at_most: int
    people: int
    seed: int

    @property
    def sentence(self) -> str:
        """What the sample shows about all events, in a sentence."""
        verb = "is" if self.missing == 1 else "are"
        missing = f"{number(self.missing)} of {many(self.checked, 'event')} that were looked up {verb} missing"
        if self.checked == self.of:
            return f"{missing}. These are all that can be looked up."
        share = 100 * self.at_most / self.of
        return (
            f"{missing}: at most {share:.2g} % of the {many(self.of, 'event')} that can be looked up "
            f"({number(self.at_most)}) are missing, with {CONFIDENCE:.0%} confidence (seed {self.seed})."
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Reconciliation(Shown):
    """How a workspace differs from what a run should have left there.

    Attributes:
        run_id: The run.
        at: When it was compared.
        held: Where the people came from: a host, or "an export".
        compared: How many people, attributes, events, objects and relationships are expected, are as
            expected, or differ, by the way in which they differ.
        differences: One line for each difference: its `kind`, `what` differs, the identifiers of the
            person, the `name` of the attribute or event, the `expected` and the `actual` value, when the
            actual value was written if that is known, and the last row about that person.
        events: The result for a sample of the events; None if none can be looked up.
        notes: What else is worth knowing about the comparison, in sentences.
        label: What was sent.
    """

    run_id: str
    at: datetime
    held: str
    compared: pl.DataFrame
    differences: pl.DataFrame
    events: EventSample | None = None
    notes: tuple[str, ...] = ()
    label: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """The columns of `compared`, each summed over people, attributes, events and so on."""
        return {
            name: int(self.compared[name].sum()) for name in self.compared.columns if name != "what"
        }

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is missing or has another value, except what was written later or cannot be checked."""
        counts = self.counts
        return not (counts["not_there"] or counts["other_value"])

    def document(self) -> Document:
        """Return the report."""
        body: list[Node] = [Paragraph(self._lead(), "lead")]
        headers = ("what", *(name.replace("_", " ") for name in self.compared.columns[1:]))
        body.append(Table(headers, self.compared.rows(), right=set(range(1, len(headers)))))
        if self.events is not None:
            body.append(Paragraph(self.events.sentence))
        if self.notes:
            body.append(Bullets(self.notes))
        if self.differences.height:
            body.append(self._differing())
        about = (self.label, f"run {self.run_id}") if self.label else f"run {self.run_id}"
        return Document(Heading("Reconciliation", about, self._verdict()), body)

    _document = document

    def _lead(self) -> str:
        rows = {row["what"]: row for row in self.compared.iter_rows(named=True)}
        parts = [
            f"{number(rows[what]['as_expected'])} of {many(rows[what]['expected'] - rows[what]['not_checkable'], *words)}"
            for what, words in _WORDS.items()
            if what in rows
        ]
        if not parts:
            return f"Nothing of this run can be compared with {self.held}."
        return f"{self.held[:1].upper()}{self.held[1:]} holds {' and '.join(parts)} as expected."

    def _verdict(self) -> Badge:
        counts = self.counts
        serious = counts["not_there"] + counts["other_value"]
        if serious:
            return Badge(f"✕ {many(serious, 'difference')}", "bad")
        if counts["written_later"]:
            return Badge(f"! {number(counts['written_later'])} written later", "care")
        if not counts["as_expected"]:
            return Badge("! nothing was compared", "care")
        return Badge("✓ as expected", "good")

    def _differing(self) -> Node:
        shown = self.differences.head(SHOWN)
        is_complete = self.differences.height == shown.height
        title = "Differences" if is_complete else f"The first {shown.height} differences"
        headers = ("kind", "what", "who", "name", "expected", "actual", "plan, row")
        lines = [
            (
                row["kind"], row["what"], _quoted(row["id"] or row["email"] or row["cio_id"]),
                _quoted(row["name"]), _quoted(row["expected"]), _quoted(row["actual"]),
                "" if row["row"] is None else f"{row['plan']}, {row['row']}",
            )
            for row in shown.iter_rows(named=True)
        ]  # fmt: skip
        return Section(title, [Table(headers, lines, all_rows=".differences")])


_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "people": ("person", "people"),
    "attributes": ("attribute",),
}


def _quoted(value: str | None) -> Inline:
    return Muted("-") if value is None else Quoted(value)
