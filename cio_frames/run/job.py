"""What a run is given to do: rows from one or several plans, how to plan them, and which to send."""

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
    """The rows that a resumed run takes up: plan, row, and the message id recorded for it, if any."""
    finished: pl.DataFrame | None = None
    """Messages of earlier runs, as `FINISHED_SCHEMA`; `state` is that of the same message now."""
    decided: pl.DataFrame | None = None
    """What becomes of rows that set a state and were sent before, as `state_rows.DECIDED`."""
    resent: pl.Series | None = None
    """Ids of messages about people and groups that are in doubt and sent again."""
    key: str | None = None
    """The key that these ids and hashes are under; None if they are held as they are."""
    untouched: Mapping[str, int] = field(default_factory=dict)
    """How many of the other rows of a resumed run are in each state."""
    seed: str | None = None
    """What messages that set a state get the ids from under which they go out; None for their own."""
    doubted: pl.DataFrame | None = None
    """Those in doubt, which keep the id under which they went out: message_id and seed."""
    blocked: Mapping[int, BlockingRow] = field(default_factory=dict)
    """People whose messages are not sent, by the number of their component."""
    _places: "list[tuple[Hashes, Places]]" = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """Of `finished`, once it is asked for: the hashes of the ids in order, and where each stands."""

    def rows(self, rows: pl.Series, *, plan: int) -> pl.Series | None:
        """Return which of these rows are taken up, None for all."""
        if self.only is None:
            return None
        wanted = self.only.filter(pl.col("plan") == plan)["row"]
        return rows.filter(rows.is_in(wanted.implode()))

    def repeated(self, rows: pl.DataFrame) -> int:
        """Return how many of the rows of a segment are in doubt and sent again all the same."""
        if self.resent is None or self.resent.is_empty():
            return 0
        again = self._recorded.is_in(self.resent.implode()) & (pl.col("state") == "pending")
        return rows.filter(again).height

    def sent_again(self, rows: pl.DataFrame) -> int:
        """Return how many of the rows of a segment are sent again, since something came after them."""
        return rows.filter(pl.col("code") == SENT_AGAIN).height if self.decided is not None else 0

    def require_same(self, messages: pl.DataFrame, *, plan: int) -> None:
        """Raise if a row that is taken up has become another message.

        Raises:
            AuditError: The table is not the one the run was made from.
        """
        if self.only is None:
            return
        known = self.only.filter(pl.col("plan") == plan).select("row", recorded="message_id")
        both = messages.join(known, on="row", how="inner").drop_nulls("recorded")
        changed = both.filter(pl.col("recorded") != self._recorded)
        if changed.height:
            raise AuditError(
                f"Row {changed['row'][0]} has changed since this run was started. Send the new "
                "table with plan.send(...) and the same audit directory; what has already arrived "
                "is skipped."
            )

    def split_finished(
        self, messages: pl.DataFrame, *, plan: int = 0
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the messages to send, and those that earlier runs finished with state, code and error."""
        if self.decided is None or self.decided.is_empty() or messages.is_empty():
            return self._split_delivered(messages)
        here = pl.col("row").is_between(messages["row"].min(), messages["row"].max())
        places = messages.select("row").with_row_index("place")
        decided = self.decided.filter((pl.col("plan") == plan) & here).drop("plan")
        others = messages.join(decided, on="row", how="anti", maintain_order="left")
        sent, finished = self._split_delivered(others)
        known = messages.join(decided, on="row", maintain_order="left")
        found = known.filter(pl.col("state").is_not_null()).drop("seed", "wanted", "seeds")
        left = known.drop("state")
        again = left.filter(pl.col("seed").is_not_null())
        again = with_new_ids(again, seeds=again["seed"]).drop("seed", "wanted", "seeds")
        same = self._as_recorded(left.filter(pl.col("wanted").is_not_null()))
        taken = pl.concat([sent, again, same], how="diagonal")
        return (
            taken.join(places, on="row", how="left").sort("place").drop("place"),
            pl.concat([finished, found], how="diagonal").sort("row"),
        )

    def on_wire(self, messages: pl.DataFrame, *, states: pl.Expr) -> pl.DataFrame:
        """Return messages as they are sent, those that set a state under ids of their run's own.

        Without a record of an earlier run they would have the id of that run, and be ignored although
        something may have changed since.
        """
        if self.seed is None:
            return messages
        rows = messages.filter(states).select("row", recorded=self._recorded)
        if rows.is_empty():
            return messages
        if self.doubted is None or self.doubted.is_empty():
            return with_run_ids(messages, seeds=rows.select("row", seed=pl.lit(self.seed)))
        known = self.doubted.select(pl.col("message_id").alias("recorded"), "seed", first=True)
        first = rows.join(known, on="recorded", how="left")
        seed = pl.when(pl.col("first").is_null()).then(pl.lit(self.seed)).otherwise("seed")
        return with_run_ids(messages, seeds=first.select("row", seed.alias("seed")))

    def _as_recorded(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return messages under the ids that are wanted of them, where one of their seeds makes it.

        Where none does, another row that says the same had the id. The workspace would ignore an id
        that it has seen, so the message gets a new one if the record has its own.
        """
        numbers = pl.int_ranges(1, pl.col("seeds").list.len() + 1).cast(pl.List(pl.String))
        tried = rows.with_columns(pl.concat_list(numbers, "seeds").alias("seed"))
        tried = tried.explode("seed", empty_as_null=True).drop_nulls("seed")
        made = pl.concat([rows, with_new_ids(tried, seeds=tried["seed"])], how="diagonal")
        is_new = pl.col("seed").is_null() & ~self._recorded.is_in(pl.col("seeds"))
        choice = (self._recorded == pl.col("wanted"), is_new, pl.col("seed") == pl.col("wanted"))
        ranks = [each.fill_null(value=False) for each in choice]
        best = made.sort(ranks, descending=True, maintain_order=True)
        found = best.unique("row", keep="first", maintain_order=True)
        return found.drop("seed", "wanted", "seeds")

    def _split_delivered(self, messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the messages that no earlier run delivered, and those that one did."""
        if self.finished is None or self.finished.is_empty():
            return messages, messages.clear()
        named = messages.with_columns(self._recorded.alias("recorded"))
        known = self._finished_among(self.finished, named["recorded"]).rename(
            {"message_id": "recorded", "payload_hash": "known_hash"}
        )
        joined = named.join(known, on="recorded", how="left", maintain_order="left")
        fresh = pl.col("state").is_null()
        changed = self._known_hash != self._own_hash
        finished = joined.filter(~fresh).with_columns(
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
        return joined.filter(fresh).select(messages.columns), finished.drop(
            "known_hash", "recorded"
        )

    def _finished_among(self, finished: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
        """Return the finished messages with one of these ids.

        A join would put all of them into a table of its own, for each chunk.
        """
        import numpy as np

        if not self._places:
            unsorted = finished["message_id"].hash().to_numpy()
            order = np.argsort(unsorted)
            self._places.append((unsorted[order], order))
        hashes, places = self._places[0]
        asked = np.unique(ids.hash().to_numpy())
        starts = np.searchsorted(hashes, asked)
        counts = np.searchsorted(hashes, asked, side="right") - starts
        shifts = np.repeat(starts - np.cumsum(counts) + counts, counts)
        return finished.select(pl.all().gather(places[shifts + np.arange(counts.sum())]))

    @property
    def _recorded(self) -> pl.Expr:
        """The ids of messages as the record has them."""
        return keyed_ids(pl.col("message_id"), key=self.key)

    @property
    def _known_hash(self) -> pl.Expr:
        told = keyed_hashes(_told_by_id(where="payload_hash"), key=self.key)
        return pl.coalesce(pl.col("known_hash").str.head(HASH_CHARACTERS), told)

    @property
    def _own_hash(self) -> pl.Expr:
        told = _told_by_id(where="known_hash")
        own = pl.coalesce(pl.col("payload_hash").str.head(HASH_CHARACTERS), told)
        return keyed_hashes(own, key=self.key)


def _told_by_id(*, where: str) -> pl.Expr:
    """Return the hash that a derived id was made of, where there is the other one to compare."""
    told = pl.when(pl.col(where).is_not_null() & pl.col("state").is_not_null()).then("message_id")
    return told.map_elements(content, return_dtype=pl.String, skip_nulls=True)


class FollowUp(Protocol):
    """What the plans of a run can do once it has ended."""

    def reconcile(self, directory: Path, held: Any, **options: Any) -> "Reconciliation":
        """Compare what a workspace holds with what the run of this directory has sent."""

    def undo(self, directory: Path, known: Any = None, **options: Any) -> "Undo[Any]":
        """Return what takes the workspace back to what it was before the run of this directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is given to do."""

    calls: tuple[str, ...]  # in the order of the plans
    tables: tuple[Table, ...]  # one per plan
    rows: tuple[int, ...]  # of each table
    fingerprints: tuple[str, ...]  # of each table, for the record
    segments: Callable[[RowSelection], Generator[Segment]]  # in the order of sending
    state_messages: StateMessages  # what decides which rows are done
    mapping: Mapping[str, Any] = field(default_factory=dict)  # per plan, for the record
    decisions: Mapping[str, Any] = field(default_factory=dict)  # repairs, allowances, severities
    limits: Mapping[str, Any] = field(default_factory=dict)  # those in force, by name
    namespace: str = ""  # what the message ids are made for
    notes: tuple[str, ...] = ()  # what the counts of rows will not show, in sentences
    profiles: tuple[TableProfile, ...] = ()  # what the tables are like, for the record
    follow_up: FollowUp | None = None  # what can be done afterwards
    former_people: pl.DataFrame | None = None  # who was there before, to be kept with the record

    @property
    def label(self) -> str:
        """What the run is called in displays."""
        return " + ".join(dict.fromkeys(self.calls))
