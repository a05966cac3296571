"""The identifiers that messages name together, and the components they form."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cio_frames.identity.identifiers import (
    anonymous_key,
    cio_key,
    id_key,
    mail_key,
    person_key,
)
from cio_frames.identity.settings import Settings, links_by_alias

KEYS: Final = ("who", "id", "email", "anonymous", "previous")
EXPORTED: Final = -1
"""The message number of exported people, who come before all messages."""
Numbers = npt.NDArray[np.uint64]


def named_keys(
    messages: pl.DataFrame, *, identifies: Sequence[int], settings: Settings
) -> pl.DataFrame:
    """Return number and `KEYS` of messages: the keys of all identifiers they name."""
    by_email = pl.when(pl.col("plan").is_in(identifies)).then(person_key("email"))
    anonymous = [anonymous_key("anonymous")]
    if links_by_alias(settings):
        anonymous.append(anonymous_key("previous"))
    return messages.select(
        "number",
        pl.coalesce(person_key("user"), by_email).alias("who"),
        id_key("id"),
        mail_key("email"),
        pl.coalesce(anonymous).alias("anonymous"),
        person_key("previous"),
    )


def exported_keys(people: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of exported people, one row for each anonymous id."""
    keys = people.with_columns(id_key("id"), mail_key("email"))
    return keys.explode("anonymous_ids", empty_as_null=True).select(
        pl.lit(EXPORTED, pl.Int64).alias("number"),
        pl.coalesce("id", "email", cio_key("cio_id")).alias("who"),
        "id",
        "email",
        anonymous_key("anonymous_ids").alias("anonymous"),
        pl.lit(None, pl.String).alias("previous"),
    )


def edges(named: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of keys that one message names: number, key, other, how and cluster.

    `how` is the role of `other`; `other` is null for a message that names only one identifier.
    """
    keyed = named.with_columns(pl.coalesce(KEYS).alias("key")).drop_nulls("key")
    linked = pl.concat(
        keyed.select("number", "key", pl.col(how).alias("other"), pl.lit(how).alias("how"))
        for how in KEYS
    ).filter(pl.col("other") != pl.col("key"))
    single = keyed.join(linked, on="number", how="anti").select(
        "number", "key", pl.lit(None, pl.String).alias("other"), pl.lit("").alias("how")
    )
    pairs = pl.concat([linked, single])
    labels = components(pairs.select("key", pl.coalesce("other", "key").alias("other")))
    return pairs.join(labels, on="key", how="left", maintain_order="left").with_columns(
        pl.coalesce("component", "key").alias("cluster")
    ).drop("component")  # fmt: skip


def cluster_sizes(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the number of identifiers and of rows of each cluster that a row is about."""
    nodes = pl.concat(
        [
            pairs.select("cluster", pl.col(end).alias("node")).drop_nulls()
            for end in ("key", "other")
        ]
    )
    identifiers = nodes.group_by("cluster").agg(pl.col("node").n_unique().alias("identifiers"))
    rows = pairs.filter(pl.col("number") != EXPORTED).group_by("cluster")
    row_counts = rows.agg(pl.col("number").n_unique().alias("rows"))
    return row_counts.join(identifiers, on="cluster").select(
        "cluster", pl.col("identifiers").cast(pl.Int64), pl.col("rows").cast(pl.Int64)
    )


def components(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the component of each key that pairs connect with another key.

    Examples:
        >>> import polars as pl
        >>> pairs = pl.DataFrame({"key": ["a", "b", "c"], "other": ["x", "x", "y"]})
        >>> components(pairs).sort("key").rows()
        [('a', 'a'), ('b', 'a')]
    """
    keys = pairs["key"].unique()
    edges = pairs.drop_nulls().filter(pl.col("key") != pl.col("other")).unique()
    owners, others = (edges[name].hash().to_numpy() for name in ("key", "other"))
    connects = can_connect(owners, others, keys=np.sort(keys.hash().to_numpy()))
    shared = edges.filter(pl.Series(connects)).sort("key", "other")
    names = pl.concat([shared["key"], shared["other"].alias("key")]).unique().sort()
    numbers = pl.DataFrame({"key": names}).with_row_index("number")
    import rustworkx as rx  # imported here, because most tables name nobody twice

    graph = rx.PyGraph()
    graph.add_nodes_from(range(len(names)))
    graph.add_edges_from_no_data(_numbered(shared, numbers))
    groups = rx.connected_components(graph)
    members = pl.DataFrame(
        {"number": map(list, groups)}, schema={"number": pl.List(pl.UInt32)}, strict=False
    )
    numbered = members.with_columns(pl.col("number").list.min().alias("component")).explode(
        "number", empty_as_null=True
    )
    labels = numbers.rename({"number": "component", "key": "label"})
    return (
        numbers.join(numbered, on="number")
        .join(labels, on="component")
        .filter(pl.col("key").is_in(keys.implode()))
        .select("key", pl.col("label").alias("component"))
    )


def repeated_numbers(numbers: pl.Series) -> pl.Series:
    """Return the numbers that occur more than once, each once: by sorting, which takes least memory.

    Examples:
        >>> import polars as pl
        >>> repeated_numbers(pl.Series([3, 1, None, 3, 3, None])).to_list()
        [3]
    """
    sorted_ = np.sort(numbers.drop_nulls().to_numpy())
    repeated = sorted_[1:][sorted_[1:] == sorted_[:-1]]
    return pl.Series(numbers.name, np.unique(repeated), dtype=numbers.dtype)


def can_connect(owners: Numbers, others: Numbers, *, keys: Numbers) -> npt.NDArray[np.bool_]:
    """Return whether each pair can connect two keys: `other` has several owners, or is a key.

    Identifiers are 64-bit hashes, so that millions take little memory. If two share a hash, a pair
    may be kept that connects nothing, which does no harm.

    Examples:
        >>> named = (np.array(ids, np.uint64) for ids in ([1, 2, 3, 4], [9, 9, 8, 1], [1, 2, 3, 4]))
        >>> owners, others, keys = named
        >>> can_connect(owners, others, keys=keys).tolist()
        [True, True, False, True]
    """
    order = np.argsort(others)
    owners, others = owners[order], others[order]
    is_shared = (others[1:] == others[:-1]) & (owners[1:] != owners[:-1])
    connects = np.empty(len(others), bool)
    connects[order] = is_in_sorted(others, keys) | is_in_sorted(others, others[1:][is_shared])
    return connects


def is_in_sorted(numbers: Numbers, sorted_: Numbers) -> npt.NDArray[np.bool_]:
    """Return which numbers occur in sorted ones, without the copy that `numpy.isin` would sort.

    Examples:
        >>> is_in_sorted(np.array([3, 9, 4], np.uint64), np.array([3, 4, 4], np.uint64)).tolist()
        [True, False, True]
    """
    if not len(sorted_):
        return np.zeros(len(numbers), bool)
    nearest = np.take(sorted_, np.searchsorted(sorted_, numbers), mode="clip")
    return np.equal(nearest, numbers)


def _numbered(edges: pl.DataFrame, numbers: pl.DataFrame) -> Sequence[tuple[int, int]]:
    return (
        edges.join(numbers, on="key")
        .join(numbers.rename({"key": "other", "number": "to"}), on="other")
        .select("number", "to")
        .rows()
    )
