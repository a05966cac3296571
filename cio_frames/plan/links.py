"""Who is connected with whom by the rows of all plans: whose order must be kept together.

Identifiers stand here as the numbers that `encode` gives them, so that millions of people take
little memory.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from cio_frames.checks import Scope
from cio_frames.frames import Table
from cio_frames.identity.components import Numbers, components, joining
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
    if not any(linked_keys(scope.mapping) for _, scope in plans):
        return None
    named = [part for table, scope in plans for part in _named(table, scope=scope)]
    keys = np.sort(np.concatenate([keys for keys, _, _ in named] or [_NOBODY]))
    owners = np.concatenate([owners for _, owners, _ in named] or [_NOBODY])
    others = np.concatenate([others for _, _, others in named] or [_NOBODY])
    del named
    joins = joining(owners, others, keys=keys)
    owners, others = owners[joins], others[joins]
    if not len(owners):
        return None
    addressed = keys[np.isin(keys, others)]  # also those that no other pair is of
    pairs = {
        "key": np.concatenate([owners, addressed]),
        "other": np.concatenate([others, addressed]),
    }
    connected = components(pl.DataFrame(pairs))
    return connected if connected.height else None


_NOBODY: Numbers = np.empty(0, np.uint64)


def _named(table: Table, *, scope: Scope) -> Iterator[tuple[Numbers, Numbers, Numbers]]:
    """Yield, chunk by chunk, whom rows address, and who is named together with whom.

    A group's rows address the group, and the person as well.
    """
    mapping = scope.mapping
    addressed = [lane_key(mapping)]
    if mapping.call.name == "group":
        addressed.append(person_key(mapping))
    others = linked_keys(mapping)
    for chunk in table.chunks():
        with computing(mapping):
            prepared = mapping.prepare(chunk.lazy())
            asked = [prepared.select(numbered(key).alias("key")) for key in addressed]
            asked += [
                prepared.select(key=numbered(addressed[0]), other=numbered(other))
                for other in others
            ]
            found = pl.collect_all(asked)
        keys, pairs = found[: len(addressed)], found[len(addressed) :]
        told = pl.concat([pl.DataFrame(schema=_PAIRS), *pairs]).drop_nulls().unique()
        told = told.filter(pl.col("key") != pl.col("other"))
        yield (
            pl.concat(keys).to_series().drop_nulls().unique().to_numpy(),
            told["key"].to_numpy(),
            told["other"].to_numpy(),
        )


_PAIRS = pl.Schema({"key": pl.UInt64, "other": pl.UInt64})
