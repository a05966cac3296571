"""Compare input rows, record and log of arrivals. Pure: frames in, numbers out.

The three are joined by a number that each input row carries in its payload, so that the check
does not depend on the message ids that it checks.
"""

from dataclasses import dataclass, fields

import polars as pl

ROWS = pl.Schema(
    {
        "key": pl.Int64,
        "plan": pl.Int32,
        "row": pl.Int64,
        "component": pl.Int64,
        "payload_sha": pl.String,
        "rejected": pl.Boolean,
        "blocks": pl.Boolean,
    }
)
"""Input rows in the order of the plan. `rejected`: the server must reject the row. `blocks`: its
rejection must block the later rows of the same component."""

ARRIVALS = pl.Schema(
    {
        "key": pl.Int64,
        "number": pl.Int64,
        "message_id": pl.String,
        "payload_sha": pl.String,
        "applied": pl.Boolean,
    }
)
"""Messages in the order of their arrival. The key is null if it belongs to no row."""

RECORD = pl.Schema(
    {
        "run_id": pl.String,
        "plan": pl.Int32,
        "row": pl.Int64,
        "state": pl.String,
        "attempts": pl.Int32,
    }
)
"""The columns of the record that are used: one row per run and input row."""

ARRIVED = ("delivered", "accepted_unverified")
OPEN = ("pending", "blocked", "in_doubt")
NOT_APPLIED = ("pending", "blocked", "rejected_local", "rejected_server")
WHERE = ["plan", "row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong, as numbers. All but `duplicated_raw` and `open` must be 0.

    Attributes:
        lost: Rows the server lacks, although it must not reject them and the record does not
            list them as still to be sent.
        duplicated_raw: Copies that arrived beyond the first; the message id makes them harmless.
        duplicated_after_dedupe: Copies that remain when equal message ids count once.
        out_of_order_components: People whose rows first arrived in another order than planned.
        false_ack: Rows recorded as delivered that the server does not have.
        false_nack: Rows recorded as not applied that the server has.
        unattempted_seen: Rows or unknown messages that arrived without a recorded attempt.
        unaccounted: Rows with no state in some run, or with two.
        payload_mismatch: Arrivals that differ from the planned bytes, and ids with two payloads.
        wrongly_blocked: Rows that arrived although a rejected row of the same component blocked
            them, and rows recorded as blocked without one.
        open: Rows that are recorded as pending, blocked or in doubt.
    """

    lost: int = 0
    duplicated_raw: int = 0
    duplicated_after_dedupe: int = 0
    out_of_order_components: int = 0
    false_ack: int = 0
    false_nack: int = 0
    unattempted_seen: int = 0
    unaccounted: int = 0
    payload_mismatch: int = 0
    wrongly_blocked: int = 0
    open: int = 0

    @property
    def violations(self) -> dict[str, int]:
        """The numbers that must be 0 and are not."""
        numbers = {field.name: int(getattr(self, field.name)) for field in fields(self)}
        harmless = ("duplicated_raw", "open")
        return {name: count for name, count in numbers.items() if count and name not in harmless}


def check(rows: pl.DataFrame, *, record: pl.DataFrame, arrivals: pl.DataFrame) -> Verdict:
    """Compare the planned rows, the recorded states and the arrivals.

    Args:
        rows: The input rows, with the columns of `ROWS`.
        record: The record of all runs, with the columns of `RECORD` at least.
        arrivals: The server's log, with the columns of `ARRIVALS`.
    """
    rows = rows.match_to_schema(ROWS)
    arrivals = arrivals.match_to_schema(ARRIVALS)
    record = record.select(RECORD.names()).match_to_schema(RECORD)
    applied = arrivals.filter("applied", pl.col("key").is_in(rows["key"].implode()))
    states = rows.join(
        _final_states(record), on=WHERE, how="left", maintain_order="left"
    ).with_columns(has_arrived=pl.col("key").is_in(applied["key"].unique().implode()))
    ids = applied.select("key", "message_id").unique()
    open_ = pl.col("state").is_in(OPEN)
    return Verdict(
        lost=_count(
            states, ~pl.col("has_arrived") & ~pl.col("rejected") & ~open_.fill_null(value=False)
        ),
        duplicated_raw=applied.height - applied["key"].n_unique(),
        duplicated_after_dedupe=ids.height - ids["key"].n_unique(),
        out_of_order_components=_out_of_order(rows, applied),
        false_ack=_count(states, (pl.col("state") == "delivered") & ~pl.col("has_arrived")),
        false_nack=_count(states, pl.col("state").is_in(NOT_APPLIED) & pl.col("has_arrived")),
        unattempted_seen=_unattempted(states, arrivals),
        unaccounted=_unaccounted(rows, record),
        payload_mismatch=_mismatched(rows, arrivals),
        wrongly_blocked=_wrongly_blocked(states),
        open=_count(states, open_),
    )


def _count(rows: pl.DataFrame, predicate: pl.Expr) -> int:
    return rows.filter(predicate).height


def _final_states(record: pl.DataFrame) -> pl.DataFrame:
    """Return one state per row: arrived if any run recorded that, else the last recorded state."""
    recorded = record.filter(pl.col("state") != "skipped_done").sort("run_id", maintain_order=True)
    arrived = pl.col("state").is_in(ARRIVED)
    return recorded.group_by(WHERE).agg(
        pl.coalesce(pl.col("state").filter(arrived).last(), pl.col("state").last()),
        pl.col("attempts").sum(),
    )


def _out_of_order(rows: pl.DataFrame, applied: pl.DataFrame) -> int:
    first = applied.group_by("key").agg(pl.col("number").min())
    ordered = rows.with_row_index("position").join(first, on="key").sort("component", "position")
    overtaken = pl.col("number").diff().over("component") < 0
    return ordered.filter(overtaken)["component"].n_unique()


def _wrongly_blocked(states: pl.DataFrame) -> int:
    """Count rows that arrived after a blocking rejection, and blocked rows without one."""
    rejected = (pl.col("state") == "rejected_server") & pl.col("blocks")
    blocking = rejected.fill_null(value=False).cast(pl.Int64)
    rows = states.select(
        "has_arrived", "state", is_blocked=(blocking.cum_sum() - blocking).over("component") > 0
    )
    return _count(rows, pl.col("has_arrived") & pl.col("is_blocked")) + _count(
        rows, (pl.col("state") == "blocked") & ~pl.col("is_blocked")
    )


def _unattempted(states: pl.DataFrame, arrivals: pl.DataFrame) -> int:
    attempted = states.filter(pl.col("attempts") > 0)["key"]
    keys = arrivals.select("key").unique()
    return keys.filter(~pl.col("key").is_in(attempted.implode()).fill_null(value=False)).height


def _unaccounted(rows: pl.DataFrame, record: pl.DataFrame) -> int:
    """Count, over all runs, the rows that are missing in a run and those recorded twice."""
    recorded = record.group_by("run_id", *WHERE).len()
    expected = recorded.join(rows, on=WHERE, how="semi")
    runs = max(1, record["run_id"].n_unique())
    missing = rows.height * runs - expected.height
    return missing + recorded.filter(pl.col("len") > 1).height + (recorded.height - expected.height)


def _mismatched(rows: pl.DataFrame, arrivals: pl.DataFrame) -> int:
    planned = rows.select("key", planned="payload_sha")
    joined = arrivals.join(planned, on="key", how="inner")
    changed = joined.filter(pl.col("planned") != pl.col("payload_sha")).height
    per_id = arrivals.drop_nulls("message_id").group_by("message_id")
    payloads = per_id.agg(pl.col("payload_sha").n_unique().alias("payloads"))
    return changed + payloads.filter(pl.col("payloads") > 1).height
