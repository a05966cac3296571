"""Map columns of a table to the fields of a message."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from cio_frames.errors import CioError, FrameError, MappingError, errors_as
from cio_frames.frames import ROW
from cio_frames.frames.table import RUN_IT_ALONE
from cio_frames.spec import Call, FieldType
from cio_frames.values import Frame, out_of_range, with_instant

Nulls = Literal["omit", "send"]
Dots = Literal["nest", "keep"]
CREATED = (("traits", "created_at"), ("traits", "createdAt"))
Role = Literal["field", "body", "context", "integrations", "key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """One place of a message, and the values that fill it."""

    name: str  # column of the prepared frame
    path: tuple[str, ...]  # place in the message; empty if the value itself is not sent
    role: Role
    argument: str | None = None  # argument of the verb, for fields
    type: FieldType = "any"
    expr: pl.Expr  # the values, over the columns of the table; repairs are applied after it
    column: str | None = None  # the only column it reads; None for constants and expressions
    dtype: pl.DataType
    nulls: Nulls = "omit"  # whether an empty cell is omitted or clears the attribute
    how: str = "named"  # "named", "proposed", "constant", "expression" or "rest"
    reason: str = ""  # why, in a few words
    rivals: tuple[str, ...] = ()  # other likely columns, if this one was proposed
    json: bool = False  # whether the values are JSON text

    @property
    def label(self) -> str:
        """Its name in reports: the column, else the place."""
        return self.column if self.column is not None else ".".join(self.path) or self.name

    @property
    def is_time_field(self) -> bool:
        """Whether it is a field for times only."""
        return self.role == "field" and self.type == "time"

    @property
    def is_time(self) -> bool:
        """Whether it is a time of the call, or the sign-up time of a person."""
        return self.is_time_field or self.path in CREATED

    @property
    def utc_column(self) -> str:
        """Column of the prepared frame with the points in time, in UTC, of a field that `is_time`."""
        return f"at:{self.name}"

    @property
    def out_of_range_column(self) -> str:
        """Column of the prepared frame that marks dates and times outside the years 1 to 9999."""
        return f"out_of_range:{self.name}"

    @property
    def ambiguous_column(self) -> str:
        """Column of the prepared frame that marks local times which a change of clocks skips or repeats."""
        return f"ambiguous:{self.name}"


def _same_path(_field: FieldMapping, _mapping: "MessageMapping") -> tuple[str, ...] | None:
    """Keep the path of every field."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMapping:
    """How the rows of one table become messages of one call."""

    call: Call
    fields: tuple[FieldMapping, ...]  # all filled places, fields first
    timezone: str | None = None  # zone of times without a zone, else UTC
    phone_region: str | None = None  # country of phone numbers without a country code
    unused: tuple[str, ...] = ()  # columns that are not sent
    repairs: tuple[str, ...] = ()  # codes of the applied repairs, in order
    steps: tuple[tuple[pl.Expr, ...], ...] = ()  # the same repairs, over the columns of the fields

    def find(self, argument: str) -> FieldMapping | None:
        """Return the field for an argument of the verb, if it is filled."""
        return next((field for field in self.fields if field.argument == argument), None)

    def prepare(self, frame: Frame) -> Frame:
        """Return the row number and one column per field, named like the fields.

        A field that `is_time` also gets its `utc_column`, null where a value is not a time, and its
        `ambiguous_column`: checks need them often, and parsing texts takes long. Dates and times that
        are out of range become null, and are marked in its `out_of_range_column`.
        """
        prepared = self.filled(frame, pl.col(ROW))
        outside, inside = [], []
        for field in self.fields:
            is_outside = out_of_range(pl.col(field.name), dtype=field.dtype)
            if is_outside is not None:
                outside.append(is_outside.fill_null(value=False).alias(field.out_of_range_column))
                is_inside = ~pl.col(field.out_of_range_column)
                inside.append(pl.when(is_inside).then(field.name).alias(field.name))
        if outside:
            prepared = prepared.with_columns(outside).with_columns(inside)
        for field in self.fields:
            if field.is_time:
                prepared = with_instant(
                    prepared,
                    field.name,
                    name=field.utc_column,
                    ambiguous=field.ambiguous_column,
                    dtype=field.dtype,
                    timezone=self.timezone,
                )
        return prepared

    def filled(self, frame: Frame, *more: pl.Expr) -> Frame:
        """Return one column per field, named like the fields, after more columns.

        Each repair is a separate step, so that the next one does not compute it again.
        """
        filled = frame.select(*more, *(field.expr.alias(field.name) for field in self.fields))
        for step in self.steps:
            filled = filled.with_columns(*step)
        return filled

    def repaired(
        self,
        code: str,
        *,
        change: Callable[[FieldMapping, "MessageMapping"], pl.Expr | None],
        place: Callable[[FieldMapping, "MessageMapping"], tuple[str, ...] | None] = _same_path,
    ) -> "MessageMapping":
        """Return this mapping with a repair: new values or a new path of fields; None keeps either."""
        columns = tuple(replace(field, expr=pl.col(field.name)) for field in self.fields)
        prepared = replace(self, fields=columns)
        changed = {field.name: change(field, prepared) for field in columns}
        schema = {field.name: field.dtype for field in self.fields}
        return replace(
            self,
            fields=tuple(
                _retyped(
                    replace(field, path=place(field, self) or field.path),
                    changed[field.name],
                    schema=schema,
                )
                for field in self.fields
            ),
            repairs=(*self.repairs, code),
            steps=(
                *self.steps,
                tuple(expr.alias(name) for name, expr in changed.items() if expr is not None),
            ),
        )

    def describe(self) -> list[dict[str, str]]:
        """Return the mapping as rows: field, column, how, reason."""
        return [
            {
                "field": ".".join(field.path) or field.argument or field.name,
                "column": field.column or f"({field.how})",
                "how": field.how,
                "reason": field.reason,
            }
            for field in self.fields
        ]


def dtype_of(expr: pl.Expr, schema: Mapping[str, pl.DataType]) -> pl.DataType:
    """Return the type of an expression over a table with these columns."""
    frame = pl.LazyFrame(schema=pl.Schema(schema))
    return frame.select(expr.alias("value")).collect_schema()["value"]


def _retyped(
    field: FieldMapping, expr: pl.Expr | None, *, schema: Mapping[str, pl.DataType]
) -> FieldMapping:
    return field if expr is None else replace(field, dtype=dtype_of(expr, schema))


@contextmanager
def computing(mapping: MessageMapping) -> Iterator[None]:
    """Raise errors in computing fields as an error without values.

    Raises:
        MappingError: One of the user's expressions, or a step of their lazy frame, fails.
        FrameError: There are no expressions, so the table itself cannot be read.
    """
    has_expressions = any(field.how == "expression" for field in mapping.fields)

    def failed(kind: str) -> CioError:
        if has_expressions:
            return MappingError(
                f"The fields cannot be computed ({kind}): an expression, or a step of the lazy "
                "frame, fails on some rows. Run it alone with frame.select(...) to see where."
            )
        return FrameError(f"The table failed while it was read ({kind}). {RUN_IT_ALONE}")

    with errors_as(failed, any_error=has_expressions):
        yield
