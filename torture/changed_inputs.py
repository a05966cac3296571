"""T12 and T13: the same rows again in another form, and damage to the record."""

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
from torture.harness import Harness, Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, random_rows, track_plan
from torture.proxy import ProxyTransport

ROWS = 400
EDITED = 7
HALFWAY, UNAUTHORIZED = 4, 401
NOTICED_SHARE = 0.9


def resume_finished(*, seed: int, times: int = 5) -> Line:
    """Resume a finished run: nothing is sent, and no byte of its files changes (T13)."""
    workload = Workload(frame=random_rows(ROWS, people=40, seed=seed), batch_bytes=6_000)
    with fast_clock(), set_up("T13", "resume a finished run", seed=seed, faults="flaky") as harness:
        run = harness.send(workload)
        before, requests = files(run.audit), harness.workspace.counts["requests"]
        for _ in range(times):
            harness.resume(workload, run.audit)
        changed = [name for name, data in files(run.audit).items() if before.get(name) != data]
        sent = harness.workspace.counts["requests"] - requests
        line = harness.line(workload, sent=sent, changed=changed)
    require_clean(line)
    require(sent == 0, line, "no request is made")
    require(not changed, line, f"no file changes: {changed}")
    return line


def files(directory: Path) -> dict[str, bytes]:
    """Return the files of a record except the lock."""
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def _reordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sample(fraction=1.0, shuffle=True, seed=7)


def _edited(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(amount=pl.when(pl.col("n") == EDITED).then(-1.0).otherwise("amount"))


def _renamed(frame: pl.DataFrame) -> cio.Plan:
    renamed = frame.select("n", "at", "device", cost="amount", who=pl.format("u{}", "component"))
    return cio.frame(renamed).track(
        event=cio.lit("Torture"),
        user_id="who",
        timestamp="at",
        properties={"n": "n", "amount": "cost"},
        context={"device.type": "device"},
    )


def _in_library(convert: Callable[[pl.DataFrame], Any]) -> Callable[[pl.DataFrame], cio.Plan]:
    def plan(frame: pl.DataFrame) -> cio.Plan:
        with_user = frame.with_columns(pl.format("u{}", "component").alias("user"))
        converted: cio.Plan = cio.frame(convert(with_user)).track(
            event=cio.lit("Torture"), user_id="user", timestamp="at", properties=["n", "amount"],
            context={"device.type": "device"},
        )  # fmt: skip
        return converted

    return plan


CHANGES: Mapping[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], Any, int]] = {
    "the same": (lambda frame: frame, track_plan, 0),
    "re-ordered": (_reordered, track_plan, 0),
    "rows left out": (lambda frame: frame.slice(50), track_plan, 0),
    "one value changed": (_edited, track_plan, 1),
    "columns renamed": (lambda frame: frame, _renamed, 0),
    "numbers as int32": (lambda frame: frame.with_columns(pl.col("n").cast(pl.Int32)), track_plan, 0),
    "numbers as floats": (lambda frame: frame.with_columns(pl.col("n").cast(pl.Float64)), track_plan, 0),
    "times in ns": (lambda frame: frame.with_columns(pl.col("at").dt.cast_time_unit("ns")), track_plan, 0),
    "categories": (lambda frame: frame.with_columns(pl.col("device").cast(pl.Categorical)), track_plan, 0),
    "pandas": (lambda frame: frame, _in_library(lambda frame: frame.to_pandas()), 0),
    "pandas with arrow": (
        lambda frame: frame,
        _in_library(lambda frame: frame.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)),
        0,
    ),
    "arrow": (lambda frame: frame, _in_library(pl.DataFrame.to_arrow), 0),
    "lazy": (lambda frame: frame, _in_library(pl.DataFrame.lazy), 0),
}  # fmt: skip
"""How the rows are changed, how the plan is made, and how many rows are sent again."""


