"""Exports of events: Mixpanel, Amplitude, Snowplow, Segment, Google Analytics; people of Mixpanel and Segment."""

import json

from tests.corpus.export import Export, generated, written


def mixpanel_events() -> Export:
    """Events with seconds since 1970, and properties that begin with a dollar sign."""
    grid = generated(
        {
            "event": lambda p: p.pick("Signed Up", "Viewed Page", "$ae_session"),
            "time": lambda p: int(p.at.timestamp()),
            "distinct_id": lambda p: f"u{p.place // 2}",
            "$browser": lambda p: p.pick("Chrome", "Safari"),
            "$city": lambda p: p.city,
            "$current_url": lambda p: f"https://example.com/?q={p.place}&utm_source=may",
            "$device_id": lambda p: p.uuid(),
            "$insert_id": lambda p: p.hex(16),
            "$os": lambda p: p.pick("Mac OS X", "Windows"),
            "$screen_height": lambda p: p.pick("900", "1080"),
            "mp_country_code": lambda p: p.pick("NO", "US"),
            "plan": lambda p: p.pick("", "pro", "free"),
        }
    )
    odd = tuple(name for name in grid.names if name.startswith("$"))
    return Export(
        source="Mixpanel", file="mixpanel_events.csv", content=written(grid), grid=grid,
        call="track", asked={"event": "event", "user_id": "distinct_id", "timestamp": "time"},
        expected={"name.odd": odd, "time.epoch": ("time",)},
        person=("distinct_id",), time=("time",),
    )  # fmt: skip


def mixpanel_people() -> Export:
    """User profiles."""
    grid = generated(
        {
            "$distinct_id": lambda p: f"u{p.place}",
            "$name": lambda p: p.name,
            "$email": lambda p: p.email,
            "$phone": lambda p: p.pick("", p.us_phone),
            "$city": lambda p: p.city,
            "$last_seen": lambda p: f"{p.later():%Y-%m-%dT%H:%M:%S}",
            "$created": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%S}",
            "plan": lambda p: p.pick("pro", "free", "undefined"),
        }
    )
    odd = tuple(name for name in grid.names if name.startswith("$") and name != "$distinct_id")
    return Export(
        source="Mixpanel", file="mixpanel_users.csv", content=written(grid), grid=grid,
        asked={"user_id": "$distinct_id"},
        expected={
            "name.odd": odd, "name.nearly": ("$email", "$phone", "$created"),
            "value.placeholder": ("plan",),
        },
        person=("$distinct_id",),
    )  # fmt: skip


def amplitude_events() -> Export:
    """Events: JSON in cells, several times, and nobody but a device for those who never signed in."""
    grid = generated(
        {
            "app": "400123",
            "device_id": lambda p: p.uuid(),
            "user_id": lambda p: p.pick("", f"u{p.place}", f"u{p.place}"),
            "client_event_time": lambda p: (
                f"{p.at:%Y-%m-%d %H:%M:%S}.{p.dice.randrange(1000):03}000"
            ),
            "event_id": lambda p: p.place + 1,
            "session_id": lambda p: int(p.at.timestamp() * 1000),
            "event_type": lambda p: p.pick("session_start", "Order Completed"),
            "amplitude_id": lambda p: p.digits(12),
            "version_name": lambda p: p.pick("3.10", "3.1", "3.9.2"),
            "platform": lambda p: p.pick("iOS", "Web"),
            "os_name": lambda p: p.pick("ios", "Chrome"),
            "country": lambda p: p.pick("Norway", "Canada"),
            "language": lambda p: p.pick("English", "Norwegian"),
            "ip_address": "203.0.113.7",
            "event_properties": lambda p: json.dumps({"total": p.dice.randrange(90), "sku": "T-1"}),
            "user_properties": lambda p: p.pick("{}", '{"plan": "pro"}'),
            "server_upload_time": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}.000000",
            "event_time": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}.000000",
            "uuid": lambda p: p.uuid(),
        }
    )
    return Export(
        source="Amplitude", file="amplitude_events.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": "event_type", "user_id": "user_id", "anonymous_id": "device_id", "timestamp": "event_time"},
        expected={
            "text.json": ("event_properties", "user_properties"),
            "time.naive-text": ("event_time",),
            "trait.time-space": ("client_event_time", "server_upload_time"),
        },
        person=("user_id", "device_id"), time=("event_time", "client_event_time"),
    )  # fmt: skip


