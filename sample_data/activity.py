"""What Otterbrook's people did: sessions in the shop, orders, the club, the app and the tills."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from shop import (
    CLUB_PRICES,
    DAY_MS,
    HISTORY_END_MS,
    HISTORY_START_MS,
    MINUTE_MS,
    PRODUCTS,
    Device,
    Person,
    Product,
    anonymous_id,
    chance,
    stream,
    weighted,
)

VISITORS_NEVER_IDENTIFIED = 650
MONTH_WEIGHTS = (6, 6, 6, 6, 5, 5, 4, 4, 6, 7, 10, 11)
HOUR_WEIGHTS = (1, 1, 0, 0, 0, 1, 2, 4, 6, 7, 7, 7, 8, 7, 6, 6, 7, 8, 10, 12, 13, 11, 7, 3)
COUPONS = ("WELCOME10", "SPRING15", "OTTER5", "FREESHIP")
APP_VERSIONS = ("3.8.0", "3.9.2", "4.0.1", "4.1.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One visit to the web shop: who (either id may be missing), when, and what was looked at."""

    user_id: str | None
    anonymous_id: str | None
    start_ms: int
    device: Device
    viewed: tuple[Product, ...]
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of the web shop or the app; unset values stay empty in the table."""

    event: str
    user_id: str | None
    anonymous_id: str | None
    occurred_ms: int
    device: Device | None = None
    sku: str | None = None
    category: str | None = None
    order_id: str | None = None
    amount: float | None = None
    currency: str | None = None
    coupon: str | None = None
    items: tuple[tuple[Product, int], ...] | None = None
    plan: str | None = None
    rating: int | None = None


def sessions(seed: int, people: list[Person]) -> list[Session]:
    """Make all visits to the web shop, before sign-up, after it, and by people who never sign up."""
    rng = stream(seed, "sessions")
    made = [visit for person in people for visit in _visits(rng, person)]
    for _ in range(VISITORS_NEVER_IDENTIFIED):
        visitor, device = anonymous_id(rng), rng.choice(people).device
        start = busy_moment(rng, HISTORY_START_MS, HISTORY_END_MS)
        made.append(_session(rng, start, device=device, anonymous=visitor, currency="EUR"))
    return sorted(made, key=lambda session: session.start_ms)


def _visits(rng: Random, person: Person) -> Iterator[Session]:
    if person.anonymous_id and person.created_ms > HISTORY_START_MS:
        days_before = [rng.uniform(0.02, 25.0) for _ in range(rng.randint(1, 3))]
        if chance(rng, 0.15):
            days_before.append(rng.uniform(35.0, 60.0))
        for days in days_before:
            start = person.created_ms - int(days * DAY_MS)
            if start >= HISTORY_START_MS:
                yield _visit(rng, replace(person, id=""), start)
    first_ms = max(person.created_ms + 10 * MINUTE_MS, HISTORY_START_MS)
    months = (HISTORY_END_MS - first_ms) / (30 * DAY_MS)
    for _ in range(int(months * person.appetite * 0.55 + rng.random() * 2)):
        start = busy_moment(rng, first_ms, HISTORY_END_MS - 60 * MINUTE_MS)
        yield _visit(rng, person if chance(rng, 0.15) else replace(person, anonymous_id=""), start)


def _visit(rng: Random, person: Person, start_ms: int) -> Session:
    return _session(
        rng,
        start_ms,
        device=person.device,
        user=person.id,
        anonymous=person.anonymous_id,
        currency=person.place.currency,
    )


def _session(
    rng: Random,
    start_ms: int,
    *,
    device: Device,
    user: str = "",
    anonymous: str = "",
    currency: str,
) -> Session:
    return Session(
        user_id=user or None,
        anonymous_id=anonymous or None,
        start_ms=start_ms,
        device=device,
        viewed=tuple(
            rng.choice(PRODUCTS) for _ in range(weighted(rng, ((1, 5), (2, 4), (3, 2), (4, 1))))
        ),
        currency=currency,
    )


def busy_moment(rng: Random, first_ms: int, last_ms: int) -> int:
    """Pick an instant, more often in the evening and before the holidays."""
    while True:
        ms = rng.randrange(first_ms, last_ms)
        when = datetime.fromtimestamp(ms / 1000, UTC)
        weight = MONTH_WEIGHTS[when.month - 1] * HOUR_WEIGHTS[when.hour]
        if chance(rng, weight / 143):
            return ms


def history(seed: int, people: list[Person], visits: list[Session]) -> list[Happening]:
    """Make the events of two years, oldest first."""
    rng = stream(seed, "history")
    orders = iter(range(50_001, 99_999))
    made = [event for visit in visits for event in _shopping(rng, visit, orders)]
    for person in people:
        made.extend(_membership(rng, person))
    inside = (event for event in made if HISTORY_START_MS <= event.occurred_ms < HISTORY_END_MS)
    return sorted(inside, key=lambda event: (event.occurred_ms, event.user_id or ""))


def _shopping(rng: Random, visit: Session, orders: Iterator[int]) -> Iterator[Happening]:
    now = visit.start_ms
    basket: list[tuple[Product, int]] = []
    for product in visit.viewed:
        now += rng.randint(15_000, 240_000)
        seen = _event(visit, "Product Viewed", now, sku=product.sku, category=product.category)
        yield seen
        if chance(rng, 0.42) and product not in (chosen for chosen, _ in basket):
            now += rng.randint(4_000, 40_000)
            basket.append((product, weighted(rng, ((1, 7), (2, 2), (3, 1)))))
            yield replace(
                seen,
                event="Product Added",
                occurred_ms=now,
                amount=product.price,
                currency=visit.currency,
            )
    if basket and visit.user_id and chance(rng, 0.75):
        yield from _purchase(rng, visit, now, basket=tuple(basket), orders=orders)


def _purchase(
    rng: Random,
    visit: Session,
    now: int,
    *,
    basket: tuple[tuple[Product, int], ...],
    orders: Iterator[int],
) -> Iterator[Happening]:
    total = round(sum(product.price * quantity for product, quantity in basket), 2)
    now += rng.randint(20_000, 180_000)
    checkout = _event(
        visit, "Checkout Started", now, amount=total, currency=visit.currency, items=basket
    )
    yield checkout
    if not chance(rng, 0.78):
        return
    coupon = rng.choice(COUPONS) if chance(rng, 0.12) else None
    order = replace(
        checkout,
        event="Order Completed",
        occurred_ms=now + rng.randint(30_000, 300_000),
        order_id=f"OB-{next(orders)}",
        amount=round(total * 0.9, 2) if coupon else total,
        coupon=coupon,
    )
    yield order
    later = order.occurred_ms + rng.randint(3 * DAY_MS, 14 * DAY_MS)
    if chance(rng, 0.04):
        yield replace(
            order,
            event="Order Refunded",
            occurred_ms=later,
            coupon=None,
            device=None,
            anonymous_id=None,
        )
    elif chance(rng, 0.12):
        product = basket[0][0]
        rating = weighted(rng, ((5, 8), (4, 6), (3, 2), (2, 1), (1, 1)))
        sku, category = product.sku, product.category
        yield _event(visit, "Review Submitted", later, sku=sku, category=category, rating=rating)


def _event(visit: Session, name: str, at_ms: int, **values: Any) -> Happening:
    return Happening(
        event=name,
        user_id=visit.user_id,
        anonymous_id=visit.anonymous_id,
        occurred_ms=at_ms,
        device=visit.device,
        **values,
    )


def _membership(rng: Random, person: Person) -> Iterator[Happening]:
    joined = Happening(
        event="Signed Up",
        user_id=person.id,
        anonymous_id=person.anonymous_id or None,
        occurred_ms=person.created_ms,
        device=person.device,
    )
    yield joined
    if person.plan not in CLUB_PRICES:
        return
    paid = replace(
        joined,
        event="Subscription Started",
        anonymous_id=None,
        occurred_ms=person.created_ms + rng.randint(5 * MINUTE_MS, 40 * DAY_MS),
        plan=person.plan,
        amount=CLUB_PRICES[person.plan],
        currency=person.place.currency,
    )
    yield paid
    yield from _club(rng, paid)


def _club(rng: Random, paid: Happening) -> Iterator[Happening]:
    phone = rng.choice((Device(type="ios", os="iOS 18.6"), Device(type="android", os="Android 15")))
    months = 0
    while paid.occurred_ms < HISTORY_END_MS:
        version = APP_VERSIONS[min(months // 8, len(APP_VERSIONS) - 1)]
        for _ in range(rng.randint(0, 1)):
            yield Happening(
                event=rng.choice(("Brew Logged", "Brew Logged", "Recipe Saved")),
                user_id=paid.user_id,
                anonymous_id=None,
                occurred_ms=paid.occurred_ms + rng.randint(DAY_MS, 29 * DAY_MS),
                device=replace(phone, app_version=version),
                plan=paid.plan,
            )
        months += 1
        due = paid.occurred_ms + 30 * DAY_MS + rng.randint(-20_000, 20_000)
        if chance(rng, 0.02):
            yield replace(
                paid, event="Subscription Cancelled", occurred_ms=due, amount=None, currency=None
            )
            return
        paid = replace(paid, event="Subscription Renewed", occurred_ms=due, device=None)
        yield paid
