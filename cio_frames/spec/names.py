"""Names with a meaning for Customer.io: semantic events and reserved keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cio_frames.spec.fields import Field, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEvent:
    """An event name that acts on the workspace instead of being tracked.

    Attributes:
        name: The exact name; case matters.
        effect: What happens, in a sentence.
        destructive: Whether it removes something.
        requires: Paths it needs besides `event`; without them nothing happens.
        fields: The fields that have a meaning only with this event.
        changes: Which state it sets, so that a repeat is harmless.
        source: Tags of the API facts this row rests on.
        note: Contradictions between sources.
    """

    name: str
    effect: str
    destructive: bool
    requires: tuple[tuple[str, ...], ...]
    fields: tuple[Field, ...] = ()
    changes: Literal["person", "device", "relationship", "object", "nothing"]
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedName:
    """A key with a special meaning for Customer.io.

    Attributes:
        name: The exact name; case matters.
        of: What the key belongs to.
        settable: Whether sending it has the effect that its name suggests.
        effect: What happens to it, in a sentence.
        source: Tags of the API facts this row rests on.
        synonyms: Other column names with the same meaning.
    """

    name: str
    of: Literal["person", "object", "any", "event", "form"]
    settable: bool
    effect: str
    source: str
    synonyms: tuple[str, ...] = ()


_USER = (("userId",),)
_DEVICE = (("userId",), ("context", "device", "token"))

# fmt: off
_OBJECT_FIELDS = (
    field("properties.objectId",     "id",     "SPEC-AUG"),
    field("properties.objectTypeId", "number", "SPEC-AUG; C17", note="A whole number here, though a string in group; without it 1."),
)
_DEVICE_FIELDS = (
    field("context.device.token", "text", "SPEC-AUG; C25"),
    field("context.device.type",  "text", "SPEC-AUG", enum="ios android"),
)
_DELIVERY_FIELDS = (
    field("properties.deliveryId",  "id",   "SPEC-AUG"),
    field("properties.metric",      "text", "SPEC-AUG", enum="delivered clicked converted opened"),
    field("properties.recipient",   "text", "SPEC-AUG"),
    field("properties.reason",      "text", "SPEC-AUG"),
    field("properties.actionValue", "text", "SPEC-AUG"),
    field("properties.href",        "text", "SPEC-AUG"),
)
_CONTENT_FIELDS = (
    field("properties.actionType", "text",   "SPEC-AUG; C26", enum="viewed_content clicked_content", note="The specification requires activityType and describes actionType."),
    field("properties.contentId",  "number", "SPEC-AUG"),
    field("properties.templateId", "number", "SPEC-AUG"),
)

_EVENTS = (
    SemanticEvent(name="User Deleted",              destructive=True,  changes="person", requires=_USER,   source="SPEC-AUG; C14", effect="Deletes the person; later data can create them again."),
    SemanticEvent(name="User Suppressed",           destructive=True,  changes="person", requires=_USER,   source="SPEC-AUG", effect="Deletes the person and ignores their identifiers from now on."),
    SemanticEvent(name="User Unsuppressed",         destructive=False, changes="person", requires=_USER,   source="SPEC-AUG", effect="Accepts the person's identifiers again; what was deleted stays deleted."),
    SemanticEvent(name="Relationship Deleted",      destructive=True,  changes="relationship", requires=(*_USER, ("properties", "objectId")),
                 fields=_OBJECT_FIELDS, source="SPEC-AUG; C17", effect="Ends the relationship of the person with the object."),
    SemanticEvent(name="Object Deleted",            destructive=True,  changes="object", requires=(("properties", "objectId"),),
                 fields=_OBJECT_FIELDS, source="SPEC-AUG; ACT; C24", effect="Deletes the object and all its relationships.", note="The schema wants anonymousId and not objectId; the workspace reads the properties only. Any person id passes."),
    SemanticEvent(name="Device Created or Updated", destructive=False, changes="device", requires=_DEVICE,
                 fields=_DEVICE_FIELDS, source="SPEC-AUG; C25", effect="Adds the push device to the person or updates it.", note="A sample puts device in properties; context.device is what is read."),
    SemanticEvent(name="Device Deleted",            destructive=True,  changes="device", requires=_DEVICE, fields=_DEVICE_FIELDS, source="SPEC-AUG; C25", effect="Removes the push device from the person."),
    SemanticEvent(name="Report Delivery Event",     destructive=False, changes="nothing", requires=(("properties", "deliveryId"), ("properties", "metric")),
                 fields=_DELIVERY_FIELDS, source="SPEC-AUG; TRACK", effect="Counts as a metric of a message, not as an event of a person.", note="The schema requires properties and none of its keys."),
    SemanticEvent(name="Report Content Event",      destructive=False, changes="nothing", requires=(("properties", "actionType"),),
                 fields=_CONTENT_FIELDS, source="SPEC-AUG; C26", effect="Counts as a view or a click of an anonymous in-app message."),
    SemanticEvent(name="Application Installed",     destructive=False, changes="device", requires=(), source="ACT", effect="Adds the push device in context.device; it is not tracked as an event."),
    SemanticEvent(name="Application Opened",        destructive=False, changes="device", requires=(), source="ACT", effect="Adds the push device in context.device or updates it; it is not tracked as an event."),
    SemanticEvent(name="Application Uninstalled",   destructive=True,  changes="device", requires=(), source="ACT", effect="Removes the push device in context.device; it is not tracked as an event."),
)

_OVERRIDES = (
    ReservedName(name="recipient",    of="event", settable=True, source="TRACK", effect="Replaces the recipient of messages that the event triggers."),
    ReservedName(name="from_address", of="event", settable=True, source="TRACK", effect="Replaces the sender of messages that the event triggers."),
    ReservedName(name="reply_to",     of="event", settable=True, source="TRACK", effect="Replaces the reply address of messages that the event triggers."),
)

_RESERVED = (
    ReservedName(name="id",                           of="person", settable=False, source="TRACK", effect="Is the person's identifier; userId sets it."),
    ReservedName(name="email",                        of="person", settable=True,  source="TRACK", effect="Is an identifier where the workspace uses e-mail addresses."),
    ReservedName(name="phone",                        of="person", settable=True,  source="TRACK; DOC:journeys/attributes", effect="Is an identifier where the workspace uses phone numbers (E.164).", synonyms=("phone number",)),
    ReservedName(name="cio_id",                       of="person", settable=False, source="TRACK", effect="Is assigned by Customer.io and never changes."),
    ReservedName(name="anonymous_id",                 of="person", settable=True,  source="TRACK; DOC:journeys/attributes", effect="Links anonymous events, as anonymousId does; can be edited."),
    ReservedName(name="created_at",                   of="person", settable=True,  source="TRACK; C7", effect="Is the time the person signed up, in Unix seconds or ISO 8601."),
    ReservedName(name="_created_in_customerio_at",    of="person", settable=False, source="TRACK", effect="Is set by Customer.io and never changes."),
    ReservedName(name="unsubscribed",                 of="person", settable=True,  source="TRACK", effect="Subscribes or unsubscribes the person."),
    ReservedName(name="cio_subscription_preferences", of="person", settable=True,  source="SPEC-AUG", effect="Replaces the person's topics and channels."),
    ReservedName(name="cio_relationships",            of="person", settable=False, source="TRACK", effect="Is read as relationships by the Track API; here, group creates them."),
    ReservedName(name="_timestamp",                   of="person", settable=False, source="TRACK", effect="Orders attribute updates in the Track API; timestamp does here."),
    ReservedName(name="_update",                      of="person", settable=False, source="TRACK", effect="Forbids creating people in the Track API; Pipelines has no such switch."),
    ReservedName(name="cio_object_id",                of="object", settable=False, source="TRACK", effect="Is assigned by Customer.io and never changes."),
    ReservedName(name="object_id",                    of="object", settable=False, source="TRACK", effect="Is the object's identifier; groupId sets it."),
    ReservedName(name="relationship",                 of="object", settable=False, source="TRACK", effect="Cannot be the name of an attribute."),
    ReservedName(name="_relationship",                of="object", settable=False, source="TRACK", effect="Cannot be the name of an attribute."),
)

_STRIPPED = (
    ReservedName(name="createdAt",              of="any", settable=True,  source="ACT; C7", effect="Is kept as created_at, unless that is there too."),
    ReservedName(name="created_at",             of="any", settable=True,  source="ACT; C7", effect="Is kept as created_at; it wins over createdAt."),
    ReservedName(name="objectId",               of="any", settable=False, source="ACT", effect="On a person it creates a relationship with that object; on an object it is its identifier."),
    ReservedName(name="object_type_id",         of="any", settable=False, source="ACT; C17", effect="Is taken as the object's type, before objectTypeId, and not kept."),
    ReservedName(name="objectTypeId",           of="any", settable=True,  source="ACT; C17", effect="Is taken as the object's type and not kept."),
    ReservedName(name="relationshipAttributes", of="any", settable=True,  source="ACT", effect="Becomes attributes of the relationship and is not kept on either side."),
)

_FORM_KEYS = (
    ReservedName(name="form_id",        of="form", settable=False, source="TRACK", effect="Is ignored."),
    ReservedName(name="form_name",      of="form", settable=False, source="TRACK", effect="Is ignored: a form is named in the workspace."),
    ReservedName(name="form_type",      of="form", settable=False, source="TRACK", effect="Is ignored."),
    ReservedName(name="form_url",       of="form", settable=False, source="TRACK; C29", effect="Is ignored."),
    ReservedName(name="form_url_param", of="form", settable=False, source="TRACK; C29", effect="Is ignored."),
)
# fmt: on

FLAT_PREFIXES = ("cio_subscription_preferences.",)
"""Prefixes of trait names whose dots are part of the name: such a trait changes one topic or channel
and keeps the others (SPEC-AUG)."""

RESERVED_PREFIXES = ("cio_", "_")
"""Prefixes of names that Customer.io reserves, judging by the documented reserved names."""

SEMANTIC_EVENTS: Mapping[str, SemanticEvent] = MappingProxyType({row.name: row for row in _EVENTS})
OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "Delete Person": "User Deleted", "Person Deleted": "User Deleted", "Delete User": "User Deleted",
        "Suppress Person": "User Suppressed", "Person Suppressed": "User Suppressed",
        "Suppress User": "User Suppressed", "Unsuppress Person": "User Unsuppressed",
        "Person Unsuppressed": "User Unsuppressed", "Unsuppress User": "User Unsuppressed",
        "Delete Object": "Object Deleted", "Delete Relationship": "Relationship Deleted",
        "Delete Device": "Device Deleted",
    }
)  # fmt: skip
"""Other names that documents and people use for semantic events, with the exact names: the first is on
two official pages, which contradict the specification (reference C14, N7)."""

OVERRIDE_PROPERTIES: Mapping[str, ReservedName] = MappingProxyType(
    {row.name: row for row in _OVERRIDES}
)
RESERVED_TRAITS: Mapping[str, ReservedName] = MappingProxyType({row.name: row for row in _RESERVED})
STRIPPED_TRAITS: Mapping[str, ReservedName] = MappingProxyType({row.name: row for row in _STRIPPED})
FORM_RESERVED: Mapping[str, ReservedName] = MappingProxyType({row.name: row for row in _FORM_KEYS})
