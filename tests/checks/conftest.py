"""How the tests of this folder find out what the checks say of a frame."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from cio_frames.checks import CATALOGUE, Checks, Scope
from cio_frames.frames import read
from cio_frames.mapping import Ask, MessageMapping, propose, resolve
from cio_frames.payloads import encode
from cio_frames.spec import CALLS
from cio_frames.validation import check, check_call, check_messages, probes

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)

Judge = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Return all findings about a table: `judge("identify", {"id": [1.0]}, user_id="id")`."""

    def run(
        call: str,
        data: Any,
        *,
        checks: Checks | None = None,
        repairs: tuple[str, ...] = (),
        body: Any = None,
        timezone: str | None = None,
        nulls: Any = "omit",
        context: Any = None,
        proposing: bool = False,
        **fields: Any,
    ) -> pl.DataFrame:
        table = read(data if isinstance(data, pl.DataFrame) else pl.DataFrame(data, strict=False))
        ask = Ask(fields=fields, body=body, timezone=timezone, nulls=nulls, context=context)
        mapping = resolve(
            ask,
            call=CALLS[call],
            schema=table.schema(),
            json_columns=table.json_columns,
            proposals=propose(table.lazy.collect(), call=CALLS[call]) if proposing else (),
        )
        for code in repairs:
            mapping = _repaired(mapping, code, schema=table.schema())
        applied = (checks or Checks()).of(CATALOGUE)
        allow = frozenset(checks.allow if checks else ())
        scope = Scope(mapping=mapping, now=NOW, allow=allow)
        found = [check_call(applied, scope=scope, notes=table.notes)]
        for chunk in table.chunks():
            tests = probes(applied, scope=scope, notes=table.notes)
            checked = check(mapping.prepare(chunk), tests=tests)
            encoded = encode(checked.valid, mapping)
            found += [checked.findings, check_messages(encoded, checks=applied, scope=scope)]
        return pl.concat(found)

    return run


def _repaired(mapping: MessageMapping, code: str, *, schema: pl.Schema) -> MessageMapping:
    (repair,) = [item.repair for item in CATALOGUE if item.code == code]
    assert repair is not None
    return mapping.repaired(code, schema=schema, change=repair.change)
