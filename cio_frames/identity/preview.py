"""What the rows of one or several plans will have made of a workspace, as frames."""

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
    open_choices,
    opt_outs,
    results,
    rules,
)
from cio_frames.identity.components import edges, known_keys, named_keys, repeated_numbers, sizes
from cio_frames.identity.messages import MESSAGE_ID, IdentityColumns
from cio_frames.identity.partition import (
    Alone,
    Partitioned,
    all_connected,
    partition,
    without_dates,
)
from cio_frames.identity.replay import CHANGES, Replay
from cio_frames.identity.rules import Rule
from cio_frames.identity.settings import LARGEST, Settings
from cio_frames.spec import LINKING_CALLS

_EVENTS: Final = ("track", "page", "screen")
NAMES: Final = pl.Schema(
    dict.fromkeys(
        ("user", "email", "id", "anonymous", "previous", "object", "object_type"), pl.String()
    )
)
"""The columns of messages that name somebody or something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What a preview assumes."""

    settings: Settings  # how the workspace is set up
    now: datetime  # when everything arrives
    known: pl.DataFrame | None = None  # the people that are there, as `export` gives them
    largest: int = LARGEST  # the most identifiers that one person may have; ten times as many rows
    # Whether every message is applied to the model, even where the outcome is clear without it
    whole: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """What will have happened.

    What only who asks for it needs, and what has a line for each row, is worked out then.
    """

    # The people and visitors of messages that meet others, each with a line as in `people`
    met: pl.DataFrame
    alone: Alone  # the messages that meet no others
    known: pl.DataFrame | None  # the people that are there before
    of_people: open_choices.OfPeople  # the open settings that people rest on
    merges: pl.DataFrame  # people that become one, for good
    conflicts: pl.DataFrame  # what does not come out as the rows ask
    groups: pl.DataFrame  # objects, with how many people are related to each
    relationships: pl.DataFrame  # who is related to which object
    attribution: pl.DataFrame  # what becomes of the events of anonymous visitors
    summary: dict[str, Any]  # the counts
    # What messages did, by plan and row: those that meet others, and what rests on an open setting
    notable: pl.DataFrame
    plain: pl.LazyFrame  # what the other messages did; events of people are not among it
    sizes: pl.LazyFrame  # how many identifiers and rows are connected, by cluster
    # Keys that one message names, with their cluster; only of messages that meet others
    edges: pl.DataFrame
    met_counts: pl.DataFrame  # the events of `met`, as in `event_counts`
    # The key of each person that was removed by a merge, and of whom it became
    merged_into: Mapping[str, str]
    names: Mapping[str, str]  # what a user calls people that changes name by their key

    @cached_property
    def people(self) -> pl.DataFrame:
        """One line per resulting profile, and per visitor who stays anonymous, by their first rows."""
        others = self.of_people.marked(results.alone(self.alone, self.known))
        return results.ordered(pl.concat([self.met, others]))

    @cached_property
    def event_counts(self) -> pl.DataFrame:
        """The events of each person by plan, with the first and the last of their rows."""
        return pl.concat([self.met_counts, columnar.event_counts(self.alone)])

    @cached_property
    def changes(self) -> pl.DataFrame:
        """What every message did, by plan and row; events of people are not among it."""
        every = pl.concat([self.notable.lazy(), self.plain])
        return every.sort("plan", "row", maintain_order=True).collect()

    @cached_property
    def clusters(self) -> pl.DataFrame:
        """How many identifiers and rows are connected, largest first."""
        return conflicts.largest_first(self.sizes.collect())


def preview(columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]) -> Preview:
    """Return what messages will have made of a workspace."""
    rows = sum(frame.height for frame in columns.frames())
    columns, repeated, again, ignored = _deduplicated(columns, premise, calls=calls)
    parts = _partitioned(columns, premise, calls=calls)
    written = known_forms.other_forms(columns, premise.known)
    del columns
    replay = Replay(settings=premise.settings, now=premise.now, known=parts.loaded)
    replay.apply(parts.connected, calls=calls)
    visits = columnar.visits(parts, calls=calls, settings=premise.settings, now=premise.now)
    changes = pl.concat([replay.changes(), columnar.visited_changes(parts, visits)])
    done = _Applied(
        parts=parts, replay=replay, visits=visits, edges=_edges(parts, premise, calls=calls),
        changes=open_choices.applied_again(changes, again), again=again, repeated=repeated,
        ignored=ignored, written=written, rows=rows,
    )  # fmt: skip
    return _framed(done, premise)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """Messages that were applied, and what they did."""

    parts: Partitioned
    replay: Replay
    visits: pl.DataFrame  # the events of visitors of new people, as `columnar.visits` gives them
    edges: pl.DataFrame  # the keys that messages link which meet others
    changes: pl.DataFrame  # what these messages did
    again: pl.Series  # the numbers of messages that were applied although their ids occur before
    repeated: pl.DataFrame  # the changes of messages that were not
    ignored: pl.DataFrame  # whom and what these name
    written: pl.DataFrame  # conflicts of ids that the export has in another form
    rows: int

    def places(self) -> pl.DataFrame:
        """Return plan and row of the messages that meet others."""
        met = (self.parts.connected, self.parts.visited.identifies.collect())
        return pl.concat(frame.select("number", "plan", "row") for frame in met)

    def young(self, now: datetime) -> int:
        """Return how many events of people are young enough to start campaigns."""
        alone = (self.parts.alone, self.parts.visited)
        counted = [columnar.campaign_events(each, now=now) for each in alone]
        return self.replay.campaign_events() + int(self.visits["young"].sum()) + sum(counted)


