"""The story of one row: what happened to it, in sentences, and what is known about it."""

from dataclasses import dataclass

from cio_frames.views import components
from cio_frames.views.html import Markup, tag
from cio_frames.views.states import STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryView:
    """One row's way as plain values.

    Attributes:
        title: Which row this is about.
        source: Which run or audit tells it.
        state: What became of it, one of the states of rows.
        told: What happened, in sentences.
        facts: What is known about it, each with its name.
    """

    title: str
    source: str
    state: str
    told: str
    facts: tuple[tuple[str, str], ...] = ()


def html(view: StoryView) -> Markup:
    """Return the story for a notebook."""
    shown = STATES[view.state]
    facts = [(name, components.code(value)) for name, value in view.facts]
    return components.card(
        components.head(
            view.title, about=view.source, verdict=f"{shown.sign} {shown.label}", tone=shown.tone
        ),
        components.sentence(tag("bdi", view.told)),
        *(
            [components.fold("Known about it", components.grid(("what", "value"), facts))]
            if facts
            else []
        ),
    )
