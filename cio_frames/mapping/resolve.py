"""Resolve the arguments of a verb to a mapping of columns to fields."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import polars as pl

from cio_frames.errors import FieldConflictError, MappingError, NoIdentifierError
from cio_frames.frames import ROW
from cio_frames.mapping.message_mapping import Dots, FieldMapping, MessageMapping, Nulls, Role
from cio_frames.mapping.proposal import Proposal
from cio_frames.mapping.sources import Value, require_column, source_of, timezone_name, with_hashes
from cio_frames.spec import FLAT_PREFIXES, Call, Field, folded
from cio_frames.values import instance_of

Body = Sequence[str] | Mapping[str, Value] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArguments:
    """The arguments of a verb, as the user passed them."""

    # argument to column name or expression; None if it was not passed
    fields: Mapping[str, Value | None]
    body: Body = None  # columns of traits, properties or form fields; None for all other columns
    relationship: Body = None  # columns of the relationship between person and group
    # place in the context to column, e.g. `{"page.url": "url"}`, or one column of structs
    context: Mapping[str, Value] | Sequence[str] | str | None = None
    # destination to column or truth value, or one column of structs
    integrations: Mapping[str, Value | bool] | str | None = None
    # columns to compute the message id from, instead of the complete payload
    key: str | Sequence[str] | None = None
    # whether empty cells are omitted or sent, for all columns or per column
    nulls: Nulls | Mapping[str, Nulls] = "omit"
    # whether dots in names of traits, properties and form fields nest, for all columns or per column
    dots: Dots | Mapping[str, Dots] = "nest"
    timezone: str | None = None  # zone of times without a zone
    # field of a form to its attribute, as the form is mapped in Customer.io
    mapping: Mapping[str, str] | None = None
    # columns of traits, properties or form fields to send as SHA-256
    hash: str | Sequence[str] = ()


def resolve(
    arguments: CallArguments,
    *,
    call: Call,
    schema: pl.Schema,
    json_columns: frozenset[str] = frozenset(),
    proposals: Iterable[Proposal] = (),
) -> MessageMapping:
    """Return how rows become messages, from the arguments of a verb and proposals.

    Raises:
        ColumnNotFoundError: A named column is not in the table.
        NoIdentifierError: No column identifies people.
        FieldConflictError: Two columns would fill one place.
        MappingError: A required argument is missing or of the wrong kind, or there is no such
            time zone.
    """
    mapper = _FieldMapper(
        schema=schema,
        json_columns=json_columns,
        nulls=_policies(arguments.nulls, argument="nulls", words=("omit", "send"), schema=schema),
        dots=_policies(arguments.dots, argument="dots", words=("nest", "keep"), schema=schema),
    )
    form_names = _form_names(arguments.mapping)
    field_arguments = _with_form_columns(arguments.fields, form_names=form_names, schema=schema)
    is_named = field_arguments != arguments.fields
    proposed = {
        proposal.argument: proposal
        for proposal in proposals
        if not (is_named and proposal.argument in FORM_PEOPLE)
    }
    named = [
        field
        for row in call.fields
        if (name := row.column_argument)
        if (
            field := mapper.field(
                _renamed(row, form_names), field_arguments.get(name), proposed.get(name)
            )
        )
    ]
    extras = [
        *mapper.context(arguments.context),
        *mapper.integrations(arguments.integrations),
        *mapper.key(arguments.key),
    ]
    if call.name == "group":
        root = ("traits", "relationshipAttributes")
        extras += mapper.tree(
            arguments.relationship, root=root, role="body", argument="relationship"
        )
    if arguments.body is None:
        named += _fields_by_column_name(call, mapper=mapper, fields=(*named, *extras))
    used = frozenset(_used_columns(chain(named, extras), call=call))
    body = _body(arguments.body, call=call, mapper=mapper, used=used, named=named)
    timezone = timezone_name(arguments.timezone)
    fields = with_hashes(
        (*named, *body, *extras), columns=arguments.hash, schema=schema, timezone=timezone
    )
    _require(fields, call=call, available=schema.names())
    _forbid_conflicts(fields)
    sent = mapper.columns_of(fields)
    return MessageMapping(
        call=call,
        fields=fields,
        timezone=timezone,
        unused=tuple(name for name in schema.names() if name not in sent and name != ROW),
    )


FORM_PEOPLE = ("email", "id")
"""The attributes that identify the person of a form."""


def _form_names(mapping: Any) -> dict[str, str]:
    """Return the names of form fields, by the attribute that identifies a person."""
    is_mapping = isinstance(mapping, Mapping)
    if mapping is not None and not (
        is_mapping and all(isinstance(text, str) for pair in mapping.items() for text in pair)
    ):
        raise MappingError(
            f"mapping={mapping!r} is not a dict of form field to attribute, such "
            'as {"email_address": "email"}.'
        )
    names = {attribute: name for name, attribute in (mapping or {}).items()}
    return {attribute: names[attribute] for attribute in FORM_PEOPLE if attribute in names}


def _with_form_columns(
    fields: Mapping[str, Value | None], *, form_names: Mapping[str, str], schema: pl.Schema
) -> Mapping[str, Value | None]:
    """Return the arguments, with the columns that have the names of form fields for the person."""
    if any(fields.get(argument) is not None for argument in FORM_PEOPLE):
        return fields
    return {**fields, **{attr: name for attr, name in form_names.items() if name in schema}}


def _renamed(row: Field, form_names: Mapping[str, str]) -> Field:
    """Return a field with the name that it has in the form."""
    name = form_names.get(str(row.argument))
    return row if name is None else replace(row, path=(*row.path[:-1], name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FieldMapper:
    schema: pl.Schema
    json_columns: frozenset[str]
    nulls: Mapping[str, str]
    dots: Mapping[str, str]

    def field(
        self, row: Field, value: Value | None, proposal: Proposal | None
    ) -> FieldMapping | None:
        argument = str(row.argument)
        if value is None and proposal is None:
            return None
        if value is None and proposal is not None:
            return self._mapped(
                proposal.column, path=row.path, role="field", argument=argument, type=row.type,
                how="proposed", reason=proposal.reason, rivals=proposal.rivals,
            )  # fmt: skip
        return self._mapped(value, path=row.path, role="field", argument=argument, type=row.type)

    def place(self, row: Field, *, column: str) -> FieldMapping:
        """Return the mapping of a column that has the name of a field."""
        return self._mapped(
            column, path=row.path, role="field", argument=str(row.argument), type=row.type,
            how="rest", reason="the column has the name of this field",
        )  # fmt: skip

    def tree(
        self, body: Any, *, root: tuple[str, ...], role: Role, argument: str, how: str | None = None
    ) -> list[FieldMapping]:
        return [
            self._mapped(
                value, path=self.path(root, place, column=value), role=role, argument=argument,
                how=how,
            )
            for place, value in _entries(body, argument=argument)
        ]  # fmt: skip

    def path(self, root: tuple[str, ...], name: str, *, column: Any) -> tuple[str, ...]:
        """Return the path of a name; its dots nest, unless they are kept for that column."""
        policy = self.dots["*"]
        if isinstance(column, str):
            policy = self.dots.get(column, policy)
        return (*root, name) if policy == "keep" else _place(root, name)

    def context(self, body: Any) -> list[FieldMapping]:
        if isinstance(body, str):
            return self._members(body, argument="context")
        return [
            self._mapped(
                value, path=_place(("context",), place), role="context", argument="context"
            )
            for place, value in _entries(body, argument="context")
        ]

    def _members(self, column: str, *, argument: Role) -> list[FieldMapping]:
        """Return a mapping for each value inside a column of structs."""
        require_column(column, argument=argument, schema=self.schema)
        if column in self.json_columns:
            return [self._mapped(column, path=(argument,), role=argument, argument=argument)]
        if not isinstance(self.schema[column], pl.Struct):
            raise MappingError(
                f"{argument}={column!r} is a column of {self.schema[column]}. A column for all of "
                f"{argument} must contain structs; for one value, pass {argument}={{field: {column!r}}}."
            )
        depth = None if argument == "context" else 1
        return [
            self._mapped(expr, path=(argument, *path), role=argument, argument=argument)
            for path, expr in _struct_fields(pl.col(column), self.schema[column], depth=depth)
        ]

    def integrations(self, body: Any) -> list[FieldMapping]:
        if isinstance(body, str):
            return self._members(body, argument="integrations")
        if not isinstance(body, Mapping | None):
            raise MappingError(
                f"integrations={body!r} is not a dict of destination to true, false or column, and "
                "not a column of structs."
            )
        return [
            self._mapped(
                pl.lit(value) if isinstance(value, bool) else value,
                path=("integrations", name), role="integrations", argument="integrations",
            )
            for name, value in (body or {}).items()
        ]  # fmt: skip

    def key(self, key: str | Sequence[str] | None) -> list[FieldMapping]:
        names: Any = [key] if isinstance(key, str) else [] if key is None else key
        if isinstance(names, pl.Expr) or not all(isinstance(name, str) for name in names):
            raise MappingError(f"key={key!r} is not a column name or a list of column names.")
        return [self._mapped(name, path=(), role="key", argument="key") for name in names]

    def columns_of(self, fields: Iterable[FieldMapping]) -> frozenset[str]:
        return frozenset(
            name
            for field in fields
            if field.role != "key"
            for name in ([field.column] if field.column else field.expr.meta.root_names())
        )

    def _mapped(
        self, value: Any, *, path: tuple[str, ...], role: Role, argument: str,
        type: str = "any", how: str | None = None, reason: str = "",  # noqa: A002
        rivals: tuple[str, ...] = (),
    ) -> FieldMapping:  # fmt: skip
        source = source_of(value, argument=argument, schema=self.schema)
        column = source.column
        name = argument if role == "field" else f"{role}:{'.'.join(path) or column}"
        return FieldMapping(
            name=name,
            path=path,
            role=role,
            argument=argument if role == "field" else None,
            type=type,  # type: ignore[arg-type]
            expr=source.expr,
            column=column,
            dtype=source.dtype,
            nulls=self._null_policy(column) if role == "body" else "omit",
            how=how or source.how,
            reason=reason,
            rivals=rivals,
            json=column in self.json_columns,
        )

    def _null_policy(self, column: str | None) -> Nulls:
        policy = self.nulls.get(column or "", self.nulls["*"])
        return "send" if policy == "send" else "omit"


def _struct_fields(
    values: pl.Expr, dtype: pl.DataType, *, depth: int | None
) -> Iterator[tuple[tuple[str, ...], pl.Expr]]:
    """Yield the path and the values of each field of structs, down to `depth` levels."""
    if not isinstance(dtype, pl.Struct) or depth == 0:
        yield (), values
        return
    for field in dtype.fields:
        inside = values.struct.field(field.name)
        below = None if depth is None else depth - 1
        for path, expr in _struct_fields(inside, instance_of(field.dtype), depth=below):
            yield (field.name, *path), expr


def _fields_by_column_name(
    call: Call, *, mapper: _FieldMapper, fields: Sequence[FieldMapping]
) -> list[FieldMapping]:
    """Return mappings of unused columns that have the name of an optional field in the body of the call."""
    used = frozenset(_used_columns(fields, call=call))
    filled = {field.argument for field in fields}
    return [
        mapper.place(row, column=name)
        for row in call.fields
        if row.column_argument and row.argument not in filled and row.path[0] == call.body
        if row.required == "never"
        for name in mapper.schema.names()
        if name not in used and mapper.path((call.body,), name, column=name) == row.path
    ]


def _used_columns(fields: Iterable[FieldMapping], *, call: Call) -> Iterator[str]:
    """Yield the columns that fields use, so that they are not sent in the body as well.

    An expression uses its only column, and columns named like its field; an e-mail address stays a
    trait, and so do the other columns of an expression.
    """
    words = {row.argument: frozenset(map(folded, row.synonyms)) for row in call.fields}
    traits = {
        folded(word) for row in call.fields if row.path[0] == call.body for word in row.synonyms
    }
    for field in fields:
        if field.role == "key":
            continue
        if field.column:
            yield field.column
            continue
        roots = set(field.expr.meta.root_names())
        for name in roots:
            is_alone = len(roots) == 1 and folded(name) not in traits
            if is_alone or folded(name) in words.get(field.argument, frozenset()):
                yield name


def _body(
    body: Body,
    *,
    call: Call,
    mapper: _FieldMapper,
    used: frozenset[str],
    named: Sequence[FieldMapping],
) -> list[FieldMapping]:
    if call.body is None:
        return []
    root, argument = (call.body,), "fields" if call.body == "data" else call.body
    if body is not None:
        return mapper.tree(body, root=root, role="body", argument=argument)
    field_paths = {row.path for row in call.fields if row.column_argument}
    rest = [
        name
        for name in mapper.schema.names()
        if name not in used
        and name != ROW
        and mapper.path(root, name, column=name) not in field_paths
    ]
    fields = mapper.tree(rest, root=root, role="body", argument=argument, how="rest")
    return fields + _email_trait(call, named=named, fields=fields)


def _email_trait(
    call: Call, *, named: Sequence[FieldMapping], fields: Sequence[FieldMapping]
) -> list[FieldMapping]:
    """Return the e-mail address as a trait if it identifies the people (reference C11)."""
    person = next((field for field in named if field.argument == "user_id"), None)
    email = next((row for row in call.fields if row.path == ("traits", "email")), None)
    if person is None or person.column is None or email is None:
        return []
    if folded(person.column) not in map(folded, email.synonyms) or any(
        field.path == email.path for field in fields
    ):
        return []
    return [
        FieldMapping(
            name="body:traits.email",
            path=email.path,
            role="body",
            type=email.type,
            expr=person.expr,
            column=person.column,
            dtype=person.dtype,
            how="rest",
            reason="people identified by e-mail address also keep it as an attribute",
        )
    ]


def _entries(body: Any, *, argument: str) -> list[tuple[str, Any]]:
    if body is None:
        return []
    if isinstance(body, Mapping):
        return list(body.items())
    if isinstance(body, Sequence) and not isinstance(body, str):
        return [(str(name), name) for name in body]
    raise MappingError(
        f"{argument}={body!r} is not a list of columns or a dict of field to column."
    )


def _place(root: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the path of a name; dots nest, except in forms, which have no objects (reference C28)."""
    if root == ("data",) or name.startswith(FLAT_PREFIXES):
        return (*root, name)
    return (*root, *name.split("."))


