"""What the rows of one or several plans will have made of a workspace, as frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cio_frames.identity import conflicts, visits
from cio_frames.identity.ledger import Ledger
from cio_frames.identity.people import Person
from cio_frames.identity.ties import clusters, sizes

LARGEST: Final = 100
PEOPLE: Final = pl.Schema({
    "id": pl.String,
    "email": pl.String,
    "cio_id": pl.String,
    "anonymous_ids": pl.List(pl.String),
    "known": pl.Boolean,
    "action": pl.String,
    "events": pl.Int64,
    "rows": conflicts.PLACES,
    "person": pl.String,
})  # fmt: skip
MERGES: Final = pl.Schema({
    "kept": pl.String,
    "removed": pl.List(pl.String),
    "why": pl.String,
    "irreversible": pl.Boolean,
    "removed_existed": pl.Boolean,
    "events_moved": pl.Int64,
    "events_lost": pl.Int64,
    "rows": conflicts.PLACES,
})  # fmt: skip
COUNTED: Final = pl.Schema({
    "person": pl.String, "plan": pl.Int32, "events": pl.Int64, "first": pl.Int64, "last": pl.Int64,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preview:
    """What will have happened.

    Attributes:
        people: One line per resulting profile, and per visitor who stays anonymous.
        merges: People that become one, for good.
        conflicts: What does not come out as the rows ask.
        groups: Objects, with how many people are related to each.
        relationships: Who is related to which object.
        attribution: What becomes of the events of anonymous visitors.
        summary: The counts.
        changes: What every message did, in order.
        clusters: How many identifiers and rows hang together, largest first.
        ties: Identifiers that one message names, with their cluster.
        counted: Events of each person by plan, with the first and the last of their rows.
        lineage: The key of each person that was removed by a merge, and of whom it became.
        names: What a reader calls people that changes name by their key.
    """

    people: pl.DataFrame
    merges: pl.DataFrame
    conflicts: pl.DataFrame
    groups: pl.DataFrame
    relationships: pl.DataFrame
    attribution: pl.DataFrame
    summary: dict[str, Any]
    changes: pl.DataFrame
    clusters: pl.DataFrame
    ties: pl.DataFrame
    counted: pl.DataFrame
    lineage: Mapping[str, str]
    names: Mapping[str, str]


def preview(ledger: Ledger, *, largest: int = LARGEST) -> Preview:
    """Return what a ledger took, as frames.

    Args:
        ledger: The model after all messages.
        largest: The most identifiers that one cluster may have.
    """
    changes = ledger.changes()
    lineage = _lineage(ledger)
    owned = changes.with_columns(_heir(lineage).alias("person"))
    pairs = clusters(ledger.ties.pairs())
    measured = sizes(pairs)
    names = _names(ledger, changes)
    troubles = pl.concat([
        conflicts.too_large(pairs, measured, places=ledger.places(), largest=largest),
        conflicts.found(changes, names=names),
    ])  # fmt: skip
    counted = _counted(ledger)
    people = _people(ledger, owned, counted)
    merged = _merges(ledger)
    attribution = visits.attribution(ledger)
    groups = visits.groups(ledger, changes)
    parts = {
        "people": people, "merges": merged, "conflicts": troubles, "groups": groups,
        "relationships": visits.relationships(ledger), "attribution": attribution,
    }  # fmt: skip
    return Preview(
        **parts,
        summary=_summary(ledger, changes=changes, clusters=measured, **parts),
        changes=changes,
        clusters=measured,
        ties=pairs,
        counted=counted,
        names=names,
        lineage=lineage,
    )


def _names(ledger: Ledger, changes: pl.DataFrame) -> dict[str, str]:
    """Return what a reader calls the second person of a change, also one who is gone."""
    people = ledger.model.store.people.by_cio
    gone = {row["removed"]: row["removed_keys"] for row in ledger.model.store.merges}
    names = {}
    for cio_id in changes["other"].drop_nulls().unique():
        keys = gone.get(cio_id, [])
        fallback = keys[1] if len(keys) > 1 else f"cio_{cio_id}"
        names[cio_id] = people[cio_id].label if cio_id in people else fallback
    return names


def _lineage(ledger: Ledger) -> dict[str, str]:
    """Return whom each removed person has become in the end."""
    heirs: dict[str, str] = {}
    for row in reversed(ledger.model.store.merges):
        heirs[row["removed"]] = heirs.get(row["kept"], row["kept"])
    return heirs


def _heir(lineage: Mapping[str, str]) -> pl.Expr:
    person = pl.col("person")
    return person.replace(dict(lineage)) if lineage else person


def _people(ledger: Ledger, owned: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
    rows = owned.drop_nulls("person").group_by("person").agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )  # fmt: skip
    events = counted.group_by("person").agg(pl.col("events").sum())
    whole = (
        _profiles(ledger)
        .join(rows, on="person", how="left", maintain_order="left")
        .join(events, on="person", how="left", maintain_order="left")
        .filter(~pl.col("existed") | pl.col("rows").is_not_null() | pl.col("events").is_not_null())
        .with_columns(
            pl.col("events").fill_null(0),
            pl.col("rows").fill_null([]),
            pl.lit(value=True).alias("known"),
            pl.when("existed").then(pl.lit("update")).otherwise(pl.lit("create")).alias("action"),
        )
    )
    strangers = visits.strangers(ledger, owned, PEOPLE)
    return pl.concat([whole.select(PEOPLE.names()).cast(dict(PEOPLE)), strangers])


def _counted(ledger: Ledger) -> pl.DataFrame:
    """Return the events of each person by plan: those that were applied, and those counted."""
    people = ledger.model.store.people.by_cio
    lines = [
        (person, plan, tally.events, tally.first, tally.last)
        for person, plan, tally in ledger.tallies.items()
        if person in people and tally.events
    ]
    for event in ledger.events():
        if event.person is not None:
            plan, row = ledger.place(event.number)
            lines.append((event.person.cio_id, plan, 1, row, row))
    frame = pl.DataFrame(lines, schema=COUNTED, orient="row")
    return frame.group_by("person", "plan", maintain_order=True).agg(
        pl.col("events").sum(), pl.col("first").min(), pl.col("last").max()
    )


def _profiles(ledger: Ledger) -> pl.DataFrame:
    """Return everybody who is there in the end."""
    people: list[Person] = list(ledger.model.store.people.by_cio.values())
    frame = pl.DataFrame(
        {
            "person": [person.cio_id for person in people],
            "id": [person.id for person in people],
            "email": [person.email for person in people],
            "anonymous_ids": [person.anonymous_ids for person in people],
            "existed": [person.existed for person in people],
        },
        schema={
            "person": pl.String, "id": pl.String, "email": pl.String,
            "anonymous_ids": pl.List(pl.String), "existed": pl.Boolean,
        },
    )  # fmt: skip
    given = pl.Series(sorted(ledger.given), dtype=pl.String)
    return frame.with_columns(
        pl.when(pl.col("person").is_in(given.implode())).then("person").alias("cio_id")
    )


def _merges(ledger: Ledger) -> pl.DataFrame:
    lines: list[dict[str, Any]] = []
    for row, (moved, lost) in zip(
        ledger.model.store.merges, ledger.tallies.merged, strict=True
    ):
        plan, number = ledger.place(row["number"])
        lines.append({
            "kept": row["kept_key"],
            "removed": [
                key for key in row["removed_keys"]
                if key != f"cio_{row['removed']}" or row["removed"] in ledger.given
            ],
            "why": row["why"],
            "irreversible": row["irreversible"],
            "removed_existed": row["removed_existed"],
            "events_moved": row["events_moved"] + moved,
            "events_lost": row["events_lost"] + lost,
            "rows": [{"plan": plan, "row": number}],
        })  # fmt: skip
    lines.sort(key=lambda line: tuple(line["rows"][0].values()))
    return pl.DataFrame(lines, schema=MERGES)


def _summary(
    ledger: Ledger,
    *,
    changes: pl.DataFrame,
    clusters: pl.DataFrame,
    people: pl.DataFrame,
    merges: pl.DataFrame,
    conflicts: pl.DataFrame,
    attribution: pl.DataFrame,
    groups: pl.DataFrame,
    relationships: pl.DataFrame,
) -> dict[str, Any]:
    actions = dict(people["action"].value_counts().iter_rows())
    rules = dict(changes["rule"].value_counts().iter_rows())
    fates = attribution.group_by("outcome").agg(pl.col("events").sum())
    return {
        "rows": ledger.messages,
        "creates": actions.get("create", 0),
        "updates": actions.get("update", 0),
        "merges": merges.height,
        "deletes": rules.get("person.deleted", 0),
        "conflicts": conflicts.height,
        "visitors": actions.get("anonymous", 0),
        "events": int(people["events"].sum()),
        "created_by_events": rules.get("person.created-by-event", 0),
        "anonymous_events": dict(sorted(fates.iter_rows())),
        "campaign_events": ledger.campaign_events(),
        "objects": groups.height,
        "relationships": relationships.height,
        "repeated": rules.get("message.duplicate", 0),
        "largest_cluster": int(clusters["identifiers"].max() or 0),
    }
