"""Tables and the messages that they become; each check of a table runs once, and its result is kept."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
from msgspec import structs

from cio_frames.audit.object_store import file_system_at
from cio_frames.checks import CATALOGUE, Check, Checks, Profiler, Scope, TableProfile, drift_of
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
    kinds_of,
    link_keys,
)
from cio_frames.plan.other_forms import OtherForm, other_forms, read_ids
from cio_frames.run import Job, RowSelection
from cio_frames.sending import Client
from cio_frames.spec import LIMITS
from cio_frames.validation import BLOCKING, FINDING_SCHEMA, check_call, check_table, compile_checks
from cio_frames.values import many

SEND_CALL: Final = "plan.send(client, {})"
"""The code that sends a plan, with {} for the allowances."""

PREVIEW_ROWS = 1_000
MOST_REPAIRED = 300
"""The most fields of a mapping with which repairs are tried on examples: the time is the square of it."""


@dataclass(slots=True)
class _CheckResults:
    """The results of the checks that have run on a table."""

    before_send: PreSendCheck | None = None
    full: FullCheck | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pipeline:
    """One table, and everything that decides which messages it becomes."""

    table: Table
    mapping: MessageMapping
    checks: Checks = field(default_factory=Checks)
    namespace: str = ""  # keeps message ids of one place apart from those of another
    clock: Callable[[], datetime] = utc_now  # gives the planned time of sending
    steps: tuple[MessageMapping, ...] = ()  # the mapping as it was before each repair
    had_no_safe_repair: bool = False  # whether fix("safe") had nothing to repair
    arguments: CallArguments | None = None  # those of the verb, as the user passed them
    is_rest: bool = False  # whether another table excluded its rows: no earlier run is like it
    message_bytes: int = LIMITS["message_bytes"].value
    batch_bytes: int = LIMITS["batch_bytes"].value
    _results: _CheckResults = field(default_factory=_CheckResults, init=False, repr=False)

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
            note_findings = check_call((), scope=self.scope(), notes=self.table.all_notes[-1:])
            findings = pl.concat([full.findings, note_findings])
            kinds = kinds_of(findings, excluded=full.reasons["row"], checks=self.applied)
            full = replace(full, findings=findings, kinds=kinds, is_reordered=True)
            self._results.full = full
        return full

    @property
    def before_send(self) -> PreSendCheck:
        """The check before sending: a part of the full check, or made in a faster pass."""
        if self._results.before_send is None:
            self.check_before_send(gather_links=False)
        assert self._results.before_send is not None  # noqa: S101 - the pass has filled it
        return self._results.before_send

    def with_pre_send_check(self, before_send: PreSendCheck) -> "Pipeline":
        """Return the pipeline with a check before sending that was made elsewhere."""
        copy = replace(self)
        copy._results.before_send = before_send  # noqa: SLF001 - of its own kind
        return copy

    @property
    def rejected(self) -> pl.Series | None:
        """Rows that would not be sent, from the full check; None before it has run."""
        full = self._results.full
        if full is None or self.table.calls_python:  # its rows may come in another order now
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

        Limits on the share of failing rows need the full check.
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
        """Return what profiles the table, and compares it with earlier runs if the checks want that."""
        profiler = Profiler(
            self.mapping, hidden=self.checks.allow_sensitive, namespace=self.namespace,
            table=self.table.label,
        )  # fmt: skip
        directory = drift_of(self.checks.drift).audit
        return Profiling(
            profiler=profiler, compare=lambda profile: self.find_drift(profile, directory=directory)
        )

    def find_drift(
        self,
        profile: TableProfile | None,
        *,
        directory: Path | str | None,
        workspaces: Mapping[str, str] | None = None,
    ) -> pl.DataFrame:
        """Return findings about how the table differs from those of earlier runs in a directory."""
        if directory is None or profile is None or self.is_rest:
            return FINDING_SCHEMA.to_frame()
        from cio_frames.plan.drift import drift_findings

        return drift_findings(
            profile, checks=self.applied, scope=self.scope(), limits=drift_of(self.checks.drift),
            directory=directory, workspaces=workspaces,
        )  # fmt: skip

    @engine_errors("the table was read")
    def link_keys(self) -> LinkKeys:
        """Return the link keys of the rows, read in a pass of their own."""
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
        """Yield the rows chunk by chunk, checked and encoded.

        Without `components`, those of this table apply. `repeats` has seen the tables before this one.
        """
        checked = self.before_send
        encoding = self.encoding(
            table_findings=checked.blocking,
            components=checked.components if components is None else components,
        )
        repeats = repeats or Repeats()
        with closing(encode_chunks(self.table, encoding=encoding, chunk_rows=chunk_rows)) as chunks:
            for chunk in chunks:
                yield replace(
                    chunk, messages=repeats.renewed(chunk.messages, call=self.mapping.call)
                )

    def segments(
        self,
        selection: RowSelection,
        *,
        components: pl.DataFrame | None = None,
        plan: int = 0,
        first: int = 0,
        repeats: Repeats | None = None,
    ) -> Generator[Segment]:
        """Yield the rows with their states, and the requests. Close it unless it is read to the end."""
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

        Rows that only the whole table rejects are left out once a check has run, or if it is one chunk.
        """
        full = self._results.full
        if full is not None and len(full.first_messages) >= min(count, full.valid):
            return list(full.first_messages[:count])
        messages: list[str] = []
        most, repeats = rows_at_once(self.table), Repeats()
        # one row more shows whether there is a second chunk
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
        """Whether any row can be sent. No row is read if one of the first ones can."""
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
        """Yield the rows encoded, the first ones by themselves; only checks that reject rows apply."""
        first = next(chunks, None)
        if first is None:
            return
        findings = self._results.before_send.blocking if self._results.before_send else None
        if findings is None and first.height <= most:
            rows = first.drop(ROW)
            table = replace(self.table, lazy=rows.lazy(), eager=rows, calls_python=False)
            blocking = [item for item in self.applied if item.severity in BLOCKING]
            with computing(self.mapping):
                findings = check_table(table, checks=blocking, scope=self.scope())
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
        """Return how rows become messages, as of now; with `only_blocking`, without mere warnings."""
        scope = self.scope()
        checks = [item for item in self.applied if not only_blocking or item.severity in BLOCKING]
        tests = compile_checks(checks, scope=scope, notes=self.table.notes)
        return Encoding(
            scope=scope,
            checks=self.applied,
            tests=[test for test in tests if not only_blocking or test.severity in BLOCKING],
            namespace=self.namespace,
            table_findings=table_findings,
            components=components,
        )

    def scope(self) -> Scope:
        """Return what the checks can use, as of now."""
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
        """The checks that apply, with their configured severities."""
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
        """Return what a column would be sent as in some of the first rows, were a check repaired."""
        if len(self.mapping.fields) > MOST_REPAIRED:
            return {}
        available = [row for row in rows if row < self._first_rows.height]
        if not available:
            return {}
        if check.code not in self._repaired:
            self._repaired[check.code] = repaired(self.mapping, check)
        after = self._repaired[check.code]
        values = after_repair(
            self._first_rows[available], self.mapping, after, check=check, column=column
        )
        return dict(zip(available, values, strict=False))

    @cached_property
    def _repaired(self) -> dict[str, MessageMapping]:
        """The mappings after repairs, by code: making one takes long for a wide table."""
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
        """Rows read, rows that would be sent or excluded, bytes of the messages, requests."""
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
        """The choices of the user that the record keeps."""
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
        """The identifiers to compare with, read once."""
        return self.checks.references()


