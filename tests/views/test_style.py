"""The design language: readable on white and on black, and kept by untrusted notebooks."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from cio_frames.views import history, html, markup, progress_state, report, style, summary
from cio_frames.views.document import Document, Heading, Paragraph, Table
from cio_frames.views.findings import GROUPS
from cio_frames.views.progress_state import ProgressState
from cio_frames.views.report import TimelineView
from cio_frames.views.summary import OUTCOMES, STATES, PaceView

PAGES = {"light": "#ffffff", "dark": "#111111"}
INKS = {"light": ("#000000", 0.87), "dark": ("#ffffff", 1.0)}

_LENGTH = r"-?\d+(\.\d+)?(px|em|%)|0"
_COLOUR = r"#[0-9a-f]{6}([0-9a-f]{2})?|transparent"
KEPT = {
    "background-color": r"#[0-9a-f]{6}([0-9a-f]{2})?|transparent",
    "border": rf"none|\d+px solid ({_COLOUR})",
    "border-bottom": rf"\d+px solid ({_COLOUR})",
    "border-collapse": "collapse",
    "border-left": rf"\d+px solid ({_COLOUR})",
    "border-radius": _LENGTH,
    "color": "#[0-9a-f]{6}",
    "cursor": "pointer",
    "display": "block|inline-block",
    "font-family": r"[a-zA-Z-]+(, [a-zA-Z-]+)*",
    "font-size": _LENGTH,
    "font-weight": "600",
    "height": _LENGTH,
    "line-height": r"\d+(\.\d+)?",
    "margin": rf"({_LENGTH})( ({_LENGTH}))*",
    "margin-right": _LENGTH,
    "max-width": rf"none|{_LENGTH}",
    "opacity": r"0\.\d+",
    "overflow-wrap": "break-word",
    "overflow-x": "auto",
    "padding": rf"({_LENGTH})( ({_LENGTH}))*",
    "padding-right": _LENGTH,
    "text-align": "left|right",
    "vertical-align": "top|bottom",
    "white-space": "nowrap|pre-wrap",
    "width": _LENGTH,
}
"""The declarations in use that JupyterLab's sanitizer keeps, with the values it keeps them for."""

