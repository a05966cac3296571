"""Every code has a table that it finds, and one next to it that it must leave alone."""

import datetime as dt
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.checks import CATALOGUE, RunsTest

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
BERLIN = {"timezone": "Europe/Berlin"}
FORM = {"form_id": cio.lit("f"), "email": "email"}
MERGE = {"previous_id": "x", "user_id": "id"}
Asked = tuple[str, Any, dict[str, Any]]


def ids(*values: Any, **others: Any) -> Asked:
    """Identify people of these ids."""
    return "identify", {"id": list(values), **others}, {"user_id": "id"}


def trait(*values: Any, name: str = "x", dtype: Any = None) -> Asked:
    """Identify people with these values of one trait."""
    names = [f"u{place}" for place in range(len(values))]
    return "identify", {"id": names, name: pl.Series(values, dtype=dtype)}, {"user_id": "id"}


def emails(*values: Any, people: tuple[str, ...] = ()) -> Asked:
    """Identify people with these addresses."""
    names = people or tuple(f"u{place}" for place in range(len(values)))
    return "identify", {"id": list(names), "email": list(values)}, {"user_id": "id"}


def times(*values: Any, dtype: Any = None, **asked: Any) -> Asked:
    """Track events at these times, each of another person."""
    names = [f"u{place}" for place in range(len(values))]
    fields = {"user_id": "id", "event": cio.lit("E"), "timestamp": "x"}
    return "track", {"id": names, "x": pl.Series(values, dtype=dtype)}, {**fields, **asked}


def events(*names: Any, **others: Any) -> Asked:
    """Track events of these names."""
    people = [f"u{place}" for place in range(len(names))]
    return (
        "track",
        {"id": people, "event": list(names), **others},
        {"user_id": "id", "event": "event"},
    )


def call(verb: str, data: dict[str, Any], /, **asked: Any) -> Asked:
    """Ask any verb."""
    return verb, data, asked


def merges(*pairs: tuple[str, str]) -> Asked:
    """Alias these pairs of previous and remaining people."""
    return "alias", {"x": [one for one, _ in pairs], "id": [other for _, other in pairs]}, MERGE


def forms(*names: str) -> Asked:
    """Submit these forms."""
    addresses = [f"a{place}@b.co" for place in range(len(names))]
    return "form", {"form": list(names), "email": addresses}, {"form_id": "form", "email": "email"}


def naive(*parts: int) -> dt.datetime:
    """Return a time without a zone."""
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - naive on purpose


def days(number: int) -> dt.datetime:
    """Return the moment so many days before now."""
    return NOW - dt.timedelta(days=number)


KNOWN = cio.Checks(reference={"user_id": ["007", "u1"]})
WIDE = {f"a{place}": [1] for place in range(301)}
HUNDRED = [f"u{place}" for place in range(1_000, 1_100)]
TWENTY = list(range(1, 21))

