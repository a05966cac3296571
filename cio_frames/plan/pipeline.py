"""Tables on their way to messages: what passes over them find is found once, and kept here."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import structs

from cio_frames.audit.object_store import opened
from cio_frames.checks import (
    CATALOGUE,
    Check,
    Checks,
    Profiler,
    Scope,
    TableProfile,
    drift_of,
)
from cio_frames.clock import utc_now
from cio_frames.errors import PlanRefusedError, engine_errors
from cio_frames.frames import ROW, Table, map_ahead
from cio_frames.mapping import CallArguments, MessageMapping, computing, linked_keys
from cio_frames.payloads import Segment
from cio_frames.plan.chunks import (
    AT_ONCE,
    EncodedChunk,
    Encoding,
    Repeats,
    encode_chunk,
    encode_chunks,
    rows_at_once,
    segments,
    sets_state,
)
from cio_frames.plan.fixes import after_repair, changes, offered, repaired
from cio_frames.plan.full_check import (
    FullCheck,
    LinkKeys,
    PreSendCheck,
    Profiling,
    check_before_send,
    check_fully,
    components_of,
    found_kinds,
    link_keys,
)
from cio_frames.plan.other_forms import OtherForm, other_forms, read_ids
from cio_frames.run import Job, RowSelection
from cio_frames.sending import Client
from cio_frames.spec import LIMITS
from cio_frames.validation import BLOCKING, FINDING_SCHEMA, check_call, check_table, compile_checks
from cio_frames.values import many

PREVIEW_ROWS = 1_000
MOST_REPAIRED = 300
"""Fields of a mapping up to which repairs are tried on examples; it takes the square of their number."""


@dataclass(slots=True)
class _Results:
    """What the passes over a table have found so far."""

    before_send: PreSendCheck | None = None
    full: FullCheck | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pipeline:
    """One table, and everything that decides which messages it becomes."""

    table: Table
    mapping: MessageMapping
    checks: Checks = field(default_factory=Checks)
    namespace: str = ""  # keeps message ids of one place apart from those of another
    clock: Callable[[], datetime] = utc_now  # tells the planned time of sending
    steps: tuple[MessageMapping, ...] = ()  # the mapping as it was before each repair
    found_nothing_safe: bool = False  # whether safe repairs were asked for and there was none
    arguments: CallArguments | None = None  # what the verb was asked for, as the user typed it
    is_rest: bool = False  # whether its rows were left out of another table, so none is like it
    message_bytes: int = LIMITS["message_bytes"].value
    batch_bytes: int = LIMITS["batch_bytes"].value
    _results: _Results = field(default_factory=_Results, init=False, repr=False)

    @property
    def call(self) -> str:
        """The name of the call."""
        return self.mapping.call.name

    @property
    def full_check(self) -> FullCheck:
        """What all checks find, in one pass."""
        if self._results.full is None:
            self.check_fully(gather_links=False)
        full = self._results.full
        assert full is not None  # noqa: S101 - the pass has filled it
        if len(self.table.all_notes) > len(self.table.notes) and not full.is_reordered:
            told = check_call((), scope=self.scope(), notes=self.table.all_notes[-1:])
            findings = pl.concat([full.findings, told])
            kinds = found_kinds(findings, excluded=full.reasons["row"], checks=self.applied)
            full = replace(full, findings=findings, kinds=kinds, is_reordered=True)
            self._results.full = full
        return full

    @property
    def before_send(self) -> PreSendCheck:
        """What must be known before sending: of the full check, or found in a faster pass."""
        if self._results.before_send is None:
            self.check_before_send(gather_links=False)
        assert self._results.before_send is not None  # noqa: S101 - the pass has filled it
        return self._results.before_send

    def checked_as(self, before_send: PreSendCheck) -> "Pipeline":
        """Return the pipeline with what must be known before sending, found elsewhere."""
        made = replace(self)
        made._results.before_send = before_send  # noqa: SLF001 - of its own kind
        return made

    @property
    def rejected(self) -> pl.Series | None:
        """Rows that would not be sent, as the full check found them; None before it has run."""
        full = self._results.full
        if full is None or self.table.calls_python:  # it may give its rows in another order now
            return None
        return full.reasons["row"]

    def check_fully(self, *, gather_links: bool, gather_ids: bool = False) -> LinkKeys | None:
        """Run the full check unless it has run; return the link keys if it gathered them."""
        if self._results.full is not None:
            return None
        full, links = check_fully(
            self.table,
            encoding=self.encoding(),
            batch_bytes=self.batch_bytes,
            shares=self.checks.shares(),
            profiling=self._profiling(),
            gather_links=gather_links,
            gather_ids=gather_ids,
        )
        self._results.full, self._results.before_send = full, full.before_send
        return links

    def check_before_send(self, *, gather_links: bool) -> LinkKeys | None:
        """Run the check before sending unless one has run; return link keys if it gathered them.

        Shares of rows that may fail can be judged by the full check only.
        """
        if self._results.before_send is not None:
            return None
        if self.checks.shares():
            return self.check_fully(gather_links=gather_links)
        self._results.before_send, links = check_before_send(
            self.table, scope=self.scope(), checks=self.applied, profiling=self._profiling(),
            gather_links=gather_links,
        )  # fmt: skip
        return links

    def _profiling(self) -> Profiling:
        """Return what compares the table with those of earlier runs, if the checks ask for it."""
        profiler = Profiler(
            self.mapping, hidden=self.checks.allow_sensitive, namespace=self.namespace,
            table=self.table.label,
        )  # fmt: skip
        directory = drift_of(self.checks.drift).audit
        return Profiling(
            profiler=profiler, compare=lambda found: self.compared(found, directory=directory)
        )

    def compared(
        self,
        profile: TableProfile | None,
        *,
        directory: Path | str | None,
        workspaces: Mapping[str, str] | None = None,
    ) -> pl.DataFrame:
        """Return how the table differs from those of earlier runs in a directory."""
        if directory is None or profile is None or self.is_rest:
            return FINDING_SCHEMA.to_frame()
        from cio_frames.plan.drift import drift_findings

        return drift_findings(
            profile, checks=self.applied, scope=self.scope(), limits=drift_of(self.checks.drift),
            directory=directory, workspaces=workspaces,
        )  # fmt: skip

    @engine_errors("the table was read")
    def link_keys(self) -> LinkKeys:
        """Return whom the rows name, in a pass for nothing else."""
        parts = []
        with closing(self.table.chunks(rows_at_once(self.table))) as chunks:
            for chunk in chunks:
                with computing(self.mapping):
                    parts.append(link_keys(self.mapping.prepare(chunk), self.mapping))
        return LinkKeys.joined(parts)

    def encode_chunks(
        self,
        *,
        components: pl.DataFrame | None = None,
        chunk_rows: int | None = None,
        repeats: Repeats | None = None,
    ) -> Generator[EncodedChunk]:
        """Yield the rows chunk by chunk, checked and encoded, with this table's components if not given.

        `repeats` knows the rows of the tables before this one.
        """
        checked = self.before_send
        encoding = self.encoding(
            table_findings=checked.blocking,
            components=checked.components if components is None else components,
        )
        seen = repeats or Repeats()
        with closing(encode_chunks(self.table, encoding=encoding, chunk_rows=chunk_rows)) as chunks:
            for chunk in chunks:
                yield replace(chunk, messages=seen.renewed(chunk.messages, call=self.mapping.call))

    def segments(
        self,
        selection: RowSelection,
        *,
        components: pl.DataFrame | None = None,
        plan: int = 0,
        first: int = 0,
        repeats: Repeats | None = None,
    ) -> Generator[Segment]:
        """Yield what becomes of each row, and the requests. Close it unless it is read to the end."""
        with closing(self.encode_chunks(components=components, repeats=repeats)) as chunks:
            yield from segments(
                chunks,
                call=self.mapping.call,
                batch_bytes=self.batch_bytes,
                selection=selection,
                plan=plan,
                first=first,
            )

    @engine_errors("the first messages were made")
    def messages(self, count: int) -> list[str]:
        """Return the JSON text of the first messages, reading no more rows than it takes.

        What only the whole table shows is known once a check has run, or where the table is one chunk.
        """
        full = self._results.full
        if full is not None and len(full.first_messages) >= min(count, full.valid):
            return list(full.first_messages[:count])
        messages: list[str] = []
        most, repeats = rows_at_once(self.table), Repeats()
        # one row more tells whether there is a second chunk
        with (
            closing(self.table.chunks(most + 1)) as chunks,
            closing(self._encoded_from_first(chunks, most=most)) as parts,
        ):
            for encoded in parts:
                first = encoded.messages.head(count - len(messages))
                first = repeats.renewed(first, call=self.mapping.call)
                messages += first["message"].to_list()
                if len(messages) >= count:
                    break
        return messages

    @property
    def can_send(self) -> bool:
        """Whether any row can be sent. Where one of the first can, no row is read for it."""
        if self._results.full is not None:
            return self._results.full.valid > 0
        checked = self.before_send
        if not checked.rows:
            return False
        encoding = self.encoding(table_findings=checked.blocking, only_blocking=True)
        encoded = encode_chunk(checked.first_rows, encoding=encoding)
        return encoded.messages.height > 0 or bool(self.messages(1))

    def _encoded_from_first(
        self, chunks: Iterator[pl.DataFrame], *, most: int
    ) -> Generator[EncodedChunk]:
        """Yield the first rows, checked for what keeps them from being sent and encoded, then the rest."""
        first = next(chunks, None)
        if first is None:
            return
        findings = self._results.before_send.blocking if self._results.before_send else None
        if findings is None and first.height <= most:
            rows = first.drop(ROW)
            whole = replace(self.table, lazy=rows.lazy(), eager=rows, calls_python=False)
            blocking = [item for item in self.applied if item.severity in BLOCKING]
            with computing(self.mapping):
                findings = check_table(whole, checks=blocking, scope=self.scope())
        encoding = self.encoding(table_findings=findings, only_blocking=True)
        encode = partial(encode_chunk, encoding=encoding)
        yield encode(first.head(PREVIEW_ROWS))
        rest = chain([first[PREVIEW_ROWS:]], chunks)
        with closing(map_ahead(encode, rest, at_once=AT_ONCE)) as parts:
            yield from parts

    def encoding(
        self,
        *,
        table_findings: pl.DataFrame | None = None,
        components: pl.DataFrame | None = None,
        only_blocking: bool = False,
    ) -> Encoding:
        """Return what decides which messages the rows become, as of now; if asked, without mere warnings."""
        scope = self.scope()
        wanted = [item for item in self.applied if not only_blocking or item.severity in BLOCKING]
        tests = compile_checks(wanted, scope=scope, notes=self.table.notes)
        return Encoding(
            scope=scope,
            checks=self.applied,
            tests=[test for test in tests if not only_blocking or test.severity in BLOCKING],
            namespace=self.namespace,
            table_findings=table_findings,
            components=components,
        )

    def scope(self) -> Scope:
        """Return what the checks may know, as of now."""
        return Scope(
            mapping=self.mapping,
            now=self.clock(),
            allow=frozenset(self.checks.allow),
            triggers=frozenset(self.checks.triggers),
            sensitive=self.checks.allow_sensitive,
            reference=self._references,
            message_bytes=self.message_bytes,
        )

    @cached_property
    def applied(self) -> tuple[Check, ...]:
        """The checks that apply, with the severities asked for."""
        return self.checks.of(CATALOGUE)

    @cached_property
    def offered(self) -> dict[str, tuple[Check, int]]:
        """The checks whose findings can be repaired, and how many findings, by code."""
        return offered(self.full_check.kinds.kinds, checks=self.applied, mapping=self.mapping)

    @cached_property
    def changed(self) -> pl.DataFrame:
        """What the repairs changed, with the columns of `CHANGE_SCHEMA`."""
        checks = {check.code: check for check in self.applied}
        return changes(self.table, (*self.steps, self.mapping), checks=checks)

    def after_repair(
        self, check: Check, *, column: str, rows: Sequence[int]
    ) -> dict[int, str | None]:
        """Return what rows among the first ones would be sent as in a column, were a check repaired."""
        if len(self.mapping.fields) > MOST_REPAIRED:
            return {}
        shown = [row for row in rows if row < self._first_rows.height]
        if not shown:
            return {}
        if check.code not in self._repaired:
            self._repaired[check.code] = repaired(self.mapping, check)
        after = self._repaired[check.code]
        values = after_repair(
            self._first_rows[shown], self.mapping, after, check=check, column=column
        )
        return dict(zip(shown, values, strict=False))

    @cached_property
    def _repaired(self) -> dict[str, MessageMapping]:
        """The mapping after each repair that was asked for: to make one takes long in a wide table."""
        return {}

    @cached_property
    def _first_rows(self) -> pl.DataFrame:
        """Rows as they were read, for examples: all that are in memory, else the first ones."""
        if self.table.eager is not None:
            return self.table.eager
        if self.table.calls_python:  # it may be slow to read anything again
            return pl.DataFrame()
        with closing(self.table.chunks(PREVIEW_ROWS)) as chunks:
            return next(chunks, pl.DataFrame())

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, rows that would be sent and left out, bytes of the messages, requests."""
        checked = self.full_check
        return {
            "rows": checked.rows,
            "valid": checked.valid,
            "rejected": checked.rows - checked.valid,
            "bytes": checked.bytes,
            "batches": checked.batches,
        }

    @property
    def decisions(self) -> dict[str, Any]:
        """What the user chose that the record must tell."""
        return {
            "repairs": list(self.mapping.repairs),
            "select": list(self.checks.select),
            "ignore": list(self.checks.ignore),
            "severity": dict(self.checks.severity),
            "allow": list(self.checks.allow),
            "triggers": list(self.checks.triggers),
            "allow_sensitive": dict(self.checks.allow_sensitive),
            "thresholds": self.checks.shares(),
            "hashed": [field.label for field in self.mapping.fields if field.how == "hashed"],
            "timezone": self.mapping.timezone,
            "phone_region": self.mapping.phone_region,
        }

    @cached_property
    def _references(self) -> Mapping[str, pl.Series]:
        """What identifiers are known to look like, read once."""
        return self.checks.references()


