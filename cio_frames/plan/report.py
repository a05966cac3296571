"""A plan as the plain values that its report is drawn from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from cio_frames.checks import Check, masked
from cio_frames.plan.charts import timeline
from cio_frames.views.findings import Example, FindingView
from cio_frames.views.mapping import MappingView
from cio_frames.views.report import PlanView
from cio_frames.views.wording import many

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan

EXAMPLES = 3
LOOKED_AT = 10_000
"""Findings of a kind among which different examples are looked for."""

SHOWN_PAYLOADS = 2
_KINDS = ("severity", "code", "column")


def plan_view(plan: "Plan") -> PlanView:
    """Return what a plan's report shows."""
    found = plan.survey
    return PlanView(
        call=plan.call,
        source=plan.table.label,
        rows=found.rows,
        valid=found.valid,
        rejected=found.rows - found.valid,
        bytes=found.bytes,
        batches=found.batches,
        mapping=tuple(MappingView(**row) for row in plan.mapping.describe()),
        findings=tuple(_findings(plan)),
        payloads=tuple(_payloads(plan)),
        notes=tuple(_notes(plan)),
        times=timeline(plan),
    )


def _payloads(plan: "Plan") -> Iterator[str]:
    """Yield the first messages, with what is sensitive and allowed masked: reports are kept."""
    for message in plan.messages(SHOWN_PAYLOADS):
        yield (masked(message) or "") if plan.checks.allow_sensitive else message


def _findings(plan: "Plan") -> Iterator[FindingView]:
    checks = {check.code: check for check in plan.applied}
    findings = plan.survey.findings
    numbered = findings.drop_nulls("row").group_by(_KINDS, maintain_order=True).head(LOOKED_AT)
    examples = numbered.partition_by(_KINDS, as_dict=True)
    kinds = findings.group_by(_KINDS, maintain_order=True).agg(
        rows=pl.col("row").count(), first=pl.struct("row", "value", "message", "hint").first()
    )
    for severity, code, column, rows, first in kinds.iter_rows():
        check = checks.get(code)
        shown = examples.get((severity, code, column), numbered.clear())
        yield FindingView(
            severity=severity,
            code=code,
            rows=rows,
            sentence=_sentence(first),
            hint=first["hint"],
            consequence=check.consequence if check else "",
            examples=tuple(_examples(shown, column=column or "")),
            fix=_fix(check, hint=first["hint"]) if code in plan.offered else "",
        )


def _examples(rows: pl.DataFrame, *, column: str) -> Iterator[Example]:
    for row in rows.unique("value", maintain_order=True).head(EXAMPLES).iter_rows(named=True):
        yield Example(row=row["row"], column=column, value=row["value"] or "")


def _sentence(finding: Mapping[str, Any]) -> str:
    """Return what a finding says, with the evidence where it is about the whole table."""
    message, evidence = str(finding["message"]), finding["value"]
    is_told = finding["row"] is not None or not evidence or str(evidence).strip(".") in message
    return message if is_told else f"{message} ({evidence})"


def _fix(check: Check | None, *, hint: str) -> str:
    """Return what to type for a repair, unless the hint says it already."""
    if check is None or check.repair is None or "plan.fix(" in hint:
        return ""
    return f'plan.fix("{check.code}")'


def _notes(plan: "Plan") -> Iterator[str]:
    for code in plan.mapping.repairs:
        check = next(check for check in plan.applied if check.code == code)
        if check.repair:
            yield f"Repaired {code}: {check.repair.sentence}{_changes(plan, code)}."


def _changes(plan: "Plan", code: str) -> str:
    """Return what a repair changed, with an example of before and after."""
    told = [
        f"{many(row['rows'], 'row')} of {row['column']}, e.g. {_shown(row['before'])} became "
        f"{_shown(row['after'])}"
        for row in plan.changed.filter(pl.col("code") == code).iter_rows(named=True)
    ]
    return f" ({'; '.join(told)})" if told else ""


def _shown(values: Sequence[str | None]) -> str:
    return "an empty cell" if values[0] is None else repr(values[0])
