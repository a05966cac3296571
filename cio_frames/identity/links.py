"""Who belongs together: rows about people who are, or become, one must keep their order."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import rustworkx as rx


def components(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return who is connected with whom through pairs of identifiers.

    Args:
        pairs: Columns `key` and `other`: two identifiers that one row names, texts or numbers.

    Returns:
        Columns `key` and `component`, for identifiers whose component holds another identifier
        that also stands in column `key`; all others stand for themselves.

    Examples:
        >>> import polars as pl
        >>> pairs = pl.DataFrame({"key": ["a", "b", "c"], "other": ["x", "x", "y"]})
        >>> components(pairs).sort("key").rows()
        [('a', 'a'), ('b', 'a')]
    """
    keys = pairs["key"].unique()
    edges = pairs.drop_nulls().filter(pl.col("key") != pl.col("other")).unique()
    owners, others = (edges[name].hash().to_numpy() for name in ("key", "other"))
    joins = joining(owners, others, keys=np.sort(keys.hash().to_numpy()))
    shared = edges.filter(pl.Series(joins)).sort("key", "other")
    names = pl.concat([shared["key"], shared["other"].alias("key")]).unique().sort()
    numbers = pl.DataFrame({"key": names}).with_row_index("number")
    graph = rx.PyGraph()
    graph.add_nodes_from(range(len(names)))
    graph.add_edges_from_no_data(_numbered(shared, numbers))
    groups = rx.connected_components(graph)
    found = pl.DataFrame(
        {
            "number": [node for group in groups for node in group],
            "component": [min(group) for group in groups for _ in group],
        },
        schema={"number": pl.UInt32, "component": pl.UInt32},
    )
    labels = numbers.rename({"number": "component", "key": "label"})
    return (
        numbers.join(found, on="number")
        .join(labels, on="component")
        .filter(pl.col("key").is_in(keys.implode()))
        .select("key", pl.col("label").alias("component"))
    )


Numbers = npt.NDArray[np.uint64]


def joining(owners: Numbers, others: Numbers, *, keys: Numbers) -> npt.NDArray[np.bool_]:
    """Tell of each pair whether it can connect two keys: `other` has several owners, or is a key.

    Identifiers stand as hashes of 64 bits, so that millions take little memory. Two that share one
    would make a pair count that need not.

    Args:
        owners: Who a row addresses.
        others: Whom it names as well, another identifier.
        keys: Everybody who is addressed, ascending.

    Examples:
        >>> named = (np.array(ids, np.uint64) for ids in ([1, 2, 3, 4], [9, 9, 8, 1], [1, 2, 3, 4]))
        >>> owners, others, keys = named
        >>> joining(owners, others, keys=keys).tolist()
        [True, True, False, True]
    """
    order = np.argsort(others)
    owners, others = owners[order], others[order]
    again = (others[1:] == others[:-1]) & (owners[1:] != owners[:-1])
    is_key = np.take(keys, np.searchsorted(keys, others), mode="clip") == others
    found = np.empty(len(others), bool)
    found[order] = is_key | np.isin(others, others[1:][again])
    return found


def _numbered(edges: pl.DataFrame, numbers: pl.DataFrame) -> Sequence[tuple[int, int]]:
    return (
        edges.join(numbers, on="key")
        .join(numbers.rename({"key": "other", "number": "to"}), on="other")
        .select("number", "to")
        .rows()
    )
