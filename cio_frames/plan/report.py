"""The content of the report of a plan, as the views need it."""

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
"""The most characters of a list of findings that a report has as a file too."""

WRITES = {
    "pandas": 'to_csv("{}", index=False)',
    "polars": 'write_csv("{}")',
    "spark": 'write.csv("{}", header=True)',
}
"""How a frame of each library is saved."""

SAVED = ("severity", "code", "columns", "rows", "message", "repair", "examples")

MOST_ALONE, LISTED = 3, 20
"""The most columns of one code that are shown one by one, and that are listed if there are more."""

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
    """Return the content of a plan's report; `preview` and `client` are the last ones, as for `outcome`."""
    check, findings = pipeline.full_check, tuple(_findings(pipeline))
    return PlanView(
        call=pipeline.call,
        source=pipeline.table.label,
        rows=check.rows,
        valid=check.valid,
        rejected=check.rows - check.valid,
        bytes=check.bytes,
        batches=check.batches,
        mapping=pipeline.mapping.describe(),
        findings=findings,
        payloads=tuple(_payloads(pipeline)),
        notes=tuple(_notes(pipeline)),
        times=timeline(pipeline),
        outcome=outcome([pipeline], preview, client=client),
        allow_line=allowing([pipeline], preview, client=client),
        findings_csv=_saved(findings),
        save_steps=tuple(_saving(pipeline)),
        ids_are_final=not pipeline.mapping.call.sets_state,
    )


def _saved(findings: Sequence[FindingView]) -> str:
    """Return the findings that the report shows as the text of a CSV file."""
    text = csv(_summarized(findings).select(SAVED)) if findings else ""
    return text if len(text) <= MOST_SAVED else ""


def _saving(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield the code that saves every finding, and the excluded rows."""
    write = WRITES[pipeline.table.library]
    check = pipeline.full_check
    if check.kinds.kinds.height:
        yield "Every finding, with its row:", f"plan.findings.{write.format('findings.csv')}"
    if check.valid < check.rows:
        label = "The excluded rows, with the reasons:"
        yield label, f"plan.rejected.{write.format('rejected.csv')}"


def findings_of(forms: Iterable[OtherForm]) -> pl.DataFrame:
    """Return findings about ids that another plan of a back-fill has in another form."""
    rows = [
        (form.plan, None, CODE, "warn", form.column, form.examples[0][0], form.message, form.hint)
        for form in forms
    ]
    schema = {"plan": pl.Int32, **dict.fromkeys(FINDING_SCHEMA, pl.String), "row": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_other_forms(views: Sequence[PlanView], forms: Sequence[OtherForm]) -> list[PlanView]:
    """Return the reports of plans with findings about ids that another plan has in another form."""
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
    """Yield the first messages; allowed sensitive values are masked, since reports are saved."""
    for message in pipeline.messages(SHOWN_PAYLOADS):
        yield (masked(message) or "") if pipeline.checks.allow_sensitive else message


def _findings(pipeline: Pipeline) -> Iterator[FindingView]:
    kinds = pipeline.full_check.kinds.kinds
    for of_code in kinds.partition_by("severity", "code", maintain_order=True):
        views = [_finding(pipeline, kind) for kind in of_code.iter_rows(named=True)]
        shown = views if of_code.height <= MOST_ALONE else _as_one(pipeline, views, of_code)
        yield from (_with_repair(pipeline, view) for view in shown)


def _finding(pipeline: Pipeline, kind: Mapping[str, Any]) -> FindingView:
    """Return a finding of one kind, a row of `KIND_SCHEMA`."""
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
            Example(row=example["row"], column=column or "", value=example["value"] or "")
            for example in kind["examples"] or ()
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
    """Yield one finding for those of many columns; refusals stay apart, since each needs a decision."""
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
    """Return a finding with examples of what is sent after the repair."""
    if view.code not in pipeline.offered:
        return view
    check, _ = pipeline.offered[view.code]
    values: dict[tuple[str, int], str | None] = {}
    for column in {example.column for example in view.examples}:
        of_column = [example for example in view.examples if example.column == column]
        rows = [
            example.row for example in of_column if HIDDEN not in example.value
        ]  # the rest stays hidden
        after = pipeline.after_repair(check, column=column, rows=rows)
        values |= {(column, row): value for row, value in after.items()}
    examples = (
        replace(example, repaired=values[example.column, example.row] or "")
        if (example.column, example.row) in values
        else example
        for example in view.examples
    )
    return replace(view, examples=tuple(examples))


def _sentence(finding: Mapping[str, Any]) -> str:
    """Return the sentence of a finding, with the evidence if it is about the whole table."""
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
    """Return the findings, a line for each code and column, as `SUMMARY`."""
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
    """Return the code for a repair, unless it is in the hint."""
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
    changes = [
        f"{_where(row)}{_shown(row['before'])} became {_shown(row['after'])}"
        for row in pipeline.changed.filter(pl.col("code") == code).iter_rows(named=True)
    ]
    return f" ({'; '.join(changes)})" if changes else ""


def _where(change: Mapping[str, Any]) -> str:
    """Return where values changed; empty for a column that is sent under another name."""
    if change["rows"] is None:
        return ""
    return f"{many(change['rows'], 'row')} of {change['column']}, e.g. "


def _shown(values: Sequence[str | None]) -> str:
    return "an empty cell" if values[0] is None else repr(values[0])


def timeline(pipeline: Pipeline) -> TimelineView | None:
    """Return the rows that would be sent, over time; None if they have no times."""
    counted = pipeline.full_check.hours
    if counted is None:
        return None
    dated = counted.drop_nulls("hour")
    if dated.is_empty():
        return None
    hours = dated["hour"].to_list()
    first, last = min(hours), max(hours)
    width = next((w for w in WIDTHS_H if (last - first) // w < MOST_BARS), WIDTHS_H[-1])
    bars = (last - first) // width + 1
    placed = dated.with_columns(bar=(pl.col("hour") - first) // width)
    return TimelineView(
        first=_moment(first),
        last=_moment(last),
        width=timedelta(hours=width),
        older=_filled(placed.filter(~pl.col("recent")), bars=bars),
        recent=_filled(placed.filter("recent"), bars=bars),
        hours=LIMITS["trigger_hours"].value if pipeline.call in TRIGGERING else None,
        unknown=int(counted["rows"].sum()) - int(dated["rows"].sum()),
    )


def _filled(placed: pl.DataFrame, *, bars: int) -> tuple[int, ...]:
    """Return the rows of each bar."""
    rows = dict(placed.group_by("bar").agg(pl.col("rows").sum()).iter_rows())
    return tuple(rows.get(bar, 0) for bar in range(bars))


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_MS / 1000, tz=UTC)
