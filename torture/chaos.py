"""T4 and T5: every kind of fault, and prescribed answers to each message."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from cio_frames.sandbox import Faults
from cio_frames.sandbox.faults import KINDS
from torture.harness import Harness, Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, identify_plan, random_rows
from torture.proxy import ProxyTransport

CHAOS = Faults(
    failed=0.08, failed_after=0.02, reset_before=0.025, reset_after=0.025, throttled=0.04,
    throttled_with_wait=0.01, truncated=0.03, dripping=0.02, doubled=0.03, late=0.10,
)  # fmt: skip
"""Ten in a hundred fail, five are reset, half of those after applying, and so on."""

FAULT_PROFILES = {
    "clean": Faults(),
    "chaos": CHAOS,
    "storm of 429": Faults(throttled=0.3, throttled_with_wait=0.1, burst=5, wait_s=2.0),
    "resets": Faults(reset_before=0.2, reset_after=0.2),
    "cut answers": Faults(truncated=0.3),
    "slow answers": Faults(dripping=0.05, late=0.3, hold_s=0.2),
    "copies and overtaking": Faults(doubled=0.3, late=0.5, hold_s=0.1),
    "failures that apply": Faults(failed=0.1, failed_after=0.3),
    "outage": Faults(failed=0.6, reset_before=0.4, first=5, last=18),
}
"""The fault profiles of T4."""

PARTS = 4
GOOD, BAD = 200, 400
BAD_SHARE = 0.01


def send_with_faults(name: str, *, seed: int, rows: int, requests: int = 60) -> Line:
    """Send under faults: everything arrives, in order, and each row is accounted for (T4)."""
    workload = _workload(rows, seed=seed, requests=requests)
    with fast_clock(), set_up("T4", name, seed=seed, faults=FAULT_PROFILES[name]) as harness:
        run = harness.send(workload)
        line = harness.line(
            workload, faults=_fault_counts(harness), rows_per_s=round(rows / run.elapsed_s)
        )
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "every row is delivered")
    return line


def throughput(name: str, *, seed: int, rows: int, min_rows_per_s: int) -> Line:
    """Send full batches in real time, at the rate that the specification requires (T4)."""
    frame = random_rows(rows, people=rows // 10, seed=seed, parts=2)
    workload = Workload(frame=frame, parts=2)
    what = f"{name}, full batches"
    with set_up("T4", what, seed=seed, faults=FAULT_PROFILES[name]) as harness:
        run = harness.send(workload)
        line = harness.line(workload, rows_per_s=round(rows / run.elapsed_s))
    require_clean(line)
    require(
        line.facts["rows_per_s"] >= min_rows_per_s,
        line,
        f"at least {min_rows_per_s:,} rows a second",
    )
    return line


def require_all_faults(lines: Iterable[Line]) -> None:
    """Raise unless every kind of fault in the profiles has happened (T4)."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.facts["faults"])
    expected = {
        kind for faults in FAULT_PROFILES.values() for kind in KINDS if getattr(faults, kind)
    }
    require(set(counts) >= expected, line, f"every kind of fault happens: {counts}")


def links_of_earlier_plans(*, seed: int, rows: int = 2_000) -> Line:
    """Link devices to people in the first plan only: later plans keep the order (T4)."""
    frame = random_rows(rows, people=rows // 10, seed=seed)
    workload = Workload(frame=frame, batch_bytes=3_000, parts=PARTS, calls=(identify_plan,))
    with fast_clock(), set_up("T4", "links of earlier plans", seed=seed, faults=CHAOS) as harness:
        harness.send(workload)
        return require_clean(harness.line(workload))


def prescribed_answers(*, seed: int, users: int, rows_per_user: int, requests: int = 40) -> Line:
    """Prescribe the answers to each message: each gets the prescribed final state, in order (T5)."""
    scripts, poison = _scripts(users * rows_per_user, seed=seed)
    workload = _workload(
        users * rows_per_user, users=users, seed=seed, requests=requests, poison=poison
    )

    def prescribed_status(messages: list[dict[str, Any]], _: bytes) -> int | None:
        numbers = [(message.get("traits") or message["properties"])["n"] for message in messages]
        statuses = [scripts[n].pop(0) if len(scripts[n]) > 1 else scripts[n][0] for n in numbers]
        temporary = [status for status in statuses if status not in (GOOD, BAD)]
        return temporary[0] if temporary else BAD if BAD in statuses else None

    proxy = ProxyTransport(prescribed_status)
    with fast_clock(), set_up("T5", "prescribed answers", seed=seed) as harness:
        run = harness.send(workload, harness.client(transport=proxy))
        line = harness.line(workload, stopped=run.stopped)
        line = replace(
            line, requests=proxy.requests, facts={**line.facts, "passed_on": line.requests}
        )
    require_clean(line)
    states = Counter(line.states)
    states["blocked"] += states.pop("in_doubt", 0)  # blocked after a failure that may have applied
    expected = workload.expected_counts
    require(states == Counter(expected), line, f"each message ends as prescribed: {expected}")
    require(line.requests > line.facts["passed_on"], line, "some answers were prescribed")
    return line


def _scripts(count: int, *, seed: int) -> tuple[list[list[int]], set[int]]:
    """Return the statuses that answer each message, the last repeated, and the rejected rows."""
    rng = np.random.default_rng(seed)
    scripts = []
    for _ in range(count):
        temporary = rng.choice([500, 502, 503, 429, 408], rng.integers(0, 3) // 2).tolist()
        scripts.append([*temporary, BAD if rng.random() < BAD_SHARE else GOOD])
    return scripts, {n for n, script in enumerate(scripts) if script[-1] == BAD}


def _workload(
    rows: int, *, seed: int, requests: int, users: int = 0, poison: Iterable[int] = ()
) -> Workload:
    frame = random_rows(
        rows, people=users or max(2, rows // 10), seed=seed, parts=PARTS, poison=set(poison)
    )
    size = 160 * rows // requests
    return Workload(frame=frame, batch_bytes=max(1_000, size), parts=PARTS, poison=set(poison))


def _fault_counts(harness: Harness) -> dict[str, int]:
    """Return how often each kind of fault happened."""
    faults = harness.workspace.requests["fault"].drop_nulls()
    return dict(faults.value_counts().iter_rows())
