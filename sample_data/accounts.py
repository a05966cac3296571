"""What Otterbrook's workspace holds besides activity: companies, old profiles, aliases and forms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from shop import (
    DAY_MS,
    FIRST_NAMES,
    FOUNDED_MS,
    HISTORY_END_MS,
    LAST_NAMES,
    Person,
    chance,
    iso,
    mail_address,
    stream,
    weighted,
    words,
)

Row = dict[str, str]

COMPANIES, CLUBS, MEMBERSHIPS = 110, 10, 600
LEGACY_ALIASES, MAIL_ALIASES = 50, 5
TANGLED = ("legacy-0901", "legacy-0902", "legacy-0911", "legacy-0912")
FORM_ROWS, FORM_ROWS_WITHOUT_EMAIL = 300, 18

KNOWN_ROLES = {
    "same": 430,
    "email in capitals": 10,
    "email only": 40,
    "old email under the id": 30,
    "two halves": 12,
    "email of somebody else": 10,
    "email under an unknown id": 15,
    "anonymous id of somebody else": 4,
}

_COMPANY_STARTS = words(
    "Brightmoor Larkfield Fennwick Copperleaf Tidewater Hollybank Ironquill Juniper Kingsmere Lumenforge "
    "Moorgate Northlight Oakwhistle Pinecrest Quarrystone Redfinch Saltmarsh Thornbury Umberfield Vellum Willowmere "
    "Yarrow"
)
_COMPANY_TRADES = (
    ("Logistics", "logistics"),
    ("Studio", "design"),
    ("Dental", "services"),
    ("Software", "software"),
    ("Hotels", "hospitality"),
    ("Books", "retail"),
    ("Architects", "design"),
    ("Bakery", "hospitality"),
)
_OFFICE_PLANS = (("office_s", 60), ("office_m", 30), ("office_l", 10))
_ROLES = (("member", 70), ("buyer", 15), ("admin", 10), ("owner", 5))
_CLUB_TOPICS = (
    "Gongfu",
    "Oolong",
    "Espresso",
    "Matcha",
    "Fountain Pen",
    "Bookbinding",
    "Cold Brew",
    "Herbal",
    "Letterpress",
    "Chai",
)


def companies(seed: int) -> list[Row]:
    """Make companies (object type 1) that order for the office, and tasting clubs (object type 2)."""
    rng = stream(seed, "companies")
    names = [(start, *trade) for start in _COMPANY_STARTS for trade in _COMPANY_TRADES]
    rows: list[Row] = []
    for number, (start, trade, industry) in enumerate(
        sorted(rng.sample(names, k=COMPANIES)), start=1
    ):
        slug = f"{start}-{trade}".lower()
        rows.append(
            {
                "group_id": f"co-{number:04d}",
                "object_type_id": "1",
                "name": f"{start} {trade}",
                "industry": industry,
                "plan": weighted(rng, _OFFICE_PLANS),
                "employees": str(int(3 + 900 * rng.random() ** 4)),
                "website": f"https://{slug}.example.com",
                "created_at": iso(rng.randrange(FOUNDED_MS, HISTORY_END_MS)),
            }
        )
    for number, topic in enumerate(_CLUB_TOPICS[:CLUBS], start=1):
        created_at = iso(rng.randrange(FOUNDED_MS, HISTORY_END_MS))
        rows.append(
            {
                "group_id": f"club-{number:02d}",
                "object_type_id": "2",
                "name": f"{topic} Circle",
                "created_at": created_at,
            }
        )
    return rows


def memberships(seed: int, people: list[Person], groups: list[Row]) -> list[Row]:
    """Say who belongs to which company or club, and since when."""
    rng = stream(seed, "memberships")
    pairs = {
        (rng.choice(groups)["group_id"], rng.choice(people).id) for _ in range(MEMBERSHIPS + 20)
    }
    kinds = {group["group_id"]: group["object_type_id"] for group in groups}
    joined = {person.id: person.created_ms for person in people}
    return [
        {
            "company_id": group_id,
            "object_type_id": kinds[group_id],
            "user_id": user_id,
            "role": weighted(rng, _ROLES),
            "since": iso(rng.randrange(joined[user_id], HISTORY_END_MS))[:10],
        }
        for group_id, user_id in sorted(pairs)[:MEMBERSHIPS]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The export of the workspace, and the aliases that tidy it up."""

    known: list[Row]
    aliases: list[Row]


def workspace(seed: int, people: list[Person]) -> Workspace:
    """Make the profiles the workspace already holds, and the aliases for its left-overs."""
    rng = stream(seed, "known")
    taken = {person.email for person in people}
    reachable = rng.sample([person for person in people if person.email], k=1_500)
    profiles = _Profiles(rng=rng, taken=taken)
    known = list(_known(profiles, people=reachable))
    keepers = rng.sample(
        reachable[sum(KNOWN_ROLES.values()) :], k=LEGACY_ALIASES + MAIL_ALIASES + 2
    )
    aliases: list[Row] = []
    for number, person in enumerate(keepers[:LEGACY_ALIASES], start=1):
        email = profiles.new_email(person) if chance(rng, 0.5) else ""
        known.append(profiles.row(person_id=f"legacy-{number:04d}", email=email))
        aliases.append({"previous_id": f"legacy-{number:04d}", "user_id": person.id})
    for person in keepers[LEGACY_ALIASES:-2]:
        email = profiles.new_email(person)
        known.append(profiles.row(email=email))
        aliases.append({"previous_id": email, "user_id": person.id})
    rng.shuffle(aliases)
    known.extend(profiles.row(person_id=legacy_id) for legacy_id in TANGLED)
    aliases.extend(_tangled(alone=keepers[-2].id, chained=keepers[-1].id))
    return Workspace(known=sorted(known, key=lambda row: row["cio_id"]), aliases=aliases)


