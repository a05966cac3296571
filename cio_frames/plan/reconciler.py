"""Reconciliation: how a workspace differs from what a run should have left there."""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import polars as pl

from cio_frames.audit import Audit, reconciliations, require_run, run_file
from cio_frames.audit.object_store import file_system_at
from cio_frames.errors import ArgumentError, AuditError, WorkspaceReadError, engine_errors
from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.identity.known_people import normalize_export
from cio_frames.identity.model import gc_paused
from cio_frames.identity.state import Event, Person
from cio_frames.plan.arrived import require_same_plans
from cio_frames.plan.event_sample import draw, is_findable, missing_events, most_missing
from cio_frames.plan.expected import Expected, Written, expected
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.same_value import is_same, text_of
from cio_frames.plan.workspace_people import (
    KINDS,
    Export,
    Identifiers,
    Profile,
    ReadPerson,
    WorkspacePeople,
    people_table,
    read_people,
    root,
)
from cio_frames.run.reconciliation import COMPARED, DIFFERENCES, EventSample, Kind, Reconciliation
from cio_frames.run.reconciliation import KINDS as ORDER
from cio_frames.sending.app_api import host_of
from cio_frames.spec import LIMITS
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import duration, many
from cio_frames.workspaces import Client

EVENTS: Final = 300
"""How many events are looked up: if all of them are there, at most one in a hundred is missing."""
MAX_READ_BY_NAME: Final = 2_000
"""Up to this many people are read by their identifiers; beyond, all are exported."""
MAX_READ_AGAIN: Final = 20_000
"""Up to this many people who differ are read again, with the times of attributes; it takes 20 seconds."""
LAG_S: Final = 60
"""An attribute that is written so soon after a response may be from the run."""
_NAMES_SHOWN: Final = 5

_IN_DOUBT: Final = "Rows about this person are in doubt."
_NO_TIMES: Final = (
    "Without them, values that were written after the run count as other values; a client with an App API "
    "key reads them."
)
_SHARED: Final = (
    "The workspace has one person for several people of the run, who were merged since."
)

Window = tuple[int, int] | None
"""The first attempt and the last response of a run, in Unix seconds."""


def reconcile(
    pipelines: Pipelines,
    directory: Path | str,
    source: WorkspacePeople,
    *,
    before: AnyTable | None = None,
    settings: Settings | None = None,
    events: int = EVENTS,
    seed: int | None = None,
    progress: ShowProgress = "auto",
) -> Reconciliation:
    """Compare a workspace with what a run should have left there, and keep the result with the record.

    Raises:
        AuditError: The directory is not a run, or the run was made from other plans.
        ArgumentError: `before` is a client.
        WorkspaceReadError: The source is a client that cannot read the people.
    """
    if isinstance(before, Client):
        raise ArgumentError(
            "before= needs the people from before the run: pass an export as a table. A client reads "
            "the people of now."
        )
    if isinstance(source, Client):
        source.require_reading()
    require_run(directory)
    disk, where = file_system_at(directory)
    run = run_file.read(disk, where)
    require_same_plans(pipelines, run.info)
    result = compare(
        pipelines, Audit(directory).messages, source,
        before=None if before is None else normalize_export(people_table(before), attributes=True),
        settings=settings, events=events, seed=seed, progress=progress,
    )  # fmt: skip
    result = replace(result, run_id=run.info.run_id, label=pipelines.label)
    values = {
        "held": result.held,
        "compared": result.compared.to_dicts(),
        "events": None if result.events is None else asdict(result.events),
        "notes": list(result.notes),
    }
    try:
        reconciliations.write(where, at=result.at, results=values, differences=result.differences)
    except AuditError as error:
        return replace(result, notes=(*result.notes, str(error)))
    return result


