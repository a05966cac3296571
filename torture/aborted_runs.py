"""Runs that end early: a key that is revoked, an interrupt, a second sender, a full disk."""

import errno
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import cio_frames as cio
from cio_frames.audit import recover
from cio_frames.audit.file_system import LocalFileSystem
from cio_frames.errors import AuditError, AuditLockedError
from cio_frames.sandbox import Faults
from torture.harness import Bench, Line, bench, hurried, require, require_clean
from torture.inputs import Input, people

CONCURRENCY = 16
AT_ONCE_S = 0.1


def revoked(*, seed: int, rows: int, first: int = 12) -> Line:
    """Revoke the key in mid-run: hardly anything is sent after it, and a resume completes (T9).

    Args:
        seed: Decides the rows.
        rows: How many rows.
        first: The first request that is answered 401.
    """
    given = Input(frame=people(rows, people=rows // 10, seed=seed), batch_bytes=160 * rows // 60)
    with bench("T9", "401 in mid-run", seed=seed) as put:
        put.workspace.faults = Faults(unauthorized=1.0, first=first)
        run = put.send(given)
        after = put.workspace.counts["requests"] - first
        halfway = put.line(given, after=after, stopped=run.stopped and run.stopped[0])
        require_clean(halfway)
        require(halfway.facts["stopped"] == "UNAUTHORIZED", halfway, "the run says why it ends")
        require(after <= CONCURRENCY, halfway, "what was under way is all that is sent after 401")
        require(0 < halfway.states["pending"] < rows, halfway, "the rest stays pending")
        put.workspace.faults = "none"
        put.resume(given, run.audit)
        line = put.line(given, **halfway.facts)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "the resume completes it")
    return line


def resume_refused(*, seed: int, rows: int = 400) -> Line:
    """Let a resume fail for want of room: the next one, in the same process, completes (T11).

    Args:
        seed: Decides the rows.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=40, seed=seed), batch_bytes=3_000)
    refused = 0
    with hurried(), bench("T11", "resume without room", seed=seed) as put:
        put.workspace.faults = Faults(unauthorized=1.0, first=6)
        run = put.send(given)
        put.workspace.faults = "none"
        for at in range(1, 6):
            with failing(at, failure=errno.ENOSPC):
                try:
                    put.resume(given, run.audit)
                except AuditError:
                    refused += 1
        put.resume(given, run.audit)
        line = put.line(given, refused=refused)
    require_clean(line)
    require(refused > 0, line, "there was no room")
    require(line.states == {"delivered": rows}, line, "with room again everything is delivered")
    return line


def two_audits(*, seed: int, rows: int) -> Line:
    """Send the same rows from two runs at once, each with a record of its own (T10).

    Events count once. Without each other's record, each run sets every state, under ids of its own.

    Args:
        seed: Decides the rows and the trouble.
        rows: How many rows.
    """
    frame = people(rows, people=rows // 10, seed=seed, parts=2)
    given = Input(frame=frame, batch_bytes=160 * rows // 30, parts=2)
    with hurried(), bench("T10", "two records at once", seed=seed, faults="flaky") as put:
        other = put.audit / "other"
        runs = [
            given.plan.send(put.client(), audit=audit, progress=False, wait=False)
            for audit in (put.audit / "one", other)
        ]
        for run in runs:
            run.wait()
        put.audit = other
        line = put.line(given)
    states = given.rows["holds"].sum()
    require(line.verdict.duplicated_after_dedupe == states, line, "each run sets each state once")
    verdict = replace(line.verdict, duplicated_after_dedupe=0)
    line = require_clean(replace(line, verdict=verdict))
    require(line.verdict.duplicated_raw >= rows, line, "each row arrived from both")
    return line


def second_writer(*, seed: int, rows: int = 300) -> Line:
    """Open the record of a run that goes on: it is refused at once, and free after the end (T10).

    Args:
        seed: Decides the rows.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=30, seed=seed), batch_bytes=4_000)
    with bench("T10", "second writer", seed=seed, faults=Faults(late=1.0, hold_s=0.2)) as put:
        run = given.plan.send(put.client(), audit=put.audit, progress=False, wait=False)
        told, took = "", math.inf
        for _ in range(5):  # on a busy machine one of them is quick
            started = time.monotonic()
            try:
                put.resume(given, run.audit)
            except AuditLockedError as error:
                told = str(error)
            took = min(took, time.monotonic() - started)
            if took < AT_ONCE_S:
                break
        forked = _forked(run)
        run.wait()
        line = put.line(given, refused_s=took, forked=forked)
    require_clean(line)
    require(str(os.getpid()) in told, line, f"the refusal names the process: {told!r}")
    require(took < AT_ONCE_S, line, "the refusal comes at once")
    require(forked == "AuditError", line, "a forked child cannot write")
    require(line.states == {"delivered": rows}, line, "the run was not disturbed")
    return line


