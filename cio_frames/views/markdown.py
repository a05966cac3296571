"""Documents as Markdown, for pull requests and tickets."""

import re
from collections.abc import Iterable, Iterator
from functools import singledispatch

from cio_frames.views.characters import one_line
from cio_frames.views.document import (
    Block,
    Bullets,
    Chart,
    ClusterGraphs,
    Code,
    Document,
    Examples,
    Figures,
    Fold,
    Heading,
    Inline,
    Item,
    Messages,
    Meter,
    Node,
    Notice,
    Paragraph,
    Part,
    Section,
    Step,
    Strong,
    Table,
    spans,
    text_of,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$@])")


def render(document: Document) -> str:
    r"""Return a view as Markdown. Text of the data cannot format or link anything.

    Examples:
        >>> print(render(Document(Heading("Plan", "a|b"), [Paragraph("2 rows")])))
        ## Plan · a\|b
        <BLANKLINE>
        2 rows
        <BLANKLINE>
    """
    blocks = _blocks((document.heading, *document.body), level=2)
    return "\n\n".join(filter(None, blocks)) + "\n"


def _blocks(nodes: Iterable[Node], *, level: int) -> Iterator[str]:
    for node in nodes:
        match node:
            case Section(title, body):
                yield f"{'#' * (level + 1)} {_text(title)}"
                yield from _blocks(body, level=level + 1)
            case Part(title, body):
                yield f"{'#' * (level + 1)} {_text(' · '.join(title))}"
                yield from _blocks(body, level=level + 1)
            case Fold(title, body):
                yield f"**{_text(title)}**"
                yield from _blocks(body, level=level + 1)
            case Item():
                yield f"**{_text(node.badge.word)} {_code(node.name)}** · {_text(node.extent)}"
                yield from _blocks(node.body, level=level + 1)
            case Heading():
                about = (node.about,) if isinstance(node.about, str) else node.about
                verdict = node.verdict.word if node.verdict else ""
                words = " · ".join(filter(None, (node.title, *about, verdict)))
                yield f"{'#' * level} {_text(words)}"
            case _:
                yield _node(node)


@singledispatch
def _node(node: Node) -> str:
    raise NotImplementedError(node)


@_node.register(Paragraph)
@_node.register(Notice)
def _sentence(node: Paragraph | Notice) -> str:
    return "".join(_inline(word) for word in spans(node.words))


@_node.register
def _figures(node: Figures) -> str:
    return "\n".join(f"- {_text(name)}: {_text(text_of(value))}" for name, value in node.pairs)


@_node.register
def _table(node: Table) -> str:
    alignment = ["---:" if column in node.right else "---" for column in range(len(node.headers))]
    lines = [[_text(title) or " " for title in node.headers], alignment]
    lines += [[_inline(cell) for cell in row] for row in node.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@_node.register
def _examples(node: Examples) -> str:
    return _table(node.table)


@_node.register
def _bullets(node: Bullets) -> str:
    return "\n".join(f"- {_text(item)}" for item in node.items)


@_node.register
def _step(node: Step) -> str:
    return f"{_text(node.why)}\n\n{_fenced(node.what)}"


@_node.register
def _block(node: Block) -> str:
    return _fenced(node.text)


@_node.register
def _messages(node: Messages) -> str:
    return f"{_text(node.title())}:\n\n{_fenced(chr(10).join(node.texts), language='json')}"


@_node.register(Chart)
@_node.register(Meter)
def _drawing(node: Chart | Meter) -> str:
    return _text(node.alt)


@_node.register
def _cluster_graphs(node: ClusterGraphs) -> str:
    from cio_frames.views import graph  # only previews have graphs

    return "\n".join(f"- {_text(graph.description(cluster))}" for cluster in node.clusters)


def _inline(word: Inline) -> str:
    match word:
        case Code(text=text):
            return _code(text)
        case Strong(text=text):
            return f"**{_text(text)}**"
        case _:
            return _text(text_of(word))


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _code(text: str) -> str:
    """Return text as code, within more backticks than it contains."""
    line = one_line(text).replace("|", "\\|")
    ticks = "`" * (1 + _longest_backticks(line))
    edge = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{ticks}{edge}{line}{edge}{ticks}" if line else ""


def _fenced(text: str, *, language: str = "") -> str:
    fence = "`" * max(3, _longest_backticks(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_backticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