def _edges(parts: Partitioned, premise: Premise, *, calls: Sequence[str]) -> pl.DataFrame:
    """Return the keys that messages link which meet others, or that the export links."""
    linking = [plan for plan, call in enumerate(calls) if call in LINKING_CALLS]
    connected = parts.connected.filter(pl.col("plan").is_in(linking))
    named = [
        named_keys(
            pl.concat([connected, parts.visited.identifies.collect()], how="diagonal"),
            identifies=_plans_of("identify", calls),
            settings=premise.settings,
        )
    ]
    if parts.loaded is not None:
        named.append(known_keys(parts.loaded))
    return edges(pl.concat(named))


def _framed(done: _Applied, premise: Premise) -> Preview:
    parts, replay, known = done.parts, done.replay, premise.known
    clusters = pl.concat([sizes(done.edges).lazy(), columnar.clusters(parts.alone, known)])
    names = results.names(replay, done.changes)
    counts = pl.concat([results.event_counts(replay), columnar.visited_counts(parts, done.visits)])
    met = results.met(replay, parts, known, applied=done.changes, counts=counts)
    told = results.removals_of_strangers(done.changes, known)["number"]  # among the people
    named = open_choices.of_ignored(
        done.ignored, lambda: pl.concat([met, results.alone(parts.alone, known)])
    )
    notable, plain = _changes(
        pl.concat([done.changes, done.repeated]), columnar.changes(parts.alone, known),
        again=done.again, named=named,
    )  # fmt: skip
    failures = conflicts.failures(notable).filter(~pl.col("number").is_in(told.implode()))
    deciding = pl.concat([notable, named])
    failed = open_choices.with_people(failures, deciding, replay)
    of_people = open_choices.of_people(replay, deciding)
    met = of_people.marked(met)
    too_large = conflicts.too_large(
        done.edges, clusters, places=done.places(), largest=premise.largest
    )
    refused = conflicts.conflicts_of(failed, names=names)
    frames = {
        "merges": results.merges(replay),
        "conflicts": pl.concat([done.written, too_large, refused]),
        "groups": results.groups(replay, notable),
        "relationships": results.relationships(replay),
        "attribution": results.attribution(replay, parts, done.visits),
    }
    frames = open_choices.marked(frames, replay, deciding, people=met)
    others = columnar.counts(parts.alone)
    summary = _summary(
        frames, met=met, others=others, changes=notable, clusters=clusters, rows=done.rows,
        young=done.young(premise.now), again=results.made_again(notable, plain, known),
    )  # fmt: skip
    summary["attributes_kept"] = replay.model.store.kept
    summary["opt_outs_ended"] = opt_outs.ended(opt_outs.opted_out(known), replay.attributes)
    summary["people"] = _people_total(parts, replay, premise, others=others)
    return Preview(
        **frames, met=met, alone=parts.alone, known=known, of_people=of_people, summary=summary,
        notable=notable, plain=plain, sizes=clusters, edges=done.edges, met_counts=counts,
        merged_into=results.merged_into(replay), names=names,
    )  # fmt: skip


def _changes(
    applied: pl.DataFrame,
    columnwise: Mapping[Rule, pl.LazyFrame],
    *,
    again: pl.Series,
    named: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.LazyFrame]:
    """Return the changes of messages that meet others or rest on open settings, and the others.

    Those of the model are marked for repeated ids before; `named` is whom ignored messages name.
    """
    both, is_marked = applied.lazy(), named.height or len(again)
    settled = [each for rule, each in columnwise.items() if not (rule.open or is_marked)]
    others = [each for rule, each in columnwise.items() if rule.open or is_marked]
    plain = open_choices.applied_again(pl.concat([CHANGES.to_frame().lazy(), *others]), again)
    if named.height:
        both, plain = (open_choices.created_after(changes, named) for changes in (both, plain))
    is_open = pl.col("open").is_not_null()
    notable = pl.concat([both, plain.filter(is_open)])
    sorted_ = notable.sort("plan", "row", maintain_order=True).collect()
    return sorted_, pl.concat([*settled, plain.filter(~is_open)])


def _people_total(
    parts: Partitioned, replay: Replay, premise: Premise, *, others: columnar.Counts
) -> int:
    """Return how many people there are in the end, with those of the export no row is about."""
    modelled = len(replay.model.store.people.by_cio)
    created = others.creates + columnar.counts(parts.visited).creates
    return modelled + created + profiles(premise.known) - profiles(parts.loaded)