EXTRA = {"user-select": "all"}
"""Declarations that it removes from notebooks that somebody else ran, where nothing is lost but a
convenience: what is to be typed is selected by dragging there, as all other text is."""


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _over(ground: str, colour: str, opacity: float) -> str:
    mixed = (
        round(int(colour[i : i + 2], 16) * opacity + int(ground[i : i + 2], 16) * (1 - opacity))
        for i in (1, 3, 5)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


@pytest.mark.parametrize("tone", style.TONES)
def test_words_on_a_badge_are_readable(tone):
    """White on every tone has the contrast that small text needs."""
    assert _contrast(style.ON_TONE, style.TONES[tone]) >= 4.5


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("tone", style.TONES)
def test_shapes_stand_out_from_the_page(tone, page):
    """Every tone, as a bar, an edge or a badge, can be distinguished from a white and a dark page."""
    assert _contrast(style.TONES[tone], PAGES[page]) >= 3


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("opacity", [1.0, style.MUTED_OPACITY])
def test_plain_and_muted_text_is_readable(page, opacity):
    """Text in the colour of its surroundings is readable, on the page and on washed ground."""
    wash, strength = style.WASH[:7], int(style.WASH[7:], 16) / 255
    ink, ink_opacity = INKS[page]
    for ground in (PAGES[page], _over(PAGES[page], wash, strength)):
        assert _contrast(_over(ground, ink, ink_opacity * opacity), ground) >= 4.5


def test_no_single_colour_reads_as_text_on_both_pages():
    """The reason for badges: even the best grey falls short of 4.5 on white or on #111."""
    best = max(
        min(_contrast(grey, page) for page in PAGES.values())
        for grey in (f"#{level:02x}{level:02x}{level:02x}" for level in range(256))
    )

    assert best < 4.5


def test_no_two_meanings_look_alike_without_colour():
    """Every severity, state and outcome differs from the others by its words."""
    for words in (
        [badge.word for _, badge in GROUPS.values()],
        [state.badge.word for state in STATES.values()],
        [badge.word for badge in OUTCOMES.values()],
    ):
        assert len(set(words)) == len(words)


_RUN = {
    **dict.fromkeys(STATES, 0), "run_id": "r", "created": datetime(2026, 1, 1, tzinfo=UTC),
    "endpoint": "e", "state": "finished", "stopped": None, "delivered": 9,
}  # fmt: skip
_TIMES = TimelineView(
    first=datetime(2026, 1, 1, tzinfo=UTC),
    last=datetime(2026, 2, 1, tzinfo=UTC),
    width=timedelta(days=1),
    older=(1, 2),
    recent=(0, 1),
    hours=72,
)
_PACE = PaceView(
    width_s=1.0, rows=(1, 2), waits_s=(0.1, 0.2), longest_s=(0.2, 0.3), retries=(0, 1), mean_s=0.15
)
VIEWS = (
    "report", "summary", "table", "story", "live", "backfill", "payloads", "record", "timeline",
    "pace", "aside",
)  # fmt: skip


@pytest.fixture
def drawn(plan_view, run_view):
    """Every kind of view, drawn."""
    cells = Table(("a", "b"), [(1, "x" * 900)] * 9_000, right={0}, all_rows="all")
    names = ("person_key", "message_id", "payload_hash", "lane", "batch", "attempts")
    others = ("http_status", "code", "error", "first_attempt_at", "finished_at")
    record = {**dict.fromkeys((*names, *others)), "row": 1, "call": "c", "run_id": "r"}
    state = ProgressState(label="l", total=9, retries=1, stopped="why")
    documents = {
        "report": report.plan(plan_view),
        "summary": summary.document(run_view),
        "table": _parts(cells),
        "story": history.explanation({**record, "state": "in_doubt", "bytes": 9}, text="x"),
        "live": progress_state.document(state, advice="stop"),
        "backfill": report.backfill([plan_view, plan_view]),
        "payloads": report.payloads(['{"a":1}'], title="t"),
        "record": history.audit("audit", [_RUN, _RUN], totals=_RUN),
        "timeline": _parts(report.timeline(_TIMES)),
        "pace": _parts(summary.pace(_PACE)),
        "aside": _parts(Paragraph("t", "aside")),
    }
    return {name: html.render(document) for name, document in documents.items()}


def _parts(*nodes):
    return Document(Heading("t"), nodes)


@pytest.mark.parametrize("name", VIEWS)
def test_every_declaration_is_kept_by_an_untrusted_notebook(name, drawn, read):
    """JupyterLab removes declarations that it does not know; none of ours is among them."""
    styles = [dict(attributes).get("style", "") for _, attributes in read(drawn[name]).elements]
    declarations = [item.split(":", 1) for each in styles for item in each.split(";") if item]

    assert declarations
    assert [
        item for item in declarations if not re.fullmatch((KEPT | EXTRA).get(item[0], "-"), item[1])
    ] == []


def test_one_click_selects_what_is_to_be_typed_and_nothing_else(drawn, read):
    """Repairs and next steps are selected whole; codes, columns and values are selected as text is."""
    elements = read(drawn["report"]).elements
    selected = [dict(a) for _, a in elements if "user-select" in dict(a).get("style", "")]
    codes = [dict(a) for tag, a in elements if tag == "code"]

    assert len(selected) == 1 < len(codes)
    assert selected[0]["style"] == style.COMMAND


@pytest.mark.parametrize("name", VIEWS)
def test_views_need_nothing_from_elsewhere(name, drawn, read):
    """No style sheet, link or address from outside, one script of ours; pictures hold their own content."""
    reading = read(drawn[name])

    assert {tag for tag, _ in reading.elements}.isdisjoint({"style", "link", "a", "iframe"})
    assert reading.scripts == [own for own in read(markup._script()).scripts if reading.scripts]
    assert all(not attributes for tag, attributes in reading.elements if tag == "script")
    assert not re.search(
        r"https?:|//|url\(|var\(|@import", re.sub(r"base64,[^\"]*", "", str(drawn[name]))
    )
    assert all(
        dict(attributes)["src"].startswith("data:image/svg+xml;base64,") and dict(attributes)["alt"]
        for tag, attributes in reading.elements
        if tag == "img"
    )
