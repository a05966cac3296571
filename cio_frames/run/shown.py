"""What shows a document: `print` as text, notebooks as HTML."""

from abc import abstractmethod
from typing import Any

from cio_frames.views import text
from cio_frames.views.document import Document
from cio_frames.views.render import bundle


class Shown:
    """An object that shows its document."""

    __slots__ = ()

    @abstractmethod
    def _document(self) -> Document:
        """Return what is shown."""

    def __repr__(self) -> str:
        return text.render(self._document())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self._document())
