"""What became of a run: every row counted, what went wrong, and what to do next."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from cio_frames.views import charts, components, pace
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Markup, tag
from cio_frames.views.pace import PaceView
from cio_frames.views.states import STATES
from cio_frames.views.style import Tone
from cio_frames.views.wording import duration, many, number, percent, rate, size

Outcome = Literal["running", "finished", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """Why rows did not arrive: one code, how many rows, and the words for it."""

    code: str
    rows: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as plain values.

    Attributes:
        run_id: Name of the run.
        call: What was sent.
        host: Where it was sent.
        outcome: How the run ended, or that it has not.
        reason: Why it ended, if it did not finish.
        counts: Rows by state.
        requests: Requests made.
        retries: How many of them were repeats.
        bytes: Bytes of the messages sent.
        elapsed_s: How long it took.
        audit: Directory of the audit; empty without one.
        reasons: Why rows did not arrive, in any order.
        pace: How fast it went, if it took long enough to tell.
        notes: What else is worth knowing, in sentences.
    """

    run_id: str
    call: str
    host: str
    outcome: Outcome
    counts: Mapping[str, int]
    reason: str = ""
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    elapsed_s: float = 0.0
    audit: str = ""
    reasons: tuple[ReasonView, ...] = field(default=())
    pace: PaceView | None = None
    notes: tuple[str, ...] = ()


_OUTCOMES: dict[Outcome, tuple[str, Tone]] = {
    "running": ("… running", "calm"),
    "finished": ("✓ finished", "good"),
    "stopped": ("✕ stopped", "bad"),
    "interrupted": ("✕ interrupted", "bad"),
    "failed": ("✕ failed", "bad"),
}
_NO_CODE = "no code"
_ANSWERED = ("delivered", "accepted_unverified", "rejected_server")
_FAILED = ("rejected_local", "rejected_server", "blocked", "in_doubt")


def html(view: RunView) -> Markup:
    """Return the summary for a notebook. It is static: it stays when the notebook is saved."""
    word, tone = _verdict(view)
    bars = [(STATES[state].label, count, STATES[state].tone) for state, count in _present(view)]
    return components.card(
        components.head(
            f"Run: {view.call}", about=f"{view.run_id} · {view.host}", verdict=word, tone=tone
        ),
        components.sentence(_sentence(view), style=css.LEAD),
        *_stop_reason(view, tone),
        *(_notice("Note: ", note, tone="care") for note in view.notes),
        components.figures(_figures(view)),
        components.bar(bars),
        components.grid(("state", "rows", "share", "meaning"), _state_rows(view), right={1, 2}),
        *_reasons(view.reasons),
        *([pace.html(view.pace)] if view.pace else []),
        *_next_steps(view),
    )


def text(view: RunView, *, words: Callable[[str], str] = str) -> str:
    """Return the summary for a terminal.

    Args:
        view: The run.
        words: Puts advice in the words of where it is shown.
    """
    word, _ = _verdict(view)
    states = [
        (plain.mark(f"{_sign(state)} {_label(state)}"), number(count))
        for state, count in _present(view)
    ]
    blocks = [
        plain.head(f"Run: {view.call}", view.run_id, view.host, verdict=word),
        plain.paragraph(_sentence(view)),
        *([plain.paragraph(words(f"Why: {view.reason}"))] if view.reason else []),
        *(plain.paragraph(words(f"Note: {note}")) for note in view.notes),
        plain.columns((), states, right={1}),
        plain.columns((), _figures(view), right={1}),
    ]
    if view.reasons:
        rows = [
            (item.code or _NO_CODE, number(item.rows), words(item.sentence))
            for item in _sorted(view.reasons)
        ]
        blocks.append(plain.columns(("reason", "rows", "said"), rows, right={1}))
    blocks += [pace.text(view.pace)] if view.pace else []
    steps = (
        f"{plain.paragraph(why)}\n{plain.block(words(what))}" for why, what in next_steps(view)
    )
    return plain.page([*blocks, "\n".join(steps)])


def line(view: RunView) -> str:
    """Return the run in one line, for a reader who sees the whole already.

    Examples:
        >>> line(RunView(run_id="r1", call="track", host="h", outcome="finished",
        ...              counts={"delivered": 2}))
        'Run r1 of track: finished, shown above. All 2 rows arrived.'
    """
    return f"Run {view.run_id} of {view.call}: {view.outcome}, shown above. {_sentence(view)}"


def aside(told: str) -> Markup:
    """Return a line that stands back."""
    return tag("div", told, style=css.join(css.SMALL, css.MUTED))


