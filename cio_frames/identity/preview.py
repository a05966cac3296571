"""The effects that the rows of one or several plans will have on a workspace, as frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import polars as pl

from cio_frames.identity import (
    columnar,
    conflicts,
    known_forms,
    open_settings,
    opt_outs,
    results,
    rules,
)
from cio_frames.identity.components import (
    cluster_sizes,
    edges,
    exported_keys,
    named_keys,
    repeated_numbers,
)
from cio_frames.identity.messages import MESSAGE_ID, IdentityColumns
from cio_frames.identity.partition import (
    IndependentMessages,
    Partitioned,
    all_connected,
    partition,
    without_dates,
)
from cio_frames.identity.replay import CHANGES, Replay
from cio_frames.identity.settings import Premise
from cio_frames.spec import LINKING_CALLS

_EVENTS: Final = ("track", "page", "screen")
NAMES: Final = pl.Schema(
    dict.fromkeys(
        ("user", "email", "id", "anonymous", "previous", "object", "object_type"), pl.String()
    )
)
"""The columns of messages that name a person, a visitor or an object."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """The effects of messages.

    Frames that few callers need, or that have a line for each row, are computed on first use.
    """

    # The people and visitors of connected messages, each with a line as in `people`
    connected_people: pl.DataFrame
    independent: IndependentMessages
    workspace_people: pl.DataFrame | None  # the people before
    people_settings: open_settings.PeopleSettings  # the open settings that people rest on
    merges: pl.DataFrame  # people who become one permanently
    conflicts: pl.DataFrame  # rows that will not have the effect they ask for
    groups: pl.DataFrame  # objects, with how many people are related to each
    relationships: pl.DataFrame  # who is related to which object
    attribution: pl.DataFrame  # whose the events of anonymous visitors are in the end
    summary: dict[str, Any]  # the counts
    # By plan and row: the changes of connected messages, and those that rest on an open setting
    notable_changes: pl.DataFrame
    independent_changes: pl.LazyFrame  # all other changes; events of people are not included
    cluster_sizes: pl.LazyFrame  # how many identifiers and rows are connected, by cluster
    # Pairs of keys that one message names, with their cluster; only of connected messages
    edges: pl.DataFrame
    connected_event_counts: pl.DataFrame  # the events of `connected_people`, as in `event_counts`
    # By the key of each person who is removed by a merge, the key of the person who remains
    successors: Mapping[str, str]
    labels: Mapping[str, str]  # by key, how sentences call the people that changes name

    @cached_property
    def people(self) -> pl.DataFrame:
        """One line per resulting profile, and per visitor who stays anonymous, by their first rows."""
        people = results.independent_people(self.independent, self.workspace_people)
        others = self.people_settings.with_open(people)
        return results.ordered(pl.concat([self.connected_people, others]))

    @cached_property
    def event_counts(self) -> pl.DataFrame:
        """The events of each person by plan, with the first and the last of their rows."""
        return pl.concat([self.connected_event_counts, columnar.event_counts(self.independent)])

    @cached_property
    def changes(self) -> pl.DataFrame:
        """The changes of every message, by plan and row; events of people are not included."""
        every = pl.concat([self.notable_changes.lazy(), self.independent_changes])
        return every.sort("plan", "row", maintain_order=True).collect()

    @cached_property
    def clusters(self) -> pl.DataFrame:
        """How many identifiers and rows are connected, largest first."""
        return conflicts.largest_first(self.cluster_sizes.collect())


def preview(columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]) -> Preview:
    """Return the effects of messages on a workspace."""
    rows = sum(frame.height for frame in columns.frames())
    columns, repeats = _deduplicated(columns, premise, calls=calls)
    parts = _partitioned(columns, premise, calls=calls)
    other_forms = known_forms.other_forms(columns, premise.workspace_people)
    del columns
    replay = Replay(settings=premise.settings, now=premise.now, workspace_people=parts.loaded)
    replay.apply(parts.connected, calls=calls)
    events = columnar.visitor_events(parts, premise, calls=calls)
    changes = pl.concat([replay.changes(), columnar.former_visitor_changes(parts, events)])
    applied = _Applied(
        parts=parts, replay=replay, visitor_events=events, edges=_edges(parts, premise, calls=calls),
        changes=open_settings.applied_again(changes, repeats.applied), repeats=repeats,
        other_forms=other_forms, rows=rows,
    )  # fmt: skip
    return _preview(applied, premise)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeats:
    """Messages whose ids occur before (3.7)."""

    applied: pl.Series  # the numbers of those that are applied all the same
    changes: pl.DataFrame  # the changes of the others, which are ignored
    ignored: pl.DataFrame  # the people, visitors and objects that ignored messages name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """Messages that were applied, and their effects."""

    parts: Partitioned
    replay: Replay
    visitor_events: pl.DataFrame  # as `columnar.visitor_events` returns them
    edges: pl.DataFrame  # the keys that connected messages link
    changes: pl.DataFrame  # the changes of connected messages and of former visitors
    repeats: _Repeats
    other_forms: pl.DataFrame  # conflicts of ids that the export has in another form
    rows: int

    def places(self) -> pl.DataFrame:
        """Return number, plan and row of connected messages and of identifies of former visitors."""
        identifies = self.parts.former_visitors.identifies.collect()
        frames = (self.parts.connected, identifies)
        return pl.concat(frame.select("number", "plan", "row") for frame in frames)

    def campaign_events(self, now: datetime) -> int:
        """Return how many events of people are young enough to start campaigns."""
        others = (self.parts.independent, self.parts.former_visitors)
        counts = [columnar.campaign_events(messages, now=now) for messages in others]
        young = int(self.visitor_events["young"].sum())
        return self.replay.campaign_events() + young + sum(counts)


def _edges(parts: Partitioned, premise: Premise, *, calls: Sequence[str]) -> pl.DataFrame:
    """Return the keys that connected messages or the export link."""
    linking = [plan for plan, call in enumerate(calls) if call in LINKING_CALLS]
    connected = parts.connected.filter(pl.col("plan").is_in(linking))
    named = [
        named_keys(
            pl.concat([connected, parts.former_visitors.identifies.collect()], how="diagonal"),
            identifies=_plans_of("identify", calls),
            settings=premise.settings,
        )
    ]
    if parts.loaded is not None:
        named.append(exported_keys(parts.loaded))
    return edges(pl.concat(named))


def _preview(applied: _Applied, premise: Premise) -> Preview:
    parts, replay, people_before = applied.parts, applied.replay, premise.workspace_people
    sizes = pl.concat([
        cluster_sizes(applied.edges).lazy(), columnar.clusters(parts.independent, people_before),
    ])  # fmt: skip
    labels = results.labels(replay, applied.changes)
    event_counts = pl.concat([
        results.event_counts(replay),
        columnar.former_visitor_counts(parts, applied.visitor_events),
    ])  # fmt: skip
    people = results.connected_people(
        replay, parts, people_before, changes=applied.changes, event_counts=event_counts
    )
    named = open_settings.of_ignored(
        applied.repeats.ignored,
        lambda: pl.concat([people, results.independent_people(parts.independent, people_before)]),
    )
    notable, independent = _changes(applied, people_before, named=named)
    # Removals of people without a known profile are in `people`, and so no conflicts
    removals = results.removals_of_unknown(applied.changes, people_before)["number"]
    failures = conflicts.failures(notable).filter(~pl.col("number").is_in(removals.implode()))
    deciding = pl.concat([notable, named])
    failures = open_settings.with_people(failures, deciding, replay)
    people_settings = open_settings.people_settings(replay, deciding)
    people = people_settings.with_open(people)
    too_large = conflicts.too_large(
        applied.edges, sizes, places=applied.places(), largest=premise.largest
    )
    failed = conflicts.conflicts_of(failures, labels=labels)
    frames = {
        "merges": results.merges(replay),
        "conflicts": pl.concat([applied.other_forms, too_large, failed]),
        "groups": results.groups(replay, notable),
        "relationships": results.relationships(replay),
        "attribution": results.attribution(replay, parts, applied.visitor_events),
    }
    frames = open_settings.with_open(frames, replay, deciding, people=people)
    counts = columnar.counts(parts.independent)
    summary = _summary(
        frames, people=people, counts=counts, changes=notable, sizes=sizes, rows=applied.rows,
        campaign_events=applied.campaign_events(premise.now),
        created_again=results.created_again(notable, independent, people_before),
    )  # fmt: skip
    opt_outs_before = opt_outs.people_opted_out(people_before)
    summary["attributes_kept"] = replay.model.store.kept
    summary["opt_outs_ended"] = opt_outs.count_ended(opt_outs_before, replay.attributes)
    summary["people"] = _people_total(parts, replay, premise, counts=counts)
    return Preview(
        **frames, connected_people=people, independent=parts.independent,
        workspace_people=people_before, people_settings=people_settings, summary=summary,
        notable_changes=notable, independent_changes=independent, cluster_sizes=sizes,
        edges=applied.edges, connected_event_counts=event_counts,
        successors=results.successors(replay), labels=labels,
    )  # fmt: skip


def _changes(
    applied: _Applied, workspace_people: pl.DataFrame | None, *, named: pl.DataFrame
) -> tuple[pl.DataFrame, pl.LazyFrame]:
    """Return the notable changes, and the independent ones.

    `named` has a change for each person, visitor and object that ignored messages name.
    """
    again = applied.repeats.applied
    replayed = pl.concat([applied.changes, applied.repeats.changes]).lazy()
    columnwise = columnar.changes(applied.parts.independent, workspace_people)
    can_be_open = bool(named.height or len(again))
    certain = [rows for rule, rows in columnwise.items() if not (rule.open or can_be_open)]
    others = [rows for rule, rows in columnwise.items() if rule.open or can_be_open]
    independent = open_settings.applied_again(
        pl.concat([CHANGES.to_frame().lazy(), *others]), again
    )
    if named.height:
        replayed, independent = (
            open_settings.created_after(changes, named) for changes in (replayed, independent)
        )
    is_open = pl.col("open").is_not_null()
    notable = pl.concat([replayed, independent.filter(is_open)])
    sorted_ = notable.sort("plan", "row", maintain_order=True).collect()
    return sorted_, pl.concat([*certain, independent.filter(~is_open)])


def _people_total(
    parts: Partitioned, replay: Replay, premise: Premise, *, counts: columnar.Counts
) -> int:
    """Return how many people there are in the end, including those whom no row is about."""
    modelled = len(replay.model.store.people.by_cio)
    created = counts.creates + columnar.counts(parts.former_visitors).creates
    not_loaded = profile_count(premise.workspace_people) - profile_count(parts.loaded)
    return modelled + created + not_loaded


def profile_count(exported: pl.DataFrame | None) -> int:
    """Return how many profiles an export has: rows with the same cio_id are one."""
    if exported is None:
        return 0
    return exported["cio_id"].null_count() + exported["cio_id"].drop_nulls().n_unique()


def _partitioned(
    columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]
) -> Partitioned:
    if premise.apply_all or set(premise.settings.identifiers) != {"id", "email"}:
        return all_connected(columns, premise)
    identifies = _plans_of("identify", calls)
    undated = without_dates(columns, premise, identifies=identifies)
    return partition(undated, premise, identifies=identifies)


def _plans_of(call: str, calls: Sequence[str]) -> list[int]:
    return [plan for plan, other in enumerate(calls) if other == call]


def _deduplicated(
    columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]
) -> tuple[IdentityColumns, _Repeats]:
    """Return the messages to apply, and those whose ids occur before (3.7)."""
    dedupe = premise.settings.dedupe
    plans = [
        plan
        for plan, call in enumerate(calls)
        if dedupe == "calls" or (dedupe == "events" and call in _EVENTS)
    ]
    repeated = _repeated(columns)
    later = repeated.filter(~pl.struct(MESSAGE_ID).is_first_distinct())["number"]
    deduplicated = repeated.filter(pl.col("plan").is_in(plans))
    ignored = deduplicated.filter(~pl.struct(MESSAGE_ID).is_first_distinct())
    numbers = ignored["number"].implode()
    named = pl.concat(
        [
            pl.DataFrame(schema={"number": pl.Int64, **NAMES}),
            *(_names(frame, numbers) for frame in columns.frames()),
        ],
        how="diagonal",
    )
    applied = columns.map_frames(lambda frame: frame.drop(MESSAGE_ID))
    if ignored.height:
        applied = applied.map_frames(lambda frame: frame.filter(~pl.col("number").is_in(numbers)))
    subjects = dict(enumerate(calls))
    changes = ignored.select(
        "number", "plan", "row",
        pl.lit(rules.DUPLICATE.name).alias("rule"), pl.lit(rules.DUPLICATE.kind).alias("kind"),
        *(pl.lit(None, pl.String).alias(name) for name in ("person", "key", "other")),
        pl.col("plan").replace_strict(subjects, return_dtype=pl.String).alias("subject"),
        pl.lit(rules.DUPLICATE.open, pl.String).alias("open"),
    )  # fmt: skip
    return applied, _Repeats(
        applied=later.filter(~later.is_in(numbers)), changes=changes.cast(CHANGES), ignored=named
    )


def _repeated(columns: IdentityColumns) -> pl.DataFrame:
    """Return the messages whose ids occur more than once, in order."""
    first, *_ = MESSAGE_ID
    ids = repeated_numbers(pl.concat([frame[first] for frame in columns.frames()])).implode()
    place = ("number", "plan", "row", *MESSAGE_ID)
    frames = [frame.filter(pl.col(first).is_in(ids)).select(place) for frame in columns.frames()]
    return pl.concat(frames).sort("number")


def _names(frame: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Return the people, visitors and objects that some messages name."""
    messages = frame.filter(pl.col("number").is_in(numbers))
    return messages.select("number", *(name for name in NAMES if name in frame.columns))


