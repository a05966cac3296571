"""The summary of a run: all rows counted, what went wrong, how fast it was, and the next steps."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from cio_frames.sending.events import ARRIVED
from cio_frames.views.document import (
    Badge,
    Chart,
    Code,
    Document,
    Figures,
    Fold,
    Heading,
    Layer,
    Node,
    Notice,
    Paragraph,
    Quoted,
    Section,
    Step,
    Strong,
    Table,
)
from cio_frames.views.style import Tone
from cio_frames.views.wording import duration, many, number, percent, rate, resume_line, size

Outcome = Literal["running", "finished", "stopped", "interrupted", "failed"]
MIN_BUCKETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """One reason why rows did not arrive: its code, number of rows and sentence."""

    code: str
    rows: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceView:
    """The speed of a run in time buckets.

    Attributes:
        width_s: Seconds per bucket.
        rows: Rows answered per bucket.
        waits_s: Mean response time per bucket.
        longest_s: Maximum response time per bucket.
        retries: Requests repeated per bucket.
        mean_s: Mean response time of the run.
    """

    width_s: float
    rows: tuple[int, ...]
    waits_s: tuple[float, ...]
    longest_s: tuple[float, ...]
    retries: tuple[int, ...]
    mean_s: float

    @property
    def is_long(self) -> bool:
        """Whether there are enough buckets for a chart."""
        return len(self.rows) >= MIN_BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """The content of the summary of a run.

    Attributes:
        run_id: Name of the run.
        call: What was sent.
        host: Where it was sent.
        outcome: How the run ended, or "running".
        reason: Why it ended, if it did not finish.
        counts: Rows by state.
        requests: Requests sent.
        retries: How many of them were repeats.
        bytes: Bytes of the messages sent.
        elapsed_s: How long it took.
        audit: Directory of the audit; empty without one.
        reasons: Why rows did not arrive, in any order.
        pace: The speed, if the run took long enough.
        notes: Further sentences.
        plans: How many plans were sent.
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
    plans: int = 1


@dataclass(frozen=True, slots=True)
class StateView:
    """How a state is shown: a sign, a word, a tone and a sentence."""

    sign: str
    label: str
    tone: Tone
    sentence: str

    @property
    def badge(self) -> Badge:
        """The sign and the label, in the tone."""
        return Badge(f"{self.sign} {self.label}", self.tone)


STATES: dict[str, StateView] = {
    "delivered": StateView("✓", "delivered", "good", "Customer.io accepted the message."),
    "accepted_unverified": StateView(
        "~", "accepted, unverified", "calm",
        "The answer does not prove delivery: strict mode was off, or it was not the documented answer.",
    ),
    "skipped_done": StateView(
        "=", "already delivered", "calm", "Already delivered by an earlier run."
    ),
    "rejected_local": StateView(
        "-", "rejected locally", "care", "The checks excluded the row; it was not sent."
    ),
    "rejected_server": StateView(
        "✕", "rejected by Customer.io", "bad", "Customer.io refused the message."
    ),
    "in_doubt": StateView("?", "in doubt", "bad", "Sent, but no clear answer came back."),
    "blocked": StateView(
        "‖", "blocked", "care", "Held back because an earlier row of the same person was refused."
    ),
    "pending": StateView("…", "pending", "dull", "Not sent."),
}  # fmt: skip
OUTCOMES: dict[Outcome, Badge] = {
    "running": Badge("… running", "calm"),
    "finished": Badge("✓ finished", "good"),
    "stopped": Badge("✕ stopped", "bad"),
    "interrupted": Badge("✕ interrupted", "bad"),
    "failed": Badge("✕ failed", "bad"),
}
_NO_CODE = "no code"
_ANSWERED = ("delivered", "accepted_unverified", "rejected_server")
_FAILED = ("rejected_local", "rejected_server", "blocked", "in_doubt")


def document(view: RunView, *, adapt_advice: Callable[[str], str] = str) -> Document:
    """Return the summary of a run; `adapt_advice` rewrites advice for the command line."""
    heading = Heading(f"Run: {view.call}", (view.run_id, view.host), _verdict(view))
    return Document(heading, list(_body(view, adapt_advice)))


def pace(view: PaceView) -> Fold:
    """Return the speed of a run."""
    speed, response_times = _speed_sentence(view), _response_times(view)
    pairs = list(zip(view.rows, view.retries, strict=True))
    rows = (
        Layer([0 if retries else rows for rows, retries in pairs], "calm"),
        Layer([rows if retries else 0 for rows, retries in pairs], "care"),
    )
    times = zip(view.longest_s, view.waits_s, strict=True)
    answers = (
        Layer(view.waits_s, "dull"),
        Layer([longest - mean for longest, mean in times], "calm"),
    )
    end = duration(len(view.rows) * view.width_s)
    return Fold(
        "Pace",
        [
            Paragraph(speed),
            Chart(layers=rows, first="start", last=end, alt=speed),
            Paragraph(response_times),
            Chart(layers=answers, first="start", last=end, alt=response_times),
        ],
    )


def line(view: RunView) -> str:
    """Return the run in one line, to be shown after its summary.

    Examples:
        >>> line(RunView(run_id="r1", call="track", host="h", outcome="finished",
        ...              counts={"delivered": 2}))
        'Run r1 of track: finished, shown above. All 2 rows arrived.'
    """
    return f"Run {view.run_id} of {view.call}: {view.outcome}, shown above. {_sentence(view)}"