def next_steps(view: RunView) -> list[tuple[str, str]]:
    """Return what to do next: a sentence and what to type.

    Examples:
        >>> view = RunView(run_id="r", call="track", host="h", outcome="finished",
        ...                counts={"delivered": 1, "in_doubt": 0}, audit="audit/r")
        >>> next_steps(view)
        [('The record of every row is in', 'audit/r')]
    """
    steps: list[tuple[str, str]] = []
    if view.outcome == "running":
        return steps
    if any(view.counts.get(state) for state in _FAILED):
        steps.append(("The rows that did not arrive, with reasons:", "run.failed()"))
    if view.counts.get("blocked") and view.audit:
        steps.append(("Correct the refused rows, then send what they hold back:", _again(view)))
    if view.counts.get("pending") and view.audit:
        steps.append(("Send the rest, without repeating what arrived:", _resume(view.audit)))
    if view.audit:
        steps.append(("The record of every row is in", view.audit))
    return steps


def _again(view: RunView) -> str:
    return f"plan.send(client, audit={str(PurePath(view.audit).parent)!r})"


def _resume(audit: str) -> str:
    return f"cio.resume({audit!r}, client)"


def _verdict(view: RunView) -> tuple[str, Tone]:
    """Return how the run ended, as a word and a tone."""
    if view.outcome == "finished" and _missing(view):
        return "! finished, not all rows", "care"
    return _OUTCOMES[view.outcome]


def _missing(view: RunView) -> int:
    """Return how many rows are not known to have arrived."""
    arrived = ("delivered", "accepted_unverified", "skipped_done")
    return sum(count for state, count in view.counts.items() if state not in arrived)


def _sentence(view: RunView) -> str:
    """Return the outcome in a sentence."""
    rows = sum(view.counts.values())
    if not rows:
        return "There was no row to send."
    missing = _missing(view)
    if missing and view.outcome == "running":
        return f"{number(rows - missing)} of {many(rows, 'row')} arrived so far."
    if not missing:
        return f"All {many(rows, 'row')} arrived." if rows > 1 else "The row arrived."
    return f"{number(rows - missing)} of {many(rows, 'row')} arrived; every other one is counted below."


def _stop_reason(view: RunView, tone: Tone) -> list[Markup]:
    """Return why the run ended early."""
    return [_notice("Why: ", view.reason, tone=tone)] if view.reason else []


def _notice(head: str, words: str, *, tone: Tone) -> Markup:
    """Return a sentence that stands out."""
    told = components.sentence(tag("strong", head), tag("bdi", words))
    return tag("div", told, style=css.join(css.NOTICE, css.edge(tone)))


def _figures(view: RunView) -> list[tuple[str, str]]:
    """Return the numbers that matter most."""
    answered = sum(view.counts.get(state, 0) for state in _ANSWERED)
    return [
        ("rows", number(sum(view.counts.values()))),
        ("requests", number(view.requests)),
        ("retries", number(view.retries)),
        ("size", size(view.bytes)),
        ("time", duration(view.elapsed_s)),
        ("speed", rate(answered, seconds=view.elapsed_s if answered else 0.0)),
    ]


def _present(view: RunView) -> list[tuple[str, int]]:
    """Return the states that have rows, in the order of `STATES`."""
    return [(state, view.counts[state]) for state in STATES if view.counts.get(state)]


def _state_rows(view: RunView) -> list[tuple[Markup, str, str, str]]:
    """Return a line for every state that has rows."""
    rows = sum(view.counts.values())
    return [
        (
            components.badge(f"{_sign(state)} {_label(state)}", tone=STATES[state].tone),
            number(count),
            percent(count, rows),
            STATES[state].sentence,
        )
        for state, count in _present(view)
    ]


def _sign(state: str) -> str:
    return STATES[state].sign


def _label(state: str) -> str:
    return STATES[state].label


def _sorted(reasons: Iterable[ReasonView]) -> list[ReasonView]:
    """Return the reasons, the most frequent first."""
    return sorted(reasons, key=lambda reason: (-reason.rows, reason.code))


def _reasons(reasons: tuple[ReasonView, ...]) -> list[Markup]:
    """Return why rows did not arrive."""
    if not reasons:
        return []
    most = max(item.rows for item in reasons)
    rows = [
        (
            components.code(item.code or _NO_CODE),
            number(item.rows),
            charts.share(item.rows, most=most, tone="care"),
            item.sentence,
        )
        for item in _sorted(reasons)
    ]
    table = components.grid(("code", "rows", "", "said"), rows, right={1})
    return [components.section("Why rows did not arrive", table)]


def _next_steps(view: RunView) -> list[Markup]:
    """Return what to do next."""
    lines = [components.sentence(why, " ", components.code(what)) for why, what in next_steps(view)]
    return [components.section("Next", *lines)] if lines else []
