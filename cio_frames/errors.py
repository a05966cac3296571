"""Every exception of the package, and what a caller can do about each.

CioError
├── FrameError                 the table itself cannot be read as one
│   ├── UnsupportedFrameError  not a table this package knows
│   ├── FrameReadError         the library that a table comes from failed while it was read
│   │   └── StreamConsumedError  a reader that can be read once was read before
│   ├── ColumnTypeError        one column holds values that no column type can hold
│   ├── ColumnNamesError       names that are missing, doubled or not text
│   └── InputFileError         a file that cannot be read; has `path` and `hint`
├── MappingError               the arguments of a call cannot work
│   ├── ArgumentError          unknown or missing arguments of a function; a TypeError too
│   ├── ColumnNotFoundError    a named column is not in the table
│   ├── ChoiceError            an argument is not one of its allowed values
│   ├── NoIdentifierError      no column identifies the person or object of the rows
│   ├── RowOrderError          the result depends on the order of rows, which is not known
│   └── FieldConflictError     two columns would fill the same place of the message
├── ConfigError                keys, region or host
│   ├── MissingKeyError        a required key is missing
│   └── EndpointError          a host that is not allowed
├── WorkspaceReadError         people or events could not be read from Customer.io; has `status`, `export`
│   ├── AccessRefusedError     the App API key is not accepted, or may not read this
│   └── ExportError            an export has failed or is unknown, or its file cannot be read
├── PlanRefusedError           findings prevent sending, or reject every row; has `findings`
│   ├── IdentityRefusedError   people would be mixed up; has `preview`
│   └── AllowanceError         sending does more than `allow=` permits; has `needed` and `allowed`
├── RepairError                a repair that does not exist or does not apply
├── UsageError                 options of a command that cannot be combined
├── MissingLibraryError        a required library is not installed
├── RunError                   a run ended before all rows were sent; has `run`
│   ├── RunStoppedError        the responses rule out going on (wrong key, wrong host, every row rejected)
│   └── RunInterruptedError    an outage lasted longer than the run waits
├── AuditError                 the record cannot be trusted or written
│   ├── AccountingError        states do not add up to the rows read
│   ├── AuditLockedError       another process writes here
│   └── AuditCorruptError      a file is incomplete, changed or foreign
├── SandboxError               the embedded workspace does not support what was called
└── EngineError                polars or pyarrow failed although the arguments were valid
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from itertools import takewhile
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "AccessRefusedError",
    "AccountingError",
    "AllowanceError",
    "ArgumentError",
    "AuditCorruptError",
    "AuditError",
    "AuditLockedError",
    "ChoiceError",
    "CioError",
    "ColumnNamesError",
    "ColumnNotFoundError",
    "ColumnTypeError",
    "ConfigError",
    "EndpointError",
    "EngineError",
    "ExportError",
    "FieldConflictError",
    "FrameError",
    "FrameReadError",
    "IdentityRefusedError",
    "InputFileError",
    "MappingError",
    "MissingKeyError",
    "MissingLibraryError",
    "NoIdentifierError",
    "PlanChangedError",
    "PlanRefusedError",
    "RepairError",
    "RowOrderError",
    "RunError",
    "RunInterruptedError",
    "RunStoppedError",
    "SandboxError",
    "SavedPlanError",
    "StreamConsumedError",
    "UnsupportedFrameError",
    "UsageError",
    "WorkspaceReadError",
]


MOST_REASONS = 3
"""The number of codes that a sentence names."""

MOST_DIFFERENCES, MOST_CHARACTERS = 12, 60
"""How many differences from a saved plan are listed, and how many characters of each value."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def __dir__() -> list[str]:
    return __all__


