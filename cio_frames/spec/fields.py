"""Field rows: what one field of a message is, and the fields that several calls share."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

FieldType = Literal["id", "text", "email", "time", "boolean", "number", "object", "texts", "any"]
"""What a field holds; `id`, `text`, `email` and `time` are JSON strings, `texts` a list of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a message.

    Attributes:
        argument: The verb argument that fills this field, at most one field of a call for each
            argument; `None` if the call itself, the server, or the object around it fills it.
        path: The path in the message; a last `"*"` means any other key.
        type: The type of the value.
        required: `"always"`, `"never"`, or `"one-of:<group>"`: at least one field of that group.
        enum: The only values accepted, where the API names them.
        read_only: Whether only the server sets it, so it is never sent.
        synonyms: Column names that suggest this field, the likeliest first, each in camelCase,
            snake_case, as separate words and as one word. Compare them by `folded`.
        source: Tags of the API facts this row rests on.
        note: What else a reader must know.
    """

    argument: str | None
    path: tuple[str, ...]
    type: FieldType
    required: str = "never"
    enum: tuple[str, ...] = ()
    read_only: bool = False
    synonyms: tuple[str, ...] = ()
    source: str
    note: str = ""

    @property
    def column_argument(self) -> str | None:
        """The argument of the verb that names the column for this field, if there is one."""
        return None if self.type == "object" or self.path[-1] == "*" else self.argument


@lru_cache(maxsize=8_192)  # every plan needs the words of all fields
def folded(name: str) -> str:
    """Return a column name without case, spaces and punctuation, for comparisons.

    Examples:
        >>> folded("User ID") == folded("user_id") == folded("userId")
        True
        >>> folded("E-Mail")
        'email'
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
_TIME_ENDS = frozenset({
    "at", "on", "date", "time", "datetime", "timestamp", "ts", "tstamp", "dt", "dttm", "when", "epoch", "unix",
    "since", "until", "day", "datum", "zeitpunkt", "zeit", "am", "fecha", "hora", "horodatage", "le",
})  # fmt: skip
_TIME_STARTS = frozenset(
    {"date", "datetime", "timestamp", "dt", "ts", "when", "epoch", "datum", "fecha"}
)
_UNITS = frozenset(
    {"s", "sec", "seconds", "ms", "millis", "us", "micros", "ns", "utc", "gmt", "local"}
)
_OTHER_TIMES = (
    "birth", "dob", "expir", "until", "due", "renew", "valid", "next", "deadline", "anniversary", "trial",
    "signup", "signedup", "registered", "registration", "joined", "member", "updated", "modified", "scheduled",
    "planned", "estimated", "expected", "departure", "arrival", "checkin", "checkout", "delivery", "enddate", "endsat",
    "geburt", "geboorte", "nascita", "naissance", "nacimiento", "lieferdatum", "livraison", "entrega", "previous", "firsttouch",
)  # fmt: skip
_TRANSPORT = frozenset({
    "received", "sent", "upload", "uploaded", "load", "loaded", "ingested", "processing", "server", "etl", "synced",
    "exported", "imported", "uuid", "inserted",
})  # fmt: skip


def is_time_name(name: str) -> bool:
    """Return whether the name of a column suggests that it holds times.

    Examples:
        >>> [is_time_name(name) for name in ("ordered_at", "InvoiceDate", "Paid at", "time_ms")]
        [True, True, True, True]
        >>> [is_time_name(name) for name in ("update", "format", "runtime", "plan")]
        [False, False, False, False]
    """
    words = [word.casefold() for word in _WORDS.findall(name)]
    if len(words) > 1 and words[-1] in _UNITS:
        words = words[:-1]
    return bool(words) and (words[-1] in _TIME_ENDS or words[0] in _TIME_STARTS)


def is_other_time(name: str) -> bool:
    """Return whether the name of a column suggests a time other than that of an event.

    Examples:
        >>> [is_other_time(name) for name in ("birthday", "Expires at", "ordered_at")]
        [True, True, False]
    """
    return any(word in folded(name) for word in _OTHER_TIMES)


def is_transport_time(name: str) -> bool:
    """Return whether the name of a column suggests the time when a message was transferred.

    Examples:
        >>> [is_transport_time(name) for name in ("received_at", "etl_tstamp", "ordered_at")]
        [True, True, False]
    """
    return any(word.casefold() in _TRANSPORT for word in _WORDS.findall(name))


def spellings(words: str) -> tuple[str, ...]:
    """Return how people spell comma-separated plain words as column names.

    Examples:
        >>> spellings("user id, uid")
        ('userId', 'user_id', 'user id', 'userid', 'uid')
    """
    names: list[str] = []
    for phrase in filter(None, (part.strip() for part in words.split(","))):
        first, *rest = phrase.split()
        camel = first + "".join(word.capitalize() for word in rest)
        names += [camel, "_".join((first, *rest)), phrase, "".join((first, *rest))]
    return tuple(dict.fromkeys(names))


def field(
    place: str,
    kind: FieldType,
    source: str,
    *,
    argument: str | None = None,
    required: str = "never",
    enum: str = "",
    read_only: bool = False,
    words: str = "",
    note: str = "",
) -> Field:
    """Return a row from compact texts: a dotted path, values separated by spaces, words by commas."""
    return Field(
        argument=argument,
        path=tuple(place.split(".")),
        type=kind,
        required=required,
        enum=tuple(enum.split()),
        read_only=read_only,
        synonyms=spellings(words),
        source=source,
        note=note,
    )


