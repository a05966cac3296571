"""Counts in words."""


def many(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun.

    Examples:
        >>> many(1, "row"), many(2000, "row"), many(2, "retry", "retries")
        ('1 row', '2,000 rows', '2 retries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
