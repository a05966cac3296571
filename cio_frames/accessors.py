"""`df.cio` and `cio.frame(...)`: a verb for each call of the API."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, get_args, overload

import polars as pl

from cio_frames.checks import Checks
from cio_frames.errors import ArgumentError, MappingError, checks_arguments, errors_as
from cio_frames.frames import AnyTable, read
from cio_frames.frames.unsupported import is_spark
from cio_frames.mapping import Body, CallArguments, Dots, Nulls, Value
from cio_frames.plan import Plan, make
from cio_frames.plan.table_plan import TablePlan
from cio_frames.spec import CALLS, CallName

if TYPE_CHECKING:
    from cio_frames.spark import SparkPlan

Context = Mapping[str, Value] | Sequence[str] | str | None
Integrations = Mapping[str, Value | bool] | str | None
NullPolicy = Nulls | Mapping[str, Nulls]
DotPolicy = Dots | Mapping[str, Dots]
Key = str | Sequence[str] | None


def _advice(call: str, argument: str) -> str:
    """Return what to write instead of an argument that a verb does not take."""
    definition = CALLS[call]
    if not argument:
        first = next(name for field in definition.fields if (name := field.column_argument))
        return f'Name its arguments: {call}({first}="column").'
    body = "fields" if definition.body == "data" else definition.body
    if body is None:
        return f"help(df.cio.{call}) lists those it takes."
    return (
        f'To send a column under that name, write {body}={{"{argument}": "column"}}, or rename the '
        f"column; without {body}= all columns are sent under their own names."
    )


_verb = checks_arguments(_advice)

_OPTIONS = (
    "relationship",
    "context",
    "integrations",
    "key",
    "nulls",
    "dots",
    "timezone",
    "mapping",
    "hash",
)


class SparkFrame(Protocol):
    """A frame of Spark, of a classic session or of Spark Connect."""

    @property
    def sparkSession(self) -> Any:  # noqa: N802 - Spark's own name
        """The session."""

    def selectExpr(self, *_: Any) -> Any:  # noqa: N802 - Spark's own name
        """Return SQL expressions over the columns."""


PlanOf = TypeVar("PlanOf", bound=TablePlan)


class Frame(Generic[PlanOf]):
    """A table that can be sent to Customer.io, with a verb for each call, which returns a plan.

    No verb sends anything. A text names a column; a constant is `cio.lit("value")`; a polars
    expression is taken as it is. Traits, properties and fields take every column that is not used
    otherwise, or a list of columns, or `{"trait": "column"}`; dots in names nest, so that
    `address.city` becomes `{"address": {"city": ...}}`. Where no identifier is named, the verb
    proposes columns, and its report says which.
    """

    def __init__(self, frame: AnyTable | SparkFrame, *, order_by: Sequence[str] = ()) -> None:
        self._frame = frame
        self._order_by = (order_by,) if isinstance(order_by, str) else tuple(order_by)

    def __repr__(self) -> str:
        return "Customer.io verbs: identify, track, page, screen, group, alias, form"

    def _plan(self, call: CallName, values: Mapping[str, Any]) -> PlanOf:
        """Return the plan for the arguments of a verb, by their names."""
        row = CALLS[call]
        arguments = CallArguments(
            fields={name: values[name] for field in row.fields if (name := field.column_argument)},
            body=values.get("fields" if row.body == "data" else row.body or ""),
            **{name: values[name] for name in _OPTIONS if name in values},
        )
        options = {name: values[name] for name in ("checks", "namespace")}
        if is_spark(self._frame):
            return cast("PlanOf", self._spark_plan(arguments, call=call, **options))
        if self._order_by:
            raise ArgumentError(
                "order_by= is for Spark frames; rows of other tables have an order. Sort the table first."
            )
        return cast("PlanOf", make(read(self._frame), arguments, call=call, **options))

    def _spark_plan(
        self, arguments: CallArguments, *, call: CallName, **options: Any
    ) -> "SparkPlan":
        """Return the plan of a Spark frame."""
        from cio_frames.spark import plan_of_spark, read_spark

        table = read_spark(self._frame, order_by=self._order_by)
        return plan_of_spark(table, make(table.sample, arguments, call=call, **options).pipeline)

    @_verb
    def identify(
        self,
        *,
        user_id: Value | None = None,
        anonymous_id: Value | None = None,
        traits: Body = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        dots: DotPolicy = "nest",
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to add or update one person per row.

        Args:
            user_id: Who the row is about: an id or an e-mail address.
            anonymous_id: What the person was tracked by before; with `user_id`, it links them.
            traits: The attributes of the person; see `Frame` for how to pass them.
            timestamp: Since when the traits are valid; what was edited later stays as it is.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            dots: "nest" makes `address.city` a value inside `address`, "keep" leaves the dot in the
                name; or a policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the people of the rows.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1"], "plan": ["pro"]})
            >>> people.cio.identify(user_id="id").payloads()[0]["traits"]
            {'plan': 'pro'}
        """
        return self._plan("identify", locals())

    @_verb
    def track(
        self,
        *,
        event: Value | None = None,
        user_id: Value | None = None,
        anonymous_id: Value | None = None,
        group_id: Value | None = None,
        properties: Body = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        dots: DotPolicy = "nest",
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to record one event per row.

        Args:
            event: Name of the event; `cio.lit("Order Completed")` for one name for all rows.
            user_id: Who did it: an id or an e-mail address.
            anonymous_id: Who did it, before they were known.
            group_id: The group that the event is of; a row without a person needs it.
            properties: The properties of the event; see `Frame` for how to pass them.
            timestamp: When it happened; without it, it counts as happening now.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            dots: "nest" makes `address.city` a value inside `address`, "keep" leaves the dot in the
                name; or a policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the person or the event.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> orders = pl.DataFrame({"user": ["u1"], "total": [9.5]})
            >>> plan = orders.cio.track(event=cio.lit("Ordered"), user_id="user")
            >>> plan.payloads()[0]["properties"]
            {'total': 9.5}
        """
        return self._plan("track", locals())

    @_verb
    def page(
        self,
        *,
        name: Value | None = None,
        user_id: Value | None = None,
        anonymous_id: Value | None = None,
        properties: Body = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        dots: DotPolicy = "nest",
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to record one page view per row.

        Args:
            name: Name of the page.
            user_id: Who saw it: an id or an e-mail address.
            anonymous_id: Who saw it, before they were known.
            properties: The properties of the view; Journeys needs `url`. See `Frame`.
            timestamp: When it was seen.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            dots: "nest" makes `address.city` a value inside `address`, "keep" leaves the dot in the
                name; or a policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the people of the rows.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> views = pl.DataFrame({"user": ["u1"], "url": ["https://example.com/a"]})
            >>> views.cio.page(user_id="user").payloads()[0]["properties"]
            {'url': 'https://example.com/a'}
        """
        return self._plan("page", locals())

    @_verb
    def screen(
        self,
        *,
        name: Value | None = None,
        user_id: Value | None = None,
        anonymous_id: Value | None = None,
        properties: Body = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        dots: DotPolicy = "nest",
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to record one view of an app's screen per row.

        Args:
            name: Name of the screen.
            user_id: Who saw it: an id or an e-mail address.
            anonymous_id: Who saw it, before they were known.
            properties: The properties of the view; see `Frame` for how to pass them.
            timestamp: When it was seen.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            dots: "nest" makes `address.city` a value inside `address`, "keep" leaves the dot in the
                name; or a policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the people of the rows.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> views = pl.DataFrame({"user": ["u1"], "screen": ["Home"]})
            >>> views.cio.screen(name="screen", user_id="user").payloads()[0]["name"]
            'Home'
        """
        return self._plan("screen", locals())

    @_verb
    def group(
        self,
        *,
        group_id: Value | None = None,
        user_id: Value | None = None,
        anonymous_id: Value | None = None,
        object_type_id: Value | None = None,
        traits: Body = None,
        relationship: Body = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        dots: DotPolicy = "nest",
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to add or update one group per row, and to relate a person to it.

        Args:
            group_id: The group: a company, a course, an account.
            user_id: Who belongs to it; without a person only the group is written.
            anonymous_id: Who belongs to it, before they were known.
            object_type_id: What kind of group it is, a whole number as in the workspace's
                settings; without it, 1.
            traits: The attributes of the group; see `Frame` for how to pass them.
            relationship: The attributes of the person's relationship to it, such as a role.
            timestamp: Since when the traits are valid; what was edited later stays as it is.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            dots: "nest" makes `address.city` a value inside `address`, "keep" leaves the dot in the
                name; or a policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the group.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> members = pl.DataFrame({"company": ["c1"], "user": ["u1"], "role": ["admin"]})
            >>> plan = members.cio.group(group_id="company", user_id="user", relationship=["role"])
            >>> plan.payloads()[0]["traits"]
            {'relationshipAttributes': {'role': 'admin'}}
        """
        return self._plan("group", locals())

    @_verb
    def alias(
        self,
        *,
        previous_id: Value | None = None,
        user_id: Value | None = None,
        timestamp: Value | None = None,
        context: Context = None,
        integrations: Integrations = None,
        message_id: Value | None = None,
        key: Key = None,
        nulls: NullPolicy = "omit",
        timezone: str | None = None,
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to merge one profile into another per row, permanently.

        Args:
            previous_id: The profile that disappears.
            user_id: The profile that stays; it must exist already.
            timestamp: When they were found to be one.
            context: Place in the context to column, e.g. `{"ip": "address"}`, or one column of
                structs.
            integrations: Destination to boolean or column, or one column of structs.
            message_id: A column whose values are sent as message ids.
            key: Columns the message id is made from, instead of the whole payload.
            nulls: "omit" leaves a value alone where the cell is empty, "send" clears it; or a
                policy per column.
            timezone: Time zone of times without one; by default they are read as UTC.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> merges = pl.DataFrame({"old": ["a"], "new": ["b"]})
            >>> merges.cio.alias(previous_id="old", user_id="new").payloads()[0]["previousId"]
            'a'
        """
        return self._plan("alias", locals())

    @_verb
    def form(
        self,
        *,
        form_id: Value | None = None,
        email: Value | None = None,
        id: Value | None = None,  # noqa: A002 - the API's own name
        fields: Body = None,
        mapping: Mapping[str, str] | None = None,
        timezone: str | None = None,
        hash: str | Sequence[str] = (),  # noqa: A002 - what it does
        checks: Checks | None = None,
        namespace: str = "",
    ) -> PlanOf:
        """Plan to submit one form per row. A submission always counts as happening now.

        Args:
            form_id: The form; a new one is created.
            email: Who submitted it, by e-mail address.
            id: Who submitted it, by id; one of the two, not both.
            fields: What was submitted, all as text; see `Frame` for how to pass it.
            mapping: Field of the form to attribute, as the form is mapped in Customer.io, e.g.
                `{"email_address": "email"}`: fields are sent under their own names.
            timezone: Time zone of times without one; by default they are read as UTC.
            hash: Columns whose values are sent as their SHA-256.
            checks: Which checks apply, and how strictly.
            namespace: Keeps message ids of one workspace apart from those of another.

        Raises:
            MappingError: A column is missing, or no argument identifies the form or the person.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> sent = pl.DataFrame({"email": ["ada@example.com"], "topic": ["sales"]})
            >>> sent.cio.form(form_id=cio.lit("contact"), email="email").payloads()
            [{'data': {'email': 'ada@example.com', 'topic': 'sales'}}]
        """
        return self._plan("form", locals())


def _require_arguments() -> None:
    """Raise if `spec/` names an argument that a verb does not take."""
    for call in get_args(CallName):
        taken = signature(getattr(Frame, call)).parameters
        for row in CALLS[call].fields:
            if row.argument is not None and row.argument not in taken:
                raise NotImplementedError(
                    f"spec/ feeds {'.'.join(row.path)} of {call} from the argument {row.argument}, "
                    f"which Frame.{call} does not take. Add it to the signature in accessors.py."
                )


_require_arguments()


@overload
def frame(anything: SparkFrame, *, order_by: str | Sequence[str] = ()) -> "Frame[SparkPlan]": ...


@overload
def frame(anything: AnyTable) -> Frame[Plan]: ...


def frame(anything: Any, *, order_by: str | Sequence[str] = ()) -> Frame[Any]:
    """Return the verbs for any table; the typed form of `df.cio`.

    Args:
        anything: A pandas or polars frame, a polars lazy frame, a list of dictionaries, a Spark frame,
            or anything with an Arrow stream, such as a pyarrow table, a DuckDB relation or Ibis.
        order_by: Columns that define the order of the rows of a Spark frame. Without them, rows are in the
            order in which Spark reads them, which is only stable for a file.

    Examples:
        >>> import pyarrow as pa, cio_frames as cio
        >>> cio.frame(pa.table({"id": ["u1"]})).identify(user_id="id").counts["valid"]
        1
    """
    return Frame(anything, order_by=order_by)


def lit(value: Any) -> pl.Expr:
    """Return a constant, for arguments where a text would name a column.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> users = pl.DataFrame({"id": ["u1"]})
        >>> users.cio.track(event=cio.lit("Imported"), user_id="id").payloads()[0]["event"]
        'Imported'

    Raises:
        MappingError: polars has no constant for it.
    """
    with errors_as(lambda kind: _no_constant(value, kind), any_error=True):
        return pl.lit(value)


def _no_constant(value: Any, kind: str) -> MappingError:
    return MappingError(
        f"cio.lit(...) takes a text, a number, a time or a list of one kind, not this "
        f"{type(value).__name__} ({kind})."
    )
