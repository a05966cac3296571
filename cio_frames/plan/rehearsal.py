"""Rehearsal: send everything to a private workspace, and hold it against the preview."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cio_frames.audit import Audit, collected
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
from cio_frames.views import text
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Badge, Document, Heading, Node, Paragraph, Section, Table
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import bundle
from cio_frames.views.wording import duration, many, number
from cio_frames.workspaces.embedded import sandbox

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox
    from cio_frames.sandbox.outcome import Outcome

SHOWN: Final = 20
COMPARED_ROWS: Final = 10_000
"""Of so many rows the attributes are compared; of more rows, or people before, those of a part."""
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
class Rehearsal:
    """What the preview said, held against what a workspace made of the same messages.

    Attributes:
        compared: How many there were of each thing, as predicted and as they came.
        differences: Everything that came another way, one line each; empty if nothing did.
        without_effect: Why rows change nothing, in whole or in part: each rule with how many rows
            and the first of its sentences.
        counts: What became of the rows.
        label: What was rehearsed.
        open: The open settings that both rest on, None without one.
    """

    compared: pl.DataFrame
    differences: pl.DataFrame
    without_effect: pl.DataFrame
    counts: dict[str, int]
    label: str
    open: str | None = None

    @property
    def as_predicted(self) -> bool:
        """Whether everything came as predicted, also that rows are without effect."""
        return not self.differences.height

    @property
    def identical(self) -> bool:
        """Whether everything came as predicted, and all that was sent has its effect."""
        return self.as_predicted and not self.without_effect.height

    def __repr__(self) -> str:
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self._document())

    def _document(self) -> Document:
        rows, requests = self.counts["rows"], self.counts["requests"]
        sent = (
            f"{number(rows - self.counts['rejected_local'])} of {many(rows, 'row')} were sent in "
            f"{many(requests, 'request')} to a private workspace on this machine."
        )
        found = many(self.differences.height, "difference")
        compared = Table(("what", "predicted", "actual"), self.compared.rows(), right={1, 2})
        if self.identical:
            came = with_open_settings("Everything arrived as predicted.", self.open)
            told = Paragraph(f"{sent} {came}", "lead")
            verdict = Badge("✓ identical", "good")
            return Document(Heading("Rehearsal", self.label, verdict), (told, compared))
        lost = [self._lost()] if self.without_effect.height else []
        if self.as_predicted:
            came = "Everything arrived as predicted, but Customer.io will ignore some of it."
            told = Paragraph(f"{sent} {with_open_settings(came, self.open)}", "lead")
            verdict = Badge("! as predicted: some rows ignored", "care")
            return Document(Heading("Rehearsal", self.label, verdict), (told, *lost, compared))
        differ = with_open_settings(f"{found} between the preview and the result.", self.open)
        told = Paragraph(f"{sent} {differ}", "lead")
        heading = Heading("Rehearsal", self.label, Badge(f"✕ {found}", "bad"))
        return Document(heading, (told, *lost, compared, self._differing()))

    def _lost(self) -> Node:
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
    """What is compared, as predicted and as it came: frames of columns `subject` and `count`."""

    what: str
    predicted: pl.DataFrame
    actual: pl.DataFrame

    def totals(self) -> tuple[str, int, int]:
        """Return how many there are on either side."""
        return self.what, int(self.predicted["count"].sum()), int(self.actual["count"].sum())

    def differences(self) -> pl.DataFrame:
        """Return the subjects that are not there as often as predicted."""
        both = _both(self.predicted, self.actual).filter(pl.col("count") != pl.col("other"))
        return both.sort("subject").select(
            pl.lit(self.what).alias("what"), "subject", predicted="count", actual="other"
        )


@contextmanager
def _one_display(
    progress: ShowProgress, *, label: str
) -> Generator[Callable[[ProgressState], None]]:
    """Give what shows the states of preview and run in one display, as those of a rehearsal."""
    shown, began, is_shown = display(progress), monotonic(), False

    def update(state: ProgressState) -> None:
        nonlocal is_shown
        named = replace(state, label=f"the rehearsal of {label}", record="")
        if named.phase == "finished":  # what came is still to be compared
            named = replace(named, phase="finishing")
        (shown.update if is_shown else shown.show)(named)
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
    """Send plans to a private workspace that nobody else sees, and compare.

    The workspace starts from the people of the premise, has its settings, and its clock stands
    still, as that of the preview does. No record is left behind.

    Raises:
        PlanRefusedError: Something has to be fixed or allowed first.
    """
    with _one_display(progress, label=pipelines.label) as update:
        preview = identity_preview(pipelines, premise, progress=update)
        predicted, without_effect = _predicted(preview), _without_effect(preview)
        forms, opens = _mapped_forms(pipelines, preview), join_settings(preview.summary["open"])
        del preview  # what is not compared is not needed while everything is sent
        counts, actual, attributes = _sent(
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


def _sent(
    pipelines: Pipelines,
    premise: Premise,
    predicted: Mapping[str, pl.DataFrame],
    forms: Mapping[str, Mapping[str, str]],
    *,
    send: Callable[..., Run],
) -> tuple[dict[str, int], dict[str, pl.DataFrame], Side]:
    """Send plans to a private workspace; return the run's counts, what came of it, and the attributes."""
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
        # Those of the export whom no row is about stay as they were.
        untouched = _least(_less(actual["people"], predicted["people"]), people)
        actual["people"] = _less(actual["people"], untouched)
        actual["failures"] = _less(actual["failures"], failures)
        actual["rejected rows"] = _places(_refused(run))
        of_groups = "events of groups"
        if predicted[of_groups].is_empty() and actual[of_groups].is_empty():
            del actual[of_groups]
        return run.counts, actual, _attributes(pipelines, premise, workspace, run)


