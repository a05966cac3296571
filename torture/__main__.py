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
from torture.harness import Line, summed
from torture.table import drawn

AUDIT_KEY = "11" * 32
"""The key of the pseudonyms in the record of made-up people."""


def t1(seed: int) -> Iterator[Line]:
    """Kill -9 at 200 points, 20,000 rows, in bad weather."""
    yield kills.killed(200, seed=seed, rows=2_000, parts=10, least=10)


def t2(seed: int) -> Iterator[Line]:
    """End the process or cut the power at every operation on the disk, and within every write."""
    yield stateful.ended_everywhere(seed=seed)
    yield crashes.explored(apart=53, seed=seed)


def t3(seed: int) -> Iterator[Line]:
    """Random histories of engine and record in virtual time."""
    yield stateful.explored(300, steps=50, seed=seed)


def t4(seed: int) -> Iterator[Line]:
    """The matrix of bad weather."""
    lines = [chaos.weather(name, seed=seed, rows=20_000, requests=200) for name in chaos.WEATHERS]
    chaos.require_hit(lines)
    yield from lines
    yield chaos.links_of_earlier_plans(seed=seed, rows=20_000)
    yield chaos.throughput("clean", seed=seed, rows=100_000, least=15_000)
    yield chaos.throughput("chaos", seed=seed, rows=100_000, least=3_000)


def t5(seed: int) -> Iterator[Line]:
    """Prescribed answers."""
    yield chaos.prescribed(seed=seed, users=200, each=40, requests=200)


def t6(seed: int) -> Iterator[Line]:
    """Bad rows."""
    for count in (0, 1, 3, 50, None):
        yield rejections.poison(count, seed=seed, batches=20)


def t7(seed: int) -> Iterator[Line]:
    """Hosts that answer 200 whatever comes, and messages around the limits."""
    for known in (True, False):
        yield rejections.permissive(seed=seed, rows=5_000, known=known)
    yield rejections.sizes(seed=seed, combinations=10_000)


def t8(seed: int) -> Iterator[Line]:
    """413 at any size."""
    for limit in (20_000, 1_000, 450, None):
        yield rejections.too_large(limit, seed=seed, rows=1_000)


def t9(seed: int) -> Iterator[Line]:
    """A revoked key."""
    yield aborted_runs.revoked(seed=seed, rows=10_000)


def t10(seed: int) -> Iterator[Line]:
    """More than one writer."""
    yield aborted_runs.two_audits(seed=seed, rows=5_000)
    yield aborted_runs.second_writer(seed=seed)


def t11(seed: int) -> Iterator[Line]:
    """A disk that fails, from 60 different operations on."""
    for failure, what in ((errno.ENOSPC, "disk full"), (errno.EIO, "failing sync")):
        points = aborted_runs.points(30, seed=seed, most=150)
        lines = [aborted_runs.full_disk(at, seed=seed, failure=failure) for at in points]
        yield summed(lines, what=f"{what} at 30 points")
    yield aborted_runs.resume_refused(seed=seed)


def t12(seed: int) -> Iterator[Line]:
    """Damage to the record."""
    yield changed_inputs.corrupted(seed=seed, cases=50_000)


def t13(seed: int) -> Iterator[Line]:
    """The same rows again."""
    yield changed_inputs.again(seed=seed)
    yield changed_inputs.appended(seed=seed)
    same = [name for name, (_, _, again) in changed_inputs.DRIFTS.items() if not again]
    yield summed(
        [changed_inputs.drifted(name, seed=seed) for name in same], what=f"again, {len(same)} ways"
    )
    for name in changed_inputs.DRIFTS.keys() - same:
        yield changed_inputs.drifted(name, seed=seed)


def t14(seed: int) -> Iterator[Line]:
    """Interrupts."""
    for signals in (1, 2):
        yield interrupts.script(signals, seed=seed)
    yield interrupts.closed_output(seed=seed)
    for name in interrupts.CELLS:
        yield interrupts.notebook(name, seed=seed)


def t15(seed: int) -> Iterator[Line]:
    """Requests that are given up."""
    yield connection_churn.given_up(2_000, seed=seed)


def t16(seed: int) -> Iterator[Line]:
    """Hosts that ask to wait, and that fail."""
    yield connection_churn.asked_to_wait(seed=seed, wait_s=3.0)
    yield connection_churn.outage(seed=seed)


def t25(seed: int) -> Iterator[Line]:
    """The official SDK beside this package."""
    for name in baseline.TROUBLES:
        yield from baseline.compared(name, seed=seed, rows=20_000)


def t26(seed: int) -> Iterator[Line]:
    """Hosts that say everything twice."""
    for pause_s in (None, 0.0, 0.003, 0.015):
        yield misleading_data.doubled(seed=seed, rows=5_000, pause_s=pause_s)


def t27(seed: int) -> Iterator[Line]:
    """Parts that were changed and saved again."""
    yield misleading_data.forged(seed=seed)


def t28(seed: int) -> Iterator[Line]:
    """A thousand earlier runs."""
    yield misleading_data.many_runs(1_000, seed=seed, most_s=2.0)


def t29(seed: int) -> Iterator[Line]:
    """Forms, and a clock that goes back."""
    yield misleading_data.clock_back(seed=seed, rows=200)


def uncaught(seed: int) -> Iterator[str]:
    """Put every wrong sender on the bench and yield those that are not caught."""
    for mutant in mutants.MUTANTS.values():
        found = mutants.unmask(mutant, seed=seed).verdict.violations
        sys.stdout.write(f"A sender that {mutant.what}: {found}\n")
        if not set(found) & set(mutant.caught_by):
            yield f"A sender that {mutant.what} was not caught, seed {seed}."


TESTS: tuple[Callable[[int], Iterable[Line]], ...] = (
    t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, t16, t25, t26,
    t27, t28, t29,
)  # fmt: skip


def main() -> None:
    """Run the tests that were asked for."""
    parser = argparse.ArgumentParser(description="Prove that sending loses nothing.")
    parser.add_argument("tests", nargs="*", help="T1 to T16, T25 to T29; all of them by default")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="replays a run")
    given = parser.parse_args()
    os.environ["CIO_AUDIT_KEY"] = AUDIT_KEY
    wanted = {name.lower() for name in given.tests}
    if unknown := wanted - {test.__name__ for test in TESTS}:
        parser.error(f"there is no test {', '.join(sorted(unknown))}")
    lines: list[Line] = []
    failures: list[str] = []
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        sys.stdout.write(f"{test.__name__.upper()} {test.__doc__} (seed {given.seed})\n")
        sys.stdout.flush()
        try:
            lines += test(given.seed)
        except Exception as error:  # noqa: BLE001 - told below the table, whatever it is
            failures.append(f"{test.__name__.upper()}: {type(error).__name__}: {error}")
    if not wanted:
        failures += uncaught(given.seed)
    sys.stdout.write(f"\n{drawn(lines)}\n")
    sys.exit("\n".join(["", "FAILED", *failures]) if failures else 0)


if __name__ == "__main__":
    main()
