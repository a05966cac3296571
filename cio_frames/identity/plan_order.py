"""The order of plans: what is lost in the current order, and an order that loses nothing.

Anonymous events count for a person only if they come before the identify that links them
(reference 3.3), a merge needs both people (3.4), and events and relationships of an unknown person
create a profile without attributes (3.5, 3.7).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from cio_frames.identity.preview import Preview
from cio_frames.identity.rules import join_settings, with_open_settings
from cio_frames.values import many

LATE: Final = ("anonymous.attributed-late", "anonymous.too-late")
UNKNOWN: Final = ("alias.primary-unknown", "alias.previous-unknown")
TOO_EARLY: Final = ("person.created-by-event", "person.created-by-group")
DROPPED: Final = ("event.unknown-person", "relationship.unknown-person")
IDENTIFIED: Final = (
    "person.created",
    "person.updated",
    "person.rekeyed",
    "identifier.replaced",
    "person.auto-merged",
)
CHAINS: Final = pl.Schema({
    "plan": pl.Int32(), "row": pl.Int64(), "user_id": pl.String(), "instead": pl.String(),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """The loss caused by one plan coming before another."""

    kind: str  # "late-events", "alias-too-early", "created-again", "created-bare" or "dropped"
    first: int  # position of the plan that should come first
    then: int  # position of the plan that should come after it
    rows: int  # how many rows it concerns
    sentence: str  # what happens now


@dataclass(frozen=True, slots=True)
class _Loss:
    """A kind of loss."""

    kind: str
    nouns: tuple[str, ...]  # what is counted, singular and plural
    sentence: str
    is_late: bool = False  # whether rows are lost because they come after the other plan


_LATE_EVENTS: Final = _Loss(
    "late-events", ("event",),
    "{plan} sends {count} of anonymous visitors after {other} has identified them. Customer.io "
    "attributes them to the person only if they arrive within 5 minutes.",
    is_late=True,
)  # fmt: skip
_EARLY_ALIASES: Final = _Loss(
    "alias-too-early", ("row",),
    "{plan} merges people in {count} before {other} creates them, so nothing is merged.",
)  # fmt: skip
_CREATED_AGAIN: Final = _Loss(
    "created-again", ("person", "people"),
    "{plan} creates {count} again after {other} has merged them into others.",
    is_late=True,
)  # fmt: skip
_CREATED_BARE: Final = _Loss(
    "created-bare", ("person", "people"),
    "{plan} creates {count} without attributes, before {other} identifies them.",
)  # fmt: skip
_DROPPED: Final = _Loss(
    "dropped", ("row",),
    "{plan} sends {count} about people before {other} creates them, so these rows are dropped.",
)  # fmt: skip


def order_problems(preview: Preview, *, calls: Sequence[str]) -> list[OrderProblem]:
    """Return the problems of the order of plans, most rows first."""
    changes = _keyed_changes(preview)
    identified = changes.filter(pl.col("rule").is_in(IDENTIFIED))
    bare = changes.filter(pl.col("rule").is_in(TOO_EARLY))
    dropped = changes.filter(pl.col("rule").is_in(DROPPED))
    problems = [
        *_problems(_LATE_EVENTS, _late_events(changes), calls),
        *_problems(_EARLY_ALIASES, _aliases_of_created(changes), calls),
        *_problems(_CREATED_AGAIN, _merged_and_created(changes), calls),
        *_problems(_CREATED_BARE, _with_first_plan(bare, identified, on="person"), calls),
        *_problems(_DROPPED, _with_first_plan(dropped, identified, on="key"), calls),
    ]
    return sorted(problems, key=lambda problem: -problem.rows)


def _problems(loss: _Loss, rows: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Yield a problem for each pair of plans; `against` is the other plan of each row."""
    plan, against = pl.col("plan"), pl.col("against")
    lost = rows.filter(against < plan if loss.is_late else against > plan)
    grouped = lost.group_by("plan", "against").agg(pl.len(), pl.col("open").unique())
    for plan_, other, count, settings in grouped.sort("plan", "against").iter_rows():
        text = loss.sentence.format(
            plan=f"plan {plan_} ({calls[plan_]})",
            other=f"plan {other} ({calls[other]})",
            count=many(count, *loss.nouns),
        )
        sentence = with_open_settings(text, join_settings(settings))
        first, then = (plan_, other) if loss.is_late else (other, plan_)
        yield OrderProblem(loss.kind, first, then, count, sentence)


def _keyed_changes(preview: Preview) -> pl.DataFrame:
    """Return the notable changes, and independent changes about the same people."""
    folded = [_folded("key").alias("key"), _folded("subject").alias("subject")]
    notable = preview.notable_changes.with_columns(folded)
    lost = notable.filter(pl.col("rule").is_in([*UNKNOWN, *DROPPED, "alias.merged"]))
    named = pl.concat([lost["key"], lost["subject"], lost["subject"].str.strip_chars("'\"")])
    if lost.is_empty():
        return notable
    is_named = pl.col("key").is_in(named.unique().implode())
    independent = preview.independent_changes.with_columns(folded).filter(is_named)
    return pl.concat([notable.lazy(), independent]).collect()


