"""The listener that writes the record: each fact is on disk before anything follows from it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from cio_frames.audit import pseudonyms, run_file
from cio_frames.audit.file_system import Durability, FileSystem, resolve_path
from cio_frames.audit.journal import Entry, Journal, Opened
from cio_frames.audit.object_store import file_system_at
from cio_frames.audit.open_segments import RUN, with_parts
from cio_frames.audit.parquet import digest, encode
from cio_frames.audit.recovery import (
    BuiltPart,
    build_part,
    finish_run,
    remove_leftovers,
    repair,
    with_missing_rows,
    write_part,
)
from cio_frames.audit.run_file import Layout, RunFile, RunInfo, State
from cio_frames.audit.schema import FORMAT, PLAN_SCHEMA, UNFINISHED
from cio_frames.audit.store import Store
from cio_frames.clock import utc_now
from cio_frames.errors import AuditError, engine_errors
from cio_frames.payloads.batches import Batch, Segment
from cio_frames.sending.events import (
    BatchAttempted,
    BatchFinished,
    BatchRetried,
    Fact,
    Noted,
    RunFinished,
    RunStopped,
    SegmentPlanned,
)

if TYPE_CHECKING:
    from cio_frames.audit.segment_progress import SegmentProgress

_UNSYNCED_RECORDS = 64
_UNSYNCED_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _PreparedPlan:
    """The plan of a segment, and the bytes of its file."""

    plan: pl.DataFrame
    data: bytes
    sha256: str


class AuditWriter:
    """Writes the record of a run. It is a listener: call it with every fact.

    The plan of a segment and the record of an attempt are on disk before the call returns, so that
    nothing is sent without them. If the record cannot be written, the call raises AuditError and the
    request must not be sent. Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        store: Store,
        run: RunFile,
        *,
        key: str | None,
        now: Callable[[], datetime] = utc_now,
        profile: bytes | None = None,
    ) -> None:
        self.run: RunFile = run
        self.directory: Path = store.layout.directory
        self._store = store
        self._key = key
        self._now = now
        self._stopped: RunStopped | None = None
        self._open_segments: dict[int, SegmentProgress] = {}
        self._finished_segments: list[int] = []
        self._prepared: dict[int, _PreparedPlan] = {}
        self._first = 1 + max((part.segment for part in run.parts), default=-1)
        self._synced_at = time.monotonic()
        head = Opened(format=FORMAT, run=run.info.run_id, segment=RUN)
        self._journal = store.journal(store.layout.run_journal, head)
        if profile is not None:
            store.publish(store.layout.profile, profile)
        store.publish_run(run)
        store.keep_reserve()

    @classmethod
    def start(
        cls,
        audit: Path | str,
        info: RunInfo,
        *,
        durability: Durability = "power",
        disk: FileSystem | None = None,
        key: str | None = None,
        now: Callable[[], datetime] = utc_now,
        notes: tuple[str, ...] = (),
        profile: bytes | None = None,
    ) -> Self:
        """Begin the record of a new run in `audit`; `profile` is the content of its profile.json.

        Raises:
            AuditLockedError: If another process writes there.
            AuditError: If the directory cannot be used, or has a run of that name.
        """
        file_system, place = (
            file_system_at(audit, durability=durability)
            if disk is None
            else (disk, resolve_path(audit))
        )
        layout = Layout(place / info.run_id)
        key = _key(info, key)
        store = Store(file_system, layout)
        if run_file.NAME in store.disk.listdir(layout.directory):
            store.close()
            raise AuditError(
                f"{layout.directory} already contains a run. Resume it, or choose another directory."
            )
        checksum = None if profile is None else digest(profile)
        run = run_file.new_run_file(
            info, durability=durability, key=key, notes=notes, profile=checksum
        )
        return cls._started(store, run, key=key, now=now, profile=profile)

    @classmethod
    def resume(
        cls,
        directory: Path | str,
        *,
        disk: FileSystem | None = None,
        key: str | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Continue the record of a run, after recovering it if it was not closed.

        Segments may be numbered from 0 again. Their rows replace the recovered records of these
        rows; other rows stay as they are.

        Raises:
            AuditLockedError: If the run is still being written.
            AuditCorruptError: If a file is missing, changed or of another run.
            AuditError: If the pseudonyms of the run were made with another key.
        """
        file_system, place = (
            file_system_at(directory) if disk is None else (disk, resolve_path(directory))
        )
        layout = Layout(place)
        stored = run_file.read(file_system, layout.directory)
        key = _key(stored.info, key)
        if key and stored.key_name is not None:
            pseudonyms.require_key(stored.key_name, where=layout.directory, candidate=key)
        if disk is None:
            file_system, _ = file_system_at(directory, durability=stored.durability)
        store = Store(file_system, layout)
        try:
            run = replace(repair(store), state="running")
        except BaseException:
            store.close()
            raise
        if any(run.counts.get(state) for state in UNFINISHED):
            moment = now().astimezone(UTC).isoformat(timespec="milliseconds")
            run = replace(run, resumed=(*run.resumed, moment))
        return cls._started(store, run, key=key, now=now)

    def __call__(self, fact: Fact) -> None:
        """Record a fact, and write the part of a segment that it finishes, before the run continues."""
        self.record((fact,))
        for segment in self.finished_segments():
            self.write_part(segment, self.build_part(segment))

    @property
    def id_key(self) -> str | None:
        """The key of the message ids in this record; None if they are not keyed."""
        return self._key if self.run.message_ids == "keyed" else None

    def keep(self, name: str, data: bytes) -> None:
        """Write another file to the directory of the run."""
        self._store.publish(self.directory / name, data)

    def prepare(self, segment: Segment) -> None:
        """Encode the plan of a segment, on any thread; it is written with its fact."""
        self._prepared[segment.number] = self._prepare(segment)

    def finished_segments(self) -> Sequence[int]:
        """Return the segments finished since the last call, whose parts are to be written."""
        finished, self._finished_segments = self._finished_segments, []
        return finished

    def build_part(self, segment: int) -> BuiltPart:
        """Build the part of a finished segment, on any thread; nothing is written."""
        return build_part(self._open_segments[segment].open_segment(), run_id=self.run.info.run_id)

    @engine_errors("the record was written")
    def write_part(self, segment: int, built: BuiltPart) -> None:
        """Write the part of a finished segment. No request waits for that."""
        progress = self._open_segments[segment]
        part = write_part(self._store, built)
        self._store.append(self._journal, part, may_use_reserve=True)
        self._store.sync(self._journal)
        self.run = with_parts(self.run, [*self.run.parts, part])
        del self._open_segments[segment]
        layout = self._store.layout
        self._store.drop(layout.plan(progress.number))
        self._store.drop(layout.journal(progress.number), journal=progress.journal)

    @engine_errors("the record was written")
    def record(self, facts: Sequence[Fact]) -> None:
        """Record facts in order, with one sync for all attempts among them, before the run continues.

        `finished_segments` returns the segments that wait for `write_part`.
        """
        attempted: dict[int, Journal] = {}
        for fact in facts:
            if isinstance(fact, BatchAttempted):
                attempted[fact.batch.segment] = self._attempt(fact)
            else:
                self._record(fact)
        for journal in attempted.values():
            self._store.sync(journal)

    def _record(self, fact: Fact) -> None:
        match fact:
            case SegmentPlanned(segment=segment):
                self._start_segment(segment)
            case BatchRetried():
                self._append(fact.batch, self._progress(fact.batch).entry(fact))
            case BatchFinished():
                self._finish(fact)
            case Noted(note=note):
                self.run = replace(self.run, notes=(*self.run.notes, note))
            case RunStopped():
                self._stop(fact)
            case RunFinished():
                self._finish_run("stopped" if self._stopped else "finished")
            case _:
                pass

    def close(self) -> None:
        """End the record. Unfinished rows stay pending or in doubt."""
        try:
            if self.run.state == "running" and self._store.is_usable:
                self._finish_run("stopped")
        finally:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @classmethod
    def _started(
        cls,
        store: Store,
        run: RunFile,
        *,
        key: str | None,
        now: Callable[[], datetime],
        profile: bytes | None = None,
    ) -> Self:
        try:
            return cls(store, run, key=key, now=now, profile=profile)
        except BaseException:
            store.close()
            raise

    def _start_segment(self, segment: Segment) -> None:
        number, run_id = self._first + segment.number, self.run.info.run_id
        prepared = self._prepared.pop(segment.number, None) or self._prepare(segment)
        head = Opened(format=FORMAT, run=run_id, segment=number, plan_sha256=prepared.sha256)
        journal = self._store.journal(self._store.layout.journal(number), head)
        self._store.publish(self._store.layout.plan(number), prepared.data)
        from cio_frames.audit.segment_progress import SegmentProgress

        progress = SegmentProgress(segment, number=number, plan=prepared.plan, journal=journal)
        self._open_segments[segment.number] = progress
        if progress.is_done:
            self._finished_segments.append(segment.number)

    def _prepare(self, segment: Segment) -> "_PreparedPlan":
        from cio_frames.audit.segment_progress import plan_of

        plan = plan_of(segment, pii=self.run.info.pii, key=self._key, id_key=self.id_key)
        data = encode(plan, schema=PLAN_SCHEMA, run_id=self.run.info.run_id)
        return _PreparedPlan(plan=plan, data=data, sha256=digest(data))

    def _attempt(self, fact: BatchAttempted[Batch]) -> Journal:
        """Record an attempt, and return the journal that must be synced before it is made."""
        progress = self._progress(fact.batch)
        entry = progress.entry(fact)
        self._store.append(progress.journal, entry, may_use_reserve=False)
        progress.add(entry)
        return progress.journal

    def _finish(self, fact: BatchFinished[Batch]) -> None:
        batch = fact.batch
        progress = self._progress(batch)
        error = self._redacted(fact.error, person=progress.person(batch)) if fact.error else ""
        self._append(batch, progress.entry(fact, error=error))
        if progress.is_done:
            self._finished_segments.append(batch.segment)

    def _append(self, batch: Batch, entry: Entry) -> None:
        """Record the result of an attempt; it is synced a little later."""
        progress = self._progress(batch)
        self._store.append(progress.journal, entry, may_use_reserve=True)
        progress.add(entry)
        is_due = time.monotonic() - self._synced_at > _UNSYNCED_S
        if is_due or progress.journal.unsynced >= _UNSYNCED_RECORDS:
            self._store.sync(progress.journal)
            self._synced_at = time.monotonic()

    def _stop(self, fact: RunStopped) -> None:
        self._stopped = fact
        self._store.append(self._journal, fact, may_use_reserve=True)
        self._store.sync(self._journal)

    def _finish_run(self, state: State) -> None:
        self._finished_segments.clear()
        for segment in sorted(self._open_segments):
            self.write_part(segment, self.build_part(segment))
        self.run = with_missing_rows(self._store, self.run)
        self.run = finish_run(self._store, self.run, state=state, stopped=self._stopped)
        self._store.drop(self._store.layout.run_journal, journal=self._journal)
        remove_leftovers(self._store)
        self._store.close()

    def _progress(self, batch: Batch) -> "SegmentProgress":
        progress = self._open_segments.get(batch.segment)
        if progress is None:
            raise AuditError(
                f"Segment {batch.segment} is not in progress. "
                "Nothing of it was sent. This is a bug in cio_frames; please report it."
            )
        return progress

    def _redacted(self, error: str, *, person: str | None) -> str:
        if self.run.info.pii == "full":
            return error[: pseudonyms.ERROR_CHARACTERS]
        schema = {"error": pl.String, "person": pl.String}
        row = pl.DataFrame({"error": [error], "person": [person]}, schema=schema)
        return str(row.select(pseudonyms.redacted(pl.col("error"), person=pl.col("person"))).item())


def _key(info: RunInfo, key: str | None) -> str | None:
    return (key or pseudonyms.key()) if info.pii != "full" else None
