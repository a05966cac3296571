"""Count the distinct rows of several runs, even if they were sent again or skipped as done."""

from collections import Counter
from collections.abc import Hashable, Iterable

import polars as pl

from cio_frames.audit.run_file import RunFile
from cio_frames.audit.schema import STATES

_RUNS = pl.Schema({"run_id": pl.String, "order": pl.UInt32, "workspace": pl.UInt32})
_SOURCES = pl.Schema({"run_id": pl.String, "plan": pl.Int32, "source": pl.UInt32})
COLUMNS = ("run_id", "plan", "row", "message_id", "state")
"""The columns of the record that are read."""


def distinct_rows(rows: pl.LazyFrame, runs: Iterable[RunFile]) -> pl.LazyFrame:
    """Return how many rows are in each state; rows of the same table or message count once.

    The state is that of the latest run, or delivered if that run skipped the row because an earlier
    one had delivered it. Rows that were sent to two workspaces count in both.
    """
    run_columns, source_columns = _sources(runs)
    message = pl.when(pl.col("message_id").is_not_null()).then(pl.col("message_id").hash())
    compact = message.alias("message_id"), pl.col("state").cast(pl.Enum(STATES))
    recorded = rows.select(COLUMNS).with_columns(compact).join(run_columns.lazy(), on="run_id")
    recorded = recorded.join(source_columns.lazy(), on=["run_id", "plan"], how="left")
    unknown_source = pl.when(pl.col("source").is_null()).then(pl.struct("run_id", "plan"))
    row_key = ("source", unknown_source.alias("unknown"), "row")
    by_table = (
        recorded.sort("order").group_by(row_key).agg(*_latest("order", "workspace", "message_id"))
    )
    occurrence = pl.int_range(pl.len()).over("order", "message_id")  # rows of one run are distinct
    has_id = pl.col("message_id").is_not_null()
    with_id = by_table.filter(has_id).with_columns(occurrence=occurrence)
    by_message = (
        with_id.sort("order").group_by("workspace", "message_id", "occurrence").agg(*_latest())
    )
    without_id = by_table.filter(~has_id)
    states = pl.concat([by_message.select("state"), without_id.select("state")])
    return states.group_by(pl.col("state").cast(pl.String)).agg(rows=pl.len())


def _sources(runs: Iterable[RunFile]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return order and workspace of each run, and a number for the source of each of its plans.

    The source is table, call and mapping; plans without a fingerprint in the record are left out.
    """
    numbers: dict[Hashable, int] = {}
    run_columns, plans = [], []
    for order, run in enumerate(sorted(runs, key=lambda run: run.info.run_id)):
        info = run.info
        workspace = numbers.setdefault(tuple(sorted(info.workspaces.items())), len(numbers))
        run_columns.append((info.run_id, order, workspace))
        tables, occurrences = (info.fingerprint or "").split(), Counter[Hashable]()
        for (plan, (call, _)), table in zip(enumerate(info.plans), tables, strict=False):
            content = (workspace, table, call, repr(info.mapping.get(f"{plan} {call}")))
            plans.append(
                (
                    info.run_id,
                    plan,
                    numbers.setdefault((*content, occurrences[content]), len(numbers)),
                )
            )
            occurrences[content] += 1
    return (
        pl.DataFrame(run_columns, schema=_RUNS, orient="row"),
        pl.DataFrame(plans, schema=_SOURCES, orient="row"),
    )


def _latest(*other_columns: str) -> list[pl.Expr]:
    """Return the state of the last of several records of a row, and its other columns."""
    state = pl.col("state").last()
    was_delivered = (state == "skipped_done") & (pl.col("state") == "delivered").any()
    state_shown = pl.when(was_delivered).then(pl.lit("delivered", pl.Enum(STATES))).otherwise(state)
    return [*(pl.col(name).last() for name in other_columns), state_shown.alias("state")]
