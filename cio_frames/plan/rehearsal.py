"""Rehearsal: send everything to a private workspace, and compare the result with the preview."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cio_frames.audit import Audit, collect_rows
from cio_frames.errors import engine_errors
from cio_frames.identity.opt_outs import count_ended, people_opted_out
from cio_frames.identity.preview import Preview
from cio_frames.identity.results import REMOVALS
from cio_frames.identity.rules import (
    EVENT_GROUP,
    FAILED,
    FORM_SUBMITTED,
    join_settings,
    sentence,
    with_open_settings,
)
from cio_frames.identity.settings import Premise
from cio_frames.mapping import own_names
from cio_frames.payloads.ids import ID_CHARACTERS, run_ids
from cio_frames.plan.arrived import Arrived, arrived
from cio_frames.plan.expected import expected
from cio_frames.plan.identity_preview import identity_preview
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.reconciler import Reconciler
from cio_frames.run import Run
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Badge, Document, Heading, Node, Paragraph, Section, Table
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import Shown
from cio_frames.views.wording import duration, many, number
from cio_frames.workspaces.embedded import sandbox

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox
    from cio_frames.sandbox.outcome import Outcome

SHOWN: Final = 20
COMPARED_ROWS: Final = 10_000
"""Up to this many rows and earlier people all attributes are compared; beyond, those of a part."""
_TALLY: Final = pl.Schema({"subject": pl.String, "count": pl.Int64})
DIFFERENCES: Final = pl.Schema({
    "what": pl.String,
    "subject": pl.String,
    "predicted": pl.Int64,
    "actual": pl.Int64,
})  # fmt: skip
WITHOUT_EFFECT: Final = pl.Schema({"rule": pl.String, "rows": pl.Int64, "sentence": pl.String})
_FAILURE_KINDS: Final = tuple(sorted(FAILED - {"rejected"}))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Rehearsal(Shown):
    """The preview, compared with what a workspace made of the same messages.

    Attributes:
        compared: How many there are of each thing, as predicted and in the result.
        differences: Everything that was predicted differently, one line each; empty if nothing was.
        without_effect: Why rows change nothing, or not all that they should: each rule with its number
            of rows and its first sentence.
        counts: The rows in each state.
        label: What was rehearsed.
        open: The open settings that both depend on; None if there are none.
    """

    compared: pl.DataFrame
    differences: pl.DataFrame
    without_effect: pl.DataFrame
    counts: dict[str, int]
    label: str
    open: str | None = None

    @property
    def as_predicted(self) -> bool:
        """Whether everything is as predicted, including the rows without effect."""
        return not self.differences.height

    @property
    def identical(self) -> bool:
        """Whether everything is as predicted, and all rows that were sent have their effect."""
        return self.as_predicted and not self.without_effect.height

    def _document(self) -> Document:
        rows, requests = self.counts["rows"], self.counts["requests"]
        sent = (
            f"{number(rows - self.counts['rejected_local'])} of {many(rows, 'row')} were sent in "
            f"{many(requests, 'request')} to a private workspace on this machine."
        )
        outcome, verdict = self._outcome()
        body: list[Node] = [Paragraph(f"{sent} {with_open_settings(outcome, self.open)}", "lead")]
        if self.without_effect.height:
            body.append(self._ignored())
        body.append(Table(("what", "predicted", "actual"), self.compared.rows(), right={1, 2}))
        if not self.as_predicted:
            body.append(self._differing())
        return Document(Heading("Rehearsal", self.label, verdict), body)

    def _outcome(self) -> tuple[str, Badge]:
        if not self.as_predicted:
            differences = many(self.differences.height, "difference")
            sentence = f"{differences} between the preview and the result."
            return sentence, Badge(f"✕ {differences}", "bad")
        if self.without_effect.height:
            sentence = "Everything arrived as predicted, but Customer.io will ignore some of it."
            return sentence, Badge("! as predicted: some rows ignored", "care")
        return "Everything arrived as predicted.", Badge("✓ identical", "good")

    def _ignored(self) -> Node:
        headers = ("rule", "rows", "first case")
        table = Table(headers, self.without_effect.rows(), right={1})
        return Section("Ignored by Customer.io, entirely or in part", [table])

    def _differing(self) -> Node:
        shown = self.differences.head(SHOWN)
        is_whole = shown.height == self.differences.height
        title = "Differences" if is_whole else f"The first {shown.height} differences"
        headers = ("what", "which", "predicted", "actual")
        return Section(title, [Table(headers, shown.rows(), right={2, 3})])


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared, as predicted and in the result: frames of columns `subject` and `count`."""

    what: str
    predicted: pl.DataFrame
    actual: pl.DataFrame

    def totals(self) -> tuple[str, int, int]:
        """Return how many there are, as predicted and in the result."""
        return self.what, int(self.predicted["count"].sum()), int(self.actual["count"].sum())

    def differences(self) -> pl.DataFrame:
        """Return the subjects whose counts differ."""
        both = _joined(self.predicted, self.actual).filter(pl.col("count") != pl.col("other"))
        return both.sort("subject").select(
            pl.lit(self.what).alias("what"), "subject", predicted="count", actual="other"
        )


