"""Every check, as a row."""

from cio_frames.checks.check import (
    SEVERITIES,
    Aggregate,
    ByCall,
    ByColumn,
    ByInputRow,
    ByMessage,
    ByRow,
    ByTable,
    ByText,
    ByValue,
    Check,
    Repair,
    Scope,
    Severity,
)
from cio_frames.checks.columns import COLUMN_CHECKS
from cio_frames.checks.config import Checks, rule
from cio_frames.checks.contents import CONTENT_CHECKS
from cio_frames.checks.data import VALUE_CHECKS
from cio_frames.checks.detectors import HIDDEN, masked
from cio_frames.checks.emails import EMAIL_CHECKS
from cio_frames.checks.id_formats import FORENSIC_CHECKS
from cio_frames.checks.identifiers import IDENTIFIER_CHECKS
from cio_frames.checks.leading_zeros import ZERO_CHECKS
from cio_frames.checks.names import NAME_CHECKS, SPELLING_CHECKS
from cio_frames.checks.near_duplicates import VARIANT_CHECKS
from cio_frames.checks.nested import holding, number_text, text_of
from cio_frames.checks.people import MERGE_CHECKS, PEOPLE_CHECKS
from cio_frames.checks.sensitive import SENSITIVE_CHECKS
from cio_frames.checks.texts import TEXT_CHECKS
from cio_frames.checks.time_formats import TIME_FORM_CHECKS
from cio_frames.checks.times import TIME_CHECKS
from cio_frames.checks.traits import TRAIT_CHECKS

CATALOGUE: tuple[Check, ...] = (
    *IDENTIFIER_CHECKS,
    *FORENSIC_CHECKS,
    *ZERO_CHECKS,
    *EMAIL_CHECKS,
    *VARIANT_CHECKS,
    *PEOPLE_CHECKS,
    *MERGE_CHECKS,
    *TIME_CHECKS,
    *TIME_FORM_CHECKS,
    *CONTENT_CHECKS,
    *SPELLING_CHECKS,
    *TRAIT_CHECKS,
    *VALUE_CHECKS,
    *TEXT_CHECKS,
    *COLUMN_CHECKS,
    *NAME_CHECKS,
    *SENSITIVE_CHECKS,
)
"""All checks, in the order in which a report lists equals."""

__all__ = [
    "CATALOGUE",
    "HIDDEN",
    "SEVERITIES",
    "Aggregate",
    "ByCall",
    "ByColumn",
    "ByInputRow",
    "ByMessage",
    "ByRow",
    "ByTable",
    "ByText",
    "ByValue",
    "Check",
    "Checks",
    "Repair",
    "Scope",
    "Severity",
    "holding",
    "masked",
    "number_text",
    "rule",
    "text_of",
]
