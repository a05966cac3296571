"""T9 to T11: a revoked key, a second writer, a disk that fails."""

import errno
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

import cio_frames as cio
from cio_frames.audit import recover
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.errors import AuditError, AuditLockedError
from cio_frames.sandbox import Faults
from torture.harness import Harness, Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, random_rows

CONCURRENCY = 16
AT_ONCE_S = 0.1


def revoked_key(*, seed: int, rows: int, first: int = 12) -> Line:
    """Revoke the key in mid-run: almost nothing is sent after it, and a resume completes the run (T9)."""
    workload = Workload(
        frame=random_rows(rows, people=rows // 10, seed=seed), batch_bytes=160 * rows // 60
    )
    with set_up("T9", "401 in mid-run", seed=seed) as harness:
        harness.workspace.faults = Faults(unauthorized=1.0, first=first)
        run = harness.send(workload)
        after = harness.workspace.counts["requests"] - first
        halfway = harness.line(workload, after=after, stopped=run.stopped and run.stopped[0])
        require_clean(halfway)
        require(halfway.facts["stopped"] == "UNAUTHORIZED", halfway, "the run reports why it ended")
        require(after <= CONCURRENCY, halfway, "only requests in flight arrive after 401")
        require(0 < halfway.states["pending"] < rows, halfway, "the rest stays pending")
        harness.workspace.faults = "none"
        harness.resume(workload, run.audit)
        line = harness.line(workload, **halfway.facts)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "the resume completes the run")
    return line


def resume_on_full_disk(*, seed: int, rows: int = 400) -> Line:
    """Let a resume fail on a full disk: the next one, in the same process, completes (T11)."""
    workload = Workload(frame=random_rows(rows, people=40, seed=seed), batch_bytes=3_000)
    errors = 0
    with fast_clock(), set_up("T11", "resume without room", seed=seed) as harness:
        harness.workspace.faults = Faults(unauthorized=1.0, first=6)
        run = harness.send(workload)
        harness.workspace.faults = "none"
        for at in range(1, 6):
            with failing_operations(at, failure=errno.ENOSPC):
                try:
                    harness.resume(workload, run.audit)
                except AuditError:
                    errors += 1
        harness.resume(workload, run.audit)
        line = harness.line(workload, errors=errors)
    require_clean(line)
    require(errors > 0, line, "the disk was full")
    require(line.states == {"delivered": rows}, line, "with free space everything is delivered")
    return line


