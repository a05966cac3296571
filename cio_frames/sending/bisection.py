"""Find the messages at fault in a refused batch, in order and with few requests."""

from collections.abc import Sequence


class Bisection:
    """Says which part of a batch to send next, until every message has had its answer.

    Parts are always the next ones in order, so nobody's messages overtake each other. A message is
    given up only after it was refused alone. For k bad messages among n this takes at most
    2 k ⌈log2 n⌉ + 1 requests.

    Args:
        size: How many messages the batch has.
    """

    def __init__(self, size: int) -> None:
        self.start: int = 0
        self.size = size
        self._bad_until: int | None = None  # a bad message is before this position
        self._reach = size  # how much is worth trying, after what was found so far
        self._room = size  # how much the host takes at once
        self._accepted = 0  # since the last bad message

    @property
    def done(self) -> bool:
        """Whether every message has had its answer."""
        return self.start >= self.size

    def part(self) -> tuple[int, int]:
        """Return the half-open interval of positions to send next."""
        if self._bad_until is None:
            length = min(self.size - self.start, self._reach)
        else:
            length = max(1, (self._bad_until - self.start) // 2)
        return self.start, self.start + min(length, self._room)

    def accepted(self, stop: int) -> None:
        """Learn that the part up to `stop` was taken."""
        self._accepted += stop - self.start
        self._advance(stop)
        if self._bad_until is None:
            self._reach = max(self._reach, 4 * self._accepted)

    def refused(self, stop: int) -> None:
        """Learn that something in the part up to `stop` is at fault."""
        if stop - self.start > 1:
            self._bad_until = stop
            return
        self._reach = max(1, 4 * self._accepted)
        self._accepted = 0
        self._bad_until = None
        self._advance(stop)

    def too_large(self, stop: int) -> None:
        """Learn that the part up to `stop` was too much at once."""
        length = stop - self.start
        if length > 1:
            self._room = length // 2
        else:
            self._advance(stop)

    def settled(self, stop: int) -> None:
        """Learn that the part up to `stop` has its end, whatever it is."""
        self._advance(stop)

    def _advance(self, stop: int) -> None:
        self.start = stop
        if self._bad_until is not None and stop >= self._bad_until:
            self._bad_until = None


def probes(lanes: Sequence[int]) -> tuple[int, ...]:
    """Return two more messages to try alone once the first of a batch was refused.

    If they are refused as well, everything will be. They are the first of the middle and of the
    last lane, because only the first of a lane may go before the others without overtaking.

    Args:
        lanes: Lane of each message of the batch, ascending.

    Returns:
        Their positions, ascending. In a batch with fewer than three lanes the second message,
        and if need be the third, takes the place of what is missing.

    Examples:
        >>> probes([4, 4, 5, 6, 7, 7, 8, 8])
        (3, 6)
        >>> probes([4, 4, 4, 4])
        (1, 2)
    """
    heads = [at for at in range(1, len(lanes)) if lanes[at] != lanes[at - 1]]
    if len(heads) > 1:
        return heads[(len(heads) - 1) // 2], heads[-1]
    return tuple(sorted([*heads, *(at for at in (1, 2) if at not in heads)][:2]))
