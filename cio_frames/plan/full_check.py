"""The checks of a whole table in one pass: all of them, or only those that can keep rows from being sent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import msgspec
import polars as pl

from cio_frames.checks import Aggregate, Check, Profiler, Scope, TableProfile, is_semantic_event
from cio_frames.errors import engine_errors
from cio_frames.frames import ROW, Fingerprint, Table
from cio_frames.mapping import (
    MessageMapping,
    computing,
    lane_key,
    linked_keys,
    numbered,
    person_key,
    person_name,
)
from cio_frames.payloads import MESSAGE_SCHEMA, count_batches, encode, lanes, order_key, sizes
from cio_frames.plan.allowance_counts import AllowanceCounts, allowance_rows
from cio_frames.plan.chunks import Encoding, Repeats, map_chunks
from cio_frames.plan.finding_kinds import FindingKinds
from cio_frames.plan.other_forms import IdCounts, counted_ids
from cio_frames.validation import (
    BLOCKING,
    TableAggregates,
    check,
    check_call,
    check_messages,
    compile_checks,
    complete_findings,
    rejection_reasons,
)

KEPT_MESSAGES = 2_000
"""How many of the first messages are kept: for reports, and as the sample of an estimate."""

FIRST_ROWS = 1_000
"""How many of the first rows are kept to see whether any can be sent."""

HOUR_MS = 3_600_000

_PAIRS = pl.Schema({"key": pl.UInt64, "other": pl.UInt64})


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKeys:
    """The identifiers that rows address, and those that rows name together; each once.

    Identifiers are the numbers that `encode` gives them, so that millions take little memory.
    """

    keys: pl.Series
    pairs: pl.DataFrame

    @classmethod
    def joined(cls, parts: Sequence["LinkKeys"]) -> "LinkKeys":
        """Return the link keys of several parts as one; duplicates stay."""
        keys = [pl.Series("key", dtype=pl.UInt64), *(part.keys for part in parts)]
        pairs = [_PAIRS.to_frame(), *(part.pairs for part in parts)]
        return cls(keys=pl.concat(keys), pairs=pl.concat(pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreSendCheck:
    """What is checked of a table before any row is sent."""

    rows: int
    blocking: pl.DataFrame  # findings of the whole table that keep rows from being sent
    refusals: pl.DataFrame  # findings that forbid sending, one of each code
    fingerprint: str
    components: pl.DataFrame | None  # the identifiers that this table's rows connect, if any
    # Where only this check has run, rows that are excluded later count as well
    allowances: AllowanceCounts = field(default_factory=AllowanceCounts)
    first_rows: pl.DataFrame = field(default_factory=pl.DataFrame)  # at most `FIRST_ROWS`, as read
    profile: TableProfile | None = None  # for comparison with later runs


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCheck:
    """The findings of all checks, and the counts of what would be sent."""

    before_send: PreSendCheck
    valid: int
    people: int  # that the rows name
    objects: int
    unclear: int  # identifies and events without the id of a person, and events that act
    bytes: int
    batches: int  # exactly as many as sending would make
    findings: pl.DataFrame  # worst first
    kinds: FindingKinds  # the same, by kind
    reasons: pl.DataFrame  # row, code and error of each row that would not be sent
    first_messages: tuple[str, ...]  # at most `KEPT_MESSAGES`
    hours: pl.DataFrame | None  # hour, recent, rows; None without a timestamp
    ids: IdCounts | None  # the different ids, if they were gathered
    is_reordered: bool = False  # whether a finding says that rows came in another order later

    @property
    def rows(self) -> int:
        """Rows read."""
        return self.before_send.rows

    @property
    def allowances(self) -> AllowanceCounts:
        """The rows that would be sent and need an allowance."""
        return self.before_send.allowances


class Profiling(msgspec.Struct, frozen=True, kw_only=True):
    """What makes the profile of a table, and compares it with those of earlier runs."""

    profiler: Profiler
    compare: Callable[[TableProfile], pl.DataFrame]


@engine_errors("the table was checked")
def check_before_send(
    table: Table, *, scope: Scope, checks: Iterable[Check], profiling: Profiling, gather_links: bool
) -> tuple[PreSendCheck, LinkKeys | None]:
    """Apply the checks that can keep rows from being sent; return the result, and the link keys if wanted."""
    blocking = [item for item in checks if item.severity in BLOCKING]
    strict = [item for item in blocking if item.severity == "refuse"]
    tests = compile_checks(strict, scope=scope)
    sums = _Sums(
        table, scope=scope, checks=blocking, profiling=profiling, gather_links=gather_links
    )
    findings, first = [check_call(strict, scope=scope)], pl.DataFrame()
    allowances: list[AllowanceCounts] = []

    def part(chunk: pl.DataFrame) -> tuple[_Share, pl.DataFrame, pl.DataFrame, AllowanceCounts]:
        prepared, share = sums.share(chunk)
        chunk_findings = check(prepared, tests=tests, raw=chunk).findings
        with computing(scope.mapping):
            counts = AllowanceCounts.of(allowance_rows(prepared, scope))
        return share, chunk_findings, chunk.filter(pl.col(ROW) < FIRST_ROWS), counts

    with closing(map_chunks(table, part)) as parts:
        for share, chunk_findings, head, counts in parts:
            sums.add(share)
            findings.append(chunk_findings)
            allowances.append(counts)
            first = first if first.height else head
    table_wide, profile = sums.findings(), profiling.profiler.profile()
    drift = profiling.compare(profile).filter(pl.col("severity") == "refuse")
    every = complete_findings(
        pl.concat([*findings, table_wide, drift]), checks=strict, rows=sums.rows
    )
    checked = PreSendCheck(
        rows=sums.rows,
        blocking=table_wide,
        refusals=refusals_of(every),
        fingerprint=sums.fingerprint.text,
        components=sums.components(),
        allowances=AllowanceCounts.joined(allowances),
        first_rows=first,
        profile=profile,
    )
    return checked, LinkKeys.joined(sums.links) if gather_links else None


@engine_errors("the table was checked")
def check_fully(
    table: Table,
    *,
    encoding: Encoding,
    batch_bytes: int,
    shares: Mapping[str, float],
    profiling: Profiling,
    gather_links: bool,
    gather_ids: bool,
) -> tuple[FullCheck, LinkKeys | None]:
    """Apply every check, measure every message, and count; return that, and the link keys if wanted.

    Where later chunks can still exclude rows of a chunk or connect its people, a few numbers of each
    row are kept until the end. Only the first messages are written with their ids.
    """
    sums = _Sums(
        table, scope=encoding.scope, checks=encoding.checks, profiling=profiling,
        gather_links=gather_links, gather_ids=gather_ids,
    )  # fmt: skip
    results = _ChunkResults(encoding)

    def part(chunk: pl.DataFrame) -> tuple[_Share, ChunkCheck]:
        prepared, share = sums.share(chunk)
        checked = check_chunk(prepared, encoding=encoding, raw=chunk)
        if sums.is_final(share):
            counts = count_rows(checked.measures, scope=encoding.scope, batch_bytes=batch_bytes)
            checked = replace(checked, measures=checked.measures.clear(), counts=counts)
        return share, checked

    with closing(map_chunks(table, part)) as parts:
        for share, checked in parts:
            sums.add(share)
            results.add(checked)
    full = _full_check(
        results, sums, table=table, encoding=encoding, shares=shares, batch_bytes=batch_bytes
    )
    return full, LinkKeys.joined(sums.links) if gather_links else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What a chunk adds to the sums of the table."""

    rows: int
    aggregates: Mapping[Aggregate, pl.DataFrame]
    links: LinkKeys | None
    ids: pl.DataFrame | None
    profile: pl.DataFrame


