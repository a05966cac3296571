"""Documents as HTML for notebooks."""

from collections.abc import Iterable, Sequence
from functools import singledispatch

from cio_frames.views import charts
from cio_frames.views import style as css
from cio_frames.views.document import (
    EMPTY,
    PAGE_ROWS,
    Badge,
    Block,
    Bullets,
    Chart,
    ClusterGraphs,
    Code,
    Command,
    Document,
    Examples,
    Figures,
    Fold,
    Heading,
    Inline,
    Item,
    Look,
    Messages,
    Meter,
    Muted,
    Node,
    Notice,
    Paragraph,
    Part,
    Quoted,
    Saved,
    Section,
    Span,
    Step,
    Strong,
    Table,
    spans,
    text_of,
)
from cio_frames.views.markup import Markup, download, frame, join, link, long_table, tag
from cio_frames.views.style import Style
from cio_frames.views.wording import many, number

MAX_TABLE_ROWS = 500
MIN_SEARCHABLE_ROWS = 16
"""Tables with fewer rows have no search and sorting."""

_SHORT_CELL = 26
_LONG_CELL = 300
_LOOKS: dict[Look, Style] = {
    "plain": css.PARAGRAPH,
    "lead": css.LEAD,
    "apart": css.AFTER,
    "aside": css.join(css.PARAGRAPH, css.SMALL, css.MUTED),
    "strong": css.join(css.PARAGRAPH, css.STRONG),
}


def render(document: Document) -> Markup:
    """Return a view in its frame, or nothing for an empty view."""
    if document is EMPTY:
        return join(())
    body = render_nodes((document.heading, *document.body))
    return frame(body, style=css.CARD)


def render_nodes(nodes: Iterable[Node]) -> Markup:
    """Return the parts of a view one after the other."""
    return join(map(_node, nodes))


@singledispatch
def _node(node: Node) -> Markup:
    """Return one part of a view."""
    raise NotImplementedError(node)


@_node.register
def _heading(node: Heading) -> Markup:
    details = [_inline(node.verdict), " "] if node.verdict else []
    if node.about:
        style = css.join(css.MUTED, css.SMALL)
        about = node.about if isinstance(node.about, str) else " · ".join(node.about)
        details.append(tag("span", about, style=style, attributes={"dir": "auto"}))
    return tag("div", tag("strong", node.title, style=css.TITLE), " ", *details, style=css.HEAD)


@_node.register
def _paragraph(node: Paragraph) -> Markup:
    return tag("p", *_inlines(node.words), style=_LOOKS[node.look])


@_node.register
def _notice(node: Notice) -> Markup:
    words = tag("p", *_inlines(node.words), style=css.PARAGRAPH)
    return tag("div", words, style=css.join(css.NOTICE, css.edge(node.tone)))


@_node.register
def _figures(node: Figures) -> Markup:
    figures = tag("div", *(_figure(*pair) for pair in node.pairs), style=css.FIGURES)
    bar = charts.bar(node.bar)
    return join([figures, bar] if bar else [figures])


@_node.register
def _table(node: Table) -> Markup:
    if not node.all_rows:
        grid = _grid(node, node.rows)
        return long_table(grid) if len(node.rows) >= MIN_SEARCHABLE_ROWS else grid
    starts = range(0, min(len(node.rows), MAX_TABLE_ROWS), PAGE_ROWS)
    pages = [_grid(node, node.rows[start : start + PAGE_ROWS]) for start in starts]
    folded = [
        _fold(f"Rows {number(start + 1)} to {number(min(start + PAGE_ROWS, len(node.rows)))}", page)
        for start, page in zip(starts[1:], pages[1:], strict=True)
    ]
    rest = node.rest(MAX_TABLE_ROWS)
    after = [tag("p", rest, style=css.AFTER)] if rest else []
    parts = [*(pages[:1] or [_grid(node, ())]), *folded]
    return join(
        [long_table(*parts) if len(node.rows) >= MIN_SEARCHABLE_ROWS else join(parts), *after]
    )


@_node.register
def _examples(node: Examples) -> Markup:
    count = many(len(node.table.rows), "example")
    return _fold(count, _node(node.table), is_open=node.is_open, style=css.INNER_FOLD)


@_node.register
def _bullets(node: Bullets) -> Markup:
    items = (tag("li", tag("bdi", item)) for item in node.items)
    return tag("ol" if node.numbered else "ul", *items, style=css.LIST)


@_node.register
def _step(node: Step) -> Markup:
    return tag("p", node.why, " ", _inline(Command(node.what)), style=css.PARAGRAPH)


@_node.register
def _block(node: Block) -> Markup:
    return tag("pre", node.text, style=css.BLOCK)


@_node.register
def _messages(node: Messages) -> Markup:
    return _fold(node.title(), *(tag("pre", text, style=css.BLOCK) for text in node.texts))


@_node.register
def _chart(node: Chart) -> Markup:
    right = css.join(css.AXIS_CELL, css.TO_THE_RIGHT)
    ends = (
        tag("td", node.first, style=css.AXIS_CELL),
        tag("td", node.last, style=right, attributes={"align": "right"}),
    )
    axis = tag("table", tag("tbody", tag("tr", *ends, style=css.ROW)), style=css.AXIS)
    text = charts.scale(node)
    scale = [tag("p", text, style=css.AFTER_CHART)] if text else []
    return join([charts.column_chart(node), axis, *scale])


