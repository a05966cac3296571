"""Apply the checks: which rows can be sent, which cannot, and everything found on the way."""

from cio_frames.validation.compiled import CompiledCheck, compile_checks, filled, sentence_about
from cio_frames.validation.findings import (
    BLOCKING,
    FINDING_SCHEMA,
    as_texts,
    concluded,
    reasons,
    worst_first,
)
from cio_frames.validation.run_checks import (
    Checked,
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
    "Checked",
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
    "concluded",
    "filled",
    "reasons",
    "sentence_about",
    "worst_first",
]
