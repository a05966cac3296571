"""Columns that this package has added to rows that come back: why they were not sent."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import polars as pl

from cio_frames.audit import FAILED
from cio_frames.checks import CATALOGUE, Checks
from cio_frames.frames import Table
from cio_frames.frames.column import NOTE_TEXTS
from cio_frames.frames.table import frame_errors
from cio_frames.mapping import CallArguments

SAMPLE_ROWS = 1_000
OF_RUNS = ("row", "state", "code", "error")
"""What `run.failed()` adds, always together."""
OF_PLANS = "reasons"
"""What `plan.rejected` adds."""
_CODES = frozenset({*(check.code for check in CATALOGUE), *NOTE_TEXTS, "identity.conflict"})


def without_own_columns(table: Table, arguments: CallArguments, *, checks: Checks) -> Table:
    """Return a table without the columns that this package added, unless one of them is asked for."""
    if arguments.body is not None:  # nothing is sent that nobody named
        return table
    asked = set(_named(arguments))
    codes = _CODES | {check.code for check in checks.rules}
    names = [name for name in own_columns(table, codes=codes) if name not in asked]
    return table.without_reason_columns(names) if names else table


def own_columns(table: Table, *, codes: frozenset[str]) -> list[str]:
    """Return the columns that `plan.rejected` and `run.failed()` add, known by name and content."""
    names = table.schema().names()
    reasons = [name for name in names if name.rstrip("_") == OF_PLANS]
    ours = {word: [name for name in names if name.rstrip("_") == word] for word in OF_RUNS}
    if not reasons and not all(ours.values()):
        return []
    with frame_errors(table.label):
        sample = table.lazy.select(*reasons, *chain(*ours.values())).head(SAMPLE_ROWS).collect()
    found = [name for name in reasons if _are_reasons(sample[name], codes)]
    return found + (_of_runs(sample, ours) if all(ours.values()) else [])


def _of_runs(sample: pl.DataFrame, ours: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the four columns of `run.failed()`, of several of a name those that were added last."""
    states = [name for name in ours["state"] if _are_within(sample[name], FAILED)]
    if not states:
        return []
    return [states[-1] if word == "state" else max(ours[word], key=len) for word in OF_RUNS]


def _are_within(values: pl.Series, known: Iterable[str]) -> bool:
    given = values.drop_nulls().cast(pl.String, strict=False)
    return len(given) > 0 and bool(given.is_in(list(known)).all())


def _are_reasons(values: pl.Series, codes: frozenset[str]) -> bool:
    """Return whether each value is codes, at least one of which is known: rules of then may be gone."""
    given = values.drop_nulls().cast(pl.String, strict=False)
    is_code = given.str.contains(r"^[\w.-]+\.[\w-]+( [\w.-]+\.[\w-]+)*$")
    known = given.str.split(" ").explode(empty_as_null=True).is_in(list(codes))
    return len(given) > 0 and bool(is_code.all()) and bool(known.any())


def _named(arguments: CallArguments) -> Iterator[str]:
    for value in (
        arguments.fields, arguments.context, arguments.integrations, arguments.relationship,
        arguments.key, arguments.hash, arguments.mapping,
    ):  # fmt: skip
        yield from _columns(value)


def _columns(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, pl.Expr):
        yield from value.meta.root_names()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _columns(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _columns(item)
