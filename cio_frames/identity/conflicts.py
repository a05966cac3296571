"""Rows that will not have the effect they ask for: each kind, and how to fix it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from cio_frames.identity.identifiers import identifier_of
from cio_frames.identity.rules import RULES, join_settings, sentence, with_open_settings

TOO_LARGE: Final = "cluster.too-large"
OTHER_FORM: Final = "identifier.other-form"
ROWS_PER_IDENTIFIER: Final = 10
"""How many rows a cluster may have for each identifier that it may have."""

PLACES: Final = pl.List(pl.Struct({"plan": pl.Int32(), "row": pl.Int64()}))
CONFLICTS: Final = pl.Schema({
    "kind": pl.String(), "ids": pl.List(pl.String), "count": pl.Int64(), "sentence": pl.String(),
    "hint": pl.String(), "source": pl.String(), "rows": PLACES, "open": pl.String(),
})  # fmt: skip
SHOWN_IDS: Final = 12

HINTS: Final[Mapping[str, str]] = MappingProxyType({
    "identifier.taken": "Decide whether they are one person. If so, merge them with an alias call first; if not, correct the e-mail address.",
    "identifier.fixed": "Address the person by cio_id (userId 'cio_...'), which can change identifiers, or allow e-mail updates in the workspace (email_updates=True).",
    "object.stale": "Nothing to do if the newer values should stay. To overwrite them, leave out the timestamp.",
    "email.refused": "Correct the address, or leave it out of the row.",
    "attribute.stale": "Nothing to do if the newer values should stay. To overwrite them, leave out the timestamp.",
    "identifier.replaced": "Decide whether they are one person. If so, use one identifier in all rows of the person; if not, correct the e-mail address.",
    "attribute.read-only": "Leave the column out of the traits.",
    "anonymous.not-reusable": "Two people used the same device. Leave the anonymous ID out of the later row.",
    "alias.incomplete": "Fill in user_id and previous_id.",
    "alias.primary-unknown": "Identify the person to keep before the alias, in an earlier plan.",
    "alias.previous-unknown": "Nothing is lost. If the person should exist, identify them first. To link an anonymous ID, use identify, not alias.",
    "alias.self": "Leave the row out.",
    "cio-id.unknown": "Use the cio_ids of a recent export, or address the person by ID or e-mail address.",
    "identifier.suppressed": "Leave the row out, or end the suppression with a 'User Unsuppressed' event if you are allowed to.",
    "identifier.disabled": "Use an identifier that the workspace is configured for (Workspace(identifiers=...)).",
    "person.missing": "Add an identifier.",
    "person.unknown": "Leave the row out: this person does not exist.",
    "person.not-suppressed": "Leave the row out.",
    "event.unknown-person": "Identify the person before the event.",
    "relationship.unknown-person": "Identify the person before the group call.",
    "relationship.unknown": "Leave the row out: there is no such relationship.",
    "object.unknown": "Leave the row out: there is no such object.",
    "object.type-unknown": "Create the object type in Customer.io first, or correct object_type_id.",
    "object.missing": "Add the ID of the object.",
    "device.no-token": "Map the token to context: context={'device.token': 'column'}.",
    "form.no-identifier": "Map the form's e-mail field: form(email='column').",
    "form.two-identifiers": "Send either the e-mail address or the ID.",
    "form.not-text": "Convert the value to text.",
    OTHER_FORM: "Check in Customer.io which spelling is right. Read the other table again with IDs as text (cio.scan, dtype=str), or repair its IDs, for example with plan.fix('id.float-text').",
    TOO_LARGE: "Check whether one value is a placeholder (a shared account, a tester, 'guest'). If so, leave it out or replace it; if it is one person, raise largest=.",
})  # fmt: skip

MINOR: Final = frozenset(
    {"alias.previous-unknown", "alias.self", "person.not-suppressed", "relationship.unknown",
     "object.unknown", "attribute.read-only", "attribute.stale", "object.stale", "person.unknown"}
)  # fmt: skip
"""Kinds that are reported but do not block: the requested state exists already, or is harmless."""


def failures(changes: pl.DataFrame) -> pl.DataFrame:
    """Return the changes that are reported as conflicts."""
    return changes.filter(pl.col("rule").is_in([rule for rule in HINTS if rule in RULES]))


def conflicts_of(failures: pl.DataFrame, *, labels: Mapping[str, str]) -> pl.DataFrame:
    """Return failures as conflicts, one line for each kind and set of identifiers."""
    grouped = failures.group_by("rule", "key", "other", "subject", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("count"),
        pl.struct("plan", "row").alias("rows"),
        pl.col("open").drop_nulls().unique(),
    )
    lines = [_line(row, labels=labels) for row in grouped.iter_rows(named=True)]
    return pl.DataFrame(lines, schema=CONFLICTS)


def largest_first(sizes: pl.DataFrame) -> pl.DataFrame:
    """Return clusters, the largest first."""
    return sizes.sort("identifiers", "rows", "cluster", descending=[True, True, False])


def too_large(
    edges: pl.DataFrame, sizes: pl.LazyFrame, *, places: pl.DataFrame, largest: int
) -> pl.DataFrame:
    """Return the clusters that are too large to be one person."""
    is_over = (pl.col("identifiers") > largest) | (pl.col("rows") > ROWS_PER_IDENTIFIER * largest)
    over = largest_first(sizes.filter(is_over).collect(engine="streaming"))
    members = edges.filter(pl.col("cluster").is_in(over["cluster"].implode()))
    lines = [
        _large(row, members.filter(pl.col("cluster") == row["cluster"]), places=places)
        for row in over.iter_rows(named=True)
    ]
    return pl.DataFrame(lines, schema=CONFLICTS)


def _line(row: Mapping[str, Any], *, labels: Mapping[str, str]) -> dict[str, Any]:
    rule, rests_on = RULES[row["rule"]], join_settings(row["open"])
    parts = {name: row[name] for name in ("key", "other", "subject")}
    text = sentence(rule.name, **parts, labels=labels)
    named = (row["key"], row["subject"], labels.get(row["other"]))
    return {
        "kind": rule.name,
        "ids": list(dict.fromkeys(name for name in named if name is not None)),
        "count": row["count"],
        "sentence": with_open_settings(text, rests_on),
        "hint": HINTS[rule.name],
        "source": rule.source,
        "rows": row["rows"],
        "open": rests_on,
    }


def _large(
    size: Mapping[str, Any], members: pl.DataFrame, *, places: pl.DataFrame
) -> dict[str, Any]:
    ranked = _hubs(members)
    hub = ranked[0]
    rows = (
        members.filter((pl.col("key") == hub) | (pl.col("other") == hub))
        .select("number").unique().join(places, on="number").sort("plan", "row")
    )  # fmt: skip
    text = (
        f"{identifier_of(hub)} links {size['identifiers']:,} identifiers in {size['rows']:,} rows, "
        "which is unlikely to be one person."
    )
    return {
        "kind": TOO_LARGE,
        "ids": [identifier_of(key) for key in ranked],
        "count": rows.height,
        "sentence": text,
        "hint": HINTS[TOO_LARGE],
        "source": "a guard of this package",
        "rows": rows.select("plan", "row").to_dicts(),
        "open": None,
    }


def _hubs(members: pl.DataFrame) -> list[str]:
    """Return the identifiers of a cluster, those linked to most others first, then by rows."""
    links = pl.concat(
        [
            members.select(pl.col("key").alias("node"), pl.col("other").alias("to"), "number"),
            members.select(pl.col("other").alias("node"), pl.col("key").alias("to"), "number"),
        ]
    ).drop_nulls("node")
    ranked = links.group_by("node").agg(pl.col("to").n_unique(), pl.col("number").n_unique())
    names = ranked.sort("to", "number", "node", descending=[True, True, False])["node"]
    return names.head(SHOWN_IDS).to_list()


def kinds(conflicts: pl.DataFrame) -> Iterator[tuple[str, int, int]]:
    """Yield each kind with its lines and rows, most rows first."""
    grouped = conflicts.group_by("kind").agg(pl.len(), pl.col("count").sum())
    yield from grouped.sort("count", "kind", descending=[True, False]).iter_rows()