class Origin(NamedTuple):
    """What plans are made from, for the record of their run, and the code that sends them."""

    note: str  # a sentence about the saved plan that is applied, or the run that is undone; or ""
    send_call: str  # with {} for the allowances


NO_ORIGIN: Final = Origin("", send_call=SEND_CALL)


@dataclass(slots=True)
class _JointResults:
    """Results for several pipelines together."""

    links: dict[int, LinkKeys] = field(default_factory=dict)  # until the components are known
    components: pl.DataFrame | None = None
    are_connected: bool = False  # whether the components are known
    previews: dict[Any, "PreviewCounts"] = field(default_factory=dict)
    other_forms: list[OtherForm] | None = None
    client: Client | None = None
    origin: Origin = NO_ORIGIN
    workspace_people: dict[Client, pl.DataFrame] = field(default_factory=dict)  # by who read them


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCounts:
    """The counts of an identity preview: profiles it creates, profiles and objects at the end.

    `conflicts` has the rows of each kind of conflict.
    """

    creates: int
    people: int
    objects: int
    summary: Mapping[str, Any]  # all counts of the preview
    is_compared: bool  # with an export of the workspace's people
    open: str | None  # the open settings that the number of people depends on
    automatic_merges: int = 0  # those of identifies (reference 3.2a)
    conflicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Pipelines:
    """One pipeline or several, in the order in which they are sent."""

    all: tuple[Pipeline, ...]
    _results: _JointResults = field(default_factory=_JointResults, init=False, repr=False)

    @property
    def calls(self) -> tuple[str, ...]:
        """The name of each call."""
        return tuple(pipeline.call for pipeline in self.all)

    @property
    def label(self) -> str:
        """The calls, as a report names them."""
        return " + ".join(self.calls)

    @property
    def library(self) -> str:
        """The library in which answers are given: that of the first table."""
        return self.all[0].table.library

    @property
    def counts(self) -> dict[str, int]:
        """The counts of all pipelines together."""
        counts = [pipeline.counts for pipeline in self.checked()]
        return {name: sum(count[name] for count in counts) for name in counts[0]}

    @property
    def previews(self) -> dict[Any, PreviewCounts]:
        """The counts of the identity previews so far, by their assumptions."""
        return self._results.previews

    @property
    def workspace_people(self) -> dict[Client, pl.DataFrame]:
        """The people of the workspace, as clients have read them for these plans."""
        return self._results.workspace_people

    @property
    def send_call(self) -> str:
        """The code that sends the plans, with {} for the allowances."""
        return self._results.origin.send_call

    @property
    def origin(self) -> Origin:
        """What the plans are made from."""
        return self._results.origin

    @property
    def last_preview(self) -> PreviewCounts | None:
        """The counts of the last identity preview; None if there was none."""
        return list(self.previews.values())[-1] if self.previews else None

    @property
    def client(self) -> Client | None:
        """The last client that was passed to send or to estimate."""
        return self._results.client

    def set_origin(self, origin: Origin) -> None:
        """Keep what the plans are made from."""
        self._results.origin = origin

    def remember_client(self, client: Client) -> None:
        """Keep the client, for the next report."""
        self._results.client = client

    @property
    def components(self) -> pl.DataFrame | None:
        """The identifiers that rows of all tables connect, by component; None if they connect none."""
        if len(self.all) == 1:
            return self.all[0].before_send.components
        if self._are_linked and not self._results.are_connected:
            self.before_send()
            self._connect(
                self._results.links.get(place) or pipeline.link_keys()
                for place, pipeline in enumerate(self.all)
            )
        return self._results.components

    def in_order(self, places: Sequence[int]) -> "Pipelines":
        """Return the pipelines in another order, with the same components."""
        other = Pipelines(tuple(self.all[place] for place in places))
        results = self._results
        if results.are_connected:
            other._results.components, other._results.are_connected = results.components, True
        return other

    def checked(self) -> tuple[Pipeline, ...]:
        """Return the pipelines, each fully checked."""
        several = len(self.all) > 1
        self._check(lambda pipeline, **options: pipeline.check_fully(gather_ids=several, **options))
        return self.all

    def before_send(self) -> tuple[PreSendCheck, ...]:
        """Return the check before sending of each table."""
        self._check(lambda pipeline, **options: pipeline.check_before_send(**options))
        return tuple(pipeline.before_send for pipeline in self.all)

    def require_sendable(self) -> None:
        """Raise if findings forbid sending, or if there are rows and none of them can be sent.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.
        """
        checks = self.before_send()
        refused = [refusal for check in checks for refusal in check.refusals.to_dicts()]
        if refused:
            raise PlanRefusedError(refused)
        rows = sum(check.rows for check in checks)
        if rows and not any(pipeline.can_send for pipeline in self.all):
            findings, reasons = self._exclusions()
            raise PlanRefusedError(findings, rows=rows, reasons=reasons)

    def drift_notes(
        self, directory: Path | str, *, workspaces: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return notes for a run: how the tables differ from those sent to the workspace before.

        Raises:
            PlanRefusedError: Such a difference has the severity "refuse".
        """
        disk, where = file_system_at(directory, durability="process")
        if not disk.listdir(where):
            return ()
        differences = [
            pipeline.find_drift(check.profile, directory=directory, workspaces=workspaces)
            for pipeline, check in zip(self.all, self.before_send(), strict=True)
        ]
        refused = pl.concat(differences).filter(pl.col("severity") == "refuse")
        if refused.height:
            raise PlanRefusedError(refused.to_dicts())
        if not any(findings.height for findings in differences):
            return ()
        from cio_frames.plan.drift import drift_notes

        return tuple(note for findings in differences for note in drift_notes(findings))

    def _exclusions(self) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return one finding of each code that excludes rows, and its rows, most first."""
        first: dict[str, dict[str, Any]] = {}
        rows: dict[str, int] = {}
        for kinds in (pipeline.full_check.kinds for pipeline in self.checked()):
            excluding = kinds.kinds.filter(pl.col("severity").is_in(BLOCKING), pl.col("rows") > 0)
            for kind in excluding.iter_rows(named=True):
                names = {name: kind[name] for name in ("severity", "code", "column")}
                first.setdefault(kind["code"], {**kind["first"], **names})
            for severity, code in excluding.select("severity", "code").unique().iter_rows():
                rows[code] = rows.get(code, 0) + kinds.rows_of(code, severity=severity)
        return list(first.values()), dict(
            sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        )

    def segments(self, selection: RowSelection) -> Generator[Segment]:
        """Yield the segments of all tables, in the order of sending."""
        first, components, repeats = 0, self.components, Repeats()
        for place, pipeline in enumerate(self.all):
            with closing(
                pipeline.segments(
                    selection, components=components, plan=place, first=first, repeats=repeats
                )
            ) as table_segments:
                for segment in table_segments:
                    yield segment
                    first = segment.number + 1

    def state_messages(self, *, events: bool) -> Generator[tuple[int, str, pl.DataFrame]]:
        """Yield plan, call and messages without their text: those that set a state, or all.

        They are needed before anything is sent where earlier runs sent some of them.
        """
        components, repeats = self.components, Repeats()
        for place, pipeline in enumerate(self.all):
            call = pipeline.mapping.call
            if not (events or call.sets_state or call.name == "track"):
                continue
            with closing(pipeline.encode_chunks(components=components, repeats=repeats)) as chunks:
                for chunk in chunks:
                    rows = chunk.messages.drop("message", "path", "lane", "component", "bytes")
                    yield place, call.name, rows.filter(pl.lit(events) | sets_state(call))

    def reminders(self) -> tuple[str, ...]:
        """Return notes for a run: what the plans are made from, and the conflicts that were predicted."""
        origin = (self.origin.note,) if self.origin.note else ()
        if self.last_preview is None:
            return origin
        conflicts = self.last_preview.conflicts
        rows = sum(conflicts.values())
        if not rows:
            return origin
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in conflicts.items())
        verb = (
            "will not have the effect it asks" if rows == 1 else "will not have the effect they ask"
        )
        conflicts_note = (
            f"The identity preview predicted conflicts: {many(rows, 'row')} {verb} for, although "
            f"Customer.io answers 200: {kinds}."
        )
        return (*origin, conflicts_note)

    @property
    def other_forms(self) -> list[OtherForm]:
        """Ids that only another plan has, in another form."""
        if self._results.other_forms is None and len(self.all) > 1:
            mappings = [pipeline.mapping for pipeline in self.checked()]
            counts = [
                pipeline.full_check.ids or read_ids(pipeline.table, pipeline.mapping)
                for pipeline in self.all
            ]
            self._results.other_forms = other_forms(mappings, counts)
        return self._results.other_forms or []

    def job(self) -> Job:
        """Return the job of a run."""
        checks, numbered = self.before_send(), list(enumerate(self.all))
        return Job(
            calls=self.calls,
            tables=tuple(pipeline.table for pipeline in self.all),
            rows=tuple(check.rows for check in checks),
            fingerprints=tuple(check.fingerprint for check in checks),
            segments=self.segments,
            state_messages=self.state_messages,
            mapping={
                f"{place} {pipeline.call}": pipeline.mapping.describe()
                for place, pipeline in numbered
            },
            decisions={
                f"{place} {pipeline.call}": pipeline.decisions for place, pipeline in numbered
            },
            limits={
                "message_bytes": self.all[0].message_bytes,
                "batch_bytes": self.all[0].batch_bytes,
            },
            notes=self.reminders(),
            profiles=tuple(
                structs.replace(check.profile, plan=place)
                for place, (pipeline, check) in enumerate(zip(self.all, checks, strict=True))
                if check.profile is not None and not pipeline.is_rest
            ),
            namespace=" ".join(dict.fromkeys(pipeline.namespace for pipeline in self.all)),
        )

    @cached_property
    def _are_linked(self) -> bool:
        return any(linked_keys(pipeline.mapping) for pipeline in self.all)

    def _check(self, check: Callable[..., LinkKeys | None]) -> None:
        """Check each table, and gather in the same pass what the components need."""
        results, several = self._results, len(self.all) > 1
        gather = several and self._are_linked and not results.are_connected
        for place, pipeline in enumerate(self.all):
            links = check(pipeline, gather_links=gather)
            if links is not None:
                results.links[place] = links
        if gather and len(results.links) == len(self.all):
            self._connect(results.links[place] for place in range(len(self.all)))

    def _connect(self, links: Iterator[LinkKeys]) -> None:
        self._results.components = components_of(LinkKeys.joined(list(links)))
        self._results.are_connected = True
        self._results.links.clear()
