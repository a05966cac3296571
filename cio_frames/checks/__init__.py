"""Every check, as a row."""

from cio_frames.checks.check import (
    SEVERITIES,
    ByCall,
    ByColumn,
    ByMessage,
    ByOwn,
    ByRow,
    ByTable,
    ByText,
    ByValue,
    Check,
    Repair,
    Scope,
    Severity,
    utc_now,
)
from cio_frames.checks.choice import Checks, rule
from cio_frames.checks.contents import CONTENT_CHECKS
from cio_frames.checks.data import VALUE_CHECKS
from cio_frames.checks.identifiers import IDENTIFIER_CHECKS
from cio_frames.checks.names import NAME_CHECKS
from cio_frames.checks.times import TIME_CHECKS

CATALOGUE: tuple[Check, ...] = (
    *IDENTIFIER_CHECKS,
    *TIME_CHECKS,
    *CONTENT_CHECKS,
    *VALUE_CHECKS,
    *NAME_CHECKS,
)
"""All checks, in the order in which a report lists equals."""

__all__ = [
    "CATALOGUE",
    "SEVERITIES",
    "ByCall",
    "ByColumn",
    "ByMessage",
    "ByOwn",
    "ByRow",
    "ByTable",
    "ByText",
    "ByValue",
    "Check",
    "Checks",
    "Repair",
    "Scope",
    "Severity",
    "rule",
    "utc_now",
]
