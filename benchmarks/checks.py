"""All checks on a file of events: time and memory of the checks alone and of a plan."""

import resource
import sys
import time
from pathlib import Path

import polars as pl

import cio_frames as cio
from benchmarks.inputs import events_file
from cio_frames.validation import check, check_call, check_table, compile_checks, complete_findings

CHUNK_ROWS = 50_000
ROUNDS = 3


def run_checks(plan: cio.Plan) -> tuple[int, pl.DataFrame]:
    """Apply every check to every row, without encoding."""
    scope, rows = plan.pipeline.scope(), 0
    tests = compile_checks(plan.pipeline.applied, scope=scope, notes=plan.pipeline.table.notes)
    findings = [
        check_call(plan.pipeline.applied, scope=scope, notes=plan.pipeline.table.notes),
        check_table(plan.pipeline.table, checks=plan.pipeline.applied, scope=scope),
    ]
    for chunk in plan.pipeline.table.chunks(CHUNK_ROWS):
        rows += chunk.height
        findings.append(
            check(plan.pipeline.mapping.prepare(chunk), tests=tests, raw=chunk).findings
        )
    return rows, complete_findings(pl.concat(findings), checks=plan.pipeline.applied, rows=rows)


def peak_mb() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(rows: int) -> None:
    """Print the time of the checks, and of a plan with its report."""
    path = events_file(Path("build") / "benchmarks", rows)
    plan = cio.frame(cio.scan(path)).track(
        event="event", user_id="user_id", timestamp="occurred_at"
    )
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        count, findings = run_checks(plan)
        times.append(time.perf_counter() - start)
    print(f"{len(plan.pipeline.applied)} checks, {count:,} rows, {findings.height:,} findings")
    print(f"checks alone: best {min(times):.2f} s, worst {max(times):.2f} s; peak {peak_mb()} MB")
    start = time.perf_counter()
    repr(plan)
    print(f"plan and report: {time.perf_counter() - start:.2f} s; peak {peak_mb()} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