def next_steps(view: RunView) -> list[Step]:
    """Return what to do next.

    Examples:
        >>> view = RunView(run_id="r", call="track", host="h", outcome="finished",
        ...                counts={"delivered": 1, "in_doubt": 0}, audit="audit/r")
        >>> next_steps(view)
        [Step(why='The record of every row is in', what='audit/r')]
    """
    steps: list[Step] = []
    if view.outcome == "running":
        return steps
    if any(view.counts.get(state) for state in _FAILED):
        several = view.plans > 1
        why = f"To see the rows{' of a plan' if several else ''} that did not arrive, with reasons:"
        steps.append(Step(why, "run.failed(plan=0)" if several else "run.failed()"))
    if view.counts.get("blocked") and view.audit:
        steps.append(
            Step(
                "To send the rows that were held back, correct the refused rows, then:",
                _send_again(view),
            )
        )
    has_rest = view.counts.get("pending") or (
        view.outcome == "stopped" and view.counts.get("in_doubt")
    )
    if has_rest and view.audit:
        steps.append(
            Step("To send the rest without repeating what arrived:", resume_line(view.audit))
        )
    if view.audit:
        steps.append(Step("The record of every row is in", view.audit))
    return steps


def _send_again(view: RunView) -> str:
    return f"plan.send(client, audit={str(PurePath(view.audit).parent)!r})"


def _verdict(view: RunView) -> Badge:
    if view.outcome == "finished" and _missing(view):
        return Badge(f"! finished: {many(_missing(view), 'row')} not sent", "care")
    return OUTCOMES[view.outcome]


def _missing(view: RunView) -> int:
    """Return how many rows have not certainly arrived."""
    return sum(count for state, count in view.counts.items() if state not in ARRIVED)


def _sentence(view: RunView) -> str:
    rows = sum(view.counts.values())
    if not rows:
        return "There were no rows to send."
    missing = _missing(view)
    if missing and view.outcome == "running":
        return f"{number(rows - missing)} of {many(rows, 'row')} arrived so far."
    if not missing:
        return f"All {many(rows, 'row')} arrived." if rows > 1 else "The row arrived."
    return (
        f"{number(rows - missing)} of {many(rows, 'row')} arrived; the rest is broken down below."
    )


def _body(view: RunView, adapt_advice: Callable[[str], str]) -> Iterator[Node]:
    present = [(STATES[state], view.counts[state]) for state in STATES if view.counts.get(state)]
    rows = sum(view.counts.values())
    yield Paragraph(_sentence(view), "lead")
    if view.reason:
        reason = (Strong("Why: "), Quoted(adapt_advice(view.reason)))
        yield Notice(reason, _verdict(view).tone)
    for note in view.notes:
        yield Notice((Strong("Note: "), Quoted(adapt_advice(note))), "care")
    yield Figures(
        _figures(view), bar=[(state.label, count, state.tone) for state, count in present]
    )
    states = [
        (state.badge, count, percent(count, rows), state.sentence) for state, count in present
    ]
    yield Table(("state", "rows", "share", "meaning"), states, right={1, 2})
    if view.reasons:
        reasons = [
            (
                Code(reason.code or _NO_CODE),
                reason.rows,
                _reason_text(reason, view=view, adapt_advice=adapt_advice),
            )
            for reason in sorted(view.reasons, key=lambda reason: (-reason.rows, reason.code))
        ]
        table = Table(("code", "rows", "reason"), reasons, right={1}, bars="care")
        yield Section("Why rows did not arrive", [table])
    if view.pace:
        yield pace(view.pace)
    steps = [Step(step.why, adapt_advice(step.what)) for step in next_steps(view)]
    if steps:
        yield Section("Next", steps)


def _reason_text(reason: ReasonView, *, view: RunView, adapt_advice: Callable[[str], str]) -> str:
    """Return why rows did not arrive; what stopped the run is above already."""
    return (
        "See above: it stopped the run."
        if reason.sentence == view.reason
        else adapt_advice(reason.sentence)
    )


def _figures(view: RunView) -> list[tuple[str, str | int]]:
    answered = sum(view.counts.get(state, 0) for state in _ANSWERED)
    return [
        ("rows", sum(view.counts.values())),
        ("requests", view.requests),
        ("retries", view.retries),
        ("size", size(view.bytes)),
        ("time", duration(view.elapsed_s)),
        ("speed", rate(answered, seconds=view.elapsed_s if answered else 0.0)),
    ]


def _speed_sentence(view: PaceView) -> str:
    best = rate(max(view.rows), seconds=view.width_s)
    mean = rate(sum(view.rows), seconds=len(view.rows) * view.width_s)
    repeated = sum(view.retries)
    sentence = f"Rows answered: {mean} on average, {best} at peak."
    if not repeated:
        return sentence
    return f"{sentence} {many(repeated, 'request')} had to be repeated."


def _response_times(view: PaceView) -> str:
    return (
        f"Response time: {_seconds(view.mean_s)} on average, "
        f"{_seconds(max(view.longest_s))} at most."
    )


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{round(seconds * 1000)} ms"
