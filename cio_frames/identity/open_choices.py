"""What of a preview rests on an open setting: one on which the documents disagree or are silent.

Each change has the settings that decided it. A line about a person rests on those of all changes of
that person, a line that names a person on those of the person.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.replay import CHANGES, Replay
from cio_frames.identity.results import WHY
from cio_frames.identity.rules import joined
from cio_frames.identity.state import ObjectKey, Person

Changes = TypeVar("Changes", pl.DataFrame, pl.LazyFrame)

OF_EXISTENCE: Final = frozenset({
    "alias_unknown", "email_trait", "event_for_unknown", "form_identifiers", "group_for_unknown", "invalid_email",
    "taken_identifier",
})  # fmt: skip
"""The settings that decide whether there is a person."""
NAMES: Final = ("id", "email")
SIDES: Final = ("person", "other")
"""The people that a change names."""
OF_NAMING: Final = OF_EXISTENCE | {"dedupe", "email_updates"}
"""The settings that decide what a person is called."""
_SETTINGS: Final = pl.col("open").list.unique().list.sort().list.join(", ")


def rows(changes: pl.DataFrame) -> dict[str, int]:
    """Return how many rows rest on each open setting."""
    spread = _spread(changes.select("plan", "row", "open")).unique()
    return dict(sorted(spread.group_by("open").len().iter_rows()))


def applied_again(changes: Changes, numbers: pl.Series) -> Changes:
    """Return changes with those of messages marked whose ids occurred before (3.7)."""
    if numbers.is_empty():
        return changes
    again = pl.when(pl.col("number").is_in(numbers.implode())).then(pl.lit("dedupe"))
    return changes.with_columns(_joined(pl.concat_list("open", again).list.drop_nulls()))


def of_ignored(ignored: pl.DataFrame, everybody: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Return a change for each person, visitor and object that ignored messages name (3.7).

    They would have got what such a message says.
    """
    if ignored.is_empty():
        return CHANGES.to_frame()
    people = everybody()
    names = ignored.unpivot(
        ["user", "email", "id", "previous", "anonymous"], index="number", value_name="name"
    )
    keys = pl.concat([
        people.select("person", name="id"),
        people.select("person", name=pl.col("email").str.to_lowercase()),
        people.select("person", name="cio_" + pl.col("cio_id")),
        people.select("person", name="anonymous_ids").explode("name", empty_as_null=True),
    ]).drop_nulls()  # fmt: skip
    mails = names.with_columns(pl.col("name").str.to_lowercase())
    both = pl.concat([names, mails]).join(keys, on="name")
    found = both.group_by("person").agg(pl.col("number").min())
    visitors = ignored.select(key="anonymous").drop_nulls().unique()
    objects = ignored.drop_nulls("object").select(
        pl.struct(pl.col("object_type").fill_null("1"), "object")
        .map_elements(lambda key: str(ObjectKey(*key.values())), return_dtype=pl.String)
        .alias("subject")
    )
    lines = (
        (found, rules.DUPLICATE),
        (visitors, rules.ANONYMOUS),
        (objects.unique(), rules.RELATE_UNKNOWN),
    )
    every = [
        frame.with_columns(
            rule=pl.lit(rule.name, CHANGES["rule"]), kind=pl.lit(rule.kind, CHANGES["kind"]),
            open=pl.lit("dedupe"),
        )
        for frame, rule in lines
    ]  # fmt: skip
    return pl.concat([CHANGES.to_frame(), *every], how="diagonal")


def created_after(changes: pl.LazyFrame, ignored: pl.DataFrame) -> pl.LazyFrame:
    """Return changes, those that create somebody marked whom an earlier ignored message names."""
    first = ignored.lazy().drop_nulls("person").select("person", pl.col("number").alias("first"))
    both = changes.join(first, on="person", how="left", maintain_order="left")
    is_open = (pl.col("kind") == "created") & (pl.col("first") < pl.col("number"))
    dedupe = pl.when(is_open).then(pl.lit("dedupe"))
    return both.with_columns(_joined(pl.concat_list("open", dedupe).list.drop_nulls())).drop(
        "first"
    )


def with_people(told: pl.DataFrame, changes: pl.DataFrame, replay: Replay) -> pl.DataFrame:
    """Return some of the changes, which rest on who their people are as well."""
    if told.is_empty():
        return told
    successors = _successors(replay)
    ends = [pl.col(side).replace(successors) for side in SIDES]
    named = pl.concat([told.select(end.alias("person"))["person"] for end in ends]).unique()
    deciding = _spread(changes).filter(pl.col("open").is_in(sorted(OF_NAMING)))
    theirs = _of_people(deciding, replay).filter(pl.col("person").is_in(named.implode()))
    known = dict(theirs.iter_rows())
    sides = [end.replace_strict(known, default=None, return_dtype=pl.String) for end in ends]
    return told.with_columns(_joined(pl.concat_list("open", *sides).list.drop_nulls()))


