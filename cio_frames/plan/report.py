"""A plan as the plain values that its report is drawn from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from cio_frames.checks import HIDDEN, SEVERITIES, Check, masked
from cio_frames.plan.allowance_counts import TRIGGERING
from cio_frames.plan.finding_kinds import EXAMPLES
from cio_frames.plan.full_check import HOUR_MS
from cio_frames.plan.other_forms import CODE, OtherForm
from cio_frames.plan.outcome import allowing, outcome
from cio_frames.plan.pipeline import Pipeline, PreviewCounts
from cio_frames.sending import Client
from cio_frames.spec import LIMITS
from cio_frames.spreadsheet import csv
from cio_frames.validation import FINDING_SCHEMA, text_about
from cio_frames.views.findings import Example, FindingView
from cio_frames.views.markup import DOCUMENTATION
from cio_frames.views.report import PlanView, TimelineView
from cio_frames.views.wording import many

MOST_SAVED = 50_000
"""Characters of a list of findings up to which a report holds it as a file too."""

WRITES = {
    "pandas": 'to_csv("{}", index=False)',
    "polars": 'write_csv("{}")',
    "spark": 'write.csv("{}", header=True)',
}
"""How a frame of each library is saved."""

SAVED = ("severity", "code", "columns", "rows", "message", "repair", "examples")

MOST_ALONE, LISTED = 3, 20
"""Columns of one code that are told one by one, and that are listed where there are more."""

SHOWN_PAYLOADS = 2
MOST_BARS = 80
WIDTHS_H = (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2016, 8064, 80640)


SUMMARY = pl.Schema({
    "severity": pl.String(), "code": pl.String(), "columns": pl.List(pl.String()),
    "rows": pl.Int64(), "message": pl.String(), "consequence": pl.String(), "hint": pl.String(),
    "repair": pl.String(), "examples": pl.List(pl.Struct({"row": pl.Int64(), "value": pl.String()})),
    "page": pl.String(),
})  # fmt: skip


def plan_view(
    pipeline: Pipeline, preview: PreviewCounts | None = None, *, client: Client | None = None
) -> PlanView:
    """Return what a plan's report shows; `preview` and `client` are the last ones, as for `outcome`."""
    found, findings = pipeline.full_check, tuple(_findings(pipeline))
    return PlanView(
        call=pipeline.call,
        source=pipeline.table.label,
        rows=found.rows,
        valid=found.valid,
        rejected=found.rows - found.valid,
        bytes=found.bytes,
        batches=found.batches,
        mapping=pipeline.mapping.describe(),
        findings=findings,
        payloads=tuple(_payloads(pipeline)),
        notes=tuple(_notes(pipeline)),
        times=timeline(pipeline),
        outcome=outcome([pipeline], preview, client=client),
        allowing=allowing([pipeline], preview, client=client),
        saved=_saved(findings),
        saving=tuple(_saving(pipeline)),
        ids_are_final=not pipeline.mapping.call.sets_state,
    )


def _saved(findings: Sequence[FindingView]) -> str:
    """Return the findings as the text of a CSV file; what the report does not show is not in it."""
    text = csv(_summarized(findings).select(SAVED)) if findings else ""
    return text if len(text) <= MOST_SAVED else ""


