"""Documents as text for terminals and `print`: aligned columns and wrapped sentences, no colours.

All text contains only characters that the output can encode, in lines that fit its width.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import singledispatch
from itertools import zip_longest
from typing import TextIO

import msgspec

from cio_frames.views import charts
from cio_frames.views.characters import display_width, one_line, shorten, visible
from cio_frames.views.document import (
    PAGE_ROWS,
    Badge,
    Block,
    Bullets,
    Chart,
    ClusterGraphs,
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
    Section,
    Step,
    Table,
    spans,
    text_of,
)
from cio_frames.views.environment import output, output_of

WIDTH = 96
"""Maximum columns of a line of words, also on wider terminals."""

_METER = 20
_MIN_WIDTH = 16
"""Columns are not made narrower; if the table is still too wide, rows become lists."""

_GAP = "  "
_PICTURE = "␛"
_MARKS = {"✓": "OK", "✕": "X", "○": "o", "‖": "#", "…": "...", "·": "|"}
"""The marks of this package, and their substitutes in outputs that cannot encode them."""

_NAMED = re.compile(r'( *)("(?:[^"\\]|\\.)*":) (.+)')
_SHELL_WORD = re.compile(r"""(?:--[\w-]+ (?!-))?(?:"[^"]*"|\S)+""")
"""A word of a command, or an option with its value."""


def render(document: Document) -> str:
    """Return a view, with an empty line between its parts."""
    return page(_blocks((document.heading, *document.body)))


def render_nodes(nodes: Iterable[Node], *, indent: str = "") -> str:
    """Return the parts of a view below each other, every line indented."""
    return "\n".join(filter(None, (_node(node, indent) for node in nodes)))


def page(blocks: Iterable[str]) -> str:
    """Return blocks of text with an empty line between them."""
    return output().escape("\n\n".join(filter(None, blocks)))


def join_parts(*parts: str) -> str:
    """Return the parts on one line, with a dot between them."""
    return f" {mark('·')} ".join(parts)


def mark(words: str) -> str:
    """Return the words with their first mark replaced if the output cannot encode it."""
    return words if output().can_encode(words) else _MARKS[words[0]] + words[1:]


def columns(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    indent: str = "",
) -> str:
    """Return aligned columns; if they do not fit side by side, every row becomes a list.

    Args:
        headers: Titles of the columns; without any, only the rows are returned.
        rows: One text per column, in every row.
        right: Positions of the columns that are aligned to the right.
        indent: The start of every line.

    Returns:
        Lines without a final line feed.

    Examples:
        >>> print(columns(["state", "rows"], [["delivered", "9"], ["pending", "10"]], right={1}))
        state      rows
        delivered     9
        pending      10
    """
    lines = [[_printable(cell) for cell in row] for row in ([headers] if headers else []) + [*rows]]
    if not lines:
        return ""
    widths = _widths(lines, indent=indent)
    if widths is None:
        return "\n".join(_row_as_list(headers, row, indent=indent) for row in rows)
    return "\n".join(
        f"{indent}{text}".rstrip() for cells in lines for text in _row(cells, widths, right=right)
    )


def paragraph(text: str, *, indent: str = "", hanging: str | None = None) -> str:
    """Return a sentence wrapped to the width, every line indented.

    Args:
        text: The sentence.
        indent: The start of the lines.
        hanging: The start of every line but the first, if different.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(columns=10)):
        ...     print(paragraph("one two three", indent="  "))
          one two
          three
    """
    first, rest = indent, indent if hanging is None else hanging
    words = _printable(text).split(" ")
    lines = _wrapped(words, first=_width(first), rest=_width(rest))
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])])


def block(text: str, *, indent: str = "  ") -> str:
    """Return text with its own lines, every line indented and wrapped if it is too long."""
    return "\n".join(_wrapped_line(line, indent=indent) for line in text.split("\n"))


def command(words: str, *, indent: str = "  ") -> str:
    r"""Return a shell command that can be pasted even if it is wrapped.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(columns=24)):
        ...     print(command('cio-frames check a.csv --lit "event=A B"'))
          cio-frames check \
            a.csv \
            --lit "event=A B"
    """
    next_indent = indent + "  "
    parts = _SHELL_WORD.findall(_printable(words))
    lines = _wrapped(parts, first=_width(f"{indent} \\"), rest=_width(f"{next_indent} \\"))
    return indent + f" \\\n{next_indent}".join(lines)