def _summary(
    frames: Mapping[str, pl.DataFrame],
    *,
    people: pl.DataFrame,
    counts: columnar.Counts,
    changes: pl.DataFrame,
    sizes: pl.LazyFrame,
    rows: int,
    campaign_events: int,
    created_again: int,
) -> dict[str, Any]:
    actions = dict(people["action"].value_counts().iter_rows())
    by_rule = dict(changes["rule"].value_counts().iter_rows())
    outcomes = frames["attribution"].group_by("outcome").agg(pl.col("events").sum())
    return {
        "rows": rows,
        "creates": actions.get("create", 0) + counts.creates,
        "updates": actions.get("update", 0) + counts.updates,
        "merges": frames["merges"].height,
        "deletes": actions.get("delete", 0),
        "suppresses": actions.get("suppress", 0),
        "created_again": created_again,
        "conflicts": frames["conflicts"].height,
        "visitors": actions.get("anonymous", 0),
        "events": int(people.filter("known")["events"].sum()) + counts.events,
        "created_by_events": by_rule.get("person.created-by-event", 0),
        "anonymous_events": dict(sorted(outcomes.iter_rows())),
        "campaign_events": campaign_events,
        "objects": frames["groups"].height,
        "relationships": frames["relationships"].height,
        "repeated": by_rule.get("message.duplicate", 0),
        "largest_cluster": sizes.select(pl.col("identifiers").max().fill_null(0))
        .collect(engine="streaming")
        .item(),
        "open": open_settings.rows(changes),
    }
