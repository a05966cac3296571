"""The parts of a view without their appearance: `html`, `text` and `markdown` render documents.

Strings are plain text from any source; nothing in a document is escaped or wrapped yet.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec

from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number

PAGE_ROWS = 20
"""Rows of a long table that are shown at first."""

Look = Literal["plain", "lead", "apart", "aside", "strong"]


class Badge(msgspec.Struct, frozen=True):
    """A word on a coloured background; the word is clear without the colour."""

    word: str
    tone: Tone


class Span(msgspec.Struct, frozen=True):
    """Text within a sentence or a cell."""

    text: str


class Code(Span, frozen=True):
    """Text to be typed, or text of the data."""


class Command(Code, frozen=True):
    """Text to be typed, which one click selects if the front end allows it."""


class Strong(Span, frozen=True):
    """Emphasised text."""


class Muted(Span, frozen=True):
    """A word in place of a missing value."""


class Quoted(Span, frozen=True):
    """Text with words of the data or of a server, which may have another writing direction."""


class Saved(Span, frozen=True):
    """A link that saves a CSV file if the front end allows it."""

    name: str
    content: str


Inline = str | int | Badge | Span


class Heading(msgspec.Struct, frozen=True):
    """The title of a view, its subject in one piece or several, and the verdict."""

    title: str
    about: str | tuple[str, ...] = ()
    verdict: Badge | None = None


class Paragraph(msgspec.Struct, frozen=True):
    """One or more sentences."""

    words: Inline | Sequence[Inline]
    look: Look = "plain"


class Notice(msgspec.Struct, frozen=True):
    """A highlighted sentence."""

    words: Sequence[Inline]
    tone: Tone


class Figures(msgspec.Struct, frozen=True):
    """The most important numbers, and a bar with parts in proportion to their counts."""

    pairs: Sequence[tuple[str, str | int]]
    bar: Sequence[tuple[str, int, Tone]] = ()


class Table(msgspec.Struct, frozen=True):
    """Rows of cells.

    Attributes:
        headers: Titles of the columns.
        rows: One cell per column, in every row.
        right: Positions of the columns that are aligned to the right; the first has the counts.
        bars: Tone of the bars for the counts, if there are bars.
        all_rows: What to type for all rows; with it, a long table is shown in pages.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Inline]]
    right: Collection[int] = ()
    bars: Tone | None = None
    all_rows: str = ""

    def rest(self, shown: int) -> str:
        """Return the sentence about the rows that are not shown."""
        count = len(self.rows) - shown
        return f"{many(count, 'more row')} in {self.all_rows}." if count > 0 else ""


class Examples(msgspec.Struct, frozen=True):
    """A table of examples, which a notebook folds."""

    table: Table
    is_open: bool = False


class Bullets(msgspec.Struct, frozen=True):
    """A list of sentences."""

    items: Sequence[str]
    numbered: bool = False


class Step(msgspec.Struct, frozen=True):
    """A next step: why, and what to type."""

    why: str
    what: str


class Block(msgspec.Struct, frozen=True):
    """Text that keeps its own lines."""

    text: str


class Messages(msgspec.Struct, frozen=True):
    """JSON texts as they are sent, except that a run may use its own message ids."""

    texts: Sequence[str]
    ids_are_final: bool = True

    def title(self, form: str = "") -> str:
        """Return the title, with the form in which the messages are shown."""
        form = form or ("exactly as sent" if self.ids_are_final else "as sent, except messageId")
        count = "message" if len(self.texts) == 1 else many(len(self.texts), "message")
        return f"First {count}, {form}"


class Layer(msgspec.Struct, frozen=True):
    """One layer of a bar chart: a value per bar."""

    values: Sequence[float]
    tone: Tone


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Bars over time.

    Attributes:
        layers: The layers from bottom to top, all with the same number of values.
        first: The label of the start.
        last: The label of the end.
        alt: The content in words.
        bar: The time that one bar covers, if that is shown below.
        mark: The position of a vertical line, from 0 to 1.
    """

    layers: Sequence[Layer]
    first: str
    last: str
    alt: str
    bar: timedelta | None = None
    mark: float | None = None


class ClusterGraphs(msgspec.Struct, frozen=True):
    """Graphs of linked identifiers."""

    clusters: Sequence[Any]  # of `identity.clusters`, which is not loaded without graphs


class Meter(msgspec.Struct, frozen=True):
    """The share that is done, from 0 to 1, or None if unknown; and the same in words."""

    done: float | None
    tone: Tone
    alt: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a list.

    Attributes:
        badge: Its kind.
        name: Its name.
        extent: How many rows it concerns.
        body: What it is, what to do, and examples.
        brief: A short form of the body; with it, a notebook folds the body.
        share: Its rows, and the maximum rows of the list, for a bar.
        page: The page of the documentation about it.
    """

    badge: Badge
    name: str
    extent: str
    body: "Sequence[Node]"
    brief: str = ""
    share: tuple[int, int] = (0, 0)
    page: str = ""


class Section(msgspec.Struct, frozen=True):
    """A titled part."""

    title: str
    body: "Sequence[Node]"


class Fold(msgspec.Struct, frozen=True):
    """A titled part that notebooks fold.

    Attributes:
        title: Its title.
        body: Its content.
        is_open: Whether it is open at first.
        is_html_only: Whether text leaves it out.
    """

    title: str
    body: "Sequence[Node]"
    is_open: bool = False
    is_html_only: bool = False


class Part(msgspec.Struct, frozen=True):
    """A report within a report, with a title of several pieces; a notebook folds it."""

    title: tuple[str, ...]
    body: "Sequence[Node]"
    tone: Tone


Node = (
    Heading | Paragraph | Notice | Figures | Table | Examples | Bullets | Step | Block | Messages
    | Chart | ClusterGraphs | Meter | Item | Section | Fold | Part
)  # fmt: skip


class Document(msgspec.Struct, frozen=True):
    """A complete view."""

    heading: Heading
    body: Sequence[Node]


EMPTY = Document(Heading(""), ())


def spans(words: Inline | Sequence[Inline]) -> Sequence[Inline]:
    """Return the words as a sequence, even if there is only one."""
    return (words,) if isinstance(words, str | int | Badge | Span) else words


def text_of(word: Inline) -> str:
    """Return a piece of text without its markup, and a count with thousands separators."""
    match word:
        case int():
            return number(word)
        case Badge(word=text) | Span(text=text):
            return text
        case str():
            return word
