"""The model at work on whole plans, and a record of what every row did."""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.events import Event
from cio_frames.identity.export import rows as export_rows
from cio_frames.identity.rules import RULES, Change, Rule
from cio_frames.identity.settings import Settings
from cio_frames.identity.tally import Tallies, Watch
from cio_frames.identity.ties import Ties
from cio_frames.identity.wire import Reader, reader
from cio_frames.identity.workspace import Model

EVENTS: Final = frozenset({"track", "page", "screen"})
UNTOLD: Final = frozenset({
    rules.EVENT, rules.EVENT_ANONYMOUS, rules.ATTRIBUTED, rules.TOO_OLD, rules.MERGE_OFF,
})  # fmt: skip
"""Rules that events tell of by themselves: they are kept as events, not as changes."""

CODES: Final[Mapping[Rule, int]] = {rule: code for code, rule in enumerate(RULES.values())}
CHANGES: Final = pl.Schema({
    "number": pl.Int64,
    "rule": pl.UInt8,
    "person": pl.String,
    "key": pl.String,
    "other": pl.String,
    "subject": pl.String,
})  # fmt: skip
FLUSHED: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Messages of one plan in the order in which they are sent.

    Attributes:
        plan: Position of the plan.
        call: Name of its call.
        rows: Row number of each message.
        texts: The JSON of each message.
        forms: The form of each message, for forms only.
    """

    plan: int
    call: str
    rows: Sequence[int]
    texts: Sequence[str]
    forms: Sequence[str] = ()


@dataclass(slots=True)
class _Columns:
    """Changes that are not in a frame yet."""

    number: list[int] = field(default_factory=list)
    rule: list[int] = field(default_factory=list)
    person: list[str | None] = field(default_factory=list)
    key: list[str | None] = field(default_factory=list)
    other: list[str | None] = field(default_factory=list)
    subject: list[str | None] = field(default_factory=list)

    def add(self, number: int, change: Change) -> None:
        self.number.append(number)
        self.rule.append(CODES[change.rule])
        self.person.append(change.person)
        self.key.append(change.key)
        self.other.append(change.other)
        self.subject.append(change.subject)

    def frame(self) -> pl.DataFrame:
        data = {name: getattr(self, name) for name in CHANGES}
        return pl.DataFrame(data, schema=CHANGES)


class Ledger:
    """What rows do to a workspace, message by message.

    Events of people who are there change nobody: they are counted, not applied, unless `whole`
    asks for that. The result is the same either way.

    Args:
        settings: How the workspace is set up.
        now: When everything is received.
        known: The people that are there before, as `export` gives them.
        whole: Whether every event is applied to the model.

    Attributes:
        model: The workspace after what was taken so far.
        given: The cio_ids that the export names; all others are made up.
        messages: How many messages were taken.
        ties: Which identifiers rows name together.
        tallies: The events that were counted only.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        now: datetime,
        known: pl.DataFrame | None = None,
        whole: bool = False,
    ) -> None:
        self.now = now
        self.model = Model(settings)
        self.ties = Ties()
        self.given: frozenset[str] = frozenset()
        self.messages = 0
        if known is not None:
            self.model.load(export_rows(known))
            self.given = frozenset(known["cio_id"].drop_nulls())
            self.ties.know(known)
        self.tallies = Tallies(settings=settings)
        self._whole = whole
        self._plans = array("i")
        self._rows = array("q")
        self._columns = _Columns()
        self._flushed: list[pl.DataFrame] = [CHANGES.to_frame()]

    def take(self, sheet: Sheet) -> None:
        """Apply the messages of a sheet."""
        self.messages += len(sheet.rows)
        messages = _messages(sheet)
        if sheet.call in EVENTS and not self._whole:
            self._take_events(sheet, messages)
            return
        listed = list(messages)
        self.ties.take(sheet.call, listed, first=len(self._rows))
        for row, message in zip(sheet.rows, listed, strict=True):
            self._apply(sheet.plan, row, message)

    def changes(self) -> pl.DataFrame:
        """Return what the messages did, one line per change, by plan and row."""
        self._flush()
        found = pl.concat(self._flushed)
        names = dict(enumerate(RULES))
        kinds = {code: rule.kind for code, rule in enumerate(RULES.values())}
        return found.join(self.places(), on="number", how="left", maintain_order="left").select(
            "number", "plan", "row",
            pl.col("rule").replace_strict(names, return_dtype=pl.String).alias("rule"),
            pl.col("rule").replace_strict(kinds, return_dtype=pl.String).alias("kind"),
            "person", "key", "other", "subject",
        ).sort("plan", "row", maintain_order=True)  # fmt: skip

    def places(self) -> pl.DataFrame:
        """Return plan and row of each message that was applied, by its number."""
        return pl.DataFrame(
            {"plan": pl.Series(self._plans, dtype=pl.Int32), "row": pl.Series(self._rows)},
            schema={"plan": pl.Int32, "row": pl.Int64},
        ).select(pl.int_range(pl.len(), dtype=pl.Int64).alias("number"), "plan", "row")

    def place(self, number: int) -> tuple[int, int]:
        """Return plan and row of a message."""
        return self._plans[number], self._rows[number]

    def events(self) -> list[Event]:
        """Return the events that were applied and are kept."""
        return [event for event in self.model.store.events if not event.lost]

    def campaign_events(self) -> int:
        """Return how many events are young enough to start campaigns (3.3, 3.8)."""
        applied = sum(event.can_trigger for event in self.events())
        people = self.model.store.people.by_cio
        return applied + sum(
            tally.young for person, _, tally in self.tallies.items() if person in people
        )

    def _apply(self, plan: int, row: int, message: Mapping[str, Any]) -> tuple[Change, ...]:
        number = len(self._rows)
        self._plans.append(plan)
        self._rows.append(row)
        changes = self.model.apply(message, received_at=self.now)
        for change in changes:
            if change.rule not in UNTOLD:
                self._columns.add(number, change)
                if change.rule is rules.MERGED or change.rule is rules.AUTO_MERGED:
                    self.tallies.merge(str(change.person), str(change.other))
        if len(self._columns.number) >= FLUSHED:
            self._flush()
        return changes

    def _take_events(self, sheet: Sheet, messages: Iterator[dict[str, Any]]) -> None:
        """Count the events of people who were met before, and apply the others."""
        watch = Watch(sheet.call, store=self.model.store, tallies=self.tallies, now=self.now)
        for row, message in zip(sheet.rows, messages, strict=True):
            if not watch.counts(message, row=row):
                changes = self._apply(sheet.plan, row, message)
                watch.learn(message, changes, plan=sheet.plan)

    def _flush(self) -> None:
        self._flushed.append(self._columns.frame())
        self._columns = _Columns()


def _messages(sheet: Sheet) -> Iterator[dict[str, Any]]:
    read = reader(sheet.call)
    if sheet.call == "form":
        for form_id, text in zip(sheet.forms, sheet.texts, strict=True):
            yield {**_read(read, text), "type": "form", "formId": form_id}
        return
    for text in sheet.texts:
        yield _read(read, text)


def _read(read: Reader, text: str) -> dict[str, Any]:
    try:
        return read(text)
    except msgspec.DecodeError:  # a value of another type than the API takes, or a huge number
        return dict(json.loads(text))
