"""The clusters that are worth a picture: the largest, and those with most conflicts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from cio_frames.identity.preview import Preview
from cio_frames.identity.ties import VISITOR

Kind = Literal["anonymous", "id", "email"]
Outcome = Literal["one", "merged", "apart"]

DRAWN: Final = 24
"""More identifiers than this are no picture any more."""


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
    """One cluster as far as it is drawn."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    left: int


def drawn(found: Preview, *, most: int) -> list[Cluster]:
    """Return the clusters to draw: the most conflicted first, then the largest.

    Args:
        found: The preview.
        most: How many at most.
    """
    worth = found.clusters.filter(pl.col("identifiers") > 1)
    troubled = _troubled(found)
    named = [*troubled[: most - 1], *worth["cluster"].head(most)] if most > 1 else troubled[:1]
    return [_cluster(found, name) for name in list(dict.fromkeys(named))[:most]]


def _troubled(found: Preview) -> list[str]:
    """Return clusters with conflicts or merges, those with most of them first."""
    numbers = found.changes.filter(
        pl.col("kind").is_in(["attribute-failure", "merged", "auto-merged"])
    ).select("number")
    hit = found.ties.join(numbers, on="number", how="semi").unique(["number", "cluster"])
    counted = hit.group_by("cluster").len().sort("len", "cluster", descending=[True, False])
    return counted["cluster"].to_list()


def _cluster(found: Preview, name: str) -> Cluster:
    ties = found.ties.filter(pl.col("cluster") == name)
    names = pl.concat([ties["key"], ties["other"].alias("key")]).drop_nulls()
    ranked = names.value_counts(sort=True).sort("count", "key", descending=[True, False])["key"]
    shown = ranked.head(DRAWN).to_list()
    owners = _owners(found, shown)
    numbers = {person: place for place, person in enumerate(dict.fromkeys(owners.values()), 1)}
    emails = set(ties.filter(pl.col("how") == "email")["other"])
    nodes = tuple(
        Node(
            name=text.removeprefix(VISITOR),
            kind=_kind(text, emails),
            person=numbers.get(owners.get(text, ""), 0),
        )
        for text in shown
    )
    size = found.clusters.filter(pl.col("cluster") == name).row(0, named=True)
    people = len(numbers)
    return Cluster(
        title=f"{size['identifiers']:,} identifiers in {size['rows']:,} rows: "
        f"{people:,} {'person' if people == 1 else 'people'} in the end",
        nodes=nodes,
        edges=tuple(_edges(ties, shown, owners)),
        left=len(ranked) - len(shown),
    )


def _kind(text: str, emails: set[str]) -> Kind:
    if text.startswith(VISITOR):
        return "anonymous"
    return "email" if text in emails or "@" in text else "id"


def _owners(found: Preview, names: Sequence[str]) -> dict[str, str]:
    """Return the person who has each identifier in the end."""
    visitors = [name.removeprefix(VISITOR) for name in names if name.startswith(VISITOR)]
    columns = found.people.select("person", "id", pl.col("email").str.to_lowercase(), "anonymous_ids")
    people = columns.filter(
        pl.col("id").is_in(names)
        | pl.col("email").is_in(names)
        | (pl.col("anonymous_ids").list.set_intersection(pl.lit(visitors, pl.List(pl.String))).list.len() > 0)
    ).drop_nulls("person")
    owners: dict[str, str] = {}
    for row in people.iter_rows(named=True):
        for name in (row["email"], row["id"], *(VISITOR + value for value in row["anonymous_ids"])):
            if name in names:
                owners[name] = row["person"]
    return owners


def _edges(ties: pl.DataFrame, shown: Sequence[str], owners: dict[str, str]) -> Iterator[Edge]:
    places = {name: place for place, name in enumerate(shown)}
    pairs = ties.drop_nulls("other").unique(["key", "other"], maintain_order=True)
    for row in pairs.iter_rows(named=True):
        key, other = row["key"], row["other"]
        if key not in places or other not in places:
            continue
        one = key in owners and owners[key] == owners.get(other)
        merged = row["how"] == "previous" and other not in owners
        outcome: Outcome = "merged" if merged else "one" if one else "apart"
        yield Edge(start=places[key], end=places[other], outcome=outcome)
