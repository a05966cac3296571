"""Run every test in its full size and print one table: `python -m torture [T1 T4 ...] [--seed 7]`."""

import argparse
import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from torture import (
    aborted_runs,
    baseline,
    changed_inputs,
    chaos,
    connection_churn,
    crashes,
    interrupts,
    kills,
    misleading_data,
    mutants,
    rejections,
    stateful,
)
from torture.harness import Line, sum_lines
from torture.table import format_table

AUDIT_KEY = "11" * 32
"""The pseudonym key of the records made here."""


def t1(seed: int) -> Iterator[Line]:
    """Kill -9 at 200 points, 20,000 rows, with faults."""
    yield kills.kill_senders(200, seed=seed, rows=2_000, parts=10, kills_per_phase=10)


def t2(seed: int) -> Iterator[Line]:
    """End the process or cut the power at every disk operation, and within every write."""
    yield stateful.crash_at_every_operation(seed=seed)
    yield crashes.check_all(step_bytes=53, seed=seed)


def t3(seed: int) -> Iterator[Line]:
    """Random histories of engine and record in virtual time."""
    yield stateful.run_histories(300, steps=50, seed=seed)


def t4(seed: int) -> Iterator[Line]:
    """Every fault profile."""
    lines = [
        chaos.send_with_faults(name, seed=seed, rows=20_000, requests=200)
        for name in chaos.FAULT_PROFILES
    ]
    chaos.require_all_faults(lines)
    yield from lines
    yield chaos.links_of_earlier_plans(seed=seed, rows=20_000)
    yield chaos.throughput("clean", seed=seed, rows=100_000, min_rows_per_s=15_000)
    yield chaos.throughput("chaos", seed=seed, rows=100_000, min_rows_per_s=3_000)


def t5(seed: int) -> Iterator[Line]:
    """Prescribed answers."""
    yield chaos.prescribed_answers(seed=seed, users=200, rows_per_user=40, requests=200)


def t6(seed: int) -> Iterator[Line]:
    """Bad rows."""
    for count in (0, 1, 3, 50, None):
        yield rejections.bad_rows(count, seed=seed, batches=20)


def t7(seed: int) -> Iterator[Line]:
    """Hosts that answer 200 to everything, and messages around the limits."""
    for has_key in (True, False):
        yield rejections.permissive_host(seed=seed, rows=5_000, has_key=has_key)
    yield rejections.sizes_around_limits(seed=seed, combinations=10_000)


def t8(seed: int) -> Iterator[Line]:
    """413 at any size."""
    for limit in (20_000, 1_000, 450, None):
        yield rejections.send_to_limited_host(limit, seed=seed, rows=1_000)


def t9(seed: int) -> Iterator[Line]:
    """A revoked key."""
    yield aborted_runs.revoked_key(seed=seed, rows=10_000)


def t10(seed: int) -> Iterator[Line]:
    """More than one writer."""
    yield aborted_runs.two_audits(seed=seed, rows=5_000)
    yield aborted_runs.second_writer(seed=seed)


def t11(seed: int) -> Iterator[Line]:
    """A disk that fails from one of 60 operations on."""
    for failure, what in ((errno.ENOSPC, "disk full"), (errno.EIO, "failing sync")):
        points = aborted_runs.failure_points(30, seed=seed, last=150)
        lines = [aborted_runs.failing_disk(at, seed=seed, failure=failure) for at in points]
        yield sum_lines(lines, what=f"{what} at 30 points")
    yield aborted_runs.resume_on_full_disk(seed=seed)


def t12(seed: int) -> Iterator[Line]:
    """Damage to the record."""
    yield changed_inputs.corrupt_record(seed=seed, cases=50_000)


