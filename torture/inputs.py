"""Random rows with known people, order and bad rows, and the plans made of them."""

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
POISON = "toaster"  # not a device type: the workspace rejects it, and no local check covers it


def identify_plan(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan that identifies people by id, device or both."""
    return cio.frame(frame).identify(
        user_id="user",
        anonymous_id="device_id",
        timestamp="at",
        traits=["n", "amount"],
        context={"device.type": "device"},
    )


def track_plan(frame: pl.DataFrame) -> cio.Plan:
    """Return a plan of events of people with a user id."""
    rows = frame.with_columns(pl.format("u{}", "component").alias("user"))
    return cio.frame(rows).track(
        event=cio.lit("Torture"),
        user_id="user",
        timestamp="at",
        properties=["n", "amount"],
        context={"device.type": "device"},
    )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A table and the plan made of it.

    Attributes:
        frame: The rows; `n` is the number that each row carries in its payload.
        batch_bytes: The most bytes of a request.
        parts: How many plans the rows are divided into, sent one after the other; the first makes
            identify calls, the second track calls, and so on.
        poison: Rows that are not delivered: the server or a check must reject them.
        calls: The functions that make the plans, in turn.
    """

    frame: pl.DataFrame
    batch_bytes: int = 475_000
    parts: int = 1
    poison: Collection[int] = ()
    calls: tuple[Callable[[pl.DataFrame], cio.Plan], ...] = (identify_plan, track_plan)

    @cached_property
    def plan(self) -> cio.Backfill:
        """The plans to send."""
        plans = [
            self.calls[index % len(self.calls)](frame) for index, frame in enumerate(self._frames)
        ]
        return cio.backfill(
            [planned(replace(plan.pipeline, batch_bytes=self.batch_bytes)) for plan in plans]
        )

    @cached_property
    def texts(self) -> dict[int | None, str]:
        """The planned message of each row, by its number."""
        plans = (plan.pipeline.messages(self.frame.height) for plan in self.plan.plans)
        return {key_of(text): text for texts in plans for text in texts}

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows as the checker expects them."""
        hashes = {key: sha256(text.encode()).hexdigest() for key, text in self.texts.items()}
        positions = [
            frame.select(
                pl.lit(index).alias("plan"),
                pl.int_range(pl.len()).alias("row"),
                pl.lit(self.plan.plans[index].call in BLOCKING_CALLS).alias("blocks"),
            )
            for index, frame in enumerate(self._frames)
        ]
        rows = self.frame.select(
            key="n", component="component", rejected=pl.col("n").is_in(list(self.poison))
        )
        return pl.concat([rows, pl.concat(positions)], how="horizontal").select(
            "key", "plan", "row", "component",
            pl.Series("payload_sha", [hashes.get(key) for key in rows["key"]], pl.String),
            "rejected", "blocks",
        ).cast(ROWS)  # fmt: skip

    @cached_property
    def expected_counts(self) -> dict[str, int]:
        """How many rows must end in each state: a rejected identify blocks the person's later rows."""
        counts: Counter[str] = Counter()
        blocked: set[int] = set()
        for row in self.rows.iter_rows(named=True):
            if row["component"] in blocked:
                counts["blocked"] += 1
            elif row["rejected"]:
                counts["rejected_server"] += 1
                blocked |= {row["component"]} if row["blocks"] else set()
            else:
                counts["delivered"] += 1
        return dict(counts)

    @property
    def _frames(self) -> Iterator[pl.DataFrame]:
        return self.frame.iter_slices(-(-self.frame.height // self.parts))


def random_rows(
    count: int, *, people: int, seed: int, parts: int = 1, poison: Collection[int] = ()
) -> pl.DataFrame:
    """Return random rows. Each names its person by user id, device or both.

    A few people have enough rows for several requests, most have few.

    Args:
        count: How many.
        people: Of how many people.
        seed: Decides everything else.
        parts: How many plans they are divided into; each links the devices to people again.
        poison: Rows that the server rejects.
    """
    rng = np.random.default_rng(seed)
    component = pl.Series("component", (rng.random(count) ** 3 * people).astype(np.int64))
    identifiers = pl.Series(rng.choice(["id", "both", "device"], count, p=[0.6, 0.2, 0.2]))
    part = pl.int_range(count, eager=True) // -(-count // parts)
    first = pl.select(pl.struct(part=part, component=component).is_first_distinct()).to_series()
    identifiers = identifiers.zip_with(~first, pl.Series(["both"]))
    is_bad = pl.Series(np.isin(np.arange(count), list(poison)))
    return pl.select(
        n=pl.int_range(count),
        component=component,
        user=pl.when(identifiers != "device").then(pl.format("u{}", component)),
        device_id=pl.when(identifiers != "id").then(pl.format("d{}", component)),
        at=pl.lit(START) + pl.duration(seconds=pl.int_range(count)),
        amount=pl.Series(rng.integers(0, 10_000, count)) / 100,
        device=pl.when(is_bad).then(pl.lit(POISON)),
    )


def arrivals(log: pl.DataFrame, workload: Workload, *, runs: Sequence[str] = ()) -> pl.DataFrame:
    """Return a sandbox's `messages` as the checker expects them.

    Message ids stay as received. A message that sets a state is hashed with its planned id if it
    arrived under the id that one of the runs makes of the planned one.

    Args:
        log: The messages.
        workload: The planned rows.
        runs: The ids of the runs that may have sent it.
    """
    messages = log.with_columns(key=pl.col("json").map_elements(key_of, return_dtype=pl.Int64))
    return messages.select(
        key="key",
        number="number",
        message_id="message_id",
        payload_sha=_payload_hashes(messages, workload, runs=runs),
        applied=pl.col("reason").is_null(),
    ).match_to_schema(ARRIVALS)


def _payload_hashes(
    messages: pl.DataFrame, workload: Workload, *, runs: Sequence[str]
) -> pl.Series:
    """Return the hashes of messages, with planned ids in place of the runs' own.

    A message that sets a state and arrived under its planned id, or one that no run makes, gets a
    hash that matches no planned row.
    """
    state_ids = {key: id_ for key, text in workload.texts.items() if (id_ := _state_id(text))}
    ids = [state_ids.get(key) for key in messages["key"]]
    planned_ids = pl.Series("message_id", sorted({id_ for id_ in ids if id_}), pl.String)
    ids_of_runs: dict[str, set[str]] = {planned_id: set() for planned_id in planned_ids}
    for run in runs if len(planned_ids) else ():
        for planned_id, run_id in zip(planned_ids, run_ids(planned_ids, seed=run), strict=True):
            ids_of_runs[planned_id].add(run_id)
    columns = (messages["message_id"], messages["json"], messages["payload_sha"])
    hashes = []
    for planned_id, received, text, sha in zip(ids, *columns, strict=True):
        if planned_id and received in ids_of_runs[planned_id]:
            planned_text = text.replace(
                f'"messageId":"{received}"', f'"messageId":"{planned_id}"', 1
            )
            hashes.append(sha256(planned_text.encode()).hexdigest())
        else:
            hashes.append(f"not under an id of a run: {sha}" if planned_id else sha)
    return pl.Series(hashes, dtype=pl.String)


def _state_id(text: str) -> str | None:
    """Return the id of a message that sets a state, else None."""
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
    """Return the number that a message carries, or None."""
    try:
        message = _DECODER.decode(text)
    except msgspec.DecodeError:
        return None
    body = message.properties or message.traits
    return int(body.n) if body and body.n is not None else None