def _attributes(
    pipelines: Pipelines, premise: Premise, workspace: "Sandbox[Any]", run: Run
) -> Side:
    """Return the attributes that people should have, beside those that they have.

    Of many rows a part is compared: what their messages alone make, here and in the workspace.
    """
    columns = Audit(run.audit).scan().select("run_id", "plan", "row", "state")
    now = pl.lit(premise.now).alias("first_attempt_at")
    rows = collected(columns, run.audit).with_columns(now, now.alias("finished_at"))
    known, what = premise.workspace_people, "attributes"
    messages: list[Arrived] | None = None
    if rows.height <= COMPARED_ROWS and (known is None or known.height <= COMPARED_ROWS):
        held = workspace.people
    else:
        known, every = None, -(-rows.height // COMPARED_ROWS)
        messages = [each for each in arrived(pipelines, rows, every=every) if _has_id(each)]
        held = workspace.people_of(_ids(messages, run_id=run.run_id))
        what = f"attributes ({number(len(messages))} rows)"
    wanted = expected(pipelines, rows, before=known, settings=premise.settings, messages=messages)
    reconciler = Reconciler(wanted, before=known, window=None)
    reconciler.exported(held)
    counts = reconciler.counts.frame().filter(pl.col("what") == "attributes")
    same = [("as sent", int(counts["as_expected"].sum()))]
    lines = reconciler.differences().select(
        pl.format(
            "{}: {} is {}, not {}", pl.coalesce("id", "email", pl.lit("somebody")),
            *(pl.col(name).fill_null("not there") for name in ("name", "actual", "expected")),
        ),
        count=pl.lit(1),
    )  # fmt: skip
    return Side(
        what,
        _tally(pl.DataFrame([*same, *lines.rows()], schema=_TALLY, orient="row")),
        _tally(pl.DataFrame(same, schema=_TALLY, orient="row")),
    )


def _has_id(each: Arrived) -> bool:
    """Return whether a message can be found by its id: form submissions have none."""
    return "messageId" in each.message


def _ids(messages: Iterable[Arrived], *, run_id: str) -> set[str]:
    """Return the ids of messages, and those under which the run may have sent them."""
    ids = [each.message["messageId"] for each in messages]
    made = [each for each in ids if each.isascii() and len(each) == ID_CHARACTERS]
    return {*ids, *(run_ids(pl.Series(made), seed=run_id) if made else ())}


def _refused(run: Run) -> pl.DataFrame:
    """Return the places of the rows that the workspace has refused."""
    refused = Audit(run.audit).scan().filter(pl.col("state") == "rejected_server")
    return refused.select("plan", "row").collect()


def _mapped_forms(pipelines: Pipelines, preview: Preview) -> dict[str, dict[str, str]]:
    """Return the forms whose fields are sent under names of their own, as they are mapped."""
    own = {place: own_names(pipeline.mapping) for place, pipeline in enumerate(pipelines.all)}
    forms: dict[str, dict[str, str]] = {}
    submitted = preview.changes.filter(pl.col("rule") == FORM_SUBMITTED.name)
    for place, form_id in submitted.select("plan", "subject").unique().iter_rows():
        if own[place]:
            forms.setdefault(form_id, {}).update(own[place])
    return forms


def _predicted(preview: Preview) -> dict[str, pl.DataFrame]:
    """Return how often each thing is there as the preview says."""
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
        "anonymous events": _visits(unlinked.rename({"outcome": "attribution"})),
        "events of groups": _tally(of_groups.select("subject")),
        "opt-outs ended": _all(preview.summary["opt_outs_ended"]),
        "failures": _failures(changes),
        "rejected rows": _places(changes.filter(pl.col("kind") == "rejected")),
    }