class CioError(Exception):
    """The base of all errors that this package raises on purpose.

    IPython shows the lines of the caller and the message, without the lines of this package.
    """

    def __str__(self) -> str:
        """Return the message in characters that standard output can print."""
        encoding, text = getattr(sys.stdout, "encoding", None) or "utf-8", super().__str__()
        try:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:
            return text

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows; it calls this method of exceptions."""
        shell = sys.modules["IPython"].get_ipython()
        callers = [*takewhile(lambda entry: not _is_ours(entry[0]), walk_tb(self.__traceback__))]
        traceback = None
        for frame, line in reversed(callers):
            traceback = TracebackType(traceback, frame, frame.f_lasti, line)
        formatter: Any = shell.InteractiveTB
        lines: list[str] = formatter.structured_traceback(type(self), self, traceback, tb_offset=1)
        return lines


def _is_ours(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] == __package__


class FrameError(CioError):
    """The table cannot be read as one."""


class UnsupportedFrameError(FrameError):
    """The object is not a table this package knows."""

    def __init__(self, kind: str, *, hint: str = "") -> None:
        self.kind = kind
        hint = hint or (
            "Pass a pandas or polars frame, anything with an Arrow stream (__arrow_c_stream__), "
            "or a path through cio.scan(...)."
        )
        super().__init__(f"{kind} is not a table. {hint}")


class FrameReadError(FrameError):
    """The library that a table comes from failed while it was read."""

    def __init__(self, label: str, *, problem: str, hint: str) -> None:
        self.label = label
        super().__init__(f"The {label} {problem}. {hint}")


class StreamConsumedError(FrameReadError):
    """A reader that can be read only once was read before."""


class ColumnTypeError(FrameError):
    """One column holds values that no column type can hold."""

    def __init__(self, column: str, *, problem: str, hint: str) -> None:
        self.column = column
        super().__init__(f"Column {column!r}: {problem}. {hint}")


class ColumnNamesError(FrameError):
    """Column names are missing, doubled or not text."""

    def __init__(self, names: Sequence[object], *, problem: str, hint: str) -> None:
        self.names: tuple[object, ...] = tuple(names)
        super().__init__(f"{problem}: {', '.join(repr(name) for name in names)}. {hint}")


class InputFileError(FrameError):
    """A file cannot be read."""

    def __init__(self, path: str, *, problem: str, hint: str) -> None:
        self.path = path
        self.hint = hint
        super().__init__(f"{path}: {problem}. {hint}")


class MappingError(CioError):
    """The arguments of a call cannot work."""


class ArgumentError(MappingError, TypeError):
    """A function was called with unknown arguments, or without a required one."""


def checks_arguments(
    advice: Callable[[str, str], str],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Make a function raise `ArgumentError` if its arguments are wrong.

    `advice` returns what to do, from the names of the function and of the unknown argument, if any.
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        expected, name = signature(function), function.__name__

        @wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            try:
                expected.bind(*args, **kwargs)
            except TypeError:
                names = expected.parameters
                unknown = next((argument for argument in kwargs if argument not in names), "")
                near = get_close_matches(unknown, names, n=1)
                hint = f"Did you mean {near[0]}=?" if near else advice(name, unknown)
                problem = f"has no argument {unknown!r}" if unknown else "needs another argument"
                if not unknown and len(args) > 1:  # the first one is self
                    problem = "takes all further arguments by name"
                raise ArgumentError(f"{name} {problem}. {hint}") from None
            return function(*args, **kwargs)

        return checked

    return decorate


class ColumnNotFoundError(MappingError):
    """A named column is not in the table."""

    def __init__(
        self, column: str, *, argument: str, available: Sequence[str], index: Sequence[str] = ()
    ) -> None:
        self.column = column
        self.argument = argument
        self.available: tuple[str, ...] = tuple(available)
        near = _nearest(column, available)
        hint = f"Did you mean {near!r}?" if near else f"Columns: {', '.join(available) or 'none'}."
        advice = f"{hint} For a constant, write {argument}=cio.lit({column!r})."
        if column in index:
            advice = "It is in the index; df.reset_index() makes it a column."
        super().__init__(f"{argument}={column!r} is not a column of this table. {advice}")


class NoIdentifierError(MappingError):
    """No column identifies the person or object of the rows."""

    def __init__(
        self,
        call: str,
        *,
        arguments: Sequence[str],
        available: Sequence[str],
        index: Sequence[str] = (),
    ) -> None:
        self.call = call
        self.arguments: tuple[str, ...] = tuple(arguments)
        self.available: tuple[str, ...] = tuple(available)
        named = " or ".join(f'{argument}="column"' for argument in arguments)
        levels = ", ".join(index)
        advice = f" If they are in the index ({levels}), call df.reset_index()." if index else ""
        super().__init__(
            f"{call} needs {named}, and no column looks like one. "
            f"Columns: {', '.join(available) or 'none'}.{advice}"
        )


class ChoiceError(MappingError):
    """An argument is not one of its allowed values."""

    def __init__(self, argument: str, value: object, *, choices: Sequence[str]) -> None:
        self.argument = argument
        self.choices: tuple[str, ...] = tuple(choices)
        near = get_close_matches(str(value), choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        named = ", ".join(map(repr, choices))
        super().__init__(f"{argument}={value!r} is not one of {named}.{hint}")

    @classmethod
    def require(cls, argument: str, value: object, choices: Sequence[str]) -> None:
        """Raise unless a value is one of the choices."""
        if value not in choices:
            raise cls(argument, value, choices=choices)


class RowOrderError(MappingError):
    """The result depends on the order of rows, which is not known. `rows` are two of them."""

    def __init__(self, call: str, *, cases: int, rows: tuple[int, int], has_time: bool) -> None:
        self.call = call
        self.rows = rows
        first, last = rows
        more = f" There are {cases - 1:,} more such cases." if cases > 1 else ""
        timed = ", at the same time or without a time" if has_time else ""
        other = "" if has_time or call == "form" else ' For a time, write timestamp="column".'
        super().__init__(
            f"{call}: rows {first} and {last} are about the same person or object{timed}. Which one "
            f"comes first is unknown, since Spark keeps no order of rows.{more} Name the columns that "
            f'determine it: cio.frame(df, order_by="column").{other}'
        )


class FieldConflictError(MappingError):
    """Two columns would fill the same place of the message."""

    def __init__(self, path: str, *, columns: Sequence[str], hint: str) -> None:
        self.path = path
        self.columns: tuple[str, ...] = tuple(columns)
        super().__init__(f"{' and '.join(map(repr, columns))} would both be sent as {path}. {hint}")


class ConfigError(CioError):
    """Keys, region or host are not usable."""


class MissingKeyError(ConfigError):
    """A required key is missing."""

    def __init__(self, argument: str, *, variable: str) -> None:
        self.argument = argument
        self.variable = variable
        super().__init__(
            f"{argument} is missing. Pass cio.connect({argument}=...) or set {variable}; "
            "to try without an account, use cio.sandbox().client()."
        )


class EndpointError(ConfigError):
    """A host is not allowed."""

    def __init__(self, host: str, *, hint: str) -> None:
        self.host = host
        super().__init__(f"{host!r} is not a host that you can send to. {hint}")


class WorkspaceReadError(CioError):
    """People or events could not be read from Customer.io.

    Attributes:
        status: The HTTP status of the response; None if there was none.
        export: The id of the running export, to continue it; None if there was none.
    """

    def __init__(
        self,
        what: str,
        *,
        host: str,
        problem: str,
        hint: str,
        status: int | None = None,
        export: int | None = None,
    ) -> None:
        self.status = status
        self.export = export
        super().__init__(f"{what} could not be read from {host}: {problem} {hint}")


class AccessRefusedError(WorkspaceReadError):
    """The App API key is not accepted, or may not read this."""


class ExportError(WorkspaceReadError):
    """An export has failed or is unknown, or its file cannot be read."""


class PlanRefusedError(CioError):
    """Findings prevent sending, or reject every row."""

    def __init__(
        self,
        findings: Sequence[Mapping[str, Any]],
        *,
        rows: int = 0,
        reasons: Mapping[str, int] | None = None,
        message: str = "",
    ) -> None:
        self.findings: tuple[Mapping[str, Any], ...] = tuple(findings)
        if message:
            super().__init__(message)
            return
        if reasons is not None:
            super().__init__(_nothing_to_send(rows, reasons))
            return
        lines = [f"  {item['code']}: {item['message']} {item['hint']}" for item in findings]
        super().__init__(
            "Nothing was sent, because this plan cannot be sent as it is:\n" + "\n".join(lines)
        )


def _nothing_to_send(rows: int, reasons: Mapping[str, int]) -> str:
    """Return why no row can be sent; `reasons` are the numbers of rows by code, largest first."""
    named = [f"{code} ({count:,})" for code, count in reasons.items()]
    more = len(named) - MOST_REASONS
    shown = [*named[:MOST_REASONS], *([f"{more} more"] if more > 0 else [])]
    subject = "the only row" if rows == 1 else f"none of the {rows:,} rows"
    return (
        f"Nothing was sent, because {subject} can{'not' if rows == 1 else ''} be sent: "
        f"{', '.join(shown)}. See plan.summary for how to fix this, and plan.rejected for the rows."
    )


class IdentityRefusedError(PlanRefusedError):
    """Rows would mix up people. `preview` shows which rows, and why."""

    def __init__(self, findings: Sequence[Mapping[str, Any]], *, preview: Any) -> None:
        self.preview = preview
        super().__init__(findings)


class AllowanceError(PlanRefusedError):
    """Sending starts more campaigns, or ends, deletes or merges more, than was allowed. Nothing was sent.

    Attributes:
        needed: How many of each kind are needed, without kinds that are not.
        allowed: How many of each kind were allowed.
    """

    def __init__(
        self,
        needed: Mapping[str, int],
        *,
        allowed: Mapping[str, int],
        sentences: Mapping[str, str],
        call: str,
    ) -> None:
        self.needed: dict[str, int] = dict(needed)
        self.allowed: dict[str, int] = dict(allowed)
        lines = [
            f"  {kind}: {sentences[kind]} ({self.allowed.get(kind, 0):,} allowed)"
            for kind in self.needed
        ]
        message = "\n".join(
            (
                "Nothing was sent, because it does more than was allowed:",
                *lines,
                "To allow it:",
                f"    {call}",
            )
        )
        super().__init__((), message=message)


class SavedPlanError(CioError):
    """A saved plan cannot be read, is too old, or was not approved."""

    def __init__(self, path: str, *, problem: str, hint: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}. {hint}")


class PlanChangedError(SavedPlanError):
    """What would be sent is not what was reviewed. `differences` has names, old and new values."""

    def __init__(self, path: str, *, differences: Sequence[tuple[str, Any, Any]]) -> None:
        self.differences: tuple[tuple[str, Any, Any], ...] = tuple(differences)
        shown = self.differences[:MOST_DIFFERENCES]
        lines = [f"  {what}: reviewed {_brief(old)}, now {_brief(new)}" for what, old, new in shown]
        more = len(self.differences) - len(shown)
        lines += [f"  and {more} more"] if more else []
        super().__init__(
            path,
            problem="nothing was sent, because this is not what was reviewed",
            hint="\n".join(
                ["Save the plan again and have it reviewed, or undo the change:", *lines]
            ),
        )


def _brief(value: Any) -> str:
    text = "nothing" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


class RepairError(CioError):
    """A repair does not exist or does not apply."""

    def __init__(self, code: str, *, problem: str, available: Sequence[str]) -> None:
        self.code = code
        offer = (
            f"Available repairs: {', '.join(available)}."
            if available
            else "This plan has no repairs."
        )
        super().__init__(f"{code!r} {problem}. {offer}")


class UsageError(CioError):
    """Options of a command cannot be combined."""


class MissingLibraryError(CioError):
    """A required library is not installed."""

    def __init__(self, library: str, *, wanted: str, install: str) -> None:
        self.library = library
        super().__init__(
            f"{wanted} needs {library}, which is not installed. Run: pip install {install}"
        )


class RunError(CioError):
    """A run ended before all rows were sent. `run` has the outcome of each row."""

    def __init__(self, message: str, *, run: Any = None) -> None:
        self.run = run
        super().__init__(message)


class RunStoppedError(RunError):
    """The responses rule out going on."""


class RunInterruptedError(RunError):
    """An outage lasted longer than the run waits."""


class AuditError(CioError):
    """The record cannot be trusted or written."""


class AccountingError(AuditError):
    """States do not add up to the rows read."""

    def __init__(self, rows: int, *, counts: Mapping[str, int]) -> None:
        self.rows = rows
        self.counts: dict[str, int] = dict(counts)
        states = ", ".join(f"{state} {count}" for state, count in counts.items() if count)
        super().__init__(
            f"{rows} rows were read but the states add up to {sum(counts.values())} ({states}). "
            "This is a bug in cio_frames: keep the audit directory and report it."
        )


class AuditLockedError(AuditError):
    """Another process writes here."""


class AuditCorruptError(AuditError):
    """A file is incomplete, changed or foreign."""

    def __init__(self, path: str, *, problem: str, hint: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}. {hint}")


class SandboxError(CioError):
    """The embedded workspace does not support what was called."""


class EngineError(CioError):
    """A library such as polars failed although the arguments were valid."""

    def __init__(self, step: str, *, kind: str) -> None:
        self.step = step
        self.kind = kind
        super().__init__(
            f"An underlying library failed while {step} ({kind}). Update it: pip install --upgrade "
            "polars pyarrow. If that does not help, this is a bug in cio_frames: keep the table "
            "and report it."
        )


ENGINES = frozenset({"polars", "pyarrow", "pyo3_runtime"})
"""The modules of exceptions of polars and pyarrow. A panic of a library written in Rust, such as polars,
comes from `pyo3_runtime`, and is not an `Exception`."""


def is_engine_error(error: BaseException) -> bool:
    """Return whether polars or pyarrow raised an exception, and not Python or this package.

    Examples:
        >>> is_engine_error(KeyboardInterrupt()), is_engine_error(CioError())
        (False, False)
    """
    return any(kind.__module__.partition(".")[0] in ENGINES for kind in type(error).__mro__)


@contextmanager
def errors_as(error_of: Callable[[str], CioError], *, any_error: bool = False) -> Iterator[None]:
    """Raise errors of polars and pyarrow as errors of this package, without their text.

    The text of such an exception may contain values of the table. `error_of` returns the error for its
    class name. `any_error` applies this to every `Exception`, for code that calls functions of users or
    of other libraries.
    """
    try:
        yield
    except CioError:
        raise
    except BaseException as error:
        if not (is_engine_error(error) or (any_error and isinstance(error, Exception))):
            raise
        raise error_of(type(error).__name__) from None


@contextmanager
def engine_errors(step: str) -> Iterator[None]:
    """Raise errors of polars and pyarrow as `EngineError`; `step` ends "failed while ..."."""
    with errors_as(lambda kind: EngineError(step, kind=kind)):
        yield


def _nearest(name: str, names: Sequence[str]) -> str | None:
    """Return the most similar name, if one is similar."""
    lowered = {candidate.lower(): candidate for candidate in names}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None
