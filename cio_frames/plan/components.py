"""Who is connected with whom by the rows of all plans: whose order must be kept together.

Identifiers stand here as the numbers that `encode` gives them, so that millions of people take
little memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cio_frames.mapping import MessageMapping, lane_key, linked_keys, numbered, person_key

_PAIRS = pl.Schema({"key": pl.UInt64, "other": pl.UInt64})


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKeys:
    """Whom rows address, and who is named together with whom; each once."""

    keys: pl.Series
    pairs: pl.DataFrame

    @classmethod
    def joined(cls, parts: Sequence["LinkKeys"]) -> "LinkKeys":
        """Return the link keys of several parts as one; what stands in two of them stands twice."""
        keys = [pl.Series("key", dtype=pl.UInt64), *(part.keys for part in parts)]
        pairs = [_PAIRS.to_frame(), *(part.pairs for part in parts)]
        return cls(keys=pl.concat(keys), pairs=pl.concat(pairs))


def link_keys(prepared: pl.DataFrame, mapping: MessageMapping) -> LinkKeys:
    """Return the link keys of rows. A group's rows address the group, and the person as well."""
    addressed = [lane_key(mapping)]
    if mapping.call.name == "group":
        addressed.append(person_key(mapping))
    keys = [prepared.select(numbered(key).alias("key")) for key in addressed]
    pairs = [
        prepared.select(key=numbered(addressed[0]), other=numbered(other))
        for other in linked_keys(mapping)
    ]
    named = pl.concat([_PAIRS.to_frame(), *pairs]).drop_nulls().unique()
    return LinkKeys(
        keys=pl.concat(keys).to_series().drop_nulls().unique(),
        pairs=named.filter(pl.col("key") != pl.col("other")),
    )


def components_of(links: LinkKeys) -> pl.DataFrame | None:
    """Return who is connected with whom; None if nobody is."""
    import numpy as np

    from cio_frames.identity.components import components, joining

    keys = np.sort(links.keys.to_numpy())
    owners, others = (links.pairs[name].to_numpy() for name in _PAIRS)
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
