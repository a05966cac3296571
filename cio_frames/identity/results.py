"""The state after all messages: profiles, merges, objects, and whose the events are."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

import polars as pl

from cio_frames.identity import columnar, rules
from cio_frames.identity.conflicts import PLACES
from cio_frames.identity.identifiers import is_mail
from cio_frames.identity.partition import IndependentMessages, Partitioned
from cio_frames.identity.replay import NAMELESS, Replay
from cio_frames.identity.semantic_events import DELETION
from cio_frames.identity.state import Person, Removal

PEOPLE: Final = pl.Schema({
    "id": pl.String(), "email": pl.String(), "cio_id": pl.String(),
    "anonymous_ids": pl.List(pl.String), "known": pl.Boolean(), "action": pl.String(),
    "events": pl.Int64(), "rows": PLACES, "person": pl.String(),
})  # fmt: skip
MERGES: Final = pl.Schema({
    "kept": pl.String(), "removed": pl.List(pl.String), "why": pl.String(),
    "irreversible": pl.Boolean(), "removed_existed": pl.Boolean(), "events_moved": pl.Int64(),
    "events_later": pl.Int64(), "events_lost": pl.Int64(), "rows": PLACES, "open": pl.String(),
})  # fmt: skip
REMOVALS: Final = get_args(Removal)
"""The actions that remove people."""
_PLAN_STEP: Final = 2**31
_AT: Final = pl.col("plan").cast(pl.Int64) * _PLAN_STEP + pl.col("row")
"""The position of a row among those of all plans."""
EVENT_COUNTS: Final = pl.Schema({
    "person": pl.String(), "plan": pl.Int32(), "events": pl.Int64(),
    "first": pl.Int64(), "last": pl.Int64(),
})  # fmt: skip
ATTRIBUTION_REASONS: Final[Mapping[str, str]] = MappingProxyType({
    "linked": "attributed to the person who was identified with the anonymous ID",
    "anonymous": "no person was identified with the anonymous ID",
    "expired": "older than 30 days when the person was identified",
    "late": "arrived more than 5 minutes after the person was identified",
    "off": "anonymous event merging is off in the workspace",
})  # fmt: skip
_VISITOR_RULES: Final = ("anonymous.updated", "relationship.anonymous")
ATTRIBUTION: Final = pl.Schema({
    "anonymous_id": pl.String(), "outcome": pl.String(), "why": pl.String(), "id": pl.String(),
    "email": pl.String(), "events": pl.Int64(), "campaign_events": pl.Int64(), "rows": PLACES,
})  # fmt: skip
GROUPS: Final = pl.Schema({
    "object_type_id": pl.String(), "object_id": pl.String(), "action": pl.String(),
    "people": pl.Int64(), "visitors": pl.Int64(), "rows": PLACES,
})  # fmt: skip
RELATIONSHIPS: Final = pl.Schema(
    dict.fromkeys(("object_type_id", "object_id", "id", "email", "anonymous_id"), pl.String)
)


def successors(replay: Replay) -> dict[str, str]:
    """Return the person whom each merged person has become in the end."""
    remaining: dict[str, str] = {}
    for row in reversed(replay.model.store.merges):
        remaining[row["removed"]] = remaining.get(row["kept"], row["kept"])
    return remaining


def labels(replay: Replay, changes: pl.DataFrame) -> dict[str, str]:
    """Return how sentences call the second person of a change, also one who is gone."""
    current = replay.model.store.people.by_cio
    deleted = changes.filter(pl.col("rule") == rules.DELETED.name).select("person", "key")
    gone = dict(deleted.iter_rows())
    for row in replay.model.store.merges:
        gone[row["removed"]] = next(iter(row["removed_keys"][1:]), f"cio_{row['removed']}")
    others = changes["other"].drop_nulls().unique()
    names = {key: current[key].label if key in current else gone[key] for key in others}
    made_up = {f"cio_{key}" for key in others if key not in replay.exported_cio_ids}
    return {key: NAMELESS if name in made_up else name for key, name in names.items()}


def connected_people(
    replay: Replay,
    parts: Partitioned,
    workspace_people: pl.DataFrame | None,
    *,
    changes: pl.DataFrame,
    event_counts: pl.DataFrame,
) -> pl.DataFrame:
    """Return the people and visitors of connected messages, as in `people`."""
    by_person = changes.drop_nulls("person").with_columns(
        pl.col("person").replace(successors(replay))
    )
    rows = by_person.group_by("person").agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("places")
    )
    store = replay.model.store
    former_visitors = columnar.people(parts.former_visitors, None).drop("places")
    profiles = pl.concat(
        [
            _profile_rows([(person, None) for person in store.people.by_cio.values()], replay),
            _profile_rows(store.removed, replay),
            former_visitors,
        ],
        how="diagonal_relaxed",
    )
    profiles = _with_events(
        profiles.join(rows, on="person", how="left", maintain_order="left"), event_counts
    )
    if workspace_people is not None:
        has_rows = pl.any_horizontal(pl.col("places", "events").is_not_null())
        profiles = profiles.filter(~pl.col("existed") | has_rows)
    frames = [
        PEOPLE.to_frame(),
        _as_people(profiles),
        _removed_unknown(changes, workspace_people),
        _unidentified_visitors(replay, parts, changes),
    ]
    return pl.concat(frames, how="diagonal_relaxed").cast(PEOPLE)


def independent_people(
    messages: IndependentMessages, workspace_people: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the people of independent messages, as in `people`."""
    profiles = columnar.people(messages, workspace_people).with_columns(
        pl.lit(None, pl.String).alias("removal")
    )
    return _as_people(_with_events(profiles, columnar.event_counts(messages)))


