"""Other libraries doing the same work, in an environment of their own without this package.

`benchmarks.aims` runs it as a script with the interpreter of that environment. Each peer loads its
libraries and its table first, then prints the time of the work itself and the peak memory of the process.
"""

import json
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl

CURRENCIES = ["EUR", "USD", "GBP"]
FILLED = ["event", "user_id", "occurred_at"]
USER = r"^user-\d+$"
Action = Callable[[], object]


def pandera(path: str) -> Action:
    """Validate events with pandera."""
    import pandera.polars as pa

    schema = pa.DataFrameSchema(
        {
            "event": pa.Column(str, pa.Check.str_length(min_value=1)),
            "user_id": pa.Column(str, pa.Check.str_matches(USER)),
            "order_id": pa.Column(str, unique=True),
            "amount": pa.Column(float, pa.Check.ge(0)),
            "currency": pa.Column(str, pa.Check.isin(CURRENCIES)),
            "occurred_at": pa.Column(nullable=False),
        }
    )
    return lambda: schema.validate(pl.read_parquet(path), lazy=True)


def pointblank(path: str) -> Action:
    """Validate events with pointblank and make its report."""
    import pointblank as pb

    def act() -> None:
        rules = pb.Validate(pl.read_parquet(path)).col_vals_not_null(FILLED)
        rules = rules.col_vals_regex("user_id", USER).rows_distinct(["order_id"])
        rules = rules.col_vals_ge("amount", 0).col_vals_in_set("currency", CURRENCIES)
        result = rules.interrogate()
        assert result.all_passed()
        result.get_tabular_report()

    return act


def great_expectations(path: str) -> Action:
    """Validate events with great_expectations."""
    import great_expectations as gx

    expectations = gx.expectations
    rules = [
        *(expectations.ExpectColumnValuesToNotBeNull(column=name) for name in FILLED),
        expectations.ExpectColumnValuesToMatchRegex(column="user_id", regex=USER),
        expectations.ExpectColumnValuesToBeUnique(column="order_id"),
        expectations.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
        expectations.ExpectColumnValuesToBeInSet(column="currency", value_set=CURRENCIES),
    ]
    suite = gx.ExpectationSuite(name="rules", expectations=rules)
    source = gx.get_context(mode="ephemeral").data_sources.pandas_default

    def act() -> None:
        assert source.read_dataframe(pd.read_parquet(path)).validate(suite).success

    return act


def splink(path: str) -> Action:
    """Find components with splink and DuckDB."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    pairs = pd.read_parquet(path)
    names = pd.DataFrame({"unique_id": pd.unique(pd.concat([pairs["key"], pairs["other"]]))})
    edges = pairs.rename(columns={"key": "unique_id_l", "other": "unique_id_r"})
    return lambda: cluster_pairwise_predictions_at_threshold(
        names, edges, DuckDBAPI(), "unique_id"
    ).as_pandas_dataframe()


def recordlinkage(path: str) -> Action:
    """Find components with recordlinkage and networkx."""
    from recordlinkage import ConnectedComponents

    pairs = pd.read_parquet(path)
    return lambda: ConnectedComponents().compute(pd.MultiIndex.from_frame(pairs))


def json_dumps(path: str) -> Action:
    """Write each object with the standard library."""
    values = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return lambda: deque(map(json.dumps, values), maxlen=0)


def orjson(path: str) -> Action:
    """Write each object with orjson."""
    from orjson import dumps

    values = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return lambda: deque(map(dumps, values), maxlen=0)


PEERS = {
    "pandera": pandera,
    "pointblank": pointblank,
    "great_expectations": great_expectations,
    "splink": splink,
    "recordlinkage": recordlinkage,
    "json.dumps": json_dumps,
    "orjson": orjson,
}


def main(name: str, path: str) -> None:
    """Do the work of one peer and print its figures."""
    action = PEERS[name](path)
    start, cpu_start = time.perf_counter(), time.process_time()
    action()
    figures = {
        "s": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu_start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
