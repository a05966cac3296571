"""Every field that the documentation pages list for a call has its row."""

import pytest

from cio_frames.spec import CALLS

# The HTTP source page ("HTTP source API") lists the writable fields of each call; these are its
# bullets, nested ones with their path, "*" for "additional ..." keys.
COMMON_CONTEXT = "active channel ip locale userAgent"
WEB_CONTEXT = (
    "campaign.content campaign.medium campaign.name campaign.source campaign.term campaign.* "
    "page.keywords page.name page.path page.referrer page.search page.title page.url"
)
MOBILE_CONTEXT = (
    "app.build app.name app.namespace app.version device.advertisingId device.id "
    "device.manufacturer device.model device.name device.type device.version network.bluetooth "
    "network.carrier network.cellular network.wifi os.name os.version"
)
ENVELOPE = "integrations.* messageId receivedAt sentAt timestamp type version userId"

HTTP_PAGE = {
    "identify": f"{ENVELOPE} anonymousId traits.createdAt traits.email traits.*",
    "track": f"{ENVELOPE} event properties.*",
    "page": f"{ENVELOPE} name properties.category properties.*",
    "screen": f"{ENVELOPE} originalTimestamp name properties.*",
    "group": f"{ENVELOPE} groupId objectTypeId traits.object_type_id traits.*",
    "alias": "previousId userId",
}
HTTP_CONTEXT = {
    "identify": f"{COMMON_CONTEXT} {WEB_CONTEXT}",
    "track": f"{COMMON_CONTEXT} {WEB_CONTEXT}",
    "page": f"{COMMON_CONTEXT} {WEB_CONTEXT}",
    "screen": f"{COMMON_CONTEXT} {MOBILE_CONTEXT}",
    "group": f"{COMMON_CONTEXT} {WEB_CONTEXT}",
    "alias": "",
}

# The Data Pipelines API page lists these for identify and track.
API_PAGE = {
    "identify": (
        "type userId anonymousId traits integrations messageId receivedAt sentAt timestamp "
        "version context traits.email traits.*"
    ),
    "track": (
        "userId event type properties integrations messageId receivedAt sentAt timestamp version "
        "context anonymousId"
    ),
}

# The forms page, in prose.
FORMS_PAGE = {
    "form": "formId data data.email data.id data.*",
    "form_action": "query.site_id query.form_id query.success_url data.email data.id data.*",
}


def _rows(call):
    return {".".join(row.path): row for row in CALLS[call].fields}


def _cases():
    for page, listed in {"http": HTTP_PAGE, "api": API_PAGE, "forms": FORMS_PAGE}.items():
        for call, paths in listed.items():
            yield pytest.param(call, paths.split(), id=f"{page}-{call}")
    for call, paths in HTTP_CONTEXT.items():
        yield pytest.param(
            call, [f"context.{path}" for path in paths.split()], id=f"context-{call}"
        )


@pytest.mark.parametrize(("call", "paths"), list(_cases()))
def test_each_listed_field_has_a_row(call, paths):
    """What a documentation page lists for a call is among the call's rows."""
    assert set(paths) - set(_rows(call)) == set()


@pytest.mark.parametrize("call", HTTP_PAGE)
def test_times_are_times_and_server_fields_read_only(call):
    """The fields marked date-time are times; those the page says the server sets are not sent."""
    rows = _rows(call)
    for name in ("timestamp", "sentAt", "receivedAt", "originalTimestamp"):
        assert rows[name].type == "time"
    assert [name for name, row in rows.items() if row.read_only] == ["receivedAt", "version"]


@pytest.mark.parametrize(
    ("call", "always", "one_of"),
    [
        ("identify", {"type"}, {"userId", "anonymousId"}),
        ("track", {"type", "event"}, {"userId", "anonymousId", "groupId"}),
        ("page", {"type"}, {"userId", "anonymousId"}),
        ("screen", {"type"}, {"userId", "anonymousId"}),
        ("group", {"type", "groupId"}, set()),
        ("alias", {"type", "previousId", "userId"}, set()),
        ("form", {"formId"}, {"data.email", "data.id"}),
        ("form_action", {"query.site_id", "query.form_id", "query.success_url"}, {"data.email", "data.id"}),
    ],
)  # fmt: skip
def test_what_is_required(call, always, one_of):
    """Who is required follows the reference where pages disagree (C12, C15, C16)."""
    rows = _rows(call)
    assert {name for name, row in rows.items() if row.required == "always"} == always
    assert {name for name, row in rows.items() if row.required == "one-of:person"} == one_of