class _Sums:
    """What both checks sum up over a table: aggregates, link keys, rows and fingerprint."""

    def __init__(
        self, table: Table, *, scope: Scope, checks: Iterable[Check], profiling: Profiling,
        gather_links: bool, gather_ids: bool = False,
    ) -> None:  # fmt: skip
        self._mapping: MessageMapping = scope.mapping
        self._aggregates = TableAggregates(table, checks=list(checks), scope=scope)
        self._is_linked = bool(linked_keys(scope.mapping))
        self._gathers = gather_links or self._is_linked
        self.profiling = profiling
        self._order = table.order if table.calls_python else None
        self.fingerprint = Fingerprint(table.schema(), self._order)
        self.links: list[LinkKeys] = []
        self.ids = IdCounts() if gather_ids else None
        self.rows = 0

    def share(self, chunk: pl.DataFrame) -> tuple[pl.DataFrame, _Share]:
        """Return a chunk with one column per field, and what it adds; any thread may call this."""
        self.fingerprint.add(chunk)
        with computing(self._mapping):
            prepared = self._mapping.prepare(chunk)
            aggregates = self._aggregates.aggregated(prepared)
            links = link_keys(prepared, self._mapping) if self._gathers else None
            ids = None if self.ids is None else counted_ids(prepared, self._mapping)
            profile = self.profiling.profiler.part(prepared)
        share = _Share(
            rows=chunk.height, aggregates=aggregates, links=links, ids=ids, profile=profile
        )
        return prepared, share

    def is_final(self, share: _Share) -> bool:
        """Return whether the rest of the table changes nothing about the rows of a chunk."""
        can_change = self._is_linked or self._order is not None
        return not (can_change or self._aggregates.can_block(share.aggregates))

    def add(self, share: _Share) -> None:
        """Add the share of the next chunk."""
        self.rows += share.rows
        self._aggregates.add(share.aggregates)
        self.profiling.profiler.add(share.profile)
        if share.links is not None:
            self.links.append(share.links)
        if self.ids is not None and share.ids is not None:
            self.ids.add(share.ids)

    def findings(self) -> pl.DataFrame:
        """Return the findings that only the whole table shows, after every chunk was added."""
        if self._order is not None:
            self._order.close()
        with computing(self._mapping):
            return self._aggregates.findings()

    def components(self) -> pl.DataFrame | None:
        """Return the identifiers that rows of this table connect, by component; None if they connect none."""
        return components_of(LinkKeys.joined(self.links)) if self._is_linked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCheck:
    """The findings about the rows and messages of a chunk, and its rows that can be sent."""

    row_findings: pl.DataFrame
    message_findings: pl.DataFrame
    sent: pl.DataFrame  # the prepared rows
    measures: pl.DataFrame  # a few numbers of each of them
    counts: "ChunkCounts | None" = None  # their sums, if no later chunk can change them


