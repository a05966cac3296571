"""Did it arrive? What a workspace holds beside what a run should have left there."""

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
from cio_frames.audit.object_store import opened
from cio_frames.errors import ArgumentError, AuditError, WorkspaceReadError, engine_errors
from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.identity.identifiers import IdentifierKind
from cio_frames.identity.known_people import normalize_export
from cio_frames.identity.model import gc_paused
from cio_frames.identity.state import Event, Person
from cio_frames.plan.arrived import require_same_plans
from cio_frames.plan.event_sample import can_be_found, drawn, missing_events, most_missing
from cio_frames.plan.expected import Expected, Written, expected
from cio_frames.plan.pipeline import Pipelines
from cio_frames.plan.same_value import is_same, text_of
from cio_frames.plan.workspace_people import (
    KINDS,
    Export,
    Profile,
    ReadPerson,
    WorkspacePeople,
    people_table,
    read_people,
    root,
)
from cio_frames.run.reconciliation import COMPARED, DIFFERENCES, EventSample, Kind, Reconciliation
from cio_frames.run.reconciliation import KINDS as ORDER
from cio_frames.sending.reading import host_of
from cio_frames.spec import LIMITS
from cio_frames.views.displays import ShowProgress, display
from cio_frames.views.document import Document, Heading
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.wording import duration, many
from cio_frames.workspaces import Client

EVENTS: Final = 300
"""How many events are looked for: if all of them are there, at most one in a hundred is missing."""
FEW: Final = 2_000
"""So many people are read by name; of more, everybody is exported."""
MOST_ASKED: Final = 20_000
"""Of so many people who differ the times of attributes are asked for; it takes 20 seconds."""
LAG_S: Final = 60
"""What is written so soon after an answer may be the run's own."""
_NAMES_SHOWN: Final = 5

_DOUBT: Final = "Rows about this person are in doubt."
_NO_TIMES: Final = (
    "Without them, what somebody wrote after the run counts as another value; a client with an App API "
    "key reads them."
)
_SHARED: Final = "The workspace has one person for several of the run, who were merged since."

Names = Mapping[IdentifierKind, str | None]
Window = tuple[int, int] | None
"""When a run sent first and was answered last, in Unix seconds."""


def reconcile(
    pipelines: Pipelines,
    directory: Path | str,
    held: WorkspacePeople,
    *,
    before: AnyTable | None = None,
    settings: Settings | None = None,
    events: int = EVENTS,
    seed: int | None = None,
    progress: ShowProgress = "auto",
) -> Reconciliation:
    """Compare what a workspace holds with what a run should have left there, and keep what is found.

    Raises:
        AuditError: The directory is no run, or the plans are not those it was made from.
        ArgumentError: `before` is a client.
        WorkspaceReadError: `held` is a client, and the people cannot be read.
    """
    if isinstance(before, Client):
        raise ArgumentError(
            "before= is what the workspace held before the run: pass an export as a table. A client "
            "reads what it holds now."
        )
    if isinstance(held, Client):
        held.require_reading()
    require_run(directory)
    disk, where = opened(directory)
    run = run_file.read(disk, where)
    require_same_plans(pipelines, run.info)
    found = compared(
        pipelines, Audit(directory).messages, held,
        before=None if before is None else normalize_export(people_table(before), attributes=True),
        settings=settings, events=events, seed=seed, progress=progress,
    )  # fmt: skip
    found = replace(found, run_id=run.info.run_id, label=pipelines.label)
    kept = {
        "held": found.held,
        "compared": found.compared.to_dicts(),
        "events": None if found.events is None else asdict(found.events),
        "notes": list(found.notes),
    }
    try:
        reconciliations.write(where, at=found.at, found=kept, differences=found.differences)
    except AuditError as error:
        return replace(found, notes=(*found.notes, str(error)))
    return found


