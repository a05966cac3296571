"""Who belongs together: rows about people who are, or become, one must keep their order."""

from collections.abc import Sequence

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
    shared = _joining(pairs.drop_nulls(), keys=keys)
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


def _joining(pairs: pl.DataFrame, *, keys: pl.Series) -> pl.DataFrame:
    """Return the pairs that can connect two keys: all others are left out of the graph."""
    edges = pairs.filter(pl.col("key") != pl.col("other")).unique()
    several = edges.group_by("other").len().filter(pl.col("len") > 1)["other"]
    meets = pl.col("other").is_in(several.implode()) | pl.col("other").is_in(keys.implode())
    return edges.filter(meets).sort("key", "other")


def _numbered(edges: pl.DataFrame, numbers: pl.DataFrame) -> Sequence[tuple[int, int]]:
    return (
        edges.join(numbers, on="key")
        .join(numbers.rename({"key": "other", "number": "to"}), on="other")
        .select("number", "to")
        .rows()
    )