def two_audits(*, seed: int, rows: int) -> Line:
    """Send the same rows from two runs at once, each with a record of its own (T10).

    Events count once. Without the other's record, each run sets every state, under its own ids.
    """
    frame = random_rows(rows, people=rows // 10, seed=seed, parts=2)
    workload = Workload(frame=frame, batch_bytes=160 * rows // 30, parts=2)
    with fast_clock(), set_up("T10", "two records at once", seed=seed, faults="flaky") as harness:
        second = harness.audit / "other"
        runs = [
            workload.plan.send(harness.client(), audit=audit, progress=False, wait=False)
            for audit in (harness.audit / "one", second)
        ]
        for run in runs:
            run.wait()
        harness.audit = second
        line = harness.line(workload)
    states = workload.rows["blocks"].sum()
    require(line.verdict.duplicated_after_dedupe == states, line, "each run sets each state once")
    verdict = replace(line.verdict, duplicated_after_dedupe=0)
    line = require_clean(replace(line, verdict=verdict))
    require(line.verdict.duplicated_raw >= rows, line, "each row arrived from both")
    return line


def second_writer(*, seed: int, rows: int = 300) -> Line:
    """Open the record of a running run: it is locked, and the error comes at once (T10)."""
    workload = Workload(frame=random_rows(rows, people=30, seed=seed), batch_bytes=4_000)
    with set_up("T10", "second writer", seed=seed, faults=Faults(late=1.0, hold_s=0.2)) as harness:
        run = workload.plan.send(harness.client(), audit=harness.audit, progress=False, wait=False)
        message, took = "", math.inf
        for _ in range(5):  # on a busy machine at least one is quick
            started = time.monotonic()
            try:
                harness.resume(workload, run.audit)
            except AuditLockedError as error:
                message = str(error)
            took = min(took, time.monotonic() - started)
            if took < AT_ONCE_S:
                break
        forked = _write_in_child(run)
        run.wait()
        line = harness.line(workload, error_s=took, forked=forked)
    require_clean(line)
    require(str(os.getpid()) in message, line, f"the error names the process: {message!r}")
    require(took < AT_ONCE_S, line, "the error comes at once")
    require(forked == "AuditError", line, "a forked child cannot write")
    require(line.states == {"delivered": rows}, line, "the run was not disturbed")
    return line


def _write_in_child(run: cio.Run) -> str:
    """Return the error of a forked child that writes to the record of its parent's run."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this process has threads, but the child exits at once
        pid = os.fork()
    if pid == 0:
        answer = "nothing"
        try:
            run._writer._store.publish_run(run._writer.run)  # noqa: SLF001 - no public call does only this
        except AuditError:
            answer = "AuditError"
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    answer = os.read(reading, 100).decode()
    os.close(reading)
    return answer


def failing_disk(at: int, *, seed: int, failure: int = errno.ENOSPC, rows: int = 400) -> Line:
    """Let the disk fail from one operation on; with free space again, a resume completes (T11).

    Args:
        at: Which operation that needs space is the first to fail, as do all later ones.
        seed: Decides the rows and the faults.
        failure: How it fails: no space, or a device error at a sync.
        rows: How many rows.
    """
    workload = Workload(
        frame=random_rows(rows, people=40, seed=seed, parts=4), batch_bytes=3_000, parts=4
    )
    what = f"{errno.errorcode[failure]} at {at}"
    with fast_clock(), set_up("T11", what, seed=seed, faults="flaky") as harness:
        error = ""
        with failing_operations(at, failure=failure) as operations:
            try:
                harness.send(workload)
            except AuditError as caught:
                error = str(caught)
        _complete(harness, workload)
        line = harness.line(workload, error=error, operations=len(operations))
    require_clean(line)
    require(line.verdict.open == 0, line, "with free space everything is delivered")
    require(error or len(operations) < at, line, "a failing disk always raises")
    return line


def _complete(harness: Harness, workload: Workload) -> None:
    runs = sorted(path.parent for path in harness.audit.glob("*/run.json"))
    if not runs:
        harness.send(workload)
        return
    for run in runs:
        recover(run)
    require_clean(harness.line(workload))
    harness.resume(workload, runs[-1])


@contextmanager
def failing_operations(at: int, *, failure: int) -> Iterator[list[str]]:
    """Fail from the `at`-th operation that needs space on; yield the operations done."""
    operations: list[str] = []
    names = ("sync",) if failure == errno.EIO else ("create", "write")

    def failing(name: str) -> Any:
        operation = getattr(LocalFileSystem, name)

        def call(disk: LocalFileSystem, *arguments: Any) -> Any:
            operations.append(name)
            if len(operations) >= at:
                if name == "write":
                    handle, data = arguments
                    operation(disk, handle, bytes(data)[: len(data) // 3])
                raise OSError(failure, os.strerror(failure))
            return operation(disk, *arguments)

        return mock.patch.object(LocalFileSystem, name, call)

    patches = [failing(name) for name in names]
    for patch in patches:
        patch.start()
    try:
        yield operations
    finally:
        for patch in patches:
            patch.stop()


def failure_points(count: int, *, seed: int, last: int) -> list[int]:
    """Return numbers of operations at which a disk fails: the first ones and random later ones."""
    first = list(range(1, count // 3 + 1))
    rest = np.random.default_rng(seed).choice(
        np.arange(first[-1] + 1, last), count - len(first), replace=False
    )
    return [*first, *sorted(int(at) for at in rest)]


def resume_before_planning(*, seed: int, rows: int = 1_000) -> Line:
    """Let a second run fail before it plans a row: its resume skips what the first delivered (T11)."""
    frame = random_rows(rows, people=rows // 10, seed=seed, parts=4)
    workload = Workload(frame=frame, batch_bytes=6_000, parts=4)
    with fast_clock(), set_up("T11", "resume of nothing planned", seed=seed) as harness:
        harness.workspace.faults = Faults(unauthorized=1.0, first=26)
        first = harness.send(workload)
        harness.workspace.faults, runs, at = "none", [first.audit], 0
        while len(runs) == 1:
            at += 1
            with failing_operations(at, failure=errno.ENOSPC), suppress(AuditError):
                harness.send(workload)
            runs = sorted(path.parent for path in harness.audit.glob("*/run.json"))
        run = harness.resume(workload, runs[-1])
        line = harness.line(workload, skipped=run.counts["skipped_done"])
    require_clean(line)
    require(line.facts["skipped"] == first.counts["delivered"] > 0, line, "what arrived is skipped")
    return line
