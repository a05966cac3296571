"""Rows whose truth is known beforehand: who they are about, in which order, and which are bad."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256

import msgspec
import numpy as np
import polars as pl

import cio_frames as cio
from torture.checker import ARRIVALS, ROWS

START = datetime(2026, 1, 1, tzinfo=UTC)
POISON = "toaster"  # no kind of device: the workspace refuses it, and no local check looks at it


@dataclass(frozen=True, kw_only=True)
class Input:
    """A table of events and the plan made of it.

    Attributes:
        frame: The rows; `n` is the number that each row carries in its payload.
        batch_bytes: The most bytes of a request.
        parts: How many plans the rows are divided into, to be sent one after the other.
        poison: Rows that the server must refuse.
    """

    frame: pl.DataFrame
    batch_bytes: int = 475_000
    parts: int = 1
    poison: Collection[int] = ()

    @cached_property
    def plan(self) -> cio.Backfill:
        """What is sent: the rows as track calls, two people to a shared device."""
        size = -(-self.frame.height // self.parts)
        return cio.backfill(
            [
                replace(_tracked(piece), batch_bytes=self.batch_bytes)
                for piece in self.frame.iter_slices(size)
            ]
        )

    @cached_property
    def rows(self) -> pl.DataFrame:
        """What the checker is told of the rows."""
        found = []
        for place, plan in enumerate(self.plan.plans):
            texts = plan.messages(plan.table.lazy.select(pl.len()).collect().item())
            found += [(place, row, sha256(text.encode()).hexdigest()) for row, text in enumerate(texts)]
        places = pl.DataFrame(
            found,
            schema={"plan": pl.Int32, "row": pl.Int64, "payload_sha": pl.String},
            orient="row",
        )
        told = self.frame.select(
            key="n", component="component", refused=pl.col("n").is_in(list(self.poison))
        )
        return pl.concat([told, places], how="horizontal").select(ROWS.names()).cast(dict(ROWS))


def events(count: int, *, people: int, seed: int, poison: Collection[int] = ()) -> pl.DataFrame:
    """Return made-up events. Two people share each device, so that they are one component.

    Args:
        count: How many.
        people: Of how many people.
        seed: Decides who does what.
        poison: Rows that the server refuses.
    """
    chance = np.random.default_rng(seed)
    who = chance.integers(0, people, count)
    named = chance.random(count)
    bad = np.isin(np.arange(count), list(poison))
    return pl.DataFrame(
        {
            "n": range(count),
            "component": who // 2,
            "user": [None if chance < 0.2 else f"u{one}" for one, chance in zip(who, named, strict=True)],
            "visitor": [
                f"v{one // 2}" if chance < 0.4 else None for one, chance in zip(who, named, strict=True)
            ],
            "at": [START + timedelta(seconds=number) for number in range(count)],
            "amount": chance.integers(0, 10_000, count) / 100,
            "device": [POISON if one else None for one in bad],
        },
        schema_overrides={"device": pl.String, "component": pl.Int64},
    )


def arrivals(log: pl.DataFrame) -> pl.DataFrame:
    """Return what the checker is told of a sandbox's `messages`."""
    return log.select(
        key=pl.col("json").map_elements(_key, return_dtype=pl.Int64),
        number="number",
        message_id="message_id",
        payload_sha="payload_sha",
        applied=pl.col("reason").is_null(),
    ).match_to_schema(ARRIVALS)


class _Properties(msgspec.Struct):
    n: int | None = None


class _Event(msgspec.Struct):
    properties: _Properties | None = None


_DECODER = msgspec.json.Decoder(_Event)


def _key(text: str) -> int | None:
    try:
        event = _DECODER.decode(text)
    except msgspec.DecodeError:
        return None
    return event.properties.n if event.properties else None


def _tracked(frame: pl.DataFrame) -> cio.Plan:
    return frame.cio.track(
        event=cio.lit("Torture"),
        user_id="user",
        anonymous_id="visitor",
        timestamp="at",
        properties=["n", "amount"],
        context={"device.type": "device"},
    )
