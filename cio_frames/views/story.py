"""The story of one row: what is known about it, and what happened to it, in sentences."""

from dataclasses import dataclass

from cio_frames.views import parts
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup, join, tag
from cio_frames.views.states import STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryView:
    """One row's way as plain values.

    Attributes:
        title: Which row this is about.
        source: Which run or audit tells it.
        state: What became of it, one of the states of rows.
        facts: What is known about it, each with its name.
        events: What happened, in order, each with its time.
    """

    title: str
    source: str
    state: str
    facts: tuple[tuple[str, str], ...] = ()
    events: tuple[tuple[str, str], ...] = ()


def html(view: StoryView) -> Markup:
    """Return the story for a notebook."""
    shown = STATES[view.state]
    facts = [(name, parts.code(value)) for name, value in view.facts]
    told = tag("ol", join(_event(*event) for event in view.events), style=css.LIST)
    return parts.card(
        parts.head(
            view.title, about=view.source, verdict=f"{shown.sign} {shown.label}", tone=shown.tone
        ),
        parts.sentence(shown.sentence, style=css.LEAD),
        *([parts.section("What happened", told)] if view.events else []),
        *([parts.section("Known about it", parts.grid(("what", "value"), facts))] if facts else []),
    )


def text(view: StoryView) -> str:
    """Return the story for a terminal."""
    shown = STATES[view.state]
    blocks = [
        plain.paragraph(f"{view.title} · {view.source} · {shown.sign} {shown.label}"),
        plain.paragraph(shown.sentence),
        plain.columns((), view.events),
        plain.columns((), view.facts),
    ]
    return "\n\n".join(block for block in blocks if block)


def _event(time: str, sentence: str) -> Markup:
    """Return one thing that happened."""
    return tag("li", tag("span", time, style=css.MUTED), " ", tag("bdi", sentence))
