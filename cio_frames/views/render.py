"""A document as a value that notebooks and `print` can show."""

from dataclasses import dataclass

from cio_frames.views import html, text
from cio_frames.views.document import Document


def bundle(document: Document) -> dict[str, str]:
    """Return the value of `_repr_mimebundle_`: HTML for notebooks, text for everything else.

    Examples:
        >>> from cio_frames.views.document import Heading
        >>> bundle(Document(Heading("1 < 2"), ()))["text/plain"]
        '1 < 2'
    """
    return {"text/plain": text.render(document), "text/html": str(html.render(document))}


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A document that a notebook shows as HTML and everything else as text."""

    document: Document

    @property
    def html(self) -> str:
        """The HTML, for notebooks."""
        return str(html.render(self.document))

    @property
    def text(self) -> str:
        """The text, for the current output."""
        return text.render(self.document)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(self.document)
