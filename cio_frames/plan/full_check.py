"""The checks of a whole table, each in one pass: all of them, or those that can forbid sending."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from cio_frames.frames import ROW, Fingerprint, ahead
from cio_frames.mapping import computing
from cio_frames.payloads import count_batches, lane_key, lanes, linked_keys, order_key
from cio_frames.plan.chunks import AT_ONCE, EncodedChunk, PassInput, encode_prepared, rows_at_once
from cio_frames.plan.components import LinkKeys, components_of, link_keys
from cio_frames.spec import LIMITS
from cio_frames.validation import (
    BLOCKING,
    TableAggregates,
    check,
    check_call,
    concluded,
    probes,
    reasons,
)

KEPT_MESSAGES = 2_000
"""How many of the first messages are kept: for reports, and as the sample of an estimate."""

TRIGGERING = ("track", "page", "screen")
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PreSendCheck:
    """What must be known of a table before anything of it is sent.

    Attributes:
        rows: Rows read.
        blocking: Findings that only the whole table shows, and that keep rows from being sent.
        refusals: Findings that forbid sending, one of each code.
        fingerprint: Tells this table from another one.
        components: Who is connected with whom by the rows of this table; None if nobody is.
    """

    rows: int
    blocking: pl.DataFrame
    refusals: pl.DataFrame
    fingerprint: str
    components: pl.DataFrame | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCheck:
    """What all checks found, and what sending would come to.

    Attributes:
        before_send: The part that must be known before sending.
        valid: Rows that would be sent.
        bytes: Bytes of their messages.
        batches: Requests they would take, exactly as they would be cut.
        findings: Everything found, worst first.
        reasons: Row, code and error of each row that would not be sent.
        first_messages: The first messages, at most `KEPT_MESSAGES`.
        hours: How many of the rows happened when: hour, recent, rows. None without a timestamp.
    """

    before_send: PreSendCheck
    valid: int
    bytes: int
    batches: int
    findings: pl.DataFrame
    reasons: pl.DataFrame
    first_messages: tuple[str, ...]
    hours: pl.DataFrame | None

    @property
    def rows(self) -> int:
        """Rows read."""
        return self.before_send.rows


def check_before_send(
    given: PassInput, *, gather_links: bool
) -> tuple[PreSendCheck, LinkKeys | None]:
    """Look only for what keeps rows from being sent, and encode nothing.

    Returns:
        What was found, and the link keys if they were to be gathered.
    """
    mapping, scope = given.scope.mapping, given.scope
    blocking = [item for item in given.checks if item.severity in BLOCKING]
    strict = [item for item in blocking if item.severity == "refuse"]
    tests = probes(strict, scope=scope)
    aggregates = TableAggregates(given.table, checks=blocking, scope=scope)
    fingerprint, rows, links = Fingerprint(given.table.schema()), 0, []
    findings = [check_call(strict, scope=scope)]
    are_linked = bool(linked_keys(mapping))

    def part(
        chunk: pl.DataFrame,
    ) -> tuple[int, list[pl.DataFrame], pl.DataFrame, LinkKeys | None]:
        fingerprint.add(chunk)
        with computing(mapping):
            prepared = mapping.prepare(chunk)
            gathered = aggregates.of(prepared)
            named = link_keys(prepared, mapping) if are_linked or gather_links else None
        return chunk.height, gathered, check(prepared, tests=tests, raw=chunk).findings, named

    chunks = given.table.chunks(rows_at_once(given.table))
    for height, gathered, found, named in ahead(part, chunks, at_once=AT_ONCE):
        rows += height
        aggregates.add(gathered)
        findings.append(found)
        links += [] if named is None else [named]
    with computing(mapping):
        table_wide = aggregates.findings()
    found = concluded(pl.concat([*findings, table_wide]), checks=strict, rows=rows)
    joined = LinkKeys.joined(links)
    checked = PreSendCheck(
        rows=rows,
        blocking=table_wide,
        refusals=_refusals(found),
        fingerprint=fingerprint.text,
        components=components_of(joined) if are_linked else None,
    )
    return checked, joined if gather_links else None


def check_fully(
    given: PassInput, *, shares: Mapping[str, float], gather_links: bool
) -> tuple[FullCheck, LinkKeys | None]:
    """Apply every check, encode every row, and count; a few numbers of each row are kept meanwhile.

    Args:
        given: What the pass is given.
        shares: The largest share of rows that may fail, by code.
        gather_links: Whether the link keys are wanted, for the components of several plans.

    Returns:
        What was found, and the link keys if they were wanted.
    """
    mapping = given.scope.mapping
    found = _Found(aggregates=TableAggregates(given.table, checks=given.checks, scope=given.scope))
    fingerprint, tests = Fingerprint(given.table.schema()), given.tests()
    are_linked = bool(linked_keys(mapping))
    columns = _kept_columns(given)

    def part(chunk: pl.DataFrame) -> _Part:
        fingerprint.add(chunk)
        with computing(mapping):
            prepared = mapping.prepare(chunk)
            gathered = found.aggregates.of(prepared)
            named = link_keys(prepared, mapping) if are_linked or gather_links else None
            kept = prepared.select(columns)
        encoded = encode_prepared(
            prepared, raw=chunk, scope=given.scope, checks=given.checks, tests=tests,
            namespace=given.namespace,
        )  # fmt: skip
        rows = encoded.messages["row"]
        if len(rows) < kept.height:
            kept = kept.filter(pl.col("row").is_in(rows.implode()))
        kept = kept.with_columns(encoded.messages["bytes"])
        return _Part(encoded=encoded, kept=kept, aggregates=gathered, links=named)

    chunks = given.table.chunks(rows_at_once(given.table))
    for done in ahead(part, chunks, at_once=AT_ONCE):
        found.add(done)
    links = LinkKeys.joined(found.links)
    components = components_of(links) if are_linked else None
    full = _concluded(
        given, found, shares=shares, components=components, fingerprint=fingerprint.text
    )
    return full, links if gather_links else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is found in a chunk. `kept` has row, bytes, key and the time of each message."""

    encoded: EncodedChunk
    kept: pl.DataFrame
    aggregates: list[pl.DataFrame]
    links: LinkKeys | None


