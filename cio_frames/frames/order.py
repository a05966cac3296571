"""Whether a lazy frame gives its rows in one order each time it is read, and what to do where not."""

import re
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from cio_frames.errors import FrameError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_UNORDERED = re.compile(
    r"\[maintain_order: false"
    r"|(?P<join> JOIN:)"
    r"|(?P<sort>SORT BY \[(?!maintain_order: true))"
    r"|\.(?P<expression>unique|value_counts|mode|shuffle|sample|set_\w+)\("
)
"""Steps of a plan whose order polars leaves open. Of a join it does not say whether it was asked to
keep it; a sort leaves the order of equal rows open."""
_PYTHON = re.compile(r"python_udf|OPAQUE_PYTHON|PYTHON SCAN")


@dataclass(frozen=True, slots=True)
class Order:
    """What the plan of a lazy frame says of the order of its rows.

    Attributes:
        is_certain: Whether polars promises one order, for all that it does itself.
        calls_python: Whether a function or a source written in Python has a say in it.
    """

    is_certain: bool
    calls_python: bool


def order_of(lazy: pl.LazyFrame) -> Order:
    """Return what the plan of a lazy frame says of the order of its rows.

    Where a name or a text in the plan looks like such a step, the order is taken for uncertain.

    Examples:
        >>> people = pl.LazyFrame({"id": ["a", "b"]})
        >>> order_of(people).is_certain, order_of(people.unique()).is_certain
        (True, False)
    """
    plan = lazy.explain(optimized=False)
    return Order(
        is_certain=_UNORDERED.search(plan) is None, calls_python=_PYTHON.search(plan) is not None
    )


@dataclass(slots=True, eq=False)
class RowOrder:
    """The rows of a lazy table in the order of the pass that judged them, as a number for each.

    Attributes:
        differs: Whether a later pass gave another order, or other rows.
        loaded: The rows in the order of the first pass, once a later one gave another.
    """

    differs: bool = False
    loaded: pl.DataFrame | None = None
    _parts: "dict[int, npt.NDArray[np.uint64]]" = field(default_factory=dict)
    _hashes: "npt.NDArray[np.uint64] | None" = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_complete(self) -> bool:
        """Whether a first pass has come to its end."""
        return self._hashes is not None

    def add(self, start: int, hashes: "npt.NDArray[np.uint64]") -> None:
        """Add the rows of the first pass from a place on, in any order and on any threads."""
        if self._hashes is None:
            self._parts[start] = hashes

    def close(self) -> None:
        """Keep what was added as the order of the rows: the pass has come to its end."""
        import numpy as np

        with self._lock:
            if self._hashes is None:
                parts = [self._parts[start] for start in sorted(self._parts)]
                self._hashes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
                self._parts.clear()

    def matches(self, hashes: "npt.NDArray[np.uint64]", rows: "npt.NDArray[np.int64]") -> bool:
        """Return whether rows of a later pass are those of the first under the same numbers."""
        known = self._hashes
        if known is None or not len(rows):
            return True
        is_same = bool(rows.max() < len(known)) and bool((known[rows] == hashes).all())
        self.differs |= not is_same
        return is_same

    def has_all_rows(self, rows: int) -> bool:
        """Return whether a later pass has as many rows as the first."""
        is_same = self._hashes is None or rows == len(self._hashes)
        self.differs |= not is_same
        return is_same

    def restore(
        self, found: pl.DataFrame, hashes: "npt.NDArray[np.uint64]", *, label: str
    ) -> pl.DataFrame:
        """Keep rows that came in another order, put back into that of the first pass.

        Raises:
            FrameError: They are other rows.
        """
        import numpy as np

        known = hashes if self._hashes is None else self._hashes
        places, wanted = np.argsort(hashes, kind="stable"), np.argsort(known, kind="stable")
        if len(places) != len(wanted) or (hashes[places] != known[wanted]).any():
            raise FrameError(
                f"The {label} gives other rows each time it is read, so what was checked is not "
                "what would be sent. Does it use random values or the time of day? Load it once: "
                "frame.collect().cio."
            )
        order = np.empty_like(places)
        order[wanted] = places
        self.loaded = found[order]
        return self.loaded