def t13(seed: int) -> Iterator[Line]:
    """The same rows again."""
    yield changed_inputs.resume_finished(seed=seed)
    yield changed_inputs.append_rows(seed=seed)
    same = [name for name, (_, _, resent) in changed_inputs.CHANGES.items() if not resent]
    yield sum_lines(
        [changed_inputs.send_changed(name, seed=seed) for name in same],
        what=f"again, {len(same)} ways",
    )
    for name in changed_inputs.CHANGES.keys() - same:
        yield changed_inputs.send_changed(name, seed=seed)


def t14(seed: int) -> Iterator[Line]:
    """Interrupts."""
    for signals in (1, 2):
        yield interrupts.interrupt_script(signals, seed=seed)
    yield interrupts.closed_output(seed=seed)
    for name in interrupts.CELLS:
        yield interrupts.interrupt_cell(name, seed=seed)


def t15(seed: int) -> Iterator[Line]:
    """Requests that are abandoned."""
    yield connection_churn.abandoned_requests(2_000, seed=seed)


def t16(seed: int) -> Iterator[Line]:
    """Hosts that send Retry-After, and hosts that fail."""
    yield connection_churn.retry_after(seed=seed, wait_s=3.0)
    yield connection_churn.outage(seed=seed)


def t25(seed: int) -> Iterator[Line]:
    """The official SDK beside this package."""
    for name in baseline.FAULT_PROFILES:
        yield from baseline.compare_with_sdk(name, seed=seed, rows=20_000)


def t26(seed: int) -> Iterator[Line]:
    """Hosts that answer everything twice."""
    for pause_s in (None, 0.0, 0.003, 0.015):
        yield misleading_data.repeated_answers(seed=seed, rows=5_000, pause_s=pause_s)


def t27(seed: int) -> Iterator[Line]:
    """Parts that were changed and saved again."""
    yield misleading_data.changed_parts(seed=seed)


def t28(seed: int) -> Iterator[Line]:
    """A thousand earlier runs."""
    yield misleading_data.many_runs(1_000, seed=seed, max_s=2.0)


def t29(seed: int) -> Iterator[Line]:
    """Forms, and a clock that is set back."""
    yield misleading_data.clock_set_back(seed=seed, rows=200)


def uncaught(seed: int) -> Iterator[str]:
    """Run every wrong sender and yield a sentence for each that is not caught."""
    for mutant in mutants.MUTANTS.values():
        violations = mutants.run_mutant(mutant, seed=seed).verdict.violations
        sys.stdout.write(f"A sender that {mutant.what}: {violations}\n")
        if not set(violations) & set(mutant.caught_by):
            yield f"A sender that {mutant.what} was not caught, seed {seed}."


TESTS: tuple[Callable[[int], Iterable[Line]], ...] = (
    t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, t16, t25, t26,
    t27, t28, t29,
)  # fmt: skip


def main() -> None:
    """Run the tests named on the command line, or all."""
    parser = argparse.ArgumentParser(description="Prove that sending loses nothing.")
    parser.add_argument("tests", nargs="*", help="T1 to T16, T25 to T29; all of them by default")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="replays a run")
    arguments = parser.parse_args()
    os.environ["CIO_AUDIT_KEY"] = AUDIT_KEY
    wanted = {name.lower() for name in arguments.tests}
    if unknown := wanted - {test.__name__ for test in TESTS}:
        parser.error(f"there is no test {', '.join(sorted(unknown))}")
    lines: list[Line] = []
    failures: list[str] = []
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        sys.stdout.write(f"{test.__name__.upper()} {test.__doc__} (seed {arguments.seed})\n")
        sys.stdout.flush()
        try:
            lines += test(arguments.seed)
        except Exception as error:  # noqa: BLE001 - any failure is printed below the table
            failures.append(f"{test.__name__.upper()}: {type(error).__name__}: {error}")
    if not wanted:
        failures += uncaught(arguments.seed)
    sys.stdout.write(f"\n{format_table(lines)}\n")
    sys.exit("\n".join(["", "FAILED", *failures]) if failures else 0)


if __name__ == "__main__":
    main()
