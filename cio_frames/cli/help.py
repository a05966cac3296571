"""The layout of `--help`: two columns without colours or boxes."""

from typing import Any

from cio_frames.views import text
from cio_frames.views.environment import output

_INDENT = "  "
_LABEL_CHARACTERS = 24
_MIN_TEXT_WIDTH = 30
"""If fewer columns remain beside the names, the description is below them."""


class HelpFormatter:
    """A help formatter of cyclopts: names on the left, wrapped sentences on the right.

    The unused `options` are part of the protocol that cyclopts calls.
    """

    def __call__(self, console: Any, options: Any, panel: Any) -> None:  # noqa: ARG002
        """Print one group of options or commands."""
        if not panel.entries:
            return
        _print(console, text.paragraph(f"{panel.title}:"))
        for entry in panel.entries:
            _print(console, _entry(_label(entry), _description(console, entry)))
        _print(console, "")

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:  # noqa: ARG002
        """Print the first line."""
        line = f"Usage: {_unwrapped(console, usage)}"
        _print(console, text.paragraph(line, hanging=_INDENT) + "\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:  # noqa: ARG002
        """Print the description of a command."""
        paragraphs = _unwrapped(console, description).split("\n\n")
        wrapped = (text.paragraph(" ".join(words.split())) for words in paragraphs)
        _print(console, text.page(wrapped) + "\n")


def _entry(label: str, description: str) -> str:
    """Return a name with its description beside it, or below it if the line is too short."""
    start = _INDENT + label.ljust(_LABEL_CHARACTERS)
    if len(start) + _MIN_TEXT_WIDTH > (output().columns or text.WIDTH):
        below = text.paragraph(description, indent=_INDENT * 3)
        return f"{text.paragraph(label, indent=_INDENT, hanging=_INDENT * 2)}\n{below}"
    hanging = " " * (len(_INDENT) + _LABEL_CHARACTERS)
    if len(label) < _LABEL_CHARACTERS:
        return start + text.paragraph(description, indent=hanging).removeprefix(hanging)
    return f"{_INDENT}{label}\n{text.paragraph(description, indent=hanging)}"


def _label(entry: Any) -> str:
    return ", ".join(entry.display_labels_with_metavar)


def _description(console: Any, entry: Any) -> str:
    parts = [" ".join(_unwrapped(console, entry.description).split())]
    if entry.choices:
        parts.append(f"[{' | '.join(entry.choices)}]")
    if entry.default:
        parts.append(f"[default: {entry.default}]")
    if entry.required:
        parts.append("[required]")
    return " ".join(filter(None, parts))


def _unwrapped(console: Any, renderable: Any) -> str:
    """Return what the console would print, unwrapped."""
    with console.capture() as printed:
        console.print(renderable, markup=False, highlight=False, soft_wrap=True, end="")
    return "\n".join(line.rstrip() for line in printed.get().splitlines()).strip()


def _print(console: Any, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)
