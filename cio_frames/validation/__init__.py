"""Apply the checks: which rows can be sent, which cannot, and all findings."""

from cio_frames.validation.compiled import (
    CompiledCheck,
    compile_checks,
    reader_check,
    text_about,
)
from cio_frames.validation.findings import (
    BLOCKING,
    FINDING_SCHEMA,
    SUMMARY_SCHEMA,
    as_texts,
    complete_findings,
    hide_sensitive,
    rejection_reasons,
    summary_texts,
    threshold_refusals,
    with_summaries,
    without_rejected_twins,
    worst_first,
)
from cio_frames.validation.run_checks import (
    TableAggregates,
    aggregate_rows,
    as_findings,
    check,
    check_call,
    check_messages,
    check_table,
)

__all__ = [
    "BLOCKING",
    "FINDING_SCHEMA",
    "SUMMARY_SCHEMA",
    "CompiledCheck",
    "TableAggregates",
    "aggregate_rows",
    "as_findings",
    "as_texts",
    "check",
    "check_call",
    "check_messages",
    "check_table",
    "compile_checks",
    "complete_findings",
    "hide_sensitive",
    "reader_check",
    "rejection_reasons",
    "summary_texts",
    "text_about",
    "threshold_refusals",
    "with_summaries",
    "without_rejected_twins",
    "worst_first",
]