def _actual(came: "Outcome", premise: Premise) -> dict[str, pl.DataFrame]:
    """Return how often each thing is there in a workspace."""
    given = (
        set()
        if premise.workspace_people is None
        else set(premise.workspace_people["cio_id"].drop_nulls())
    )
    return {
        "people": _people(came.people),
        "total people": _all(came.people.height),
        "merges": _merges(_as_previewed(came.merges, given=given)),
        "objects": _objects(came.objects),
        "relationships": _relations(came.relationships),
        "anonymous events": _visits(came.unattributed),
        "events of groups": _tally(came.group_events),
        "opt-outs ended": _all(
            count_ended(people_opted_out(premise.workspace_people), came.attributes_of)
        ),
        "failures": _failures(came.failures),
    }


def _without_effect(preview: Preview) -> pl.DataFrame:
    """Return why rows change nothing in whole or in part, the most frequent reason first."""
    lost = preview.changes.filter(pl.col("kind").is_in(sorted(FAILED)))
    each = lost.group_by(pl.col("rule").cast(pl.String)).agg(
        pl.struct("plan", "row").n_unique().alias("rows"),
        pl.struct("key", "other", "subject").first().alias("first"),
    )
    lines = [
        (
            row["rule"],
            row["rows"],
            sentence(row["rule"], **row["first"], labels=preview.labels),
        )
        for row in each.sort("rows", "rule", descending=[True, False]).iter_rows(named=True)
    ]
    return pl.DataFrame(lines, schema=WITHOUT_EFFECT, orient="row")


def _people(people: pl.DataFrame) -> pl.DataFrame:
    """Return everybody with everything that a preview tells of a person."""
    visitors = pl.col("anonymous_ids").list.sort().list.join(", ")
    named = pl.format("{} / {} [{}] {} events", _said("id"), _said("email"), visitors, "events")
    return _tally(people.select(subject=named))


def _merges(rows: pl.DataFrame) -> pl.DataFrame:
    moved = "{} moved, {} later, {} lost"
    counts = ("events_moved", "events_later", "events_lost")
    removed = pl.col("removed").list.join(", ")
    told = pl.format(f"{{}} into {{}} ({{}}, {moved})", removed, _said("kept"), "why", *counts)
    return _tally(rows.select(subject=told))


def _as_previewed(merges: pl.DataFrame, *, given: Collection[str]) -> pl.DataFrame:
    """Return the merges of a workspace without the cio_ids that no export gave."""
    removed = [
        [key for key in keys if key != f"cio_{cio_id}" or cio_id in given]
        for cio_id, keys in merges.select("removed", "removed_keys").iter_rows()
    ]
    return merges.with_columns(
        pl.Series("removed", removed, dtype=pl.List(pl.String)), kept="kept_key"
    )


def _objects(objects: pl.DataFrame) -> pl.DataFrame:
    return _tally(objects.select(subject=pl.format("{}/{}", "object_type_id", "object_id")))


def _relations(rows: pl.DataFrame) -> pl.DataFrame:
    columns = ("object_type_id", "object_id", "id", "email", "anonymous_id")
    return _tally(rows.select(subject=pl.concat_str(map(_said, columns), separator=" / ")))


def _visits(events: pl.DataFrame) -> pl.DataFrame:
    """Return the events of nobody by visitor, and why they are nobody's."""
    subject = pl.format("{} ({})", _said("anonymous_id"), "attribution")
    return _tally(events.select(count=pl.col("events").cast(pl.Int64), subject=subject))


def _failures(rules: pl.DataFrame) -> pl.DataFrame:
    """Return the rules by which things failed, of columns `kind` and `rule`."""
    failed = rules.filter(pl.col("kind").is_in(_FAILURE_KINDS))
    return _tally(failed.select(subject=pl.col("rule").cast(pl.String)))


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    return _tally(rows.select(subject=pl.format("plan {}, row {}", "plan", "row")))


def _all(count: int) -> pl.DataFrame:
    return pl.DataFrame({"subject": ["all"], "count": [count]}, schema=_TALLY)


def _said(name: str) -> pl.Expr:
    return pl.col(name).fill_null("None")


def _tally(subjects: pl.DataFrame) -> pl.DataFrame:
    """Return how often each subject is there; a line without a count is there once."""
    counted = subjects if "count" in subjects.columns else subjects.with_columns(count=pl.lit(1))
    return (
        counted.group_by("subject").agg(pl.col("count").sum()).select(_TALLY.names()).cast(_TALLY)
    )


def _both(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how often each subject is there in one, and as `other` in the other."""
    found = one.join(other.rename({"count": "other"}), on="subject", how="full", coalesce=True)
    return found.with_columns(pl.col("count", "other").fill_null(0))


def _less(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how much more often each subject is there in one."""
    more = _both(one, other).select("subject", count=pl.col("count") - pl.col("other"))
    return more.filter(pl.col("count") > 0)


def _least(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return how often each subject is there in both."""
    shared = one.join(other.rename({"count": "other"}), on="subject")
    return shared.select("subject", count=pl.min_horizontal("count", "other"))
