"""A proposal of a column for a field, with its confidence and its rivals."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A column that looks like a field."""

    argument: str  # argument of the verb
    column: str
    # "high" if name and content agree and no other column is as likely, else "medium"
    confidence: str
    reason: str  # why, in a few words
    rivals: tuple[str, ...] = ()  # other columns that are as likely


def rivals_clause(rivals: tuple[str, ...]) -> str:
    """Return the end of a reason, which names the rivals.

    Examples:
        >>> rivals_clause(()), rivals_clause(("id",)), rivals_clause(("Mail", "Old mail"))
        ('', '; it could also be id', '; it could also be Mail or Old mail')
    """
    return f"; it could also be {' or '.join(rivals)}" if rivals else ""