def unlinked_events(preview: Preview) -> int:
    """Return how many anonymous events belong to people who were identified before all plans."""
    linked = preview.notable_changes.filter(pl.col("rule") == "anonymous.linked")["person"]
    late = preview.notable_changes.filter(pl.col("rule").is_in(LATE))
    return late.filter(~pl.col("person").is_in(linked.implode())).height


def alias_chains(preview: Preview) -> pl.DataFrame:
    """Return the alias rows whose person was merged away by another row.

    Columns are plan, row, user_id, and the id to use instead.
    """
    merged = preview.notable_changes.filter(pl.col("rule") == "alias.merged")
    successors = {_fold(row["subject"]): row["key"] for row in merged.iter_rows(named=True)}
    failed = preview.notable_changes.filter(pl.col("rule") == "alias.primary-unknown")
    lines = []
    for row in failed.iter_rows(named=True):
        successor = _final_successor(_fold(row["key"]), successors)
        if successor is not None:
            lines.append((row["plan"], row["row"], row["key"], successor))
    return pl.DataFrame(lines, schema=CHAINS, orient="row")


def advised(count: int, problems: Sequence[OrderProblem]) -> tuple[int, ...] | None:
    """Return the order closest to the current one that loses nothing, None if there is none.

    Examples:
        >>> late = OrderProblem(kind="late-events", first=1, then=0, rows=3, sentence="")
        >>> advised(3, [late])
        (1, 0, 2)
    """
    required = {(problem.first, problem.then) for problem in problems}
    remaining, order = list(range(count)), []
    while remaining:
        free = (
            plan
            for plan in remaining
            if not any(then == plan and first in remaining for first, then in required)
        )
        plan = next(free, None)
        if plan is None:
            return None
        order.append(plan)
        remaining.remove(plan)
    return tuple(order)


def must_split(problems: Sequence[OrderProblem]) -> tuple[int, ...]:
    """Return the plans of events that must be split: one part before another plan, one after it."""
    required = {(problem.first, problem.then) for problem in problems}
    late = {problem.first for problem in problems if problem.kind == "late-events"}
    contradictory = {plan for pair in required if pair[::-1] in required for plan in pair}
    return tuple(sorted(contradictory & late or contradictory))


def sentences(problems: Sequence[OrderProblem], *, chains: int, unlinked: int) -> list[str]:
    """Return the losses of an order, in sentences."""
    lines = [f"{problem.sentence[0].upper()}{problem.sentence[1:]}" for problem in problems]
    if chains:
        lines.append(
            f"{many(chains, 'alias row merges', 'alias rows merge')} into a person whom another row has "
            "already merged away. Use the remaining person instead; backfill.advice().chains lists them."
        )
    if unlinked:
        text = (
            f"{many(unlinked, 'anonymous event belongs', 'anonymous events belong')} to people who were "
            "identified long ago. Such events stay anonymous unless the rows contain user_id."
        )
        lines.append(with_open_settings(text, "late_anonymous"))
    return lines


def _with_first_plan(rows: pl.DataFrame, others: pl.DataFrame, *, on: str) -> pl.DataFrame:
    """Return rows with the first plan that has other rows of the same person or key."""
    first = others.group_by(on).agg(pl.col("plan").min().alias("against"))
    return rows.join(first, on=on)


def _late_events(changes: pl.DataFrame) -> pl.DataFrame:
    """Return late anonymous events with the plan that links their visitor."""
    linked = changes.filter(pl.col("rule") == "anonymous.linked")
    late = changes.filter(pl.col("rule").is_in(LATE))
    return _with_first_plan(late, linked, on="person")


def _aliases_of_created(changes: pl.DataFrame) -> pl.DataFrame:
    """Return failed aliases with the last plan that creates their person."""
    failed = changes.filter(pl.col("rule").is_in(UNKNOWN)).with_columns(
        pl.when(pl.col("rule") == UNKNOWN[0]).then("key")
        .otherwise(pl.col("subject").str.strip_chars("'\"")).alias("key")
    )  # fmt: skip
    created = changes.filter(pl.col("kind") == "created").group_by("key")
    return failed.join(created.agg(pl.col("plan").max().alias("against")), on="key")


def _merged_and_created(changes: pl.DataFrame) -> pl.DataFrame:
    """Return created people with the first plan that merges them away."""
    merged = changes.filter(pl.col("rule") == "alias.merged").with_columns(key="subject")
    return _with_first_plan(changes.filter(pl.col("kind") == "created"), merged, on="key")


def _folded(column: str) -> pl.Expr:
    value = pl.col(column)
    return (
        pl.when(value.str.contains("@", literal=True))
        .then(value.str.to_lowercase())
        .otherwise(value)
    )


def _fold(key: str) -> str:
    return key.lower() if "@" in key else key


def _final_successor(key: str, successors: dict[str, str]) -> str | None:
    """Return the key of the person whom a merged person has become in the end."""
    seen: dict[str, str] = {}
    while key in successors and key not in seen:
        seen[key] = key = successors[key]
        key = _fold(key)
    return seen.popitem()[1] if seen else None