@engine_errors("what a workspace holds was compared")
def compared(
    pipelines: Pipelines,
    record: pl.DataFrame,
    held: WorkspacePeople,
    *,
    before: pl.DataFrame | None = None,
    settings: Settings | None = None,
    events: int = EVENTS,
    seed: int | None = None,
    progress: ShowProgress = False,
) -> Reconciliation:
    """Return what is found in a workspace, or in an export of its people, as `reconcile` does.

    `record` has the rows of the run; `before` is as `export` gives it, with all attributes.
    """
    now = pipelines.all[0].clock()
    with gc_paused():
        wanted = expected(pipelines, record, before=before, settings=settings)
        reconciler = Reconciler(wanted, before=before, window=_window(record), progress=progress)
        found = [event for event in wanted.events() if can_be_found(event, now=now)]
        number = secrets.randbits(32) if seed is None else seed
        sample = drawn(found, count=events if isinstance(held, Client) else 0, seed=number)
        told = None
        if isinstance(held, Client):
            about = {event.person for event in sample if event.person is not None}
            called = reconciler.read(held, about=about)
            try:
                told = reconciler.sampled(held, sample, called, of=len(found), seed=number)
            except WorkspaceReadError as error:  # what is known of people is still worth telling
                reconciler.notes.append(f"No events were looked for. {error}")
                sample = []
        else:
            reconciler.exported(people_table(held))
        _count_others(reconciler.counts, wanted, sampled=len(sample), untold=reconciler.untold)
    return Reconciliation(
        run_id="",
        at=now,
        held=host_of(held) if isinstance(held, Client) else "the export",
        compared=reconciler.counts.frame(),
        differences=reconciler.differences(),
        events=told,
        notes=tuple(_notes(reconciler, wanted, record, held, before=before, findable=len(found))),
    )


def _window(record: pl.DataFrame) -> Window:
    """Return when a run sent first and was answered last."""
    first, last = record["first_attempt_at"].min(), record["finished_at"].max()
    if not isinstance(first, datetime):
        return None
    end = last if isinstance(last, datetime) else first
    return int(first.timestamp()), int(end.timestamp())


def _count_others(
    counts: "Counts", wanted: Expected, *, sampled: int, untold: Mapping[str, int]
) -> None:
    """Count what cannot be compared."""
    store = wanted.model.store
    for what, count in {
        "attributes": sum(untold.values()),
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
    held: WorkspacePeople,
    *,
    before: pl.DataFrame | None,
    findable: int,
) -> Iterator[str]:
    """Yield what is worth knowing of a comparison."""
    store, is_client = wanted.model.store, isinstance(held, Client)
    if before is None and wanted.unknown:
        yield (
            f"People who were there before the run are named in {many(wanted.unknown, 'message')}. What these "
            "change is compared with before=, an export from before the run."
        )
    doubt = record.filter(pl.col("state") == "in_doubt").height
    if doubt:
        verb = "is" if doubt == 1 else "are"
        yield f"{many(doubt, 'row')} {verb} in doubt: what no other row writes is not expected."
    if reconciler.untold:
        names = sorted(reconciler.untold, key=lambda name: (-reconciler.untold[name], name))
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        yield (
            f"The export has no column {', '.join(names[:_NAMES_SHOWN])}{more}: "
            f"{many(sum(reconciler.untold.values()), 'attribute')} were not compared."
        )
    yield from reconciler.notes
    others = len(wanted.events()) - findable
    if others:
        yield (
            f"{many(others, 'event')} cannot be looked for: events of nobody, form submissions, and events "
            f"older than {LIMITS['activity_days'].value} days."
        )
    if findable and not is_client:
        yield f"{many(findable, 'event')} can be looked for with a client that has an App API key."
    if store.objects:
        yield "Objects and relationships are not read back."
    if not is_client and reconciler.is_differing:
        yield f"An export has no times. {_NO_TIMES}"


