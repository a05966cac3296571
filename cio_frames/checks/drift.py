"""The checks that compare a table with those of earlier runs, and their limits."""

from dataclasses import dataclass
from pathlib import Path

from cio_frames.checks.check import Check, RunsTest
from cio_frames.errors import MappingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Which earlier runs a table is compared with, and how far it may differ from them.

    A figure is reported if it lies outside the range that the earlier runs span by more than the limit, and by
    more than chance explains in so few rows.

    Attributes:
        audit: The directory of the earlier runs, for reports. A run is always compared with those in its
            own directory, within the same limits.
        runs: How many of the latest runs are compared. 14 nights have two of each day of the week.
        share: By how much a share may change: that of empty cells, or of identifiers of one form. 0.1
            is ten of a hundred rows.
        volume: By which fraction the number of rows may fall; it may rise by the same factor. 0.5 allows
            a table to shrink to half or grow to twice its size; 1 allows any size.
        distinct: To which fraction the number of distinct values may fall. 0.1 allows a tenth, or ten
            times as many.
        length: By which factor the average length of texts may change.
        magnitude: By which factor the typical size of numbers may change.

    Examples:
        >>> Drift(audit="audit", volume=0.3).runs
        14
    """

    audit: Path | str | None = None
    runs: int = 14
    share: float = 0.1
    volume: float = 0.5
    distinct: float = 0.1
    length: float = 2.0
    magnitude: float = 10.0

    def __post_init__(self) -> None:
        shares = {name: getattr(self, name) for name in ("share", "volume", "distinct")}
        factors = {name: getattr(self, name) for name in ("length", "magnitude", "runs")}
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise MappingError(f"Drift({name}={share!r}): it must be above 0 and at most 1.")
        for name, factor in factors.items():
            if not factor >= 1:
                raise MappingError(f"Drift({name}={factor!r}): it must be 1 or more.")


def drift_of(setting: Drift | Path | str | None) -> Drift:
    """Return `Checks(drift=...)` as a `Drift`: a directory alone has the default limits."""
    return setting if isinstance(setting, Drift) else Drift(audit=setting)


DRIFT_CHECKS = (
    Check("drift.volume", "warn", RunsTest(), source="earlier runs: a load that was cut short or doubled"),
    Check("drift.period", "info", RunsTest(), source="earlier runs: a back-fill, or the wrong partition"),
    Check("drift.column-gone", "warn", RunsTest(), source="earlier runs: a change of the schema upstream"),
    Check("drift.column-new", "info", RunsTest(), source="earlier runs: a change of the schema upstream"),
    Check("drift.column-renamed", "warn", RunsTest(), source="earlier runs: a change of the schema upstream"),
    Check("drift.type", "warn", RunsTest(), source="earlier runs: one cell of another kind makes text of a column"),
    Check("drift.empty", "warn", RunsTest(), source="earlier runs: a join that finds nothing any more"),
    Check("drift.distinct", "warn", RunsTest(), source="earlier runs: a default in place of the values"),
    Check("drift.range", "warn", RunsTest(), source="earlier runs: another unit, or times read wrongly"),
    Check("drift.length", "warn", RunsTest(), source="earlier runs: texts that were cut off"),
    Check("drift.id-form", "warn", RunsTest(), source="earlier runs: identifiers of another system, or rewritten ones"),
)  # fmt: skip
