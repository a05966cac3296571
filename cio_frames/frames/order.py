"""Detect lazy frames that return rows in another order on each read, and restore the first order."""

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
"""Steps of a query plan with undefined order. The plan does not show whether a join keeps the order;
a sort leaves the order of equal rows undefined."""
_PYTHON = re.compile(r"python_udf|OPAQUE_PYTHON|PYTHON SCAN")


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the rows of a lazy frame, according to its query plan.

    Attributes:
        is_certain: Whether all steps of polars keep the order.
        calls_python: Whether the plan contains functions or sources written in Python.
    """

    is_certain: bool
    calls_python: bool


def order_of(lazy: pl.LazyFrame) -> Order:
    """Return the order of the rows of a lazy frame, according to its query plan.

    If a name or a text in the plan looks like an unordered step, the order counts as uncertain.

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
    """The order of the rows in the first pass over a lazy table, as a hash for each row.

    Attributes:
        differs: Whether a later pass had another order, or other rows.
        loaded: The rows in the order of the first pass, after a later pass had another order.
    """

    differs: bool = False
    loaded: pl.DataFrame | None = None
    _parts: "dict[int, npt.NDArray[np.uint64]]" = field(default_factory=dict)
    _hashes: "npt.NDArray[np.uint64] | None" = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_complete(self) -> bool:
        """Whether the first pass is complete."""
        return self._hashes is not None

    def add(self, start: int, hashes: "npt.NDArray[np.uint64]") -> None:
        """Add rows of the first pass that begin at `start`, in any order and from any thread."""
        if self._hashes is None:
            self._parts[start] = hashes

    def close(self) -> None:
        """Complete the first pass: no rows can be added after it."""
        import numpy as np

        with self._lock:
            if self._hashes is None:
                parts = [self._parts[start] for start in sorted(self._parts)]
                self._hashes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
                self._parts.clear()

    def matches(self, hashes: "npt.NDArray[np.uint64]", rows: "npt.NDArray[np.int64]") -> bool:
        """Return whether rows of a later pass are the same as those of the first pass."""
        first = self._hashes
        if first is None or not len(rows):
            return True
        is_same = bool(rows.max() < len(first)) and bool((first[rows] == hashes).all())
        self.differs |= not is_same
        return is_same

    def has_all_rows(self, rows: int) -> bool:
        """Return whether a later pass has as many rows as the first pass."""
        is_same = self._hashes is None or rows == len(self._hashes)
        self.differs |= not is_same
        return is_same

    def restore(
        self, rows_now: pl.DataFrame, hashes: "npt.NDArray[np.uint64]", *, label: str
    ) -> pl.DataFrame:
        """Put rows back into the order of the first pass, and keep them in `loaded`.

        Raises:
            FrameError: They are other rows.
        """
        import numpy as np

        first = hashes if self._hashes is None else self._hashes
        sorted_now, sorted_first = (
            np.argsort(hashes, kind="stable"),
            np.argsort(first, kind="stable"),
        )
        if (
            len(sorted_now) != len(sorted_first)
            or (hashes[sorted_now] != first[sorted_first]).any()
        ):
            raise FrameError(
                f"The {label} gives other rows each time it is read, so what was checked is not "
                "what would be sent. Does it use random values or the time of day? Load it once: "
                "frame.collect().cio."
            )
        order = np.empty_like(sorted_now)
        order[sorted_first] = sorted_now
        self.loaded = rows_now[order]
        return self.loaded
