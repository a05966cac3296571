"""Fixtures that several rooms share."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

FrameOf = Callable[[Mapping[str, Sequence[Any]]], Any]

LIBRARIES: Mapping[str, FrameOf] = {
    "pandas": pd.DataFrame,
    "pandas-nullable": lambda data: pd.DataFrame(data).convert_dtypes(),
    "pandas-arrow": lambda data: pa.table(dict(data)).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda data: pl.DataFrame(dict(data)),
    "polars-lazy": lambda data: pl.LazyFrame(dict(data)),
    "arrow": lambda data: pa.table(dict(data)),
}

ENDS_AFTER_FORK = hasattr(os, "fork") and tuple(map(int, pl.__version__.split(".")[:2])) >= (2, 1)
"""Whether a forked child that has polars loaded can end: before 2.1 it hangs, also with polars alone."""

TESTS = Path(__file__).parent
SLOW = (
    "torture", "catalogue", "audit/test_crash.py", "checks/test_gates.py", "cli/test_demo.py",
    "plan/test_rehearsal.py", "sandbox/test_faults.py", "test_benchmarks.py", "test_public_api.py",
    "views/test_marimo.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that take most of the time, so that short runs can leave them out."""
    for item in items:
        if any(item.path.is_relative_to(TESTS / slow) for slow in SLOW):
            item.add_marker("slow")


@pytest.fixture
def libraries() -> Mapping[str, FrameOf]:
    """Return how each library makes a frame from a dictionary of columns."""
    return LIBRARIES


@pytest.fixture(params=LIBRARIES)
def frame_of(request: pytest.FixtureRequest) -> FrameOf:
    """Make a frame of each library in turn from a dictionary of columns."""
    return LIBRARIES[request.param]
