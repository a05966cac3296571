"""One person's story: sentences in order."""

from collections.abc import Sequence

from cio_frames.views import components
from cio_frames.views import style as css
from cio_frames.views import text as plain
from cio_frames.views.html import Drawn, join, tag


def narrated(
    title: str, sentences: Sequence[str], *, about: str = "what the rows do to this person"
) -> Drawn:
    """Return sentences under a title, for notebooks and terminals.

    Args:
        title: Whom or what they are about.
        sentences: The sentences.
        about: What is told of that.

    Examples:
        >>> print(narrated("u1", ["Row 0: u1 is new."]))
        u1
        <BLANKLINE>
        - Row 0: u1 is new.
    """
    items = join(tag("li", tag("bdi", sentence)) for sentence in sentences)
    html = components.card(
        components.head(title, about=about),
        tag("ol", items, style=css.LIST),
    )
    return Drawn(html=html, make_text=lambda: _text(title, sentences))


def _text(title: str, sentences: Sequence[str]) -> str:
    lines = (plain.paragraph(f"- {sentence}", hanging="  ") for sentence in sentences)
    return plain.page([plain.paragraph(title), "\n".join(lines)])
