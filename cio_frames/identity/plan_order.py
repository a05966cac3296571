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


def order_problems(preview: Preview, *, calls: Sequence[str]) -> list[OrderProblem]:
    """Return the problems of the order of plans, most rows first."""
    keyed = _keyed_changes(preview)
    problems = [
        *_late_events(keyed, calls),
        *_early_aliases(keyed, calls),
        *_created_again(keyed, calls),
        *_created_without_attributes(keyed, calls),
    ]
    return sorted(problems, key=lambda problem: -problem.rows)


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


def _late_events(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Yield the plans whose anonymous events come after the identify that links their visitor."""
    linked = keyed.filter(pl.col("rule") == "anonymous.linked")
    by = linked.group_by("person").agg(pl.col("plan").min().alias("against"))
    late = keyed.filter(pl.col("rule").is_in(LATE)).join(by, on="person")
    for plan, other, rows, rests_on in _pairs(late.filter(pl.col("against") < pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} sends {many(rows, 'event')} of anonymous visitors after "
            f"{_the(other, calls)} has identified them. Customer.io attributes them to the person only "
            "if they arrive within 5 minutes."
        )
        yield OrderProblem("late-events", plan, other, rows, with_open_settings(sentence, rests_on))


def _early_aliases(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Yield the plans with aliases of people whom a later plan creates."""
    failed = keyed.filter(pl.col("rule").is_in(UNKNOWN)).with_columns(
        pl.when(pl.col("rule") == UNKNOWN[0]).then("key")
        .otherwise(pl.col("subject").str.strip_chars("'\"")).alias("key")
    )  # fmt: skip
    created = keyed.filter(pl.col("kind") == "created")
    by = created.group_by("key").agg(pl.col("plan").max().alias("against"))
    early = failed.join(by, on="key").filter(pl.col("against") > pl.col("plan"))
    for plan, other, rows, rests_on in _pairs(early):
        sentence = (
            f"{_the(plan, calls)} merges people in {many(rows, 'row')} before {_the(other, calls)} "
            "creates them, so nothing is merged."
        )
        yield OrderProblem(
            "alias-too-early", other, plan, rows, with_open_settings(sentence, rests_on)
        )


def _created_again(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Yield the plans that create people again who were merged away."""
    merged = keyed.filter(pl.col("rule") == "alias.merged")
    gone = merged.group_by(pl.col("subject").alias("key")).agg(
        pl.col("plan").min().alias("against")
    )
    created = keyed.filter(pl.col("kind") == "created").join(gone, on="key")
    for plan, other, rows, rests_on in _pairs(created.filter(pl.col("against") < pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} creates {many(rows, 'person', 'people')} again after "
            f"{_the(other, calls)} has merged them into others."
        )
        yield OrderProblem(
            "created-again", plan, other, rows, with_open_settings(sentence, rests_on)
        )


def _created_without_attributes(
    keyed: pl.DataFrame, calls: Sequence[str]
) -> Iterator[OrderProblem]:
    """Yield the plans with events or relationships of people whom a later plan identifies."""
    identified = keyed.filter(pl.col("rule").is_in(IDENTIFIED))
    by_person = identified.group_by("person").agg(pl.col("plan").min().alias("against"))
    bare = keyed.filter(pl.col("rule").is_in(TOO_EARLY)).join(by_person, on="person")
    by_key = identified.group_by("key").agg(pl.col("plan").min().alias("against"))
    dropped = keyed.filter(pl.col("rule").is_in(DROPPED)).join(by_key, on="key")
    for plan, other, rows, rests_on in _pairs(bare.filter(pl.col("against") > pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} creates {many(rows, 'person', 'people')} without attributes, "
            f"before {_the(other, calls)} identifies them."
        )
        yield OrderProblem(
            "created-bare", other, plan, rows, with_open_settings(sentence, rests_on)
        )
    for plan, other, rows, rests_on in _pairs(dropped.filter(pl.col("against") > pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} sends {many(rows, 'row')} about people before {_the(other, calls)} "
            "creates them, so these rows are dropped."
        )
        yield OrderProblem("dropped", other, plan, rows, with_open_settings(sentence, rests_on))


def _pairs(rows: pl.DataFrame) -> Iterator[tuple[int, int, int, str | None]]:
    """Yield pairs of plans with their number of rows, and the open settings these rest on."""
    grouped = rows.group_by("plan", "against").agg(pl.len(), pl.col("open").unique())
    for plan, against, count, settings in grouped.sort("plan", "against").iter_rows():
        yield plan, against, count, join_settings(settings)


def _the(plan: int, calls: Sequence[str]) -> str:
    return f"plan {plan} ({calls[plan]})"


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
