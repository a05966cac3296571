"""Otterbrook, an invented shop for tea, coffee and paper with a subscription app, and its people.

Names come from small lists, mail addresses from example.com, .org and .net, telephone numbers from
the unassigned +1-555 range. Any likeness to a real person is chance.
"""

import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

T = TypeVar("T")

DAY_MS = 86_400_000
MINUTE_MS = 60_000


def instant(text: str) -> int:
    """Give the milliseconds since 1970 of an ISO date or time, taken as UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


FOUNDED_MS = instant("2023-03-01")
HISTORY_START_MS = instant("2024-11-01")
HISTORY_END_MS = instant("2026-11-01")


def stream(seed: int, purpose: str) -> Random:
    """Give each purpose its own random numbers, so that changing one file leaves the others alone."""
    return Random(f"{seed}/{purpose}")


def words(text: str) -> tuple[str, ...]:
    """Split a short list at its blanks."""
    return tuple(text.split())


def chance(rng: Random, share: float) -> bool:
    """Say yes in this share of the cases."""
    return rng.random() < share


def weighted(rng: Random, options: Sequence[tuple[T, int]]) -> T:
    """Pick one option, by weight."""
    return rng.choices([value for value, _ in options], [weight for _, weight in options])[0]


def anonymous_id(rng: Random) -> str:
    """Make the kind of id a browser keeps in a cookie."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def iso(ms: int) -> str:
    """Write an instant as ISO-8601 in UTC, to the second."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(ms: int) -> str:
    """Write an instant as ISO-8601 in UTC, to the millisecond."""
    return f"{iso(ms)[:-1]}.{ms % 1000:03d}Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A city people live in, with the first digits of its postal codes."""

    city: str
    country: str
    zips: tuple[str, ...]
    currency: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something on sale."""

    sku: str
    name: str
    category: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What somebody shops or brews with."""

    type: str
    os: str
    app_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer; `email` and `anonymous_id` are empty where Otterbrook does not know them."""

    id: str
    email: str
    anonymous_id: str
    first_name: str
    last_name: str
    created_ms: int
    plan: str
    phone: str
    place: Place
    zip: str
    unsubscribed: bool
    tags: str
    appetite: float
    device: Device


FIRST_NAMES = words(
    "Ada Agnes Aisha Alba Amadou Anders Anika Arjun Astrid Bao Beatriz Bence Bram Carmen Cedric Chiara Clara "
    "Dario Dilan Edda Eitan Elif Elio Emre Enya Esra Farah Femi Fiona Florin Freya Gideon Greta Hana Hugo Idris "
    "Ilse Inés Iris Ivo Jasper Jonas Juno Kaito Kamila Lars Layla Leif Linh Lotte Lucía Maeve Maja Malik Marek "
    "Mateo Mei Mila Nadia Nils Noor Nuno Odette Olga Omar Oona Otis Paloma Petra Priya Quentin Rafael Renée Rosa "
    "Ruben Saanvi Selma Sven Tariq Tessa Tomás Uma Viktor Vera Wanda Yara Yusuf Zoë Zuzana Łukasz Søren Jürgen"
)
LAST_NAMES = words(
    "Abara Almeida Amsel Ashdown Baranek Bellflower Birkholm Blackthorn Brennan-Cole Brightwater Calloway Castellan Çelikel "
    "Dahlgren Demirkan Dragomir Eichwald Elmsworth Fairbrook Farrowdale Feldkamp Fontclair Galbraith Ganesan "
    "Greenhalgh Grünfeld Haldorsen Hartigan Hawthorne Hesselink Hollowell Iyengar Jankowiak Kalu Kerrigan Kestrel "
    "Kowalczyk Larkspur Lindqvist Lockhart Løvstad Marchetti Marlowe Meadowcroft Moreau Müllerstein Nakagawa "
    "Nightingale Nwosu Oakhurst Okonjo Olafsdottir Ortega O'Riordan Pemberley Petrescu Quillfeather Rahmani "
    "Ravenhill Rosenthal Sandoval Schönfelder Silverwood Stavros Szabados Tanaka Thistlewood Tremaine Underhill "
    "Valtonen Van_der_Meer Vasquez Whitlock Winterbourne Zamora Zielony"
)

PLACES = (
    Place(city="Hamburg", country="DE", zips=("203", "207", "225"), currency="EUR", weight=16),
    Place(city="Dresden", country="DE", zips=("010", "011", "013"), currency="EUR", weight=9),
    Place(city="Köln", country="DE", zips=("506", "509", "511"), currency="EUR", weight=9),
    Place(city="Leipzig", country="DE", zips=("041", "042", "043"), currency="EUR", weight=7),
    Place(city="Wien", country="AT", zips=("10", "11", "12"), currency="EUR", weight=6),
    Place(city="Zürich", country="CH", zips=("80", "81"), currency="CHF", weight=7),
    Place(city="Leeds", country="GB", zips=("LS1 ", "LS6 ", "LS17 "), currency="GBP", weight=12),
    Place(city="Bristol", country="GB", zips=("BS1 ", "BS5 ", "BS8 "), currency="GBP", weight=6),
    Place(city="Cork", country="IE", zips=("T12 ", "T23 "), currency="EUR", weight=4),
    Place(city="Malmö", country="SE", zips=("211 ", "214 "), currency="EUR", weight=4),
    Place(city="Lyon", country="FR", zips=("690",), currency="EUR", weight=5),
    Place(city="A Coruña", country="ES", zips=("150",), currency="EUR", weight=3),
    Place(city="Kraków", country="PL", zips=("30-", "31-"), currency="EUR", weight=4),
    Place(city="Phoenix", country="US", zips=("850",), currency="USD", weight=10),
    Place(city="Boston", country="US", zips=("021", "022"), currency="USD", weight=8),
    Place(city="Portland", country="US", zips=("972",), currency="USD", weight=5),
    Place(city="Montréal", country="CA", zips=("H2X ", "H3B "), currency="USD", weight=3),
)
LETTERS = "ABDEFGHJLN"

_RANGE = (
    ("TEA-ASSAM-100", "Assam Gold 100 g", "tea", 9.90),
    ("TEA-SENCHA-100", "Sencha First Flush 100 g", "tea", 14.50),
    ("TEA-ROOIB-250", "Rooibos Vanilla 250 g", "tea", 11.20),
    ("TEA-EARLG-100", "Earl Grey “Blue Otter” 100 g", "tea", 10.40),
    ("TEA-GENMA-100", "Genmaicha 100 g", "tea", 12.80),
    ("TEA-SAMPLER", "Tea sampler, 12 sachets", "tea", 19.00),
    ("COF-HOUSE-250", "House Roast 250 g", "coffee", 8.50),
    ("COF-HOUSE-1000", "House Roast 1 kg", "coffee", 29.90),
    ("COF-SIDAMO-250", "Sidamo Natural 250 g", "coffee", 13.90),
    ("COF-DECAF-250", "Decaf Río Claro 250 g", "coffee", 12.40),
    ("PAP-NOTE-A5", "Dotted notebook A5", "paper", 16.00),
    ("PAP-NOTE-A6", "Pocket notebook A6", "paper", 9.00),
    ("PAP-CARDS-10", "Letterpress cards, set of 10", "paper", 22.00),
    ("PAP-INK-30", "Iron gall ink 30 ml", "paper", 12.50),
    ("WAR-KYUSU-03", "Kyusu teapot 0.3 l", "ware", 48.00),
    ("WAR-DRIP-02", "Pour-over dripper", "ware", 27.50),
    ("WAR-MUG-OTTER", "Otter mug", "ware", 15.00),
    ("WAR-SCALE-01", "Brewing scale", "ware", 64.00),
)
PRODUCTS = tuple(
    Product(sku=sku, name=name, category=category, price=price)
    for sku, name, category, price in _RANGE
)

PLANS = (("free", 70), ("club", 22), ("club_plus", 8))
CLUB_PRICES = {"club": 12.00, "club_plus": 24.00}
INTERESTS = ("tea", "coffee", "paper", "gifts", "workshops", "wholesale")
DEVICES = (
    (Device(type="desktop", os="Windows 11"), 26),
    (Device(type="desktop", os="macOS 15"), 20),
    (Device(type="mobile", os="iOS 18.6"), 28),
    (Device(type="mobile", os="Android 15"), 22),
    (Device(type="tablet", os="iPadOS 18.6"), 4),
)
MAIL_DOMAINS = (("example.com", 6), ("example.org", 3), ("example.net", 2))
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "'": "", "-": "", "_": ""})


def people(seed: int, *, count: int = 2_000) -> list[Person]:
    """Make the customers, the longest-standing first."""
    rng = stream(seed, "people")
    span = HISTORY_END_MS - 2 * DAY_MS - FOUNDED_MS
    joined = sorted(FOUNDED_MS + int(span * rng.random() ** 0.7) for _ in range(count))
    made: list[Person] = []
    taken: set[str] = set()
    number = 10_000
    for created_ms in joined:
        number += rng.randint(1, 6)
        made.append(_person(rng, str(number), created_ms=created_ms, taken=taken))
    return made


def _person(rng: Random, person_id: str, *, created_ms: int, taken: set[str]) -> Person:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    place = weighted(rng, [(place, place.weight) for place in PLACES])
    email = mail_address(rng, first, last, taken=taken)
    return Person(
        id=person_id,
        email="" if chance(rng, 0.02) else email,
        anonymous_id=anonymous_id(rng) if chance(rng, 0.55) else "",
        first_name=first,
        last_name=last.replace("_", " "),
        created_ms=created_ms,
        plan=weighted(rng, PLANS),
        phone=phone(rng) if chance(rng, 0.6) else "",
        place=place,
        zip=_zip(rng, place),
        unsubscribed=chance(rng, 0.11),
        tags="|".join(sorted(rng.sample(INTERESTS, k=rng.choice((0, 1, 1, 2, 2, 3))))),
        appetite=rng.random() ** 3,
        device=weighted(rng, DEVICES),
    )


def mail_address(rng: Random, first: str, last: str, *, taken: set[str]) -> str:
    """Make an address nobody in `taken` has yet, and note it there."""
    one, two = _plain(first), _plain(last)
    local = rng.choice((f"{one}.{two}", f"{one[0]}.{two}", f"{one}{two[0]}", f"{one}_{two}", one))
    domain = weighted(rng, MAIL_DOMAINS)
    address = f"{local}@{domain}"
    while address in taken:
        address = f"{local}{rng.randint(2, 999)}@{domain}"
    taken.add(address)
    return address


def phone(rng: Random) -> str:
    """Make a number in the unassigned area code 555."""
    return f"+1-555-{rng.randint(200, 999)}-{rng.randint(0, 9999):04d}"


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_PLAIN))
    return decomposed.encode("ascii", "ignore").decode()


def _zip(rng: Random, place: Place) -> str:
    start = rng.choice(place.zips)
    if place.country in {"GB", "IE", "CA"}:
        return f"{start}{rng.randint(1, 9)}{rng.choice(LETTERS)}{rng.choice(LETTERS)}"
    width = {"AT": 4, "CH": 4, "SE": 6, "PL": 6}.get(place.country, 5) - len(start)
    return f"{start}{rng.randint(0, 10**width - 1):0{width}d}"
