"""Every check: the rows it finds, and next to them the rows it must leave alone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.checks import CATALOGUE, SEVERITIES, Check
from cio_frames.spec import SEMANTIC_EVENTS

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
OLD = datetime(2025, 6, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
DESTRUCTIVE = [name for name, event in SEMANTIC_EVENTS.items() if event.destructive]
ACTING = [name for name, event in SEMANTIC_EVENTS.items() if not event.destructive]

BY_ID = {"user_id": "id"}
EVENT = {"user_id": "id", "event": "event"}
TIMED = {"user_id": "id", "event": cio.lit("E"), "timestamp": "t"}


FAR = pl.Struct({"a": pl.Datetime("us", "UTC"), "b": pl.Int64})
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
A_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
OUT_OF_RANGE = [
    (FIRST_DAY - 1, pl.Date),
    (LAST_DAY + 1, pl.Date),
    (2**31 - 1, pl.Date),
    *((FIRST_DAY * A_DAY[unit] - 1, pl.Datetime(unit)) for unit in A_DAY),
    *(((LAST_DAY + 1) * A_DAY[unit], pl.Datetime(unit, "UTC")) for unit in A_DAY),
    *((2**63 - 1, pl.Datetime(unit, "Europe/Berlin")) for unit in A_DAY),
]
"""Days and points in time just outside the years 1 to 9999, and the farthest that polars holds."""

IN_RANGE = [
    (FIRST_DAY, pl.Date),
    (LAST_DAY, pl.Date),
    *((FIRST_DAY * A_DAY[unit], pl.Datetime(unit)) for unit in A_DAY),
    *(((LAST_DAY + 1) * A_DAY[unit] - 1, pl.Datetime(unit, "UTC")) for unit in A_DAY),
    (2**63 - 1, pl.Datetime("ns")),
]


def local(*parts: int) -> datetime:
    """Return a time without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - naive on purpose


def ids(values: list[Any], dtype: Any = None, **others: Any) -> pl.DataFrame:
    """Return a frame with identifiers."""
    return pl.DataFrame({"id": pl.Series(values, dtype=dtype, strict=False), **others})


def timed(values: list[Any], dtype: Any = None) -> pl.DataFrame:
    """Return a frame with an identifier and a time in each row."""
    times = pl.Series(values, dtype=dtype, strict=False)
    return pl.DataFrame({"id": [f"u{n}" for n in range(len(values))], "t": times})


def column(name: str, value: Any = "x", dtype: Any = None) -> pl.DataFrame:
    """Return a frame with an identifier and one column more."""
    return pl.DataFrame({"id": ["u"], name: pl.Series([value], dtype=dtype)})


Case = tuple[str, Any, dict[str, Any], int]
"""Call, table, what is asked for, and how many findings of the code there must be."""

