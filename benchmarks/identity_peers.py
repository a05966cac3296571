"""Connected components as libraries that link records find them, in an environment of their own.

`benchmarks.identity --peers PYTHON` runs it; nothing of this package is imported.
"""

import resource
import sys
import time

import pandas as pd


def splink(pairs: pd.DataFrame) -> int:
    """Return how many components splink finds with DuckDB."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    names = pd.unique(pd.concat([pairs["key"], pairs["other"]]))
    found = cluster_pairwise_predictions_at_threshold(
        pd.DataFrame({"unique_id": names}),
        pairs.rename(columns={"key": "unique_id_l", "other": "unique_id_r"}),
        DuckDBAPI(),
        "unique_id",
    )
    return int(found.as_pandas_dataframe()["cluster_id"].nunique())


def recordlinkage(pairs: pd.DataFrame) -> int:
    """Return how many components recordlinkage finds with networkx."""
    from recordlinkage import ConnectedComponents

    return len(ConnectedComponents().compute(pd.MultiIndex.from_frame(pairs)))


if __name__ == "__main__":
    name, path = sys.argv[1:]
    table = pd.read_parquet(path)
    began = time.process_time()
    count = {"splink": splink, "recordlinkage": recordlinkage}[name](table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"components alone, {name}: {time.process_time() - began:.1f} s of CPU, {count:,} in all, "
        f"peak {peak:,.0f} MB"
    )
