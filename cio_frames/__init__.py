"""Plan, check, preview, rehearse, send and audit tables on their way into Customer.io.

Importing this registers `.cio` on pandas and polars frames.
"""

from typing import TYPE_CHECKING

import cio_frames.sandbox  # noqa: F401 - before its name becomes that of the function, for good
from cio_frames import errors
from cio_frames.accessors import Frame, frame, lit, register
from cio_frames.checks import Checks, rule
from cio_frames.errors import (
    AccountingError,
    ArgumentError,
    AuditCorruptError,
    AuditError,
    AuditLockedError,
    ChoiceError,
    CioError,
    ColumnNamesError,
    ColumnNotFoundError,
    ColumnTypeError,
    ConfigError,
    EndpointError,
    EngineError,
    FieldConflictError,
    FrameError,
    FrameReadError,
    IdentityRefusedError,
    InputFileError,
    MappingError,
    MissingKeyError,
    MissingLibraryError,
    NoIdentifierError,
    PlanRefusedError,
    RepairError,
    RunError,
    RunInterruptedError,
    RunStoppedError,
    SandboxError,
    StreamConsumedError,
    UnsupportedFrameError,
)
from cio_frames.frames import scan
from cio_frames.identity import Settings as Workspace
from cio_frames.plan import Backfill, Plan, backfill, resume, suggest
from cio_frames.run import Audit, Run
from cio_frames.run import read as audit
from cio_frames.samples import samples
from cio_frames.sandbox import Faults
from cio_frames.sending import Client, connect
from cio_frames.workspaces import sandbox

__version__: str

__all__ = [
    "AccountingError",
    "ArgumentError",
    "Audit",
    "AuditCorruptError",
    "AuditError",
    "AuditLockedError",
    "Backfill",
    "Checks",
    "ChoiceError",
    "CioError",
    "Client",
    "ColumnNamesError",
    "ColumnNotFoundError",
    "ColumnTypeError",
    "ConfigError",
    "EndpointError",
    "EngineError",
    "Faults",
    "FieldConflictError",
    "Frame",
    "FrameError",
    "FrameReadError",
    "IdentityRefusedError",
    "InputFileError",
    "MappingError",
    "MissingKeyError",
    "MissingLibraryError",
    "NoIdentifierError",
    "Plan",
    "PlanRefusedError",
    "RepairError",
    "Run",
    "RunError",
    "RunInterruptedError",
    "RunStoppedError",
    "SandboxError",
    "StreamConsumedError",
    "UnsupportedFrameError",
    "Workspace",
    "audit",
    "backfill",
    "connect",
    "errors",
    "frame",
    "lit",
    "resume",
    "rule",
    "samples",
    "sandbox",
    "scan",
    "suggest",
]

register()


def __dir__() -> list[str]:
    """List what a user types; the exceptions, which have names here too, are in `errors`."""
    return [*(name for name in __all__ if name not in vars(errors)), "__version__"]


if not TYPE_CHECKING:  # type checkers would take every misspelled name for a text

    def __getattr__(name: str) -> str:
        if name == "__version__":
            from importlib.metadata import version

            return version("cio-frames")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
