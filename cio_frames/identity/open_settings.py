"""Which parts of a preview rest on an open setting: one that the documents do not decide.

Each change has the settings that decided it. A line about a person rests on those of all changes of
that person, and so does a line that names the person.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.replay import CHANGES, Replay
from cio_frames.identity.results import ATTRIBUTION_REASONS, successors
from cio_frames.identity.rules import join_settings
from cio_frames.identity.state import ObjectKey, Person

Changes = TypeVar("Changes", pl.DataFrame, pl.LazyFrame)

EXISTENCE_SETTINGS: Final = frozenset({
    "alias_unknown", "email_trait", "event_for_unknown", "form_identifiers", "group_for_unknown", "invalid_email",
    "taken_identifier",
})  # fmt: skip
"""The settings that decide whether a person exists."""
NAMES: Final = ("id", "email")
SIDES: Final = ("person", "other")
"""The people that a change names."""
NAMING_SETTINGS: Final = EXISTENCE_SETTINGS | {"dedupe", "email_updates"}
"""The settings that decide which id and e-mail a person has."""
_SORTED_SETTINGS: Final = pl.col("open").list.unique().list.sort().list.join(", ")


def rows(changes: pl.DataFrame) -> dict[str, int]:
    """Return how many rows rest on each open setting."""
    spread = _spread(changes.select("plan", "row", "open")).unique()
    return dict(sorted(spread.group_by("open").len().iter_rows()))


def applied_again(changes: Changes, numbers: pl.Series) -> Changes:
    """Return changes, those of repeated message ids with the setting `dedupe` (3.7)."""
    if numbers.is_empty():
        return changes
    again = pl.when(pl.col("number").is_in(numbers.implode())).then(pl.lit("dedupe"))
    return changes.with_columns(_merged("open", again))


def of_ignored(ignored: pl.DataFrame, all_people: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Return a change for each person, visitor and object that ignored messages name (3.7).

    Without deduplication, these messages would have changed them.
    """
    if ignored.is_empty():
        return CHANGES.to_frame()
    people = all_people()
    names = ignored.unpivot(
        ["user", "email", "id", "previous", "anonymous"], index="number", value_name="name"
    )
    keys = pl.concat([
        people.select("person", name="id"),
        people.select("person", name=pl.col("email").str.to_lowercase()),
        people.select("person", name="cio_" + pl.col("cio_id")),
        people.select("person", name="anonymous_ids").explode("name", empty_as_null=True),
    ]).drop_nulls()  # fmt: skip
    lowercase = names.with_columns(pl.col("name").str.to_lowercase())
    matches = pl.concat([names, lowercase]).join(keys, on="name")
    named = matches.group_by("person").agg(pl.col("number").min())
    visitors = ignored.select(key="anonymous").drop_nulls().unique()
    objects = ignored.drop_nulls("object").select(
        pl.struct(pl.col("object_type").fill_null("1"), "object")
        .map_elements(lambda key: str(ObjectKey(*key.values())), return_dtype=pl.String)
        .alias("subject")
    )
    subjects = (
        (named, rules.DUPLICATE),
        (visitors, rules.ANONYMOUS),
        (objects.unique(), rules.RELATE_UNKNOWN),
    )
    changes = [
        frame.with_columns(
            rule=pl.lit(rule.name, CHANGES["rule"]), kind=pl.lit(rule.kind, CHANGES["kind"]),
            open=pl.lit("dedupe"),
        )
        for frame, rule in subjects
    ]  # fmt: skip
    return pl.concat([CHANGES.to_frame(), *changes], how="diagonal")


def created_after(changes: pl.LazyFrame, ignored: pl.DataFrame) -> pl.LazyFrame:
    """Return changes; those creating a person whom an earlier ignored message names rest on `dedupe`."""
    first = ignored.lazy().drop_nulls("person").select("person", pl.col("number").alias("first"))
    with_first = changes.join(first, on="person", how="left", maintain_order="left")
    is_open = (pl.col("kind") == "created") & (pl.col("first") < pl.col("number"))
    dedupe = pl.when(is_open).then(pl.lit("dedupe"))
    return with_first.with_columns(_merged("open", dedupe)).drop("first")