@contextmanager
def _one_display(
    progress: ShowProgress, *, label: str
) -> Generator[Callable[[ProgressState], None]]:
    """Provide a function that shows the progress of preview and run in one display."""
    shown, began, is_shown = display(progress), monotonic(), False

    def update(state: ProgressState) -> None:
        nonlocal is_shown
        rehearsal_state = replace(state, label=f"the rehearsal of {label}", record="")
        if rehearsal_state.phase == "finished":  # the result is still to be compared
            rehearsal_state = replace(rehearsal_state, phase="finishing")
        (shown.update if is_shown else shown.show)(rehearsal_state)
        is_shown = True

    yield update
    if is_shown:
        took = duration(monotonic() - began)
        shown.close(Document(Heading(f"Rehearsal ended in {took}: nothing left this machine."), ()))


@engine_errors("the plan was rehearsed")
def rehearse(
    pipelines: Pipelines,
    premise: Premise,
    *,
    send: Callable[..., Run],
    progress: ShowProgress = False,
) -> Rehearsal:
    """Send plans to a private workspace, and compare.

    The workspace starts with the people and the settings of the premise, and its clock does not move,
    like that of the preview. No record is left behind.

    Raises:
        PlanRefusedError: Something has to be fixed or allowed first.
    """
    with _one_display(progress, label=pipelines.label) as update:
        preview = identity_preview(pipelines, premise, progress=update)
        predicted, without_effect = _predicted(preview), _without_effect(preview)
        forms, opens = _mapped_forms(pipelines, preview), join_settings(preview.summary["open"])
        del preview  # to free its memory while everything is sent
        counts, actual, attributes = _send(
            pipelines, premise, predicted, forms, send=partial(send, progress=update)
        )
    sides = [Side(what, side, actual[what]) for what, side in predicted.items() if what in actual]
    sides.append(attributes)
    return Rehearsal(
        compared=pl.DataFrame(
            [side.totals() for side in sides],
            schema={"what": pl.String, "predicted": pl.Int64, "actual": pl.Int64},
            orient="row",
        ),
        differences=pl.concat([side.differences() for side in sides]).cast(DIFFERENCES),
        without_effect=without_effect,
        counts=counts,
        label=pipelines.label,
        open=opens,
    )


def _send(
    pipelines: Pipelines,
    premise: Premise,
    predicted: Mapping[str, pl.DataFrame],
    forms: Mapping[str, Mapping[str, str]],
    *,
    send: Callable[..., Run],
) -> tuple[dict[str, int], dict[str, pl.DataFrame], Side]:
    """Send plans to a private workspace; return the counts of the run, the result, and the attributes."""
    with (
        sandbox(
            settings=premise.settings, clock=lambda: premise.now, page=False, forms=forms
        ) as workspace,
        TemporaryDirectory(prefix="cio-rehearsal-") as folder,
    ):
        if premise.workspace_people is not None:
            workspace.load(premise.workspace_people)
        before = workspace.outcome()
        people, failures = _people(before.people), _failures(before.failures)
        run = send(workspace.client(), audit=folder)
        actual = _actual(workspace.outcome(), premise)
        # People of the export that no row is about stay as they were.
        untouched = _in_both(_minus(actual["people"], predicted["people"]), people)
        actual["people"] = _minus(actual["people"], untouched)
        actual["failures"] = _minus(actual["failures"], failures)
        rejected = Audit(run.audit).scan().filter(pl.col("state") == "rejected_server")
        actual["rejected rows"] = _places(rejected.select("plan", "row").collect())
        of_groups = "events of groups"
        if predicted[of_groups].is_empty() and actual[of_groups].is_empty():
            del actual[of_groups]
        return run.counts, actual, _attributes(pipelines, premise, workspace, run)


