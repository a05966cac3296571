"""What the rows of one or several plans will have made of a workspace, as frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from cio_frames.identity import columnar, conflicts, results, rules, visits
from cio_frames.identity.components import TYING, known_keys, odd_keys, sizes, slip_keys, ties
from cio_frames.identity.messages import Slips
from cio_frames.identity.partition import Sorted, everything, sort_out
from cio_frames.identity.replay import CHANGES, Ledger, messages
from cio_frames.identity.settings import LARGEST, Settings

_EVENTS: Final = ("track", "page", "screen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What a preview assumes.

    Attributes:
        settings: How the workspace is set up.
        now: When everything arrives.
        known: The people that are there, as `export` gives them.
        largest: The most identifiers that one person may have; ten times as many rows.
        whole: Whether every message is applied to the model, even where the outcome is plain.
    """

    settings: Settings
    now: datetime
    known: pl.DataFrame | None = None
    largest: int = LARGEST
    whole: bool = False


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
        changes: What every message did, by plan and row; plain events are not among it.
        clusters: How many identifiers and rows hang together, largest first.
        ties: Keys that one message names, with their cluster; only of messages that meet others.
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


def preview(slips: Slips, premise: Premise, *, calls: Sequence[str]) -> Preview:
    """Return what messages will have made of a workspace.

    Args:
        slips: The slips of all messages.
        premise: What is assumed.
        calls: The call of each plan.
    """
    rows = sum(frame.height for frame in slips.frames())
    slips, repeated = _deduplicated(slips, premise, calls=calls)
    read = ((slip["number"], content) for slip, content in messages(slips.odd, calls=calls))
    named = odd_keys(read, settings=premise.settings)
    tying = [place for place, call in enumerate(calls) if call in TYING]
    numbers = slips.odd.filter(pl.col("plan").is_in(tying))["number"]
    found = _sorted(slips, named, premise)
    del slips
    ledger = Ledger(settings=premise.settings, now=premise.now, known=found.loaded)
    ledger.apply(found.tangled, calls=calls)
    tied = ties(pl.concat([
        named.filter(pl.col("number").is_in(numbers.implode())),
        slip_keys(found.tangled.filter(pl.col("text").is_null() & pl.col("plan").is_in(tying))),
        *([] if found.loaded is None else [known_keys(found.loaded)]),
    ]))  # fmt: skip
    return _framed(found, ledger, premise, repeated=repeated, tied=tied, rows=rows)


def _framed(
    found: Sorted,
    ledger: Ledger,
    premise: Premise,
    *,
    repeated: pl.DataFrame,
    tied: pl.DataFrame,
    rows: int,
) -> Preview:
    applied = ledger.changes()
    changes = pl.concat([applied, columnar.changes(found, premise.known), repeated]).sort(
        "plan", "row", maintain_order=True
    )
    places = found.tangled.select("number", "plan", "row")
    measured = pl.concat([sizes(tied), columnar.clusters(found, premise.known)]).sort(
        "identifiers", "rows", "cluster", descending=[True, True, False]
    )
    lineage = results.lineage(ledger)
    names = results.names(ledger, changes)
    counted = pl.concat([results.counted(ledger), columnar.counted(found)])
    frames = {
        "people": results.people(ledger, found, premise.known, applied=applied, counted=counted),
        "merges": results.merges(ledger),
        "conflicts": pl.concat([
            conflicts.too_large(tied, measured, places=places, largest=premise.largest),
            conflicts.found(changes, names=names),
        ]),
        "groups": visits.groups(ledger, changes),
        "relationships": visits.relationships(ledger),
        "attribution": visits.attribution(ledger, found),
    }  # fmt: skip
    young = ledger.campaign_events() + columnar.campaign_events(found, now=premise.now)
    summary = _summary(frames, changes=changes, clusters=measured, rows=rows, young=young)
    summary["people"] = _population(found, ledger, premise, created=frames["people"])
    return Preview(
        **frames, summary=summary, changes=changes, clusters=measured, ties=tied,
        counted=counted, lineage=lineage, names=names,
    )  # fmt: skip


