"""Plan, check, preview, rehearse, send and audit tables on their way into Customer.io.

Importing this registers `.cio` on pandas and polars frames. The rest is loaded when it is used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cio_frames import errors
from cio_frames.errors import (
    AccessRefusedError,
    AccountingError,
    AllowanceError,
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
    ExportError,
    FieldConflictError,
    FrameError,
    FrameReadError,
    IdentityRefusedError,
    InputFileError,
    MappingError,
    MissingKeyError,
    MissingLibraryError,
    NoIdentifierError,
    PlanChangedError,
    PlanRefusedError,
    RepairError,
    RowOrderError,
    RunError,
    RunInterruptedError,
    RunStoppedError,
    SandboxError,
    SavedPlanError,
    StreamConsumedError,
    UnsupportedFrameError,
    WorkspaceReadError,
)
from cio_frames.registration import register

if TYPE_CHECKING:
    from cio_frames import spark as spark
    from cio_frames.accessors import Frame, frame, lit
    from cio_frames.checks import Checks, Drift, rule
    from cio_frames.frames import scan
    from cio_frames.identity import Settings as Workspace
    from cio_frames.plan import Backfill, Plan, backfill, resume, suggest
    from cio_frames.plan.apply import apply
    from cio_frames.plan.approval import approval_key, approve
    from cio_frames.plan.past_runs import reconcile, undo
    from cio_frames.plan.saved_plan import SavedPlan, read_plan
    from cio_frames.run import Audit, Run
    from cio_frames.run import read as audit
    from cio_frames.run.undo import Undo
    from cio_frames.samples import samples
    from cio_frames.sandbox import Faults
    from cio_frames.workspaces import Client, connect
    from cio_frames.workspaces.embedded import sandbox

__version__: str

__all__ = [
    "AccessRefusedError",
    "AccountingError",
    "AllowanceError",
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
    "Drift",
    "EndpointError",
    "EngineError",
    "ExportError",
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
    "PlanChangedError",
    "PlanRefusedError",
    "RepairError",
    "RowOrderError",
    "Run",
    "RunError",
    "RunInterruptedError",
    "RunStoppedError",
    "SandboxError",
    "SavedPlan",
    "SavedPlanError",
    "StreamConsumedError",
    "Undo",
    "UnsupportedFrameError",
    "Workspace",
    "WorkspaceReadError",
    "apply",
    "approval_key",
    "approve",
    "audit",
    "backfill",
    "connect",
    "errors",
    "frame",
    "lit",
    "read_plan",
    "reconcile",
    "resume",
    "rule",
    "samples",
    "sandbox",
    "scan",
    "suggest",
    "undo",
]

register()


def __dir__() -> list[str]:
    """List what users type, without the exceptions, which are in `errors` too."""
    return [*(name for name in __all__ if name not in vars(errors)), "__version__"]


_SOURCES = {
    "Audit": ("cio_frames.run", "Audit"),
    "Backfill": ("cio_frames.plan", "Backfill"),
    "Checks": ("cio_frames.checks", "Checks"),
    "Client": ("cio_frames.workspaces", "Client"),
    "Drift": ("cio_frames.checks", "Drift"),
    "Faults": ("cio_frames.sandbox", "Faults"),
    "Frame": ("cio_frames.accessors", "Frame"),
    "Plan": ("cio_frames.plan", "Plan"),
    "Run": ("cio_frames.run", "Run"),
    "SavedPlan": ("cio_frames.plan.saved_plan", "SavedPlan"),
    "Undo": ("cio_frames.run.undo", "Undo"),
    "Workspace": ("cio_frames.identity", "Settings"),
    "apply": ("cio_frames.plan.apply", "apply"),
    "approval_key": ("cio_frames.plan.approval", "approval_key"),
    "approve": ("cio_frames.plan.approval", "approve"),
    "audit": ("cio_frames.run", "read"),
    "backfill": ("cio_frames.plan", "backfill"),
    "connect": ("cio_frames.workspaces", "connect"),
    "frame": ("cio_frames.accessors", "frame"),
    "lit": ("cio_frames.accessors", "lit"),
    "read_plan": ("cio_frames.plan.saved_plan", "read_plan"),
    "reconcile": ("cio_frames.plan.past_runs", "reconcile"),
    "resume": ("cio_frames.plan", "resume"),
    "rule": ("cio_frames.checks", "rule"),
    "samples": ("cio_frames.samples", "samples"),
    "sandbox": ("cio_frames.workspaces.embedded", "sandbox"),
    "scan": ("cio_frames.frames", "scan"),
    "suggest": ("cio_frames.plan", "suggest"),
    "undo": ("cio_frames.plan.past_runs", "undo"),
}
"""Where each name is defined, and its name there."""


class _Package(ModuleType):
    """This package: names are loaded when they are used, and functions stay functions.

    A subpackage such as `cio_frames.audit` has the name of a function, which importing it must not replace.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _SOURCES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


if not TYPE_CHECKING:  # type checkers would accept every misspelled name

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("cio-frames")
        if name == "spark":
            return import_module("cio_frames.spark")
        if name not in _SOURCES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, own_name = _SOURCES[name]
        value = getattr(import_module(module), own_name)
        globals()[name] = value
        return value


sys.modules[__name__].__class__ = _Package
