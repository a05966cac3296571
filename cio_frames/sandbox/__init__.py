"""An embedded Customer.io: what a sender sees of it, and what became of what it sent.

The server's libraries are loaded when a sandbox is made, not when the package is.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cio_frames.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from cio_frames.sandbox import sandbox

        return sandbox.Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