def _tangled(*, alone: str, chained: str) -> list[Row]:
    first, second, one, other = TANGLED
    pairs = (
        (alone, alone),
        (first, second),
        (second, chained),
        (one, other),
        (other, one),
    )
    return [{"previous_id": previous, "user_id": kept} for previous, kept in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profiles:
    rng: Random
    taken: set[str]

    def row(
        self,
        *,
        person_id: str = "",
        email: str = "",
        anonymous: str = "",
        before_ms: int | None = None,
    ) -> Row:
        created_ms = self.rng.randrange(FOUNDED_MS, before_ms or HISTORY_END_MS - 30 * DAY_MS)
        cio_id = f"{self.rng.getrandbits(48):012x}"
        return {
            "id": person_id,
            "email": email,
            "cio_id": cio_id,
            "anonymous_id": anonymous,
            "created_at": iso(created_ms),
        }

    def new_email(self, person: Person) -> str:
        return mail_address(self.rng, person.first_name, person.last_name, taken=self.taken)

    def like(self, person: Person) -> Row:
        made = self.row(person_id=person.id, email=person.email, anonymous=person.anonymous_id)
        return made | {"created_at": iso(person.created_ms)}


def _known(profiles: _Profiles, *, people: Sequence[Person]) -> Iterator[Row]:
    """Make the roles one after the other, each for people of its own."""
    waiting = list(people[: sum(KNOWN_ROLES.values())])
    waiting.sort(key=lambda person: bool(person.anonymous_id))
    for role in reversed(KNOWN_ROLES):
        for _ in range(KNOWN_ROLES[role]):
            yield from _stored(profiles, role, person=waiting.pop())


def _stored(profiles: _Profiles, role: str, *, person: Person) -> Iterator[Row]:
    match role:
        case "same":
            yield profiles.like(person)
        case "email in capitals":
            yield profiles.like(person) | {"email": person.email.upper()}
        case "email only":
            yield profiles.row(email=person.email)
        case "old email under the id":
            yield profiles.like(person) | {"email": profiles.new_email(person)}
        case "two halves":
            yield profiles.like(person) | {"email": ""}
            yield profiles.row(email=person.email)
        case "email of somebody else":
            yield profiles.like(person) | {"email": profiles.new_email(person)}
            yield profiles.row(person_id=f"till-{person.id}", email=person.email)
        case "email under an unknown id":
            yield profiles.row(person_id=f"app-{person.id}", email=person.email)
        case _:
            yield profiles.row(person_id=f"tablet-{person.id}", anonymous=person.anonymous_id)


_OPENINGS = (
    "Hello!",
    "Hi there,",
    "Good morning,",
    "Dear Otterbrook team,",
    "Quick question:",
    "Hallo zusammen,",
)
_MATTERS = (
    "is the Kyusu teapot dishwasher-safe?",
    "can I change the day my box arrives?",
    "two seats for the latte art workshop, please.",
    'the lid of my mug arrived broken, it says "Otter mug" on the invoice.',
    "do you ship notebooks to Norway, Iceland and Malta?",
    "I would like to order for our office, about 40 people.\nWho should I talk to?",
    "the Sencha is wonderful 🍵, when is the next harvest due?",
    "könnt ihr mir die Rechnung noch einmal schicken?",
    "please stop the paper catalogue; the e-mails are fine.",
    "is Decaf Río Claro processed with water or CO₂?",
)  # fmt: skip


def form_submissions(seed: int, people: list[Person]) -> list[Row]:
    """Make what two forms received: a newsletter form and a contact form."""
    rng = stream(seed, "forms")
    taken = {person.email for person in people}
    customers = iter(rng.sample([person for person in people if person.email], k=FORM_ROWS))
    nameless = set(rng.sample(range(FORM_ROWS), k=FORM_ROWS_WITHOUT_EMAIL))
    rows: list[Row] = []
    for number in range(FORM_ROWS):
        contact = chance(rng, 0.45)
        email, first_name = _sender(rng, customers, taken=taken)
        rows.append(
            {
                "form_id": "contact-us" if contact else "newsletter-footer",
                "email": "" if number in nameless else email,
                "first_name": first_name,
                "message": f"{rng.choice(_OPENINGS)} {rng.choice(_MATTERS)}" if contact else "",
                "consent": "true" if not contact or chance(rng, 0.3) else "false",
            }
        )
    return rows


def _sender(rng: Random, customers: Iterator[Person], *, taken: set[str]) -> tuple[str, str]:
    if chance(rng, 0.55):
        person = next(customers)
        return person.email, person.first_name
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return mail_address(rng, first, last, taken=taken), first
