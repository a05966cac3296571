"""The word to stop, from any thread."""

import threading
from collections.abc import Callable

ASKED = "The run was asked to stop. Resume to go on."


class StopFlag:
    """Asks a run to end: first by finishing what is under way, then at once.

    Examples:
        >>> stop = StopFlag()
        >>> stop.drain()
        >>> stop.draining, stop.abandoned
        (True, False)
        >>> stop.abandon()
        >>> stop.abandoned
        True
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may ask while its own thread asks
        self._draining = False
        self._abandoned = False
        self._reason = ASKED
        self._told: list[Callable[[], None]] = []

    @property
    def draining(self) -> bool:
        """Whether no further request may start."""
        return self._draining

    @property
    def abandoned(self) -> bool:
        """Whether not even the answers of requests under way are waited for."""
        return self._abandoned

    @property
    def reason(self) -> str:
        """Why it is asked, in a sentence."""
        return self._reason

    def drain(self, reason: str = ASKED) -> None:
        """Ask to finish what is under way and start nothing else. The first reason stands."""
        with self._lock:
            if not self._draining:
                self._reason = reason
            self._set(abandoned=False)

    def abandon(self) -> None:
        """Ask to end at once; requests under way stay in doubt."""
        self._set(abandoned=True)

    def watch(self, told: Callable[[], None]) -> None:
        """Call `told`, on the thread that asks, whenever somebody asks to stop."""
        with self._lock:
            self._told.append(told)

    def unwatch(self, told: Callable[[], None]) -> None:
        """Undo `watch`. When it returns, `told` is not called any more."""
        with self._lock:
            self._told.remove(told)

    def _set(self, *, abandoned: bool) -> None:
        with self._lock:
            self._draining = True
            self._abandoned = self._abandoned or abandoned
            for told in self._told:
                told()
