"""From input rows, record and log of arrivals to what went wrong. Pure: frames in, numbers out.

The three are compared by a number that each input row carries in its payload, so that the check
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
        "refused": pl.Boolean,
        "holds": pl.Boolean,
    }
)
"""Input rows in the order of the plan. `refused` is true where the server must refuse the row,
`holds` where its refusal must hold back what comes after it of the same component."""

ARRIVALS = pl.Schema(
    {
        "key": pl.Int64,
        "number": pl.Int64,
        "message_id": pl.String,
        "payload_sha": pl.String,
        "applied": pl.Boolean,
    }
)
"""Messages in the order of their arrival. The key is null where it is nobody's."""

RECORD = pl.Schema(
    {
        "run_id": pl.String,
        "plan": pl.Int32,
        "row": pl.Int64,
        "state": pl.String,
        "attempts": pl.Int32,
    }
)
"""The columns of the record that are looked at: one row per run and input row."""

ARRIVED = ("delivered", "accepted_unverified")  # only the first claims it
OPEN = ("pending", "blocked", "in_doubt")
NOT_APPLIED = ("pending", "blocked", "rejected_local", "rejected_server")
WHERE = ["plan", "row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong, as numbers. All but `duplicated_raw` and `open` must be 0.

    Attributes:
        lost: Rows the server does not have, although it must not refuse them and the record does
            not tell that they are still to be sent.
        duplicated_raw: Copies that arrived beyond the first; the message id makes them harmless.
        duplicated_after_dedupe: Copies that are left when equal message ids count once.
        out_of_order_components: People whose rows first arrived in another order than planned.
        false_ack: Rows recorded as delivered that the server does not have.
        false_nack: Rows recorded as not applied that the server has.
        unattempted_seen: Rows or strange messages that arrived without a recorded attempt.
        unaccounted: Rows that are in no state in some run, or in two.
        payload_mismatch: Arrivals that are not the planned bytes, and ids with two payloads.
        misheld: Rows that arrived although a refused row of the same component held them back,
            and rows recorded as held back without one.
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
    misheld: int = 0
    open: int = 0

    @property
    def violations(self) -> dict[str, int]:
        """The numbers that must be 0 and are not."""
        found = {field.name: int(getattr(self, field.name)) for field in fields(self)}
        harmless = ("duplicated_raw", "open")
        return {name: count for name, count in found.items() if count and name not in harmless}


def check(rows: pl.DataFrame, *, record: pl.DataFrame, arrivals: pl.DataFrame) -> Verdict:
    """Compare what was to be sent, what was recorded and what arrived.

    Args:
        rows: The input rows, with the columns of `ROWS`.
        record: The record of all runs, with the columns of `RECORD` at least.
        arrivals: The server's log, with the columns of `ARRIVALS`.
    """
    rows = rows.match_to_schema(ROWS)
    arrivals = arrivals.match_to_schema(ARRIVALS)
    record = record.select(RECORD.names()).match_to_schema(RECORD)
    applied = arrivals.filter("applied", pl.col("key").is_in(rows["key"].implode()))
    told = rows.join(_final(record), on=WHERE, how="left", maintain_order="left").with_columns(
        here=pl.col("key").is_in(applied["key"].unique().implode())
    )
    ids = applied.select("key", "message_id").unique()
    open_ = pl.col("state").is_in(OPEN)
    return Verdict(
        lost=_count(told, ~pl.col("here") & ~pl.col("refused") & ~open_.fill_null(value=False)),
        duplicated_raw=applied.height - applied["key"].n_unique(),
        duplicated_after_dedupe=ids.height - ids["key"].n_unique(),
        out_of_order_components=_disordered(rows, applied),
        false_ack=_count(told, (pl.col("state") == "delivered") & ~pl.col("here")),
        false_nack=_count(told, pl.col("state").is_in(NOT_APPLIED) & pl.col("here")),
        unattempted_seen=_unattempted(told, arrivals),
        unaccounted=_unaccounted(rows, record),
        payload_mismatch=_mismatched(rows, arrivals),
        misheld=_misheld(told),
        open=_count(told, open_),
    )


def _count(rows: pl.DataFrame, which: pl.Expr) -> int:
    return rows.filter(which).height


def _final(record: pl.DataFrame) -> pl.DataFrame:
    """Return one state per row: that it arrived, if some run says so, else what the last one says."""
    told = record.filter(pl.col("state") != "skipped_done").sort("run_id", maintain_order=True)
    arrived = pl.col("state").is_in(ARRIVED)
    return told.group_by(WHERE).agg(
        pl.coalesce(pl.col("state").filter(arrived).last(), pl.col("state").last()),
        pl.col("attempts").sum(),
    )


def _disordered(rows: pl.DataFrame, applied: pl.DataFrame) -> int:
    first = applied.group_by("key").agg(pl.col("number").min())
    ordered = rows.with_row_index("place").join(first, on="key").sort("component", "place")
    overtaken = pl.col("number").diff().over("component") < 0
    return ordered.filter(overtaken)["component"].n_unique()


def _misheld(told: pl.DataFrame) -> int:
    """Count against each row what was refused before it: something or nothing that holds it."""
    refused = (pl.col("state") == "rejected_server") & pl.col("holds")
    holding = refused.fill_null(value=False).cast(pl.Int64)
    before = told.select("here", "state", held=(holding.cum_sum() - holding).over("component") > 0)
    return _count(before, pl.col("here") & pl.col("held")) + _count(
        before, (pl.col("state") == "blocked") & ~pl.col("held")
    )


def _unattempted(told: pl.DataFrame, arrivals: pl.DataFrame) -> int:
    attempted = told.filter(pl.col("attempts") > 0)["key"]
    seen = arrivals.select("key").unique()
    return seen.filter(~pl.col("key").is_in(attempted.implode()).fill_null(value=False)).height


def _unaccounted(rows: pl.DataFrame, record: pl.DataFrame) -> int:
    """Count, over all runs, the rows that are missing in a run and those that are there twice."""
    found = record.group_by("run_id", *WHERE).len()
    known = found.join(rows, on=WHERE, how="semi")
    runs = max(1, record["run_id"].n_unique())
    missing = rows.height * runs - known.height
    return missing + found.filter(pl.col("len") > 1).height + (found.height - known.height)


def _mismatched(rows: pl.DataFrame, arrivals: pl.DataFrame) -> int:
    planned = rows.select("key", planned="payload_sha")
    joined = arrivals.join(planned, on="key", how="inner")
    other = joined.filter(pl.col("planned") != pl.col("payload_sha")).height
    per_id = arrivals.drop_nulls("message_id").group_by("message_id")
    payloads = per_id.agg(pl.col("payload_sha").n_unique().alias("payloads"))
    return other + payloads.filter(pl.col("payloads") > 1).height
