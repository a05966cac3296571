"""How the tests of this folder turn a frame into messages."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from cio_frames.frames import ROW
from cio_frames.mapping import CallArguments, resolve
from cio_frames.payloads import encode
from cio_frames.spec import CALLS

Encoded = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def encoded() -> Encoded:
    """Encode a frame as a call, past the checks: `encoded(frame, "identify", user_id="id")`."""

    def run(
        frame: pl.DataFrame,
        call: str,
        *,
        json_columns: frozenset[str] = frozenset(),
        namespace: str = "",
        first: int = 0,
        body: Any = None,
        nulls: Any = "omit",
        timezone: str | None = None,
        key: Any = None,
        context: Any = None,
        integrations: Any = None,
        relationship: Any = None,
        **fields: Any,
    ) -> pl.DataFrame:
        ask = CallArguments(
            fields=fields, body=body, nulls=nulls, timezone=timezone, key=key,
            context=context, integrations=integrations, relationship=relationship,
        )  # fmt: skip
        mapping = resolve(ask, call=CALLS[call], schema=frame.schema, json_columns=json_columns)
        numbers = pl.int_range(first, first + frame.height, dtype=pl.Int64, eager=True).alias(ROW)
        table = frame.select(numbers, pl.all()).rechunk()  # as `Table.chunks` gives it
        return encode(mapping.prepare(table), mapping, namespace=namespace)

    return run
