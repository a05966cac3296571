"""What a view is made of, without its looks: `html` and `text` draw every document.

Strings are plain text, from anywhere; nothing in a document is escaped or wrapped yet.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from cio_frames.views.style import Tone
from cio_frames.views.wording import many, number

if TYPE_CHECKING:
    from cio_frames.identity.clusters import Cluster

PAGE_ROWS = 20
"""Rows of a long table that are shown at first."""

Look = Literal["plain", "lead", "apart", "aside", "strong"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word on coloured ground; the word alone says it too."""

    word: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Span:
    """Text within a sentence or a cell."""

    text: str


class Code(Span):
    """Text as it would be typed, or as it stands in the data."""

    __slots__ = ()


class Command(Code):
    """Text to be typed, which one click selects where the front end lets it."""

    __slots__ = ()


class Strong(Span):
    """Text that stands out."""

    __slots__ = ()


class Muted(Span):
    """A word that stands for a value that is not there."""

    __slots__ = ()


class Quoted(Span):
    """Text with words of the data or of a server in it, which may run in another direction."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Saved(Span):
    """Text that saves a CSV file, where the front end lets it."""

    name: str
    content: str


Inline = str | int | Badge | Span


@dataclass(frozen=True, slots=True)
class Heading:
    """What a view is about, in one piece or several, and what was found."""

    title: str
    about: str | tuple[str, ...] = ()
    verdict: Badge | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several."""

    words: Inline | Sequence[Inline]
    look: Look = "plain"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be missed."""

    words: Sequence[Inline]
    tone: Tone


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers that matter most, and a bar whose parts are as long as their counts."""

    pairs: Sequence[tuple[str, str | int]]
    bar: Sequence[tuple[str, int, Tone]] = ()


@dataclass(frozen=True, slots=True)
class Table:
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


@dataclass(frozen=True, slots=True)
class Examples:
    """A few cases, as a table that a notebook folds."""

    table: Table
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences, each on its own."""

    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next: why, and what to type."""

    why: str
    what: str


@dataclass(frozen=True, slots=True)
class Block:
    """Text that keeps its own lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Messages:
    """JSON texts as they are sent; a run may give them message ids of its own."""

    texts: Sequence[str]
    ids_are_final: bool = True

    def title(self, how: str = "") -> str:
        """Return what they are."""
        how = how or ("exactly as sent" if self.ids_are_final else "as sent, except messageId")
        count = "message" if len(self.texts) == 1 else many(len(self.texts), "message")
        return f"First {count}, {how}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the bars of a chart: a value per bar."""

    values: Sequence[float]
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
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


@dataclass(frozen=True, slots=True)
class Pictures:
    """Who hangs together with whom."""

    clusters: "Sequence[Cluster]"


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a whole is done, from 0 to 1, if that is known; and the same in words."""

    done: float | None
    tone: Tone
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
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


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part."""

    title: str
    body: "Sequence[Node]"


@dataclass(frozen=True, slots=True)
class Fold:
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


@dataclass(frozen=True, slots=True)
class Part:
    """A whole report within a report, with a title of several pieces; a notebook folds it."""

    title: tuple[str, ...]
    body: "Sequence[Node]"
    tone: Tone


Node = (
    Heading | Paragraph | Notice | Figures | Table | Examples | Bullets | Step | Block | Messages
    | Chart | Pictures | Meter | Item | Section | Fold | Part
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
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