@engine_errors("what a workspace holds was compared")
def compare(
    pipelines: Pipelines,
    record: pl.DataFrame,
    source: WorkspacePeople,
    *,
    before: pl.DataFrame | None = None,
    settings: Settings | None = None,
    events: int = EVENTS,
    seed: int | None = None,
    progress: ShowProgress = False,
) -> Reconciliation:
    """Compare a workspace, or an export of its people, with what a run should have left there.

    `record` has the rows of the run; `before` is as `export` returns it, with all attributes.
    """
    now = pipelines.all[0].clock()
    with gc_paused():
        wanted = expected(pipelines, record, before=before, settings=settings)
        reconciler = Reconciler(wanted, before=before, window=_window(record), progress=progress)
        findable = [event for event in wanted.events() if is_findable(event, now=now)]
        sample_seed = secrets.randbits(32) if seed is None else seed
        sample = draw(findable, count=events if isinstance(source, Client) else 0, seed=sample_seed)
        sampled = None
        if isinstance(source, Client):
            about = {event.person for event in sample if event.person is not None}
            identifiers = reconciler.compare_with_client(source, about=about)
            try:
                sampled = reconciler.sample_events(
                    source, sample, identifiers, of=len(findable), seed=sample_seed
                )
            except WorkspaceReadError as error:  # the comparison of people is still useful
                reconciler.notes.append(f"No events were looked up. {error}")
                sample = []
        else:
            reconciler.compare_export(people_table(source))
        _count_not_checkable(
            reconciler.counts, wanted, sampled=len(sample), uncovered=reconciler.uncovered
        )
    return Reconciliation(
        run_id="",
        at=now,
        held=host_of(source) if isinstance(source, Client) else "the export",
        compared=reconciler.counts.frame(),
        differences=reconciler.differences(),
        events=sampled,
        notes=tuple(
            _notes(reconciler, wanted, record, source, before=before, findable=len(findable))
        ),
    )


def _window(record: pl.DataFrame) -> Window:
    """Return the first attempt and the last response of a run."""
    first, last = record["first_attempt_at"].min(), record["finished_at"].max()
    if not isinstance(first, datetime):
        return None
    end = last if isinstance(last, datetime) else first
    return int(first.timestamp()), int(end.timestamp())


def _count_not_checkable(
    counts: "ComparisonCounts", wanted: Expected, *, sampled: int, uncovered: Mapping[str, int]
) -> None:
    """Count what cannot be compared."""
    store = wanted.model.store
    for what, count in {
        "attributes": sum(uncovered.values()),
        "events": len(wanted.events()) - sampled,
        "objects": len(store.objects),
        "relationships": sum(len(record.related) for record in store.objects.values()),
        "devices": sum(len(person.devices or {}) for person in wanted.people if person.alive),
    }.items():
        counts.add(what, "not checkable", count)


def _notes(
    reconciler: "Reconciler",
    wanted: Expected,
    record: pl.DataFrame,
    source: WorkspacePeople,
    *,
    before: pl.DataFrame | None,
    findable: int,
) -> Iterator[str]:
    """Yield what else is worth knowing about a comparison, in sentences."""
    store, is_client = wanted.model.store, isinstance(source, Client)
    if before is None and wanted.unknown:
        yield (
            f"People who were there before the run are named in {many(wanted.unknown, 'message')}. What these "
            "change is compared with before=, an export from before the run."
        )
    doubt = record.filter(pl.col("state") == "in_doubt").height
    if doubt:
        verb = "is" if doubt == 1 else "are"
        yield f"{many(doubt, 'row')} {verb} in doubt: what no other row writes is not expected."
    if reconciler.uncovered:
        names = sorted(reconciler.uncovered, key=lambda name: (-reconciler.uncovered[name], name))
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        yield (
            f"The export has no column {', '.join(names[:_NAMES_SHOWN])}{more}: "
            f"{many(sum(reconciler.uncovered.values()), 'attribute')} were not compared."
        )
    yield from reconciler.notes
    not_findable = len(wanted.events()) - findable
    if not_findable:
        yield (
            f"{many(not_findable, 'event')} cannot be looked up: events without a person, form submissions, and events "
            f"older than {LIMITS['activity_days'].value} days."
        )
    if findable and not is_client:
        yield f"{many(findable, 'event')} can be looked up with a client that has an App API key."
    if store.objects:
        yield "Objects and relationships are not read back."
    if not is_client and reconciler.has_differences:
        yield f"An export has no times. {_NO_TIMES}"