def check_chunk(prepared: pl.DataFrame, *, encoding: Encoding, raw: pl.DataFrame) -> ChunkCheck:
    """Check the prepared rows of a chunk and measure their messages."""
    scope = encoding.scope
    checked = check(prepared, tests=encoding.tests, table_findings=encoding.table_findings, raw=raw)
    messages, sent = sizes(checked.valid, scope.mapping), checked.valid
    late = check_messages(messages, checks=encoding.checks, scope=scope, prepared=prepared)
    measures = sent.select(*_measured(scope), messages["bytes"])
    measures = measures.hstack(allowance_rows(sent, scope))
    rejected = late.filter(pl.col("severity").is_in(BLOCKING))["row"].implode()
    if late.height:
        sent = sent.filter(~pl.col(ROW).is_in(rejected))
        measures = measures.filter(~pl.col("row").is_in(rejected))
    return ChunkCheck(
        row_findings=checked.findings, message_findings=late, sent=sent, measures=measures
    )


_NONE = pl.Series(dtype=pl.UInt64)
MERGED = 1_000_000
"""With more numbers than this, duplicates between chunks are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCounts:
    """The sums over the rows of a chunk that can be sent."""

    valid: int
    bytes: int
    batches: int
    unclear: int
    allowances: AllowanceCounts
    hours: pl.DataFrame | None
    people: pl.Series  # different numbers
    objects: pl.Series


class Distinct:
    """The different numbers of all chunks, each kept about once."""

    def __init__(self) -> None:
        self._parts = [_NONE]
        self._most = MERGED

    def add(self, numbers: pl.Series) -> None:
        """Add numbers."""
        self._parts.append(numbers)
        if sum(map(len, self._parts)) > self._most:
            self._most = max(MERGED, 2 * len(self))

    def __len__(self) -> int:
        self._parts = [pl.concat(self._parts).unique()]
        return len(self._parts[0])


@dataclass(slots=True)
class _ChunkResults:
    """The results of all chunks of a full check: findings, the first messages, numbers of each row."""

    encoding: Encoding
    row_findings: list[pl.DataFrame] = field(default_factory=list)
    message_findings: list[pl.DataFrame] = field(default_factory=list)
    measures: list[pl.DataFrame] = field(default_factory=list)
    counts: list[ChunkCounts] = field(default_factory=list)
    people: Distinct = field(default_factory=Distinct)
    objects: Distinct = field(default_factory=Distinct)
    first: list[pl.DataFrame] = field(default_factory=list)

    def add(self, chunk: ChunkCheck) -> None:
        """Add the next chunk; its rows are not kept."""
        self.row_findings.append(chunk.row_findings)
        self.message_findings.append(chunk.message_findings)
        if chunk.counts is None:
            self.measures.append(chunk.measures)
        else:
            self.count(chunk.counts)
        missing = KEPT_MESSAGES - sum(part.height for part in self.first)
        if missing and chunk.sent.height:
            mapping, namespace = self.encoding.scope.mapping, self.encoding.namespace
            self.first.append(encode(chunk.sent.head(missing), mapping, namespace=namespace))

    def count(self, counts: ChunkCounts) -> None:
        """Add the sums of a chunk."""
        self.people.add(counts.people)
        self.objects.add(counts.objects)
        self.counts.append(replace(counts, people=_NONE, objects=_NONE))


def _measured(scope: Scope) -> list[pl.Expr]:
    """Return the columns that are kept of each row besides the size of its message."""
    mapping = scope.mapping
    columns = [
        pl.col(ROW).alias("row"),
        order_key(lane_key(mapping)).alias("key"),
        numbered(person_name(mapping)).alias("person"),
    ]
    if mapping.call.name in ("identify", "track"):
        text = person_name(mapping)
        is_id = (text != "") & ~text.str.contains("@", literal=True) & ~text.str.starts_with("cio_")
        columns.append((~is_id.fill_null(value=False) | is_semantic_event(scope)).alias("unclear"))
    time = mapping.find("timestamp")
    if time is not None:
        columns.append((pl.col(time.utc_column).dt.epoch("ms") // HOUR_MS).alias("hour"))
    return columns


def _full_check(
    results: _ChunkResults,
    sums: _Sums,
    *,
    table: Table,
    encoding: Encoding,
    shares: Mapping[str, float],
    batch_bytes: int,
) -> FullCheck:
    """Return the full check from all chunks, without the rows that only the whole table rejects."""
    scope, components = encoding.scope, sums.components()
    table_wide = sums.findings()
    blocking = table_wide.filter(pl.col("severity").is_in(BLOCKING))
    lost = blocking["row"].drop_nulls().unique()
    measures, late = results.measures, results.message_findings
    if len(lost):
        is_kept = ~pl.col("row").is_in(lost.implode())
        measures, late = ([part.filter(is_kept) for part in parts] for parts in (measures, late))
    for part in measures:
        results.count(count_rows(part, scope=scope, batch_bytes=batch_bytes, components=components))
    counts = results.counts
    valid = sum(count.valid for count in counts)
    of_call = check_call(encoding.checks, scope=scope, notes=table.notes)
    profile = sums.profiling.profiler.profile()
    drift = sums.profiling.compare(profile)
    findings = complete_findings(
        pl.concat([of_call, drift, table_wide, *results.row_findings, *late]),
        checks=encoding.checks, rows=sums.rows, rejected=sums.rows - valid, shares=shares,
    )  # fmt: skip
    first = pl.concat(results.first) if results.first else MESSAGE_SCHEMA.to_frame()
    first = first.filter(~pl.col("row").is_in(lost.implode()))
    excluded = rejection_reasons(findings)
    return FullCheck(
        before_send=PreSendCheck(
            rows=sums.rows,
            blocking=blocking,
            refusals=refusals_of(findings),
            fingerprint=sums.fingerprint.text,
            components=components,
            allowances=AllowanceCounts.joined(count.allowances for count in counts),
            profile=profile,
        ),
        valid=valid,
        people=len(results.people),
        objects=len(results.objects),
        unclear=sum(count.unclear for count in counts),
        bytes=sum(count.bytes for count in counts),
        batches=sum(count.batches for count in counts),
        findings=findings,
        kinds=kinds_of(findings, excluded=excluded["row"], checks=encoding.checks),
        reasons=excluded,
        first_messages=tuple(Repeats().renewed(first, call=scope.mapping.call)["message"]),
        hours=summed_hours([count.hours for count in counts if count.hours is not None])
        if scope.mapping.find("timestamp")
        else None,
        ids=sums.ids,
    )


def count_rows(
    measures: pl.DataFrame,
    *,
    scope: Scope,
    batch_bytes: int,
    components: pl.DataFrame | None = None,
) -> ChunkCounts:
    """Return the sums over rows of one chunk, whose batches have no rows of another one, as when sent."""
    call, batches = scope.mapping.call, measures.height
    if call.batched:
        shared = lanes(measures["key"], components)
        batches = count_batches(measures["bytes"], lanes=shared, limit_bytes=batch_bytes)
    return ChunkCounts(
        valid=measures.height,
        bytes=int(measures["bytes"].sum()),
        batches=batches,
        unclear=int(measures["unclear"].sum()) if "unclear" in measures.columns else 0,
        allowances=AllowanceCounts.of(measures),
        hours=_hours(measures) if "hour" in measures.columns else None,
        people=measures["person"].drop_nulls().unique(),
        objects=measures["key"].drop_nulls().unique() if call.name == "group" else _NONE,
    )


def _hours(measures: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each hour; only events can be recent."""
    recent = pl.col("recent") if "recent" in measures.columns else pl.lit(value=False)
    return measures.group_by("hour", recent.alias("recent")).agg(rows=pl.len())


