"""The rows of `context`: where and on what a call happened."""

import re

from cio_frames.spec.fields import Field, FieldType, field

_SDKS = "NODE; GO; NODE-CDP"


def _row(
    place: str, kind: FieldType, source: str, words: str = "", *, enum: str = "", note: str = ""
) -> Field:
    """Return the row of `context.<place>`, which a column with that full name suggests."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|[._]", " ", f"context.{place}").lower()
    words = "" if place.endswith("*") else ", ".join(filter(None, (name, words)))
    return field(f"context.{place}", kind, source, enum=enum, words=words, note=note)


# fmt: off
COMMON = (
    field("context", "object", "SPEC-AUG; C20", argument="context", note="Put on each message, never on the batch."),
    _row("active",                "boolean", "SPEC-AUG", note="False on an identify: update the traits, not the last-seen time."),
    _row("ip",                    "text",    "SPEC-AUG", "ip, ip address, client ip", note="Only browser sources fill it by themselves."),
    _row("locale",                "text",    "SPEC-AUG", note="As in en-US."),
    _row("userAgent",             "text",    "SPEC-AUG", "user agent, http user agent"),
    _row("channel",               "text",    "SPEC-AUG; C10", enum="browser server mobile", note="Belongs here, though some samples show it at the top."),
    field("context.*",            "any",     _SDKS, note="A free object in practice."),
)

WEB = (
    _row("campaign.name",         "text",    "SPEC-AUG", "utm campaign, utm name"),
    _row("campaign.source",       "text",    "SPEC-AUG", "utm source"),
    _row("campaign.medium",       "text",    "SPEC-AUG", "utm medium"),
    _row("campaign.term",         "text",    "SPEC-AUG", "utm term"),
    _row("campaign.content",      "text",    "SPEC-AUG", "utm content"),
    _row("campaign.*",            "text",    "SPEC-AUG", note="Any further UTM parameter."),
    _row("page.name",             "text",    "SPEC-AUG", note="Reserved for future use."),
    _row("page.path",             "text",    "SPEC-AUG"),
    _row("page.referrer",         "text",    "SPEC-AUG"),
    _row("page.search",           "text",    "SPEC-AUG"),
    _row("page.title",            "text",    "SPEC-AUG"),
    _row("page.url",              "text",    "SPEC-AUG"),
    _row("page.keywords",         "texts",   "SPEC-AUG", note="Never collected by itself."),
)

MOBILE = (
    _row("app.name",              "text",    "SPEC-AUG"),
    _row("app.version",           "text",    "SPEC-AUG"),
    _row("app.build",             "text",    "SPEC-AUG"),
    _row("app.namespace",         "text",    "SPEC-AUG"),
    _row("device.id",             "text",    "SPEC-AUG", note="Not the push token."),
    _row("device.advertisingId",  "text",    "SPEC-AUG", "advertising id, idfa, gaid"),
    _row("device.manufacturer",   "text",    "SPEC-AUG"),
    _row("device.model",          "text",    "SPEC-AUG"),
    _row("device.name",           "text",    "SPEC-AUG"),
    _row("device.type",           "text",    "SPEC-AUG", enum="android ios"),
    _row("device.version",        "text",    "SPEC-AUG", note="The firmware's."),
    _row("network.bluetooth",     "boolean", "SPEC-AUG"),
    _row("network.carrier",       "text",    "SPEC-AUG"),
    _row("network.cellular",      "boolean", "SPEC-AUG"),
    _row("network.wifi",          "boolean", "SPEC-AUG"),
    _row("os.name",               "text",    "SPEC-AUG"),
    _row("os.version",            "text",    "SPEC-AUG"),
)

LIBRARIES = (
    _row("device.token",          "text",    "ACT; C25", "push token, device token", note="The push token; read by the device events only."),
    _row("library.name",          "text",    "PY; NODE; GO; NODE-CDP"),
    _row("library.version",       "text",    "PY; NODE; GO; NODE-CDP"),
    _row("location.city",         "text",    _SDKS),
    _row("location.country",      "text",    _SDKS),
    _row("location.region",       "text",    _SDKS),
    _row("location.latitude",     "any",     _SDKS, note="A number, but text in NODE-CDP."),
    _row("location.longitude",    "any",     _SDKS, note="A number, but text in NODE-CDP."),
    _row("location.speed",        "number",  _SDKS),
    _row("referrer.type",         "text",    _SDKS),
    _row("referrer.name",         "text",    _SDKS),
    _row("referrer.url",          "text",    _SDKS),
    _row("referrer.link",         "text",    _SDKS),
    _row("timezone",              "text",    _SDKS),
    _row("traits",                "object",  _SDKS, note="What is known of the person, beside an event."),
    _row("groupId",               "id",      _SDKS),
    _row("page.hash",             "text",    _SDKS),
    _row("screen.density",        "number",  _SDKS),
    _row("screen.height",         "number",  _SDKS),
    _row("screen.width",          "number",  _SDKS),
)
# fmt: on

WEB_CONTEXT: tuple[Field, ...] = (*COMMON, *WEB, *LIBRARIES)
MOBILE_CONTEXT: tuple[Field, ...] = (*COMMON, *MOBILE, *LIBRARIES)
CONTEXT: tuple[Field, ...] = (*COMMON, *WEB, *MOBILE, *LIBRARIES)
