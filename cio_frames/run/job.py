"""The job of a run: its plans, and which of their rows it sends."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from cio_frames.audit import HASH_CHARACTERS, keyed_hashes, keyed_ids
from cio_frames.checks import TableProfile
from cio_frames.errors import AuditError
from cio_frames.frames import Table
from cio_frames.payloads import Segment
from cio_frames.payloads.ids import content, with_new_ids, with_run_ids
from cio_frames.run.state_rows import CONFLICT, IN_DOUBT_BEFORE, SENT_AGAIN, StateMessages
from cio_frames.sending import BlockingRow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cio_frames.run.reconciliation import Reconciliation
    from cio_frames.run.undo import Undo

    Hashes = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.intp]

FINISHED_SCHEMA = pl.Schema(
    {"message_id": pl.String, "payload_hash": pl.String, "state": pl.String}
)
"""The columns of messages that earlier runs finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelection:
    """Which rows a run sends: all, or those that no earlier run has finished."""

    only: pl.DataFrame | None = None
    """The rows that a resumed run sends: plan, row, and the recorded message id, if any."""
    finished: pl.DataFrame | None = None
    """Messages of earlier runs, as `FINISHED_SCHEMA`; `state` is that of the same message now."""
    decided: pl.DataFrame | None = None
    """The decisions about rows that set a state and were sent before, as `state_rows.DECIDED`."""
    resent: pl.Series | None = None
    """Ids of messages about people and groups that are in doubt and sent again."""
    key: str | None = None
    """The key of these ids and hashes; None if they are recorded as they are."""
    untouched: Mapping[str, int] = field(default_factory=dict)
    """How many rows that a resumed run does not send are in each state."""
    seed: str | None = None
    """The seed of the ids under which messages that set a state are sent; None for their own ids."""
    in_doubt: pl.DataFrame | None = None
    """Messages in doubt, which are sent under the same id as before: message_id and seed."""
    blocked: Mapping[int, BlockingRow] = field(default_factory=dict)
    """People whose messages are not sent, by the number of their component."""
    _places: "list[tuple[Hashes, Places]]" = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """An index of `finished`, made when it is used: sorted hashes of the ids, and the place of each."""

    def rows(self, rows: pl.Series, *, plan: int) -> pl.Series | None:
        """Return which of these rows are sent, None for all."""
        if self.only is None:
            return None
        resumed = self.only.filter(pl.col("plan") == plan)["row"]
        return rows.filter(rows.is_in(resumed.implode()))

    def repeated(self, rows: pl.DataFrame) -> int:
        """Return how many rows of a segment are in doubt and sent again."""
        if self.resent is None or self.resent.is_empty():
            return 0
        is_resent = self._recorded.is_in(self.resent.implode()) & (pl.col("state") == "pending")
        return rows.filter(is_resent).height

    def sent_again(self, rows: pl.DataFrame) -> int:
        """Return how many rows of a segment are sent again because something arrived after them."""
        return rows.filter(pl.col("code") == SENT_AGAIN).height if self.decided is not None else 0

    def require_same(self, messages: pl.DataFrame, *, plan: int) -> None:
        """Raise if a row that is resumed has become another message.

        Raises:
            AuditError: The table is not the one that the run was made from.
        """
        if self.only is None:
            return
        recorded = self.only.filter(pl.col("plan") == plan).select("row", recorded="message_id")
        joined = messages.join(recorded, on="row", how="inner").drop_nulls("recorded")
        changed = joined.filter(pl.col("recorded") != self._recorded)
        if changed.height:
            raise AuditError(
                f"Row {changed['row'][0]} has changed since this run was started. Send the new "
                "table with plan.send(...) and the same audit directory; what has already arrived "
                "is skipped."
            )

    def split_finished(
        self, messages: pl.DataFrame, *, plan: int = 0
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the messages to send, and those that earlier runs finished, with state, code and error."""
        if self.decided is None or self.decided.is_empty() or messages.is_empty():
            return self._split_delivered(messages)
        here = pl.col("row").is_between(messages["row"].min(), messages["row"].max())
        places = messages.select("row").with_row_index("place")
        decided = self.decided.filter((pl.col("plan") == plan) & here).drop("plan")
        undecided = messages.join(decided, on="row", how="anti", maintain_order="left")
        sent, finished = self._split_delivered(undecided)
        decisions = messages.join(decided, on="row", maintain_order="left")
        not_sent = decisions.filter(pl.col("state").is_not_null()).drop("seed", "wanted", "seeds")
        to_send = decisions.drop("state")
        renewed = to_send.filter(pl.col("seed").is_not_null())
        renewed = with_new_ids(renewed, seeds=renewed["seed"]).drop("seed", "wanted", "seeds")
        recorded = self._as_recorded(to_send.filter(pl.col("wanted").is_not_null()))
        every = pl.concat([sent, renewed, recorded], how="diagonal")
        return (
            every.join(places, on="row", how="left").sort("place").drop("place"),
            pl.concat([finished, not_sent], how="diagonal").sort("row"),
        )

    def on_wire(self, messages: pl.DataFrame, *, states: pl.Expr) -> pl.DataFrame:
        """Return messages as they are sent: those that set a state have ids of this run.

        Under the id of an earlier run whose record is missing, Customer.io would ignore them, although
        something may have changed since.
        """
        if self.seed is None:
            return messages
        rows = messages.filter(states).select("row", recorded=self._recorded)
        if rows.is_empty():
            return messages
        if self.in_doubt is None or self.in_doubt.is_empty():
            return with_run_ids(messages, seeds=rows.select("row", seed=pl.lit(self.seed)))
        seeds = self.in_doubt.select(pl.col("message_id").alias("recorded"), "seed", first=True)
        joined = rows.join(seeds, on="recorded", how="left")
        seed = pl.when(pl.col("first").is_null()).then(pl.lit(self.seed)).otherwise("seed")
        return with_run_ids(messages, seeds=joined.select("row", seed.alias("seed")))

    def _as_recorded(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return messages under the recorded ids in `wanted`, if one of their seeds makes that id.

        Otherwise the id was that of another row with the same content. Customer.io ignores ids that it
        has seen, so a message whose own id is in the record gets a new one.
        """
        numbers = pl.int_ranges(1, pl.col("seeds").list.len() + 1).cast(pl.List(pl.String))
        trials = rows.with_columns(pl.concat_list(numbers, "seeds").alias("seed"))
        trials = trials.explode("seed", empty_as_null=True).drop_nulls("seed")
        candidates = pl.concat([rows, with_new_ids(trials, seeds=trials["seed"])], how="diagonal")
        is_new = pl.col("seed").is_null() & ~self._recorded.is_in(pl.col("seeds"))
        conditions = (
            self._recorded == pl.col("wanted"),
            is_new,
            pl.col("seed") == pl.col("wanted"),
        )
        ranks = [condition.fill_null(value=False) for condition in conditions]
        ranked = candidates.sort(ranks, descending=True, maintain_order=True)
        chosen = ranked.unique("row", keep="first", maintain_order=True)
        return chosen.drop("seed", "wanted", "seeds")

    def _split_delivered(self, messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the messages that no earlier run delivered, and those that one did."""
        if self.finished is None or self.finished.is_empty():
            return messages, messages.clear()
        with_ids = messages.with_columns(self._recorded.alias("recorded"))
        earlier = self._finished_among(self.finished, with_ids["recorded"]).rename(
            {"message_id": "recorded", "payload_hash": "earlier_hash"}
        )
        joined = with_ids.join(earlier, on="recorded", how="left", maintain_order="left")
        is_new = pl.col("state").is_null()
        changed = self._earlier_hash != self._own_hash
        finished = joined.filter(~is_new).with_columns(
            state=pl.when(changed).then(pl.lit("rejected_local")).otherwise("state"),
            code=pl.when(changed)
            .then(pl.lit(CONFLICT))
            .when(pl.col("state") == "in_doubt")
            .then(pl.lit(IN_DOUBT_BEFORE)),
            error=pl.when(changed).then(
                pl.lit(
                    "An earlier run delivered a different message with this ID. Add columns to "
                    "key=, or use another ID."
                )
            ),
        )
        return joined.filter(is_new).select(messages.columns), finished.drop(
            "earlier_hash", "recorded"
        )

    def _finished_among(self, finished: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
        """Return the finished messages with one of these ids.

        A join would build a hash table of all of them for each chunk.
        """
        import numpy as np

        if not self._places:
            unsorted = finished["message_id"].hash().to_numpy()
            order = np.argsort(unsorted)
            self._places.append((unsorted[order], order))
        hashes, places = self._places[0]
        wanted = np.unique(ids.hash().to_numpy())
        starts = np.searchsorted(hashes, wanted)
        counts = np.searchsorted(hashes, wanted, side="right") - starts
        shifts = np.repeat(starts - np.cumsum(counts) + counts, counts)
        return finished.select(pl.all().gather(places[shifts + np.arange(counts.sum())]))

    @property
    def _recorded(self) -> pl.Expr:
        """The ids of messages as they are recorded."""
        return keyed_ids(pl.col("message_id"), key=self.key)

    @property
    def _earlier_hash(self) -> pl.Expr:
        from_id = keyed_hashes(_hash_from_id(where="payload_hash"), key=self.key)
        return pl.coalesce(pl.col("earlier_hash").str.head(HASH_CHARACTERS), from_id)

    @property
    def _own_hash(self) -> pl.Expr:
        from_id = _hash_from_id(where="earlier_hash")
        own = pl.coalesce(pl.col("payload_hash").str.head(HASH_CHARACTERS), from_id)
        return keyed_hashes(own, key=self.key)


def _hash_from_id(*, where: str) -> pl.Expr:
    """Return the hash in a derived id where there is another hash to compare with."""
    ids = pl.when(pl.col(where).is_not_null() & pl.col("state").is_not_null()).then("message_id")
    return ids.map_elements(content, return_dtype=pl.String, skip_nulls=True)


class FollowUp(Protocol):
    """What can be done with the plans of a run after it has ended."""

    def reconcile(self, directory: Path, held: Any, **options: Any) -> "Reconciliation":
        """Compare a workspace with what the run of this directory should have left there."""

    def undo(self, directory: Path, known: Any = None, **options: Any) -> "Undo[Any]":
        """Return the back-fill that undoes the run of this directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run sends, and what its record says about it."""

    calls: tuple[str, ...]  # in the order of the plans
    tables: tuple[Table, ...]  # one per plan
    rows: tuple[int, ...]  # of each table
    fingerprints: tuple[str, ...]  # of each table, for the record
    segments: Callable[[RowSelection], Generator[Segment]]  # in the order of sending
    state_messages: StateMessages  # to find out which rows are done
    mapping: Mapping[str, Any] = field(default_factory=dict)  # per plan, for the record
    decisions: Mapping[str, Any] = field(default_factory=dict)  # repairs, allowances, severities
    limits: Mapping[str, Any] = field(default_factory=dict)  # those in force, by name
    namespace: str = ""  # of the message ids
    notes: tuple[str, ...] = ()  # what else is worth knowing, in sentences
    profiles: tuple[TableProfile, ...] = ()  # of the tables, for the record
    follow_up: FollowUp | None = None  # what can be done afterwards
    former_people: pl.DataFrame | None = None  # before the run, for the record

    @property
    def label(self) -> str:
        """The name of the run in displays."""
        return " + ".join(dict.fromkeys(self.calls))
