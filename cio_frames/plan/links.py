"""Who is connected with whom by the rows of all plans: whose order must be kept together.

Identifiers stand here as the numbers that `encode` gives them, so that millions of people take
little memory.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.checks import Scope
from cio_frames.frames import ROW, Table
from cio_frames.identity.links import components
from cio_frames.mapping import computing
from cio_frames.payloads import lane_key, linked_keys, numbered, person_key

if TYPE_CHECKING:
    from cio_frames.plan.plan import Plan


def linked(plans: Sequence["Plan"]) -> pl.DataFrame | None:
    """Return who is connected with whom by the rows of a back-fill; None for a single plan."""
    if len(plans) == 1:
        return None
    return links_of([(plan.table, plan.scope()) for plan in plans])


def links_of(plans: Sequence[tuple[Table, Scope]]) -> pl.DataFrame | None:
    """Return who is connected with whom by the rows of all plans; None if nobody is.

    Args:
        plans: Table and scope of each plan of a back-fill.
    """
    found = [_pairs(table, scope=scope) for table, scope in plans if linked_keys(scope.mapping)]
    if not found:
        return None
    pairs = pl.concat(found)
    if len(plans) > 1:  # somebody known by a device in one plan may be addressed by it in another
        addressed = pl.concat([_keys(table, scope=scope) for table, scope in plans])
        again = addressed.filter(addressed.is_in(pairs["other"].unique().implode())).unique()
        pairs = pl.concat([pairs, pl.DataFrame({"key": again, "other": again})])
    connected = components(pairs)
    return connected if connected.height else None


def _pairs(table: Table, *, scope: Scope) -> pl.DataFrame:
    """Return the identifiers that rows name together."""
    key, others = numbered(lane_key(scope.mapping)), linked_keys(scope.mapping)
    prepared = scope.mapping.prepare(table.lazy.with_row_index(ROW))
    pairs = pl.concat(
        [prepared.select(key.alias("key"), numbered(other).alias("other")) for other in others]
    )
    with computing(scope.mapping):
        return pairs.unique().collect(engine="streaming")


def _keys(table: Table, *, scope: Scope) -> pl.Series:
    """Return whom the rows address: a group's rows the group, and the person as well."""
    prepared = scope.mapping.prepare(table.lazy.with_row_index(ROW))
    found = [lane_key(scope.mapping)]
    if scope.mapping.call.name == "group":
        found.append(person_key(scope.mapping))
    keys = pl.concat([prepared.select(numbered(key).alias("key")) for key in found]).unique()
    with computing(scope.mapping):
        return keys.collect(engine="streaming")["key"]
