"""Events, anonymous visitors and what becomes of them."""

from datetime import UTC, datetime, timedelta

import pytest

from cio_frames.identity import Model, Settings

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def track(name="View", *, user=None, visitor=None, timestamp=None, **properties):
    """Build a track call."""
    return {
        "type": "track",
        "event": name,
        "userId": user,
        "anonymousId": visitor,
        "timestamp": None if timestamp is None else timestamp.isoformat(),
        "properties": properties,
    }


def identify(user, visitor=None, **traits):
    """Build an identify call."""
    return {"type": "identify", "userId": user, "anonymousId": visitor, "traits": traits}


def run(steps, **settings):
    """Apply messages, each at its time after the start; returns the workspace and all rules."""
    model = Model(Settings(**settings))
    applied = [
        [change.rule.name for change in model.apply(message, received_at=START + after)]
        for after, message in steps
    ]
    return model, applied


def owners(model):
    """Return how each event got its person."""
    return [(event["person"], event["attribution"]) for event in model.events()]


ONE = "c10000000001"
WINDOWS = {
    "3.3 earlier events are attributed": (
        [(0 * DAY, track(visitor="x")), (1 * DAY, identify("u1", "x"))], {}, [(ONE, "linked")]),
    "3.3 at 30 days still": (
        [(0 * DAY, track(visitor="x")), (30 * DAY, identify("u1", "x"))], {}, [(ONE, "linked")]),
    "3.3 after 30 days no more": (
        [(0 * DAY, track(visitor="x")), (30 * DAY + MINUTE, identify("u1", "x"))],
        {}, [(None, "expired")]),
    "3.3 an old timestamp received now counts as new": (
        [(0 * DAY, track(visitor="x", timestamp=START - 40 * DAY)),
         (0 * DAY, identify("u1", "x"))], {}, [(ONE, "linked")]),
    "anonymous_age=timestamp": (
        [(0 * DAY, track(visitor="x", timestamp=START - 40 * DAY)),
         (0 * DAY, identify("u1", "x"))],
        {"anonymous_age": "timestamp"}, [(None, "expired")]),
    "3.3 within 5 minutes after": (
        [(0 * DAY, identify("u1", "x")), (5 * MINUTE, track(visitor="x"))], {}, [(ONE, "linked")]),
    "3.3 later than 5 minutes after": (
        [(0 * DAY, identify("u1", "x")), (6 * MINUTE, track(visitor="x"))], {}, [(None, "late")]),
    "C22 identifying again does not help": (
        [(0 * DAY, identify("u1", "x")), (6 * MINUTE, track(visitor="x")),
         (7 * MINUTE, identify("u1", "x"))], {}, [(None, "late")]),
    "late_anonymous=reidentify": (
        [(0 * DAY, identify("u1", "x")), (6 * MINUTE, track(visitor="x")),
         (7 * MINUTE, identify("u1", "x"))],
        {"late_anonymous": "reidentify"}, [(ONE, "linked")]),
    "3.3 anonymous merge is off": (
        [(0 * DAY, track(visitor="x")), (0 * DAY, identify("u1", "x")),
         (0 * DAY, track(visitor="x"))],
        {"anonymous_merge": False}, [(None, "off"), (None, "off")]),
    "3.3 track with both ids goes to userId": (
        [(0 * DAY, track(user="u1", visitor="x")), (0 * DAY, track(visitor="x"))],
        {}, [(ONE, "direct"), (None, "anonymous")]),
    "3.3 not reusable: the second person gets nothing": (
        [(0 * DAY, identify("u1", "x")), (0 * DAY, identify("u2", "x")),
         (0 * DAY, track(visitor="x"))], {}, [(ONE, "linked")]),
    "3.3 not reusable after deletion": (
        [(0 * DAY, identify("u1", "x")), (0 * DAY, track("User Deleted", user="u1")),
         (0 * DAY, track(visitor="x")), (0 * DAY, identify("u2", "x"))],
        {}, [(None, "anonymous")]),
    "3.4 a late event goes to the person kept by a merge": (
        [(0 * DAY, identify("u1")), (0 * DAY, identify("u2", "x")),
         (0 * DAY, {"type": "alias", "previousId": "u2", "userId": "u1"}),
         (MINUTE, track(visitor="x"))], {}, [(ONE, "linked")]),
    "C18 alias does not link an anonymous id": (
        [(0 * DAY, track(visitor="x")), (0 * DAY, identify("u1")),
         (0 * DAY, {"type": "alias", "previousId": "x", "userId": "u1"})],
        {}, [(None, "anonymous")]),
    "alias_previous=id-or-anonymous": (
        [(0 * DAY, track(visitor="x")), (0 * DAY, identify("u1")),
         (0 * DAY, {"type": "alias", "previousId": "x", "userId": "u1"})],
        {"alias_previous": "id-or-anonymous"}, [(ONE, "linked")]),
    "2.6 alias before its identify does nothing": (
        [(0 * DAY, track(visitor="x")),
         (0 * DAY, {"type": "alias", "previousId": "x", "userId": "u1"}),
         (0 * DAY, identify("u1")), (MINUTE, track(visitor="x"))],
        {}, [(None, "anonymous"), (None, "anonymous")]),
    "alias_unknown=create": (
        [(0 * DAY, track(visitor="x")),
         (0 * DAY, {"type": "alias", "previousId": "x", "userId": "u1"}),
         (0 * DAY, identify("u1")), (MINUTE, track(visitor="x"))],
        {"alias_unknown": "create"}, [(ONE, "linked"), (ONE, "linked")]),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "settings", "expected"), WINDOWS.values(), ids=WINDOWS.keys())