class OfPeople(NamedTuple):
    """What people and visitors rest on."""

    people: pl.DataFrame  # columns person and of_person
    visitors: pl.DataFrame  # columns visitor and of_visitor

    def marked(self, people: pl.DataFrame) -> pl.DataFrame:
        """Return people and visitors with the column `open`."""
        visitor = pl.when(~pl.col("known")).then(pl.col("anonymous_ids").list.first())
        who = people.select("person", visitor.alias("visitor"))
        rests = who.join(self.people, on="person", how="left", maintain_order="left").join(
            self.visitors, on="visitor", how="left", maintain_order="left"
        )
        return people.with_columns(
            rests.select(pl.coalesce("of_person", "of_visitor").alias("open"))
        )


def marked(
    frames: Mapping[str, pl.DataFrame],
    replay: Replay,
    changes: pl.DataFrame,
    *,
    people: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """Return frames of a preview with the column `open`: the settings that a line rests on.

    They name nobody else than `people`, who have that column.
    """
    named = people.filter("known").select(*NAMES, _of_naming().alias("of_person"))
    named = named.drop_nulls("of_person")
    related = _with(frames["relationships"], _relationships(replay), named=named)
    return {
        **frames,
        "merges": _merges(frames["merges"], replay, changes),
        "relationships": related,
        "groups": _groups(frames["groups"], related, replay, changes),
        "attribution": _with(frames["attribution"], _links(replay, changes), named=named),
    }


def of_people(replay: Replay, changes: pl.DataFrame) -> OfPeople:
    """Return what people and visitors rest on by their changes and their events."""
    events = pl.DataFrame(
        [
            (event.person.cio_id, setting)
            for event in replay.events()
            if event.person is not None
            for setting in event.open
        ],
        schema={"person": pl.String, "open": pl.String},
        orient="row",
    )
    sides = [_spread(changes.select(pl.col(side).alias("person"), "open")) for side in SIDES]
    both = _of_people(pl.concat([*sides, events]), replay)
    return OfPeople(
        people=both.rename({"open": "of_person"}),
        visitors=_of_visitors(changes).rename({"open": "of_visitor"}),
    )


def _of_visitors(changes: pl.DataFrame) -> pl.DataFrame:
    """Return what the changes of visitors who are nobody's rest on."""
    theirs = changes.filter(pl.col("person").is_null(), pl.col("kind") == "anonymous-updated")
    spread = _spread(theirs.select(pl.col("key").alias("visitor"), "open"))
    unlinked = _unlinked(changes).select(pl.col("anonymous_id").alias("visitor"), "open")
    both = pl.concat([spread, unlinked])
    return both.group_by("visitor").agg("open").with_columns(_SETTINGS)


def _unlinked(changes: pl.DataFrame) -> pl.DataFrame:
    """Return the anonymous ids that alias names, which another reading would link."""
    return changes.filter(pl.col("rule") == "alias.previous-unknown").select(
        pl.col("subject").str.strip_chars("'\"").alias("anonymous_id"),
        pl.lit("anonymous").alias("outcome"),
        pl.lit("alias_previous").alias("open"),
    )


def _merges(merges: pl.DataFrame, replay: Replay, changes: pl.DataFrame) -> pl.DataFrame:
    """Return merges with what the being there of both sides rests on."""
    done = changes.filter(pl.col("kind").is_in(["merged", "auto-merged"]))
    done = with_people(done, changes, replay)
    by_row = done.select("plan", "row", pl.col("open").alias("of_person"))
    place = pl.col("rows").list.first()
    return (
        merges.with_columns(place.struct["plan"], place.struct["row"])
        .join(by_row, on=["plan", "row"], how="left", maintain_order="left")
        .with_columns(_joined(pl.concat_list("open", "of_person").list.drop_nulls()).alias("open"))
        .drop("plan", "row", "of_person")
    )


def _relationships(replay: Replay) -> pl.DataFrame:
    """Return what relationships rest on, one line each."""
    keys = ("object_type_id", "object_id", *NAMES, "anonymous_id", "own")
    lines = [
        (
            record.key.object_type, record.key.object_id,
            *((holder.id, holder.email, None) if isinstance(holder, Person)
              else (None, None, holder.anonymous_id)),
            joined(record.open[holder]),
        )
        for record in replay.model.store.objects.values()
        for holder in record.related
        if holder in record.open
    ]  # fmt: skip
    return pl.DataFrame(lines, schema=dict.fromkeys(keys, pl.String), orient="row")


def _links(replay: Replay, changes: pl.DataFrame) -> pl.DataFrame:
    """Return what the attribution of anonymous events rests on, by visitor and outcome."""
    linked = _spread(
        changes.filter(pl.col("rule") == "anonymous.linked").select(
            pl.col("subject").alias("anonymous_id"), pl.lit("linked").alias("outcome"), "open"
        )
    )
    events = pl.DataFrame(
        [
            (
                event.anonymous_id,
                "linked" if event.attribution == "moved" else event.attribution,
                setting,
            )
            for event in replay.events()
            if event.by_visitor
            for setting in event.open
        ],
        schema=dict.fromkeys(("anonymous_id", "outcome", "open"), pl.String),
        orient="row",
    )
    ignored = changes.filter(pl.col("rule") == rules.ANONYMOUS.name, pl.col("open") == "dedupe")
    named = ignored.select(pl.col("key").alias("anonymous_id")).join(
        pl.DataFrame({"outcome": [*WHY]}), how="cross"
    )
    named = named.with_columns(pl.lit("dedupe").alias("open"))
    both = pl.concat([linked, events, named, _unlinked(changes)])
    grouped = both.group_by("anonymous_id", "outcome").agg("open").with_columns(_SETTINGS)
    return grouped.rename({"open": "own"})


def _groups(
    groups: pl.DataFrame, related: pl.DataFrame, replay: Replay, changes: pl.DataFrame
) -> pl.DataFrame:
    """Return objects with what their relationships rest on, also those that they do not have."""
    keys = ["object_type_id", "object_id"]
    records = replay.model.store.objects.values()
    lines = [(*record.key, str(record.key), joined(record.short_of)) for record in records]
    names = (*keys, "subject", "open")
    objects = pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String), orient="row")
    unrelated = changes.filter(pl.col("rule") == "relationship.unknown-person")
    refused = objects.drop("open").join(unrelated.select("subject", "open"), on="subject")
    every = pl.concat([frame.select(*keys, "open") for frame in (related, objects, refused)])
    by_object = _spread(every).group_by(keys).agg("open")
    return groups.join(
        by_object.with_columns(_SETTINGS), on=keys, how="left", maintain_order="left"
    )


