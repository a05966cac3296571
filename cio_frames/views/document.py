"""What a view is made of, without its looks: `html` and `text` draw every document.

Strings are plain text, from anywhere; nothing in a document is escaped or wrapped yet.
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
    """A word on coloured ground; the word alone says it too."""

    word: str
    tone: Tone


class Span(msgspec.Struct, frozen=True):
    """Text within a sentence or a cell."""

    text: str


class Code(Span, frozen=True):
    """Text as it would be typed, or as it stands in the data."""


class Command(Code, frozen=True):
    """Text to be typed, which one click selects where the front end lets it."""


class Strong(Span, frozen=True):
    """Text that stands out."""


class Muted(Span, frozen=True):
    """A word that stands for a value that is not there."""


class Quoted(Span, frozen=True):
    """Text with words of the data or of a server in it, which may run in another direction."""


class Saved(Span, frozen=True):
    """Text that saves a CSV file, where the front end lets it."""

    name: str
    content: str


Inline = str | int | Badge | Span


class Heading(msgspec.Struct, frozen=True):
    """What a view is about, in one piece or several, and what was found."""

    title: str
    about: str | tuple[str, ...] = ()
    verdict: Badge | None = None


class Paragraph(msgspec.Struct, frozen=True):
    """A sentence or several."""

    words: Inline | Sequence[Inline]
    look: Look = "plain"


class Notice(msgspec.Struct, frozen=True):
    """A sentence that must not be missed."""

    words: Sequence[Inline]
    tone: Tone


class Figures(msgspec.Struct, frozen=True):
    """The numbers that matter most, and a bar whose parts are as long as their counts."""

    pairs: Sequence[tuple[str, str | int]]
    bar: Sequence[tuple[str, int, Tone]] = ()


class Table(msgspec.Struct, frozen=True):
    """Rows of cells.

    Attributes:
        headers: Titles of the columns.
        rows: One cell per column, in every row.
        right: Positions of the columns that are aligned to the right; the first has the counts.
        bars: Tone of bars that are as long as the counts, if they have any.
        whole: What to type for all rows; with it, a long table is drawn in pages.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Inline]]
    right: Collection[int] = ()
    bars: Tone | None = None
    whole: str = ""

    def rest(self, shown: int) -> str:
        """Return how many rows are not shown, and where they are."""
        left = len(self.rows) - shown
        return f"{many(left, 'more row')} in {self.whole}." if left > 0 else ""


class Examples(msgspec.Struct, frozen=True):
    """A few cases, as a table that a notebook folds."""

    table: Table
    is_open: bool = False


class Bullets(msgspec.Struct, frozen=True):
    """Sentences, each on its own."""

    items: Sequence[str]
    numbered: bool = False


class Step(msgspec.Struct, frozen=True):
    """Something to do next: why, and what to type."""

    why: str
    what: str


class Block(msgspec.Struct, frozen=True):
    """Text that keeps its own lines."""

    text: str


class Messages(msgspec.Struct, frozen=True):
    """JSON texts as they are sent; a run may give them message ids of its own."""

    texts: Sequence[str]
    ids_are_final: bool = True

    def title(self, how: str = "") -> str:
        """Return what they are."""
        how = how or ("exactly as sent" if self.ids_are_final else "as sent, except messageId")
        count = "message" if len(self.texts) == 1 else many(len(self.texts), "message")
        return f"First {count}, {how}"


class Layer(msgspec.Struct, frozen=True):
    """One layer of the bars of a chart: a value per bar."""

    values: Sequence[float]
    tone: Tone


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Bars over time.

    Attributes:
        layers: The layers from the ground up, all with as many values.
        first: Where it begins.
        last: Where it ends.
        alt: What it says, in words.
        bar: How long one bar is, if that is said beneath it.
        mark: Where a line stands across all bars, from 0 to 1.
    """

    layers: Sequence[Layer]
    first: str
    last: str
    alt: str
    bar: timedelta | None = None
    mark: float | None = None


class Pictures(msgspec.Struct, frozen=True):
    """Who hangs together with whom."""

    clusters: Sequence[Any]  # of `identity.clusters`, which is loaded where there are some


class Meter(msgspec.Struct, frozen=True):
    """How much of a whole is done, from 0 to 1, if that is known; and the same in words."""

    done: float | None
    tone: Tone
    alt: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One of many things that were found.

    Attributes:
        badge: What kind of thing it is.
        name: Its name.
        extent: How much it is about.
        body: What it is, what to do, and the evidence.
        brief: What it is in a few words, where a notebook folds the rest.
        share: Its rows, and the most rows that one of the others has, for a bar.
        page: The page of the documentation that tells more about its name.
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
    """A titled part that a reader of a notebook opens.

    Attributes:
        title: What is in it.
        body: The part.
        is_open: Whether a notebook shows it at once.
        is_aside: Whether it is of so little use that text leaves it out.
    """

    title: str
    body: "Sequence[Node]"
    is_open: bool = False
    is_aside: bool = False


class Part(msgspec.Struct, frozen=True):
    """A whole report within a report, with a title of several pieces; a notebook folds it."""

    title: tuple[str, ...]
    body: "Sequence[Node]"
    tone: Tone


Node = (
    Heading | Paragraph | Notice | Figures | Table | Examples | Bullets | Step | Block | Messages
    | Chart | Pictures | Meter | Item | Section | Fold | Part
)  # fmt: skip


class Document(msgspec.Struct, frozen=True):
    """A whole view."""

    heading: Heading
    body: Sequence[Node]


EMPTY = Document(Heading(""), ())


def spans(words: Inline | Sequence[Inline]) -> Sequence[Inline]:
    """Return words as a sequence, also where there is only one piece of them."""
    return (words,) if isinstance(words, str | int | Badge | Span) else words


def plain(word: Inline) -> str:
    """Return a piece of text without its looks, a count with its thousands parted."""
    match word:
        case int():
            return number(word)
        case Badge(word=text) | Span(text=text):
            return text
        case str():
            return word
