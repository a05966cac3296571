"""The exit codes, and which error leads to which."""

from enum import IntEnum
from typing import Self

from cyclopts import CycloptsError

from cio_frames import errors
from cio_frames.views import text


class Exit(IntEnum):
    """An exit code with its sentence.

    Examples:
        >>> int(Exit.REFUSED), Exit.REFUSED.sentence
        (3, 'The plan must be fixed first. Nothing was sent.')
    """

    sentence: str

    OK = 0, "Success: every row can be sent (check) or arrived (send)."
    ROWS = 1, "Some rows are excluded, did not arrive, or differ (reconcile)."
    USAGE = 2, "The options or the mapping are invalid. Nothing was sent."
    REFUSED = 3, "The plan must be fixed first. Nothing was sent."
    INPUT = 4, "A file cannot be read as a table."
    TARGET = 5, "A key is missing, or the host or port cannot be used."
    STOPPED = 6, "The run stopped early; the audit contains every row."
    AUDIT = 7, "The record cannot be read, written or trusted."
    CHANGED = (
        8,
        "This is not the plan that was reviewed. Nothing was sent.",
    )
    INTERRUPTED = 130, "Interrupted; what was sent is in the audit."

    def __new__(cls, code: int, sentence: str) -> Self:
        """Make an integer with a sentence."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


_EXITS: tuple[tuple[type[BaseException], Exit], ...] = (
    (CycloptsError, Exit.USAGE),
    (errors.UsageError, Exit.USAGE),
    (errors.FrameError, Exit.INPUT),
    (errors.EngineError, Exit.INPUT),
    (errors.MappingError, Exit.USAGE),
    (errors.RepairError, Exit.USAGE),
    (errors.PlanRefusedError, Exit.REFUSED),
    (errors.PlanChangedError, Exit.CHANGED),
    (errors.SavedPlanError, Exit.REFUSED),
    (errors.ConfigError, Exit.TARGET),
    (errors.SandboxError, Exit.TARGET),
    (errors.WorkspaceReadError, Exit.TARGET),
    (errors.RunError, Exit.STOPPED),
    (errors.AuditError, Exit.AUDIT),
    (errors.CioError, Exit.USAGE),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)


def exit_of(error: BaseException) -> Exit | None:
    """Return the exit code of an error; None for an unexpected error.

    Examples:
        >>> exit_of(errors.NoIdentifierError("track", arguments=["user_id"], available=[])).name
        'USAGE'
        >>> exit_of(ZeroDivisionError()) is None
        True
    """
    return next((code for kind, code in _EXITS if isinstance(error, kind)), None)


def exits_table() -> str:
    """Return the exit codes with their sentences, for `--help`."""
    rows = [(str(code.value), code.sentence) for code in Exit]
    return "Exit codes:\n" + text.columns((), rows, right={0}, indent="  ")
