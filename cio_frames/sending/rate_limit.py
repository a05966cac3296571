"""How fast and how much at once: small machines that know numbers and a clock, and never wait."""

import math

_ROUNDING = 1e-9
"""Shares of a number up to which two are equal: how sums of floats are rounded depends on the version
of Python, and nothing may be decided by it."""


class TokenBucket:
    """Lets a number of requests a second through, and fewer after the host pushed back.

    Args:
        rate: Requests per second; None lets everything through that is not paused.
        now: The present, on a monotonic clock.
        burst: How many may leave at once after a quiet time.
    """

    def __init__(self, rate: float | None, *, now: float, burst: int = 10) -> None:
        self.rate = rate
        self._ceiling = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._counted_at = now
        self._paused_until = now
        self._changed_at = now

    def take(self, now: float) -> float:
        """Take leave for one request.

        Returns:
            0 if it may leave now; else the seconds after which to ask again.
        """
        if now < self._paused_until:
            return self._paused_until - now
        if self.rate is None:
            return 0.0
        elapsed = max(0.0, now - self._counted_at)
        self._tokens = min(self._burst, self._tokens + elapsed * self.rate)
        self._counted_at = now
        if self._tokens < 1.0 - _ROUNDING:  # waiting for exactly the missing part must suffice
            return (1.0 - self._tokens) / self.rate
        self._tokens = max(0.0, self._tokens - 1.0)
        return 0.0

    def pause(self, seconds: float, *, now: float) -> None:
        """Let nothing through for some seconds, and no burst after them."""
        self._paused_until = max(self._paused_until, now + seconds)
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = max(self._counted_at, self._paused_until)

    def limit(self, rate: float | None, *, now: float) -> None:
        """Set the full rate anew; what was learned from push backs begins again."""
        self.rate = self._ceiling = rate
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = self._changed_at = now

    def slow_down(self, now: float) -> None:
        """Lower the rate after a push back, once a second at most."""
        if self.rate is None or now - self._changed_at < 1.0:
            return
        self.rate = max(self.rate * 0.7, min(1.0, self.rate))
        self._changed_at = now

    def speed_up(self, now: float) -> None:
        """Raise a lowered rate by a fiftieth of the full one, once a second at most."""
        if self.rate is None or self._ceiling is None or now - self._changed_at < 1.0:
            return
        self.rate = min(self._ceiling, self.rate + self._ceiling / 50)
        self._changed_at = now


class Concurrency:
    """Finds how many requests at once the host takes: one more while it is quick, fewer when not.

    The constants are those of Vector's adaptive concurrency, with a gentler cut for push backs.

    Args:
        most: Never more than this.
        start: How many to start with.
    """

    _SMOOTHING = 0.4
    _DEVIATIONS = 2.5
    _CUT = 0.7

    def __init__(self, *, most: int = 16, start: int = 2) -> None:
        self.limit: int = min(start, most)
        self._most = most
        self._window_ends = -math.inf
        self._window: list[float] = []
        self._reached = False
        self._cut_in_window = False
        self._mean: float | None = None
        self._variance = 0.0

    def left(self, under_way: int) -> None:
        """Learn that a request left, and how many are under way with it."""
        self._reached = self._reached or under_way >= self.limit

    def answered(self, rtt_s: float, *, now: float) -> None:
        """Learn how long an answer took."""
        self._window.append(rtt_s)
        if now >= self._window_ends:
            self._close_window(now)

    def pushed_back(self, now: float) -> None:
        """Learn that the host had too much, or was too slow to answer. Counts once a window."""
        if not self._cut_in_window:
            self.limit = max(1, int(self.limit * self._CUT))
            self._cut_in_window = True
        if now >= self._window_ends:
            self._open_window(now)

    def restart(self) -> None:
        """Begin again with a single request at once."""
        self.limit = 1

    def _close_window(self, now: float) -> None:
        mean = sum(self._window) / len(self._window)
        if self._mean is None:
            self._mean = mean
        margin = self._DEVIATIONS * math.sqrt(self._variance)
        rounding = self._mean * _ROUNDING
        if not self._cut_in_window:
            if margin > rounding and mean > self._mean + margin:
                self.limit = max(1, int(self.limit * self._CUT))
            elif self._reached and mean <= self._mean + rounding:
                self.limit = min(self._most, self.limit + 1)
        gap = mean - self._mean
        self._mean += self._SMOOTHING * gap
        self._variance = (1 - self._SMOOTHING) * (self._variance + self._SMOOTHING * gap * gap)
        self._open_window(now)

    def _open_window(self, now: float) -> None:
        self._window_ends = now + (self._mean or 0.0)
        self._window.clear()
        self._reached = False
        self._cut_in_window = False


class Breaker:
    """Keeps retries to a share of the successes; when that is spent, one try at a time.

    Args:
        now: The present, on a monotonic clock.
        share: Retries earned by each success.
        floor_per_s: Retries earned by each second.
        most: How many can be saved up.
        closes_after: Successes in a row that end the emergency.
    """

    def __init__(
        self,
        *,
        now: float,
        share: float = 0.2,
        floor_per_s: float = 1.0,
        most: float = 10.0,
        closes_after: int = 3,
    ) -> None:
        self.is_open: bool = False
        self._share = share
        self._floor_per_s = floor_per_s
        self._most = most
        self._closes_after = closes_after
        self._saved = most
        self._counted_at = now
        self._successes = 0

    def succeeded(self, now: float) -> None:
        """Earn a share of a retry; enough successes in a row close the breaker."""
        self._earn(now)
        self._saved = min(self._most, self._saved + self._share)
        self._successes += 1
        if self.is_open and self._successes >= self._closes_after:
            self.is_open = False
            self._saved = max(self._saved, self._most / 2)

    def failed(self, now: float) -> bool:
        """Spend one retry.

        Returns:
            Whether this very failure opened the breaker.
        """
        self._earn(now)
        self._successes = 0
        if self.is_open:
            return False
        if self._saved >= 1.0 - _ROUNDING:
            self._saved = max(0.0, self._saved - 1.0)
            return False
        self.is_open = True
        return True

    def _earn(self, now: float) -> None:
        elapsed = max(0.0, now - self._counted_at)
        self._saved = min(self._most, self._saved + elapsed * self._floor_per_s)
        self._counted_at = now
