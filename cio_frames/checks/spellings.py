"""Names of events, forms and columns that are nearly the same as others."""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import partial

import polars as pl

from cio_frames.checks.check import ByCall, ByTable, Check, Scope
from cio_frames.checks.found import FOUND_SCHEMA, found
from cio_frames.checks.identifiers import text
from cio_frames.spec import folded

RARE = 0.05
LISTED, COMPARED = 2_000, 200
LIKE = 0.85
LONG_ENOUGH = 5


def _counted(rows: pl.LazyFrame, scope: Scope, *, argument: str) -> pl.LazyFrame | None:
    slot = scope.mapping.find(argument)
    if slot is None or slot.column is None:
        return None
    return rows.group_by(text(slot, scope).alias("name")).agg(pl.len().alias("rows")).drop_nulls()


def _spelt_like(
    gathered: pl.DataFrame, rows: pl.LazyFrame, scope: Scope, *, argument: str
) -> pl.DataFrame:
    slot = scope.mapping.find(argument)
    counted = gathered.group_by("name").agg(pl.col("rows").sum())
    frequent = counted.sort("rows", "name", descending=[True, False]).head(LISTED)
    near = dict(_near(dict(frequent.rows())))
    if slot is None or not near:
        return FOUND_SCHEMA.to_frame()
    value = text(slot, scope)
    rare = found(rows, value.is_in(list(near)), column=slot.label, value=value)
    usual = pl.col("value").replace_strict(near, return_dtype=pl.String)
    return rare.with_columns(pl.format("Most rows say {}.", usual).alias("evidence"))


def _near(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield each name that is nearly another, more frequent one, with that."""
    usual: dict[str, str] = {}
    for name in counts:
        same = usual.setdefault(folded(name), name)
        if same != name:
            yield name, same
    names = list(usual.values())[:COMPARED]
    for place, name in enumerate(names):
        for other in names[:place]:
            if counts[name] <= counts[other] * RARE and _is_typo(name, other):
                yield name, other
                break


def _is_typo(name: str, other: str) -> bool:
    """Tell whether two names differ in little, and not in a number alone."""
    one, two = folded(name), folded(other)
    if min(len(one), len(two)) < LONG_ENOUGH or abs(len(one) - len(two)) > 1:
        return False
    bare_one, bare_two = ("".join(c for c in word if not c.isdigit()) for word in (one, two))
    return bare_one != bare_two and SequenceMatcher(None, one, two).ratio() >= LIKE


def _columns(scope: Scope) -> str | None:
    """Name the columns that differ in case, white space or punctuation only."""
    groups: dict[str, list[str]] = {}
    for slot in scope.mapping.slots:
        if slot.role == "body":
            name = ".".join(slot.path[1:])
            groups.setdefault(folded(name) or name, []).append(name)
    alike = [" and ".join(map(repr, names)) for names in groups.values() if len(set(names)) > 1]
    return "; ".join(alike) or None


_events = partial(_counted, argument="event")
_forms = partial(_counted, argument="form_id")

SPELLING_CHECKS = (
    Check(
        code="event.variants", severity="warn",
        test=ByTable(
            gather=_events,
            conclude=partial(_spelt_like, argument="event"),
        ),
        sentence="{column} is nearly the name of another event.",
        hint="Write each event in one way.",
        consequence="Each spelling is an event of its own: campaigns and segments know one of them.",
        source="reference 6 (event names); reliability 3.6 (114)",
        unrepaired="whether it is the same event is for you to say",
    ),
    Check(
        code="form.typo", severity="warn",
        test=ByTable(
            gather=_forms,
            conclude=partial(_spelt_like, argument="form_id"),
        ),
        sentence="{column} is nearly the id of another form.",
        hint="Correct it, unless there are two forms.",
        consequence="A form id that is not known makes a new form in the workspace.",
        source="TRACK forms; reference 5",
        unrepaired="whether it is the same form is for you to say",
    ),
    Check(
        code="name.variants", severity="warn", test=ByCall(bad=_columns),
        sentence="Columns are named nearly the same.",
        hint="Keep one of them, or rename the other.",
        consequence="Names are compared with their case: each becomes an attribute of its own.",
        source="reference 6 (attribute names are case-sensitive); reliability 3.8 (143)",
        unrepaired="which column is right cannot be known",
    ),
)  # fmt: skip
