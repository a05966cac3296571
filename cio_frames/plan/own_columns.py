"""Columns that this package added to the input rows: the reasons why they were not sent."""

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
    """Return a table without the columns that this package added, except those that arguments name."""
    if arguments.body is not None:  # only named columns are sent
        return table
    named = set(_named(arguments))
    codes = _CODES | {check.code for check in checks.rules}
    names = [name for name in own_columns(table, codes=codes) if name not in named]
    return table.without_reason_columns(names) if names else table


def own_columns(table: Table, *, codes: frozenset[str]) -> list[str]:
    """Return the columns that `plan.rejected` and `run.failed()` add, by their names and contents."""
    names = table.schema().names()
    reasons = [name for name in names if name.rstrip("_") == OF_PLANS]
    by_word = {word: [name for name in names if name.rstrip("_") == word] for word in OF_RUNS}
    if not reasons and not all(by_word.values()):
        return []
    with frame_errors(table.label):
        sample = table.lazy.select(*reasons, *chain(*by_word.values())).head(SAMPLE_ROWS).collect()
    added = [name for name in reasons if _are_reasons(sample[name], codes)]
    return added + (_of_runs(sample, by_word) if all(by_word.values()) else [])


def _of_runs(sample: pl.DataFrame, by_word: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the four columns of `run.failed()`; of several with one name, the last ones."""
    states = [name for name in by_word["state"] if _are_within(sample[name], FAILED)]
    if not states:
        return []
    return [states[-1] if word == "state" else max(by_word[word], key=len) for word in OF_RUNS]


def _are_within(values: pl.Series, choices: Iterable[str]) -> bool:
    texts = values.drop_nulls().cast(pl.String, strict=False)
    return len(texts) > 0 and bool(texts.is_in(list(choices)).all())


def _are_reasons(values: pl.Series, codes: frozenset[str]) -> bool:
    """Return whether all values are codes, and at least one is known: others may be of former rules."""
    texts = values.drop_nulls().cast(pl.String, strict=False)
    is_code = texts.str.contains(r"^[\w.-]+\.[\w-]+( [\w.-]+\.[\w-]+)*$")
    is_known = texts.str.split(" ").explode(empty_as_null=True).is_in(list(codes))
    return len(texts) > 0 and bool(is_code.all()) and bool(is_known.any())


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
