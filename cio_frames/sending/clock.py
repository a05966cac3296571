"""Time and random numbers as arguments, so that a test can pass its own."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cio_frames.clock import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The source of time and random numbers.

    Attributes:
        monotonic: Returns seconds that never jump; every interval is measured with it.
        now: Returns the present instant, for the record only.
        sleep: Waits for some seconds.
        random: Returns a number from 0 up to 1.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    random: Callable[[], float] = random.random


def parse_http_date(value: str | None) -> datetime | None:
    """Return the instant of an HTTP header, or None if it is missing or invalid."""
    try:
        instant = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser raises all of these
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


SKEW_SECONDS = 300.0
"""How far this machine's clock may differ from the host's without a note."""


def skew(date: str | None, *, now: datetime) -> float:
    """Return how many seconds this machine is ahead of a host; 0 if few or unknown.

    Args:
        date: The `Date` header of a response.
        now: This machine's time when it arrived.

    Examples:
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> skew("Mon, 02 Mar 2026 10:00:00 GMT", now=noon)
        7200.0
        >>> skew("Mon, 02 Mar 2026 12:04:00 GMT", now=noon)
        0.0
    """
    host_time = parse_http_date(date)
    ahead_s = 0.0 if host_time is None else (now - host_time).total_seconds()
    return ahead_s if abs(ahead_s) > SKEW_SECONDS else 0.0
