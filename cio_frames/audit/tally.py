"""What the rows of a run add up to: each row once, however often it was taken up again."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cio_frames.audit.disk import Disk
from cio_frames.audit.journal import Part
from cio_frames.audit.open_segments import Unsealed, part_of, rows_of
from cio_frames.audit.runfile import RunFile
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA, STATES
from cio_frames.errors import AccountingError


def tally(
    disk: Disk, directory: Path, run: RunFile, *, unsealed: Sequence[Unsealed] = ()
) -> dict[str, int]:
    """Return rows in each state, and rows, requests, retries and bytes in all.

    Raises:
        AccountingError: If some row is in no state, or in two.
    """
    settled = [segment.settled(run.info.run_id) for segment in unsealed]
    parts = [*run.parts]
    parts += [
        part_of(segment, rows, data=b"") for segment, rows in zip(unsealed, settled, strict=True)
    ]
    counts = _sums(parts)
    if run.resumed:
        rows = latest_of(pl.concat([whole(disk, directory, run), *settled]))
        counts |= dict.fromkeys(STATES, 0) | dict(rows["state"].value_counts().iter_rows())
        counts["rows"] = rows.height
        counts["bytes"] = int(rows.filter(pl.col("attempts") > 0)["bytes"].sum())
    states = {state: counts[state] for state in STATES}
    if counts["rows"] != sum(states.values()):
        raise AccountingError(counts["rows"], counts=states)
    return counts


def whole(disk: Disk, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of all parts of a run, in the order of their segments."""
    frames = [rows_of(disk, directory, part) for part in run.parts]
    return pl.concat([PART_SCHEMA.to_frame(), *frames])


def unplanned(disk: Disk, directory: Path, run: RunFile) -> pl.DataFrame:
    """Return the rows of the plans that are in no part, as a sealed plan would have them."""
    empty = PLAN_SCHEMA.to_frame()
    place = ("plan", "row")
    known = [rows_of(disk, directory, part).select(place) for part in run.parts]
    frames = [
        pl.select(row=pl.int_range(rows)).with_columns(
            pl.lit(plan, pl.Int32).alias("plan"),
            pl.lit(call).alias("call"),
            pl.lit("pending").alias("state"),
        )
        for plan, (call, rows) in enumerate(run.info.plans)
    ]
    missing = pl.concat(frames).join(pl.concat([empty.select(place), *known]), on=place, how="anti")
    return pl.concat([empty, missing], how="diagonal").sort(place)


def _sums(parts: Sequence[Part]) -> dict[str, int]:
    return {
        "rows": sum(part.rows for part in parts),
        **{state: sum(part.counts.get(state, 0) for part in parts) for state in STATES},
        "requests": sum(part.requests for part in parts),
        "retries": sum(part.retries for part in parts),
        "bytes": sum(part.sent_bytes for part in parts),
    }


def latest_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one record per row of each run, from records in the order of their segments.

    A resumed run has two records of the rows it took up again. The later one counts, except
    that a row once in doubt stays so until something is known of it.
    """
    same = ("run_id", "plan", "row")
    latest = rows.unique(same, keep="last", maintain_order=True)
    if latest.height == rows.height:
        return rows
    past = rows.group_by(same).agg(
        pl.col("attempts").sum().alias("all_attempts"),
        pl.col("first_attempt_at").min().alias("first_of_all"),
        (pl.col("state") == "in_doubt").any().alias("doubted"),
    )
    doubtful = pl.col("doubted") & pl.col("state").is_in(["pending", "blocked"])
    return (
        latest.join(past, on=same, how="left", maintain_order="left")
        .with_columns(
            attempts=pl.col("all_attempts"),
            first_attempt_at=pl.col("first_of_all"),
            state=pl.when(doubtful).then(pl.lit("in_doubt")).otherwise(pl.col("state")),
        )
        .select(rows.columns)
    )