def _policies(
    policies: str | Mapping[str, str], *, argument: str, words: tuple[str, str], schema: pl.Schema
) -> dict[str, str]:
    """Return the policy of each column that has one, and the default under "*"."""
    default, other = words
    by_column = {"*": policies} if isinstance(policies, str) else {"*": default, **policies}
    for column, policy in by_column.items():
        if policy not in words:
            raise MappingError(f'{argument} must be "{default}" or "{other}" (got {policy!r}).')
        if column != "*":
            require_column(column, argument=argument, schema=schema)
    return by_column


def _require(fields: Sequence[FieldMapping], *, call: Call, available: Sequence[str]) -> None:
    filled = {field.argument for field in fields if field.argument}
    groups: dict[str, list[str]] = {}
    for row in call.fields:
        if row.argument and row.required.startswith("one-of:"):
            groups.setdefault(row.required, []).append(row.argument)
    for arguments in groups.values():
        if filled.isdisjoint(arguments):
            raise NoIdentifierError(call.name, arguments=arguments, available=available)
    for row in call.fields:
        if row.argument and row.required == "always" and row.argument not in filled:
            raise MappingError(
                f'{call.name} needs {row.argument}: pass {row.argument}="column" '
                f'or {row.argument}=cio.lit("value"). Columns: {", ".join(available) or "none"}.'
            )


def _forbid_conflicts(fields: Sequence[FieldMapping]) -> None:
    places: dict[tuple[str, ...], FieldMapping] = {}
    for field in fields:
        if not field.path:
            continue
        if field.path in places:
            _conflict(places[field.path], field)
        places[field.path] = field
    for path, field in places.items():
        for depth in range(1, len(path)):
            if path[:depth] in places:
                _conflict(places[path[:depth]], field)


def _conflict(one: FieldMapping, other: FieldMapping) -> None:
    raise FieldConflictError(
        ".".join(one.path if len(one.path) <= len(other.path) else other.path),
        columns=(one.label, other.label),
        hint='List the columns to send, or rename one with {"trait": "column"}.',
    )
