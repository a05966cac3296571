"""The checks of a whole table, each in one pass: all of them, or those that can forbid sending."""

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
    """Whom rows address, and who is named together with whom; each once.

    Identifiers are the numbers that `encode` gives them, so that millions take little memory.
    """

    keys: pl.Series
    pairs: pl.DataFrame

    @classmethod
    def joined(cls, parts: Sequence["LinkKeys"]) -> "LinkKeys":
        """Return the link keys of several parts as one; what stands in two of them stands twice."""
        keys = [pl.Series("key", dtype=pl.UInt64), *(part.keys for part in parts)]
        pairs = [_PAIRS.to_frame(), *(part.pairs for part in parts)]
        return cls(keys=pl.concat(keys), pairs=pl.concat(pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreSendCheck:
    """What must be known of a table before anything of it is sent."""

    rows: int
    blocking: pl.DataFrame  # findings of the whole table that keep rows from being sent
    refusals: pl.DataFrame  # findings that forbid sending, one of each code
    fingerprint: str
    components: pl.DataFrame | None  # who is connected with whom by this table's rows, if anybody
    # Where only this check has run, rows that are excluded later count as well
    allowances: AllowanceCounts = field(default_factory=AllowanceCounts)
    first_rows: pl.DataFrame = field(default_factory=pl.DataFrame)  # at most `FIRST_ROWS`, as read
    profile: TableProfile | None = None  # what the table is like


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCheck:
    """What all checks found, and what sending would come to."""

    before_send: PreSendCheck
    valid: int
    people: int  # whom the rows name, as far as they name anybody
    objects: int
    unclear: int  # identifies and events whose person no id tells, or events that act
    bytes: int
    batches: int  # exactly as the messages would be cut
    findings: pl.DataFrame  # worst first
    kinds: FindingKinds  # the same, by kind
    reasons: pl.DataFrame  # row, code and error of each row that would not be sent
    first_messages: tuple[str, ...]  # at most `KEPT_MESSAGES`
    hours: pl.DataFrame | None  # hour, recent, rows; None without a timestamp
    ids: IdCounts | None  # the different ids, if they were asked for
    is_reordered: bool = (
        False  # whether the findings tell that the rows came in another order later
    )

    @property
    def rows(self) -> int:
        """Rows read."""
        return self.before_send.rows

    @property
    def allowances(self) -> AllowanceCounts:
        """The rows that would be sent and need an allowance."""
        return self.before_send.allowances


class Profiling(msgspec.Struct, frozen=True, kw_only=True):
    """What makes the profile of a table, and finds what differs from those of earlier runs."""

    profiler: Profiler
    compare: Callable[[TableProfile], pl.DataFrame]


@engine_errors("the table was checked")
def check_before_send(
    table: Table,
    *,
    scope: Scope,
    checks: Iterable[Check],
    profiling: Profiling,
    gather_links: bool,
) -> tuple[PreSendCheck, LinkKeys | None]:
    """Look only for what keeps rows from being sent; return that, and the link keys if wanted."""
    blocking = [item for item in checks if item.severity in BLOCKING]
    strict = [item for item in blocking if item.severity == "refuse"]
    tests = compile_checks(strict, scope=scope)
    sums = _Sums(
        table, scope=scope, checks=blocking, profiling=profiling, gather_links=gather_links
    )
    findings, first = [check_call(strict, scope=scope)], pl.DataFrame()
    allowances: list[AllowanceCounts] = []

    def part(
        chunk: pl.DataFrame,
    ) -> tuple[_Share, pl.DataFrame, pl.DataFrame, AllowanceCounts]:
        prepared, share = sums.share(chunk)
        found = check(prepared, tests=tests, raw=chunk).findings
        with computing(scope.mapping):
            counts = AllowanceCounts.of(allowance_rows(prepared, scope))
        return share, found, chunk.filter(pl.col(ROW) < FIRST_ROWS), counts

    with closing(map_chunks(table, part)) as parts:
        for share, found, head, counts in parts:
            sums.add(share)
            findings.append(found)
            allowances.append(counts)
            first = first if first.height else head
    table_wide, profile = sums.findings(), profiling.profiler.profile()
    drift = profiling.compare(profile).filter(pl.col("severity") == "refuse")
    found = complete_findings(
        pl.concat([*findings, table_wide, drift]), checks=strict, rows=sums.rows
    )
    checked = PreSendCheck(
        rows=sums.rows,
        blocking=table_wide,
        refusals=refusals_of(found),
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

    Where the whole table can still tell that rows of a chunk are not sent, or who is connected with
    whom, a few numbers of each are kept until then. Only the first messages are written with their ids.
    """
    sums = _Sums(
        table, scope=encoding.scope, checks=encoding.checks, profiling=profiling,
        gather_links=gather_links, gather_ids=gather_ids,
    )  # fmt: skip
    found = _Found(encoding)

    def part(chunk: pl.DataFrame) -> tuple[_Share, ChunkFound]:
        prepared, share = sums.share(chunk)
        of_chunk = chunk_found(prepared, encoding=encoding, raw=chunk)
        if sums.is_settled(share):
            counts = counted(of_chunk.kept, scope=encoding.scope, batch_bytes=batch_bytes)
            of_chunk = replace(of_chunk, kept=of_chunk.kept.clear(), counts=counts)
        return share, of_chunk

    with closing(map_chunks(table, part)) as parts:
        for share, of_chunk in parts:
            sums.add(share)
            found.add(of_chunk)
    full = _concluded(
        found, sums, table=table, encoding=encoding, shares=shares, batch_bytes=batch_bytes
    )
    return full, LinkKeys.joined(sums.links) if gather_links else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What a chunk adds to what is known of the whole table."""

    rows: int
    aggregates: Mapping[Aggregate, pl.DataFrame]
    links: LinkKeys | None
    ids: pl.DataFrame | None
    profile: pl.DataFrame


class _Sums:
    """What both checks add up over a table: aggregates, link keys, rows and fingerprint."""

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
        """Return a chunk with one column per field, and what it adds; any thread may ask."""
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

    def is_settled(self, share: _Share) -> bool:
        """Return whether the rest of the table changes nothing about the rows of a chunk."""
        can_change = self._is_linked or self._order is not None
        return not (can_change or self._aggregates.can_block(share.aggregates))

    def add(self, share: _Share) -> None:
        """Add what the next chunk adds."""
        self.rows += share.rows
        self._aggregates.add(share.aggregates)
        self.profiling.profiler.add(share.profile)
        if share.links is not None:
            self.links.append(share.links)
        if self.ids is not None and share.ids is not None:
            self.ids.add(share.ids)

    def findings(self) -> pl.DataFrame:
        """Return what only the whole table shows, once every chunk was added."""
        if self._order is not None:
            self._order.close()
        with computing(self._mapping):
            return self._aggregates.findings()

    def components(self) -> pl.DataFrame | None:
        """Return who is connected with whom by the rows of this table; None if nobody is."""
        return components_of(LinkKeys.joined(self.links)) if self._is_linked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFound:
    """What the checks of rows and messages find in a chunk, and its rows that can be sent."""

    row_findings: pl.DataFrame
    message_findings: pl.DataFrame
    sent: pl.DataFrame  # the prepared rows
    kept: pl.DataFrame  # a few numbers of each of them
    counts: "Counts | None" = None  # what they come to, if nothing can change it


def chunk_found(prepared: pl.DataFrame, *, encoding: Encoding, raw: pl.DataFrame) -> ChunkFound:
    """Check the prepared rows of a chunk and measure their messages."""
    scope = encoding.scope
    checked = check(prepared, tests=encoding.tests, table_findings=encoding.table_findings, raw=raw)
    messages, sent = sizes(checked.valid, scope.mapping), checked.valid
    late = check_messages(messages, checks=encoding.checks, scope=scope, prepared=prepared)
    kept = sent.select(*_kept_columns(scope), messages["bytes"])
    kept = kept.hstack(allowance_rows(sent, scope))
    refused = late.filter(pl.col("severity").is_in(BLOCKING))["row"].implode()
    if late.height:
        sent = sent.filter(~pl.col(ROW).is_in(refused))
        kept = kept.filter(~pl.col("row").is_in(refused))
    return ChunkFound(row_findings=checked.findings, message_findings=late, sent=sent, kept=kept)


_NONE = pl.Series(dtype=pl.UInt64)
MERGED = 1_000_000
"""From how many numbers on those of several chunks are made different ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the rows of a chunk that can be sent come to."""

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
class _Found:
    """What the chunks of a full check leave: findings, the first messages, numbers of each row."""

    encoding: Encoding
    row_findings: list[pl.DataFrame] = field(default_factory=list)
    message_findings: list[pl.DataFrame] = field(default_factory=list)
    kept: list[pl.DataFrame] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    people: Distinct = field(default_factory=Distinct)
    objects: Distinct = field(default_factory=Distinct)
    first: list[pl.DataFrame] = field(default_factory=list)

    def add(self, found: ChunkFound) -> None:
        """Add what the next chunk leaves; its rows are let go."""
        self.row_findings.append(found.row_findings)
        self.message_findings.append(found.message_findings)
        if found.counts is None:
            self.kept.append(found.kept)
        else:
            self.count(found.counts)
        missing = KEPT_MESSAGES - sum(part.height for part in self.first)
        if missing and found.sent.height:
            mapping, namespace = self.encoding.scope.mapping, self.encoding.namespace
            self.first.append(encode(found.sent.head(missing), mapping, namespace=namespace))

    def count(self, counts: Counts) -> None:
        """Add what the rows of a chunk come to."""
        self.people.add(counts.people)
        self.objects.add(counts.objects)
        self.counts.append(replace(counts, people=_NONE, objects=_NONE))


def _kept_columns(scope: Scope) -> list[pl.Expr]:
    """Return what is kept of each row besides the size of its message."""
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


def _concluded(
    found: _Found,
    sums: _Sums,
    *,
    table: Table,
    encoding: Encoding,
    shares: Mapping[str, float],
    batch_bytes: int,
) -> FullCheck:
    """Return what all chunks come to, without the rows that only the whole table rejects."""
    scope, components = encoding.scope, sums.components()
    table_wide = sums.findings()
    blocking = table_wide.filter(pl.col("severity").is_in(BLOCKING))
    lost = blocking["row"].drop_nulls().unique()
    kept, late = found.kept, found.message_findings
    if len(lost):
        is_kept = ~pl.col("row").is_in(lost.implode())
        kept, late = ([part.filter(is_kept) for part in parts] for parts in (kept, late))
    for part in kept:
        found.count(counted(part, scope=scope, batch_bytes=batch_bytes, components=components))
    counts = found.counts
    valid = sum(each.valid for each in counts)
    of_call = check_call(encoding.checks, scope=scope, notes=table.notes)
    profile = sums.profiling.profiler.profile()
    drift = sums.profiling.compare(profile)
    findings = complete_findings(
        pl.concat([of_call, drift, table_wide, *found.row_findings, *late]),
        checks=encoding.checks, rows=sums.rows, rejected=sums.rows - valid, shares=shares,
    )  # fmt: skip
    first = pl.concat(found.first) if found.first else MESSAGE_SCHEMA.to_frame()
    first = first.filter(~pl.col("row").is_in(lost.implode()))
    excluded = rejection_reasons(findings)
    return FullCheck(
        before_send=PreSendCheck(
            rows=sums.rows,
            blocking=blocking,
            refusals=refusals_of(findings),
            fingerprint=sums.fingerprint.text,
            components=components,
            allowances=AllowanceCounts.joined(each.allowances for each in counts),
            profile=profile,
        ),
        valid=valid,
        people=len(found.people),
        objects=len(found.objects),
        unclear=sum(each.unclear for each in counts),
        bytes=sum(each.bytes for each in counts),
        batches=sum(each.batches for each in counts),
        findings=findings,
        kinds=found_kinds(findings, excluded=excluded["row"], checks=encoding.checks),
        reasons=excluded,
        first_messages=tuple(Repeats().renewed(first, call=scope.mapping.call)["message"]),
        hours=summed_hours([each.hours for each in counts if each.hours is not None])
        if scope.mapping.find("timestamp")
        else None,
        ids=sums.ids,
    )


def counted(
    kept: pl.DataFrame,
    *,
    scope: Scope,
    batch_bytes: int,
    components: pl.DataFrame | None = None,
) -> Counts:
    """Return what rows come to; those of a chunk are cut by themselves, as they are when sent."""
    call, batches = scope.mapping.call, kept.height
    if call.batched:
        shared = lanes(kept["key"], components)
        batches = count_batches(kept["bytes"], lanes=shared, limit_bytes=batch_bytes)
    return Counts(
        valid=kept.height,
        bytes=int(kept["bytes"].sum()),
        batches=batches,
        unclear=int(kept["unclear"].sum()) if "unclear" in kept.columns else 0,
        allowances=AllowanceCounts.of(kept),
        hours=_hours(kept) if "hour" in kept.columns else None,
        people=kept["person"].drop_nulls().unique(),
        objects=kept["key"].drop_nulls().unique() if call.name == "group" else _NONE,
    )


def _hours(kept: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of each hour; only events can be recent."""
    recent = pl.col("recent") if "recent" in kept.columns else pl.lit(value=False)
    return kept.group_by("hour", recent.alias("recent")).agg(rows=pl.len())


def summed_hours(counted: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of each hour, of what chunks counted."""
    schema = pl.Schema({"hour": pl.Int64, "recent": pl.Boolean, "rows": pl.get_index_type()})
    whole = pl.concat([schema.to_frame(), *counted])
    return whole.group_by("hour", "recent").agg(pl.col("rows").sum())


def found_kinds(
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
    """Return who is connected with whom; None if nobody is."""
    import numpy as np

    from cio_frames.identity.components import are_among, components, joining

    keys = np.sort(links.keys.to_numpy())
    owners, others = (links.pairs[name].to_numpy() for name in _PAIRS)
    joins = joining(owners, others, keys=keys)
    owners, others = owners[joins], others[joins]
    if not len(owners):
        return None
    addressed = keys[are_among(keys, np.sort(others))]  # also those that no other pair is of
    pairs = {
        "key": np.concatenate([owners, addressed]),
        "other": np.concatenate([others, addressed]),
    }
    connected = components(pl.DataFrame(pairs))
    return connected if connected.height else None
