"""What is proposed: a column for a field, how sure that is, and what speaks against it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A column that looks like a field."""

    argument: str  # argument of the verb
    column: str
    # "high" when name and content agree and no other column could as well be meant, else "medium"
    confidence: str
    reason: str  # why, in a few words
    rivals: tuple[str, ...] = ()  # other columns that could as well be meant


def beside(rivals: tuple[str, ...]) -> str:
    """Return how a reason ends where there are rivals.

    Examples:
        >>> beside(()), beside(("id",)), beside(("Mail", "Old mail"))
        ('', '; it could also be id', '; it could also be Mail or Old mail')
    """
    return f"; it could also be {' or '.join(rivals)}" if rivals else ""