def test_anonymous_events_find_their_person(steps, settings, expected):
    """An anonymous event belongs to the person its windows and settings give it to."""
    model, _ = run(steps, **settings)

    assert owners(model) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(72 * 60 * MINUTE, True, id="3.8 at 72 hours"),
        pytest.param(72 * 60 * MINUTE + MINUTE, False, id="3.8 after 72 hours"),
    ],
)
@pytest.mark.parametrize("anonymous", [False, True])
def test_only_young_events_trigger_campaigns(age, expected, anonymous):
    """An event starts campaigns if it is at most 72 hours old when it gets its person."""
    who = {"visitor": "x"} if anonymous else {"user": "u1"}

    model, _ = run([(0 * DAY, track(timestamp=START - age, **who)), (0 * DAY, identify("u1", "x"))])

    assert [event["can_trigger_campaigns"] for event in model.events()] == [expected]


@pytest.mark.parametrize(("moves", "kept"), [("recent", ["new"]), ("all", ["old", "new"])])
def test_alias_moves_events_and_they_start_nothing(moves, kept):
    """A merge moves 29 days of events at once and the older ones later, or loses those (N2).

    None of them starts a campaign (3.4).
    """
    steps = [
        (0 * DAY, identify("u1")),
        (0 * DAY, track("old", user="u2", timestamp=START - 29 * DAY - MINUTE)),
        (0 * DAY, track("new", user="u2")),
        (0 * DAY, {"type": "alias", "previousId": "u2", "userId": "u1"}),
    ]

    model, _ = run(steps, merged_events=moves)

    assert [event["name"] for event in model.events()] == kept
    assert {event["person"] for event in model.events()} == {ONE}
    assert not any(event["can_trigger_campaigns"] for event in model.events())
    (merge,) = model.merges()
    assert merge["events_moved"] == 1
    assert merge["events_lost"] == 2 - len(kept)
    assert merge["events_later"] == len(kept) - 1
    assert merge["open"] == "merged_events"


def test_deleting_a_person_deletes_the_events():
    """Events go with their person and do not come back with the id (3.6)."""
    steps = [(0 * DAY, track(user="u1")), (0 * DAY, track("User Deleted", user="u1"))]

    model, _ = run([*steps, (0 * DAY, identify("u1"))])

    assert model.events() == []
    assert model.people()[0]["cio_id"] == "c10000000002"


def test_an_anonymous_identify_is_no_person_until_linked():
    """Traits of a visitor fill the gaps of the person, and make none on their own (3.3)."""
    steps = [
        (0 * DAY, identify(None, "x", plan="free", city="Bonn")),
        (0 * DAY, identify("u1", "x", plan="pro")),
    ]

    early, applied = run(steps[:1])
    model, _ = run(steps)
    staying, _ = run(steps, anonymous_traits="stay")

    assert applied == [["anonymous.updated"]]
    assert early.people() == []
    assert early.anonymous()[0]["attributes"] == {"plan": "free", "city": "Bonn"}
    assert model.people()[0]["attributes"] == {"plan": "pro", "city": "Bonn"}
    assert staying.people()[0]["attributes"] == {"plan": "pro"}


