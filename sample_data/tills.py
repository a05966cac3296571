"""The tills of the three stores, each with its own clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from activity import Happening, busy_moment
from shop import (
    DAY_MS,
    HISTORY_END_MS,
    HISTORY_START_MS,
    MINUTE_MS,
    PRODUCTS,
    Person,
    chance,
    stream,
    weighted,
)

TILL_EVENTS = 3_000
STORES = {"HAM": "Hamburg", "LDS": "Leeds", "PHX": "Phoenix"}
STORE_OF_CITY = {city: code for code, city in STORES.items()}


def till_events(seed: int, people: list[Person], events: list[Happening]) -> list[dict[str, str]]:
    """Make the events of the three stores, as their tills export them: local time with its offset."""
    rng = stream(seed, "tills")
    homes = {person.id: STORE_OF_CITY.get(person.place.city) for person in people}
    rows = list(_pick_ups(rng, events, homes=homes))
    regulars = {code: [p for p in people if homes[p.id] == code] for code in STORES}
    while len(rows) < TILL_EVENTS:
        code = weighted(rng, (("HAM", 5), ("LDS", 4), ("PHX", 3)))
        person = rng.choice(regulars[code])
        at_ms = _opening_hours(rng, busy_moment(rng, HISTORY_START_MS, HISTORY_END_MS), code)
        if at_ms > person.created_ms:
            rows.append((at_ms, _at_store(at_ms, code, person.id) | _till_event(rng, person)))
    rows.sort(key=lambda pair: pair[0])
    return [_numbered(row, number) for number, (_, row) in enumerate(rows, start=200_001)]


def _pick_ups(
    rng: Random, events: list[Happening], *, homes: dict[str, str | None]
) -> Iterator[tuple[int, dict[str, str]]]:
    for event in events:
        code = homes.get(event.user_id or "")
        if event.event == "Order Completed" and code and chance(rng, 0.5):
            at_ms = _opening_hours(rng, event.occurred_ms + rng.randint(1, 4) * DAY_MS, code)
            if at_ms < HISTORY_END_MS:
                row = _at_store(at_ms, code, event.user_id or "")
                yield at_ms, row | {"event": "Order Picked Up", "order.id": event.order_id or ""}


def _at_store(at_ms: int, code: str, user_id: str) -> dict[str, str]:
    return {
        "user_id": user_id,
        "timestamp": _local(at_ms, code),
        "store.code": code,
        "store.city": STORES[code],
    }


def _till_event(rng: Random, person: Person) -> dict[str, str]:
    name = weighted(rng, (("Store Purchase", 70), ("Points Redeemed", 16), ("Workshop Booked", 14)))
    if name == "Points Redeemed":
        return {"event": name, "loyalty.points": str(rng.randrange(50, 550, 50))}
    if name == "Workshop Booked":
        title = rng.choice(("Latte art", "Gongfu basics", "Bookbinding"))
        return {"event": name, "workshop.title": title, "workshop.seats": rng.choice("1112")}
    pieces = weighted(rng, ((1, 5), (2, 4), (3, 2), (5, 1)))
    return {
        "event": name,
        "receipt.total": f"{sum(rng.choice(PRODUCTS).price for _ in range(pieces)):.2f}",
        "receipt.currency": person.place.currency,
        "receipt.pieces": str(pieces),
        "payment": rng.choice(("card", "cash", "phone")),
    }


def _numbered(row: dict[str, str], number: int) -> dict[str, str]:
    return row | {"receipt.number": f"R{number}"} if "receipt.total" in row else row


def _opening_hours(rng: Random, ms: int, store: str) -> int:
    """Move an instant into the hours from 9 to 18, local time, of its day."""
    midnight = ms // DAY_MS * DAY_MS - _offset_hours(ms, store) * 60 * MINUTE_MS
    return midnight + rng.randint(9 * 60, 18 * 60) * MINUTE_MS + rng.randrange(MINUTE_MS)


def _local(ms: int, store: str) -> str:
    zone = timezone(timedelta(hours=_offset_hours(ms, store)))
    return datetime.fromtimestamp(ms // 1000, zone).isoformat()


def _offset_hours(ms: int, store: str) -> int:
    summer = _is_european_summer(ms)
    return {"HAM": 1 + summer, "LDS": 0 + summer, "PHX": -7}[store]


def _is_european_summer(ms: int) -> bool:
    when = datetime.fromtimestamp(ms // 1000, UTC)
    return _last_sunday(when.year, 3) <= when < _last_sunday(when.year, 10)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)
