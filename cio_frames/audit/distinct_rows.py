"""Counting the rows of several runs, each once although it was sent again, or skipped as done."""

from collections import Counter
from collections.abc import Hashable, Iterable

import polars as pl

from cio_frames.audit.run_file import RunFile
from cio_frames.audit.schema import STATES

_RUNS = pl.Schema({"run_id": pl.String, "order": pl.UInt32, "workspace": pl.UInt32})
_SOURCES = pl.Schema({"run_id": pl.String, "plan": pl.Int32, "source": pl.UInt32})
COLUMNS = ("run_id", "plan", "row", "message_id", "state")
"""What is read of the record."""


def distinct_rows(rows: pl.LazyFrame, runs: Iterable[RunFile]) -> pl.LazyFrame:
    """Return how many rows are in each state: those of the same table, or with the same message, once.

    The state is that of the latest run, or delivered where that run skipped the row because an
    earlier one had delivered it. What was sent to two workspaces counts in both.
    """
    about, known = _sources(runs)
    message = pl.when(pl.col("message_id").is_not_null()).then(pl.col("message_id").hash())
    small = message.alias("message_id"), pl.col("state").cast(pl.Enum(STATES))
    placed = rows.select(COLUMNS).with_columns(small).join(about.lazy(), on="run_id")
    placed = placed.join(known.lazy(), on=["run_id", "plan"], how="left")
    unknown = pl.when(pl.col("source").is_null()).then(pl.struct("run_id", "plan"))
    place = ("source", unknown.alias("unknown"), "row")
    by_table = (
        placed.sort("order").group_by(place).agg(*_latest("order", "workspace", "message_id"))
    )
    nth = pl.int_range(pl.len()).over("order", "message_id")  # rows of one run are never the same
    is_named = pl.col("message_id").is_not_null()
    named = by_table.filter(is_named).with_columns(nth=nth)
    by_message = named.sort("order").group_by("workspace", "message_id", "nth").agg(*_latest())
    nameless = by_table.filter(~is_named)
    states = pl.concat([by_message.select("state"), nameless.select("state")])
    return states.group_by(pl.col("state").cast(pl.String)).agg(rows=pl.len())


def _sources(runs: Iterable[RunFile]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return order and workspace of each run, and a number for what each of its plans is made of.

    That is the table, the call and the mapping; plans that the record does not have are left out.
    """
    numbers: dict[Hashable, int] = {}
    about, plans = [], []
    for order, run in enumerate(sorted(runs, key=lambda run: run.info.run_id)):
        info = run.info
        workspace = numbers.setdefault(tuple(sorted(info.workspaces.items())), len(numbers))
        about.append((info.run_id, order, workspace))
        tables, seen = (info.fingerprint or "").split(), Counter[Hashable]()
        for (plan, (call, _)), table in zip(enumerate(info.plans), tables, strict=False):
            same = (workspace, table, call, repr(info.mapping.get(f"{plan} {call}")))
            plans.append((info.run_id, plan, numbers.setdefault((*same, seen[same]), len(numbers))))
            seen[same] += 1
    return (
        pl.DataFrame(about, schema=_RUNS, orient="row"),
        pl.DataFrame(plans, schema=_SOURCES, orient="row"),
    )


def _latest(*others: str) -> list[pl.Expr]:
    """Return the state of the last of several records of a row, and its other columns."""
    state = pl.col("state").last()
    was_delivered = (state == "skipped_done") & (pl.col("state") == "delivered").any()
    shown = pl.when(was_delivered).then(pl.lit("delivered", pl.Enum(STATES))).otherwise(state)
    return [*(pl.col(name).last() for name in others), shown.alias("state")]
