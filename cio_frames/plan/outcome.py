"""What happens when plans are sent, as one sentence of counts."""

from collections.abc import Iterator, Sequence
from typing import Final

from cio_frames.plan.full_check import TRIGGERING
from cio_frames.plan.pipeline import Pipeline, PreviewCounts
from cio_frames.sending import Client
from cio_frames.spec import HOSTS, LIMITS
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
    """Return where a client sends, as a sentence names it."""
    is_customer_io = any(row.host == client.endpoint for row in HOSTS)
    return (
        f"Customer.io {client.region.upper()}"
        if is_customer_io
        else f"{client.endpoint} on this machine"
    )


def outcome(
    pipelines: Sequence[Pipeline],
    preview: PreviewCounts | None = None,
    *,
    client: Client | None = None,
) -> str:
    """Return what sending comes to: where, people, objects and events, and what needs a second look.

    `preview` is what the last identity preview of the same pipelines came to; without one nobody
    knows who is new. `client` is the last one that the plan was given, if there was one.
    """
    sent = [pipeline for pipeline in pipelines if pipeline.full_check.valid]
    if not sent:
        return ""
    parts = [*_subjects(sent, preview), *_warnings(sent, preview), *_campaigns(sent)]
    excluded = sum(each.full_check.rows - each.full_check.valid for each in pipelines)
    if excluded:
        parts.insert(1, f"{many(excluded, 'row')} excluded")
    text = "; ".join(parts)
    return f"To {destination(client)}: {text}." if client else f"{text[:1].upper()}{text[1:]}."


def _subjects(pipelines: Sequence[Pipeline], preview: PreviewCounts | None) -> Iterator[str]:
    """Yield what each plan sends; the people of a preview are those of all plans."""
    parts = []
    if preview is not None:
        counts = [(preview.summary[name], word) for name, word in PREVIEWED.items()]
        changes = ", ".join(f"{count:,} {word}" for count, word in counts if count)
        compared = "" if preview.is_compared else "compared with an empty workspace, "
        people = preview.summary["creates"] + preview.summary["updates"]
        parts.append(f"{many(people, 'person', 'people')}: {compared}{changes or 'none changed'}")
    for pipeline in pipelines:
        found = pipeline.full_check
        people = many(found.people, "person", "people")
        if pipeline.call == "identify":
            parts += [] if preview else [f"{people} created or updated"]
        elif pipeline.call == "alias":
            merges = many(found.valid, "profile")
            parts += [] if preview else [f"{merges} merged into others, which cannot be undone"]
        elif pipeline.call == "group":
            parts.append(f"{many(found.objects, 'object')} created or updated, with {people}")
        else:
            parts.append(f"{many(found.valid, EVENTS[pipeline.call])} of {people}")
    yield " and ".join(parts)


def _warnings(pipelines: Sequence[Pipeline], preview: PreviewCounts | None) -> Iterator[str]:
    """Yield what cannot be undone, and what does not happen as asked."""
    deletions = sum(pipeline.full_check.deletions for pipeline in pipelines)
    if deletions:
        acts = many(deletions, "event deletes or suppresses", "events delete or suppress")
        yield f"{acts}, which cannot be undone"
    ended = sum(each.full_check.kinds.affected.get("resubscribes", 0) for each in pipelines)
    if ended:
        yield f"{many(ended, 'row')} can subscribe people again"
    if preview is not None:
        ignored, certainty = sum(preview.conflicts.values()), "will"
    else:
        ignored = sum(each.full_check.kinds.affected.get("ignored", 0) for each in pipelines)
        certainty = "may"
    if ignored:
        yield f"{many(ignored, 'row')} with changes that Customer.io {certainty} ignore"


def _campaigns(pipelines: Sequence[Pipeline]) -> Iterator[str]:
    """Yield how many events can start campaigns, of calls that start any."""
    events = [pipeline.full_check for pipeline in pipelines if pipeline.call in TRIGGERING]
    if not events:
        return
    undated = sum(found.undated for found in events)
    recent = sum(found.recent for found in events)
    if undated:
        yield f"{many(undated, 'event')} counted as happening now, which can start campaigns"
    if recent:
        yield f"{many(recent, 'event')} {RECENT}, which can start campaigns"
    if not undated and not recent:
        yield "no campaigns"