def _with(frame: pl.DataFrame, own: pl.DataFrame, *, named: pl.DataFrame) -> pl.DataFrame:
    """Return lines with what they rest on themselves, and by the person whom they name."""
    keys = [name for name in own.columns if name != "own"]
    return (
        frame.join(own, on=keys, how="left", nulls_equal=True, maintain_order="left")
        .join(named, on=list(NAMES), how="left", nulls_equal=True, maintain_order="left")
        .with_columns(_joined(pl.concat_list("own", "of_person").list.drop_nulls()).alias("open"))
        .drop("own", "of_person")
    )


def _of_people(changes: pl.DataFrame, replay: Replay) -> pl.DataFrame:
    """Return what the changes of each person, as they are in the end, rest on."""
    about = changes.drop_nulls("person").with_columns(pl.col("person").replace(_successors(replay)))
    return about.group_by("person").agg("open").with_columns(_SETTINGS)


def _successors(replay: Replay) -> dict[str, str]:
    """Return whom each removed person has become in the end."""
    successors: dict[str, str] = {}
    for row in reversed(replay.model.store.merges):
        successors[row["removed"]] = successors.get(row["kept"], row["kept"])
    return successors


def _spread(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one line for each open setting."""
    return frame.drop_nulls("open").with_columns(pl.col("open").str.split(", ")).explode(
        "open", empty_as_null=False
    )  # fmt: skip


def _of_naming() -> pl.Expr:
    """Return the settings that decide what a person is called, null for none."""
    names = pl.col("open").str.split(", ")
    deciding = names.list.set_intersection(pl.lit(sorted(OF_NAMING))).list.sort()
    return pl.when(deciding.list.len() > 0).then(deciding.list.join(", "))


def _joined(texts: pl.Expr) -> pl.Expr:
    """Return lists of joined names as one text each, null for none."""
    names = texts.list.join(", ").str.split(", ").list.unique().list.sort()
    return pl.when(texts.list.len() > 0).then(names.list.join(", ")).alias("open")
