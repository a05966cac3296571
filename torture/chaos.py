"""Bad weather of every kind, and answers that are prescribed for each message."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from cio_frames.sandbox import Faults
from cio_frames.sandbox.faults import KINDS
from torture.harness import Bench, Line, bench, hurried, require, require_clean
from torture.inputs import Input, identified, people
from torture.proxy import Front

CHAOS = Faults(
    failed=0.08, failed_after=0.02, reset_before=0.025, reset_after=0.025, throttled=0.04,
    throttled_with_wait=0.01, truncated=0.03, dripping=0.02, doubled=0.03, late=0.10,
)  # fmt: skip
"""Ten in a hundred fail, five are reset, half of those after applying, and so on."""

WEATHERS = {
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
"""The matrix of T4."""

PARTS = 4
GOOD, BAD = 200, 400
BAD_SHARE = 0.01


def weather(name: str, *, seed: int, rows: int, requests: int = 60) -> Line:
    """Send in bad weather: everything arrives, in order, and each row is accounted for (T4).

    Args:
        name: A key of `WEATHERS`.
        seed: Decides the rows and the trouble.
        rows: How many rows.
        requests: About how many requests they should make.
    """
    given = _input(rows, seed=seed, requests=requests)
    with hurried(), bench("T4", name, seed=seed, faults=WEATHERS[name]) as put:
        run = put.send(given)
        line = put.line(given, hits=_hits(put), rows_per_s=round(rows / run.elapsed_s))
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "every row is delivered")
    return line


def throughput(name: str, *, seed: int, rows: int, least: int) -> Line:
    """Send full batches in true time, at a rate that the specification asks for (T4).

    Args:
        name: A key of `WEATHERS`.
        seed: Decides the rows and the trouble.
        rows: How many rows.
        least: Rows per second.
    """
    frame = people(rows, people=rows // 10, seed=seed, parts=2)
    given = Input(frame=frame, parts=2)
    what = f"{name}, full batches"
    with bench("T4", what, seed=seed, faults=WEATHERS[name]) as put:
        run = put.send(given)
        line = put.line(given, rows_per_s=round(rows / run.elapsed_s))
    require_clean(line)
    require(line.facts["rows_per_s"] >= least, line, f"at least {least:,} rows a second")
    return line


def require_hit(lines: Iterable[Line]) -> None:
    """Raise unless every kind of trouble in the matrix has happened (the guard of T4)."""
    hits: Counter[str] = Counter()
    for line in lines:
        hits.update(line.facts["hits"])
    expected = {kind for faults in WEATHERS.values() for kind in KINDS if getattr(faults, kind)}
    require(set(hits) >= expected, line, f"every kind of trouble happens: {hits}")


def links_of_earlier_plans(*, seed: int, rows: int = 2_000) -> Line:
    """Say in the first plan only which devices are whose: later plans keep to it (T4).

    Args:
        seed: Decides the rows and the trouble.
        rows: How many rows.
    """
    frame = people(rows, people=rows // 10, seed=seed)
    given = Input(frame=frame, batch_bytes=3_000, parts=PARTS, calls=(identified,))
    with hurried(), bench("T4", "links of earlier plans", seed=seed, faults=CHAOS) as put:
        put.send(given)
        return require_clean(put.line(given))


def prescribed(*, seed: int, users: int, each: int, requests: int = 40) -> Line:
    """Prescribe the answers to each message: each ends once, as prescribed, in order (T5).

    Args:
        seed: Decides the rows and their answers.
        users: How many people.
        each: About how many messages each.
        requests: About how many requests they should make.
    """
    scripts, poison = _scripts(users * each, seed=seed)
    given = _input(users * each, users=users, seed=seed, requests=requests, poison=poison)

    def before(messages: list[dict[str, Any]], _: bytes) -> int | None:
        numbers = [(message.get("traits") or message["properties"])["n"] for message in messages]
        heads = [scripts[n].pop(0) if len(scripts[n]) > 1 else scripts[n][0] for n in numbers]
        passing = [status for status in heads if status not in (GOOD, BAD)]
        return passing[0] if passing else BAD if BAD in heads else None

    front = Front(before)
    with hurried(), bench("T5", "prescribed answers", seed=seed) as put:
        run = put.send(given, put.client(transport=front))
        line = put.line(given, stopped=run.stopped)
        line = replace(
            line, requests=front.requests, facts={**line.facts, "passed_on": line.requests}
        )
    require_clean(line)
    told = Counter(line.states)
    told["blocked"] += told.pop("in_doubt", 0)  # held back, after a failure that may have applied
    require(told == Counter(given.ends), line, f"each message ends as prescribed: {given.ends}")
    require(line.requests > line.facts["passed_on"], line, "some answers were prescribed")
    return line


def _scripts(count: int, *, seed: int) -> tuple[list[list[int]], set[int]]:
    """Return the answers to each message, the last one for good, and those that are refused."""
    chance = np.random.default_rng(seed)
    scripts = []
    for _ in range(count):
        passing = chance.choice([500, 502, 503, 429, 408], chance.integers(0, 3) // 2).tolist()
        scripts.append([*passing, BAD if chance.random() < BAD_SHARE else GOOD])
    return scripts, {n for n, script in enumerate(scripts) if script[-1] == BAD}


def _input(
    rows: int, *, seed: int, requests: int, users: int = 0, poison: Iterable[int] = ()
) -> Input:
    frame = people(
        rows, people=users or max(2, rows // 10), seed=seed, parts=PARTS, poison=set(poison)
    )
    size = 160 * rows // requests
    return Input(frame=frame, batch_bytes=max(1_000, size), parts=PARTS, poison=set(poison))


def _hits(put: Bench) -> dict[str, int]:
    """Return how often each kind of trouble happened."""
    found = put.workspace.requests["fault"].drop_nulls()
    return dict(found.value_counts().iter_rows())