@_node.register
def _cluster_graphs(node: ClusterGraphs) -> Markup:
    from cio_frames.views import graph  # only previews have graphs

    key = tag("p", graph.KEY, style=css.join(css.PARAGRAPH, css.MUTED, css.SMALL))
    graphs = (
        join([tag("p", tag("bdi", graph.caption(cluster)), style=css.AFTER), graph.draw(cluster)])
        for cluster in node.clusters
    )
    return join([key, *graphs])


@_node.register
def _meter(node: Meter) -> Markup:
    if node.done is None:
        return tag("div", tag("progress", style=css.METER))
    return charts.meter(node.done, tone=node.tone, alt=node.alt)


@_node.register
def _item(node: Item) -> Markup:
    style = css.join(css.ITEM, css.edge(node.badge.tone))
    name, extent = _inline(Code(node.name)), f" {node.extent}"
    if node.page:
        name = link(name, page=node.page, style=css.LINK)
    if not node.brief:
        line = tag("div", _inline(node.badge), name, extent)
        return tag("div", line, render_nodes(node.body), style=style)
    rows, maximum = node.share
    bar = [charts.share(rows, maximum=maximum, tone=node.badge.tone)] if maximum else []
    brief = tag("span", node.brief, style=css.MUTED)
    line = tag("span", *bar, name, f"{extent} ", brief)
    return _fold(line, tag("div", render_nodes(node.body), style=style), style=css.INNER_FOLD)


@_node.register
def _section(node: Section) -> Markup:
    # Not a heading, which would appear in the notebook's table of contents.
    title = tag("div", node.title, style=css.SECTION_TITLE)
    return tag("section", title, render_nodes(node.body), style=css.SECTION)


@_node.register
def _folded(node: Fold) -> Markup:
    return _fold(node.title, render_nodes(node.body), is_open=node.is_open)


@_node.register
def _part(node: Part) -> Markup:
    body = tag("div", render_nodes(node.body), style=css.join(css.ITEM, css.edge(node.tone)))
    return _fold(" · ".join(node.title), body, is_open=node.tone == "bad")


def _inlines(words: Inline | Sequence[Inline]) -> list[str]:
    return [_inline(word) for word in spans(words)]


def _inline(word: Inline) -> str:
    """Return a piece of a sentence or a cell; plain text is escaped later."""
    text = text_of(word)
    match word:
        case Badge(tone=tone):
            return tag("strong", text, style=css.badge(tone))
        case Code():
            look = css.COMMAND if isinstance(word, Command) else css.CODE
            return tag("code", text, style=look, attributes={"dir": "auto"})
        case Saved(name=name, content=content):
            return download(text, name=name, content=content, style=css.LINK)
        case Strong() | Muted() | Quoted():
            name, style = _SPANS[type(word)]
            return tag(name, text, style=style)
        case _:
            return text


_SPANS: dict[type[Span], tuple[str, Style]] = {
    Strong: ("strong", css.PLAIN),
    Muted: ("em", css.MUTED),
    Quoted: ("bdi", css.PLAIN),
}


def _fold(title: str, *children: str, is_open: bool = False, style: Style = css.FOLD) -> Markup:
    """Return a part that opens with a click or a key."""
    summary = tag("summary", title, style=css.FOLD_TITLE)
    attributes = {"open": "open"} if is_open else {}
    return tag("details", summary, *children, style=style, attributes=attributes)


def _figure(name: str, value: str | int) -> Markup:
    label = tag("div", name, style=css.join(css.SMALL, css.MUTED))
    return tag("div", label, tag("div", text_of(value), style=css.FIGURE_VALUE), style=css.FIGURE)


def _grid(table: Table, rows: Sequence[Sequence[Inline]]) -> Markup:
    """Return a table that scrolls horizontally if it is wider than the page."""
    bars = _bars(table, rows)
    head = _row("th", table.headers, [""] * bool(bars), table=table)
    body = (_row("td", row, bars[index : index + 1], table=table) for index, row in enumerate(rows))
    element = tag("table", tag("thead", head), tag("tbody", *body), style=css.TABLE)
    return tag("div", element, style=css.SCROLL)


def _bars(table: Table, rows: Sequence[Sequence[Inline]]) -> list[str]:
    """Return a bar for the count of each row, if the table has bars."""
    if table.bars is None:
        return []
    column = min(table.right)
    counts = [count for row in rows if isinstance(count := row[column], int)]
    return [charts.share(count, maximum=max(counts), tone=table.bars) for count in counts]


def _row(name: str, cells: Sequence[Inline], bar: list[str], *, table: Table) -> Markup:
    """Return one row of a table, with a bar beside its count if there is one."""
    elements = [_cell(name, cell, right=column in table.right) for column, cell in enumerate(cells)]
    if bar:
        elements.insert(min(table.right) + 1, tag(name, *bar, style=_CELLS[name]))
    return tag("tr", *elements, style=css.ROW)


def _cell(name: str, value: Inline, *, right: bool) -> Markup:
    """Return one cell. Alignment is also an attribute, for renderers without styles."""
    style, text = _CELLS[name], text_of(value)
    attributes = {"scope": "col"} if name == "th" else {"dir": "auto"}
    if right:
        style, attributes = css.join(style, css.TO_THE_RIGHT), attributes | {"align": "right"}
    content = _inline(value)
    if isinstance(value, str | int) and len(text) <= _SHORT_CELL:
        style = css.join(style, css.ON_ONE_LINE)
    if isinstance(value, str) and len(text) > _LONG_CELL:
        content = _fold(f"{text[:80]}… ({number(len(text))} characters)", text)
    return tag(name, content, style=style, attributes=attributes)


_CELLS = {"th": css.HEAD_CELL, "td": css.CELL}
