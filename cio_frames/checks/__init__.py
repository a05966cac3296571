"""Every check, as a row."""

from cio_frames.checks.calls import CALL_CHECKS, is_semantic_event
from cio_frames.checks.check import (
    SEVERITIES,
    Aggregate,
    Check,
    ColumnTest,
    Effect,
    KeyedFindings,
    MessageTest,
    Predicate,
    Prefilter,
    RowTest,
    RunsTest,
    Scope,
    SecondCount,
    Severity,
    TableTest,
    column_findings,
)
from cio_frames.checks.columns import COLUMN_CHECKS
from cio_frames.checks.config import Checks, rule
from cio_frames.checks.detectors import HIDDEN, masked
from cio_frames.checks.drift import DRIFT_CHECKS, Drift, drift_of
from cio_frames.checks.field_types import FIELD_TYPE_CHECKS
from cio_frames.checks.id_formats import ID_FORMAT_CHECKS
from cio_frames.checks.identifiers import EMAIL_CHECKS, IDENTIFIER_CHECKS
from cio_frames.checks.leading_zeros import ZERO_CHECKS
from cio_frames.checks.look_alikes import LOOK_ALIKE_CHECKS
from cio_frames.checks.names import NAME_CHECKS, SIMILAR_NAME_CHECKS
from cio_frames.checks.people import MERGE_CHECKS, PEOPLE_CHECKS, MergeFindings
from cio_frames.checks.phone_numbers import supported_region
from cio_frames.checks.phones import PHONE_CHECKS
from cio_frames.checks.profile import Profiler, TableProfile, profile_file
from cio_frames.checks.sensitive import SENSITIVE_CHECKS
from cio_frames.checks.texts import CheckTexts
from cio_frames.checks.time_formats import TIME_FORMAT_CHECKS
from cio_frames.checks.times import TIME_CHECKS
from cio_frames.checks.traits import TRAIT_CHECKS
from cio_frames.checks.values import TEXT_CHECKS, VALUE_CHECKS

CATALOGUE: tuple[Check, ...] = (
    *IDENTIFIER_CHECKS,
    *ID_FORMAT_CHECKS,
    *ZERO_CHECKS,
    *EMAIL_CHECKS,
    *LOOK_ALIKE_CHECKS,
    *PEOPLE_CHECKS,
    *MERGE_CHECKS,
    *TIME_CHECKS,
    *TIME_FORMAT_CHECKS,
    *CALL_CHECKS,
    *SIMILAR_NAME_CHECKS,
    *TRAIT_CHECKS,
    *PHONE_CHECKS,
    *FIELD_TYPE_CHECKS,
    *VALUE_CHECKS,
    *TEXT_CHECKS,
    *COLUMN_CHECKS,
    *NAME_CHECKS,
    *SENSITIVE_CHECKS,
    *DRIFT_CHECKS,
)
"""All checks, in the order in which a report lists equals."""

__all__ = [
    "CATALOGUE",
    "HIDDEN",
    "SEVERITIES",
    "Aggregate",
    "Check",
    "CheckTexts",
    "Checks",
    "ColumnTest",
    "Drift",
    "Effect",
    "KeyedFindings",
    "MergeFindings",
    "MessageTest",
    "Predicate",
    "Prefilter",
    "Profiler",
    "RowTest",
    "RunsTest",
    "Scope",
    "SecondCount",
    "Severity",
    "TableProfile",
    "TableTest",
    "column_findings",
    "drift_of",
    "is_semantic_event",
    "masked",
    "profile_file",
    "rule",
    "supported_region",
]