def _population(found: Sorted, ledger: Ledger, premise: Premise, *, created: pl.DataFrame) -> int:
    """Return how many people there are in the end, with those of the export no row is about."""
    model = len(ledger.model.store.people.by_cio)
    plain_ = created.filter(pl.col("person").str.contains("^[nk]"), pl.col("action") == "create")
    return model + plain_.height + profiles(premise.known) - profiles(found.loaded)


def profiles(known: pl.DataFrame | None) -> int:
    """Return how many profiles an export lists: lines with the same cio_id are one."""
    if known is None:
        return 0
    return known["cio_id"].null_count() + known["cio_id"].drop_nulls().n_unique()


def _sorted(slips: Slips, named: pl.DataFrame, premise: Premise) -> Sorted:
    if premise.whole or set(premise.settings.identifiers) != {"id", "email"}:
        return everything(slips, known=premise.known)
    return sort_out(
        slips,
        named,
        known=premise.known,
        settings=premise.settings,
        now=premise.now,
        crowd=conflicts.ROWS_PER_IDENTIFIER * premise.largest,
    )


def _deduplicated(
    slips: Slips, premise: Premise, *, calls: Sequence[str]
) -> tuple[Slips, pl.DataFrame]:
    """Return the slips whose message id is new, and what becomes of the others (3.7)."""
    dedupe = premise.settings.dedupe
    reach = [
        place
        for place, call in enumerate(calls)
        if dedupe == "calls" or (dedupe == "events" and call in _EVENTS)
    ]
    reached = pl.concat(
        frame.select("number", "plan", "row", "message_id").filter(
            pl.col("plan").is_in(reach), pl.col("message_id").is_not_null()
        )
        for frame in slips.frames()
    ).sort("number")
    again = reached.filter(~pl.col("message_id").is_first_distinct())
    numbers = again["number"].implode()
    fresh = slips.each(
        lambda frame: frame.filter(~pl.col("number").is_in(numbers)).drop("message_id")
    )
    subjects = dict(enumerate(calls))
    told = again.select(
        "number", "plan", "row",
        pl.lit(rules.DUPLICATE.name).alias("rule"), pl.lit(rules.DUPLICATE.kind).alias("kind"),
        *(pl.lit(None, pl.String).alias(name) for name in ("person", "key", "other")),
        pl.col("plan").replace_strict(subjects, return_dtype=pl.String).alias("subject"),
    )  # fmt: skip
    return fresh, told.cast(CHANGES)


def _summary(
    frames: Mapping[str, pl.DataFrame],
    *,
    changes: pl.DataFrame,
    clusters: pl.DataFrame,
    rows: int,
    young: int,
) -> dict[str, Any]:
    people, visitors = frames["people"], frames["attribution"]
    actions = dict(people["action"].value_counts().iter_rows())
    told = dict(changes["rule"].value_counts().iter_rows())
    fates = visitors.group_by("outcome").agg(pl.col("events").sum())
    return {
        "rows": rows,
        "creates": actions.get("create", 0),
        "updates": actions.get("update", 0),
        "merges": frames["merges"].height,
        "deletes": told.get("person.deleted", 0),
        "conflicts": frames["conflicts"].height,
        "visitors": actions.get("anonymous", 0),
        "events": int(people.filter("known")["events"].sum()),
        "created_by_events": told.get("person.created-by-event", 0),
        "anonymous_events": dict(sorted(fates.iter_rows())),
        "campaign_events": young,
        "objects": frames["groups"].height,
        "relationships": frames["relationships"].height,
        "repeated": told.get("message.duplicate", 0),
        "largest_cluster": max(clusters["identifiers"].to_list(), default=0),
    }
