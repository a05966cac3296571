"""What the tests of the views share: hostile texts, example views, and a reader of HTML."""

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from cio_frames.views.findings import Example, FindingView
from cio_frames.views.report import PlanView
from cio_frames.views.summary import ReasonView, RunView

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<IMG SRC=javascript:alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "` onclick=alert(1) `",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "<object data=data:text/html,<script>alert(1)</script>>",
    "<embed src=//example.test/x.swf>",
    "<link rel=stylesheet href=//example.test/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import '//example.test/x.css';</style>",
    "<meta http-equiv=refresh content='0;url=//example.test'>",
    "<base href=//example.test/>",
    "<form action=//example.test><input name=key></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<!-- comment -->",
    "-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><x/>",
    "<!DOCTYPE html>",
    "</td></tr></table><script>alert(1)</script>",
    "</div></div></div>",
    "</details></summary>",
    "<template><script>alert(1)</script></template>",
    "<x onclick=alert(1)>",
    "<<script>alert(1)//<</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<\u017fcript>alert(1)</\u017fcript>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;",
    "&#60;script&#62;",
    "&#x3c;b&#x3e;",
    "&nbsp;&copy;&notanentity;",
    "&",
    "<",
    ">",
    '"',
    "'",
    "`",
    "javascript:alert(1)",
    "expression(alert(1));behavior:url(x)",
    "red;background:url(//example.test/x)",
    "}</style><script>alert(1)</script>",
    "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}",
    "$$\\href{javascript:alert(1)}{x}$$",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "a\x00b",
    "<\x00script>alert(1)</script>",
    "a\x08\x08\x08b",
    "over\rwritten",
    "one\r\ntwo",
    "one\ntwo\tthree",
    "\x85\x9b31m",
    "\u202etxt.exe",
    "\u2066isolated\u2069",
    "\u200bzero\ufeffwidth\u2060",
    "line\u2028separator\u2029",
    "\ud800 lone surrogate",
    "\ufffe\uffff",
    "\U000e0041\U000e0042",
    "u1\u200d",
    "\U0001f469\u200d\U0001f4bb",
    "مرحبا",
    "日本語",
    "e\u0301",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    " leading and trailing ",
)


@pytest.fixture(params=HOSTILE, ids=lambda text: ascii(text)[1:40])
def hostile(request: pytest.FixtureRequest) -> str:
    """One of many texts that try to be more than text."""
    return request.param


class Reading(HTMLParser):
    """What a browser would make of HTML: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.chunks: list[str] = []
        self.scripts: list[str] = []
        self.other: list[str] = []
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """All text, as it stands."""
        return "".join(self.chunks)

    @property
    def outline(self) -> list[str]:
        """The pieces of text, one after the other."""
        return [chunk.strip() for chunk in self.chunks if chunk.strip()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a piece of text, and apart from it a script, which nobody reads."""
        is_script = bool(self.elements) and self.elements[-1][0] == "script"
        (self.scripts if is_script and self.cdata_elem else self.chunks).append(data)

    def handle_comment(self, data: str) -> None:
        """Keep a comment."""
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        """Keep a declaration."""
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        """Keep an instruction."""
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        """Keep whatever else there is."""
        self.other.append(data)


@pytest.fixture
def read() -> Callable[[object], Reading]:
    """Read HTML as a browser would."""
    return lambda markup: Reading(str(markup))


@pytest.fixture
def plan_view() -> PlanView:
    """A plan with one finding of every severity."""
    return PlanView(
        call="identify",
        source="people.csv",
        rows=5000,
        valid=4981,
        rejected=19,
        bytes=1_843_220,
        batches=5,
        mapping=(
            {"field": "userId", "column": "id", "how": "named", "reason": ""},
            {"field": "traits.createdAt", "column": "made", "how": "proposed", "reason": "a time"},
        ),
        findings=(
            FindingView(
                severity="info", code="time.naive", rows=5000, sentence="No zone.", hint="Say it."
            ),
            FindingView(
                severity="warn",
                code="id.float",
                rows=4981,
                sentence="Decimal ids.",
                hint="Read as text.",
                consequence="New people appear.",
                examples=(Example(row=1200, column="id", value="123.0"),),
                fix="plan.fix('id.float')",
            ),
            FindingView(
                severity="reject", code="id.missing", rows=4, sentence="No id.", hint="Add one."
            ),
            FindingView(
                severity="reject",
                code="email.invalid",
                rows=15,
                sentence="Bad.",
                hint="Correct it.",
            ),
            FindingView(
                severity="refuse",
                code="sensitive.card",
                rows=0,
                sentence="Card numbers.",
                hint="Drop the column.",
                examples=(Example(row=3, column="note", value=""),),
            ),
        ),
        payloads=('{"type":"identify"}',),
        notes=("Dates were read.",),
    )


@pytest.fixture
def run_view() -> RunView:
    """A run that finished, though not with every row."""
    return RunView(
        run_id="run-1",
        call="identify",
        host="cdp.customer.io",
        outcome="finished",
        counts={"delivered": 90, "rejected_local": 4, "rejected_server": 5, "in_doubt": 1},
        requests=4,
        retries=1,
        bytes=12_345,
        elapsed_s=2.0,
        audit="audit/run-1",
        reasons=(
            ReasonView(code="id.missing", rows=4, sentence="No id."),
            ReasonView(code="http.400", rows=5, sentence="Too long."),
        ),
    )