def _with_events(profiles: pl.DataFrame, event_counts: pl.DataFrame) -> pl.DataFrame:
    """Return profiles with how many events each has, null for none."""
    events = event_counts.group_by("person").agg(pl.col("events").sum())
    own = profiles.select("person").join(events, on="person", how="left", maintain_order="left")
    return profiles.with_columns(own["events"])


def _as_people(profiles: pl.DataFrame) -> pl.DataFrame:
    """Return profiles with the columns of `people`."""
    return profiles.with_columns(
        pl.col("events").fill_null(0),
        pl.col("places").fill_null([]).alias("rows"),
        pl.lit(value=True).alias("known"),
        pl.coalesce(
            "removal", pl.when("existed").then(pl.lit("update")).otherwise(pl.lit("create"))
        ).alias("action"),
    ).select(PEOPLE.names()).cast(PEOPLE)  # fmt: skip


def ordered(people: pl.DataFrame) -> pl.DataFrame:
    """Return people in the order of their first rows, visitors last."""
    first = pl.col("rows").list.first()
    place = first.struct["plan"].cast(pl.Int64) * _PLAN_STEP + first.struct["row"]
    placed = people.with_columns(
        (place.fill_null(_PLAN_STEP**2 // 4) + (~pl.col("known")) * (_PLAN_STEP**2 // 2)).alias(
            "at"
        )
    )
    unplaced = pl.col("rows").list.len() == 0
    if placed.select(unplaced.any()).item():
        by_id = placed.filter(unplaced).sort("at", "id", "email", nulls_last=True)
        placed = pl.concat([placed.filter(~unplaced), by_id])
    return placed.sort("at", maintain_order=True).drop("at")


def _removed_unknown(changes: pl.DataFrame, workspace_people: pl.DataFrame | None) -> pl.DataFrame:
    """Return the people whom rows delete or suppress without a known profile.

    Without an export they count as deleted; if there is one, people who are not in it cannot be.
    """
    mail = is_mail("key")
    folded = pl.when(mail).then(pl.col("key").str.to_lowercase()).otherwise("key")
    return (
        removals_of_unknown(changes, workspace_people)
        .group_by(folded.alias("key"), maintain_order=True)
        .agg(pl.col("rule").last(), pl.struct("plan", "row").alias("rows"))
        .select(
            pl.when(~mail).then("key").alias("id"), pl.when(mail).then("key").alias("email"),
            pl.lit([], pl.List(pl.String)).alias("anonymous_ids"),
            pl.lit(value=True).alias("known"),
            pl.when(pl.col("rule") == rules.SUPPRESSED.name).then(pl.lit("suppress"))
            .otherwise(pl.lit("delete")).alias("action"),
            pl.lit(0, pl.Int64).alias("events"), "rows",
        )
    )  # fmt: skip


def removals_of_unknown(
    changes: pl.DataFrame, workspace_people: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the changes that delete or suppress a person without a known profile."""
    deleted = changes.filter(pl.col("rule") == rules.DELETED.name)
    keys = pl.concat([deleted["key"], deleted["subject"]]).drop_nulls().str.to_lowercase()
    is_removal = _is_possible_deletion(workspace_people) | (pl.col("rule") == rules.SUPPRESSED.name)
    return (
        changes.filter(is_removal)
        .join(deleted, on="number", how="anti")
        .filter(~pl.col("key").str.to_lowercase().is_in(keys.implode()))
    )


def created_again(
    notable: pl.DataFrame, independent: pl.LazyFrame, workspace_people: pl.DataFrame | None
) -> int:
    """Return how many people rows create after an earlier row has deleted them."""
    placed = notable.with_columns(_AT.alias("at"))
    deleted = placed.filter(pl.col("rule") == rules.DELETED.name)
    removed = pl.concat([deleted, placed.filter(_is_possible_deletion(workspace_people))])
    names = pl.concat([removed.select("at", who="key"), deleted.select("at", who="subject")])
    gone = (
        names.drop_nulls().group_by(pl.col("who").str.to_lowercase()).agg(gone=pl.col("at").min())
    )
    if gone.is_empty():
        return 0
    created = pl.concat([notable.lazy(), independent]).filter(pl.col("kind") == "created").select(
        _AT.alias("at"), pl.col("key").str.to_lowercase().alias("who")
    )  # fmt: skip
    again = created.join(gone.lazy(), on="who").filter(pl.col("at") > pl.col("gone"))
    return int(again.select(pl.col("who").n_unique()).collect().item())


def _is_possible_deletion(workspace_people: pl.DataFrame | None) -> pl.Expr:
    """Return a boolean expression: True where a change deletes a person who may exist."""
    if workspace_people is not None:
        return pl.lit(value=False)
    return (pl.col("rule") == rules.PERSON_UNKNOWN.name) & (pl.col("subject") == DELETION)


def _profile_rows(persons: Iterable[tuple[Person, Removal | None]], replay: Replay) -> pl.DataFrame:
    """Return people with their `removal`, if they were deleted."""
    schema = {
        "person": pl.String(), "id": pl.String(), "email": pl.String(), "cio_id": pl.String(),
        "anonymous_ids": pl.List(pl.String), "existed": pl.Boolean(), "removal": pl.String(),
    }  # fmt: skip
    lines = [
        (
            person.cio_id,
            person.id,
            person.email,
            person.cio_id if person.cio_id in replay.exported_cio_ids else None,
            tuple(person.anonymous_ids),
            person.existed,
            removal,
        )
        for person, removal in persons
    ]
    return pl.DataFrame(lines, schema=schema, orient="row")


def event_counts(replay: Replay) -> pl.DataFrame:
    """Return the events of each person by plan, with the first and the last of their rows."""
    lines = [
        (event.person.cio_id, event.times, *replay.extent(event.number))
        for event in replay.events()
        if event.person is not None
    ]
    columns = ("person", "events", "plan", "first", "last")
    frame = pl.DataFrame(lines, schema={name: EVENT_COUNTS[name] for name in columns}, orient="row")
    grouped = frame.group_by("person", "plan", maintain_order=True).agg(
        pl.col("events").sum(), pl.col("first").min(), pl.col("last").max()
    )
    return grouped.cast(EVENT_COUNTS)


def merges(replay: Replay) -> pl.DataFrame:
    """Return the merges by plan and row."""
    lines = [_merge(row, replay) for row in replay.model.store.merges]
    lines.sort(key=lambda line: tuple(line["rows"][0].values()))
    return pl.DataFrame(lines, schema=MERGES)


def _merge(row: Mapping[str, Any], replay: Replay) -> dict[str, Any]:
    plan, number = replay.place(row["number"])
    made_up = f"cio_{row['removed']}" if row["removed"] not in replay.exported_cio_ids else None
    return {
        "kept": row["kept_key"],
        "removed": [key for key in row["removed_keys"] if key != made_up],
        "why": row["why"],
        "irreversible": row["irreversible"],
        "removed_existed": row["removed_existed"],
        "events_moved": row["events_moved"],
        "events_later": row["events_later"],
        "events_lost": row["events_lost"],
        "rows": [{"plan": plan, "row": number}],
        "open": row["open"],
    }


def attribution(replay: Replay, parts: Partitioned, visitor_events: pl.DataFrame) -> pl.DataFrame:
    """Return the outcome of anonymous events: one line per anonymous id, outcome and person."""
    lines = []
    for event in replay.events():
        if event.by_visitor:
            outcome = "linked" if event.attribution == "moved" else event.attribution
            person = event.person
            keys = (None, None) if person is None else (person.id, person.email)
            lines.append((
                event.anonymous_id, outcome, *keys, event.can_trigger, *replay.place(event.number),
            ))  # fmt: skip
    schema = {
        "anonymous_id": pl.String(), "outcome": pl.String(), "id": pl.String(), "email": pl.String(),
        "young": pl.Boolean(), "plan": pl.Int32(), "row": pl.Int64(),
    }  # fmt: skip
    unidentified = parts.unidentified_events.select(
        pl.col("anonymous").alias("anonymous_id"), pl.lit("anonymous").alias("outcome"),
        pl.lit(None, pl.String).alias("id"), pl.lit(None, pl.String).alias("email"),
        pl.lit(value=False).alias("young"), "plan", "row",
    )  # fmt: skip
    applied = pl.DataFrame(lines, schema=schema, orient="row")
    events = pl.concat([applied, visitor_events.select(schema.keys()), unidentified])
    grouped = (
        events.sort("plan", "row")
        .group_by("anonymous_id", "outcome", "id", "email", maintain_order=True)
        .agg(
            pl.len().alias("events"),
            pl.col("young").sum().alias("campaign_events"),
            pl.struct("plan", "row").alias("rows"),
        )
    )
    why = (
        pl.col("outcome")
        .replace_strict(dict(ATTRIBUTION_REASONS), return_dtype=pl.String)
        .alias("why")
    )
    return grouped.with_columns(why).select(ATTRIBUTION.names()).cast(ATTRIBUTION)


def _unidentified_visitors(
    replay: Replay, parts: Partitioned, changes: pl.DataFrame
) -> pl.DataFrame:
    """Return the visitors whom no row identifies, as in `people`."""
    ids = [v.anonymous_id for v in replay.model.store.visitors.values() if v.owner is None]
    acted = [
        (event.anonymous_id, *replay.place(event.number), 1)
        for event in replay.events()
        if event.by_visitor and event.person is None
    ]
    one, none = pl.lit(1, pl.Int64).alias("events"), pl.lit(0, pl.Int64).alias("events")
    changed = changes.filter(pl.col("rule").is_in(_VISITOR_RULES)).select(
        pl.col("key").alias("visitor"), "plan", "row", none
    )
    others = parts.unidentified_events.select(
        pl.col("anonymous").alias("visitor"), "plan", "row", one
    )
    rows = pl.concat([pl.DataFrame(acted, schema=changed.schema, orient="row"), changed, others])
    visitors = pl.concat([pl.Series(ids, dtype=pl.String), others["visitor"].unique()])
    grouped = rows.sort("plan", "row").group_by("visitor", maintain_order=True).agg(
        pl.col("events").sum(), pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )  # fmt: skip
    return (
        visitors.to_frame("visitor")
        .join(grouped, on="visitor", how="left", maintain_order="left")
        .select(
            pl.concat_list("visitor").alias("anonymous_ids"),
            pl.lit(value=False).alias("known"), pl.lit("anonymous").alias("action"),
            pl.col("events").fill_null(0), pl.col("rows").fill_null([]),
        )
    )  # fmt: skip


def groups(replay: Replay, changes: pl.DataFrame) -> pl.DataFrame:
    """Return the objects that exist in the end, with the rows that change them."""
    store = replay.model.store
    about_objects = changes.filter(
        pl.col("kind").is_in(["object-created", "object-updated", "object-deleted", "related"])
    )
    rows = about_objects.group_by("subject", maintain_order=True).agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )
    records = [
        {
            "subject": str(record.key),
            "object_type_id": record.key.object_type,
            "object_id": record.key.object_id,
            "people": sum(isinstance(holder, Person) for holder in record.related),
            "visitors": sum(not isinstance(holder, Person) for holder in record.related),
        }
        for record in store.objects.values()
    ]
    schema = {
        "subject": pl.String(), "object_type_id": pl.String(), "object_id": pl.String(),
        "people": pl.Int64(), "visitors": pl.Int64(),
    }  # fmt: skip
    objects = pl.DataFrame(records, schema=schema).with_columns(
        pl.lit("create or update").alias("action")
    )
    with_rows = objects.join(rows, on="subject", how="left", maintain_order="left")
    return with_rows.select(GROUPS.names()).cast(GROUPS)


def relationships(replay: Replay) -> pl.DataFrame:
    """Return who is related to which object in the end."""
    lines = [
        (
            record.key.object_type,
            record.key.object_id,
            holder.id if isinstance(holder, Person) else None,
            holder.email if isinstance(holder, Person) else None,
            None if isinstance(holder, Person) else holder.anonymous_id,
        )
        for record in replay.model.store.objects.values()
        for holder in record.related
    ]
    return pl.DataFrame(lines, schema=RELATIONSHIPS, orient="row")