class Counts:
    """How many of each thing there should be, are as expected, and differ in which way."""

    def __init__(self) -> None:
        self._each: dict[str, Counter[str]] = {}

    def add(self, what: str, kind: Kind | None = None, count: int = 1) -> None:
        """Count things that are as expected, or differ in one way."""
        if count:
            counter = self._each.setdefault(what, Counter())
            counter["expected"] += count
            counter[kind.replace(" ", "_") if kind else "as_expected"] += count

    def frame(self) -> pl.DataFrame:
        """Return them, one line for each thing."""
        lines = [{"what": what, **counter} for what, counter in self._each.items()]
        return pl.DataFrame(lines, schema=COMPARED).with_columns(pl.col(pl.Int64).fill_null(0))


class Reconciler:
    """What a run should have left, held against what a workspace holds.

    Args:
        wanted: What the run should have left.
        before: The people who were there before, with their attributes.
        window: When the run sent first and was answered last.
        progress: How it is shown how far it is.
    """

    def __init__(
        self,
        wanted: Expected,
        *,
        before: pl.DataFrame | None,
        window: Window,
        progress: ShowProgress = False,
    ) -> None:
        self.counts: Counts = Counts()
        self.untold: Counter[str] = Counter()  # attributes that an export does not have
        self.notes: list[str] = []
        self._wanted = wanted
        self._window = window
        self._progress = progress
        self._given = frozenset() if before is None else frozenset(before["cio_id"].drop_nulls())
        self._people = [person for person in wanted.people if person.alive]
        self._shared: set[Person] = set()  # people of whom the workspace has one for several
        self._lines: list[tuple[Any, ...]] = []

    def read(self, client: Client, *, about: Collection[Person] = ()) -> dict[Person, Names]:
        """Compare with what a client reads; return what some people are called in the workspace."""
        if len(self._people) > FEW:
            names = {each.name for person in self._people for each in self._wanted.written(person)}
            table = client.people(
                attributes=sorted({root(name) for name in names}), progress=self._progress
            )
            return self.exported(table, client=client, about=about)
        found = self._ask(client, [(person, self._names(person)) for person in self._people])
        lines = Counter(profile.get("cio_id") for profile in found.values())
        self._shared = {
            person for person, profile in found.items() if lines[profile.get("cio_id")] > 1
        }
        for person in self._people:
            self._take(person, found.get(person))
        gone = [(person, self._names(person)) for person, _ in self._wanted.gone()]
        self._take_gone(read_people(client, gone, kinds=("id",)))
        return {person: names_in(found[person]) for person in about if person in found}

    def exported(
        self, table: pl.DataFrame, *, client: Client | None = None, about: Collection[Person] = ()
    ) -> dict[Person, Names]:
        """Compare with an export, and ask a client about people who differ; return as `read` does."""
        export = Export(table)
        places = export.places(self._identifiers(self._people))
        is_shared = places.is_duplicated() & places.is_not_null()
        self._shared = set(compress(self._people, is_shared))
        called: dict[Person, Names] = {}
        differing: list[tuple[int, Names]] = []
        for place, profile in enumerate(export.lines(places)):
            person = self._people[place]
            if profile is not None and person in about:
                called[person] = names_in(profile)
            if client is None or self._is_same(person, profile):
                self._take(person, profile)
            else:
                names = self._names(person) if profile is None else names_in(profile)
                differing.append((place, names))
        if client is not None and differing:
            self._take_again(client, export, places, differing)
        gone = [person for person, _ in self._wanted.gone()]
        if not export.has_ids:
            self.counts.add("removed people", "not checkable", len(gone))
            return called
        by_id = self._identifiers(gone).with_columns(
            pl.lit(None, pl.String).alias(name) for name in ("cio_id", "email")
        )
        there = zip(gone, export.lines(export.places(by_id)), strict=True)
        self._take_gone({person: profile for person, profile in there if profile is not None})
        return called

    def _take_again(
        self,
        client: Client,
        export: Export,
        places: pl.Series,
        differing: Sequence[tuple[int, Names]],
    ) -> None:
        """Count people who differ from an export as they are now, and the others as it has them."""
        asked, rest = differing[:MOST_ASKED], differing[MOST_ASKED:]
        try:
            found = self._ask(client, [(self._people[place], names) for place, names in asked])
        except WorkspaceReadError as error:  # the export is worth more than nothing
            self.notes.append(f"{error} {_NO_TIMES}")
            asked, rest, found = [], differing, {}
        for place, _ in asked:
            self._take(self._people[place], found.get(self._people[place]))
        if rest and asked:
            self.notes.append(
                f"Times of attributes were read of {len(asked):,} people who differ. {_NO_TIMES}"
            )
        at = [place for place, _ in rest]
        for place, profile in zip(at, export.lines(places[at]), strict=True):
            self._take(self._people[place], profile)

    def sampled(
        self,
        client: Client,
        events: Sequence[Event],
        called: Mapping[Person, Names],
        *,
        of: int,
        seed: int,
    ) -> EventSample | None:
        """Look for some events among the activities of their people; None without any."""
        if not events:
            return None
        people = {event.person for event in events}
        label = f"{many(len(events), 'event')} of {many(len(people), 'person', 'people')}"
        with self._shown(client, label, total=len(events), requests=len(events)) as tell:
            lost = missing_events(client, events, called.get, tell=tell)
        for event in lost:
            at = datetime.fromtimestamp(event.timestamp, tz=UTC)
            self._line(
                "not there", "event", event.person, name=event.name or event.type, expected=f"{at:%Y-%m-%d %H:%M:%S} UTC",
                number=event.number,
            )  # fmt: skip
        self.counts.add("events", None, len(events) - len(lost))
        self.counts.add("events", "not there", len(lost))
        return EventSample(
            checked=len(events),
            of=of,
            missing=len(lost),
            at_most=most_missing(len(lost), checked=len(events), of=of),
            people=len(people),
            seed=seed,
        )

    @property
    def is_differing(self) -> bool:
        """Whether anything differs."""
        return bool(self._lines)

    def differences(self) -> pl.DataFrame:
        """Return what was found, the worst first."""
        order = {kind: place for place, kind in enumerate(ORDER)}
        frame = pl.DataFrame(self._lines, schema=DIFFERENCES, orient="row")
        rank = pl.col("kind").replace_strict(order, return_dtype=pl.Int32)
        return frame.sort(rank, "plan", "row", "name", maintain_order=True)

    def _is_same(self, person: Person, profile: Profile | None) -> bool:
        """Return whether nothing that somebody should have is otherwise, as far as it is told."""
        return profile is not None and all(
            is_as_written(each, profile.get(each.name))
            for each in self._wanted.written(person)
            if profile.tells(each.name)
        )

    def _take(self, person: Person, profile: Profile | None) -> None:
        """Count one person, and note what differs."""
        if profile is None:
            is_open = self._wanted.is_removal_in_doubt(person)
            kind: Kind = "not checkable" if is_open else "not there"
            self.counts.add("people", kind)
            self._line(kind, "person", person, note=_DOUBT if is_open else None)
            return
        if person in self._shared and profile.get("id") != person.id:
            self.counts.add("people", "not checkable")
            self._line("not checkable", "person", person, note=_SHARED)
            return
        self.counts.add("people")
        equal = 0
        for each in self._wanted.written(person):
            if not profile.tells(each.name):
                self.untold[each.name] += 1
            elif is_as_written(each, profile.get(each.name)):
                equal += 1
            else:
                self._differ(person, each, profile)
        self.counts.add("attributes", None, equal)

    def _differ(self, person: Person, each: Written, profile: Profile) -> None:
        """Count and note an attribute that is not as it was written."""
        actual, at = profile.get(each.name), profile.written_at(each.name)
        kind: Kind = "not there" if text_of(actual) is None else "other value"
        if self._wanted.is_in_doubt(person, each.name):
            kind = "not checkable"
        elif _is_later(at, each.at, self._window):
            kind = "written later"
        self.counts.add("attributes", kind)
        self._line(
            kind, "attribute", person, name=each.name, expected=text_of(each.value), actual=text_of(actual),
            written_at=None if at is None else datetime.fromtimestamp(at, tz=UTC),
            note=_DOUBT if kind == "not checkable" else None,
        )  # fmt: skip

    def _take_gone(self, there: Mapping[Person, Profile]) -> None:
        """Count whom the run has removed, and note who is there all the same."""
        for person, how in self._wanted.gone():
            profile = there.get(person)
            if profile is None:
                self.counts.add("removed people")
                continue
            is_another = person.cio_id in self._given and profile.get("cio_id") not in (
                None,
                person.cio_id,
            )
            kind: Kind = "written later" if is_another else "other value"
            self.counts.add("removed people", kind)
            self._line(kind, "person", person, expected=how, actual="there")

    def _line(
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
        """Note a difference, with the last row about somebody unless a message is named by its number."""
        last = self._wanted.people.get(person) if person is not None and number is None else number
        plan, row = (None, None) if last is None else self._wanted.place(last)
        names = {} if person is None else self._names(person)
        self._lines.append((
            kind, what, *(names.get(each) for each in ("id", "email", "cio_id")), name, expected, actual,
            written_at, plan, row, note,
        ))  # fmt: skip

    def _names(self, person: Person) -> Names:
        """Return what somebody is called; a cio_id only if an export gave it."""
        cio_id = person.cio_id if person.cio_id in self._given else None
        return {"cio_id": cio_id, "id": person.id, "email": person.email}

    def _identifiers(self, people: Sequence[Person]) -> pl.DataFrame:
        """Return what people are called, in columns."""
        given = self._given
        return pl.DataFrame(
            {
                "cio_id": [each.cio_id if each.cio_id in given else None for each in people],
                "id": [each.id for each in people],
                "email": [each.email for each in people],
            },
            schema=dict.fromkeys(KINDS, pl.String),
        )

    def _ask(
        self, client: Client, people: Sequence[tuple[Person, Names]]
    ) -> dict[Person, ReadPerson]:
        """Return those of some people who are there, as they are now."""
        most = LIMITS["app_people"].value
        label = many(len(people), "person", "people")
        with self._shown(
            client, label, total=len(people), requests=-(-len(people) // most)
        ) as tell:
            return read_people(client, people, tell=tell)

    @contextmanager
    def _shown(
        self, client: Client, label: str, *, total: int, requests: int
    ) -> Generator[Callable[[int], None]]:
        """Show how far the requests are, and about how long they take."""
        shown, began, done = display(self._progress), monotonic(), 0
        takes = duration(requests / LIMITS["app_requests_per_s"].value)
        state = ProgressState(
            label=f"{label} of {host_of(client)}, about {takes}", phase="reading", total=total,
            started_s=began, now_s=began,
        )  # fmt: skip
        shown.show(state)

        def tell(count: int) -> None:
            nonlocal done
            done = min(done + count, total)
            shown.update(replace(state, planned=done, now_s=monotonic()))

        yield tell
        took = duration(monotonic() - began)
        shown.close(Document(Heading(f"{label} looked up in {took}."), ()))


def is_as_written(each: Written, actual: Any) -> bool:
    """Return whether an attribute, or an identifier, is as it was written."""
    if each.name == "email" and isinstance(actual, str):  # an address has no case (3.1)
        return actual.lower() == str(each.value).lower()
    return is_same(each.name, each.value, actual)


def names_in(profile: Profile) -> Names:
    """Return what somebody is called in the workspace."""
    return {kind: profile.get(kind) for kind in KINDS}


def _is_later(written_at: int | None, at: int | None, window: Window) -> bool:
    """Return whether an attribute was written after the run wrote it, and not by the run itself.

    The time of an attribute is that of the message that set it, as far as is documented. Where it is
    that of the processing instead, what the run wrote with a time of its own is not later.
    """
    if written_at is None or at is None or written_at <= at + LAG_S:
        return False
    return window is None or at >= window[0] or not window[0] <= written_at <= window[1] + LAG_S
