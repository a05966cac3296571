"""Fixtures that run the checks on a frame."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.plan.plan import planned

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)

Judge = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Return all findings about a table: `judge("identify", {"id": [1.0]}, user_id="id")`."""

    def run(call: str, data: Any, *, repairs: tuple[str, ...] = (), **asked: Any) -> pl.DataFrame:
        if "body" in asked:
            asked[BODIES[call]] = asked.pop("body")
        frame = data if isinstance(data, pl.DataFrame) else pl.DataFrame(data, strict=False)
        plan = planned(
            replace(getattr(cio.frame(frame), call)(**asked).pipeline, clock=lambda: NOW)
        )
        for code in repairs:
            plan = plan.fix(code)
        return plan.pipeline.full_check.findings

    return run


BODIES = {
    "identify": "traits", "group": "traits", "form": "fields",
    "track": "properties", "page": "properties", "screen": "properties",
}  # fmt: skip
