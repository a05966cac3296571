"""Connected messages applied to the model, and the changes that each of them makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.known_people import export_rows
from cio_frames.identity.messages import message_of
from cio_frames.identity.model import Model
from cio_frames.identity.rules import RULES, Change, Rule
from cio_frames.identity.settings import Settings
from cio_frames.identity.state import Event

KEPT_AS_EVENTS: Final = frozenset({
    rules.EVENT, rules.EVENT_ANONYMOUS, rules.ATTRIBUTED, rules.TOO_OLD, rules.MERGE_OFF,
})  # fmt: skip
"""Rules whose changes are recorded as events only."""

NAMELESS: Final = "a person without ID and e-mail address"
CODES: Final[Mapping[Rule, int]] = {rule: code for code, rule in enumerate(RULES.values())}
CHANGES: Final = pl.Schema({
    "number": pl.Int64(), "plan": pl.Int32(), "row": pl.Int64(), "rule": pl.Enum(list(RULES)),
    "kind": pl.Enum(sorted({rule.kind for rule in RULES.values()})),
    "person": pl.String(), "key": pl.String(), "other": pl.String(), "subject": pl.String(),
    "open": pl.String(),
})  # fmt: skip


@dataclass(slots=True)
class _Columns:
    """Changes as lists; `number` is the message number in the model."""

    number: list[int] = field(default_factory=list)
    rule: list[int] = field(default_factory=list)
    person: list[str | None] = field(default_factory=list)
    key: list[str | None] = field(default_factory=list)
    other: list[str | None] = field(default_factory=list)
    subject: list[str | None] = field(default_factory=list)
    open: list[str | None] = field(default_factory=list)

    def add(self, number: int, change: Change) -> None:
        self.number.append(number)
        self.rule.append(CODES[change.rule])
        self.person.append(change.person)
        self.key.append(change.key)
        self.other.append(change.other)
        self.subject.append(change.subject)
        self.open.append(change.rests_on if change.open else change.rule.open)


class Replay:
    """Messages applied to a model one after the other, and their changes."""

    def __init__(
        self, *, settings: Settings, now: datetime, workspace_people: pl.DataFrame | None = None
    ) -> None:
        self._now = now
        self.model: Model = Model(settings)
        # The cio_ids of the export; the model makes up all others.
        self.exported_cio_ids: frozenset[str] = frozenset()
        if workspace_people is not None:
            self.model.load(export_rows(workspace_people))
            self.exported_cio_ids = frozenset(workspace_people["cio_id"].drop_nulls())
        self._messages = pl.DataFrame()
        self._places: list[tuple[int, int, int]] = []
        self._columns = _Columns()

    def apply(self, messages: pl.DataFrame, *, calls: Sequence[str]) -> None:
        """Apply messages in order; one may represent several (`times`), up to the `last` row."""
        last = pl.coalesce("last", "row") if "last" in messages.columns else pl.col("row")
        self._messages = messages.select("number", "plan", "row", last.alias("last"))
        self._places = self._messages.drop("number").rows()
        for number, row in enumerate(messages.iter_rows(named=True)):
            content = message_of(row, call=calls[row["plan"]])
            times = row.get("times") or 1
            for change in self.model.apply(content, received_at=self._now, times=times):
                if change.rule not in KEPT_AS_EVENTS:
                    self._columns.add(number, change)

    def attributes(self, kind: IdentifierKind, value: str) -> Mapping[str, Any] | None:
        """Return the attributes of the person who has an identifier in the end, if there is one."""
        person = self.model.store.people.find(kind, value)
        return None if person is None else person.attributes

    def place(self, number: int) -> tuple[int, int]:
        """Return plan and row of a message, by its number in the model."""
        return self._places[number][:2]

    def extent(self, number: int) -> tuple[int, int, int]:
        """Return plan, first and last row of the messages that one represents."""
        return self._places[number]

    def events(self) -> list[Event]:
        """Return the events that are not lost."""
        return [event for event in self.model.store.events if not event.lost]

    def campaign_events(self) -> int:
        """Return how many events are young enough to start campaigns (3.3, 3.8)."""
        return sum(event.times for event in self.events() if event.can_trigger)

    def changes(self) -> pl.DataFrame:
        """Return the changes, one row each."""
        columns = self._columns
        texts = ("person", "key", "other", "subject", "open")
        frame = self._messages.drop("last")[columns.number].with_columns(
            pl.Series("rule", columns.rule, dtype=pl.Int64),
            *(pl.Series(name, getattr(columns, name), dtype=pl.String) for name in texts),
        )
        names = dict(enumerate(RULES))
        kinds = {code: rule.kind for code, rule in enumerate(RULES.values())}
        rule, kind = CHANGES["rule"], CHANGES["kind"]
        return frame.with_columns(
            pl.col("rule").replace_strict(kinds, return_dtype=kind).alias("kind"),
            pl.col("rule").replace_strict(names, return_dtype=rule),
            pl.when(self._is_made_up()).then(pl.lit(NAMELESS)).otherwise("key").alias("key"),
        ).select(CHANGES.names())

    def _is_made_up(self) -> pl.Expr:
        """Return a boolean expression: True where the key is a cio_id that the model made up."""
        exported = pl.Series(sorted(self.exported_cio_ids), dtype=pl.String)
        is_cio_id = pl.col("key") == pl.concat_str(pl.lit("cio_"), "person")
        return is_cio_id & ~pl.col("person").is_in(exported.implode())
