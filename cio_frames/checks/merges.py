"""Merges across rows: circles, chains, and people who would go to two others."""

from functools import partial

import polars as pl

from cio_frames.checks.check import ByTable, Check, Scope
from cio_frames.checks.identifiers import text
from cio_frames.checks.people import UNCERTAIN
from cio_frames.frames import ROW
from cio_frames.mapping import Slot
from cio_frames.values import has_text


def _alias_slots(scope: Scope) -> tuple[Slot, Slot] | None:
    previous, kept = scope.mapping.find("previous_id"), scope.mapping.find("user_id")
    if previous is None or kept is None or not (has_text(previous.dtype) and has_text(kept.dtype)):
        return None
    return previous, kept


def _pairs(rows: pl.LazyFrame, scope: Scope) -> pl.LazyFrame | None:
    """Gather who is merged into whom."""
    slots = _alias_slots(scope)
    if slots is None:
        return None
    previous, kept = (text(slot, scope) for slot in slots)
    pairs = rows.select(pl.col(ROW).alias("row"), previous.alias("from"), kept.alias("into"))
    return pairs.drop_nulls().filter(pl.col("from") != pl.col("into"))


def _in_cycles(gathered: pl.DataFrame) -> pl.Series:
    """Tell of each link whether it is part of a circle."""
    import rustworkx as rx

    graph: rx.PyDiGraph[str, int] = rx.PyDiGraph()
    names = pl.concat([gathered["from"], gathered["into"]]).unique()
    nodes = dict(zip(names, graph.add_nodes_from(names.to_list()), strict=True))
    edges = [(nodes[one], nodes[other], 0) for one, other in gathered.select("from", "into").rows()]
    graph.add_edges_from(edges)
    circles = {
        node: place
        for place, circle in enumerate(rx.strongly_connected_components(graph))
        for node in circle
    }
    return pl.Series([circles[one] == circles[other] for one, other, _ in edges], dtype=pl.Boolean)


def _linked(
    gathered: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope, *, circular: bool
) -> pl.DataFrame:
    """Return the merges into somebody who is merged away as well."""
    links = gathered.join(gathered, left_on="into", right_on="from", how="semi")
    inside = _in_cycles(links)
    return _shown(links.filter(inside if circular else ~inside), scope)


def _split(gathered: pl.DataFrame, _rows: pl.LazyFrame, scope: Scope) -> pl.DataFrame:
    """Return the merges of somebody who is merged into others as well."""
    several = gathered.select("from", "into").unique().filter(pl.col("from").is_duplicated())
    return _shown(gathered.join(several, on="from", how="semi"), scope)


def _shown(merges: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    slots = _alias_slots(scope)
    return merges.select(
        "row",
        pl.lit(slots[0].label if slots else None, pl.String).alias("column"),
        pl.format("{} → {}", "from", "into").alias("value"),
    )


MERGE_CHECKS = (
    Check(
        code="alias.cycle", severity="reject",
        test=ByTable(gather=_pairs, conclude=partial(_linked, circular=True)),
        sentence="{column} is part of a circle: people would be merged into each other.",
        hint="Decide who is kept, and leave the other rows out.",
        consequence="Who remains depends on which merge comes first, and it is for good.",
        source="reference 3.4; reliability 3.3 (56)",
        unrepaired=UNCERTAIN,
    ),
    Check(
        code="alias.chain", severity="warn",
        test=ByTable(gather=_pairs, conclude=partial(_linked, circular=False)),
        sentence="{column} is merged into somebody who is merged away as well.",
        hint="Name the last person of the chain in every row.",
        consequence="Calls may not be processed in order: a merge into a deleted person does nothing.",
        source="reference 3.4, 3.7; reliability 3.3 (57)",
        unrepaired="rewriting who is merged into whom is for you to decide",
    ),
    Check(
        code="alias.split", severity="warn", test=ByTable(gather=_pairs, conclude=_split),
        sentence="{column} is merged into several people.",
        hint="Keep one row for each person that goes.",
        consequence="The first merge wins; the others find nobody.",
        source="reference 3.4",
        unrepaired=UNCERTAIN,
    ),
)  # fmt: skip
