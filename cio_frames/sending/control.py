"""The word to pause, to go on or to go slower, from any thread."""

LOOK_S = 0.1
"""How often a paused run looks whether it may go on."""


class Control:
    """What the user wants of the pace of a run. Plain attributes: every thread may set them.

    Attributes:
        paused: Whether no further request may leave; those under way are finished.
        rate: Most requests per second, beside the client's own limit; None for no limit.

    Examples:
        >>> control = Control()
        >>> control.slow_down(going=40.0)
        >>> control.slow_down(going=20.0)
        >>> control.rate
        10.0
    """

    LEAST = 0.5

    def __init__(self) -> None:
        self.paused = False
        self.rate: float | None = None

    def slow_down(self, *, going: float) -> None:
        """Halve the rate.

        Args:
            going: Requests per second that leave at present, where no limit tells the rate.
        """
        self.rate = max((going if self.rate is None else self.rate) / 2, self.LEAST)
