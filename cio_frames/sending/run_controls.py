"""What a user asks of a run, from any thread: to stop, to pause, to go slower."""

import threading
from collections.abc import Callable

ASKED = "You stopped the run. Resume it to send the rest."


class _Watched:
    """Calls its watchers, on the thread that asks, whenever something is asked."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may ask while its own thread asks
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher`, on the thread that asks, whenever something is asked."""
        with self._lock:
            self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Undo `watch`. When it returns, `watcher` is not called any more."""
        with self._lock:
            self._watchers.remove(watcher)

    def _notify(self) -> None:
        for watcher in self._watchers:
            watcher()


class StopSignal(_Watched):
    """Asks a run to end: first by finishing the requests in flight, then at once.

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
        self._draining = False
        self._abandoned = False
        self._reason = ASKED

    @property
    def draining(self) -> bool:
        """Whether no further request may start."""
        return self._draining

    @property
    def abandoned(self) -> bool:
        """Whether not even the responses to requests in flight are waited for."""
        return self._abandoned

    @property
    def reason(self) -> str:
        """Why it is asked, in a sentence."""
        return self._reason

    def drain(self, reason: str = ASKED) -> None:
        """Ask to finish the requests in flight and start nothing else. The first reason stands."""
        with self._lock:
            if not self._draining:
                self._reason = reason
            self._draining = True
            self._notify()

    def abandon(self) -> None:
        """Ask to end at once; requests in flight stay in doubt."""
        with self._lock:
            self._draining = self._abandoned = True
            self._notify()


class PaceControl(_Watched):
    """Asks a run to pause, to go on, or to keep to a rate.

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
        """Most requests under way at once, beside the client's own limit; None for no limit."""
        return self._concurrency

    @concurrency.setter
    def concurrency(self, concurrency: int | None) -> None:
        with self._lock:
            self._concurrency = concurrency
            self._notify()

    @property
    def paused(self) -> bool:
        """Whether no further request may leave; those in flight are finished."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._lock:
            self._paused = paused
            self._notify()

    @property
    def rate(self) -> float | None:
        """Most requests per second, beside the client's own limit; None for no limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        with self._lock:
            self._rate = rate
            self._notify()

    def slow_down(self, *, current: float) -> None:
        """Halve the rate; `current` is what leaves per second at present, where no limit is set."""
        with self._lock:
            self.rate = max((current if self._rate is None else self._rate) / 2, self.LEAST)
