"""The options that several commands share. `--help` shows the texts of the docstrings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from cyclopts import Group, Parameter

from cio_frames.spec import CALLS, CallName

Options = TypeVar("Options")

Doubt = Literal["resend", "skip", "report"]
Form = Literal["text", "json"]

_FIELDS = Group("Which column is sent as what (constants with --lit)", sort_key=1)
_RULES = Group("How values are read and checked", sort_key=2)
_TARGET = Group("Where to send, and how", sort_key=0)
_UNSET = Parameter(negative=(), show_default=False)

Column = Annotated[str | None, Parameter(metavar="COLUMN")]
"""An option that names a column."""

Columns = Annotated[str | None, Parameter(metavar="COLUMNS")]
"""An option that names several columns, separated by commas."""

Words = Annotated[str | None, Parameter(metavar="TEXT")]
"""An option that takes any text."""

Pairs = Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE..."), _UNSET]
"""An option with a name and a value, which may be given several times."""

Codes = Annotated[tuple[str, ...], Parameter(metavar="CODE..."), _UNSET]
"""An option that names checks, which may be given several times."""

Switch = Annotated[bool, _UNSET]
"""An option without a value."""


KnownPeople = Annotated[str | None, Parameter(metavar="FILE|workspace")]
"""The option that names the people of the workspace."""


COLUMN_ARGUMENTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        field.column_argument
        for call in get_args(CallName)
        for field in CALLS[call].fields
        if field.column_argument
    )
)
"""The arguments of all calls that name one column, from the rows of `spec/`."""


def _with_columns(options: type[Options]) -> type[Options]:
    """Add the missing options for arguments that name a column."""
    for name in COLUMN_ARGUMENTS:
        if name not in options.__annotations__:
            parameter = Parameter(help=f"Column of {name.replace('_', ' ')}.")
            options.__annotations__[name] = Annotated[Column, parameter]
            setattr(options, name, None)
    return options


@Parameter(name="*", group=_FIELDS)
@dataclass(frozen=True, slots=True, kw_only=True)
@_with_columns
class Fields:
    """Which column is sent as which field.

    Attributes:
        call: What each row becomes.
        user_id: The person: an ID or an e-mail address. If no identifier is given, columns are
            chosen automatically, and the report says which.
        anonymous_id: The anonymous ID of a visitor.
        event: Name of the event (track).
        name: Name of the page or screen (page, screen).
        group_id: ID of the company or other object (group, track).
        object_type_id: Type of the object (group).
        previous_id: The profile to be merged and deleted (alias).
        form_id: The form (form).
        email: E-mail address of the person who submitted the form (form).
        id: ID of the person who submitted the form (form).
        traits: Columns to send as traits, as a,b or trait=column. By default all unused columns;
            none if empty (identify, group).
        properties: The same for properties (track, page, screen).
        fields: The same for form fields (form).
        relationship: The same for attributes of the relationship between person and group (group).
        mapping: Fields of the form and the attributes they are mapped to in Customer.io, such as
            email_address=email (form).
        context: Columns to send in the context, as field=column, such as ip=address, or one column
            of structs.
        integrations: Destinations, as name=true, name=false or name=column, or one column of
            structs.
        timestamp: When it happened.
        message_id: Values to send as message IDs.
        key: Columns from which message IDs are derived, instead of the whole message.
        lit: A constant instead of a column, as argument=value, such as --lit "event=Order Completed".
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
    mapping: Pairs = ()
    relationship: Columns = None
    context: Columns = None
    integrations: Columns = None
    timestamp: Column = None
    message_id: Column = None
    key: Columns = None
    lit: Pairs = ()


@Parameter(name="*", group=_RULES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How values are read and checked.

    Attributes:
        timezone: Time zone of times without one, such as Europe/Berlin. The default is UTC.
        nulls: What to do with empty cells: omit or send, or column=send for one column.
        dots: What dots in column names do: nest or keep, or column=keep for one column.
        hash: Columns to send as SHA-256 hashes only, as a,b.
        namespace: A word that changes all message IDs, to keep workspaces apart.
        select: Checks to apply, by code or prefix. The default is all.
        ignore: Checks to skip, by code or prefix.
        severity: A different severity for a check, as code=refuse, reject, warn or info.
        allow: A name that is refused by default, such as "User Deleted"; or, to send, how much may
            happen in Customer.io, such as campaigns=37, opt_outs=3, deletions=1 or merges=2.
        triggers: Name of an event, page, screen or form that starts campaigns however old it is.
        allow_sensitive: A column that may contain sensitive data, as column=reason; the reason is
            stored in the record.
        threshold: The largest share of rows that may be excluded before the plan is refused, such as
            0.05, or code=share for the rows of one check.
        reference: Known identifiers to compare with, as column=file.
        phone_region: Country of phone numbers without a country code, such as DE.
        drift: Directory of earlier runs to compare the table with, such as audit. A run is always
            compared with those in its own directory.
        drift_limit: How far the table may differ from them, as name=number, such as volume=0.3; the
            names are runs, share, volume, distinct, length and magnitude.
        fix: A repair to apply, by the code of its finding, or "safe" for all safe repairs.
        ids: Columns of CSV files that are identifiers and stay text, as a,b.
        separator: Separator of CSV files. By default it is detected.
        encoding: Encoding of CSV files.
        dialect: How CSV files write a quote inside a quoted value: twice or after a backslash. By
            default it is detected.
        header: Number of header rows in CSV files; 0 if there are none.
        skip_rows: Number of lines before the header in CSV files.
        columns: Names for all columns of CSV files, as a,b.
        comment: Prefix of the lines in CSV files to skip, such as "#".
        sheet: Name of the sheet to read from a workbook; required if several sheets contain cells.
    """

    timezone: Words = None
    nulls: Annotated[tuple[str, ...], Parameter(metavar="POLICY..."), _UNSET] = ()
    dots: Annotated[tuple[str, ...], Parameter(metavar="POLICY..."), _UNSET] = ()
    hash: Columns = None
    namespace: Annotated[str, Parameter(metavar="TEXT", show_default=False)] = ""
    select: Codes = ()
    ignore: Codes = ()
    severity: Pairs = ()
    allow: Annotated[tuple[str, ...], Parameter(metavar="NAME..."), _UNSET] = ()
    triggers: Annotated[tuple[str, ...], Parameter(metavar="NAME..."), _UNSET] = ()
    allow_sensitive: Pairs = ()
    threshold: Annotated[tuple[str, ...], Parameter(metavar="SHARE..."), _UNSET] = ()
    reference: Pairs = ()
    phone_region: Words = None
    drift: Annotated[Path | None, Parameter(metavar="DIR")] = None
    drift_limit: Pairs = ()
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


@Parameter(name="*", group=_TARGET)
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where rows are sent, and how.

    Attributes:
        to: Customer.io in the US or the EU, or a temporary workspace on this machine.
        endpoint: A server on this machine, such as `cio-frames sandbox`, instead of Customer.io.
        rate: Rate limit in requests per second; "none" removes it.
        no_strict: Turn off strict mode; rows end as "accepted, unverified".
        yes: Do not ask for confirmation before sending to Customer.io.
        in_doubt: What to do with rows that an earlier run left in doubt. By default this depends on
            the call and their age.
        progress: How to show progress on standard error.
        format: Output format of the result.
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
