"""Who is there in the end: profiles, merges, and the events of each person."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cio_frames.identity import columnar, rules, visits
from cio_frames.identity.conflicts import PLACES
from cio_frames.identity.partition import Sorted
from cio_frames.identity.replay import NAMELESS, Ledger
from cio_frames.identity.state import Person

PEOPLE: Final = pl.Schema({
    "id": pl.String(),
    "email": pl.String(),
    "cio_id": pl.String(),
    "anonymous_ids": pl.List(pl.String),
    "known": pl.Boolean(),
    "action": pl.String(),
    "events": pl.Int64(),
    "rows": PLACES,
    "person": pl.String(),
})  # fmt: skip
MERGES: Final = pl.Schema({
    "kept": pl.String(),
    "removed": pl.List(pl.String),
    "why": pl.String(),
    "irreversible": pl.Boolean(),
    "removed_existed": pl.Boolean(),
    "events_moved": pl.Int64(),
    "events_lost": pl.Int64(),
    "rows": PLACES,
})  # fmt: skip
_PLAN_STEP: Final = 2**31
COUNTED: Final = pl.Schema({
    "person": pl.String(), "plan": pl.Int32(), "events": pl.Int64(), "first": pl.Int64(), "last": pl.Int64(),
})  # fmt: skip


def lineage(ledger: Ledger) -> dict[str, str]:
    """Return whom each removed person has become in the end."""
    heirs: dict[str, str] = {}
    for row in reversed(ledger.model.store.merges):
        heirs[row["removed"]] = heirs.get(row["kept"], row["kept"])
    return heirs


def names(ledger: Ledger, changes: pl.DataFrame) -> dict[str, str]:
    """Return what a reader calls the second person of a change, also one who is gone."""
    there = ledger.model.store.people.by_cio
    deleted = changes.filter(pl.col("rule") == rules.DELETED.name).select("person", "key")
    gone = dict(deleted.iter_rows())
    for row in ledger.model.store.merges:
        gone[row["removed"]] = next(iter(row["removed_keys"][1:]), f"cio_{row['removed']}")
    others = changes["other"].drop_nulls().unique()
    found = {key: there[key].label if key in there else gone[key] for key in others}
    made_up = {f"cio_{key}" for key in others if key not in ledger.given}
    return {key: NAMELESS if name in made_up else name for key, name in found.items()}


def people(
    ledger: Ledger,
    found: Sorted,
    known: pl.DataFrame | None,
    *,
    applied: pl.DataFrame,
    counted: pl.DataFrame,
) -> pl.DataFrame:
    """Return the people and visitors that rows are about, in the order of their first rows."""
    heirs = lineage(ledger)
    told = applied.drop_nulls("person").with_columns(pl.col("person").replace(heirs))
    rows = told.group_by("person").agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("places")
    )
    modelled = _profiles(ledger).join(rows, on="person", how="left", maintain_order="left")
    events = counted.group_by("person").agg(pl.col("events").sum())
    everybody = pl.concat([modelled, columnar.people(found, known)], how="diagonal_relaxed")
    whole = (
        everybody.join(events, on="person", how="left", maintain_order="left")
        .filter(
            ~pl.col("existed") | pl.col("places").is_not_null() | pl.col("events").is_not_null()
        )
        .with_columns(
            pl.col("events").fill_null(0),
            pl.col("places").fill_null([]).alias("rows"),
            pl.lit(value=True).alias("known"),
            pl.when("existed").then(pl.lit("update")).otherwise(pl.lit("create")).alias("action"),
        )
        .select(PEOPLE.names())
        .cast(PEOPLE)
    )
    strangers = visits.strangers(ledger, found, applied).select(PEOPLE.names()).cast(PEOPLE)
    return _ordered(pl.concat([whole, strangers]))


def _ordered(people_: pl.DataFrame) -> pl.DataFrame:
    """Return people in the order of their first rows, visitors last."""
    first = pl.col("rows").list.first()
    place = first.struct["plan"].cast(pl.Int64) * _PLAN_STEP + first.struct["row"]
    placed = people_.with_columns(
        (place.fill_null(_PLAN_STEP**2 // 4) + (~pl.col("known")) * (_PLAN_STEP**2 // 2)).alias(
            "at"
        )
    )
    unplaced = pl.col("rows").list.len() == 0
    by_id = placed.filter(unplaced).sort("at", "id", "email", nulls_last=True)
    return pl.concat([placed.filter(~unplaced), by_id]).sort("at", maintain_order=True).drop("at")


def _profiles(ledger: Ledger) -> pl.DataFrame:
    """Return everybody who is there in the end."""
    persons: list[Person] = list(ledger.model.store.people.by_cio.values())
    schema = {
        "person": pl.String(), "id": pl.String(), "email": pl.String(), "cio_id": pl.String(),
        "anonymous_ids": pl.List(pl.String), "existed": pl.Boolean(),
    }  # fmt: skip
    lines = [
        (
            person.cio_id,
            person.id,
            person.email,
            person.cio_id if person.cio_id in ledger.given else None,
            person.anonymous_ids,
            person.existed,
        )
        for person in persons
    ]
    return pl.DataFrame(lines, schema=schema, orient="row")


def counted(ledger: Ledger) -> pl.DataFrame:
    """Return the events of each person by plan, with the first and the last of their rows."""
    lines = [
        (event.person.cio_id, event.times, *ledger.extent(event.number))
        for event in ledger.events()
        if event.person is not None
    ]
    columns = ("person", "events", "plan", "first", "last")
    frame = pl.DataFrame(lines, schema={name: COUNTED[name] for name in columns}, orient="row")
    grouped = frame.group_by("person", "plan", maintain_order=True).agg(
        pl.col("events").sum(), pl.col("first").min(), pl.col("last").max()
    )
    return grouped.cast(COUNTED)


def merges(ledger: Ledger) -> pl.DataFrame:
    """Return the merges by plan and row."""
    lines = [_merge(row, ledger) for row in ledger.model.store.merges]
    lines.sort(key=lambda line: tuple(line["rows"][0].values()))
    return pl.DataFrame(lines, schema=MERGES)


def _merge(row: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    plan, number = ledger.place(row["number"])
    made_up = f"cio_{row['removed']}" if row["removed"] not in ledger.given else None
    return {
        "kept": row["kept_key"],
        "removed": [key for key in row["removed_keys"] if key != made_up],
        "why": row["why"],
        "irreversible": row["irreversible"],
        "removed_existed": row["removed_existed"],
        "events_moved": row["events_moved"],
        "events_lost": row["events_lost"],
        "rows": [{"plan": plan, "row": number}],
    }
