"""Fixtures that several rooms share."""

from collections.abc import Callable, Mapping, Sequence
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


@pytest.fixture
def libraries() -> Mapping[str, FrameOf]:
    """Return how each library makes a frame from a dictionary of columns."""
    return LIBRARIES


@pytest.fixture(params=LIBRARIES)
def frame_of(request: pytest.FixtureRequest) -> FrameOf:
    """Make a frame of each library in turn from a dictionary of columns."""
    return LIBRARIES[request.param]