def snowplow_events() -> Export:
    """Atomic events from a warehouse, tab-separated: many columns, most of them empty."""
    empty = [f"{kind}_{place}" for kind in ("mkt", "tr", "ti", "refr", "se") for place in range(12)]
    grid = generated(
        {
            "app_id": "web",
            "platform": "web",
            "etl_tstamp": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}.000",
            "collector_tstamp": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}.{p.dice.randrange(1000):03}",
            "dvce_created_tstamp": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}.001",
            "event": lambda p: p.pick("page_view", "struct"),
            "event_id": lambda p: p.uuid(),
            "v_tracker": "js-3.5.0",
            "user_id": lambda p: p.pick("", "", f"u{p.place}"),
            "user_ipaddress": "203.0.113.7",
            "domain_userid": lambda p: p.uuid(),
            "domain_sessionidx": lambda p: p.dice.randrange(1, 40),
            "network_userid": lambda p: p.uuid(),
            "geo_country": lambda p: p.pick("NO", "CA"),
            "geo_region": lambda p: p.pick("ON", ""),
            "page_url": lambda p: f"https://example.com/{p.place}",
            "page_title": lambda p: p.pick("Tea & cups", "Häuser"),
            "br_cookies": lambda p: p.pick("true", "false"),
            **dict.fromkeys(empty, ""),
        }
    )
    return Export(
        source="Snowplow", file="events.tsv", content=written(grid, separator="\t"), grid=grid,
        call="track",
        asked={
            "event": "event", "user_id": "user_id", "anonymous_id": "domain_userid", "timestamp": "collector_tstamp",
        },
        expected={
            "time.naive-text": ("collector_tstamp",),
            "trait.time-space": ("etl_tstamp", "dvce_created_tstamp"),
        },
        person=("user_id", "domain_userid"), time=("collector_tstamp", "dvce_created_tstamp"),
    )  # fmt: skip


def segment_identifies() -> Export:
    """Identify calls from a warehouse: one row for each call, so people come again."""
    grid = generated(
        {
            "id": lambda p: f"ajs-next-{p.hex(32)}",
            "received_at": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}+00",
            "user_id": lambda p: f"u{p.place // 2}",
            "context_ip": lambda p: p.pick("203.0.113.7", "198.51.100.2"),
            "context_library_name": "analytics.js",
            "email": lambda p: f"u{p.place // 2}@example.com",
            "first_name": lambda p: p.first,
            "plan": lambda p: p.pick("", "pro", "free"),
            "sent_at": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}.12+00",
            "timestamp": lambda p: f"{p.at:%Y-%m-%d %H:%M:%S}.1+00",
            "uuid_ts": lambda p: f"{p.later(1):%Y-%m-%d %H:%M:%S}+00",
        }
    )
    return Export(
        source="Segment", file="identifies.csv", content=written(grid), grid=grid,
        asked={"user_id": "user_id", "timestamp": "timestamp"},
        expected={
            "id.duplicate": ("user_id",),
            "name.reserved": ("id",),
            "time.stale": ("timestamp",),
            "trait.time-space": ("received_at", "sent_at", "uuid_ts"),
        },
        person=("user_id",),
    )  # fmt: skip


def segment_tracks() -> Export:
    """Track calls from a warehouse, of people known and unknown."""
    grid = generated(
        {
            "id": lambda p: f"ajs-next-{p.hex(32)}",
            "anonymous_id": lambda p: p.uuid(),
            "user_id": lambda p: p.pick("", f"u{p.place}"),
            "event": lambda p: p.pick("order_completed", "product_viewed"),
            "event_text": lambda p: p.pick("Order Completed", "Product Viewed"),
            "context_page_url": lambda p: f"https://example.com/{p.place}?utm_campaign=may",
            "context_user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
            "total": lambda p: p.pick("", p.money()),
            "original_timestamp": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%S}.001Z",
            "received_at": lambda p: f"{p.later(1):%Y-%m-%dT%H:%M:%S}.000Z",
            "timestamp": lambda p: f"{p.at:%Y-%m-%dT%H:%M:%S}.000Z",
        }
    )
    return Export(
        source="Segment", file="tracks.csv", content=written(grid), grid=grid,
        call="track",
        asked={"event": "event_text", "user_id": "user_id", "anonymous_id": "anonymous_id", "timestamp": "timestamp"},
        person=("user_id", "anonymous_id"), time=("timestamp", "original_timestamp"),
    )  # fmt: skip


def google_analytics() -> Export:
    """A report of counts, with comments above and words for nothing: it holds no people."""
    grid = generated(
        {
            "Event name": lambda p: p.pick("page_view", "(not set)", "purchase"),
            "Country": lambda p: p.pick("Norway", "(not set)"),
            "Event count": lambda p: p.dice.randrange(9000),
            "Total users": lambda p: p.dice.randrange(900),
        },
        rows=60,
    )
    before = [[f"# {line}"] for line in ("-" * 40, "Events: Event name", "Teahouse", "20240301-20240501", "-" * 40)]  # fmt: skip
    return Export(
        source="Google Analytics", file="events-report.csv",
        content=written(grid, before=before), grid=grid,
        asked={"user_id": "Event name"},
        expected={
            "file.preamble": ("",), "value.placeholder": ("Country",), "id.placeholder": ("Event name",),
            "id.duplicate": ("Event name",),
        },
        rejected=sum(row[0] == "(not set)" for row in grid.rows),
    )  # fmt: skip


EXPORTS = (
    mixpanel_events, mixpanel_people, amplitude_events, snowplow_events, segment_identifies, segment_tracks,
    google_analytics,
)  # fmt: skip
