"""The same rows again: resumed, re-ordered, from another library, with one value changed."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import cio_frames as cio
from cio_frames.audit.run_file import Layout
from cio_frames.errors import AuditError
from torture.harness import Bench, Line, bench, hurried, require, require_clean
from torture.inputs import Input, people, tracked
from torture.proxy import Front

ROWS = 400
EDITED = 7
HALFWAY, UNAUTHORIZED = 4, 401
TOLD_SHARE = 0.9


def again(*, seed: int, times: int = 5) -> Line:
    """Resume a finished run: nothing is sent, and its files stay as they are, byte by byte (T13).

    Args:
        seed: Decides the rows.
        times: How often.
    """
    given = Input(frame=people(ROWS, people=40, seed=seed), batch_bytes=6_000)
    with hurried(), bench("T13", "resume a finished run", seed=seed, faults="flaky") as put:
        run = put.send(given)
        before, requests = files(run.audit), put.workspace.counts["requests"]
        for _ in range(times):
            put.resume(given, run.audit)
        changed = [name for name, data in files(run.audit).items() if before.get(name) != data]
        sent = put.workspace.counts["requests"] - requests
        line = put.line(given, sent=sent, changed=changed)
    require_clean(line)
    require(sent == 0, line, "no request is made")
    require(not changed, line, f"no file changes: {changed}")
    return line


def files(directory: Path) -> dict[str, bytes]:
    """Return the files of a record, but for the lock."""
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def _reordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sample(fraction=1.0, shuffle=True, seed=7)


def _edited(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(amount=pl.when(pl.col("n") == EDITED).then(-1.0).otherwise("amount"))


def _renamed(frame: pl.DataFrame) -> cio.Plan:
    known = frame.select("n", "at", "device", cost="amount", who=pl.format("u{}", "component"))
    return cio.frame(known).track(
        event=cio.lit("Torture"),
        user_id="who",
        timestamp="at",
        properties={"n": "n", "amount": "cost"},
        context={"device.type": "device"},
    )


def _of_library(make: Callable[[pl.DataFrame], Any]) -> Callable[[pl.DataFrame], cio.Plan]:
    def call(frame: pl.DataFrame) -> cio.Plan:
        known = frame.with_columns(pl.format("u{}", "component").alias("user"))
        plan: cio.Plan = cio.frame(make(known)).track(
            event=cio.lit("Torture"), user_id="user", timestamp="at", properties=["n", "amount"],
            context={"device.type": "device"},
        )  # fmt: skip
        return plan

    return call


DRIFTS: Mapping[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], Any, int]] = {
    "the same": (lambda frame: frame, tracked, 0),
    "re-ordered": (_reordered, tracked, 0),
    "rows left out": (lambda frame: frame.slice(50), tracked, 0),
    "one value changed": (_edited, tracked, 1),
    "columns renamed": (lambda frame: frame, _renamed, 0),
    "numbers as int32": (lambda frame: frame.with_columns(pl.col("n").cast(pl.Int32)), tracked, 0),
    "numbers as floats": (lambda frame: frame.with_columns(pl.col("n").cast(pl.Float64)), tracked, 0),
    "times in ns": (lambda frame: frame.with_columns(pl.col("at").dt.cast_time_unit("ns")), tracked, 0),
    "categories": (lambda frame: frame.with_columns(pl.col("device").cast(pl.Categorical)), tracked, 0),
    "pandas": (lambda frame: frame, _of_library(lambda frame: frame.to_pandas()), 0),
    "pandas with arrow": (
        lambda frame: frame,
        _of_library(lambda frame: frame.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)),
        0,
    ),
    "arrow": (lambda frame: frame, _of_library(pl.DataFrame.to_arrow), 0),
    "lazy": (lambda frame: frame, _of_library(pl.DataFrame.lazy), 0),
}  # fmt: skip
"""What is changed, how the plan is made, and how many rows are sent again."""


def drifted(name: str, *, seed: int) -> Line:
    """Send a table that arrived already, changed in some way: only what is new is sent (T13).

    Args:
        name: A key of `DRIFTS`.
        seed: Decides the rows.
    """
    change, call, expected = DRIFTS[name]
    frame = people(ROWS, people=40, seed=seed)
    given = Input(frame=frame, batch_bytes=6_000, calls=(tracked,))
    with bench("T13", f"again: {name}", seed=seed) as put:
        first = put.send(given)
        before = put.workspace.counts["messages"]
        later = Input(frame=change(frame), batch_bytes=6_000, calls=(call,))
        run = put.send(later)
        sent = put.workspace.counts["messages"] - before
        put.audit = first.audit
        line = put.line(given, sent=sent)
    require(sent == expected, line, f"{expected} rows are sent again, not {sent}")
    require(
        run.counts["skipped_done"] == later.frame.height - expected, line, "the others are skipped"
    )
    if expected == 0:
        require_clean(line)
        require(line.verdict.duplicated_raw == 0, line, "no row arrives twice")
    return line


def appended(*, seed: int) -> Line:
    """Send a table with further rows at its end: only those are sent (T13).

    Args:
        seed: Decides the rows.
    """
    frame = people(ROWS, people=40, seed=seed)
    first = Input(frame=frame.head(ROWS // 2), batch_bytes=6_000, calls=(tracked,))
    whole = Input(frame=frame, batch_bytes=6_000, calls=(tracked,))
    with bench("T13", "again: rows appended", seed=seed) as put:
        put.send(first)
        put.send(whole)
        record = cio.audit(put.audit).messages.filter(pl.col("state") != "skipped_done")
        line = put.line(
            whole,
            record=record.with_columns(run_id=pl.lit("both")),
            sent=put.workspace.counts["messages"] - ROWS // 2,
        )
    require_clean(line)
    require(line.facts["sent"] == ROWS - ROWS // 2, line, "exactly the new rows are sent")
    require(line.verdict.duplicated_raw == 0, line, "no row arrives twice")
    return line


def corrupted(*, seed: int, cases: int) -> Line:
    """Damage the record of a run that was left unfinished: an error, or what is true (T12).

    Args:
        seed: Decides the rows and the damage.
        cases: How many changed bits, in every kind of file.
    """
    chance = np.random.default_rng(seed)
    given = Input(frame=people(ROWS, people=40, seed=seed), batch_bytes=6_000)
    refused = 0
    with hurried(), bench("T12", "changed bits", seed=seed) as put:
        directory = _unfinished(put, given)
        whole = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        line = put.line(given)
        require_clean(line)
        profile = Layout(directory).profile
        targets = sorted(path for path in whole if path.suffix in (".wal", ".parquet", ".json"))
        for case in range(cases):
            path = targets[case % len(targets)]
            data = bytearray(whole[path])
            data[int(chance.integers(len(data)))] ^= 1 << int(chance.integers(8))
            path.write_bytes(data)
            try:
                told = put.line(given)
                sound = not told.verdict.violations and told.states == line.states
                damaged = cio.audit(directory).verify()["file"].to_list()
                is_told = damaged == ([path.name] if path == profile else [])  # no row needs it
                require(sound and is_told, told, f"{path.name} {case}")
                refused += len(damaged)
            except AuditError:
                refused += 1
            path.write_bytes(whole[path])
    what = f"{cases:,} changed bits"
    took = time.monotonic() - put.started
    line = replace(line, what=what, seconds=took, facts={"cases": cases, "refused": refused})
    require(refused > cases * 0.9, line, "nearly all damage is told")
    return line


def _unfinished(put: Bench, given: Input) -> Path:
    """Leave a copy of a record in the middle of a run, as a killed process would."""
    copies: list[Path] = []

    def before(_: list[dict[str, Any]], __: bytes) -> int | None:
        if not copies and put.workspace.counts["requests"] >= HALFWAY:
            source = next(path.parent for path in put.audit.glob("*/run.json"))
            copies.append(put.audit / "copies" / source.name)
            shutil.copytree(source, copies[0])
        return UNAUTHORIZED if copies else None

    put.send(given, put.client(transport=Front(before)))
    put.audit = copies[0]
    return copies[0]
