"""Documents as text for terminals and `print`: aligned columns and wrapped sentences, no colours.

Every text is made here, of characters that the output takes, in lines that fit into it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import singledispatch
from itertools import zip_longest
from typing import TextIO

import msgspec

from cio_frames.views import charts
from cio_frames.views.characters import cells, one_line, shortened, visible
from cio_frames.views.document import (
    PAGE_ROWS,
    Badge,
    Block,
    Bullets,
    Chart,
    Document,
    Examples,
    Figures,
    Fold,
    Heading,
    Inline,
    Item,
    Messages,
    Meter,
    Muted,
    Node,
    Notice,
    Paragraph,
    Part,
    Pictures,
    Section,
    Step,
    Table,
    plain,
    spans,
)
from cio_frames.views.environment import output, output_of

WIDTH = 96
"""Places of a line of words, also where a line has more."""

_METER = 20
_LEAST_PLACES = 16
"""Words in a column are not squeezed further; where that is not enough, rows become lists."""

_GAP = "  "
_PICTURE = "␛"
_MARKS = {"✓": "OK", "✕": "X", "○": "o", "‖": "#", "…": "...", "·": "|"}
"""Our own marks, and what stands for them in an output that does not take them."""

_NAMED = re.compile(r'( *)("(?:[^"\\]|\\.)*":) (.+)')
_SHELL_WORD = re.compile(r"""(?:--[\w-]+ (?!-))?(?:"[^"]*"|\S)+""")  # with an option its value


def render(document: Document) -> str:
    """Return a view: its parts, an empty line between them."""
    return page(_blocks((document.heading, *document.body)))


def drawn(nodes: Iterable[Node], *, indent: str = "") -> str:
    """Return parts of a view below each other, every line indented."""
    return "\n".join(filter(None, (_node(node, indent) for node in nodes)))


def page(blocks: Iterable[str]) -> str:
    """Return a whole text: its blocks, an empty line between them."""
    return output().escaped("\n\n".join(filter(None, blocks)))


def joined(*parts: str) -> str:
    """Return short pieces beside each other, a dot between them."""
    return f" {mark('·')} ".join(parts)


def mark(words: str) -> str:
    """Return words of our own that may begin with a mark, with one that the output takes."""
    return words if output().takes(words) else _MARKS[words[0]] + words[1:]


def columns(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    indent: str = "",
) -> str:
    """Return aligned columns; where they do not fit beside each other, every row becomes a list.

    Args:
        headers: Titles of the columns; without any, only the rows are returned.
        rows: One text per column, in every row.
        right: Positions of the columns that are aligned to the right.
        indent: What every line begins with.

    Returns:
        Lines without a line feed at the end.

    Examples:
        >>> print(columns(["state", "rows"], [["delivered", "9"], ["pending", "10"]], right={1}))
        state      rows
        delivered     9
        pending      10
    """
    lines = [[_shown(cell) for cell in row] for row in ([headers] if headers else []) + [*rows]]
    if not lines:
        return ""
    widths = _widths(lines, indent=indent)
    if widths is None:
        return "\n".join(_listed(headers, row, indent=indent) for row in rows)
    return "\n".join(
        f"{indent}{drawn}".rstrip() for line in lines for drawn in _row(line, widths, right=right)
    )


def paragraph(text: str, *, indent: str = "", hanging: str | None = None) -> str:
    """Return a sentence wrapped to the width, every line indented.

    Args:
        text: The sentence.
        indent: What the lines begin with.
        hanging: What every line but the first begins with, if that is something else.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(columns=10)):
        ...     print(paragraph("one two three", indent="  "))
          one two
          three
    """
    first, rest = indent, indent if hanging is None else hanging
    words = _shown(text).split(" ")
    lines = _wrapped(words, first=_places(first), rest=_places(rest))
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])])


def block(text: str, *, indent: str = "  ") -> str:
    """Return text that has its own lines, every line indented; those that are too long are broken."""
    return "\n".join(_fitted(line, indent=indent) for line in text.split("\n"))


def command(words: str, *, indent: str = "  ") -> str:
    r"""Return a command of a shell; where it is broken, it can still be pasted.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(columns=24)):
        ...     print(command('cio-frames check a.csv --lit "event=A B"'))
          cio-frames check \
            a.csv \
            --lit "event=A B"
    """
    further = indent + "  "
    parts = _SHELL_WORD.findall(_shown(words))
    lines = _wrapped(parts, first=_places(f"{indent} \\"), rest=_places(f"{further} \\"))
    return indent + f" \\\n{further}".join(lines)


