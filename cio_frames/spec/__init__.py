"""The rules of Customer.io as rows: calls, fields, limits, regions and names, each with its source."""

from cio_frames.spec.apis import APIS, BATCH_PATH, KEYED_APIS, SENDABLE_APIS, Api
from cio_frames.spec.app_api import ACTIVITY_TYPES, OPERATIONS, Operation, PersonIdType
from cio_frames.spec.calls import BATCH_FIELDS, CALLS, EVENT_CALLS, Call, CallName
from cio_frames.spec.column_words import word_meaning, words_of
from cio_frames.spec.context import CONTEXT
from cio_frames.spec.fields import (
    Field,
    FieldType,
    folded,
    is_other_time,
    is_time_name,
    is_transport_time,
)
from cio_frames.spec.identifiers import IDENTIFIERS, LINKING_CALLS, Identifier, IdentifierRole
from cio_frames.spec.limits import LIMITS
from cio_frames.spec.names import (
    FLAT_PREFIXES,
    FORM_RESERVED,
    OTHER_NAMES,
    OVERRIDE_PROPERTIES,
    RESERVED_PREFIXES,
    RESERVED_TRAITS,
    SEMANTIC_EVENTS,
    STRIPPED_TRAITS,
    ReservedName,
)
from cio_frames.spec.regions import HOSTS, REGION_PATH, Region, host

__all__ = [
    "ACTIVITY_TYPES",
    "APIS",
    "BATCH_FIELDS",
    "BATCH_PATH",
    "CALLS",
    "CONTEXT",
    "EVENT_CALLS",
    "FLAT_PREFIXES",
    "FORM_RESERVED",
    "HOSTS",
    "IDENTIFIERS",
    "KEYED_APIS",
    "LIMITS",
    "LINKING_CALLS",
    "OPERATIONS",
    "OTHER_NAMES",
    "OVERRIDE_PROPERTIES",
    "REGION_PATH",
    "RESERVED_PREFIXES",
    "RESERVED_TRAITS",
    "SEMANTIC_EVENTS",
    "SENDABLE_APIS",
    "STRIPPED_TRAITS",
    "Api",
    "Call",
    "CallName",
    "Field",
    "FieldType",
    "Identifier",
    "IdentifierRole",
    "Operation",
    "PersonIdType",
    "Region",
    "ReservedName",
    "folded",
    "host",
    "is_other_time",
    "is_time_name",
    "is_transport_time",
    "word_meaning",
    "words_of",
]
