"""Make the sample data: `python sample_data/generate.py`, or `--check` to compare without writing.

The same seed gives the same bytes; of the Parquet file, whose bytes depend on pyarrow's version
too, `--check` compares the schema and the rows.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from accounts import companies, form_submissions, memberships, workspace
from activity import Happening, history, sessions
from browsing import page_views, screens
from dirt import dirty_people
from readme import readme
from shop import HISTORY_START_MS, Person, iso, people, stream, words
from tills import till_events

SEED = 20_261_101
HERE = Path(__file__).parent

EVENTS = pa.schema(
    [
        ("event", pa.string()),
        ("user_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("occurred_at", pa.timestamp("ms", tz="UTC")),
        ("sku", pa.string()),
        ("category", pa.string()),
        ("order_id", pa.string()),
        ("amount", pa.float64()),
        ("currency", pa.string()),
        ("coupon", pa.string()),
        (
            "items",
            pa.list_(
                pa.struct([("sku", pa.string()), ("qty", pa.int32()), ("price", pa.float64())])
            ),
        ),
        ("plan", pa.string()),
        ("rating", pa.int8()),
        (
            "device",
            pa.struct([("type", pa.string()), ("os", pa.string()), ("app_version", pa.string())]),
        ),
    ]
)
PEOPLE = words(
    "id email anonymous_id first_name last_name created_at plan phone city country address.city address.zip "
    "unsubscribed lifetime_value tags"
)
DIRTY = [
    "Unnamed: 0",
    *words(
        "user_id email Email first_name last_name signup_date plan lifetime_value unsubscribed city address.zip phone notes"
    ),
]
TILLS = words(
    "event user_id timestamp store.code store.city receipt.number receipt.total receipt.currency receipt.pieces "
    "payment loyalty.points workshop.title workshop.seats order.id"
)
PAGES = words(
    "user_id anonymous_id name url title referrer path search utm_source utm_medium utm_campaign utm_term "
    "utm_content timestamp"
)
SCREENS = words(
    "name user_id timestamp app_name app_version device_type device_manufacturer device_model os_name os_version "
    "wifi plan seconds_shown"
)
COMPANIES = words("group_id object_type_id name industry plan employees website created_at")


def sample_data(seed: int) -> dict[str, bytes]:
    """Make every file of this folder that is not a program."""
    customers = people(seed)
    visits = sessions(seed, customers)
    events = history(seed, customers, visits)
    left = _cancelled(events)
    members = [person for person in customers if person.id not in left]
    groups = companies(seed)
    stored = workspace(seed, customers)
    dirty = dirty_people(seed, customers)
    tables: dict[str, tuple[Sequence[str], Sequence[Mapping[str, str]]]] = {
        "people.csv": (PEOPLE, _people_rows(seed, customers, events)),
        "people_dirty.csv": (DIRTY, dirty.rows),
        "people_known.csv": (["id", "email", "cio_id", "anonymous_id", "created_at"], stored.known),
        "events.csv": (TILLS, till_events(seed, customers, events)),
        "companies.csv": (COMPANIES, groups),
        "memberships.csv": (["company_id", "object_type_id", "user_id", "role", "since"], memberships(seed, customers, groups)),
        "page_views.csv": (PAGES, page_views(seed, visits)),
        "screens.csv": (SCREENS, screens(seed, members)),
        "aliases.csv": (["previous_id", "user_id"], stored.aliases),
        "form_submissions.csv": (["form_id", "email", "first_name", "message", "consent"], form_submissions(seed, customers)),
    }  # fmt: skip
    rows = {name: len(table) for name, (_, table) in tables.items()} | {
        "events.parquet": len(events)
    }
    files = {name: _csv(columns, table) for name, (columns, table) in tables.items()}
    return files | {
        "events.parquet": _parquet(events),
        "README.md": readme(rows, seed=seed, mistakes=dirty.counts).encode(),
    }


def _people_rows(
    seed: int, customers: Sequence[Person], events: Sequence[Happening]
) -> list[dict[str, str]]:
    spent: dict[str, float] = {}
    signs = {
        "Order Completed": 1,
        "Order Refunded": -1,
        "Subscription Started": 1,
        "Subscription Renewed": 1,
    }
    for event in events:
        if event.user_id:
            spent[event.user_id] = spent.get(event.user_id, 0.0) + signs.get(event.event, 0) * (
                event.amount or 0.0
            )
    left = _cancelled(events)
    rng = stream(seed, "spent before the history begins")
    rows = []
    for person in customers:
        before = (
            400 * person.appetite * rng.random() if person.created_ms < HISTORY_START_MS else 0.0
        )
        plan = "free" if person.id in left else person.plan
        rows.append(_person_row(person, plan=plan, spent=spent.get(person.id, 0.0) + before))
    return rows


def _cancelled(events: Iterable[Happening]) -> set[str | None]:
    return {event.user_id for event in events if event.event == "Subscription Cancelled"}


def _person_row(person: Person, *, plan: str, spent: float) -> dict[str, str]:
    return {
        "id": person.id,
        "email": person.email,
        "anonymous_id": person.anonymous_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "created_at": iso(person.created_ms),
        "plan": plan,
        "phone": person.phone,
        "city": person.place.city,
        "country": person.place.country,
        "address.city": person.place.city,
        "address.zip": person.zip,
        "unsubscribed": "true" if person.unsubscribed else "false",
        "lifetime_value": f"{spent:.2f}",
        "tags": person.tags,
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(events: Iterable[Happening]) -> bytes:
    rows = [
        {
            **{
                name: getattr(event, name)
                for name in EVENTS.names
                if name not in {"occurred_at", "items", "device"}
            },
            "occurred_at": event.occurred_ms,
            "items": event.items
            and [
                {"sku": product.sku, "qty": quantity, "price": product.price}
                for product, quantity in event.items
            ],
            "device": event.device
            and {
                "type": event.device.type,
                "os": event.device.os,
                "app_version": event.device.app_version,
            },
        }
        for event in events
    ]
    sink = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema=EVENTS)
    pq.write_table(table, sink, compression="zstd", compression_level=9, row_group_size=10_000)
    return sink.getvalue()


def differing(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Name the files in `folder` that do not hold what they should."""
    return [name for name, content in files.items() if not _same(content, folder / name)]


def _same(content: bytes, path: Path) -> bool:
    if not path.exists():
        return False
    if path.suffix == ".parquet":
        return _same_table(content, path)
    return path.read_bytes() == content


def _same_table(content: bytes, path: Path) -> bool:
    try:
        return bool(pq.read_table(io.BytesIO(content)).equals(pq.read_table(path)))
    except (pa.ArrowInvalid, OSError):
        return False


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare only; exit 1 if a file differs"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another seed makes another shop")
    options = parser.parse_args()
    files = sample_data(options.seed)
    if options.check:
        wrong = differing(files, HERE)
        print(
            f"differs: {', '.join(wrong)}; run `python sample_data/generate.py`"
            if wrong
            else "all files are as made"
        )
        return 1 if wrong else 0
    for name, content in files.items():
        (HERE / name).write_bytes(content)
        print(f"{name:22} {len(content):>9,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
