"""The pages of the web shop and the screens of the app that people looked at."""

from collections.abc import Iterator
from random import Random

from activity import APP_VERSIONS, Session, busy_moment
from shop import (
    CLUB_PRICES,
    HISTORY_END_MS,
    MINUTE_MS,
    Person,
    chance,
    instant,
    iso_ms,
    stream,
    weighted,
)

PAGES_START_MS = instant("2026-09-20")
SCREENS_START_MS = instant("2026-10-02")
SHOP_URL = "https://shop.otterbrook.example.com"

CAMPAIGNS: tuple[tuple[tuple[dict[str, str], str], int], ...] = (
    (({}, ""), 45),
    (({}, "https://search.example.net/"), 25),
    (
        (
            {
                "utm_source": "newsletter",
                "utm_medium": "email",
                "utm_campaign": "autumn-box",
                "utm_content": "hero",
            },
            "https://mail.example.org/",
        ),
        16,
    ),
    (
        (
            {
                "utm_source": "findit",
                "utm_medium": "cpc",
                "utm_campaign": "tea-search",
                "utm_term": "loose+leaf+tea",
            },
            "https://findit.example.com/",
        ),
        14,
    ),
)
SCREENS = ("Today", "Today", "Recipes", "Recipe", "Brew Timer", "My Box", "Profile")
PHONES: tuple[dict[str, str], ...] = (
    {"device_type": "ios", "device_manufacturer": "Apple", "device_model": "iPhone 15", "os_name": "iOS", "os_version": "18.6"},
    {"device_type": "ios", "device_manufacturer": "Apple", "device_model": "iPhone 13 mini", "os_name": "iOS", "os_version": "17.7"},
    {"device_type": "android", "device_manufacturer": "Google", "device_model": "Pixel 8", "os_name": "Android", "os_version": "15"},
    {"device_type": "android", "device_manufacturer": "Fairphone", "device_model": "FP5", "os_name": "Android", "os_version": "14"},
)  # fmt: skip


def page_views(seed: int, visits: list[Session]) -> list[dict[str, str]]:
    """Make the page views of the last weeks, one home page and one page for each product looked at."""
    rng = stream(seed, "pages")
    recent = [visit for visit in visits if visit.start_ms >= PAGES_START_MS]
    rows = [row for visit in recent for row in _pages(rng, visit)]
    return sorted(rows, key=lambda row: row["timestamp"])


def _pages(rng: Random, visit: Session) -> Iterator[dict[str, str]]:
    utm, source = weighted(rng, CAMPAIGNS)
    who = {"user_id": visit.user_id or "", "anonymous_id": visit.anonymous_id or ""}
    search = "?" + "&".join(f"{key}={value}" for key, value in utm.items()) if utm else ""
    stops = [("Home", "/", "Otterbrook: tea, coffee & paper")]
    for product in visit.viewed:
        stops.append(
            ("Category", f"/{product.category}", f"{product.category.title()} | Otterbrook")
        )
        stops.append(
            (
                "Product",
                f"/{product.category}/{product.sku.lower()}",
                f"{product.name} | Otterbrook",
            )
        )
    now, referrer = visit.start_ms, source
    for name, path, title in stops:
        url = f"{SHOP_URL}{path}{search}"
        place = {
            "name": name,
            "url": url,
            "title": title,
            "referrer": referrer,
            "path": path,
            "search": search,
        }
        yield who | place | utm | {"timestamp": iso_ms(now)}
        now, referrer, search, utm = now + rng.randint(6_000, 90_000), url, "", {}


def screens(seed: int, people: list[Person]) -> list[dict[str, str]]:
    """Make the screens that members opened in the app in the last month."""
    rng = stream(seed, "screens")
    rows: list[dict[str, str]] = []
    for person in (p for p in people if p.plan in CLUB_PRICES and p.created_ms < SCREENS_START_MS):
        handset = rng.choice(PHONES) | {
            "app_name": "Otterbrook Club",
            "app_version": rng.choice(APP_VERSIONS[2:]),
        }
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            now = busy_moment(rng, SCREENS_START_MS, HISTORY_END_MS - 60 * MINUTE_MS)
            for name in rng.sample(SCREENS, k=rng.randint(1, 4)):
                seconds = rng.randint(2, 180)
                at_home = "true" if chance(rng, 0.7) else "false"
                shown = {
                    "name": name,
                    "user_id": person.id,
                    "timestamp": iso_ms(now),
                    "wifi": at_home,
                }
                rows.append(shown | handset | {"plan": person.plan, "seconds_shown": str(seconds)})
                now += seconds * 1000 + rng.randint(100, 900)
    return sorted(rows, key=lambda row: row["timestamp"])
