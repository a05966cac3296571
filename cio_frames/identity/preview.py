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
CREATED: Final = ("person.created", "person.created-by-event", "person.created-by-group")


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
        lineage: The cio_id of each person that was removed by a merge, and whom it became.
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
    lineage: Mapping[str, str]


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
    troubles = pl.concat([
        conflicts.too_large(pairs, measured, places=ledger.places(), largest=largest),
        conflicts.found(changes, label=_Labels(ledger)),
    ])  # fmt: skip
    people = _people(ledger, owned)
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
        lineage=lineage,
    )


class _Labels:
    """The name of a person that a reader knows, by cio_id; also of people who are gone."""

    def __init__(self, ledger: Ledger) -> None:
        self._people = ledger.model.store.people.by_cio
        self._gone = {row["removed"]: row["removed_keys"] for row in ledger.model.store.merges}

    def __call__(self, cio_id: str) -> str:
        person = self._people.get(cio_id)
        if person is not None:
            return person.label
        keys = self._gone.get(cio_id, [])
        return keys[1] if len(keys) > 1 else f"cio_{cio_id}"


def _lineage(ledger: Ledger) -> dict[str, str]:
    """Return whom each removed person has become in the end."""
    heirs: dict[str, str] = {}
    for row in reversed(ledger.model.store.merges):
        heirs[row["removed"]] = heirs.get(row["kept"], row["kept"])
    return heirs


def _heir(lineage: Mapping[str, str]) -> pl.Expr:
    person = pl.col("person")
    return person.replace(dict(lineage)) if lineage else person


def _people(ledger: Ledger, owned: pl.DataFrame) -> pl.DataFrame:
    base = _profiles(ledger)
    rows = owned.drop_nulls("person").group_by("person").agg(
        pl.struct("plan", "row").unique(maintain_order=True).alias("rows")
    )  # fmt: skip
    counted = pl.DataFrame(
        [(person, tally.events) for person, _, tally in ledger.tallies.items()],
        schema={"person": pl.String, "counted": pl.Int64},
        orient="row",
    ).group_by("person").agg(pl.col("counted").sum())  # fmt: skip
    joined = base.join(rows, on="person", how="left", maintain_order="left").join(
        counted, on="person", how="left", maintain_order="left"
    )
    whole = joined.with_columns(
        (pl.col("events") + pl.col("counted").fill_null(0)).alias("events"),
        pl.col("rows").fill_null([]),
        pl.lit(value=True).alias("known"),
        pl.when("existed").then(pl.lit("update")).otherwise(pl.lit("create")).alias("action"),
    )
    touched = whole.filter((pl.col("action") == "create") | (pl.col("rows").list.len() > 0) | (pl.col("events") > 0))
    return pl.concat([touched.select(PEOPLE.names()).cast(dict(PEOPLE)), visits.strangers(ledger, owned, PEOPLE)])


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
            "events": [len(person.events) for person in people],
        },
        schema={
            "person": pl.String, "id": pl.String, "email": pl.String,
            "anonymous_ids": pl.List(pl.String), "existed": pl.Boolean, "events": pl.Int64,
        },
    )  # fmt: skip
    given = pl.Series(sorted(ledger.given), dtype=pl.String)
    return frame.with_columns(
        pl.when(pl.col("person").is_in(given.implode())).then("person").alias("cio_id")
    )


def _merges(ledger: Ledger) -> pl.DataFrame:
    lines = []
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
