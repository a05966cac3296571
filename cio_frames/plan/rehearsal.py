"""Rehearsal: send everything to a private workspace, and hold it against the preview."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from cio_frames.audit import Audit
from cio_frames.errors import engine_errors
from cio_frames.identity.opt_outs import ended, opted_out
from cio_frames.identity.preview import Premise, Preview
from cio_frames.identity.results import REMOVALS
from cio_frames.identity.rules import EVENT_GROUP, FAILED, FORM_SUBMITTED, joined, marked, sentence
from cio_frames.mapping import own_names
from cio_frames.plan.identity_preview import identity_preview
from cio_frames.plan.pipeline import Pipelines
from cio_frames.run import Run
from cio_frames.views import text
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Badge, Document, Heading, Node, Paragraph, Section, Table
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.render import bundle
from cio_frames.views.wording import duration, many, number
from cio_frames.workspaces import sandbox

if TYPE_CHECKING:
    from cio_frames.sandbox import Sandbox
    from cio_frames.sending import Client

SHOWN: Final = 20
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
            came = marked("Everything arrived as predicted.", self.open)
            told = Paragraph(f"{sent} {came}", "lead")
            verdict = Badge("✓ identical", "good")
            return Document(Heading("Rehearsal", self.label, verdict), (told, compared))
        lost = [self._lost()] if self.without_effect.height else []
        if self.as_predicted:
            came = "Everything arrived as predicted, but Customer.io will ignore some of it."
            told = Paragraph(f"{sent} {marked(came, self.open)}", "lead")
            verdict = Badge("! as predicted: some rows ignored", "care")
            return Document(Heading("Rehearsal", self.label, verdict), (told, *lost, compared))
        differ = marked(f"{found} between the preview and the result.", self.open)
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


Side = tuple[str, Counter[str], Counter[str]]
"""What is compared: as predicted, and as it came."""


@contextmanager
def _one_display(
    progress: ShowProgress, *, label: str
) -> Generator[Callable[[ProgressState], None]]:
    """Give what shows the states of preview and run in one display, as those of a rehearsal."""
    shown, began, is_shown = display(progress), monotonic(), False

    def update(state: ProgressState) -> None:
        nonlocal is_shown
        named = replace(state, label=f"the rehearsal of {label}", record="")
        (shown.update if is_shown else shown.show)(named)
        is_shown = True

    yield update
    if is_shown:
        took = duration(monotonic() - began)
        shown.close(Document(Heading(f"Rehearsal ended in {took}: nothing left this machine."), ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The workspace before anything was sent: its people, and what the export got wrong."""

    people: Counter[str]
    failures: Counter[str]


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
        counts, sides = _sent(pipelines, premise, preview, send=partial(send, progress=update))
    return Rehearsal(
        compared=pl.DataFrame(
            [(name, predicted.total(), actual.total()) for name, predicted, actual in sides],
            schema={"what": pl.String, "predicted": pl.Int64, "actual": pl.Int64},
            orient="row",
        ),
        differences=pl.DataFrame(
            [line for side in sides for line in _differences(*side)],
            schema=DIFFERENCES,
            orient="row",
        ),
        without_effect=_without_effect(preview),
        counts=counts,
        label=pipelines.label,
        open=joined(preview.summary["open"]),
    )


def _sent(
    pipelines: Pipelines, premise: Premise, preview: Preview, *, send: Callable[..., Run]
) -> tuple[dict[str, int], list[Side]]:
    """Send plans to a private workspace; return the run's counts, and what is to be compared."""
    with (
        sandbox(
            settings=premise.settings,
            clock=lambda: premise.now,
            page=False,
            forms=_mapped_forms(pipelines, preview),
        ) as workspace,
        TemporaryDirectory(prefix="cio-rehearsal-") as folder,
    ):
        if premise.known is not None:
            workspace.load(premise.known)
        before = Before(people=_people(workspace), failures=_failures(workspace))
        run = send(workspace.client(), audit=folder)
        refused = Audit(run.audit).messages.filter(pl.col("state") == "rejected_server")
        rejected = _places(preview.changes.filter(pl.col("kind") == "rejected"))
        sides = list(_sides(preview, premise, workspace, before=before))
        return run.counts, [*sides, ("rejected rows", rejected, _places(refused))]


def _mapped_forms(pipelines: Pipelines, preview: Preview) -> dict[str, dict[str, str]]:
    """Return the forms whose fields are sent under names of their own, as they are mapped."""
    own = {place: own_names(pipeline.mapping) for place, pipeline in enumerate(pipelines.each)}
    forms: dict[str, dict[str, str]] = {}
    submitted = preview.changes.filter(pl.col("rule") == FORM_SUBMITTED.name)
    for place, form_id in submitted.select("plan", "subject").unique().iter_rows():
        if own[place]:
            forms.setdefault(form_id, {}).update(own[place])
    return forms


