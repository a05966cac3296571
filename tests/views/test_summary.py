"""The summary of a run: every row counted, and what to do next."""

from dataclasses import replace
from typing import get_args

import pytest
from inline_snapshot import snapshot

from cio_frames.sending.events import State
from cio_frames.views import html, summary, text
from cio_frames.views.summary import STATES, RunView, next_steps


def _html(view: RunView) -> str:
    return str(html.render(summary.document(view)))


def _text(view: RunView) -> str:
    return text.render(summary.document(view))


def test_the_summary_in_a_notebook(run_view, read):
    """The summary reads from the outcome over the counts to the next steps."""
    assert read(_html(run_view)).outline == snapshot(
        [
            "Run: identify",
            "! finished: 10 rows not sent",
            "run-1 · cdp.customer.io",
            "90 of 100 rows arrived; the rest is broken down below.",
            "rows",
            "100",
            "requests",
            "4",
            "retries",
            "1",
            "size",
            "12 kB",
            "time",
            "2.0 s",
            "speed",
            "48 rows/s",
            "state",
            "rows",
            "share",
            "meaning",
            "✓ delivered",
            "90",
            "90 %",
            "Customer.io accepted the message.",
            "- rejected locally",
            "4",
            "4 %",
            "The checks excluded the row; it was not sent.",
            "✕ rejected by Customer.io",
            "5",
            "5 %",
            "Customer.io refused the message.",
            "? in doubt",
            "1",
            "1 %",
            "Sent, but no clear answer came back.",
            "Why rows did not arrive",
            "code",
            "rows",
            "reason",
            "http.400",
            "5",
            "Too long.",
            "id.missing",
            "4",
            "No id.",
            "Next",
            "To see the rows that did not arrive, with reasons:",
            "run.failed()",
            "The record of every row is in",
            "audit/run-1",
        ]
    )


def test_the_summary_in_a_terminal(run_view):
    """The text says the same as the HTML."""
    assert _text(run_view) == snapshot("""\
Run: identify · run-1 · cdp.customer.io · ! finished: 10 rows not sent

90 of 100 rows arrived; the rest is broken down below.

rows            100
requests          4
retries           1
size          12 kB
time          2.0 s
speed     48 rows/s

state                      rows  share  meaning
✓ delivered                  90   90 %  Customer.io accepted the message.
- rejected locally            4    4 %  The checks excluded the row; it was not sent.
✕ rejected by Customer.io     5    5 %  Customer.io refused the message.
? in doubt                    1    1 %  Sent, but no clear answer came back.

Why rows did not arrive
  code        rows  reason
  http.400       5  Too long.
  id.missing     4  No id.

Next
  To see the rows that did not arrive, with reasons:
    run.failed()
  The record of every row is in
    audit/run-1\
""")


def test_every_state_of_a_row_can_be_shown():
    """No row can be in a state that the summary leaves out."""
    assert set(STATES) == set(get_args(State))


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_shown_with_its_count(run_view, read, state):
    """A state that has rows appears with their number, in both forms."""
    view = replace(run_view, counts={state: 1234}, reasons=())

    assert f"{STATES[state].sign} {STATES[state].label}" in read(_html(view)).outline
    assert "1,234" in read(_html(view)).outline
    assert STATES[state].label in _text(view)


@pytest.mark.parametrize(
    ("outcome", "counts", "word"),
    [
        pytest.param("finished", {"delivered": 2}, "✓ finished", id="finished"),
        pytest.param(
            "finished", {"delivered": 2, "in_doubt": 1}, "! finished: 1 row not sent", id="partly"
        ),
        pytest.param("stopped", {"pending": 2}, "✕ stopped", id="stopped"),
        pytest.param("interrupted", {"pending": 2}, "✕ interrupted", id="interrupted"),
        pytest.param("failed", {"pending": 2}, "✕ failed", id="failed"),
        pytest.param("running", {"pending": 2}, "… running", id="running"),
    ],
)
def test_the_outcome(run_view, read, outcome, counts, word):
    """One word says how the run ended, in both forms."""
    view = replace(run_view, outcome=outcome, counts=counts)

    assert word in read(_html(view)).outline
    assert word in _text(view)


def test_a_stopped_run_says_why_in_red(run_view):
    """The reason of a stop stays in the output, beside a red edge."""
    view = replace(run_view, outcome="stopped", reason="The key is wrong.")

    drawn = str(_html(view))

    assert "The key is wrong." in drawn
    assert "border-left:3px solid #c62f2f" in drawn
    assert "Why: The key is wrong." in _text(view)


@pytest.mark.parametrize(
    ("counts", "outcome", "typed"),
    [
        pytest.param({"delivered": 1}, "finished", ["audit/run-1"], id="all-arrived"),
        pytest.param(
            {"rejected_local": 1}, "finished", ["run.failed()", "audit/run-1"], id="rejected"
        ),
        pytest.param(
            {"pending": 1},
            "stopped",
            ["cio.resume('audit/run-1', client, plan)", "audit/run-1"],
            id="pending",
        ),
        pytest.param(
            {"rejected_server": 1, "blocked": 2},
            "finished",
            ["run.failed()", "plan.send(client, audit='audit')", "audit/run-1"],
            id="blocked",
        ),
        pytest.param({"pending": 1}, "running", [], id="running"),
    ],
)
def test_what_to_do_next(run_view, counts, outcome, typed):
    """The next steps are what can be typed, and only what makes sense."""
    view = replace(run_view, counts=counts, outcome=outcome)

    assert [step.what for step in next_steps(view)] == typed
    assert all(f"  {what}" in _text(view) for what in typed)


def test_a_note_stands_out(run_view):
    """What else is worth knowing is a sentence of its own, in both forms."""
    view = replace(run_view, notes=("The clock is wrong.",))

    assert "The clock is wrong." in str(_html(view))
    assert "Note: The clock is wrong." in _text(view)
    assert "Note:" not in _text(run_view)


def test_an_empty_run_is_no_success_story(run_view, read):
    """A run without rows says so, and divides nothing by nothing."""
    view = replace(run_view, counts={}, reasons=(), elapsed_s=0.0)

    assert "There were no rows to send." in read(_html(view)).outline
    assert "There were no rows to send." in _text(view)