CASES: dict[str, list[Case]] = {
    "id.missing": [
        ("identify", ids([None, "u"]), BY_ID, 1),
        ("identify", ids([None], pl.Null), BY_ID, 1),
        ("identify", ids([None, None], a=["x", None]), {**BY_ID, "anonymous_id": "a"}, 1),
        ("group", ids([None]), {"group_id": "id"}, 1),
        ("group", ids(["g"], u=[None]), {"group_id": "id", "user_id": "u"}, 0),
        ("alias", ids(["a", None, "a"], b=["b", "b", None]), {"previous_id": "id", "user_id": "b"}, 2),
        ("form", ids(["a@b.co", None], f=[None, "f"]), {"email": "id", "form_id": "f"}, 2),
        ("identify", ids(["u"], a=[None]), {**BY_ID, "anonymous_id": "a"}, 0),
    ],
    "id.float": [
        ("identify", ids([1.0, None, 0.0, -4.0, 2.0**53]), BY_ID, 4),
        ("group", ids([1.0], u=[2.0]), {"group_id": "id", "user_id": "u"}, 2),
        ("identify", ids([1, None]), BY_ID, 0),
        ("identify", ids(["1.0"]), BY_ID, 0),
        ("identify", ids([1.5]), BY_ID, 0),
    ],
    "id.precision-lost": [
        ("identify", ids([2.0**53 + 2, 1e300, -1e17]), BY_ID, 3),
        ("identify", ids([2.0**53]), BY_ID, 0),
        ("identify", ids([2**53 + 1]), BY_ID, 0),
        ("identify", ids([float("nan"), float("inf")]), BY_ID, 0),
    ],
    "id.fractional": [
        ("identify", ids([1.5, float("nan"), float("-inf"), 2.0]), BY_ID, 3),
        ("identify", ids([2.0, None]), BY_ID, 0),
    ],
    "id.boolean": [
        ("identify", ids([True]), BY_ID, 1),
        ("identify", ids(["true"]), BY_ID, 0),
        ("identify", column("flag", value=True), BY_ID, 0),
    ],
    "id.type": [
        ("identify", ids([["a"]]), BY_ID, 1),
        ("identify", ids([{"a": 1}]), BY_ID, 1),
        ("identify", ids([b"a"]), BY_ID, 1),
        ("identify", ids([date(2024, 1, 1)]), BY_ID, 1),
        ("identify", ids([1, "a", {"x": 1}], pl.Object), BY_ID, 1),
        ("identify", ids([1], pl.Int8), BY_ID, 0),
        ("identify", ids(["a"], pl.Categorical), BY_ID, 0),
        ("identify", ids([None], pl.Null), BY_ID, 0),
    ],
    "id.placeholder": [
        ("identify", ids(["", " ", "nan", "None", "NULL", "NaT", "n/a", "#N/A", "-", "."]), BY_ID, 10),
        ("identify", ids(["undefined", "[object Object]", "<NA>", "NA"], pl.Categorical), BY_ID, 4),
        ("form", ids(["nan", "a@b.co"]), {"email": "id", "form_id": cio.lit("f")}, 1),
        ("form", ids(["a@b.co"], f=[""]), {"email": "id", "form_id": "f"}, 1),
        ("identify", ids(["nancy", "none@x.de", "0", "nil", None]), BY_ID, 0),
        ("identify", column("note", "nan"), BY_ID, 0),
    ],
    "id.nobody": [
        ("identify", ids(["0", "Unknown", "guest", "anonymous", "test"]), BY_ID, 5),
        ("identify", ids([0, 1]), BY_ID, 1),
        ("identify", ids(["00000000-0000-0000-0000-000000000000"]), BY_ID, 1),
        ("identify", ids(["00", "guest1", "10"]), BY_ID, 0),
        ("group", ids(["unknown"]), {"group_id": "id"}, 0),
    ],
    "id.padded": [
        ("identify", ids([" u", "u\n", "\u00a0u"]), BY_ID, 3),
        ("form", ids(["a@b.co "]), {"email": "id", "form_id": cio.lit("f")}, 1),
        ("identify", ids(["a b", "   "]), BY_ID, 0),
    ],
    "id.invisible": [
        ("identify", ids(["a\u200bb", "\ufeffa", "a\u00adb", "a\x00b", "a\u202eb"]), BY_ID, 5),
        ("identify", ids(["a b", "äöü", "日本", "a\n"]), BY_ID, 0),
    ],
    "message.no-id": [
        ("identify", ids(["u", "u"], m=["nan", " "]), {**BY_ID, "message_id": "m"}, 2),
        ("identify", ids(["u", "u"], m=[None, "x"]), {**BY_ID, "message_id": "m"}, 0),
        ("identify", ids(["u"], m=[5]), {**BY_ID, "message_id": "m"}, 0),
    ],
    "id.too-long": [
        ("identify", ids(["x" * 151, "é" * 76]), BY_ID, 2),
        ("identify", ids(["x" * 150, "é" * 75]), BY_ID, 0),
    ],
    "id.cio": [
        ("identify", ids(["cio_03000001"]), BY_ID, 1),
        ("identify", ids(["xcio_1", "CIO-1"]), BY_ID, 0),
        ("group", ids(["cio_1"]), {"group_id": "id"}, 0),
    ],
    "email.invalid": [
        ("identify", column("email", "no address"), BY_ID, 1),
        ("identify", column("email", "a@b,c@d.de"), BY_ID, 1),
        ("identify", column("email", "mailto:a@b"), BY_ID, 1),
        ("form", ids(["x"]), {"email": "id", "form_id": cio.lit("f")}, 1),
        ("identify", column("email", "ada+x@example.co.uk"), BY_ID, 0),
        ("identify", column("email", None, pl.String), BY_ID, 0),
        ("identify", column("mail", "no address"), BY_ID, 0),
    ],
    "alias.self": [
        ("alias", ids(["a", "a"], b=["a", "A"]), {"previous_id": "id", "user_id": "b"}, 1),
        ("alias", ids([1], b=["1"]), {"previous_id": "id", "user_id": "b"}, 1),
        ("alias", ids(["a"], b=["b"]), {"previous_id": "id", "user_id": "b"}, 0),
    ],
    "group.type": [
        ("group", ids(["g"] * 4, t=["0", "a", "1.5", "-1"]), {"group_id": "id", "object_type_id": "t"}, 4),
        ("group", ids(["g"], t=[0]), {"group_id": "id", "object_type_id": "t"}, 1),
        ("group", ids(["g", "g"], t=["1", None]), {"group_id": "id", "object_type_id": "t"}, 1),
        ("group", ids(["g", "h"], objectTypeId=["", "2"]), {"group_id": "id"}, 1),
        ("group", ids(["g"], object_type_id=[None]), {"group_id": "id"}, 1),
        ("group", ids(["g"], t=[None]), {"group_id": "id", "traits": {"objectTypeId": "t"}}, 1),
        ("group", ids(["g"], t=[12]), {"group_id": "id", "object_type_id": "t"}, 0),
    ],
    "time.unreadable": [
        ("track", timed(["soon", "31/02/2024", "20241302", "01/02/2024", "20240102"]), TIMED, 3),
        ("track", timed([99_000, 20_241_302, 45_000, 20_240_102]), TIMED, 2),
        ("identify", timed(["soon"]), {**BY_ID, "timestamp": "t"}, 1),
        ("track", timed(["2024-01-02", "", None]), TIMED, 0),
        ("track", timed([local(2024, 3, 31, 2, 30)]), {**TIMED, "timezone": BERLIN}, 0),
        ("identify", timed(["soon"]), BY_ID, 0),
    ],
    "time.clock-change": [
        ("track", timed([local(2024, 3, 31, 2, 30), local(2024, 10, 27, 2, 30)]), {**TIMED, "timezone": BERLIN}, 2),
        ("track", timed(["2024-03-31 02:30"]), {**TIMED, "timezone": BERLIN}, 1),
        ("identify", timed([local(2024, 3, 31, 2, 30)]), {**BY_ID, "timezone": BERLIN}, 1),
        ("identify", timed([[local(2024, 3, 31, 2, 30)]]), {**BY_ID, "timezone": BERLIN}, 1),
        ("identify", timed([{"a": local(2024, 3, 31, 2, 30)}]), {**BY_ID, "timezone": BERLIN}, 1),
        ("track", timed([local(2024, 3, 31, 2, 30)]), TIMED, 0),
        ("track", timed(["2024-03-31T02:30Z", "soon"]), {**TIMED, "timezone": BERLIN}, 0),
        ("identify", timed(["2024-03-31 02:30"]), {**BY_ID, "timezone": BERLIN}, 0),
    ],
    "time.missing": [
        ("track", timed([None, "", " "]), TIMED, 3),
        ("page", timed([None, OLD]), {**BY_ID, "timestamp": "t"}, 1),
        ("identify", timed([None, OLD]), {**BY_ID, "timestamp": "t"}, 0),
        ("track", timed([None]), {**BY_ID, "event": cio.lit("E")}, 0),
        ("track", ids(["u", "v"], event=["User Deleted", "E"], t=[None, None]), {**EVENT, "timestamp": "t"}, 1),
    ],
    "time.out-of-range": [
        ("identify", column("x", [2**31 - 1], pl.List(pl.Date)), BY_ID, 1),
        ("identify", column("x", {"a": 2**63 - 1, "b": None}, FAR), BY_ID, 1),
        ("identify", column("x", {"a": None, "b": 1}, FAR), BY_ID, 0),
        ("identify", column("x", None, pl.Date), BY_ID, 0),
        *(("identify", column("x", far, dtype), BY_ID, 1) for far, dtype in OUT_OF_RANGE),
        *(("identify", column("x", edge, dtype), BY_ID, 0) for edge, dtype in IN_RANGE),
        *(("track", timed([far], dtype), TIMED, 1) for far, dtype in OUT_OF_RANGE),
        *(("track", timed([edge], dtype), TIMED, 0) for edge, dtype in IN_RANGE),
    ],
    "time.future": [
        ("track", timed([NOW + timedelta(days=1, seconds=1), datetime(9999, 12, 31, tzinfo=UTC)]), TIMED, 2),
        ("track", timed([NOW + timedelta(days=1), NOW]), TIMED, 0),
    ],
    "time.early": [
        ("track", timed([datetime(1969, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]), TIMED, 2),
        ("track", timed([datetime(1970, 1, 1, tzinfo=UTC)]), TIMED, 0),
    ],
    "time.recent": [
        ("track", timed([NOW, NOW - timedelta(hours=72), NOW + timedelta(hours=1)]), TIMED, 3),
        ("track", timed([NOW - timedelta(hours=72, seconds=1)]), TIMED, 0),
        ("identify", timed([NOW]), {**BY_ID, "timestamp": "t"}, 0),
    ],
    "time.stale": [
        ("identify", timed([OLD, NOW - timedelta(hours=2), NOW, None]), {**BY_ID, "timestamp": "t"}, 2),
        ("identify", timed(["2025-06-01T00:00:00Z"]), {**BY_ID, "timestamp": "t"}, 1),
        ("group", timed([OLD]), {"group_id": "id", "timestamp": "t"}, 1),
        ("identify", timed([OLD]), BY_ID, 0),
        ("identify", timed([NOW - timedelta(minutes=30)]), {**BY_ID, "timestamp": "t"}, 0),
        ("track", timed([OLD]), TIMED, 0),
        ("alias", ids(["a"], b=["b"], t=[OLD]), {"previous_id": "id", "user_id": "b", "timestamp": "t"}, 0),
    ],
    "time.naive": [
        ("track", timed([local(2024, 1, 1)]), TIMED, 1),
        ("identify", timed([local(2024, 1, 1)]), BY_ID, 1),
        ("track", timed([local(2024, 1, 1)]), {**TIMED, "timezone": "UTC"}, 0),
        ("track", timed([OLD]), TIMED, 0),
    ],
    "time.naive-text": [
        ("track", timed(["2024-01-02T03:04:05", "2024-01-02 03:04"]), TIMED, 2),
        ("track", timed(["2024-01-02T03:04:05Z", "2024-01-02 03:04:05+01", "2024-01-02", "x"]), TIMED, 0),
        ("track", timed(["2024-01-02T03:04:05"]), {**TIMED, "timezone": BERLIN}, 0),
    ],
    "time.date-only": [
        ("track", timed(["2024-01-02", " 2024-01-02"]), TIMED, 2),
        ("track", timed([date(2024, 1, 2), None]), TIMED, 1),
        ("track", timed(["2024-01-02T00:00Z", None]), TIMED, 0),
        ("identify", timed([date(2024, 1, 2)]), BY_ID, 0),
    ],
    "time.epoch": [
        ("track", timed([1_700_000_000, 1_700_000_000_000]), TIMED, 2),
        ("track", timed([1_700_000_000.5]), TIMED, 1),
        ("track", timed([45_000]), TIMED, 0),
        ("track", timed([OLD]), TIMED, 0),
    ],
    "time.now": [
        ("track", ids(["u"]), {**BY_ID, "event": cio.lit("User Deleted")}, 0),
        ("track", ids(["u"]), {**BY_ID, "event": cio.lit("Application Opened")}, 0),
        ("track", ids(["u", "u"], e=["Report Delivery Event", "E"]), {**BY_ID, "event": "e"}, 1),
        ("track", ids(["u"], e=["User Unsuppressed"]), {**BY_ID, "event": "e"}, 0),
        ("track", column("x", 1), {**BY_ID, "event": cio.lit("E")}, 1),
        ("page", column("ordered_at", OLD), BY_ID, 1),
        ("screen", column("x", 1), BY_ID, 1),
        ("track", column("t", OLD), {**BY_ID, "event": cio.lit("E"), "timestamp": "t"}, 0),
        ("track", ids(["u"]), {**BY_ID, "event": cio.lit("E"), "timestamp": cio.lit(OLD)}, 0),
        ("identify", column("ordered_at", OLD), BY_ID, 0),
        ("group", ids(["g"]), {"group_id": "id"}, 0),
        ("alias", ids(["a"], b=["b"]), {"previous_id": "id", "user_id": "b"}, 0),
    ],
    "time.unmapped": [
        ("track", column("ordered_at", OLD), {**BY_ID, "event": cio.lit("User Deleted")}, 0),
        *(
            ("track", column(name, value), {**BY_ID, "event": cio.lit("E")}, 1)
            for name, value in [
                ("ordered_at", "2024-01-02 03:04:05"), ("InvoiceDate", "12/1/2010 8:26"), ("Paid at", OLD),
                ("when", "2024-01-02"), ("dt", 1_700_000_000), ("ts_ms", 1_700_000_000_000), ("x", OLD),
                ("epoch", "1700000000"),
            ]
        ),
        *(
            ("track", column(name, value), {**BY_ID, "event": cio.lit("E")}, 0)
            for name, value in [
                ("order", 1_700_000_000), ("order", "1700000000"), ("expires_at", OLD), ("ordered_at", "soon"),
                ("timestamp", "monday"), ("date", None), ("plan", "pro"),
            ]
        ),
        ("track", ids(["u"], ordered_at=[OLD], shipped_at=[OLD]), {**BY_ID, "event": cio.lit("E")}, 1),
        ("identify", column("ordered_at", OLD), BY_ID, 0),
        ("track", column("timestamp", OLD), {**BY_ID, "event": cio.lit("E")}, 1),
        ("identify", column("timestamp", OLD), BY_ID, 0),
        ("group", column("updated_at", OLD), {"group_id": "id"}, 0),
        ("track", column("occurred_at", OLD), {**BY_ID, "event": cio.lit("E")}, 1),
        ("track", column("timestamp", OLD), {**BY_ID, "event": cio.lit("E"), "timestamp": "timestamp"}, 0),
        ("track", column("birthday", OLD), {**BY_ID, "event": cio.lit("E")}, 0),
        ("form", column("timestamp", OLD), {"id": "id", "form_id": cio.lit("f")}, 0),
    ],
    "id.duplicate": [
        ("identify", ids(["u", "v", "u"]), BY_ID, 1),
        ("identify", ids(["u", "v", "u"], t=[NOW, NOW, OLD]), {**BY_ID, "timestamp": "t"}, 1),
        ("identify", ids(["u", "U", None]), BY_ID, 0),
        ("track", ids(["u", "u"]), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "group.many-values": [
        ("group", ids(["g", "g", "h"], plan=["a", "b", "c"]), {"group_id": "id"}, 1),
        ("group", ids(["g"] * 3, plan=[None, "a", "b"]), {"group_id": "id"}, 2),
        ("group", ids([1, 1], plan=["a", "b"]), {"group_id": "id"}, 1),
        ("group", ids(["g"] * 2, plan=[None, "a"]), {"group_id": "id"}, 0),
        ("group", ids(["g"] * 2, plan=["a", "a"], u=["u1", "u2"]), {"group_id": "id", "user_id": "u"}, 0),
        ("group", ids(["g"] * 2, plan=["a", "b"], t=["1", "2"]), {"group_id": "id", "object_type_id": "t"}, 0),
        ("group", ids(["g"] * 2, **{"relationshipAttributes.role": ["a", "b"]}), {"group_id": "id"}, 0),
        ("group", ids([None, None], plan=["a", "b"]), {"group_id": "id"}, 0),
        ("identify", ids(["u"] * 2, plan=["a", "b"]), BY_ID, 0),
    ],
    "group.no-person": [
        ("group", ids(["g", "h"]), {"group_id": "id"}, 2),
        ("group", ids(["g"] * 3, u=["u", None, None], v=[None, "v", None]), {"group_id": "id", "user_id": "u", "anonymous_id": "v"}, 1),
        ("group", ids(["g"], u=["u"]), {"group_id": "id", "user_id": "u"}, 0),
        ("identify", ids([None]), BY_ID, 0),
    ],
    "event.missing": [
        ("track", ids(["u"] * 3, event=[None, "", "nan"]), EVENT, 3),
        ("track", ids(["u"], event=[None]), EVENT, 1),
        ("track", ids(["u"], event=["Nano"]), EVENT, 0),
    ],
    "event.padded": [
        ("track", ids(["u"] * 2, event=["Order ", "\tOrder"]), EVENT, 2),
        ("track", ids(["u"], event=["Order Completed"]), EVENT, 0),
    ],
    "event.too-long": [
        ("track", ids(["u"] * 2, event=["x" * 101, "é" * 51]), EVENT, 2),
        ("track", ids(["u"] * 2, event=["x" * 100, "é" * 50]), EVENT, 0),
    ],
    "event.destructive": [
        ("track", ids(["u"] * len(DESTRUCTIVE), event=DESTRUCTIVE), EVENT, len(DESTRUCTIVE)),
        ("track", ids(["u"], event=["User Deleted "]), EVENT, 1),
        ("track", ids(["u"], event=["user deleted"]), EVENT, 0),
        ("track", ids(["u"], event=["User Deleted"]), {**EVENT, "checks": cio.Checks(allow=["User Deleted"])}, 0),
        ("track", ids(["u"], event=["User Suppressed"]), {**EVENT, "checks": cio.Checks(allow=["User Deleted"])}, 1),
    ],
    "event.semantic": [
        ("track", ids(["u"] * len(ACTING), event=ACTING), EVENT, len(ACTING)),
        ("track", ids(["u"], event=["User Deleted"]), {**EVENT, "checks": cio.Checks(allow=["User Deleted"])}, 1),
        ("track", ids(["u"], event=["User Deleted"]), EVENT, 0),
        ("track", ids(["u"], event=["Order Completed"]), EVENT, 0),
    ],
    "trait.unsubscribed-empty": [
        ("identify", ids(["u"] * 6, unsubscribed=["", " ", "NULL", "nan", "-", "\u00a0"]), BY_ID, 6),
        ("identify", ids(["u"] * 2, cio_subscription_preferences=[{"channels": {"sms": word}} for word in ("", "true")]), BY_ID, 1),
        ("identify", ids(["u"] * 3, unsubscribed=["true", "no", None]), BY_ID, 0),
        ("identify", column("cio_subscription_preferences.topics.topic_1", ""), BY_ID, 1),
    ],
    "trait.preferences-replaced": [
        ("identify", column("cio_subscription_preferences", {"topics": {"topic_1": True}}), BY_ID, 1),
        ("identify", column("cio_subscription_preferences.topics", {"topic_1": True}), BY_ID, 1),
        ("identify", column("cio_subscription_preferences", None, pl.String), {**BY_ID, "nulls": "send"}, 1),
        ("identify", column("cio_subscription_preferences", None, pl.String), BY_ID, 0),
        ("identify", column("cio_subscription_preferences.topics.topic_1", True), BY_ID, 0),
        ("track", column("cio_subscription_preferences", {"topics": {"a": True}}), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "trait.resubscribed": [
        ("identify", ids(["u"] * 3, unsubscribed=[False, True, None]), BY_ID, 1),
        ("identify", ids(["u"] * 3, unsubscribed=[0, 1, None]), BY_ID, 1),
        ("identify", ids(["u"] * 3, unsubscribed=["false", "TRUE", None]), BY_ID, 1),
        ("identify", ids(["u"] * 2, unsubscribed=[True, None]), {**BY_ID, "nulls": "send"}, 1),
        ("identify", ids(["u"]), {**BY_ID, "traits": {"unsubscribed": cio.lit(False)}}, 1),
        ("form", ids(["a@b.co"], unsubscribed=["false"]), {"email": "id", "form_id": cio.lit("f")}, 1),
        ("identify", ids(["u"] * 2, unsubscribed=["true", "1"]), BY_ID, 0),
        ("track", ids(["u"], unsubscribed=[False]), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "trait.consent": [
        *(
            ("identify", ids(["u", "v"], **{name: values}), BY_ID, 1)
            for name, values in [
                ("do_not_email", [True, False]), ("HasOptedOutOfEmail", ["yes", "no"]), ("subscribed", [1, 0]),
                ("Accepts Email Marketing", ["yes", "no"]), ("marketing consent", ["ja", None]),
                ("email_opt_in", ["Y", "N"]), ("dont_email", [True, None]),
            ]
        ),
        ("identify", ids(["u"], do_not_email=[True], unsubscribed=[True]), BY_ID, 0),
        ("identify", ids(["u"], opt_in_date=["2024-01-02"]), BY_ID, 0),
        ("identify", ids(["u"], cookie_consent=[True]), BY_ID, 0),
        ("track", ids(["u"], do_not_email=[True]), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "trait.unsubscribed-word": [
        ("identify", ids(["u"] * 4, unsubscribed=[" true", "TRUE\u00a0", " 0 ", "\tFalse"]), BY_ID, 4),
        ("identify", ids(["u"] * 3, **{"cio_subscription_preferences.topics.topic_1": ["no", "Nein", "off"]}), BY_ID, 3),
        ("identify", ids(["u"] * 3, cio_subscription_preferences=[{"topics": {"topic_1": word}} for word in ("no", "Nein", "off")]), BY_ID, 3),
        ("identify", ids(["u"] * 2, **{"cio_subscription_preferences.topics": [{"topic_1": "true", "topic_2": "ja"}, None]}), BY_ID, 1),
        ("identify", ids(["u"], cio_subscription_preferences=[{"topics": {"topic_1": "true"}, "channels": {"sms": False}}]), BY_ID, 0),
        ("identify", ids(["u"], cio_subscription_preferences=[{"note": "no"}]), BY_ID, 0),
        ("identify", ids(["u"], other=[{"topics": {"topic_1": "no"}}]), BY_ID, 0),
        ("identify", ids(["u"] * 4, unsubscribed=["TRUE", "1", "False", "0"]), BY_ID, 0),
    ],
    "event.nearly": [
        ("track", ids(["u"] * 4, event=["Delete Person", "user deleted", "UserDeleted", "object_deleted"]), EVENT, 4),
        ("track", ids(["u"] * 3, event=["User Deleted", "Order Deleted", "User Deleted Photo"]), EVENT, 0),
    ],
    "event.field-type": [
        ("track", ids(["u"], event=["Object Deleted"], objectTypeId=["2"], objectId=["o"]), EVENT, 1),
        ("track", ids(["u"], event=["Object Deleted"], objectTypeId=[2], objectId=["o"]), EVENT, 0),
        ("track", ids(["u"], event=["Order Completed"], objectTypeId=["2"]), EVENT, 0),
    ],
    "field.type": [
        ("identify", column("x", "yes"), {**BY_ID, "context": {"active": "x"}}, 1),
        ("identify", column("x", "false"), {**BY_ID, "integrations": {"All": "x"}}, 1),
        ("identify", column("email", 5), BY_ID, 1),
        ("identify", column("email", ["a@b.co"]), BY_ID, 1),
        ("identify", column("createdAt", value=True), BY_ID, 1),
        ("page", column("url", 5), BY_ID, 1),
        ("page", column("url", "https://x.example"), BY_ID, 0),
        ("identify", column("createdAt", 1_700_000_000), BY_ID, 0),
        ("identify", column("x", value=True), {**BY_ID, "context": {"active": "x"}, "integrations": {"All": False}}, 0),
        ("identify", column("x", 5), BY_ID, 0),
        ("form", column("x", 5), {"id": "id", "form_id": cio.lit("f")}, 0),
    ],
    "field.word": [
        ("identify", column("x", "Server"), {**BY_ID, "context": {"channel": "x"}}, 1),
        ("screen", column("x", "iOS"), {**BY_ID, "context": {"device.type": "x"}}, 1),
        ("screen", column("x", "ios"), {**BY_ID, "context": {"device.type": "x", "channel": cio.lit("mobile")}}, 0),
    ],
    "trait.time-space": [
        *(
            ("identify", column("x", value), BY_ID, 1)
            for value in ("2024-08-14 20:36:48+02", "2024-08-14t20:36:48z", "2024-08-14T20:36:48+02", "2024-08-14 20:36 UTC")
        ),
        *(
            ("identify", column("x", value), BY_ID, 0)
            for value in ("2024-08-14T20:36:48+02:00", "2024-08-14", "2024-13-45 10:00", "2024-08-14 20:36 or so")
        ),
    ],
    "trait.time-impossible": [
        ("identify", ids(["u"] * 3, x=["2024-13-45", "2024-02-30T10:00:00Z", "2024-01-02 25:00"]), BY_ID, 3),
        ("identify", ids(["u"] * 2, x=["2024-02-29", "2024-01-02T23:59:59Z"]), BY_ID, 0),
    ],
    "trait.milliseconds": [
        ("identify", ids(["u"] * 3, paid_at=[1_700_000_000_000, 1_700_000_000_000_000, 1_700_000_000]), BY_ID, 2),
        ("identify", ids(["u"] * 2, paid_at=[1_700_000_000, 0]), BY_ID, 0),
    ],
    "page.no-url": [
        ("page", ids(["u", "v"], url=["https://x.de", None]), BY_ID, 1),
        ("page", ids(["u", "v"]), BY_ID, 2),
        ("page", ids(["u"]), {**BY_ID, "checks": cio.Checks(select=["page"])}, 1),
        ("page", ids(["u"], url=["https://x.de"]), BY_ID, 0),
        ("screen", ids(["u"]), BY_ID, 0),
    ],
    "alias.irreversible": [
        ("alias", ids(["a"], b=["b"]), {"previous_id": "id", "user_id": "b"}, 1),
        ("identify", ids(["a"]), BY_ID, 0),
    ],
    "form.no-time": [
        ("form", ids(["a@b.co"]), {"email": "id", "form_id": cio.lit("f")}, 1),
        ("track", ids(["a@b.co"], event=["E"]), EVENT, 0),
    ],
    "form.two-people": [
        ("form", ids(["i"], e=["a@b.co"]), {"email": "e", "id": "id", "form_id": cio.lit("f")}, 1),
        ("form", ids(["i", None], e=[None, "a@b.co"]), {"email": "e", "id": "id", "form_id": cio.lit("f")}, 0),
    ],
    "form.not-text": [
        ("form", column("x", ["a"]), {"id": "id", "form_id": cio.lit("f")}, 1),
        ("form", column("x", {"a": 1}), {"id": "id", "form_id": cio.lit("f")}, 1),
        ("form", column("x", b"a"), {"id": "id", "form_id": cio.lit("f")}, 1),
        ("form", column("x", None, pl.List(pl.String)), {"id": "id", "form_id": cio.lit("f")}, 0),
        ("form", column("x", value=True), {"id": "id", "form_id": cio.lit("f")}, 0),
        ("identify", column("x", ["a"]), BY_ID, 0),
    ],
    "form.ignored": [
        ("form", column("form_name"), {"id": "id", "form_id": cio.lit("f")}, 1),
        ("form", column("name"), {"id": "id", "form_id": cio.lit("f")}, 0),
        ("identify", column("form_name"), BY_ID, 0),
    ],
    "field.not-text": [
        ("track", ids(["u"], event=[["E"]]), EVENT, 1),
        ("track", ids(["u", "v"], event=pl.Series([{"a": 1}, "E"], dtype=pl.Object)), EVENT, 1),
        ("page", ids(["u"], n=[{"a": 1}]), {**BY_ID, "name": "n"}, 1),
        ("track", ids(["u"], event=[5]), EVENT, 0),
        ("page", ids(["u"], n=[None]), {**BY_ID, "name": "n"}, 0),
    ],
    "number.infinite": [
        ("identify", column("x", float("inf")), BY_ID, 1),
        ("identify", column("x", [1.0, float("-inf")]), BY_ID, 1),
        ("identify", column("x", [{"a": [float("inf")]}]), BY_ID, 1),
        ("identify", column("x", {"a": float("inf"), "b": 1}), BY_ID, 1),
        ("identify", column("x", float("nan")), BY_ID, 0),
        ("identify", column("x", 1.7976931348623157e308), BY_ID, 0),
        ("identify", column("x", "inf"), BY_ID, 0),
    ],
    "number.nan": [
        ("identify", column("x", float("nan")), BY_ID, 1),
        ("identify", column("x", [1.0, float("nan")]), BY_ID, 1),
        ("identify", column("x", None, pl.Float64), BY_ID, 0),
    ],
    "number.large": [
        ("identify", column("x", 2**53 + 1), BY_ID, 1),
        ("identify", column("x", -(2**53) - 1), BY_ID, 1),
        ("identify", column("x", 2**64 - 1, pl.UInt64), BY_ID, 1),
        ("identify", column("x", 2**127, pl.UInt128), BY_ID, 1),
        ("identify", column("x", [{"n": 2**60}]), BY_ID, 1),
        ("identify", column("x", Decimal("1234567890.1234567")), BY_ID, 1),
        ("identify", column("x", 2**53), BY_ID, 0),
        ("identify", column("x", Decimal("1234567890.12345")), BY_ID, 0),
        ("identify", column("x", 7, pl.UInt8), BY_ID, 0),
    ],
    "type.unsupported": [
        ("identify", column("x", b"a"), BY_ID, 1),
        ("identify", column("x", [b"a"]), BY_ID, 1),
        ("identify", column("x", {"a": b"a"}), BY_ID, 1),
        ("identify", column("x", None, pl.Binary), BY_ID, 0),
        ("identify", column("x", ["a"]), BY_ID, 0),
    ],
    "value.too-long": [
        ("identify", column("x", "x" * 1001), BY_ID, 1),
        ("group", column("x", "é" * 501), {"group_id": "id"}, 1),
        ("identify", column("x", "x" * 1000), BY_ID, 0),
        ("track", column("x", "x" * 1001), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "name.too-long": [
        ("identify", column("x" * 151), BY_ID, 1),
        ("identify", column("é" * 76), BY_ID, 1),
        ("identify", column("x" * 150), BY_ID, 0),
    ],
    "name.too-many": [
        ("identify", ids(["u"], **{f"c{n}": [n] for n in range(301)}), BY_ID, 1),
        ("identify", ids(["u"], **{f"c{n}": [n] for n in range(300)}), BY_ID, 0),
        ("track", ids(["u"], **{f"c{n}": [n] for n in range(301)}), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "name.reserved": [
        ("identify", column("cio_id"), BY_ID, 1),
        ("identify", ids(["u"]), {**BY_ID, "body": {"id": "id"}}, 1),
        ("group", column("relationship"), {"group_id": "id"}, 1),
        ("identify", column("email", "a@b.co"), BY_ID, 0),
        ("identify", column("relationship"), BY_ID, 0),
        ("identify", column("anonymous_id", "v1"), BY_ID, 0),
        ("identify", column("phone", "+4930123456"), BY_ID, 0),
        ("track", column("cio_id"), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "name.stripped": [
        ("identify", column("objectId"), BY_ID, 1),
        ("group", column("object_type_id"), {"group_id": "id"}, 1),
        ("identify", column("createdAt"), BY_ID, 0),
        ("track", column("objectId"), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "property.override": [
        ("track", column("recipient"), {**BY_ID, "event": cio.lit("E")}, 1),
        ("track", column("to"), {**BY_ID, "event": cio.lit("E")}, 0),
        ("identify", column("recipient"), BY_ID, 0),
    ],
    "message.too-large": [
        ("track", column("x", "x" * 32_000), {**BY_ID, "event": cio.lit("E")}, 1),
        ("track", column("x", "x" * 31_000), {**BY_ID, "event": cio.lit("E")}, 0),
    ],
    "mapping.proposed": [
        ("identify", ids(["u"]), {}, 1),
        ("identify", ids(["u"]), BY_ID, 0),
    ],
    "mapping.rivals": [
        ("identify", ids(["u"], customer_id=["c"]), {}, 1),
        ("identify", ids(["u"]), {}, 0),
    ],
    "mapping.unused": [
        ("identify", column("x"), {**BY_ID, "body": []}, 1),
        ("identify", column("x"), BY_ID, 0),
    ],
}  # fmt: skip

TABLE = [
    pytest.param(code, case, id=f"{code}-{number}")
    for code, cases in CASES.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("code", "case"), TABLE)
def test_a_check_finds_its_rows_and_no_others(judge, code, case):
    """Each check has as many findings as its case says, none of them for the rows beside."""
    call, data, asked, wanted = case

    findings = judge(call, data, **asked)

    assert findings.filter(pl.col("code") == code).height == wanted


def test_a_repeated_person_has_the_row_that_wins(judge):
    """If times are sent, the finding names the row with the latest one; otherwise it names none."""
    table = ids(["u", "v", "u", "u"], t=[OLD, NOW, NOW, OLD])

    timed_rows = judge("identify", table, user_id="id", timestamp="t")
    plain = judge("identify", table, user_id="id")

    findings = timed_rows.filter(pl.col("code") == "id.duplicate").sort("row")
    assert findings["value"].to_list() == ["same as row 0, row 2 wins", "same as row 0, row 2 wins"]
    assert (
        findings["message"]
        .cast(pl.String)
        .str.contains("the row with the latest timestamp wins")
        .all()
    )
    others = plain.filter(pl.col("code") == "id.duplicate")
    assert others["value"].to_list() == ["same as row 0", "same as row 0"]


def test_objects_with_several_values_name_the_traits(judge):
    """The finding names the traits that differ, and the object."""
    table = ids(["g", "g"], plan=["a", "b"], size=[1, 1])

    findings = judge("group", table, group_id="id").filter(pl.col("code") == "group.many-values")

    assert (findings["row"].item(), findings["value"].item()) == (1, "g")
    assert "Different values in: plan." in str(findings["message"].item())


@pytest.mark.parametrize(
    ("call", "data", "extent"),
    [
        ("page", {"id": ["u", "v"]}, "every row"),
        ("track", {"id": ["u", "v"], "event": ["E", "F"]}, "every row"),
        ("track", {"id": ["u", "v"], "event": ["E", "User Deleted"]}, "1 row"),
    ],
)
def test_events_without_a_time_are_counted(judge, call, data, extent):
    """All rows are counted whose events would be recorded as of now, also where the event is no column."""
    asked = {"event": "event"} if call == "track" else {}

    findings = judge(call, data, user_id="id", **asked).filter(pl.col("code") == "time.now")

    assert findings["value"].to_list() == [extent]


def test_the_table_is_complete():
    """Every check of this table has a case that it finds and one that it does not."""
    assert set(CASES) <= {check.code for check in CATALOGUE}
    for code, cases in CASES.items():
        assert any(wanted for *_, wanted in cases), code
        assert any(not wanted for *_, wanted in cases), code


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.code)
def test_every_check_speaks(check: Check):
    """A check has a code of two parts, whole sentences, and says where its rule comes from."""
    subject, _, problem = check.code.partition(".")

    assert subject.isalpha()
    assert problem.replace("-", "").isalpha()
    assert check.severity in SEVERITIES
    assert check.source
    for words in (check.texts.sentence, check.texts.hint, check.texts.consequence):
        assert words.endswith((".", ".)"))
        assert words[0].isupper() or words.startswith(("{column}", "previous_id", "plan."))


def test_codes_are_unique():
    """No two checks share a code."""
    codes = [check.code for check in CATALOGUE]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group", "alias", "form"])
@pytest.mark.parametrize(
    "dtype",
    [
        pl.String, pl.Categorical, pl.Enum(["a"]), pl.Boolean, pl.Int8, pl.UInt64, pl.Int128,
        pl.UInt128, pl.Float32, pl.Float16, pl.Decimal(9, 2), pl.Date, pl.Datetime("ns"),
        pl.Datetime("us", BERLIN), pl.Time, pl.Duration, pl.Binary, pl.Null, pl.List(pl.Float64),
        pl.Array(pl.Datetime("us"), 2), pl.Struct({"a": pl.List(pl.Binary)}),
    ],
    ids=str,
)  # fmt: skip
def test_any_type_in_any_place_is_judged(judge, call, dtype):
    """Whatever type stands behind a field or a trait, the checks answer and do not fail."""
    frame = pl.DataFrame({"v": pl.Series([None], dtype=dtype), "id": ["u"]})
    fields = {
        "identify": {"user_id": "v", "timestamp": "v", "message_id": "v"},
        "track": {"user_id": "v", "event": "v", "timestamp": "v"},
        "page": {"anonymous_id": "v", "name": "v", "timestamp": "v"},
        "screen": {"user_id": "id", "name": "v"},
        "group": {"group_id": "v", "object_type_id": "v", "user_id": "v"},
        "alias": {"previous_id": "v", "user_id": "id"},
        "form": {"email": "v", "form_id": "v"},
    }[call]
    body = {} if call == "alias" else {"body": {"x": "v", "url": "v", "email": "v"}}
    if call == "form":
        body = {"body": {"x": "v"}}

    findings = judge(call, frame, timezone=BERLIN, **fields, **body)

    blocked = findings.filter(pl.col("severity").is_in(["refuse", "reject"]), pl.col("row") == 0)
    assert blocked.is_empty() == (call == "screen")