def with_people(failures: pl.DataFrame, changes: pl.DataFrame, replay: Replay) -> pl.DataFrame:
    """Return failures that also rest on the settings that decide who their people are."""
    if failures.is_empty():
        return failures
    remaining = successors(replay)
    people = [pl.col(side).replace(remaining) for side in SIDES]
    named = pl.concat([failures.select(person.alias("person"))["person"] for person in people])
    deciding = _spread(changes).filter(pl.col("open").is_in(sorted(NAMING_SETTINGS)))
    by_person = _by_person(deciding, replay)
    settings = dict(by_person.filter(pl.col("person").is_in(named.unique().implode())).iter_rows())
    own = [
        person.replace_strict(settings, default=None, return_dtype=pl.String) for person in people
    ]
    return failures.with_columns(_merged("open", *own))


class PeopleSettings(NamedTuple):
    """The open settings that people and visitors rest on."""

    people: pl.DataFrame  # columns person and person_settings
    visitors: pl.DataFrame  # columns visitor and visitor_settings

    def with_open(self, people: pl.DataFrame) -> pl.DataFrame:
        """Return people and visitors with the column `open`."""
        visitor = pl.when(~pl.col("known")).then(pl.col("anonymous_ids").list.first())
        keys = people.select("person", visitor.alias("visitor"))
        settings = keys.join(self.people, on="person", how="left", maintain_order="left").join(
            self.visitors, on="visitor", how="left", maintain_order="left"
        )
        return people.with_columns(
            settings.select(pl.coalesce("person_settings", "visitor_settings").alias("open"))
        )


def with_open(
    frames: Mapping[str, pl.DataFrame],
    replay: Replay,
    changes: pl.DataFrame,
    *,
    people: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """Return the frames of a preview with the column `open`: the settings that a line rests on.

    They name only `people`, who have that column already.
    """
    named = people.filter("known").select(*NAMES, _naming_settings().alias("person_settings"))
    named = named.drop_nulls("person_settings")
    related = _with_settings(frames["relationships"], _relationships(replay), named=named)
    return {
        **frames,
        "merges": _merges(frames["merges"], replay, changes),
        "relationships": related,
        "groups": _groups(frames["groups"], related, replay, changes),
        "attribution": _with_settings(
            frames["attribution"], _attribution(replay, changes), named=named
        ),
    }


def people_settings(replay: Replay, changes: pl.DataFrame) -> PeopleSettings:
    """Return the open settings of the changes and events of people and visitors."""
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
    by_person = _by_person(pl.concat([*sides, events]), replay)
    return PeopleSettings(
        people=by_person.rename({"open": "person_settings"}),
        visitors=_by_visitor(changes).rename({"open": "visitor_settings"}),
    )


def _by_visitor(changes: pl.DataFrame) -> pl.DataFrame:
    """Return the open settings of the changes of each unidentified visitor."""
    updates = changes.filter(pl.col("person").is_null(), pl.col("kind") == "anonymous-updated")
    updated = _spread(updates.select(pl.col("key").alias("visitor"), "open"))
    unlinked = _unlinked(changes).select(pl.col("anonymous_id").alias("visitor"), "open")
    settings = pl.concat([updated, unlinked]).group_by("visitor").agg("open")
    return settings.with_columns(_SORTED_SETTINGS)


def _unlinked(changes: pl.DataFrame) -> pl.DataFrame:
    """Return the anonymous ids of aliases, which another value of `alias_previous` would link."""
    return changes.filter(pl.col("rule") == "alias.previous-unknown").select(
        pl.col("subject").str.strip_chars("'\"").alias("anonymous_id"),
        pl.lit("anonymous").alias("outcome"),
        pl.lit("alias_previous").alias("open"),
    )


def _merges(merges: pl.DataFrame, replay: Replay, changes: pl.DataFrame) -> pl.DataFrame:
    """Return merges with the open settings on which the existence of both sides rests."""
    merging = changes.filter(pl.col("kind").is_in(["merged", "auto-merged"]))
    merging = with_people(merging, changes, replay)
    by_row = merging.select("plan", "row", pl.col("open").alias("person_settings"))
    place = pl.col("rows").list.first()
    return (
        merges.with_columns(place.struct["plan"], place.struct["row"])
        .join(by_row, on=["plan", "row"], how="left", maintain_order="left")
        .with_columns(_merged("open", "person_settings"))
        .drop("plan", "row", "person_settings")
    )


def _relationships(replay: Replay) -> pl.DataFrame:
    """Return the open settings of relationships, one line each."""
    columns = ("object_type_id", "object_id", *NAMES, "anonymous_id", "own_settings")
    lines = [
        (
            record.key.object_type, record.key.object_id,
            *((holder.id, holder.email, None) if isinstance(holder, Person)
              else (None, None, holder.anonymous_id)),
            join_settings(record.open[holder]),
        )
        for record in replay.model.store.objects.values()
        for holder in record.related
        if holder in record.open
    ]  # fmt: skip
    return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String), orient="row")