def json_text(text: str) -> str:
    r"""Return JSON that stays the same JSON, of characters that the output takes.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(encoding="ascii")):
        ...     print(json_text('{"name": "Zoë"}'))
        {"name": "Zo\u00eb"}
    """
    target = output()
    if target.takes(text) and visible(text) == text:
        return text
    return "".join(
        each if target.takes(each) and visible(each) == each else json.dumps(each)[1:-1]
        for each in text
    )


def write(stream: TextIO | None, text: str) -> None:
    """Write at once what a stream takes; nothing where there is none."""
    if stream is not None:
        stream.write(output_of(stream).escaped(text))
        getattr(stream, "flush", bool)()


def is_fitting(text: str, *, indent: str = "") -> bool:
    """Return whether a line of text fits into the output."""
    places = output().columns
    return places is None or cells(indent + text) <= places


def single_line(text: str, places: int) -> str:
    """Return one line for a terminal, for text that is drawn over itself again and again."""
    return shortened(_shown(text), places, end=mark("…"))


def _blocks(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Part):
            yield paragraph(joined(*node.title))
            yield from _blocks(node.body)
        elif not (isinstance(node, Fold) and node.is_aside):
            yield _node(node, "")


@singledispatch
def _node(node: Node, indent: str) -> str:
    """Return one part of a view, every line indented."""
    raise NotImplementedError(node)


@_node.register
def _heading(node: Heading, indent: str) -> str:
    verdict = node.verdict.word if node.verdict else ""
    about = (node.about,) if isinstance(node.about, str) else node.about
    return paragraph(joined(*filter(None, (node.title, *about, mark(verdict)))), indent=indent)


@_node.register(Paragraph)
@_node.register(Notice)
def _sentence(node: Paragraph | Notice, indent: str) -> str:
    words = (
        f"{mark(word.word)}: " if isinstance(word, Badge) else plain(word)
        for word in spans(node.words)
    )
    return paragraph("".join(words), indent=indent)


@_node.register
def _figures(node: Figures, indent: str) -> str:
    return columns(
        (), [(name, plain(value)) for name, value in node.pairs], right={1}, indent=indent
    )


@_node.register
def _table(node: Table, indent: str) -> str:
    shown = node.rows[:PAGE_ROWS] if node.whole else node.rows
    rows = [[_cell(cell) for cell in row] for row in shown]
    lines = columns(node.headers, rows, right=node.right, indent=indent)
    rest = node.rest(len(shown))
    return f"{lines}\n{paragraph(rest, indent=indent)}" if rest else lines


@_node.register
def _examples(node: Examples, indent: str) -> str:
    return _node(node.table, indent + "  ")


@_node.register
def _bullets(node: Bullets, indent: str) -> str:
    return "\n".join(
        paragraph(f"- {item}", indent=indent, hanging=indent + "  ") for item in node.items
    )


@_node.register
def _step(node: Step, indent: str) -> str:
    return f"{paragraph(node.why, indent=indent)}\n{block(node.what, indent=indent + '  ')}"


@_node.register
def _block(node: Block, indent: str) -> str:
    return block(node.text, indent=indent)


@_node.register
def _messages(node: Messages, indent: str) -> str:
    """Return messages, each on its line if all fit, else with a line for each value."""
    further = indent + "  "
    exact = [json_text(text) for text in node.texts]
    if all(is_fitting(text, indent=further) for text in exact):
        return "\n".join((indent + node.title(), *(further + text for text in exact)))
    title = paragraph(node.title("with line breaks for readability"), indent=indent)
    spread = (msgspec.json.format(text, indent=2).split("\n") for text in exact)
    return "\n".join((title, *(_json_line(line, further) for lines in spread for line in lines)))


@_node.register
def _chart(node: Chart, indent: str) -> str:
    places = output().columns
    beside = f"{indent}{node.first}  {node.last}"
    chart = charts.narrowed(node, places=None if places is None else places - len(beside))
    bars = charts.BARS if output().takes(charts.BARS) else charts.PLAIN_BARS
    line = f"{indent}{node.first} {charts.sparkline(charts.totals(chart), bars)} {node.last}"
    scale = charts.scale(chart)
    return f"{line}\n{paragraph(scale, indent=indent)}" if scale else line


@_node.register
def _pictures(node: Pictures, indent: str) -> str:
    from cio_frames.views import graph  # only previews have pictures

    items = tuple(graph.told(cluster) for cluster in node.clusters)
    return _bullets(Bullets(items), indent)


@_node.register
def _meter(node: Meter, indent: str) -> str:
    filled = round((node.done or 0.0) * _METER)
    return f"{indent}[{'#' * filled}{'.' * (_METER - filled)}] {node.alt}"