def profiles(known: pl.DataFrame | None) -> int:
    """Return how many profiles an export lists: lines with the same cio_id are one."""
    if known is None:
        return 0
    return known["cio_id"].null_count() + known["cio_id"].drop_nulls().n_unique()


def _partitioned(
    columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]
) -> Partitioned:
    if premise.whole or set(premise.settings.identifiers) != {"id", "email"}:
        return all_connected(columns, known=premise.known)
    identifies = _plans_of("identify", calls)
    return partition(
        without_dates(
            columns, identifies=identifies, known=premise.known, settings=premise.settings
        ),
        identifies=identifies,
        known=premise.known,
        settings=premise.settings,
        now=premise.now,
        max_rows=conflicts.ROWS_PER_IDENTIFIER * premise.largest,
    )


def _plans_of(call: str, calls: Sequence[str]) -> list[int]:
    return [plan for plan, other in enumerate(calls) if other == call]


def _deduplicated(
    columns: IdentityColumns, premise: Premise, *, calls: Sequence[str]
) -> tuple[IdentityColumns, pl.DataFrame, pl.Series, pl.DataFrame]:
    """Return the messages to apply, what becomes of the others, those applied again, and the others (3.7)."""
    dedupe = premise.settings.dedupe
    plans = [
        plan
        for plan, call in enumerate(calls)
        if dedupe == "calls" or (dedupe == "events" and call in _EVENTS)
    ]
    repeats = _repeats(columns)
    given = repeats.filter(pl.col("plan").is_in(plans))
    again = given.filter(~pl.struct(MESSAGE_ID).is_first_distinct())
    twice = repeats.filter(~pl.struct(MESSAGE_ID).is_first_distinct())["number"]
    numbers = again["number"].implode()
    ignored = pl.concat(
        [
            pl.DataFrame(schema={"number": pl.Int64, **NAMES}),
            *(_named(frame, numbers) for frame in columns.frames()),
        ],
        how="diagonal",
    )
    fresh = columns.each(lambda frame: frame.drop(MESSAGE_ID))
    if again.height:
        fresh = fresh.each(lambda frame: frame.filter(~pl.col("number").is_in(numbers)))
    subjects = dict(enumerate(calls))
    repeated = again.select(
        "number", "plan", "row",
        pl.lit(rules.DUPLICATE.name).alias("rule"), pl.lit(rules.DUPLICATE.kind).alias("kind"),
        *(pl.lit(None, pl.String).alias(name) for name in ("person", "key", "other")),
        pl.col("plan").replace_strict(subjects, return_dtype=pl.String).alias("subject"),
        pl.lit(rules.DUPLICATE.open, pl.String).alias("open"),
    )  # fmt: skip
    return fresh, repeated.cast(CHANGES), twice.filter(~twice.is_in(numbers)), ignored


def _repeats(columns: IdentityColumns) -> pl.DataFrame:
    """Return the messages whose ids occur more than once, in order."""
    first, *_ = MESSAGE_ID
    again = repeated_numbers(pl.concat([frame[first] for frame in columns.frames()])).implode()
    place = ("number", "plan", "row", *MESSAGE_ID)
    every = [frame.filter(pl.col(first).is_in(again)).select(place) for frame in columns.frames()]
    return pl.concat(every).sort("number")


def _named(frame: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Return whom and what some messages name."""
    named = frame.filter(pl.col("number").is_in(numbers))
    return named.select("number", *(name for name in NAMES if name in frame.columns))


def _summary(
    frames: Mapping[str, pl.DataFrame],
    *,
    met: pl.DataFrame,
    others: columnar.Counts,
    changes: pl.DataFrame,
    clusters: pl.LazyFrame,
    rows: int,
    young: int,
    again: int,
) -> dict[str, Any]:
    actions = dict(met["action"].value_counts().iter_rows())
    done = dict(changes["rule"].value_counts().iter_rows())
    outcomes = frames["attribution"].group_by("outcome").agg(pl.col("events").sum())
    return {
        "rows": rows,
        "creates": actions.get("create", 0) + others.creates,
        "updates": actions.get("update", 0) + others.updates,
        "merges": frames["merges"].height,
        "deletes": actions.get("delete", 0),
        "suppresses": actions.get("suppress", 0),
        "created_again": again,
        "conflicts": frames["conflicts"].height,
        "visitors": actions.get("anonymous", 0),
        "events": int(met.filter("known")["events"].sum()) + others.events,
        "created_by_events": done.get("person.created-by-event", 0),
        "anonymous_events": dict(sorted(outcomes.iter_rows())),
        "campaign_events": young,
        "objects": frames["groups"].height,
        "relationships": frames["relationships"].height,
        "repeated": done.get("message.duplicate", 0),
        "largest_cluster": clusters.select(pl.col("identifiers").max().fill_null(0))
        .collect(engine="streaming")
        .item(),
        "open": open_choices.rows(changes),
    }
