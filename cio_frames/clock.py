"""The present. A test brings its own: whatever needs the time takes it as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(tz=UTC)
