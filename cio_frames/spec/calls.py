"""The calls: the path of each, the name of its body, and all its fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cio_frames.spec.apis import FORM_ACTION, FORMS, PIPELINES, Api
from cio_frames.spec.context import CONTEXT, MOBILE_CONTEXT, WEB_CONTEXT
from cio_frames.spec.fields import (
    ANONYMOUS_WORDS,
    ANY_PROPERTY,
    ANY_TRAIT,
    CHANNELS,
    CREATED_AT,
    DEVICE_WORDS,
    EMAIL,
    EMAIL_WORDS,
    EVENT_TIME_WORDS,
    MERGE_TIME_WORDS,
    ONE_PERSON,
    PERSON_WORDS,
    PROPERTIES,
    STATE_TIME_WORDS,
    TOPICS,
    TRAITS,
    UNSUBSCRIBED,
    Field,
    anonymous_id,
    common,
    field,
    user_id,
)

CallName = Literal["identify", "track", "page", "screen", "group", "alias", "form"]
"""The calls that have a verb, as in `df.cio.<name>`."""


EVENT_CALLS = ("track", "page", "screen")
"""The calls that record when something happened, and can start campaigns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, always an HTTP POST.

    Attributes:
        name: Its name, as in `df.cio.<name>`.
        api: The API it is posted to.
        path: The path on that API's host.
        body: The key for the frame's other columns, if the call has one.
        fields: All its fields, no two with the same path.
        sets_state: Whether it sets the state of a person or an object: repeating it is harmless, losing
            it is not (reference 3.7). Some events set a state too: see SEMANTIC_EVENTS.
        source: Tags of the API facts this row rests on.
    """

    name: str
    api: Api
    path: str
    body: Literal["traits", "properties", "data"] | None
    fields: tuple[Field, ...]
    sets_state: bool = False
    source: str

    @property
    def batched(self) -> bool:
        """Whether one request takes many messages of the call."""
        return self.api.batch_path is not None


_EVENT_WORDS = (
    "event text, event name, event, metric name, event type name, event type, event action, action, "
    "activity"
)
_VISITOR_WORDS = f"{ANONYMOUS_WORDS}, {DEVICE_WORDS}"
_GROUP_WORDS = (
    "group id, object id, account id, company id, organization id, organisation id, org id, "
    "team id, tenant id, workspace id, group, record id, id"
)
_LEFT_WORDS = (
    "previous id, previous user id, old id, old user id, former id, duplicate id, secondary id, "
    "from id"
)
_KEPT_WORDS = (
    "new id, new user id, primary id, canonical id, master id, kept id, keep id, surviving id, "
    "to id, merged into id"
)
_FORM_WORDS = "form id, form key, form slug, form identifier, form"

# fmt: off
_IDENTIFY = (
    user_id(ONE_PERSON, words=f"{PERSON_WORDS}, id"),
    anonymous_id(ONE_PERSON, note="Beside userId, it links what was tracked anonymously before."),
    TRAITS, EMAIL, CREATED_AT, UNSUBSCRIBED, TOPICS, CHANNELS, ANY_TRAIT,
    *common("identify", time_words=STATE_TIME_WORDS), *CONTEXT,
)

_TRACK = (
    user_id(ONE_PERSON),
    anonymous_id(ONE_PERSON, words=_VISITOR_WORDS, note="Ignored when userId is there too (SEED-API)."),
    field("event", "text", "SPEC-AUG; C13; C14", argument="event", required="always", words=_EVENT_WORDS, note="Some names act instead of being tracked: see SEMANTIC_EVENTS."),
    field("groupId", "id", "SPEC-AUG", argument="group_id", required=ONE_PERSON, note="An event of a group instead of a person; not all destinations take it."),
    PROPERTIES, ANY_PROPERTY,
    *common("track", time_words=EVENT_TIME_WORDS), *CONTEXT,
)

_PAGE = (
    user_id(ONE_PERSON), anonymous_id(ONE_PERSON, words=_VISITOR_WORDS),
    field("name", "text", "SPEC-AUG; SEED-HTTP; C15", argument="name", words="name, page name", note="Journeys shows properties.url, whatever the name says (ACT)."),
    PROPERTIES,
    field("properties.category", "text", "SPEC-AUG; SEED-HTTP", words="category, page category", note="Libraries also send it at the top."),
    field("properties.url",      "text", "SPEC-AUG; ACT", words="url, page url, href, page location", note="Without it, a page is not a page view in Journeys (ACT)."),
    field("properties.title",    "text", "SPEC-AUG", words="title, page title"),
    field("properties.referrer", "text", "SPEC-AUG", words="referrer, referer, page referrer, referrer url"),
    field("properties.path",     "text", "SPEC-AUG", words="path, page path"),
    field("properties.search",   "text", "SPEC-AUG", words="search, query string, page search"),
    ANY_PROPERTY,
    *common("page", time_words=EVENT_TIME_WORDS), *WEB_CONTEXT,
)

_SCREEN = (
    user_id(ONE_PERSON), anonymous_id(ONE_PERSON, words=_VISITOR_WORDS),
    field("name", "text", "SPEC-AUG; SEED-HTTP; C15", argument="name", words="name, screen name, screen, view name", note="What Journeys shows (ACT)."),
    PROPERTIES, ANY_PROPERTY,
    *common("screen", time_words=EVENT_TIME_WORDS), *MOBILE_CONTEXT,
)

_GROUP = (
    field("groupId", "id", "SPEC-AUG; SPEC-SEP; C16", argument="group_id", required="always", words=_GROUP_WORDS),
    user_id("never", note="Without a person the call only writes the object (C16)."),
    anonymous_id("never", note="With userId too, only userId is related."),
    TRAITS,
    field("traits.objectTypeId", "id", "SPEC-SEP; C17", argument="object_type_id", words="object type id, object type, group type id, group type", note='A whole number as a string; without it "1".'),
    field("traits.relationshipAttributes", "object", "SPEC-AUG", argument="relationship", words="relationship attributes, relationship", note="What the person is to the object, such as a role."),
    field("traits.object_type_id", "id", "SPEC-AUG; SEED-HTTP; C17", note="Read, but not written: objectTypeId is."),
    field("objectTypeId", "id", "SEED-HTTP; C17", note="Not written: the workspace never reads it at the top (ACT)."),
    ANY_TRAIT,
    *common("group", time_words=STATE_TIME_WORDS), *CONTEXT,
)

_ALIAS = (
    field("previousId", "id", "SPEC-AUG; C18; C23", argument="previous_id", required="always", words=_LEFT_WORDS, note="The profile that is permanently merged away. An anonymous id is not found here (C18)."),
    user_id("always", words=f"{PERSON_WORDS}, {_KEPT_WORDS}", note="The profile that stays; it must exist already (C23)."),
    *common("alias", time_words=MERGE_TIME_WORDS), *CONTEXT,
)

_PERSON_OF_FORM = (
    field("data",       "object", "TRACK", note="The only key of the body."),
    field("data.email", "email",  "TRACK; SEED-FORMS; C27", argument="email", required=ONE_PERSON, words=EMAIL_WORDS, note="Exactly one of email and id, rather email."),
    field("data.id",    "id",     "TRACK; SEED-FORMS; C21; C27", argument="id", required=ONE_PERSON, words=f"{PERSON_WORDS}, id", note="Exactly one of email and id."),
    field("data.*",     "text",   "TRACK; C28; C30", argument="fields", note="Strings only; each sets the attribute of its name unless the form maps it elsewhere."),
)

_FORM = (
    field("formId", "id", "TRACK; SEED-FORMS", argument="form_id", required="always", words=_FORM_WORDS, note="Travels in the path, percent-encoded. One that is not known yet makes a new form."),
    *_PERSON_OF_FORM,
)

_FORM_ACTION = (
    field("query.site_id",     "id",   "SEED-FORMS", required="always", note="A public value; the connection gives it, no column does."),
    field("query.form_id",     "id",   "SEED-FORMS", argument="form_id", required="always", words=_FORM_WORDS),
    field("query.success_url", "text", "SEED-FORMS", required="always", note="Where the browser is sent next; percent-encoded."),
    *_PERSON_OF_FORM,
)

BATCH_FIELDS: tuple[Field, ...] = (
    field("batch",          "any",     "SPEC-AUG; C19", required="always", note="A list of messages, each with its type; alias may be among them. Only bytes limit it."),
    field("context",        "object",  "SPEC-AUG; SPEC-SEP; C20", note="Not sent: whether it overrides or only completes a message's own is contradicted."),
    field("integrations",   "object",  "SPEC-AUG; C20", note="Not sent: gone from the newer specification."),
    field("integrations.*", "boolean", "SPEC-AUG; C20"),
    field("sentAt",         "time",    "PY; GO", note="Not sent: undocumented on the batch."),
    field("messageId",      "id",      "GO", note="Not sent: undocumented on the batch."),
)

_ROWS = (
    Call(name="identify",    api=PIPELINES,   path="/v1/identify",                 body="traits",     fields=_IDENTIFY,    sets_state=True, source="SPEC-AUG; SEED-API"),
    Call(name="track",       api=PIPELINES,   path="/v1/track",                    body="properties", fields=_TRACK,       source="SPEC-AUG; SEED-API"),
    Call(name="page",        api=PIPELINES,   path="/v1/page",                     body="properties", fields=_PAGE,        source="SPEC-AUG; SEED-HTTP"),
    Call(name="screen",      api=PIPELINES,   path="/v1/screen",                   body="properties", fields=_SCREEN,      source="SPEC-AUG; SEED-HTTP"),
    Call(name="group",       api=PIPELINES,   path="/v1/group",                    body="traits",     fields=_GROUP,       sets_state=True, source="SPEC-AUG; SEED-HTTP"),
    Call(name="alias",       api=PIPELINES,   path="/v1/alias",                    body=None,         fields=_ALIAS,       sets_state=True, source="SPEC-AUG; SEED-HTTP; C19"),
    Call(name="form",        api=FORMS,       path="/api/v1/forms/{form_id}/submit", body="data",  fields=_FORM,        source="TRACK; SEED-FORMS"),
    Call(name="form_action", api=FORM_ACTION, path="/forms/submit_action",         body="data",       fields=_FORM_ACTION, source="SEED-FORMS; WILD"),
)
# fmt: on

CALLS: Mapping[str, Call] = MappingProxyType({row.name: row for row in _ROWS})