def json_text(text: str) -> str:
    r"""Return equivalent JSON that the output can encode.

    Examples:
        >>> from cio_frames.views.environment import Output, writing_to
        >>> with writing_to(Output(encoding="ascii")):
        ...     print(json_text('{"name": "Zoë"}'))
        {"name": "Zo\u00eb"}
    """
    target = output()
    if target.can_encode(text) and visible(text) == text:
        return text
    return "".join(
        char if target.can_encode(char) and visible(char) == char else json.dumps(char)[1:-1]
        for char in text
    )


def write(stream: TextIO | None, text: str) -> None:
    """Write to a stream and flush it; do nothing without one."""
    if stream is not None:
        stream.write(output_of(stream).escape(text))
        getattr(stream, "flush", bool)()


def fits(text: str, *, indent: str = "") -> bool:
    """Return whether a line of text fits into the output."""
    width = output().columns
    return width is None or display_width(indent + text) <= width


def single_line(text: str, width: int) -> str:
    """Return the text as one line of at most that width."""
    return shorten(_printable(text), width, end=mark("…"))


def _blocks(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Part):
            yield paragraph(join_parts(*node.title))
            yield from _blocks(node.body)
        elif not (isinstance(node, Fold) and node.is_html_only):
            yield _node(node, "")


@singledispatch
def _node(node: Node, indent: str) -> str:
    """Return one part of a view, every line indented."""
    raise NotImplementedError(node)


@_node.register
def _heading(node: Heading, indent: str) -> str:
    verdict = node.verdict.word if node.verdict else ""
    about = (node.about,) if isinstance(node.about, str) else node.about
    return paragraph(join_parts(*filter(None, (node.title, *about, mark(verdict)))), indent=indent)


@_node.register(Paragraph)
@_node.register(Notice)
def _sentence(node: Paragraph | Notice, indent: str) -> str:
    words = (
        f"{mark(word.word)}: " if isinstance(word, Badge) else text_of(word)
        for word in spans(node.words)
    )
    return paragraph("".join(words), indent=indent)


@_node.register
def _figures(node: Figures, indent: str) -> str:
    return columns(
        (), [(name, text_of(value)) for name, value in node.pairs], right={1}, indent=indent
    )


@_node.register
def _table(node: Table, indent: str) -> str:
    shown = node.rows[:PAGE_ROWS] if node.all_rows else node.rows
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
    """Return messages, each on one line if all fit, else with a line per value."""
    next_indent = indent + "  "
    texts = [json_text(text) for text in node.texts]
    if all(fits(text, indent=next_indent) for text in texts):
        return "\n".join((indent + node.title(), *(next_indent + text for text in texts)))
    title = paragraph(node.title("with line breaks for readability"), indent=indent)
    lines = (line for text in texts for line in msgspec.json.format(text, indent=2).split("\n"))
    return "\n".join((title, *(_json_line(line, next_indent) for line in lines)))


@_node.register
def _chart(node: Chart, indent: str) -> str:
    width = output().columns
    labels = f"{indent}{node.first}  {node.last}"
    chart = charts.narrow(node, max_bars=None if width is None else width - len(labels))
    bars = charts.BARS if output().can_encode(charts.BARS) else charts.ASCII_BARS
    line = f"{indent}{node.first} {charts.sparkline(charts.totals(chart), bars)} {node.last}"
    scale = charts.scale(chart)
    return f"{line}\n{paragraph(scale, indent=indent)}" if scale else line


@_node.register
def _cluster_graphs(node: ClusterGraphs, indent: str) -> str:
    from cio_frames.views import graph  # only previews have graphs

    items = tuple(graph.description(cluster) for cluster in node.clusters)
    return _bullets(Bullets(items), indent)


@_node.register
def _meter(node: Meter, indent: str) -> str:
    filled = round((node.done or 0.0) * _METER)
    return f"{indent}[{'#' * filled}{'.' * (_METER - filled)}] {node.alt}"


