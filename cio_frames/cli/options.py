"""The options that several commands share. What they say here is what `--help` shows."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar, get_args

from cyclopts import Group, Parameter

from cio_frames.spec import CALLS, CallName

Options = TypeVar("Options")

Doubt = Literal["resend", "skip", "report"]
Form = Literal["text", "json"]

_WHAT = Group("What feeds what (names of columns; constants with --lit)", sort_key=1)
_HOW = Group("How values are read and checked", sort_key=2)
_WHERE = Group("Where it goes, and how", sort_key=0)
_OFF = Parameter(negative=(), show_default=False)

Column = Annotated[str | None, Parameter(metavar="COLUMN")]
"""An option that names a column."""

Columns = Annotated[str | None, Parameter(metavar="COLUMNS")]
"""An option that names several columns, with commas between them."""

Words = Annotated[str | None, Parameter(metavar="TEXT")]
"""An option that takes any text."""

Pairs = Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE..."), _OFF]
"""An option that sets something for a name, and that may be given several times."""

Codes = Annotated[tuple[str, ...], Parameter(metavar="CODE..."), _OFF]
"""An option that names checks, and that may be given several times."""

Switch = Annotated[bool, _OFF]
"""An option that is there or not."""


COLUMN_ARGUMENTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        field.column_argument
        for call in get_args(CallName)
        for field in CALLS[call].fields
        if field.column_argument
    )
)
"""The arguments of all verbs that name one column, from the rows of `spec/`."""


def _with_columns(options: type[Options]) -> type[Options]:
    """Add an option for each argument that names a column and has none."""
    for name in COLUMN_ARGUMENTS:
        if name not in options.__annotations__:
            parameter = Parameter(help=f"Column of {name.replace('_', ' ')}.")
            options.__annotations__[name] = Annotated[Column, parameter]
            setattr(options, name, None)
    return options


@Parameter(name="*", group=_WHAT)
@dataclass(frozen=True, slots=True, kw_only=True)
@_with_columns
class Fields:
    """Which column feeds which field.

    Attributes:
        call: What each row becomes.
        user_id: Who the row is about: an id or an e-mail address. Without any identifier, columns
            are proposed, and the report says which.
        anonymous_id: Who it is about, before they were known.
        event: Name of the event (track).
        name: Name of the page or screen (page, screen).
        group_id: Id of the company or other object (group, track).
        object_type_id: Kind of object (group).
        previous_id: The profile that disappears (alias).
        form_id: The form (form).
        email: Who submitted it, by e-mail address (form).
        id: Who submitted it, by id (form).
        traits: Columns to send as traits, as a,b or trait=column; every unused column if left
            out, none if empty (identify, group).
        properties: The same for properties (track, page, screen).
        fields: The same for form fields (form).
        relationship: The same for attributes between person and group (group).
        context: Columns of the context, as place=column, e.g. ip=address.
        integrations: Destinations, as name=true, name=false or name=column.
        timestamp: When it happened.
        message_id: Values to be sent as message ids.
        key: Columns the message id is made from, instead of the whole message.
        lit: A constant instead of a column, as argument=value, e.g. --lit "event=Order Completed".
    """

    call: CallName
    user_id: Column = None
    anonymous_id: Column = None
    event: Column = None
    name: Column = None
    group_id: Column = None
    object_type_id: Column = None
    previous_id: Column = None
    form_id: Column = None
    email: Column = None
    id: Column = None
    traits: Columns = None
    properties: Columns = None
    fields: Columns = None
    relationship: Columns = None
    context: Columns = None
    integrations: Columns = None
    timestamp: Column = None
    message_id: Column = None
    key: Columns = None
    lit: Pairs = ()


@Parameter(name="*", group=_HOW)
@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How values are read and checked.

    Attributes:
        timezone: Zone of times that carry none, e.g. Europe/Berlin; UTC without it.
        nulls: What an empty cell means: omit or send, or column=send for one column.
        dots: What dots in names of columns do: nest or keep, or column=keep for one column.
        hash: Columns to send as their SHA-256 only, as a,b.
        namespace: Keeps message ids of one workspace apart from those of another.
        select: Codes of checks to apply, or how they begin; all without it.
        ignore: Codes of checks to leave out, or how they begin.
        severity: Another severity for a check, as code=refuse, reject, warn or info.
        allow: A name that is refused otherwise, e.g. "User Deleted".
        allow_sensitive: A column that may hold sensitive data, as column=reason; the reason goes
            into the record.
        threshold: The largest share of rows that may be left out before nothing is sent, such as
            0.05, or code=share for the rows of one check.
        reference: What identifiers are known to look like, as column=file.
        fix: Apply a repair, by the code of its finding; "safe" for all that are safe.
        ids: Columns of CSV files that are identifiers and stay text, as a,b.
        separator: What parts the cells of CSV files; found out without it.
        encoding: Of CSV files.
        dialect: How CSV files write a quote inside a quoted value: twice or after a backslash; found
            out without it.
        header: How many rows of CSV files hold the names; 0 if none does.
        skip_rows: How many lines of CSV files stand before their header.
        columns: Names for all columns of CSV files, as a,b.
        comment: What the lines of CSV files begin with that are left out, such as "#".
        sheet: The sheet of workbooks, by its name; needed where several have cells.
    """

    timezone: Words = None
    nulls: Annotated[tuple[str, ...], Parameter(metavar="POLICY..."), _OFF] = ()
    dots: Annotated[tuple[str, ...], Parameter(metavar="POLICY..."), _OFF] = ()
    hash: Columns = None
    namespace: Annotated[str, Parameter(metavar="TEXT", show_default=False)] = ""
    select: Codes = ()
    ignore: Codes = ()
    severity: Pairs = ()
    allow: Annotated[tuple[str, ...], Parameter(metavar="NAME..."), _OFF] = ()
    allow_sensitive: Pairs = ()
    threshold: Annotated[tuple[str, ...], Parameter(metavar="SHARE..."), _OFF] = ()
    reference: Pairs = ()
    fix: Codes = ()
    ids: Columns = None
    separator: Words = None
    encoding: Annotated[str, Parameter(metavar="NAME")] = "utf-8"
    dialect: Literal["rfc4180", "backslash"] | None = None
    header: Annotated[int | None, Parameter(metavar="ROWS")] = None
    skip_rows: Annotated[int | None, Parameter(metavar="LINES")] = None
    columns: Columns = None
    comment: Words = None
    sheet: Words = None


@Parameter(name="*", group=_WHERE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where rows are sent, and how.

    Attributes:
        to: Customer.io in the US or the EU, or a throw-away workspace on this machine.
        endpoint: A server on this machine, such as `cio-frames sandbox`, in place of Customer.io.
        rate: The most requests per second; "none" lifts the limit.
        no_strict: Do not ask Customer.io to check; rows end as "accepted, unverified".
        yes: Do not ask before sending to Customer.io.
        in_doubt: What to do with rows that an earlier run left in doubt; it depends on the call
            and on their age without it.
        progress: How progress is shown, on standard error.
        format: How the outcome is written.
    """

    to: Literal["sandbox", "us", "eu"] | None = None
    endpoint: Annotated[str | None, Parameter(metavar="URL")] = None
    rate: Annotated[float | Literal["none"], Parameter(metavar="NUMBER", show_choices=False)] = (
        200.0
    )
    no_strict: Switch = False
    yes: Switch = False
    in_doubt: Doubt | None = None
    progress: Literal["auto", "terminal", "lines", "off"] = "auto"
    format: Form = "text"