def _attribution(replay: Replay, changes: pl.DataFrame) -> pl.DataFrame:
    """Return the open settings of the attribution of events, by visitor and outcome."""
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
        pl.DataFrame({"outcome": [*ATTRIBUTION_REASONS]}), how="cross"
    )
    named = named.with_columns(pl.lit("dedupe").alias("open"))
    settings = pl.concat([linked, events, named, _unlinked(changes)])
    grouped = settings.group_by("anonymous_id", "outcome").agg("open")
    return grouped.with_columns(_SORTED_SETTINGS).rename({"open": "own_settings"})


def _groups(
    groups: pl.DataFrame, related: pl.DataFrame, replay: Replay, changes: pl.DataFrame
) -> pl.DataFrame:
    """Return objects with the open settings of their relationships, also of missing ones."""
    keys = ["object_type_id", "object_id"]
    records = replay.model.store.objects.values()
    lines = [(*record.key, str(record.key), join_settings(record.lost_by)) for record in records]
    columns = (*keys, "subject", "open")
    objects = pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String), orient="row")
    ignored = changes.filter(pl.col("rule") == "relationship.unknown-person")
    missing = objects.drop("open").join(ignored.select("subject", "open"), on="subject")
    settings = pl.concat([frame.select(*keys, "open") for frame in (related, objects, missing)])
    by_object = _spread(settings).group_by(keys).agg("open").with_columns(_SORTED_SETTINGS)
    return groups.join(by_object, on=keys, how="left", maintain_order="left")


def _with_settings(frame: pl.DataFrame, own: pl.DataFrame, *, named: pl.DataFrame) -> pl.DataFrame:
    """Return lines with their own open settings and those of the person they name."""
    keys = [name for name in own.columns if name != "own_settings"]
    return (
        frame.join(own, on=keys, how="left", nulls_equal=True, maintain_order="left")
        .join(named, on=list(NAMES), how="left", nulls_equal=True, maintain_order="left")
        .with_columns(_merged("own_settings", "person_settings"))
        .drop("own_settings", "person_settings")
    )


def _by_person(changes: pl.DataFrame, replay: Replay) -> pl.DataFrame:
    """Return the open settings of the changes of each person who remains in the end."""
    person = pl.col("person").replace(successors(replay))
    by_person = changes.drop_nulls("person").with_columns(person).group_by("person")
    return by_person.agg("open").with_columns(_SORTED_SETTINGS)


def _spread(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each open setting of a row."""
    return frame.drop_nulls("open").with_columns(pl.col("open").str.split(", ")).explode(
        "open", empty_as_null=False
    )  # fmt: skip


def _naming_settings() -> pl.Expr:
    """Return the settings that decide which id and e-mail a person has, null for none."""
    names = pl.col("open").str.split(", ")
    deciding = names.list.set_intersection(pl.lit(sorted(NAMING_SETTINGS))).list.sort()
    return pl.when(deciding.list.len() > 0).then(deciding.list.join(", "))


def _merged(*columns: str | pl.Expr) -> pl.Expr:
    """Return the open settings of several columns as one text each, null for none."""
    texts = pl.concat_list(*columns).list.drop_nulls()
    names = texts.list.join(", ").str.split(", ").list.unique().list.sort()
    return pl.when(texts.list.len() > 0).then(names.list.join(", ")).alias("open")