@_node.register
def _item(node: Item, indent: str) -> str:
    kind = node.badge.word.partition(" ")[2]
    line = join_parts(f"[{kind}] {node.name}", node.extent)
    title = paragraph(line, indent=indent, hanging=indent + "  ")
    return f"{title}\n{render_nodes(node.body, indent=indent + '  ')}"


@_node.register(Section)
@_node.register(Fold)
def _section(node: Section | Fold, indent: str) -> str:
    title = paragraph(node.title, indent=indent)
    return f"{title}\n{render_nodes(node.body, indent=indent + '  ')}"


def _cell(cell: Inline) -> str:
    match cell:
        case Badge(word=word):
            return mark(word)
        case Muted(text=text):
            return f"({text})"
        case _:
            return text_of(cell)


def _json_line(line: str, indent: str) -> str:
    """Return a line of JSON; if it is too long, the value is below its name."""
    named = _NAMED.fullmatch(line)
    if named is None or fits(line, indent=indent):
        return indent + line
    blanks, name, value = named.groups()
    return f"{indent}{blanks}{name}\n{indent}  {blanks}{value}"


def _printable(text: str) -> str:
    """Return one line of visible characters that the output can encode."""
    target = output()
    return target.escape(one_line(text, pictures=target.can_encode(_PICTURE)))


def _width(indent: str) -> int:
    """Return how many columns a line of words has after its indent."""
    return min(output().columns or WIDTH, WIDTH) - display_width(indent)


def _wrapped(words: Sequence[str], *, first: int, rest: int) -> list[str]:
    """Return lines of words with these maximum widths; a longer word has a line of its own."""
    lines: list[str] = []
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if line and display_width(longer) > (rest if lines else first):
            lines.append(line.rstrip())
            line = word
        else:
            line = longer
    return [*lines, line]


def _wrapped_line(line: str, *, indent: str) -> str:
    """Return a line of a block, wrapped if it is too long."""
    shown = output().escape(visible(line, pictures=output().can_encode(_PICTURE)))
    if fits(shown, indent=indent):
        return f"{indent}{shown}" if shown.strip() else shown
    own_indent = indent + " " * (len(shown) - len(shown.lstrip(" ")))
    return paragraph(shown.lstrip(" "), indent=own_indent, hanging=own_indent + "  ")


def _widths(lines: Sequence[Sequence[str]], *, indent: str) -> list[int] | None:
    """Return the widths of the columns; None if they do not fit side by side."""
    by_column = list(zip(*lines, strict=True))
    widths = [max(map(display_width, column)) for column in by_column]
    total = output().columns
    if total is None:
        return widths
    available = total - display_width(indent) - len(_GAP) * (len(widths) - 1)
    longest_words = [
        max((display_width(word) for cell in column for word in cell.split()), default=0)
        for column in by_column
    ]
    minimums = [
        max(word, min(width, _MIN_WIDTH)) for word, width in zip(longest_words, widths, strict=True)
    ]
    if sum(minimums) > available:
        return None
    if sum(widths) > available:
        widths = [min(width, available) for width in widths]
    while sum(widths) > available:
        shrinkable = [column for column, width in enumerate(widths) if width > minimums[column]]
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
    return widths


def _row(line: Sequence[str], widths: Sequence[int], *, right: Collection[int]) -> list[str]:
    """Return the lines of one row, with wrapped cells."""
    parts = [
        [cell]
        if display_width(cell) <= width
        else _wrapped(cell.split(" "), first=width, rest=width)
        for cell, width in zip(line, widths, strict=True)
    ]
    return [
        _GAP.join(
            _padded(part, width, right=column in right)
            for column, (part, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in zip_longest(*parts, fillvalue="")
    ]


def _row_as_list(headers: Sequence[str], row: Sequence[str], *, indent: str) -> str:
    """Return one row as a list: a line per value, or a paragraph if there are no headers."""
    next_indent = indent + "  "
    if not headers:
        return paragraph(_GAP.join(filter(None, row)), indent=indent, hanging=next_indent)
    lines = [
        f"{title}: {cell}" if title else cell
        for title, cell in zip(headers, row, strict=True)
        if cell
    ]
    return "\n".join(
        paragraph(line, indent=next_indent if index else indent, hanging=next_indent + "  ")
        for index, line in enumerate(lines)
    )


def _padded(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - display_width(cell))
    return blanks + cell if right else cell + blanks
