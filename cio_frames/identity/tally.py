"""Counting events that change nobody: those of people who are there, under plain names."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from cio_frames.identity import rules
from cio_frames.identity.resolve import mapping, moment, text
from cio_frames.identity.rules import Change
from cio_frames.identity.semantic import EFFECTS
from cio_frames.identity.settings import CAMPAIGN, MERGED_EVENTS, Settings
from cio_frames.identity.store import Store

_SECOND: Final = len("2026-01-31T00:00:00")


@dataclass(slots=True)
class Tally:
    """Events of one person in one plan.

    Attributes:
        young: How many can start campaigns.
        recent: How many cannot, yet would move in a merge.
        old: How many would not even move.
        first: Row of the first of them.
        last: Row of the last of them.
    """

    young: int = 0
    recent: int = 0
    old: int = 0
    first: int = -1
    last: int = -1

    @property
    def events(self) -> int:
        """How many events these are."""
        return self.young + self.recent + self.old

    def extend(self, first: int, last: int) -> None:
        """Include the rows of further events."""
        self.first = first if self.first < 0 else min(self.first, first)
        self.last = max(self.last, last)


class Tallies:
    """The events that were counted, by person and plan.

    Attributes:
        merged: For each merge so far, how many counted events moved and how many were lost.
    """

    def __init__(self, *, settings: Settings) -> None:
        self._settings = settings
        self._people: dict[str, dict[int, Tally]] = {}
        self.merged: list[tuple[int, int]] = []

    def of(self, person: str, plan: int) -> Tally:
        """Return the tally of a person in a plan."""
        return self._people.setdefault(person, {}).setdefault(plan, Tally())

    def merge(self, kept: str, removed: str) -> None:
        """Move what a merge moves; moved events start no campaigns (3.4)."""
        moved = lost = 0
        for plan, tally in self._people.pop(removed, {}).items():
            into = self.of(kept, plan)
            into.recent += tally.young + tally.recent
            moved += tally.young + tally.recent
            if self._settings.merged_events == "all":
                into.old += tally.old
                moved += tally.old
            else:
                lost += tally.old
            if into.events:
                into.extend(tally.first, tally.last)
        self.merged.append((moved, lost))

    def items(self) -> Iterator[tuple[str, int, Tally]]:
        """Yield person, plan and tally."""
        for person, plans in self._people.items():
            for plan, tally in plans.items():
                yield person, plan, tally


class Watch:
    """Tells, event by event, whether counting it is enough.

    It is when the user reference was met before in the same plan, the name is a plain one, and
    the message id is new. Only reserved names can change whom a reference means within a plan of
    events, so after one of those everybody is met anew.

    Args:
        call: track, page or screen.
        store: The workspace.
        tallies: Where events are counted.
        now: When everything is received.
    """

    def __init__(self, call: str, *, store: Store, tallies: Tallies, now: datetime) -> None:
        self._store = store
        self._tallies = tallies
        self._now = now.timestamp()
        self._is_plain = _PLAIN[call]
        self._met: dict[str, Tally] = {}
        self._dedupes = store.settings.dedupe != "off"
        self._young, self._recent = _borders(self._now)

    def counts(self, message: Mapping[str, Any], *, row: int) -> bool:
        """Count an event if that is enough; tells whether it was."""
        user = message.get("userId")
        tally = self._met.get(user) if isinstance(user, str) else None
        if tally is None or not self._is_plain(message, self._store.settings):
            return False
        message_id = text(message.get("messageId")) if self._dedupes else None
        if message_id is not None:
            if message_id in self._store.seen:
                return False
            self._store.seen.add(message_id)
        self._add(tally, message.get("timestamp"))
        tally.extend(row, row)
        return True

    def learn(
        self, message: Mapping[str, Any], changes: Sequence[Change], *, plan: int
    ) -> None:
        """Take note of whom an applied event was about."""
        last, user = changes[-1], message.get("userId")
        if message.get("event") in EFFECTS:
            self._met.clear()
        elif last.rule is rules.EVENT and isinstance(user, str):
            self._met[user] = self._tallies.of(str(last.person), plan)

    def _add(self, tally: Tally, value: Any) -> None:
        if isinstance(value, str) and len(value) > _SECOND and value[-1] == "Z":
            second = value[:_SECOND]
            is_young, is_recent = second >= self._young, second >= self._recent
        else:
            age = self._now - moment(value, now=self._now)
            is_young, is_recent = age <= CAMPAIGN.seconds, age <= MERGED_EVENTS.seconds
        if is_young:
            tally.young += 1
        elif is_recent:
            tally.recent += 1
        else:
            tally.old += 1


def _borders(now: float) -> tuple[str, str]:
    """Return the first second of events that are young, and of those that are recent."""
    young, recent = (
        datetime.fromtimestamp(math.ceil(now - window.seconds), tz=UTC)
        for window in (CAMPAIGN, MERGED_EVENTS)
    )
    return young.isoformat()[:_SECOND], recent.isoformat()[:_SECOND]


def _plain_track(message: Mapping[str, Any], settings: Settings) -> bool:
    name = message.get("event")
    if not isinstance(name, str) or name in EFFECTS:
        return False
    return bool(name.strip() if settings.trim_event_names else name)


def _plain_page(message: Mapping[str, Any], _: Settings) -> bool:
    return text(mapping(message.get("properties")).get("url")) is not None


def _plain_screen(_: Mapping[str, Any], __: Settings) -> bool:
    return True


_PLAIN: Final[Mapping[str, Callable[[Mapping[str, Any], Settings], bool]]] = MappingProxyType({
    "track": _plain_track,
    "page": _plain_page,
    "screen": _plain_screen,
})  # fmt: skip
