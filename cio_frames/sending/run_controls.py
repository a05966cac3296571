"""How a user stops, pauses or slows down a run, from any thread."""

import threading
from collections.abc import Callable

STOPPED_BY_USER = "You stopped the run. Resume it to send the rest."


class _Watchable:
    """Calls its watchers, on the caller's thread, whenever something changes."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread here
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher`, on the thread of the change, whenever something changes."""
        with self._lock:
            self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Undo `watch`. When it returns, `watcher` is not called any more."""
        with self._lock:
            self._watchers.remove(watcher)

    def _notify(self) -> None:
        for watcher in self._watchers:
            watcher()


class StopSignal(_Watchable):
    """Stops a run: either after the requests in flight, or at once.

    Attributes:
        draining: Whether no further request may start.
        abandoned: Whether the run does not even wait for responses to requests in flight.
        reason: Why the run stops, in a sentence.

    Examples:
        >>> stop = StopSignal()
        >>> stop.drain()
        >>> stop.draining, stop.abandoned
        (True, False)
        >>> stop.abandon()
        >>> stop.abandoned
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self.draining: bool = False
        self.abandoned: bool = False
        self.reason: str = STOPPED_BY_USER

    def drain(self, reason: str = STOPPED_BY_USER) -> None:
        """Stop after the requests in flight; the first reason counts."""
        with self._lock:
            if not self.draining:
                self.reason = reason
            self.draining = True
            self._notify()

    def abandon(self) -> None:
        """Stop at once; requests in flight stay in doubt."""
        with self._lock:
            self.draining = self.abandoned = True
            self._notify()


class PaceControl(_Watchable):
    """Pauses or resumes a run, or limits its rate.

    Examples:
        >>> control = PaceControl()
        >>> control.slow_down(current=40.0)
        >>> control.slow_down(current=20.0)
        >>> control.rate
        10.0
    """

    LEAST = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._paused = False
        self._rate: float | None = None
        self._concurrency: int | None = None

    @property
    def concurrency(self) -> int | None:
        """Limit of requests in flight in addition to the client's own; None for no limit."""
        return self._concurrency

    @concurrency.setter
    def concurrency(self, concurrency: int | None) -> None:
        with self._lock:
            self._concurrency = concurrency
            self._notify()

    @property
    def paused(self) -> bool:
        """Whether no further request may start; those in flight are finished."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._lock:
            self._paused = paused
            self._notify()

    @property
    def rate(self) -> float | None:
        """Limit of requests per second in addition to the client's own; None for no limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        with self._lock:
            self._rate = rate
            self._notify()

    def slow_down(self, *, current: float) -> None:
        """Halve the rate; `current` is the present rate, which counts if no limit is set."""
        with self._lock:
            self.rate = max((current if self._rate is None else self._rate) / 2, self.LEAST)
