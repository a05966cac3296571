"""Rows whose truth is known beforehand: who they are about, in which order, and which are bad."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

import msgspec
import numpy as np
import polars as pl

import cio_frames as cio
from cio_frames.payloads.ids import run_ids
from cio_frames.plan.plan import planned
from torture.checker import ARRIVALS, ROWS

BLOCKING_CALLS = ("identify", "alias")
START = datetime(2026, 1, 1, tzinfo=UTC)
POISON = "toaster"  # no kind of device: the workspace refuses it, and no local check looks at it


def identified(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan that identifies people by id, device or both."""
    return cio.frame(frame).identify(
        user_id="user",
        anonymous_id="device_id",
        timestamp="at",
        traits=["n", "amount"],
        context={"device.type": "device"},
    )


def tracked(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan of events of people who are known by id."""
    known = frame.with_columns(pl.format("u{}", "component").alias("user"))
    return cio.frame(known).track(
        event=cio.lit("Torture"),
        user_id="user",
        timestamp="at",
        properties=["n", "amount"],
        context={"device.type": "device"},
    )


@dataclass(frozen=True, kw_only=True)
class Input:
    """A table and the plan made of it.

    Attributes:
        frame: The rows; `n` is the number that each row carries in its payload.
        batch_bytes: The most bytes of a request.
        parts: How many plans the rows are divided into, to be sent one after the other; the
            first is of identify calls, the second of track calls, and so on.
        poison: Rows that do not get through: the server must refuse them, or the checks do.
        calls: Make a plan of a piece of the rows, in turn.
    """

    frame: pl.DataFrame
    batch_bytes: int = 475_000
    parts: int = 1
    poison: Collection[int] = ()
    calls: tuple[Callable[[pl.DataFrame], cio.Plan], ...] = (identified, tracked)

    @cached_property
    def plan(self) -> cio.Backfill:
        """What is sent."""
        plans = [
            self.calls[place % len(self.calls)](piece) for place, piece in enumerate(self._pieces)
        ]
        return cio.backfill(
            [planned(replace(plan.pipeline, batch_bytes=self.batch_bytes)) for plan in plans]
        )

    @cached_property
    def texts(self) -> dict[int | None, str]:
        """What is planned to be sent of each row, by its number."""
        plans = (plan.pipeline.messages(self.frame.height) for plan in self.plan.plans)
        return {key_of(text): text for texts in plans for text in texts}

    @cached_property
    def rows(self) -> pl.DataFrame:
        """What the checker is told of the rows."""
        hashes = {key: sha256(text.encode()).hexdigest() for key, text in self.texts.items()}
        places = [
            piece.select(
                pl.lit(place).alias("plan"),
                pl.int_range(pl.len()).alias("row"),
                pl.lit(self.plan.plans[place].call in BLOCKING_CALLS).alias("holds"),
            )
            for place, piece in enumerate(self._pieces)
        ]
        told = self.frame.select(
            key="n", component="component", refused=pl.col("n").is_in(list(self.poison))
        )
        return pl.concat([told, pl.concat(places)], how="horizontal").select(
            "key", "plan", "row", "component",
            pl.Series("payload_sha", [hashes.get(key) for key in told["key"]], pl.String),
            "refused", "holds",
        ).cast(ROWS)  # fmt: skip

    @cached_property
    def ends(self) -> dict[str, int]:
        """How many rows end in each state: what follows a refused identify is held back."""
        ends: Counter[str] = Counter()
        held: set[int] = set()
        for row in self.rows.iter_rows(named=True):
            if row["component"] in held:
                ends["blocked"] += 1
            elif row["refused"]:
                ends["rejected_server"] += 1
                held |= {row["component"]} if row["holds"] else set()
            else:
                ends["delivered"] += 1
        return dict(ends)

    @property
    def _pieces(self) -> Iterator[pl.DataFrame]:
        return self.frame.iter_slices(-(-self.frame.height // self.parts))


def people(
    count: int, *, people: int, seed: int, parts: int = 1, poison: Collection[int] = ()
) -> pl.DataFrame:
    """Return made-up rows. A person is known by an id, a device, or both, from row to row.

    A few people have so many rows that these fill several requests, most have few.

    Args:
        count: How many.
        people: Of how many people.
        seed: Decides who does what.
        parts: How many plans they are divided into; each says anew which devices are whose.
        poison: Rows that the server refuses.
    """
    chance = np.random.default_rng(seed)
    who = pl.Series("component", (chance.random(count) ** 3 * people).astype(np.int64))
    known_by = pl.Series(chance.choice(["id", "both", "device"], count, p=[0.6, 0.2, 0.2]))
    part = pl.int_range(count, eager=True) // -(-count // parts)
    first = pl.select(pl.struct(part=part, who=who).is_first_distinct()).to_series()
    known_by = known_by.zip_with(~first, pl.Series(["both"]))
    bad = pl.Series(np.isin(np.arange(count), list(poison)))
    return pl.select(
        n=pl.int_range(count),
        component=who,
        user=pl.when(known_by != "device").then(pl.format("u{}", who)),
        device_id=pl.when(known_by != "id").then(pl.format("d{}", who)),
        at=pl.lit(START) + pl.duration(seconds=pl.int_range(count)),
        amount=pl.Series(chance.integers(0, 10_000, count)) / 100,
        device=pl.when(bad).then(pl.lit(POISON)),
    )


def arrivals(log: pl.DataFrame, given: Input, *, runs: Sequence[str] = ()) -> pl.DataFrame:
    """Return what the checker is told of a sandbox's `messages`.

    Ids stay those that came. The hash of a message that sets a state is that of what it would say
    under the id that was planned, if it came under the one that one of the runs makes of that.

    Args:
        log: The messages.
        given: What was to be sent.
        runs: The ids of the runs that may have sent it.
    """
    told = log.with_columns(key=pl.col("json").map_elements(key_of, return_dtype=pl.Int64))
    return told.select(
        key="key",
        number="number",
        message_id="message_id",
        payload_sha=_as_planned(told, given, runs=runs),
        applied=pl.col("reason").is_null(),
    ).match_to_schema(ARRIVALS)


def _as_planned(told: pl.DataFrame, given: Input, *, runs: Sequence[str]) -> pl.Series:
    """Return the hashes of messages, as if no run made ids of its own.

    A message that sets a state and came under its planned id, or one that no run makes, hashes to
    what is not planned.
    """
    states = {key: own for key, text in given.texts.items() if (own := _state_id(text))}
    ids = [states.get(key) for key in told["key"]]
    known = pl.Series("message_id", sorted({own for own in ids if own}), pl.String)
    made: dict[str, set[str]] = {own: set() for own in known}
    for run in runs if len(known) else ():
        for own, sent in zip(known, run_ids(known, seed=run), strict=True):
            made[own].add(sent)
    columns = (told["message_id"], told["json"], told["payload_sha"])
    hashes = []
    for own, came, text, sha in zip(ids, *columns, strict=True):
        if own and came in made[own]:
            planned_text = text.replace(f'"messageId":"{came}"', f'"messageId":"{own}"', 1)
            hashes.append(sha256(planned_text.encode()).hexdigest())
        else:
            hashes.append(f"not under an id of a run: {sha}" if own else sha)
    return pl.Series(hashes, dtype=pl.String)


def _state_id(text: str) -> str | None:
    """Return the id of a message that sets a state; None of one that does not."""
    message = _DECODER.decode(text)
    return message.messageId if message.type in STATE_TYPES else None


STATE_TYPES = ("identify", "group", "alias")


class _Properties(msgspec.Struct):
    n: float | None = None


class _Message(msgspec.Struct):
    type: str = ""
    messageId: str | None = None  # noqa: N815 - as the destination calls it
    properties: _Properties | None = None
    traits: _Properties | None = None


_DECODER = msgspec.json.Decoder(_Message)


def key_of(text: str) -> int | None:
    """Return the number that a message carries; None if it is nobody's."""
    try:
        message = _DECODER.decode(text)
    except msgspec.DecodeError:
        return None
    told = message.properties or message.traits
    return int(told.n) if told and told.n is not None else None