def _forked(run: cio.Run) -> str:
    """Return what a forked child is told when it writes to the record of its parent's run."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this process has threads: the child ends at once
        pid = os.fork()
    if pid == 0:
        answer = "nothing"
        try:
            run._writer._store.publish_run(run._writer.run)  # noqa: SLF001 - the child is no user
        except AuditError:
            answer = "AuditError"
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    told = os.read(reading, 100).decode()
    os.close(reading)
    return told


def full_disk(at: int, *, seed: int, failure: int = errno.ENOSPC, rows: int = 400) -> Line:
    """Let the disk fail from one operation on; with room again, a resume completes (T11).

    Args:
        at: Which operation that takes room is the first to fail, as is every one after it.
        seed: Decides the rows and the trouble.
        failure: How it fails: no room, or an error of the device at a sync.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=40, seed=seed, parts=4), batch_bytes=3_000, parts=4)
    what = f"{errno.errorcode[failure]} at {at}"
    with hurried(), bench("T11", what, seed=seed, faults="flaky") as put:
        error = ""
        with failing(at, failure=failure) as operations:
            try:
                put.send(given)
            except AuditError as caught:
                error = str(caught)
        _complete(put, given)
        line = put.line(given, error=error, operations=len(operations))
    require_clean(line)
    require(line.verdict.open == 0, line, "with room again everything is delivered")
    require(error or len(operations) < at, line, "a failing disk is never passed over")
    return line


def _complete(put: Bench, given: Input) -> None:
    runs = sorted(path.parent for path in put.audit.glob("*/run.json"))
    if not runs:
        put.send(given)
        return
    require_clean(_recovered(put, given, runs))
    put.resume(given, runs[-1])


def _recovered(put: Bench, given: Input, runs: Sequence[Path]) -> Line:
    for run in runs:
        recover(run)
    return put.line(given)


@contextmanager
def failing(at: int, *, failure: int) -> Iterator[list[str]]:
    """Let the `at`-th operation that takes room, and all after it, fail; yields what was done."""
    done: list[str] = []
    names = ("sync",) if failure == errno.EIO else ("create", "write")

    def failed(name: str) -> Any:
        operation = getattr(LocalFileSystem, name)

        def call(drive: LocalFileSystem, *arguments: Any) -> Any:
            done.append(name)
            if len(done) >= at:
                if name == "write":
                    handle, data = arguments
                    operation(drive, handle, bytes(data)[: len(data) // 3])
                raise OSError(failure, os.strerror(failure))
            return operation(drive, *arguments)

        return mock.patch.object(LocalFileSystem, name, call)

    patches = [failed(name) for name in names]
    for patch in patches:
        patch.start()
    try:
        yield done
    finally:
        for patch in patches:
            patch.stop()


def points(count: int, *, seed: int, most: int) -> list[int]:
    """Return different operations at which a disk fails: the first ones, and others by chance."""
    first = list(range(1, count // 3 + 1))
    rest = np.random.default_rng(seed).choice(
        np.arange(first[-1] + 1, most), count - len(first), replace=False
    )
    return [*first, *sorted(int(at) for at in rest)]


def resume_unplanned(*, seed: int, rows: int = 1_000) -> Line:
    """Let a second run end before it has planned a row: its resume skips what the first delivered (T11).

    Args:
        seed: Decides the rows.
        rows: How many rows.
    """
    frame = people(rows, people=rows // 10, seed=seed, parts=4)
    given = Input(frame=frame, batch_bytes=6_000, parts=4)
    with hurried(), bench("T11", "resume of nothing planned", seed=seed) as put:
        put.workspace.faults = Faults(unauthorized=1.0, first=26)
        first = put.send(given)
        put.workspace.faults, runs, at = "none", [first.audit], 0
        while len(runs) == 1:
            at += 1
            with failing(at, failure=errno.ENOSPC), suppress(AuditError):
                put.send(given)
            runs = sorted(path.parent for path in put.audit.glob("*/run.json"))
        run = put.resume(given, runs[-1])
        line = put.line(given, skipped=run.counts["skipped_done"])
    require_clean(line)
    require(line.facts["skipped"] == first.counts["delivered"] > 0, line, "what arrived is skipped")
    return line
