"""How the states of rows are shown: a sign, a word, a sentence and a tone."""

from dataclasses import dataclass

from cio_frames.views.style import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """How a state of rows is shown."""

    sign: str
    label: str
    sentence: str
    tone: Tone


STATES: dict[str, StateView] = {
    "delivered": StateView(
        sign="✓", label="delivered", tone="good", sentence="Customer.io accepted the message."
    ),
    "accepted_unverified": StateView(
        sign="~",
        label="accepted, unverified",
        tone="calm",
        sentence="The answer proves nothing: strict mode was off, or it was not the documented one.",
    ),
    "skipped_done": StateView(
        sign="=",
        label="skipped, done before",
        tone="calm",
        sentence="An earlier run delivered the same row.",
    ),
    "rejected_local": StateView(
        sign="-",
        label="rejected locally",
        tone="care",
        sentence="The checks rejected the row; it was not sent.",
    ),
    "rejected_server": StateView(
        sign="✕",
        label="rejected by server",
        tone="bad",
        sentence="Customer.io refused the message.",
    ),
    "in_doubt": StateView(
        sign="?", label="in doubt", tone="bad", sentence="Sent, but no answer came back."
    ),
    "blocked": StateView(
        sign="‖",
        label="blocked",
        tone="care",
        sentence="Held back: an earlier row of the same person was refused.",
    ),
    "pending": StateView(sign="…", label="pending", tone="dull", sentence="Not sent."),
}