def summed_hours(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of each hour, summed over chunks."""
    schema = pl.Schema({"hour": pl.Int64, "recent": pl.Boolean, "rows": pl.get_index_type()})
    joined = pl.concat([schema.to_frame(), *parts])
    return joined.group_by("hour", "recent").agg(pl.col("rows").sum())


def kinds_of(
    findings: pl.DataFrame, *, excluded: pl.Series, checks: Iterable[Check]
) -> FindingKinds:
    """Return the kinds of findings, worst first; `excluded` are the rows that would not be sent."""
    effects = {check.code: check.effect for check in checks if check.effect is not None}
    return FindingKinds.of(findings, excluded=excluded, effects=effects)


def refusals_of(findings: pl.DataFrame) -> pl.DataFrame:
    """Return the first finding of each code that forbids sending."""
    refused = findings.filter(pl.col("severity") == "refuse")
    return refused.unique("code", maintain_order=True)


def link_keys(prepared: pl.DataFrame, mapping: MessageMapping) -> LinkKeys:
    """Return the link keys of rows. A group's rows address the group, and the person as well."""
    addressed = [lane_key(mapping)]
    if mapping.call.name == "group":
        addressed.append(person_key(mapping))
    both = [*addressed, *linked_keys(mapping)]
    numbers = prepared.select(numbered(key).alias(str(n)) for n, key in enumerate(both))
    keys, others = numbers.get_columns()[: len(addressed)], numbers.get_columns()[len(addressed) :]
    pairs = [pl.DataFrame({"key": keys[0], "other": other}) for other in others]
    named = pl.concat([_PAIRS.to_frame(), *pairs]).lazy().drop_nulls().unique()
    return LinkKeys(
        keys=pl.concat(key.alias("key") for key in keys).drop_nulls().unique(),
        pairs=named.filter(pl.col("key") != pl.col("other")).collect(),
    )


def components_of(links: LinkKeys) -> pl.DataFrame | None:
    """Return the identifiers that are connected, by component; None if none are."""
    import numpy as np

    from cio_frames.identity.components import can_connect, components, is_in_sorted

    keys = np.sort(links.keys.to_numpy())
    owners, others = (links.pairs[name].to_numpy() for name in _PAIRS)
    joins = can_connect(owners, others, keys=keys)
    owners, others = owners[joins], others[joins]
    if not len(owners):
        return None
    addressed = keys[is_in_sorted(keys, np.sort(others))]  # also those that are in no other pair
    pairs = {
        "key": np.concatenate([owners, addressed]),
        "other": np.concatenate([others, addressed]),
    }
    connected = components(pl.DataFrame(pairs))
    return connected if connected.height else None