class ComparisonCounts:
    """How many of each thing are expected, are as expected, or differ, by the way in which they differ."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter[str]] = {}

    def add(self, what: str, kind: Kind | None = None, count: int = 1) -> None:
        """Count things that are as expected, or differ in one way."""
        if count:
            counter = self._counters.setdefault(what, Counter())
            counter["expected"] += count
            counter[kind.replace(" ", "_") if kind else "as_expected"] += count

    def frame(self) -> pl.DataFrame:
        """Return the counts, one line for each thing."""
        lines = [{"what": what, **counter} for what, counter in self._counters.items()]
        return pl.DataFrame(lines, schema=COMPARED).with_columns(pl.col(pl.Int64).fill_null(0))


class Reconciler:
    """Compares a workspace with what a run should have left there.

    `before` has the people before the run, with their attributes.
    """

    def __init__(
        self,
        wanted: Expected,
        *,
        before: pl.DataFrame | None,
        window: Window,
        progress: ShowProgress = False,
    ) -> None:
        self.counts: ComparisonCounts = ComparisonCounts()
        self.uncovered: Counter[str] = Counter()  # attributes that an export does not have
        self.notes: list[str] = []
        self._wanted = wanted
        self._window = window
        self._progress = progress
        self._cio_ids = frozenset() if before is None else frozenset(before["cio_id"].drop_nulls())
        self._people = [person for person in wanted.people if person.alive]
        self._shared: set[Person] = set()  # people whom the workspace has merged
        self._differences: list[tuple[Any, ...]] = []

    def compare_with_client(
        self, client: Client, *, about: Collection[Person] = ()
    ) -> dict[Person, Identifiers]:
        """Compare with what a client reads; return the identifiers of some people in the workspace."""
        if len(self._people) > MAX_READ_BY_NAME:
            names = {
                written.name for person in self._people for written in self._wanted.written(person)
            }
            table = client.people(
                attributes=sorted({root(name) for name in names}), progress=self._progress
            )
            return self.compare_export(table, client=client, about=about)
        profiles = self._read_people(
            client, [(person, self._identifiers(person)) for person in self._people]
        )
        lines = Counter(profile.get("cio_id") for profile in profiles.values())
        self._shared = {
            person for person, profile in profiles.items() if lines[profile.get("cio_id")] > 1
        }
        for person in self._people:
            self._compare(person, profiles.get(person))
        removed = [(person, self._identifiers(person)) for person, _ in self._wanted.removed()]
        self._compare_removed(read_people(client, removed, kinds=("id",)))
        return {person: identifiers_of(profiles[person]) for person in about if person in profiles}

    def compare_export(
        self, table: pl.DataFrame, *, client: Client | None = None, about: Collection[Person] = ()
    ) -> dict[Person, Identifiers]:
        """Compare with an export, and read people who differ again; return as `compare_with_client` does."""
        export = Export(table)
        places = export.places(self._identifier_columns(self._people))
        is_shared = places.is_duplicated() & places.is_not_null()
        self._shared = set(compress(self._people, is_shared))
        identifiers: dict[Person, Identifiers] = {}
        differing: list[tuple[int, Identifiers]] = []
        for place, profile in enumerate(export.lines(places)):
            person = self._people[place]
            if profile is not None and person in about:
                identifiers[person] = identifiers_of(profile)
            if client is None or self._is_same(person, profile):
                self._compare(person, profile)
            else:
                names = self._identifiers(person) if profile is None else identifiers_of(profile)
                differing.append((place, names))
        if client is not None and differing:
            self._compare_again(client, export, places, differing)
        removed = [person for person, _ in self._wanted.removed()]
        if not export.has_ids:
            self.counts.add("removed people", "not checkable", len(removed))
            return identifiers
        by_id = self._identifier_columns(removed).with_columns(
            pl.lit(None, pl.String).alias(name) for name in ("cio_id", "email")
        )
        profiles = zip(removed, export.lines(export.places(by_id)), strict=True)
        self._compare_removed(
            {person: profile for person, profile in profiles if profile is not None}
        )
        return identifiers

    def _compare_again(
        self,
        client: Client,
        export: Export,
        places: pl.Series,
        differing: Sequence[tuple[int, Identifiers]],
    ) -> None:
        """Compare people who differ from an export as they are now, and the rest as the export has them."""
        read_again, rest = differing[:MAX_READ_AGAIN], differing[MAX_READ_AGAIN:]
        try:
            profiles = self._read_people(
                client, [(self._people[place], names) for place, names in read_again]
            )
        except WorkspaceReadError as error:  # the export is better than nothing
            self.notes.append(f"{error} {_NO_TIMES}")
            read_again, rest, profiles = [], differing, {}
        for place, _ in read_again:
            self._compare(self._people[place], profiles.get(self._people[place]))
        if rest and read_again:
            self.notes.append(
                f"Times of attributes were read of {len(read_again):,} people who differ. {_NO_TIMES}"
            )
        rest_places = [place for place, _ in rest]
        for place, profile in zip(rest_places, export.lines(places[rest_places]), strict=True):
            self._compare(self._people[place], profile)

    def sample_events(
        self,
        client: Client,
        events: Sequence[Event],
        identifiers: Mapping[Person, Identifiers],
        *,
        of: int,
        seed: int,
    ) -> EventSample | None:
        """Look up events among the activities of their people; return None without events."""
        if not events:
            return None
        people = {event.person for event in events}
        label = f"{many(len(events), 'event')} of {many(len(people), 'person', 'people')}"
        with self._progress_of(client, label, total=len(events), requests=len(events)) as notify:
            missing = missing_events(client, events, identifiers.get, notify=notify)
        for event in missing:
            at = datetime.fromtimestamp(event.timestamp, tz=UTC)
            self._add_difference(
                "not there", "event", event.person, name=event.name or event.type, expected=f"{at:%Y-%m-%d %H:%M:%S} UTC",
                number=event.number,
            )  # fmt: skip
        self.counts.add("events", None, len(events) - len(missing))
        self.counts.add("events", "not there", len(missing))
        return EventSample(
            checked=len(events),
            of=of,
            missing=len(missing),
            at_most=most_missing(len(missing), checked=len(events), of=of),
            people=len(people),
            seed=seed,
        )

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(self._differences)

    def differences(self) -> pl.DataFrame:
        """Return the differences, worst first."""
        order = {kind: place for place, kind in enumerate(ORDER)}
        frame = pl.DataFrame(self._differences, schema=DIFFERENCES, orient="row")
        rank = pl.col("kind").replace_strict(order, return_dtype=pl.Int32)
        return frame.sort(rank, "plan", "row", "name", maintain_order=True)

    def _is_same(self, person: Person, profile: Profile | None) -> bool:
        """Return whether all attributes that the source has of a person are as they were written."""
        return profile is not None and all(
            is_as_written(written, profile.get(written.name))
            for written in self._wanted.written(person)
            if profile.covers(written.name)
        )

    def _compare(self, person: Person, profile: Profile | None) -> None:
        """Compare one person: count, and add the differences."""
        if profile is None:
            is_in_doubt = self._wanted.is_removal_in_doubt(person)
            kind: Kind = "not checkable" if is_in_doubt else "not there"
            self.counts.add("people", kind)
            self._add_difference(kind, "person", person, note=_IN_DOUBT if is_in_doubt else None)
            return
        if person in self._shared and profile.get("id") != person.id:
            self.counts.add("people", "not checkable")
            self._add_difference("not checkable", "person", person, note=_SHARED)
            return
        self.counts.add("people")
        equal = 0
        for written in self._wanted.written(person):
            if not profile.covers(written.name):
                self.uncovered[written.name] += 1
            elif is_as_written(written, profile.get(written.name)):
                equal += 1
            else:
                self._add_attribute(person, written, profile)
        self.counts.add("attributes", None, equal)

    def _add_attribute(self, person: Person, written: Written, profile: Profile) -> None:
        """Count an attribute that is not as it was written, and add it to the differences."""
        actual, at = profile.get(written.name), profile.written_at(written.name)
        kind: Kind = "not there" if text_of(actual) is None else "other value"
        if self._wanted.is_in_doubt(person, written.name):
            kind = "not checkable"
        elif _is_later(at, written.at, self._window):
            kind = "written later"
        self.counts.add("attributes", kind)
        self._add_difference(
            kind, "attribute", person, name=written.name, expected=text_of(written.value), actual=text_of(actual),
            written_at=None if at is None else datetime.fromtimestamp(at, tz=UTC),
            note=_IN_DOUBT if kind == "not checkable" else None,
        )  # fmt: skip

    def _compare_removed(self, profiles: Mapping[Person, Profile]) -> None:
        """Count people whom the run has removed, and add those who exist to the differences."""
        for person, reason in self._wanted.removed():
            profile = profiles.get(person)
            if profile is None:
                self.counts.add("removed people")
                continue
            is_another = person.cio_id in self._cio_ids and profile.get("cio_id") not in (
                None,
                person.cio_id,
            )
            kind: Kind = "written later" if is_another else "other value"
            self.counts.add("removed people", kind)
            self._add_difference(kind, "person", person, expected=reason, actual="there")

    def _add_difference(
        self,
        kind: Kind,
        what: str,
        person: Person | None,
        *,
        name: str | None = None,
        expected: str | None = None,
        actual: str | None = None,
        written_at: datetime | None = None,
        note: str | None = None,
        number: int | None = None,
    ) -> None:
        """Add a difference, with the last row about the person or, if given, the row of a message."""
        last = self._wanted.people.get(person) if person is not None and number is None else number
        plan, row = (None, None) if last is None else self._wanted.place(last)
        identifiers = {} if person is None else self._identifiers(person)
        self._differences.append((
            kind, what, *(identifiers.get(id_kind) for id_kind in ("id", "email", "cio_id")), name, expected, actual,
            written_at, plan, row, note,
        ))  # fmt: skip

    def _identifiers(self, person: Person) -> Identifiers:
        """Return the identifiers of a person; the cio_id only if an export has it."""
        cio_id = person.cio_id if person.cio_id in self._cio_ids else None
        return {"cio_id": cio_id, "id": person.id, "email": person.email}

    def _identifier_columns(self, people: Sequence[Person]) -> pl.DataFrame:
        """Return the identifiers of people, in columns."""
        exported = self._cio_ids
        return pl.DataFrame(
            {
                "cio_id": [
                    person.cio_id if person.cio_id in exported else None for person in people
                ],
                "id": [person.id for person in people],
                "email": [person.email for person in people],
            },
            schema=dict.fromkeys(KINDS, pl.String),
        )

    def _read_people(
        self, client: Client, people: Sequence[tuple[Person, Identifiers]]
    ) -> dict[Person, ReadPerson]:
        """Return the people who are in the workspace, as they are now."""
        most = LIMITS["app_people"].value
        label = many(len(people), "person", "people")
        with self._progress_of(
            client, label, total=len(people), requests=-(-len(people) // most)
        ) as notify:
            return read_people(client, people, notify=notify)

    @contextmanager
    def _progress_of(
        self, client: Client, label: str, *, total: int, requests: int
    ) -> Generator[Callable[[int], None]]:
        """Show the progress of requests and about how long they take."""
        shown, began, done = display(self._progress), monotonic(), 0
        takes = duration(requests / LIMITS["app_requests_per_s"].value)
        state = ProgressState(
            label=f"{label} of {host_of(client)}, about {takes}", phase="reading", total=total,
            started_s=began, now_s=began,
        )  # fmt: skip
        shown.show(state)

        def notify(count: int) -> None:
            nonlocal done
            done = min(done + count, total)
            shown.update(replace(state, planned=done, now_s=monotonic()))

        yield notify
        took = duration(monotonic() - began)
        shown.close(Document(Heading(f"{label} looked up in {took}."), ()))


def is_as_written(written: Written, actual: Any) -> bool:
    """Return whether an attribute, or an identifier, is as it was written."""
    if written.name == "email" and isinstance(actual, str):  # an address has no case (3.1)
        return actual.lower() == str(written.value).lower()
    return is_same(written.name, written.value, actual)


def identifiers_of(profile: Profile) -> Identifiers:
    """Return the identifiers of a person in the workspace."""
    return {kind: profile.get(kind) for kind in KINDS}


def _is_later(written_at: int | None, at: int | None, window: Window) -> bool:
    """Return whether an attribute was written after the run wrote it, and not by the run itself.

    According to the documentation, the time of an attribute is that of the message that set it. Where it
    is that of the processing instead, what the run wrote with a time of its own is not later.
    """
    if written_at is None or at is None or written_at <= at + LAG_S:
        return False
    return window is None or at >= window[0] or not window[0] <= written_at <= window[1] + LAG_S
