"""The clusters to draw: the largest, and those with most conflicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from cio_frames.identity import rules
from cio_frames.identity.conflicts import largest_first
from cio_frames.identity.identifiers import (
    ANONYMOUS,
    MAIL,
    anonymous_key,
    cio_key,
    id_key,
    identifier_of,
    mail_key,
)
from cio_frames.identity.preview import Preview
from cio_frames.identity.results import REMOVALS
from cio_frames.identity.rules import join_settings
from cio_frames.values import many

Kind = Literal["anonymous", "id", "email"]
Outcome = Literal["one", "merged", "apart"]

DRAWN: Final = 24
"""The most identifiers in a picture; more cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One identifier, with the number of the person who has it in the end (0 for nobody)."""

    name: str
    kind: Kind
    person: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Two identifiers that rows name together, by position."""

    start: int
    end: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The part of a cluster that is drawn."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    hidden: int  # how many identifiers are not drawn


def clusters_to_draw(preview: Preview, *, most: int) -> list[Cluster]:
    """Return the clusters to draw: the most conflicted first, then the largest."""
    is_linked = pl.col("cluster").is_in(preview.edges["cluster"].unique().implode())
    largest = largest_first(preview.cluster_sizes.filter(is_linked).collect())
    conflicted = _conflicted(preview)
    named = (
        [*conflicted[: most - 1], *largest["cluster"].head(most)] if most > 1 else conflicted[:1]
    )
    sizes = dict(zip(largest["cluster"], largest.iter_rows(named=True), strict=True))
    return [_cluster(preview, sizes[name]) for name in list(dict.fromkeys(named))[:most]]


def _conflicted(preview: Preview) -> list[str]:
    """Return clusters with conflicts or merges, those with most of them first."""
    numbers = preview.notable_changes.filter(
        pl.col("kind").is_in(["attribute-failure", "merged", "auto-merged"]),
        pl.col("rule") != rules.STALE.name,
    ).select("number")
    affected = preview.edges.join(numbers, on="number", how="semi").unique(["number", "cluster"])
    counts = affected.group_by("cluster").len().sort("len", "cluster", descending=[True, False])
    return counts["cluster"].to_list()


def _cluster(preview: Preview, size: Mapping[str, Any]) -> Cluster:
    pairs = preview.edges.filter(pl.col("cluster") == size["cluster"])
    names = pl.concat([pairs["key"], pairs["other"].alias("key")]).drop_nulls()
    ranked = names.value_counts(sort=True).sort("count", "key", descending=[True, False])["key"]
    shown = ranked.head(DRAWN).to_list()
    owners = _owners(preview, shown)
    numbers = {person: place for place, person in enumerate(dict.fromkeys(owners.values()), 1)}
    nodes = tuple(
        Node(name=identifier_of(key), kind=_kind(key), person=numbers.get(owners.get(key, ""), 0))
        for key in shown
    )
    is_member = pl.col("person").is_in(list(numbers))
    rests_on = join_settings(preview.connected_people.filter(is_member)["open"])
    suffix = f" (open: {rests_on})" if rests_on else ""
    return Cluster(
        title=f"{many(size['identifiers'], 'identifier')} in {many(size['rows'], 'row')}: "
        f"{many(len(numbers), 'profile')}{suffix}",
        nodes=nodes,
        edges=tuple(_edges(pairs, shown, owners)),
        hidden=len(ranked) - len(shown),
    )


def _kind(key: str) -> Kind:
    if key.startswith(ANONYMOUS):
        return "anonymous"
    return "email" if key.startswith(MAIL) else "id"


def _owners(preview: Preview, keys: Sequence[str]) -> dict[str, str]:
    """Return the person who has each identifier in the end."""
    people = preview.connected_people.filter(~pl.col("action").is_in(REMOVALS))
    owners = pl.concat([
        people.select("person", id_key("id").alias("key")),
        people.select("person", mail_key("email").alias("key")),
        people.select("person", cio_key("cio_id").alias("key")),
        people.select("person", pl.col("anonymous_ids").alias("key"))
        .explode("key", empty_as_null=True).with_columns(anonymous_key("key")),
    ]).drop_nulls()  # fmt: skip
    return dict(owners.filter(pl.col("key").is_in(keys)).select("key", "person").iter_rows())


def _edges(pairs: pl.DataFrame, shown: Sequence[str], owners: dict[str, str]) -> Iterator[Edge]:
    places = {name: place for place, name in enumerate(shown)}
    pairs = pairs.drop_nulls("other").unique(["key", "other"], maintain_order=True)
    for row in pairs.iter_rows(named=True):
        key, other = row["key"], row["other"]
        if key not in places or other not in places:
            continue
        is_one = key in owners and owners[key] == owners.get(other)
        is_merged = row["how"] == "previous" and other not in owners
        outcome: Outcome = "merged" if is_merged else "one" if is_one else "apart"
        yield Edge(start=places[key], end=places[other], outcome=outcome)
