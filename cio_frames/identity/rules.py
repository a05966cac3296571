"""Every rule of the identity model as a row: what happens, in a sentence, and its source.

The numbers in `source` and in the docstrings of this room are sections of the API reference page,
those after an N the lines of its addendum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal[
    "created", "updated", "rekeyed", "merged", "auto-merged", "attribute-failure", "linked",
    "event", "event-attributed", "event-unattributed", "anonymous-updated", "related", "unrelated",
    "object-created", "object-updated", "object-deleted", "deleted", "suppressed", "unsuppressed",
    "device", "metric", "rejected", "ignored",
]  # fmt: skip

FAILED: Final = frozenset({"attribute-failure", "ignored", "rejected"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of Customer.io."""

    name: str  # its stable name
    kind: Kind  # what kind of change it makes
    sentence: str  # what happened; `{key}`, `{other}` and `{subject}` are filled in by a change
    source: str  # the place in the reference that states it
    open: str | None = None  # the setting it rests on, where the documents disagree or are silent


class Change(NamedTuple):
    """One effect of a message; a tuple, because every message has at least one."""

    rule: Rule  # the rule that did it
    person: str | None = None  # the `cio_id` of the person it happened to
    key: str | None = None  # the identifier that the message used for that person
    # The `cio_id` of the second person (removed by a merge, holder of an identifier)
    other: str | None = None
    subject: str | None = None  # the attribute, event, object or value it is about
    # The settings it rests on beside that of its rule, where the documents disagree or are silent
    open: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What kind of change this is."""
        return self.rule.kind

    @property
    def source(self) -> str:
        """The place in the reference that states the rule."""
        return self.rule.source

    @property
    def rests_on(self) -> str | None:
        """The names of the open settings it rests on, None if it rests on none."""
        return join_settings((*self.open, self.rule.open))

    @property
    def sentence(self) -> str:
        """What happened, in a sentence that names the open settings it rests on."""
        text = self.rule.sentence.format(
            key=self.key, other=f"cio_{self.other}", subject=self.subject
        )
        return with_open_settings(text, self.rests_on)


def join_settings(settings: Iterable[str | None]) -> str | None:
    """Return the names of open settings as one text, None without one.

    Examples:
        >>> join_settings(["dedupe", None, "dedupe, alias_previous"]), join_settings([None])
        ('alias_previous, dedupe', None)
    """
    names = {name for joined in settings if joined for name in joined.split(", ")}
    return ", ".join(sorted(names)) or None


def with_open_settings(sentence: str, settings: str | None) -> str:
    """Return a sentence that names the open settings it rests on.

    Examples:
        >>> with_open_settings("u1 is new.", "event_for_unknown"), with_open_settings("u1 is new.", None)
        ('u1 is new. Open: event_for_unknown.', 'u1 is new.')
    """
    return f"{sentence} Open: {settings}." if settings else sentence


def add_settings(changes: Iterable[Change], *settings: str) -> Iterable[Change]:
    """Return changes that also rest on some open settings."""
    if not settings:
        return changes
    return (change._replace(open=(*change.open, *settings)) for change in changes)


# fmt: off
CREATED = Rule("person.created", "created", "{key} is new; a profile is created.", "reference 3.2 row 1")
UPDATED = Rule("person.updated", "updated", "{key} is known; the profile is updated.", "reference 3.2 row 2")
CREATED_BY_EVENT = Rule("person.created-by-event", "created", "{key} is new; the event creates a profile.", "reference 3.7 (events for unknown people)", open="event_for_unknown")
CREATED_BY_GROUP = Rule("person.created-by-group", "created", "{key} is new; the relationship creates a profile.", "reference 3.5", open="group_for_unknown")
REKEYED = Rule("person.rekeyed", "rekeyed", "The person with {subject} exists and gets the identifier {key}; no second profile is created.", "reference 3.2 row 3")
REPLACED = Rule("identifier.replaced", "rekeyed", "The e-mail address of {key} already belongs to the person with the identifier {subject}. That person is updated, and {key} replaces {subject}; no second profile is created.", "reference N1 (TRACK tip)", open="taken_identifier")
RECHANGED = Rule("person.identifier-changed", "rekeyed", "The identifier of {key} changes to {subject}.", "reference 3.1 (cio_id, e-mail updates)")
TAKEN = Rule("identifier.taken", "attribute-failure", "{subject} already belongs to another person ({other}), so it is not set for {key}, and the two are not merged.", "reference 3.2 row 4")
FIXED = Rule("identifier.fixed", "attribute-failure", "{key} already has a different value; {subject} will be ignored.", "reference 3.1, 3.2 row 5")
READ_ONLY = Rule("attribute.read-only", "attribute-failure", "{subject} is read-only and will be ignored.", "reference section 6 (reserved)")
EMAIL_INVALID = Rule("email.refused", "attribute-failure", "{subject} is not a valid e-mail address, so it is not set for {key}.", "reference section 6", open="invalid_email")
OBJECT_STALE = Rule("object.stale", "attribute-failure", "{subject} keeps its current value, which was set at a later time.", "reference 3.7 (ordering)", open="object_order")
STALE = Rule("attribute.stale", "attribute-failure", "{key} keeps its current value of {subject}, which was set at a later time.", "reference 3.7 (ordering)", open="attribute_order")
AUTO_MERGED = Rule("person.auto-merged", "auto-merged", "{key} and {subject} were two people with one identifier each; the newer profile ({other}) is merged into the older one and permanently deleted.", "reference 3.2a")
CIO_UNKNOWN = Rule("cio-id.unknown", "ignored", "{key} does not exist or was deleted, so the message is dropped.", "reference 3.2 row 6")
SUPPRESSED_ID = Rule("identifier.suppressed", "ignored", "{key} is suppressed, so the message is ignored.", "reference 3.2 row 7")
DISABLED_ID = Rule("identifier.disabled", "ignored", "This workspace does not use {key} as an identifier, so the message is ignored.", "reference 3.1")
NO_PERSON = Rule("person.missing", "ignored", "This {subject} has no identifier, so it is ignored.", "reference 2.1, 2.2")
DUPLICATE = Rule("message.duplicate", "ignored", "A message with this ID was already processed, so this one is ignored.", "reference 3.7 (dedupe)", open="dedupe")
TYPE_UNKNOWN = Rule("message.type", "ignored", "{subject} is not a known call, so it is ignored.", "reference 2 (type)")

ANONYMOUS = Rule("anonymous.updated", "anonymous-updated", "The attributes are stored for the anonymous visitor {subject}, who has no profile yet.", "reference 3.3 (anonymous-only identify)")
LINKED = Rule("anonymous.linked", "linked", "The anonymous ID {subject} is now linked to {key}.", "reference 3.3 (mechanism)")
NOT_REUSABLE = Rule("anonymous.not-reusable", "attribute-failure", "The anonymous ID {subject} is permanently linked to another person ({other}), so it is not linked to {key}.", "reference 3.3 (not reusable)")
ATTRIBUTED = Rule("anonymous.attributed", "event-attributed", "The anonymous event {subject} is attributed to {key}.", "reference 3.3 (30 days), N4")
ATTRIBUTED_LATE = Rule("anonymous.attributed-late", "event-attributed", "{subject} arrived within 5 minutes after its anonymous ID was identified, so it is attributed to {key}.", "reference 3.3 (5 minutes)")
TOO_OLD = Rule("anonymous.too-old", "event-unattributed", "The anonymous event {subject} is older than 30 days, so it is not attributed to {key}.", "reference 3.3 (30 days), N4")
TOO_LATE = Rule("anonymous.too-late", "event-unattributed", "{subject} arrived more than 5 minutes after its anonymous ID was identified as {key}, so it stays anonymous.", "reference 3.3 (5 minutes), C22", open="late_anonymous")
MERGE_OFF = Rule("anonymous.merge-off", "event-unattributed", "Anonymous event merging is off, so {subject} stays anonymous.", "reference 3.3 (mechanism)")

EVENT = Rule("event.recorded", "event", "The event {subject} of {key} is recorded.", "reference 2.2, 3.3")
EVENT_ANONYMOUS = Rule("event.anonymous", "event", "The event {subject} of the anonymous visitor {key} is recorded.", "reference 3.3")
EVENT_GROUP = Rule("event.group", "event", "The event {subject} is recorded for the group {key}, but for no person.", "reference 2.2, N9 (groupId alone)")
EVENT_UNKNOWN = Rule("event.unknown-person", "ignored", "{key} does not exist, so the event {subject} is dropped.", "reference 3.7 (events for unknown people)", open="event_for_unknown")
EVENT_BLANK = Rule("event.blank", "ignored", "The event has no name, so it is ignored.", "reference section 6 (event name not blank)")
PAGE_NO_URL = Rule("page.no-url", "ignored", "The page has no properties.url, so no page view is recorded.", "reference 2.3", open="page_without_url")
METRIC = Rule("event.metric", "metric", "{subject} reports a delivery; no profile changes.", "reference 3.6")

MERGED = Rule("alias.merged", "merged", "{subject} is merged into {key} and permanently deleted.", "reference 3.4, C23, N3")
CREATED_BY_ALIAS = Rule("person.created-by-alias", "created", "{key} is new; the alias creates a profile.", "reference 2.6, 3.4")
ALIAS_INCOMPLETE = Rule("alias.incomplete", "ignored", "The alias has no userId or previousId, so it is ignored.", "reference 2.6")
PRIMARY_UNKNOWN = Rule("alias.primary-unknown", "ignored", "{key} does not exist, so nothing is merged into it.", "reference 3.4 (primary must exist), N3")
SECONDARY_UNKNOWN = Rule("alias.previous-unknown", "ignored", "{subject} does not exist, so there is nothing to merge into {key}.", "reference 3.4, C18")
ALIAS_SELF = Rule("alias.self", "ignored", "{key} and {subject} are already the same person, so the merge is ignored.", "reference 3.4 (inference)")

OBJECT_CREATED = Rule("object.created", "object-created", "Object {subject} is created.", "reference 3.5")
OBJECT_UPDATED = Rule("object.updated", "object-updated", "Object {subject} is updated.", "reference 3.5")
OBJECT_DELETED = Rule("object.deleted", "object-deleted", "Object {subject} and its relationships are deleted.", "reference 3.5, 3.6, C24")
OBJECT_UNKNOWN = Rule("object.unknown", "ignored", "Object {subject} does not exist, so the message is ignored.", "reference 3.6")
OBJECT_TYPE_UNKNOWN = Rule("object.type-unknown", "ignored", "The type of object {subject} does not exist in this workspace, so the message is ignored.", "reference 3.5")
OBJECT_TYPE_ASIDE = Rule("object.type-aside", "ignored", "{subject} is ignored outside traits and properties, where the object type belongs.", "reference 2.5, C17", open="object_type_place")
OBJECT_MISSING = Rule("object.missing", "ignored", "The message does not name an object, so it is ignored.", "reference 2.5, 3.6")
RELATED = Rule("relationship.set", "related", "{key} is related to object {subject}.", "reference 3.5")
RELATED_ANONYMOUS = Rule("relationship.anonymous", "related", "The anonymous visitor {key} is related to object {subject}.", "reference 3.3 (group with anonymousId)")
RELATED_LATER = Rule("relationship.carried", "related", "The visitor's relationship to object {subject} carries over to {key}.", "reference 3.3 (group with anonymousId)")
RELATE_UNKNOWN = Rule("relationship.unknown-person", "ignored", "{key} does not exist, so no relationship to object {subject} is created.", "reference 3.5", open="group_for_unknown")
UNRELATED = Rule("relationship.deleted", "unrelated", "{key} is no longer related to object {subject}.", "reference 3.6")
NOT_RELATED = Rule("relationship.unknown", "ignored", "{key} has no relationship to object {subject}, so the message is ignored.", "reference 3.6")

DELETED = Rule("person.deleted", "deleted", "{key} is deleted; later data can create the profile again.", "reference 3.6 (User Deleted)")
SUPPRESSED = Rule("person.suppressed", "suppressed", "{subject} is suppressed.", "reference 3.6 (User Suppressed)")
UNSUPPRESSED = Rule("person.unsuppressed", "unsuppressed", "{subject} is no longer suppressed; old data is not restored.", "reference 3.6 (User Unsuppressed)")
NOT_SUPPRESSED = Rule("person.not-suppressed", "ignored", "{key} is not suppressed, so the message is ignored.", "reference 3.6")
PERSON_UNKNOWN = Rule("person.unknown", "ignored", "{key} does not exist, so {subject} has no effect.", "reference 3.6")
DEVICE_SET = Rule("device.set", "device", "{key} has the device {subject}.", "reference 3.6 (device events), C25")
DEVICE_GONE = Rule("device.deleted", "device", "{key} no longer has the device {subject}.", "reference 3.6 (device events), C25")
DEVICE_MISSING = Rule("device.no-token", "ignored", "{subject} has no context.device.token, so it is ignored.", "reference 3.6, C25")

FORM_SUBMITTED = Rule("form.submitted", "event", "{key} submitted the form {subject}.", "reference 5 (effect)")
FORM_NO_ID = Rule("form.no-identifier", "rejected", "The form {subject} was sent without email or id. Customer.io answers 400, but creates the form.", "reference 5 (first submission)")
FORM_TWO_IDS = Rule("form.two-identifiers", "rejected", "The form {subject} was sent with both email and id. Customer.io answers 400.", "reference 5, C27", open="form_identifiers")
FORM_NOT_TEXT = Rule("form.not-text", "rejected", "A value of the form {subject} is not text. Customer.io answers 400.", "reference 5, C28")

# fmt: on

RULES: Final = {value.name: value for value in list(globals().values()) if isinstance(value, Rule)}


def sentence(
    rule: str, *, key: str | None, other: str | None, subject: str | None, labels: Mapping[str, str]
) -> str:
    """Return the sentence of a change, with the second person as `labels` calls them.

    Examples:
        >>> sentence("alias.self", key="u1", other=None, subject="U1", labels={})
        'u1 and U1 are already the same person, so the merge is ignored.'
    """
    label = None if other is None else labels.get(other, other)
    return RULES[rule].sentence.format(key=key, other=label, subject=subject)
