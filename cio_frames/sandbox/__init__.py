"""An embedded Customer.io: it answers like the real one, and shows the outcome of each message.

The server's libraries are loaded when a sandbox is made, not when the package is.
"""

from typing import TYPE_CHECKING, Any

from cio_frames.sandbox.faults import PROFILES, FaultProfile, Faults

if TYPE_CHECKING:
    from cio_frames.sandbox.sandbox import Sandbox

__all__ = ["PROFILES", "FaultProfile", "Faults", "Sandbox"]


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from cio_frames.sandbox import sandbox

        return sandbox.Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
