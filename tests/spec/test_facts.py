"""Limits, hosts, events and reserved names are those of the reference."""

import re

import pytest

from cio_frames.errors import ConfigError
from cio_frames.spec import (
    CALLS,
    FORM_RESERVED,
    LIMITS,
    RESERVED_PREFIXES,
    RESERVED_TRAITS,
    SEMANTIC_EVENTS,
    host,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_bytes", 32_000),
        ("batch_bytes", 475_000),
        ("batch_bytes_documented", 500_000),
        ("id_bytes", 150),
        ("name_bytes", 150),
        ("value_bytes", 1_000),
        ("attributes", 300),
        ("event_name_bytes", 100),
        ("pipelines_requests_per_s", 1_000),
        ("track_requests_per_s", 100),
        ("anonymous_days", 30),
        ("anonymous_trigger_hours", 72),
        ("anonymous_late_minutes", 5),
    ],
)
def test_limits_are_those_of_the_reference(name, value):
    """The limits that are kept are the strictest the sources give."""
    assert LIMITS[name].value == value


def test_limits_carry_unit_and_date():
    """Each limit says what is counted and how old the statement is."""
    for limit in LIMITS.values():
        assert limit.value > 0
        assert limit.unit
        assert re.fullmatch(r"\d{4}-\d\d-\d\d|undated", limit.dated), limit.name


@pytest.mark.parametrize("number", ["C4", "C5", "C6", "C31", "C32"])
def test_contradictions_about_limits_are_named_and_decided(number):
    """Where sources contradict each other, a limit cites it and its note has the choice."""
    citing = [limit for limit in LIMITS.values() if number in limit.source.split("; ")]
    assert citing
    assert all(f"{number}:" in limit.note for limit in citing)


def test_batch_limits_leave_room():
    """A batch that is kept to is below the documented one and holds a full message."""
    batch, documented = LIMITS["batch_bytes"].value, LIMITS["batch_bytes_documented"].value
    assert LIMITS["message_bytes"].value < batch < documented


@pytest.mark.parametrize(
    ("region", "api", "name"),
    [
        ("us", "pipelines", "cdp.customer.io"),
        ("eu", "pipelines", "cdp-eu.customer.io"),
        ("us", "forms", "track.customer.io"),
        ("eu", "forms", "track-eu.customer.io"),
        ("us", "form-action", "customerioforms.com"),
        ("eu", "form-action", "eu.customerioforms.com"),
    ],
)
def test_hosts_of_both_regions(region, api, name):
    """Each surface has its own spelling of the EU host (C1)."""
    assert host(region, api) == name


@pytest.mark.parametrize(("region", "api"), [("EU", "pipelines"), ("us", "journeys"), ("", "")])
def test_an_unknown_host_is_refused_with_the_known_ones(region, api):
    """Another region or surface is an error that lists what there is."""
    with pytest.raises(ConfigError, match="eu form-action"):
        host(region, api)


def test_every_call_has_a_host_in_both_regions():
    """No call is posted to a surface without an address."""
    for call in CALLS.values():
        assert {host("us", call.api.name), host("eu", call.api.name)}.isdisjoint({""})
        assert call.path.startswith("/")


def test_only_pipelines_calls_are_batched():
    """Forms travel one by one, everything else may share a request (C19)."""
    assert {name for name, call in CALLS.items() if not call.batched} == {"form", "form_action"}


@pytest.mark.parametrize("event", SEMANTIC_EVENTS.values(), ids=SEMANTIC_EVENTS)
def test_semantic_events_require_fields_that_exist(event):
    """A path that an event needs is one of its own fields or of track's."""
    known = {row.path for row in (*event.fields, *CALLS["track"].fields)}
    assert set(event.requires) <= known
    assert event.effect.endswith(".")


def test_destructive_events_are_those_that_take_away():
    """The events that delete, suppress or remove are marked, the others are not."""
    assert {name for name, event in SEMANTIC_EVENTS.items() if event.destructive} == {
        "User Deleted",
        "User Suppressed",
        "Relationship Deleted",
        "Object Deleted",
        "Device Deleted",
        "Application Uninstalled",
    }


def test_reserved_names_of_the_prefixes_cannot_be_set():
    """A reserved trait with a reserved prefix is Customer.io's own, but for the preferences."""
    own = {name for name in RESERVED_TRAITS if name.startswith(RESERVED_PREFIXES)}
    settable = {name for name in own if RESERVED_TRAITS[name].settable}
    assert settable == {"cio_subscription_preferences"}


def test_forms_ignore_five_keys():
    """All five keys of the operation's text count, not the three of one variant (C29)."""
    assert set(FORM_RESERVED) == {
        "form_id",
        "form_name",
        "form_type",
        "form_url",
        "form_url_param",
    }
