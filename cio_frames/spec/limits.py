"""Limits of Customer.io, in the units they are counted in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit.

    Attributes:
        name: Its name, which ends in its unit.
        value: The value that is used.
        unit: What is counted.
        source: Tags of the API facts this row rests on.
        dated: The date of that source, or `undated`.
        note: Contradictions between sources, and why this value was chosen.
    """

    name: str
    value: int
    unit: str
    source: str
    dated: str
    note: str = ""


# fmt: off
_ROWS = (
    Limit(name="message_bytes",              value=32_000,  unit="bytes",    source="SPEC-AUG; SPEC-SEP; C4; C6", dated="2026-09-17",
          note="C4: an overview page says 64 KB; the specification, which is stricter, is kept. C6: 32 KB is 32,000 bytes for one library and 32,768 for two; the smaller is kept. Larger ones are lost behind a 200."),
    Limit(name="batch_bytes",                value=475_000, unit="bytes",    source="PY; C4; C6", dated="undated",
          note="C4: 500 KB in the specification, 1 MB on an overview page. C6: libraries stop at 475,000, 491,520 and 500,000; the smallest is kept, with envelope and commas counted."),
    Limit(name="batch_bytes_documented",     value=500_000, unit="bytes",    source="SPEC-AUG; SPEC-SEP; C4; C6", dated="2026-09-17",
          note="C4: 1 MB on an overview page; the specification is kept. C6: decimal kilobytes, the smaller reading. The number of messages is not limited."),
    Limit(name="id_bytes",                   value=150,     unit="bytes",    source="TRACK; C31", dated="2026-08-13",
          note="C31: an object's id has 150 bytes in one source and 150 characters in another; bytes, the stricter, are kept."),
    Limit(name="name_bytes",                 value=150,     unit="bytes",    source="TRACK", dated="2026-08-13"),
    Limit(name="value_bytes",                value=1_000,   unit="bytes",    source="TRACK; C33", dated="2026-08-13",
          note="C33: any JSON is accepted, a value of a person or an object counts as its text."),
    Limit(name="attributes",                 value=300,     unit="attributes", source="TRACK", dated="2026-08-13",
          note="Of a person in all and of one identify; also of an object or a relationship."),
    Limit(name="object_bytes",               value=100_000, unit="bytes",    source="TRACK; C6", dated="2026-08-13",
          note="All attributes of one object or relationship together. C6: 100 KB, read as decimal."),
    Limit(name="event_name_bytes",           value=100,     unit="bytes",    source="TRACK; C32", dated="2026-08-13",
          note="C32: the list of errors speaks of fewer than 500 characters; 100 bytes, the stricter, are kept."),
    Limit(name="event_data_bytes",           value=100_000, unit="bytes",    source="TRACK", dated="2026-08-13",
          note="Through Pipelines message_bytes binds first."),
    Limit(name="phone_digits",               value=15,      unit="digits",   source="TRACK", dated="2026-08-13", note="E.164, after the plus sign."),
    Limit(name="pipelines_requests_per_s",   value=1_000,   unit="requests per second", source="SPEC-AUG; SPEC-SEP", dated="2026-09-17",
          note="Given as 3,000 in 3 seconds; a batch is one request."),
    Limit(name="track_requests_per_s",       value=100,     unit="requests per second", source="TRACK; C5", dated="2026-08-13",
          note="C5: the API reference says 1,000, the overview page 100; the smaller is kept. Forms count here."),
    Limit(name="app_requests_per_s",         value=10,      unit="requests per second", source="APP", dated="2026-09-26",
          note="Of everything that is read. Sending transactional messages and broadcasts has limits of its own."),
    Limit(name="app_people",                 value=100,     unit="people",   source="APP", dated="2026-09-26", note="Whose attributes one request can ask for."),
    Limit(name="app_search_page",            value=1_000,   unit="people",   source="APP", dated="2026-09-26", note="50 where none is asked for."),
    Limit(name="app_activities_page",        value=100,     unit="activities", source="APP", dated="2026-09-26", note="10 where none is asked for."),
    Limit(name="download_minutes",           value=15,      unit="minutes",  source="APP", dated="2026-09-26", note="How long the link to the file of an export can be used; another one can be asked for."),
    Limit(name="anonymous_days",             value=30,      unit="days",     source="DOC:journeys/anonymous-events; TRACK", dated="2026-08-13",
          note="How long anonymous events are kept for a person to be found, from when they are logged (N4)."),
    Limit(name="anonymous_trigger_hours",    value=72,      unit="hours",    source="DOC:journeys/anonymous-events; TRACK", dated="2026-08-13",
          note="How soon an anonymous event must find its person to trigger a campaign."),
    Limit(name="anonymous_late_minutes",     value=5,       unit="minutes",  source="DOC:journeys/anonymous-events; TRACK; C22", dated="2026-08-13",
          note="C22: one page lets a second identify attribute later arrivals, a newer one does not; anonymous events go first."),
    Limit(name="trigger_hours",              value=72,      unit="hours",    source="DOC:importing-old-data; TRACK", dated="2026-08-13",
          note="Older events trigger no event campaign."),
    Limit(name="activity_days",              value=30,      unit="days",     source="DOC:importing-old-data; TRACK", dated="2026-08-13",
          note="Older events count in segments and are not shown in the activity log."),
    Limit(name="merge_days",                 value=29,      unit="days",     source="DOC:journeys/merge-people; TRACK", dated="2026-07-10",
          note="Younger events of a merged person move at once; the others can follow within an hour. TRACK says 30 days."),
)
# fmt: on

LIMITS: Mapping[str, Limit] = MappingProxyType({row.name: row for row in _ROWS})
