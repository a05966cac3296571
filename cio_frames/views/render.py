"""Documents as values that notebooks and `print` can show."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

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


class Shown(ABC):
    """An object that `print` shows as text, and notebooks as HTML."""

    __slots__ = ()

    @abstractmethod
    def _document(self) -> Document:
        """Return the document that is shown."""

    def __repr__(self) -> str:
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self._document())


@dataclass(frozen=True, slots=True, repr=False)
class Rendered(Shown):
    """A document as a value."""

    document: Document

    @property
    def html(self) -> str:
        """The HTML, for notebooks."""
        return str(html.render(self.document))

    @property
    def text(self) -> str:
        """The text, for the current output."""
        return text.render(self.document)

    def _document(self) -> Document:
        return self.document
