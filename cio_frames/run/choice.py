"""Which rows of a plan a run sends: all, or those that no earlier run has settled."""

from dataclasses import dataclass

import polars as pl

from cio_frames.audit import HASH_CHARACTERS, keyed_hashes, keyed_ids
from cio_frames.errors import AuditError
from cio_frames.payloads.ids import content

SETTLED_SCHEMA = pl.Schema({"message_id": pl.String, "payload_hash": pl.String, "state": pl.String})
"""The columns of what earlier runs settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows a run sends.

    Attributes:
        only: The rows that a resumed run takes up: plan, row and the message id that was recorded
            for it, if one was. All rows when not given.
        settled: Messages of earlier runs, with the columns of `SETTLED_SCHEMA`; the state is what
            becomes of the same message now.
        doubted: Ids of messages about people and groups that are in doubt and sent again.
        key: The key that these ids and hashes are under; None if they are held as they are.
    """

    only: pl.DataFrame | None = None
    settled: pl.DataFrame | None = None
    doubted: pl.Series | None = None
    key: str | None = None

    def rows(self, rows: pl.Series, *, plan: int) -> pl.Series | None:
        """Return which of these rows are taken up, None for all."""
        if self.only is None:
            return None
        wanted = self.only.filter(pl.col("plan") == plan)["row"]
        return rows.filter(rows.is_in(wanted.implode()))

    def repeated(self, rows: pl.DataFrame) -> int:
        """Return how many of the rows of a segment are in doubt and sent again all the same."""
        if self.doubted is None or self.doubted.is_empty():
            return 0
        again = self._recorded.is_in(self.doubted.implode()) & (pl.col("state") == "pending")
        return rows.filter(again).height

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
                f"Row {changed['row'][0]} is not the row this run was made from: its message has "
                "changed. Send the new table with plan.send(...) and the same audit directory; "
                "what arrived already is skipped."
            )

    def of_messages(self, messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Divide messages into those to send and those that earlier runs settled.

        Args:
            messages: Encoded messages.

        Returns:
            The messages to send, and the others with state, code and error.
        """
        if self.settled is None or self.settled.is_empty():
            return messages, messages.clear()
        known = self.settled.rename({"message_id": "recorded", "payload_hash": "known_hash"})
        named = messages.with_columns(self._recorded.alias("recorded"))
        joined = named.join(known, on="recorded", how="left", maintain_order="left")
        fresh = pl.col("state").is_null()
        changed = self._known_hash != self._own_hash
        settled = joined.filter(~fresh).with_columns(
            state=pl.when(changed).then(pl.lit("rejected_local")).otherwise("state"),
            code=pl.when(changed)
            .then(pl.lit("message.conflict"))
            .when(pl.col("state") == "in_doubt")
            .then(pl.lit("IN_DOUBT_BEFORE")),
            error=pl.when(changed).then(
                pl.lit(
                    "An earlier run delivered another message under this id. Name further columns "
                    "in key=, or send it under another id."
                )
            ),
        )
        return joined.filter(fresh).select(messages.columns), settled.drop("known_hash", "recorded")

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
