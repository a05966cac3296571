"""Who is who: Customer.io's identity rules as one pure model."""

from cio_frames.identity.rules import RULES, Change, Rule
from cio_frames.identity.settings import CHOICES, Choice, Settings
from cio_frames.identity.workspace import Model

__all__ = ["CHOICES", "RULES", "Change", "Choice", "Model", "Rule", "Settings"]
