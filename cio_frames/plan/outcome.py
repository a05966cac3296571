"""What sending plans does, as one sentence of counts, and what has to be allowed for it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from cio_frames.plan.allowance_counts import TRIGGERING, AllowanceCounts, CampaignEvents
from cio_frames.plan.pipeline import SEND_CALL, Pipeline, PreviewCounts
from cio_frames.sending import Client
from cio_frames.spec import LIMITS
from cio_frames.values import many

EVENTS: Final = {
    "track": "event", "page": "page view", "screen": "screen view", "form": "form submission",
}  # fmt: skip
PREVIEWED: Final = {
    "creates": "new (billable)",
    "updates": "updated",
    "merges": "merged into others, which cannot be undone",
    "deletes": "deleted, which cannot be undone",
}
RECENT: Final = f"less than {LIMITS['trigger_hours'].value} hours old"


def destination(client: Client) -> str:
    """Return where a client sends, in words."""
    if client.is_local:
        return f"{client.endpoint} on this machine"
    return f"Customer.io {client.region.upper()}"


def outcome(
    pipelines: Sequence[Pipeline],
    preview: PreviewCounts | None = None,
    *,
    client: Client | None = None,
) -> str:
    """Return what sending does, in a sentence: where, people, objects, events, and warnings.

    `preview` has the counts of the last identity preview of the same pipelines; without one it is
    unknown who is new. `client` is the last one that was passed to the plan, if there was one.
    """
    sent = [pipeline for pipeline in pipelines if pipeline.full_check.valid]
    if not sent:
        return ""
    parts = [*_subjects(sent, preview), *_warnings(sent, preview), *_campaigns(sent)]
    excluded = sum(pipeline.full_check.rows - pipeline.full_check.valid for pipeline in pipelines)
    if excluded:
        parts.insert(1, f"{many(excluded, 'row')} excluded")
    text = "; ".join(parts)
    return f"To {destination(client)}: {text}." if client else f"{text[:1].upper()}{text[1:]}."


def _subjects(pipelines: Sequence[Pipeline], preview: PreviewCounts | None) -> Iterator[str]:
    """Yield what each plan sends; a preview counts the people of all plans together."""
    parts = []
    if preview is not None:
        counts = [(preview.summary[name], word) for name, word in PREVIEWED.items()]
        changes = ", ".join(f"{count:,} {word}" for count, word in counts if count)
        compared = "" if preview.is_compared else "compared with an empty workspace, "
        people = preview.summary["creates"] + preview.summary["updates"]
        parts.append(f"{many(people, 'person', 'people')}: {compared}{changes or 'none changed'}")
    for pipeline in pipelines:
        check = pipeline.full_check
        people = many(check.people, "person", "people")
        if pipeline.call == "identify":
            parts += [] if preview else [f"{people} created or updated"]
        elif pipeline.call == "alias":
            merges = many(check.valid, "profile")
            parts += [] if preview else [f"{merges} merged into others, which cannot be undone"]
        elif pipeline.call == "group":
            parts.append(f"{many(check.objects, 'object')} created or updated, with {people}")
        else:
            parts.append(f"{many(check.valid, EVENTS[pipeline.call])} of {people}")
    yield " and ".join(parts)


def _warnings(pipelines: Sequence[Pipeline], preview: PreviewCounts | None) -> Iterator[str]:
    """Yield what cannot be undone, and what Customer.io may ignore."""
    counts = allowance_counts(pipelines)
    yield from deletions(counts)
    yield from opt_outs(counts)
    if preview is not None:
        ignored, certainty = sum(preview.conflicts.values()), "will"
    else:
        ignored = sum(
            pipeline.full_check.kinds.affected.get("ignored", 0) for pipeline in pipelines
        )
        certainty = "may"
    if ignored:
        yield f"{many(ignored, 'row')} with changes that Customer.io {certainty} ignore"


def _campaigns(pipelines: Sequence[Pipeline]) -> Iterator[str]:
    """Yield how many events can start campaigns, if there are calls that can."""
    if any(pipeline.call in TRIGGERING for pipeline in pipelines):
        events = allowance_counts(pipelines).campaigns(pipelines[0].clock())
        yield from campaigns(events) if events.total else ("no campaigns",)


def allowance_counts(pipelines: Iterable[Pipeline]) -> AllowanceCounts:
    """Return the counts that need an allowance; after the full check, only of rows that would be sent."""
    return AllowanceCounts.joined(pipeline.before_send.allowances for pipeline in pipelines)


def campaigns(events: CampaignEvents) -> Iterator[str]:
    """Yield which events can start campaigns."""
    for count, why in (
        (events.undated, "counted as happening now"),
        (events.recent, RECENT),
        (events.named, "named in Checks(triggers=...)"),
    ):
        if count:
            yield f"{many(count, 'event')} {why}, which can start campaigns"


def deletions(counts: AllowanceCounts) -> Iterator[str]:
    """Yield how many people and objects are deleted."""
    if counts.deletions:
        acts = many(counts.deletions, "event deletes or suppresses", "events delete or suppress")
        yield f"{acts}, which cannot be undone"


def opt_outs(counts: AllowanceCounts) -> Iterator[str]:
    """Yield how many opt-outs can end."""
    if counts.opt_outs:
        yield f"{many(counts.opt_outs, 'row')} can subscribe people again"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be allowed to send rows to Customer.io: how many of each kind, and what they do."""

    counts: dict[str, int]  # without zeros
    sentences: Mapping[str, str]

    @property
    def argument(self) -> str:
        """What to type to allow it."""
        return f"allow={json.dumps(self.counts)}"


def needs(pipelines: Sequence[Pipeline], preview: PreviewCounts | None = None) -> Needs:
    """Return what sending these plans needs now; merges by identify are those of the last preview."""
    rows = allowance_counts(pipelines)
    events = rows.campaigns(pipelines[0].clock())
    automatic = 0 if preview is None else preview.automatic_merges
    counts = {
        "campaigns": events.total,
        "opt_outs": rows.opt_outs,
        "deletions": rows.deletions,
        "merges": rows.merges + automatic,
    }
    sentences = {
        "campaigns": campaigns(events),
        "opt_outs": opt_outs(rows),
        "deletions": deletions(rows),
        "merges": _merges(rows, preview),
    }
    return Needs(
        counts={kind: count for kind, count in counts.items() if count},
        sentences={kind: "; ".join(sentences[kind]) for kind, count in counts.items() if count},
    )


def allowing(
    pipelines: Sequence[Pipeline],
    preview: PreviewCounts | None = None,
    *,
    client: Client | None = None,
    send_call: str = SEND_CALL,
) -> str:
    """Return the code that sends plans if something has to be allowed, else ""; arguments as for `outcome`.

    `send_call` has {} for the allowances.
    """
    needed = needs(pipelines, preview)
    is_free = not needed.counts or (client is not None and client.is_local)
    return "" if is_free else send_call.format(needed.argument)


def _merges(rows: AllowanceCounts, preview: PreviewCounts | None) -> Iterator[str]:
    if rows.merges:
        merging = many(rows.merges, "alias row merges", "alias rows merge")
        yield f"{merging} people, which cannot be undone"
    if preview is not None and preview.automatic_merges:
        people = many(preview.automatic_merges, "person is", "people are")
        sentence = f"{people} merged by identify, which cannot be undone"
        caveat = " (counted without the people of the workspace; see plan.identity(known=...))"
        yield sentence if preview.is_compared else sentence + caveat
