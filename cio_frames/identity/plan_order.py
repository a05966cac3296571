"""The order of plans: what the given one loses, and one that loses nothing.

Anonymous events count for a person only if they come before the identify that links them
(reference 3.3), a merge needs both its people (3.4), and events and relationships of somebody
unknown create a person without attributes (3.5, 3.7).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from cio_frames.identity.preview import Preview
from cio_frames.identity.rules import joined, marked
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
    """What is lost because one plan comes before another."""

    kind: str  # "late-events", "alias-too-early", "created-again" or "created-bare"
    first: int  # position of the plan that should come first
    then: int  # position of the plan that should come after it
    rows: int  # how many rows it concerns
    sentence: str  # what happens now


def order_problems(preview: Preview, *, calls: Sequence[str]) -> list[OrderProblem]:
    """Return what the order of the plans loses, most rows first."""
    keyed = _keyed(preview)
    every = [
        *_late(keyed, calls),
        *_aliases(keyed, calls),
        *_again(keyed, calls),
        *_bare(keyed, calls),
    ]
    return sorted(every, key=lambda problem: -problem.rows)


def _keyed(preview: Preview) -> pl.DataFrame:
    """Return the changes of messages that meet others, and of those that name the same people."""
    folded = [_folded("key").alias("key"), _folded("subject").alias("subject")]
    notable = preview.notable.with_columns(folded)
    lost = notable.filter(pl.col("rule").is_in([*UNKNOWN, *DROPPED, "alias.merged"]))
    named = pl.concat([lost["key"], lost["subject"], lost["subject"].str.strip_chars("'\"")])
    if lost.is_empty():
        return notable
    plain = preview.plain.with_columns(folded).filter(pl.col("key").is_in(named.unique().implode()))
    return pl.concat([notable.lazy(), plain]).collect()


def unlinked_events(preview: Preview) -> int:
    """Return how many anonymous events belong to people who were identified before all plans."""
    linked = preview.notable.filter(pl.col("rule") == "anonymous.linked")["person"]
    late = preview.notable.filter(pl.col("rule").is_in(LATE))
    return late.filter(~pl.col("person").is_in(linked.implode())).height


def alias_chains(preview: Preview) -> pl.DataFrame:
    """Return the alias rows whose person was merged away by another one, with whom to name.

    Columns are plan, row, user_id as it is, and the id to write instead.
    """
    merged = preview.notable.filter(pl.col("rule") == "alias.merged")
    successors = {_fold(row["subject"]): row["key"] for row in merged.iter_rows(named=True)}
    failed = preview.notable.filter(pl.col("rule") == "alias.primary-unknown")
    lines = []
    for row in failed.iter_rows(named=True):
        successor = _last(_fold(row["key"]), successors)
        if successor is not None:
            lines.append((row["plan"], row["row"], row["key"], successor))
    return pl.DataFrame(lines, schema=CHAINS, orient="row")


def advised(count: int, problems: Sequence[OrderProblem]) -> tuple[int, ...] | None:
    """Return an order that loses nothing, as near to the given one as can be; None if none is.

    Examples:
        >>> late = OrderProblem(kind="late-events", first=1, then=0, rows=3, sentence="")
        >>> advised(3, [late])
        (1, 0, 2)
    """
    wishes = {(problem.first, problem.then) for problem in problems}
    left, order = list(range(count)), []
    while left:
        free = [
            place
            for place in left
            if not any(then == place and first in left for first, then in wishes)
        ]
        if not free:
            return None
        order.append(free[0])
        left.remove(free[0])
    return tuple(order)


def must_split(problems: Sequence[OrderProblem]) -> tuple[int, ...]:
    """Return the plans of events of which a part belongs before a plan and a part after it."""
    wishes = {(problem.first, problem.then) for problem in problems}
    late = {problem.first for problem in problems if problem.kind == "late-events"}
    both = {place for pair in wishes if pair[::-1] in wishes for place in pair}
    return tuple(sorted(both & late or both))


def sentences(problems: Sequence[OrderProblem], *, chains: int, unlinked: int) -> list[str]:
    """Return what an order loses, in sentences."""
    lines = [f"{problem.sentence[0].upper()}{problem.sentence[1:]}" for problem in problems]
    if chains:
        lines.append(
            f"{many(chains, 'alias row merges', 'alias rows merge')} into a person whom another row has "
            "already merged away. Use the remaining person instead; backfill.advice().chains lists them."
        )
    if unlinked:
        told = (
            f"{many(unlinked, 'anonymous event belongs', 'anonymous events belong')} to people who were "
            "identified long ago. Such events stay anonymous unless the rows contain user_id."
        )
        lines.append(marked(told, "late_anonymous"))
    return lines


def _late(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Anonymous events after the identify that links their visitor."""
    linked = keyed.filter(pl.col("rule") == "anonymous.linked")
    by = linked.group_by("person").agg(pl.col("plan").min().alias("against"))
    late = keyed.filter(pl.col("rule").is_in(LATE)).join(by, on="person")
    for plan, other, rows, rests_on in _pairs(late.filter(pl.col("against") < pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} sends {many(rows, 'event')} of anonymous visitors after "
            f"{_the(other, calls)} has identified them. Customer.io attributes them to the person only "
            "if they arrive within 5 minutes."
        )
        yield OrderProblem("late-events", plan, other, rows, marked(sentence, rests_on))


def _aliases(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """Aliases of people whom a later plan creates."""
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
        yield OrderProblem("alias-too-early", other, plan, rows, marked(sentence, rests_on))


def _again(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """People who are merged away and then created again."""
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
        yield OrderProblem("created-again", plan, other, rows, marked(sentence, rests_on))


def _bare(keyed: pl.DataFrame, calls: Sequence[str]) -> Iterator[OrderProblem]:
    """People who are created by an event or a relationship before they are identified."""
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
        yield OrderProblem("created-bare", other, plan, rows, marked(sentence, rests_on))
    for plan, other, rows, rests_on in _pairs(dropped.filter(pl.col("against") > pl.col("plan"))):
        sentence = (
            f"{_the(plan, calls)} sends {many(rows, 'row')} about people before {_the(other, calls)} "
            "creates them, so these rows are dropped."
        )
        yield OrderProblem("dropped", other, plan, rows, marked(sentence, rests_on))


def _pairs(rows: pl.DataFrame) -> Iterator[tuple[int, int, int, str | None]]:
    """Yield each two plans with how many rows there are, and the open settings they rest on."""
    grouped = rows.group_by("plan", "against").agg(pl.len(), pl.col("open").unique())
    for plan, against, count, settings in grouped.sort("plan", "against").iter_rows():
        yield plan, against, count, joined(settings)


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


def _last(key: str, successors: dict[str, str]) -> str | None:
    """Return whom somebody who was merged away has become in the end."""
    seen: dict[str, str] = {}
    while key in successors and key not in seen:
        seen[key] = key = successors[key]
        key = _fold(key)
    return seen.popitem()[1] if seen else None
