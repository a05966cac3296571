"""The present time. Functions that need it take it as an argument, so that tests can pass another."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(tz=UTC)
