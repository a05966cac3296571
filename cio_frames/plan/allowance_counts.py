"""Counts of what needs an allowance: starting campaigns, ending opt-outs, deleting or merging people."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

import polars as pl

from cio_frames.checks import CATALOGUE, RowTest, Scope, is_semantic_event
from cio_frames.frames import ROW
from cio_frames.mapping import MessageMapping
from cio_frames.mapping.identifiers import filled, text_of
from cio_frames.spec import LIMITS, SEMANTIC_EVENTS
from cio_frames.values import few_texts

TRIGGERING: Final = ("track", "page", "screen", "form")
DELETING: Final = tuple(name for name, event in SEMANTIC_EVENTS.items() if event.destructive)
_TRIGGER: Final = {"track": "event", "page": "name", "screen": "name", "form": "form_id"}
"""The argument that `Checks(triggers=...)` names, by call."""

SUMS: Final = ("undated", "named", "opt_outs", "deletions", "merges", "by_address")
RECENT: Final = pl.Schema({"minute": pl.Int64(), "is_named": pl.Boolean(), "rows": pl.Int64()})
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignEvents:
    """Events that can start campaigns. Each counts once, as the first kind that applies."""

    recent: int  # less than 72 hours old, or in the future
    undated: int  # without a time, so they count as happening now
    named: int  # named by `Checks(triggers=...)`

    @property
    def total(self) -> int:
        """All of them."""
        return self.recent + self.undated + self.named


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceCounts:
    """Rows that need an allowance; of recent events per minute, since they may be old when they are sent."""

    undated: int = 0
    named: int = 0  # those neither recent nor undated
    opt_outs: int = 0
    deletions: int = 0
    merges: int = 0  # rows of alias
    by_address: int = 0  # rows that can name their person by an e-mail address alone
    recent: pl.DataFrame = field(default_factory=RECENT.to_frame)  # no minute for the future

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Self:
        """Return the counts of rows, as `allowance_rows` returns them."""
        sums: dict[str, Any] = {
            name: int(rows[name].sum()) for name in SUMS if name in rows.columns
        }
        if "recent" not in rows.columns:
            return cls(**sums)
        recent = rows.filter("recent").select("minute", "is_named", rows=pl.lit(1, pl.Int64))
        return cls(**sums, recent=_summed([recent]))

    @classmethod
    def joined(cls, parts: Iterable["AllowanceCounts"]) -> Self:
        """Return the sums over the parts of a table, or over several tables."""
        counts = list(parts)
        sums = {name: sum(getattr(part, name) for part in counts) for name in SUMS}
        return cls(**sums, recent=_summed(part.recent for part in counts))

    def campaigns(self, now: datetime) -> CampaignEvents:
        """Return the events that can start campaigns if they are sent now."""
        recent, named, first = 0, self.named, _first_minute(now)
        for minute, is_named, rows in self.recent.iter_rows():
            is_recent = minute is None or minute >= first
            recent += rows if is_recent else 0
            named += rows if is_named and not is_recent else 0
        return CampaignEvents(recent=recent, undated=self.undated, named=named)


def _summed(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    joined = pl.concat([RECENT.to_frame(), *parts])
    if joined.is_empty():
        return joined
    return joined.group_by("minute", "is_named").agg(pl.col("rows").sum())


def _first_minute(now: datetime) -> int:
    """Return the first minute whose events are recent."""
    return int(now.timestamp()) // 60 - LIMITS["trigger_hours"].value * 60


def allowance_rows(prepared: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Return the columns that `AllowanceCounts` counts, for each prepared row."""
    mapping, call = scope.mapping, scope.mapping.call.name
    is_address = _is_by_address(mapping).fill_null(value=False)
    columns: list[pl.Expr | str] = [is_address.alias("by_address")]
    if call == "alias":
        columns.append(pl.col(ROW).is_not_null().alias("merges"))
    if opt_outs := opt_out_tests(scope):
        columns.append(pl.any_horizontal(opt_outs).fill_null(value=False).alias("opt_outs"))
    if call in TRIGGERING:
        columns += ["deletions", *_campaign_columns(scope)]
        prepared = prepared.with_columns(_acting(prepared, scope))
    return prepared.select(ROW, *columns).drop(ROW)


def opt_out_tests(scope: Scope) -> list[pl.Expr]:
    """Return expressions, one of which is true if a row can end an opt-out, whichever checks apply."""
    return [
        predicate.fails
        for check in CATALOGUE
        if check.effect == "resubscribes" and isinstance(check.test, RowTest)
        for predicate in check.test.predicates(scope)
    ]


def _acting(prepared: pl.DataFrame, scope: Scope) -> list[pl.Expr]:
    """Return expressions: whether an event acts instead of being recorded, and whether it deletes.

    Such events are rare, so the different names are checked first.
    """
    event, is_acting = scope.mapping.find("event"), is_semantic_event(scope)
    names = None if event is None else few_texts(prepared[event.name])
    is_certain = names is not None and not names.to_frame().select(is_acting.any()).item()
    if event is None or is_certain:
        return [pl.lit(value=False).alias("acts"), pl.lit(value=False).alias("deletions")]
    name = scope.text(event).str.strip_chars()
    return [
        is_acting.alias("acts"),
        (name.is_in(DELETING).fill_null(value=False) & is_acting).alias("deletions"),
    ]


def _is_by_address(mapping: MessageMapping) -> pl.Expr:
    """Return an expression: whether a row can name its person by an e-mail address alone."""
    fields = {row.role: field for row, field in reversed([*filled(mapping)])}
    person, email = fields.get("person"), fields.get("email")
    is_unnamed, is_address = pl.lit(value=True), pl.lit(value=False)
    if person is not None and person.dtype.is_numeric():
        is_unnamed = pl.col(person.name).is_null()
    elif person is not None:
        text = text_of(person, mapping)
        is_unnamed = text.fill_null("") == ""
        is_address = text.str.contains("@", literal=True)
    if email is None:
        return is_address
    return is_address | (is_unnamed & pl.col(email.name).is_not_null())


def _campaign_columns(scope: Scope) -> Iterator[pl.Expr]:
    """Yield undated, recent, minute, is_named and named of events."""
    mapping, time = scope.mapping, scope.mapping.find("timestamp")
    is_recorded, name = ~pl.col("acts"), mapping.find(_TRIGGER[mapping.call.name])
    is_named = pl.lit(value=False)
    if name is not None and scope.triggers:
        is_named = scope.text(name).str.strip_chars().is_in(sorted(scope.triggers))
        is_named = is_named.fill_null(value=False) & is_recorded
    if time is None:
        yield is_recorded.alias("undated")
        return
    at = pl.col(time.utc_column)
    minute = at.dt.epoch("ms") // _MINUTE_MS
    is_recent = (minute >= _first_minute(scope.now)).fill_null(value=False) & is_recorded
    yield (at.is_null() & is_recorded).alias("undated")
    yield is_recent.alias("recent")
    yield pl.when(at <= scope.now).then(minute).alias("minute")
    yield is_named.alias("is_named")
    yield (is_named & at.is_not_null() & ~is_recent).alias("named")