def _sides(
    preview: Preview, premise: Premise, workspace: "Sandbox[Client]", *, before: Before
) -> Iterator[Side]:
    """Yield each thing to compare, as predicted and as it came."""
    people = _people(workspace)
    touched = preview.people.filter("known", ~pl.col("action").is_in(REMOVALS))
    predicted = Counter(map(_person, touched.iter_rows(named=True)))
    # Those of the export whom no row is about stay as they were.
    untouched = (people - predicted) & before.people
    yield "people", predicted, people - untouched
    yield "total people", Counter(all=preview.summary["people"]), Counter(all=people.total())
    yield (
        "merges",
        Counter(map(_merge, preview.merges.iter_rows(named=True))),
        _merges(workspace, premise),
    )
    yield (
        "objects",
        _keys(preview.groups.filter(pl.col("action") != "delete")),
        _keys(workspace.objects),
    )
    yield "relationships", _relations(preview.relationships), _relations(workspace.relationships)
    yield "anonymous events", _not_linked(preview.attribution), _unattributed(workspace.events)
    of_groups = _of_groups(preview.changes), _group_events(workspace.events)
    if any(of_groups):
        yield "events of groups", *of_groups
    yield (
        "opt-outs ended",
        Counter(all=preview.summary["opt_outs_ended"]),
        Counter(all=ended(opted_out(premise.known), _attributes_of(workspace))),
    )
    failed = preview.changes.filter(pl.col("kind").is_in(_FAILURE_KINDS))
    yield (
        "failures",
        Counter(failed["rule"].cast(pl.String)),
        _failures(workspace) - before.failures,
    )


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
            sentence(row["rule"], **row["first"], names=preview.names),
        )
        for row in each.sort("rows", "rule", descending=[True, False]).iter_rows(named=True)
    ]
    return pl.DataFrame(lines, schema=WITHOUT_EFFECT, orient="row")


def _differences(
    what: str, predicted: Counter[str], actual: Counter[str]
) -> Iterator[tuple[str, str, int, int]]:
    for subject in sorted(predicted | actual):
        if predicted[subject] != actual[subject]:
            yield what, subject, predicted[subject], actual[subject]


def _person(row: dict[str, Any]) -> str:
    """Return everything of a person that a preview tells, as text."""
    visitors = ", ".join(sorted(row["anonymous_ids"]))
    return f"{row['id']} / {row['email']} [{visitors}] {row.get('events') or 0} events"


def _people(workspace: "Sandbox[Client]") -> Counter[str]:
    people = workspace.people
    events = workspace.events.drop_nulls("person").group_by("person").len("events")
    joined = people.join(events, left_on="cio_id", right_on="person", how="left")
    return Counter(map(_person, joined.iter_rows(named=True)))


def _attributes_of(
    workspace: "Sandbox[Client]",
) -> Callable[[str, str], dict[str, Any] | None]:
    """Return what finds the attributes of a person by an identifier."""
    found = {
        (kind, row[kind].lower() if kind == "email" else row[kind]): row["attributes"]
        for row in workspace.people.iter_rows(named=True)
        for kind in ("cio_id", "id", "email")
        if row[kind] is not None
    }

    def attributes_of(kind: str, value: str) -> dict[str, Any] | None:
        text = found.get((kind, value.lower() if kind == "email" else value))
        return None if text is None else dict(msgspec.json.decode(text))

    return attributes_of


def _merge(row: dict[str, Any]) -> str:
    removed = ", ".join(row["removed"])
    later, lost = row["events_later"], row["events_lost"]
    moved = f"{row['events_moved']} moved, {later} later, {lost} lost"
    return f"{removed} into {row['kept']} ({row['why']}, {moved})"


def _merges(workspace: "Sandbox[Client]", premise: Premise) -> Counter[str]:
    given = set() if premise.known is None else set(premise.known["cio_id"].drop_nulls())
    rows = [
        {
            **row,
            "kept": row["kept_key"],
            "removed": [
                key
                for key in row["removed_keys"]
                if key != f"cio_{row['removed']}" or row["removed"] in given
            ],
        }
        for row in workspace.merges.iter_rows(named=True)
    ]
    return Counter(map(_merge, rows))


def _keys(objects: pl.DataFrame) -> Counter[str]:
    return Counter(
        "/".join(row) for row in objects.select("object_type_id", "object_id").iter_rows()
    )


def _relations(rows: pl.DataFrame) -> Counter[str]:
    columns = ("object_type_id", "object_id", "id", "email", "anonymous_id")
    return Counter(" / ".join(map(str, row)) for row in rows.select(columns).iter_rows())


def _of_groups(changes: pl.DataFrame) -> Counter[str]:
    return Counter(changes.filter(pl.col("rule") == EVENT_GROUP.name)["subject"])


def _group_events(events: pl.DataFrame) -> Counter[str]:
    return Counter(events.filter(pl.col("attribution") == "group")["name"])


def _not_linked(attribution: pl.DataFrame) -> Counter[str]:
    events: Counter[str] = Counter()
    for row in attribution.filter(pl.col("outcome") != "linked").iter_rows(named=True):
        events[f"{row['anonymous_id']} ({row['outcome']})"] += row["events"]
    return events


def _unattributed(events: pl.DataFrame) -> Counter[str]:
    visitors = events.filter(pl.col("person").is_null(), pl.col("attribution") != "group")
    rows = visitors.select("anonymous_id", "attribution")
    return Counter(f"{anonymous_id} ({outcome})" for anonymous_id, outcome in rows.iter_rows())


def _failures(workspace: "Sandbox[Client]") -> Counter[str]:
    failures = workspace.failures
    return Counter(failures.filter(pl.col("kind").is_in(_FAILURE_KINDS))["rule"])


def _places(rows: pl.DataFrame) -> Counter[str]:
    return Counter(
        f"plan {plan}, row {row}" for plan, row in rows.select("plan", "row").iter_rows()
    )
