"""What notebooks and `print` ask of a view."""

from dataclasses import dataclass

from cio_frames.views import html, text
from cio_frames.views.document import Document


def bundle(document: Document) -> dict[str, str]:
    """Return what `_repr_mimebundle_` should: the HTML for notebooks, the text for the rest.

    Examples:
        >>> from cio_frames.views.document import Heading
        >>> bundle(Document(Heading("1 < 2"), ()))["text/plain"]
        '1 < 2'
    """
    return {"text/plain": text.render(document), "text/html": str(html.render(document))}


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A document that shows itself. A notebook shows the HTML, everything else the text."""

    document: Document

    @property
    def html(self) -> str:
        """The HTML, for notebooks."""
        return str(html.render(self.document))

    @property
    def text(self) -> str:
        """The text, for the output of the moment."""
        return text.render(self.document)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(self.document)