@dataclass(slots=True)
class _JointResults:
    """What is known of several pipelines together."""

    links: dict[int, LinkKeys] = field(default_factory=dict)  # until the components are known
    components: pl.DataFrame | None = None
    are_connected: bool = False  # whether the components are known
    previews: dict[Any, "PreviewCounts"] = field(default_factory=dict)
    other_forms: list[OtherForm] | None = None
    client: Client | None = None
    reviewed: str = ""  # the saved plan that is applied, in a sentence
    known: dict[Client, pl.DataFrame] = field(default_factory=dict)  # the people that each has read


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCounts:
    """What an identity preview came to: profiles it creates, profiles and objects in the end.

    `conflicts` says of each kind of conflict how many rows it concerns.
    """

    creates: int
    people: int
    objects: int
    summary: Mapping[str, Any]  # all counts of the preview
    is_compared: bool  # with an export of the workspace's people
    open: str | None  # the open settings that the number of people rests on
    automatic_merges: int = 0  # those of identifies (reference 3.2a)
    conflicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Pipelines:
    """One pipeline or several, in the order in which they are sent."""

    each: tuple[Pipeline, ...]
    _results: _JointResults = field(default_factory=_JointResults, init=False, repr=False)

    @property
    def calls(self) -> tuple[str, ...]:
        """The name of each call."""
        return tuple(pipeline.call for pipeline in self.each)

    @property
    def label(self) -> str:
        """The calls, as a report names them."""
        return " + ".join(self.calls)

    @property
    def library(self) -> str:
        """The library in which answers are given: that of the first table."""
        return self.each[0].table.library

    @property
    def counts(self) -> dict[str, int]:
        """The counts of all pipelines together."""
        each = [pipeline.counts for pipeline in self.checked()]
        return {name: sum(counts[name] for counts in each) for name in each[0]}

    @property
    def previews(self) -> dict[Any, PreviewCounts]:
        """What the identity previews made so far came to, by what they assume."""
        return self._results.previews

    @property
    def known(self) -> dict[Client, pl.DataFrame]:
        """The people that clients have read for these plans."""
        return self._results.known

    @property
    def reviewed(self) -> str:
        """The saved plan that is applied, in a sentence; empty if there is none."""
        return self._results.reviewed

    @property
    def last_preview(self) -> PreviewCounts | None:
        """What the last identity preview came to; None if there was none."""
        return list(self.previews.values())[-1] if self.previews else None

    @property
    def client(self) -> Client | None:
        """The last client that the plans were given, to send or to estimate with."""
        return self._results.client

    def apply(self, reviewed: str) -> None:
        """Take note of the saved plan that is applied, for the record of the run."""
        self._results.reviewed = reviewed

    def given(self, client: Client) -> None:
        """Take note of a client, for the next report."""
        self._results.client = client

    @property
    def components(self) -> pl.DataFrame | None:
        """Who is connected with whom by the rows of all tables; None if nobody is."""
        if len(self.each) == 1:
            return self.each[0].before_send.components
        if self._are_linked and not self._results.are_connected:
            self.before_send()
            self._connect(
                self._results.links.get(place) or pipeline.link_keys()
                for place, pipeline in enumerate(self.each)
            )
        return self._results.components

    def in_order(self, places: Sequence[int]) -> "Pipelines":
        """Return the pipelines in another order, which connects the same people."""
        other = Pipelines(tuple(self.each[place] for place in places))
        known = self._results
        if known.are_connected:
            other._results.components, other._results.are_connected = known.components, True
        return other

    def checked(self) -> tuple[Pipeline, ...]:
        """Return the pipelines, each fully checked."""
        several = len(self.each) > 1
        self._check(lambda each, **given: each.check_fully(gather_ids=several, **given))
        return self.each

    def before_send(self) -> tuple[PreSendCheck, ...]:
        """Return what must be known of each table before sending."""
        self._check(lambda each, **given: each.check_before_send(**given))
        return tuple(pipeline.before_send for pipeline in self.each)

    def require_sendable(self) -> None:
        """Raise if findings forbid sending, or if there are rows and none of them can be sent.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.
        """
        found = self.before_send()
        refused = [item for each in found for item in each.refusals.to_dicts()]
        if refused:
            raise PlanRefusedError(refused)
        rows = sum(each.rows for each in found)
        if rows and not any(each.can_send for each in self.each):
            findings, reasons = self._exclusions()
            raise PlanRefusedError(findings, rows=rows, reasons=reasons)

    def compared(self, directory: Path | str, *, workspaces: Mapping[str, str]) -> tuple[str, ...]:
        """Return how the tables differ from those that were sent to a workspace before, as notes of a run.

        Raises:
            PlanRefusedError: The user wants a run with such a difference refused.
        """
        disk, where = opened(directory, durability="process")
        if not disk.listdir(where):
            return ()
        found = [
            each.compared(before.profile, directory=directory, workspaces=workspaces)
            for each, before in zip(self.each, self.before_send(), strict=True)
        ]
        refused = pl.concat(found).filter(pl.col("severity") == "refuse")
        if refused.height:
            raise PlanRefusedError(refused.to_dicts())
        if not any(part.height for part in found):
            return ()
        from cio_frames.plan.drift import noted

        return tuple(note for part in found for note in noted(part))

    def _exclusions(self) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return one finding of each code that leaves out rows, and its rows, most first."""
        first: dict[str, dict[str, Any]] = {}
        rows: dict[str, int] = {}
        for found in (each.full_check.kinds for each in self.checked()):
            excluding = found.kinds.filter(pl.col("severity").is_in(BLOCKING), pl.col("rows") > 0)
            for kind in excluding.iter_rows(named=True):
                names = {name: kind[name] for name in ("severity", "code", "column")}
                first.setdefault(kind["code"], {**kind["first"], **names})
            for severity, code in excluding.select("severity", "code").unique().iter_rows():
                rows[code] = rows.get(code, 0) + found.rows_of(code, severity=severity)
        return list(first.values()), dict(
            sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        )

    def segments(self, selection: RowSelection) -> Generator[Segment]:
        """Yield the segments of all tables, in the order of sending."""
        first, components, repeats = 0, self.components, Repeats()
        for place, pipeline in enumerate(self.each):
            with closing(
                pipeline.segments(
                    selection, components=components, plan=place, first=first, repeats=repeats
                )
            ) as found:
                for segment in found:
                    yield segment
                    first = segment.number + 1

    def state_messages(self, *, events: bool) -> Generator[tuple[int, str, pl.DataFrame]]:
        """Yield plan, call and messages without their text: those that set a state, or all.

        They are needed before anything is sent where earlier runs sent some of them.
        """
        components, repeats = self.components, Repeats()
        for place, pipeline in enumerate(self.each):
            call = pipeline.mapping.call
            if not (events or call.sets_state or call.name == "track"):
                continue
            with closing(pipeline.encode_chunks(components=components, repeats=repeats)) as chunks:
                for chunk in chunks:
                    rows = chunk.messages.drop("message", "path", "lane", "component", "bytes")
                    yield place, call.name, rows.filter(pl.lit(events) | sets_state(call))

    def reminders(self) -> tuple[str, ...]:
        """Return which saved plan is applied, and what the last identity preview predicted."""
        applied = (self._results.reviewed,) if self._results.reviewed else ()
        if self.last_preview is None:
            return applied
        conflicts = self.last_preview.conflicts
        rows = sum(conflicts.values())
        if not rows:
            return applied
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in conflicts.items())
        verb = (
            "will not have the effect it asks" if rows == 1 else "will not have the effect they ask"
        )
        told = (
            f"The identity preview predicted conflicts: {many(rows, 'row')} {verb} for, although "
            f"Customer.io answers 200: {kinds}."
        )
        return (*applied, told)

    @property
    def other_forms(self) -> list[OtherForm]:
        """Ids that only another plan has, in another form."""
        if self._results.other_forms is None and len(self.each) > 1:
            mappings = [each.mapping for each in self.checked()]
            counts = [
                each.full_check.ids or read_ids(each.table, each.mapping) for each in self.each
            ]
            self._results.other_forms = other_forms(mappings, counts)
        return self._results.other_forms or []

    def job(self) -> Job:
        """Return what a run is given to do."""
        checked, numbered = self.before_send(), list(enumerate(self.each))
        return Job(
            calls=self.calls,
            tables=tuple(pipeline.table for pipeline in self.each),
            rows=tuple(each.rows for each in checked),
            fingerprints=tuple(each.fingerprint for each in checked),
            segments=self.segments,
            state_messages=self.state_messages,
            mapping={f"{place} {each.call}": each.mapping.describe() for place, each in numbered},
            decisions={f"{place} {each.call}": each.decisions for place, each in numbered},
            limits={
                "message_bytes": self.each[0].message_bytes,
                "batch_bytes": self.each[0].batch_bytes,
            },
            notes=self.reminders(),
            profiles=tuple(
                structs.replace(before.profile, plan=place)
                for place, (each, before) in enumerate(zip(self.each, checked, strict=True))
                if before.profile is not None and not each.is_rest
            ),
            namespace=" ".join(dict.fromkeys(pipeline.namespace for pipeline in self.each)),
        )

    @cached_property
    def _are_linked(self) -> bool:
        return any(linked_keys(pipeline.mapping) for pipeline in self.each)

    def _check(self, check: Callable[..., LinkKeys | None]) -> None:
        """Check each table, and gather in the same pass what the components need."""
        results, several = self._results, len(self.each) > 1
        gather = several and self._are_linked and not results.are_connected
        for place, pipeline in enumerate(self.each):
            links = check(pipeline, gather_links=gather)
            if links is not None:
                results.links[place] = links
        if gather and len(results.links) == len(self.each):
            self._connect(results.links[place] for place in range(len(self.each)))

    def _connect(self, links: Iterator[LinkKeys]) -> None:
        self._results.components = components_of(LinkKeys.joined(list(links)))
        self._results.are_connected = True
        self._results.links.clear()