PAGES = {
    "2.3 a page is its url": (
        {"type": "page", "name": "Home", "properties": {"url": "https://example.com"}},
        {}, ["https://example.com"]),
    "2.3 a page without url is none": ({"type": "page", "name": "Home"}, {}, []),
    "page_without_url=named": (
        {"type": "page", "name": "Home"}, {"page_without_url": "named"}, ["Home"]),
    "2.4 a screen is its name": ({"type": "screen", "name": "Start"}, {}, ["Start"]),
    "2.4 a screen needs no name": ({"type": "screen"}, {}, [None]),
    "6 names are trimmed": ({"type": "track", "event": " Order "}, {}, ["Order"]),
    "6 names are not trimmed in old workspaces": (
        {"type": "track", "event": " Order "}, {"trim_event_names": False}, [" Order "]),
    "6 a blank name is none": ({"type": "track", "event": " "}, {}, []),
    "3.6 reserved names have case": (
        {"type": "track", "event": "user deleted"}, {}, ["user deleted"]),
    "3.6 Application Opened is not tracked": (
        {"type": "track", "event": "Application Opened"}, {}, []),
    "3.6 Report Delivery Event is not tracked": (
        {"type": "track", "event": "Report Delivery Event"}, {}, []),
}  # fmt: skip


@pytest.mark.parametrize(("message", "settings", "names"), PAGES.values(), ids=PAGES.keys())
def test_events_are_recorded_under_their_name(message, settings, names):
    """Each call is recorded under the name Journeys gives it, or not at all."""
    model, _ = run([(0 * DAY, {"userId": "u1", **message})], **settings)

    assert [event["name"] for event in model.events()] == names


@pytest.mark.parametrize("wrong", [None, "soon", 1e300, float("nan"), [1], True])
def test_an_unusable_timestamp_is_the_time_of_receipt(wrong):
    """An event without a usable timestamp happened when it was received (1.6)."""
    model, _ = run([(0 * DAY, {**track(user="u1"), "timestamp": wrong})])

    assert model.events()[0]["timestamp"] == START


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param("1970-01-01T00:01:00Z", 60, id="date-time"),
        pytest.param("1970-01-02", 86_400, id="date only"),
        pytest.param("1970-01-01T01:00:00+0100", 0, id="offset without colon"),
        pytest.param("1970-01-01T00:00:01.999Z", 1, id="fractions are cut"),
        pytest.param("1970-01-01T00:01", 60, id="no seconds, no offset"),
        pytest.param("1970-01-01 00:01:00", "1970-01-01 00:01:00", id="a space is not T"),
        pytest.param("1970-13-01", "1970-13-01", id="no such month"),
        pytest.param("1970-01-02\n", "1970-01-02\n", id="a line break after it"),
        pytest.param("5", "5", id="digits"),
        pytest.param({"at": "1970-01-02"}, {"at": 86_400}, id="in an object"),
        pytest.param(["1970-01-02"], ["1970-01-02"], id="not in an array"),
    ],
)
def test_iso_times_become_unix_seconds(given, stored):
    """ISO times in traits and properties become seconds, other text stays (1.6)."""
    steps = [(0 * DAY, identify("u1", at=given)), (0 * DAY, track(user="u1", at=given))]

    model, _ = run(steps)
    plain, _ = run(steps, convert_times=False)

    assert model.people()[0]["attributes"]["at"] == stored
    assert model.events()[0]["properties"]["at"] == stored
    assert plain.people()[0]["attributes"]["at"] == given
    assert plain.events()[0]["properties"]["at"] == given


DEVICE = {"context": {"device": {"token": "t1", "type": "ios"}}}


@pytest.mark.parametrize(
    ("names", "tokens"),
    [
        pytest.param(["Device Created or Updated"], ["t1"], id="created"),
        pytest.param(["Application Installed"], ["t1"], id="installed"),
        pytest.param(["Application Opened", "Device Deleted"], [], id="deleted"),
        pytest.param(["Application Opened", "Application Uninstalled"], [], id="uninstalled"),
        pytest.param(["Application Opened", "User Deleted"], [], id="person-deleted"),
    ],
)
def test_device_events_change_devices_only(names, tokens):
    """Device events set and remove push devices and are no events of the person (3.6)."""
    model, _ = run([(0 * DAY, {**track(name, user="u1"), **DEVICE}) for name in names])

    assert [device["token"] for device in model.devices()] == tokens
    assert model.events() == []


def test_a_device_event_reads_its_token_from_context_only():
    """A token in properties is not seen, so nothing happens (C25)."""
    message = track("Device Created or Updated", user="u1", device={"token": "t1"})

    model, applied = run([(0 * DAY, message)])

    assert applied == [["device.no-token"]]
    assert model.people() == []
    assert model.failures()[0]["number"] == 0
