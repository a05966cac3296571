"""A progress state in words, for one line of a terminal and for the output of a notebook."""

from cio_frames.views import components, text
from cio_frames.views import style as css
from cio_frames.views.html import Markup, tag
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.style import Tone
from cio_frames.views.wording import duration, many, number, percent, rate


def line(state: ProgressState) -> str:
    """Return the state as one line.

    Examples:
        >>> line(ProgressState(label="track", total=200, phase="sending", counts={"delivered": 50}))
        'Sending track 25 % · 50 of 200 rows'
    """
    share_done = f" {_percent(state)}" if state.total else ""
    return text.joined(title(state) + share_done, *details(state))


def title(state: ProgressState) -> str:
    """Return what the run is doing."""
    if state.stopped:
        return f"Stopping {state.label}" if state.phase != "finished" else f"Stopped {state.label}"
    return f"{'Paused' if state.paused else state.phase.capitalize()} {state.label}"


def details(state: ProgressState) -> tuple[str, ...]:
    """Return how far the run is, how fast, and what is out of the ordinary."""
    return tuple(
        told for told in (_extent(state), _speed(state), _left(state), *troubles(state)) if told
    )


def troubles(state: ProgressState) -> tuple[str, ...]:
    """Return what is out of the ordinary."""
    told = (
        f"{number(state.rejected)} rejected" if state.rejected else "",
        many(state.retries, "retry", "retries") if state.retries else "",
        f"{number(state.in_doubt)} in doubt" if state.in_doubt else "",
        state.held,
        f"waiting {duration(state.wait_s)}: {state.waiting}" if state.wait_s else "",
        state.stopped,
    )
    return tuple(filter(None, told))


def share(state: ProgressState) -> float | None:
    """Return how much is done, from 0 to 1, if the total is known."""
    if not state.total:
        return None
    return min(_seen(state) / state.total, 1.0)


def tone(state: ProgressState) -> Tone:
    """Return how the state looks."""
    if state.stopped:
        return "bad"
    if state.phase == "finished":
        return "good"
    return "care" if state.wait_s or state.in_doubt or state.paused else "calm"


def html(state: ProgressState, *, advice: str = "") -> Markup:
    """Return the state for the output of a notebook.

    Args:
        state: The state.
        advice: A last line, such as how to stop the run.
    """
    done = share(state)
    unknown = tag("div", tag("progress", style=css.METER))
    return components.card(
        heading(state),
        unknown if done is None else components.meter(done, tone=tone(state), alt=_percent(state)),
        report(state, advice=advice),
    )


def heading(state: ProgressState) -> Markup:
    """Return what the run is doing, on one line."""
    return components.head(title(state), about="", verdict=_percent(state), tone=tone(state))


def report(state: ProgressState, *, advice: str = "") -> Markup:
    """Return the details under the bar."""
    odd = troubles(state)
    return tag(
        "div",
        tag(
            "div",
            " · ".join(told for told in (_extent(state), _speed(state), _left(state)) if told),
        ),
        *([tag("div", " · ".join(odd), style=css.STRONG)] if odd else []),
        *([tag("div", advice, style=css.join(css.SMALL, css.MUTED))] if advice else []),
    )


def _seen(state: ProgressState) -> int:
    """Return the rows that the present phase has behind it."""
    return state.planned if state.phase == "checking" else state.done


def _percent(state: ProgressState) -> str:
    """Return how much is done, if the total is known."""
    return percent(_seen(state), state.total or 0)


def _extent(state: ProgressState) -> str:
    """Return how many rows are done, of how many."""
    seen = _seen(state)
    if state.total is None:
        return many(seen, "row")
    return f"{number(seen)} of {many(state.total, 'row')}"


def _speed(state: ProgressState) -> str:
    """Return how fast rows go."""
    return (
        rate(round(state.rows_per_s * 10), seconds=10)
        if state.rows_per_s and not state.paused
        else ""
    )


def _left(state: ProgressState) -> str:
    """Return how long it will take."""
    return f"about {duration(state.left_s)} left" if state.left_s else ""
