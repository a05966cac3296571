"""The effects of every row on one person, and the resulting profile, in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cio_frames.identity.preview import Preview
from cio_frames.identity.results import REMOVALS
from cio_frames.identity.rules import RULES, sentence, with_open_settings
from cio_frames.values import many

SHOWN_ROWS: Final = 5
SHOWN_STEPS: Final = 60


def explain(preview: Preview, who: str, *, calls: Sequence[str]) -> list[str]:
    """Return the effects on the person or visitor with an identifier, in sentences."""
    persons = _people(preview, who)
    visitors = preview.people.filter(~pl.col("known"), pl.col("anonymous_ids").list.contains(who))
    if not persons and not visitors.height and not _named(preview.changes, who).height:
        return [f"No row contains {who}, and no one in the workspace has that identifier."]
    steps = list(_steps(preview, who, persons=persons, calls=calls))
    if len(steps) > SHOWN_STEPS:
        hidden = len(steps) - SHOWN_STEPS
        steps = [*steps[:SHOWN_STEPS], f"{many(hidden, 'more step')} in preview.changes."]
    events = [_events(row, calls=calls) for row in _event_counts(preview, persons)]
    return [*steps, *events, *_results(preview, who, persons=persons, visitors=visitors)]


def _people(preview: Preview, who: str) -> list[str]:
    """Return the remaining people who have an identifier, or whose merged profiles had it."""
    lowered, bare = who.lower(), who.removeprefix("cio_")
    direct = preview.people.filter(
        (pl.col("id") == who)
        | (pl.col("email").str.to_lowercase() == lowered)
        | (pl.col("cio_id") == bare)
        | pl.col("anonymous_ids").list.contains(who)
    )["person"].drop_nulls()
    named = _named(preview.changes, who)["person"].drop_nulls()
    persons = [preview.successors.get(person, person) for person in [*direct, *named]]
    return list(dict.fromkeys(persons))


def _named(changes: pl.DataFrame, who: str) -> pl.DataFrame:
    """Return the changes under an identifier."""
    if "@" in who:
        keys = [pl.col(name).str.to_lowercase() == who.lower() for name in ("key", "subject")]
    else:
        keys = [pl.col("key") == who, pl.col("subject").is_in([who, repr(who)])]
    return changes.filter(pl.any_horizontal(keys))


def _steps(
    preview: Preview, who: str, *, persons: Sequence[str], calls: Sequence[str]
) -> Iterator[str]:
    merged = [gone for gone, person in preview.successors.items() if person in persons]
    own = preview.changes.filter(pl.col("person").is_in([*persons, *merged]))
    others = _named(preview.changes, who).filter(pl.col("person").is_null())
    changes = pl.concat([own, others]).unique(maintain_order=True)
    grouped = (
        changes.sort("plan", "row", maintain_order=True)
        .group_by("plan", "rule", "key", "other", "subject", "open", maintain_order=True)
        .agg(pl.col("row"))
    )
    for row in grouped.iter_rows(named=True):
        yield f"{_where(row['plan'], row['row'], calls=calls)}: {_sentence(row, preview.labels)}"


def _where(plan: int, rows: Sequence[int], *, calls: Sequence[str]) -> str:
    """Return the plan and the rows as text."""
    shown = ", ".join(f"{row:,}" for row in rows[:SHOWN_ROWS])
    more = f" and {len(rows) - SHOWN_ROWS:,} more" if len(rows) > SHOWN_ROWS else ""
    noun = "row" if len(rows) == 1 else "rows"
    before = f"plan {plan} ({calls[plan]}), " if len(calls) > 1 else ""
    return f"{before}{noun} {shown}{more}".capitalize()


def _sentence(row: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    parts = {name: row[name] for name in ("key", "other", "subject")}
    text = sentence(row["rule"], **parts, labels=labels)
    return f"{with_open_settings(text, row['open'])} [{RULES[row['rule']].source}]"


def _event_counts(preview: Preview, persons: Sequence[str]) -> Iterator[dict[str, Any]]:
    rows = preview.event_counts.filter(pl.col("person").is_in(list(persons))).sort("plan")
    yield from rows.iter_rows(named=True)


def _events(row: Mapping[str, Any], *, calls: Sequence[str]) -> str:
    extent = f"row {row['first']:,}" if row["first"] == row["last"] else (
        f"rows {row['first']:,} to {row['last']:,}"
    )  # fmt: skip
    before = f"plan {row['plan']} ({calls[row['plan']]}), " if len(calls) > 1 else ""
    return f"{before}{extent}".capitalize() + f": {many(row['events'], 'event')} of this person."


def _results(
    preview: Preview, who: str, *, persons: Sequence[str], visitors: pl.DataFrame
) -> Iterator[str]:
    people = preview.people.filter(
        pl.col("person").is_in(list(persons)), ~pl.col("action").is_in(REMOVALS)
    )
    for row in people.iter_rows(named=True):
        yield with_open_settings(f"Result: {_profile(row)}.", row["open"])
    for row in visitors.iter_rows(named=True):
        events = many(row["events"], "event")
        text = f"Result: the visitor {who} stays anonymous, with {events} that no person gets."
        yield with_open_settings(text, row["open"])
    if not people.height and not visitors.height:
        yield "Result: there is no such person."


def _profile(row: Mapping[str, Any]) -> str:
    parts = [f"{name} {row[name]}" for name in ("id", "email", "cio_id") if row[name]]
    if row["anonymous_ids"]:
        parts.append(f"anonymous IDs {', '.join(row['anonymous_ids'])}")
    verb = "is created" if row["action"] == "create" else "already existed and is updated"
    return f"a person with {', '.join(parts)}, who {verb} and gets {many(row['events'], 'event')}"