TABLE: dict[str, tuple[Asked, Asked]] = {
    "id.missing": (ids(None, "u"), ids("u")),
    "id.float": (ids(1.0), ids(1)),
    "id.precision-lost": (ids(2.0**53 + 2), ids(2.0**53)),
    "id.fractional": (ids(1.5), ids(1.0)),
    "id.boolean": (ids(True), ids("yes")),
    "id.type": (ids(["u"]), ids("u")),
    "id.placeholder": (ids("NaN"), ids("Nanna")),
    "id.nobody": (ids("guest"), ids("guest7")),
    "id.padded": (ids(" u"), ids("a b")),
    "id.invisible": (ids("a\u200bb"), ids("ab")),
    "id.guarded": (ids('="00123"'), ids("o'hara")),
    "id.column-name": (ids("ID"), ids("id1")),
    "id.unlike": (ids(*HUNDRED, "TOTAL"), ids(*HUNDRED, "u7")),
    "id.too-long": (ids("é" * 76), ids("é" * 75)),
    "id.cio": (ids("cio_1"), ids("cion_1")),
    "id.cio-bare": (
        call("identify", {"cio_id": ["03a0"]}, user_id="cio_id"), call("identify", {"cio_id": ["cio_03a0"]}, user_id="cio_id"),
    ),
    "id.float-text": (ids("123.0"), ids("123.5")),
    "id.scientific": (ids("1.05E+04"), ids("1e5f00")),
    "id.truth-word": (ids("TRUE"), ids("truey")),
    "id.negative": (ids(-1), ids(1)),
    "id.two-scripts": (ids("\u0430nn"), ids("анна")),
    "id.broken-address": (ids("a@b"), ids("a@b.co")),
    "id.swapped": (emails("u1", people=("a@b.co",)), emails("c@d.co", people=("a@b.co",))),
    "id.some-addresses": (ids("a@b.co", "u1", "u2"), ids("a@b.co", "c@d.co")),
    "id.zeros-lost": (ids("7", code=["007"]), ids("7", code=["008"])),
    "id.zeros-mixed": (ids("007", "12"), ids("007", "0012", "12")),
    "id.zeros-risk": (ids(*TWENTY), ids(*[n + 100 for n in TWENTY])),
    "id.unknown": (
        call("identify", {"id": ["u2"]}, user_id="id", checks=KNOWN),
        call("identify", {"id": ["u1"]}, user_id="id", checks=KNOWN),
    ),
    "id.case-variants": (ids("Ann", "ann"), ids("Ann", "Bob")),
    "id.look-alikes": (ids("\u0430nn", "ann"), ids("\u0430nn", "anne")),
    "id.duplicate": (ids("u", "u", x=[1, 2]), ids("u", "U")),
    "email.placeholder": (emails("none@none"), emails("none@none.example")),
    "email.wrapped": (emails("mailto:a@b.co"), emails("mail.to@b.co")),
    "email.invalid": (emails("a@b@c.co"), emails("a+b@c.co")),
    "message.no-id": (
        call("identify", {"id": ["u"], "m": ["nan"]}, user_id="id", message_id="m"),
        call("identify", {"id": ["u"], "m": [None]}, user_id="id", message_id="m"),
    ),
    "message.duplicate": (ids("u", "u", x=[1, 1]), ids("u", "u", x=[1, 2])),
    "message.conflict": (
        call("track", {"id": ["u", "u"], "x": [1, 2]}, user_id="id", event=cio.lit("E"), key="id"),
        call("track", {"id": ["u", "u"], "x": [1, 1]}, user_id="id", event=cio.lit("E"), key="id"),
    ),
    "message.too-large": (trait("y" * 40_000), trait("y" * 30_000)),
    "person.many-emails": (
        emails("a@b.co", "c@d.co", people=("u", "u")), emails("a@b.co", "A@b.co ", people=("u", "u")),
    ),
    "person.shared-email": (emails("a@b.co", "A@b.co"), emails("a@b.co", "b@b.co")),
    "person.too-many": (ids("u", **WIDE), ids("u", **{**WIDE, "a0": [None], "a1": [None]})),
    "alias.self": (merges(("a", "a")), merges(("a", "b"))),
    "alias.cycle": (merges(("a", "b"), ("b", "a")), merges(("a", "b"), ("b", "c"))),
    "alias.chain": (merges(("a", "b"), ("b", "c")), merges(("a", "c"), ("b", "c"))),
    "alias.split": (merges(("a", "b"), ("a", "c")), merges(("a", "b"), ("c", "b"))),
    "alias.irreversible": (merges(("a", "b")), ids("a")),
    "group.type": (
        call("group", {"id": ["g"], "t": ["x"]}, group_id="id", object_type_id="t"),
        call("group", {"id": ["g"], "t": [2]}, group_id="id", object_type_id="t"),
    ),
    "group.no-type": (
        call("group", {"id": ["g"]}, group_id="id"),
        call("group", {"id": ["g"]}, group_id="id", object_type_id=cio.lit("1")),
    ),
    "time.unreadable": (times("soon"), times("2024-01-02T03:04Z")),
    "time.clock-change": (times(naive(2024, 3, 31, 2, 30), **BERLIN), times(naive(2024, 3, 31, 3, 30), **BERLIN)),
    "time.missing": (times(None, days(9)), times(days(9))),
    "time.out-of-range": (trait(2_932_897, dtype=pl.Date), trait(2_932_896, dtype=pl.Date)),
    "time.future": (times(days(-2)), times(days(0))),
    "time.early": (times("1969-12-31T23:59:59Z"), times("1970-01-01T00:00:00Z")),
    "time.recent": (times(days(2)), times(days(4))),
    "time.naive": (times(naive(2024, 1, 2)), times(days(9))),
    "time.naive-text": (times("2024-01-02 03:04"), times("2024-01-02 03:04Z")),
    "time.date-only": (times(dt.date(2024, 1, 2)), times(days(9))),
    "time.epoch": (times(1_700_000_000), times(days(9))),
    "time.misread-unit": (times("1970-01-20T00:00:00Z"), times("1970-04-01T00:00:00Z")),
    "time.offsets": (
        times("2024-01-02T03:04+01:00", "2024-01-02T03:04Z"), times("2024-01-02T03:04Z", "2024-02-02T03:04Z"),
    ),
    "time.unsorted": (
        call("track", {"id": ["u", "u"], "x": [days(8), days(9)]}, **times(1)[2]),
        times(days(8), days(9)),
    ),
    "time.now": (events("E"), times(days(9))),
    "time.unmapped": (
        events("E", timestamp=[days(9)]),
        call("track", {"id": ["u"], "timestamp": [days(9)]}, user_id="id", event=cio.lit("E"), timestamp="timestamp"),
    ),
    "time.stale": (
        call("identify", {"id": ["u"], "x": [days(1)]}, user_id="id", timestamp="x"), times(days(9)),
    ),
    "group.many-values": (
        call("group", {"id": ["g", "g"], "u": ["a", "b"], "x": [1, 2]}, group_id="id", user_id="u"),
        call("group", {"id": ["g", "h"], "u": ["a", "b"], "x": [1, 2]}, group_id="id", user_id="u"),
    ),
    "group.no-person": (
        call("group", {"id": ["g"]}, group_id="id"), call("group", {"id": ["g"], "u": ["a"]}, group_id="id", user_id="u"),
    ),
    "trait.preferences-replaced": (
        trait({"topics": {"topic_1": True}}, name="cio_subscription_preferences"),
        trait(True, name="cio_subscription_preferences.topics.topic_1"),
    ),
    "trait.resubscribed": (trait(False, name="unsubscribed"), trait(True, name="unsubscribed")),
    "time.day-first": (times("31/01/2024", "01/02/2024"), times("01/31/2024", "01/02/2024")),
    "time.month-first": (times("01/31/2024", "01/02/2024"), times("31/01/2024", "01/02/2024")),
    "time.day-or-month": (times("31/01/2024", "01/31/2024"), times("31/01/2024", "01/02/2024")),
    "time.excel-serial": (times("45000.5"), times("95000.5")),
    "time.compact": (times(20_240_102), times(20_241_302)),
    "time.epoch-text": (times("1700000000"), times("17000000")),
    "time.epoch-mixed": (times(1_700_000_000, 1_700_000_000_000), times(1_700_000_000, 1_600_000_000)),
    "event.missing": (events(None, "E"), events("E")),
    "event.padded": (events("E "), events("E e")),
    "event.too-long": (events("é" * 51), events("é" * 50)),
    "event.destructive": (events("User Deleted"), events("user deleted")),
    "event.nearly": (events("Delete Person"), events("Order Deleted")),
    "event.field-type": (
        events("Object Deleted", objectId=["o"], objectTypeId=["2"]), events("Object Deleted", objectId=["o"], objectTypeId=[2]),
    ),
    "field.type": (trait(5, name="email"), trait("a@b.co", name="email")),
    "field.word": (
        call("identify", {"id": ["u"], "x": ["Server"]}, user_id="id", context={"channel": "x"}),
        call("identify", {"id": ["u"], "x": ["server"]}, user_id="id", context={"channel": "x"}),
    ),
    "event.semantic": (events("Application Opened"), events("Application Seen")),
    "event.incomplete": (
        events("Device Created or Updated"),
        call("track", {"id": ["u"], "t": ["k"]}, user_id="id", event=cio.lit("Device Created or Updated"), context={"device.token": "t"}),
    ),
    "event.variants": (events(*["Order Placed"] * 3, "order_placed"), events(*["Order Placed"] * 3, "Order Paid")),
    "page.no-url": (
        call("page", {"id": ["u"]}, user_id="id"),
        call("page", {"id": ["u"], "url": ["https://a.example"]}, user_id="id"),
    ),
    "screen.no-name": (
        call("screen", {"id": ["u"]}, user_id="id"), call("screen", {"id": ["u"]}, user_id="id", name=cio.lit("Home")),
    ),
    "form.no-time": (forms("f"), ids("u")),
    "form.two-people": (
        call("form", {"id": ["u"], "email": ["a@b.co"]}, form_id=cio.lit("f"), email="email", id="id"),
        call("form", {"id": ["u"], "email": [None]}, form_id=cio.lit("f"), email="email", id="id"),
    ),
    "form.typo": (forms(*["newsletter"] * 20, "newsleter"), forms(*["newsletter"] * 20, "contact")),
    "form.not-text": (call("form", {"email": ["a@b.co"], "x": [[1]]}, **FORM), call("form", {"email": ["a@b.co"], "x": [1]}, **FORM)),
    "form.ignored": (
        call("form", {"email": ["a@b.co"], "form_name": ["n"]}, **FORM), call("form", {"email": ["a@b.co"], "name": ["n"]}, **FORM),
    ),
    "trait.unsubscribed-word": (trait("JA", name="unsubscribed"), trait("true", name="unsubscribed")),
    "trait.unsubscribed-unknown": (trait("maybe", name="unsubscribed"), trait("1", name="unsubscribed")),
    "trait.unsubscribed-empty": (trait("", name="unsubscribed"), trait("false", name="unsubscribed")),
    "trait.consent": (trait(True, name="do_not_email"), trait(True, name="cookie_consent")),
    "trait.phone-form": (trait("(212) 555-0142", name="phone"), trait("+12125550142", name="phone")),
    "trait.phone-written": (trait("+1 (212) 555-0142", name="phone"), trait("(212) 555-0142", name="phone")),
    "trait.phone-unknown": (trait("+15555550142", name="phone"), trait("+12125550142", name="phone")),
    "trait.phone-fixed": (trait("+4930901820", name="phone"), trait("+4915123456789", name="phone")),
    "trait.milliseconds": (trait(1_700_000_000_000, name="seen_at"), trait(1_700_000_000, name="seen_at")),
    "trait.date-only": (trait("2024-01-02"), trait("2024-01-02T00:00:00Z")),
    "trait.time-impossible": (trait("2024-13-45"), trait("2024-12-31")),
    "trait.time-zero": (
        trait(0, 1_700_000_000, name="paid_at"), trait(0, 15, name="response_time"),
    ),
    "trait.date-written": (trait("3/4/2024"), trait("2024-04-03")),
    "trait.time-space": (trait("2024-01-02 03:04"), trait("2024-01-02T03:04")),
    "trait.created-future": (trait(days(-2), name="created_at"), trait(days(2), name="created_at")),
    "trait.created-unread": (trait("spring", name="created_at"), trait("2024-01-02", name="created_at")),
    "field.not-text": (events(["E"]), events("E")),
    "number.infinite": (trait(float("inf")), trait(1.5)),
    "number.nan": (trait(float("nan")), trait(None)),
    "number.large": (trait(2**53 + 1), trait(2**53)),
    "type.unsupported": (trait(b"x"), trait("x")),
    "value.too-long": (trait("y" * 1_001), trait("y" * 1_000)),
    "text.control": (trait("a\x07"), trait("a\tb\n")),
    "text.direction": (trait("a\u202eb"), trait("שלום")),
    "text.mojibake": (trait("KÃ¶ln"), trait("Köln Ã")),
    "text.lost-character": (trait("K\ufffdln"), trait("K?ln")),
    "text.entity": (trait("a &amp; b"), trait("a & b; c")),
    "text.markup": (trait("<b>x</b>"), trait("a < b > c")),
    "text.formula": (trait("=1+1"), trait("+1-555-833-4621")),
    "text.json": (trait('{"a": 1}'), trait("{a}")),
    "value.guarded": (trait("'+12125550142", '="00123"'), trait("'90s music", "'tis")),
    "value.padded": (trait("x "), trait("x y")),
    "value.placeholder": (trait("#N/A"), trait("#N")),
    "value.empty": (trait(""), trait(None)),
    "trait.emptied": (trait("", name="phone"), trait(None, name="phone")),
    "value.zeros-mixed": (trait("01394", "1394"), trait("01394", "H3B")),
    "column.nested": (trait("Oslo", name="address.city"), trait("Oslo", name="address_city")),
    "column.left-over": (trait(0, name="Unnamed: 0"), trait(0, name="unnamed")),
    "column.record-details": (
        trait({"type": "Lead", "url": "/x"}, name="attributes"), trait({"type": "Lead", "size": "x"}, name="attributes"),
    ),
    "column.empty": (trait(None, None), trait(None, "a")),
    "column.constant": (trait("a", "a"), trait("a", None)),
    "column.placeholders": (trait("nan", "null", "x"), trait("nan", "x", "y")),
    "column.numbers-as-text": (trait("$1,234", "€ 5"), trait("1394", "H3B")),
    "column.truth-as-text": (trait("JA", "NEIN"), trait("JA", "JANE")),
    "column.stray-text": (trait(*map(str, range(30)), "7 or 8"), trait(*map(str, range(30)), "7 or 8", "9 or 10")),
    "column.mixed-kinds": (trait(*["1"] * 5, *["a"] * 5), trait(*["1"] * 5, *["1a"] * 0, *["2"] * 5)),
    "name.too-long": (trait(1, name="y" * 151), trait(1, name="y" * 150)),
    "name.too-many": (ids("u", **WIDE), ids("u", **dict(list(WIDE.items())[:300]))),
    "name.reserved": (trait(1, name="cio_id"), trait(1, name="ciobid")),
    "name.stripped": (trait(1, name="objectId"), trait(1, name="object")),
    "name.envelope": (trait(1, name="messageId"), trait(1, name="message")),
    "name.odd": (trait(1, name="$x"), trait(1, name="x y")),
    "name.nearly": (trait("a@b.co", name="Email"), trait("a@b.co", name="email")),
    "name.variants": (ids("u", Plan=["a"], plan=["b"]), ids("u", plans=["a"], plan=["b"])),
    "property.override": (events("E", recipient=["a@b.co"]), events("E", recipients=["a@b.co"])),
    "mapping.proposed": (call("identify", {"user_id": ["u"]}), ids("u")),
    "mapping.rivals": (
        call("identify", {"user_id": ["u"], "customer_id": ["c"]}), call("identify", {"user_id": ["u"]}),
    ),
    "mapping.unused": (
        call("identify", {"id": ["u"], "x": [1], "y": [1]}, user_id="id", traits=["x"]), ids("u", x=[1]),
    ),
    "sensitive.card": (trait("card 4111-1111-1111-1111"), trait("card 4111-1111-1111-1112")),
    "sensitive.iban": (trait("DE89370400440532013000"), trait("DE88370400440532013000")),
    "sensitive.national-id": (trait("078-05-1121"), trait("000-05-1121")),
    "sensitive.secret": (trait("AKIAIOSFODNN7EXAMPLE"), trait("AKIA")),
    "sensitive.secret-column": (trait("x", name="apiKey"), trait("x", name="key")),
    "sensitive.identity-column": (trait("x", name="Passport Number"), trait("x", name="passports")),
    "sensitive.health-column": (trait("x", name="blood_type"), trait("x", name="type")),
}  # fmt: skip


def codes(asked: Asked) -> set[str]:
    """Return the codes found in a table."""
    verb, data, arguments = asked
    plan = getattr(cio.frame(pl.DataFrame(data, strict=False)), verb)(**arguments)
    return set(replace(plan.pipeline, clock=lambda: NOW).full_check.findings["code"])


@pytest.mark.parametrize("code", TABLE)
def test_a_code_finds_its_table_and_not_the_one_beside(code):
    """What is wrong is found; what is nearly the same and right is not."""
    bad, good = TABLE[code]

    assert code in codes(bad)
    assert code not in codes(good)


def test_every_code_is_in_the_table():
    """No check goes without a case that triggers it and a near miss."""
    of_runs = {check.code for check in CATALOGUE if isinstance(check.test, RunsTest)}

    assert set(TABLE) == {check.code for check in CATALOGUE} - of_runs


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.code)
def test_a_check_has_a_repair_or_says_why_not(check):
    """Exactly one of the two, and a repair says what it does."""
    assert (check.repair is None) == bool(check.texts.no_repair_because)
    assert (check.repair is None) != bool(check.texts.repair)
    assert check.texts.hint
    assert check.texts.consequence