def _saving(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield what to type to save every finding, and the excluded rows."""
    write = WRITES[pipeline.table.library]
    found = pipeline.full_check
    if found.kinds.kinds.height:
        yield "Every finding, with its row:", f"plan.findings.{write.format('findings.csv')}"
    if found.valid < found.rows:
        told = "The excluded rows, with the reasons:"
        yield told, f"plan.rejected.{write.format('rejected.csv')}"


def findings_of(forms: Iterable[OtherForm]) -> pl.DataFrame:
    """Return as findings the ids that another plan of a back-fill has in another form."""
    rows = [
        (each.plan, None, CODE, "warn", each.column, each.examples[0][0], each.message, each.hint)
        for each in forms
    ]
    schema = {"plan": pl.Int32, **dict.fromkeys(FINDING_SCHEMA, pl.String), "row": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_other_forms(views: Sequence[PlanView], forms: Sequence[OtherForm]) -> list[PlanView]:
    """Return the reports of plans with the ids that another of them has in another form."""
    return [
        replace(
            view,
            findings=(
                *map(_other_form, (form for form in forms if form.plan == place)),
                *view.findings,
            ),
        )
        for place, view in enumerate(views)
    ]


def _other_form(form: OtherForm) -> FindingView:
    return FindingView(
        severity="warn", code=CODE, rows=form.rows, sentence=form.message, hint=form.hint
    )


def _payloads(pipeline: Pipeline) -> Iterator[str]:
    """Yield the first messages, with what is sensitive and allowed masked: reports are kept."""
    for message in pipeline.messages(SHOWN_PAYLOADS):
        yield (masked(message) or "") if pipeline.checks.allow_sensitive else message


def _findings(pipeline: Pipeline) -> Iterator[FindingView]:
    kinds = pipeline.full_check.kinds.kinds
    for own in kinds.partition_by("severity", "code", maintain_order=True):
        views = [_finding(pipeline, kind) for kind in own.iter_rows(named=True)]
        told = views if own.height <= MOST_ALONE else _as_one(pipeline, views, own)
        yield from (_with_repair(pipeline, view) for view in told)


def _finding(pipeline: Pipeline, kind: Mapping[str, Any]) -> FindingView:
    """Return what is found of one kind, a row of `KIND_SCHEMA`."""
    code, column, first = kind["code"], kind["column"], kind["first"]
    check = _check(pipeline, code)
    is_offered = code in pipeline.offered
    return FindingView(
        severity=kind["severity"],
        code=code,
        rows=kind["rows"],
        sentence=_sentence(first),
        hint=first["hint"],
        consequence=check.texts.consequence_for(pipeline.call) if check else "",
        examples=tuple(
            Example(row=each["row"], column=column or "", value=each["value"] or "")
            for each in kind["examples"] or ()
        ),
        fix=_fix(check, hint=first["hint"]) if is_offered else "",
        columns=(column,) if column else (),
        page=_page(check),
    )


def _check(pipeline: Pipeline, code: str) -> Check | None:
    return next((check for check in pipeline.applied if check.code == code), None)


def _as_one(
    pipeline: Pipeline, views: Sequence[FindingView], kinds: pl.DataFrame
) -> Iterator[FindingView]:
    """Yield one finding for those of many columns; of refusals each needs an answer of its own."""
    first, check = views[0], _check(pipeline, views[0].code)
    if check is None or first.severity == "refuse":
        yield from views
        return
    rows = pipeline.full_check.kinds.rows_of(first.code, severity=first.severity)
    names = [name or "the row" for name in kinds["column"]]
    columns = f"each of {len(names):,} columns ({_listed(names)})"
    examples = [view.examples[0] for view in views if view.examples][:EXAMPLES]
    sentence = text_about(check.texts.sentence, columns)
    yield replace(
        first,
        rows=rows,
        sentence=f"{sentence[:1].upper()}{sentence[1:]}",
        hint=text_about(check.texts.hint, "the column"),
        columns=tuple(kinds["column"].drop_nulls()),
        examples=tuple(examples),
    )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    shown = ", ".join(names[:LISTED])
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _with_repair(pipeline: Pipeline, view: FindingView) -> FindingView:
    """Return a finding whose examples have what they would be sent as after the repair."""
    if view.code not in pipeline.offered:
        return view
    check, _ = pipeline.offered[view.code]
    values: dict[tuple[str, int], str | None] = {}
    for column in {each.column for each in view.examples}:
        own = [each for each in view.examples if each.column == column]
        rows = [each.row for each in own if HIDDEN not in each.value]  # the rest stays hidden
        after = pipeline.after_repair(check, column=column, rows=rows)
        values |= {(column, row): value for row, value in after.items()}
    examples = (
        replace(each, repaired=values[each.column, each.row] or "")
        if (each.column, each.row) in values
        else each
        for each in view.examples
    )
    return replace(view, examples=tuple(examples))


def _sentence(finding: Mapping[str, Any]) -> str:
    """Return what a finding says, with the evidence where it is about the whole table."""
    message, evidence = str(finding["message"]), finding["value"]
    is_shown = finding["row"] is not None or not evidence or str(evidence).strip(".") in message
    if is_shown:
        return message
    return f"{message} {evidence}" if str(evidence).endswith(".") else f"{message} ({evidence})"


def _page(check: Check | None) -> str:
    """Return the page of a check in the documentation; checks of the user's own have none."""
    if check is None or check.own_texts is not None:
        return ""
    return f"checks.html#{check.code.replace('.', '-')}"


def summary(pipeline: Pipeline) -> pl.DataFrame:
    """Return what was found, a line for each code and column, as `SUMMARY`."""
    return _summarized(_findings(pipeline))


def _summarized(findings: Iterable[FindingView]) -> pl.DataFrame:
    lines = [
        {
            **{name: getattr(view, name) for name in ("severity", "code", "columns", "rows")},
            "message": view.sentence,
            "consequence": view.consequence,
            "hint": view.hint,
            "repair": view.fix,
            "examples": [{"row": each.row, "value": each.value} for each in view.examples],
            "page": DOCUMENTATION + view.page if view.page else None,
        }
        for view in findings
    ]
    order = pl.col("severity").cast(pl.Enum(SEVERITIES))
    return pl.DataFrame(lines, schema=SUMMARY).sort(order, -pl.col("rows"), maintain_order=True)


def _fix(check: Check | None, *, hint: str) -> str:
    """Return what to type for a repair, unless the hint says it already."""
    if check is None or check.repair is None or "plan.fix(" in hint:
        return ""
    return f'plan.fix("{check.code}")'


def _notes(pipeline: Pipeline) -> Iterator[str]:
    if pipeline.had_no_safe_repair:
        yield 'plan.fix("safe") changed nothing: this plan has nothing that can be repaired safely.'
    for code in pipeline.mapping.repairs:
        check = next(check for check in pipeline.applied if check.code == code)
        if check.repair:
            yield f"Repaired {code}: {check.texts.repair}{_changes(pipeline, code)}."


def _changes(pipeline: Pipeline, code: str) -> str:
    """Return what a repair changed, with an example of before and after."""
    told = [
        f"{_where(row)}{_shown(row['before'])} became {_shown(row['after'])}"
        for row in pipeline.changed.filter(pl.col("code") == code).iter_rows(named=True)
    ]
    return f" ({'; '.join(told)})" if told else ""


def _where(change: Mapping[str, Any]) -> str:
    """Return where values changed; a column that is sent under another name is told by its names."""
    if change["rows"] is None:
        return ""
    return f"{many(change['rows'], 'row')} of {change['column']}, e.g. "


def _shown(values: Sequence[str | None]) -> str:
    return "an empty cell" if values[0] is None else repr(values[0])


def timeline(pipeline: Pipeline) -> TimelineView | None:
    """Return the rows that would be sent, over time; None if they have no times to speak of."""
    counted = pipeline.full_check.hours
    if counted is None:
        return None
    known = counted.drop_nulls("hour")
    if known.is_empty():
        return None
    hours = known["hour"].to_list()
    first, last = min(hours), max(hours)
    width = next((w for w in WIDTHS_H if (last - first) // w < MOST_BARS), WIDTHS_H[-1])
    bars = (last - first) // width + 1
    placed = known.with_columns(bar=(pl.col("hour") - first) // width)
    return TimelineView(
        first=_moment(first),
        last=_moment(last),
        width=timedelta(hours=width),
        older=_filled(placed.filter(~pl.col("recent")), bars=bars),
        recent=_filled(placed.filter("recent"), bars=bars),
        hours=LIMITS["trigger_hours"].value if pipeline.call in TRIGGERING else None,
        unknown=int(counted["rows"].sum()) - int(known["rows"].sum()),
    )


def _filled(placed: pl.DataFrame, *, bars: int) -> tuple[int, ...]:
    """Return the rows of each bar."""
    rows = dict(placed.group_by("bar").agg(pl.col("rows").sum()).iter_rows())
    return tuple(rows.get(bar, 0) for bar in range(bars))


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_MS / 1000, tz=UTC)
