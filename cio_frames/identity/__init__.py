"""Customer.io's identity rules as a model without I/O.

The model is imported when a preview or a sandbox is made, not with the package.
"""

from typing import TYPE_CHECKING, Any

from cio_frames.identity.rules import RULES, Change, Rule
from cio_frames.identity.settings import CHOICES, Choice, Settings

if TYPE_CHECKING:
    from cio_frames.identity.model import Model

__all__ = ["CHOICES", "RULES", "Change", "Choice", "Model", "Rule", "Settings"]


def __getattr__(name: str) -> Any:
    if name == "Model":
        from cio_frames.identity import model

        return model.Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