def _attributes(
    pipelines: Pipelines, premise: Premise, workspace: "Sandbox[Any]", run: Run
) -> Side:
    """Return the attributes that people should have, and those that they have.

    If there are many rows, only a part is compared: what their messages alone make of the people.
    """
    columns = Audit(run.audit).scan().select("run_id", "plan", "row", "state")
    now = pl.lit(premise.now).alias("first_attempt_at")
    rows = collect_rows(columns, run.audit).with_columns(now, now.alias("finished_at"))
    before, what = premise.workspace_people, "attributes"
    messages: list[Arrived] | None = None
    if rows.height <= COMPARED_ROWS and (before is None or before.height <= COMPARED_ROWS):
        people = workspace.people
    else:
        before, step = None, -(-rows.height // COMPARED_ROWS)
        sample = arrived(pipelines, rows, every=step)
        messages = [item for item in sample if "messageId" in item.message]  # forms have no ids
        people = workspace.people_of(_ids(messages, run_id=run.run_id))
        what = f"attributes ({number(len(messages))} rows)"
    wanted = expected(pipelines, rows, before=before, settings=premise.settings, messages=messages)
    reconciler = Reconciler(wanted, before=before, window=None)
    reconciler.compare_export(people)
    counts = reconciler.counts.frame().filter(pl.col("what") == "attributes")
    as_sent = [("as sent", int(counts["as_expected"].sum()))]
    lines = reconciler.differences().select(
        pl.format(
            "{}: {} is {}, not {}", pl.coalesce("id", "email", pl.lit("somebody")),
            *(pl.col(name).fill_null("not there") for name in ("name", "actual", "expected")),
        ),
        count=pl.lit(1),
    )  # fmt: skip
    return Side(
        what,
        _tally(pl.DataFrame([*as_sent, *lines.rows()], schema=_TALLY, orient="row")),
        _tally(pl.DataFrame(as_sent, schema=_TALLY, orient="row")),
    )


def _ids(messages: Iterable[Arrived], *, run_id: str) -> set[str]:
    """Return the ids of messages, and the ids under which the run may have sent them."""
    ids = [item.message["messageId"] for item in messages]
    derived = [name for name in ids if name.isascii() and len(name) == ID_CHARACTERS]
    return {*ids, *(run_ids(pl.Series(derived), seed=run_id) if derived else ())}


def _mapped_forms(pipelines: Pipelines, preview: Preview) -> dict[str, dict[str, str]]:
    """Return the mappings of forms whose fields are sent under their own names."""
    names = {place: own_names(pipeline.mapping) for place, pipeline in enumerate(pipelines.all)}
    forms: dict[str, dict[str, str]] = {}
    submitted = preview.changes.filter(pl.col("rule") == FORM_SUBMITTED.name)
    for place, form_id in submitted.select("plan", "subject").unique().iter_rows():
        if names[place]:
            forms.setdefault(form_id, {}).update(names[place])
    return forms


def _predicted(preview: Preview) -> dict[str, pl.DataFrame]:
    """Return how often the preview has each thing."""
    changes = preview.changes
    of_groups = changes.filter(pl.col("rule") == EVENT_GROUP.name)
    touched = preview.people.filter("known", ~pl.col("action").is_in(REMOVALS))
    unlinked = preview.attribution.filter(pl.col("outcome") != "linked")
    return {
        "people": _people(touched),
        "total people": _all(preview.summary["people"]),
        "merges": _merges(preview.merges),
        "objects": _objects(preview.groups.filter(pl.col("action") != "delete")),
        "relationships": _relations(preview.relationships),
        "anonymous events": _anonymous_events(unlinked.rename({"outcome": "attribution"})),
        "events of groups": _tally(of_groups.select("subject")),
        "opt-outs ended": _all(preview.summary["opt_outs_ended"]),
        "failures": _failures(changes),
        "rejected rows": _places(changes.filter(pl.col("kind") == "rejected")),
    }


def _actual(outcome: "Outcome", premise: Premise) -> dict[str, pl.DataFrame]:
    """Return how often a workspace has each thing."""
    cio_ids = (
        set()
        if premise.workspace_people is None
        else set(premise.workspace_people["cio_id"].drop_nulls())
    )
    return {
        "people": _people(outcome.people),
        "total people": _all(outcome.people.height),
        "merges": _merges(_as_previewed(outcome.merges, cio_ids=cio_ids)),
        "objects": _objects(outcome.objects),
        "relationships": _relations(outcome.relationships),
        "anonymous events": _anonymous_events(outcome.unattributed),
        "events of groups": _tally(outcome.group_events),
        "opt-outs ended": _all(
            count_ended(people_opted_out(premise.workspace_people), outcome.attributes_of)
        ),
        "failures": _failures(outcome.failures),
    }


def _without_effect(preview: Preview) -> pl.DataFrame:
    """Return why rows change nothing, or not all that they should, the most frequent reason first."""
    ignored = preview.changes.filter(pl.col("kind").is_in(sorted(FAILED)))
    by_rule = ignored.group_by(pl.col("rule").cast(pl.String)).agg(
        pl.struct("plan", "row").n_unique().alias("rows"),
        pl.struct("key", "other", "subject").first().alias("first"),
    )
    lines = [
        (row["rule"], row["rows"], sentence(row["rule"], **row["first"], labels=preview.labels))
        for row in by_rule.sort("rows", "rule", descending=[True, False]).iter_rows(named=True)
    ]
    return pl.DataFrame(lines, schema=WITHOUT_EFFECT, orient="row")


def _people(people: pl.DataFrame) -> pl.DataFrame:
    """Return all people, with everything that a preview has of a person."""
    anonymous_ids = pl.col("anonymous_ids").list.sort().list.join(", ")
    subject = pl.format(
        "{} / {} [{}] {} events", _or_none("id"), _or_none("email"), anonymous_ids, "events"
    )
    return _tally(people.select(subject=subject))


def _merges(rows: pl.DataFrame) -> pl.DataFrame:
    moved = "{} moved, {} later, {} lost"
    counts = ("events_moved", "events_later", "events_lost")
    removed = pl.col("removed").list.join(", ")
    subject = pl.format(
        f"{{}} into {{}} ({{}}, {moved})", removed, _or_none("kept"), "why", *counts
    )
    return _tally(rows.select(subject=subject))


def _as_previewed(merges: pl.DataFrame, *, cio_ids: Collection[str]) -> pl.DataFrame:
    """Return the merges of a workspace without cio_ids that are in no export."""
    removed = [
        [key for key in keys if key != f"cio_{cio_id}" or cio_id in cio_ids]
        for cio_id, keys in merges.select("removed", "removed_keys").iter_rows()
    ]
    return merges.with_columns(
        pl.Series("removed", removed, dtype=pl.List(pl.String)), kept="kept_key"
    )


def _objects(objects: pl.DataFrame) -> pl.DataFrame:
    return _tally(objects.select(subject=pl.format("{}/{}", "object_type_id", "object_id")))


def _relations(rows: pl.DataFrame) -> pl.DataFrame:
    columns = ("object_type_id", "object_id", "id", "email", "anonymous_id")
    return _tally(rows.select(subject=pl.concat_str(map(_or_none, columns), separator=" / ")))


def _anonymous_events(events: pl.DataFrame) -> pl.DataFrame:
    """Return the anonymous events by anonymous id, and why they belong to no person."""
    subject = pl.format("{} ({})", _or_none("anonymous_id"), "attribution")
    return _tally(events.select(count=pl.col("events").cast(pl.Int64), subject=subject))


def _failures(rules: pl.DataFrame) -> pl.DataFrame:
    """Return the rules by which changes failed, from columns `kind` and `rule`."""
    failed = rules.filter(pl.col("kind").is_in(_FAILURE_KINDS))
    return _tally(failed.select(subject=pl.col("rule").cast(pl.String)))


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    return _tally(rows.select(subject=pl.format("plan {}, row {}", "plan", "row")))


def _all(count: int) -> pl.DataFrame:
    return pl.DataFrame({"subject": ["all"], "count": [count]}, schema=_TALLY)


def _or_none(name: str) -> pl.Expr:
    return pl.col(name).fill_null("None")


def _tally(subjects: pl.DataFrame) -> pl.DataFrame:
    """Return how often there is each subject; without the column `count`, each line counts once."""
    counted = subjects if "count" in subjects.columns else subjects.with_columns(count=pl.lit(1))
    return (
        counted.group_by("subject").agg(pl.col("count").sum()).select(_TALLY.names()).cast(_TALLY)
    )


def _joined(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how often there is each subject in one frame, and as `other` in the other."""
    joined = one.join(other.rename({"count": "other"}), on="subject", how="full", coalesce=True)
    return joined.with_columns(pl.col("count", "other").fill_null(0))


def _minus(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how much more often there is each subject in one frame than in the other."""
    more = _joined(one, other).select("subject", count=pl.col("count") - pl.col("other"))
    return more.filter(pl.col("count") > 0)


def _in_both(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how often there is each subject in both frames."""
    shared = one.join(other.rename({"count": "other"}), on="subject")
    return shared.select("subject", count=pl.min_horizontal("count", "other"))