@dataclass(slots=True, kw_only=True)
class _Found:
    """What is found, chunk by chunk."""

    aggregates: TableAggregates
    rows: int = 0
    row_findings: list[pl.DataFrame] = field(default_factory=list)
    message_findings: list[pl.DataFrame] = field(default_factory=list)
    kept: list[pl.DataFrame] = field(default_factory=list)
    links: list[LinkKeys] = field(default_factory=list)
    first_rows: list[int] = field(default_factory=list)
    first_messages: list[str] = field(default_factory=list)

    def add(self, part: _Part) -> None:
        """Add what is found in the next chunk; its messages are let go."""
        self.rows += len(part.encoded.rows)
        self.aggregates.add(part.aggregates)
        self.row_findings.append(part.encoded.row_findings)
        self.message_findings.append(part.encoded.message_findings)
        self.kept.append(part.kept)
        if part.links is not None:
            self.links.append(part.links)
        missing = KEPT_MESSAGES - len(self.first_rows)
        if missing:
            self.first_rows += part.encoded.messages["row"].head(missing).to_list()
            self.first_messages += part.encoded.messages["message"].head(missing).to_list()


def _kept_columns(given: PassInput) -> list[pl.Expr]:
    """Return what is kept of each row besides the size of its message."""
    mapping, now = given.scope.mapping, given.scope.now
    columns = [pl.col(ROW).alias("row"), order_key(lane_key(mapping)).alias("key")]
    slot = mapping.find("timestamp")
    if slot is None:
        return columns
    at = pl.col(slot.moment)
    since = now - timedelta(hours=LIMITS["trigger_hours"].value)
    recent = at >= since if mapping.call.name in TRIGGERING else pl.lit(value=False)
    return [
        *columns,
        (at.dt.epoch("ms") // HOUR_MS).alias("hour"),
        recent.fill_null(value=False).alias("recent"),
    ]


def _concluded(
    given: PassInput,
    found: _Found,
    *,
    shares: Mapping[str, float],
    components: pl.DataFrame | None,
    fingerprint: str,
) -> FullCheck:
    """Return what all parts come to, without the rows that only the whole table rejects."""
    mapping = given.scope.mapping
    with computing(mapping):
        table_wide = found.aggregates.findings()
    blocking = table_wide.filter(pl.col("severity").is_in(BLOCKING))
    lost = blocking["row"].drop_nulls().unique()
    kept, late = found.kept, found.message_findings
    if len(lost):
        is_kept = ~pl.col("row").is_in(lost.implode())
        kept, late = ([part.filter(is_kept) for part in parts] for parts in (kept, late))
    valid = sum(part.height for part in kept)
    findings = concluded(
        pl.concat([
            check_call(given.checks, scope=given.scope, notes=given.table.notes),
            table_wide, *found.row_findings, *late,
        ]),
        checks=given.checks, rows=found.rows, rejected=found.rows - valid, shares=shares,
    )  # fmt: skip
    is_lost = set(lost)
    return FullCheck(
        before_send=PreSendCheck(
            rows=found.rows,
            blocking=blocking,
            refusals=_refusals(findings),
            fingerprint=fingerprint,
            components=components,
        ),
        valid=valid,
        bytes=sum(int(part["bytes"].sum()) for part in kept),
        batches=_batches(kept, given=given, components=components),
        findings=findings,
        reasons=reasons(findings),
        first_messages=tuple(
            message
            for row, message in zip(found.first_rows, found.first_messages, strict=True)
            if row not in is_lost
        ),
        hours=_hours(kept) if mapping.find("timestamp") else None,
    )


def _batches(kept: list[pl.DataFrame], *, given: PassInput, components: pl.DataFrame | None) -> int:
    """Return how many requests the chunks make: each is cut by itself, as it is when it is sent."""
    if not given.scope.mapping.call.batched:
        return sum(part.height for part in kept)
    return sum(
        count_batches(
            part["bytes"], lanes=lanes(part["key"], components), limit_bytes=given.batch_bytes
        )
        for part in kept
    )


def _hours(kept: list[pl.DataFrame]) -> pl.DataFrame:
    counted = [part.group_by("hour", "recent").agg(rows=pl.len()) for part in kept]
    schema = pl.Schema({"hour": pl.Int64, "recent": pl.Boolean, "rows": pl.get_index_type()})
    whole = pl.concat([schema.to_frame(), *counted])
    return whole.group_by("hour", "recent").agg(pl.col("rows").sum())


def _refusals(findings: pl.DataFrame) -> pl.DataFrame:
    refused = findings.filter(pl.col("severity") == "refuse")
    return refused.unique("code", maintain_order=True)
