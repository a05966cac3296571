"""Making a plan from a table and the arguments of a verb, and suggesting arguments."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import overload

import polars as pl

from cio_frames.checks import Checks, supported_region
from cio_frames.errors import ColumnNotFoundError, MappingError, NoIdentifierError, engine_errors
from cio_frames.frames import AnyTable, PandasFrame, Table, read
from cio_frames.frames.pandas import native
from cio_frames.frames.table import frame_errors
from cio_frames.mapping import CallArguments, propose, propose_traits, resolve
from cio_frames.plan.own_columns import without_own_columns
from cio_frames.plan.pipeline import Pipeline
from cio_frames.plan.plan import Plan, planned
from cio_frames.spec import CALLS, Call, CallName

SAMPLE_ROWS = 1_000
WHO = ("user_id", "anonymous_id", "group_id", "previous_id", "email", "id")


@engine_errors("columns were matched with fields")
def make(
    table: Table,
    ask: CallArguments,
    *,
    call: str,
    checks: Checks | None = None,
    namespace: str = "",
) -> Plan:
    """Return the plan for a table.

    If no argument names an identifier, a mapping is proposed from the names and contents of the
    columns, and the report says which columns are used.

    Raises:
        MappingError: The columns do not fit the verb.
    """
    row, checks, original = CALLS[call], checks or Checks(), table
    table = without_own_columns(original, ask, checks=checks)
    has_identifier = any(ask.fields.get(argument) is not None for argument in WHO)
    passed = {name: value for name, value in ask.fields.items() if value is not None}
    used_columns = [value for value in passed.values() if isinstance(value, str)]
    proposals = (
        [] if has_identifier else propose(_sample(table).drop(used_columns, strict=False), call=row)
    )
    with _index_in_errors(table.index):
        mapping = resolve(
            ask,
            call=row,
            schema=table.schema(),
            json_columns=table.json_columns,
            proposals=[proposal for proposal in proposals if proposal.argument not in passed],
        )
    if checks.phone_region is not None:
        mapping = replace(mapping, phone_region=supported_region(checks.phone_region))
    return planned(
        Pipeline(
            table=table, mapping=mapping, checks=checks, namespace=namespace, arguments=ask,
            is_rest=table is not original,
        )
    )  # fmt: skip


@contextmanager
def _index_in_errors(index: tuple[str, ...]) -> Iterator[None]:
    """Let errors about missing columns mention the index of a pandas frame, which may be what is meant."""
    try:
        yield
    except ColumnNotFoundError as error:
        raise ColumnNotFoundError(
            error.column, argument=error.argument, available=error.available, index=index
        ) from None
    except NoIdentifierError as error:
        raise NoIdentifierError(
            error.call, arguments=error.arguments, available=error.available, index=index
        ) from None


@overload
def suggest(  # type: ignore[overload-overlap]  # pandas frames have Arrow streams too
    frame: PandasFrame, call: CallName
) -> PandasFrame: ...


@overload
def suggest(frame: AnyTable, call: CallName) -> pl.DataFrame: ...


def suggest(frame: AnyTable, call: CallName) -> "PandasFrame | pl.DataFrame":
    """Propose which column feeds which argument of a call, with the reason for each.

    Columns of people that are named nearly like an attribute that Customer.io acts on, such as
    `E-Mail`, are proposed for it as `traits.email`; `plan.fix("name.nearly")` takes these proposals.

    Args:
        frame: Any table.
        call: Name of the call, e.g. "track".

    Returns:
        A frame of the user's library with argument, column, confidence and reason.

    Raises:
        MappingError: There is no such call.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"userId": ["u1"], "plan": ["pro"]})
        >>> cio.suggest(people, "identify")["argument"].to_list()
        ['user_id']
    """
    table, row = read(frame), _call(call)
    sample = _sample(table)
    proposals = propose(sample, call=row)
    used_columns = {proposal.column for proposal in proposals}
    rows = [
        {
            "argument": proposal.argument,
            "column": proposal.column,
            "confidence": proposal.confidence,
            "reason": proposal.reason,
        }
        for proposal in (*proposals, *propose_traits(sample, call=row, taken=used_columns))
    ]
    schema = dict.fromkeys(("argument", "column", "confidence", "reason"), pl.String)
    proposed: pl.DataFrame | PandasFrame = native(
        pl.DataFrame(rows, schema=schema), library=table.library
    )
    return proposed


def _sample(table: Table) -> pl.DataFrame:
    with frame_errors(table.label):
        return table.lazy.head(SAMPLE_ROWS).collect()


def _call(name: str) -> Call:
    if name in CALLS:
        return CALLS[name]
    near = get_close_matches(name, CALLS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(CALLS)}."
    raise MappingError(f"{name!r} is not a call. {hint}")