def send_changed(name: str, *, seed: int) -> Line:
    """Send a delivered table again with a change: only changed values are sent (T13)."""
    change, make_plan, expected = CHANGES[name]
    frame = random_rows(ROWS, people=40, seed=seed)
    workload = Workload(frame=frame, batch_bytes=6_000, calls=(track_plan,))
    with set_up("T13", f"again: {name}", seed=seed) as harness:
        first = harness.send(workload)
        before = harness.workspace.counts["messages"]
        second = Workload(frame=change(frame), batch_bytes=6_000, calls=(make_plan,))
        run = harness.send(second)
        sent = harness.workspace.counts["messages"] - before
        harness.audit = first.audit
        line = harness.line(workload, sent=sent)
    require(sent == expected, line, f"{expected} rows are sent again, not {sent}")
    require(
        run.counts["skipped_done"] == second.frame.height - expected,
        line,
        "the other rows are skipped",
    )
    if expected == 0:
        require_clean(line)
        require(line.verdict.duplicated_raw == 0, line, "no row arrives twice")
    return line


def append_rows(*, seed: int) -> Line:
    """Send a table with more rows at its end: only those are sent (T13)."""
    frame = random_rows(ROWS, people=40, seed=seed)
    first = Workload(frame=frame.head(ROWS // 2), batch_bytes=6_000, calls=(track_plan,))
    longer = Workload(frame=frame, batch_bytes=6_000, calls=(track_plan,))
    with set_up("T13", "again: rows appended", seed=seed) as harness:
        harness.send(first)
        harness.send(longer)
        record = cio.audit(harness.audit).messages.filter(pl.col("state") != "skipped_done")
        line = harness.line(
            longer,
            record=record.with_columns(run_id=pl.lit("both")),
            sent=harness.workspace.counts["messages"] - ROWS // 2,
        )
    require_clean(line)
    require(line.facts["sent"] == ROWS - ROWS // 2, line, "exactly the new rows are sent")
    require(line.verdict.duplicated_raw == 0, line, "no row arrives twice")
    return line


def corrupt_record(*, seed: int, cases: int) -> Line:
    """Damage the record of an unfinished run: reading it raises or gives correct states (T12)."""
    rng = np.random.default_rng(seed)
    workload = Workload(frame=random_rows(ROWS, people=40, seed=seed), batch_bytes=6_000)
    errors = 0
    with fast_clock(), set_up("T12", "changed bits", seed=seed) as harness:
        directory = _unfinished(harness, workload)
        originals = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        line = harness.line(workload)
        require_clean(line)
        profile = Layout(directory).profile
        targets = sorted(path for path in originals if path.suffix in (".wal", ".parquet", ".json"))
        for case in range(cases):
            path = targets[case % len(targets)]
            data = bytearray(originals[path])
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            path.write_bytes(data)
            try:
                after = harness.line(workload)
                is_correct = not after.verdict.violations and after.states == line.states
                damaged = cio.audit(directory).verify()["file"].to_list()
                # no row needs the profile, so reading does not raise, and `verify` lists it
                is_listed = damaged == ([path.name] if path == profile else [])
                require(is_correct and is_listed, after, f"{path.name} {case}")
                errors += len(damaged)
            except AuditError:
                errors += 1
            path.write_bytes(originals[path])
    what = f"{cases:,} changed bits"
    took = time.monotonic() - harness.started
    line = replace(line, what=what, seconds=took, facts={"cases": cases, "errors": errors})
    require(errors > cases * NOTICED_SHARE, line, "nearly all damage is noticed")
    return line


def _unfinished(harness: Harness, workload: Workload) -> Path:
    """Return a copy of a record from the middle of a run, as a killed process leaves it."""
    copies: list[Path] = []

    def copy_and_stop(_: list[dict[str, Any]], __: bytes) -> int | None:
        if not copies and harness.workspace.counts["requests"] >= HALFWAY:
            source = next(path.parent for path in harness.audit.glob("*/run.json"))
            copies.append(harness.audit / "copies" / source.name)
            shutil.copytree(source, copies[0])
        return UNAUTHORIZED if copies else None

    harness.send(workload, harness.client(transport=ProxyTransport(copy_and_stop)))
    harness.audit = copies[0]
    return copies[0]
