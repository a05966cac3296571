"""Visitors and groups: what becomes of anonymous events, and who belongs to which object."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from cio_frames.identity.conflicts import PLACES
from cio_frames.identity.partition import Sorted
from cio_frames.identity.replay import Ledger
from cio_frames.identity.state import Person

WHY: Final[Mapping[str, str]] = MappingProxyType({
    "linked": "attributed to the person who was identified with the anonymous id",
    "anonymous": "nobody was identified with the anonymous id",
    "expired": "older than 30 days when the person was identified",
    "late": "arrived more than 5 minutes after the person was identified",
    "off": "anonymous event merge is off in the workspace",
})  # fmt: skip
_OF_VISITORS: Final = ("anonymous.updated", "relationship.anonymous")
ATTRIBUTION: Final = pl.Schema({
    "anonymous_id": pl.String(),
    "outcome": pl.String(),
    "why": pl.String(),
    "id": pl.String(),
    "email": pl.String(),
    "events": pl.Int64(),
    "campaign_events": pl.Int64(),
    "rows": PLACES,
})  # fmt: skip
GROUPS: Final = pl.Schema({
    "object_type_id": pl.String(),
    "object_id": pl.String(),
    "action": pl.String(),
    "people": pl.Int64(),
    "visitors": pl.Int64(),
    "rows": PLACES,
})  # fmt: skip
RELATIONSHIPS: Final = pl.Schema({
    "object_type_id": pl.String(),
    "object_id": pl.String(),
    "id": pl.String(),
    "email": pl.String(),
    "anonymous_id": pl.String(),
})  # fmt: skip


def attribution(ledger: Ledger, found: Sorted) -> pl.DataFrame:
    """Return what becomes of anonymous events: one line per anonymous id, outcome and person."""
    lines = []
    for event in ledger.events():
        if event.by_visitor:
            fate = "linked" if event.attribution == "moved" else event.attribution
            person = event.person
            keys = (None, None) if person is None else (person.id, person.email)
            lines.append((
                event.anonymous_id, fate, *keys, event.can_trigger, *ledger.place(event.number),
            ))  # fmt: skip
    schema = {
        "anonymous_id": pl.String(), "outcome": pl.String(), "id": pl.String(), "email": pl.String(),
        "young": pl.Boolean(), "plan": pl.Int32(), "row": pl.Int64(),
    }  # fmt: skip
    nobodys = found.visits.select(
        pl.col("anonymous").alias("anonymous_id"), pl.lit("anonymous").alias("outcome"),
        pl.lit(None, pl.String).alias("id"), pl.lit(None, pl.String).alias("email"),
        pl.lit(value=False).alias("young"), "plan", "row",
    )  # fmt: skip
    frame = pl.concat([pl.DataFrame(lines, schema=schema, orient="row"), nobodys])
    grouped = (
        frame.sort("plan", "row")
        .group_by("anonymous_id", "outcome", "id", "email", maintain_order=True)
        .agg(
            pl.len().alias("events"),
            pl.col("young").sum().alias("campaign_events"),
            pl.struct("plan", "row").alias("rows"),
        )
    )
    why = pl.col("outcome").replace_strict(dict(WHY), return_dtype=pl.String).alias("why")
    return grouped.with_columns(why).select(ATTRIBUTION.names()).cast(ATTRIBUTION)


def strangers(ledger: Ledger, found: Sorted, changes: pl.DataFrame) -> pl.DataFrame:
    """Return the visitors who are nobody's, in the shape of people."""
    names = [v.anonymous_id for v in ledger.model.store.visitors.values() if v.owner is None]
    acted = [
        (event.anonymous_id, *ledger.place(event.number), 1)
        for event in ledger.events()
        if event.by_visitor and event.person is None
    ]
    one, none = pl.lit(1, pl.Int64).alias("events"), pl.lit(0, pl.Int64).alias("events")
    told = changes.filter(pl.col("rule").is_in(_OF_VISITORS)).select(
        pl.col("key").alias("visitor"), "plan", "row", none
    )
    others = found.visits.select(pl.col("anonymous").alias("visitor"), "plan", "row", one)
    rows = pl.concat([pl.DataFrame(acted, schema=told.schema, orient="row"), told, others])
    there = pl.concat([pl.Series(names, dtype=pl.String), others["visitor"].unique()])
    grouped = rows.sort("plan", "row").group_by("visitor", maintain_order=True).agg(
        pl.col("events").sum(), pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )  # fmt: skip
    nothing = pl.lit(None, pl.String)
    return (
        there.to_frame("visitor")
        .join(grouped, on="visitor", how="left", maintain_order="left")
        .select(
            nothing.alias("id"), nothing.alias("email"), nothing.alias("cio_id"),
            pl.concat_list("visitor").alias("anonymous_ids"),
            pl.lit(value=False).alias("known"), pl.lit("anonymous").alias("action"),
            pl.col("events").fill_null(0), pl.col("rows").fill_null([]),
            nothing.alias("person"),
        )
    )  # fmt: skip


def groups(ledger: Ledger, changes: pl.DataFrame) -> pl.DataFrame:
    """Return the objects, and the objects that are deleted."""
    store = ledger.model.store
    told = changes.filter(
        pl.col("kind").is_in(["object-created", "object-updated", "object-deleted", "related"])
    )
    rows = told.group_by("subject", maintain_order=True).agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )
    things = [
        {
            "subject": str(thing.key),
            "object_type_id": thing.key.object_type,
            "object_id": thing.key.object_id,
            "people": sum(isinstance(holder, Person) for holder in thing.related),
            "visitors": sum(not isinstance(holder, Person) for holder in thing.related),
        }
        for thing in store.things.values()
    ]
    schema = {
        "subject": pl.String(), "object_type_id": pl.String(), "object_id": pl.String(),
        "people": pl.Int64(), "visitors": pl.Int64(),
    }  # fmt: skip
    frame = pl.DataFrame(things, schema=schema).with_columns(
        pl.lit("create or update").alias("action")
    )
    joined = frame.join(rows, on="subject", how="left", maintain_order="left")
    return joined.select(GROUPS.names()).cast(GROUPS)


def relationships(ledger: Ledger) -> pl.DataFrame:
    """Return who is related to which object in the end."""
    lines = [
        (
            thing.key.object_type,
            thing.key.object_id,
            holder.id if isinstance(holder, Person) else None,
            holder.email if isinstance(holder, Person) else None,
            None if isinstance(holder, Person) else holder.anonymous_id,
        )
        for thing in ledger.model.store.things.values()
        for holder in thing.related
    ]
    return pl.DataFrame(lines, schema=RELATIONSHIPS, orient="row")