@_node.register
def _item(node: Item, indent: str) -> str:
    kind = node.badge.word.partition(" ")[2]
    line = joined(f"[{kind}] {node.name}", node.extent)
    title = paragraph(line, indent=indent, hanging=indent + "  ")
    return f"{title}\n{drawn(node.body, indent=indent + '  ')}"


@_node.register(Section)
@_node.register(Fold)
def _section(node: Section | Fold, indent: str) -> str:
    title = paragraph(node.title, indent=indent)
    return f"{title}\n{drawn(node.body, indent=indent + '  ')}"


def _cell(cell: Inline) -> str:
    """Return a cell in words that the output takes."""
    match cell:
        case Badge(word=word):
            return mark(word)
        case Muted(text=text):
            return f"({text})"
        case _:
            return plain(cell)


def _json_line(line: str, indent: str) -> str:
    """Return a line of JSON; where it is too long, the value stands below its name."""
    named = _NAMED.fullmatch(line)
    if named is None or is_fitting(line, indent=indent):
        return indent + line
    blanks, name, value = named.groups()
    return f"{indent}{blanks}{name}\n{indent}  {blanks}{value}"


def _shown(text: str) -> str:
    """Return one line of characters that the output takes and a reader can see."""
    target = output()
    return target.escaped(one_line(text, pictures=target.takes(_PICTURE)))


def _places(indent: str) -> int:
    """Return how many places a line of words has after what it begins with."""
    return min(output().columns or WIDTH, WIDTH) - cells(indent)


def _wrapped(words: Sequence[str], *, first: int, rest: int) -> list[str]:
    """Return lines of words that fill at most so many places; what cannot be broken may fill more."""
    lines: list[str] = []
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if line and cells(longer) > (rest if lines else first):
            lines.append(line.rstrip())
            line = word
        else:
            line = longer
    return [*lines, line]


def _fitted(line: str, *, indent: str) -> str:
    """Return a line of a block, broken if it does not fit."""
    shown = output().escaped(visible(line, pictures=output().takes(_PICTURE)))
    if is_fitting(shown, indent=indent):
        return f"{indent}{shown}" if shown.strip() else shown
    own = indent + " " * (len(shown) - len(shown.lstrip(" ")))
    return paragraph(shown.lstrip(" "), indent=own, hanging=own + "  ")


def _widths(lines: Sequence[Sequence[str]], *, indent: str) -> list[int] | None:
    """Return how wide the columns are; None if they do not fit beside each other."""
    by_column = list(zip(*lines, strict=True))
    widths = [max(map(cells, column)) for column in by_column]
    places = output().columns
    if places is None:
        return widths
    room = places - cells(indent) - len(_GAP) * (len(widths) - 1)
    words = [
        max((cells(word) for cell in column for word in cell.split()), default=0)
        for column in by_column
    ]
    least = [
        max(word, min(width, _LEAST_PLACES)) for word, width in zip(words, widths, strict=True)
    ]
    if sum(least) > room:
        return None
    if sum(widths) > room:
        widths = [min(width, room) for width in widths]
    while sum(widths) > room:
        spare = [place for place, width in enumerate(widths) if width > least[place]]
        widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _row(line: Sequence[str], widths: Sequence[int], *, right: Collection[int]) -> list[str]:
    """Return the lines of one row, cells that are too wide broken."""
    parts = [
        [cell] if cells(cell) <= width else _wrapped(cell.split(" "), first=width, rest=width)
        for cell, width in zip(line, widths, strict=True)
    ]
    return [
        _GAP.join(
            _padded(part, width, to_the_right=place in right)
            for place, (part, width) in enumerate(zip(drawn, widths, strict=True))
        )
        for drawn in zip_longest(*parts, fillvalue="")
    ]


def _listed(headers: Sequence[str], row: Sequence[str], *, indent: str) -> str:
    """Return one row without columns: a line for each value, or what fits after each other."""
    further = indent + "  "
    if not headers:
        return paragraph(_GAP.join(filter(None, row)), indent=indent, hanging=further)
    told = [
        f"{title}: {cell}" if title else cell
        for title, cell in zip(headers, row, strict=True)
        if cell
    ]
    return "\n".join(
        paragraph(each, indent=further if place else indent, hanging=further + "  ")
        for place, each in enumerate(told)
    )


def _padded(cell: str, width: int, *, to_the_right: bool) -> str:
    """Return a cell filled up with blanks."""
    blanks = " " * (width - cells(cell))
    return blanks + cell if to_the_right else cell + blanks