PERSON_WORDS = (
    "user id, uid, customer id, cust id, external id, external user id, member id, contact id, "
    "subscriber id, profile id, person id, customer number, customer no, user uuid, user guid, "
    "customer uuid, user key, customer key, user identifier, customer identifier, crm id, "
    "distinct id, external reference"
)
ANONYMOUS_WORDS = (
    "anonymous id, anon id, ajs anonymous id, anonymous user id, visitor id, cookie id, guest id, "
    "user pseudo id, browser id, domain userid"
)
DEVICE_WORDS = "device id"
"""Identifies a visitor in exports of events; in exports of people it is one of a person's devices."""
EMAIL_WORDS = (
    "email, email address, mail, user email, customer email, contact email, member email, "
    "primary email, email addr, email id"
)
EVENT_TIME_WORDS = (
    "timestamp, event timestamp, event time, occurred at, happened at, performed at, time, ts, "
    "event ts, event at, event datetime, event date, created at, created, created on, "
    "date created, logged at, recorded at, datetime, date time, date"
)
CREATED_WORDS = (
    "created at, created, created on, created date, creation date, date created, signed up at, "
    "signup at, signup date, sign up date, registered at, registration date, joined at, date joined"
)
STATE_TIME_WORDS = "timestamp, ts, time, event timestamp, event time, identified at"
MERGE_TIME_WORDS = "timestamp, ts, time, merged at, aliased at, event timestamp, event time"
MESSAGE_WORDS = (
    "message id, insert id, idempotency key, dedupe id, deduplication id, event uuid, event guid"
)
ONE_PERSON = "one-of:person"


# fmt: off
def user_id(required: str, *, words: str = PERSON_WORDS, note: str = "") -> Field:
    """Return the row of `userId`."""
    return field("userId", "id", "SPEC-AUG; SEED-API; C12", argument="user_id", required=required, words=words,
                 note=note or "Also an email address. A value that begins with cio_ or looks like an email is read as such (ACT).")


def anonymous_id(required: str, *, words: str = ANONYMOUS_WORDS, note: str = "") -> Field:
    """Return the row of `anonymousId`."""
    return field("anonymousId", "id", "SPEC-AUG; C12", argument="anonymous_id", required=required, words=words, note=note)


def common(call: str, *, time_words: str) -> tuple[Field, ...]:
    """Return the rows of the envelope, which every Pipelines call has."""
    return (
        field("type", "text", "SPEC-AUG; SPEC-SEP", required="always", enum=call, note="The call writes it: in a batch each message is routed by it."),
        field("messageId", "id", "SPEC-AUG; C8", argument="message_id", words=MESSAGE_WORDS, note="The only protection against doubles; kept the same when a row is sent again."),
        field("timestamp", "time", "SPEC-AUG; SEED-API", argument="timestamp", words=time_words, note="When it happened; without it, the time of arrival."),
        field("originalTimestamp", "time", "SPEC-AUG", note="Set by libraries on devices; `timestamp` is preferred."),
        field("sentAt", "time", "SPEC-AUG; SEED-HTTP; C8", note="Not sent: what the server does with it beside `timestamp` is unknown."),
        field("receivedAt", "time", "SPEC-AUG", read_only=True),
        field("version", "number", "SPEC-AUG", read_only=True),
        field("integrations", "object", "SPEC-AUG; C9; C20", argument="integrations", note="All are on unless named; written `All`, on each message."),
        field("integrations.*", "boolean", "SPEC-AUG", note="Libraries also accept objects here."),
    )


CREATED_AT = field("traits.createdAt", "time", "SPEC-AUG; C7", words=CREATED_WORDS, note="ISO 8601 or Unix seconds, never milliseconds; kept as created_at.")
EMAIL = field("traits.email", "email", "SPEC-AUG; C11", words=EMAIL_WORDS, note="Rows that have only an email send it as userId too: clients refuse a call without an id.")
UNSUBSCRIBED = field("traits.unsubscribed", "boolean", "SPEC-AUG", words="unsubscribed, is unsubscribed, has unsubscribed, opted out, opt out", note='Any casing of true, 1 and "1" unsubscribe; every other value subscribes.')
TOPICS = field("traits.cio_subscription_preferences.topics.*", "boolean", "SPEC-AUG", note="Keys are topic_<id>. The object replaces; a dotted key changes one topic.")
CHANNELS = field("traits.cio_subscription_preferences.channels.*", "boolean", "SPEC-AUG", note="Keys are email, sms, push, in_app, whatsapp, slack, line, inbox.")
TRAITS = field("traits", "object", "SPEC-AUG; C33", argument="traits", note="A frame's other columns, by their names; a dot in a name nests.")
ANY_TRAIT = field("traits.*", "any", "SPEC-AUG; C33", note="Any JSON, though workspaces keep a value up to 1,000 bytes.")
PROPERTIES = field("properties", "object", "SPEC-AUG; C33", argument="properties", note="A frame's other columns, by their names; a dot in a name nests.")
ANY_PROPERTY = field("properties.*", "any", "SPEC-AUG; C33")
# fmt: on
